//! Spans and instants of a thread's own track.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use super::args::{Rest, Said};
use super::site::SiteOn;
use super::thread::{self, Token};
use crate::record::{Items, Kind};

/// A span of this thread, from `trace!`: it ends when this is dropped.
///
/// It stays on its thread, whose track it is drawn on. Guards may be dropped in any order; a span
/// that ends while one begun later is open splits that one in two, since the viewer draws nothing but
/// slices that nest. One whose name was made at run time goes on as "(continued)".
#[derive(Debug)]
#[must_use = "the span ends when the guard is dropped: `let _span = trace!(…);`, and not `let _ = …`"]
pub struct SpanGuard {
    /// 0 if nothing is recorded.
    token: Token,
    /// Neither `Send` nor `Sync`.
    here: PhantomData<*const ()>,
}

impl SpanGuard {
    /// A guard of nothing.
    #[inline(always)]
    pub const fn none() -> Self {
        Self { token: 0, here: PhantomData }
    }
}

impl Drop for SpanGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if self.token != 0 {
            thread::end(self.token);
        }
    }
}

/// A [`SpanGuard`] that may get onto another thread, for languages whose guards do: there it does
/// nothing when it ends, and the span stays open until its thread or the session ends.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "the span goes on until `end`"]
pub struct LooseSpan {
    token: Token,
    thread: u64,
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

    /// Ends the span.
    #[inline]
    pub fn end(self) {
        if self.token != 0 && self.thread == this_thread() {
            thread::end(self.token);
        }
    }
}

impl From<SpanGuard> for LooseSpan {
    #[inline]
    fn from(guard: SpanGuard) -> Self {
        let token = guard.token;
        std::mem::forget(guard);
        Self { token, thread: if token == 0 { 0 } else { this_thread() } }
    }
}

/// Calls this thread so in the trace that is recorded and in those to come, instead of what the
/// operating system calls it, which keeps 15 bytes. Costs a lock.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let session = novatrace::open(folder.path().join("app.pftrace"))?;
/// novatrace::name_thread("decoder of the second stream");
/// novatrace::instant!("ready");
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn name_thread(name: &str) {
    thread::give_name(name);
}

impl SiteOn {
    /// Begins a span.
    #[inline(always)]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn begin<A: Items, R: Rest>(self, said: Said<A, R>) -> SpanGuard {
        SpanGuard { token: thread::begin(self.0, &said), here: PhantomData }
    }

    /// Begins a span that has begun at `ticks`, which this thread has read since its last record.
    #[must_use = "the span ends when the guard is dropped"]
    pub fn begin_at(self, ticks: u64) -> SpanGuard {
        SpanGuard { token: thread::begin_at(self.0, ticks), here: PhantomData }
    }

    /// Records an instant.
    #[inline(always)]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn instant<A: Items, R: Rest>(self, said: Said<A, R>) {
        thread::event(Kind::LiveInstant, self.0, &said);
    }
}
