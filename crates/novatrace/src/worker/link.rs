//! What the callers' handles and the worker share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use novatrace_core::Limits;
use novatrace_sink::Sink;

use super::describe::Described;
use super::random::random;
use super::row::Rows;
use super::run;
use super::stats::Stats;
use super::threads::{Attachment, Loss, NewThread, ThreadLink};
use crate::error::{Error, ErrorKind};
use crate::generator::{Attribute, OpenSlices, Overlap};
use crate::generator::{Flows, OpenId, OpenSliceTable};
use crate::name::Name;
use crate::record::{self, Closed, Drain, Fill, HEAD_WORDS, Ring, Source};
use crate::sync;

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
    pub(crate) batch_packets: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_time: Duration,
    /// Whether it is a live session's: then there is a clock, and threads have tracks.
    pub(crate) is_live: bool,
    /// What a live session's process is called; its program's file name if `None`.
    pub(crate) process_name: Option<Box<str>>,
}

impl Config {
    /// When a batch goes to the sink: never without a packet, nor more often than each millisecond.
    pub(crate) fn set_batch(&mut self, packets: usize, bytes: usize, time: Duration) {
        self.batch_packets = packets.max(1);
        self.batch_bytes = bytes.max(1);
        self.batch_time = time.max(Duration::from_millis(1));
    }
}

/// Rings that are kept for threads to come: with the default size, 64 MiB of address space at most, and
/// of memory what they have used.
const MAX_SPARE_RINGS: usize = 16;

/// The end of a row's span.
pub(crate) type EndRecord = [u64; HEAD_WORDS];

/// What the callers' handles and the worker share.
#[derive(Debug)]
pub(crate) struct Link {
    /// Unique in the process, never 0.
    id: u64,
    pub(crate) config: Config,
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

/// What the worker has been asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) flushes: u64,
    pub(crate) flush: bool,
    pub(crate) finish: bool,
}

