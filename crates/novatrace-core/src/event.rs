//! What a slice, instant or counter sample says: the content of a `TrackEvent`. Does not belong
//! here: its time and track, which the [`crate::Sequence`] writes around it.

use crate::annotation::{Annotations, Limits, Scalar};
use crate::intern::{Iid, Symbols, Text};
use crate::piece::Piece;
use crate::schema::{source_location, track_event};
use crate::wire;

/// Appends the fields of a `TrackEvent` to a buffer of the caller's.
///
/// Interned texts are the sequence's to [define](crate::Sequence::define) before the event is
/// written.
#[derive(Debug)]
pub struct EventBody<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> EventBody<'a> {
    /// Appends to `out`, which need not be empty.
    #[inline(always)]
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// `name_iid` or `name`.
    #[inline(always)]
    pub fn name(&mut self, name: Text<'_>) -> &mut Self {
        match name {
            Text::Iid(iid) => self.piece(Piece::name(iid)),
            Text::Inline(text) => self.text(track_event::NAME, text),
        }
    }

    /// `category_iids` or `categories`; may be called again for more categories.
    #[inline(always)]
    pub fn category(&mut self, category: Text<'_>) -> &mut Self {
        match category {
            Text::Iid(iid) => self.piece(Piece::category(iid)),
            Text::Inline(text) => self.text(track_event::CATEGORIES, text),
        }
    }

    /// [`name`](Self::name) or [`category`](Self::category), made beforehand.
    #[doc(hidden)]
    #[inline(always)]
    pub fn piece(&mut self, piece: Piece) -> &mut Self {
        let (bytes, len) = piece.split();
        wire::append(self.out, bytes.to_le_bytes(), len);
        self
    }

    /// `flow_ids`: an arrow from the event that had this id before, in order of time.
    #[inline]
    pub fn flow(&mut self, id: u64) -> &mut Self {
        self.fixed64(track_event::FLOW_IDS, id)
    }

    /// `terminating_flow_ids`: as [`flow`](Self::flow), and the last of the arrows.
    #[inline]
    pub fn terminating_flow(&mut self, id: u64) -> &mut Self {
        self.fixed64(track_event::TERMINATING_FLOW_IDS, id)
    }

    /// `source_location_iid`, [defined](crate::Sequence::define_location) before.
    pub fn location(&mut self, iid: Iid) -> &mut Self {
        let iid = u64::from(iid.get());
        wire::varint_field(self.out, track_event::SOURCE_LOCATION_IID, iid);
        self
    }

    /// `source_location`, spelled out: for a place that is not worth interning.
    pub fn inline_location(&mut self, location: &SourceLocation<'_>) -> &mut Self {
        let message = wire::open(self.out, track_event::SOURCE_LOCATION);
        location.encode(self.out);
        wire::close(self.out, message);
        self
    }

    /// The value of a counter: `double_counter_value` for [`Scalar::Double`], else `counter_value`.
    ///
    /// The trace processor keeps values as doubles, so that integers beyond 2^53 are rounded there;
    /// unsigned values beyond `i64::MAX` are therefore sent as doubles.
    #[inline]
    pub fn counter(&mut self, value: Scalar) -> &mut Self {
        let double = match value {
            Scalar::Int(value) => {
                let value = value.cast_unsigned();
                wire::varint_field(self.out, track_event::COUNTER_VALUE, value);
                return self;
            }
            Scalar::Uint(value) | Scalar::Pointer(value) => match i64::try_from(value) {
                Ok(value) => return self.counter(Scalar::Int(value)),
                #[expect(clippy::cast_precision_loss, reason = "as the trace processor stores it")]
                Err(_) => value as f64,
            },
            Scalar::Bool(value) => return self.counter(Scalar::Int(value.into())),
            Scalar::Double(value) => value,
        };
        self.fixed64(track_event::DOUBLE_COUNTER_VALUE, double.to_bits())
    }

    /// A debug annotation with a single value.
    pub fn annotation(&mut self, name: Text<'_>, value: Scalar) -> &mut Self {
        Annotations::new(self.out, Limits::default()).scalar(name, value);
        self
    }

    /// The writer of debug annotations of any shape.
    pub fn annotations(&mut self, limits: Limits) -> Annotations<'_> {
        Annotations::new(self.out, limits)
    }

    fn text(&mut self, field: u32, text: &str) -> &mut Self {
        wire::text_field(self.out, field, text);
        self
    }

    #[inline(always)]
    fn fixed64(&mut self, field: u32, value: u64) -> &mut Self {
        wire::fixed64_field(self.out, field, value);
        self
    }

    /// The name in the body of an event, if the name was written first.
    #[must_use]
    pub fn name_in<S: std::hash::BuildHasher>(body: &[u8], symbols: &Symbols<S>) -> Option<String> {
        let (tag, rest) = wire::read_varint(body)?;
        let (number, rest) = wire::read_varint(rest)?;
        if tag == u64::from(track_event::NAME_IID << 3 | wire::VARINT) {
            return symbols.numbered(number).map(str::to_owned);
        }
        if tag == u64::from(track_event::NAME << 3 | wire::LENGTH_DELIMITED) {
            let text = rest.get(..usize::try_from(number).ok()?)?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        None
    }
}

