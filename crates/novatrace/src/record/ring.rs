//! A bounded queue of records from one thread to the worker.
//!
//! One thread, its owner, [pushes](Ring::push); the worker [takes](Ring::take). `tail` and `head`
//! count words for ever, and their low bits are the place in the buffer. A record is contiguous: one
//! that would cross the end of the buffer is preceded by a `Skip` and begins at the start.
//!
//! ```text
//! push:  room? (or wait)     write words      tail ── release ──▶ take: tail ── acquire
//!        head ── acquire ◀── release ── head                            read words
//! ```
//!
//! Closing: the worker sets `is_closed`, fences for all threads ([`sync::heavy`]), and takes `tail` for
//! the last time as `final_tail`. An owner that had published before that fence is seen; one that
//! publishes later sees `is_closed`, and compares its place with `final_tail` to know whether its
//! record made it.
#![expect(unsafe_code, reason = "the owner's cells and the buffer are shared by protocol")]

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::memory::Words;
use super::shared::{Apart, Aside, SharedSide};
use super::{Fill, Kind, MAX_WORDS, head, words_of};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::thread::{self, Thread};
use crate::sync::{self, Mutex};

/// The smallest ring: 4 KiB. In models, whose number of orders grows with it, as small as can be.
const MIN_WORDS: usize = if cfg!(loom) { 8 } else { 512 };

/// How often a thread looks for room before it waits.
const SPINS: u32 = if cfg!(loom) { 0 } else { 64 };

/// The record came after the trace was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no room for it.
    Full,
    /// The trace is finished.
    Closed,
}

impl From<Closed> for Refusal {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

/// Words of a [`Kind::Lost`].
const LOST_WORDS: usize = 4;

pub(crate) struct Ring {
    words: Words,
    mask: u64,
    owner: Apart<OwnerSide>,
    shared: SharedSide,
    /// The owner, while it waits for room, unless the worker is another process.
    waiting: Mutex<Option<Thread>>,
    /// The process that has the owner.
    process: u32,
    /// Records that are longer than the buffer allows, in order; an `Aside` stands for each. If the worker is
    /// another process, they wait in the memory that both have.
    aside: Mutex<VecDeque<Box<[u64]>>>,
}

/// The owner's alone.
#[derive(Default)]
struct OwnerSide {
    /// The owner's copy of `tail`.
    position: Cell<u64>,
    /// What the owner last saw of `head`.
    seen_head: Cell<u64>,
    /// How many of the lost events a [`Kind::Lost`] has told of.
    lost_told: Cell<u64>,
}

// SAFETY: `position`, `seen_head` and `lost_told` are touched by the owner only, which `push`'s contract says.
// A word of the buffer is written by the owner while it lies in `head..head + capacity` beyond
// `tail`, and read by the worker while it lies in `head..tail`; the release and acquire of `tail`
// and `head` order the two.
unsafe impl Sync for Ring {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Ring {}

impl Ring {
    /// A ring of `bytes`, rounded up to a power of two, at least 4 KiB; and the one way to take
    /// from it.
    pub(crate) fn with_bytes(bytes: usize) -> (Arc<Self>, Drain) {
        let words = Self::words_for(bytes);
        let ring = Arc::new(Self::new(Words::new(words), words, SharedSide::own()));
        (Arc::clone(&ring), Drain::new(ring))
    }

    /// A ring that takes nothing.
    pub(crate) fn closed() -> Arc<Self> {
        let (ring, drain) = Self::with_bytes(0);
        drain.begin_close();
        drain.finish_close();
        ring
    }

    /// How many words a ring of `bytes` has.
    pub(crate) fn words_for(bytes: usize) -> usize {
        (bytes / 8).next_power_of_two().max(MIN_WORDS)
    }

    /// How many bytes a ring of so many words takes of a block.
    #[cfg(all(target_os = "linux", not(loom)))]
    pub(crate) fn block_bytes(words: usize) -> usize {
        words.saturating_mul(8).saturating_add(super::SHARED_BYTES)
    }

