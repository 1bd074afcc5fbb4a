//! The worker's side.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::arena::{Arena, REPLY_BYTES};
use super::control::{DONE, READY};
use super::log::Receiver;
use super::message::{ErrorFacts, Hello, Message, Numbers, ReportFacts, RingFacts};
use super::{LAYOUT, spawn};
use crate::error::Error;
use crate::name::Name;
use crate::profile;
use crate::record::{Drain, Ring};
use crate::worker::{Asked, Described, Link, Stats};

/// How long a program may take to say what it wants.
const START: Duration = Duration::from_secs(10);

/// A program, as its worker in another process knows it.
#[derive(Debug)]
pub(crate) struct Served {
    arena: Arc<Arena>,
    receiver: Mutex<Receiver>,
    program: OwnedFd,
    life: File,
    is_gone: AtomicBool,
}

impl Served {
    /// Hands on what the program has told since it was asked last.
    pub(crate) fn receive(&self, with: impl FnMut(Message)) {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.receive(&self.arena, with);
    }

    /// The worker's end of a ring that the program has told of; `None` if it is none.
    pub(crate) fn drain(&self, ring: RingFacts) -> Option<Drain> {
        let words = usize::try_from(ring.words).ok().filter(|words| words.is_power_of_two())?;
        let block = self.arena.block(ring.offset, Ring::block_bytes(words))?;
        Some(Drain::new(Ring::in_block(block, words, false)))
    }

    pub(crate) fn asked(&self) -> Asked {
        let control = self.arena.control();
        let flushes = control.flushes_asked.load(Ordering::Acquire);
        let flush = flushes > control.flushes_done.load(Ordering::Relaxed);
        let finish = control.finish_asked.load(Ordering::Acquire) != 0 || self.is_gone();
        Asked { flushes, flush, finish }
    }

