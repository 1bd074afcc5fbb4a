//! Arguments: from anything that is `serde::Serialize` to scalars and tokens. Does not belong here:
//! how they are encoded in a packet.
//!
//! A scalar stays in the caller's registers. Anything with parts, and texts, are written as tokens
//! (see [`crate::record`]) into a buffer that the thread keeps for its next event.

mod print;
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

/// Tells a [`Name`] apart from the variants of enums.
const NAME: &str = "$novatrace::Name";

/// As a variant without fields is: its text, or in formats that have none its number.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_variant(NAME, self.id(), self.as_str())
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

/// Writes any value as an argument; on an error, nothing.
pub(crate) fn parts<V: Serialize + ?Sized>(
    spill: &mut Spill,
    limits: Limits,
    label: Label<'_>,
    value: &V,
) -> Result<(), ValueError> {
    whole(spill.buffer(), |out| {
        let key = key(out, label);
        let depth_left = limits.depth.min(Limits::MAX_DEPTH);
        value.serialize(Tokens { out, key, items: limits.items, depth_left, top: false })
    })
}

/// Writes each field of a struct, or entry of a map, as an argument of its own; on an error, none.
pub(crate) fn fields<V: Serialize + ?Sized>(
    spill: &mut Spill,
    limits: Limits,
    value: &V,
) -> Result<(), ValueError> {
    fields_into(spill.buffer(), limits, value)
}

/// [`fields`] for words that are kept elsewhere.
pub(crate) fn fields_into<V: Serialize + ?Sized>(
    out: &mut Vec<u64>,
    limits: Limits,
    value: &V,
) -> Result<(), ValueError> {
    whole(out, |out| {
        let depth_left = limits.depth.min(Limits::MAX_DEPTH);
        value.serialize(Tokens { out, key: 0, items: limits.items, depth_left, top: true })
    })
}

/// Takes back what was written before an error: half a value would swallow what comes after it.
fn whole(
    out: &mut Vec<u64>,
    write: impl FnOnce(&mut Vec<u64>) -> Result<(), ValueError>,
) -> Result<(), ValueError> {
    let before = out.len();
    let written = write(out);
    if written.is_err() {
        out.truncate(before);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Tag;
    use std::collections::BTreeMap;

    fn words(value: impl Serialize) -> Result<Vec<u64>, ValueError> {
        let mut spill = Spill::new();
        spill.word(7);
        let written = parts(&mut spill, Limits::default(), Label::Text("a key"), &value);
        assert_eq!(spill.words()[0], 7);
        written.map(|()| spill.words()[3..].to_vec()).inspect_err(|_| {
            assert_eq!(spill.words().len(), 1, "nothing is left of half a value");
        })
    }

    #[test]
    fn a_name_is_its_number_also_as_a_key() {
        let (name, id) = (Name::new("a registered name"), Name::new("a registered name").id());
        assert_eq!(words(name).expect("possible"), [Tag::NameValue.head(0, id)]);
        let map = [(name, 1)].into_iter().collect::<std::collections::HashMap<_, _>>();
        let expected = [Tag::Dictionary.head(0, 0), Tag::SmallInt.head(id, 1), Tag::End.head(0, 0)];
        assert_eq!(words(map).expect("possible"), expected);
    }

    #[test]
    fn of_a_value_that_fails_nothing_is_left() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(ser::Error::custom("out of order"))
            }
        }
        struct NoDisplay;
        impl fmt::Display for NoDisplay {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        impl Serialize for NoDisplay {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        words(("first", [Refuses])).expect_err("it refuses");
        words(("first", NoDisplay)).expect_err("it has no text");
        words(BTreeMap::from([([1, 2], 3)])).expect_err("a list is no key");
    }
}
