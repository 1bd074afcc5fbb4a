//! The page on which program and worker ask and answer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use super::futex;
use crate::worker::Stats;

/// Zeros are how it begins.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Control {
    /// What both have to agree on.
    pub(super) layout: AtomicU64,
    // What the program writes.
    pub(super) flushes_asked: AtomicU64,
    pub(super) finish_asked: AtomicU32,
    /// The worker sleeps on it.
    doorbell: AtomicU32,
    /// The worker is about to sleep, or does.
    is_asleep: AtomicU32,
    // What the worker writes.
    pub(super) state: AtomicU32,
    pub(super) pid: AtomicU32,
    /// Threads of the program sleep on it.
    answers: AtomicU32,
    pub(super) flushes_done: AtomicU64,
    /// How much of the reply is there: the trace's first error, and at the end the report.
    pub(super) error_bytes: AtomicU32,
    pub(super) report_bytes: AtomicU32,
    stats: [AtomicU64; 9],
    /// See [`Note`].
    pub(super) written: Note,
    // The log.
    pub(super) log_tail: AtomicU64,
    pub(super) log_head: AtomicU64,
    /// The program sleeps on it while the log is full.
    pub(super) log_room: AtomicU32,
}

/// [`Control::state`]: the worker has all it needs.
pub(super) const READY: u32 = 1;
/// The file is complete.
pub(super) const DONE: u32 = 2;

/// Two numbers that are always of one time, even if their writer is killed: an old pair stays until
/// the new one is whole.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Note {
    pairs: [[AtomicU64; 2]; 2],
    which: AtomicU64,
}

impl Note {
    /// For the one writer.
    pub(crate) fn set(&self, pair: [u64; 2]) {
        let next = 1 - self.which.load(Ordering::Relaxed) % 2;
        for (place, value) in self.pairs[usize::from(next == 1)].iter().zip(pair) {
            place.store(value, Ordering::Relaxed);
        }
        self.which.store(next, Ordering::Release);
    }

    /// The last pair, once the writer is gone.
    pub(crate) fn get(&self) -> [u64; 2] {
        let which = self.which.load(Ordering::Acquire);
        let [first, second] = &self.pairs[usize::from(which == 1)];
        [first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)]
    }
}

impl Control {
    /// The program's side: there is something to do.
    pub(super) fn ring(&self) {
        self.is_asleep.store(0, Ordering::Relaxed);
        self.doorbell.fetch_add(1, Ordering::Release);
        futex::wake(&self.doorbell);
    }

    /// [`ring`](Self::ring) if the worker sleeps.
    pub(super) fn ring_if_asleep(&self) {
        // Pairs with the fence in `sleep`: either the worker sees the record, or this the flag.
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed) != 0 {
            self.ring();
        }
    }

    /// The worker's side: waits for the bell, unless there is something to do.
    pub(super) fn sleep(&self, time: Duration, is_idle: impl FnOnce() -> bool) {
        let before = self.doorbell.load(Ordering::Acquire);
        self.is_asleep.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_idle() {
            futex::wait(&self.doorbell, before, time);
        }
        self.is_asleep.store(0, Ordering::Relaxed);
    }

    /// The worker's side: something has been answered.
    pub(super) fn answer(&self) {
        self.answers.fetch_add(1, Ordering::Release);
        futex::wake(&self.answers);
    }

    /// The program's side: waits for an answer, for so long at most, unless `is_there`.
    pub(super) fn wait_for_answer(&self, time: Duration, is_there: impl FnOnce() -> bool) {
        let before = self.answers.load(Ordering::Acquire);
        if !is_there() {
            futex::wait(&self.answers, before, time);
        }
    }

    pub(super) fn set_stats(&self, stats: Stats) {
        let Stats { events, packets, bytes, lanes, dropped, lost, refused, left_open, parts } =
            stats;
        let values = [events, packets, bytes, lanes, dropped, lost, refused, left_open, parts];
        for (place, value) in self.stats.iter().zip(values) {
            place.store(value, Ordering::Relaxed);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let [events, packets, bytes, lanes, dropped, lost, refused, left_open, parts] =
            self.stats.each_ref().map(|place| place.load(Ordering::Relaxed));
        Stats { events, packets, bytes, lanes, dropped, lost, refused, left_open, parts }
    }
}
