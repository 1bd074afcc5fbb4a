//! A flight recorder: the last of a recording, kept in memory, and written to a file when it is asked for.
//! Belongs here: the parts in memory, and what asks for a dump. Does not: what is in a part
//! (`worker/parts.rs`), signals and panics (`profile/`).

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use novatrace_sink::{Compressed, FileSink, Sink, spawn_own};

use crate::error::{Error, ErrorKind};
use crate::rotate::Rotate;
use crate::worker::{Link, write_header};

/// Parts that the recording is held in: the oldest is given up whole.
const PARTS: usize = 8;
/// Without a limit of bytes.
const DEFAULT_BYTES: usize = 256 << 20;
/// A batch of so many bytes may become a chunk as it is; smaller ones are put together.
const MIN_WHOLE: usize = 32 << 10;

/// How much of a recording is kept in memory, and when it is written to a file: for
/// [`SessionBuilder::flight_recorder`](crate::SessionBuilder::flight_recorder).
///
/// A dump is a trace that opens by itself: it has all rows, and what was open when it begins, marked
/// `continued`. What lies before it is marked as lost (`TracePacket.previous_packet_dropped`), and its attribute
/// `overwritten_events` says how much that is. Recording goes on meanwhile.
///
/// In paths of dumps that nobody calls for, `{n}` is the dump's number, from 1, and `{pid}` the process. Without
/// `{n}`, the next dump takes the place of the one before.
///
/// ```
/// use std::time::Duration;
/// use novatrace::{FlightRecorder, Session};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("odd.pftrace");
/// # let slow = folder.path().join("slow-{n}.pftrace");
/// let recorder = FlightRecorder::bytes(64 << 20)
///     .or_seconds(30)
///     // A request that takes a second is worth a look, but not each of a thousand.
///     .dump_if_slower("request", Duration::from_secs(1), Duration::from_secs(60), &slow);
/// let session = Session::builder().flight_recorder(recorder)?;
/// for at in 0..1_000 {
///     let _span = novatrace::trace!("step", at = at);
/// }
/// let dump = session.dump(&path)?;
/// assert_eq!((dump.events, dump.overwritten), (1_000, 0));
/// session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a recorder records nothing until it is given to a session's builder"]
pub struct FlightRecorder {
    bytes: usize,
    time: Duration,
    on_signals: Vec<(i32, PathBuf)>,
    on_panic: Option<PathBuf>,
    slow: Vec<Slow>,
}

impl FlightRecorder {
    /// Keeps the last so many bytes, as they are in the file: some 25 for a span without arguments. Between 7/8 of
    /// them and all are there.
    pub fn bytes(bytes: usize) -> Self {
        let time = Duration::MAX;
        Self { bytes, time, on_signals: vec![], on_panic: None, slow: vec![] }
    }

    /// Keeps the last so many seconds, but no more than 256 MiB.
    pub fn seconds(seconds: u64) -> Self {
        Self { time: Duration::from_secs(seconds), ..Self::bytes(DEFAULT_BYTES) }
    }

    /// No more than so many bytes.
    pub fn or_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// No more than so many seconds.
    pub fn or_seconds(self, seconds: u64) -> Self {
        Self { time: Duration::from_secs(seconds), ..self }
    }

    /// Dumps when the process gets the signal, such as `SIGUSR1` (10 on Linux), whose number this is. The handler
    /// only sets a flag, and calls the handler before it, if there is one; the dump is written by a thread, within some 50 ms.
    /// It stays when the session is closed, so that the signal does not end the program then.
    #[cfg(unix)]
    pub fn dump_on_signal(mut self, signal: i32, path: impl AsRef<Path>) -> Self {
        self.on_signals.push((signal, path.as_ref().to_owned()));
        self
    }

    /// Dumps when a thread panics, before the panic hook that was there is called: with the panic as an instant,
    /// as with [`flush_on_panic`](crate::SessionBuilder::flush_on_panic).
    pub fn dump_on_panic(mut self, path: impl AsRef<Path>) -> Self {
        self.on_panic = Some(path.as_ref().to_owned());
        self
    }

    /// Dumps when a span of that name or category has taken at least `limit`, but not more often than once in
    /// `at_most_every`. May be called for several.
    pub fn dump_if_slower(
        mut self,
        what: &str,
        limit: Duration,
        at_most_every: Duration,
        path: impl AsRef<Path>,
    ) -> Self {
        let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let path = path.as_ref().to_owned();
        self.slow.push(Slow { what: what.to_owned(), limit_ns, at_most_every, path, last: None });
        self
    }
}

/// A kind of span that is watched.
#[derive(Debug, Clone)]
struct Slow {
    what: String,
    limit_ns: u64,
    at_most_every: Duration,
    path: PathBuf,
    last: Option<Instant>,
}

