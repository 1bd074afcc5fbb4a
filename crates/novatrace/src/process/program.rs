//! The program's side.

use std::fs::{File, Metadata};
use std::io::{self, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::arena::{Arena, REPLY_BYTES};
use super::control::{Control, DONE, READY};
use super::log::Sender;
use super::message::{Hello, Message, Numbers, ReportFacts, RingFacts};
use super::{LAYOUT, spawn};
use novatrace_sink::{FileSink, SharedFile, Turns};

use crate::error::Error;
use crate::name;
use crate::profile::{self, ClockSource};
use crate::record::Ring;
use crate::worker::{Config, Shared, Stats};

/// How long a worker may take to start.
const START: Duration = Duration::from_secs(10);
/// How often somebody who waits looks whether the worker is still there.
const LOOK: Duration = Duration::from_millis(20);

/// A worker in another process, as the program knows it.
#[derive(Debug)]
pub(crate) struct Program {
    arena: Arc<Arena>,
    sender: Mutex<Sender>,
    /// This process, which is not that of a forked child.
    process: u32,
    worker: OwnedFd,
    is_dead: AtomicBool,
    /// The trace, for what the worker leaves if it is killed.
    file: File,
    path: PathBuf,
    has_parts: bool,
    /// By which processes that write to the file take turns.
    turns: Option<Turns>,
    kept: Mutex<Kept>,
    /// Closed when the program is gone or becomes another.
    _life: PipeWriter,
}

/// Who is told of names that are registered; changed while the registry of names is locked.
static LISTENERS: Mutex<Vec<Weak<Program>>> = Mutex::new(Vec::new());

fn listeners() -> MutexGuard<'static, Vec<Weak<Program>>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name was registered; the registry is locked.
pub(crate) fn tell_name(text: &str) {
    let mut listeners = listeners();
    listeners.retain(|program| {
        let program = program.upgrade();
        if let Some(program) = &program {
            program.send(&Message::Name(text.to_owned()));
        }
        program.is_some()
    });
}

/// The rings that a worker has, for whoever takes its place.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) rings: Vec<Arc<Ring>>,
    /// Of rings that are over: events that were taken, and events that had found no room.
    pub(crate) events: u64,
    pub(crate) lost: u64,
}

impl Kept {
    /// Forgets the rings that the worker has given back, before they are taken again.
    fn retire(&mut self) {
        let Self { rings, events, lost } = self;
        rings.retain(|ring| {
            let is_over = ring.is_given_back();
            if is_over {
                *events += ring.events_taken();
                *lost += ring.lost();
            }
            !is_over
        });
    }
}

impl Program {
    /// Starts a worker that writes to `file`.
    pub(crate) fn start(
        config: &Config,
        sink: &FileSink,
        numbers: Numbers,
    ) -> io::Result<Arc<Self>> {
        let (file, path) = (sink.file(), sink.path().to_owned());
        profile::prepare_for_forks();
        let (arena, memory) = Arena::create()?;
        arena.control().layout.store(LAYOUT, Ordering::Release);
        let (worker, life) = spawn::start(memory, file, |life| {
            let pid = || arena.control().pid.load(Ordering::Acquire);
            wait(arena.control(), START, || pid() != 0 || spawn::is_over(life));
            pid()
        })?;
        let program = Arc::new(Self {
            arena,
            sender: Mutex::default(),
            process: std::process::id(),
            worker,
            is_dead: AtomicBool::new(false),
            file: file.try_clone()?,
            path: path.clone(),
            has_parts: config.rotate.is_some(),
            turns: config.shared.as_ref().map(Shared::turns),
            kept: Mutex::default(),
            _life: life,
        });
        name::with_all(|texts| {
            for text in texts {
                program.send(&Message::Name((*text).to_owned()));
            }
            listeners().push(Arc::downgrade(&program));
        });
        let is_counter = profile::prepare_clock() == ClockSource::Counter;
        program.send(&Message::Hello(Box::new(Hello::new(
            config,
            Some(path),
            is_counter,
            numbers,
        ))));
        let control = program.control();
        wait(control, START, || {
            control.state.load(Ordering::Acquire) >= READY || !program.is_alive()
        });
        if control.state.load(Ordering::Acquire) < READY {
            return Err(io::Error::other("the worker's process did not get ready"));
        }
        Ok(program)
    }

    fn control(&self) -> &Control {
        self.arena.control()
    }

    /// Tells the worker. Not from a forked child.
    pub(crate) fn send(&self, message: &Message) {
        if self.process == std::process::id() && !self.is_dead() {
            let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            sender.send(&self.arena, message, || !self.is_alive());
        }
    }

