//! Groups, tracks and counters: where things are drawn.

use std::collections::HashSet;

use novatrace::{Frequency, Seconds, TraceGenerator, Unit};
use novatrace_testkit::{Loaded, oracle_or_skip};

use super::support::{loaded, written};
use super::{rows, samples, traced};

/// The rank of each track among its siblings, as the viewer orders by.
fn ranks(loaded: &Loaded) -> Vec<(String, i64)> {
    let rank = |track: &novatrace_testkit::Track| {
        let rank = track.args.get("sibling_order_rank")?;
        Some((track.path.clone(), rank.as_i64()?))
    };
    loaded.tracks().iter().filter_map(rank).collect()
}

#[test]
fn tracks_of_nested_groups_are_ranked_in_the_order_they_were_made() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let die = trace.group("die");
        let last_by_name = die.track("z");
        let inner = die.group("m");
        let deep = inner.group("y").track("x");
        let sibling = inner.track("b");
        let counter = die.counter("a");
        // Their first events come in another order than they were made in.
        counter.count(0, 1).expect("recordable");
        sibling.instant(1, "3").emit().expect("recordable");
        deep.instant(2, "2").emit().expect("recordable");
        last_by_name.instant(3, "1").emit().expect("recordable");
    });
    let mut found = ranks(&loaded);
    found.sort();
    assert_eq!(
        found.iter().map(|(path, rank)| (path.as_str(), *rank)).collect::<Vec<_>>(),
        [
            ("die", 0),
            ("die/a", 2),
            ("die/m", 1),
            ("die/m/b", 1),
            ("die/m/y", 0),
            ("die/m/y/x", 0),
            ("die/z", 0),
        ]
    );
    assert_eq!(
        rows(&loaded),
        ["die/m/b 1+0 3 [default] {}", "die/m/y/x 2+0 2 [default] {}", "die/z 3+0 1 [default] {}",]
    );
    assert_eq!(samples(&loaded), ["die/a 0=1.0"]);
}

#[test]
fn asking_again_gives_the_same_track() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        for at in 0..3 {
            let group = trace.group("g").group("h");
            group.track("t").instant(at, "i").emit().expect("recordable");
            group.counter("c").count(at, at).expect("recordable");
            group.counter("c").counter("d").count(at, 0).expect("recordable");
        }
    });
    let mut paths: Vec<_> = loaded.tracks().into_iter().map(|track| track.path).collect();
    paths.sort();
    assert_eq!(paths, ["g", "g/h", "g/h/c", "g/h/c/d", "g/h/t"]);
}

#[test]
fn a_track_a_counter_and_a_group_of_one_name_are_three_rows() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let group = trace.group("g");
        group.track("same").instant(0, "on the track").emit().expect("recordable");
        group.counter("same").count(0, 7).expect("recordable");
        let inner = group.group("same").track("same");
        inner.instant(1, "below the group").emit().expect("recordable");
    });
    assert_eq!(loaded.tracks().iter().filter(|track| track.path == "g/same").count(), 3);
    assert_eq!(
        rows(&loaded),
        ["g/same 0+0 on the track [default] {}", "g/same/same 1+0 below the group [default] {}",]
    );
    assert_eq!(samples(&loaded), ["g/same 0=7.0"]);
}

#[test]
fn clusters_have_the_names_of_the_old_module() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let ids = [(None, None), (None, Some(4)), (Some(0), None), (Some(0), Some(1))];
        for (at, (die, cluster)) in (0..).zip(ids) {
            let group = trace.cluster(die, cluster);
            group.track("t").instant(at, "i").emit().expect("recordable");
        }
    });
    assert_eq!(
        rows(&loaded),
        [
            "Global/t 0+0 i [default] {}",
            "Global/t 1+0 i [default] {}",
            "Die:0, Global/t 2+0 i [default] {}",
            "Die:0, Cluster:1/t 3+0 i [default] {}",
        ]
    );
}

#[test]
fn counters_nest_and_have_units() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let group = trace.group("g");
        let total = group.counter("bandwidth").unit("GB/s").description("of all engines");
        total.count(0, 12).expect("recordable");
        total.counter("read").unit("GB/s").count(0, 8).expect("recordable");
        group.counter("time").unit(Unit::Nanoseconds).count(0, 1).expect("recordable");
        group.counter("count").unit(Unit::Count).count(0, 2).expect("recordable");
        group.counter("bytes").unit(Unit::Bytes).count(0, 3).expect("recordable");
        group.counter("bare").count(0, 4).expect("recordable");
    });
    let mut units: Vec<(String, String)> = loaded
        .tracks()
        .into_iter()
        .filter(|track| track.is_counter)
        .map(|track| (track.path, track.unit.unwrap_or_else(|| "(null)".to_owned())))
        .collect();
    units.sort();
    let units: Vec<_> = units.iter().map(|(path, unit)| (path.as_str(), unit.as_str())).collect();
    assert_eq!(
        units,
        [
            ("g/bandwidth", "GB/s"),
            ("g/bandwidth/read", "GB/s"),
            ("g/bare", "(null)"),
            ("g/bytes", "bytes"),
            ("g/count", "count"),
            ("g/time", "ns"),
        ]
    );
    let tracks = loaded.tracks();
    let total = tracks.iter().find(|track| track.path == "g/bandwidth").expect("it has a sample");
    assert_eq!(total.args["description"], "of all engines");
}

