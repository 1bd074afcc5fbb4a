//! What became of a trace's events.

/// What became of a trace's events, from [`TraceGenerator::finish`](crate::TraceGenerator::finish).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Slices, instants and counter samples that were recorded: accepted by their calls.
    pub events: u64,
    /// Packets in the trace; those in bundles count, and not the bundles.
    pub packets: u64,
    /// Bytes of the trace where it is: of the file, as it is compressed.
    pub bytes: u64,
    /// Extra lanes that were needed for slices that overlap, came late, or stayed open.
    pub lanes: u64,
    /// Events that were recorded but are not with the sink, since it had failed.
    pub dropped: u64,
    /// Of a live session, events that found no room or were nested too deeply.
    pub lost: u64,
    /// Slices left out by [`Overlap::Refuse`](crate::Overlap::Refuse).
    pub refused: u64,
    /// Slices that were still open when the trace was finished.
    pub left_open: u64,
    /// Parts that the trace is in: 1 unless it [rotates](crate::Rotate). All others count what is in all parts, also
    /// those that are not kept.
    pub parts: u64,
}