/// What became of a [`Session::dump`](crate::Session::dump).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dump {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Spans, instants and counter samples in it, those apart that began before it.
    pub events: u64,
    /// Events that were recorded before it, and are not in it.
    pub overwritten: u64,
}

/// The recording in memory, and the way to those who dump it.
#[derive(Debug)]
pub(crate) struct Flight {
    bytes: usize,
    time: Duration,
    state: Mutex<State>,
    slow: Mutex<Vec<Slow>>,
    /// The shortest limit of a span that is watched.
    pub(crate) slow_ns: u64,
    /// By signal, what its handler sets, and where to dump then.
    signals: Vec<(i32, Arc<AtomicBool>, PathBuf)>,
    on_panic: Option<PathBuf>,
    requests: Mutex<Option<Sender<PathBuf>>>,
    #[cfg(unix)]
    handlers: Mutex<Vec<signal_hook::SigId>>,
    /// Writes what is asked for.
    server: Mutex<Option<JoinHandle<()>>>,
    dumps: AtomicU64,
    uuid: OnceLock<u128>,
}

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Part>,
    bytes: usize,
    /// Events in parts that have been given up.
    overwritten: u64,
    /// Chunks to be filled again.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Part {
    since: Instant,
    /// Whole packets.
    chunks: Vec<Arc<Vec<u8>>>,
    /// Says that packets of its sequences are missing: for a dump that begins with the part.
    loss: Arc<Vec<u8>>,
    /// What was open when it began, as `loss`, and after how many of its chunks that belongs.
    carried: (usize, Arc<Vec<u8>>),
    /// Whether what is taken next comes after what was carried.
    is_cut: bool,
    bytes: usize,
    events: u64,
}

impl State {
    fn part(&mut self) -> &mut Part {
        if self.parts.is_empty() {
            self.begin();
        }
        self.parts.back_mut().expect("there is one")
    }

    fn begin(&mut self) {
        self.parts.push_back(Part {
            since: Instant::now(),
            chunks: Vec::new(),
            loss: Arc::default(),
            carried: (0, Arc::default()),
            is_cut: false,
            bytes: 0,
            events: 0,
        });
    }

    /// Gives up what is beyond the limits.
    fn forget(&mut self, bytes: usize, time: Duration) {
        while let Some(second) = self.parts.get(1)
            && (self.bytes > bytes || second.since.elapsed() > time)
            && let Some(first) = self.parts.pop_front()
        {
            self.bytes -= first.bytes;
            self.overwritten += first.events;
            for chunk in first.chunks {
                // Someone who is dumping may have it.
                if let Ok(mut chunk) = Arc::try_unwrap(chunk)
                    && self.spare.len() < 4
                {
                    chunk.clear();
                    self.spare.push(chunk);
                }
            }
        }
    }
}

impl Flight {
    /// Together with what gets the requests for dumps.
    pub(crate) fn new(recorder: FlightRecorder) -> (Self, Receiver<PathBuf>) {
        let FlightRecorder { bytes, time, on_signals, on_panic, slow } = recorder;
        let (requests, receiver) = channel();
        let signals = on_signals.into_iter();
        let signals = signals.map(|(signal, path)| (signal, Arc::default(), path)).collect();
        let flight = Self {
            bytes,
            time,
            state: Mutex::default(),
            slow_ns: slow.iter().map(|slow| slow.limit_ns).min().unwrap_or(u64::MAX),
            slow: Mutex::new(slow),
            signals,
            on_panic,
            requests: Mutex::new(Some(requests)),
            #[cfg(unix)]
            handlers: Mutex::default(),
            server: Mutex::default(),
            dumps: AtomicU64::new(0),
            uuid: OnceLock::new(),
        };
        (flight, receiver)
    }

