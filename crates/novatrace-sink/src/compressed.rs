//! Compression, between the worker and any sink.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::bundle::Bundler;
use crate::error::again;
use crate::panics::caught;
use crate::threads::spawn_own;
use crate::{Compression, Sink};

/// What may wait to be compressed; then `write` waits.
const MAX_QUEUED: usize = 2 << 20;
/// Batches that wait are put into one bundle, as long as they have so many bytes together: small ones
/// compress badly.
const JOINED: usize = 256 << 10;
/// How often a sink that is itself not done with its batches is asked.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Compresses batches, each into a bundle, on a thread of its own, and hands them to another sink. A
/// batch is with that sink as a whole or not at all, and so a file that is cut is readable up to its last
/// whole bundle.
///
/// The thread begins with the first batch that is compressed: as long as there is [`Compression::None`] from the start,
/// batches go to the sink as they are, by whoever writes them. Batches that have to wait for the thread may share a bundle;
/// one that has more than 512 KiB is split into several between packets.
///
/// ```
/// use novatrace_sink::{Compressed, Compression, FileSink, Sink};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.pftrace");
/// let mut sink = Compressed::new(FileSink::create(&path)?, Compression::ZLIB);
/// sink.write(&b"\x0A\x06packet".repeat(100))?; // whole packets
/// sink.finish()?;
/// assert_eq!(sink.stored_bytes(), Some(std::fs::metadata(&path)?.len()));
/// # assert!(sink.stored_bytes() < Some(50));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Compressed<S> {
    compression: Compression,
    /// Until the thread has it.
    sink: Option<Taker<S>>,
    /// Nothing has been compressed so far.
    is_direct: bool,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Buffers of batches that are done.
    free: Vec<Vec<u8>>,
    queued_bytes: usize,
    /// Batches that have not arrived.
    pending: usize,
    stored_bytes: u64,
    asked: u64,
    answered: u64,
    /// What went wrong, until it is told.
    error: Option<io::Error>,
    /// Nothing will be taken any more.
    is_over: bool,
    /// The thread is to end when nothing is left to do.
    is_closed: bool,
}

enum Job {
    /// So many batches.
    Write(Vec<u8>, usize),
    /// What comes is compressed by this.
    Become(Box<Bundler>),
    Flush,
    Finish,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Sink + 'static> Compressed<S> {
    /// In front of a sink.
    pub fn new(sink: S, compression: Compression) -> Self {
        let sink = Taker { sink, taken: VecDeque::new(), stored_bytes: 0 };
        let is_direct = compression == Compression::None;
        Self { compression, sink: Some(sink), is_direct, thread: None, shared: Arc::default() }
    }

    /// Compresses otherwise from the next batch on, or no more.
    ///
    /// # Errors
    ///
    /// There is no memory for it, or no thread. No batch is to follow.
    pub fn set_compression(&mut self, compression: Compression) -> io::Result<()> {
        self.compression = compression;
        if self.thread.is_some() {
            let job = Job::Become(Box::new(Bundler::new(compression)?));
            self.shared.state().jobs.push_back(job);
            self.shared.changed.notify_all();
        } else if self.is_direct && compression != Compression::None {
            // At once: what the sink took without it may not have arrived.
            self.start()?;
            self.is_direct = false;
        }
        Ok(())
    }

    /// The sink, as long as there is no thread in between.
    fn direct(&self) -> Option<&Taker<S>> {
        self.sink.as_ref().filter(|_| self.is_direct)
    }

    fn direct_mut(&mut self) -> Option<&mut Taker<S>> {
        self.sink.as_mut().filter(|_| self.is_direct)
    }

    fn start(&mut self) -> io::Result<()> {
        if self.sink.is_none() {
            return Ok(());
        }
        let bundler = Bundler::new(self.compression)?;
        let Some(sink) = self.sink.take() else { return Ok(()) };
        {
            // What it has taken without a thread.
            let mut state = self.shared.state();
            state.pending = sink.taken.iter().map(|(batches, _)| batches).sum();
            state.stored_bytes = sink.stored_bytes;
        }
        let packer = Packer { sink, bundler, packed: Vec::new() };
        let shared = Arc::clone(&self.shared);
        self.thread = Some(spawn_own("novatrace-pack", move || packer.run(&shared))?);
        Ok(())
    }

