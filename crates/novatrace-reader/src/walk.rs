//! One way through a trace: packets in order, and the state that they leave. Belongs here: what rides on any packet, descriptors,
//! who is told. Does not: what events mean (`event.rs`), and when they are (`times.rs`).

use foldhash::{HashMap, HashMapExt};

use novatrace_core::schema::{
    callstack, interned_data as interned, mapping, source_location as location,
    trace_attributes as attributes, trace_packet_defaults as defaults,
};

use crate::Error;
use crate::clock::{Clock, Clocks};
use crate::event::Event;
use crate::frame::{Damage, Framer};
use crate::input::{Packing, Source};
use crate::names;
use crate::packet::{Packets, Parsed, Payload, has};
use crate::pipeline::{self, Bundle, Part};
use crate::rules::Rule;
use crate::sequence::{Location, Sequence, SequenceIndex, Table, doubt};
use crate::shares::Share;
use crate::text::{TextId, Texts};
use crate::track::{Descriptor, TrackId, TrackKind, Tracks};
use crate::window::SERVICE_EVENT;
use crate::wire::{Fields, Wire};

/// Where in the file something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// The packet's number, those of bundles included, from 0 on.
    pub(crate) packet: u64,
    /// Its first byte; of a packet in a bundle, the bundle's.
    pub(crate) offset: u64,
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
    pub(crate) units: HashMap<Clock, (i64, bool)>,
    /// Packets so far.
    pub(crate) packets: u64,
    pub(crate) uuid: Option<u128>,
    pub(crate) attributes: Vec<(TextId, String)>,
    /// Names that were used before they were defined: by sequence, generation and iid, with the first use.
    unknown: HashMap<(u32, u32, Table, u64), (Whereabouts, u64)>,
    /// Those of them that were defined after all.
    pub(crate) defined_late: HashMap<(u32, u32, u64), TextId>,
    has_extensions: bool,
    /// Whether an event had a callstack.
    pub(crate) has_callstacks: bool,
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
            has_callstacks: false,
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
    pub(crate) state: State,
    pub(crate) visit: &'v mut V,
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
    pub(crate) fn fault(
        &mut self,
        rule: Rule,
        at: impl Into<Whereabouts>,
        detail: impl FnOnce(&State) -> String,
    ) {
        self.needs_all();
        self.visit.fault(rule, at.into(), &self.state, detail);
    }

    /// Of a share: only a walk of all sequences can tell what comes.
    pub(crate) fn needs_all(&mut self) {
        self.is_sure &= self.share.is_all();
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
        if self.state.sequences[index as usize].doubts != 0 && !self.is_usable(place, index, parsed)
        {
            return;
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

    /// Whether a packet of a sequence about which something is doubtful is taken in.
    #[cold]
    #[inline(never)]
    fn is_usable(&mut self, place: Place, index: u32, parsed: &Parsed) -> bool {
        let sequence = &mut self.state.sequences[index as usize];
        let (id, doubts, is_started) = (parsed.sequence, sequence.doubts, sequence.is_started);
        let at = Whereabouts { sequence: Some(id), ..place.into() };
        if doubts & doubt::STATE != 0 && parsed.has(has::NEEDS_STATE) {
            // Its delta is not added up.
            sequence.lose();
            let rule = sequence.why_invalid();
            self.fault(rule, at, |_| {
                format!(
                    "sequence {id}: the packet needs the sequence's state, which is not valid here"
                )
            });
            return false;
        }
        let clock = sequence.clock_of(parsed);
        let is_delta = parsed.has(has::TIMESTAMP)
            && sequence.clocks.iter().any(|own| own.id == clock && own.is_incremental);
        if parsed.kind != Payload::TrackEvent {
            return true;
        }
        let has_iids = parsed.has & (has::NAME | has::CATEGORY) != 0;
        if doubts & doubt::STATE != 0 {
            if is_started && (has_iids || is_delta) {
                self.fault(Rule::StaleState, at, |_| {
                    format!(
                        "sequence {id}: the packet does not say that it needs the sequence's state, of which something may be lost"
                    )
                });
            }
        } else if doubts & doubt::CLOCK != 0 && is_delta {
            self.fault(Rule::StaleClock, at, |_| {
                format!("sequence {id}: a delta on clock {clock}, of which others are lost")
            });
        } else if doubts & doubt::DEFAULT_CLOCK != 0 && clock == 0 {
            self.fault(Rule::LostDefault, at, |_| {
                format!(
                    "sequence {id} lost its default clock with its state: the timestamp is read as an absolute one"
                )
            });
        }
        true
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
            let sequence = &mut self.state.sequences[index as usize];
            sequence.lose();
            if !parsed.has(has::CLEARED) {
                sequence.doubts |= doubt::STATE;
            }
        }
        if parsed.has(has::DEFAULTS) {
            self.defaults(at, index, slice(bytes, parsed.defaults));
        }
        if parsed.has(has::INTERNED) {
            if id == 0 || !self.state.sequences[index as usize].is_valid() {
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
        let mut packed = None;
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
                            (31 | 45, Wire::Bytes(_)) => packed = Some(number),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if sequence.default_clock.is_some() {
            sequence.doubts &= !doubt::DEFAULT_CLOCK;
        }
        let (id, after) = (sequence.id, (sequence.default_track, sequence.default_clock));
        if let Some(number) = packed {
            self.fault(Rule::Packed, at, |_| format!("field {number} of TrackEventDefaults"));
        }
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
            self.fault(Rule::LostDefault, at, |_| {
                format!("sequence {id} no longer has its default {lost}")
            });
        }
    }

    fn interned(&mut self, at: Whereabouts, index: u32, bytes: &[u8]) {
        for (number, value) in Fields::of(bytes) {
            let Wire::Bytes(entry) = value else { continue };
            let Some(table) = Table::of(number) else { continue };
            let (mut iid, mut text) = (0, None);
            let mut source = Location::default();
            for (number, value) in Fields::of(entry) {
                match (number, value) {
                    (interned::entry::IID, Wire::Varint(number)) => iid = number,
                    (callstack::FRAME_IDS, Wire::Bytes(_)) if table == Table::Callstack => {
                        self.fault(Rule::Packed, at, |_| "frame_ids of a callstack".to_owned());
                    }
                    (mapping::PATH_STRING_IDS, Wire::Bytes(_)) if table == Table::Mapping => {
                        self.fault(Rule::Packed, at, |_| "path_string_ids of a mapping".to_owned());
                    }
                    (interned::entry::TEXT, Wire::Bytes(bytes)) if !table.has_messages() => {
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
                Table::Correlation => sequence.correlations.define(iid, text).map(Some),
                Table::LogBody => sequence.log_bodies.define(iid, text).map(Some),
                Table::Function | Table::MappingPath | Table::SourcePath => {
                    sequence.stacks.define_text(table, iid, text).map(Some)
                }
                Table::Mapping | Table::Frame | Table::Callstack => {
                    sequence.stacks.define(table, iid, entry).then_some(None)
                }
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

    #[inline(never)]
    fn other_payload(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
        let payload = slice(bytes, parsed.payload);
        match parsed.kind {
            Payload::TrackDescriptor => self.descriptor(place, index, parsed, payload),
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
            // `thread_descriptor`, which came before descriptors of tracks.
            Payload::Other(44) => {
                let mut said = Descriptor::default();
                said.thread(payload, &mut self.state.texts);
                self.threads(index, &said);
            }
            // `extension_descriptor`.
            Payload::Other(72) => self.state.has_extensions = true,
            // What comes late after it, the order of all events tells.
            SERVICE_EVENT => self.needs_all(),
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

    /// What a descriptor says of a thread, whichever track it is of.
    fn threads(&mut self, index: u32, said: &Descriptor) {
        let (Some(pid), Some(tid)) = (said.pid, said.tid) else { return };
        if let Some(name) = said.thread_name {
            self.state.tracks.thread_names.insert((pid, tid), name);
        }
        let sequence = &mut self.state.sequences[index as usize];
        if sequence.is_valid() {
            sequence.describes(pid, tid);
        }
    }

    fn descriptor(&mut self, place: Place, index: u32, parsed: &Parsed, bytes: &[u8]) {
        let Some(said) = Descriptor::of(bytes, &mut self.state.texts) else {
            let at = Whereabouts { sequence: Some(parsed.sequence), ..place.into() };
            return self.fault(Rule::DescriptorWithoutUuid, at, |_| "it is dropped".to_owned());
        };
        let id = self.state.tracks.of_descriptor(&said);
        let at = Whereabouts { sequence: Some(parsed.sequence), track: Some(id), ..place.into() };
        if let (Some(pid), Some(name)) = (said.pid, said.process_name) {
            self.state.tracks.process_names.insert(pid, name);
        }
        self.threads(index, &said);
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
    pub(crate) fn track(&mut self, index: u32, uuid: u64) -> TrackId {
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
    pub(crate) fn note_unknown(&mut self, index: u32, table: Table, iid: u64, at: Whereabouts) {
        let sequence = &self.state.sequences[index as usize];
        let key = (index, sequence.generation, table, iid);
        let at = Whereabouts { sequence: Some(sequence.id), ..at };
        self.state.unknown.entry(key).or_insert((at, 0)).1 += 1;
    }

    /// What was never defined.
    fn end(&mut self) {
        let mut unknown: Vec<_> = self.state.unknown.drain().collect();
        // Several may be in one packet.
        unknown.sort_by_key(|(key, (at, _))| (at.place, *key));
        for ((index, _, table, iid), (at, count)) in unknown {
            let id = self.state.sequences[index as usize].id;
            self.fault(Rule::UnknownIid, at, |_| {
                let table = table.name();
                format!("sequence {id} uses {iid} of {table} {count} times, and never defines it")
            });
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
