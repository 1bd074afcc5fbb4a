//! The outside of a packet: what it is, when, on which sequence; of a track event, what nearly all have. Belongs here: one
//! packet by itself, as several threads take them apart. Does not: anything that depends on the packets before.

use std::sync::Arc;

use novatrace_core::schema::{trace_packet as packet, track_event as event};

use crate::wire::{Fields, Wire, varint};

/// `TracePacket.data`, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Payload {
    None,
    TrackEvent,
    TrackDescriptor,
    ClockSnapshot,
    TraceUuid,
    TraceAttributes,
    /// Another packet in the packet: bundles, if nested.
    Bundle,
    /// Any other field that Perfetto has, or none that is known.
    Other(u32),
}

impl Payload {
    /// The payload of that field; `None` if the field is none.
    pub(crate) fn of(number: u32) -> Option<Self> {
        Some(match number {
            packet::TRACK_EVENT => Self::TrackEvent,
            packet::TRACK_DESCRIPTOR => Self::TrackDescriptor,
            packet::CLOCK_SNAPSHOT => Self::ClockSnapshot,
            packet::TRACE_UUID => Self::TraceUuid,
            packet::TRACE_ATTRIBUTES => Self::TraceAttributes,
            COMPRESSED_PACKETS | ZSTD_COMPRESSED_PACKETS => Self::Bundle,
            0 => return None,
            _ if is_payload(number) => Self::Other(number),
            _ => return None,
        })
    }

    /// Its field; 0 for none.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::TrackEvent => packet::TRACK_EVENT,
            Self::TrackDescriptor => packet::TRACK_DESCRIPTOR,
            Self::ClockSnapshot => packet::CLOCK_SNAPSHOT,
            Self::TraceUuid => packet::TRACE_UUID,
            Self::TraceAttributes => packet::TRACE_ATTRIBUTES,
            Self::Bundle => COMPRESSED_PACKETS,
            Self::Other(number) => number,
        }
    }
}

/// What a packet has, as bits.
pub(crate) mod has {
    pub(crate) const TIMESTAMP: u32 = 1 << 0;
    pub(crate) const CLOCK: u32 = 1 << 1;
    pub(crate) const SEQUENCE: u32 = 1 << 2;
    pub(crate) const CLEARED: u32 = 1 << 3;
    pub(crate) const NEEDS_STATE: u32 = 1 << 4;
    pub(crate) const INTERNED: u32 = 1 << 5;
    pub(crate) const DEFAULTS: u32 = 1 << 6;
    pub(crate) const DROPPED: u32 = 1 << 7;
    /// More than one payload.
    pub(crate) const TWO_PAYLOADS: u32 = 1 << 8;
    /// It could not be taken apart to its end.
    pub(crate) const MALFORMED: u32 = 1 << 9;
    pub(crate) const TYPE: u32 = 1 << 10;
    pub(crate) const TRACK: u32 = 1 << 11;
    pub(crate) const NAME: u32 = 1 << 12;
    pub(crate) const CATEGORY: u32 = 1 << 13;
    pub(crate) const INT: u32 = 1 << 14;
    pub(crate) const DOUBLE: u32 = 1 << 15;
    /// The event has what is not in [`Parsed`](super::Parsed): arguments, flows, names spelled out.
    pub(crate) const MORE: u32 = 1 << 16;
    /// Extensions are among it.
    pub(crate) const EXTENSION: u32 = 1 << 17;
}

/// Tags of one byte: the field's number and its wire type.
mod tag {
    use novatrace_core::schema::{trace_packet as packet, track_event as event};

    const fn tag(field: u32, wire_type: u32) -> u8 {
        assert!(field < 16);
        (field << 3 | wire_type) as u8
    }

    pub(super) const TIMESTAMP: u8 = tag(packet::TIMESTAMP, 0);
    pub(super) const SEQUENCE: u8 = tag(packet::TRUSTED_PACKET_SEQUENCE_ID, 0);
    pub(super) const FLAGS: u8 = tag(packet::SEQUENCE_FLAGS, 0);
    pub(super) const TRACK_EVENT: u8 = tag(packet::TRACK_EVENT, 2);
    pub(super) const TYPE: u8 = tag(event::TYPE, 0);
    pub(super) const NAME_IID: u8 = tag(event::NAME_IID, 0);
    pub(super) const CATEGORY_IID: u8 = tag(event::CATEGORY_IIDS, 0);
    pub(super) const TRACK_UUID: u8 = tag(event::TRACK_UUID, 0);
    pub(super) const DEBUG_ANNOTATION: u8 = tag(event::DEBUG_ANNOTATIONS, 2);
}

