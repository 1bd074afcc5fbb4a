//! Debug annotations: values, nesting, and the limits on both. Does not belong here: types of Rust
//! programs (`serde`) or of Python.

use crate::intern::Text;
use crate::schema::{debug_annotation, track_event};
use crate::wire;

/// How much of a nested value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Items of one dictionary or array; the rest is told as "(N more items)".
    pub items: usize,
    /// Containers within containers; one that lies deeper is told as "(N more items)". At most
    /// [`Limits::MAX_DEPTH`].
    pub depth: usize,
}

impl Limits {
    /// The deepest nesting that can be asked for: far below where a reader's recursion ends.
    pub const MAX_DEPTH: usize = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 256, depth: 32 }
    }
}

/// Counts the items of one container against the limit.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    left: usize,
    refused: u64,
}

impl Budget {
    /// For a container of at most `items` items.
    #[must_use]
    pub const fn new(items: usize) -> Self {
        Self { left: items, refused: 0 }
    }

    /// Whether one more item fits; counts it if not.
    #[inline]
    pub fn admit(&mut self) -> bool {
        if self.left > 0 {
            self.left -= 1;
            true
        } else {
            self.refused += 1;
            false
        }
    }

    /// How many items did not fit.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

/// A value without parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// `bool_value`
    Bool(bool),
    /// `int_value`
    Int(i64),
    /// `uint_value`
    Uint(u64),
    /// `double_value`; NaN, which the trace processor shows as nothing, is written as a text.
    Double(f64),
    /// `pointer_value`
    Pointer(u64),
}

/// What a container of annotations is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Named values (`dict_entries`).
    Dictionary,
    /// Values in order, without names (`array_values`).
    Array,
}

/// Writes debug annotations: named values at the top, dictionaries and arrays inside.
///
/// What exceeds the [`Limits`] is left out and counted in the trace, as the text "(N more items)":
/// under the name "..." in a dictionary, as the last item of an array, and in the place of a
/// container that lies too deep. An empty container, which would leave nothing in the trace
/// processor, is written as the text "{}" or "[]", an empty name, which it takes for a fault, as
/// "(empty)".
///
/// ```
/// use novatrace_core::{Annotations, Limits, Scalar, Shape, Text};
///
/// let mut body = Vec::new();
/// let mut annotations = Annotations::new(&mut body, Limits { items: 2, depth: 32 });
/// let mut shape = annotations.container(Text::Inline("shape"), Shape::Array);
/// for size in [64, 128, 256] {
///     shape.scalar(Text::Inline(""), Scalar::Int(size)); // items of arrays have no names
/// }
/// shape.finish(); // [64, 128, "(1 more items)"]
/// # assert!(body.ends_with(b"(1 more items)"));
/// ```
#[derive(Debug)]
#[must_use = "a container is complete only when it is finished"]
pub struct Annotations<'a> {
    out: &'a mut Vec<u8>,
    limits: Limits,
    depth_left: usize,
    /// `None` at the top.
    shape: Option<Shape>,
    mode: Mode,
    budget: Budget,
    is_empty: bool,
    /// The message that [`Annotations::finish`] closes.
    message: Option<wire::Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    /// Too deep: items are counted, not written.
    Count,
    /// Inside of something that is left out.
    Ignore,
}

impl<'a> Annotations<'a> {
    /// Appends `TrackEvent.debug_annotations` to `out`.
    pub fn new(out: &'a mut Vec<u8>, limits: Limits) -> Self {
        Self {
            out,
            limits,
            depth_left: limits.depth.min(Limits::MAX_DEPTH),
            shape: None,
            mode: Mode::Write,
            budget: Budget::new(usize::MAX),
            is_empty: false,
            message: None,
        }
    }

    /// A value without parts. `name` is left out in an array.
    #[inline]
    pub fn scalar(&mut self, name: Text<'_>, value: Scalar) {
        if self.admit() {
            let message = self.open(name);
            write_scalar(self.out, value);
            wire::close(self.out, message);
        }
    }

    /// A text. `name` is left out in an array.
    #[inline]
    pub fn text(&mut self, name: Text<'_>, text: Text<'_>) {
        if self.admit() {
            let message = self.open(name);
            write_text(self.out, text);
            wire::close(self.out, message);
        }
    }