    /// A ring of so many words in memory that two processes have: `is_new` for the one that has the owner.
    #[cfg(all(target_os = "linux", not(loom)))]
    pub(crate) fn in_block(block: crate::process::Block, words: usize, is_new: bool) -> Arc<Self> {
        let (shared, buffer) = SharedSide::in_block(block, words, is_new);
        Arc::new(Self::new(buffer, words, shared))
    }

    /// Once the worker, which was in another process, is gone: its end, which goes on where that one was.
    pub(crate) fn end_anew(self: &Arc<Self>) -> Drain {
        let [head, _] = self.shared.taken();
        // It may have been killed between saying how much it took, and giving that back.
        self.shared.worker.0.head.store(head, Ordering::Release);
        Drain::new(Arc::clone(self))
    }

    /// How many events the worker of another process has taken, once that is gone or has given the ring back.
    pub(crate) fn events_taken(&self) -> u64 {
        self.shared.taken()[1]
    }

    /// Whether the worker of another process has given it back: it is over.
    #[cfg(all(target_os = "linux", not(loom)))]
    pub(crate) fn is_given_back(&self) -> bool {
        self.shared.is_given_back()
    }

    /// By which another process finds it.
    pub(crate) fn offset(&self) -> u64 {
        self.shared.offset()
    }

    /// Events that found no room so far.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.owner.0.lost.load(Ordering::Relaxed)
    }

    fn new(words: Words, len: usize, shared: SharedSide) -> Self {
        Self {
            words,
            mask: len as u64 - 1,
            owner: Apart::default(),
            shared,
            waiting: Mutex::default(),
            process: std::process::id(),
            aside: Mutex::default(),
        }
    }

    /// Its size in words.
    pub(crate) fn len_words(&self) -> u64 {
        self.capacity()
    }

    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Writes `record`, of `len` words, waiting while there is no room. Says
    /// whether the record filled up another quarter of the buffer: time to wake the worker.
    ///
    /// # Safety
    ///
    /// - Only one thread may call this for a ring, or several under one lock.
    #[inline(always)]
    pub(crate) unsafe fn push(
        &self,
        len: usize,
        track: u32,
        wake: &dyn Fn(),
        record: impl Fill,
    ) -> Result<bool, Closed> {
        let mut aside = Box::default();
        let is_aside = len > MAX_WORDS || len as u64 > self.capacity() / 2;
        let taken = if is_aside {
            aside = vec![0; len].into_boxed_slice();
            // Few of these may wait at once, or the memory would not be bounded.
            cast(self.capacity() / 4).min(MAX_WORDS & !1)
        } else {
            len
        };
        let end = self.reserve(taken, wake)?;
        // SAFETY: just reserved, and this function's contract.
        let place = unsafe { self.place(end, taken) };
        record.fill(if is_aside { &mut aside } else { &mut *place });
        if is_aside {
            self.put_aside(aside, place);
            place[0] = head(Kind::Aside, 0, taken, track);
        }
        self.publish(end)
    }

    /// Writes `record`, of `len` words, if there is room for it and for `spare` words more; of both an
    /// even number. Says whether the record filled up another quarter of the buffer: time to wake the
    /// worker.
    ///
    /// # Safety
    ///
    /// - Only one thread may call this for a ring.
    #[inline(always)]
    pub(crate) unsafe fn try_push(
        &self,
        len: usize,
        spare: u64,
        record: impl Fill,
    ) -> Result<bool, Refusal> {
        debug_assert!(len.is_multiple_of(2) && spare.is_multiple_of(2));
        let owner = &self.owner.0;
        let position = owner.position.get();
        let to_end = self.capacity() - (position & self.mask);
        let end = position + len as u64;
        let needed = (end + spare).wrapping_sub(owner.seen_head.get());
        if len as u64 > to_end || needed > self.capacity() || len > MAX_WORDS {
            // SAFETY: this function's contract.
            return unsafe { self.try_push_slowly(len, spare, record) };
        }
        // SAFETY: there is room: it was just checked that `end` is within `capacity` of a `head` that
        // the worker had reached; and this function's contract.
        record.fill(unsafe { self.place(end, len) });
        Ok(self.publish(end)?)
    }

