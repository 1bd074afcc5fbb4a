//! A model, a machine and a workload, checked against each other and lowered. NOT: running it.

use crate::cost::CostModel;
use crate::error::Error;
use crate::graph::{Graph, Work};
use crate::hardware::Hardware;
use crate::lower::lower;
use crate::model::Model;
use crate::units::{bytes_per_ps, float};
use crate::workload::Workload;

/// Everything a run needs. Running it does not change it, so it can be run again.
#[derive(Debug)]
pub struct Plan {
    model: Model,
    hardware: Hardware,
    workload: Workload,
    graph: Graph,
    chunk_tokens: u64,
    counter_interval_ps: u64,
}

impl Plan {
    /// Spreads the model over the machine.
    ///
    /// # Errors
    ///
    /// [`Error::BadWorkload`], [`Error::ScratchpadTooSmall`], [`Error::OutOfMemory`],
    /// [`Error::TooManyActions`] or [`Error::TooSlow`].
    pub fn new(model: Model, hardware: Hardware, workload: Workload) -> Result<Self, Error> {
        const LONGEST_S: u32 = 3600;
        let (graph, tiling) = lower(&model, &hardware, &workload)?;
        let estimate_ps = estimate_ps(&graph, &model, &hardware);
        if estimate_ps > f64::from(LONGEST_S) * 1e12 {
            return Err(Error::TooSlow {
                hardware: hardware.name,
                estimate_s: estimate_ps * 1e-12,
                limit_s: LONGEST_S,
            });
        }
        Ok(Self {
            model,
            hardware,
            workload,
            graph,
            chunk_tokens: tiling.tokens,
            counter_interval_ps: counter_interval_ps(estimate_ps),
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The machine.
    #[must_use]
    pub fn hardware(&self) -> &Hardware {
        &self.hardware
    }

    /// What the model is asked to do.
    #[must_use]
    pub fn workload(&self) -> Workload {
        self.workload
    }

    /// The actions of the run.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Most tokens of the prompt that go through a layer together.
    #[must_use]
    pub fn chunk_tokens(&self) -> u64 {
        self.chunk_tokens
    }

    /// Length of a window of the counters: ten microseconds, or tens or hundreds of that for a run
    /// so long that there would be too many windows.
    #[must_use]
    pub fn counter_interval_ps(&self) -> u64 {
        self.counter_interval_ps
    }
}

/// About how long a run is: the time of all actions one after the other, over the clusters.
fn estimate_ps(graph: &Graph, model: &Model, hardware: &Hardware) -> f64 {
    let costs = CostModel::new(hardware, model.element_bytes);
    let memory = bytes_per_ps(hardware.dma.bandwidth_gb_s.min(hardware.l3.bandwidth_gb_s));
    let memory = memory.min(bytes_per_ps(hardware.l2.bandwidth_gb_s));
    let latency = hardware.dma.startup_ns + hardware.l2.latency_ns + hardware.l3.latency_ns;
    let (link, link_latency) = hardware
        .link
        .as_ref()
        .map_or((1.0, 0.0), |link| (bytes_per_ps(link.bandwidth_gb_s), link.latency_ns));
    let serial: f64 = graph
        .actions
        .iter()
        .map(|action| match action.work {
            Work::Gemm { .. } | Work::Vector { .. } => float(costs.of(&action.work).duration_ps),
            Work::Load(move_) | Work::Store(move_) => latency * 1e3 + float(move_.bytes) / memory,
            Work::Ring { bytes } => link_latency * 1e3 + float(bytes) / link,
            Work::Barrier | Work::Join => 0.0,
        })
        .sum();
    serial / float(hardware.clusters() as u64)
}

/// Ten microseconds, tenfold until a run has at most a hundred thousand windows.
fn counter_interval_ps(run_ps: f64) -> u64 {
    let mut interval = 10_000_000;
    while run_ps > float(interval) * 1e5 {
        interval *= 10;
    }
    interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_have_longer_windows() {
        assert_eq!(counter_interval_ps(1e10), 10_000_000);
        assert_eq!(counter_interval_ps(1e12), 10_000_000);
        assert_eq!(counter_interval_ps(1.1e12), 100_000_000);
        assert_eq!(counter_interval_ps(3.6e15), 100_000_000_000);
    }

    #[test]
    fn a_machine_out_of_all_proportion_is_refused() {
        let refuse = |change: fn(&mut Hardware)| {
            let mut hardware = Hardware::open("server-2x4").unwrap();
            change(&mut hardware);
            let plan = Plan::new(Model::open("gpt2").unwrap(), hardware, Workload::default());
            let message = plan.unwrap_err().to_string();
            assert!(message.contains("`server 2x4` has a bandwidth"), "{message}");
        };
        refuse(|hardware| hardware.l3.bandwidth_gb_s = 1e-300);
        refuse(|hardware| hardware.l1.bandwidth_gb_s = 1e-9);
        refuse(|hardware| hardware.link.as_mut().unwrap().bandwidth_gb_s = 1e-12);
    }
}
