//! A live recording, from open to close.

use std::fmt;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use novatrace_sink::{Compression, Sink};

use super::children::{self, Children, Invitation};
use super::clock::{self, ClockSource};
use super::exit;
use super::filter::Filter;
use super::site::registry;
use crate::error::{Error, ErrorKind};
use crate::flight::{Dump, Flight, FlightRecorder};
use crate::generator::{Attribute, OpenSlices, TraceBuilder};
use crate::record::Ring;
use crate::rotate::{self, Rotate};
use crate::sink::{self, Target};
use crate::worker::{Attachment, Bounds, Config, Destination, Link, Loss, ThreadLink, Worker};

/// What becomes of a record for which there is no room in its thread's buffer, since the worker does
/// not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It is left out, and counted: the program does not stall. The trace says where.
    #[default]
    DropNewest,
    /// The thread waits for the worker. Only a record of more than half the buffer, or of 512 KiB, is lost
    /// all the same, and counted.
    Block,
    /// The thread's buffer is replaced by one of twice the size, until the thread's buffers have so
    /// many bytes; from then on, as [`DropNewest`](Self::DropNewest).
    Grow(usize),
}

/// The session that records, as its threads see it.
#[derive(Debug)]
pub(super) struct Live {
    link: Arc<Link>,
    overflow: Overflow,
    capacity_bytes: usize,
    opened: &'static Location<'static>,
    /// Events of threads whose thread-locals were gone.
    late: AtomicU64,
    /// What processes that may join it are told.
    invitation: Option<Invitation>,
}

