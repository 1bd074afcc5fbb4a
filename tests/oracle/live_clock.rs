//! The time of live events is `CLOCK_BOOTTIME`, to the microsecond, whatever the time of day does.
#![expect(clippy::print_stdout, reason = "measured figures")]

#[path = "live/support.rs"]
mod support;

use novatrace::{Session, trace};
use novatrace_core::{ClockId, header};
use novatrace_testkit::oracle_or_skip;

use support::{boottime_ns, recording_bytes};

/// A span with the clock read around its begin, and around its end.
struct Span {
    begin: (u64, u64),
    end: (u64, u64),
}

/// How far `time` is outside of the two readings.
fn outside(time: u64, (before, after): (u64, u64)) -> u64 {
    before.saturating_sub(time).max(time.saturating_sub(after))
}

/// Three seconds, or as many as `NOVATRACE_CLOCK_SECONDS` says: a minute, say. The machine may be busy
/// with something else between any two readings; of each tenth of a second, the best span counts.
#[test]
fn times_agree_with_the_system_to_a_microsecond_and_a_step_of_the_time_of_day_bends_nothing() {
    let oracle = oracle_or_skip!();
    let seconds = std::env::var("NOVATRACE_CLOCK_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(3);
    let mut spans: Vec<Span> = vec![];
    let start = boottime_ns();
    let (bytes, report) = recording_bytes(Session::builder(), |_| {
        while boottime_ns() - start < seconds * 1_000_000_000 {
            for _ in 0..20 {
                let before = boottime_ns();
                let span = trace!("span");
                let begun = boottime_ns();
                let ending = boottime_ns();
                drop(span);
                spans.push(Span { begin: (before, begun), end: (ending, boottime_ns()) });
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    });
    assert_eq!((report.events, report.lost), (spans.len() as u64, 0));
    let loaded = oracle.load_bytes(&bytes).expect("the trace processor takes it");
    loaded.assert_healthy();
    let slices = loaded.slices();
    assert_eq!(slices.len(), spans.len());
    // By tenth of a second: the best span, and how wide its readings are apart.
    let tenths = usize::try_from(seconds * 10).expect("few");
    let mut best: Vec<Option<(u64, u64)>> = vec![None; tenths];
    let mut all: Vec<u64> = vec![];
    for (slice, span) in slices.iter().zip(&spans) {
        let (ts, end) = (slice.ts.cast_unsigned(), slice.end().expect("it ended").cast_unsigned());
        let off = outside(ts, span.begin).max(outside(end, span.end));
        let width = (span.begin.1 - span.begin.0).max(span.end.1 - span.end.0);
        all.push(off);
        let tenth = usize::try_from((span.begin.0 - start) / 100_000_000).expect("few");
        if let Some(best) = best.get_mut(tenth) {
            let found = (width, off);
            *best = Some(best.map_or(found, |best| best.min(found)));
        }
    }
    all.sort_unstable();
    let shown = |part: usize| all[(all.len() - 1) * part / 100];
    println!("outside: median {}, 99 % {}, most {} ns", shown(50), shown(99), shown(100));
    for (tenth, best) in best.iter().enumerate() {
        let Some((width, off)) = *best else { continue };
        assert!(width + off <= 1_000, "tenth {tenth}: {off} ns outside of {width} ns");
    }
    assert!(shown(90) <= 1_000);

    // Read together at the start, every few seconds, and at the end.
    let rows = loaded.query(
        "select ts, clock_name as name, clock_value as value from clock_snapshot
         where clock_name in ('BOOTTIME', 'MONOTONIC', 'REALTIME') order by ts, clock_name",
    );
    let of = |name: &str| -> Vec<(i64, i64)> {
        let rows = rows.iter().filter(|row| row.str("name") == name);
        rows.map(|row| (row.i64("ts"), row.i64("value"))).collect()
    };
    let (monotonic, real) = (of("MONOTONIC"), of("REALTIME"));
    assert_eq!(monotonic.len(), real.len());
    assert!(monotonic.len() as u64 >= 2 + seconds / 3, "{}", monotonic.len());
    for (ts, value) in of("BOOTTIME") {
        assert_eq!(ts, value);
    }
    let offset = |(ts, value): (i64, i64)| value - ts;
    let first = offset(monotonic[0]);
    assert!(monotonic.iter().all(|&reading| (offset(reading) - first).abs() < 10_000_000));
    let gaps = real.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.max().is_some_and(|gap| gap < 4_000_000_000));

    // The same trace, in which the time of day is set back by an hour in the middle of it.
    let middle = boottime_ns();
    let mut stepped = bytes.clone();
    let back = (real[0].1 - 3_600_000_000_000).cast_unsigned();
    let readings = [
        (ClockId::BOOTTIME, middle),
        (ClockId::MONOTONIC, middle.saturating_add_signed(first)),
        (ClockId::REALTIME, back),
    ];
    header::clock_snapshot(&mut stepped, &readings);
    let again = oracle.load_bytes(&stepped).expect("the trace processor takes it");
    let times = |loaded: &novatrace_testkit::Loaded| -> Vec<(i64, i64)> {
        loaded.slices().iter().map(|slice| (slice.ts, slice.dur)).collect()
    };
    assert_eq!(times(&again), times(&loaded));
}
