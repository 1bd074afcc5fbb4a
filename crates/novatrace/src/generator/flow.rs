//! Flows: numbers that tie events together.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

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
    imported: Numbers,
}

impl Flows {
    pub(crate) fn new(base: u64) -> Self {
        Self { base, used: AtomicU64::new(0), imported: Numbers::default() }
    }

    pub(crate) fn next(&self) -> FlowId {
        FlowId(self.base.wrapping_add(self.used.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn import(&self, id: u64) -> FlowId {
        self.imported.insert(id);
        FlowId(id)
    }

    #[inline]
    pub(crate) fn knows(&self, flow: FlowId) -> bool {
        flow.0.wrapping_sub(self.base) < self.used.load(Ordering::Relaxed)
            || self.imported.contains(flow.0)
    }
}

/// A set of numbers that only grows, and is read without a lock.
///
/// Each table holds twice as many as the one before, half full at the most, so that a search ends at
/// an empty place; nothing in a table ever moves.
#[derive(Debug, Default)]
struct Numbers {
    tables: [OnceLock<Box<[AtomicU64]>>; 32],
    /// 0 stands for an empty place.
    has_zero: AtomicBool,
    /// How many numbers the tables hold; locked by who adds one.
    len: Mutex<usize>,
}

impl Numbers {
    /// How many numbers the first table holds.
    const FIRST: usize = 32;

    /// Where to look for a number in a table, one place after the other.
    fn places(table: &[AtomicU64], number: u64) -> impl Iterator<Item = &AtomicU64> {
        let mask = table.len() - 1;
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let start = usize::try_from(hash).expect("32 bits") & mask;
        (0..=mask).map(move |step| &table[(start + step) & mask])
    }

    fn contains(&self, number: u64) -> bool {
        if number == 0 {
            return self.has_zero.load(Ordering::Relaxed);
        }
        let tables = self.tables.iter().map_while(OnceLock::get);
        tables.into_iter().any(|table| {
            let mut found = Self::places(table, number).map(|place| place.load(Ordering::Relaxed));
            found.find(|&found| found == number || found == 0) == Some(number)
        })
    }

    fn insert(&self, number: u64) {
        let mut len = self.len.lock().unwrap_or_else(PoisonError::into_inner);
        if number == 0 {
            self.has_zero.store(true, Ordering::Relaxed);
        } else if !self.contains(number) {
            // The nth table is full when there are FIRST * (2^(n + 1) - 1) numbers.
            let at = (*len / Self::FIRST + 1).ilog2() as usize;
            let places = (2 * Self::FIRST) << at;
            let table =
                self.tables[at].get_or_init(|| (0..places).map(|_| AtomicU64::new(0)).collect());
            let empty =
                Self::places(table, number).find(|place| place.load(Ordering::Relaxed) == 0);
            empty.expect("half full at the most").store(number, Ordering::Relaxed);
            *len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imported_flows_are_known_and_no_others_also_while_one_is_imported() {
        let flows = Flows::new(1 << 40);
        let own = flows.next();
        assert!(!flows.knows(FlowId(0)));
        for number in 0..3_000 {
            flows.import(number * 1_001);
            flows.import(number * 1_001);
        }
        let len = flows.imported.len.lock().expect("not poisoned");
        assert_eq!(*len, 2_999, "each once, and 0");
        assert!(flows.knows(own));
        for number in 0..3_000 * 1_001 {
            assert_eq!(flows.knows(FlowId(number)), number % 1_001 == 0, "{number}");
        }
    }
}
