//! The choices a trace was made with.

use std::path::PathBuf;
use std::sync::Arc;

use novatrace_core::Limits;
use novatrace_sink::Compression;

use super::sizing::Bounds;
use crate::flight::Flight;
use crate::generator::{Attribute, OpenSlices, Overlap};
use crate::name::Name;
use crate::rotate::Rotate;

/// The choices a trace was made with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) attributes: Vec<(String, Attribute)>,
    pub(crate) limits: Limits,
    pub(crate) window: usize,
    pub(crate) overlap: Overlap,
    pub(crate) open_slices: OpenSlices,
    pub(crate) default_category: Option<Name>,
    pub(crate) ring_bytes: usize,
    /// At the start; see [`Tuning`](super::link::Tuning).
    pub(crate) batch: Bounds,
    /// Whether it is a live session's: then there is a clock, and threads have tracks.
    pub(crate) is_live: bool,
    /// What a live session's process is called; its program's file name if `None`.
    pub(crate) process_name: Option<Box<str>>,
    /// The process whose trace it is.
    pub(crate) process: u32,
    pub(crate) worker: Worker,
    /// At the start, as above.
    pub(crate) compression: Compression,
    pub(crate) rotate: Option<Rotate>,
    /// Of a trace in parts that are files, what those are called after.
    pub(crate) rotate_path: Option<PathBuf>,
    /// Where the parts go, if not to files.
    pub(crate) flight: Option<Arc<Flight>>,
}

impl Config {
    /// What the process is called.
    pub(crate) fn process_name(&self) -> String {
        if let Some(name) = &self.process_name {
            return name.to_string();
        }
        let path = std::env::current_exe().unwrap_or_default();
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Where a trace's worker is, which puts events in order, encodes and writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Worker {
    /// A thread of the program. If the program is killed, what was recorded since the last batch (100 ms) is
    /// lost; the file opens all the same.
    #[default]
    Thread,
    /// A process of its own, which outlives the program: whatever way it ends, all that was recorded before is
    /// in the file, and what it was doing is shown as not ended. It is the binary `novatrace`, found beside the program or on the path, or named by the
    /// environment variable `NOVATRACE_WORKER`; or the program itself, if it calls
    /// [`serve_worker`](crate::serve_worker) first of all. Linux only, and for traces in files. Where it
    /// cannot be had the worker is a thread, which is logged.
    ///
    /// `NOVATRACE_WORKER=process` asks for it whatever the program says, and `thread` for the other.
    Process,
}
