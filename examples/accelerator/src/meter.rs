//! What a cost service watches: traffic, activity, hits, power, in windows of equal length. NOT:
//! deciding when anything happens.
//!
//! An amount that accrues over a time is spread evenly over the windows the time touches. Energy
//! is not measured but follows from what was: bytes of each level, operations, and static power.

use std::collections::VecDeque;

use crate::hardware::Hardware;
use crate::units::float;

/// State of a die over one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DieSample {
    /// Traffic of the die's memory in GB/s.
    pub l3_gb_s: f64,
    /// Traffic of the die's cache in GB/s.
    pub l2_gb_s: f64,
    /// Traffic to the next die in GB/s.
    pub link_gb_s: f64,
    /// Share of cache look-ups that hit, 0 to 1; absent if there were none.
    pub l2_hit_rate: Option<f64>,
    /// Mean power in W, clusters included.
    pub power_w: f64,
    /// Energy in J from the start to the window's end, clusters included.
    pub energy_j: f64,
}

/// State of a cluster over one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClusterSample {
    /// Traffic of the scratchpad in GB/s, engines and DMA together.
    pub l1_gb_s: f64,
    /// Busy share of the matrix engines, 0 to 1.
    pub matrix_busy: f64,
    /// Busy share of the vector engines, 0 to 1.
    pub vector_busy: f64,
    /// Mean power in W.
    pub power_w: f64,
}

/// One window of all counters.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// Start of the window.
    pub start_ps: u64,
    /// End of the window; the last one ends with the run.
    pub end_ps: u64,
    /// By die.
    pub dies: Vec<DieSample>,
    /// By cluster, numbered over the whole machine.
    pub clusters: Vec<ClusterSample>,
}

/// What of a die is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfDie {
    L3Bytes,
    L2Bytes,
    LinkBytes,
    Hits,
    Misses,
}

/// What of a cluster is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfCluster {
    L1Bytes,
    MatrixPs,
    VectorPs,
    ComputePj,
}

const PER_DIE: usize = 5;
const PER_CLUSTER: usize = 4;

/// Adds up amounts by window and whole run.
#[derive(Debug)]
pub(crate) struct Meter {
    interval_ps: u64,
    /// Number of the first window kept.
    first: u64,
    windows: VecDeque<Vec<f64>>,
    totals: Vec<f64>,
    spare: Vec<Vec<f64>>,
    energy_j: Vec<f64>,
    hardware: Hardware,
}

impl Meter {
    pub(crate) fn new(hardware: &Hardware, interval_ps: u64) -> Self {
        let width = hardware.dies * PER_DIE + hardware.clusters() * PER_CLUSTER;
        Self {
            interval_ps,
            first: 0,
            windows: VecDeque::new(),
            totals: vec![0.0; width],
            spare: Vec::new(),
            energy_j: vec![0.0; hardware.dies],
            hardware: hardware.clone(),
        }
    }

    fn die_slot(die: usize, what: OfDie) -> usize {
        die * PER_DIE + what as usize
    }

    fn cluster_slot(&self, cluster: usize, what: OfCluster) -> usize {
        self.hardware.dies * PER_DIE + cluster * PER_CLUSTER + what as usize
    }

    pub(crate) fn die(&mut self, die: usize, what: OfDie, from_ps: u64, to_ps: u64, amount: f64) {
        self.add(Self::die_slot(die, what), from_ps, to_ps, amount);
    }

    pub(crate) fn cluster(
        &mut self,
        cluster: usize,
        what: OfCluster,
        from_ps: u64,
        to_ps: u64,
        amount: f64,
    ) {
        self.add(self.cluster_slot(cluster, what), from_ps, to_ps, amount);
    }