impl Live {
    pub(super) fn invitation(&self) -> Option<&Invitation> {
        self.invitation.as_ref()
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// A ring for the calling thread; `None` when the session is closed.
    pub(super) fn attach(&self, attachment: Attachment) -> Option<(Arc<Ring>, Arc<ThreadLink>)> {
        self.link.attach_thread(attachment, self.capacity_bytes)
    }

    pub(super) fn overflow(&self) -> Overflow {
        self.overflow
    }

    pub(super) fn count_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts recording into a file, with the defaults of [`SessionBuilder`]: what every `trace!` and
/// its kind says is recorded from here on, until [`Session::close`].
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.pftrace");
/// let session = novatrace::open(&path)?;
/// {
///     let _span = novatrace::trace!("matmul", m = 64, dtype = "fp16");
///     novatrace::instant!("checkpoint");
/// }
/// let report = session.close()?;
/// assert_eq!((report.events, report.lost), (2, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::AlreadyOpen`] while another session is open, which goes on;
/// [`ErrorKind::Create`] if the file cannot be made, and [`ErrorKind::Environment`] if
/// `NOVATRACE_COMPRESSION` names no compression: nothing is recorded then.
#[track_caller]
pub fn open(path: impl AsRef<Path>) -> Result<Session, Error> {
    Session::builder().create(path)
}

/// Makes a [`Session`] with choices of one's own.
///
/// ```
/// use novatrace::{Overflow, Session};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.pftrace");
/// let session = Session::builder()
///     .categories("io.*,-io.read")
///     .overflow(Overflow::Grow(64 << 20))
///     .attribute("commit", "4f2a")
///     .create(&path)?;
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder records nothing until `create` or `sink`"]
pub struct SessionBuilder {
    pub(super) config: Config,
    pub(super) categories: Option<String>,
    overflow: Overflow,
    capacity_bytes: usize,
    flush_on_panic: bool,
    pub(super) children: Option<Children>,
}

impl Default for SessionBuilder {
    fn default() -> Self {
        let mut config = TraceBuilder::default().into_config();
        config.open_slices = OpenSlices::Close;
        config.is_live = true;
        Self {
            config,
            categories: None,
            overflow: Overflow::default(),
            capacity_bytes: 4 << 20,
            flush_on_panic: false,
            children: None,
        }
    }
}

impl SessionBuilder {
    /// Which categories are recorded: globs between commas, where `*` is any number of characters,
    /// `?` is one, and a `-` before a glob takes its categories out. The last glob that matches a
    /// category decides; what none matches is in only if the first glob takes out. Everything, by
    /// default.
    ///
    /// The environment variable `NOVATRACE_CATEGORIES`, if it is set, takes the place of this list:
    /// so that whoever runs a program can choose.
    pub fn categories(mut self, globs: &str) -> Self {
        self.categories = Some(globs.to_owned());
        self
    }

    /// The size of each thread's buffer in bytes; 4 MiB by default, at least 4 KiB, at most 1 GiB,
    /// and rounded up to a power of two. A span without arguments takes 32 bytes. The memory is used
    /// as the worker falls behind, and not before.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes.min(1 << 30);
        self
    }

    /// What becomes of records for which there is no room; left out and counted by default.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// A fact about the trace; see [`TraceBuilder::attribute`].
    pub fn attribute(mut self, key: &str, value: impl Into<Attribute>) -> Self {
        self.config.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// What the process is called in the trace; the file name of its program by default.
    pub fn process_name(mut self, name: &str) -> Self {
        self.config.process_name = Some(name.into());
        self
    }

    /// When a batch goes to the sink; see [`TraceBuilder::batch`]. After so much time at the latest,
    /// what was recorded is in the file.
    pub fn batch(mut self, packets: usize, bytes: usize, time: Duration) -> Self {
        self.config.batch = Bounds::new(packets, bytes, time);
        self
    }

    /// Where the worker is: a thread by default.
    pub fn worker(mut self, worker: Worker) -> Self {
        self.config.worker = worker;
        self
    }

    /// How the trace is compressed; see [`TraceBuilder::compression`], also for the environment variable
    /// `NOVATRACE_COMPRESSION`.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// Whether a panic, of whatever thread, is recorded as an instant and flushes the trace; not so
    /// by default. Installs a panic hook, once, that calls the one before it.
    pub fn flush_on_panic(mut self, flush: bool) -> Self {
        self.flush_on_panic = flush;
        self
    }

    /// Goes on in another file when the one that is being written is large or old enough: for programs
    /// that run for days.
    pub fn rotate(mut self, rotate: Rotate) -> Self {
        self.config.rotate = Some(rotate);
        self
    }

    /// Creates the file, or empties the one that is there, and starts recording. With
    /// [`rotate`](Self::rotate), creates the first part, and removes those of an earlier trace of that path.
    /// A path can be that of a stream: see [`TraceBuilder::create`].
    ///
    /// # Errors
    ///
    /// Those of [`open`].
    #[track_caller]
    pub fn create(mut self, path: impl AsRef<Path>) -> Result<Session, Error> {
        let opened = Location::caller();
        // Before the file is touched: it could be the other session's.
        if let Some(first) = registry().session() {
            return Err(already_open(first));
        }
        // Before what is there is emptied.
        if self.config.rotate.is_some() {
            children::refuse(self.children)?;
        }
        let target = Target::open(path.as_ref(), &mut self.config)?;
        let children = children::share(&mut self.config, target.file(), self.children)?;
        let invitation = Invitation::new(&self, children, path.as_ref());
        self.start(|config| target.start(config), opened, Some(invitation))
    }

    /// Starts recording into any sink.
    ///
    /// # Errors
    ///
    /// Those of [`open`] but [`ErrorKind::Create`]; [`ErrorKind::RotatesNoSink`] with
    /// [`rotate`](Self::rotate).
    #[track_caller]
    pub fn sink(self, sink: impl Sink + 'static) -> Result<Session, Error> {
        rotate::refuse(&self.config)?;
        children::refuse(self.children)?;
        let destination = Destination::sink(sink, self.config.compression, None);
        self.start(|config| Link::start(config, destination), Location::caller(), None)
    }

    /// Starts recording into memory: see [`FlightRecorder`]. Nothing is written until
    /// [`Session::dump`], or what else the recorder is told to dump at.
    ///
    /// # Errors
    ///
    /// Those of [`open`] but [`ErrorKind::Create`]; [`ErrorKind::RotatesNoSink`] with
    /// [`rotate`](Self::rotate); [`ErrorKind::Signal`] for a signal that cannot be handled.
    #[track_caller]
    pub fn flight_recorder(mut self, recorder: FlightRecorder) -> Result<Session, Error> {
        rotate::refuse(&self.config)?;
        children::refuse(self.children)?;
        let opened = Location::caller();
        let (flight, requests) = Flight::new(recorder);
        let flight = Arc::new(flight);
        self.config.rotate = Some(flight.turns());
        self.config.flight = Some(Arc::clone(&flight));
        self.flush_on_panic |= flight.dumps_on_panic();
        self.config.compression = sink::compression(self.config.compression)?;
        let destination = Destination::Flight(Arc::clone(&flight));
        let start = |config| Link::start(config, destination);
        let session = self.start(start, opened, None)?;
        flight.hook_signals()?;
        flight.serve(session.live.link(), requests).map_err(ErrorKind::Worker)?;
        Ok(session)
    }

    pub(super) fn start(
        self,
        start: impl FnOnce(Config) -> Result<Arc<Link>, Error>,
        opened: &'static Location<'static>,
        invitation: Option<Invitation>,
    ) -> Result<Session, Error> {
        let clock = clock::prepare();
        exit::prepare();
        let categories = std::env::var("NOVATRACE_CATEGORIES").ok().or(self.categories);
        let filter = Filter::new(categories.as_deref().unwrap_or_default());
        // Held until the session is in its place, so that of two calls one is refused.
        let mut registry = registry();
        if let Some(first) = registry.session() {
            return Err(already_open(first));
        }
        let link = start(self.config)?;
        let live = Arc::new(Live {
            link,
            overflow: self.overflow,
            capacity_bytes: self.capacity_bytes,
            opened,
            late: AtomicU64::new(0),
            invitation,
        });
        registry.set_session(Some((Arc::clone(&live), filter)));
        drop(registry);
        if self.flush_on_panic {
            exit::hook_panics();
        }
        Ok(Session { live, clock })
    }
}

fn already_open(first: &Live) -> Error {
    ErrorKind::AlreadyOpen { first: first.opened.to_string() }.into()
}

/// A live recording. While it is there, `trace!` and its kind record; [`close`](Self::close) ends
/// it, and so does dropping it, without a word about what went wrong.
///
/// Spans that are open when it ends are shown up to that moment; those of a program that is killed, as not ended.
///
/// A forked child records nothing until it opens a session of its own, or [joins](crate::join) this one. If the process was starting threads
/// as it forked, the child may wait for ever for a lock of Rust's standard library: fork from a process
/// that starts none, or `exec`.
#[must_use = "recording ends when the session is dropped"]
pub struct Session {
    live: Arc<Live>,
    clock: ClockSource,
}

/// What became of a session's events, from [`Session::close`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// Spans, instants and counter samples that are in the trace.
    pub events: u64,
    /// Events that found no room in their thread's buffer, that were nested too deeply to be shown
    /// (500 spans), or whose thread was all but gone.
    pub lost: u64,
    /// Events that were recorded but are not with the sink, since it had failed.
    pub dropped: u64,
    /// Which threads lost events, as far as they did.
    pub losses: Vec<Loss>,
    /// Spans that were still open.
    pub left_open: u64,
    /// Threads that recorded anything.
    pub threads: u64,
    /// Extra lanes that were needed for spans of one track that overlap.
    pub lanes: u64,
    /// Packets in the trace; those in bundles count, and not the bundles.
    pub packets: u64,
    /// Bytes of the trace where it is: of the file, as it is compressed.
    pub bytes: u64,
    /// Parts that the trace is in: 1 unless it [rotates](SessionBuilder::rotate). The other numbers are of
    /// all parts, also those that are not kept.
    pub parts: u64,
}

impl Session {
    /// What processes that may join it are told; nothing in a forked child, or when it has ended.
    pub(super) fn invitation(&self) -> Option<Invitation> {
        let is_open = registry().session().is_some_and(|live| Arc::ptr_eq(live, &self.live));
        self.live.invitation().filter(|_| is_open).cloned()
    }

