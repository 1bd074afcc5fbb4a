//! Protobuf's wire format: fields, one after the other. Does not belong here: what a field means.

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// A number, whatever its width.
    #[inline]
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Varint(value) | Self::Fixed64(value) => Some(value),
            Self::Fixed32(value) => Some(u64::from(value)),
            Self::Bytes(_) => None,
        }
    }

    #[inline]
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A double; of an integer field, nothing.
    #[inline]
    pub(crate) fn double(self) -> Option<f64> {
        match self {
            Self::Fixed64(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
}

/// A varint at `at`, and where it ends.
#[inline(always)]
pub(crate) fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let Some(&word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
        // Short messages, whose numbers are short, too.
        return match bytes.get(at) {
            Some(&byte) if byte < 0x80 => Some((u64::from(byte), at + 1)),
            _ => varint_bytewise(bytes, at),
        };
    };
    let word = u64::from_le_bytes(word);
    if word & 0x80 == 0 {
        return Some((word & 0x7F, at + 1));
    }
    // The first byte without its high bit is the last one. All that is done at once, whatever their number: a
    // branch for each byte would be guessed wrong time and again.
    let last = !word & 0x8080_8080_8080_8080;
    if last == 0 {
        return varint_bytewise(bytes, at);
    }
    let bits = word & (last ^ (last - 1)) & 0x7F7F_7F7F_7F7F_7F7F;
    let bits = bits & 0x007F_007F_007F_007F | (bits & 0x7F00_7F00_7F00_7F00) >> 1;
    let bits = bits & 0x0000_3FFF_0000_3FFF | (bits & 0x3FFF_0000_3FFF_0000) >> 2;
    let bits = bits & 0x0FFF_FFFF | (bits & 0x0FFF_FFFF_0000_0000) >> 4;
    Some((bits, at + (last.trailing_zeros() as usize + 1) / 8))
}

#[inline(never)]
fn varint_bytewise(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.get(at..)?.iter().take(10).enumerate() {
        // Of the tenth byte, one bit counts.
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte < 0x80 {
            return Some((value, at + index + 1));
        }
    }
    None
}

/// The fields of a message. Ends at what is no field, as the trace processor does.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    is_malformed: bool,
}

impl<'a> Fields<'a> {
    #[inline(always)]
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, is_malformed: false }
    }

    /// Whether what follows could not be taken apart.
    pub(crate) fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// Where the next field begins.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn parse(&self) -> Option<(u32, Wire<'a>, usize)> {
        let (tag, at) = varint(self.bytes, self.at)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number != 0)?;
        let (value, end) = match tag & 7 {
            0 => {
                let (value, end) = varint(self.bytes, at)?;
                (Wire::Varint(value), end)
            }
            1 => {
                let bytes = self.bytes.get(at..at + 8)?;
                (Wire::Fixed64(u64::from_le_bytes(bytes.try_into().ok()?)), at + 8)
            }
            2 => {
                let (len, at) = varint(self.bytes, at)?;
                let end = at.checked_add(usize::try_from(len).ok()?)?;
                (Wire::Bytes(self.bytes.get(at..end)?), end)
            }
            5 => {
                let bytes = self.bytes.get(at..at + 4)?;
                (Wire::Fixed32(u32::from_le_bytes(bytes.try_into().ok()?)), at + 4)
            }
            _ => return None,
        };
        Some((number, value, end))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Wire<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        if let Some((number, value, end)) = self.parse() {
            self.at = end;
            Some((number, value))
        } else {
            self.at = self.bytes.len();
            self.is_malformed = true;
            None
        }
    }
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_wire_type() {
        let bytes =
            [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1A, 2, b'a', b'b', 0x25, 7, 0, 0, 0];
        let fields: Vec<_> = Fields::of(&bytes).collect();
        assert_eq!(
            fields,
            [
                (1, Wire::Varint(150)),
                (2, Wire::Fixed64(1)),
                (3, Wire::Bytes(b"ab")),
                (4, Wire::Fixed32(7))
            ]
        );
    }

    #[test]
    fn what_is_no_field_ends_the_message() {
        for bad in [&[0x08][..], &[0x0B, 1], &[0x00, 1], &[0x0A, 5, 1], &[0x08, 0xFF], &[0xFF; 12]]
        {
            let bytes = [&[0x10, 3][..], bad].concat();
            let mut fields = Fields::of(&bytes);
            assert_eq!(fields.next(), Some((2, Wire::Varint(3))));
            assert_eq!(fields.next(), None);
            assert!(fields.is_malformed(), "{bad:?}");
        }
    }

    #[test]
    fn varints_read_back() {
        for bits in 0..=64 {
            for value in [
                1_u64.checked_shl(bits).unwrap_or(0),
                1_u64.checked_shl(bits).unwrap_or(0).wrapping_sub(1),
                0x5A5A_A5A5_1234_5678 >> (bits % 64),
            ] {
                for behind in [&[][..], &[0xFF; 9], &[0; 9]] {
                    let mut bytes = vec![];
                    put_varint(&mut bytes, value);
                    let len = bytes.len();
                    bytes.extend(behind);
                    assert_eq!(varint(&bytes, 0), Some((value, len)));
                }
            }
        }
        assert_eq!(varint(&[0xFF; 20], 0), None);
        // Longer than need be.
        assert_eq!(varint(&[0x81, 0x80, 0x80, 0, 7, 7, 7, 7, 7], 0), Some((1, 4)));
    }
}
