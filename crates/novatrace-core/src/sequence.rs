//! One packet sequence: its id, flags, defaults, clock, and what has been interned on it. Does not
//! belong here: the strings themselves, nor what an event says.
//!
//! [`Sequence::event`] and [`Sequence::end`] are the hot path of the whole product. A packet is
//! put together from pieces of at most eight bytes whose contents are computed in registers; the
//! parts that never change (sequence id, flags) are made once, when the sequence is.
#![expect(unsafe_code, reason = "the room for a packet is checked once, not for each piece")]

use crate::clock::ClockId;
use crate::event::SourceLocation;
use crate::intern::{Iid, Kind};
use crate::piece::Piece;
use crate::schema::{
    DATA_LOSS_BUFFER_FULL, DATA_LOSS_OVERWRITE, DATA_LOSS_PRESENT, EventType,
    SEQ_INCREMENTAL_STATE_CLEARED, SEQ_NEEDS_INCREMENTAL_STATE, clock_snapshot, interned_data,
    source_location, trace, trace_packet, trace_packet_defaults, track_event,
};
use crate::track::{TrackDescriptor, TrackUuid};
use crate::wire::{self, Spot};

/// `TracePacket.trusted_packet_sequence_id`: never 0; ids below 128 take one byte in each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceId(u32);

impl SequenceId {
    /// `None` for 0, which the trace processor takes for "no sequence".
    #[must_use]
    pub const fn new(id: u32) -> Option<Self> {
        if id == 0 { None } else { Some(Self(id)) }
    }

    /// The number as it is written.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// How the packets of a sequence say their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// Nanoseconds since the packet before, on a clock of the sequence's own
    /// (`ClockSnapshot.Clock.is_incremental`). Smallest when times ascend; an earlier time costs
    /// some 7 bytes more.
    Incremental,
    /// Nanoseconds of the trace's clock. For a sequence that many tracks share, in any order.
    Absolute,
}

/// What lies before the start of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Nothing, or nothing that is missing.
    None,
    /// Events that found no room.
    Loss,
}

/// A track that an event names itself, instead of relying on the sequence's default.
#[derive(Debug, Clone, Copy)]
pub struct ExplicitTrack {
    /// `TrackEvent.track_uuid` with its tag: 2 to 11 bytes.
    low: u64,
    high: u64,
    len: usize,
}

impl ExplicitTrack {
    /// Prepares the bytes that name `track`.
    #[must_use]
    pub fn new(track: TrackUuid) -> Self {
        let mut bytes = Vec::with_capacity(16);
        wire::varint_field(&mut bytes, track_event::TRACK_UUID, track.0);
        let len = bytes.len();
        bytes.resize(16, 0);
        let word = |at| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        Self { low: word(0), high: word(8), len }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::append(out, self.low.to_le_bytes(), self.len.min(8));
        wire::append(out, self.high.to_le_bytes(), self.len.saturating_sub(8));
    }
}

const SENT_LOCATION: u8 = 1 << 4;
const LEN_TAG: u64 = wire::short_tag(trace::PACKET, wire::LENGTH_DELIMITED) as u64;
const TIMESTAMP_TAG: u64 = wire::short_tag(trace_packet::TIMESTAMP, wire::VARINT) as u64;
const TRACK_EVENT_TAG: u64 =
    wire::short_tag(trace_packet::TRACK_EVENT, wire::LENGTH_DELIMITED) as u64;
const TYPE_TAG: u64 = wire::short_tag(track_event::TYPE, wire::VARINT) as u64;
/// The longest event that takes the fast way: the packet around it, of at most 20 bytes more, then
/// has a length of one byte.
const MAX_SHORT: usize = 0x7F - 20;

/// The writer of one packet sequence: appends whole packets to a caller's buffer.
///
/// Every sequence must be [started](Self::start) before anything else is written on it: before the
/// first packet that clears the incremental state, a reader skips what was interned.
#[derive(Debug)]
pub struct Sequence {
    id: SequenceId,
    timestamps: Timestamps,
    needs_state: bool,
    default_track: Option<TrackUuid>,
    /// The latest time written, in ns: where the delta clock is.
    last_ns: u64,
    /// Sequence id, then flags if events carry them: what ends every packet.
    trailer: u64,
    trailer_len: usize,
    /// By [`Iid`], a bit for each [`Kind`] that has been defined since the state was cleared.
    sent: Vec<u8>,
}

