//! What the callers' handles and the worker share. What either does with it is in a file each: `start`; the
//! program's `push`, `ask`, `tune` and `rings`; the worker's `answer`; and `messages`, where the two are processes.

mod answer;
mod ask;
mod messages;
mod push;
mod rings;
mod start;
mod tune;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;

use self::messages::Told;
use self::rings::GeneratorRings;
use super::config::{Config, Worker};
use super::row::Rows;
use super::stats::Stats;
use super::threads::{Loss, NewThread, ThreadLink};
use crate::error::{Error, ErrorKind};
use crate::generator::{Flows, OpenId, OpenSliceTable};
use crate::process::{Program, Served};
use crate::profile::SiteNames;
use crate::record::{Drain, HEAD_WORDS, Ring};

pub(crate) use self::ask::Asked;
pub(crate) use self::rings::NewRing;
pub(crate) use self::tune::Tuning;

/// Which side of the memory this is.
#[derive(Debug)]
enum Side {
    /// The worker is a thread.
    Thread,
    /// The program, whose worker is another process.
    Program(Arc<Program>),
    /// That process.
    Worker(Arc<Served>),
}

/// The end of a row's span.
pub(crate) type EndRecord = [u64; HEAD_WORDS];

/// What the callers' handles and the worker share.
#[derive(Debug)]
pub(crate) struct Link {
    /// Itself.
    this: Weak<Self>,
    side: Side,
    /// Why the worker is a thread, though a process was asked for.
    fallback: Option<String>,
    /// Of the program's call sites, those that its worker has been told of; in that worker, all.
    sites: Mutex<Vec<SiteNames>>,
    /// In a worker of its own, by the program's numbers.
    told: Mutex<Told>,
    /// Unique in the process, never 0.
    id: u64,
    pub(crate) config: Config,
    /// What of the choices can change, and how often it has.
    tuning: Mutex<Tuning>,
    tunings: AtomicU64,
    pub(crate) flows: Flows,
    rows: Rows,
    open_slices: Mutex<OpenSliceTable>,
    last_open_id: AtomicU64,
    rings: Mutex<GeneratorRings>,
    /// The same of live threads.
    threads: Mutex<Vec<NewThread>>,
    /// Live threads that record; of those that are over some are left, until another begins.
    attached: Mutex<Vec<Weak<ThreadLink>>>,
    /// Ends of live rows' spans that found no room in their threads' rings: no more than there are begins.
    ends: Mutex<Vec<EndRecord>>,
    thread_report: Mutex<ThreadReport>,
    /// Rings of live threads that are over, for the next ones.
    spare_rings: Mutex<Vec<(Arc<Ring>, Drain)>>,
    /// The process that has the worker.
    process: u32,
    rings_made: AtomicU64,
    worker: OnceLock<Thread>,
    /// The worker waits for its timer; a thread that fills a quarter of its ring wakes it.
    is_asleep: AtomicBool,
    control: Mutex<Control>,
    answered: Condvar,
    /// How much the worker has looked at, once it is done.
    #[cfg(test)]
    pub(super) steps: AtomicU64,
}

/// What the worker is asked for, and what it answered.
#[derive(Debug, Default)]
struct Control {
    flushes_asked: u64,
    flushes_done: u64,
    finish_asked: bool,
    /// Records are refused.
    is_closed: bool,
    /// The worker is gone.
    is_done: bool,
    stats: Stats,
    first_error: Option<Error>,
}

#[derive(Debug, Default)]
struct ThreadReport {
    threads: u64,
    losses: Vec<Loss>,
}

impl Link {
    fn new(config: Config, side: Side, first_flow: u64, fallback: Option<String>) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let tuning = Tuning { batch: config.batch, compression: config.compression };
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            side,
            fallback,
            sites: Mutex::default(),
            told: Mutex::default(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            config,
            tuning: Mutex::new(tuning),
            tunings: AtomicU64::new(0),
            flows: Flows::new(first_flow),
            rows: Rows::default(),
            open_slices: Mutex::default(),
            last_open_id: AtomicU64::new(0),
            rings: Mutex::default(),
            threads: Mutex::default(),
            attached: Mutex::default(),
            ends: Mutex::default(),
            thread_report: Mutex::default(),
            spare_rings: Mutex::default(),
            process: std::process::id(),
            rings_made: AtomicU64::new(0),
            worker: OnceLock::new(),
            is_asleep: AtomicBool::new(false),
            control: Mutex::default(),
            answered: Condvar::new(),
            #[cfg(test)]
            steps: AtomicU64::new(0),
        })
    }

    /// The worker's process, if it is one and is there.
    fn program(&self) -> Option<&Arc<Program>> {
        match &self.side {
            Side::Program(program) if !program.is_dead() => Some(program),
            _ => None,
        }
    }

    /// This process as the worker of another.
    pub(crate) fn served(&self) -> Option<&Arc<Served>> {
        match &self.side {
            Side::Worker(served) => Some(served),
            _ => None,
        }
    }

    /// Where the worker is.
    pub(crate) fn worker(&self) -> Worker {
        match self.side {
            Side::Program(_) => Worker::Process,
            _ => Worker::Thread,
        }
    }

    /// Why the worker is a thread, though a process was asked for.
    pub(crate) fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Unique in the process, never 0.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn open_slices(&self) -> MutexGuard<'_, OpenSliceTable> {
        self.open_slices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_open_id(&self) -> OpenId {
        OpenId(self.last_open_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> Stats {
        match self.program() {
            Some(program) if !self.control().is_done => program.stats(),
            _ => self.control().stats,
        }
    }

    /// Keeps the first error.
    pub(crate) fn fail(&self, error: Error) {
        if let Side::Worker(served) = &self.side {
            served.fail(&error);
        }
        self.control().first_error.get_or_insert(error);
    }

    /// How many threads recorded, and which lost events; final after [`finish`](Self::finish).
    pub(crate) fn thread_report(&self) -> (u64, Vec<Loss>) {
        let report = self.thread_report.lock().unwrap_or_else(PoisonError::into_inner);
        (report.threads, report.losses.clone())
    }

    /// In a forked child nobody would answer.
    fn check_process(&self) -> Result<(), Error> {
        if std::process::id() == self.process {
            Ok(())
        } else {
            Err(ErrorKind::Forked { parent: self.process }.into())
        }
    }
}
