//! The way of a record from a live thread into its ring: the hot path of live recording. Belongs here:
//! which ring is this thread's, how many spans are open on it, what happens when it is full. Does not:
//! what a record means.
//!
//! A thread counts its open spans. A [`Token`] is the count before its span, with the number of the
//! thread's attachment to a ring above it: so one comparison tells, when the span ends, that it is the
//! innermost one and that its begin went into the very ring that is there now. Room for the ends of
//! all open spans is kept free in the ring, so that no span loses its end.
#![expect(unsafe_code, reason = "a pointer to a ring that only this thread pushes to")]

use std::cell::{Cell, RefCell};
use std::collections::BinaryHeap;
use std::ptr;
use std::sync::Arc;

use super::args::{Rest, Said, Words};
use super::clock;
use super::session::{Live, Overflow};
use super::site::registry;
use crate::record::{
    Cursor, Fill, Items, Kind, LIVE_HEAD_WORDS, MAX_WORDS, Refusal, Ring, Writer, head,
};
use crate::worker::{Attachment, EndRecord, ThreadLink};

struct Local {
    /// Kept alive by [`OWNED`]; null without one.
    ring: Cell<*const Ring>,
    /// Open spans; in the high half, the number of this attachment, from 1, and [`HOLES`].
    open: Cell<u64>,
}

/// Of [`Local::open`]: among the spans that it counts are some that have ended. An end looks for its token
/// without it, so that all ends then go the way of [`end_outer`], which knows which.
const HOLES: u64 = 1 << 63;

thread_local! {
    static LOCAL: Local = const { Local { ring: Cell::new(ptr::null()), open: Cell::new(0) } };
    static OWNED: RefCell<Owned> = const { RefCell::new(Owned(None)) };
}

/// This thread's part of a session; let go when the thread ends.
struct Owned(Option<Attached>);

struct Attached {
    live: Arc<Live>,
    thread: Arc<ThreadLink>,
    ring: Arc<Ring>,
    /// Spans that ended while others, begun later, were open: their places among the open ones, the last
    /// one first.
    holes: BinaryHeap<u32>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = LOCAL.try_with(Local::detach);
        if let Some(attached) = self.0.take() {
            attached.let_go();
        }
    }
}

impl Attached {
    fn let_go(self) {
        self.thread.end();
        self.ring.release();
        drop(self.ring);
        // The ring is for the next thread, soon.
        self.live.link().wake_if_asleep();
    }
}

impl Local {
    fn detach(&self) {
        self.ring.set(ptr::null());
        self.open.set((self.open.get() & !HOLES) >> 32 << 32);
    }
}

/// An open span of this thread; 0 is none.
pub(super) type Token = u64;

const NONE: Token = 0;

/// A record without its time, which is read last.
struct LiveRecord<'s, A> {
    head: u64,
    words: &'s Words<'s, A>,
}

impl<A: Items> Fill for LiveRecord<'_, A> {
    #[inline(always)]
    fn fill(self, place: &mut [u64]) {
        place[0] = self.head;
        let len = self.words.len();
        let mut out = Cursor::new(&mut place[LIVE_HEAD_WORDS..]);
        self.words.write(&mut out);
        if len % 2 == 1 {
            out.word(0);
        }
        place[1] = clock::ticks();
    }
}

/// Words of a record that says so much.
#[inline(always)]
const fn record_words(said: usize) -> usize {
    (LIVE_HEAD_WORDS + said + 1) & !1
}

/// Room for the ends of the open spans.
#[inline(always)]
const fn spare(open: u64) -> u64 {
    2 * (open & 0xFFFF_FFFF)
}

/// Begins a span of the call site `site`, if it can be recorded.
#[inline(always)]
pub(super) fn begin<A: Items, R: Rest>(site: u32, said: &Said<A, R>) -> Token {
    if size_of::<Said<A, R>>() == 0 { begin_bare(site) } else { begin_said(site, said) }
}

