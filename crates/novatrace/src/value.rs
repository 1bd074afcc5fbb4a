//! Arguments: from anything that is `serde::Serialize` to scalars and tokens. Does not belong here:
//! how they are encoded in a packet.
//!
//! A scalar stays in the caller's registers. Anything with parts, and texts, are written as tokens
//! (see [`crate::record`]) into a buffer that the thread keeps for its next event.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;

use novatrace_core::{Budget, Limits, Scalar};
use serde::ser::{
    self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer,
};

use crate::name::{Label, Name};
use crate::record::{self, Item, Tag, Writer, key, text_item};

/// An address, shown in hexadecimal.
///
/// ```
/// # use novatrace::Pointer;
/// let buffer = [0u8; 4];
/// let shown = Pointer::from(buffer.as_ptr());
/// # let _ = shown;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer(pub u64);

impl<T> From<*const T> for Pointer {
    fn from(pointer: *const T) -> Self {
        Self(pointer.addr() as u64)
    }
}

/// Tells [`Pointer`] apart from the integer inside it.
const POINTER: &str = "$novatrace::Pointer";

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(POINTER, &self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

thread_local! {
    static SPARE: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
    /// Field and variant names by address: they are `'static`, so that an address means one text.
    static STATIC_NAMES: RefCell<HashMap<(usize, usize), Name, foldhash::fast::FixedState>> =
        const { RefCell::new(HashMap::with_hasher(foldhash::fast::FixedState::with_seed(7))) };
}

/// The tokens of one event's arguments; empty, and free, for events without any.
#[derive(Debug, Default)]
pub struct Spill(Vec<u64>);

/// A buffer that one huge event has grown is not kept.
const MAX_SPARE_WORDS: usize = 1 << 17;

impl Spill {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    /// Adds a place in a source file.
    pub(crate) fn location(&mut self, file: &str, function: &str, line: u32) {
        let out = self.buffer();
        out.word(Tag::Location.head(0, line));
        text_item(out, Tag::Text, file);
        text_item(out, Tag::Text, function);
    }

    /// Adds a word of an item.
    pub(crate) fn word(&mut self, word: u64) {
        self.buffer().word(word);
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, label: Label<'_>, text: &str) {
        Item::Text(label, text).write(self.buffer());
    }

    /// Adds an item that its event's type has no place for.
    pub(crate) fn item(&mut self, item: Item<'_>) {
        item.write(self.buffer());
    }

    /// With an item more.
    #[inline(never)]
    pub(crate) fn with(mut self, item: Item<'_>) -> Self {
        self.item(item);
        self
    }

    fn buffer(&mut self) -> &mut Vec<u64> {
        if self.0.capacity() == 0 {
            self.0 = SPARE.try_with(Cell::take).unwrap_or_default();
        }
        &mut self.0
    }
}

impl Drop for Spill {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0.capacity() != 0 {
            give_back(std::mem::take(&mut self.0));
        }
    }
}

#[inline(never)]
fn give_back(mut buffer: Vec<u64>) {
    if buffer.capacity() <= MAX_SPARE_WORDS {
        buffer.clear();
        // Without thread-locals the buffer is just freed.
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}

/// What a `Serialize` said was wrong.
#[derive(Debug)]
pub(crate) struct ValueError(String);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

impl ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The value, if it is a number or a boolean.
#[inline(always)]
pub(crate) fn scalar<V: Serialize + ?Sized>(value: &V) -> Option<Scalar> {
    value.serialize(ScalarOnly).ok()
}

/// Writes any value as an argument.
pub(crate) fn parts<V: Serialize + ?Sized>(
    spill: &mut Spill,
    limits: Limits,
    label: Label<'_>,
    value: &V,
) -> Result<(), ValueError> {
    let out = spill.buffer();
    let key = key(out, label);
    let depth_left = limits.depth.min(Limits::MAX_DEPTH);
    value.serialize(Tokens { out, key, items: limits.items, depth_left, top: false })
}

/// Writes each field of a struct, or entry of a map, as an argument of its own.
pub(crate) fn fields<V: Serialize + ?Sized>(
    spill: &mut Spill,
    limits: Limits,
    value: &V,
) -> Result<(), ValueError> {
    let out = spill.buffer();
    let depth_left = limits.depth.min(Limits::MAX_DEPTH);
    value.serialize(Tokens { out, key: 0, items: limits.items, depth_left, top: true })
}

fn static_name(text: &'static str) -> u32 {
    let key = (text.as_ptr().addr(), text.len());
    let cached = STATIC_NAMES.try_with(|names| {
        if let Some(name) = names.borrow().get(&key) {
            return *name;
        }
        let name = Name::new(text);
        names.borrow_mut().insert(key, name);
        name
    });
    cached.unwrap_or_else(|_| Name::new(text)).id()
}

/// The answer to everything that is not a scalar.
#[derive(Debug)]
struct NotScalar;

impl fmt::Display for NotScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a scalar")
    }
}

