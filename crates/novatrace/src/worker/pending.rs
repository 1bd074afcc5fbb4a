//! The events of one track that wait for their turn.
//!
//! An event may come up to a window of events late and still be drawn in its place. The worker
//! therefore drains each time a window of events has come, and writes of a track what lies no later
//! than any event that had come *before* the window: whatever comes from now on and starts earlier
//! than that is more than a window late.
//!
//! So there are two runs: what came before the last drain (`old`) and since (`new`). When times
//! ascend, a drain writes all of `old` and `new` becomes the next `old`, without moving anything.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::steps;

/// Ends at or beyond this stand for slices whose end is not known.
const OPEN: u64 = 1 << 63;

/// The order that the trace processor needs: by start, the longest first (the end inverted).
pub(crate) type Key = (u64, u64);

/// The place in that order of what starts and ends so.
#[inline]
pub(crate) const fn key(start: u64, end: u64) -> Key {
    (start, !end)
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Slice,
    /// A slice that never ends: its end is still [`Entry::open_end`].
    Unfinished,
    Instant,
    Counter,
}

/// Whether an end is none: it is later than any time.
pub(crate) const fn is_never(end: u64) -> bool {
    end >= OPEN
}

/// One event that waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) start: u64,
    /// Equal to `start` for instants and counters. For an open slice, [`Entry::open_end`].
    pub(crate) end: u64,
    /// Where its body begins in its run's bytes.
    body: u32,
    len: u32,
    /// Of two events, also of different tracks, the one that came first has the lower number.
    pub(crate) number: u32,
    pub(crate) kind: EntryKind,
}

impl Entry {
    /// What stands for the end of the open slice `id`: later than any time, and the earlier slice,
    /// which is the outer one, the later.
    pub(crate) const fn open_end(id: u64) -> u64 {
        u64::MAX - id
    }

    /// The open slice that the end stands for.
    pub(crate) const fn open_id(&self) -> u64 {
        u64::MAX - self.end
    }

    pub(crate) const fn is_open(&self) -> bool {
        is_never(self.end)
    }

    /// The order that the trace processor needs: by start, the longest first.
    #[inline]
    fn key(&self) -> Key {
        key(self.start, self.end)
    }
}

#[derive(Debug, Default)]
struct Run {
    entries: Vec<Entry>,
    bodies: Vec<u8>,
    /// Of the last entry.
    last_key: Key,
    is_unsorted: bool,
}

impl Run {
    #[inline(always)]
    fn push(&mut self, entry: Entry) {
        let key = entry.key();
        self.is_unsorted |= key < self.last_key;
        self.last_key = key;
        self.entries.push(entry);
    }

    /// By the trace processor's order; equal events stay in the order they came.
    fn sort(&mut self) {
        if self.is_unsorted {
            self.entries.sort_by_key(|entry| {
                steps::count(1);
                entry.key()
            });
            self.is_unsorted = false;
            self.last_key = self.entries.last().map_or((0, 0), Entry::key);
        }
    }

    fn body(&self, entry: &Entry) -> &[u8] {
        &self.bodies[entry.body as usize..(entry.body + entry.len) as usize]
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bodies.clear();
        self.last_key = (0, 0);
        self.is_unsorted = false;
    }

    fn take_from(&mut self, other: &Self, entries: &[Entry]) {
        steps::count(entries.len());
        for entry in entries {
            let body = offset(self.bodies.len());
            self.bodies.extend_from_slice(other.body(entry));
            self.push(Entry { body, ..*entry });
        }
    }

    fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.bodies.capacity()
    }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("the window is far below 4 GiB, and so is any one event")
}

/// The events of one track that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    old: Run,
    new: Run,
    /// The last key in `old`, or of what was written from it.
    watermark: Option<Key>,
    /// The watermark as the last drain had it.
    reached: Option<Key>,
    /// The last key that has come.
    latest: Key,
    /// The open slices among the events, and those of them whose end has become known since the last
    /// drain.
    open: HashMap<u64, Option<u64>, FixedState>,
    ended: usize,
    /// Whether what is left of `old` lies before all of `new`.
    is_ascending: bool,
    /// Reused for what stays behind.
    spare: Run,
}

