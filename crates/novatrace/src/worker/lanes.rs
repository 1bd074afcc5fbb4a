//! Where a slice is drawn: on its track, or on an extra lane of the track's row.
//!
//! The trace processor pairs an end with the innermost slice that is open on the track at that time,
//! whatever slice it was meant for. So the slices of one lane must nest or be disjoint, and at equal
//! times must be written ends first, then begins, the longest first. What arrives here is sorted so;
//! a slice is put on the first lane on which it fits:
//!
//! - it starts no earlier than any slice that was tried there, so that equal times are in order and no
//!   end that it might meet is forgotten;
//! - of the slices open there at its start, the innermost ends no earlier than it;
//! - no slice is open there whose end is unknown;
//! - the nesting is not deeper than the trace processor keeps.
//!
//! Ends are written late: when a begin needs them out of the way. All ends look alike (no name, no
//! arguments), so that it does not matter which of two at the same time comes first.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::FixedState;
use novatrace_core::{EventType, ExplicitTrack, Sequence, TrackUuid};

use super::bodies::Bodies;
use super::output::Output;
use super::parts::Carry;
use super::pending::is_never;

/// The trace processor drops slices deeper than 512.
pub(super) const MAX_DEPTH: usize = 500;

/// The lanes of one track.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// Never empty; the first is the track itself.
    pub(crate) all: Vec<Lane>,
    /// Those without a slice of unknown end.
    pub(crate) free: BTreeSet<usize>,
    /// Where the slices of unknown end are.
    open: HashMap<u64, usize, FixedState>,
}

impl Lanes {
    /// Of a track that events name so.
    pub(crate) fn new(track: Option<ExplicitTrack>) -> Self {
        let all = vec![Lane { track, ..Lane::default() }];
        Self { all, free: BTreeSet::from([0]), open: HashMap::default() }
    }

    /// Adds a lane, and says which it is.
    pub(crate) fn add(&mut self, uuid: TrackUuid) -> usize {
        let at = self.all.len();
        self.all.push(Lane { track: Some(ExplicitTrack::new(uuid)), ..Lane::default() });
        self.free.insert(at);
        at
    }

    /// Writes the begin of the slice `id`, whose end is not known, on a lane that is free for it.
    pub(crate) fn begin_open(
        &mut self,
        at: usize,
        start: u64,
        id: u64,
        body: &[u8],
        sequence: &mut Sequence,
        out: &mut Output,
    ) {
        self.all[at].begin_open(start, body, sequence, out);
        self.free.remove(&at);
        self.open.insert(id, at);
    }

    /// Ends the slice `id` of unknown end, if it is here.
    pub(crate) fn end_open(
        &mut self,
        id: u64,
        end: u64,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> bool {
        let Some(at) = self.open.remove(&id) else { return false };
        self.all[at].end_open(end, sequence, out);
        self.free.insert(at);
        true
    }
}

/// One row of slices that nest.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// How events name the lane's track, unless it is its sequence's default.
    track: Option<ExplicitTrack>,
    /// Ends of the slices that are open at the horizon, innermost last.
    ends: Vec<u64>,
    /// How many of `ends`, from the outermost on, are written already.
    written: usize,
    /// Up to where the ends have been dealt with: what starts earlier may have met one of them.
    horizon: u64,
    /// A slice of unknown end, which begins at the horizon, has the lane to itself.
    is_open: bool,
    /// For messages, with [`Overlap::Refuse`](crate::Overlap::Refuse): name and start of each of
    /// `ends`.
    slices: Vec<(String, u64)>,
    /// Of a trace in parts, what the open slices said.
    bodies: Option<Box<Bodies>>,
}

/// Why a slice does not fit on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It starts before what has been written.
    Late,
    /// It ends after the slice that it starts in.
    Overlaps,
    /// A slice of unknown end is there.
    Occupied,
    /// There are too many slices around it.
    TooDeep,
}

