//! Numbers for people.

/// Bytes, with the unit that fits.
pub(crate) fn bytes(bytes: f64) -> String {
    scaled(bytes, "B", &["kB", "MB", "GB", "TB"])
}

/// As it is, or in a larger unit of a thousand and with two digits.
fn scaled(mut value: f64, mut unit: &'static str, larger: &[&'static str]) -> String {
    for &next in larger {
        if value.abs() < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if larger.contains(&unit) { format!("{value:.2} {unit}") } else { format!("{value} {unit}") }
}

/// Digits in groups of three.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time or a length of time, all digits of it, with the unit that fits.
pub(crate) fn time(ns: i64) -> String {
    let (scale, digits, unit) = match ns.unsigned_abs() {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (1_000, 3, "us"),
        1_000_000..1_000_000_000 => (1_000_000, 6, "ms"),
        _ => (1_000_000_000, 9, "s"),
    };
    let (whole, rest) = (ns / scale, (ns % scale).unsigned_abs());
    let rest = format!("{rest:0digits$}");
    let sign = if ns < 0 && whole == 0 { "-" } else { "" };
    match rest.trim_end_matches('0') {
        "" => format!("{sign}{whole} {unit}"),
        rest => format!("{sign}{whole}.{rest} {unit}"),
    }
}

/// The same, with two digits behind the point.
pub(crate) fn about(ns: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "rounded anyway")]
    scaled(ns as f64, "ns", &["us", "ms", "s"])
}

#[expect(clippy::cast_precision_loss, reason = "for people to read, rounded anyway")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(bytes(999.0), "999 B");
        assert_eq!(bytes(12_345_678.0), "12.35 MB");
    }

    #[test]
    fn times_keep_their_digits() {
        let times = [0, 999, 1_000, 1_500_000, -1, -1_500, 12_000_000_001].map(time);
        assert_eq!(
            times,
            ["0 ns", "999 ns", "1 us", "1.5 ms", "-1 ns", "-1.5 us", "12.000000001 s"]
        );
        assert_eq!(about(1_234_567), "1.23 ms");
    }
}
