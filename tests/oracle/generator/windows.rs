//! Lateness: open slices over many windows, flushes, late events, and traces that end early.

use novatrace::{TraceBuilder, TraceGenerator};
use novatrace_testkit::{Loaded, Slice, oracle_or_skip};

use super::{Memory, read, rows, samples, traced, written};

/// As [`rows`], in order of text: events on lanes have no other order.
fn sorted(loaded: &Loaded) -> Vec<String> {
    let mut rows = rows(loaded);
    rows.sort();
    rows
}

fn small_window() -> TraceBuilder {
    TraceGenerator::builder().window(4)
}

#[test]
fn a_slice_held_open_over_many_windows_holds_all_its_children() {
    let oracle = oracle_or_skip!();
    let (bytes, stats) = written(small_window(), |trace| {
        let track = trace.group("g").track("t");
        track.duration(0, 10, "before").emit().expect("recordable");
        let open = track.slice(10, "held").arg("a", 1).begin().expect("recordable");
        for at in 0..1_000 {
            track.duration(20 + at * 10, 10, "child").arg("at", at).emit().expect("recordable");
        }
        open.end(10_100).expect("after its begin");
        track.duration(10_100, 10, "after").emit().expect("recordable");
    });
    assert_eq!(stats.events, 1_003);
    let mut recorded: Vec<_> = (0..1_000)
        .map(|at| format!("g/t {}+10 child [default] {{at={at}}}", 20 + at * 10))
        .chain([
            "g/t 0+10 before [default] {}".to_owned(),
            "g/t 10+10090 held [default] {a=1}".to_owned(),
            "g/t 10100+10 after [default] {}".to_owned(),
        ])
        .collect();
    recorded.sort();
    assert_eq!(sorted(&read(&oracle, &bytes)), recorded);
}

#[test]
fn slices_held_open_over_one_another_keep_their_own_ends_and_arguments() {
    let oracle = oracle_or_skip!();
    let (bytes, _) = written(small_window(), |trace| {
        let (track, other) = (trace.group("g").track("t"), trace.group("g").track("u"));
        let mut open = vec![];
        for at in 0..20u64 {
            open.push(track.slice(at, "s").arg("at", at).begin().expect("recordable"));
            for beat in 0..10 {
                let time = 100 * at + beat;
                other.duration(time, 1, "beat").emit().expect("recordable");
            }
        }
        // Their ends are in no order, so that they neither nest nor follow one another.
        for (at, slice) in (0..20u64).zip(open) {
            slice.end(3_000 + at * 7 % 20).expect("after its begin");
        }
    });
    let loaded = read(&oracle, &bytes);
    let mut recorded: Vec<String> = (0..20)
        .map(|at| format!("g/t {at}+{} s [default] {{at={at}}}", 3_000 + at * 7 % 20 - at))
        .collect();
    recorded.sort();
    let found = sorted(&loaded).into_iter().filter(|row| row.starts_with("g/t "));
    assert_eq!(found.collect::<Vec<_>>(), recorded);
    assert_eq!(loaded.slices().len(), 220);
}

#[test]
fn a_flush_in_the_middle_loses_neither_open_slices_nor_late_children() {
    let oracle = oracle_or_skip!();
    let (bytes, stats) = written(TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        let open = track.slice(0, "open").arg("a", 1).begin().expect("recordable");
        track.duration(50, 10, "early child").emit().expect("recordable");
        trace.flush().expect("memory takes all");
        // Before, around and beside what has been written.
        track.duration(10, 10, "late child").emit().expect("recordable");
        track.duration(40, 30, "late parent").emit().expect("recordable");
        track.duration(55, 10, "crosses").emit().expect("recordable");
        track.duration(80, 10, "in time").emit().expect("recordable");
        trace.flush().expect("memory takes all");
        open.end(100).expect("after its begin");
        track.instant(5, "late instant").emit().expect("recordable");
    });
    assert_eq!(stats.events, 7);
    assert_eq!(
        sorted(&read(&oracle, &bytes)),
        [
            "g/t 0+100 open [default] {a=1}",
            "g/t 10+10 late child [default] {}",
            "g/t 40+30 late parent [default] {}",
            "g/t 5+0 late instant [default] {}",
            "g/t 50+10 early child [default] {}",
            "g/t 55+10 crosses [default] {}",
            "g/t 80+10 in time [default] {}",
        ]
    );
}