    /// For categories, capacity, and other choices.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Where this session's times come from.
    #[must_use]
    pub fn clock(&self) -> ClockSource {
        self.clock
    }

    /// Where the worker is, which need not be where it was asked for.
    #[must_use]
    pub fn worker(&self) -> Worker {
        self.live.link.worker()
    }

    /// Why the worker is a thread, though a process was asked for.
    #[must_use]
    pub fn worker_fallback(&self) -> Option<&str> {
        self.live.link.fallback()
    }

    /// Changes which categories are recorded, from the next event on; see
    /// [`SessionBuilder::categories`].
    pub fn set_categories(&self, globs: &str) {
        registry().set_filter(&self.live, Filter::new(globs));
    }

    /// Changes what batches have at most, and how long they wait: see [`SessionBuilder::batch`]. What was recorded
    /// before may be in batches of either kind; a [`flush`](Self::flush) in between settles it.
    pub fn set_batch(&self, packets: usize, bytes: usize, time: Duration) {
        self.live.link.tune(|tuning| tuning.batch = Bounds::new(packets, bytes, time));
    }

    /// What batches have at most at present, in packets and bytes, and how long they wait.
    #[must_use]
    pub fn batch(&self) -> (usize, usize, Duration) {
        let Bounds { packets, bytes, time } = self.live.link.tuning().batch;
        (packets, bytes, time)
    }

