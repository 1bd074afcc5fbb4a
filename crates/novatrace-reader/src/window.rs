//! What is out already: the trace processor sorts events by time, and after flush markers does not wait for earlier ones. Belongs
//! here: its rule for that (`trace_sorter.cc`).
//!
//! With the second flush since the last time, and the end of reading the buffers, it gives out what came before the end of
//! reading of the last time. What is earlier than that, and comes later, is dropped.

use crate::packet::Payload;
use crate::wire::Fields;

/// `TracePacket.service_event`.
pub(crate) const SERVICE_EVENT: Payload = Payload::Other(69);
/// `TracingServiceEvent`.
const ALL_DATA_SOURCES_FLUSHED: u32 = 3;
const READ_TRACING_BUFFERS_COMPLETED: u32 = 5;

/// Times so far.
#[derive(Debug)]
pub(crate) struct Window {
    flushes: u32,
    /// Up to when all is out.
    out: i64,
    /// The latest that the next time gives out, and of those after it the earliest and the latest.
    ready: i64,
    first: i64,
    last: i64,
}

impl Default for Window {
    fn default() -> Self {
        let none = i64::MIN;
        Self { flushes: 0, out: none, ready: none, first: i64::MAX, last: none }
    }
}

impl Window {
    pub(crate) fn marker(&mut self, service_event: &[u8]) {
        for (number, _) in Fields::of(service_event) {
            match number {
                ALL_DATA_SOURCES_FLUSHED => self.flushes += 1,
                READ_TRACING_BUFFERS_COMPLETED if self.flushes >= 2 => {
                    // In order of time it stops at the first of those that are not ready.
                    self.out = self.out.max(self.ready.min(self.first));
                    self.ready = self.ready.max(self.last);
                    (self.flushes, self.first, self.last) = (0, i64::MAX, i64::MIN);
                }
                _ => {}
            }
        }
    }

    /// An event: up to when all is out, if it comes too late.
    #[inline(always)]
    pub(crate) fn late_by(&mut self, ts: i64) -> Option<i64> {
        if ts < self.out {
            return Some(self.out);
        }
        (self.first, self.last) = (self.first.min(ts), self.last.max(ts));
        None
    }
}
