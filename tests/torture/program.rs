//! The program that is tortured: threads that record as fast as they can, with short rests, while batches and
//! compression change.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use novatrace::{Compression, Overflow, Session, TraceGenerator, trace};

use super::fate::Fate;
use super::notes::Notes;

/// How many threads record.
pub(crate) const THREADS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worker {
    Thread,
    Process,
}

/// What the threads record with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Live,
    Generator,
    /// A live session whose file is compressed.
    Compressed,
}

/// What a program is and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) worker: Worker,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
    /// How long it records before.
    pub(crate) ms: u64,
}

const WORKERS: [Worker; 2] = [Worker::Process, Worker::Thread];
const KINDS: [Kind; 3] = [Kind::Live, Kind::Generator, Kind::Compressed];

/// What programs go through while they record.
const COMPRESSIONS: [Compression; 3] = [Compression::ZLIB, Compression::None, Compression::Zlib(9)];
const BATCH_TIMES: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(100), Duration::from_millis(7)];

impl Plan {
    pub(crate) const VARIABLE: &str = "NOVATRACE_TORTURE_PLAN";
    /// How many there are, but for the moment.
    pub(crate) const COUNT: usize = WORKERS.len() * KINDS.len() * Fate::ALL.len();

    /// The plan of that number, of which there are [`COUNT`](Self::COUNT).
    pub(crate) fn number(number: usize, ms: u64) -> Self {
        let worker = WORKERS[number % WORKERS.len()];
        let kind = KINDS[number / WORKERS.len() % KINDS.len()];
        let fate = Fate::ALL[number / (WORKERS.len() * KINDS.len()) % Fate::ALL.len()];
        // Where there is no process to be killed, the program is.
        let is_moot = fate == Fate::WorkerKilled && worker == Worker::Thread;
        Self { worker, kind, fate: if is_moot { Fate::Killed } else { fate }, ms }
    }

    /// That of the process that runs, if it is a program.
    pub(crate) fn of_this_process() -> Option<Self> {
        let text = std::env::var(Self::VARIABLE).ok()?;
        let mut words = text.split(' ');
        let mut next = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
        let number = usize::try_from(next()).expect("small");
        Some(Self::number(number, next()))
    }

    /// Whether what was written is not there any more.
    pub(crate) fn is_cut(&self) -> bool {
        self.fate == Fate::FileCut
    }

    /// Whether all that was recorded has to be in the file.
    pub(crate) fn loses_nothing(&self) -> bool {
        let ends_by_itself = matches!(self.fate, Fate::Panicked | Fate::Closed);
        let worker_fails =
            matches!(self.fate, Fate::WorkerKilled | Fate::DiskFull | Fate::DiskFails);
        !worker_fails && !self.is_cut() && (self.worker == Worker::Process || ends_by_itself)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = (0..Self::COUNT).find(|&number| {
            let plan = Self::number(number, 0);
            (plan.worker, plan.kind, plan.fate) == (self.worker, self.kind, self.fate)
        });
        let Self { worker, kind, fate, ms } = self;
        write!(f, "{} {ms} {worker:?} {kind:?} {fate:?}", number.unwrap_or_default())
    }
}

/// Runs until its fate, or until it is asked to stop.
pub(crate) fn run(plan: &Plan) {
    let (notes, folder) = Notes::of_this_process();
    // A file that is too large is then an error and not the end.
    // SAFETY: no handler is involved.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    plan.fate.prepare(plan);
    let path = folder.join("trace");
    match plan.kind {
        Kind::Live | Kind::Compressed => live(plan, &notes, &path),
        Kind::Generator => generator(plan, &notes, &path),
    }
}

fn worker(plan: &Plan) -> novatrace::Worker {
    match plan.worker {
        Worker::Thread => novatrace::Worker::Thread,
        Worker::Process => novatrace::Worker::Process,
    }
}

fn live(plan: &Plan, notes: &Notes, path: &Path) {
    let mut session = Session::builder().overflow(Overflow::Block).worker(worker(plan));
    if plan.kind == Kind::Compressed {
        session = session.compression(COMPRESSIONS[0]);
    }
    let session = session.create(path).expect("a trace");
    assert_eq!(session.worker(), worker(plan), "{:?}", session.worker_fallback());
    let record = |thread: usize, event: u64| {
        let _span = trace!("work", t = thread as u64, i = event);
        true
    };
    let tune = |turn: usize| {
        session.set_batch([100, 1 << 14][turn % 2], 256 << 10, BATCH_TIMES[turn % 3]);
        if plan.kind == Kind::Compressed {
            session.set_compression(COMPRESSIONS[turn / 4 % COMPRESSIONS.len()]);
        }
        session.flush().is_ok()
    };
    if record_until_stopped(plan, notes, record, &tune) {
        let (report, _) = session.close_anyway();
        notes.set_report(report.events, report.dropped);
    }
}

fn generator(plan: &Plan, notes: &Notes, path: &Path) {
    let trace = TraceGenerator::builder().worker(worker(plan)).create(path).expect("a trace");
    assert_eq!(trace.worker(), worker(plan), "{:?}", trace.worker_fallback());
    let group = trace.group("g");
    let tracks = [0, 1, 2].map(|thread| group.track(&format!("t{thread}")));
    let record = |thread: usize, event: u64| {
        let slice = tracks[thread].duration(event * 10, 10, "work");
        slice.arg("t", thread as u64).arg("i", event).emit().is_ok()
    };
    let tune = |turn: usize| {
        trace.set_batch([100, 1 << 14][turn % 2], 256 << 10, BATCH_TIMES[turn % 3]);
        trace.flush().is_ok()
    };
    if record_until_stopped(plan, notes, record, &tune) {
        let _ = trace.finish();
        let stats = trace.stats();
        notes.set_report(stats.events, stats.dropped);
    }
}

/// Whether it was asked to stop; otherwise what was to happen has happened.
fn record_until_stopped(
    plan: &Plan,
    notes: &Notes,
    record: impl Fn(usize, u64) -> bool + Sync,
    tune_and_flush: &dyn Fn(usize) -> bool,
) -> bool {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (record, is_over) = (&record, &is_over);
            scope.spawn(move || {
                let mut event = 0;
                while !is_over.load(Ordering::Relaxed) {
                    if record(thread, event) {
                        event += 1;
                        notes.record(thread, event);
                    }
                    if event % 40 == 0 {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
            });
        }
        notes.set_ready();
        let start = Instant::now();
        let (mut is_done, mut turn) = (false, 0);
        while !notes.is_stopped() {
            std::thread::sleep(Duration::from_millis(3));
            notes.flush(|| tune_and_flush(turn));
            turn += 1;
            if !is_done && start.elapsed() >= Duration::from_millis(plan.ms) {
                is_done = true;
                // The threads are to end if this one unwinds.
                let unwinds = Over(&is_over);
                plan.fate.happen();
                std::mem::forget(unwinds);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    true
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