    /// Waits for what is in the queue, and for the sink behind it.
    fn ask(&mut self, job: Job) -> io::Result<()> {
        self.start()?;
        let mut state = self.shared.state();
        if !state.is_over {
            state.jobs.push_back(job);
            state.asked += 1;
            let mine = state.asked;
            self.shared.changed.notify_all();
            while state.answered < mine && !state.is_over {
                state = self.shared.wait(state);
            }
        }
        state.outcome()
    }
}

impl<S: Sink + 'static> Sink for Compressed<S> {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if let Some(sink) = self.direct_mut() {
            sink.write(batch, 1)?;
            sink.settle();
            return Ok(());
        }
        self.start()?;
        let mut state = self.shared.state();
        while state.queued_bytes >= MAX_QUEUED && !state.is_over {
            state = self.shared.wait(state);
        }
        if state.is_over {
            state.outcome()?;
            return Err(io::Error::other("the trace has been finished"));
        }
        state.queued_bytes += batch.len();
        state.pending += 1;
        match state.jobs.back_mut() {
            Some(Job::Write(bytes, batches)) if bytes.len() + batch.len() <= JOINED => {
                bytes.extend_from_slice(batch);
                *batches += 1;
            }
            _ => {
                let mut bytes = state.free.pop().unwrap_or_default();
                bytes.extend_from_slice(batch);
                state.jobs.push_back(Job::Write(bytes, 1));
                self.shared.changed.notify_all();
            }
        }
        Ok(())
    }

    fn pending(&self) -> usize {
        match self.direct() {
            Some(direct) => direct.sink.pending(),
            None => self.shared.state().pending,
        }
    }

    fn stored_bytes(&self) -> Option<u64> {
        match self.direct() {
            Some(direct) => direct.sink.stored_bytes(),
            None => Some(self.shared.state().stored_bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.direct_mut() {
            Some(direct) => direct.sink.flush(),
            None => self.ask(Job::Flush),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.direct_mut() {
            Some(direct) => direct.sink.finish(),
            None => self.ask(Job::Finish),
        }
    }
}

impl State {
    /// The first error, with all it says the first time.
    fn outcome(&mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => {
                self.error = Some(again(&error));
                Err(error)
            }
            None => Ok(()),
        }
    }
}

impl<S> Drop for Compressed<S> {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.changed.notify_all();
        // What is behind it is closed when this is gone.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Compressed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Compressed");
        let sink = self.sink.as_ref().map(|it| &it.sink);
        f.field("compression", &self.compression).field("sink", &sink).finish_non_exhaustive()
    }
}

/// A sink, and what it took.
struct Taker<S> {
    sink: S,
    /// What it may not be done with: how many batches, and their bytes there.
    taken: VecDeque<(usize, u64)>,
    /// Bytes of what has arrived.
    stored_bytes: u64,
}

impl<S: Sink> Taker<S> {
    /// So many batches, in one call: a sink has all of what it is given, or nothing.
    fn write(&mut self, bytes: &[u8], batches: usize) -> io::Result<()> {
        self.sink.write(bytes)?;
        self.taken.push_back((batches, bytes.len() as u64));
        Ok(())
    }

    /// How many batches have arrived since it was asked last.
    fn settle(&mut self) -> usize {
        let sink = &self.sink;
        let asked = caught(|| Ok((sink.pending(), sink.stored_bytes())));
        let Ok((pending, stored)) = asked else { return 0 };
        let mut arrived = 0;
        while self.taken.len() > pending
            && let Some((batches, bytes)) = self.taken.pop_front()
        {
            arrived += batches;
            self.stored_bytes += bytes;
        }
        self.stored_bytes = stored.unwrap_or(self.stored_bytes);
        arrived
    }
}

