//! A model, a machine and a workload, checked against each other and lowered. NOT: running it.

use crate::error::Error;
use crate::graph::Graph;
use crate::hardware::Hardware;
use crate::lower::{Workload, lower};
use crate::model::Model;

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
    /// [`Error::BadWorkload`], [`Error::ScratchpadTooSmall`], [`Error::OutOfMemory`] or
    /// [`Error::TooManyActions`].
    pub fn new(model: Model, hardware: Hardware, workload: Workload) -> Result<Self, Error> {
        let (graph, tiling) = lower(&model, &hardware, &workload)?;
        Ok(Self {
            model,
            hardware,
            workload,
            graph,
            chunk_tokens: tiling.tokens,
            counter_interval_ps: 10_000_000,
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

    /// Length of a window of the counters; ten microseconds.
    #[must_use]
    pub fn counter_interval_ps(&self) -> u64 {
        self.counter_interval_ps
    }
}
