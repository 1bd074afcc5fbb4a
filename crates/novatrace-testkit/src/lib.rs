//! Perfetto's own trace processor as the judge of what novatrace writes, for tests.
//!
//! ```
//! # fn a_test() {
//! let oracle = novatrace_testkit::oracle_or_skip!();
//! let loaded = oracle.load_bytes(b"\x0a\x00").expect("an empty packet is a trace");
//! loaded.assert_healthy();
//! assert_eq!(loaded.query("select count(*) as n from slice")[0].i64("n"), 0);
//! assert_eq!(loaded.slices(), []);
//! assert_eq!(loaded.tree(), "");
//! # }
//! # a_test();
//! ```
//!
//! 1. [`oracle_or_skip!`] finds the trace processor, or reports the test as skipped, by name.
//! 2. [`Oracle::load_bytes`] and [`Oracle::load`] have it read a trace; a rejected one is an [`Error`].
//! 3. [`Loaded::assert_healthy`] fails on any sign of loss, also those the Perfetto UI does not show.
//! 4. [`Loaded::query`] runs SQL; [`Loaded::slices`], [`Loaded::counters`], [`Loaded::flows`],
//!    [`Loaded::tracks`] and [`Loaded::processes`] give the common facts as plain data.
//! 5. [`Loaded::tree`] is the whole trace as text, for snapshots; [`assert_tree!`] compares it.
//! 6. [`Loaded::assert_read_alike`], which `assert_healthy` calls too, holds `novatrace-reader` to the same rows.
//! 7. [`Oracle::decode_text`] is a second opinion on the bytes, which finds what the trace processor passes over in silence.
//!
//! The trace processor is set up by `cargo xtask test`. It runs as a server in a Node process: about 0.3 s
//! to start, 0.2 s for the first trace and 0.06 s for each one after it. Servers are kept and used
//! again by later tests of the same binary.
//!
//! # What it does not do
//!
//! It writes no traces and decodes no packets: what it says is what SQL says. Text comes out as
//! UTF-8 with U+FFFD for what is not, since SQL strings have no other form; text after a NUL is lost.

mod alike;
mod error;
mod health;
mod loaded;
mod model;
mod oracle;
mod server;
mod skip;
mod tree;
mod value;

pub use error::Error;
pub use health::Stat;
pub use loaded::{Loaded, Row};
pub use model::{Args, Counter, Flow, Process, Slice, Track};
pub use oracle::Oracle;
pub use skip::Skip;
pub use tree::compare_trees;
pub use value::Value;

/// What the macros need. Not API.
#[doc(hidden)]
pub mod __macro_support {
    pub use crate::skip::{function_name, report_skip};
}
