//! Numbers and booleans: found out without writing anything.

use std::fmt;

use novatrace_core::Scalar;
use serde::ser::{self, Impossible, Serialize, Serializer};

use super::POINTER;

/// The answer to everything that is not a scalar.
#[derive(Debug)]
pub(super) struct NotScalar;

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

pub(super) struct ScalarOnly;

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

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<Scalar, NotScalar> {
        Err(NotScalar)
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

pub(super) use scalars;
