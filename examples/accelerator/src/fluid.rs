//! Transfers that share bandwidth, as fluids. NOT: latency, engines, what is moved.
//!
//! A transfer passes through several channels at once (a memory level, a cluster's port, the link)
//! and moves at one rate through all of them. Rates are max-min fair: starting from nothing, the
//! rates of all transfers rise together; when a channel is full, those through it stop rising, and
//! so do those at their own engine's limit. Whenever a transfer starts or ends the rates are
//! computed anew; between, they are constant, so that moved bytes are exact.

use crate::units::{ceil_ps, float};

/// Index of a channel.
pub(crate) type Channel = u16;

/// The channels a transfer passes; at most four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    channels: [Channel; 4],
    length: u8,
}

impl Path {
    pub(crate) fn new(channels: &[Channel]) -> Self {
        let mut path = Self::default();
        for &channel in channels {
            path.channels[usize::from(path.length)] = channel;
            path.length += 1;
        }
        path
    }

    pub(crate) fn channels(&self) -> &[Channel] {
        &self.channels[..usize::from(self.length)]
    }
}

#[derive(Clone, Debug)]
struct Flow {
    tag: u32,
    path: Path,
    /// Most that its engine moves, in bytes per picosecond.
    limit: f64,
    remaining: f64,
    rate: f64,
    ends_ps: u64,
}

/// All transfers under way.
#[derive(Debug)]
pub(crate) struct Fluid {
    /// Bytes per picosecond.
    capacity: Vec<f64>,
    flows: Vec<Flow>,
    now_ps: u64,
    stale: bool,
    next_ps: Option<u64>,
    /// Scratch for `share`.
    left: Vec<f64>,
    users: Vec<u32>,
}

impl Fluid {
    /// Channels with these capacities in bytes per picosecond.
    pub(crate) fn new(capacity: Vec<f64>) -> Self {
        Self {
            left: capacity.clone(),
            users: vec![0; capacity.len()],
            capacity,
            flows: Vec::new(),
            now_ps: 0,
            stale: false,
            next_ps: None,
        }
    }

    /// Starts a transfer now. `tag` is given back when it ends.
    pub(crate) fn start(&mut self, tag: u32, path: Path, bytes: u64, limit: f64) {
        self.flows.push(Flow {
            tag,
            path,
            limit,
            remaining: float(bytes),
            rate: 0.0,
            ends_ps: u64::MAX,
        });
        self.stale = true;
    }

    /// When the next transfer ends, unless another starts before.
    pub(crate) fn next_ps(&mut self) -> Option<u64> {
        if self.stale {
            self.share();
            self.stale = false;
            for flow in &mut self.flows {
                flow.ends_ps = self.now_ps + ceil_ps(flow.remaining / flow.rate);
            }
            self.next_ps = self.flows.iter().map(|flow| flow.ends_ps).min();
        }
        self.next_ps
    }

    /// Moves bytes until a time no later than [`Fluid::next_ps`], telling `moved` how many passed
    /// each channel, and puts the tags of transfers that ended in `ended`.
    pub(crate) fn advance(
        &mut self,
        to_ps: u64,
        mut moved: impl FnMut(Channel, u64, u64, f64),
        ended: &mut Vec<u32>,
    ) {
        let (from_ps, elapsed) = (self.now_ps, float(to_ps - self.now_ps));
        self.now_ps = to_ps;
        if to_ps == from_ps || self.flows.is_empty() {
            return;
        }
        let before = self.flows.len();
        self.flows.retain_mut(|flow| {
            let done = flow.ends_ps <= to_ps;
            // What rounding the end up left over moves in the last moment, or is not there.
            let bytes =
                if done { flow.remaining } else { (flow.rate * elapsed).min(flow.remaining) };
            flow.remaining -= bytes;
            for &channel in flow.path.channels() {
                moved(channel, from_ps, to_ps, bytes);
            }
            if done {
                ended.push(flow.tag);
            }
            !done
        });
        self.stale |= self.flows.len() != before;
    }

