//! What the program asks of the worker, and how it hears the answer.

use std::io;
use std::sync::{Arc, PoisonError, Weak};

use super::{Link, ThreadReport};
use crate::error::{Error, ErrorKind};
use crate::process::{Program, ReportFacts};
use crate::worker::mourn::Mourner;
use crate::worker::stats::Stats;
use crate::worker::threads::Loss;

/// What the worker has been asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) flushes: u64,
    pub(crate) flush: bool,
    pub(crate) finish: bool,
}

impl Link {
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.check_process()?;
        if let Some(program) = self.program() {
            program.wait_for_flush(program.ask_flush());
            self.hear_from(program);
        }
        let mut control = self.control();
        if self.program().is_none() && !control.is_done {
            control.flushes_asked += 1;
            let mine = control.flushes_asked;
            self.wake();
            while control.flushes_done < mine && !control.is_done {
                control = self.answered.wait(control).unwrap_or_else(PoisonError::into_inner);
            }
        }
        control.first_error.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn finish(&self) -> Result<Stats, Error> {
        self.check_process()?;
        if let Some(program) = self.program() {
            self.refuse_rings();
            self.attached()
                .iter()
                .filter_map(Weak::upgrade)
                .for_each(|thread| thread.refuse_growth());
            program.ask_finish();
            program.wait_for_finish();
            self.hear_from(program);
        }
        let mut control = self.control();
        control.finish_asked = true;
        self.wake();
        while !control.is_done {
            control = self.answered.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
        control.first_error.clone().map_or(Ok(control.stats), Err)
    }

    /// The worker's process has answered, or is gone.
    fn hear_from(&self, program: &Arc<Program>) {
        if let Some(error) = program.error() {
            self.fail(error);
        }
        if !program.is_alive() {
            return self.bury(program);
        }
        if program.is_done() {
            let ReportFacts { threads, losses } = program.report();
            let losses =
                losses.into_iter().map(|(thread, tid, events)| Loss { thread, tid, events });
            *self.thread_report.lock().unwrap_or_else(PoisonError::into_inner) =
                ThreadReport { threads, losses: losses.collect() };
            self.done(program.stats());
        }
    }

    /// The worker's process is gone before the trace was finished: a thread takes its place, so that nobody
    /// waits, and counts what is recorded. The file holds what was written before.
    #[cold]
    pub(super) fn bury(&self, program: &Arc<Program>) {
        let _rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let _threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.control().is_done || !program.bury() {
            return;
        }
        let Some(link) = self.this.upgrade() else { return };
        let mourner = Mourner::new(program);
        let source = io::Error::other("the trace's worker was killed");
        let path = Some(program.path().to_owned());
        self.fail(ErrorKind::Write { path, bytes: mourner.bytes(), source }.into());
        let buried = Arc::clone(program);
        if self.spawn(move || mourner.run(&link, &buried)).is_err() {
            // Nobody is to wait for what does not come.
            self.done(program.stats());
        }
    }
}
