//! Times and rates: picoseconds, cycles, bytes per picosecond. NOT: what they are spent on.
//!
//! Simulated time is whole picoseconds, so that engines of different clocks keep exact cycles and
//! a run is the same on every machine. Traces are in nanoseconds; see [`to_ns`].

/// A count as a float, for rates and ratios. Exact up to 2^53, which is nine petabytes or two and
/// a half hours of picoseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "the one place where counts become ratios; the documented range is exact"
)]
#[must_use]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A time that a rate gave, rounded up to the next picosecond and at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates and the value is not negative"
)]
#[must_use]
pub(crate) fn ceil_ps(picoseconds: f64) -> u64 {
    (picoseconds.ceil() as u64).max(1)
}

/// Nanoseconds of a description in picoseconds.
#[must_use]
pub(crate) fn ns_to_ps(nanoseconds: f64) -> u64 {
    if nanoseconds <= 0.0 { 0 } else { ceil_ps(nanoseconds * 1e3) }
}

/// A point in time for the trace: rounded to nearest, so that actions that touch in picoseconds
/// touch in nanoseconds.
#[must_use]
pub(crate) fn to_ns(picoseconds: u64) -> u64 {
    (picoseconds + 500) / 1000
}

/// Time of so many cycles, rounded up.
#[must_use]
pub(crate) fn cycles_to_ps(cycles: u64, frequency_mhz: u64) -> u64 {
    let exact = (u128::from(cycles) * 1_000_000).div_ceil(u128::from(frequency_mhz));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

/// GB/s (1e9 bytes) in bytes per picosecond.
#[must_use]
pub(crate) fn bytes_per_ps(gigabytes_per_second: f64) -> f64 {
    gigabytes_per_second * 1e-3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stay_neighbours() {
        let (end, next_start) = (1_499, 1_499);
        assert_eq!(to_ns(end), to_ns(next_start));
        assert_eq!((to_ns(499), to_ns(500), to_ns(1_499), to_ns(1_500)), (0, 1, 1, 2));
    }

    #[test]
    fn cycles_keep_their_exact_time() {
        assert_eq!(cycles_to_ps(1_600, 1_600), 1_000_000);
        assert_eq!(cycles_to_ps(1, 1_600), 625);
        assert_eq!(cycles_to_ps(1, 3_000), 334, "rounded up");
    }
}