    /// Whether the program has been seen to be gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Whether it is gone and has not asked for the trace to be finished.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_gone() && self.arena.control().finish_asked.load(Ordering::Acquire) == 0
    }

    pub(crate) fn sleep(&self, time: Duration, is_idle: impl FnOnce() -> bool) {
        if spawn::is_over(&self.program) || spawn::is_over(&self.life) {
            return self.is_gone.store(true, Ordering::Relaxed);
        }
        self.arena.control().sleep(time, is_idle);
    }

    pub(crate) fn answer(&self, flushes: u64, stats: Stats) {
        let control = self.arena.control();
        control.set_stats(stats);
        if flushes > control.flushes_done.load(Ordering::Relaxed) {
            control.flushes_done.store(flushes, Ordering::Release);
            control.answer();
        }
    }

    /// Tells of the first error; later ones are not told.
    pub(crate) fn fail(&self, error: &Error) {
        let control = self.arena.control();
        if control.error_bytes.load(Ordering::Relaxed) == 0 {
            let bytes = self.write_reply(0, &ErrorFacts::from(error));
            control.error_bytes.store(bytes, Ordering::Release);
        }
    }

    /// So many events are in so many bytes of the file.
    pub(crate) fn written(&self, bytes: u64, events: u64) {
        self.arena.control().written.set([bytes, events]);
    }

    pub(crate) fn done(&self, stats: Stats, mut report: ReportFacts) {
        let control = self.arena.control();
        control.set_stats(stats);
        // More than a thousand threads that lost something: the rest is in the sum.
        let mut bytes = self.write_reply(REPLY_BYTES / 2, &report);
        while bytes == 0 && !report.losses.is_empty() {
            report.losses.truncate(report.losses.len() / 2);
            bytes = self.write_reply(REPLY_BYTES / 2, &report);
        }
        control.report_bytes.store(bytes, Ordering::Release);
        control.state.store(DONE, Ordering::Release);
        control.answer();
    }

    /// How many bytes it took; 0 if there is no room.
    fn write_reply(&self, at: usize, facts: &impl serde::Serialize) -> u32 {
        let Ok(bytes) = postcard::to_stdvec(facts) else { return 0 };
        if bytes.len() > REPLY_BYTES / 2 {
            return 0;
        }
        // SAFETY: within the reply; the program reads it once it knows its length.
        unsafe { self.arena.reply(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        u32::try_from(bytes.len()).unwrap_or(0)
    }
}

/// If the arguments of this process say that it was started as a worker, works for the program, which takes
/// as long as that records; then this process is to end.
#[must_use]
pub fn serve(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    spawn::is_worker(arguments.into_iter()).then(|| match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn start() -> io::Result<()> {
    // SAFETY: whoever starts a worker gives it these three.
    let [memory, trace, life] = [0, 1, 2].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let [memory, trace, life] = [&memory, &trace, &life]
        .map(|fd| fd.as_fd().try_clone_to_owned())
        .map(|fd| fd.map(File::from));
    let (memory, trace, life) = (memory?, trace?, life?);
    let arena = Arena::open(&memory)?;
    drop(memory);
    if arena.control().layout.load(Ordering::Acquire) != LAYOUT {
        return Err(io::Error::other("the program has another version of novatrace"));
    }
    // SAFETY: takes nothing.
    let program = unsafe { libc::getppid() };
    let program_id = u32::try_from(program).map_err(io::Error::other)?;
    let program_fd = spawn::open(program_id)?;
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => return Ok(()),
    }
    close_all_but([trace.as_raw_fd(), life.as_raw_fd(), program_fd.as_raw_fd()])?;
    leave(&File::options().read(true).write(true).open("/dev/null")?);
    let served = Served {
        arena,
        receiver: Mutex::default(),
        program: program_fd,
        life,
        is_gone: AtomicBool::new(false),
    };
    let control = served.arena.control();
    control.pid.store(std::process::id(), Ordering::Release);
    control.answer();
    let Some((hello, rest)) = served.hello() else {
        return Err(io::Error::other("the program said nothing"));
    };
    profile::set_clock(hello.is_counter);
    let Numbers { uuid, first_uuid, first_explicit } = hello.numbers;
    let described = Described::new(first_uuid, first_explicit);
    let (path, config) = (hello.path.clone(), hello.config());
    Link::serve(config, served, rest, (trace, path), uuid, described);
    Ok(())
}

impl Served {
    /// What the program wants, and what it has told since.
    fn hello(&self) -> Option<(Box<Hello>, Vec<Message>)> {
        let since = Instant::now();
        let (mut hello, mut rest) = (None, vec![]);
        while hello.is_none() && since.elapsed() < START && !self.is_gone() {
            self.receive(|message| match message {
                Message::Name(text) => drop(Name::new(&text)),
                Message::Hello(facts) => hello = Some(facts),
                other => rest.push(other),
            });
            if hello.is_none() {
                self.sleep(Duration::from_millis(5), || true);
            }
        }
        Some((hello?, rest))
    }

    /// The program may go on: what it records from here on is in the trace.
    pub(crate) fn ready(&self) {
        let control = self.arena.control();
        control.state.store(READY, Ordering::Release);
        control.answer();
    }
}

/// Closes what the program left open for whatever it starts: who reads from the other side waits for the
/// program's end of it, and not for the worker's.
fn close_all_but(kept: [RawFd; 3]) -> io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| *fd > 2 && !kept.contains(fd)) {
        // SAFETY: whoever had it in this process has gone with the fork's parent; it may be closed by now.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Leaves the program's terminal, its folder and its signals.
fn leave(null: &File) {
    for fd in 0..3 {
        // SAFETY: both are open; what `fd` was has been cloned.
        unsafe { libc::dup2(null.as_raw_fd(), fd) };
    }
    // SAFETY: a fork leads no group, so that it can have a session of its own.
    unsafe { libc::setsid() };
    // If it fails, the folder cannot be unmounted meanwhile.
    let _ = std::env::set_current_dir("/");
    // What ends the program must not end what writes down its end.
    for signal in
        [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE, libc::SIGXFSZ]
    {
        // SAFETY: no handler is involved.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