impl Sequence {
    /// A sequence that has written nothing yet.
    #[must_use]
    pub fn new(id: SequenceId, timestamps: Timestamps) -> Self {
        let mut sequence = Self {
            id,
            timestamps,
            needs_state: false,
            default_track: None,
            last_ns: 0,
            trailer: 0,
            trailer_len: 0,
            sent: Vec::new(),
        };
        sequence.set_trailer();
        sequence
    }

    /// Makes each event say that it relies on the state (`SEQ_NEEDS_INCREMENTAL_STATE`), so that
    /// a reader skips events after a loss instead of reading them against the wrong state. Needed
    /// where packets can be lost on the way (ring buffers, network); 2 bytes an event.
    #[must_use]
    pub fn with_needs_state(mut self, needs_state: bool) -> Self {
        self.needs_state = needs_state;
        self.set_trailer();
        self
    }

    fn set_trailer(&mut self) {
        let mut bytes = Vec::with_capacity(8);
        let id = u64::from(self.id.get());
        wire::varint_field(&mut bytes, trace_packet::TRUSTED_PACKET_SEQUENCE_ID, id);
        if self.needs_state {
            let flags = SEQ_NEEDS_INCREMENTAL_STATE;
            wire::varint_field(&mut bytes, trace_packet::SEQUENCE_FLAGS, flags);
        }
        self.trailer_len = bytes.len();
        bytes.resize(8, 0);
        self.trailer = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    }

    /// What its packets are marked with.
    #[must_use]
    #[inline]
    pub fn id(&self) -> SequenceId {
        self.id
    }

    /// The latest time written, in ns.
    #[must_use]
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Starts the sequence, or starts it again: clears the incremental state, ties the clock to the
    /// trace's at 0 ns, and makes `default_track` the track of events that name none.
    ///
    /// What was [defined](Self::define) before has to be defined again.
    pub fn start(&mut self, out: &mut Vec<u8>, default_track: Option<TrackUuid>) {
        self.start_at(out, 0, default_track, Gap::None);
    }

    /// [`start`](Self::start) with the clock tied to the trace's at `ns`, which may be no earlier than
    /// in any start of any sequence before: the trace processor refuses a clock that steps back.
    ///
    /// After a [loss](Gap::Loss) the packet says that some before it are missing
    /// (`previous_packet_dropped`).
    pub fn start_at(
        &mut self,
        out: &mut Vec<u8>,
        ns: u64,
        default_track: Option<TrackUuid>,
        gap: Gap,
    ) {
        self.sent.clear();
        self.last_ns = ns;
        self.default_track = default_track;
        let clock = match self.timestamps {
            Timestamps::Incremental => ClockId::SEQUENCE_DELTA,
            Timestamps::Absolute => ClockId::BOOTTIME,
        };
        self.packet(out, |out| {
            let snapshot = wire::open(out, trace_packet::CLOCK_SNAPSHOT);
            clock_reading(out, ClockId::BOOTTIME, ns, false);
            if self.timestamps == Timestamps::Incremental {
                clock_reading(out, ClockId::SEQUENCE_DELTA, ns, true);
            }
            let primary = u64::from(ClockId::BOOTTIME.0);
            wire::varint_field(out, clock_snapshot::PRIMARY_TRACE_CLOCK, primary);
            wire::close(out, snapshot);
            let defaults = wire::open(out, trace_packet::TRACE_PACKET_DEFAULTS);
            let id = u64::from(clock.0);
            wire::varint_field(out, trace_packet_defaults::TIMESTAMP_CLOCK_ID, id);
            if let Some(track) = default_track {
                use trace_packet_defaults::track_event_defaults;
                let event = wire::open(out, trace_packet_defaults::TRACK_EVENT_DEFAULTS);
                wire::varint_field(out, track_event_defaults::TRACK_UUID, track.0);
                wire::close(out, event);
            }
            wire::close(out, defaults);
            let flags = SEQ_INCREMENTAL_STATE_CLEARED;
            wire::varint_field(out, trace_packet::SEQUENCE_FLAGS, flags);
            match gap {
                Gap::None => wire::varint_field(out, trace_packet::FIRST_PACKET_ON_SEQUENCE, 1),
                Gap::Loss => {
                    let reason = DATA_LOSS_PRESENT | DATA_LOSS_BUFFER_FULL;
                    wire::varint_field(out, trace_packet::PREVIOUS_PACKET_DROPPED, reason);
                }
            }
            let id = u64::from(self.id.get());
            wire::varint_field(out, trace_packet::TRUSTED_PACKET_SEQUENCE_ID, id);
        });
    }

