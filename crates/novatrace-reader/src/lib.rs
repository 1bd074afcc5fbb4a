//! Reads Perfetto traces.

mod args;
mod bundle;
mod clock;
mod error;
mod frame;
mod input;
mod model;
mod names;
mod packet;
mod pipeline;
mod rules;
mod sequence;
mod text;
mod timeline;
mod track;
mod walk;
mod wire;

pub use args::Value;
pub use error::Error;
pub use input::{Packing, Source};
pub use model::{Args, Counter, Flow, Process, Slice, Trace, TrackInfo};
pub use rules::{Rule, Severity};
pub use track::TrackKind;