/// A packet, taken apart as far as it can be by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parsed {
    /// The packet's content, in its buffer.
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// The payload's, and of interned data and defaults, the last ones.
    pub(crate) payload: (u32, u32),
    pub(crate) interned: (u32, u32),
    pub(crate) defaults: (u32, u32),
    pub(crate) has: u32,
    pub(crate) kind: Payload,
    pub(crate) sequence: u32,
    pub(crate) clock: u32,
    pub(crate) timestamp: u64,
    /// `previous_packet_dropped`.
    pub(crate) dropped: u32,
    /// `TrackEvent.type`.
    pub(crate) event_type: u8,
    pub(crate) track: u64,
    pub(crate) name: u64,
    pub(crate) category: u64,
    /// Of a counter, the integer or the double's bits.
    pub(crate) value: u64,
}

/// Packets that lie in one buffer.
#[derive(Debug)]
pub(crate) struct Packets {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) packed: Packed,
    /// Where the buffer begins in the stream; of a bundle, where that one begins.
    pub(crate) offset: u64,
    pub(crate) is_bundle: bool,
}

/// [`Parsed`] packets in as few words as can be. They go from one core to another, and that takes longer than to take
/// them apart.
///
/// A word of what there is; where the packet is; its sequence, time, name and category; and what it has beside
/// these. Packets other than plain events have all of `Parsed`.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    words: Vec<u32>,
    packets: usize,
}

/// In the first word: it is a track event; its type; all of `Parsed` follows.
const IS_EVENT: u32 = 1 << 18;
const TYPE_SHIFT: u32 = 19;
const IS_WHOLE: u32 = 1 << 31;
/// What the short form has.
const SHORT: u32 = has::TIMESTAMP
    | has::SEQUENCE
    | has::NEEDS_STATE
    | has::TYPE
    | has::NAME
    | has::CATEGORY
    | has::TRACK
    | has::INT
    | has::DOUBLE
    | has::MORE;

#[inline(always)]
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

#[inline(always)]
fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

impl Packed {
    fn with_capacity(packets: usize) -> Self {
        Self { words: Vec::with_capacity(10 * packets), packets: 0 }
    }

    #[inline(always)]
    fn push(&mut self, parsed: &Parsed) {
        self.packets += 1;
        let is_event = parsed.kind == Payload::TrackEvent;
        let is_short = parsed.has & !SHORT == 0
            && (is_event || parsed.kind == Payload::None)
            && parsed.event_type < 8
            && (parsed.name | parsed.category) >> 32 == 0;
        if !is_short {
            return self.push_whole(parsed);
        }
        let first = parsed.has
            | (IS_EVENT * u32::from(is_event))
            | u32::from(parsed.event_type) << TYPE_SHIFT;
        let [low, high] = halves(parsed.timestamp);
        let (name, category) = (parsed.name as u32, parsed.category as u32);
        self.words.extend([
            first,
            parsed.start,
            parsed.len,
            parsed.sequence,
            low,
            high,
            name,
            category,
        ]);
        if parsed.has & (has::TRACK | has::INT | has::DOUBLE | has::MORE) != 0 {
            let [track, value] = [halves(parsed.track), halves(parsed.value)];
            self.words.extend([
                track[0],
                track[1],
                value[0],
                value[1],
                parsed.payload.0,
                parsed.payload.1,
            ]);
        }
    }

    #[inline(never)]
    fn push_whole(&mut self, parsed: &Parsed) {
        let two = |(one, other): (u32, u32)| [one, other];
        let narrow = [
            parsed.has | IS_WHOLE,
            parsed.start,
            parsed.len,
            parsed.kind.number(),
            parsed.sequence,
            parsed.clock,
            parsed.dropped,
            u32::from(parsed.event_type),
        ];
        let wide = [parsed.timestamp, parsed.track, parsed.name, parsed.category, parsed.value];
        self.words.extend(narrow);
        self.words.extend(
            [two(parsed.payload), two(parsed.interned), two(parsed.defaults)].as_flattened(),
        );
        self.words.extend(wide.map(halves).as_flattened());
    }