    /// Starts the sequence again as it was started last, with the clock tied to the trace's at `ns`: for
    /// what follows to be read without what came before.
    pub fn restart_at(&mut self, out: &mut Vec<u8>, ns: u64) {
        self.start_at(out, ns, self.default_track, Gap::None);
    }

    /// Says that packets of this sequence are missing here, since they were overwritten
    /// (`previous_packet_dropped`). To come before a [start](Self::restart_at).
    pub fn overwritten(&self, out: &mut Vec<u8>) {
        self.packet(out, |out| {
            let reason = DATA_LOSS_PRESENT | DATA_LOSS_OVERWRITE;
            wire::varint_field(out, trace_packet::PREVIOUS_PACKET_DROPPED, reason);
            let id = u64::from(self.id.get());
            wire::varint_field(out, trace_packet::TRUSTED_PACKET_SEQUENCE_ID, id);
        });
    }

    /// Writes what a track is. To come after its parent's and before the track's first event.
    pub fn descriptor(&mut self, out: &mut Vec<u8>, descriptor: &TrackDescriptor<'_>) {
        self.packet(out, |out| {
            descriptor.encode(out);
            wire::append(out, self.trailer.to_le_bytes(), self.trailer_len);
        });
    }

    /// Whether `iid` has been defined as `kind` on this sequence.
    #[inline]
    #[must_use]
    pub fn is_defined(&self, kind: Kind, iid: Iid) -> bool {
        self.sent.get(iid.index()).is_some_and(|bits| bits & kind.bit() != 0)
    }

    /// Tells the sequence what `iid` stands for, unless it knows.
    pub fn define(&mut self, out: &mut Vec<u8>, kind: Kind, iid: Iid, text: &str) {
        if self.is_defined(kind, iid) {
            return;
        }
        self.mark_sent(iid, kind.bit());
        self.interned(out, kind.field(), |out| {
            wire::varint_field(out, interned_data::entry::IID, u64::from(iid.get()));
            wire::text_field(out, interned_data::entry::TEXT, text);
        });
    }

    /// Tells the sequence which place in a source file `iid` stands for, unless it knows. Says
    /// whether a packet was written.
    pub fn define_location(
        &mut self,
        out: &mut Vec<u8>,
        iid: Iid,
        location: &SourceLocation<'_>,
    ) -> bool {
        if self.sent.get(iid.index()).is_some_and(|bits| bits & SENT_LOCATION != 0) {
            return false;
        }
        self.mark_sent(iid, SENT_LOCATION);
        self.interned(out, interned_data::SOURCE_LOCATIONS, |out| {
            wire::varint_field(out, source_location::IID, u64::from(iid.get()));
            location.encode(out);
        });
        true
    }

    fn mark_sent(&mut self, iid: Iid, bit: u8) {
        if self.sent.len() <= iid.index() {
            self.sent.resize(iid.index() + 1, 0);
        }
        self.sent[iid.index()] |= bit;
    }

