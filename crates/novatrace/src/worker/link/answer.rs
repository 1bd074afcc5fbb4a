//! How the worker waits to be asked, and answers.

use std::sync::PoisonError;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::{Asked, EndRecord, Link, Side};
use crate::process::ReportFacts;
use crate::sync;
use crate::worker::stats::Stats;
use crate::worker::threads::Loss;

impl Link {
    /// The worker goes on to what is recorded.
    pub(crate) fn ready(&self) {
        if let Side::Worker(served) = &self.side {
            served.ready();
        }
    }

    /// Whether the program has ended without a word, which has a worker of its own process.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.served().is_some_and(|served| served.is_cut_off())
    }

    /// Runs the fence for all that record.
    pub(crate) fn fence(&self) {
        match &self.side {
            Side::Worker(_) => sync::heavy_elsewhere(),
            _ => sync::heavy(),
        }
    }

    pub(crate) fn asked(&self) -> Asked {
        if let Side::Worker(served) = &self.side {
            return served.asked();
        }
        let control = self.control();
        Asked {
            flushes: control.flushes_asked,
            flush: control.flushes_asked > control.flushes_done,
            finish: control.finish_asked,
        }
    }

    pub(crate) fn answer(&self, flushes: u64, stats: Stats) {
        if let Side::Worker(served) = &self.side {
            return served.answer(flushes, stats);
        }
        let mut control = self.control();
        control.stats = stats;
        if flushes > control.flushes_done {
            control.flushes_done = flushes;
            self.answered.notify_all();
        }
    }

    pub(crate) fn done(&self, stats: Stats) {
        if let Side::Worker(served) = &self.side {
            let report = self.thread_report.lock().unwrap_or_else(PoisonError::into_inner);
            let losses = report.losses.iter().cloned();
            let losses = losses.map(|Loss { thread, tid, events }| (thread, tid, events)).collect();
            return served.done(stats, ReportFacts { threads: report.threads, losses });
        }
        let mut control = self.control();
        control.stats = stats;
        control.is_done = true;
        self.answered.notify_all();
    }

    /// Takes over the ends that found no room in a ring.
    pub(crate) fn ends(&self) -> Vec<EndRecord> {
        std::mem::take(&mut self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a thread that is over, and what it lost.
    pub(crate) fn report_thread(&self, loss: Option<Loss>) {
        let mut report = self.thread_report.lock().unwrap_or_else(PoisonError::into_inner);
        report.threads += 1;
        report.losses.extend(loss);
    }

    /// Waits for the timer, a thread with much to drain, or a request.
    pub(crate) fn sleep(&self, time: Duration, is_idle: impl FnOnce() -> bool) {
        if let Side::Worker(served) = &self.side {
            return served.sleep(time, || {
                let asked = self.asked();
                !asked.flush && !asked.finish && is_idle()
            });
        }
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let asked = self.asked();
        if !asked.flush && !asked.finish && is_idle() {
            std::thread::park_timeout(time);
        }
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}
