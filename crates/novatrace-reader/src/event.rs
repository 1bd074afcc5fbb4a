//! Track events: what a packet's `TrackEvent` means, with what its sequence has said. Belongs here: what happens, on which track, called
//! what. Does not: when (`times.rs`); how slices nest.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use novatrace_core::schema::{log_message as log, track_event as event};

use crate::legacy;
use crate::packet::{Parsed, has};
use crate::rules::Rule;
use crate::sequence::Table;
use crate::text::TextId;
use crate::track::{TrackId, TrackKind};
use crate::walk::{Place, Visit, Walk, Whereabouts, slice};
use crate::wire::{Fields, Wire};

/// What an event does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum EventKind {
    Begin,
    End,
    Instant,
    /// A slice whole, by its length: a legacy event.
    Complete(i64),
    Counter(f64),
    State,
    /// A legacy event that is no slice, but one end of an arrow between those of its track.
    Arrow(Arrow, u64),
}

/// What a legacy flow event does with its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrow {
    Begin,
    Step,
    /// At the slice that begins next.
    EndAtNext,
    End,
}

/// What an event is, without what only its packet has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lean {
    pub(crate) ts: i64,
    pub(crate) place: Place,
    /// Index in [`State::sequences`].
    pub(crate) sequence: u32,
    pub(crate) kind: EventKind,
    pub(crate) name: Option<TextId>,
    pub(crate) category: Option<TextId>,
}

/// A track event, at a time that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) lean: Lean,
    pub(crate) track: TrackId,
    /// The iid of a name that is not defined so far.
    pub(crate) late_name: Option<u64>,
    /// `TrackEvent`, if there is more in it than that.
    pub(crate) more: Option<&'a [u8]>,
    /// There is more in that than arguments.
    pub(crate) is_more_than_args: bool,
}

impl Deref for Event<'_> {
    type Target = Lean;

    #[inline(always)]
    fn deref(&self) -> &Lean {
        &self.lean
    }
}

impl DerefMut for Event<'_> {
    fn deref_mut(&mut self) -> &mut Lean {
        &mut self.lean
    }
}

/// A flow that an event is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowPart {
    pub(crate) id: u64,
    pub(crate) does: FlowDoes,
}

/// What an event does with a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlowDoes {
    /// Begins it, or is a step of it.
    BeginOrStep,
    /// Ends it, so that its number is free.
    Terminate,
    /// What legacy events say: it begins, or goes on if it has begun.
    Begin,
    Step,
    End,
}