#[test]
fn counter_values_of_all_types_are_exact_as_doubles() {
    let oracle = oracle_or_skip!();
    let (bytes, _) = written(TraceGenerator::builder(), |trace| {
        let counter = trace.group("g").counter("c");
        counter.count(0, i64::MIN).expect("recordable");
        counter.count(1, -1i8).expect("recordable");
        counter.count(2, true).expect("recordable");
        counter.count(3, 1u64 << 53).expect("recordable");
        counter.count(4, i64::MAX.cast_unsigned() + 1).expect("recordable");
        counter.count(5, u64::MAX).expect("recordable");
        counter.count(6, 0.1).expect("recordable");
        counter.count(7, 0.5f32).expect("recordable");
        counter.count(8, -0.0).expect("recordable");
        counter.count(9, f64::MIN_POSITIVE).expect("recordable");
        counter.count(10, f64::MAX).expect("recordable");
    });
    let values: Vec<u64> =
        loaded(&oracle, &bytes).counters().iter().map(|sample| sample.value.to_bits()).collect();
    let recorded = [
        -9_223_372_036_854_775_808.0,
        -1.0,
        1.0,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_808.0,
        18_446_744_073_709_551_615.0,
        0.1,
        0.5,
        0.0, // the sign is lost in the trace processor's SQL
        f64::MIN_POSITIVE,
        f64::MAX,
    ];
    assert_eq!(values, recorded.map(f64::to_bits));
    let minus_zero = [0xE1, 0x02, 0, 0, 0, 0, 0, 0, 0, 0x80];
    assert!(bytes.windows(minus_zero.len()).any(|field| field == minus_zero));
}

#[test]
fn three_hundred_tracks_keep_their_events_apart() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let group = trace.group("g");
        for round in 0..2 {
            for at in 0..300u64 {
                let track = group.track(&format!("t{at}"));
                let name = format!("e{at}");
                let slice = track.duration(at + round * 1_000, 5, &name);
                slice.arg("at", at).emit().expect("recordable");
            }
        }
    });
    let found: HashSet<String> = rows(&loaded).into_iter().collect();
    let recorded: HashSet<String> = (0..2)
        .flat_map(|round| (0..300).map(move |at| (at, at + round * 1_000)))
        .map(|(at, start)| format!("g/t{at} {start}+5 e{at} [default] {{at={at}}}"))
        .collect();
    assert_eq!(found, recorded);
    assert_eq!(loaded.tracks().len(), 301);
}

#[test]
fn times_are_nanoseconds_seconds_or_cycles() {
    let oracle = oracle_or_skip!();
    let core = Frequency::from_hz(3_000_000_000).expect("not zero");
    let (bytes, _) = written(TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        track.duration(10u64, 5, "ns").emit().expect("recordable");
        track.duration(15i32, 5, "i32").emit().expect("recordable");
        let seconds = track.duration(Seconds(1e-6), Seconds(0.5e-6), "seconds");
        seconds.emit().expect("recordable");
        // A third of a nanosecond each: rounded from the sum, so that they abut.
        for at in 0..3 {
            let cycles = track.duration(core.cycles(6_001 + at * 4), core.cycles(4), "cycles");
            cycles.emit().expect("recordable");
        }
        track.instant(i64::MAX, "the last").emit().expect("recordable");
    });
    assert_eq!(
        rows(&loaded(&oracle, &bytes)),
        [
            "g/t 10+5 ns [default] {}",
            "g/t 15+5 i32 [default] {}",
            "g/t 1000+500 seconds [default] {}",
            "g/t 2000+2 cycles [default] {}",
            "g/t 2002+1 cycles [default] {}",
            "g/t 2003+1 cycles [default] {}",
            "g/t 9223372036854775807+0 the last [default] {}",
        ]
    );
}

/// From 78 levels on the trace processor ends the whole trace, and from 98 on it drops what is there.
#[test]
fn groups_and_counters_of_any_depth_are_shown_and_harm_no_others() {
    let oracle = oracle_or_skip!();
    let (loaded, stats) = super::support::read(&oracle, TraceGenerator::builder(), |trace| {
        trace.track("at the top").instant(0, "other").emit().expect("possible");
        let mut group = trace.group("0").group("1");
        let mut counter = trace.counter("c0");
        for level in 2..500 {
            group = group.group(&level.to_string());
            counter = counter.counter(&format!("c{level}"));
        }
        group.track("leaf").duration(1, 2, "deep").emit().expect("possible");
        counter.count(3, 4).expect("possible");
    });
    assert_eq!(stats.events, 3);
    let slices = loaded.slices();
    let names: Vec<_> = slices.iter().map(|slice| slice.name.as_deref()).collect();
    assert_eq!(names, [Some("other"), Some("deep")]);
    assert!(slices[1].track.ends_with("498 › 499 › leaf"), "{}", slices[1].track);
    assert_eq!(loaded.counters().iter().map(|sample| sample.value).collect::<Vec<_>>(), [4.0]);
}
