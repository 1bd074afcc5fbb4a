//! Spans and instants of a thread's own track.

use std::marker::PhantomData;

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

impl SpanGuard {
    /// The span, without a guard that ends it.
    #[inline]
    pub(super) fn into_token(self) -> Token {
        let token = self.token;
        std::mem::forget(self);
        token
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
