//! Clocks: what a timestamp on one of them is in the trace's time. Belongs here: snapshots, and the ways between clocks. Does
//! not: deltas, which are a sequence's.
//!
//! The trace processor's rules (`clock_tracker.cc`): a way of at most four steps, each between two clocks that one snapshot has
//! together, by the last such snapshot that is no later.

use std::collections::VecDeque;

use foldhash::{HashMap, HashMapExt};

/// `BuiltinClock`.
pub(crate) const BOOTTIME: u32 = 6;
pub(crate) const TRACE_FILE: u32 = 11;
const MAX_STEPS: usize = 4;

/// A clock: those from 64 to 127 are a sequence's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Clock {
    pub(crate) id: u32,
    pub(crate) sequence: u32,
}

impl Clock {
    pub(crate) fn new(id: u32, sequence: u32) -> Self {
        Self { id, sequence: if is_of_sequence(id) { sequence } else { 0 } }
    }
}

pub(crate) fn is_of_sequence(id: u32) -> bool {
    (64..128).contains(&id)
}

/// Readings of one clock beside another, in order of time.
type Pairs = Vec<(i64, i64)>;

/// All snapshots.
#[derive(Debug)]
pub(crate) struct Clocks {
    /// The clock of the trace's time.
    trace: u32,
    is_primary_given: bool,
    pairs: HashMap<(Clock, Clock), Pairs>,
    neighbours: HashMap<Clock, Vec<Clock>>,
    ways: HashMap<Clock, Option<Vec<Clock>>>,
    /// How many snapshots there have been.
    pub(crate) count: u64,
    /// The last time of the trace's clock, for each set of clocks that snapshots have: those of several writers come in any
    /// order.
    last_primary: HashMap<Vec<Clock>, i64>,
}

/// What a time is to be moved by, as long as it lies within the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) by: i64,
}

/// Why a snapshot is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The trace's clock would go back.
    Backwards { from: i64, to: i64 },
}

impl Clocks {
    pub(crate) fn new() -> Self {
        Self {
            trace: BOOTTIME,
            is_primary_given: false,
            pairs: HashMap::new(),
            neighbours: HashMap::new(),
            ways: HashMap::new(),
            count: 0,
            last_primary: HashMap::new(),
        }
    }

    /// The clock of the trace's time.
    pub(crate) fn trace_clock(&self) -> u32 {
        self.trace
    }

    /// The clocks that snapshots have.
    pub(crate) fn known(&self) -> impl Iterator<Item = Clock> {
        self.neighbours.keys().copied()
    }

    /// Readings of several clocks at one moment, in nanoseconds.
    pub(crate) fn snapshot(
        &mut self,
        primary: Option<u32>,
        readings: &[(Clock, i64)],
    ) -> Result<(), Refused> {
        if let Some(primary) = primary
            && !self.is_primary_given
        {
            (self.trace, self.is_primary_given) = (primary, true);
        }
        if let Some(&(_, now)) = readings.iter().find(|(clock, _)| clock.id == self.trace) {
            let mut set: Vec<Clock> = readings.iter().map(|(clock, _)| *clock).collect();
            set.sort_unstable();
            let last = self.last_primary.entry(set).or_insert(now);
            if now < *last {
                return Err(Refused::Backwards { from: *last, to: now });
            }
            *last = now;
        }
        self.count += 1;
        self.ways.clear();
        for &(one, time) in readings {
            for &(other, other_time) in readings {
                if one == other {
                    continue;
                }
                let pairs = self.pairs.entry((one, other)).or_default();
                if pairs.is_empty() {
                    self.neighbours.entry(one).or_default().push(other);
                }
                let at = pairs.partition_point(|(before, _)| *before <= time);
                pairs.insert(at, (time, other_time));
            }
        }
        Ok(())
    }

    /// How to get from a clock's time to the trace's.
    pub(crate) fn shift(&mut self, clock: Clock, time: i64) -> Option<Shift> {
        if clock.id == self.trace {
            return Some(Shift { from: i64::MIN, until: i64::MAX, by: 0 });
        }
        let way = if let Some(way) = self.ways.get(&clock) {
            way.as_ref()?
        } else {
            let way = self.way(clock);
            self.ways.entry(clock).or_insert(way).as_ref()?
        };
        let (mut shift, mut now) = (Shift { from: i64::MIN, until: i64::MAX, by: 0 }, clock);
        for &next in way {
            let pairs = self.pairs.get(&(now, next))?;
            let here = time.saturating_add(shift.by);
            let after = pairs.partition_point(|(reading, _)| *reading <= here);
            let &(reading, other) = pairs.get(after.saturating_sub(1))?;
            if after > 0 {
                shift.from = shift.from.max(reading.saturating_sub(shift.by));
            }
            if let Some((later, _)) = pairs.get(after) {
                shift.until = shift.until.min(later.saturating_sub(shift.by));
            }
            shift.by = shift.by.saturating_add(other.saturating_sub(reading));
            now = next;
        }
        Some(shift)
    }

    fn way(&self, from: Clock) -> Option<Vec<Clock>> {
        let mut seen = HashMap::new();
        let mut queue = VecDeque::from([(from, 0)]);
        seen.insert(from, from);
        while let Some((clock, steps)) = queue.pop_front() {
            if clock.id == self.trace {
                let mut way = vec![];
                let mut at = clock;
                while at != from {
                    way.push(at);
                    at = seen[&at];
                }
                way.reverse();
                return Some(way);
            }
            for &next in self.neighbours.get(&clock).into_iter().flatten() {
                if steps < MAX_STEPS && !seen.contains_key(&next) {
                    seen.insert(next, clock);
                    queue.push_back((next, steps + 1));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_by_the_last_snapshot_that_is_no_later() {
        let mut clocks = Clocks::new();
        let (own, wall, boot) = (Clock::new(64, 1), Clock::new(1, 1), Clock::new(BOOTTIME, 1));
        clocks.snapshot(None, &[(boot, 100), (own, 1_000)]).expect("forwards");
        clocks.snapshot(None, &[(boot, 200), (own, 2_000)]).expect("forwards");
        clocks.snapshot(None, &[(own, 1_000), (wall, 50)]).expect("forwards");
        let ns = |clocks: &mut Clocks, clock, time| {
            clocks.shift(clock, time).map(|shift| time + shift.by)
        };
        assert_eq!(ns(&mut clocks, own, 1_500), Some(600));
        assert_eq!(ns(&mut clocks, own, 500), Some(-400));
        assert_eq!(ns(&mut clocks, own, 2_007), Some(207));
        assert_eq!(clocks.shift(own, 1_500), Some(Shift { from: 1_000, until: 2_000, by: -900 }));
        // By way of the other.
        assert_eq!(ns(&mut clocks, wall, 60), Some(110));
        assert_eq!(ns(&mut clocks, Clock::new(64, 2), 0), None);
        let back = clocks.snapshot(None, &[(boot, 150), (own, 2_100)]);
        assert_eq!(back, Err(Refused::Backwards { from: 200, to: 150 }));
        // Another writer's.
        clocks.snapshot(None, &[(boot, 150), (Clock::new(64, 2), 0)]).expect("a set of its own");
    }
}