    fn interned(&mut self, out: &mut Vec<u8>, field: u32, entry: impl FnOnce(&mut Vec<u8>)) {
        self.packet(out, |out| {
            let data = wire::open(out, trace_packet::INTERNED_DATA);
            let message = wire::open(out, field);
            entry(out);
            wire::close(out, message);
            wire::close(out, data);
            // Interned data is state itself, and is skipped if the state was not cleared first.
            wire::varint_field(out, trace_packet::SEQUENCE_FLAGS, SEQ_NEEDS_INCREMENTAL_STATE);
            let id = u64::from(self.id.get());
            wire::varint_field(out, trace_packet::TRUSTED_PACKET_SEQUENCE_ID, id);
        });
    }

    #[expect(clippy::unused_self, reason = "packets are written through their sequence only")]
    fn packet(&self, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
        let packet = wire::open(out, trace::PACKET);
        content(out);
        wire::close(out, packet);
    }

    /// Writes an event at `ns` (0 to [`MAX_TIMESTAMP_NS`](crate::MAX_TIMESTAMP_NS)) on `track`, or
    /// on the default track for `None`. `body` is what an [`EventBody`](crate::EventBody) wrote.
    ///
    /// Events of one track at equal times are read in the order written: ends are to come first,
    /// then begins, the longest slice first. No order is needed otherwise.
    #[inline(always)]
    pub fn event(
        &mut self,
        out: &mut Vec<u8>,
        ns: u64,
        event_type: EventType,
        track: Option<&ExplicitTrack>,
        body: &[u8],
    ) {
        let track_len = track.map_or(0, |track| track.len);
        let event_len = 2 + track_len + body.len();
        let time = self.advance(ns);
        if let Some(time) = time
            && time < 1 << 35
            && event_len <= MAX_SHORT
        {
            self.short_event(out, time, event_type, track, body);
        } else {
            self.long_event(out, ns, time, event_type, track, body);
        }
    }

    /// [`event`](Self::event) that leaves the delta clock where it is: whether it is kept makes no
    /// difference to the events around it.
    pub fn event_apart(
        &self,
        out: &mut Vec<u8>,
        ns: u64,
        event_type: EventType,
        track: Option<&ExplicitTrack>,
        body: &[u8],
    ) {
        self.long_event(out, ns, None, event_type, track, body);
    }

    /// Ends the innermost slice that is open on the track. Has neither name nor category: one that
    /// differs from the begin's would leave the slice open, with no word about it.
    #[inline(always)]
    pub fn end(&mut self, out: &mut Vec<u8>, ns: u64, track: Option<&ExplicitTrack>) {
        const EVENT: u64 =
            TRACK_EVENT_TAG | 2 << 8 | TYPE_TAG << 16 | (EventType::SliceEnd as u64) << 24;
        let delta = ns.wrapping_sub(self.last_ns);
        if delta < 1 << 35
            && track.is_none()
            && self.timestamps == Timestamps::Incremental
            && self.trailer_len <= 4
        {
            self.last_ns = ns;
            let (time, time_len) = wire::packed_small_varint(delta);
            let packet_len = (1 + time_len + 4 + self.trailer_len) as u64;
            let head = LEN_TAG | packet_len << 8 | TIMESTAMP_TAG << 16 | time << 24;
            // SAFETY: there is room; `time` < 2^35 is a varint of at most 5 bytes.
            let out = unsafe { Spot::new(out, 16).piece(head, 3 + time_len) };
            // SAFETY: 8 bytes of the room are left; `trailer_len` ≤ 4 by the check above.
            unsafe { out.piece(EVENT | self.trailer << 32, 4 + self.trailer_len) }.settle();
        } else {
            self.event(out, ns, EventType::SliceEnd, track, &[]);
        }
    }