    /// Takes the next packet out of `words`.
    #[inline(always)]
    fn take(words: &mut &[u32], parsed: &mut Parsed) -> Option<()> {
        let (&[first, start, len, sequence, low, high, name, category], rest) =
            words.split_first_chunk()?;
        if first & IS_WHOLE != 0 {
            return Self::take_whole(words, parsed);
        }
        *words = rest;
        *parsed = Parsed {
            start,
            len,
            has: first & (IS_EVENT - 1),
            kind: if first & IS_EVENT != 0 { Payload::TrackEvent } else { Payload::None },
            sequence,
            timestamp: whole([low, high]),
            event_type: (first >> TYPE_SHIFT & 7) as u8,
            name: u64::from(name),
            category: u64::from(category),
            ..Parsed::NOTHING
        };
        if first & (has::TRACK | has::INT | has::DOUBLE | has::MORE) != 0 {
            let (&[track, track_high, value, value_high, at, len], rest) =
                words.split_first_chunk()?;
            *words = rest;
            (parsed.track, parsed.value) = (whole([track, track_high]), whole([value, value_high]));
            parsed.payload = (at, len);
        }
        Some(())
    }

    #[inline(never)]
    fn take_whole(words: &mut &[u32], parsed: &mut Parsed) -> Option<()> {
        let (&[first, start, len, kind, sequence, clock, dropped, event_type], rest) =
            words.split_first_chunk()?;
        let (places, rest) = rest.split_first_chunk::<6>()?;
        let (wide, rest) = rest.split_first_chunk::<10>()?;
        *words = rest;
        let wide = |at: usize| whole([wide[2 * at], wide[2 * at + 1]]);
        *parsed = Parsed {
            start,
            len,
            payload: (places[0], places[1]),
            interned: (places[2], places[3]),
            defaults: (places[4], places[5]),
            has: first & !IS_WHOLE,
            kind: Payload::of(kind).unwrap_or(Payload::None),
            sequence,
            clock,
            timestamp: wide(0),
            dropped,
            event_type: event_type as u8,
            track: wide(1),
            name: wide(2),
            category: wide(3),
            value: wide(4),
        };
        Some(())
    }

    /// Hands each packet to `with`, in order.
    #[inline(always)]
    pub(crate) fn each(&self, mut with: impl FnMut(&Parsed)) {
        let mut words = &self.words[..];
        let mut parsed = Parsed::NOTHING;
        while Self::take(&mut words, &mut parsed).is_some() {
            with(&parsed);
        }
    }
}

pub(crate) use novatrace_core::schema::trace_packet::{
    COMPRESSED_PACKETS, ZSTD_COMPRESSED_PACKETS,
};
/// A field number that the encoder has no use for.
const FIRST_EXTENSION: u32 = 1_000;

fn range(bytes: &[u8], inner: &[u8]) -> (u32, u32) {
    let start = inner.as_ptr().addr() - bytes.as_ptr().addr();
    (start as u32, inner.len() as u32)
}

/// Whether a field of a packet is its payload: one of the oneof `data`.
pub(crate) fn is_payload(number: u32) -> bool {
    // All that is neither about the packet itself nor state that rides on any packet.
    !matches!(number, 3 | 8 | 10 | 12 | 13 | 16 | 41 | 42 | 58 | 59 | 76 | 79 | 87 | 88 | 98)
}

impl Parsed {
    pub(crate) const NOTHING: Self = Self {
        start: 0,
        len: 0,
        payload: (0, 0),
        interned: (0, 0),
        defaults: (0, 0),
        has: 0,
        kind: Payload::None,
        sequence: 0,
        clock: 0,
        timestamp: 0,
        dropped: 0,
        event_type: 0,
        track: 0,
        name: 0,
        category: 0,
        value: 0,
    };

    /// Takes the packet `content` apart, which is a part of `bytes`.
    #[inline(always)]
    fn fill(&mut self, bytes: &[u8], content: &[u8]) {
        let (start, len) = range(bytes, content);
        *self = Self { start, len, ..Self::NOTHING };
        let this = self;
        // In a register: bits that are set in memory, byte by byte, are slow to read as a word.
        let mut seen = 0;
        let (mut at, end) = (start as usize, (start + len) as usize);
        // What nearly all packets have, by their tags; the rest field by field.
        while at < end {
            let next = match bytes[at] {
                tag::TIMESTAMP => varint(bytes, at + 1).map(|(time, next)| {
                    this.timestamp = time;
                    seen |= has::TIMESTAMP;
                    next
                }),
                tag::SEQUENCE => varint(bytes, at + 1).map(|(id, next)| {
                    this.sequence = id as u32;
                    seen |= has::SEQUENCE;
                    next
                }),
                tag::FLAGS => varint(bytes, at + 1).map(|(flags, next)| {
                    seen |= has::CLEARED * u32::from(flags & 1 != 0);
                    seen |= has::NEEDS_STATE * u32::from(flags & 2 != 0);
                    next
                }),
                tag::TRACK_EVENT => match varint(bytes, at + 1) {
                    Some((len, from)) if len <= (end - from.min(end)) as u64 => {
                        let to = from + len as usize;
                        seen = this.event(bytes, from, to, seen);
                        Some(to)
                    }
                    _ => None,
                },
                _ => {
                    let mut fields = Fields::of(&bytes[at..end]);
                    fields.next().map(|(number, value)| {
                        this.other(bytes, number, value);
                        at + fields.position()
                    })
                }
            };
            match next {
                Some(next) if next <= end => at = next,
                _ => {
                    seen |= has::MALFORMED;
                    break;
                }
            }
        }
        this.has |= seen;
    }