impl FlowPart {
    /// If the field of a `TrackEvent` is one; 36 and 42 are of old, 6 is a legacy event.
    #[inline]
    pub(crate) fn of(field: (u32, Wire<'_>)) -> Option<Self> {
        let (id, does) = match field {
            (event::FLOW_IDS, Wire::Fixed64(id)) | (36, Wire::Varint(id)) => {
                (id, FlowDoes::BeginOrStep)
            }
            (event::TERMINATING_FLOW_IDS, Wire::Fixed64(id)) | (42, Wire::Varint(id)) => {
                (id, FlowDoes::Terminate)
            }
            (6, Wire::Bytes(legacy)) => return legacy::flow(legacy),
            _ => return None,
        };
        Some(Self { id, does })
    }

    pub(crate) fn is_end(self) -> bool {
        matches!(self.does, FlowDoes::Terminate | FlowDoes::End)
    }
}

impl<V: Visit> Walk<'_, V> {
    #[inline(always)]
    pub(crate) fn track_event(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
        if parsed.sequence == 0 {
            return self.fault(Rule::NoSequence, place, |_| "a track event".to_owned());
        }
        if !parsed.has(has::TIMESTAMP) {
            let at = Whereabouts { sequence: Some(parsed.sequence), ..place.into() };
            return self.fault(Rule::NoTimestamp, at, |_| "a track event".to_owned());
        }
        let Some(ts) = self.time(place, index, parsed) else { return };
        let sequence = &self.state.sequences[index as usize];
        let uuid = if parsed.has(has::TRACK) { Some(parsed.track) } else { sequence.default_track };
        let mut at =
            Whereabouts { place, sequence: Some(parsed.sequence), track: None, ts: Some(ts) };
        let track = match uuid {
            Some(uuid) if uuid != 0 => self.track(index, uuid),
            _ => match self.without_track(at, index, parsed, bytes) {
                Some(track) => track,
                None => return,
            },
        };
        at.track = Some(track);
        let sequence = &self.state.sequences[index as usize];
        let (mut name, mut late_name, mut category) = (None, None, None);
        if parsed.has(has::NAME) {
            name = sequence.names.get(parsed.name);
            // 0 is no number.
            if name.is_none() && parsed.name != 0 {
                late_name = Some(parsed.name);
            }
        }
        if parsed.has(has::CATEGORY) {
            category = sequence.categories.get(parsed.category);
        }
        let has_category = category.is_some() || !parsed.has(has::CATEGORY);
        if late_name.is_some() {
            self.note_unknown(index, Table::Name, parsed.name, at);
        }
        if !has_category {
            self.note_unknown(index, Table::Category, parsed.category, at);
        }
        let kind = match parsed.event_type {
            1 => EventKind::Begin,
            2 => EventKind::End,
            3 => EventKind::Instant,
            4 => match self.counter_value(track, index, at, parsed) {
                Some(value) => EventKind::Counter(value),
                None => return,
            },
            // A state, or what is found not to be an event.
            _ => EventKind::State,
        };
        let lean = Lean { ts, place, sequence: index, kind, name, category };
        let mut event = Event { lean, track, late_name, more: None, is_more_than_args: false };
        if parsed.has & (has::MORE | has::BEYOND) == has::MORE
            && has_category
            && (1..=5).contains(&parsed.event_type)
        {
            event.more = Some(slice(bytes, parsed.payload));
        } else if parsed.has(has::MORE) || !has_category || !(1..=5).contains(&parsed.event_type) {
            let payload = slice(bytes, parsed.payload);
            let Some(has_extra) = self.more(&mut event, parsed, payload) else { return };
            (event.more, event.is_more_than_args) = (Some(payload), true);
            self.visit.event(&event, &self.state);
            if has_extra {
                self.extra_counters(&event, at, payload);
            }
            return;
        }
        self.visit.event(&event, &self.state);
    }

    /// What is seldom in an event: names and categories spelled out, several categories, legacy phases. Returns
    /// whether counters' values ride on it; `None` if it is no event after all.
    #[inline(never)]
    fn more(&mut self, event: &mut Event<'_>, parsed: &Parsed, payload: &[u8]) -> Option<bool> {
        let at = Whereabouts { sequence: Some(parsed.sequence), ..Whereabouts::from(&*event) };
        let (mut inline_name, mut legacy, mut callstack) = (None, None, None);
        let (mut categories, mut has_extra, mut has_callstack) = (0, false, false);
        for (number, value) in Fields::of(payload) {
            match (number, value) {
                (event::CATEGORY_IIDS, Wire::Varint(_)) | (event::CATEGORIES, Wire::Bytes(_)) => {
                    categories += 1;
                }
                (12, Wire::Varint(_)) | (46, Wire::Fixed64(_)) => has_extra = true,
                (event::NAME, Wire::Bytes(text)) => inline_name = Some(text),
                (event::CALLSTACK_IID, Wire::Varint(iid)) => callstack = Some(iid),
                (event::CALLSTACK, Wire::Bytes(_)) => has_callstack = true,
                (event::CORRELATION_ID_STR_IID, Wire::Varint(iid)) => {
                    let sequence = &self.state.sequences[event.sequence as usize];
                    if sequence.correlations.get(iid).is_none() {
                        self.note_unknown(event.sequence, Table::Correlation, iid, at);
                    }
                }
                (event::LOG_MESSAGE, Wire::Bytes(bytes)) => self.log(event.sequence, at, bytes),
                (6, Wire::Bytes(bytes)) => legacy = Some(bytes),
                (
                    event::CATEGORY_IIDS
                    | event::FLOW_IDS
                    | event::TERMINATING_FLOW_IDS
                    | 12
                    | 31
                    | 45
                    | 46,
                    Wire::Bytes(_),
                ) => {
                    self.fault(Rule::Packed, at, |_| format!("field {number} of TrackEvent"));
                }
                _ => {}
            }
        }
        // The usual one is known already.
        if categories > 1 || categories == 1 && event.category.is_none() {
            event.category = Some(self.categories(event.sequence, payload));
        }
        if let Some(text) = inline_name {
            if parsed.has(has::NAME) && parsed.name != 0 {
                self.fault(Rule::NameTwice, at, |_| {
                    format!("iid {} and {:?}", parsed.name, String::from_utf8_lossy(text))
                });
            } else {
                event.name = Some(self.state.texts.id_of(text));
            }
        }
        if (callstack.is_some() || has_callstack) && !self.state.has_callstacks {
            self.state.has_callstacks = true;
            self.fault(Rule::Callstacks, at, |_| "the first of them".to_owned());
        }
        if let Some(iid) = callstack {
            for (table, iid) in self.state.sequences[event.sequence as usize].stacks.missing(iid) {
                self.note_unknown(event.sequence, table, iid, at);
            }
        }
        if has_extra && !self.are_counters_good(event.sequence, at, payload) {
            return None;
        }
        if let Some(legacy) = legacy {
            return self.legacy(event, at, legacy).then_some(has_extra);
        }
        if !parsed.has(has::TYPE) || !(1..=5).contains(&parsed.event_type) {
            let kind = parsed.event_type;
            self.fault(Rule::NoType, at, |_| {
                if kind == 0 { "none".to_owned() } else { format!("type {kind}") }
            });
            return None;
        }
        Some(has_extra)
    }