impl std::error::Error for NotScalar {}

impl ser::Error for NotScalar {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

struct ScalarOnly;

macro_rules! scalars {
    ($($method:ident($type:ty) |$this:pat_param, $value:pat_param| $scalar:expr;)*) => {$(
        #[inline(always)]
        fn $method(self, value: $type) -> Result<Self::Ok, Self::Error> {
            let ($this, $value) = (self, value);
            $scalar
        }
    )*};
}

impl Serializer for ScalarOnly {
    type Ok = Scalar;
    type Error = NotScalar;
    type SerializeSeq = Impossible<Scalar, NotScalar>;
    type SerializeTuple = Impossible<Scalar, NotScalar>;
    type SerializeTupleStruct = Impossible<Scalar, NotScalar>;
    type SerializeTupleVariant = Impossible<Scalar, NotScalar>;
    type SerializeMap = Impossible<Scalar, NotScalar>;
    type SerializeStruct = Impossible<Scalar, NotScalar>;
    type SerializeStructVariant = Impossible<Scalar, NotScalar>;

    scalars! {
        serialize_bool(bool) |_, value| Ok(Scalar::Bool(value));
        serialize_i8(i8) |_, value| Ok(Scalar::Int(value.into()));
        serialize_i16(i16) |_, value| Ok(Scalar::Int(value.into()));
        serialize_i32(i32) |_, value| Ok(Scalar::Int(value.into()));
        serialize_i64(i64) |_, value| Ok(Scalar::Int(value));
        serialize_i128(i128) |_, value| i64::try_from(value).map(Scalar::Int).map_err(|_| NotScalar);
        serialize_u8(u8) |_, value| Ok(Scalar::Uint(value.into()));
        serialize_u16(u16) |_, value| Ok(Scalar::Uint(value.into()));
        serialize_u32(u32) |_, value| Ok(Scalar::Uint(value.into()));
        serialize_u64(u64) |_, value| Ok(Scalar::Uint(value));
        serialize_u128(u128) |_, value| u64::try_from(value).map(Scalar::Uint).map_err(|_| NotScalar);
        serialize_f32(f32) |_, value| Ok(Scalar::Double(value.into()));
        serialize_f64(f64) |_, value| Ok(Scalar::Double(value));
        serialize_char(char) |_, _| Err(NotScalar);
        serialize_str(&str) |_, _| Err(NotScalar);
        serialize_bytes(&[u8]) |_, _| Err(NotScalar);
        serialize_unit_struct(&'static str) |_, _| Err(NotScalar);
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NotScalar> {
        Err(NotScalar)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NotScalar> {
        Err(NotScalar)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotScalar> {
        Err(NotScalar)
    }

    fn serialize_none(self) -> Result<Scalar, NotScalar> {
        Err(NotScalar)
    }
    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Scalar, NotScalar> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Scalar, NotScalar> {
        Err(NotScalar)
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<Scalar, NotScalar> {
        Err(NotScalar)
    }
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Scalar, NotScalar> {
        match value.serialize(self)? {
            Scalar::Uint(value) if name == POINTER => Ok(Scalar::Pointer(value)),
            scalar => Ok(scalar),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Scalar, NotScalar> {
        Err(NotScalar)
    }
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, NotScalar> {
        Err(NotScalar)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NotScalar> {
        Err(NotScalar)
    }
    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, NotScalar> {
        Err(NotScalar)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NotScalar> {
        Err(NotScalar)
    }
}

/// Writes one value as tokens.
struct Tokens<'a> {
    out: &'a mut Vec<u64>,
    /// The value's key as a name's id, or 0: there is none, or it has been written as a text.
    key: u32,
    items: usize,
    depth_left: usize,
    /// The value's fields are arguments of their own; it is no container itself.
    top: bool,
}

impl<'a> Tokens<'a> {
    fn scalar(self, value: Scalar) -> Result<(), ValueError> {
        self.value_at_top("a number")?;
        record::scalar(self.out, self.key, value);
        Ok(())
    }

    fn text(self, text: &str) -> Result<(), ValueError> {
        self.value_at_top("a text")?;
        let at = self.out.len();
        text_item(self.out, Tag::Text, text);
        self.out[at] |= Tag::Text.head(self.key, 0);
        Ok(())
    }

    fn value_at_top(&self, what: &str) -> Result<(), ValueError> {
        if self.top {
            Err(ValueError(format!("{what} has no fields; give it a key with `arg`")))
        } else {
            Ok(())
        }
    }

    fn container(self, tag: Tag) -> Container<'a> {
        if !self.top {
            self.out.word(tag.head(self.key, 0));
        }
        let items = match (self.top, self.depth_left) {
            (true, _) => usize::MAX,
            (false, 0) => 0,
            (false, _) => self.items,
        };
        Container {
            out: self.out,
            budget: Budget::new(items),
            items: self.items,
            depth_left: if self.top { self.depth_left } else { self.depth_left.saturating_sub(1) },
            top: self.top,
            admitted: false,
            is_mute: false,
            extra_ends: 0,
        }
    }

    /// `{ variant: value }`, as enums are usually written down.
    fn variant(self, variant: &'static str, tag: Tag) -> Container<'a> {
        let mut outer = self.container(Tag::Dictionary);
        let key = static_name(variant);
        if outer.budget.admit() {
            let Container { out, items, depth_left, top, .. } = outer;
            let inner = Tokens { out, key, items, depth_left, top: false }.container(tag);
            return Container { extra_ends: u8::from(!top), ..inner };
        }
        // Too deep: the variant counts as one item that is left out, and its fields not at all.
        outer.is_mute = true;
        outer
    }
}

impl<'a> Serializer for Tokens<'a> {
    type Ok = ();
    type Error = ValueError;
    type SerializeSeq = Container<'a>;
    type SerializeTuple = Container<'a>;
    type SerializeTupleStruct = Container<'a>;
    type SerializeTupleVariant = Container<'a>;
    type SerializeMap = Container<'a>;
    type SerializeStruct = Container<'a>;
    type SerializeStructVariant = Container<'a>;

    scalars! {
        serialize_bool(bool) |this, value| this.scalar(Scalar::Bool(value));
        serialize_i8(i8) |this, value| this.scalar(Scalar::Int(value.into()));
        serialize_i16(i16) |this, value| this.scalar(Scalar::Int(value.into()));
        serialize_i32(i32) |this, value| this.scalar(Scalar::Int(value.into()));
        serialize_i64(i64) |this, value| this.scalar(Scalar::Int(value));
        serialize_i128(i128) |this, value| match i64::try_from(value) {
            Ok(value) => this.scalar(Scalar::Int(value)),
            Err(_) => this.text(&value.to_string()),
        };
        serialize_u8(u8) |this, value| this.scalar(Scalar::Uint(value.into()));
        serialize_u16(u16) |this, value| this.scalar(Scalar::Uint(value.into()));
        serialize_u32(u32) |this, value| this.scalar(Scalar::Uint(value.into()));
        serialize_u64(u64) |this, value| this.scalar(Scalar::Uint(value));
        serialize_u128(u128) |this, value| match u64::try_from(value) {
            Ok(value) => this.scalar(Scalar::Uint(value)),
            Err(_) => this.text(&value.to_string()),
        };
        serialize_f32(f32) |this, value| this.scalar(Scalar::Double(value.into()));
        serialize_f64(f64) |this, value| this.scalar(Scalar::Double(value));
        serialize_char(char) |this, value| this.text(value.encode_utf8(&mut [0; 4]));
        serialize_str(&str) |this, value| this.text(value);
        serialize_unit_struct(&'static str) |this, name| this.text(name);
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Container<'a>, ValueError> {
        Ok(self.container(Tag::Array))
    }
    fn serialize_tuple(self, _: usize) -> Result<Container<'a>, ValueError> {
        Ok(self.container(Tag::Array))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Container<'a>, ValueError> {
        Ok(self.container(Tag::Dictionary))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), ValueError> {
        use fmt::Write;
        let shown = &bytes[..bytes.len().min(self.items)];
        let mut text = String::from("0x");
        for byte in shown {
            let _ = write!(text, "{byte:02x}"); // a String takes everything
        }
        if shown.len() < bytes.len() {
            let _ = write!(text, "… ({} more items)", bytes.len() - shown.len());
        }
        self.text(&text)
    }
    fn serialize_none(self) -> Result<(), ValueError> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), ValueError> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), ValueError> {
        // No fields are no arguments.
        if self.top { Ok(()) } else { self.text("null") }
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), ValueError> {
        self.value_at_top("a variant without fields")?;
        self.out.word(Tag::NameValue.head(self.key, static_name(variant)));
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        match value.serialize(ScalarOnly) {
            Ok(Scalar::Uint(value)) if name == POINTER => self.scalar(Scalar::Pointer(value)),
            Ok(value) => self.scalar(value),
            Err(NotScalar) => value.serialize(self),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        let mut container = self.container(Tag::Dictionary);
        SerializeStruct::serialize_field(&mut container, variant, value)?;
        SerializeStruct::end(container)
    }
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Container<'a>, ValueError> {
        Ok(self.container(Tag::Array))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Container<'a>, ValueError> {
        Ok(self.variant(variant, Tag::Array))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Container<'a>, ValueError> {
        Ok(self.container(Tag::Dictionary))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Container<'a>, ValueError> {
        Ok(self.variant(variant, Tag::Dictionary))
    }
}

/// A dictionary or array that is being written.
struct Container<'a> {
    out: &'a mut Vec<u64>,
    budget: Budget,
    items: usize,
    depth_left: usize,
    top: bool,
    /// Whether the entry whose key came last is kept.
    admitted: bool,
    /// Nothing that comes is kept or counted.
    is_mute: bool,
    /// Containers around this one that end with it.
    extra_ends: u8,
}

impl Container<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, key: u32, value: &T) -> Result<(), ValueError> {
        let (items, depth_left) = (self.items, self.depth_left);
        value.serialize(Tokens { out: self.out, key, items, depth_left, top: false })
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        if self.top {
            return Err(ValueError("a list has no fields; give it a key with `arg`".into()));
        }
        if self.admit() { self.item(0, value) } else { Ok(()) }
    }

    fn admit(&mut self) -> bool {
        !self.is_mute && self.budget.admit()
    }

    fn field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        if self.admit() { self.item(static_name(key), value) } else { Ok(()) }
    }

    fn close(self) {
        if self.budget.refused() > 0 {
            wide_more(self.out, self.budget.refused());
        }
        for _ in 0..u8::from(!self.top) + self.extra_ends {
            self.out.word(Tag::End.head(0, 0));
        }
    }
}

fn wide_more(out: &mut Vec<u64>, items: u64) {
    out.word(Tag::More.head(0, 0));
    out.word(items);
}

macro_rules! elements {
    ($($trait:ident::$method:ident),*) => {$(
        impl ser::$trait for Container<'_> {
            type Ok = ();
            type Error = ValueError;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.element(value)
            }
            fn end(self) -> Result<(), ValueError> {
                self.close();
                Ok(())
            }
        }
    )*};
}

elements!(
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

impl SerializeSeq for Container<'_> {
    type Ok = ();
    type Error = ValueError;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.element(value)
    }
    fn end(self) -> Result<(), ValueError> {
        self.close();
        Ok(())
    }
}

