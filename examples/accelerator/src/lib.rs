//! A small accelerator simulator that runs a language model and traces it: the demo of novatrace
//! and its real workload.
//!
//! A [`Model`] (the `config.json` of a model hub) is spread over a [`Hardware`] (dies, clusters,
//! engines, memories from a TOML file) as a graph of actions: matrix tiles, vector work, DMA
//! transfers, all-reduce steps, barriers. [`simulate`] finds when each runs and tells an
//! [`Observer`], which may be a [`Tracer`] or [`Untraced`]; [`trace()`] does it with a trace.
//!
//! ```
//! use accelerator::{Hardware, Model, Plan, Untraced, Workload, simulate};
//!
//! let workload = Workload { prompt_tokens: 64, decode_steps: 1 };
//! let plan = Plan::new(Model::open("gpt2")?, Hardware::open("edge-1x2")?, workload)?;
//! let Ok(summary) = simulate(&plan, &mut Untraced, |_| ());
//! assert_eq!(summary.prefill_tokens, 64);
//! assert!(summary.matrix_busy < 1.0 && summary.energy_j > 0.0);
//! # Ok::<(), accelerator::Error>(())
//! ```
//!
//! # What is honest about it, and what is not
//!
//! Engines are exclusive, dependencies hold, no memory level moves more than its bandwidth, tiles
//! cover their matrices, and energy is the integral of power: tests check each. Numbers are of the
//! right order, not of any real part. Left out: instruction issue, bank conflicts, refresh,
//! routing within a die, clock scaling, and skipping of masked scores.

mod cache;
mod cost;
mod document;
mod error;
mod fluid;
mod graph;
mod hardware;
mod lower;
mod meter;
mod model;
mod observe;
mod plan;
#[cfg(test)]
mod run_tests;
mod simulate;
mod tiling;
mod trace;
mod units;
mod workload;

pub use cost::Cost;
pub use error::Error;
pub use graph::{Action, Graph, Operation, Pass, Phase, Stage, Transfer, VectorWork, Work};
pub use hardware::{Dma, Hardware, Matrix, Memory, Vector};
pub use meter::{ClusterSample, DieSample, Sample};
pub use model::{Architecture, Model};
pub use observe::{Finished, Level, Observer, Span, Untraced};
pub use plan::Plan;
pub use simulate::{Summary, simulate};
pub use trace::{Recorded, Tracer, trace};
pub use workload::{Workload, matrix_flops};