    /// [`event`](Self::event) on the default track that says nothing but a name, or name and category.
    #[doc(hidden)]
    #[inline(always)]
    pub fn named_event(&mut self, out: &mut Vec<u8>, ns: u64, event_type: EventType, name: Piece) {
        let (name, name_len) = name.split();
        let delta = ns.wrapping_sub(self.last_ns);
        if delta < 1 << 35 && self.timestamps == Timestamps::Incremental && self.trailer_len <= 8 {
            self.last_ns = ns;
            let (time, time_len) = wire::packed_small_varint(delta);
            let event_len = 2 + name_len;
            let packet_len = (1 + time_len + 2 + event_len + self.trailer_len) as u64;
            let head = LEN_TAG | packet_len << 8 | TIMESTAMP_TAG << 16 | time << 24;
            let event = TRACK_EVENT_TAG
                | (event_len as u64) << 8
                | TYPE_TAG << 16
                | (event_type as u64) << 24;
            // SAFETY: there is room for four times 8 bytes; `time` < 2^35 is a varint of at most 5.
            let out = unsafe { Spot::new(out, 32).piece(head, 3 + time_len) };
            // SAFETY: 24 bytes of the room are left.
            let out = unsafe { out.piece(event, 4) };
            // SAFETY: 20 bytes of the room are left; pieces have at most 7 bytes.
            let out = unsafe { out.piece(name, name_len) };
            // SAFETY: 13 bytes of the room are left; `trailer_len` ≤ 8 by the check above.
            unsafe { out.piece(self.trailer, self.trailer_len) }.settle();
        } else {
            self.event(out, ns, event_type, None, &name.to_le_bytes()[..name_len]);
        }
    }

    /// What to write for the time `ns`; `None` if it lies behind the delta clock.
    #[inline(always)]
    fn advance(&mut self, ns: u64) -> Option<u64> {
        match self.timestamps {
            Timestamps::Absolute => {
                self.last_ns = self.last_ns.max(ns);
                Some(ns)
            }
            Timestamps::Incremental => {
                let delta = ns.checked_sub(self.last_ns)?;
                self.last_ns = ns;
                Some(delta)
            }
        }
    }

    #[inline(always)]
    fn short_event(
        &self,
        out: &mut Vec<u8>,
        time: u64,
        event_type: EventType,
        track: Option<&ExplicitTrack>,
        body: &[u8],
    ) {
        let (time, time_len) = wire::packed_small_varint(time);
        let track_len = track.map_or(0, |track| track.len);
        let event_len = (2 + track_len + body.len()) as u64;
        let packet_len = (1 + time_len + 2 + self.trailer_len) as u64 + event_len;
        let event = TRACK_EVENT_TAG | event_len << 8 | TYPE_TAG << 16 | (event_type as u64) << 24;
        // What the pieces below take, and what the last of them may touch.
        let out = Spot::new(out, 8 + 8 + 4 + MAX_SHORT + 8 + 8);
        let head = LEN_TAG | packet_len << 8 | TIMESTAMP_TAG << 16 | time << 24;
        // SAFETY: the caller keeps `time` below 2^35, a varint of at most 5 bytes; and the room.
        let out = unsafe { out.piece(head, 3 + time_len) };
        // SAFETY: the room made above.
        let mut out = unsafe { out.piece(event, 4) };
        if let Some(track) = track {
            // SAFETY: the room made above: the track is part of an event of at most MAX_SHORT bytes,
            // and a piece touches no more than 8 beyond.
            out = unsafe { out.piece(track.low, track.len.min(8)) };
            // SAFETY: as above; a tag and a varint have at most 11 bytes.
            out = unsafe { out.piece(track.high, track.len.saturating_sub(8)) };
        }
        // SAFETY: the body is part of an event of at most MAX_SHORT bytes.
        let out = unsafe { out.bytes(body) };
        // SAFETY: the room made above; `set_trailer` keeps `trailer_len` ≤ 8.
        unsafe { out.piece(self.trailer, self.trailer_len) }.settle();
    }

    #[cold]
    #[inline(never)]
    fn long_event(
        &self,
        out: &mut Vec<u8>,
        ns: u64,
        time: Option<u64>,
        event_type: EventType,
        track: Option<&ExplicitTrack>,
        body: &[u8],
    ) {
        self.packet(out, |out| {
            wire::varint_field(out, trace_packet::TIMESTAMP, time.unwrap_or(ns));
            if time.is_none() {
                // An absolute time in between leaves the delta clock where it is.
                let clock = u64::from(ClockId::BOOTTIME.0);
                wire::varint_field(out, trace_packet::TIMESTAMP_CLOCK_ID, clock);
            }
            let event = wire::open(out, trace_packet::TRACK_EVENT);
            wire::varint_field(out, track_event::TYPE, event_type as u64);
            if let Some(track) = track {
                track.encode(out);
            }
            out.extend_from_slice(body);
            wire::close(out, event);
            wire::append(out, self.trailer.to_le_bytes(), self.trailer_len);
        });
    }
}

