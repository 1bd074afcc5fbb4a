//! Bodies of events that differ from others in a few numbers only. Belongs here: bytes made once and
//! copied ever after. Does not: which events are alike, which their writer knows.
#![expect(unsafe_code, reason = "the room for a piece and its number is checked once")]

use std::fmt;

use crate::intern::Iid;
use crate::schema::{debug_annotation, track_event};
use crate::wire::{self, Spot};

/// Bytes of a body that are made once: a reference to an interned text, or what comes before a
/// number.
///
/// At most seven bytes, the first one lowest; how many, in the highest byte. One type whatever it comes
/// before: its user keeps many, close together, beside what tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece(u64);

const fn tag(field: u32, wire_type: u32) -> Piece {
    let (bytes, len) = wire::packed_varint((field << 3 | wire_type) as u64);
    Piece(bytes | (len as u64) << 56)
}

impl Piece {
    /// Comes before a [`word`](ShortBody::word): `flow_ids`.
    pub const FLOW: Self = tag(track_event::FLOW_IDS, wire::FIXED64);
    /// Comes before a [`word`](ShortBody::word): `terminating_flow_ids`.
    pub const TERMINATING_FLOW: Self = tag(track_event::TERMINATING_FLOW_IDS, wire::FIXED64);
    /// Comes before a [`word`](ShortBody::word): the bits of a `double_counter_value`.
    pub const DOUBLE_COUNTER: Self = tag(track_event::DOUBLE_COUNTER_VALUE, wire::FIXED64);

    pub(crate) const MAX_LEN: usize = 7;

    /// An event's name (`name_iid`), complete.
    #[must_use]
    pub const fn name(iid: Iid) -> Self {
        Self::reference(track_event::NAME_IID, iid)
    }

    /// One of its categories (`category_iids`), complete.
    #[must_use]
    pub const fn category(iid: Iid) -> Self {
        Self::reference(track_event::CATEGORY_IIDS, iid)
    }

    /// Comes before a [`varint`](ShortBody::varint): an annotation that is an unsigned number
    /// (`uint_value`). `None` if the name's number is too long for a piece.
    #[must_use]
    pub fn uint(name: Iid) -> Option<Self> {
        Self::annotation(name, debug_annotation::UINT_VALUE, wire::VARINT, 0)
    }

    /// As [`uint`](Self::uint), for a signed number (`int_value`) that is not negative.
    #[must_use]
    pub fn int(name: Iid) -> Option<Self> {
        Self::annotation(name, debug_annotation::INT_VALUE, wire::VARINT, 0)
    }

    /// As [`uint`](Self::uint), for 0 or 1 (`bool_value`).
    #[must_use]
    pub fn bool(name: Iid) -> Option<Self> {
        Self::annotation(name, debug_annotation::BOOL_VALUE, wire::VARINT, 0)
    }

    /// As [`uint`](Self::uint), before a [`word`](ShortBody::word): the bits of a `double_value`
    /// that is not NaN.
    #[must_use]
    pub fn double(name: Iid) -> Option<Self> {
        Self::annotation(name, debug_annotation::DOUBLE_VALUE, wire::FIXED64, 8)
    }

    /// Comes before a [`text`](ShortBody::text): an annotation that is a text (`string_value`). `None` if
    /// the name's number is too long for a piece.
    #[must_use]
    pub fn text(name: Iid) -> Option<Self> {
        Self::annotation(name, debug_annotation::STRING_VALUE, wire::LENGTH_DELIMITED, 0)
    }

    /// This piece and then `other`; `None` if that is too long.
    #[must_use]
    pub fn and(self, other: Self) -> Option<Self> {
        let ((bytes, len), (others, others_len)) = (self.split(), other.split());
        let sum = len + others_len;
        let is_short = sum <= Self::MAX_LEN;
        is_short.then(|| Self(bytes | others << (8 * len) | (sum as u64) << 56))
    }

    const fn reference(field: u32, iid: Iid) -> Self {
        let (number, len) = wire::packed_varint(iid.get() as u64);
        let tag = wire::short_tag(field, wire::VARINT) as u64;
        Self(tag | number << 8 | (1 + len as u64) << 56)
    }

    /// The second byte is the length of the annotation, the value of `value_len` bytes included.
    fn annotation(name: Iid, field: u32, wire_type: u32, value_len: u64) -> Option<Self> {
        let tag = wire::short_tag(track_event::DEBUG_ANNOTATIONS, wire::LENGTH_DELIMITED);
        let (name, name_len) = Self::reference(debug_annotation::NAME_IID, name).split();
        if 3 + name_len > Self::MAX_LEN {
            return None;
        }
        let len = name_len as u64 + 1 + value_len;
        let value_tag = u64::from(wire::short_tag(field, wire_type)) << (8 * (2 + name_len));
        let bytes = u64::from(tag) | len << 8 | name << 16 | value_tag;
        Some(Self(bytes | (3 + name_len as u64) << 56))
    }