    /// What a log message refers to.
    #[cold]
    fn log(&mut self, index: u32, at: Whereabouts, bytes: &[u8]) {
        for (number, value) in Fields::of(bytes) {
            let Wire::Varint(iid) = value else { continue };
            let sequence = &self.state.sequences[index as usize];
            let (table, is_known) = match number {
                log::BODY_IID => (Table::LogBody, sequence.log_bodies.get(iid).is_some()),
                log::SOURCE_LOCATION_IID => {
                    (Table::Location, sequence.locations.get(iid).is_some())
                }
                _ => continue,
            };
            if !is_known {
                self.note_unknown(index, table, iid, at);
            }
        }
    }

    /// All categories of an event, joined.
    #[cold]
    fn categories(&mut self, sequence: u32, payload: &[u8]) -> TextId {
        let known = &self.state.sequences[sequence as usize].categories;
        let (mut categories, mut spelled_out) = (vec![], vec![]);
        let mut unknown = None;
        for field in Fields::of(payload) {
            match field {
                (event::CATEGORY_IIDS, Wire::Varint(iid)) => match known.get(iid) {
                    Some(text) => categories.push(Cow::Borrowed(self.state.texts.get(text))),
                    None => unknown = Some(iid),
                },
                (event::CATEGORIES, Wire::Bytes(text)) => {
                    spelled_out.push(String::from_utf8_lossy(text));
                }
                _ => {}
            }
        }
        categories.append(&mut spelled_out);
        // Among several, one that is not known is left out.
        let joined = match unknown {
            Some(iid) if categories.is_empty() => format!("unknown({iid})"),
            _ => categories.join(","),
        };
        self.state.texts.id_of(joined.as_bytes())
    }

    #[inline(always)]
    fn counter_value(
        &mut self,
        track: TrackId,
        index: u32,
        at: Whereabouts,
        parsed: &Parsed,
    ) -> Option<f64> {
        let value = if parsed.has(has::DOUBLE) {
            f64::from_bits(parsed.value)
        } else if parsed.has(has::INT) {
            let value = parsed.value.cast_signed();
            if value.unsigned_abs() > 1 << 53 && (value as f64) as i128 != i128::from(value) {
                self.fault(Rule::CounterPrecision, at, |_| {
                    format!("{value} becomes {}", value as f64)
                });
            }
            value as f64
        } else {
            self.fault(Rule::CounterWithoutValue, at, |_| {
                "a counter event without a value".to_owned()
            });
            return None;
        };
        self.counted(track, index, at, value)
    }