/// [`begin`] of a span that says nothing beside its name.
#[inline(never)]
fn begin_bare(site: u32) -> Token {
    begin_said(site, &Said::nothing())
}

#[inline(always)]
fn begin_said<A: Items, R: Rest>(site: u32, said: &Said<A, R>) -> Token {
    let words = Words { items: &said.items, rest: said.rest.words() };
    let len = record_words(words.len());
    let head = head(Kind::LiveBegin, 0, len, site);
    LOCAL.with(|local| {
        let open = local.open.get();
        // SAFETY: null, or kept alive by OWNED, which resets it first.
        if let Some(ring) = unsafe { local.ring.get().as_ref() } {
            let record = LiveRecord { head, words: &words };
            // SAFETY: this thread's ring.
            if let Ok(quarter) = unsafe { ring.try_push(len, spare(open + 1), record) } {
                local.open.set(open + 1);
                if quarter {
                    wake();
                }
                return open;
            }
        }
        begin_slowly(local, len, head, &words)
    })
}

#[cold]
#[inline(never)]
fn begin_slowly<A: Items>(local: &Local, len: usize, head: u64, words: &Words<'_, A>) -> Token {
    if !record_slowly(local, len, 1, head, words) {
        return NONE;
    }
    let open = local.open.get();
    local.open.set(open + 1);
    open
}

/// Begins a span at `ticks`, which this thread has read earlier, but after its last record and after it
/// was [made ready](make_ready).
pub(super) fn begin_at(site: u32, ticks: u64) -> Token {
    let words = [head(Kind::LiveBegin, 0, 2, site), ticks];
    LOCAL.with(|local| {
        let is_taken = push_slowly(local, 2, 1, |ring, spare| {
            // SAFETY: this thread's ring.
            unsafe { ring.try_push(2, spare, &words) }
        });
        if !is_taken {
            return NONE;
        }
        let open = local.open.get();
        local.open.set(open + 1);
        open
    })
}

/// Gives the thread its ring before it records anything, so that its track starts now at the latest.
pub fn make_ready() {
    LOCAL.with(|local| {
        if local.ring.get().is_null() {
            attach(local);
        }
    });
}

/// Ends the span `token`.
// Not inlined, so that what is in the program is a comparison and a call, and nothing is computed for
// spans that are not recorded.
#[inline(never)]
pub(super) fn end(token: Token) {
    const HEAD: u64 = head(Kind::LiveEnd, 0, 2, 0);
    let ticks = clock::ticks();
    LOCAL.with(|local| {
        let token = token & !HOLES;
        if local.open.get() != token + 1 {
            return end_outer(local, token, ticks);
        }
        local.open.set(token);
        // SAFETY: its open spans are counted from when the ring was attached, and it is detached by
        // setting the count to a number that no token has.
        let ring = unsafe { &*local.ring.get() };
        // SAFETY: this thread's ring; the span's begin has kept the room free.
        if let Ok(true) = unsafe { ring.push_spare([HEAD, ticks]) } {
            wake();
        }
    });
}

