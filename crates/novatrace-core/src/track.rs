//! Track descriptors: where events are drawn. Does not belong here: which tracks a trace has.

use crate::schema::{
    counter_descriptor, process_descriptor, thread_descriptor, trace_packet, track_descriptor,
};
use crate::wire;

/// `TrackDescriptor.uuid`: one number space for the whole trace, and 0 is the viewer's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrackUuid(pub u64);

/// `TrackDescriptor.child_ordering`: how a track's children are ordered in the viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildOrdering {
    /// By name.
    Lexicographic = 1,
    /// By their first event.
    Chronological = 2,
    /// By their [rank](TrackDescriptor::rank).
    Explicit = 3,
}

/// `TrackDescriptor.sibling_merge_behavior`: which siblings are drawn as one row.
///
/// Perfetto's own default is "by name", which quietly merges what a program meant to keep apart;
/// ours is [`Merge::None`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Merge<'a> {
    /// None.
    #[default]
    None,
    /// Those of equal name.
    ByName,
    /// Those of equal key.
    ByKey(&'a str),
    /// Those of equal key.
    ByIntKey(u64),
}

/// What kind of track it is; decides what may be drawn on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrackKind<'a> {
    /// Slices and instants, or just the parent of others.
    Plain,
    /// A process; has no parent. Its children are shown beside its threads.
    Process(ProcessDescriptor<'a>),
    /// A thread; has no parent, but the process of its pid.
    Thread(ThreadDescriptor<'a>),
    /// Values over time.
    Counter(CounterDescriptor<'a>),
}

/// `ProcessDescriptor`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessDescriptor<'a> {
    /// From 1: 0 is the idle process. The same pid with another track uuid is another process.
    pub pid: i32,
    /// What the viewer shows.
    pub name: &'a str,
}

/// `ThreadDescriptor`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadDescriptor<'a> {
    /// The process it belongs to.
    pub pid: i32,
    /// From 1.
    pub tid: i64,
    /// What the viewer shows; the track's own name is ignored there.
    pub name: &'a str,
}

/// `CounterDescriptor.unit` or `unit_name`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit<'a> {
    /// Times, shown as such.
    Nanoseconds,
    /// A plain number.
    Count,
    /// Sizes, shown as KiB and so on.
    Bytes,
    /// Any other, by name.
    Named(&'a str),
}

/// `CounterDescriptor`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CounterDescriptor<'a> {
    /// `None` shows bare numbers.
    pub unit: Option<Unit<'a>>,
    /// Values are multiplied by it; `None` is 1.
    pub multiplier: Option<i64>,
    /// Values are added to the one before. Only for counters that one sequence writes, in order of
    /// time: the trace processor adds up per sequence and in file order.
    pub is_incremental: bool,
    /// Siblings of equal key are drawn to one scale.
    pub shared_axis: Option<&'a str>,
}

/// `TrackDescriptor`: says once, before a track's first event, what it is.
///
/// Two descriptors of one track must agree on all but the name, or the later is ignored (stat
/// `track_descriptor_conflicting_reservation`).
///
/// ```
/// use novatrace_core::{ChildOrdering, CounterDescriptor, TrackDescriptor, TrackKind, TrackUuid, Unit};
///
/// let die = TrackUuid(1);
/// let group = TrackDescriptor {
///     child_ordering: Some(ChildOrdering::Explicit),
///     ..TrackDescriptor::plain(die, "Die:0")
/// };
/// let power = TrackDescriptor {
///     parent: Some(die),
///     rank: Some(3),
///     kind: TrackKind::Counter(CounterDescriptor {
///         unit: Some(Unit::Named("W")),
///         ..Default::default()
///     }),
///     ..TrackDescriptor::plain(TrackUuid(2), "power")
/// };
/// # let _ = (group, power);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackDescriptor<'a> {
    /// Which track.
    pub uuid: TrackUuid,
    /// Must have been described before: the events of a track whose parent is unknown are dropped
    /// (stat `track_hierarchy_missing_uuid`). Not written for processes and threads.
    pub parent: Option<TrackUuid>,
    /// What the viewer shows.
    pub name: &'a str,
    /// What may be drawn on it.
    pub kind: TrackKind<'a>,
    /// `None` leaves it to the viewer.
    pub child_ordering: Option<ChildOrdering>,
    /// `sibling_order_rank`: its place among its siblings, lowest first, if their parent orders
    /// [explicitly](ChildOrdering::Explicit).
    pub rank: Option<i32>,
    /// Which siblings are drawn together with it.
    pub merge: Merge<'a>,
    /// Shown when asked for.
    pub description: Option<&'a str>,
}

