//! Values straight into the bytes of an event. Belongs here: what [`Described`](crate::value::Described)
//! and its parts serialize to. Does not: other types of Rust programs, which there are none of here.

use std::fmt;

use novatrace_core::{Annotations, Scalar, Shape, Text};
use serde::ser::{Impossible, Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::value::limits;

/// Where a value goes.
pub(super) enum Place<'p, 'a> {
    /// The entries of a mapping become arguments of the event whose body this is.
    Event(&'p mut Vec<u8>),
    /// The value becomes an item of a container, or an argument, of that name.
    Within(&'p mut Annotations<'a>, &'p str),
}

impl<'p> Place<'p, '_> {
    fn scalar(self, value: Scalar) -> fmt::Result {
        match self {
            Self::Event(body) => Annotations::new(body, limits()).scalar(DATA, value),
            Self::Within(outer, name) => outer.scalar(Text::Inline(name), value),
        }
        Ok(())
    }

    fn text(self, value: &str) -> fmt::Result {
        match self {
            Self::Event(body) => Annotations::new(body, limits()).text(DATA, Text::Inline(value)),
            Self::Within(outer, name) => outer.text(Text::Inline(name), Text::Inline(value)),
        }
        Ok(())
    }

    fn container(self, shape: Shape) -> Container<'p> {
        let annotations = match self {
            Self::Event(body) => Annotations::new(body, limits()),
            Self::Within(outer, name) => outer.container(Text::Inline(name), shape),
        };
        Container { annotations, key: String::new() }
    }
}

/// The name of an event's value that has no entries.
const DATA: Text<'static> = Text::Inline("data");

pub(super) struct Container<'a> {
    annotations: Annotations<'a>,
    key: String,
}

/// Methods that are some other one, and those that values never call.
macro_rules! methods {
    (as { $($method:ident($type:ty) $like:ident;)* }
     never { $($never:ident($($argument:ty),*) $answer:ty;)* }) => {
        $(fn $method(self, value: $type) -> fmt::Result {
            self.$like(value.into())
        })*
        $(fn $never(self, $(_: $argument),*) -> Result<$answer, fmt::Error> {
            Err(fmt::Error)
        })*
    };
}

type Never = Impossible<(), fmt::Error>;

impl<'p> Serializer for Place<'p, '_> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Container<'p>;
    type SerializeMap = Container<'p>;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    methods! {
        as {
        serialize_i8(i8) serialize_i64;
        serialize_i16(i16) serialize_i64;
        serialize_i32(i32) serialize_i64;
        serialize_u8(u8) serialize_u64;
        serialize_u16(u16) serialize_u64;
        serialize_u32(u32) serialize_u64;
        serialize_f32(f32) serialize_f64;
        }
        never {
        serialize_char(char) ();
        serialize_unit_struct(&'static str) ();
        serialize_unit_variant(&'static str, u32, &'static str) ();
        serialize_tuple(usize) Never;
        serialize_tuple_struct(&'static str, usize) Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) Never;
        serialize_struct(&'static str, usize) Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) Never;
        }
    }

    fn serialize_bool(self, value: bool) -> fmt::Result {
        self.scalar(Scalar::Bool(value))
    }
    fn serialize_i64(self, value: i64) -> fmt::Result {
        self.scalar(Scalar::Int(value))
    }
    fn serialize_u64(self, value: u64) -> fmt::Result {
        self.scalar(Scalar::Uint(value))
    }
    fn serialize_f64(self, value: f64) -> fmt::Result {
        self.scalar(Scalar::Double(value))
    }
    fn serialize_str(self, value: &str) -> fmt::Result {
        self.text(value)
    }
    fn serialize_bytes(self, bytes: &[u8]) -> fmt::Result {
        use fmt::Write;
        let mut text = String::from("0x");
        for byte in bytes {
            write!(text, "{byte:02x}")?;
        }
        self.text(&text)
    }
    fn serialize_none(self) -> fmt::Result {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> fmt::Result {
        value.serialize(self)
    }
    fn serialize_unit(self) -> fmt::Result {
        self.text("null")
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> fmt::Result {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> fmt::Result {
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Container<'p>, fmt::Error> {
        Ok(self.container(Shape::Array))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Container<'p>, fmt::Error> {
        Ok(self.container(Shape::Dictionary))
    }
}

impl SerializeSeq for Container<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        value.serialize(Place::Within(&mut self.annotations, ""))
    }
    fn end(self) -> fmt::Result {
        self.annotations.finish();
        Ok(())
    }
}

impl SerializeMap for Container<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> fmt::Result {
        use fmt::Write;
        self.key.clear();
        write!(self.key, "{}", Key(key))
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        value.serialize(Place::Within(&mut self.annotations, &self.key))
    }
    fn end(self) -> fmt::Result {
        self.annotations.finish();
        Ok(())
    }
}

/// A text or number, as `serde` has it written.
struct Key<'k, T: ?Sized>(&'k T);

impl<T: Serialize + ?Sized> fmt::Display for Key<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}