fn clock_reading(out: &mut Vec<u8>, clock: ClockId, ns: u64, is_incremental: bool) {
    let message = wire::open(out, clock_snapshot::CLOCKS);
    wire::varint_field(out, clock_snapshot::clock::CLOCK_ID, u64::from(clock.0));
    wire::varint_field(out, clock_snapshot::clock::TIMESTAMP, ns);
    if is_incremental {
        wire::varint_field(out, clock_snapshot::clock::IS_INCREMENTAL, 1);
    }
    wire::close(out, message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventBody, Scalar, Text};

    fn sequence(timestamps: Timestamps) -> Sequence {
        Sequence::new(SequenceId::new(1).expect("not zero"), timestamps)
    }

    fn iid(number: u32) -> Iid {
        Iid::for_test(number)
    }

    #[test]
    fn a_start_clears_the_state_ties_the_clock_and_sets_the_defaults() {
        let mut out = vec![];
        sequence(Timestamps::Incremental).start(&mut out, Some(TrackUuid(7)));
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 35,                         // Trace.packet
            0x32, 16,                         //   clock_snapshot
            0x0A, 4, 0x08, 6, 0x10, 0,        //     clocks: BOOTTIME at 0
            0x0A, 6, 0x08, 64, 0x10, 0,       //     clocks: the sequence's, at 0,
            0x18, 1,                          //       incremental
            0x10, 6,                          //     primary_trace_clock
            0xDA, 0x03, 7,                    //   trace_packet_defaults
            0xD0, 0x03, 64,                   //     timestamp_clock_id
            0x5A, 2, 0x58, 7,                 //     track_event_defaults: track_uuid
            0x68, 1,                          //   sequence_flags: cleared
            0xB8, 0x05, 1,                    //   first_packet_on_sequence
            0x50, 1,                          //   trusted_packet_sequence_id
        ]);
    }

    #[test]
    fn an_end_takes_eleven_bytes() {
        let (mut out, mut sequence) = (vec![], sequence(Timestamps::Incremental));
        sequence.end(&mut out, 1_000, None);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 9,                          // Trace.packet
            0x40, 0xE8, 0x07,                 //   timestamp: 1000 ns after the last
            0x5A, 2,                          //   track_event
            0x48, 2,                          //     type: TYPE_SLICE_END
            0x50, 1,                          //   trusted_packet_sequence_id
        ]);
    }

    #[test]
    fn a_begin_with_category_takes_fifteen_bytes() {
        let (mut out, mut sequence) = (vec![], sequence(Timestamps::Incremental));
        let mut body = vec![];
        EventBody::new(&mut body).name(Text::Iid(iid(5))).category(Text::Iid(iid(6)));
        sequence.event(&mut out, 1_000, EventType::SliceBegin, None, &body);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 13,                         // Trace.packet
            0x40, 0xE8, 0x07,                 //   timestamp
            0x5A, 6,                          //   track_event
            0x48, 1,                          //     type: TYPE_SLICE_BEGIN
            0x50, 5,                          //     name_iid
            0x18, 6,                          //     category_iids
            0x50, 1,                          //   trusted_packet_sequence_id
        ]);
    }

    #[test]
    fn an_integer_counter_takes_fourteen_bytes() {
        let (mut out, mut sequence) = (vec![], sequence(Timestamps::Incremental));
        let mut body = vec![];
        EventBody::new(&mut body).counter(Scalar::Int(9));
        sequence.event(&mut out, 1_000, EventType::Counter, None, &body);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 12,                         // Trace.packet
            0x40, 0xE8, 0x07,                 //   timestamp
            0x5A, 5,                          //   track_event
            0x48, 4,                          //     type: TYPE_COUNTER
            0xF0, 0x01, 9,                    //     counter_value
            0x50, 1,                          //   trusted_packet_sequence_id
        ]);
    }

    #[test]
    fn an_explicit_track_and_the_flag_are_written_when_asked_for() {
        let mut sequence = sequence(Timestamps::Absolute).with_needs_state(true);
        let mut out = vec![];
        sequence.end(&mut out, 5, Some(&ExplicitTrack::new(TrackUuid(300))));
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 13,                         // Trace.packet
            0x40, 5,                          //   timestamp, absolute
            0x5A, 5,                          //   track_event
            0x48, 2,                          //     type: TYPE_SLICE_END
            0x58, 0xAC, 0x02,                 //     track_uuid
            0x50, 1,                          //   trusted_packet_sequence_id
            0x68, 2,                          //   sequence_flags: needs incremental state
        ]);
    }

    #[test]
    fn an_earlier_time_is_absolute_and_leaves_the_delta_clock_alone() {
        let (mut out, mut sequence) = (vec![], sequence(Timestamps::Incremental));
        sequence.end(&mut out, 100, None);
        out.clear();
        sequence.end(&mut out, 40, None);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 11,                         // Trace.packet
            0x40, 40,                         //   timestamp
            0xD0, 0x03, 6,                    //   timestamp_clock_id: BOOTTIME
            0x5A, 2, 0x48, 2,                 //   track_event
            0x50, 1,                          //   trusted_packet_sequence_id
        ]);
        out.clear();
        sequence.end(&mut out, 101, None);
        assert_eq!(out[..4], [0x0A, 8, 0x40, 1]);
    }

    #[test]
    fn an_event_apart_is_absolute_whatever_its_time_and_a_restart_keeps_the_default_track() {
        let (mut out, mut sequence) = (vec![], sequence(Timestamps::Incremental));
        let mut first = vec![];
        sequence.start_at(&mut first, 50, Some(TrackUuid(7)), Gap::None);
        for ns in [40, 60_u8] {
            out.clear();
            sequence.event_apart(&mut out, ns.into(), EventType::SliceBegin, None, &[]);
            #[rustfmt::skip]
            assert_eq!(out, [
                0x0A, 11,                         // Trace.packet
                0x40, ns,                         //   timestamp
                0xD0, 0x03, 6,                    //   timestamp_clock_id: BOOTTIME
                0x5A, 2, 0x48, 1,                 //   track_event
                0x50, 1,                          //   trusted_packet_sequence_id
            ]);
        }
        out.clear();
        sequence.end(&mut out, 51, None);
        assert_eq!(out[..4], [0x0A, 8, 0x40, 1]);
        let mut second = vec![];
        sequence.restart_at(&mut second, 50);
        assert_eq!(first, second);
    }

    #[test]
    fn iid_is_defined_once_until_the_state_is_cleared() {
        let (mut out, mut sequence) = (vec![], sequence(Timestamps::Incremental));
        sequence.define(&mut out, Kind::EventName, iid(1), "a");
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 13,                         // Trace.packet
            0x62, 7,                          //   interned_data
            0x12, 5,                          //     event_names
            0x08, 1, 0x12, 1, b'a',           //       iid, name
            0x68, 2,                          //   sequence_flags
            0x50, 1,                          //   trusted_packet_sequence_id
        ]);
        let len = out.len();
        sequence.define(&mut out, Kind::EventName, iid(1), "a");
        assert_eq!(out.len(), len, "known already");
        sequence.define(&mut out, Kind::Category, iid(1), "a");
        assert!(out.len() > len, "each kind is told apart");
        sequence.start(&mut out, None);
        let len = out.len();
        sequence.define(&mut out, Kind::EventName, iid(1), "a");
        assert!(out.len() > len, "forgotten by the clear");
    }

    #[test]
    fn short_and_long_way_agree_around_the_border() {
        for len in 90..140 {
            let body = vec![0; len];
            let (mut fast, mut slow) = (vec![], vec![]);
            let mut sequence = sequence(Timestamps::Absolute);
            sequence.event(&mut fast, 77, EventType::Instant, None, &body);
            sequence.long_event(&mut slow, 77, Some(77), EventType::Instant, None, &body);
            assert_eq!(fast, slow, "{len}");
        }
    }
}