    #[inline(never)]
    fn other(&mut self, bytes: &[u8], number: u32, value: Wire<'_>) {
        match (number, value) {
            (packet::INTERNED_DATA, Wire::Bytes(data)) => {
                self.interned = range(bytes, data);
                self.has |= has::INTERNED;
            }
            (packet::TRACE_PACKET_DEFAULTS, Wire::Bytes(defaults)) => {
                self.defaults = range(bytes, defaults);
                self.has |= has::DEFAULTS;
            }
            (packet::TIMESTAMP_CLOCK_ID, Wire::Varint(clock)) => {
                self.clock = clock as u32;
                self.has |= has::CLOCK;
            }
            (packet::PREVIOUS_PACKET_DROPPED, Wire::Varint(why)) if why != 0 => {
                self.dropped = why as u32;
                self.has |= has::DROPPED;
            }
            // `incremental_state_cleared`, which came before the flags.
            (41, Wire::Varint(1)) => self.has |= has::CLEARED,
            // Longer tags than need be.
            (packet::TIMESTAMP, Wire::Varint(time)) => {
                self.timestamp = time;
                self.has |= has::TIMESTAMP;
            }
            (packet::TRUSTED_PACKET_SEQUENCE_ID, Wire::Varint(id)) => {
                self.sequence = id as u32;
                self.has |= has::SEQUENCE;
            }
            _ => self.other_payload(bytes, number, value),
        }
    }

    fn other_payload(&mut self, bytes: &[u8], number: u32, value: Wire<'_>) {
        if let (Some(kind), Wire::Bytes(payload)) = (Payload::of(number), value) {
            self.put_payload(kind, range(bytes, payload));
        }
    }

    fn put_payload(&mut self, kind: Payload, payload: (u32, u32)) {
        if self.kind != Payload::None {
            self.has |= has::TWO_PAYLOADS;
            // A clock snapshot wins over all others.
            if self.kind == Payload::ClockSnapshot {
                return;
            }
        }
        (self.kind, self.payload) = (kind, payload);
    }

    #[inline(always)]
    fn event(&mut self, bytes: &[u8], start: usize, end: usize, mut seen: u32) -> u32 {
        if self.kind == Payload::TrackEvent {
            // The last one counts.
            let event_bits =
                has::TYPE | has::TRACK | has::NAME | has::CATEGORY | has::INT | has::DOUBLE;
            let of_event = event_bits | has::MORE | has::EXTENSION;
            (seen, self.has) = (seen & !of_event, self.has & !of_event);
            self.event_type = 0;
        }
        self.put_payload(Payload::TrackEvent, (start as u32, (end - start) as u32));
        let mut at = start;
        while at < end {
            let next = match bytes[at] {
                tag::TYPE => varint(bytes, at + 1).map(|(kind, next)| {
                    self.event_type = u8::try_from(kind).unwrap_or(u8::MAX);
                    seen |= has::TYPE;
                    next
                }),
                tag::NAME_IID => varint(bytes, at + 1).map(|(iid, next)| {
                    self.name = iid;
                    seen |= has::NAME;
                    next
                }),
                tag::CATEGORY_IID if seen & has::CATEGORY == 0 => {
                    varint(bytes, at + 1).map(|(iid, next)| {
                        self.category = iid;
                        seen |= has::CATEGORY;
                        next
                    })
                }
                tag::TRACK_UUID => varint(bytes, at + 1).map(|(uuid, next)| {
                    self.track = uuid;
                    seen |= has::TRACK;
                    next
                }),
                tag::DEBUG_ANNOTATION => varint(bytes, at + 1).and_then(|(len, from)| {
                    seen |= has::MORE;
                    from.checked_add(usize::try_from(len).ok()?)
                }),
                _ => self.other_of_event(bytes, at, end),
            };
            match next {
                Some(next) if next <= end => at = next,
                _ => {
                    seen |= has::MALFORMED;
                    break;
                }
            }
        }
        seen
    }

