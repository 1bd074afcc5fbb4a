//! What a trace says before its events: where it comes from, and what its rows are. Belongs here: the
//! packets for that, uuids, which track has a sequence of its own. Does not: events.

use novatrace_core::header::{self, Attribute};
use novatrace_core::{
    ChildOrdering, CounterDescriptor, ExplicitTrack, Gap, Merge, Sequence, Timestamps,
    TrackDescriptor, TrackKind, TrackUuid, Unit,
};

use super::config::Config;
use super::output::Output;
use super::row::{Row, RowKind, Rows};
use super::track::Track;
use crate::generator;

/// Tracks with a sequence of their own: ids 2 to 127, which take one byte. The rest share id 1,
/// and take some 8 bytes an event more.
const OWN_SEQUENCES: usize = 126;
/// The same in a live session, whose threads have ids of their own from 32 on.
const OWN_SEQUENCES_LIVE: usize = 30;

/// Writes the packets that a trace begins with: two. `number` is an attribute of ours.
pub(crate) fn write_header(
    out: &mut Vec<u8>,
    uuid: u128,
    attributes: &[(String, generator::Attribute)],
    number: Option<(&str, u64)>,
) {
    header::trace_uuid(out, uuid);
    let ours = [
        ("producer", Attribute::Text("novatrace")),
        ("producer_version", Attribute::Text(env!("CARGO_PKG_VERSION"))),
    ];
    let number = number.map(|(key, number)| (key, Attribute::Int(number.cast_signed())));
    let theirs = attributes.iter().map(|(key, value)| {
        let value = match value {
            generator::Attribute::Text(text) => Attribute::Text(text),
            generator::Attribute::Int(value) => Attribute::Int(*value),
        };
        (key.as_str(), value)
    });
    header::trace_attributes(out, ours.into_iter().chain(number).chain(theirs));
}

/// Which rows have been described, and by which uuid.
///
/// Two traces that are joined to one file must not share uuids. So they count from a random number:
/// of 62 bits for groups, and for tracks with a sequence of their own, whose events need not name
/// them; of 34 bits for the others, where it is 6 bytes of every event.
#[derive(Debug)]
pub(crate) struct Described {
    /// By row; `None` for those that have not been described.
    uuids: Vec<Option<TrackUuid>>,
    first: u64,
    /// Rows count up from it, lanes down.
    first_explicit: u64,
    /// How many uuids below `first` are used: by threads and the process.
    used_below: u64,
    /// Which rows the lanes are of.
    lanes: Vec<u32>,
    /// What rows at the top belong to, in a live session.
    process: Option<TrackUuid>,
}

impl Described {
    /// From two random numbers.
    pub(crate) fn new(first: u64, first_explicit: u64) -> Self {
        // Far from where the explicit ones are, and from the end of the numbers.
        let first = (first & ((1 << 62) - 1)) | 1 << 62;
        let first_explicit = (first_explicit & ((1 << 34) - 1)) | 1 << 34;
        Self {
            uuids: Vec::new(),
            first,
            first_explicit,
            used_below: 0,
            lanes: vec![],
            process: None,
        }
    }

    /// A uuid that no row has, for a track with a sequence of its own.
    pub(crate) fn next_uuid(&mut self) -> TrackUuid {
        self.used_below += 1;
        TrackUuid(self.first - self.used_below)
    }

    /// The process, whose rows those at the top are from now on.
    pub(crate) fn set_process(&mut self) -> TrackUuid {
        let uuid = self.next_uuid();
        self.process = Some(uuid);
        uuid
    }

