//! Explicit times: nanoseconds, seconds, cycles. Does not belong here: a clock.

use std::fmt;
use std::time::Duration;

use novatrace_core::MAX_TIMESTAMP_NS;

/// Seconds as a floating-point number, rounded to the nearest nanosecond.
///
/// The end of a slice is rounded from `start + length`, not from a rounded length, so that slices
/// that abut in seconds abut in the trace.
///
/// ```
/// use novatrace::Seconds;
///
/// let (start, length) = (Seconds(1.5), Seconds(0.25));
/// assert_eq!(start + length, Seconds(1.75));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Seconds(pub f64);

impl std::ops::Add for Seconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Seconds {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

/// A number of cycles of a clock of constant frequency, from [`Frequency::cycles`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycles {
    count: u64,
    hz: u64,
}

/// The frequency of a simulated clock.
///
/// ```
/// use novatrace::Frequency;
///
/// let core = Frequency::from_hz(1_300_000_000).expect("not zero");
/// // A third of a nanosecond is kept until the end of the slice is rounded.
/// assert_eq!(core.cycles(13).to_ns(), Some(10));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency(u64);

impl Frequency {
    /// `None` for 0.
    #[must_use]
    pub const fn from_hz(hz: u64) -> Option<Self> {
        if hz == 0 { None } else { Some(Self(hz)) }
    }

    /// The time of `count` cycles from the clock's start.
    #[must_use]
    pub const fn cycles(self, count: u64) -> Cycles {
        Cycles { count, hz: self.0 }
    }
}

impl Cycles {
    /// Rounded to the nearest nanosecond, exactly; `None` beyond what a trace can hold.
    #[must_use]
    pub fn to_ns(self) -> Option<u64> {
        let scaled = u128::from(self.count) * 1_000_000_000 + u128::from(self.hz / 2);
        u64::try_from(scaled / u128::from(self.hz)).ok().filter(|&ns| ns <= MAX_TIMESTAMP_NS)
    }
}

/// A point in a trace's time or a length of it: `u64`, `i64`, `u32`, `i32` and `usize` are whole
/// nanoseconds, [`Seconds`], [`Cycles`] and the standard library's `Duration` what their names say. From
/// 0 to `i64::MAX` ns. Start and length of one slice are of one type.
pub trait Time: Copy + sealed::Sealed {
    #[doc(hidden)]
    fn point(self) -> Result<u64, TimeFault>;
    #[doc(hidden)]
    fn span(start: Self, length: Self) -> Result<(u64, u64), TimeFault>;
}

/// Why a number is not a time.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum TimeFault {
    /// The start, point or end is below zero.
    NegativeTime(Number),
    /// The length is below zero.
    NegativeLength(Number),
    /// Not a number, or infinite.
    NotFinite(Number),
    /// Later than `i64::MAX` nanoseconds (292 years), which is all that a trace can hold.
    TooLate(Number),
}

/// A time as it was given.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Number {
    /// Nanoseconds.
    Ns(i128),
    /// Seconds.
    Seconds(f64),
    /// Cycles of a clock of so many Hz.
    Cycles(u64, u64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ns(ns) => write!(f, "{ns} ns"),
            Self::Seconds(seconds) => write!(f, "{seconds} s"),
            Self::Cycles(count, hz) => write!(f, "{count} cycles at {hz} Hz"),
        }
    }
}

impl fmt::Display for TimeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeTime(number) => write!(f, "the time {number} is negative"),
            Self::NegativeLength(number) => write!(f, "the length {number} is negative"),
            Self::NotFinite(number) => write!(f, "{number} is not a finite number"),
            Self::TooLate(number) => {
                write!(f, "{number} lies beyond the last time of a trace ({MAX_TIMESTAMP_NS} ns)")
            }
        }
    }
}

macro_rules! whole_nanoseconds {
    ($($int:ty),*) => {$(
        impl sealed::Sealed for $int {}
        impl Time for $int {
            #[inline]
            fn point(self) -> Result<u64, TimeFault> {
                match u64::try_from(self) {
                    Ok(ns) if ns <= MAX_TIMESTAMP_NS => Ok(ns),
                    Ok(ns) => Err(TimeFault::TooLate(Number::Ns(ns.into()))),
                    #[allow(clippy::cast_lossless, reason = "usize has no From")]
                    Err(_) => Err(TimeFault::NegativeTime(Number::Ns(self as i128))),
                }
            }

            #[inline]
            fn span(start: Self, length: Self) -> Result<(u64, u64), TimeFault> {
                let start = start.point()?;
                let end = length
                    .point()
                    .map_err(|fault| match fault {
                        TimeFault::NegativeTime(number) => TimeFault::NegativeLength(number),
                        other => other,
                    })?
                    + start;
                if end > MAX_TIMESTAMP_NS {
                    return Err(TimeFault::TooLate(Number::Ns(end.into())));
                }
                Ok((start, end))
            }
        }
    )*};
}

whole_nanoseconds!(u64, i64, u32, i32, usize);

impl sealed::Sealed for Duration {}
impl Time for Duration {
    #[inline]
    fn point(self) -> Result<u64, TimeFault> {
        let ns = self.as_nanos();
        u64::try_from(ns)
            .ok()
            .filter(|&ns| ns <= MAX_TIMESTAMP_NS)
            .ok_or_else(|| TimeFault::TooLate(Number::Ns(i128::try_from(ns).unwrap_or(i128::MAX))))
    }