impl Link {
    pub(crate) fn start(
        config: Config,
        sink: Box<dyn Sink>,
        path: Option<PathBuf>,
    ) -> Result<Arc<Self>, Error> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        sync::prepare();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let [high, low, first_flow, first_uuid, first_explicit] = random();
        let uuid = u128::from(high) << 64 | u128::from(low);
        let described = Described::new(first_uuid, first_explicit);
        let link = Arc::new(Self {
            id,
            config,
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
        });
        let for_worker = Arc::clone(&link);
        let thread = std::thread::Builder::new()
            .name("novatrace".to_owned())
            .spawn(move || run::run(&for_worker, sink, path, uuid, described))
            .map_err(ErrorKind::Worker)?;
        let _ = link.worker.set(thread.thread().clone()); // set once, here
        Ok(link)
    }

    /// Puts a record of `words` words into the calling thread's ring.
    #[inline(always)]
    pub(crate) fn push(
        self: &Arc<Self>,
        words: usize,
        track: u32,
        record: impl Fill,
    ) -> Result<(), Closed> {
        if record::push(self, words, track, &|| self.wake(), record)? {
            self.wake_if_asleep();
        }
        Ok(())
    }

    /// [`push`](Self::push) for records without items.
    #[inline(always)]
    pub(crate) fn push_words<const N: usize>(
        self: &Arc<Self>,
        track: u32,
        words: &[u64; N],
        what: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        match self.push(N, track, words) {
            Ok(()) => Ok(()),
            Err(Closed) => Err(ErrorKind::Finished { what: what() }.into()),
        }
    }

    /// Unique in the process, never 0.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// A ring for the calling thread of a live program, known to the worker; `None` when the trace is
    /// finished.
    pub(crate) fn attach_thread(
        &self,
        attachment: Attachment,
        bytes: usize,
    ) -> Option<(Arc<Ring>, Arc<ThreadLink>)> {
        let spare = self.spare_rings.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (ring, drain) = spare.unwrap_or_else(|| Ring::with_bytes(bytes));
        ring.adopt();
        let thread = Arc::new(ThreadLink::of_this_thread(attachment));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.control().is_closed {
            return None;
        }
        threads.push(NewThread { drain, thread: Arc::clone(&thread) });
        self.rings_made.fetch_add(1, Ordering::Release);
        drop(threads);
        let mut attached = self.attached();
        attached.retain(|thread| thread.strong_count() > 0);
        attached.push(Arc::downgrade(&thread));
        Some((ring, thread))
    }

    fn attached(&self) -> MutexGuard<'_, Vec<Weak<ThreadLink>>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live thread of that attachment, if it is not over.
    pub(crate) fn thread(&self, attachment: Attachment) -> Option<Arc<ThreadLink>> {
        let attached = self.attached();
        attached.iter().filter_map(Weak::upgrade).find(|thread| thread.attachment == attachment)
    }

    /// Takes the end of a live row's span, for which the calling thread's ring has no room.
    #[cold]
    pub(crate) fn push_end(&self, end: EndRecord) {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
    }

    /// How many threads recorded, and which lost events; final after [`finish`](Self::finish).
    pub(crate) fn thread_report(&self) -> (u64, Vec<Loss>) {
        let report = self.thread_report.lock().unwrap_or_else(PoisonError::into_inner);
        (report.threads, report.losses.clone())
    }

    #[cold]
    pub(crate) fn wake_if_asleep(&self) {
        // Pairs with the fence in `sleep`: either the worker sees the record, or this the flag.
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Whether the calling thread is the worker.
    pub(crate) fn is_worker(&self) -> bool {
        self.worker.get().is_some_and(|worker| worker.id() == std::thread::current().id())
    }

    pub(crate) fn wake(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
        if let Some(worker) = self.worker.get() {
            worker.unpark();
        }
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
        self.control().stats
    }

    /// Keeps the first error.
    pub(crate) fn fail(&self, error: Error) {
        self.control().first_error.get_or_insert(error);
    }

    /// In a forked child nobody would answer.
    fn check_process(&self) -> Result<(), Error> {
        if std::process::id() == self.process {
            Ok(())
        } else {
            Err(ErrorKind::Forked { parent: self.process }.into())
        }
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.check_process()?;
        let mut control = self.control();
        if !control.is_done {
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
        let mut control = self.control();
        control.finish_asked = true;
        self.wake();
        while !control.is_done {
            control = self.answered.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
        control.first_error.clone().map_or(Ok(control.stats), Err)
    }

    // ---- the worker's side ----

    pub(crate) fn asked(&self) -> Asked {
        let control = self.control();
        Asked {
            flushes: control.flushes_asked,
            flush: control.flushes_asked > control.flushes_done,
            finish: control.finish_asked,
        }
    }

    pub(crate) fn answer(&self, flushes: u64, stats: Stats) {
        let mut control = self.control();
        control.stats = stats;
        if flushes > control.flushes_done {
            control.flushes_done = flushes;
            self.answered.notify_all();
        }
    }

    pub(crate) fn done(&self, stats: Stats) {
        let mut control = self.control();
        control.stats = stats;
        control.is_done = true;
        self.answered.notify_all();
    }

    /// How many rings have ever been made.
    pub(crate) fn rings_made(&self) -> u64 {
        self.rings_made.load(Ordering::Acquire)
    }

    /// The rings that were made since it was asked last, in that order.
    pub(crate) fn new_rings(&self) -> Vec<NewRing> {
        std::mem::take(&mut self.rings.lock().unwrap_or_else(PoisonError::into_inner).new)
    }

    /// [`new_rings`](Self::new_rings) of live threads.
    pub(crate) fn new_threads(&self) -> Vec<NewThread> {
        std::mem::take(&mut self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over the ends that found no room in a ring.
    pub(crate) fn ends(&self) -> Vec<EndRecord> {
        std::mem::take(&mut self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the ring of a thread that is over for another, unless there are many.
    pub(crate) fn give_back(&self, ring: Drain) {
        let mut spare = self.spare_rings.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE_RINGS {
            spare.extend(ring.into_new());
        }
    }

    /// Counts a thread that is over, and what it lost.
    pub(crate) fn report_thread(&self, loss: Option<Loss>) {
        let mut report = self.thread_report.lock().unwrap_or_else(PoisonError::into_inner);
        report.threads += 1;
        report.losses.extend(loss);
    }

    /// Waits for the timer, a thread with much to drain, or a request.
    pub(crate) fn sleep(&self, time: Duration, is_idle: impl FnOnce() -> bool) {
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let asked = self.asked();
        if !asked.flush && !asked.finish && is_idle() {
            std::thread::park_timeout(time);
        }
        self.is_asleep.store(false, Ordering::Relaxed);
    }

    /// From here on, rings are refused.
    pub(crate) fn refuse_rings(&self) {
        // Whoever has one of these locks has yet to look, or has made its ring.
        let _rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let _threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.control().is_closed = true;
    }
}

/// The ring of a thread that had none.
#[derive(Debug)]
pub(crate) struct NewRing {
    pub(crate) drain: Drain,
    /// What others had published when it was made, in words, unless it was taken: all that was called
    /// before the thread's first call is among it.
    pub(crate) before: Vec<(Arc<Ring>, u64)>,
}

/// The rings of threads that use a generator.
#[derive(Debug, Default)]
struct GeneratorRings {
    /// Not yet taken over by the worker.
    new: Vec<NewRing>,
    /// Those of threads that may have records to be taken.
    all: Vec<Weak<Ring>>,
}

impl GeneratorRings {
    fn add(&mut self, drain: Drain) {
        let mut before = vec![];
        self.all.retain(|ring| {
            let ring = ring.upgrade();
            before.extend(
                ring.iter().filter_map(|ring| Some((Arc::clone(ring), ring.waiting_until()?))),
            );
            ring.is_some()
        });
        self.all.push(drain.ring());
        self.new.push(NewRing { drain, before });
    }
}

#[derive(Debug, Default)]
struct ThreadReport {
    threads: u64,
    losses: Vec<Loss>,
}

impl Source for Arc<Link> {
    #[inline(always)]
    fn id(&self) -> u64 {
        self.id
    }

    fn new_ring(&self) -> Arc<Ring> {
        let (ring, drain) = Ring::with_bytes(self.config.ring_bytes);
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        if self.control().is_closed {
            drain.begin_close();
            drain.finish_close();
        } else {
            rings.add(drain);
            self.rings_made.fetch_add(1, Ordering::Release);
        }
        ring
    }
}
