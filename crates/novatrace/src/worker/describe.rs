//! What a trace says before its events: where it comes from, and what its rows are. Belongs here: the
//! packets for that, uuids, which track has a sequence of its own. Does not: events.

use novatrace_core::header::{self, Attribute};
use novatrace_core::{
    ChildOrdering, CounterDescriptor, ExplicitTrack, Merge, Sequence, SequenceId, Timestamps,
    TrackDescriptor, TrackKind, TrackUuid, Unit,
};

use super::output::Output;
use super::row::{Row, RowKind, Rows};
use super::track::Track;
use crate::generator;

/// Tracks with a sequence of their own: ids 2 to 127, which take one byte. The rest share id 1,
/// and take some 8 bytes an event more.
const OWN_SEQUENCES: usize = 126;

/// Writes the packets that a trace begins with.
pub(crate) fn write_header(
    out: &mut Output,
    uuid: u128,
    attributes: &[(String, generator::Attribute)],
) {
    header::trace_uuid(&mut out.batch, uuid);
    out.packet();
    let ours = [
        ("producer", Attribute::Text("novatrace")),
        ("producer_version", Attribute::Text(env!("CARGO_PKG_VERSION"))),
    ];
    let theirs = attributes.iter().map(|(key, value)| {
        let value = match value {
            generator::Attribute::Text(text) => Attribute::Text(text),
            generator::Attribute::Int(value) => Attribute::Int(*value),
        };
        (key.as_str(), value)
    });
    header::trace_attributes(&mut out.batch, ours.into_iter().chain(theirs));
    out.packet();
}

/// Which rows have been described, and how.
#[derive(Debug)]
pub(crate) struct Described {
    /// Whether a row has been described, by row.
    is_described: Vec<bool>,
    /// The uuid of row 0. Rows count up from it, lanes down.
    first_uuid: u64,
}

impl Described {
    /// For the trace of that uuid.
    pub(crate) fn new(uuid: u128) -> Self {
        // Two traces that are joined to one file must not share uuids; with 34 random bits they
        // hardly do, and a track that has to be named in its events costs 6 bytes there.
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are as random")]
        let first_uuid = (uuid as u64 & ((1 << 34) - 1)) | 1 << 33;
        Self { is_described: Vec::new(), first_uuid }
    }

    /// Describes a row and those above it, and gives it its sequence: one of its own, which becomes
    /// the last of `sequences`, or the first, which is shared.
    pub(crate) fn first_event(
        &mut self,
        rows: &Rows,
        index: u32,
        sequences: &mut Vec<Sequence>,
        out: &mut Output,
    ) -> Track {
        let uuid = self.row(rows, index, &mut sequences[0], out);
        let name = rows.name(index);
        if sequences.len() > OWN_SEQUENCES {
            return Track::new(name, 0, Some(ExplicitTrack::new(uuid)));
        }
        let number = u32::try_from(sequences.len() + 1).expect("at most 127");
        let id = SequenceId::new(number).expect("at least 2");
        let mut own = Sequence::new(id, Timestamps::Incremental);
        own.start(&mut out.batch, Some(uuid));
        out.packet();
        sequences.push(own);
        Track::new(name, sequences.len() - 1, None)
    }

    /// Describes a row and those above it on the sequence that all share, unless it has been.
    pub(crate) fn row(
        &mut self,
        rows: &Rows,
        index: u32,
        shared: &mut Sequence,
        out: &mut Output,
    ) -> TrackUuid {
        let uuid = TrackUuid(self.first_uuid + u64::from(index));
        self.is_described.resize(self.is_described.len().max(index as usize + 1), false);
        if !std::mem::replace(&mut self.is_described[index as usize], true) {
            let row = rows.settle(index);
            if let Some(parent) = row.parent {
                self.row(rows, parent, shared, out);
            }
            self.write(&row, index, uuid, shared, out);
        }
        uuid
    }

    /// Describes lane `number`, from 1, of all the trace's extra lanes: one of row `index`.
    pub(crate) fn lane(
        &self,
        rows: &Rows,
        index: u32,
        number: u64,
        sequence: &mut Sequence,
        out: &mut Output,
    ) -> TrackUuid {
        let uuid = TrackUuid(self.first_uuid - number);
        self.write(&rows.settle(index), index, uuid, sequence, out);
        uuid
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
            parent: row.parent.map(|parent| TrackUuid(self.first_uuid + u64::from(parent))),
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
