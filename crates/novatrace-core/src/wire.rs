//! Varints, tags and length prefixes. Does not belong here: any Perfetto field.
//!
//! Appending a few bytes whose number is known only at run time is the innermost operation of the
//! encoder. [`append`] does it as a copy of fixed size and then takes back what was too much; a
//! `memcpy` of variable length costs several times that. Where many such pieces follow each other,
//! [`Spot`] keeps the place in a register.
#![expect(unsafe_code, reason = "Spot writes beyond a Vec's length, within its capacity")]

use std::borrow::Cow;

/// Wire types of protobuf.
pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
/// The wire type of a field that says how long it is.
pub const LENGTH_DELIMITED: u32 = 2;

/// A tag that takes one byte; a field number beyond 15 does not compile.
#[expect(clippy::cast_possible_truncation, reason = "checked, and wire types are below 8")]
pub(crate) const fn short_tag(field: u32, wire_type: u32) -> u8 {
    assert!(field < 16);
    (field as u8) << 3 | wire_type as u8
}

/// Appends the first `len` bytes of `bytes`; `len` ≤ `N`.
#[inline(always)]
pub(crate) fn append<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N], len: usize) {
    debug_assert!(len <= N);
    let end = out.len() + len;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// Appends to a `Vec` in which there is room for all of it, piece by piece.
///
/// Passed on by value, so that the place stays in a register: in memory, each piece would have to
/// wait for the place that the one before it stored.
#[must_use = "what was appended counts only once it is settled"]
pub(crate) struct Spot<'a> {
    out: &'a mut Vec<u8>,
    /// Where the next piece goes: in the allocation of `out`, at or behind its length.
    at: *mut u8,
}

impl<'a> Spot<'a> {
    /// With room for `len` bytes.
    #[inline(always)]
    pub(crate) fn new(out: &'a mut Vec<u8>, len: usize) -> Self {
        out.reserve(len);
        let len = out.len();
        // SAFETY: `len` is at most the size of the allocation.
        let at = unsafe { out.as_mut_ptr().add(len) };
        Self { out, at }
    }

    /// Makes room for `len` bytes more.
    #[inline(always)]
    pub(crate) fn with_room(self, len: usize) -> Self {
        if self.room() >= len {
            return self;
        }
        let used = self.len();
        // SAFETY: `at` lies in the allocation, and every byte before it has been written.
        unsafe { self.out.set_len(used) };
        Self::new(self.out, len)
    }

    /// How much room there is left.
    #[inline(always)]
    pub(crate) fn room(&self) -> usize {
        self.out.capacity() - self.len()
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.at.addr() - self.out.as_ptr().addr()
    }

    /// Appends the first `len` bytes of `piece`, lowest first.
    ///
    /// # Safety
    ///
    /// - `len` ≤ 8.
    /// - There is room for 8 bytes, whatever `len` is.
    #[inline(always)]
    pub(crate) unsafe fn piece(mut self, piece: u64, len: usize) -> Self {
        debug_assert!(len <= 8 && self.room() >= 8);
        // SAFETY: by the contract, 8 bytes from `at` lie in the allocation.
        unsafe { self.at.cast::<[u8; 8]>().write_unaligned(piece.to_le_bytes()) };
        // SAFETY: as above, `len` ≤ 8.
        self.at = unsafe { self.at.add(len) };
        self
    }

    /// Appends `bytes`.
    ///
    /// # Safety
    ///
    /// - There is room for them.
    #[inline(always)]
    pub(crate) unsafe fn bytes(mut self, bytes: &[u8]) -> Self {
        let len = bytes.len();
        debug_assert!(self.room() >= len);
        // Two copies of fixed size that overlap, instead of a call.
        if len <= 32
            && let (Some(&first), Some(&last)) =
                (bytes.first_chunk::<16>(), bytes.last_chunk::<16>())
        {
            // SAFETY: 16 ≤ `len`, for which there is room by the contract.
            unsafe { self.at.cast::<[u8; 16]>().write_unaligned(first) };
            // SAFETY: as above.
            let tail = unsafe { self.at.add(len - 16) };
            // SAFETY: as above; the last of these bytes is the last of `bytes`.
            unsafe { tail.cast::<[u8; 16]>().write_unaligned(last) };
        } else {
            // SAFETY: there is room by the contract; `bytes` is no part of `out`, which is borrowed
            // mutably.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, len) };
        }
        // SAFETY: `len` bytes from `at` lie in the allocation.
        self.at = unsafe { self.at.add(len) };
        self
    }

    /// Makes what was appended part of the `Vec`.
    #[inline(always)]
    pub(crate) fn settle(self) {
        let len = self.len();
        // SAFETY: `at` lies in the allocation, and every byte before it has been written: it moves on
        // by no more than what was.
        unsafe { self.out.set_len(len) };
    }
}

/// The bytes of `value` as a varint, first byte lowest, and their number; `value` < 2^56.
#[inline(always)]
pub(crate) const fn packed_varint(value: u64) -> (u64, usize) {
    debug_assert!(value < 1 << 56);
    let spread = (value & 0x7F)
        | (value & (0x7F << 7)) << 1
        | (value & (0x7F << 14)) << 2
        | (value & (0x7F << 21)) << 3
        | (value & (0x7F << 28)) << 4
        | (value & (0x7F << 35)) << 5
        | (value & (0x7F << 42)) << 6
        | (value & (0x7F << 49)) << 7;
    let len = varint_len(value);
    // Every byte but the last says that more follow.
    let more = 0x0080_8080_8080_8080 & !(u64::MAX << (8 * (len - 1)));
    (spread | more, len)
}