    #[inline]
    fn span(start: Self, length: Self) -> Result<(u64, u64), TimeFault> {
        u64::span(start.point()?, length.point()?)
    }
}

impl sealed::Sealed for Seconds {}
impl Time for Seconds {
    #[inline]
    fn point(self) -> Result<u64, TimeFault> {
        let ns = (self.0 * 1e9).round();
        // The first value that does not fit is 2^63 itself: i64::MAX has no double of its own.
        if !(0.0..9_223_372_036_854_775_808.0).contains(&ns) {
            let number = Number::Seconds(self.0);
            return Err(if !self.0.is_finite() {
                TimeFault::NotFinite(number)
            } else if ns < 0.0 {
                TimeFault::NegativeTime(number)
            } else {
                TimeFault::TooLate(number)
            });
        }
        #[expect(clippy::cast_possible_truncation, reason = "in range, and whole")]
        #[expect(clippy::cast_sign_loss, reason = "not negative")]
        Ok(ns as u64)
    }

    #[inline]
    fn span(start: Self, length: Self) -> Result<(u64, u64), TimeFault> {
        if !length.0.is_finite() {
            return Err(TimeFault::NotFinite(Number::Seconds(length.0)));
        }
        if length.0 < 0.0 {
            return Err(TimeFault::NegativeLength(Number::Seconds(length.0)));
        }
        Ok((start.point()?, Seconds(start.0 + length.0).point()?))
    }
}

impl sealed::Sealed for Cycles {}
impl Time for Cycles {
    #[inline]
    fn point(self) -> Result<u64, TimeFault> {
        self.to_ns().ok_or(TimeFault::TooLate(Number::Cycles(self.count, self.hz)))
    }

    /// A start and a length of different frequencies are rounded apart.
    #[inline]
    fn span(start: Self, length: Self) -> Result<(u64, u64), TimeFault> {
        let begin = start.point()?;
        let end = match start.count.checked_add(length.count) {
            Some(count) if start.hz == length.hz => Cycles { count, hz: start.hz }.point()?,
            _ => begin + length.point()?,
        };
        if end > MAX_TIMESTAMP_NS {
            return Err(TimeFault::TooLate(Number::Ns(end.into())));
        }
        Ok((begin, end))
    }
}

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_nanoseconds_keep_to_their_range() {
        assert_eq!(u64::span(5, 7), Ok((5, 12)));
        assert_eq!(i64::span(-1, 7), Err(TimeFault::NegativeTime(Number::Ns(-1))));
        assert_eq!(i32::span(1, -7), Err(TimeFault::NegativeLength(Number::Ns(-7))));
        assert_eq!(u64::span(0, MAX_TIMESTAMP_NS), Ok((0, MAX_TIMESTAMP_NS)));
        let too_late = u64::span(1, MAX_TIMESTAMP_NS);
        assert_eq!(too_late, Err(TimeFault::TooLate(Number::Ns(1 << 63))));
        assert!(matches!(u64::MAX.point(), Err(TimeFault::TooLate(_))));
    }

    #[test]
    fn durations_are_exact_and_keep_to_the_range() {
        let span = Duration::span(Duration::from_micros(5), Duration::from_nanos(7));
        assert_eq!(span, Ok((5_000, 5_007)));
        assert!(matches!(Duration::MAX.point(), Err(TimeFault::TooLate(_))));
        let too_late =
            Duration::span(Duration::from_nanos(MAX_TIMESTAMP_NS), Duration::from_nanos(1));
        assert!(matches!(too_late, Err(TimeFault::TooLate(_))));
    }

    #[test]
    fn seconds_are_rounded_to_nearest_and_must_be_finite() {
        assert_eq!(Seconds(1e-9 * 0.6).point(), Ok(1));
        assert_eq!(Seconds(-1e-9 * 0.4).point(), Ok(0));
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(Seconds(odd).point(), Err(TimeFault::NotFinite(_))));
            let length = Seconds::span(Seconds(0.0), Seconds(odd));
            assert!(matches!(length, Err(TimeFault::NotFinite(_))));
        }
        assert!(matches!(Seconds(-1.0).point(), Err(TimeFault::NegativeTime(_))));
        assert!(matches!(Seconds(1e10).point(), Err(TimeFault::TooLate(_))));
        assert!(Seconds(9_223_372_036.854_775).point().is_ok());
        let negative = Seconds::span(Seconds(1.0), Seconds(-0.5));
        assert!(matches!(negative, Err(TimeFault::NegativeLength(_))));
    }

    proptest! {
        #[test]
        fn neighbours_in_seconds_stay_neighbours(start in 0.0..1e4f64, length in 0.0..1.0f64) {
            let (_, end) = Seconds::span(Seconds(start), Seconds(length)).expect("in range");
            prop_assert_eq!(Seconds(start + length).point(), Ok(end));
        }

        #[test]
        fn neighbours_in_cycles_stay_neighbours(
            hz in 1u64..10_000_000_000, start in 0u64..1 << 40, length in 0u64..1 << 30,
        ) {
            let clock = Frequency::from_hz(hz).expect("not zero");
            if let Ok((_, end)) = Cycles::span(clock.cycles(start), clock.cycles(length)) {
                prop_assert_eq!(clock.cycles(start + length).point(), Ok(end));
            }
        }
    }
}