    fn add(&mut self, slot: usize, from_ps: u64, to_ps: u64, amount: f64) {
        self.totals[slot] += amount;
        let (start, end) = (from_ps / self.interval_ps, to_ps.saturating_sub(1) / self.interval_ps);
        if end <= start {
            self.window(start)[slot] += amount;
            return;
        }
        let per_ps = amount / float(to_ps - from_ps);
        for number in start..=end {
            let begin = from_ps.max(number * self.interval_ps);
            let stop = to_ps.min((number + 1) * self.interval_ps);
            self.window(number)[slot] += per_ps * float(stop - begin);
        }
    }

    fn window(&mut self, number: u64) -> &mut Vec<f64> {
        let ahead = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        while self.windows.len() <= ahead {
            let mut empty = self.spare.pop().unwrap_or_default();
            empty.clear();
            empty.resize(self.totals.len(), 0.0);
            self.windows.push_back(empty);
        }
        &mut self.windows[ahead]
    }

    /// The next window that ended by `now_ps`; nothing can be added to it any more.
    pub(crate) fn ended(&mut self, now_ps: u64) -> Option<Sample> {
        let end_ps = (self.first + 1) * self.interval_ps;
        (end_ps <= now_ps).then(|| self.close(end_ps))
    }

    /// What is left when the run ends within a window.
    pub(crate) fn last(&mut self, now_ps: u64) -> Option<Sample> {
        (self.first * self.interval_ps < now_ps).then(|| self.close(now_ps))
    }

    fn close(&mut self, end_ps: u64) -> Sample {
        let start_ps = self.first * self.interval_ps;
        self.window(self.first);
        let values = self.windows.pop_front().unwrap_or_default();
        self.first += 1;
        let length = float(end_ps - start_ps);
        let hardware = &self.hardware;
        // Bytes per picosecond are TB/s; picojoules per picosecond are watts.
        let gb_s = |bytes: f64| bytes / length * 1e3;
        let clusters: Vec<_> = (0..hardware.clusters())
            .map(|cluster| {
                let of = |what| values[self.cluster_slot(cluster, what)];
                let busy = |ps: f64, engines: usize| ps / length / float(engines as u64);
                ClusterSample {
                    l1_gb_s: gb_s(of(OfCluster::L1Bytes)),
                    matrix_busy: busy(of(OfCluster::MatrixPs), hardware.matrix.engines),
                    vector_busy: busy(of(OfCluster::VectorPs), hardware.vector.engines),
                    power_w: hardware.cluster_static_w + self.cluster_pj(&values, cluster) / length,
                }
            })
            .collect();
        let mut dies = Vec::with_capacity(hardware.dies);
        for die in 0..hardware.dies {
            let of = |what| values[Self::die_slot(die, what)];
            let looked_up = of(OfDie::Hits) + of(OfDie::Misses);
            let own = hardware.die_static_w + self.die_pj(&values, die) / length;
            let of_clusters: f64 =
                clusters[hardware.clusters_of(die)].iter().map(|cluster| cluster.power_w).sum();
            self.energy_j[die] += (own + of_clusters) * length * 1e-12;
            dies.push(DieSample {
                l3_gb_s: gb_s(of(OfDie::L3Bytes)),
                l2_gb_s: gb_s(of(OfDie::L2Bytes)),
                link_gb_s: gb_s(of(OfDie::LinkBytes)),
                l2_hit_rate: (looked_up > 0.0).then(|| of(OfDie::Hits) / looked_up),
                power_w: own + of_clusters,
                energy_j: self.energy_j[die],
            });
        }
        self.spare.push(values);
        Sample { start_ps, end_ps, dies, clusters }
    }

    fn cluster_pj(&self, values: &[f64], cluster: usize) -> f64 {
        values[self.cluster_slot(cluster, OfCluster::ComputePj)]
            + values[self.cluster_slot(cluster, OfCluster::L1Bytes)]
                * self.hardware.l1.energy_pj_per_byte
    }

    fn die_pj(&self, values: &[f64], die: usize) -> f64 {
        let of = |what| values[Self::die_slot(die, what)];
        let link = self.hardware.link.as_ref();
        of(OfDie::L3Bytes) * self.hardware.l3.energy_pj_per_byte
            + of(OfDie::L2Bytes) * self.hardware.l2.energy_pj_per_byte
            + of(OfDie::LinkBytes) * link.map_or(0.0, |link| link.energy_pj_per_byte)
    }