    #[inline(always)]
    pub(crate) const fn split(self) -> (u64, usize) {
        (self.0 & ((1 << 56) - 1), (self.0 >> 56) as usize)
    }
}

/// [`EventBody`](crate::EventBody) in pieces.
///
/// Counts only when it is [finished](Self::finish); dropped before, it has written nothing.
#[must_use = "what it wrote counts only once it is finished"]
pub struct ShortBody<'a> {
    spot: Spot<'a>,
}

impl<'a> ShortBody<'a> {
    /// A piece of seven bytes and a varint of ten, in pieces that touch eight each.
    const LONGEST: usize = 24;
    /// The longest [`text`](Self::text), in bytes.
    pub const MAX_TEXT: usize = 96;

    /// Appends to `out`, making room for as many of the calls below as `calls` says.
    #[inline(always)]
    pub fn new(out: &'a mut Vec<u8>, calls: usize) -> Self {
        Self { spot: Spot::new(out, Self::LONGEST * calls) }
    }

    #[inline(always)]
    fn check_room(&self) {
        assert!(self.spot.room() >= Self::LONGEST, "more calls than room was made for");
    }

    /// A piece that is complete.
    ///
    /// # Panics
    ///
    /// As every method here, if called more often than there was room made for.
    #[inline(always)]
    pub fn piece(self, piece: Piece) -> Self {
        self.check_room();
        let (bytes, len) = piece.split();
        // SAFETY: there is room for LONGEST ≥ 8 bytes, and pieces have at most 7.
        Self { spot: unsafe { self.spot.piece(bytes, len) } }
    }

    /// An annotation and its number.
    ///
    /// # Panics
    ///
    /// As [`piece`](Self::piece).
    #[inline(always)]
    pub fn varint(self, prefix: Piece, value: u32) -> Self {
        self.check_room();
        let (bytes, len) = prefix.split();
        let (value, value_len) = wire::packed_small_varint(u64::from(value));
        let bytes = bytes + ((value_len as u64) << 8);
        // SAFETY: there is room for LONGEST = 24 bytes; this takes at most 7 of them.
        let spot = unsafe { self.spot.piece(bytes, len) };
        // SAFETY: 17 are left; `value` is a varint of 32 bits, at most 5 bytes.
        Self { spot: unsafe { spot.piece(value, value_len) } }
    }

    /// [`varint`](Self::varint) of any size; a negative number as the 64 bits that it is.
    ///
    /// # Panics
    ///
    /// As [`piece`](Self::piece).
    #[inline]
    pub fn long_varint(self, prefix: Piece, value: u64) -> Self {
        self.check_room();
        let (bytes, len) = prefix.split();
        let value_len = wire::varint_len(value);
        let bytes = bytes + ((value_len as u64) << 8);
        // SAFETY: there is room for LONGEST = 24 bytes; this takes at most 7 of them.
        let spot = unsafe { self.spot.piece(bytes, len) };
        let (low, low_len) = wire::packed_varint(value & ((1 << 56) - 1));
        if value_len <= 8 {
            // SAFETY: 17 are left; `low` has at most 8 bytes.
            return Self { spot: unsafe { spot.piece(low, low_len) } };
        }
        // All bits of continuation, whatever the low half's length was.
        let (high, high_len) = wire::packed_varint(value >> 56);
        // SAFETY: 17 are left.
        let spot = unsafe { spot.piece(low | 0x8080_8080_8080_8080, 8) };
        // SAFETY: 9 are left; `high` is a varint of 8 bits, at most 2 bytes.
        Self { spot: unsafe { spot.piece(high, high_len) } }
    }

    /// An annotation that is a text, spelled out; `text` has at most [`MAX_TEXT`](Self::MAX_TEXT) bytes
    /// and no NUL.
    ///
    /// # Panics
    ///
    /// As [`piece`](Self::piece), and if the text is longer.
    #[inline(always)]
    pub fn text(self, prefix: Piece, text: &str, calls_left: usize) -> Self {
        assert!(text.len() <= Self::MAX_TEXT, "too long for one byte of length");
        let (bytes, len) = prefix.split();
        let bytes = bytes + ((1 + text.len() as u64) << 8);
        let spot = self.spot.with_room(text.len() + Self::LONGEST * (1 + calls_left));
        // SAFETY: room was just made for more than LONGEST = 24 bytes; this takes at most 7 of them.
        let spot = unsafe { spot.piece(bytes, len) };
        // SAFETY: there are more than 8 left.
        let spot = unsafe { spot.piece(text.len() as u64, 1) };
        // SAFETY: the room made was of the text's length beyond what is taken.
        Self { spot: unsafe { spot.bytes(text.as_bytes()) } }
    }