impl SerializeStruct for Container<'_> {
    type Ok = ();
    type Error = ValueError;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.field(key, value)
    }
    fn end(self) -> Result<(), ValueError> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeStructVariant for Container<'_> {
    type Ok = ();
    type Error = ValueError;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.field(key, value)
    }
    fn end(self) -> Result<(), ValueError> {
        self.close();
        Ok(())
    }
}

impl SerializeMap for Container<'_> {
    type Ok = ();
    type Error = ValueError;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.admitted = self.admit();
        if self.admitted {
            // A key is a value whose token is then told to be one.
            let at = self.out.len();
            self.item(0, key)?;
            key_from_value(self.out, at)?;
        }
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        if self.admitted { self.item(0, value) } else { Ok(()) }
    }
    fn end(self) -> Result<(), ValueError> {
        self.close();
        Ok(())
    }
}

/// Turns the value at `at` into the key of the value that will follow.
fn key_from_value(out: &mut Vec<u64>, at: usize) -> Result<(), ValueError> {
    let head = out[at];
    let small = (head >> 32) as u32;
    let next = out.get(at + 1).copied().unwrap_or(0);
    let text = match Tag::of(head) {
        Some(Tag::Text) => {
            out[at] = Tag::Key.head(0, small);
            return Ok(());
        }
        Some(Tag::NameValue) => {
            Name::from_id(small).map_or_else(String::new, |name| name.as_str().to_owned())
        }
        Some(Tag::False) => "false".to_owned(),
        Some(Tag::True) => "true".to_owned(),
        Some(Tag::SmallInt) => small.cast_signed().to_string(),
        Some(Tag::SmallUint) => small.to_string(),
        Some(Tag::Int) => next.cast_signed().to_string(),
        Some(Tag::Uint) => next.to_string(),
        Some(Tag::Double) => f64::from_bits(next).to_string(),
        Some(Tag::Pointer) => format!("{next:#x}"),
        _ => return Err(ValueError("a map's keys must be texts or numbers".into())),
    };
    out.truncate(at);
    text_item(out, Tag::Key, &text);
    Ok(())
}
