//! Flows: numbers that tie events together.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// A flow: an arrow between the events that carry it, in the order of their times.
///
/// From [`TraceGenerator::flow`](crate::TraceGenerator::flow), and known to that trace only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId(u64);

impl FlowId {
    /// The number that is in the trace; for
    /// [`TraceGenerator::import_flow`](crate::TraceGenerator::import_flow).
    #[must_use]
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The flow of that number.
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Debug for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowId({:#x})", self.0)
    }
}

/// The flows of one trace: consecutive numbers from a random one, so that two traces, of whatever
/// process, share a number with a chance of one in billions.
#[derive(Debug)]
pub(crate) struct Flows {
    base: u64,
    used: AtomicU64,
    imported: RwLock<HashSet<u64>>,
}

impl Flows {
    pub(crate) fn new(base: u64) -> Self {
        Self { base, used: AtomicU64::new(0), imported: RwLock::default() }
    }

    pub(crate) fn next(&self) -> FlowId {
        FlowId(self.base.wrapping_add(self.used.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn import(&self, id: u64) -> FlowId {
        self.imported.write().unwrap_or_else(PoisonError::into_inner).insert(id);
        FlowId(id)
    }

    #[inline]
    pub(crate) fn knows(&self, flow: FlowId) -> bool {
        flow.0.wrapping_sub(self.base) < self.used.load(Ordering::Relaxed) || self.imported(flow)
    }

    #[cold]
    fn imported(&self, flow: FlowId) -> bool {
        self.imported.read().unwrap_or_else(PoisonError::into_inner).contains(&flow.0)
    }
}