    /// Sum over the whole run and all dies.
    pub(crate) fn total_of_dies(&self, what: OfDie) -> f64 {
        (0..self.hardware.dies).map(|die| self.totals[Self::die_slot(die, what)]).sum()
    }

    /// Sum over the whole run and all clusters.
    pub(crate) fn total_of_clusters(&self, what: OfCluster) -> f64 {
        (0..self.hardware.clusters())
            .map(|cluster| self.totals[self.cluster_slot(cluster, what)])
            .sum()
    }

    /// Energy of a run of this length, from the totals rather than the windows.
    pub(crate) fn energy_j(&self, run_ps: u64) -> f64 {
        let hardware = &self.hardware;
        let dynamic: f64 =
            (0..hardware.dies).map(|die| self.die_pj(&self.totals, die)).sum::<f64>()
                + (0..hardware.clusters())
                    .map(|cluster| self.cluster_pj(&self.totals, cluster))
                    .sum::<f64>();
        let static_w = float(hardware.dies as u64) * hardware.die_static_w
            + float(hardware.clusters() as u64) * hardware.cluster_static_w;
        (dynamic + static_w * float(run_ps)) * 1e-12
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter() -> Meter {
        Meter::new(&Hardware::open("server-2x4").unwrap(), 1_000)
    }

    #[test]
    fn an_amount_is_spread_over_the_windows_it_touches() {
        let mut meter = meter();
        meter.die(1, OfDie::L3Bytes, 500, 2_500, 1_000.0);
        assert!(meter.ended(999).is_none(), "the window is not over");
        let rates: Vec<_> = std::iter::from_fn(|| meter.ended(3_000))
            .map(|sample| sample.dies[1].l3_gb_s)
            .collect();
        // 250, 500 and 250 bytes in a nanosecond each.
        assert_eq!(rates, [250.0, 500.0, 250.0]);
        assert!(meter.last(3_000).is_none(), "the run ended with a window");
    }

    #[test]
    fn idle_hardware_draws_its_static_power() {
        let mut meter = meter();
        let sample = meter.ended(1_000).unwrap();
        assert!((sample.dies[0].power_w - (9.0 + 4.0 * 1.25)).abs() < 1e-12);
        assert_eq!(sample.dies[0].l2_hit_rate, None);
    }

    #[test]
    fn traffic_and_work_cost_their_coefficients() {
        let mut meter = meter();
        meter.cluster(5, OfCluster::ComputePj, 0, 1_000, 3_000.0);
        meter.cluster(5, OfCluster::L1Bytes, 0, 1_000, 100.0);
        meter.die(1, OfDie::L2Bytes, 0, 1_000, 10.0);
        let sample = meter.ended(1_000).unwrap();
        // 3000 pJ and 100 B at 0.8 pJ/B in 1000 ps, and 1.25 W.
        assert!((sample.clusters[5].power_w - (3.0 + 0.08 + 1.25)).abs() < 1e-12);
        let die = 9.0 + 4.0 * 1.25 + 3.08 + 0.04;
        assert!((sample.dies[1].power_w - die).abs() < 1e-12);
        assert!((sample.dies[1].energy_j - die * 1e-9).abs() < 1e-20);
        let both = sample.dies[0].energy_j + sample.dies[1].energy_j;
        assert!((meter.energy_j(1_000) - both).abs() < 1e-20);
    }

    #[test]
    fn the_last_window_is_as_long_as_the_run() {
        let mut meter = meter();
        meter.cluster(0, OfCluster::MatrixPs, 0, 500, 500.0);
        let sample = meter.last(500).unwrap();
        assert_eq!((sample.start_ps, sample.end_ps), (0, 500));
        assert!((sample.clusters[0].matrix_busy - 0.5).abs() < 1e-12, "one of two engines");
    }
}
