//! One SQL cell or one argument.

use std::fmt;

/// A value as the trace processor has it.
///
/// Cells of a query are `Null`, `Int`, `Float`, `Text` or `Blob`. Arguments, whose table keeps the type apart,
/// are also `Bool`, `Uint` and `Pointer`.
///
/// Compares with plain values, so that a test can say `slice.args["m"] == 64`. Integers compare
/// by value whatever their type; a float never equals an integer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A true or false argument.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An argument written as unsigned.
    Uint(u64),
    /// An argument written as a pointer, which the UI shows in hexadecimal.
    Pointer(u64),
    /// A double.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// The integer, if it is one of any type that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int(value) => Some(value),
            Self::Uint(value) | Self::Pointer(value) => i64::try_from(value).ok(),
            _ => None,
        }
    }

    /// The integer, if it is one of any type and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Int(value) => u64::try_from(value).ok(),
            Self::Uint(value) | Self::Pointer(value) => Some(value),
            _ => None,
        }
    }

    /// The double, if it is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }
}

/// As in a tree: text in quotes, floats with a point, pointers in hexadecimal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Pointer(value) => write!(f, "{value:#x}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Blob(value) => write!(f, "{value:02x?}"),
        }
    }
}

impl PartialEq<i32> for Value {
    fn eq(&self, other: &i32) -> bool {
        self.as_i64() == Some(i64::from(*other))
    }
}

impl PartialEq<i64> for Value {
    fn eq(&self, other: &i64) -> bool {
        self.as_i64() == Some(*other)
    }
}

impl PartialEq<u64> for Value {
    fn eq(&self, other: &u64) -> bool {
        self.as_u64() == Some(*other)
    }
}

impl PartialEq<f64> for Value {
    fn eq(&self, other: &f64) -> bool {
        self.as_f64() == Some(*other)
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, other: &bool) -> bool {
        self.as_bool() == Some(*other)
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<String> for Value {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == Some(other)
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn integers_compare_by_value_and_floats_only_with_floats() {
        assert_eq!(Value::Int(64), 64);
        assert_eq!(Value::Uint(64), 64);
        assert_eq!(Value::Uint(u64::MAX), u64::MAX);
        assert_ne!(Value::Uint(u64::MAX), -1);
        assert_ne!(Value::Float(64.0), 64);
        assert_eq!(Value::Float(0.5), 0.5);
        assert_eq!(Value::Text("a".into()), "a");
        assert_eq!(Value::Bool(true), true);
        assert_ne!(Value::Int(1), true);
    }
}
