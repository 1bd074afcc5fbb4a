//! Events of one flow at one time on different rows.
//!
//! Of events at the very same time, the trace processor takes the one for the first that the file has
//! first, and an arrow then leads from there. Tracks are drained one after the other, so that the
//! file would have them in any order. Here it is noticed that two rows are tied so at some time; a
//! drain then writes the tied rows together, merged in the order that their events came:
//!
//! ```text
//! prepare each tied row: its first `end` events have their turn
//! while a tie (time, A, B) has a row with an event at or before `time` that has not its turn:
//!     neither A nor B is written from `time` on
//! repeat: the row whose next event is the earliest, and of equal times, of which the first of the
//!     events still to be written there came first
//! ```
//!
//! What stays behind has its turn at a later drain, and the tie is kept till then. The order within a
//! track is never changed: there the longest slice has to come first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::FixedState;

use super::pending::{Extent, Pending};
use super::track::Track;

/// Two rows with events of one flow at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tie {
    time: u64,
    rows: [u32; 2],
}

/// Events with flows that are remembered before those are forgotten that are written.
const FEW: usize = 1 << 10;

/// The rows that are tied.
#[derive(Debug)]
pub(crate) struct Ties {
    /// Of events with flows that may still wait, by a hash of flow and time: row and time of the last
    /// of them. Two that share a hash make a tie that is none, which does no harm.
    last: HashMap<u64, (u32, u64), FixedState>,
    /// At how many of them to forget those that are written.
    many: usize,
    found: Vec<Tie>,
}

impl Default for Ties {
    fn default() -> Self {
        Self { last: HashMap::default(), many: FEW, found: Vec::new() }
    }
}

impl Ties {
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Notes an event of `flow`.
    #[inline]
    pub(crate) fn note(&mut self, flow: u64, time: u64, row: u32) {
        let hash = FixedState::with_seed(4).hash_one((flow, time));
        if let Some((other, _)) = self.last.insert(hash, (row, time))
            && other != row
        {
            let tie = Tie { time, rows: [other, row] };
            if self.found.last() != Some(&tie) {
                self.found.push(tie);
            }
        }
    }

    /// Forgets what is written, now and then; to be called after each drain.
    pub(crate) fn forget(&mut self, tracks: &[Option<Box<Track>>]) {
        if self.last.len() >= self.many {
            self.last.retain(|_, (row, time)| {
                let track = tracks.get(*row as usize).and_then(Option::as_ref);
                let first = track.and_then(|track| track.pending.first_left(0));
                first.is_some_and(|first| first <= *time)
            });
            self.many = (2 * self.last.len()).max(FEW);
        }
    }

    /// Prepares the tied rows for a drain; `number` is later than those of all events. Keeps the ties
    /// that have to be looked at again.
    pub(crate) fn prepare(
        &mut self,
        tracks: &mut [Option<Box<Track>>],
        extent: Extent,
        number: u32,
    ) -> Merge {
        // By time: what is cut at one time matters for later ones only.
        self.found.sort_unstable();
        self.found.dedup();
        let mut rows: HashMap<u32, usize, FixedState> = HashMap::default();
        for row in self.found.iter().flat_map(|tie| tie.rows) {
            if let Some(Some(track)) = tracks.get_mut(row as usize)
                && track.is_active
            {
                rows.entry(row).or_insert_with(|| track.pending.prepare(extent));
            }
        }
        let pending = |row| tracks.get(row as usize)?.as_ref().map(|track| &track.pending);
        let is_left = |tie: &Tie, rows: &HashMap<u32, usize, FixedState>| {
            tie.rows.iter().any(|row| {
                let end = rows.get(row).copied();
                let first = end.and_then(|end| pending(*row)?.first_left(end));
                first.is_some_and(|first| first <= tie.time)
            })
        };
        let mut is_final = false;
        while !is_final {
            is_final = true;
            for tie in &self.found {
                if !is_left(tie, &rows) {
                    continue;
                }
                for row in tie.rows {
                    if let (Some(end), Some(pending)) = (rows.get_mut(&row), pending(row)) {
                        let cut = pending.before(tie.time, *end);
                        is_final &= cut == *end;
                        *end = cut;
                    }
                }
            }
        }
        self.found.retain(|tie| is_left(tie, &rows));
        let mut merge = Merge::default();
        for (row, end) in rows {
            if let Some(pending) = pending(row) {
                merge.add(row, pending, end, number);
            }
        }
        merge
    }
}

/// Rows that are written together.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    rows: Vec<Merged>,
    heap: BinaryHeap<Reverse<(Place, usize)>>,
}

/// Start, and when the first of the row's events of that start came.
type Place = (u64, u32);

#[derive(Debug)]
struct Merged {
    row: u32,
    next: usize,
    /// Of each event that has its turn.
    places: Vec<Place>,
}

impl Merge {
    fn add(&mut self, row: u32, pending: &Pending, end: usize, number: u32) {
        let mut places: Vec<Place> = (0..end)
            .map(|at| pending.entry(at).0)
            // Numbers wrap around, but none is 2^32 events old.
            .map(|entry| (entry.start, entry.number.wrapping_sub(number)))
            .collect();
        for at in (1..places.len()).rev() {
            if places[at - 1].0 == places[at].0 {
                places[at - 1].1 = places[at - 1].1.min(places[at].1);
            }
        }
        let index = self.rows.len();
        self.heap.extend(places.first().map(|&place| Reverse((place, index))));
        self.rows.push(Merged { row, next: 0, places });
    }

    /// The row that is next, and which of its events are to be written.
    pub(crate) fn next(&mut self) -> Option<(u32, Range<usize>)> {
        let Reverse((_, index)) = self.heap.pop()?;
        let row = &mut self.rows[index];
        let begin = row.next;
        row.next += 1;
        while let Some(&place) = row.places.get(row.next) {
            if self.heap.peek().is_some_and(|Reverse(other)| *other < (place, index)) {
                self.heap.push(Reverse((place, index)));
                break;
            }
            row.next += 1;
        }
        Some((row.row, begin..row.next))
    }

    /// Each row, and how many of its events have been written.
    pub(crate) fn written(&self) -> impl Iterator<Item = (u32, usize)> {
        self.rows.iter().map(|row| (row.row, row.next))
    }
}