/// [`packed_varint`], faster for values below 2^14, which most are.
#[inline(always)]
pub(crate) const fn packed_small_varint(value: u64) -> (u64, usize) {
    if value < 1 << 14 {
        let more = value > 0x7F;
        ((value & 0x7F) | (more as u64) << 7 | (value >> 7) << 8, 1 + more as usize)
    } else {
        packed_varint(value)
    }
}

/// The number of bytes of `value` as a varint, 1 to 10.
#[inline(always)]
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// Appends a varint.
#[inline(always)]
pub fn varint(out: &mut Vec<u8>, value: u64) {
    if value < 1 << 56 {
        let (bytes, len) = packed_varint(value);
        append(out, bytes.to_le_bytes(), len);
    } else {
        long_varint(out, value);
    }
}

#[cold]
#[inline(never)]
fn long_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// The varint that `bytes` begin with, and what follows it.
#[must_use]
pub fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// Appends what a field begins with.
#[inline(always)]
pub fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(out, u64::from(field << 3 | wire_type));
}

#[inline(always)]
pub(crate) fn varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

#[inline(always)]
pub(crate) fn fixed64_field(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, FIXED64);
    append(out, value.to_le_bytes(), 8);
}

/// Appends a field that holds bytes.
#[inline(always)]
pub fn bytes_field(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    tag(out, field, LENGTH_DELIMITED);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a string. NUL is written as U+2400 (␀): the trace processor hands its results over
/// with NUL between strings, so one inside would shift every cell after it.
#[inline]
pub(crate) fn text_field(out: &mut Vec<u8>, field: u32, text: &str) {
    bytes_field(out, field, without_nul(text).as_bytes());
}

#[inline]
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) {
        Cow::Owned(text.replace('\0', "\u{2400}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Where the content of an open message begins.
#[derive(Debug, Clone, Copy)]
#[must_use = "the message has no length until it is closed"]
pub(crate) struct Open(usize);

/// Starts a message of unknown length: one byte is left for it.
#[inline]
pub(crate) fn open(out: &mut Vec<u8>, field: u32) -> Open {
    tag(out, field, LENGTH_DELIMITED);
    out.push(0);
    Open(out.len())
}

/// Fills in the length of a message, moving its content if the length needs more than a byte.
#[inline]
pub(crate) fn close(out: &mut Vec<u8>, open: Open) {
    let len = out.len() - open.0;
    if let Ok(short @ 0..=0x7F) = u8::try_from(len) {
        out[open.0 - 1] = short;
    } else {
        let mut prefix = [0; 10];
        let mut at = 0;
        let mut rest = len;
        while rest >= 0x80 {
            prefix[at] = rest.to_le_bytes()[0] | 0x80;
            rest >>= 7;
            at += 1;
        }
        prefix[at] = rest.to_le_bytes()[0];
        out.splice(open.0 - 1..open.0, prefix[..=at].iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain_varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = (value & 0x7F) as u8;
            value >>= 7;
            if value == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }

    proptest! {
        #[test]
        fn varint_is_the_plain_loop(bits in 0u32..=64, seed: u64) {
            let value = if bits == 64 { seed } else { seed & ((1 << bits) - 1) };
            let mut out = vec![9];
            varint(&mut out, value);
            prop_assert_eq!(&out[1..], &plain_varint(value)[..]);
            prop_assert_eq!(varint_len(value), out.len() - 1);
            prop_assert_eq!(read_varint(&out[1..]), Some((value, &[][..])));
            if value < 1 << 56 {
                prop_assert_eq!(packed_small_varint(value), packed_varint(value));
            }
        }

        #[test]
        fn a_message_of_any_length_gets_the_shortest_prefix(len in 0usize..70_000) {
            let mut out = vec![];
            let at = open(&mut out, 3);
            out.resize(out.len() + len, 7);
            close(&mut out, at);
            let mut expected = vec![0x1A];
            expected.extend(plain_varint(len as u64));
            expected.resize(expected.len() + len, 7);
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_spot_does_what_a_vec_does() {
        let source: Vec<u8> = (0..200).collect();
        let (mut fast, mut plain) = (Vec::new(), vec![]);
        for len in 0..source.len() {
            let bytes = &source[source.len() - len..];
            let piece = u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
            let spot = Spot::new(&mut fast, len + 8);
            // SAFETY: there is room for `len` + 8 bytes.
            let spot = unsafe { spot.bytes(bytes) };
            // SAFETY: there is room for 8 more, and `len` % 9 ≤ 8.
            unsafe { spot.piece(piece, len % 9) }.settle();
            plain.extend_from_slice(bytes);
            plain.extend_from_slice(&piece.to_le_bytes()[..len % 9]);
            assert_eq!(fast, plain, "{len}");
        }
    }

    #[test]
    fn the_edges_of_each_varint_length() {
        for bytes in 1..=9 {
            let last = (1u64 << (7 * bytes)) - 1;
            assert_eq!(varint_len(last), bytes);
            assert_eq!(varint_len(last + 1), bytes + 1);
        }
        assert_eq!(varint_len(0), 1);
        assert_eq!(varint_len(u64::MAX), 10);
    }

    #[test]
    fn nul_in_a_text_becomes_its_picture() {
        let mut out = vec![];
        text_field(&mut out, 2, "a\0b");
        assert_eq!(out, [0x12, 5, b'a', 0xE2, 0x90, 0x80, b'b']);
    }
}