    /// What fewer events have. Returns where it ends.
    #[inline(never)]
    fn other_of_event(&mut self, bytes: &[u8], at: usize, end: usize) -> Option<usize> {
        let mut fields = Fields::of(&bytes[at..end]);
        let (number, value) = fields.next()?;
        match (number, value) {
            (event::COUNTER_VALUE, Wire::Varint(value)) => {
                self.value = value;
                self.has |= has::INT;
            }
            (event::DOUBLE_COUNTER_VALUE, Wire::Fixed64(bits)) => {
                self.value = bits;
                self.has |= has::DOUBLE;
            }
            // Longer tags than need be.
            (event::TYPE, Wire::Varint(kind)) => {
                self.event_type = u8::try_from(kind).unwrap_or(u8::MAX);
                self.has |= has::TYPE;
            }
            (event::TRACK_UUID, Wire::Varint(uuid)) => {
                self.track = uuid;
                self.has |= has::TRACK;
            }
            (event::NAME_IID, Wire::Varint(iid)) => {
                self.name = iid;
                self.has |= has::NAME;
            }
            (number, _) => {
                self.has |= has::MORE;
                if number >= FIRST_EXTENSION {
                    self.has |= has::EXTENSION;
                }
            }
        }
        Some(at + fields.position())
    }

    #[inline(always)]
    pub(crate) fn has(&self, bits: u32) -> bool {
        self.has & bits == bits
    }
}

/// How many packets a part of a chunk has at most.
const PART: usize = 1 << 10;

/// Takes packets apart, which follow one another in `bytes`, and hands them on in parts, until `hand_on` says that
/// no more are wanted: returns whether they are. What is no packet ends them.
pub(crate) fn parse(
    bytes: &Arc<Vec<u8>>,
    offset: u64,
    is_bundle: bool,
    hand_on: &mut dyn FnMut(Packets) -> bool,
) -> bool {
    let mut packed = Packed::with_capacity(PART.min(bytes.len() / 8 + 1));
    let mut parsed = Parsed::NOTHING;
    for field in Fields::of(bytes) {
        let (1, Wire::Bytes(content)) = field else { break };
        parsed.fill(bytes, content);
        packed.push(&parsed);
        if packed.packets == PART {
            let packed = std::mem::replace(&mut packed, Packed::with_capacity(PART));
            if !hand_on(Packets { bytes: Arc::clone(bytes), packed, offset, is_bundle }) {
                return false;
            }
        }
    }
    packed.packets == 0 || hand_on(Packets { bytes: Arc::clone(bytes), packed, offset, is_bundle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_events_the_last_one_counts_with_what_it_has_not() {
        // A begin with a name, then an event that says only its track.
        let content = [0x5A, 4, 0x48, 1, 0x50, 7, 0x5A, 2, 0x58, 9];
        let mut parsed = Parsed::NOTHING;
        parsed.fill(&content, &content);
        assert!(
            parsed.has(has::TWO_PAYLOADS | has::TRACK) && parsed.has & (has::TYPE | has::NAME) == 0
        );
        assert_eq!((parsed.event_type, parsed.track), (0, 9));
    }

    #[test]
    fn packets_are_packed_without_loss() {
        let plain = Parsed {
            start: 7,
            len: 9,
            has: has::TIMESTAMP,
            timestamp: u64::MAX - 5,
            ..Parsed::NOTHING
        };
        let event = Parsed {
            kind: Payload::TrackEvent,
            event_type: 2,
            sequence: 3,
            name: 8,
            category: 9,
            ..plain
        };
        let more = Parsed {
            has: has::MORE | has::TRACK,
            track: u64::MAX,
            value: 1 << 63,
            payload: (8, 9),
            ..event
        };
        let odd = Parsed {
            name: 1 << 32,
            event_type: 200,
            clock: 6,
            dropped: 1,
            interned: (1, 2),
            defaults: (3, 4),
            ..more
        };
        let other = Parsed { kind: Payload::Other(69), has: has::CLEARED, ..odd };
        let state = Parsed { has: has::CLEARED, ..plain };
        let all = [plain, event, more, odd, other, state, plain];
        let mut packed = Packed::default();
        for parsed in &all {
            packed.push(parsed);
        }
        let mut back = vec![];
        packed.each(|parsed| back.push(*parsed));
        assert_eq!(format!("{back:?}"), format!("{all:?}"));
    }
}
