//! Counters: statics with a value over time, on rows of the process.

use std::sync::atomic::{AtomicU64, Ordering};

use super::session::Live;
use super::site::{Rowed, Switch, registry};
use super::{clock, thread};
use crate::generator::{CounterValue, Unit};
use crate::record::{Kind, head};
use crate::worker::RowKind;

/// A value over time, as a static of the program; from [`counter!`](crate::counter).
///
/// ```
/// use novatrace::Counter;
///
/// static QUEUE: Counter = novatrace::counter!("queue depth", unit = "items");
///
/// # let folder = tempfile::tempdir()?;
/// let session = novatrace::open(folder.path().join("app.pftrace"))?;
/// QUEUE.set(12);
/// QUEUE.add(1);
/// QUEUE.add(-3);
/// assert_eq!(QUEUE.value(), 10.0);
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It may be changed by any thread. While nothing records it, [`set`](Self::set) and
/// [`add`](Self::add) do nothing at all: a load and a branch.
#[derive(Debug)]
pub struct Counter {
    switch: Switch,
    name: &'static str,
    unit: Option<&'static str>,
    category: &'static str,
    /// Bits of the value, a double as in the viewer.
    bits: AtomicU64,
}

impl Counter {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        name: &'static str,
        unit: Option<&'static str>,
        category: &'static str,
    ) -> Self {
        Self { switch: Switch::new(), name, unit, category, bits: AtomicU64::new(0) }
    }

    pub(super) fn is(&self, name: &str, category: &str) -> bool {
        self.name == name && self.category == category
    }

    #[inline(always)]
    fn row(&'static self) -> Option<u32> {
        if cfg!(feature = "disabled") {
            return None;
        }
        self.switch.number(|| registry().add_rowed(self))
    }

    /// Gives it a value. NaN, which is no value, is passed over.
    #[inline(always)]
    pub fn set(&'static self, value: impl Into<CounterValue>) {
        if let Some(row) = self.row() {
            let value = as_double(value.into());
            if !value.is_nan() {
                self.bits.store(value.to_bits(), Ordering::Relaxed);
                record(row, clock::ticks(), value);
            }
        }
    }

    /// Adds to its value. Of additions by several threads none is lost, and their times are in the
    /// order in which they were added.
    #[inline(always)]
    pub fn add(&'static self, value: impl Into<CounterValue>) {
        if let Some(row) = self.row() {
            let value = as_double(value.into());
            let mut bits = self.bits.load(Ordering::Acquire);
            loop {
                // Between the load and the exchange: no other addition then lies between.
                let ticks = clock::ticks_after_loads();
                let sum = f64::from_bits(bits) + value;
                if sum.is_nan() {
                    return;
                }
                match self.bits.compare_exchange_weak(
                    bits,
                    sum.to_bits(),
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => return record(row, ticks, sum),
                    Err(other) => bits = other,
                }
            }
        }
    }

    /// The value it was given last while it was recorded; 0 before.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Relaxed))
    }
}

impl Rowed for Counter {
    fn switch(&self) -> &Switch {
        &self.switch
    }

    fn category(&self) -> &'static str {
        self.category
    }

    fn row(&self, live: &Live) -> u32 {
        let rows = live.link().rows();
        let index = rows.child(None, RowKind::Counter, self.name);
        if let Some(unit) = self.unit {
            rows.edit(index, |row| row.unit = Some(Unit::from(unit)));
        }
        index
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "as the viewer keeps it")]
fn as_double(value: CounterValue) -> f64 {
    match value {
        CounterValue::Int(value) => value as f64,
        CounterValue::Double(value) => value,
    }
}

/// A sample; as a whole number if it is one, which takes fewer bytes in the trace.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "compared")]
#[expect(clippy::cast_precision_loss, reason = "compared")]
fn record(row: u32, ticks: u64, value: f64) {
    let whole = value as i64;
    let (kind, bits) = if (whole as f64).to_bits() == value.to_bits() {
        (Kind::LiveCountInt, whole.cast_unsigned())
    } else {
        (Kind::LiveCountDouble, value.to_bits())
    };
    thread::words(&[head(kind, 0, 4, row), ticks, bits, 0]);
}
