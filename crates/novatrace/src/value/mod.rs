//! Arguments: from anything that is `serde::Serialize` to scalars and tokens. Does not belong here:
//! how they are encoded in a packet.
//!
//! A scalar stays in the caller's registers. Anything with parts, and texts, are written as tokens
//! (see [`crate::record`]) into a buffer that the thread keeps for its next event.

mod scalar;
mod spill;
mod tokens;

use std::fmt;

use novatrace_core::{Limits, Scalar};
use serde::ser::{self, Serialize, Serializer};

use crate::name::{Label, Name};
use crate::record::key;
use scalar::ScalarOnly;
pub(crate) use spill::Spill;
use tokens::Tokens;

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
