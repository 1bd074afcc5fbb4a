//! One row's track or counter as the worker knows it: how it is named in packets, what waits for it,
//! and its lanes.

use std::sync::Arc;

use novatrace_core::{EventType, ExplicitTrack, Sequence, TrackUuid};

use super::lanes::{Lane, Misfit};
use super::output::Output;
use super::pending::{Entry, EntryKind, Extent, Pending};
use crate::error::ErrorKind;
use crate::generator::Overlap;

/// A track or counter that has events.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) name: Arc<str>,
    /// Which of the worker's sequences it is written on.
    pub(crate) sequence: usize,
    /// How events name it, unless it is its sequence's default.
    explicit: Option<ExplicitTrack>,
    pub(crate) pending: Pending,
    /// Never empty; the first is the track itself.
    lanes: Vec<Lane>,
    /// Whether it is on the worker's list of tracks with pending events.
    pub(crate) is_active: bool,
}

/// What a track needs of the worker to write its events.
pub(crate) struct Surroundings<'a> {
    pub(crate) sequence: &'a mut Sequence,
    pub(crate) out: &'a mut Output,
    pub(crate) overlap: Overlap,
    /// Describes another lane of the track, and gives its uuid.
    pub(crate) new_lane: &'a mut dyn FnMut(&mut Sequence, &mut Output) -> TrackUuid,
    pub(crate) refused: &'a mut dyn FnMut(ErrorKind),
    /// The name in a body, for messages.
    pub(crate) name_of: &'a dyn Fn(&[u8]) -> String,
}

impl Track {
    pub(crate) fn new(name: Arc<str>, sequence: usize, explicit: Option<ExplicitTrack>) -> Self {
        Self {
            name,
            sequence,
            explicit,
            pending: Pending::default(),
            lanes: vec![Lane::new(explicit)],
            is_active: false,
        }
    }

    /// Writes what has its turn.
    pub(crate) fn drain(&mut self, extent: Extent, with_open: bool, around: &mut Surroundings<'_>) {
        let Self { name, pending, lanes, explicit, .. } = self;
        pending.drain(extent, with_open, |entry, body| match entry.kind {
            EntryKind::Counter => {
                let kind = EventType::Counter;
                let out = &mut *around.out;
                around.sequence.event(&mut out.batch, entry.start, kind, explicit.as_ref(), body);
                out.event();
            }
            EntryKind::Instant => {
                let out = &mut *around.out;
                // Ends first only to keep times ascending; where an instant is drawn is decided by
                // its time.
                lanes[0].pass(entry.start, around.sequence, out);
                let kind = EventType::Instant;
                around.sequence.event(&mut out.batch, entry.start, kind, explicit.as_ref(), body);
                out.event();
            }
            EntryKind::Slice if entry.is_open() => write_open(lanes, entry, body, around),
            EntryKind::Slice => write_slice(name, lanes, entry, body, around),
        });
    }

    /// Writes the ends that are known.
    pub(crate) fn write_ends(&mut self, sequence: &mut Sequence, out: &mut Output) {
        for lane in &mut self.lanes {
            lane.write_ends(sequence, out);
        }
        self.pending.shrink();
    }

    /// Ends the open slice `id`, wherever it is. False if it has not come yet.
    pub(crate) fn end(
        &mut self,
        id: u64,
        end: u64,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> bool {
        self.pending.close(id, end)
            || self.lanes.iter_mut().any(|lane| lane.end_open(id, end, sequence, out))
    }

    /// The latest time that is still to be written.
    pub(crate) fn last_ns(&self) -> u64 {
        let lanes = self.lanes.iter().map(Lane::last_ns);
        lanes.chain([self.pending.last_ns()]).max().unwrap_or(0)
    }

    /// Gives the slices that are still open the end `last`, or their start if that is later; with
    /// `None` they stay open. Returns how many there are.
    pub(crate) fn finish_open(
        &mut self,
        last: Option<u64>,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> u64 {
        let mut open = 0;
        for lane in &mut self.lanes {
            if let Some((id, start)) = lane.open_slice() {
                open += 1;
                if let Some(last) = last {
                    lane.end_open(id, last.max(start), sequence, out);
                }
            }
        }
        match last {
            Some(last) => open + self.pending.close_all(|start| last.max(start)),
            None => open + self.pending.open() as u64,
        }
    }
}

#[inline(always)]
fn write_slice(
    track: &str,
    lanes: &mut Vec<Lane>,
    entry: &Entry,
    body: &[u8],
    around: &mut Surroundings<'_>,
) {
    let Surroundings { sequence, out, overlap, .. } = around;
    let misfit = match lanes[0].fits(entry.start, entry.end, sequence, out) {
        Ok(()) => {
            lanes[0].begin(entry.start, entry.end, body, sequence, out);
            if *overlap == Overlap::Refuse {
                lanes[0].remember((around.name_of)(body));
            }
            return;
        }
        Err(misfit) => misfit,
    };
    write_misfit(track, lanes, entry, body, misfit, around);
}

/// A slice that does not fit on the first lane.
#[cold]
#[inline(never)]
fn write_misfit(
    track: &str,
    lanes: &mut Vec<Lane>,
    entry: &Entry,
    body: &[u8],
    misfit: Misfit,
    around: &mut Surroundings<'_>,
) {
    let Surroundings { sequence, out, overlap, .. } = around;
    if *overlap == Overlap::Refuse && matches!(misfit, Misfit::Late | Misfit::Overlaps) {
        let second = (around.name_of)(body);
        let track = track.to_owned();
        let ns = (entry.start, entry.end);
        let kind = match lanes[0].innermost() {
            Some((first, start, end)) if misfit == Misfit::Overlaps => {
                let first = first.to_owned();
                let first_ns = (start, end);
                ErrorKind::Overlap { track, first, first_ns, second, second_ns: ns }
            }
            _ => ErrorKind::Late { track, name: second, ns, written_ns: lanes[0].horizon() },
        };
        (around.refused)(kind);
        return;
    }
    for lane in &mut lanes[1..] {
        if lane.fits(entry.start, entry.end, sequence, out).is_ok() {
            lane.begin(entry.start, entry.end, body, sequence, out);
            return;
        }
    }
    let uuid = (around.new_lane)(sequence, out);
    let mut lane = Lane::new(Some(ExplicitTrack::new(uuid)));
    lane.begin(entry.start, entry.end, body, sequence, out);
    lanes.push(lane);
}

/// A slice whose end is not known has a lane to itself: whatever else were there could turn out to
/// overlap.
#[cold]
fn write_open(lanes: &mut Vec<Lane>, entry: &Entry, body: &[u8], around: &mut Surroundings<'_>) {
    let Surroundings { sequence, out, .. } = around;
    let free = lanes.iter_mut().position(|lane| lane.is_free(entry.start, sequence, out));
    let at = free.unwrap_or_else(|| {
        let uuid = (around.new_lane)(sequence, out);
        lanes.push(Lane::new(Some(ExplicitTrack::new(uuid))));
        lanes.len() - 1
    });
    lanes[at].begin_open(entry.start, entry.open_id(), body, sequence, out);
}