#[test]
fn after_a_flush_the_sink_has_all_that_was_recorded() {
    let oracle = oracle_or_skip!();
    let memory = Memory::default();
    let trace = TraceGenerator::builder().sink(memory.clone()).expect("a thread can be started");
    let track = trace.group("g").track("t");
    for at in 0..100 {
        track.duration(at * 10, 10, "s").emit().expect("recordable");
        if at % 25 == 24 {
            trace.flush().expect("memory takes all");
            assert_eq!(
                read(&oracle, &memory.bytes()).slices().len(),
                usize::try_from(at + 1).expect("small")
            );
        }
    }
}

#[test]
fn events_far_beyond_the_window_are_exact_on_lanes_of_one_row() {
    let oracle = oracle_or_skip!();
    let (bytes, stats) = written(small_window(), |trace| {
        let group = trace.group("g");
        let (track, counter) = (group.track("t"), group.counter("c"));
        // From the last to the first: each is later than the one before.
        for at in (0..200).rev() {
            track.duration(at * 10, 15, "s").arg("at", at).emit().expect("recordable");
            counter.count(at * 10, at).expect("recordable");
        }
    });
    assert!(stats.lanes > 0);
    let loaded = read(&oracle, &bytes);
    let mut recorded: Vec<String> =
        (0..200).map(|at| format!("g/t {}+15 s [default] {{at={at}}}", at * 10)).collect();
    recorded.sort();
    assert_eq!(sorted(&loaded), recorded);
    let values: Vec<String> = (0..200).map(|at| format!("g/c {}={at}.0", at * 10)).collect();
    assert_eq!(samples(&loaded), values);
}

#[test]
fn lanes_hold_slices_that_overlap_and_the_rest_stays_on_one_track() {
    let oracle = oracle_or_skip!();
    let (bytes, stats) = written(TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        track.duration(0, 10, "a").emit().expect("recordable");
        track.duration(5, 10, "b").emit().expect("recordable");
        track.duration(15, 10, "c").emit().expect("recordable");
    });
    assert_eq!(stats.lanes, 1);
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    assert!(slices.iter().all(|slice: &Slice| slice.depth == 0 && slice.track == "g/t"));
    assert_ne!(slices[0].track_id, slices[1].track_id);
    assert_eq!(slices[0].track_id, slices[2].track_id);
}

#[test]
fn two_traces_joined_have_the_rows_of_both() {
    let oracle = oracle_or_skip!();
    let record = |which: i64| {
        move |trace: &TraceGenerator| {
            for at in 0..150 {
                let track = trace.group("g").track(&format!("t{at}"));
                let name = format!("{which}/{at}");
                let slice = track.duration(at * 10 + which, 5, &name).arg("which", which);
                slice.emit().expect("recordable");
            }
            trace.group("g").counter("c").count(which, which).expect("recordable");
        }
    };
    let (mut bytes, _) = written(TraceGenerator::builder(), record(1));
    bytes.extend(written(TraceGenerator::builder(), record(2)).0);
    let loaded = read(&oracle, &bytes);
    let row = |which: i64, at: i64| {
        format!("g/t{at} {}+5 {which}/{at} [default] {{which={which}}}", at * 10 + which)
    };
    let mut recorded: Vec<String> = (0..150).flat_map(|at| [row(1, at), row(2, at)]).collect();
    recorded.sort();
    assert_eq!(sorted(&loaded), recorded);
    assert_eq!(samples(&loaded), ["g/c 1=1.0", "g/c 2=2.0"]);
}

#[test]
fn a_trace_that_is_dropped_without_finish_is_complete() {
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("dropped.pftrace");
    let trace = TraceGenerator::create(&path).expect("writable");
    let track = trace.group("g").track("t");
    let _open = track.begin(0, "open").expect("recordable");
    track.duration(10, 10, "s").emit().expect("recordable");
    let clone = trace.clone();
    drop(trace);
    track.duration(20, 10, "through a clone").emit().expect("recordable");
    drop(clone);
    assert!(track.instant(30, "too late").emit().is_err());
    let loaded = oracle.load(&path).expect("the trace processor takes it");
    loaded.assert_healthy();
    assert_eq!(
        rows(&loaded),
        [
            "g/t 0+30 open [default] {}",
            "g/t 10+10 s [default] {}",
            "g/t 20+10 through a clone [default] {}",
        ]
    );
}

#[test]
fn a_trace_of_nothing_is_a_healthy_file() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        // A track that has no events is not written.
        let _track = trace.group("g").track("t");
    });
    assert_eq!((loaded.slices(), loaded.tracks()), (vec![], vec![]));
}