    /// A dictionary or an array, to be filled and then [finished](Self::finish). `name` is left out
    /// in an array.
    pub fn container(&mut self, name: Text<'_>, shape: Shape) -> Annotations<'_> {
        let admitted = self.admit();
        let (mode, items) = match (admitted, self.depth_left) {
            (false, _) => (Mode::Ignore, 0),
            (true, 0) => (Mode::Count, 0),
            (true, _) => (Mode::Write, self.limits.items),
        };
        let message = admitted.then(|| self.open(name));
        Annotations {
            out: self.out,
            limits: self.limits,
            depth_left: self.depth_left.saturating_sub(1),
            shape: Some(shape),
            mode,
            budget: Budget::new(items),
            is_empty: true,
            message,
        }
    }

    /// Tells of `items` items of this container that were left out before they came here.
    pub fn more(&mut self, items: u64) {
        self.budget.refused += items;
    }

    /// Closes the container.
    pub fn finish(self) {
        let Some(message) = self.message else { return };
        let out = self.out;
        let refused = self.budget.refused;
        let remark = |out: &mut Vec<u8>| {
            write_text(out, Text::Inline(&format!("({refused} more items)")));
        };
        if refused > 0 && (self.is_empty || self.mode == Mode::Count) {
            remark(out);
        } else if refused > 0 {
            let (field, name) = match self.shape {
                Some(Shape::Array) => (debug_annotation::ARRAY_VALUES, None),
                _ => (debug_annotation::DICT_ENTRIES, Some(Text::Inline("..."))),
            };
            let entry = wire::open(out, field);
            if let Some(name) = name {
                write_name(out, name);
            }
            remark(out);
            wire::close(out, entry);
        } else if self.is_empty {
            let marker = if self.shape == Some(Shape::Array) { "[]" } else { "{}" };
            write_text(out, Text::Inline(marker));
        }
        wire::close(out, message);
    }

    #[inline]
    fn admit(&mut self) -> bool {
        match self.mode {
            Mode::Ignore => false,
            Mode::Write | Mode::Count => {
                let admitted = self.budget.admit();
                self.is_empty &= !admitted;
                admitted
            }
        }
    }

    #[inline]
    fn open(&mut self, name: Text<'_>) -> wire::Open {
        let field = match self.shape {
            None => track_event::DEBUG_ANNOTATIONS,
            Some(Shape::Dictionary) => debug_annotation::DICT_ENTRIES,
            Some(Shape::Array) => return wire::open(self.out, debug_annotation::ARRAY_VALUES),
        };
        let message = wire::open(self.out, field);
        write_name(self.out, name);
        message
    }
}

fn write_name(out: &mut Vec<u8>, name: Text<'_>) {
    match name {
        Text::Iid(iid) => {
            wire::varint_field(out, debug_annotation::NAME_IID, u64::from(iid.get()));
        }
        Text::Inline("") => wire::text_field(out, debug_annotation::NAME, "(empty)"),
        Text::Inline(name) => wire::text_field(out, debug_annotation::NAME, name),
    }
}

fn write_text(out: &mut Vec<u8>, text: Text<'_>) {
    match text {
        Text::Iid(iid) => {
            wire::varint_field(out, debug_annotation::STRING_VALUE_IID, u64::from(iid.get()));
        }
        Text::Inline(text) => wire::text_field(out, debug_annotation::STRING_VALUE, text),
    }
}

fn write_scalar(out: &mut Vec<u8>, value: Scalar) {
    match value {
        Scalar::Double(value) if value.is_nan() => write_text(out, Text::Inline("NaN")),
        Scalar::Double(value) => {
            wire::fixed64_field(out, debug_annotation::DOUBLE_VALUE, value.to_bits());
        }
        Scalar::Bool(value) => wire::varint_field(out, debug_annotation::BOOL_VALUE, value.into()),
        Scalar::Int(value) => {
            wire::varint_field(out, debug_annotation::INT_VALUE, value.cast_unsigned());
        }
        Scalar::Uint(value) => wire::varint_field(out, debug_annotation::UINT_VALUE, value),
        Scalar::Pointer(value) => wire::varint_field(out, debug_annotation::POINTER_VALUE, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intern::Iid;

    fn written(limits: Limits, write: impl FnOnce(&mut Annotations<'_>)) -> Vec<u8> {
        let mut out = vec![];
        write(&mut Annotations::new(&mut out, limits));
        out
    }

    const A: Text<'static> = Text::Inline("a");

    #[test]
    fn an_interned_integer_takes_six_bytes() {
        let bytes = written(Limits::default(), |top| {
            top.scalar(Text::Iid(Iid::for_test(5)), Scalar::Int(9));
        });
        #[rustfmt::skip]
        assert_eq!(bytes, [
            0x22, 4,                          // debug_annotations
            0x08, 5,                          //   name_iid
            0x20, 9,                          //   int_value
        ]);
    }

    #[test]
    fn each_kind_of_value_has_its_field() {
        let all = written(Limits::default(), |top| {
            top.scalar(A, Scalar::Bool(true));
            top.scalar(A, Scalar::Uint(300));
            top.scalar(A, Scalar::Int(-1));
            top.scalar(A, Scalar::Double(0.5));
            top.text(A, Text::Inline("t"));
            top.text(A, Text::Iid(Iid::for_test(9)));
            top.scalar(A, Scalar::Pointer(16));
            top.scalar(A, Scalar::Double(f64::NAN));
        });
        #[rustfmt::skip]
        assert_eq!(all, [
            0x22, 5, 0x52, 1, b'a', 0x10, 1,                           // bool_value
            0x22, 6, 0x52, 1, b'a', 0x18, 0xAC, 0x02,                  // uint_value
            0x22, 14, 0x52, 1, b'a',                                   // int_value
                0x20, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1,
            0x22, 12, 0x52, 1, b'a', 0x29, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F, // double_value
            0x22, 6, 0x52, 1, b'a', 0x32, 1, b't',                     // string_value
            0x22, 6, 0x52, 1, b'a', 0x88, 0x01, 9,                     // string_value_iid
            0x22, 5, 0x52, 1, b'a', 0x38, 16,                          // pointer_value
            0x22, 8, 0x52, 1, b'a', 0x32, 3, b'N', b'a', b'N',         // string_value
        ]);
    }

    #[test]
    fn containers_nest_and_empty_ones_are_marked() {
        let bytes = written(Limits::default(), |top| {
            let mut dictionary = top.container(A, Shape::Dictionary);
            let mut array = dictionary.container(Text::Inline("b"), Shape::Array);
            array.scalar(A, Scalar::Int(1));
            array.container(A, Shape::Array).finish();
            array.finish();
            dictionary.finish();
            top.container(A, Shape::Dictionary).finish();
        });
        #[rustfmt::skip]
        assert_eq!(bytes, [
            0x22, 18, 0x52, 1, b'a',          // debug_annotations, name
            0x5A, 13, 0x52, 1, b'b',          //   dict_entries, name
            0x62, 2, 0x20, 1,                 //     array_values: 1
            0x62, 4, 0x32, 2, b'[', b']',     //     array_values: "[]"
            0x22, 7, 0x52, 1, b'a', 0x32, 2, b'{', b'}',
        ]);
    }

    #[test]
    fn items_beyond_the_limit_are_counted() {
        let bytes = written(Limits { items: 1, depth: 9 }, |top| {
            let mut dictionary = top.container(A, Shape::Dictionary);
            dictionary.scalar(A, Scalar::Int(1));
            dictionary.scalar(A, Scalar::Int(2));
            let mut ignored = dictionary.container(A, Shape::Array);
            ignored.scalar(A, Scalar::Int(3));
            ignored.finish();
            dictionary.more(5);
            dictionary.finish();
        });
        let remark = b"\x52\x03...\x32\x0E(7 more items)";
        assert!(bytes.ends_with(remark), "{}", bytes.escape_ascii());
        assert!(bytes.starts_with(b"\x22\x21\x52\x01a\x5A\x05\x52\x01a\x20\x01\x5A\x15"));
    }

    #[test]
    fn a_container_that_lies_too_deep_is_told_by_its_size() {
        let bytes = written(Limits { items: 9, depth: 1 }, |top| {
            let mut first = top.container(A, Shape::Array);
            let mut second = first.container(A, Shape::Array);
            second.scalar(A, Scalar::Int(1));
            let mut third = second.container(A, Shape::Array);
            third.scalar(A, Scalar::Int(2));
            third.finish();
            second.finish();
            first.container(A, Shape::Dictionary).finish();
            first.finish();
        });
        assert!(bytes.ends_with(b"\x62\x10\x32\x0E(2 more items)\x62\x04\x32\x02{}"));
    }
}