    /// When the worker is to begin another part.
    pub(crate) fn turns(&self) -> Rotate {
        let parts = u32::try_from(PARTS).unwrap_or(1);
        Rotate::bytes((self.bytes / PARTS).max(1) as u64).or_every(self.time / parts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the worker's side ----

    /// The trace has this uuid, from which those of dumps count up.
    pub(crate) fn set_uuid(&self, uuid: u128) {
        let _ = self.uuid.set(uuid); // There is one worker.
    }

    /// What is taken from now on is of another part.
    pub(crate) fn begin_part(&self) {
        self.state().begin();
    }

    /// What a dump that begins with this part has to say before all of it, and after what has been taken of it
    /// so far.
    pub(crate) fn carry(&self, loss: Vec<u8>, carried: Vec<u8>) {
        let mut state = self.state();
        let part = state.part();
        part.loss = Arc::new(loss);
        part.carried = (part.chunks.len(), Arc::new(carried));
        // What comes is not to be added to what comes before.
        part.is_cut = true;
    }

    /// Keeps a batch of so many events, and empties it.
    pub(crate) fn take(&self, batch: &mut Vec<u8>, events: u64) {
        let mut state = self.state();
        let mut next = state.spare.pop();
        let (len, part) = (batch.len(), state.part());
        part.bytes += len;
        part.events += events;
        let is_cut = std::mem::take(&mut part.is_cut);
        let last = part.chunks.last_mut().filter(|_| !is_cut).and_then(Arc::get_mut);
        if let Some(last) = last
            && last.len() + len <= last.capacity()
        {
            last.append(batch);
        } else if len < MIN_WHOLE || len < batch.capacity() / 8 * 7 {
            // Too small, or much of it empty.
            let mut chunk = Vec::with_capacity(len.max(MIN_WHOLE));
            chunk.append(batch);
            part.chunks.push(Arc::new(chunk));
        } else {
            let mut next = next.take().unwrap_or_default();
            next.reserve(batch.capacity());
            part.chunks.push(Arc::new(std::mem::replace(batch, next)));
        }
        state.spare.extend(next);
        state.bytes += len;
        state.forget(self.bytes, self.time);
    }

    /// Asks for a dump, of whoever writes those.
    fn request(&self, path: &Path) {
        if let Some(requests) = &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = requests.send(path.to_owned()); // There is someone until there is no sender.
        }
    }

    /// Asks for the dumps that signals have asked for.
    pub(crate) fn follow_signals(&self) {
        for (_, flag, path) in &self.signals {
            if flag.swap(false, Ordering::Relaxed) {
                self.request(path);
            }
        }
    }

    /// A span has taken so long, which `is_called` tells what.
    pub(crate) fn took(&self, ns: u64, is_called: impl Fn(&str) -> bool) {
        for slow in &mut *self.slow.lock().unwrap_or_else(PoisonError::into_inner) {
            let is_due = slow.last.is_none_or(|last| last.elapsed() >= slow.at_most_every);
            if ns >= slow.limit_ns && is_due && is_called(&slow.what) {
                slow.last = Some(Instant::now());
                self.request(&slow.path);
            }
        }
    }

    // ---- of those who dump ----

    /// Writes what is there to a file.
    pub(crate) fn dump(&self, path: &Path, link: &Link) -> Result<Dump, Error> {
        let number = self.dumps.fetch_add(1, Ordering::Relaxed) + 1;
        let path = numbered(path, number);
        let file = FileSink::create(&path).map_err(ErrorKind::Create)?;
        let mut sink = Compressed::new(file, link.tuning().compression);
        let (chunks, events, overwritten) = self.kept();
        let mut header = vec![];
        let uuid = self.uuid.get().copied().unwrap_or_default().wrapping_add(number.into());
        write_header(
            &mut header,
            uuid,
            &link.config.attributes,
            Some(("overwritten_events", overwritten)),
        );
        let mut bytes = 0;
        let fail = |source, bytes| ErrorKind::Write { path: Some(path.clone()), bytes, source };
        for chunk in [&header].into_iter().chain(chunks.iter().map(|chunk| &**chunk)) {
            if !chunk.is_empty() {
                sink.write(chunk).map_err(|source| fail(source, bytes))?;
                bytes += chunk.len() as u64;
            }
        }
        sink.finish().map_err(|source| fail(source, bytes))?;
        let bytes = sink.stored_bytes().unwrap_or(bytes);
        Ok(Dump { path, bytes, events, overwritten })
    }

    /// What a dump says, how many events that is, and how many there were before.
    fn kept(&self) -> (Vec<Arc<Vec<u8>>>, u64, u64) {
        let mut state = self.state();
        state.forget(self.bytes, self.time);
        let mut chunks = Vec::new();
        for (at, part) in state.parts.iter().enumerate() {
            if at > 0 {
                chunks.extend_from_slice(&part.chunks);
            } else {
                let (place, carried) = &part.carried;
                let (start, rest) = part.chunks.split_at((*place).min(part.chunks.len()));
                chunks.push(Arc::clone(&part.loss));
                chunks.extend_from_slice(start);
                chunks.push(Arc::clone(carried));
                chunks.extend_from_slice(rest);
            }
        }
        (chunks, state.parts.iter().map(|part| part.events).sum(), state.overwritten)
    }

    pub(crate) fn dumps_on_panic(&self) -> bool {
        self.on_panic.is_some()
    }

    /// A thread panics, and has flushed.
    pub(crate) fn panicked(&self, link: &Link) -> Result<(), Error> {
        self.on_panic.as_ref().map_or(Ok(()), |path| self.dump(path, link).map(drop))
    }

    /// Has signals set their flags.
    #[cfg_attr(
        not(unix),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there are none")
    )]
    pub(crate) fn hook_signals(&self) -> Result<(), Error> {
        #[cfg(unix)]
        for (signal, flag, _) in &self.signals {
            // It panics for those.
            let handler = if signal_hook::consts::FORBIDDEN.contains(signal) {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "it cannot be handled"))
            } else {
                signal_hook::flag::register(*signal, Arc::clone(flag))
            };
            let handler =
                handler.map_err(|source| ErrorKind::Signal { signal: *signal, source })?;
            self.handlers.lock().unwrap_or_else(PoisonError::into_inner).push(handler);
        }
        Ok(())
    }

    /// Starts the thread that writes what is asked for.
    pub(crate) fn serve(
        self: &Arc<Self>,
        link: &Arc<Link>,
        requests: Receiver<PathBuf>,
    ) -> io::Result<()> {
        let (flight, link) = (Arc::clone(self), Arc::clone(link));
        let thread = spawn_own("novatrace-dump", move || {
            for path in requests {
                // What the worker has to say is told to those who flush and close.
                let _ = link.flush();
                if let Err(error) = flight.dump(&path, &link) {
                    link.fail(error);
                }
            }
        })?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Waits for the dumps that have been asked for; nobody can ask any more.
    pub(crate) fn close(&self) {
        #[cfg(unix)]
        for handler in self.handlers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            signal_hook::low_level::unregister(handler);
        }
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            let _ = server.join(); // It has told what went wrong.
        }
    }
}