impl<'a> TrackDescriptor<'a> {
    /// A track without parent, order or description, merged with none.
    #[must_use]
    pub const fn plain(uuid: TrackUuid, name: &'a str) -> Self {
        Self {
            uuid,
            parent: None,
            name,
            kind: TrackKind::Plain,
            child_ordering: None,
            rank: None,
            merge: Merge::None,
            description: None,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        use track_descriptor as field;
        let message = wire::open(out, trace_packet::TRACK_DESCRIPTOR);
        wire::varint_field(out, field::UUID, self.uuid.0);
        match self.kind {
            TrackKind::Process(_) | TrackKind::Thread(_) => {}
            TrackKind::Plain | TrackKind::Counter(_) => {
                if let Some(parent) = self.parent {
                    wire::varint_field(out, field::PARENT_UUID, parent.0);
                }
            }
        }
        wire::text_field(out, field::NAME, self.name);
        match self.kind {
            TrackKind::Plain => {}
            TrackKind::Process(process) => process.encode(out),
            TrackKind::Thread(thread) => thread.encode(out),
            TrackKind::Counter(counter) => counter.encode(out),
        }
        if let Some(ordering) = self.child_ordering {
            wire::varint_field(out, field::CHILD_ORDERING, ordering as u64);
        }
        if let Some(rank) = self.rank {
            let rank = i64::from(rank).cast_unsigned();
            wire::varint_field(out, field::SIBLING_ORDER_RANK, rank);
        }
        if let Some(description) = self.description {
            wire::text_field(out, field::DESCRIPTION, description);
        }
        let behaviour = match self.merge {
            Merge::ByName => 1,
            Merge::None => 2,
            Merge::ByKey(_) | Merge::ByIntKey(_) => 3,
        };
        wire::varint_field(out, field::SIBLING_MERGE_BEHAVIOR, behaviour);
        match self.merge {
            Merge::ByName | Merge::None => {}
            Merge::ByKey(key) => wire::text_field(out, field::SIBLING_MERGE_KEY, key),
            Merge::ByIntKey(key) => wire::varint_field(out, field::SIBLING_MERGE_KEY_INT, key),
        }
        wire::close(out, message);
    }
}

impl ProcessDescriptor<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = wire::open(out, track_descriptor::PROCESS);
        let pid = i64::from(self.pid).cast_unsigned();
        wire::varint_field(out, process_descriptor::PID, pid);
        wire::text_field(out, process_descriptor::PROCESS_NAME, self.name);
        wire::close(out, message);
    }
}

impl ThreadDescriptor<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = wire::open(out, track_descriptor::THREAD);
        let pid = i64::from(self.pid).cast_unsigned();
        wire::varint_field(out, thread_descriptor::PID, pid);
        wire::varint_field(out, thread_descriptor::TID, self.tid.cast_unsigned());
        wire::text_field(out, thread_descriptor::THREAD_NAME, self.name);
        wire::close(out, message);
    }
}

