//! A [`tracing-subscriber`](tracing_subscriber) layer over novatrace's live recording: spans of the
//! `tracing` crate become slices of a Perfetto trace.
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! # let folder = tempfile::tempdir()?;
//! let session = novatrace::open(folder.path().join("app.pftrace"))?;
//! let subscriber = tracing_subscriber::registry().with(novatrace_tracing::layer());
//! tracing::subscriber::with_default(subscriber, || {
//!     let span = tracing::info_span!("load", rows = 64, format = "csv").entered();
//!     tracing::warn!(line = 7, "cut off");
//!     tracing::debug!(counter.queue = 12);
//!     drop(span);
//! });
//! let report = session.close()?;
//! assert_eq!((report.events, report.lost), (3, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The layer records into whichever session is open, and nothing while none is. It composes with others,
//! such as `fmt`, and with filters.
//!
//! # What becomes of what
//!
//! | in `tracing` | in the trace |
//! |---|---|
//! | a span, each time it is entered | a slice on the thread's track, from enter to exit |
//! | its fields | arguments; numbers and booleans keep their types |
//! | fields recorded later | an instant of the span's name that has them; those recorded last are arguments from the next enter on |
//! | dots in names of fields | underscores, by the viewer |
//! | target | category: chosen as for `trace!`, by `SessionBuilder::categories` and `NOVATRACE_CATEGORIES` |
//! | level | another category: "INFO" |
//! | an event | an instant; its message is the name, the other fields are arguments |
//! | a numeric field `counter.NAME` | a sample of the counter NAME, in the place of an argument: when the event happens, or the span is made, or the field is recorded later |
//! | an event, or a later record, of nothing but counters | no instant |
//! | `follows_from` | an arrow from where it was said to the span's next slice |
//!
//! A future in a span is polled on any thread, and each poll is a slice there. With
//! [`with_poll_flows`](NovatraceLayer::with_poll_flows) an arrow leads from poll to poll. With
//! [`with_task_tracks`](NovatraceLayer::with_task_tracks) each span is also one slice on a row of its
//! task's, whichever threads poll it.
//!
//! # What it does not do
//!
//! Show parents that were named (`parent: &span`) on the threads' tracks, where slices nest as they are
//! entered: the tasks' rows show them. Draw a span inside one of `in_span` or `#[trace_func]` on that
//! one's row, or the other way round: they take rows from one pool, but parents are those of their kind.
#![forbid(unsafe_code)]

mod layer;
mod sites;
mod visit;

pub use layer::{NovatraceLayer, layer};
