//! What the callers' handles and the worker share.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use novatrace_core::Limits;
use novatrace_sink::{Compression, FileSink, Sink};

use super::describe::Described;
use super::mourn::Mourner;
use super::random::random;
use super::row::Rows;
use super::run;
use super::stats::Stats;
use super::threads::{Attachment, Loss, NewThread, ThreadLink};
use crate::error::{Error, ErrorKind};
use crate::flight::Flight;
use crate::generator::{Attribute, OpenSlices, Overlap};
use crate::generator::{Flows, OpenId, OpenSliceTable};
use crate::name::Name;
use crate::process::{self, Message, Numbers, Program, ReportFacts, Served};
use crate::profile::{SiteNames, site_names_from};
use crate::record::{self, Closed, Drain, Fill, HEAD_WORDS, Ring, Source};
use crate::rotate::Rotate;
use crate::sink;
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
    /// The process whose trace it is.
    pub(crate) process: u32,
    pub(crate) worker: Worker,
    /// Of a file: whoever has another sink does it.
    pub(crate) compression: Compression,
    pub(crate) rotate: Option<Rotate>,
    /// Of a trace in parts that are files, what those are called after.
    pub(crate) rotate_path: Option<PathBuf>,
    /// Where the parts go, if not to files.
    pub(crate) flight: Option<Arc<Flight>>,
}

impl Config {
    /// When a batch goes to the sink: never without a packet, nor more often than each millisecond.
    pub(crate) fn set_batch(&mut self, packets: usize, bytes: usize, time: Duration) {
        self.batch_packets = packets.max(1);
        self.batch_bytes = bytes.max(1);
        self.batch_time = time.max(Duration::from_millis(1));
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
    /// in the file. It is the binary `novatrace`, found beside the program or on the path, or named by the
    /// environment variable `NOVATRACE_WORKER`; or the program itself, if it calls
    /// [`serve_worker`](crate::serve_worker) first of all. Linux only, and for traces in files. Where it
    /// cannot be had the worker is a thread, which is logged.
    ///
    /// `NOVATRACE_WORKER=process` asks for it whatever the program says, and `thread` for the other.
    Process,
}

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

/// Rings that are kept for threads to come: with the default size, 64 MiB of address space at most, and
/// of memory what they have used.
const MAX_SPARE_RINGS: usize = 16;

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
    /// Starts a worker in a thread.
    pub(crate) fn start(
        config: Config,
        sink: Box<dyn Sink>,
        path: Option<PathBuf>,
    ) -> Result<Arc<Self>, Error> {
        let is_wanted = config.worker == Worker::Process;
        let why = is_wanted.then(|| "only a trace in a file can have one".to_owned());
        Self::start_thread(config, sink, path, why)
    }

    /// Starts the worker that the choices ask for, which is to write a file.
    pub(crate) fn start_file(config: Config, file: FileSink) -> Result<Arc<Self>, Error> {
        let path = file.path().to_owned();
        let mut why = None;
        if process::is_asked_for().unwrap_or(config.worker == Worker::Process) {
            match Self::start_process(config.clone(), &file) {
                Ok(link) => {
                    // The worker has it, with its lock.
                    file.hand_over();
                    return Ok(link);
                }
                Err(error) => why = Some(error.to_string()),
            }
        }
        let sink = sink::compressed(file, config.compression);
        Self::start_thread(config, sink, Some(path), why)
    }

    fn start_process(mut config: Config, file: &FileSink) -> io::Result<Arc<Self>> {
        sync::prepare_elsewhere();
        config.process = std::process::id();
        // Known to the worker from the start, by this number.
        let _ = Name::new("");
        let (first_flow, numbers) = random_numbers();
        let program = Program::start(&config, file, numbers)?;
        let link = Self::new(config, Side::Program(Arc::clone(&program)), first_flow, None);
        link.rows.tell(program);
        Ok(link)
    }

    fn start_thread(
        mut config: Config,
        sink: Box<dyn Sink>,
        path: Option<PathBuf>,
        fallback: Option<String>,
    ) -> Result<Arc<Self>, Error> {
        sync::prepare();
        config.process = std::process::id();
        if let Some(why) = &fallback {
            log::warn!("the trace's worker is a thread and not a process: {why}");
        }
        let (first_flow, Numbers { uuid, first_uuid, first_explicit }) = random_numbers();
        let described = Described::new(first_uuid, first_explicit);
        let link = Self::new(config, Side::Thread, first_flow, fallback);
        let for_worker = Arc::clone(&link);
        link.spawn(move || run::run(&for_worker, sink, path, uuid, described))?;
        Ok(link)
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new()
            .name("novatrace".to_owned())
            .spawn(work)
            .map_err(ErrorKind::Worker)?;
        let _ = self.worker.set(thread.thread().clone()); // set once, by whoever starts the worker
        Ok(())
    }