/// A place in a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLocation<'a> {
    /// The file's path.
    pub file: &'a str,
    /// The function's name; may be empty.
    pub function: &'a str,
    /// From 1; 0 is "unknown".
    pub line: u32,
}

impl SourceLocation<'_> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        wire::text_field(out, source_location::FILE_NAME, self.file);
        if !self.function.is_empty() {
            wire::text_field(out, source_location::FUNCTION_NAME, self.function);
        }
        wire::varint_field(out, source_location::LINE_NUMBER, u64::from(self.line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_fixed64_each_with_a_tag_of_its_own() {
        let mut out = vec![];
        EventBody::new(&mut out).flow(0x0102_0304_0506_0708).flow(1).terminating_flow(2);
        #[rustfmt::skip]
        assert_eq!(out, [
            0xF9, 0x02, 8, 7, 6, 5, 4, 3, 2, 1, // flow_ids
            0xF9, 0x02, 1, 0, 0, 0, 0, 0, 0, 0, // flow_ids again: packed ones vanish
            0x81, 0x03, 2, 0, 0, 0, 0, 0, 0, 0, // terminating_flow_ids
        ]);
    }

    #[test]
    fn counters_are_integers_where_they_can_be() {
        let bytes = |value| {
            let mut out = vec![];
            EventBody::new(&mut out).counter(value);
            out
        };
        assert_eq!(bytes(Scalar::Int(300)), [0xF0, 0x01, 0xAC, 0x02]); // counter_value
        assert_eq!(bytes(Scalar::Uint(300)), bytes(Scalar::Int(300)));
        let half = [0xE1, 0x02, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F]; // double_counter_value
        assert_eq!(bytes(Scalar::Double(0.5)), half);
        #[expect(clippy::cast_precision_loss, reason = "what is expected")]
        let rounded = u64::MAX as f64;
        assert_eq!(bytes(Scalar::Uint(u64::MAX)), bytes(Scalar::Double(rounded)));
    }

    #[test]
    fn texts_by_number_or_spelled_out() {
        let mut out = vec![];
        let iid = Iid::for_test(3);
        EventBody::new(&mut out)
            .name(Text::Inline("n"))
            .category(Text::Inline("c"))
            .category(Text::Iid(iid))
            .location(iid)
            .inline_location(&SourceLocation { file: "f", function: "g", line: 7 });
        #[rustfmt::skip]
        assert_eq!(out, [
            0xBA, 0x01, 1, b'n',              // name
            0xB2, 0x01, 1, b'c',              // categories
            0x18, 3,                          // category_iids
            0x90, 0x02, 3,                    // source_location_iid
            0x8A, 0x02, 8,                    // source_location
            0x12, 1, b'f',                    //   file_name
            0x1A, 1, b'g',                    //   function_name
            0x20, 7,                          //   line_number
        ]);
    }
}