impl Lane {
    /// Whether a slice may be written here now; ends the slices that are over by its start.
    #[inline(always)]
    pub(crate) fn fits(
        &mut self,
        start: u64,
        end: u64,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> Result<(), Misfit> {
        if self.is_open {
            return Err(Misfit::Occupied);
        }
        if start < self.horizon {
            return Err(Misfit::Late);
        }
        self.end_until(start, sequence, out);
        match self.ends.last() {
            Some(&innermost) if end > innermost => Err(Misfit::Overlaps),
            _ if self.ends.len() >= MAX_DEPTH => Err(Misfit::TooDeep),
            _ => Ok(()),
        }
    }

    /// Writes the begin of a slice that fits.
    #[inline(always)]
    pub(crate) fn begin(
        &mut self,
        start: u64,
        end: u64,
        body: &[u8],
        sequence: &mut Sequence,
        out: &mut Output,
    ) {
        sequence.event(&mut out.batch, start, EventType::SliceBegin, self.track.as_ref(), body);
        out.event();
        if out.carries() {
            self.bodies.get_or_insert_default().begin(self.ends.len(), start, body);
            out.took(end - start, body);
        }
        self.ends.push(end);
        self.horizon = start;
    }

    /// Whether a slice of unknown end may have the lane to itself from `start` on; ends the slices
    /// that are over by then.
    pub(crate) fn is_free(
        &mut self,
        start: u64,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> bool {
        if self.is_open || start < self.horizon {
            return false;
        }
        self.end_until(start, sequence, out);
        self.ends.is_empty()
    }

    fn begin_open(&mut self, start: u64, body: &[u8], sequence: &mut Sequence, out: &mut Output) {
        sequence.event(&mut out.batch, start, EventType::SliceBegin, self.track.as_ref(), body);
        out.event();
        if out.carries() {
            self.bodies.get_or_insert_default().begin(0, start, body);
        }
        self.is_open = true;
        self.horizon = start;
    }

    /// Ends the slice of unknown end.
    pub(crate) fn end_open(&mut self, end: u64, sequence: &mut Sequence, out: &mut Output) {
        // A live one may have been cut, by accident, after it had ended.
        let end = end.max(self.horizon);
        if let Some(bodies) = &self.bodies
            && let Some(since) = bodies.since(0)
        {
            out.took(end.saturating_sub(since), bodies.at(0));
        }
        sequence.end(&mut out.batch, end, self.track.as_ref());
        out.packet();
        self.is_open = false;
        self.horizon = end;
    }

    /// Start of the slice of unknown end that is here.
    pub(crate) fn open_start(&self) -> Option<u64> {
        self.is_open.then_some(self.horizon)
    }

    /// Ends the slices that are over by `time`.
    #[inline(always)]
    fn end_until(&mut self, time: u64, sequence: &mut Sequence, out: &mut Output) {
        self.horizon = time;
        while let Some(&end) = self.ends.last()
            && end <= time
        {
            self.ends.pop();
            if !self.slices.is_empty() {
                self.slices.truncate(self.ends.len());
            }
            if self.written > self.ends.len() {
                self.written = self.ends.len();
            } else {
                sequence.end(&mut out.batch, end, self.track.as_ref());
                out.end();
            }
        }
    }

    /// Ends the slices that are over by an instant, so that times ascend; an earlier instant needs
    /// nothing.
    #[inline]
    pub(crate) fn pass(&mut self, instant: u64, sequence: &mut Sequence, out: &mut Output) {
        if !self.is_open && instant >= self.horizon {
            self.end_until(instant, sequence, out);
        }
    }

    /// Writes all ends that are known, and are ends. The slices stay where they are: what comes later may still
    /// lie inside them.
    pub(crate) fn write_ends(&mut self, sequence: &mut Sequence, out: &mut Output) {
        for &end in self.ends[self.written..].iter().rev().filter(|end| !is_never(**end)) {
            sequence.end(&mut out.batch, end, self.track.as_ref());
            out.packet();
        }
        self.written = self.ends.len();
    }

    /// Cuts the lane at its horizon, and ends there, for this part of the trace, what is open; without
    /// `continues` nothing ends. A slice of
    /// unknown end is cut at `floor`, since it goes on until then, and without that stays open: it may have
    /// ended at any time since its start.
    pub(crate) fn cut(
        &mut self,
        floor: Option<u64>,
        continues: Option<&[u8]>,
        sequence: &mut Sequence,
        out: &mut Output,
    ) {
        let open = if self.is_open {
            self.horizon = self.horizon.max(floor.unwrap_or_default());
            usize::from(floor.is_some())
        } else {
            // A slice that is over already does not go on.
            self.end_until(self.horizon, sequence, out);
            self.ends.len() - self.written
        };
        let Some(continues) = continues else { return out.limit() };
        for _ in 0..open {
            let (end, track) = (EventType::SliceEnd, self.track.as_ref());
            sequence.event(&mut out.batch, self.horizon, end, track, continues);
            out.packet();
        }
    }

    /// Begins again what was open where the lane was cut. Slices whose ends were written already are not
    /// among it: they are whole in the part before.
    pub(crate) fn carried(&self, carry: &mut Carry<'_>) {
        let (from, to) = if self.is_open { (0, 1) } else { (self.written, self.ends.len()) };
        for depth in from..to {
            let body = self.bodies.as_deref().map_or(&[][..], |bodies| bodies.at(depth));
            carry.slice(self.horizon, self.track.as_ref(), body);
        }
    }

    /// Remembers what the slice begun last is called.
    pub(crate) fn remember(&mut self, name: String) {
        self.slices.push((name, self.horizon));
    }

    /// Name, start and end of the innermost open slice.
    pub(crate) fn innermost(&self) -> Option<(&str, u64, u64)> {
        let (name, start) = self.slices.last()?;
        Some((name, *start, *self.ends.last()?))
    }

    /// The latest time of the slices here.
    pub(crate) fn last_ns(&self) -> u64 {
        // The outermost ends last.
        self.ends.first().copied().unwrap_or(0).max(self.horizon)
    }

    /// Up to where the lane has been written.
    pub(crate) fn horizon(&self) -> u64 {
        self.horizon
    }
}