    /// Max-min fair rates by progressive filling.
    fn share(&mut self) {
        self.left.copy_from_slice(&self.capacity);
        self.users.fill(0);
        for flow in &mut self.flows {
            flow.rate = 0.0;
            for &channel in flow.path.channels() {
                self.users[usize::from(channel)] += 1;
            }
        }
        let mut rising = self.flows.len();
        while rising > 0 {
            // The level at which the next channel is full or the next engine at its limit.
            let full = self
                .left
                .iter()
                .zip(&self.users)
                .filter(|(_, users)| **users > 0)
                .map(|(left, users)| left / f64::from(*users))
                .fold(f64::INFINITY, f64::min);
            let level = self
                .flows
                .iter()
                .filter(|flow| flow.rate == 0.0)
                .map(|flow| flow.limit)
                .fold(full, f64::min);
            let mut settled = 0;
            for index in 0..self.flows.len() {
                let flow = &self.flows[index];
                let stops = flow.rate == 0.0
                    && (flow.limit <= level
                        || flow.path.channels().iter().any(|&channel| {
                            let channel = usize::from(channel);
                            self.left[channel] / f64::from(self.users[channel])
                                <= level * (1.0 + 1e-12)
                        }));
                if stops {
                    let path = flow.path;
                    self.flows[index].rate = level;
                    settled += 1;
                    for &channel in path.channels() {
                        let channel = usize::from(channel);
                        self.left[channel] = (self.left[channel] - level).max(0.0);
                        self.users[channel] -= 1;
                    }
                }
            }
            debug_assert!(settled > 0, "each round fills a channel or reaches a limit");
            rising -= settled;
        }
    }

    /// Rates now, for tests: tag and bytes per picosecond.
    #[cfg(test)]
    fn rates(&mut self) -> Vec<(u32, f64)> {
        self.next_ps();
        self.flows.iter().map(|flow| (flow.tag, flow.rate)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_share_a_channel_equally() {
        let mut fluid = Fluid::new(vec![1.0]);
        for tag in 0..4 {
            fluid.start(tag, Path::new(&[0]), 100, f64::INFINITY);
        }
        assert!(fluid.rates().iter().all(|(_, rate)| (rate - 0.25).abs() < 1e-12));
        assert_eq!(fluid.next_ps(), Some(400));
    }

    #[test]
    fn what_one_cannot_use_the_others_get() {
        let mut fluid = Fluid::new(vec![1.0, 0.1]);
        fluid.start(0, Path::new(&[0]), 100, 0.3);
        fluid.start(1, Path::new(&[0, 1]), 100, f64::INFINITY);
        fluid.start(2, Path::new(&[0]), 100, f64::INFINITY);
        let rates = fluid.rates();
        for ((_, rate), expected) in rates.iter().zip([0.3, 0.1, 0.6]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn a_late_comer_slows_the_first_and_all_bytes_arrive() {
        let mut fluid = Fluid::new(vec![1.0]);
        let (mut total, mut ended) = (0.0, Vec::new());
        fluid.start(7, Path::new(&[0]), 100, f64::INFINITY);
        assert_eq!(fluid.next_ps(), Some(100));
        fluid.advance(50, |_, _, _, bytes| total += bytes, &mut ended);
        fluid.start(8, Path::new(&[0]), 25, f64::INFINITY);
        assert_eq!(fluid.next_ps(), Some(100), "25 bytes at half the rate");
        fluid.advance(100, |_, _, _, bytes| total += bytes, &mut ended);
        assert_eq!(ended, [8]);
        assert_eq!(fluid.next_ps(), Some(125));
        fluid.advance(125, |_, _, _, bytes| total += bytes, &mut ended);
        assert_eq!((ended, total), (vec![8, 7], 125.0));
        assert_eq!(fluid.next_ps(), None);
    }

    #[test]
    fn no_channel_is_ever_over_full() {
        // Many transfers over random-looking paths: the sum of rates stays below each capacity,
        // and each transfer is held back by its limit or by a full channel.
        let capacity = vec![0.5, 1.6, 0.128, 2.0, 2.0];
        let mut fluid = Fluid::new(capacity.clone());
        for tag in 0..40_u32 {
            let channels = [(tag % 5) as u16, ((tag / 5 + tag + 1) % 5) as u16];
            let path = if channels[0] == channels[1] { &channels[..1] } else { &channels[..] };
            fluid.start(tag, Path::new(path), 1_000, 0.04);
        }
        let rates = fluid.rates();
        let mut sums = vec![0.0; capacity.len()];
        for (flow, (_, rate)) in fluid.flows.iter().zip(&rates) {
            for &channel in flow.path.channels() {
                sums[usize::from(channel)] += rate;
            }
        }
        for (sum, capacity) in sums.iter().zip(&capacity) {
            assert!(*sum <= capacity * (1.0 + 1e-9), "{sums:?}");
        }
        for (flow, (_, rate)) in fluid.flows.iter().zip(&rates) {
            let full = flow.path.channels().iter().any(|&channel| {
                let channel = usize::from(channel);
                sums[channel] >= capacity[channel] * (1.0 - 1e-9)
            });
            assert!(full || *rate >= 0.04 - 1e-12);
        }
    }
}