/// How much a drain writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What no event within the window can come before, up to the first open slice: where that
    /// belongs is known only with its end.
    Window,
    /// What the drain just before, a [`Window`](Self::Window), has held back.
    Held,
    /// Everything.
    All,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.old.entries.is_empty() && self.new.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.old.entries.len() + self.new.entries.len()
    }

    /// The latest time of the events that wait, open ends apart.
    pub(crate) fn last_ns(&mut self) -> u64 {
        self.apply_ends();
        let entries = self.old.entries.iter().chain(&self.new.entries);
        let times = entries.map(|entry| if entry.is_open() { entry.start } else { entry.end });
        times.max().unwrap_or(0)
    }

    /// The body of each event that waits.
    pub(crate) fn each_body(&self, mut with: impl FnMut(&[u8])) {
        for run in [&self.old, &self.new] {
            run.entries.iter().for_each(|entry| with(run.body(entry)));
        }
    }

    /// Bytes of the bodies that wait.
    pub(crate) fn body_bytes(&self) -> usize {
        self.old.bodies.len() + self.new.bodies.len()
    }

    /// How many of the events are open slices.
    pub(crate) fn open(&self) -> usize {
        self.open.len() - self.ended
    }

    /// Where the body of the next event is to be appended.
    #[inline]
    pub(crate) fn bodies(&mut self) -> &mut Vec<u8> {
        &mut self.new.bodies
    }

    /// Adds an event whose body has just been appended from `body` on.
    #[inline(always)]
    pub(crate) fn push(&mut self, start: u64, end: u64, kind: EntryKind, number: u32, body: usize) {
        let (body, len) = (offset(body), offset(self.new.bodies.len() - body));
        let entry = Entry { start, end, body, len, number, kind };
        if entry.is_open() {
            self.open.insert(entry.open_id(), None);
        }
        self.new.push(entry);
    }

    /// Gives the open slice `id` its end, if it still waits.
    pub(crate) fn close(&mut self, id: u64, end: u64) -> bool {
        let Some(known @ None) = self.open.get_mut(&id) else { return false };
        *known = Some(end);
        self.ended += 1;
        true
    }

    /// Enters the ends that have become known, all at once: to look for each slice would take long
    /// where many are open.
    fn apply_ends(&mut self) {
        if self.ended == 0 {
            return;
        }
        for run in [&mut self.new, &mut self.old] {
            steps::count(run.entries.len());
            for entry in run.entries.iter_mut().filter(|entry| entry.is_open()) {
                if let Some(&Some(end)) = self.open.get(&entry.open_id()) {
                    self.open.remove(&entry.open_id());
                    entry.end = end;
                    run.is_unsorted = true;
                }
            }
        }
        self.ended = 0;
    }

    /// Gives every open slice the end that `end` says for it.
    pub(crate) fn close_all(&mut self, end: impl Fn(u64) -> u64) -> u64 {
        self.apply_ends();
        let closed = self.open.len() as u64;
        for run in [&mut self.new, &mut self.old] {
            for entry in run.entries.iter_mut().filter(|entry| entry.is_open()) {
                entry.end = end(entry.start);
                run.is_unsorted = true;
            }
        }
        self.open.clear();
        closed
    }

    /// Gives up waiting for the ends of slices: those that are open never end. Returns how many that are.
    pub(crate) fn leave_unfinished(&mut self) -> u64 {
        self.apply_ends();
        let left = self.open.len() as u64;
        for run in [&mut self.new, &mut self.old] {
            for entry in run.entries.iter_mut().filter(|entry| entry.is_open()) {
                entry.kind = EntryKind::Unfinished;
            }
        }
        self.open.clear();
        left
    }

    /// Writes what has its turn, in order, through `write`.
    #[inline]
    pub(crate) fn drain(&mut self, extent: Extent, mut write: impl FnMut(&Entry, &[u8])) {
        let end = self.prepare(extent);
        for entry in &self.old.entries[..end] {
            write(entry, self.old.body(entry));
        }
        self.finish(end);
    }

    /// Sorts, and says how many events have their turn: those are the first ones from then on, and
    /// [`finish`](Self::finish) is to follow.
    pub(crate) fn prepare(&mut self, extent: Extent) -> usize {
        self.apply_ends();
        if extent == Extent::Held {
            self.is_ascending = false;
            let reached = self.reached;
            return self.old.entries.partition_point(|entry| Some(entry.key()) <= reached);
        }
        let watermark = match extent {
            Extent::All => Some((u64::MAX, u64::MAX)),
            Extent::Window | Extent::Held => self.watermark,
        };
        self.reached = watermark;
        self.old.sort();
        self.new.sort();
        // Sorted, so that the last one is the latest.
        self.latest = self.latest.max(self.new.last_key);
        self.watermark = Some(self.latest);
        let is_held = !self.open.is_empty() && extent == Extent::Window;
        let early = self.new.entries.partition_point(|entry| Some(entry.key()) <= watermark);
        self.is_ascending = early == 0 && !is_held;
        if self.is_ascending {
            return self.old.entries.len();
        }
        self.old.take_from(&self.new, &self.new.entries);
        self.new.clear();
        self.old.sort();
        let entries = &self.old.entries;
        let end = entries.partition_point(|entry| Some(entry.key()) <= watermark);
        let open = entries.iter().position(Entry::is_open);
        steps::count(open.unwrap_or(entries.len()));
        match open {
            Some(open) if is_held => end.min(open),
            _ => end,
        }
    }

    /// The event at a place among those that are prepared.
    pub(crate) fn entry(&self, at: usize) -> (&Entry, &[u8]) {
        let entry = &self.old.entries[at];
        (entry, self.old.body(entry))
    }

    /// Of the first `end` prepared ones, how many start before `time`.
    pub(crate) fn before(&self, time: u64, end: usize) -> usize {
        match self.old.entries[..end].last() {
            Some(last) if last.start >= time => {
                self.old.entries[..end].partition_point(|entry| entry.start < time)
            }
            _ => end,
        }
    }

    /// The start of the first event that stays behind when the first `end` are written.
    pub(crate) fn first_left(&self, end: usize) -> Option<u64> {
        let left = [self.old.entries.get(end), self.new.entries.first()];
        left.into_iter().flatten().map(|entry| entry.start).min()
    }

    /// Forgets the first `end` events, which are written.
    pub(crate) fn finish(&mut self, end: usize) {
        if !self.open.is_empty() {
            steps::count(end);
            for entry in self.old.entries[..end].iter().filter(|entry| entry.is_open()) {
                self.open.remove(&entry.open_id());
            }
        }
        if self.is_ascending && end == self.old.entries.len() {
            self.old.clear();
            std::mem::swap(&mut self.old, &mut self.new);
        } else if self.is_ascending || end > 0 {
            self.spare.take_from(&self.old, &self.old.entries[end..]);
            if self.is_ascending {
                self.spare.take_from(&self.new, &self.new.entries);
                self.new.clear();
            }
            self.old.clear();
            std::mem::swap(&mut self.old, &mut self.spare);
        }
    }

    /// Gives back the memory of a track that has fallen silent.
    pub(crate) fn shrink(&mut self) {
        let memory = self.old.memory() + self.new.memory() + self.spare.memory();
        if self.is_empty() && memory > 1 << 12 {
            self.old = Run::default();
            self.new = Run::default();
            self.spare = Run::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push(pending: &mut Pending, start: u64, end: u64, mark: u8) {
        let at = pending.bodies().len();
        pending.bodies().push(mark);
        pending.push(start, end, EntryKind::Slice, mark.into(), at);
    }

    fn drained(pending: &mut Pending, extent: Extent) -> Vec<(u64, u8)> {
        let mut written = vec![];
        pending.drain(extent, |entry, body| written.push((entry.start, body[0])));
        written
    }

    #[test]
    fn a_drain_writes_what_nothing_in_the_window_can_precede() {
        let mut pending = Pending::default();
        push(&mut pending, 10, 20, 1);
        assert_eq!(drained(&mut pending, Extent::Window), []);
        push(&mut pending, 5, 20, 2);
        push(&mut pending, 15, 20, 3);
        assert_eq!(drained(&mut pending, Extent::Window), [(5, 2), (10, 1)]);
        assert_eq!(drained(&mut pending, Extent::Window), [(15, 3)]);
        assert!(pending.is_empty());
    }

    #[test]
    fn an_open_slice_holds_back_what_follows_until_it_has_its_end() {
        let mut pending = Pending::default();
        push(&mut pending, 1, 2, 1);
        push(&mut pending, 5, Entry::open_end(7), 2);
        push(&mut pending, 5, 9, 3);
        assert_eq!(drained(&mut pending, Extent::Window), []);
        assert_eq!(drained(&mut pending, Extent::Window), [(1, 1)]);
        assert!(!pending.close(8, 10));
        assert!(pending.close(7, 8));
        assert!(!pending.close(7, 8));
        assert_eq!(pending.open(), 0);
        // Now the shorter of the two.
        assert_eq!(drained(&mut pending, Extent::Window), [(5, 3), (5, 2)]);
    }

    #[test]
    fn what_was_held_back_comes_out_and_nothing_that_the_window_protects() {
        let mut pending = Pending::default();
        push(&mut pending, 5, Entry::open_end(7), 1);
        push(&mut pending, 6, 7, 2);
        assert_eq!(drained(&mut pending, Extent::Window), []);
        push(&mut pending, 8, 9, 3);
        assert_eq!(drained(&mut pending, Extent::Window), []);
        assert_eq!(drained(&mut pending, Extent::Held), [(5, 1), (6, 2)]);
        assert_eq!((pending.open(), pending.len()), (0, 1));
        push(&mut pending, 7, 8, 4);
        assert_eq!(drained(&mut pending, Extent::All), [(7, 4), (8, 3)]);
    }

    #[test]
    fn what_is_prepared_may_be_written_in_part() {
        for late in [false, true] {
            let mut pending = Pending::default();
            push(&mut pending, 10, 20, 1);
            push(&mut pending, 12, 20, 2);
            assert_eq!(drained(&mut pending, Extent::Window), []);
            push(&mut pending, 15, 20, 3);
            if late {
                push(&mut pending, 11, 12, 4);
            }
            let end = pending.prepare(Extent::Window);
            assert_eq!(pending.first_left(end), Some(15));
            let end = pending.before(12, end);
            assert_eq!(pending.first_left(end), Some(12));
            pending.finish(end);
            assert_eq!(drained(&mut pending, Extent::All), [(12, 2), (15, 3)]);
        }
    }

    fn mark(at: usize) -> u8 {
        at.to_le_bytes()[0]
    }

    proptest! {
        #[test]
        fn every_event_comes_out_once_and_in_order_if_late_by_at_most_a_window(
            times in prop::collection::vec(0u64..50, 1..200), window in 1usize..20,
        ) {
            // Event n is late by at most `window` events: sort blocks of that many.
            let mut times = times;
            times.sort_unstable();
            for block in times.chunks_mut(window) {
                block.reverse();
            }
            let mut pending = Pending::default();
            let mut written = vec![];
            for (at, &time) in times.iter().enumerate() {
                push(&mut pending, time, time + 1, mark(at));
                if (at + 1) % window == 0 {
                    written.extend(drained(&mut pending, Extent::Window));
                }
            }
            written.extend(drained(&mut pending, Extent::All));
            let mut expected: Vec<_> =
                times.iter().enumerate().map(|(at, &time)| (time, mark(at))).collect();
            expected.sort_by_key(|(time, _)| *time);
            prop_assert_eq!(written, expected);
        }
    }
}