    /// Is the worker of a program, until that has finished or is gone.
    pub(crate) fn serve(
        config: Config,
        served: Served,
        told: Vec<Message>,
        (trace, path): (File, Option<PathBuf>),
        uuid: u128,
        described: Described,
    ) {
        sync::prepare_elsewhere();
        let link = Self::new(config, Side::Worker(Arc::new(served)), 0, None);
        for message in told {
            link.hear(message);
        }
        let sink = FileSink::of_file(trace, path.clone().unwrap_or_default());
        let sink = sink::compressed(sink, link.config.compression);
        run::run(&link, sink, path, uuid, described);
    }

    fn new(config: Config, side: Side, first_flow: u64, fallback: Option<String>) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            side,
            fallback,
            sites: Mutex::default(),
            told: Mutex::default(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
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

    /// Puts a record of `words` words into the calling thread's ring.
    #[inline(always)]
    pub(crate) fn push(
        self: &Arc<Self>,
        words: usize,
        track: u32,
        record: impl Fill,
    ) -> Result<(), Closed> {
        match record::push(self, words, track, &|| self.wake(), record) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.wake_if_asleep();
                Ok(())
            }
            Err(Closed) => self.refused(),
        }
    }

    /// What a ring does not take is refused; but not in a forked child, which is not to fail for what it does
    /// besides: it is told when it asks for its records to be written.
    #[cold]
    fn refused(&self) -> Result<(), Closed> {
        if self.check_process().is_ok() { Err(Closed) } else { Ok(()) }
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
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.control().is_closed {
            return None;
        }
        let id = self.rings_made.fetch_add(1, Ordering::Release);
        let (ring, thread) = if let Some(program) = self.program() {
            let (ring, facts) = program.ring(bytes)?;
            let thread = ThreadLink::of_this_thread(attachment, Some((Arc::clone(program), id)));
            program.send(&Message::Thread {
                id,
                ring: facts,
                tid: thread.tid,
                name: thread.name.to_string(),
                system_name: thread.system_name.clone(),
            });
            (ring, Arc::new(thread))
        } else {
            let spare = self.spare_rings.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let (ring, drain) = spare.unwrap_or_else(|| Ring::with_bytes(bytes));
            ring.adopt();
            let thread = Arc::new(ThreadLink::of_this_thread(attachment, None));
            threads.push(NewThread { drain, thread: Arc::clone(&thread) });
            (ring, thread)
        };
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
        if let Some(program) = self.program() {
            return program.send(&Message::End(end));
        }
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
    }

    /// How many threads recorded, and which lost events; final after [`finish`](Self::finish).
    pub(crate) fn thread_report(&self) -> (u64, Vec<Loss>) {
        let report = self.thread_report.lock().unwrap_or_else(PoisonError::into_inner);
        (report.threads, report.losses.clone())
    }

    #[cold]
    pub(crate) fn wake_if_asleep(&self) {
        if let Some(program) = self.program() {
            return program.wake_if_asleep();
        }
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
        if let Some(program) = self.program() {
            // Threads that wait for it come here again and again.
            return if program.is_alive() { program.wake() } else { self.bury(program) };
        }
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
    fn bury(&self, program: &Arc<Program>) {
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
        if self.spawn(move || mourner.run(&link)).is_err() {
            // Nobody is to wait for what does not come.
            self.done(program.stats());
        }
    }

    /// Tells the worker's process of call sites that it does not know.
    pub(crate) fn tell_sites(&self, sites: &[SiteNames]) {
        let Some(program) = self.program() else { return };
        let mut told = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        for site in sites.get(told.len()..).unwrap_or_default() {
            let (name, category) = (site.name.map(Name::id), site.category.id());
            program.send(&Message::Site { name, category });
            told.push(*site);
        }
    }

    /// Tells it of a row's new description or unit.
    pub(crate) fn tell_edit(&self, index: u32, what: impl FnOnce() -> String, property: &str) {
        if let Some(program) = self.program() {
            let (row, what, property) = (self.rows.facts(index), what(), property.into());
            program.send(&Message::Edit { index, row, what, property });
        }
    }

    // ---- the worker's side ----

    /// The worker goes on to what is recorded.
    pub(crate) fn ready(&self) {
        if let Side::Worker(served) = &self.side {
            served.ready();
        }
    }

    /// Hears what the program has told a worker of its own process since it was asked last. What a record
    /// needs was told before it was published.
    #[inline]
    pub(crate) fn listen(&self) {
        if let Side::Worker(served) = &self.side {
            served.receive(|message| self.hear(message));
        }
    }

    #[cold]
    fn hear(&self, message: Message) {
        let Side::Worker(served) = &self.side else { return };
        match message {
            Message::Hello(_) => {}
            Message::Name(text) => drop(Name::new(&text)),
            Message::Site { name, category } => {
                let name = name.and_then(Name::from_id);
                if let Some(category) = Name::from_id(category) {
                    let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
                    sites.push(SiteNames { name, category });
                }
            }
            Message::Row(row) => self.rows.add(row.into_row()),
            Message::Edit { index, row, what, property } => {
                if !self.rows.replace(index, row.into_row()) {
                    self.fail(process::row_settled(what, &property));
                }
            }
            Message::Ring { ring, before } => {
                let Some(drain) = served.drain(ring) else { return };
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                let before = before.iter().filter_map(|(offset, words)| {
                    Some((told.rings.get(offset)?.upgrade()?, *words))
                });
                let before = before.collect();
                told.rings.insert(ring.offset, drain.ring());
                let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
                rings.new.push(NewRing { drain, before });
                self.rings_made.fetch_add(1, Ordering::Release);
            }
            Message::Thread { id, ring, tid, name, system_name } => {
                let Some(drain) = served.drain(ring) else { return };
                let process = self.config.process;
                let thread = Arc::new(ThreadLink::told(process, tid, &name, system_name));
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.threads.insert(id, Arc::downgrade(&thread));
                let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
                threads.push(NewThread { drain, thread });
                self.rings_made.fetch_add(1, Ordering::Release);
            }
            Message::Grown { thread, ring } => {
                if let (Some(thread), Some(drain)) = (self.told_thread(thread), served.drain(ring))
                {
                    thread.add_ring(drain);
                }
            }
            Message::Ended { thread, token, ticks } => {
                self.told_thread(thread).inspect(|thread| thread.end_later(token, ticks));
            }
            Message::Taken { thread } => {
                self.told_thread(thread).inspect(|thread| drop(thread.ended()));
            }
            Message::Named { thread, name } => {
                self.told_thread(thread).inspect(|thread| thread.give_name(&name));
            }
            Message::Over { thread, name } => {
                self.told_thread(thread).inspect(|thread| thread.end_as(name));
            }
            Message::End(end) => {
                self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
            }
        }
    }

    fn told_thread(&self, id: u64) -> Option<Arc<ThreadLink>> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.threads.get(&id)?.upgrade()
    }

    /// The names of the call sites from number `first` on.
    pub(crate) fn site_names_from(&self, first: usize) -> Vec<SiteNames> {
        match &self.side {
            Side::Worker(_) => {
                let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
                sites.get(first..).unwrap_or_default().to_vec()
            }
            _ => site_names_from(first),
        }
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

    /// How many rings have ever been made.
    pub(crate) fn rings_made(&self) -> u64 {
        self.listen();
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
        let before = self.before();
        self.all.push(drain.ring());
        self.new.push(NewRing { drain, before });
    }

    /// What the rings have published that has not been taken.
    fn before(&mut self) -> Vec<(Arc<Ring>, u64)> {
        let mut before = vec![];
        self.all.retain(|ring| {
            let ring = ring.upgrade();
            before.extend(
                ring.iter().filter_map(|ring| Some((Arc::clone(ring), ring.waiting_until()?))),
            );
            ring.is_some()
        });
        before
    }
}