    /// Whether a track has values.
    #[inline(always)]
    fn is_counter(&mut self, track: TrackId, at: Whereabouts, value: f64) -> bool {
        if self.state.tracks.get(track).about.kind == TrackKind::Counter {
            return true;
        }
        let is_described = self.state.tracks.get(track).is_described;
        let rule = if is_described { Rule::NotACounter } else { Rule::CounterBeforeDescriptor };
        self.fault(rule, at, |_| format!("the value {value} is dropped"));
        false
    }

    /// A counter's value, as its descriptor has it.
    #[inline(always)]
    fn counted(&mut self, track: TrackId, index: u32, at: Whereabouts, value: f64) -> Option<f64> {
        if !self.is_counter(track, at, value) {
            return None;
        }
        let about = &self.state.tracks.get(track).about;
        let (multiplier, is_incremental) = (about.multiplier, about.is_incremental);
        if value.is_nan() {
            self.fault(Rule::CounterNan, at, |_| "a sample without a value".to_owned());
        }
        let value = match multiplier {
            Some(by) if by != 0 => value * by as f64,
            _ => value,
        };
        if !is_incremental {
            return Some(value);
        }
        let sum = self.state.sequences[index as usize].sums.entry(track).or_insert(0.0);
        *sum += value;
        Some(*sum)
    }

    /// Counter values that ride on an event, with their counters: integers, then doubles.
    fn riding(&self, sequence: u32, payload: &[u8]) -> [(Vec<u64>, Vec<f64>); 2] {
        let (mut uuids, mut double_uuids, mut ints, mut doubles) = (vec![], vec![], vec![], vec![]);
        for (number, value) in Fields::of(payload) {
            match (number, value) {
                (31, Wire::Varint(uuid)) => uuids.push(uuid),
                (45, Wire::Varint(uuid)) => double_uuids.push(uuid),
                (12, Wire::Varint(value)) => ints.push(value.cast_signed() as f64),
                (46, value) => doubles.extend(value.double()),
                _ => {}
            }
        }
        let sequence = &self.state.sequences[sequence as usize];
        if uuids.is_empty() {
            uuids.clone_from(&sequence.default_extra);
        }
        if double_uuids.is_empty() {
            double_uuids.clone_from(&sequence.default_extra_double);
        }
        [(uuids, ints), (double_uuids, doubles)]
    }

    /// Whether all counter values that ride on an event have a counter. If not, nothing is shown of the event.
    #[cold]
    fn are_counters_good(&mut self, index: u32, at: Whereabouts, payload: &[u8]) -> bool {
        let riding = self.riding(index, payload);
        let values: usize = riding.iter().map(|(_, values)| values.len()).sum();
        if values > 8 || riding.iter().any(|(uuids, values)| values.len() > uuids.len()) {
            let uuids: usize = riding.iter().map(|(uuids, _)| uuids.len()).sum();
            self.fault(Rule::ExtraCounters, at, |_| {
                format!("{values} values for {uuids} counters")
            });
            return false;
        }
        let mut is_good = true;
        for (uuids, values) in riding {
            for (uuid, value) in uuids.into_iter().zip(values) {
                let track = self.state.tracks.id_of(uuid);
                let at = Whereabouts { track: Some(track), ..at };
                is_good &= self.is_counter(track, at, value);
            }
        }
        is_good
    }

    /// Counter values that ride on an event.
    fn extra_counters(&mut self, event: &Event<'_>, at: Whereabouts, payload: &[u8]) {
        for (uuids, values) in self.riding(event.sequence, payload) {
            for (uuid, value) in uuids.into_iter().zip(values) {
                let track = self.state.tracks.id_of(uuid);
                let at = Whereabouts { track: Some(track), ..at };
                if let Some(value) = self.counted(track, event.sequence, at, value) {
                    let kind = EventKind::Counter(value);
                    let lean = Lean { kind, name: None, ..event.lean };
                    let extra = Event {
                        lean,
                        track,
                        late_name: None,
                        more: None,
                        is_more_than_args: false,
                    };
                    self.visit.event(&extra, &self.state);
                }
            }
        }
    }
}