/// The thread's side.
struct Packer<S> {
    sink: Taker<S>,
    bundler: Bundler,
    packed: Vec<u8>,
}

impl<S: Sink> Packer<S> {
    fn run(mut self, shared: &Shared) {
        while let Some(mut job) = self.next_job(shared) {
            let is_last = matches!(job, Job::Finish);
            let done = caught(|| self.do_job(&mut job));
            let mut state = shared.state();
            self.settle(&mut state);
            match job {
                Job::Write(mut bytes, _) => {
                    state.queued_bytes -= bytes.len();
                    bytes.clear();
                    state.free.push(bytes);
                }
                Job::Become(_) => {}
                Job::Flush | Job::Finish => state.answered += 1,
            }
            state.is_over = is_last || done.is_err();
            state.error = done.err();
            shared.changed.notify_all();
            if state.is_over {
                return;
            }
        }
    }

    fn next_job(&mut self, shared: &Shared) -> Option<Job> {
        let mut state = shared.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            if self.sink.taken.is_empty() {
                state = shared.wait(state);
            } else {
                let waited = shared.changed.wait_timeout(state, ASK_AGAIN);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                self.settle(&mut state);
            }
        }
    }

    fn do_job(&mut self, job: &mut Job) -> io::Result<()> {
        match job {
            Job::Write(bytes, batches) => {
                self.packed.clear();
                self.bundler.bundle(bytes, &mut self.packed)?;
                self.sink.write(&self.packed, *batches)
            }
            Job::Become(bundler) => {
                std::mem::swap(&mut self.bundler, bundler);
                Ok(())
            }
            Job::Flush => self.sink.sink.flush(),
            Job::Finish => self.sink.sink.finish(),
        }
    }

    /// Counts what has arrived.
    fn settle(&mut self, state: &mut State) {
        state.pending -= self.sink.settle();
        state.stored_bytes = self.sink.stored_bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a batch when it is allowed to, and fails when that is over.
    #[derive(Debug)]
    struct Slow {
        allowed: mpsc::Receiver<()>,
        taken: mpsc::Sender<Vec<u8>>,
    }

    impl Sink for Slow {
        fn write(&mut self, batch: &[u8]) -> io::Result<()> {
            self.allowed.recv().map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
            self.taken.send(batch.to_vec()).map_err(io::Error::other)
        }
    }

    fn slow(
        compression: Compression,
    ) -> (Compressed<Slow>, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
        let (allow, allowed) = mpsc::channel();
        let (taken, take) = mpsc::channel();
        // On a thread in any case.
        let mut sink = Compressed::new(Slow { allowed, taken }, Compression::ZLIB);
        sink.set_compression(compression).expect("there is memory");
        (sink, allow, take)
    }

    fn packet(len: u8) -> Vec<u8> {
        [&[0x0A, len][..], &vec![7; len.into()]].concat()
    }

    #[test]
    fn the_writer_does_not_wait_until_the_queue_is_full_and_what_waits_is_put_together() {
        let (mut sink, allow, take) = slow(Compression::None);
        for len in 1..=100 {
            sink.write(&packet(len)).expect("it waits in the queue");
        }
        assert_eq!(sink.pending(), 100);
        for _ in 0..100 {
            allow.send(()).expect("it listens");
        }
        sink.flush().expect("allowed");
        let all: Vec<u8> = (1..=100).flat_map(packet).collect();
        let parts: Vec<_> = take.try_iter().collect();
        assert_eq!(parts.concat(), all);
        // The thread may have taken one before the others came.
        assert!(parts.len() <= 3, "{}", parts.len());
        assert_eq!((sink.pending(), sink.stored_bytes()), (0, Some(all.len() as u64)));
    }

    #[test]
    fn after_a_failure_pending_are_those_that_have_not_arrived() {
        for compression in [Compression::None, Compression::ZLIB] {
            let (mut sink, allow, take) = slow(compression);
            let large = packet(100).repeat(JOINED / 102);
            for _ in 0..5 {
                sink.write(&large).expect("it waits in the queue");
            }
            allow.send(()).expect("it listens");
            allow.send(()).expect("it listens");
            drop(allow);
            let error = sink.flush().expect_err("the third was not taken");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            let arrived: usize = take.try_iter().map(|part| part.len()).sum();
            assert_eq!((sink.pending(), sink.stored_bytes()), (3, Some(arrived as u64)));
            let error = sink.write(&large).expect_err("it has failed");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            let error = sink.finish().expect_err("it has failed");
            assert_eq!((error.kind(), sink.pending()), (io::ErrorKind::StorageFull, 3));
        }
    }

    #[test]
    fn what_is_no_packet_is_an_error_and_not_in_the_file() {
        let (mut sink, allow, take) = slow(Compression::ZLIB);
        allow.send(()).expect("it listens");
        sink.write(b"no packet").expect("nobody has looked");
        let error = sink.finish().expect_err("no packet");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!((sink.pending(), take.try_iter().count()), (1, 0));
    }

    /// A side that has what it is given when it says so.
    #[derive(Debug, Clone, Default)]
    struct Far(Arc<Mutex<(Vec<Vec<u8>>, usize)>>);

    impl Sink for Far {
        fn write(&mut self, batch: &[u8]) -> io::Result<()> {
            self.0.lock().expect("not poisoned").0.push(batch.to_vec());
            Ok(())
        }

        fn pending(&self) -> usize {
            let far = self.0.lock().expect("not poisoned");
            far.0.len() - far.1
        }

        fn flush(&mut self) -> io::Result<()> {
            let mut far = self.0.lock().expect("not poisoned");
            far.1 = far.0.len();
            Ok(())
        }
    }

    #[test]
    fn what_was_taken_before_there_was_a_thread_counts_until_it_has_arrived() {
        let far = Far::default();
        let mut sink = Compressed::new(far.clone(), Compression::None);
        let (plain, packets) = (packet(100), packet(50).repeat(100));
        sink.write(&plain).expect("taken");
        sink.write(&plain).expect("taken");
        assert_eq!((sink.pending(), sink.stored_bytes()), (2, None));
        far.0.lock().expect("not poisoned").1 = 1;
        sink.set_compression(Compression::ZLIB).expect("there is memory");
        assert!((1..=2).contains(&sink.pending()), "one is on its way");
        sink.write(&packets).expect("taken");
        sink.flush().expect("all arrives");
        assert_eq!(sink.pending(), 0);
        sink.set_compression(Compression::None).expect("there is memory");
        sink.write(&packets).expect("taken");
        sink.finish().expect("all arrives");
        let batches = far.0.lock().expect("not poisoned").0.clone();
        assert_eq!(batches.len(), 4);
        assert_eq!([&batches[0], &batches[1], &batches[3]], [&plain, &plain, &packets]);
        assert!(batches[2].len() < 200, "{} bytes", batches[2].len());
        let all = batches.iter().map(|batch| batch.len() as u64).sum();
        assert_eq!(sink.stored_bytes(), Some(all));
    }

    #[derive(Debug)]
    struct Panics;

    impl Sink for Panics {
        fn write(&mut self, _: &[u8]) -> io::Result<()> {
            panic!("no such luck")
        }
    }

    #[test]
    fn a_panic_behind_it_is_an_error() {
        let mut sink = Compressed::new(Panics, Compression::ZLIB);
        sink.write(&packet(5)).expect("it waits in the queue");
        let error = sink.finish().expect_err("it panicked");
        assert_eq!(error.to_string(), "the sink panicked: no such luck");
        assert_eq!(sink.pending(), 1);
    }

    #[test]
    fn what_was_taken_arrives_even_if_nobody_finishes() {
        let (mut sink, allow, take) = slow(Compression::ZLIB);
        sink.write(&packet(5)).expect("it waits in the queue");
        allow.send(()).expect("it listens");
        drop(sink);
        assert_eq!(take.iter().count(), 1);
    }
}