    /// A ring of at least so many bytes, of which the worker is still to be told.
    pub(crate) fn ring(&self, bytes: usize) -> Option<(Arc<Ring>, RingFacts)> {
        let words = Ring::words_for(bytes);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retire();
        let block = self.arena.alloc(Ring::block_bytes(words))?;
        let facts = RingFacts { offset: block.offset(), words: words as u64 };
        let ring = Ring::in_block(block, words, true);
        kept.rings.push(Arc::clone(&ring));
        Some((ring, facts))
    }

    /// Once the worker is gone: its rings, and what it had taken of those that are over.
    pub(crate) fn take_over(&self) -> Kept {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retire();
        std::mem::take(&mut kept)
    }

    /// The trace, as it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn wake(&self) {
        self.control().ring();
    }

    pub(crate) fn wake_if_asleep(&self) {
        self.control().ring_if_asleep();
    }

    /// Whether it has been said that the worker is gone.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Acquire)
    }

    /// Says that the worker is gone; whether this is the first to say so.
    pub(crate) fn bury(&self) -> bool {
        !self.is_dead.swap(true, Ordering::AcqRel)
    }

    /// Looks whether the worker is there. One that is done is.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_done() || !spawn::is_over(&self.worker)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.control().state.load(Ordering::Acquire) == DONE
    }

    /// Asks for a flush, which has the number that this returns.
    pub(crate) fn ask_flush(&self) -> u64 {
        let number = self.control().flushes_asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        number
    }

    pub(crate) fn ask_finish(&self) {
        self.control().finish_asked.store(1, Ordering::Release);
        self.wake();
    }

    /// Waits until a flush is answered, or all is done, or the worker is gone.
    pub(crate) fn wait_for_flush(&self, number: u64) {
        let control = self.control();
        wait(control, Duration::MAX, || {
            control.flushes_done.load(Ordering::Acquire) >= number || self.is_over()
        });
    }

    /// Waits until all is done, or the worker is gone.
    pub(crate) fn wait_for_finish(&self) {
        wait(self.control(), Duration::MAX, || self.is_over());
    }

    fn is_over(&self) -> bool {
        self.is_done() || !self.is_alive()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.control().stats()
    }

    /// The first error, if there has been one.
    pub(crate) fn error(&self) -> Option<Error> {
        let bytes = self.control().error_bytes.load(Ordering::Acquire) as usize;
        let facts: super::ErrorFacts = postcard::from_bytes(self.reply(0, bytes)?).ok()?;
        Some(facts.into())
    }

    /// Of the threads, when all is done.
    pub(crate) fn report(&self) -> ReportFacts {
        let bytes = self.control().report_bytes.load(Ordering::Acquire) as usize;
        let report = self.reply(REPLY_BYTES / 2, bytes);
        report.and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or_default()
    }

    fn reply(&self, at: usize, bytes: usize) -> Option<&[u8]> {
        if bytes == 0 || bytes > REPLY_BYTES / 2 {
            return None;
        }
        // SAFETY: within the reply, and written before its length was.
        Some(unsafe { std::slice::from_raw_parts(self.arena.reply(at), bytes) })
    }

    /// The worker is gone: leaves what it is known to have written whole, and says how many bytes and
    /// events that is.
    pub(crate) fn cut(&self) -> (u64, u64) {
        let [bytes, events] = self.control().written.get();
        // Of a trace in parts it is another file, and the number is of all of them.
        let fits = |metadata: &Metadata| metadata.is_file() && bytes < metadata.len();
        if let Some(turns) = &self.turns {
            SharedFile::cut_if_alone(&self.file, turns, bytes);
        } else if !self.has_parts && self.file.metadata().is_ok_and(|metadata| fits(&metadata)) {
            // If this fails the file has a part of a packet at its end, which viewers forgive.
            let _ = self.file.set_len(bytes);
        }
        (bytes, events)
    }

    /// Lets go of the file, which others may write to from then on: the worker would have, if it had not been killed.
    pub(crate) fn leave(&self) {
        match &self.turns {
            Some(turns) => SharedFile::leave(&self.file, turns),
            // What cannot be unlocked is when it is closed.
            None => drop(self.file.unlock()),
        }
    }
}

/// Waits for the worker to say something until `is_there`; for so long at most.
fn wait(control: &Control, limit: Duration, is_there: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_there() && since.elapsed() < limit {
        control.wait_for_answer(LOOK, &is_there);
    }
}
