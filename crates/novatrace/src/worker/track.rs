//! One row's track or counter as the worker knows it: how it is named in packets, what waits for it,
//! and its lanes.

use std::ops::Range;
use std::sync::Arc;

use novatrace_core::{EventType, ExplicitTrack, Sequence, TrackUuid};

use super::bodies::Sample;
use super::lanes::{Lane, Lanes, Misfit};
use super::output::Output;
use super::parts::Carry;
use super::pending::{Entry, EntryKind, Extent, Pending};
use super::steps;
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
    lanes: Lanes,
    /// Of a trace in parts, a counter's last sample.
    sample: Option<Box<Sample>>,
    /// Whether it is on the worker's list of tracks to be drained.
    pub(crate) is_active: bool,
    /// Whether this drain has dealt with it, together with those it is tied to.
    pub(crate) is_drained: bool,
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
            lanes: Lanes::new(explicit),
            sample: None,
            is_active: false,
            is_drained: false,
        }
    }

    /// Writes what has its turn.
    pub(crate) fn drain(&mut self, extent: Extent, around: &mut Surroundings<'_>) {
        let Self { name, pending, lanes, explicit, sample, .. } = self;
        pending.drain(extent, |entry, body| {
            write(name, lanes, explicit.as_ref(), sample, entry, body, around);
        });
    }

    /// Writes some of what has its turn: after [`Pending::prepare`], in order, and before
    /// [`Pending::finish`].
    pub(crate) fn write(&mut self, places: Range<usize>, around: &mut Surroundings<'_>) {
        let Self { name, pending, lanes, explicit, sample, .. } = self;
        for at in places {
            let (entry, body) = pending.entry(at);
            write(name, lanes, explicit.as_ref(), sample, entry, body, around);
        }
    }

    /// Writes the ends that are known.
    pub(crate) fn write_ends(&mut self, sequence: &mut Sequence, out: &mut Output) {
        for lane in &mut self.lanes.all {
            lane.write_ends(sequence, out);
        }
    }

    /// See [`Lane::cut`].
    pub(crate) fn cut(
        &mut self,
        floor: Option<u64>,
        continues: Option<&[u8]>,
        sequence: &mut Sequence,
        out: &mut Output,
    ) {
        for lane in &mut self.lanes.all {
            lane.cut(floor, continues, sequence, out);
        }
    }

    /// Says again, in the next part, what is open, and a counter's value: at its own time, since another
    /// may wait that is only little later.
    pub(crate) fn carried(&self, carry: &mut Carry<'_>) {
        for lane in &self.lanes.all {
            lane.carried(carry);
        }
        // What waits says by number what the part before has defined.
        self.pending.each_body(|body| carry.texts(body));
        if let Some(Sample { ns, body }) = self.sample.as_deref() {
            carry.sample(*ns, self.explicit.as_ref(), body);
        }
    }

    /// Ends the open slice `id`, wherever it is. False if it has not come yet.
    pub(crate) fn end(
        &mut self,
        id: u64,
        end: u64,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> bool {
        self.pending.close(id, end) || self.lanes.end_open(id, end, sequence, out)
    }

    /// The latest time that is still to be written.
    pub(crate) fn last_ns(&mut self) -> u64 {
        let lanes = self.lanes.all.iter().map(Lane::last_ns);
        lanes.chain([self.pending.last_ns()]).max().unwrap_or(0)
    }

    /// Has the slices that are still open become what `end` says. Returns how many there are.
    pub(crate) fn finish_open(
        &mut self,
        end: AtEnd,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> u64 {
        let mut open = 0;
        for lane in &mut self.lanes.all {
            if let Some(start) = lane.open_start() {
                open += 1;
                if let AtEnd::Close(last) = end {
                    lane.end_open(last.max(start), sequence, out);
                }
            }
        }
        open + match end {
            AtEnd::Close(last) => self.pending.close_all(|start| last.max(start)),
            AtEnd::Leave => self.pending.open() as u64,
            AtEnd::Unfinished => self.pending.leave_unfinished(),
        }
    }
}

/// What becomes of slices that are open at the end of the trace.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AtEnd {
    /// They end at that time, or at their start if that is later.
    Close(u64),
    /// They stay open, each on a lane of its own.
    Leave,
    /// They stay open where they would lie if they ended last of all.
    Unfinished,
}

