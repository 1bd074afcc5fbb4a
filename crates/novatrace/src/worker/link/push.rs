//! How records get into rings, and the worker is woken for them.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, PoisonError};

use super::{EndRecord, Link};
use crate::error::{Error, ErrorKind};
use crate::process::Message;
use crate::record::{self, Closed, Fill};

impl Link {
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

    /// Takes the end of a live row's span, for which the calling thread's ring has no room.
    #[cold]
    pub(crate) fn push_end(&self, end: EndRecord) {
        if let Some(program) = self.program() {
            return program.send(&Message::End(end));
        }
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
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
}
