//! The program's side of a stream: takes batches at any time, and sends them when it can.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::address::{Address, Socket};
use super::frame::{Answer, COMPLETE, StreamId, write_batch, write_end, write_hello};
use super::spool::Spool;
use crate::Sink;
use crate::error::again;
use crate::random::random;
use crate::threads::spawn_own;

/// How long `flush` waits for the other side, and dropping a sink that is not finished.
const SHORT: Duration = Duration::from_secs(1);
/// What the other side may be silent for when it owes an answer; then it counts as gone.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What says that events are missing from here on: `TracePacket { trusted_packet_sequence_id: 1,
/// previous_packet_dropped: 257 }`.
const LOSS: [u8; 8] = [0x0A, 6, 0x50, 1, 0xD0, 0x02, 0x81, 0x02];

/// Sends batches to [`Receiver`](super::Receiver), such as `novatrace receive`, which has a file for each
/// stream; over TCP or a Unix socket.
///
/// It connects by itself, and again if the connection is lost: no batch is lost or doubled by that. What the
/// other side does not have yet waits in memory, and then in a file, which is gone with the process. If that is full, the
/// trace ends there, with a mark of the loss: what follows is left out and counted, and
/// [`finish`](Sink::finish) says so. The recording never waits for the other side, but for at most a second
/// in [`flush`](Sink::flush), and at the end.
///
/// ```
/// use novatrace_sink::{Address, Receiver, Sink, StreamSink};
///
/// # let folder = tempfile::tempdir()?;
/// let receiver = Receiver::bind(&["tcp://127.0.0.1:0".parse()?], folder.path())?;
/// let address: Address = receiver.addresses()[0].clone();
/// std::thread::spawn(move || receiver.run(|_| ()));
///
/// let mut sink = StreamSink::new(address, "example");
/// sink.write(b"whole packets")?;
/// sink.finish()?; // the receiver has it in a file
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StreamSink {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    spool: Option<Spool>,
    folder: PathBuf,
    spool_bytes: u64,
    patience: Duration,
}

struct Shared {
    address: Address,
    name: String,
    id: StreamId,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    spool: Option<Spool>,
    /// Batches that found no room, and all after them.
    lost: u64,
    /// Batches behind all others that are not the writer's: one at most, which marks a loss.
    marks: u64,
    /// The number of the next batch that this connection has not been given.
    sent: u64,
    /// Counts connections, so that an old one's end is not taken for the new one's.
    connection: u64,
    is_connected: bool,
    /// The connection, so that it can be closed from outside.
    socket: Option<Socket>,
    stage: Stage,
    /// The end has been sent on this connection.
    is_end_sent: bool,
    /// Nobody waits any more.
    is_closed: bool,
    /// Why the spool took no more, if it was not the limit.
    spool_fault: Option<io::Error>,
    /// Why there is no connection.
    fault: Option<io::Error>,
    /// Why there will never be one again.
    refusal: Option<io::Error>,
}

#[derive(Default, PartialEq, Eq)]
enum Stage {
    /// Batches may follow.
    #[default]
    Open,
    /// None will.
    Ending,
    /// The other side has everything.
    Done,
}

impl State {
    fn spool(&mut self) -> io::Result<&mut Spool> {
        self.spool.as_mut().ok_or_else(|| io::Error::other("the stream has not begun"))
    }

    /// The number of the first batch that the other side does not have, and of the next one.
    fn numbers(&self) -> (u64, u64) {
        self.spool.as_ref().map_or((0, 0), Spool::numbers)
    }

    fn waiting(&self) -> u64 {
        let (first, next) = self.numbers();
        next - first
    }

    fn refused(&self) -> io::Result<()> {
        self.refusal.as_ref().map_or(Ok(()), |error| Err(again(error)))
    }

    fn is_over(&self) -> bool {
        self.stage == Stage::Done || self.refusal.is_some()
    }
}

impl StreamSink {
    /// Sends to this address. The name is that of the file there, with something that tells streams of one
    /// name apart; best the program's.
    #[must_use]
    pub fn new(address: Address, name: &str) -> Self {
        let shared = Shared {
            address,
            name: name.to_owned(),
            id: random_id(),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            thread: None,
            spool: None,
            folder: std::env::temp_dir(),
            spool_bytes: 1 << 30,
            patience: SILENCE,
        }
    }