#[inline(always)]
fn write(
    track: &str,
    lanes: &mut Lanes,
    explicit: Option<&ExplicitTrack>,
    sample: &mut Option<Box<Sample>>,
    entry: &Entry,
    body: &[u8],
    around: &mut Surroundings<'_>,
) {
    match entry.kind {
        EntryKind::Counter => {
            let out = &mut *around.out;
            around.sequence.event(&mut out.batch, entry.start, EventType::Counter, explicit, body);
            out.event();
            if out.carries() {
                Sample::keep(sample, entry.start, body);
            }
        }
        EntryKind::Instant => {
            let out = &mut *around.out;
            // Ends first only to keep times ascending; where an instant is drawn is decided by
            // its time.
            lanes.all[0].pass(entry.start, around.sequence, out);
            around.sequence.event(&mut out.batch, entry.start, EventType::Instant, explicit, body);
            out.event();
        }
        EntryKind::Slice if entry.is_open() => write_open(lanes, entry, body, around),
        EntryKind::Slice | EntryKind::Unfinished => {
            write_slice(track, lanes, entry, body, around);
        }
    }
}

#[inline(always)]
fn write_slice(
    track: &str,
    lanes: &mut Lanes,
    entry: &Entry,
    body: &[u8],
    around: &mut Surroundings<'_>,
) {
    let Surroundings { sequence, out, overlap, .. } = around;
    let first = &mut lanes.all[0];
    let misfit = match first.fits(entry.start, entry.end, sequence, out) {
        Ok(()) => {
            first.begin(entry.start, entry.end, body, sequence, out);
            if *overlap == Overlap::Refuse {
                first.remember((around.name_of)(body));
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
    lanes: &mut Lanes,
    entry: &Entry,
    body: &[u8],
    misfit: Misfit,
    around: &mut Surroundings<'_>,
) {
    let Surroundings { sequence, out, overlap, .. } = around;
    // What has been tried has ended slices there.
    out.limit();
    if *overlap == Overlap::Refuse && matches!(misfit, Misfit::Late | Misfit::Overlaps) {
        let second = (around.name_of)(body);
        let track = track.to_owned();
        let ns = (entry.start, entry.end);
        let first_lane = &lanes.all[0];
        let kind = match first_lane.innermost() {
            Some((first, start, end)) if misfit == Misfit::Overlaps => {
                let first = first.to_owned();
                let first_ns = (start, end);
                ErrorKind::Overlap { track, first, first_ns, second, second_ns: ns }
            }
            _ => ErrorKind::Late { track, name: second, ns, written_ns: first_lane.horizon() },
        };
        (around.refused)(kind);
        return;
    }
    let Lanes { all, free, .. } = lanes;
    for &at in free.range(1..) {
        steps::count(1);
        let lane = &mut all[at];
        if lane.fits(entry.start, entry.end, sequence, out).is_ok() {
            lane.begin(entry.start, entry.end, body, sequence, out);
            return;
        }
        out.limit();
    }
    let uuid = (around.new_lane)(sequence, out);
    let at = lanes.add(uuid);
    lanes.all[at].begin(entry.start, entry.end, body, sequence, out);
}

/// A slice whose end is not known has a lane to itself: whatever else were there could turn out to
/// overlap.
#[cold]
fn write_open(lanes: &mut Lanes, entry: &Entry, body: &[u8], around: &mut Surroundings<'_>) {
    let Surroundings { sequence, out, .. } = around;
    let Lanes { all, free, .. } = &mut *lanes;
    let free = free.iter().find(|&&at| {
        steps::count(1);
        let is_free = all[at].is_free(entry.start, sequence, out);
        out.limit();
        is_free
    });
    let at = if let Some(&at) = free {
        at
    } else {
        let uuid = (around.new_lane)(sequence, out);
        lanes.add(uuid)
    };
    lanes.begin_open(at, entry.start, entry.open_id(), body, sequence, out);
}
