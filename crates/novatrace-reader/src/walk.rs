//! One way through a trace: packets in order, with all that came before them. Belongs here: which events there are, when and on
//! which track. Does not: how they nest, which is known only in order of time (`timeline.rs`).

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use foldhash::{HashMap, HashMapExt};

use novatrace_core::schema::{
    clock_snapshot, interned_data as interned, source_location as location,
    trace_attributes as attributes, trace_packet_defaults as defaults, track_event as event,
};

use crate::Error;
use crate::clock::{self, Clock, Clocks, Refused};
use crate::frame::{Damage, Framer};
use crate::input::{Packing, Source};
use crate::names;
use crate::packet::{Packets, Parsed, Payload, has};
use crate::pipeline::{self, Bundle, Part};
use crate::rules::Rule;
use crate::sequence::{Location, OwnClock, Sequence, SequenceIndex, Table};
use crate::shares::Share;
use crate::text::{TextId, Texts};
use crate::track::{Descriptor, TrackId, TrackKind, Tracks};
use crate::wire::{Fields, Wire};

/// Where in the file something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// The packet's number, those of bundles included, from 0 on.
    pub(crate) packet: u64,
    /// Its first byte; of a packet in a bundle, the bundle's.
    pub(crate) offset: u64,
}

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

/// Where a fault is, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whereabouts {
    pub(crate) place: Place,
    pub(crate) sequence: Option<u32>,
    pub(crate) track: Option<TrackId>,
    pub(crate) ts: Option<i64>,
}

impl From<Place> for Whereabouts {
    fn from(place: Place) -> Self {
        Self { place, ..Self::default() }
    }
}

impl From<&Event<'_>> for Whereabouts {
    fn from(event: &Event<'_>) -> Self {
        Self { place: event.place, sequence: None, track: Some(event.track), ts: Some(event.ts) }
    }
}

/// What goes along.
pub(crate) trait Visit {
    /// A packet, before what is in it.
    fn packet(&mut self, _: Place, _: &Parsed, _: &[u8], _: &State) {}
    /// An event.
    fn event(&mut self, _: &Event<'_>, _: &State) {}
    /// A descriptor, after it was taken in.
    fn descriptor(&mut self, _: Place, _: TrackId, _: &Descriptor, _: &State) {}
    /// A bundle, before its packets.
    fn bundle(&mut self, _: &Bundle, _: &State) {}
    /// Bytes that are no packets.
    fn damage(&mut self, _: u64, _: u64, _: Damage, _: &State) {}
    /// Something is wrong there.
    fn fault(&mut self, _: Rule, _: Whereabouts, _: &State, _: impl FnOnce(&State) -> String) {}
    /// Whether the rest is not wanted.
    fn is_done(&self) -> bool {
        false
    }
}

/// What is known so far.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) texts: Texts,
    pub(crate) tracks: Tracks,
    pub(crate) clocks: Clocks,
    pub(crate) sequences: Vec<Sequence>,
    by_id: SequenceIndex,
    units: HashMap<Clock, (i64, bool)>,
    /// Packets so far.
    pub(crate) packets: u64,
    pub(crate) uuid: Option<u128>,
    pub(crate) attributes: Vec<(TextId, String)>,
    /// Names that were used before they were defined: by sequence, generation and iid, with the first use.
    unknown: HashMap<(u32, u32, Table, u64), (Whereabouts, u64)>,
    /// Those of them that were defined after all.
    pub(crate) defined_late: HashMap<(u32, u32, u64), TextId>,
    has_extensions: bool,
}

impl State {
    fn new() -> Self {
        Self {
            texts: Texts::new(),
            tracks: Tracks::new(),
            clocks: Clocks::new(),
            sequences: Vec::new(),
            by_id: SequenceIndex::default(),
            units: HashMap::new(),
            packets: 0,
            uuid: None,
            attributes: Vec::new(),
            unknown: HashMap::new(),
            defined_late: HashMap::new(),
            has_extensions: false,
        }
    }

    /// The sequence of that number, if there is one.
    pub(crate) fn find_sequence(&self, id: u32) -> Option<&Sequence> {
        self.by_id.get(id).map(|index| &self.sequences[index as usize])
    }

