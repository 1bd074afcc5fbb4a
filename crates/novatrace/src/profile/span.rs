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

impl Drop for SpanGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if self.token != 0 {
            thread::end(self.token);
        }
    }
}

impl SiteOn {
    /// Begins a span.
    #[inline(always)]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn begin<A: Items, R: Rest>(self, said: Said<A, R>) -> SpanGuard {
        SpanGuard { token: thread::begin(self.0, &said), here: PhantomData }
    }

    /// Records an instant.
    #[inline(always)]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn instant<A: Items, R: Rest>(self, said: Said<A, R>) {
        thread::event(Kind::LiveInstant, self.0, &said);
    }
}
