//! Track events: what a packet's `TrackEvent` means, with what its sequence has said. Belongs here: what happens, on which track, called
//! what. Does not: when (`times.rs`); how slices nest.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use novatrace_core::schema::track_event as event;

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
        let track = self.track(index, uuid.unwrap_or(0));
        let at = Whereabouts {
            place,
            sequence: Some(parsed.sequence),
            track: Some(track),
            ts: Some(ts),
        };
        if uuid.unwrap_or(0) == 0 {
            self.fault(Rule::NoTrack, at, |_| {
                "neither the event nor its sequence's defaults name a track".to_owned()
            });
        }
        let sequence = &self.state.sequences[index as usize];
        let (mut name, mut late_name, mut category) = (None, None, None);
        if parsed.has(has::NAME) {
            name = sequence.names.get(parsed.name);
            if name.is_none() {
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
        let (mut inline_name, mut legacy) = (None, None);
        let (mut categories, mut has_extra) = (0, false);
        for (number, value) in Fields::of(payload) {
            match (number, value) {
                (event::CATEGORY_IIDS, Wire::Varint(_)) | (event::CATEGORIES, Wire::Bytes(_)) => {
                    categories += 1;
                }
                (12, Wire::Varint(_)) | (46, Wire::Fixed64(_)) => has_extra = true,
                (event::NAME, Wire::Bytes(text)) => inline_name = Some(text),
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
            if parsed.has(has::NAME) {
                self.fault(Rule::NameTwice, at, |_| {
                    format!("iid {} and {:?}", parsed.name, String::from_utf8_lossy(text))
                });
            } else {
                event.name = Some(self.state.texts.id_of(text));
            }
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

    /// All categories of an event, joined.
    #[cold]
    fn categories(&mut self, sequence: u32, payload: &[u8]) -> TextId {
        let known = &self.state.sequences[sequence as usize].categories;
        let category = |field| match field {
            (event::CATEGORY_IIDS, Wire::Varint(iid)) => Some(match known.get(iid) {
                Some(text) => Cow::Borrowed(self.state.texts.get(text)),
                None => format!("unknown({iid})").into(),
            }),
            (event::CATEGORIES, Wire::Bytes(text)) => Some(String::from_utf8_lossy(text)),
            _ => None,
        };
        let categories: Vec<Cow<'_, str>> = Fields::of(payload).filter_map(category).collect();
        let joined = categories.join(",");
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

    /// A counter's value, as its descriptor has it.
    #[inline(always)]
    fn counted(&mut self, track: TrackId, index: u32, at: Whereabouts, value: f64) -> Option<f64> {
        let about = &self.state.tracks.get(track).about;
        if about.kind != TrackKind::Counter {
            let is_described = self.state.tracks.get(track).is_described;
            let rule = if is_described { Rule::NotACounter } else { Rule::CounterBeforeDescriptor };
            self.fault(rule, at, |_| "the value is dropped".to_owned());
            return None;
        }
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

    /// Counter values that ride on an event.
    fn extra_counters(&mut self, event: &Event<'_>, at: Whereabouts, payload: &[u8]) {
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
        let sequence = &self.state.sequences[event.sequence as usize];
        if uuids.is_empty() {
            uuids.clone_from(&sequence.default_extra);
        }
        if double_uuids.is_empty() {
            double_uuids.clone_from(&sequence.default_extra_double);
        }
        for (uuids, values) in [(uuids, ints), (double_uuids, doubles)] {
            if values.len() > 8 || values.len() > uuids.len() {
                let (values, uuids) = (values.len(), uuids.len());
                self.fault(Rule::ExtraCounters, at, |_| {
                    format!("{values} values for {uuids} counters")
                });
                continue;
            }
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