    /// Compresses otherwise from the next batch on, or no more: another level, another codec, whether or not the
    /// trace began with one. A file may have bundles of several kinds. Of a flight
    /// recorder, dumps are.
    pub fn set_compression(&self, compression: Compression) {
        self.live.link.tune(|tuning| tuning.compression = compression);
    }

    /// Waits until everything that was recorded before this call is with the sink.
    ///
    /// # Errors
    ///
    /// The first failure of the sink or the worker, also if it lies further back.
    pub fn flush(&self) -> Result<(), Error> {
        self.live.link.flush()
    }

    /// Writes what a [flight recorder](SessionBuilder::flight_recorder) has to a file, which is created or
    /// emptied: all that is left of what was recorded before this call. The calling thread writes; others
    /// go on, and so does the recording.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoFlightRecorder`] if the session has none; [`ErrorKind::Create`] and [`ErrorKind::Write`]
    /// for the file, and [`ErrorKind::WorkerPanicked`] if the worker failed: then the file has what there was.
    pub fn dump(&self, path: impl AsRef<Path>) -> Result<Dump, Error> {
        let link = self.live.link();
        let Some(flight) = &link.config.flight else {
            return Err(ErrorKind::NoFlightRecorder.into());
        };
        let flushed = link.flush();
        let dump = flight.dump(path.as_ref(), link)?;
        flushed.map(|()| dump)
    }

    /// Ends the recording and completes the file.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong. The file is as complete as can be all the same.
    pub fn close(self) -> Result<Report, Error> {
        let (report, error) = self.close_anyway();
        error.map_or(Ok(report), Err)
    }

    /// [`close`](Self::close) that reports also when something went wrong: how many events are not in the trace.
    #[must_use = "what went wrong is told here only"]
    pub fn close_anyway(self) -> (Report, Option<Error>) {
        let error = end(&self.live).err();
        if error.as_ref().is_some_and(|error| matches!(error.kind(), ErrorKind::Forked { .. })) {
            // What is known of it is its parent's, and may be locked for ever.
            return (Report::default(), error);
        }
        let stats = self.live.link.stats();
        let (threads, losses) = self.live.link.thread_report();
        let late = self.live.late.load(Ordering::Relaxed);
        let report = Report {
            events: stats.events,
            lost: stats.lost + late,
            dropped: stats.dropped,
            losses,
            left_open: stats.left_open,
            threads,
            lanes: stats.lanes,
            packets: stats.packets,
            bytes: stats.bytes,
            parts: stats.parts,
        };
        (report, error)
    }
}

/// Ends the session, if it has not ended yet.
pub(super) fn end(live: &Arc<Live>) -> Result<crate::Stats, Error> {
    {
        let mut registry = registry();
        if registry.session().is_some_and(|current| Arc::ptr_eq(current, live)) {
            registry.set_session(None);
        }
    }
    let finished = live.link.finish();
    if let Some(flight) = &live.link.config.flight
        && !matches!(&finished, Err(error) if matches!(error.kind(), ErrorKind::Forked { .. }))
    {
        flight.close();
        // A dump that was asked for may have failed.
        return live.link.finish();
    }
    finished
}

impl Drop for Session {
    fn drop(&mut self) {
        // There is nobody to tell; `close` is the way to know.
        let _ = end(&self.live);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opened = self.live.opened.to_string();
        f.debug_struct("Session").field("opened", &opened).finish_non_exhaustive()
    }
}
