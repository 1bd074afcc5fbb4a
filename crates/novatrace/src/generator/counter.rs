//! Tracks with values over time.

use std::fmt;
use std::sync::Arc;

use super::group::Row;
use crate::error::{Error, ErrorKind};
use crate::record::{self, HEAD_WORDS, Kind};
use crate::time::Time;
use crate::worker::RowKind;

/// The unit of a counter's values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Times, shown as such.
    Nanoseconds,
    /// A plain number.
    Count,
    /// Sizes, shown as KiB and so on.
    Bytes,
    /// Any other, by name.
    Named(String),
}

impl From<&str> for Unit {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<String> for Unit {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

/// A counter's value: an integer or a double. The viewer keeps all as doubles, so that integers
/// beyond 2^53 are rounded there.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum CounterValue {
    /// A whole number.
    Int(i64),
    /// Any but NaN.
    Double(f64),
}

macro_rules! counter_values {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for CounterValue {
            #[inline]
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

counter_values!(i64 => Int, i32 => Int, i16 => Int, i8 => Int, u32 => Int, u16 => Int, u8 => Int,
    bool => Int, f64 => Double, f32 => Double);

impl From<u64> for CounterValue {
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "as the viewer keeps it")]
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Double(value as f64), Self::Int)
    }
}

impl From<usize> for CounterValue {
    #[inline]
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

/// A row with a value over time, which holds until the next sample; from
/// [`Group::counter`](crate::Group::counter).
///
/// ```
/// # use novatrace::TraceGenerator;
/// # let folder = tempfile::tempdir()?;
/// # let trace = TraceGenerator::create(folder.path().join("sim.pftrace"))?;
/// let bandwidth = trace.group("Die:0").counter("L3 bandwidth").unit("GB/s");
/// bandwidth.count(0, 812.5)?;
/// bandwidth.count(1_000, 0)?;
/// bandwidth.counter("read").unit("GB/s").count(0, 500)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CounterTrack(pub(crate) Row);

impl CounterTrack {
    /// The counter's unit. This and all else about a counter is to be said before its first sample:
    /// after that it may come too late, which is then an error of
    /// [`TraceGenerator::finish`](crate::TraceGenerator::finish).
    #[must_use]
    pub fn unit(self, unit: impl Into<Unit>) -> Self {
        self.0.set("counter", "unit", |row| &mut row.unit, unit.into());
        self
    }

    /// What the viewer shows when the counter is asked about.
    #[must_use]
    pub fn description(self, text: &str) -> Self {
        self.0.describe("counter", text);
        self
    }

    /// Draws all counters of one group that are given the same key to one scale.
    #[must_use]
    pub fn shared_axis(self, key: &str) -> Self {
        self.0.set("counter", "shared axis", |row| &mut row.shared_axis, key.into());
        self
    }

    /// The counter of that name below this one.
    #[must_use]
    pub fn counter(&self, name: &str) -> Self {
        Self(self.0.child(RowKind::Counter, name))
    }

    /// A sample: the value from `time` on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Time`], [`ErrorKind::NotANumber`], [`ErrorKind::Finished`]: the sample is not
    /// recorded.
    #[inline(always)]
    pub fn count<T: Time>(&self, time: T, value: impl Into<CounterValue>) -> Result<(), Error> {
        let value = value.into();
        let time = match time.point() {
            Ok(time) => time,
            Err(fault) => return Err(ErrorKind::Time { what: self.what(), fault }.into()),
        };
        let (kind, bits) = match value {
            CounterValue::Int(value) => (Kind::CountInt, value.cast_unsigned()),
            CounterValue::Double(value) if value.is_nan() => {
                return Err(ErrorKind::NotANumber { what: self.what() }.into());
            }
            CounterValue::Double(value) => (Kind::CountDouble, value.to_bits()),
        };
        let words = [record::head(kind, 0, HEAD_WORDS, self.0.index), 0, time, bits];
        self.0.link.push_words(self.0.index, &words, || self.what())
    }

    #[cold]
    fn what(&self) -> String {
        format!("a sample of counter `{}`", self.name())
    }

    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.0.name()
    }
}

impl fmt::Debug for CounterTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("CounterTrack", f)
    }
}