/// What the worker of another process's program goes by.
#[derive(Debug, Default)]
struct Told {
    rings: HashMap<u64, Weak<Ring>>,
    threads: HashMap<u64, Weak<ThreadLink>>,
}

/// A first flow, and what else tells traces apart.
fn random_numbers() -> (u64, Numbers) {
    let [high, low, first_flow, first_uuid, first_explicit] = random();
    let uuid = u128::from(high) << 64 | u128::from(low);
    (first_flow, Numbers { uuid, first_uuid, first_explicit })
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
        if self.check_process().is_err() {
            // The locks may have been held when the process forked, and the memory is the parent's.
            return Ring::closed();
        }
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_closed = self.control().is_closed;
        if !is_closed
            && let Some(program) = self.program()
            && let Some((ring, facts)) = program.ring(self.config.ring_bytes)
        {
            let before = rings.before();
            let before = before.iter().map(|(ring, words)| (ring.offset(), *words)).collect();
            rings.all.push(Arc::downgrade(&ring));
            program.send(&Message::Ring { ring: facts, before });
            self.rings_made.fetch_add(1, Ordering::Release);
            return ring;
        }
        if is_closed || self.program().is_some() {
            // Finished; or there is no memory for it that the worker's process has.
            return Ring::closed();
        }
        let (ring, drain) = Ring::with_bytes(self.config.ring_bytes);
        rings.add(drain);
        self.rings_made.fetch_add(1, Ordering::Release);
        ring
    }
}