    /// How much may wait in a file while the other side is away, and in which folder that is: 1 GiB in the
    /// system's folder for temporary files by default. The file is made when it is needed, and has no name.
    #[must_use = "it is this sink that has the spool"]
    pub fn spool(mut self, folder: impl AsRef<Path>, bytes: u64) -> Self {
        folder.as_ref().clone_into(&mut self.folder);
        self.spool_bytes = bytes;
        self
    }

    /// How long [`finish`](Sink::finish) waits without getting any further: for a side that is away, or
    /// stalls. 10 seconds by default.
    #[must_use = "it is this sink that waits"]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    fn start(&mut self) -> io::Result<()> {
        if self.thread.is_some() {
            return Ok(());
        }
        let spool = self.spool.take().unwrap_or_else(|| Spool::new(&self.folder, self.spool_bytes));
        self.shared.state().spool = Some(spool);
        let shared = Arc::clone(&self.shared);
        self.thread = Some(spawn_own("novatrace-send", move || send(&shared))?);
        Ok(())
    }

    /// Waits until the other side has what was written, as long as it gets further within the time.
    fn wait(&self, patience: Duration, is_enough: impl Fn(&State) -> bool) -> bool {
        let mut state = self.shared.state();
        let (mut before, mut since) = (state.numbers(), now());
        while !is_enough(&state) {
            if state.is_over() {
                return is_enough(&state);
            }
            let numbers = state.numbers();
            if numbers != before {
                (before, since) = (numbers, now());
            }
            let Some(left) = patience.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
            else {
                return false;
            };
            let waited = self.shared.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

impl Sink for StreamSink {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.start()?;
        let mut state = self.shared.state();
        state.refused()?;
        let is_kept = state.lost == 0
            && state.spool()?.push(batch).unwrap_or_else(|error| {
                state.spool_fault = Some(error);
                false
            });
        state.lost += u64::from(!is_kept);
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn pending(&self) -> usize {
        let state = self.shared.state();
        let waiting = state.waiting().saturating_sub(state.marks);
        usize::try_from(waiting + state.lost).unwrap_or(usize::MAX)
    }

    /// Waits for a second at most; [`pending`](Sink::pending) says what is on its way still.
    fn flush(&mut self) -> io::Result<()> {
        self.start()?;
        self.wait(SHORT, |state| state.waiting() == 0);
        self.shared.state().refused()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.start()?;
        {
            let mut state = self.shared.state();
            if state.lost > 0 && state.marks == 0 {
                // In the place of what found none.
                state.marks = 1;
                state.spool()?.push_always(&LOSS);
            }
            if state.stage == Stage::Open {
                state.stage = Stage::Ending;
            }
        }
        self.shared.changed.notify_all();
        let is_done = self.wait(self.patience, |state| state.stage == Stage::Done);
        let mut state = self.shared.state();
        state.refused()?;
        if is_done && state.lost == 0 {
            return Ok(());
        }
        let address = &self.shared.address;
        if state.lost > 0 {
            let (kind, why) = match &state.spool_fault {
                Some(fault) => {
                    (fault.kind(), format!("in `{}` failed: {fault}", self.folder.display()))
                }
                None => {
                    (io::ErrorKind::StorageFull, format!("was full at {} bytes", self.spool_bytes))
                }
            };
            let lost = state.lost;
            let message = format!("the spool for `{address}` {why}; {lost} batches were left out");
            return Err(io::Error::new(kind, message));
        }
        let why = match state.fault.take() {
            Some(fault) => fault.to_string(),
            None => "it does not answer".to_owned(),
        };
        let waiting = state.waiting();
        let message = format!("{waiting} batches did not get to `{address}` in time: {why}");
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    }
}

impl Drop for StreamSink {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            if self.shared.state().stage == Stage::Open {
                self.wait(SHORT, |state| state.waiting() == 0 || !state.is_connected);
            }
            {
                let mut state = self.shared.state();
                state.is_closed = true;
                if let Some(socket) = &state.socket {
                    socket.close();
                }
            }
            self.shared.changed.notify_all();
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for StreamSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.shared.address.to_string();
        f.debug_struct("StreamSink").field("address", &address).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_time`, at most so long; `false` if there is nothing more to do.
    fn pause(&self, time: Duration) -> bool {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, time, |state| !state.is_closed && !state.is_over());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_closed && !state.is_over()
    }
}

/// The thread: connects, sends, and connects again.
fn send(shared: &Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let before = shared.state().numbers().0;
        let outcome = connection(shared);
        let mut state = shared.state();
        state.is_connected = false;
        state.socket = None;
        if state.numbers().0 > before {
            pause = FIRST_PAUSE;
        }
        if let Err(fault) = outcome {
            state.fault = Some(fault);
        }
        drop(state);
        shared.changed.notify_all();
        if !shared.pause(pause) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection, until it is lost or everything is done.
fn connection(shared: &Arc<Shared>) -> io::Result<()> {
    let mut socket = Socket::connect(&shared.address)?;
    socket.set_timeouts(Some(SILENCE), Some(SILENCE))?;
    let first = shared.state().numbers().0;
    write_hello(&mut socket, shared.id, first, &shared.name)?;
    let mut answers = socket.try_clone()?;
    let number = {
        let mut state = shared.state();
        state.connection += 1;
        state.socket = Some(socket.try_clone()?);
        state.is_end_sent = false;
        state.connection
    };
    match Answer::read(&mut answers)? {
        Some(answer) => take(shared, answer)?,
        None => return Err(io::ErrorKind::ConnectionAborted.into()),
    }
    {
        let mut state = shared.state();
        state.sent = state.numbers().0;
        state.is_connected = true;
        state.fault = None;
    }
    // Answers may be long in coming when there is nothing to answer to.
    socket.set_timeouts(None, Some(SILENCE))?;
    let for_reader = Arc::clone(shared);
    let reader = spawn_own("novatrace-acks", move || {
        let outcome = loop {
            match Answer::read(&mut answers) {
                Ok(Some(answer)) => {
                    if let Err(error) = take(&for_reader, answer) {
                        break error;
                    }
                }
                Ok(None) => break io::ErrorKind::ConnectionAborted.into(),
                Err(error) => break error,
            }
        };
        let mut state = for_reader.state();
        if state.connection == number {
            state.is_connected = false;
            state.fault = Some(outcome);
        }
        drop(state);
        for_reader.changed.notify_all();
    })?;
    let outcome = send_all(shared, &mut socket);
    socket.close();
    let _ = reader.join();
    outcome
}

/// What the other side says.
fn take(shared: &Shared, answer: Answer) -> io::Result<()> {
    let mut state = shared.state();
    let (first, next) = state.numbers();
    let outcome = match answer {
        Answer::Done => {
            state.spool()?.forget_before(next);
            state.stage = Stage::Done;
            Ok(())
        }
        Answer::Next(COMPLETE) if state.stage != Stage::Open => {
            state.spool()?.forget_before(next);
            state.stage = Stage::Done;
            Ok(())
        }
        Answer::Next(number) if (first..=next).contains(&number) => {
            state.spool()?.forget_before(number);
            Ok(())
        }
        Answer::Next(number) => {
            let message = format!("`{}` wants batch {number} of {first} to {next}", shared.address);
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        Answer::Refused(why) => {
            let message = format!("`{}` refused the trace: {why}", shared.address);
            state.refusal = Some(io::Error::other(message));
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    };
    drop(state);
    shared.changed.notify_all();
    outcome
}

/// Sends what there is, as it comes.
fn send_all(shared: &Shared, socket: &mut Socket) -> io::Result<()> {
    let mut batch = Vec::new();
    // Since when there is no answer to what was sent.
    let (mut answered, mut since) = (0, now());
    loop {
        let mut state = shared.state();
        let number = loop {
            if state.is_over() || state.is_closed {
                return Ok(());
            }
            if !state.is_connected {
                return Err(state
                    .fault
                    .take()
                    .unwrap_or_else(|| io::ErrorKind::NotConnected.into()));
            }
            let (first, next) = state.numbers();
            if first != answered || (first == state.sent && !state.is_end_sent) {
                (answered, since) = (first, now());
            } else if since.elapsed() > SILENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if state.sent < next {
                break Some(state.sent);
            }
            if state.stage == Stage::Ending && !state.is_end_sent {
                break None;
            }
            let waited = shared.changed.wait_timeout(state, SILENCE / 4);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        };
        if let Some(number) = number {
            state.spool()?.read(number, &mut batch)?;
            state.sent += 1;
            drop(state);
            write_batch(socket, number, &batch)?;
        } else {
            let (batches, lost) = (state.numbers().1, state.lost);
            state.is_end_sent = true;
            drop(state);
            write_end(socket, batches, lost)?;
        }
    }
}

/// Tells this stream from all others.
fn random_id() -> StreamId {
    let mut id = StreamId::default();
    for (half, number) in id.chunks_mut(8).zip(random::<2>()) {
        half.copy_from_slice(&number.to_le_bytes());
    }
    id
}

/// When something was waited for; never a time in a trace.
fn now() -> Instant {
    Instant::now()
}