    #[inline(always)]
    fn sequence(&mut self, id: u32) -> u32 {
        match self.by_id.get(id) {
            Some(index) => index,
            None => self.new_sequence(id),
        }
    }

    #[cold]
    #[inline(never)]
    fn new_sequence(&mut self, id: u32) -> u32 {
        let index = self.sequences.len() as u32;
        self.sequences.push(Sequence::new(id));
        self.by_id.put(id, index);
        index
    }
}

/// Goes through a source from its beginning to its end.
pub(crate) fn walk<V: Visit>(
    source: &Source,
    threads: usize,
    visit: &mut V,
    mut progress: impl FnMut(u64),
) -> Result<(State, Packing), Error> {
    let (content, packing) = source.read()?;
    // To start them takes longer than to read a small file.
    let threads = if source.file_len()? < 1 << 20 { 0 } else { threads };
    let mut walk = Walk::new(visit, Share::ALL);
    let outcome = pipeline::run(Framer::new(content), threads, |part| {
        match part {
            Part::Packets(packets) => {
                progress(packets.offset);
                walk.packets(&packets);
            }
            Part::Damage { offset, len, damage } => {
                walk.visit.damage(offset, len, damage, &walk.state);
            }
            Part::Bundle(bundle) => walk.visit.bundle(&bundle, &walk.state),
        }
        !walk.visit.is_done()
    });
    outcome.map_err(|error| source.fail(error))?;
    walk.end();
    Ok((walk.state, packing))
}

/// What needs to be looked at before the packet's payload.
const UNUSUAL: u32 = has::CLEARED
    | has::DROPPED
    | has::INTERNED
    | has::DEFAULTS
    | has::MALFORMED
    | has::TWO_PAYLOADS
    | has::EXTENSION;

pub(crate) struct Walk<'v, V> {
    state: State,
    visit: &'v mut V,
    share: Share,
    /// Of a share: there is nothing in it that only a walk of all sequences can tell.
    is_sure: bool,
}

impl<'v, V: Visit> Walk<'v, V> {
    pub(crate) fn new(visit: &'v mut V, share: Share) -> Self {
        Self { state: State::new(), visit, share, is_sure: true }
    }

    pub(crate) fn is_sure(&self) -> bool {
        self.is_sure && !self.visit.is_done()
    }

    /// What is known at the end; of a share, nothing if it is not sure.
    pub(crate) fn finish(mut self) -> Option<State> {
        self.end();
        self.is_sure().then_some(self.state)
    }

    pub(crate) fn packets(&mut self, packets: &Packets) {
        packets.each(|parsed| {
            let offset = if packets.is_bundle { 0 } else { header(parsed) };
            let place = Place { packet: self.state.packets, offset: packets.offset + offset };
            self.packet(place, parsed, &packets.bytes);
            self.state.packets += 1;
        });
    }

    #[cold]
    #[inline(never)]
    fn fault(
        &mut self,
        rule: Rule,
        at: impl Into<Whereabouts>,
        detail: impl FnOnce(&State) -> String,
    ) {
        self.is_sure &= self.share.is_all();
        self.visit.fault(rule, at.into(), &self.state, detail);
    }

    #[inline(always)]
    fn packet(&mut self, place: Place, parsed: &Parsed, bytes: &[u8]) {
        if !self.share.has(parsed.sequence) {
            return self.of_other_share(place, parsed, bytes);
        }
        self.visit.packet(place, parsed, bytes, &self.state);
        let index = self.state.sequence(parsed.sequence);
        if parsed.has & UNUSUAL != 0 {
            self.prepare(place, index, parsed, bytes);
        }
        if parsed.has(has::NEEDS_STATE) && !self.state.sequences[index as usize].is_valid {
            let id = parsed.sequence;
            let rule = self.state.sequences[index as usize].why_invalid();
            return self.fault(rule, Whereabouts { sequence: Some(id), ..place.into() }, |_| {
                format!(
                    "sequence {id}: the packet needs the sequence's state, which is not valid here"
                )
            });
        }
        if parsed.kind == Payload::TrackEvent {
            return self.track_event(place, index, parsed, bytes);
        }
        if parsed.has(has::TIMESTAMP) && parsed.kind != Payload::ClockSnapshot {
            // It moves the sequence's clock, whatever the packet is.
            self.time(place, index, parsed);
        }
        self.other_payload(place, index, parsed, bytes);
    }

