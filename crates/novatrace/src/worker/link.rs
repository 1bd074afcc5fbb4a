//! What the callers' handles and the worker share.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use novatrace_core::Limits;
use novatrace_sink::Sink;

use super::describe::Described;
use super::random::random;
use super::row::Rows;
use super::run;
use super::stats::Stats;
use crate::error::{Error, ErrorKind};
use crate::generator::Flows;
use crate::generator::{Attribute, OpenSlices, Overlap};
use crate::name::Name;
use crate::record::{self, Closed, Drain, Fill, Ring, Source};
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
}

/// Tells the open slices of a trace apart; from 1, in the order they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpenId(pub(crate) u64);

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
    /// Made, and not yet taken over by the worker.
    rings: Mutex<Vec<Drain>>,
    rings_made: AtomicU64,
    worker: OnceLock<Thread>,
    /// The worker waits for its timer; a thread that fills a quarter of its ring wakes it.
    is_asleep: AtomicBool,
    control: Mutex<Control>,
    answered: Condvar,
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
            rings_made: AtomicU64::new(0),
            worker: OnceLock::new(),
            is_asleep: AtomicBool::new(false),
            control: Mutex::default(),
            answered: Condvar::new(),
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

    #[cold]
    fn wake_if_asleep(&self) {
        // Pairs with the fence in `sleep`: either the worker sees the record, or this the flag.
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    fn wake(&self) {
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

    pub(crate) fn flush(&self) -> Result<(), Error> {
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

    /// Adds rings made since `known`, and tells how many there have been.
    pub(crate) fn new_rings(&self, known: &mut u64, rings: &mut Vec<Drain>) {
        if self.rings_made.load(Ordering::Acquire) != *known {
            let mut made = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
            *known += made.len() as u64;
            rings.append(&mut made);
        }
    }

    /// Waits for the timer, a thread with much to drain, or a request.
    pub(crate) fn sleep(&self, time: Duration, rings: &[Drain]) {
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let asked = self.asked();
        if !asked.flush && !asked.finish && rings.iter().all(Drain::is_empty) {
            std::thread::park_timeout(time);
        }
        self.is_asleep.store(false, Ordering::Relaxed);
    }

    /// Refuses records from here on, and settles which came before; hands over the rings that the
    /// worker does not know yet.
    pub(crate) fn close(&self, known: &mut u64, rings: &mut Vec<Drain>) {
        let mut made = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        if self.control().is_closed {
            // What has been settled once must stay so: owners rely on it.
            return;
        }
        *known += made.len() as u64;
        rings.append(&mut made);
        for ring in &*rings {
            ring.begin_close();
        }
        self.control().is_closed = true;
        drop(made);
        sync::heavy();
        for ring in &*rings {
            ring.finish_close();
        }
    }
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
            rings.push(drain);
            self.rings_made.fetch_add(1, Ordering::Release);
        }
        ring
    }
}

/// The slices that have begun and not ended, as the callers know them.
#[derive(Debug, Default)]
pub(crate) struct OpenSliceTable {
    /// By track, in the order they began: start and name.
    by_track: HashMap<u32, BTreeMap<OpenId, (u64, Box<str>)>>,
}

impl OpenSliceTable {
    pub(crate) fn open(&mut self, track: u32, id: OpenId, start_ns: u64, name: Box<str>) {
        self.by_track.entry(track).or_default().insert(id, (start_ns, name));
    }

    pub(crate) fn innermost(&self, track: u32) -> Option<(OpenId, u64)> {
        let (&id, &(start_ns, _)) = self.by_track.get(&track)?.last_key_value()?;
        Some((id, start_ns))
    }

    pub(crate) fn name(&self, track: u32, id: OpenId) -> Option<&str> {
        self.by_track.get(&track)?.get(&id).map(|(_, name)| &**name)
    }

    pub(crate) fn close(&mut self, track: u32, id: OpenId) {
        if let Some(open) = self.by_track.get_mut(&track) {
            open.remove(&id);
        }
    }
}
