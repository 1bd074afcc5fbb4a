//! What a run tells whoever watches it. NOT: what is done with it (a trace is one
//! use).

use crate::cost::Cost;
use crate::graph::Graph;
use crate::meter::Sample;

/// A level of the memory hierarchy that data came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// The cache of the die.
    L2,
    /// The memory of the die, through the cache.
    L3,
    /// The other die's cache, over the link.
    Link,
}

/// An action that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// Index in [`Graph::actions`].
    pub action: u32,
    /// Which of the engines of its kind in its cluster; zero for barriers and ring steps.
    pub engine: u32,
    /// When its engine took it.
    pub start_ps: u64,
    /// For transfers, when the first byte arrived; else the same as `start_ps`.
    pub stream_ps: u64,
    /// When it ended.
    pub end_ps: u64,
    /// For transfers, the far end.
    pub level: Option<Level>,
    /// For compute actions, what they cost.
    pub cost: Cost,
}

/// A stretch of time that an operation, layer or pass took.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Span {
    /// Index in the graph's list of operations, stages or passes.
    pub index: u32,
    /// Start.
    pub start_ps: u64,
    /// End.
    pub end_ps: u64,
}

/// Watches a run. Calls come in the order in which things end.
pub trait Observer {
    /// What a call can fail with; a failure ends the run.
    type Error;

    /// An action ended. Joins are not reported.
    ///
    /// # Errors
    ///
    /// Whatever ends the run.
    fn finished(&mut self, graph: &Graph, finished: &Finished) -> Result<(), Self::Error>;

    /// A window of the counters ended.
    ///
    /// # Errors
    ///
    /// Whatever ends the run.
    fn sample(&mut self, sample: &Sample) -> Result<(), Self::Error>;

    /// The last of an operation's actions ended. The span starts when the operations that ended
    /// before it had ended, so that the spans of a run follow one another and add up to it.
    ///
    /// # Errors
    ///
    /// Whatever ends the run.
    fn operation(&mut self, graph: &Graph, span: &Span) -> Result<(), Self::Error>;

    /// A stage ended with its barrier. It starts with the barrier before it.
    ///
    /// # Errors
    ///
    /// Whatever ends the run.
    fn stage(&mut self, graph: &Graph, span: &Span) -> Result<(), Self::Error>;

    /// A pass ended with the barrier of its last stage.
    ///
    /// # Errors
    ///
    /// Whatever ends the run.
    fn pass(&mut self, graph: &Graph, span: &Span) -> Result<(), Self::Error>;
}

/// Watches nothing: the run as it would be without a trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untraced;

impl Observer for Untraced {
    type Error = std::convert::Infallible;

    fn finished(&mut self, _: &Graph, _: &Finished) -> Result<(), Self::Error> {
        Ok(())
    }

    fn sample(&mut self, _: &Sample) -> Result<(), Self::Error> {
        Ok(())
    }

    fn operation(&mut self, _: &Graph, _: &Span) -> Result<(), Self::Error> {
        Ok(())
    }

    fn stage(&mut self, _: &Graph, _: &Span) -> Result<(), Self::Error> {
        Ok(())
    }

    fn pass(&mut self, _: &Graph, _: &Span) -> Result<(), Self::Error> {
        Ok(())
    }
}
