//! The outside of a packet: what it is, when, on which sequence; of a track event, what nearly all have. Belongs here: one
//! packet by itself, as several threads take them apart. Does not: anything that depends on the packets before.

use novatrace_core::schema::{trace_packet as packet, track_event as event};

use crate::frame::PACKET_TAG;
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
    /// There is more among it than debug annotations.
    pub(crate) const BEYOND: u32 = 1 << 18;
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

/// Whole packets that follow one another.
#[derive(Debug)]
pub(crate) struct Packets {
    pub(crate) bytes: Vec<u8>,
    /// Where they begin in the stream; of those in a bundle, where that one begins.
    pub(crate) offset: u64,
    pub(crate) is_bundle: bool,
}

impl Packets {
    /// Takes each packet apart and hands it to `with`, in order. What is no packet ends them.
    #[inline(always)]
    pub(crate) fn each(&self, mut with: impl FnMut(&Parsed)) {
        let bytes = &self.bytes[..];
        let (mut at, mut parsed) = (0, Parsed::NOTHING);
        while at < bytes.len() {
            let (start, end) = match bytes[at..] {
                // Nearly all.
                [PACKET_TAG, len @ 0..0x80, ..] if usize::from(len) + 2 <= bytes.len() - at => {
                    (at + 2, at + 2 + usize::from(len))
                }
                _ => {
                    let mut fields = Fields::of(&bytes[at..]);
                    let Some((1, Wire::Bytes(content))) = fields.next() else { break };
                    let end = at + fields.position();
                    (end - content.len(), end)
                }
            };
            parsed.fill(bytes, start, end);
            with(&parsed);
            at = end;
        }
    }
}

pub(crate) use novatrace_core::schema::trace_packet::{
    COMPRESSED_PACKETS, ZSTD_COMPRESSED_PACKETS,
};
/// A field number that the encoder has no use for.
const FIRST_EXTENSION: u32 = 1_000;

/// Bytes as a word.
const fn word(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

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

    /// Takes the packet apart whose content is there in `bytes`.
    #[inline(always)]
    fn fill(&mut self, bytes: &[u8], start: usize, end: usize) {
        *self = Self { start: start as u32, len: (end - start) as u32, ..Self::NOTHING };
        let this = self;
        // In a register: bits that are set in memory, byte by byte, are slow to read as a word.
        let (mut at, mut seen) = this.usual(bytes, start, end).unwrap_or((start, 0));
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

    /// Takes the begin of a packet apart that is as most are: a time, and an event with its type, name and category, or its type
    /// alone. All of that is looked at as a word: byte by byte, each tag would wait for the one before. Returns what
    /// comes next, and what there was; `None` if it is otherwise.
    #[inline(always)]
    fn usual(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<(usize, u32)> {
        /// The tags of an event, its type and its name, or of its end and the sequence: every other byte of a word.
        const TAGS: u64 = word([tag::TRACK_EVENT, 0, tag::TYPE, 0, tag::NAME_IID, 0, 0, 0]);
        const OF_TAGS: u64 = word([0xFF, 0, 0xFF, 0, 0xFF, 0, 0, 0]);
        const CATEGORY: u64 = word([0, 0, 0, 0, 0, 0, tag::CATEGORY_IID, 0]);
        const OF_CATEGORY: u64 = word([0, 0, 0, 0, 0, 0, 0xFF, 0x80]);
        /// Numbers of one byte.
        const SHORT: u64 = word([0, 0x80, 0, 0x80, 0, 0x80, 0, 0]);
        if bytes.get(start) != Some(&tag::TIMESTAMP) {
            return None;
        }
        let (timestamp, at) = varint(bytes, start + 1)?;
        let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        let [_, len, _, event_type, _, number, _, category] = word.to_le_bytes();
        if word & (OF_TAGS | SHORT) != TAGS {
            return None;
        }
        let from = at + 2;
        let to = from + usize::from(len);
        if len == 2 && at + 6 <= end {
            // The next number is the sequence's.
            const { assert!(tag::NAME_IID == tag::SEQUENCE) };
            self.put_usual(timestamp, event_type, (from, to));
            self.sequence = u32::from(number);
            return Some((at + 6, has::TIMESTAMP | has::TYPE | has::SEQUENCE));
        }
        if len < 6 || to > end || word & OF_CATEGORY != CATEGORY {
            return None;
        }
        self.put_usual(timestamp, event_type, (from, to));
        (self.name, self.category) = (u64::from(number), u64::from(category));
        let mut seen = has::TIMESTAMP | has::TYPE | has::NAME | has::CATEGORY;
        if len > 6 {
            seen = self.fields_of_event(bytes, from + 6, to, seen);
        }
        match bytes.get(to..) {
            Some(&[tag::SEQUENCE, id @ 0..0x80, ..]) if to + 2 <= end => {
                self.sequence = u32::from(id);
                Some((to + 2, seen | has::SEQUENCE))
            }
            _ => Some((to, seen)),
        }
    }

    #[inline(always)]
    fn put_usual(&mut self, timestamp: u64, event_type: u8, (from, to): (usize, usize)) {
        (self.timestamp, self.event_type) = (timestamp, event_type);
        (self.kind, self.payload) = (Payload::TrackEvent, (from as u32, (to - from) as u32));
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

    #[inline(never)]
    fn event(&mut self, bytes: &[u8], start: usize, end: usize, mut seen: u32) -> u32 {
        if self.kind == Payload::TrackEvent {
            // The last one counts.
            let event_bits =
                has::TYPE | has::TRACK | has::NAME | has::CATEGORY | has::INT | has::DOUBLE;
            let of_event = event_bits | has::MORE | has::BEYOND | has::EXTENSION;
            (seen, self.has) = (seen & !of_event, self.has & !of_event);
            self.event_type = 0;
        }
        self.put_payload(Payload::TrackEvent, (start as u32, (end - start) as u32));
        self.fields_of_event(bytes, start, end, seen)
    }

    #[inline(always)]
    fn fields_of_event(&mut self, bytes: &[u8], start: usize, end: usize, mut seen: u32) -> u32 {
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
                self.has |= has::MORE | has::BEYOND;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_events_the_last_one_counts_with_what_it_has_not() {
        // A begin with a name, then an event that says only its track.
        let content = [0x5A, 4, 0x48, 1, 0x50, 7, 0x5A, 2, 0x58, 9];
        let mut parsed = Parsed::NOTHING;
        parsed.fill(&content, 0, content.len());
        assert!(
            parsed.has(has::TWO_PAYLOADS | has::TRACK) && parsed.has & (has::TYPE | has::NAME) == 0
        );
        assert_eq!((parsed.event_type, parsed.track), (0, 9));
    }
}
