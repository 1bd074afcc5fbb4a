//! Events of each track in order of time, in memory that does not grow with the trace. Belongs here: the order, and the second
//! way through a file that it may take. Does not: what is made of the events.
//!
//! Nearly all writers have the events of one track in order, so that each can be taken as it comes. A track on which one comes
//! too early is left alone from then on; the file is gone through again for the events of such tracks, which are
//! kept, as many tracks at a time as memory allows, and sorted.

use crate::Error;
use crate::event::{Event, Lean};
use crate::input::Source;
use crate::text::TextId;
use crate::track::TrackId;
use crate::walk::{State, Visit, walk};

/// Events that are kept at once for sorting: 128 MB at most.
const MAX_KEPT: u64 = 2 << 20;

/// What is made of a track's events, in order of time.
pub(crate) trait InOrder: Default {
    fn event(&mut self, event: &Lean);

    /// Has other numbers for its texts. Returns whether nothing in it is lost by that.
    fn renumber(&mut self, texts: &[TextId]) -> bool;

    /// Takes in what was made of other events of the same track, the last of which is later than our last, or is not.
    /// Returns whether that can be done.
    fn join(&mut self, other: Self, is_later: bool) -> bool;
}

#[derive(Debug, Default)]
struct OneTrack<T> {
    last_ts: i64,
    last_packet: u64,
    events: u64,
    is_unordered: bool,
    made: T,
}

impl<T: InOrder> OneTrack<T> {
    fn join(&mut self, mut other: Self, texts: &[TextId]) -> bool {
        if !other.made.renumber(texts) {
            return false;
        }
        if self.events == 0 {
            *self = other;
            return true;
        }
        self.events += other.events;
        if self.is_unordered || other.is_unordered {
            (self.is_unordered, self.made) = (true, T::default());
            return true;
        }
        let last = (self.last_ts, self.last_packet);
        let other_last = (other.last_ts, other.last_packet);
        (self.last_ts, self.last_packet) = last.max(other_last);
        self.made.join(other.made, other_last > last)
    }
}

/// All tracks.
#[derive(Debug)]
pub(crate) struct TracksInOrder<T> {
    tracks: Vec<OneTrack<T>>,
}

impl<T: InOrder> TracksInOrder<T> {
    pub(crate) fn new() -> Self {
        Self { tracks: Vec::new() }
    }

    #[inline(always)]
    pub(crate) fn event(&mut self, track: TrackId, event: &Lean) {
        let at = track as usize;
        if at >= self.tracks.len() {
            self.tracks.resize_with(at + 1, OneTrack::default);
        }
        let track = &mut self.tracks[at];
        track.events += 1;
        if event.ts < track.last_ts && !track.is_unordered {
            (track.is_unordered, track.made) = (true, T::default());
        }
        if !track.is_unordered {
            (track.last_ts, track.last_packet) = (event.ts, event.place.packet);
            track.made.event(event);
        }
    }

    /// Takes in the tracks of another share, whose numbers are the same, and whose numbers of texts `texts` translates. Returns
    /// whether that gives the same as one walk.
    pub(crate) fn join(&mut self, other: Self, texts: &[TextId]) -> bool {
        if other.tracks.len() > self.tracks.len() {
            self.tracks.resize_with(other.tracks.len(), OneTrack::default);
        }
        self.tracks
            .iter_mut()
            .zip(other.tracks)
            .filter(|(_, other)| other.events > 0)
            .all(|(ours, other)| ours.join(other, texts))
    }

    /// Goes through the file again where need be. Returns the tracks of which not all events were looked at.
    pub(crate) fn settle(
        &mut self,
        source: &Source,
        threads: usize,
    ) -> Result<Vec<TrackId>, Error> {
        let mut cut = vec![];
        let unordered: Vec<TrackId> = (0..)
            .zip(&self.tracks)
            .filter(|(_, track)| track.is_unordered)
            .map(|(id, _)| id)
            .collect();
        let mut unordered = unordered.into_iter().peekable();
        while let Some(first) = unordered.next() {
            let mut again = Again { wanted: vec![false; self.tracks.len()], kept: vec![] };
            let mut events = self.tracks[first as usize].events;
            again.wanted[first as usize] = true;
            if events > MAX_KEPT {
                cut.push(first);
            }
            while let Some(next) =
                unordered.next_if(|next| events + self.tracks[*next as usize].events <= MAX_KEPT)
            {
                again.wanted[next as usize] = true;
                events += self.tracks[next as usize].events;
            }
            walk(source, threads, &mut again, |_| {})?;
            again.kept.sort_by_key(|(track, event)| (*track, event.ts));
            for (track, event) in &again.kept {
                self.tracks[*track as usize].made.event(event);
            }
        }
        Ok(cut)
    }

    /// What was made, by track.
    pub(crate) fn made(&self) -> impl Iterator<Item = (TrackId, &T)> {
        (0..).zip(&self.tracks).map(|(id, track)| (id, &track.made))
    }
}

struct Again {
    wanted: Vec<bool>,
    kept: Vec<(TrackId, Lean)>,
}

impl Visit for Again {
    fn event(&mut self, event: &Event<'_>, _: &State) {
        if self.wanted.get(event.track as usize) == Some(&true)
            && (self.kept.len() as u64) < MAX_KEPT
        {
            self.kept.push((event.track, event.lean));
        }
    }
}