    /// Describes a row and those above it, and gives it its sequence: one of its own, which becomes
    /// the last of `sequences`, with a clock that starts at `start_ns`, or the first, which is shared.
    pub(crate) fn first_event(
        &mut self,
        rows: &Rows,
        index: u32,
        (start_ns, config): (u64, &Config),
        sequences: &mut Vec<Sequence>,
        out: &mut Output,
    ) -> Track {
        let own = if self.process.is_some() { OWN_SEQUENCES_LIVE } else { OWN_SEQUENCES };
        let is_explicit = sequences.len() > own;
        let uuid = self.row(rows, index, is_explicit, &mut sequences[0], out);
        let name = rows.name(index);
        if is_explicit {
            return Track::new(name, 0, Some(ExplicitTrack::new(uuid)));
        }
        let number = u32::try_from(sequences.len() + 1).expect("at most 127");
        let mut own = Sequence::new(config.sequence_id(number), Timestamps::Incremental);
        own.start_at(&mut out.batch, start_ns, Some(uuid), Gap::None);
        out.packet();
        sequences.push(own);
        Track::new(name, sequences.len() - 1, None)
    }

    /// Describes a row, and those above it, unless it has been: on the sequence that all share.
    /// `is_explicit` says whether its events are to name it.
    pub(crate) fn row(
        &mut self,
        rows: &Rows,
        index: u32,
        is_explicit: bool,
        shared: &mut Sequence,
        out: &mut Output,
    ) -> TrackUuid {
        if let Some(&Some(uuid)) = self.uuids.get(index as usize) {
            return uuid;
        }
        let first = if is_explicit { self.first_explicit } else { self.first };
        let uuid = TrackUuid(first + u64::from(index));
        let row = rows.settle(index);
        if let Some(parent) = row.parent {
            self.row(rows, parent, false, shared, out);
        }
        self.uuids.resize(self.uuids.len().max(index as usize + 1), None);
        self.uuids[index as usize] = Some(uuid);
        self.write(&row, index, uuid, shared, out);
        uuid
    }

    /// Describes another lane of row `index`.
    pub(crate) fn lane(
        &mut self,
        rows: &Rows,
        index: u32,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> TrackUuid {
        self.lanes.push(index);
        let uuid = self.lane_uuid(self.lanes.len());
        self.write(&rows.settle(index), index, uuid, sequence, out);
        uuid
    }

    /// Of the lane of that number, from 1.
    fn lane_uuid(&self, number: usize) -> TrackUuid {
        TrackUuid(self.first_explicit - number as u64)
    }

    /// Describes all that has been described, in another part of the trace.
    pub(crate) fn again(&self, rows: &Rows, shared: &mut Sequence, out: &mut Output) {
        // A row's parent has a lower number.
        for (index, uuid) in (0..).zip(&self.uuids) {
            if let Some(uuid) = *uuid {
                self.write(&rows.settle(index), index, uuid, shared, out);
            }
        }
        for (number, &index) in (1..).zip(&self.lanes) {
            self.write(&rows.settle(index), index, self.lane_uuid(number), shared, out);
        }
    }

    fn write(
        &self,
        row: &Row,
        index: u32,
        uuid: TrackUuid,
        sequence: &mut Sequence,
        out: &mut Output,
    ) {
        let kind = match row.kind {
            RowKind::Group | RowKind::Track => TrackKind::Plain,
            RowKind::Counter => TrackKind::Counter(CounterDescriptor {
                unit: row.unit.as_ref().map(|unit| match unit {
                    generator::Unit::Nanoseconds => Unit::Nanoseconds,
                    generator::Unit::Count => Unit::Count,
                    generator::Unit::Bytes => Unit::Bytes,
                    generator::Unit::Named(name) => Unit::Named(name),
                }),
                shared_axis: row.shared_axis.as_deref(),
                ..CounterDescriptor::default()
            }),
        };
        // A track and its lanes share a key, and so are drawn as one row.
        let merge = match row.kind {
            RowKind::Track => Merge::ByIntKey(index.into()),
            _ => Merge::None,
        };
        let descriptor = TrackDescriptor {
            uuid,
            parent: match row.parent {
                Some(parent) => self.uuids[parent as usize],
                None => self.process,
            },
            name: &row.name,
            kind,
            child_ordering: Some(ChildOrdering::Explicit),
            rank: Some(row.rank),
            merge,
            description: row.description.as_deref(),
        };
        sequence.descriptor(&mut out.batch, &descriptor);
        out.packet();
    }
}