/// Ends a span that is not the innermost one, or not of the session there is, or when there are holes.
#[cold]
#[inline(never)]
fn end_outer(local: &Local, token: Token, ticks: u64) {
    let open = local.open.get() & !HOLES;
    if token >> 32 != open >> 32 || token >= open {
        return; // begun in another session, or before the thread's end began
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    let place = token as u32;
    // SAFETY: as in `end`.
    let Some(ring) = (unsafe { local.ring.get().as_ref() }) else { return };
    // SAFETY: this thread's ring; the span's begin has kept the room free.
    let _ = unsafe { ring.push_spare([head(Kind::LiveEndOuter, 0, 2, place), ticks]) };
    let _ = OWNED.try_with(|owned| {
        if let Ok(mut owned) = owned.try_borrow_mut()
            && let Some(Attached { holes, .. }) = &mut owned.0
        {
            holes.push(place);
            // The worker's books are the same: what is over at the end of the list is forgotten.
            let mut open = open;
            while holes.peek().is_some_and(|&hole| u64::from(hole) + 1 == open & 0xFFFF_FFFF) {
                holes.pop();
                open -= 1;
            }
            local.open.set(if holes.is_empty() { open } else { open | HOLES });
        }
    });
}

/// The number of the attachment that a span began in.
pub(super) fn attachment(token: Token) -> u32 {
    ((token & !HOLES) >> 32) as u32
}

/// Ends what other threads have ended of this one.
pub(super) fn end_later_ones() {
    let ends = OWNED.try_with(|owned| {
        let owned = owned.try_borrow().ok()?;
        Some(owned.0.as_ref()?.thread.ended())
    });
    for (token, ticks) in ends.ok().flatten().unwrap_or_default() {
        LOCAL.with(|local| end_outer(local, token & !HOLES, ticks));
    }
}

/// Records an instant, or whatever else takes no span to end.
#[inline(always)]
pub(super) fn event<A: Items, R: Rest>(kind: Kind, number: u32, said: &Said<A, R>) {
    let words = Words { items: &said.items, rest: said.rest.words() };
    let len = record_words(words.len());
    let head = head(kind, 0, len, number);
    LOCAL.with(|local| {
        // SAFETY: as in `begin`.
        if let Some(ring) = unsafe { local.ring.get().as_ref() } {
            let record = LiveRecord { head, words: &words };
            // SAFETY: this thread's ring.
            if let Ok(quarter) = unsafe { ring.try_push(len, spare(local.open.get()), record) } {
                if quarter {
                    wake();
                }
                return;
            }
        }
        record_slowly(local, len, 0, head, &words);
    });
}

/// A record of a call site that opens so many spans, by [`push_slowly`]. Says whether it was taken.
#[cold]
#[inline(never)]
fn record_slowly<A: Items>(
    local: &Local,
    len: usize,
    opens: u64,
    head: u64,
    words: &Words<'_, A>,
) -> bool {
    push_slowly(local, len, opens, |ring, spare| {
        // SAFETY: this thread's ring.
        unsafe { ring.try_push(len, spare, LiveRecord { head, words }) }
    })
}

/// Records words that are complete, times included; an even number of them.
#[inline(always)]
pub(super) fn words<const N: usize>(words: &[u64; N]) {
    LOCAL.with(|local| {
        // SAFETY: as in `begin`.
        if let Some(ring) = unsafe { local.ring.get().as_ref() } {
            // SAFETY: this thread's ring.
            if let Ok(quarter) = unsafe { ring.try_push(N, spare(local.open.get()), words) } {
                if quarter {
                    wake();
                }
                return;
            }
        }
        words_slowly(local, words);
    });
}

/// [`words`] for any number of them. Says whether they were taken.
pub(super) fn many_words(words: &[u64]) -> bool {
    LOCAL.with(|local| words_slowly(local, words))
}

/// Records the end of a row's span, times included. No room is kept for it, since the span may have begun
/// on another thread: where there is none, it goes to the worker by another way.
pub(super) fn end_on_row(live: &Live, end: EndRecord) {
    let pushed = LOCAL.with(|local| {
        // SAFETY: as in `begin`.
        let ring = unsafe { local.ring.get().as_ref() }.ok_or(Refusal::Closed)?;
        // SAFETY: this thread's ring.
        unsafe { ring.try_push(end.len(), spare(local.open.get()), &end) }
    });
    match pushed {
        Ok(true) => wake(),
        Ok(false) => {}
        Err(_) => live.link().push_end(end),
    }
}

#[cold]
#[inline(never)]
fn words_slowly(local: &Local, words: &[u64]) -> bool {
    push_slowly(local, words.len(), 0, |ring, spare| {
        // SAFETY: this thread's ring.
        unsafe { ring.try_push(words.len(), spare, words) }
    })
}

/// Pushes where there is no ring yet, or the ring is full or of a session that is over.
fn push_slowly(
    local: &Local,
    len: usize,
    opens: u64,
    push: impl Fn(&Ring, u64) -> Result<bool, Refusal>,
) -> bool {
    // Once to attach, once to grow or wait; more often only if sessions close meanwhile.
    for _ in 0..8 {
        // SAFETY: as in `begin`.
        let Some(ring) = (unsafe { local.ring.get().as_ref() }) else {
            if attach(local) {
                continue;
            }
            return false;
        };
        let spare = spare(local.open.get() + opens);
        match push(ring, spare) {
            Ok(quarter) => {
                if quarter {
                    wake();
                }
                return true;
            }
            Err(Refusal::Closed) => local.detach(),
            Err(Refusal::Full) => {
                // No room would ever be enough for a record longer than they can be.
                if len > MAX_WORDS || !make_room(local, ring, 2 * len as u64 + spare + 8) {
                    ring.count_lost();
                    return false;
                }
            }
        }
    }
    false
}

/// Names this thread, in the session it records in and in those to come.
pub(super) fn give_name(name: &str) {
    crate::worker::give_name(name);
    let _ = OWNED.try_with(|owned| {
        if let Ok(owned) = owned.try_borrow()
            && let Some(attached) = &owned.0
        {
            attached.thread.give_name(name);
        }
    });
}

/// In a forked child, whose only thread this is: its ring is one that nobody takes from.
#[cfg(unix)]
pub(super) fn forget() {
    let _ = LOCAL.try_with(Local::detach);
    let _ = OWNED.try_with(|owned| {
        if let Ok(mut owned) = owned.try_borrow_mut() {
            // To let it go takes locks, which threads may have held that are not here.
            std::mem::forget(owned.0.take());
        }
    });
}

/// Gives the thread a ring of the session that records, if there is one.
fn attach(local: &Local) -> bool {
    let Some(live) = registry().session().map(Arc::clone) else { return false };
    let attached = OWNED.try_with(|owned| {
        // Borrowed if an allocator records: this call is then within another.
        let Ok(mut owned) = owned.try_borrow_mut() else { return false };
        if let Some(old) = owned.0.take() {
            old.let_go();
        }
        let open = ((local.open.get() >> 32) + 1) << 32 & !HOLES;
        let Some((ring, thread)) = live.attach(Attachment::of(open)) else { return false };
        local.ring.set(Arc::as_ptr(&ring));
        local.open.set(open);
        owned.0 =
            Some(Attached { live: Arc::clone(&live), thread, ring, holes: BinaryHeap::new() });
        true
    });
    attached.unwrap_or_else(|_| {
        // The thread ends, and what it would need is gone.
        live.count_late();
        false
    })
}

/// Makes room for so many words as the session's choice says; false if there is to be none.
fn make_room(local: &Local, ring: &Ring, words: u64) -> bool {
    let made = OWNED.try_with(|owned| {
        let Ok(mut owned) = owned.try_borrow_mut() else { return false };
        let Some(attached) = &mut owned.0 else { return false };
        match attached.live.overflow() {
            Overflow::DropNewest => false,
            Overflow::Block => {
                words <= ring.len_words()
                    && ring.wait(words, &|| attached.live.link().wake()).is_ok()
            }
            Overflow::Grow(limit_bytes) => {
                let Some(larger) = attached.thread.grow(ring, words, limit_bytes) else {
                    return false;
                };
                local.ring.set(Arc::as_ptr(&larger));
                let old = std::mem::replace(&mut attached.ring, larger);
                old.release();
                true
            }
        }
    });
    made.unwrap_or(false)
}

/// Wakes the worker, if it sleeps.
#[cold]
#[inline(never)]
fn wake() {
    let _ = OWNED.try_with(|owned| {
        if let Ok(owned) = owned.try_borrow()
            && let Some(attached) = &owned.0
        {
            attached.live.link().wake_if_asleep();
        }
    });
}
