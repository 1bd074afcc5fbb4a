//! Times of packets: deltas of sequences and snapshots of clocks. Belongs here: what a packet's time is in the trace's. Does not: ways
//! between clocks (`clock.rs`).

use novatrace_core::schema::clock_snapshot;

use crate::clock::{self, Clock, Refused};
use crate::packet::Parsed;
use crate::rules::Rule;
use crate::sequence::{OwnClock, doubt};
use crate::walk::{Place, Visit, Walk, Whereabouts};
use crate::wire::{Fields, Wire};

impl<V: Visit> Walk<'_, V> {
    /// The time of a packet, in nanoseconds of the trace; `None` if it cannot be told.
    #[inline(always)]
    pub(crate) fn time(&mut self, place: Place, index: u32, parsed: &Parsed) -> Option<i64> {
        let sequence = &mut self.state.sequences[index as usize];
        let id = sequence.clock_of(parsed);
        let raw = parsed.timestamp.cast_signed();
        let mut time = raw;
        if id == 0 {
            return self.checked(place, parsed, time);
        }
        if clock::is_of_sequence(id) {
            let Some(own) = sequence.clocks.iter_mut().find(|own| own.id == id) else {
                self.no_way(place, parsed, id);
                return None;
            };
            let scaled = raw.wrapping_mul(own.unit);
            time = if own.is_incremental { own.now.wrapping_add(scaled) } else { scaled };
            if own.is_incremental {
                own.now = time;
                if raw < 0 {
                    self.negative_delta(place, parsed, raw);
                }
            }
        } else if let Some((unit, _)) = self.state.units.get(&Clock::new(id, 0)) {
            time = raw.wrapping_mul(*unit);
        }
        let sequence = &mut self.state.sequences[index as usize];
        let shift = match sequence.shift {
            Some((clock, snapshots, shift))
                if clock == id
                    && snapshots == self.state.clocks.count
                    && shift.from <= time
                    && time < shift.until =>
            {
                shift
            }
            _ => {
                let Some(shift) = self.state.clocks.shift(Clock::new(id, parsed.sequence), time)
                else {
                    self.no_way(place, parsed, id);
                    return None;
                };
                sequence.shift = Some((id, self.state.clocks.count, shift));
                shift
            }
        };
        self.checked(place, parsed, time.wrapping_add(shift.by))
    }

    #[inline(always)]
    fn checked(&mut self, place: Place, parsed: &Parsed, time: i64) -> Option<i64> {
        if time >= 0 {
            return Some(time);
        }
        let raw = parsed.timestamp;
        let at = Whereabouts { sequence: Some(parsed.sequence), ts: Some(time), ..place.into() };
        self.fault(Rule::TimeOutOfRange, at, |_| {
            format!("timestamp {raw} is {time} ns of the trace's time")
        });
        None
    }

    #[cold]
    fn negative_delta(&mut self, place: Place, parsed: &Parsed, delta: i64) {
        let at = Whereabouts { sequence: Some(parsed.sequence), ..place.into() };
        self.fault(Rule::NegativeDelta, at, |_| format!("{delta} units"));
    }

    #[cold]
    fn no_way(&mut self, place: Place, parsed: &Parsed, id: u32) {
        let sequence = parsed.sequence;
        let at = Whereabouts { sequence: Some(sequence), ..place.into() };
        let trace = self.state.clocks.trace_clock();
        self.fault(Rule::UnknownClock, at, |_| {
            format!("clock {id} of sequence {sequence}: no snapshot so far relates it to the trace's clock, {trace}")
        });
    }

    pub(crate) fn snapshot(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
        let at = Whereabouts { sequence: Some(parsed.sequence), ..place.into() };
        let mut readings = vec![];
        let mut own = vec![];
        let mut primary = None;
        for (number, value) in Fields::of(bytes) {
            match (number, value) {
                (clock_snapshot::PRIMARY_TRACE_CLOCK, Wire::Varint(id)) => {
                    primary = Some(id as u32);
                }
                (clock_snapshot::CLOCKS, Wire::Bytes(bytes)) => {
                    let (mut id, mut time, mut is_incremental, mut unit) = (0, 0, false, 1);
                    for (number, value) in Fields::of(bytes) {
                        match (number, value) {
                            (clock_snapshot::clock::CLOCK_ID, Wire::Varint(number)) => {
                                id = number as u32;
                            }
                            (clock_snapshot::clock::TIMESTAMP, Wire::Varint(at)) => {
                                time = at.cast_signed();
                            }
                            (clock_snapshot::clock::IS_INCREMENTAL, Wire::Varint(is)) => {
                                is_incremental = is != 0;
                            }
                            (4, Wire::Varint(by)) if by != 0 => unit = by.cast_signed(),
                            _ => {}
                        }
                    }
                    let is_own = clock::is_of_sequence(id);
                    if is_incremental && !is_own {
                        return self.fault(Rule::BadSnapshot, at, |_| {
                            format!("clock {id} cannot be incremental")
                        });
                    }
                    if is_own && parsed.sequence == 0 {
                        return self.fault(Rule::BadSnapshot, at, |_| {
                            format!("clock {id} belongs to a sequence, and the packet has none")
                        });
                    }
                    if is_own && parsed.sequence >= 1 << 31 {
                        return self.fault(Rule::LargeSequence, at, |_| {
                            format!(
                                "clock {id} of sequence {}; the snapshot is refused",
                                parsed.sequence
                            )
                        });
                    }
                    let clock = Clock::new(id, parsed.sequence);
                    let kind = (unit, is_incremental);
                    if *self.state.units.entry(clock).or_insert(kind) != kind {
                        return self.fault(Rule::BadSnapshot, at, |_| {
                                format!("clock {id} has another unit, or is incremental no longer, or suddenly")
                        });
                    }
                    if readings.iter().any(|(other, _)| *other == clock) {
                        return self.fault(Rule::BadSnapshot, at, |_| {
                            format!("clock {id} is in it twice")
                        });
                    }
                    let ns = time.saturating_mul(unit);
                    readings.push((clock, ns));
                    if is_own {
                        own.push(OwnClock { id, is_incremental, unit, now: ns });
                    }
                }
                _ => {}
            }
        }
        let reaches = |id| readings.iter().any(|(clock, _)| clock.id == id);
        if !readings.is_empty() && !reaches(clock::BOOTTIME) && !reaches(clock::TRACE_FILE) {
            self.fault(Rule::SnapshotWithoutBoottime, at, |_| {
                format!(
                    "it has the clocks {:?}",
                    readings.iter().map(|(clock, _)| clock.id).collect::<Vec<_>>()
                )
            });
        }
        if let Err(Refused::Backwards { from, to }) = self.state.clocks.snapshot(primary, &readings)
        {
            return self.fault(Rule::BadSnapshot, at, |_| {
                format!("the trace's clock goes back from {from} to {to} ns")
            });
        }
        let sequence = &mut self.state.sequences[index as usize];
        sequence.doubts &= if own.is_empty() { u8::MAX } else { !doubt::CLOCK };
        for clock in own {
            sequence.clocks.retain(|other| other.id != clock.id);
            sequence.clocks.push(clock);
        }
    }
}
