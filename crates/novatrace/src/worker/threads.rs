//! A live thread, as it and the worker know it: who it is, and the rings it grew.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use crate::process::{Message, Program};
use crate::record::{Drain, Ring};

/// A thread as it records in one session: spans of an earlier one are not of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// A number that no other thread of the process has.
    pub(crate) thread: u64,
    /// How often the thread has been attached.
    pub(crate) number: u32,
}

/// What a live thread and the worker share beside the ring.
#[derive(Debug)]
pub(crate) struct ThreadLink {
    pub(crate) attachment: Attachment,
    pub(crate) tid: u32,
    pub(crate) name: Box<str>,
    /// What the operating system called it when it began: the start of its name.
    pub(crate) system_name: Option<String>,
    /// The process that it is of.
    pub(crate) process: u32,
    /// A worker in another process, and the thread's number there.
    told: Option<(Arc<Program>, u64)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Rings that follow the one the worker has, in order.
    grown: Vec<Drain>,
    grown_words: u64,
    is_closed: bool,
    /// What it was called when it ended.
    last_name: Option<String>,
    /// What the program calls it, whatever the operating system does.
    given_name: Option<String>,
    /// Spans of it that other threads have ended, and when: until it records next.
    ended: Vec<(u64, u64)>,
}

thread_local! {
    /// What the program calls this thread.
    static GIVEN_NAME: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// What this thread will be called in whatever session it records in from now on.
pub(crate) fn give_name(name: &str) {
    let _ = GIVEN_NAME.try_with(|given| given.replace(Some(name.into())));
}

fn given_name() -> Option<Box<str>> {
    GIVEN_NAME.try_with(|given| given.borrow().clone()).ok().flatten()
}

/// A live thread that the worker does not know yet.
#[derive(Debug)]
pub(crate) struct NewThread {
    pub(crate) drain: Drain,
    pub(crate) thread: Arc<ThreadLink>,
}

/// Which thread lost how much; in a [`Report`](crate::Report).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The thread's name.
    pub thread: String,
    /// The operating system's number for it.
    pub tid: u32,
    /// Events that are not in the trace.
    pub events: u64,
}

impl ThreadLink {
    pub(crate) fn of_this_thread(
        attachment: Attachment,
        told: Option<(Arc<Program>, u64)>,
    ) -> Self {
        let tid = system::tid();
        let system_name = system::own_name();
        let given = given_name();
        let state = State { given_name: given.as_deref().map(str::to_owned), ..State::default() };
        let name = match std::thread::current().name() {
            _ if given.is_some() => given.unwrap_or_default(),
            // Rust calls the first thread "main"; others see the program's name, as tools do.
            Some(name) if tid != std::process::id() => name.into(),
            _ => system_name.clone().unwrap_or_else(|| format!("thread {tid}")).into(),
        };
        let process = std::process::id();
        Self { attachment, tid, name, system_name, process, told, state: Mutex::new(state) }
    }

    /// A thread of another process, as a worker is told of it.
    pub(crate) fn told(process: u32, tid: u32, name: &str, system_name: Option<String>) -> Self {
        let attachment = Attachment { thread: 0, number: 0 };
        let (name, state) = (name.into(), Mutex::default());
        Self { attachment, tid, name, system_name, process, told: None, state }
    }

    fn tell(&self, message: impl FnOnce(u64) -> Message) {
        if let Some((program, id)) = &self.told {
            program.send(&message(*id));
        }
    }