    /// What all take in.
    #[inline(always)]
    fn of_other_share(&mut self, place: Place, parsed: &Parsed, bytes: &[u8]) {
        let index = self.state.sequence(parsed.sequence);
        if parsed.kind != Payload::TrackEvent {
            self.other_payload(place, index, parsed, bytes);
        }
    }

    /// What rides on any packet.
    #[cold]
    #[inline(never)]
    fn prepare(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
        let id = parsed.sequence;
        let at = Whereabouts { sequence: Some(id), ..place.into() };
        if parsed.has(has::MALFORMED) {
            self.fault(Rule::Malformed, at, |_| {
                "the packet's fields end in bytes that are no field".to_owned()
            });
        }
        if parsed.has(has::TWO_PAYLOADS) {
            self.fault(Rule::TwoPayloads, at, |_| {
                format!("only its {} counts", payload_name(parsed.kind))
            });
        }
        if parsed.has(has::EXTENSION) && !self.state.has_extensions {
            self.fault(Rule::UnknownExtension, at, |_| {
                "no ExtensionDescriptor came before".to_owned()
            });
        }
        // Perfetto's own library says of the first packet of each sequence that others were dropped before.
        let is_first = !self.state.sequences[index as usize].is_started;
        if parsed.has(has::CLEARED) {
            self.state.sequences[index as usize].clear();
        }
        if parsed.has(has::DROPPED) && !(is_first && parsed.has(has::CLEARED)) {
            let why = parsed.dropped;
            self.fault(Rule::Loss, at, |_| {
                format!("sequence {id} lost packets before this one: {}", loss(why))
            });
            if !parsed.has(has::CLEARED) {
                self.state.sequences[index as usize].is_valid = false;
            }
        }
        if parsed.has(has::DEFAULTS) {
            self.defaults(at, index, slice(bytes, parsed.defaults));
        }
        if parsed.has(has::INTERNED) {
            if id == 0 || !self.state.sequences[index as usize].is_valid {
                let rule = self.state.sequences[index as usize].why_invalid();
                self.fault(rule, at, |_| {
                    format!("sequence {id}: its interned data is skipped, since its state is not valid here")
                });
            } else {
                self.interned(at, index, slice(bytes, parsed.interned));
            }
        }
    }