    /// [`try_push`](Self::try_push) where the buffer ends, or seems full.
    #[cold]
    #[inline(never)]
    unsafe fn try_push_slowly(
        &self,
        len: usize,
        spare: u64,
        record: impl Fill,
    ) -> Result<bool, Refusal> {
        if self.is_closed() {
            return Err(Refusal::Closed);
        }
        let owner = &self.owner.0;
        owner.seen_head.set(self.shared.worker.0.head.load(Ordering::Acquire));
        let lost = self.shared.owner.0.lost.load(Ordering::Relaxed) - owner.lost_told.get();
        let told = if lost > 0 { LOST_WORDS as u64 } else { 0 };
        // What is skipped at the end of the buffer is less than the record; then it begins at the
        // start, where the rest has no end to cross.
        if len > MAX_WORDS
            || owner.position.get() + told + 2 * len as u64 + spare - owner.seen_head.get()
                > self.capacity()
        {
            // The next record comes this way too, however small: to tell of a loss before it.
            owner.seen_head.set(owner.position.get().wrapping_sub(self.capacity()));
            return Err(Refusal::Full);
        }
        if lost > 0 {
            let end = self.reserve(LOST_WORDS, &|| {})?;
            // SAFETY: just reserved, and this function's contract.
            let place = unsafe { self.place(end, LOST_WORDS) };
            place.copy_from_slice(&[head(Kind::Lost, 0, LOST_WORDS, 0), 0, lost, 0]);
            owner.lost_told.set(owner.lost_told.get() + lost);
            self.publish(end)?;
        }
        let end = self.reserve(len, &|| {})?;
        // SAFETY: just reserved, and this function's contract.
        record.fill(unsafe { self.place(end, len) });
        Ok(self.publish(end)?)
    }

    /// [`try_push`](Self::try_push) for a record whose room an earlier push kept as `spare`.
    ///
    /// # Safety
    ///
    /// - Only one thread may call this for a ring.
    /// - There is room.
    #[inline(always)]
    pub(crate) unsafe fn push_spare(&self, words: [u64; 2]) -> Result<bool, Closed> {
        let end = self.owner.0.position.get() + 2;
        debug_assert!(end - self.shared.worker.0.head.load(Ordering::Relaxed) <= self.capacity());
        // SAFETY: there is room by the contract, and two words do not cross the end of the buffer,
        // since every record in it has an even number of them.
        unsafe { self.place(end, 2) }.copy_from_slice(&words);
        self.publish(end)
    }

