//! Reads Perfetto traces.

mod args;
mod bundle;
mod check;
mod clock;
mod dump;
mod error;
mod frame;
mod info;
mod input;
mod model;
mod names;
mod packet;
mod pipeline;
mod recover;
mod rules;
mod sequence;
mod text;
mod timeline;
mod track;
mod tracks_in_order;
mod walk;
mod wire;

pub use args::Value;
pub use check::{Check, Finding, Report, RuleFindings};
pub use dump::{Dump, DumpKind};
pub use error::Error;
pub use info::{Bundles, CounterFacts, Info, KindFacts, NameFacts, TrackFacts};
pub use input::{Packing, Source};
pub use model::{Args, Counter, Flow, Process, Slice, Trace, TrackInfo};
pub use recover::{Recovered, recover};
pub use rules::{Rule, Severity};
pub use track::TrackKind;