    /// See [`give_name`], of a thread that records already.
    pub(crate) fn give_name(&self, name: &str) {
        self.tell(|thread| Message::Named { thread, name: name.to_owned() });
        self.state().given_name = Some(name.to_owned());
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ring of at least twice the size of `ring`, and of room for `words`, to go on in; `None` if
    /// there would be more than `limit_bytes` in all, or the trace is finished.
    pub(crate) fn grow(&self, ring: &Ring, words: u64, limit_bytes: usize) -> Option<Arc<Ring>> {
        let mut state = self.state();
        let larger = (2 * ring.len_words()).max(words.next_power_of_two());
        // The rings before it are given back as the worker empties them.
        let sum = state.grown_words.max(ring.len_words()) + larger;
        if state.is_closed || sum.checked_mul(8)? > limit_bytes as u64 {
            return None;
        }
        let bytes = usize::try_from(larger * 8).ok()?;
        state.grown_words = sum;
        if let Some((program, id)) = self.told.as_ref().filter(|(program, _)| !program.is_dead()) {
            let (grown, ring) = program.ring(bytes)?;
            program.send(&Message::Grown { thread: *id, ring });
            return Some(grown);
        }
        let (ring, drain) = Ring::with_bytes(bytes);
        state.grown.push(drain);
        Some(ring)
    }

    /// The worker's side: the program tells of a ring to go on in.
    pub(crate) fn add_ring(&self, drain: Drain) {
        self.state().grown.push(drain);
    }

    /// No ring grows any more.
    pub(crate) fn refuse_growth(&self) {
        self.state().is_closed = true;
    }

    /// Another thread ends a span of this one.
    pub(crate) fn end_later(&self, token: u64, ticks: u64) {
        self.tell(|thread| Message::Ended { thread, token, ticks });
        self.state().ended.push((token, ticks));
    }

    /// The spans that others have ended, each but once.
    pub(crate) fn ended(&self) -> Vec<(u64, u64)> {
        let ended = std::mem::take(&mut self.state().ended);
        if !ended.is_empty() {
            self.tell(|thread| Message::Taken { thread });
        }
        ended
    }

    /// The ring after one that was let go; `None` if the thread is over.
    pub(crate) fn next_ring(&self) -> Option<Drain> {
        let mut state = self.state();
        if state.grown.is_empty() { None } else { Some(state.grown.remove(0)) }
    }

    /// The thread ends.
    pub(crate) fn end(&self) {
        let name = system::own_name();
        self.tell(|thread| Message::Over { thread, name: name.clone() });
        self.end_as(name);
    }

    /// It has ended, under that name.
    pub(crate) fn end_as(&self, name: Option<String>) {
        self.state().last_name = name;
    }

    /// First half of closing: see [`Drain::begin_close`]. No ring grows any more.
    pub(crate) fn begin_close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.grown.iter().for_each(Drain::begin_close);
    }

    /// Second half of closing.
    pub(crate) fn finish_close(&self) {
        self.state().grown.iter().for_each(Drain::finish_close);
    }

    /// What the thread is called by now, if that is not what it was called at first.
    pub(crate) fn new_name(&self) -> Option<String> {
        let (given, last) = {
            let state = self.state();
            (state.given_name.clone(), state.last_name.clone())
        };
        if given.is_some() {
            return given;
        }
        let now = last.or_else(|| system::name_of(self.process, self.tid))?;
        (Some(&now) != self.system_name.as_ref()).then_some(now)
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "two system calls")]
mod system {
    pub(super) fn tid() -> u32 {
        // SAFETY: takes and changes nothing.
        let tid = unsafe { libc::syscall(libc::SYS_gettid) };
        u32::try_from(tid).unwrap_or_default()
    }

    /// The calling thread's name, of 15 bytes at most.
    pub(super) fn own_name() -> Option<String> {
        let mut name = [0_u8; 16];
        // SAFETY: `PR_GET_NAME` writes at most 16 bytes to where the argument points.
        let answer = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        let name = name.split(|&byte| byte == 0).next()?;
        (answer == 0).then(|| String::from_utf8_lossy(name).into_owned())
    }

    pub(super) fn name_of(process: u32, tid: u32) -> Option<String> {
        let name = std::fs::read(format!("/proc/{process}/task/{tid}/comm")).ok()?;
        Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::sync::atomic::{AtomicU32, Ordering};

    thread_local! {
        static TID: u32 = {
            static LAST: AtomicU32 = AtomicU32::new(0);
            LAST.fetch_add(1, Ordering::Relaxed) + 1
        };
    }

    /// A number of ours: it tells the threads of the trace apart.
    pub(super) fn tid() -> u32 {
        TID.try_with(|tid| *tid).unwrap_or_default()
    }

    pub(super) fn own_name() -> Option<String> {
        None
    }

    pub(super) fn name_of(_: u32, _: u32) -> Option<String> {
        None
    }
}
