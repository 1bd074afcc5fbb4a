//! Writes [Perfetto](https://perfetto.dev) traces: faithful, small, and nearly free to the caller.
//!
//! ```
//! use novatrace::TraceGenerator;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("sim.pftrace");
//! let trace = TraceGenerator::create(&path)?;
//! let cluster = trace.group("Die:0, Cluster:1");
//! let xpu = cluster.track("XPU:3");
//! let bandwidth = cluster.counter("L3 bandwidth").unit("GB/s");
//!
//! let dependency = trace.flow();
//! xpu.duration(1_000, 500, "gemm").category("compute").arg("m", 1024).flow(dependency).emit()?;
//! xpu.duration(2_000, 100, "softmax").flow(dependency).emit()?;
//! bandwidth.count(1_000, 812.5)?;
//!
//! let stats = trace.finish()?;
//! assert_eq!((stats.events, stats.lanes, stats.dropped), (3, 0, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Open the file at <https://ui.perfetto.dev>; it is not uploaded anywhere.
//!
//! # A live program
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! let session = novatrace::open(folder.path().join("app.pftrace"))?;
//! {
//!     let _span = novatrace::trace!("matmul", m = 64, dtype = "fp16"); // ends with the scope
//!     novatrace::instant!("checkpoint");
//! }
//! let report = session.close()?;
//! assert_eq!((report.events, report.lost), (2, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - A [`Session`] is one recording of the process; [`open`] starts it, and there is one at a time.
//! - [`trace!`] and [`instant!`] record on the thread's own track, [`track`] makes others, and a
//!   [`Counter`] is a static. [`flow()`] ties events together with arrows.
//! - [`trace_func`] and [`trace_func_args`] make spans of calls; [`InSpanExt`] and [`in_span!`] put
//!   futures on rows of their own.
//! - Categories are switched by glob: [`SessionBuilder::categories`].
//!
//! While no session is open, each of these costs a load and a branch, and its arguments are not evaluated;
//! with the feature `disabled`, nothing at all.
//!
//! # Concepts
//!
//! - A [`TraceGenerator`] is one trace. Its calls may come from any thread, with times in any order.
//! - A [`Group`] looks like a process and holds tracks and [`GroupTrack`]s, which nest.
//! - A [`NormalTrack`] has slices and instants, a [`CounterTrack`] values over time.
//! - An [`Event`] says what happened: a name, categories, arguments (anything that is
//!   `serde::Serialize`), flows; it is recorded by [`emit`](Event::emit).
//! - A [`Name`] is a text registered beforehand: the cheapest name, category or key.
//!
//! # How an event gets to the file
//!
//! The caller writes a few words into a ring of its thread's own; nothing on that way locks,
//! allocates or makes a system call once warm, unless the ring is full: then the caller waits, since
//! a simulation must not lose events. A worker thread puts each track's events into order within a
//! window, keeps slices that overlap apart on lanes, encodes, and hands whole batches to a
//! [`Sink`].
//!
//! # Where a trace goes
//!
//! - Into a file; [`SessionBuilder::compression`] and [`TraceBuilder::compression`] make it small, and so does the
//!   environment variable `NOVATRACE_COMPRESSION`.
//! - To another machine or process, if the path is an address such as `tcp://localhost:9011`: `novatrace receive`, or a
//!   [`Receiver`], has it in a file there, whatever becomes of the connection. See [`StreamSink`].
//! - Into a pipe or whatever else can be written to: [`WriteSink`].
//! - Into an object store, if the path is a URL such as `s3://bucket/run.pftrace`, with the feature `object-store`.
//!
//! Processes that the program starts can be in it, or each in a file beside it: see [`Children`].
//!
//! # Features
//!
//! - `zstd`, on: `Compression::Zstd`, by the library in C.
//! - `object-store`, off: uploads to S3, Google Cloud Storage, Azure; some hundred crates.
//! - `disabled`, off: live recording expands to nothing.
//!
//! # What it does not do
//!
//! Read traces, or write the legacy JSON format.

#![cfg_attr(
    not(all(target_os = "linux", not(loom))),
    allow(dead_code, unused_imports, reason = "there is no worker in another process")
)]

mod error;
mod flight;
mod generator;
mod name;
#[cfg(all(target_os = "linux", not(loom)))]
mod process;
#[cfg(not(all(target_os = "linux", not(loom))))]
#[path = "process/none.rs"]
mod process;
mod profile;
mod record;
mod rotate;
mod sink;
mod sync;
mod time;
mod value;
mod worker;

pub use error::{Error, ErrorKind};
pub use flight::{Dump, FlightRecorder};
/// A span for each call of a function: see [`novatrace_macros::trace_func`].
pub use novatrace_macros::{trace_func, trace_func_args};

pub use generator::{
    Attribute, Complete, CounterTrack, CounterValue, Event, FlowId, Group, GroupTrack, NormalTrack,
    Open, OpenSlice, OpenSlices, Overlap, TraceBuilder, TraceGenerator, Unit,
};
pub use name::{Label, Name};
pub use novatrace_core::Limits;
#[cfg(feature = "object-store")]
pub use novatrace_sink::ObjectSink;
pub use novatrace_sink::{
    Address, AddressError, Compressed, Compression, CompressionError, CreateError, FileSink,
    Received, Receiver, Sink, StreamSink, WriteSink,
};
pub use profile::{
    Children, ClockSource, Counter, InSpan, InSpanExt, LiveTrack, Overflow, Report, Session,
    SessionBuilder, SpanGuard, TrackSpan, flow, join, name_thread, open, track,
};
pub use rotate::Rotate;
pub use time::{Cycles, Frequency, Number, Seconds, Time, TimeFault};
pub use value::Pointer;
pub use worker::{Loss, Stats, Worker};

/// Lets this program be the worker of its own traces: to be called first of all in `main`, which is to end
/// with what this returns, if that is not `None`.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if let Some(code) = novatrace::serve_worker() {
///         return code;
///     }
///     // … with `Session::builder().worker(novatrace::Worker::Process)`
///     ExitCode::SUCCESS
/// }
/// ```
///
/// Without it, [`Worker::Process`] needs the binary `novatrace`.
#[must_use]
pub fn serve_worker() -> Option<std::process::ExitCode> {
    process::can_serve();
    process::serve(std::env::args_os())
}

#[doc(hidden)]
pub use record::{And, Items};

/// The README's programs are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// What the macros expand to. Not API: it may change with any release.
#[doc(hidden)]
pub mod __macro_support {
    pub use crate::process::{serve, set_command};
    pub use crate::profile::{
        AddDebug, AddPlain, AddSerialized, CHILD_VARIABLE, CallSite, Fields, InSpan, LazyName,
        LooseSpan, Place, Running, Said, SiteOn, Task, TaskRow, Value, child_env_of, child_started,
        end_those_said, flow_of, is_fork, make_ready, matches, never, ticks, ticks_in,
    };
    pub use crate::sync::wait_by;
}