    /// An annotation that is a text, by number; `prefix` is that of the spelled-out one.
    ///
    /// # Panics
    ///
    /// As [`piece`](Self::piece).
    #[inline(always)]
    pub fn interned_text(self, prefix: Piece, text: Iid) -> Self {
        const TAG: u64 = (debug_annotation::STRING_VALUE_IID << 3 | wire::VARINT) as u64;
        self.check_room();
        let (bytes, len) = prefix.split();
        let (number, number_len) = wire::packed_small_varint(u64::from(text.get()));
        // The tag takes two bytes, in the place of one.
        let tag = (TAG & 0x7F | 0x80) | (TAG >> 7) << 8;
        let without_tag = bytes & ((1 << (8 * (len - 1))) - 1);
        let bytes = (without_tag + ((1 + number_len as u64) << 8)) | (tag << (8 * (len - 1)));
        // SAFETY: there is room for LONGEST = 24 bytes; this takes at most 8 of them.
        let spot = unsafe { self.spot.piece(bytes, len + 1) };
        // SAFETY: 16 are left; a varint of 32 bits has at most 5.
        Self { spot: unsafe { spot.piece(number, number_len) } }
    }

    /// A flow, annotation or counter value of eight bytes.
    ///
    /// # Panics
    ///
    /// As [`piece`](Self::piece).
    #[inline(always)]
    pub fn word(self, prefix: Piece, value: u64) -> Self {
        self.check_room();
        let (bytes, len) = prefix.split();
        // SAFETY: there is room for LONGEST = 24 bytes, of which at most 7 are taken here.
        let spot = unsafe { self.spot.piece(bytes, len) };
        // SAFETY: 17 are left.
        Self { spot: unsafe { spot.piece(value, 8) } }
    }

    /// Completes what was appended.
    #[inline(always)]
    pub fn finish(self) {
        self.spot.settle();
    }
}

impl fmt::Debug for ShortBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventBody, Limits, Scalar, Text};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_short_body_is_the_plain_one(name in 1u32.., key in 1u32..1 << 21, bits in 0u32..32, seed: u32, wide: u64, text in "[a-zäß]{0,40}") {
            let value = seed >> bits;
            let wide = wide >> (2 * bits);
            let double = f64::from(value);
            let (name, key) = (Iid::for_test(name), Iid::for_test(key));
            let (mut fast, mut plain) = (vec![], vec![]);
            ShortBody::new(&mut fast, 12)
                .piece(Piece::name(name))
                .piece(Piece::category(name))
                .varint(Piece::uint(key).expect("short"), value)
                .varint(Piece::int(key).expect("short"), value)
                .word(Piece::double(key).expect("short"), double.to_bits())
                .word(Piece::FLOW, u64::from(seed))
                .long_varint(Piece::int(key).expect("short"), wide)
                .varint(Piece::bool(key).expect("short"), value & 1)
                .text(Piece::text(key).expect("short"), &text, 3)
                .interned_text(Piece::text(key).expect("short"), name)
                .word(Piece::TERMINATING_FLOW, u64::from(value))
                .word(Piece::DOUBLE_COUNTER, double.to_bits())
                .finish();
            EventBody::new(&mut plain)
                .name(Text::Iid(name))
                .category(Text::Iid(name))
                .annotation(Text::Iid(key), Scalar::Uint(value.into()))
                .annotation(Text::Iid(key), Scalar::Int(value.into()))
                .annotation(Text::Iid(key), Scalar::Double(double))
                .flow(seed.into())
                .annotation(Text::Iid(key), Scalar::Int(wide.cast_signed()))
                .annotation(Text::Iid(key), Scalar::Bool(value & 1 == 1));
            let mut rest = EventBody::new(&mut plain);
            rest.annotations(Limits::default()).text(Text::Iid(key), Text::Inline(&text));
            rest.annotations(Limits::default()).text(Text::Iid(key), Text::Iid(name));
            rest
                .terminating_flow(value.into())
                .counter(Scalar::Double(double));
            prop_assert_eq!(fast, plain);
        }
    }

    #[test]
    fn a_key_of_a_high_number_has_no_piece() {
        assert_eq!(Piece::uint(Iid::for_test(1 << 21)), None);
    }

    #[test]
    fn what_is_not_finished_is_not_written() {
        let mut out = vec![7];
        drop(ShortBody::new(&mut out, 1).piece(Piece::name(Iid::for_test(1))));
        assert_eq!(out, [7]);
    }
}