/// `{n}` and `{pid}` in the path of a dump.
fn numbered(path: &Path, number: u64) -> PathBuf {
    match path.to_str() {
        Some(text) if text.contains('{') => {
            let text = text.replace("{n}", &number.to_string());
            text.replace("{pid}", &std::process::id().to_string()).into()
        }
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(bytes: usize) -> Flight {
        Flight::new(FlightRecorder::bytes(bytes)).0
    }

    fn text(flight: &Flight) -> String {
        let chunks = flight.kept().0;
        chunks.iter().map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect()
    }

    #[test]
    fn a_dump_has_what_was_carried_into_its_first_part_and_into_no_other() {
        let flight = flight(12);
        for part in ["a", "b", "c", "d"] {
            if part != "a" {
                flight.begin_part();
                flight.take(&mut part.to_uppercase().into_bytes(), 0);
                let [loss, carried] = ["before", "open in"].map(|what| format!("({what} {part})"));
                flight.carry(loss.into_bytes(), carried.into_bytes());
            }
            flight.take(&mut part.repeat(4).into_bytes(), 4);
            let expected = match part {
                "a" => ("aaaa", 4, 0),
                "b" => ("aaaaBbbbb", 8, 0),
                "c" => ("(before b)B(open in b)bbbbCcccc", 8, 4),
                _ => ("(before c)C(open in c)ccccDdddd", 8, 8),
            };
            let (_, events, overwritten) = flight.kept();
            assert_eq!((&*text(&flight), events, overwritten), expected);
        }
    }

    #[test]
    fn small_batches_fill_a_chunk_that_nobody_dumps() {
        let flight = flight(1 << 20);
        for _ in 0..100 {
            flight.take(&mut b"batch".to_vec(), 1);
        }
        assert_eq!(flight.state().part().chunks.len(), 1);
        let (dumped, ..) = flight.kept();
        flight.take(&mut b"another".to_vec(), 1);
        assert_eq!(flight.state().part().chunks.len(), 2);
        assert!(dumped.iter().all(|chunk| !chunk.ends_with(b"another")));
    }

    #[test]
    fn a_full_batch_is_kept_without_being_copied_and_its_place_taken_by_one_given_up() {
        let flight = flight(MIN_WHOLE);
        let mut batch = Vec::with_capacity(MIN_WHOLE);
        let mut places = vec![];
        for _ in 0..6 {
            batch.resize(MIN_WHOLE, 7);
            places.push(batch.as_ptr());
            flight.begin_part();
            flight.take(&mut batch, 1);
            assert!(batch.is_empty() && batch.capacity() >= MIN_WHOLE);
        }
        assert_eq!(flight.kept().0.iter().map(|chunk| chunk.len()).sum::<usize>(), MIN_WHOLE);
        places.sort_unstable();
        places.dedup();
        assert!(places.len() < 6, "{places:?}");
    }

    #[test]
    fn numbers_are_put_into_paths_that_ask_for_them() {
        let pid = std::process::id();
        assert_eq!(numbered(Path::new("a-{n}-{pid}.b"), 3), PathBuf::from(format!("a-3-{pid}.b")));
        assert_eq!(numbered(Path::new("a.b"), 3), Path::new("a.b"));
    }
}
