//! Everything else: values as tokens.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use novatrace_core::{Budget, Scalar};
use serde::ser::{self, Serialize, SerializeMap, SerializeStruct, Serializer};

use super::print::{Hex, print};
use super::scalar::scalars;
use super::{NAME, POINTER, ValueError, scalar};
use crate::name::Name;
use crate::record::{self, Tag, Writer, text_item};

thread_local! {
    /// Field and variant names by address: they are `'static`, so that an address means one text.
    static STATIC_NAMES: RefCell<HashMap<(usize, usize), Name, foldhash::fast::FixedState>> =
        const { RefCell::new(HashMap::with_hasher(foldhash::fast::FixedState::with_seed(7))) };
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

/// Writes one value as tokens.
pub(super) struct Tokens<'a> {
    pub(super) out: &'a mut Vec<u64>,
    /// The value's key as a name's id, or 0: there is none, or it has been written as a text.
    pub(super) key: u32,
    pub(super) items: usize,
    pub(super) depth_left: usize,
    /// The value's fields are arguments of their own; it is no container itself.
    pub(super) top: bool,
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
            key: 0,
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
            Err(_) => this.collect_str(&value),
        };
        serialize_u8(u8) |this, value| this.scalar(Scalar::Uint(value.into()));
        serialize_u16(u16) |this, value| this.scalar(Scalar::Uint(value.into()));
        serialize_u32(u32) |this, value| this.scalar(Scalar::Uint(value.into()));
        serialize_u64(u64) |this, value| this.scalar(Scalar::Uint(value));
        serialize_u128(u128) |this, value| match u64::try_from(value) {
            Ok(value) => this.scalar(Scalar::Uint(value)),
            Err(_) => this.collect_str(&value),
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

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), ValueError> {
        self.value_at_top("a text")?;
        print(self.out, Tag::Text, self.key, value).map_err(ser::Error::custom)
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), ValueError> {
        let most = self.items;
        self.collect_str(&Hex { bytes, most })
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
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), ValueError> {
        self.value_at_top("a variant without fields")?;
        let id = if name == NAME { index } else { static_name(variant) };
        self.out.word(Tag::NameValue.head(self.key, id));
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        if name == POINTER
            && let Some(Scalar::Uint(value)) = scalar(value)
        {
            self.scalar(Scalar::Pointer(value))
        } else {
            value.serialize(self)
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
pub(super) struct Container<'a> {
    out: &'a mut Vec<u64>,
    budget: Budget,
    items: usize,
    depth_left: usize,
    top: bool,
    /// Whether the entry whose key came last is kept.
    admitted: bool,
    /// That key as a name's id, or 0 if it has been written as a text.
    key: u32,
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
    ($($trait:ident::$method:ident($($key:ident)?) is $what:ident;)*) => {$(
        impl ser::$trait for Container<'_> {
            type Ok = ();
            type Error = ValueError;
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), ValueError> {
                self.$what($($key,)? value)
            }
            fn end(self) -> Result<(), ValueError> {
                self.close();
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element() is element;
    SerializeTuple::serialize_element() is element;
    SerializeTupleStruct::serialize_field() is element;
    SerializeTupleVariant::serialize_field() is element;
    SerializeStruct::serialize_field(key) is field;
    SerializeStructVariant::serialize_field(key) is field;
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
            self.key = key_from_value(self.out, at)?;
        }
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        if self.admitted { self.item(self.key, value) } else { Ok(()) }
    }
    fn end(self) -> Result<(), ValueError> {
        self.close();
        Ok(())
    }
}

/// Turns the value at `at` into the key of the value that will follow: a name's id, or 0 after a text.
fn key_from_value(out: &mut Vec<u64>, at: usize) -> Result<u32, ValueError> {
    let head = out[at];
    let small = (head >> 32) as u32;
    let next = out.get(at + 1).copied().unwrap_or(0);
    let tag = Tag::of(head);
    if tag == Some(Tag::Text) {
        out[at] = Tag::Key.head(0, small);
        return Ok(0);
    }
    out.truncate(at);
    match tag {
        Some(Tag::NameValue) => return Ok(small),
        Some(Tag::False) => print(out, Tag::Key, 0, false),
        Some(Tag::True) => print(out, Tag::Key, 0, true),
        Some(Tag::SmallInt) => print(out, Tag::Key, 0, small.cast_signed()),
        Some(Tag::SmallUint) => print(out, Tag::Key, 0, small),
        Some(Tag::Int) => print(out, Tag::Key, 0, next.cast_signed()),
        Some(Tag::Uint) => print(out, Tag::Key, 0, next),
        Some(Tag::Double) => print(out, Tag::Key, 0, f64::from_bits(next)),
        Some(Tag::Pointer) => print(out, Tag::Key, 0, format_args!("{next:#x}")),
        _ => return Err(ValueError("a map's keys must be texts or numbers".into())),
    }
    .map(|()| 0)
    .map_err(ser::Error::custom)
}
