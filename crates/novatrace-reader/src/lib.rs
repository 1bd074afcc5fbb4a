//! Reads Perfetto traces, whichever tool wrote them.
//!
//! | for | there is | in memory |
//! |---|---|---|
//! | tests and tools: all rows, as the trace processor has them | [`Trace::read`] | everything |
//! | what is wrong with a trace, and what the viewer makes of it | [`Check`] | what grows with tracks and names only |
//! | what a trace is: tracks, sums by name, bytes by kind | [`Info::of`] | the same |
//! | packets as text | [`Dump`] | the same |
//! | a readable copy of a damaged trace | [`recover`] | the same |
//!
//! ```
//! use novatrace_reader::{Check, Source, Trace};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("a.pftrace");
//! # std::fs::write(&path, [0x0A, 6, 0x50, 1, 0x68, 1, 0x40, 0])?;
//! let source = Source::open(&path)?;
//! let report = Check::new().run(&source, |_| {})?;
//! assert!(report.is_clean());
//! let trace = Trace::read(&source)?;
//! assert_eq!(trace.slices.len(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Files are plain, or gzip or zstd as a whole; packets may be in zlib, gzip or zstd bundles. Any bytes get an answer:
//! a damaged trace is read as far as it goes.
//!
//! # What is not read
//!
//! Only track events, descriptors, clocks and the trace's attributes are understood. Packets of other data sources (ftrace,
//! heap profiles, ...) are walked and counted. Of legacy events, all phases are read that make slices, instants or arrows, but not their
//! times in microseconds (`timestamp_delta_us`), which come before timestamps of packets. Of annotations, all types but messages of
//! other schemas (`proto_value`).
//!
//! Callstacks of events are read as trace processors since v53 read them; the one that the tests run, v52, knows none. An event that
//! names no track is on the thread that its sequence has described last, so far; the trace processor takes the last one of the
//! whole file. Numbers of texts other than names have to be defined before they are used, as they are by all writers that we know.
//! Where slices overlap on tracks that the viewer merges by name, it chooses lanes; here each track has its own.
#![expect(
    clippy::cast_possible_truncation,
    reason = "places are below 4 GiB, as packets are bounded; numbers of fields are cut as protobuf says"
)]
#![expect(clippy::cast_precision_loss, reason = "counters are doubles in the trace processor, too")]

mod args;
mod both_ends;
mod bundle;
mod callstack;
mod check;
mod clock;
mod dump;
mod error;
mod event;
mod frame;
mod info;
mod input;
mod json;
mod legacy;
mod model;
mod names;
mod nesting;
mod packet;
mod pipeline;
mod recover;
mod rules;
mod sequence;
mod shares;
mod text;
mod timeline;
mod times;
mod track;
mod tracks_in_order;
mod walk;
mod window;
mod wire;

pub use args::Value;
pub use callstack::Frame;
pub use check::{Check, Finding, Report, RuleFindings};
pub use dump::{Dump, DumpKind};
pub use error::Error;
pub use info::{Bundles, CounterFacts, Info, KindFacts, NameFacts, TrackFacts};
pub use input::{Packing, Source};
pub use model::{Args, Counter, Flow, Process, Slice, Spell, Trace, TrackInfo};
pub use recover::{Recovered, recover};
pub use rules::{Rule, Severity};
pub use text::one_line;
pub use track::TrackKind;