    fn defaults(&mut self, at: Whereabouts, index: u32, bytes: &[u8]) {
        let sequence = &mut self.state.sequences[index as usize];
        let before = (sequence.default_track.take(), sequence.default_clock.take());
        sequence.default_extra.clear();
        sequence.default_extra_double.clear();
        for (number, value) in Fields::of(bytes) {
            match (number, value) {
                (defaults::TIMESTAMP_CLOCK_ID, Wire::Varint(id)) => {
                    sequence.default_clock = Some(id as u32);
                }
                (defaults::TRACK_EVENT_DEFAULTS, Wire::Bytes(bytes)) => {
                    for (number, value) in Fields::of(bytes) {
                        match (number, value) {
                            (defaults::track_event_defaults::TRACK_UUID, Wire::Varint(uuid)) => {
                                sequence.default_track = Some(uuid);
                            }
                            (31, Wire::Varint(uuid)) => sequence.default_extra.push(uuid),
                            (45, Wire::Varint(uuid)) => sequence.default_extra_double.push(uuid),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let after = (sequence.default_track, sequence.default_clock);
        let lost = match (before, after) {
            ((_, Some(clock)), (_, None)) => {
                Some(format!("clock {clock}: deltas are read as absolute times from here on"))
            }
            ((Some(track), _), (None, _)) => {
                Some(format!("track {track}: events without one are on no track of theirs"))
            }
            _ => None,
        };
        if let Some(lost) = lost {
            let id = sequence.id;
            self.fault(Rule::LostDefault, at, |_| {
                format!("sequence {id} no longer has its default {lost}")
            });
        }
    }

    fn interned(&mut self, at: Whereabouts, index: u32, bytes: &[u8]) {
        for (number, value) in Fields::of(bytes) {
            let Wire::Bytes(entry) = value else { continue };
            let table = match number {
                interned::EVENT_CATEGORIES => Table::Category,
                interned::EVENT_NAMES => Table::Name,
                interned::DEBUG_ANNOTATION_NAMES => Table::Key,
                interned::DEBUG_ANNOTATION_STRING_VALUES => Table::Text,
                interned::SOURCE_LOCATIONS => Table::Location,
                _ => continue,
            };
            let (mut iid, mut text) = (0, None);
            let mut source = Location::default();
            for (number, value) in Fields::of(entry) {
                match (number, value) {
                    (interned::entry::IID, Wire::Varint(number)) => iid = number,
                    (interned::entry::TEXT, Wire::Bytes(bytes)) => {
                        let id = self.state.texts.id_of(bytes);
                        (text, source.file) = (Some(id), Some(id));
                    }
                    (location::FUNCTION_NAME, Wire::Bytes(bytes)) if table == Table::Location => {
                        source.function = Some(self.state.texts.id_of(bytes));
                    }
                    (location::LINE_NUMBER, Wire::Varint(line)) if table == Table::Location => {
                        source.line = u32::try_from(line).ok();
                    }
                    _ => {}
                }
            }
            if iid == 0 {
                self.fault(Rule::UnknownIid, at, |_| {
                    format!("an entry of {} without an iid", table.name())
                });
                continue;
            }
            let text = text.unwrap_or_else(|| self.state.texts.id_of(b""));
            let sequence = &mut self.state.sequences[index as usize];
            let generation = sequence.generation;
            let (id, key) = (sequence.id, (index, generation, table, iid));
            let before = match table {
                Table::Category => sequence.categories.define(iid, text).map(Some),
                Table::Name => sequence.names.define(iid, text).map(Some),
                Table::Key => sequence.keys.define(iid, text).map(Some),
                Table::Text => sequence.texts.define(iid, text).map(Some),
                Table::Location => sequence.locations.define(iid, source).map(|_| None),
            };
            if let Some(before) = before {
                self.fault(Rule::RedefinedIid, at, |state| {
                    let said = |text| format!("{:?}", state.texts.get(text));
                    let is =
                        before.map(|before| format!(", {} and not {}", said(before), said(text)));
                    format!(
                        "sequence {id}: {} {iid} stays what it was{}",
                        table.name(),
                        is.unwrap_or_default()
                    )
                });
            }
            if !self.state.unknown.is_empty()
                && let Some((first, count)) = self.state.unknown.remove(&key)
            {
                if table == Table::Name {
                    self.state.defined_late.insert((index, generation, iid), text);
                }
                self.fault(Rule::LateDefinition, first, |_| {
                    format!(
                        "sequence {id}: {} {iid} is used {count} times before it is defined",
                        table.name()
                    )
                });
            }
        }
    }

    /// The time of a packet, in nanoseconds of the trace; `None` if it cannot be told.
    #[inline(always)]
    fn time(&mut self, place: Place, index: u32, parsed: &Parsed) -> Option<i64> {
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

    fn snapshot(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
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
        for clock in own {
            sequence.clocks.retain(|other| other.id != clock.id);
            sequence.clocks.push(clock);
        }
    }

    #[inline(never)]
    fn other_payload(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
        let payload = slice(bytes, parsed.payload);
        match parsed.kind {
            Payload::TrackDescriptor => self.descriptor(place, parsed, payload),
            Payload::ClockSnapshot => self.snapshot(place, index, parsed, payload),
            Payload::TraceUuid => {
                let half = |wanted| {
                    Fields::of(payload)
                        .find(|(number, _)| *number == wanted)
                        .and_then(|(_, value)| value.number())
                };
                let (high, low) = (half(1).unwrap_or_default(), half(2).unwrap_or_default());
                self.state.uuid = Some(u128::from(high) << 64 | u128::from(low));
            }
            Payload::TraceAttributes => self.attributes(payload),
            Payload::Bundle => self.fault(Rule::NestedBundle, place, |_| {
                "a bundle that is not the first of its packet, or lies in another one".to_owned()
            }),
            // `extension_descriptor`.
            Payload::Other(72) => self.state.has_extensions = true,
            Payload::Other(_) | Payload::None | Payload::TrackEvent => {}
        }
    }

    fn attributes(&mut self, bytes: &[u8]) {
        for (_, value) in Fields::of(bytes).filter(|(number, _)| *number == attributes::ATTRIBUTE) {
            let (mut key, mut said) = (None, String::new());
            for (number, value) in value.bytes().into_iter().flat_map(Fields::of) {
                match (number, value) {
                    (attributes::attribute::KEY, Wire::Bytes(name)) => {
                        key = Some(self.state.texts.id_of(name));
                    }
                    (attributes::attribute::LONG_VALUE, Wire::Varint(value)) => {
                        said = value.cast_signed().to_string();
                    }
                    (attributes::attribute::STRING_VALUE, Wire::Bytes(text)) => {
                        said = String::from_utf8_lossy(text).into_owned();
                    }
                    _ => {}
                }
            }
            if let Some(key) = key {
                self.state.attributes.retain(|(other, _)| *other != key);
                self.state.attributes.push((key, said));
            }
        }
    }

    fn descriptor(&mut self, place: Place, parsed: &Parsed, bytes: &[u8]) {
        let said = Descriptor::of(bytes, &mut self.state.texts);
        let id = self.state.tracks.id_of(said.uuid);
        let at = Whereabouts { sequence: Some(parsed.sequence), track: Some(id), ..place.into() };
        if let (Some(pid), Some(name)) = (said.pid, said.process_name) {
            self.state.tracks.process_names.insert(pid, name);
        }
        if let (Some(pid), Some(tid), Some(name)) = (said.pid, said.tid, said.thread_name) {
            self.state.tracks.thread_names.insert((pid, tid), name);
        }
        let track = &mut self.state.tracks.all[id as usize];
        if track.is_described {
            let what = |about: &Descriptor| {
                (
                    about.parent,
                    about.pid,
                    about.tid,
                    about.kind,
                    about.multiplier,
                    about.is_incremental,
                    about.merge,
                )
            };
            let (before, name) = (track.about.name, said.name);
            if what(&track.about) != what(&said) {
                self.fault(Rule::ConflictingDescriptor, at, |state| {
                    format!(
                        "uuid {} was described otherwise before; {}",
                        said.uuid,
                        differences(state, id, &said)
                    )
                });
            } else if before != name && name.is_some() {
                if said.merge == 2 {
                    self.state.tracks.all[id as usize].about.name = name;
                }
                // A thread is shown by the name that its last descriptor gives it.
                if before.is_some() && said.kind != TrackKind::Thread {
                    self.fault(Rule::RenamedTrack, at, |state| {
                        let said = |name: Option<TextId>| {
                            name.map_or("", |name| state.texts.get(name)).to_owned()
                        };
                        format!("uuid of track {:?} again, for {:?}", said(before), said(name))
                    });
                }
            }
        } else {
            track.is_described = true;
            track.about = said.clone();
        }
        if self.share.is_first() {
            self.visit.descriptor(place, id, &said, &self.state);
        }
    }

    #[inline(always)]
    fn track(&mut self, index: u32, uuid: u64) -> TrackId {
        match self.state.sequences[index as usize].last_track {
            Some((last, id)) if last == uuid => id,
            _ => {
                let id = self.state.tracks.id_of(uuid);
                self.is_sure &= self.share.is_all() || self.state.tracks.get(id).is_described;
                self.state.sequences[index as usize].last_track = Some((uuid, id));
                id
            }
        }
    }

    /// Remembers that something was used that is not defined so far.
    #[cold]
    #[inline(never)]
    fn note_unknown(&mut self, index: u32, table: Table, iid: u64, at: Whereabouts) {
        let sequence = &self.state.sequences[index as usize];
        let key = (index, sequence.generation, table, iid);
        let at = Whereabouts { sequence: Some(sequence.id), ..at };
        self.state.unknown.entry(key).or_insert((at, 0)).1 += 1;
    }

    #[inline(always)]
    fn track_event(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
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

    /// A legacy event's phase. Those of async and flow events are not read.
    fn legacy(&mut self, event: &mut Event<'_>, at: Whereabouts, bytes: &[u8]) -> bool {
        let (mut phase, mut duration) = (0, 0);
        for (number, value) in Fields::of(bytes) {
            match (number, value) {
                (1, Wire::Varint(iid)) if event.name.is_none() => {
                    event.name = self.state.sequences[event.sequence as usize].names.get(iid);
                }
                (2, Wire::Varint(value)) => phase = value,
                (3, Wire::Varint(us)) => duration = us.cast_signed().saturating_mul(1_000).max(0),
                _ => {}
            }
        }
        event.kind = match u8::try_from(phase) {
            Ok(b'B') => EventKind::Begin,
            Ok(b'E') => EventKind::End,
            Ok(b'X') => EventKind::Complete(duration),
            Ok(b'I' | b'i' | b'R') => EventKind::Instant,
            // The event has a type besides.
            Ok(0) => return true,
            _ => {
                self.fault(Rule::Legacy, at, |_| {
                    let phase =
                        u8::try_from(phase).ok().filter(u8::is_ascii_graphic).map(char::from);
                    format!(
                        "phase {}",
                        phase.map_or_else(|| "unknown".to_owned(), |phase| format!("{phase:?}"))
                    )
                });
                return false;
            }
        };
        self.fault(Rule::Legacy, at, |_| format!("phase {:?}", phase as u8 as char));
        true
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

    /// What was never defined.
    fn end(&mut self) {
        let mut unknown: Vec<_> = self.state.unknown.drain().collect();
        unknown.sort_by_key(|(_, (at, _))| at.place);
        for ((index, _, table, iid), (at, count)) in unknown {
            let id = self.state.sequences[index as usize].id;
            self.fault(Rule::UnknownIid, at, |_| {
                let table = table.name();
                format!("sequence {id} uses {iid} of {table} {count} times, and never defines it")
            });
        }
    }
}

/// A flow that an event is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowPart {
    pub(crate) id: u64,
    /// It ends there.
    pub(crate) is_end: bool,
}

impl FlowPart {
    /// If the field of a `TrackEvent` is one; 36 and 42 are of old.
    #[inline]
    pub(crate) fn of(field: (u32, Wire<'_>)) -> Option<Self> {
        match field {
            (event::FLOW_IDS, Wire::Fixed64(id)) | (36, Wire::Varint(id)) => {
                Some(Self { id, is_end: false })
            }
            (event::TERMINATING_FLOW_IDS, Wire::Fixed64(id)) | (42, Wire::Varint(id)) => {
                Some(Self { id, is_end: true })
            }
            _ => None,
        }
    }
}

/// How far before a packet's content its header begins.
#[inline(always)]
fn header(parsed: &Parsed) -> u64 {
    let len_bytes = match parsed.len {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    };
    // An over-long length begins a little earlier still.
    u64::from(parsed.start).saturating_sub(1 + len_bytes)
}

#[inline(always)]
pub(crate) fn slice(bytes: &[u8], (start, len): (u32, u32)) -> &[u8] {
    &bytes[start as usize..(start + len) as usize]
}

pub(crate) fn payload_name(kind: Payload) -> String {
    match kind.number() {
        0 => "nothing".to_owned(),
        number => {
            names::packet_field(number).map_or_else(|| format!("field {number}"), str::to_owned)
        }
    }
}

/// `TracePacket.DataLossReason`.
fn loss(why: u32) -> String {
    const REASONS: [&str; 9] = [
        "",
        "a gap in what was read",
        "a corrupted chunk",
        "a continuation without its begin",
        "a gap in a packet",
        "a broken chain",
        "overwritten",
        "the writer gave up",
        "the buffer was full",
    ];
    let reasons: Vec<&str> =
        (1..REASONS.len()).filter(|bit| why >> bit & 1 != 0).map(|bit| REASONS[bit]).collect();
    if reasons.is_empty() { "no reason is given".to_owned() } else { reasons.join(", ") }
}

fn differences(state: &State, id: TrackId, said: &Descriptor) -> String {
    let before = &state.tracks.get(id).about;
    let mut parts = vec![];
    let mut differ = |what: &str, one: String, other: String| {
        if one != other {
            parts.push(format!("{what} {one} and {other}"));
        }
    };
    differ("kind", format!("{:?}", before.kind), format!("{:?}", said.kind));
    differ("parent", format!("{:?}", before.parent), format!("{:?}", said.parent));
    differ("pid", format!("{:?}", before.pid), format!("{:?}", said.pid));
    differ("tid", format!("{:?}", before.tid), format!("{:?}", said.tid));
    differ("merging", before.merge.to_string(), said.merge.to_string());
    parts.join(", ")
}
