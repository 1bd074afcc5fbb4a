//! Clock ids and the range of times. Belongs here: what a packet says of its clock. Does not:
//! reading one.

/// The latest time that the trace processor keeps, in nanoseconds: it stores times as `int64`.
pub const MAX_TIMESTAMP_NS: u64 = i64::MAX as u64;

/// A clock's id in `ClockSnapshot` and `TracePacket.timestamp_clock_id`.
///
/// Ids 1 to 63 are Perfetto's own, 64 to 127 belong to one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockId(pub u32);

impl ClockId {
    /// The time of day; may step.
    pub const REALTIME: Self = Self(1);
    /// Time since some start, without what the machine slept.
    pub const MONOTONIC: Self = Self(3);
    /// The trace's clock: what every other clock must be related to, or its events are dropped
    /// (stat `clock_sync_failure_no_path`).
    pub const BOOTTIME: Self = Self(6);
    /// The clock of a sequence that counts on from its last packet.
    pub const SEQUENCE_DELTA: Self = Self(64);
}
