//! Spans that end on another thread than they began on, which those of other languages may. A thread's records
//! are its own: what another thread ends waits beside its ring until it records next, or is over. Belongs
//! here: whose a span is. Does not: what an end does.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::clock::ticks;
use super::site::registry;
use super::span::SpanGuard;
use super::thread::{self, Token, attachment};
use crate::worker::Attachment;

/// A [`SpanGuard`] that may get onto another thread, for languages whose guards do.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "the span goes on until `end`"]
pub struct LooseSpan {
    token: Token,
    thread: u64,
}

impl Attachment {
    /// Of this thread, the one that the token is of.
    pub(super) fn of(token: Token) -> Self {
        Self { thread: this_thread(), number: attachment(token) }
    }
}

/// A number that no other thread of this process has, or will have.
fn this_thread() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    let number = NUMBER.try_with(|number| {
        if number.get() == 0 {
            number.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        }
        number.get()
    });
    number.unwrap_or_default()
}

impl LooseSpan {
    /// A span of nothing.
    pub const fn none() -> Self {
        Self { token: 0, thread: 0 }
    }

    /// Ends the span. Says whether it has: if not, it is another thread's, which is to call
    /// [`end_those_said`] before its next record; the end is now all the same. The spans of a thread that is
    /// over have ended with it.
    #[inline]
    #[must_use = "if false, the span's thread has something to do"]
    pub fn end(self) -> bool {
        if self.token == 0 {
            return true;
        }
        if self.thread == this_thread() {
            thread::end(self.token);
            return true;
        }
        self.end_elsewhere()
    }

    #[cold]
    #[inline(never)]
    fn end_elsewhere(self) -> bool {
        let ticks = ticks();
        let attachment = Attachment { thread: self.thread, number: attachment(self.token) };
        let session = registry().session().map(Arc::clone);
        let Some(link) = session.and_then(|live| live.link().thread(attachment)) else {
            return true;
        };
        link.end_later(self.token, ticks);
        false
    }
}

impl From<SpanGuard> for LooseSpan {
    #[inline]
    fn from(guard: SpanGuard) -> Self {
        let token = guard.into_token();
        Self { token, thread: if token == 0 { 0 } else { this_thread() } }
    }
}

/// Ends those of this thread's spans that others have ended, when they did.
#[doc(hidden)]
#[cold]
pub fn end_those_said() {
    thread::end_later_ones();
}