    /// Counts an event that found no room.
    pub(crate) fn count_lost(&self) {
        let lost = &self.shared.owner.0.lost;
        // Only the owner writes it.
        lost.store(lost.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Waits for room for `len` words, whatever record they belong to.
    pub(crate) fn wait(&self, len: u64, wake: &dyn Fn()) -> Result<(), Closed> {
        self.wait_for_room(self.owner.0.position.get() + len, wake)
    }

    /// Waits for room for a record of `len` words, and says where it will end.
    #[inline(always)]
    fn reserve(&self, len: usize, wake: &dyn Fn()) -> Result<u64, Closed> {
        let owner = &self.owner.0;
        let position = owner.position.get();
        let to_end = self.capacity() - (position & self.mask);
        let skipped = if len as u64 > to_end { to_end } else { 0 };
        let end = position + skipped + len as u64;
        if end - owner.seen_head.get() > self.capacity() {
            self.wait_for_room(end, wake)?;
        }
        if skipped > 0 {
            let place = cast(position & self.mask);
            // SAFETY: `place` ≤ `mask`, and the word lies beyond `tail` and within `capacity` of
            // `head`, so that the worker does not read it before it is published.
            unsafe { *self.words[place].get() = head(Kind::Skip, 0, 0, 0) };
            self.words.are_written(position..position + 1);
        }
        Ok(end)
    }

    /// The words of the record that will end at `end`.
    ///
    /// # Safety
    ///
    /// - Only the owner may call this, after [`Self::reserve`] gave it `end`, and before it
    ///   publishes; once.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the contract makes it the only reference")]
    unsafe fn place(&self, end: u64, len: usize) -> &mut [u64] {
        self.words.are_written(end - len as u64..end);
        let place = cast((end - len as u64) & self.mask);
        let first = self.words[place..place + len].as_ptr();
        // SAFETY: the range was just checked to lie in the buffer, and by `reserve` in
        // `tail..head + capacity`, where the worker does not read; the words are initialised since
        // the ring was made, and by the contract nobody else refers to them.
        unsafe { std::slice::from_raw_parts_mut(UnsafeCell::raw_get(first), len) }
    }

    #[inline(always)]
    fn publish(&self, end: u64) -> Result<bool, Closed> {
        let owner = &self.owner.0;
        let before = owner.position.replace(end);
        self.words.are_written(before..end);
        self.shared.owner.0.tail.store(end, Ordering::Release);
        sync::light();
        if self.shared.closing.0.is_closed.load(Ordering::Relaxed) {
            return self.after_close(end);
        }
        let quarter = self.capacity() / 4;
        Ok((before ^ end) & !(quarter - 1) != 0)
    }

    /// Puts a long record where the worker finds it, by itself or by what is said in `place`.
    #[cold]
    fn put_aside(&self, record: Box<[u64]>, place: &mut [u64]) {
        if let Some(said) = self.shared.put_aside(&record) {
            place[1..3].copy_from_slice(&said);
        } else {
            self.aside.lock().unwrap_or_else(PoisonError::into_inner).push_back(record);
        }
    }

    /// The record that an `Aside`, which is `place`, stands for; `None` if there was no memory for it.
    #[cold]
    fn take_aside(&self, place: &[u64]) -> Option<Box<[u64]>> {
        match self.shared.read_aside(place) {
            Aside::Here => self.aside.lock().unwrap_or_else(PoisonError::into_inner).pop_front(),
            Aside::Read(record) => Some(record),
            Aside::Nowhere => None,
        }
    }

    #[cold]
    fn put_aside_again(&self, record: Box<[u64]>) {
        if !self.shared.is_elsewhere() {
            self.aside.lock().unwrap_or_else(PoisonError::into_inner).push_front(record);
        }
    }

    #[cold]
    fn after_close(&self, end: u64) -> Result<bool, Closed> {
        loop {
            match self.shared.closing.0.final_tail.load(Ordering::Acquire) {
                u64::MAX => thread::yield_now(),
                last if end <= last => return Ok(false),
                _ => return Err(Closed),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_room(&self, end: u64, wake: &dyn Fn()) -> Result<(), Closed> {
        let worker = &self.shared.worker.0;
        let has_room = || {
            let head = worker.head.load(Ordering::Acquire);
            self.owner.0.seen_head.set(head);
            end - head <= self.capacity()
        };
        let is_closed = || self.shared.closing.0.is_closed.load(Ordering::Acquire);
        for round in 0.. {
            if has_room() {
                return Ok(());
            }
            // In a forked child there is no worker to wait for.
            if is_closed() || self.process != std::process::id() {
                return Err(Closed);
            }
            if round < SPINS {
                std::hint::spin_loop();
                continue;
            }
            wake();
            if !self.shared.is_elsewhere() {
                *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(thread::current());
            }
            worker.is_waited_for.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if !has_room() && !is_closed() {
                // Woken by the worker; the limit is for a worker that is gone.
                self.shared.sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// The worker's side: has taken all before `head`, and so many events among it.
    fn give_back(&self, head: u64, events: u64) {
        let worker = &self.shared.worker.0;
        self.shared.note_taken(head, events);
        worker.head.store(head, Ordering::Release);
        fence(Ordering::SeqCst);
        if worker.is_waited_for.load(Ordering::Relaxed) != 0 {
            let tail = self.shared.owner.0.tail.load(Ordering::Relaxed);
            if tail - head <= self.capacity() / 2 {
                self.wake_owner();
            }
        }
    }

    fn wake_owner(&self) {
        let worker = &self.shared.worker.0;
        worker.is_waited_for.store(0, Ordering::Relaxed);
        if self.shared.is_elsewhere() {
            return self.shared.wake();
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = waiting {
            thread.unpark();
        }
    }

    /// To be called by a new owner, before its first push. The lock through which a used ring comes orders
    /// that push after the worker's last read of the buffer already; here the order is said by the ring
    /// itself, for whoever checks it without knowing of that lock.
    pub(crate) fn adopt(&self) {
        let _ = self.shared.owner.0.released.load(Ordering::Acquire);
    }

    /// Says that no record will follow: the owner's thread ends.
    pub(crate) fn release(&self) {
        self.shared.owner.0.released.store(true, Ordering::Release);
    }

    /// Words published so far, if some of them have not been taken: for other threads.
    pub(crate) fn waiting_until(&self) -> Option<u64> {
        let tail = self.shared.owner.0.tail.load(Ordering::Acquire);
        (tail != self.shared.worker.0.head.load(Ordering::Relaxed)).then_some(tail)
    }

    /// Whether the trace is finished.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closing.0.is_closed.load(Ordering::Relaxed)
    }
}

/// The worker's end of a ring. There is one for each, and it cannot be copied.
#[derive(Debug)]
pub(crate) struct Drain {
    ring: Arc<Ring>,
    /// Events among what was taken.
    events: u64,
}

impl Drain {
    /// The end of a ring that has none, or whose end died with its process.
    pub(crate) fn new(ring: Arc<Ring>) -> Self {
        Self { ring, events: 0 }
    }

    /// The ring as new, for another owner, if the last one is gone and has let go of it, and if it is of this
    /// process.
    pub(crate) fn into_new(self) -> Option<(Arc<Ring>, Self)> {
        let mut ring = Arc::into_inner(self.ring)?;
        if ring.shared.is_elsewhere() {
            return None;
        }
        // What the buffer holds is not read before it is written again.
        ring.owner = Apart::default();
        ring.shared.reset();
        let ring = Arc::new(ring);
        // What was read of the buffer was read before this; see `Ring::adopt`.
        ring.shared.owner.0.released.store(false, Ordering::Release);
        Some((Arc::clone(&ring), Self::new(ring)))
    }

    /// Whether nothing is published that has not been taken or refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.published() == self.ring.shared.worker.0.head.load(Ordering::Relaxed)
    }

    /// Whether it is the end of `ring`.
    pub(crate) fn is_of(&self, ring: &Arc<Ring>) -> bool {
        Arc::ptr_eq(&self.ring, ring)
    }

    /// The ring, without keeping it.
    pub(crate) fn ring(&self) -> Weak<Ring> {
        Arc::downgrade(&self.ring)
    }

    /// Whether the owner is gone.
    pub(crate) fn is_released(&self) -> bool {
        self.ring.shared.owner.0.released.load(Ordering::Acquire)
    }

    /// Events that found no room so far.
    pub(crate) fn lost(&self) -> u64 {
        self.ring.lost()
    }

    /// Words published and not refused, counted for ever.
    #[inline]
    pub(crate) fn published(&self) -> u64 {
        // What is published after the close was refused.
        let last = self.ring.shared.closing.0.final_tail.load(Ordering::Relaxed);
        self.ring.shared.owner.0.tail.load(Ordering::Acquire).min(last)
    }

    /// How many events it has taken.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Hands each record [published](Self::published) within the first `until` words to `with`, in
    /// order, as long as that says yes: what it says no to stays. Returns whether any was taken.
    #[inline]
    pub(crate) fn take(&mut self, until: u64, mut with: impl FnMut(&[u64]) -> bool) -> bool {
        let ring = &*self.ring;
        let begin = ring.shared.worker.0.head.load(Ordering::Relaxed);
        let end = self.published().min(until);
        let batch = ring.capacity() / 8;
        let events = self.events;
        let mut taken =
            Taken { ring, total: &mut self.events, events, position: begin, given_back: begin };
        while taken.position < end {
            let place = taken.position & ring.mask;
            // SAFETY: `place` ≤ `mask`; the word was published with `end` and is written again
            // only after `head` has passed it, which only this `Drain` moves.
            let first = unsafe { *ring.words[cast(place)].get() };
            ring.words.are_read(taken.position..taken.position + 1);
            if first & 0xFF == Kind::Skip as u64 {
                taken.position += ring.capacity() - place;
                continue;
            }
            let len = words_of(first);
            let words = ring.words[cast(place)..cast(place + len)].as_ptr();
            // SAFETY: the range was just checked; records are contiguous, and this one lies in
            // `head..tail` as above.
            let place =
                unsafe { std::slice::from_raw_parts(UnsafeCell::raw_get(words), cast(len)) };
            let is_aside = first & 0xFF == Kind::Aside as u64;
            let aside = if is_aside { ring.take_aside(place) } else { None };
            let record = aside.as_deref().unwrap_or(place);
            // First, so that a record is taken also when there is a panic about it.
            taken.position += len;
            let is_event = u64::from(is_event(record[0]));
            taken.events += is_event;
            // What is aside and not there found no memory.
            let goes_on = (is_aside && aside.is_none()) || with(record);
            ring.words.are_read(taken.position - len..taken.position);
            if !goes_on {
                taken.position -= len;
                taken.events -= is_event;
                if let Some(aside) = aside {
                    ring.put_aside_again(aside);
                }
                break;
            }
            if is_aside {
                ring.shared.free_aside(place);
            }
            if taken.position - taken.given_back >= batch {
                taken.give_back();
            }
        }
        taken.position != begin
    }

    /// First half of closing: from here on, a push is refused or seen by the second half. To be
    /// followed by [`sync::heavy`] and [`Ring::finish_close`].
    pub(crate) fn begin_close(&self) {
        self.ring.shared.closing.0.is_closed.store(true, Ordering::Release);
    }

    /// Second half: settles which records made it.
    pub(crate) fn finish_close(&self) {
        let tail = self.ring.shared.owner.0.tail.load(Ordering::Acquire);
        self.ring.shared.closing.0.final_tail.store(tail, Ordering::Release);
        self.ring.wake_owner();
    }
}

/// How far a [`Drain`] has taken; what that frees goes back to the owner, at the latest when it is
/// dropped.
struct Taken<'d> {
    ring: &'d Ring,
    total: &'d mut u64,
    events: u64,
    position: u64,
    given_back: u64,
}

impl Taken<'_> {
    #[inline]
    fn give_back(&mut self) {
        *self.total = self.events;
        self.ring.give_back(self.position, self.events);
        self.given_back = self.position;
    }
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.position != self.given_back {
            self.give_back();
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("words", &self.words.len())
            .field("tail", &self.shared.owner.0.tail)
            .field("head", &self.shared.worker.0.head)
            .finish_non_exhaustive()
    }
}

/// Whether a record with this first word counts as an event: the end of a slice does not, nor what says that
/// events were lost.
#[inline(always)]
pub(crate) const fn is_event(head: u64) -> bool {
    const EVENTS: u32 = 1 << Kind::Slice as u32
        | 1 << Kind::Instant as u32
        | 1 << Kind::Begin as u32
        | 1 << Kind::CountInt as u32
        | 1 << Kind::CountDouble as u32
        | 1 << Kind::LiveBegin as u32
        | 1 << Kind::LiveInstant as u32
        | 1 << Kind::LiveCountInt as u32
        | 1 << Kind::LiveCountDouble as u32;
    EVENTS >> (head & 0x1F) & 1 != 0
}

/// A place in the buffer as an index; it fits, since the buffer is in memory.
#[expect(clippy::cast_possible_truncation, reason = "masked by the length of a slice")]
#[inline]
const fn cast(place: u64) -> usize {
    place as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Values<'a>(&'a [u64]);

    impl Fill for Values<'_> {
        fn fill(self, place: &mut [u64]) {
            place[0] = head(Kind::Slice, 0, place.len(), 0);
            place[1..].copy_from_slice(self.0);
        }
    }

    fn push(ring: &Ring, values: &[u64]) -> Result<bool, Closed> {
        // SAFETY: each test pushes from one thread.
        unsafe { ring.push(values.len() + 1, 0, &|| {}, Values(values)) }
    }

    fn take(drain: &mut Drain) -> Vec<Vec<u64>> {
        let mut taken = vec![];
        drain.take(u64::MAX, |record| {
            taken.push(record[1..].to_vec());
            true
        });
        taken
    }

    #[test]
    fn records_come_out_as_they_went_in_around_the_end_of_the_buffer() {
        let (ring, mut drain) = Ring::with_bytes(0);
        for round in 0..2_000u64 {
            let values: Vec<u64> = (0..round % 50).map(|item| round * 100 + item).collect();
            push(&ring, &values).expect("open");
            push(&ring, &[round]).expect("open");
            assert_eq!(take(&mut drain), [values, vec![round]]);
        }
    }

    #[test]
    fn a_record_longer_than_the_ring_goes_aside_in_order() {
        let (ring, mut drain) = Ring::with_bytes(0);
        let long: Vec<u64> = (0..5_000).collect();
        push(&ring, &[1]).expect("open");
        push(&ring, &long).expect("open");
        push(&ring, &[2]).expect("open");
        assert_eq!(take(&mut drain), [vec![1], long, vec![2]]);
    }

    #[test]
    fn what_is_not_wanted_or_lies_beyond_the_bound_stays() {
        let (ring, mut drain) = Ring::with_bytes(0);
        let long: Vec<u64> = (0..5_000).collect();
        push(&ring, &[1]).expect("open");
        let until = drain.published();
        push(&ring, &long).expect("open");
        let mut taken = vec![];
        let mut take_first = |drain: &mut Drain, until| {
            drain.take(until, |record| {
                let is_wanted = record.len() == 2;
                taken.extend(is_wanted.then_some(record[1]));
                is_wanted
            })
        };
        assert!(take_first(&mut drain, until));
        assert!(!take_first(&mut drain, until));
        assert!(!take_first(&mut drain, u64::MAX));
        assert_eq!(taken, [1]);
        assert_eq!(take(&mut drain), [long]);
    }

    #[test]
    fn after_the_close_a_push_is_refused() {
        let (ring, drain) = Ring::with_bytes(0);
        push(&ring, &[1]).expect("open");
        drain.begin_close();
        drain.finish_close();
        assert_eq!(push(&ring, &[2]), Err(Closed));
    }

    #[test]
    fn a_full_ring_holds_its_owner_until_there_is_room() {
        let (ring, mut drain) = Ring::with_bytes(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 0..100_000 {
                    push(&ring, &[value]).expect("open");
                }
                ring.release();
            });
            let mut next = 0;
            while !(drain.is_released() && drain.is_empty()) {
                for record in take(&mut drain) {
                    assert_eq!(record, [next]);
                    next += 1;
                }
            }
            assert_eq!(next, 100_000);
        });
    }

    #[test]
    fn each_push_is_either_taken_or_refused_when_closing_races() {
        for _ in 0..200 {
            let (ring, mut drain) = Ring::with_bytes(1 << 16);
            sync::prepare();
            let (taken, accepted) = std::thread::scope(|scope| {
                let owner =
                    scope.spawn(|| (0..1 << 40).take_while(|&n| push(&ring, &[n]).is_ok()).count());
                let mut taken = 0;
                while taken < 50 {
                    taken += take(&mut drain).len();
                }
                drain.begin_close();
                sync::heavy();
                drain.finish_close();
                taken += take(&mut drain).len();
                (taken, owner.join().expect("no panic"))
            });
            assert_eq!(taken, accepted);
        }
    }
}
