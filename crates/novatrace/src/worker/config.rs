//! The choices a trace was made with.

use std::path::PathBuf;
use std::sync::Arc;

use novatrace_core::{Limits, SequenceId};
use novatrace_sink::Compression;
#[cfg(unix)]
use novatrace_sink::Turns;
use serde::{Deserialize, Serialize};

use super::sizing::Bounds;
use crate::flight::Flight;
use crate::generator::{Attribute, OpenSlices, Overlap};
use crate::name::Name;
use crate::process;
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
    /// Of a trace that several processes record into.
    pub(crate) shared: Option<Shared>,
}

/// What processes that record into one trace have in common, and what they have not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shared {
    /// 0 of the process that created the trace; no other has this one's.
    pub(crate) number: u32,
    /// What the clocks showed as the trace began, in nanoseconds: `BOOTTIME`, `MONOTONIC`, `REALTIME`. All sequences
    /// start then, and no clock is read again, since batches of several processes are not in the order of their
    /// times, and a clock that steps back is refused.
    pub(crate) start: [u64; 3],
    /// The file by which they take turns.
    pub(crate) turns: PathBuf,
}

#[cfg(unix)]
impl Shared {
    pub(crate) fn new(number: u32, turns: Turns) -> Self {
        let Turns { path, start } = turns;
        Self { number, start, turns: path }
    }

    pub(crate) fn turns(&self) -> Turns {
        Turns { path: self.turns.clone(), start: self.start }
    }
}

/// The sequences that a process of several has with short ids.
const SHORT_IDS: u32 = 1 << 8;
/// Where the ids of the others begin, and how many a process may have: threads that record at a time.
const LONG_IDS: u32 = 1 << 28;
const LONG_IDS_EACH: u32 = 1 << 16;

impl Config {
    /// The id of this process's sequence of that number, from 1 on.
    pub(crate) fn sequence_id(&self, number: u32) -> SequenceId {
        let id = match &self.shared {
            None => number,
            Some(Shared { number: process, .. }) if number < SHORT_IDS => {
                process.wrapping_mul(SHORT_IDS) % LONG_IDS + number
            }
            Some(Shared { number: process, .. }) => {
                let first = process.wrapping_mul(LONG_IDS_EACH) % (u32::MAX - 2 * LONG_IDS);
                LONG_IDS + first + number % LONG_IDS_EACH
            }
        };
        SequenceId::new(id).expect("numbers begin with 1")
    }

    /// Where the worker is to be: as chosen, or as whoever runs the program has it.
    pub(crate) fn worker(&self) -> Worker {
        process::asked_for().unwrap_or(self.worker)
    }

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
    /// in the file, and what it was doing is shown as not ended. It is the binary `novatrace`, found beside the
    /// program or on the path, or named by the environment variable `NOVATRACE_WORKER`; or the program itself, if it calls
    /// [`serve_worker`](crate::serve_worker) first of all. Linux only, and for traces in files. Where it
    /// cannot be had the worker is a thread, which is logged.
    ///
    /// `NOVATRACE_WORKER=process` asks for it whatever the program says, and `thread` for the other.
    Process,
}

impl Worker {
    const WORDS: [(&'static str, Self); 2] = [("thread", Self::Thread), ("process", Self::Process)];

    /// What it is called in an environment variable, and in Python.
    #[doc(hidden)]
    #[must_use]
    pub fn word(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }

    /// What is called so.
    #[doc(hidden)]
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        called(&Self::WORDS, word)
    }
}

/// What a choice is called.
pub(crate) fn word_of<T: Copy + PartialEq>(words: &[(&'static str, T)], choice: T) -> &'static str {
    let known = words.iter().find(|(_, other)| *other == choice);
    known.map_or("", |(word, _)| word)
}

/// The choice that is called so.
pub(crate) fn called<T: Copy>(words: &[(&'static str, T)], word: &str) -> Option<T> {
    words.iter().find_map(|(known, choice)| (*known == word).then_some(*choice))
}
