//! Lateness: open slices over many windows, flushes, late events, and traces that end early.

use novatrace::{TraceBuilder, TraceGenerator};
use novatrace_testkit::{Loaded, Slice, oracle_or_skip};

use super::support::{Memory, loaded, written};
use super::{rows, samples, traced};

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
    let loaded = loaded(&oracle, &bytes);
    let mut recorded: Vec<String> = (0..20)
        .map(|at| format!("g/t {at}+{} s [default] {{at={at}}}", 3_000 + at * 7 % 20 - at))
        .collect();
    recorded.sort();
    let found = sorted(&loaded).into_iter().filter(|row| row.starts_with("g/t "));
    assert_eq!(found.collect::<Vec<_>>(), recorded);
    assert_eq!(loaded.slices().len(), 220);
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
                loaded(&oracle, &memory.bytes()).slices().len(),
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
    let loaded = loaded(&oracle, &bytes);
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
    let loaded = loaded(&oracle, &bytes);
    let slices = loaded.slices();
    assert!(slices.iter().all(|slice: &Slice| slice.depth == 0 && slice.track == "g/t"));
    assert_ne!(slices[0].track_id, slices[1].track_id);
    assert_eq!(slices[0].track_id, slices[2].track_id);
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