impl CounterDescriptor<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        use counter_descriptor as field;
        let message = wire::open(out, track_descriptor::COUNTER);
        match self.unit {
            None => {}
            Some(Unit::Nanoseconds) => wire::varint_field(out, field::UNIT, 1),
            Some(Unit::Count) => wire::varint_field(out, field::UNIT, 2),
            Some(Unit::Bytes) => wire::varint_field(out, field::UNIT, 3),
            Some(Unit::Named(name)) => wire::text_field(out, field::UNIT_NAME, name),
        }
        if let Some(multiplier) = self.multiplier {
            wire::varint_field(out, field::UNIT_MULTIPLIER, multiplier.cast_unsigned());
        }
        if self.is_incremental {
            wire::varint_field(out, field::IS_INCREMENTAL, 1);
        }
        if let Some(key) = self.shared_axis {
            wire::text_field(out, field::Y_AXIS_SHARE_KEY, key);
        }
        wire::close(out, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(descriptor: &TrackDescriptor<'_>) -> Vec<u8> {
        let mut out = vec![];
        descriptor.encode(&mut out);
        out
    }

    #[test]
    fn a_counter_says_all_it_can() {
        let bytes = encoded(&TrackDescriptor {
            parent: Some(TrackUuid(7)),
            kind: TrackKind::Counter(CounterDescriptor {
                unit: Some(Unit::Named("W")),
                multiplier: Some(10),
                is_incremental: true,
                shared_axis: Some("k"),
            }),
            child_ordering: Some(ChildOrdering::Explicit),
            rank: Some(-1),
            merge: Merge::ByIntKey(5),
            description: Some("d"),
            ..TrackDescriptor::plain(TrackUuid(8), "p")
        });
        #[rustfmt::skip]
        assert_eq!(bytes, [
            0xE2, 0x03, 40,                   // track_descriptor
            0x08, 8,                          //   uuid
            0x28, 7,                          //   parent_uuid
            0x12, 1, b'p',                    //   name
            0x42, 10,                         //   counter
            0x32, 1, b'W',                    //     unit_name
            0x20, 10,                         //     unit_multiplier
            0x28, 1,                          //     is_incremental
            0x3A, 1, b'k',                    //     y_axis_share_key
            0x58, 3,                          //   child_ordering: EXPLICIT
            0x60, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, // sibling_order_rank
            0x72, 1, b'd',                    //   description
            0x78, 3,                          //   sibling_merge_behavior: BY_KEY
            0x88, 0x01, 5,                    //   sibling_merge_key_int
        ]);
    }

    #[test]
    fn a_process_has_no_parent_and_merges_with_none() {
        let bytes = encoded(&TrackDescriptor {
            parent: Some(TrackUuid(1)),
            kind: TrackKind::Process(ProcessDescriptor { pid: 3, name: "P" }),
            ..TrackDescriptor::plain(TrackUuid(9), "P")
        });
        #[rustfmt::skip]
        assert_eq!(bytes, [
            0xE2, 0x03, 14,                   // track_descriptor
            0x08, 9,                          //   uuid
            0x12, 1, b'P',                    //   name
            0x1A, 5, 0x08, 3, 0x32, 1, b'P',  //   process: pid, process_name
            0x78, 2,                          //   sibling_merge_behavior: NONE
        ]);
    }

    #[test]
    fn a_thread_names_its_process() {
        let bytes = encoded(&TrackDescriptor {
            kind: TrackKind::Thread(ThreadDescriptor { pid: 3, tid: 4, name: "T" }),
            merge: Merge::ByKey("k"),
            ..TrackDescriptor::plain(TrackUuid(9), "T")
        });
        #[rustfmt::skip]
        assert_eq!(bytes, [
            0xE2, 0x03, 20,                   // track_descriptor
            0x08, 9,                          //   uuid
            0x12, 1, b'T',                    //   name
            0x22, 7, 0x08, 3, 0x10, 4, 0x2A, 1, b'T', // thread: pid, tid, thread_name
            0x78, 3,                          //   sibling_merge_behavior: BY_KEY
            0x82, 0x01, 1, b'k',              //   sibling_merge_key
        ]);
    }
}
