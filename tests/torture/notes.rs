//! What a program notes of itself, in memory that outlives it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use super::program::THREADS;

const WORDS: usize = 64;
const READY: usize = 40;
const STOP: usize = 41;
const REPORTED: usize = 42;
const EVENTS: usize = 43;
const DROPPED: usize = 44;

/// Words that two processes share.
pub(crate) struct Notes(NonNull<AtomicU64>);

// SAFETY: atomics, mapped until the process ends.
unsafe impl Send for Notes {}
// SAFETY: as above.
unsafe impl Sync for Notes {}

impl Notes {
    /// The folder that a program has its notes in.
    pub(crate) const FOLDER: &str = "NOVATRACE_TORTURE_FOLDER";

    pub(crate) fn create(path: &Path) -> Self {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.expect("writable");
        file.set_len(8 * WORDS as u64).expect("writable");
        Self::of(&file)
    }

    /// A program's own.
    pub(crate) fn of_this_process() -> (Self, PathBuf) {
        let folder = PathBuf::from(std::env::var_os(Self::FOLDER).expect("a folder was given"));
        let file = File::options().read(true).write(true).open(folder.join("notes"));
        (Self::of(&file.expect("there are notes")), folder)
    }

    fn of(file: &File) -> Self {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let (bytes, fd) = (8 * WORDS, file.as_raw_fd());
        // SAFETY: a new mapping of a file of that size, which is never unmapped.
        let first =
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd, 0) };
        assert_ne!(first, libc::MAP_FAILED);
        Self(NonNull::new(first.cast()).expect("not at 0"))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at < WORDS);
        // SAFETY: within the mapping, which is aligned to a page.
        let word = unsafe { self.0.add(at) };
        // SAFETY: an atomic, for which every content is a value.
        unsafe { word.as_ref() }
    }

    /// So many events of a thread have been recorded: their calls returned.
    pub(crate) fn record(&self, thread: usize, events: u64) {
        self.word(thread).store(events, Ordering::Release);
    }

    pub(crate) fn recorded(&self, thread: usize) -> u64 {
        self.word(thread).load(Ordering::Acquire)
    }

    /// Notes what had been recorded before a flush that has returned.
    pub(crate) fn flush(&self, flush: impl FnOnce() -> bool) {
        let before: [u64; THREADS] = std::array::from_fn(|thread| self.recorded(thread));
        if flush() {
            for (thread, events) in before.into_iter().enumerate() {
                self.word(20 + thread).store(events, Ordering::Release);
            }
        }
    }

    pub(crate) fn flushed(&self, thread: usize) -> u64 {
        self.word(20 + thread).load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.word(READY).store(1, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.word(READY).load(Ordering::Acquire) == 1
    }

    /// Asks the program to end by itself.
    pub(crate) fn stop(&self) {
        self.word(STOP).store(1, Ordering::Release);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.word(STOP).load(Ordering::Acquire) == 1
    }

    /// What the trace's report says.
    pub(crate) fn set_report(&self, events: u64, dropped: u64) {
        self.word(EVENTS).store(events, Ordering::Release);
        self.word(DROPPED).store(dropped, Ordering::Release);
        self.word(REPORTED).store(1, Ordering::Release);
    }

    /// Events and those dropped.
    pub(crate) fn report(&self) -> Option<(u64, u64)> {
        let word = |at| self.word(at).load(Ordering::Acquire);
        (word(REPORTED) == 1).then(|| (word(EVENTS), word(DROPPED)))
    }

    pub(crate) fn tell(&self) -> String {
        let recorded: Vec<_> = (0..THREADS).map(|thread| self.recorded(thread)).collect();
        let flushed: Vec<_> = (0..THREADS).map(|thread| self.flushed(thread)).collect();
        format!("recorded {recorded:?}, flushed {flushed:?}, report {:?}", self.report())
    }
}
