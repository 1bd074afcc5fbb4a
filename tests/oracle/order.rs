//! Slices that touch, nest deeply or overlap in chains; events that come late; slices held open.

mod support;

use novatrace::{ErrorKind, OpenSlices, Overlap, TraceBuilder, TraceGenerator};
use novatrace_testkit::{Loaded, oracle_or_skip};

/// Track, name, start and length of each slice, in order.
fn rows(loaded: &Loaded) -> Vec<(String, String, i64, i64)> {
    let slices = loaded.slices();
    let rows = slices.iter().map(|slice| {
        let name = slice.name.clone().unwrap_or_default();
        (slice.track.clone(), name, slice.ts, slice.dur)
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

fn row(track: &str, name: &str, start: i64, length: i64) -> (String, String, i64, i64) {
    (track.to_owned(), name.to_owned(), start, length)
}

#[test]
fn slices_nested_deeper_than_the_viewer_keeps_go_on_on_a_lane() {
    let oracle = oracle_or_skip!();
    for (order, equal_starts) in [(0, false), (1, false), (0, true), (1, true)] {
        let (loaded, stats) = support::read(&oracle, TraceGenerator::builder(), |trace| {
            let track = trace.group("g").track("t");
            let mut levels: Vec<u64> = (0..600).collect();
            if order == 1 {
                levels.reverse();
            }
            for level in levels {
                let start = if equal_starts { 0 } else { level };
                let name = level.to_string();
                track.duration(start, 2_000 - level - start, &name).emit().expect("possible");
            }
        });
        assert_eq!(stats.lanes, 1);
        let mut expected: Vec<_> = (0..600_i64)
            .map(|level| {
                let start = if equal_starts { 0 } else { level };
                row("g/t", &level.to_string(), start, 2_000 - level - start)
            })
            .collect();
        expected.sort();
        assert_eq!(rows(&loaded), expected);
        let deepest = loaded.slices().iter().map(|slice| slice.depth).max();
        assert!(deepest.is_some_and(|depth| (400..512).contains(&depth)), "{deepest:?}");
    }
}

#[test]
fn instants_inside_of_the_deepest_slices_are_kept() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        for level in 0..500_u64 {
            track.duration(level, 2_000 - 2 * level, "level").emit().expect("possible");
        }
        for at in 0..100_u64 {
            track.instant(900, "instant").arg("at", at).emit().expect("possible");
        }
    });
    let slices = loaded.slices();
    assert_eq!(slices.len(), 600);
    let instants = slices.iter().filter(|slice| slice.name.as_deref() == Some("instant"));
    assert!(instants.clone().all(|instant| (instant.ts, instant.dur) == (900, 0)));
    assert_eq!(instants.count(), 100);
}

#[test]
fn a_chain_of_overlaps_alternates_between_two_lanes_of_one_row() {
    let oracle = oracle_or_skip!();
    let slices: Vec<(u64, String)> = (0..200).map(|at| (at * 10, format!("s{at}"))).collect();
    for reversed in [false, true] {
        let (loaded, stats) = support::read(&oracle, TraceGenerator::builder(), |trace| {
            let track = trace.group("g").track("t");
            let mut slices = slices.clone();
            if reversed {
                slices.reverse();
            }
            for (start, name) in &slices {
                track.duration(*start, 15, name).emit().expect("possible");
            }
        });
        assert_eq!(stats.lanes, 1);
        let mut expected: Vec<_> =
            slices.iter().map(|(start, name)| row("g/t", name, start.cast_signed(), 15)).collect();
        expected.sort();
        assert_eq!(rows(&loaded), expected);
        // One row in the viewer: both lanes are of one group of merged siblings.
        let groups = loaded.query(
            "select count(*) as lanes, count(distinct track_group_id) as rows from track \
             where name = 't'",
        );
        assert_eq!((groups[0].i64("lanes"), groups[0].i64("rows")), (2, 1));
    }
}

/// What comes later than the window is put on a lane, whatever else it meets.
#[test]
fn slices_beyond_the_window_are_never_drawn_wrong() {
    let oracle = oracle_or_skip!();
    for window in [0, 1, 2, 10] {
        let builder = TraceGenerator::builder().window(window);
        let mut expected = vec![];
        let (loaded, _) = support::read(&oracle, builder, |trace| {
            let track = trace.group("g").track("t");
            let mut emit = |start: u32, length: u32, name: &str| {
                track.duration(start, length, name).emit().expect("possible");
                expected.push(row("g/t", name, start.into(), length.into()));
            };
            for round in 0..50 {
                let at = 10_000 - round * 100;
                emit(at, 100, "backwards");
                emit(at + 20, 30, "inside");
                emit(at, 0, "empty");
                emit(at + 40, 30, "crossing");
                emit(20_000 + round, 1, "forwards");
            }
            emit(0, 50_000, "around all of it");
            emit(0, 0, "before all of it");
        });
        expected.sort();
        assert_eq!(rows(&loaded), expected, "window {window}");
    }
}

#[test]
fn what_is_late_by_no_more_than_the_window_takes_no_lane() {
    let oracle = oracle_or_skip!();
    for window in [0_usize, 1, 5, 100] {
        let builder = TraceGenerator::builder().window(window);
        let (loaded, stats) = support::read(&oracle, builder, |trace| {
            let track = trace.group("g").track("t");
            let mut slices: Vec<u64> = (0..1_000).collect();
            // The last of each block comes first, late by `window`.
            slices.chunks_mut(window + 1).for_each(<[u64]>::reverse);
            for at in slices {
                track.duration(at * 10, 10, "slice").emit().expect("possible");
            }
        });
        assert_eq!(stats.lanes, 0, "window {window}");
        let expected: Vec<_> = (0..1_000).map(|at| row("g/t", "slice", at * 10, 10)).collect();
        assert_eq!(rows(&loaded), expected);
    }
}

#[test]
fn the_window_holds_for_slices_of_equal_start_too() {
    let trace = TraceGenerator::builder().window(7).sink(support::Memory::default());
    let trace = trace.expect("a trace");
    let (track, other) = (trace.group("g").track("t"), trace.group("g").track("u"));
    let fill = |events: u64| {
        (0..events).for_each(|at| other.instant(at, "fill").emit().expect("possible"));
    };
    fill(7);
    track.duration(100, 900, "around").emit().expect("possible"); // and a drain
    fill(7);
    track.duration(100, 10, "inside").emit().expect("possible"); // and another
    track.duration(100, 20, "late by one").emit().expect("possible");
    assert_eq!(trace.finish().expect("memory takes all").lanes, 0);
}

#[test]
fn a_slice_held_open_over_many_windows_takes_one_lane_at_most() {
    let oracle = oracle_or_skip!();
    for window in [0, 4, 1 << 14] {
        let builder = TraceGenerator::builder().window(window);
        let (loaded, stats) = support::read(&oracle, builder, |trace| {
            let track = trace.group("g").track("t");
            track.duration(0, 5, "before").emit().expect("possible");
            let open = track.begin(10, "open").expect("possible");
            for at in 2..500_u64 {
                track.duration(at * 10, 10, "slice").emit().expect("possible");
            }
            track.instant(300, "instant").emit().expect("possible");
            open.end(5_000).expect("after its begin");
            track.duration(5_000, 5, "after").emit().expect("possible");
        });
        assert!(stats.lanes <= 1, "window {window}: {stats:?}");
        let mut expected: Vec<_> = (2..500).map(|at| row("g/t", "slice", at * 10, 10)).collect();
        expected.push(row("g/t", "before", 0, 5));
        expected.push(row("g/t", "open", 10, 4_990));
        expected.push(row("g/t", "instant", 300, 0));
        expected.push(row("g/t", "after", 5_000, 5));
        expected.sort();
        assert_eq!(rows(&loaded), expected, "window {window}");
    }
}

#[test]
fn a_flush_with_open_slices_and_late_children_draws_all_where_it_belongs() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        track.duration(0, 100, "parent").emit().expect("possible");
        let open = track.begin(5, "open").expect("possible");
        track.duration(50, 10, "early").emit().expect("possible");
        trace.flush().expect("memory takes all");
        track.duration(10, 20, "late child").emit().expect("possible");
        track.duration(3, 1, "too late child").emit().expect("possible");
        track.instant(1, "late instant").emit().expect("possible");
        track.duration(40, 30, "around what was early").emit().expect("possible");
        track.duration(55, 10, "crosses it").emit().expect("possible");
        trace.flush().expect("memory takes all");
        trace.flush().expect("memory takes all");
        open.end(50).expect("after its begin");
        track.duration(60, 40, "to the parent's end").emit().expect("possible");
        track.duration(100, 0, "at the parent's end").emit().expect("possible");
        track.duration(100, 10, "after").emit().expect("possible");
    });
    let mut expected = vec![
        row("g/t", "parent", 0, 100),
        row("g/t", "open", 5, 45),
        row("g/t", "early", 50, 10),
        row("g/t", "around what was early", 40, 30),
        row("g/t", "crosses it", 55, 10),
        row("g/t", "late child", 10, 20),
        row("g/t", "too late child", 3, 1),
        row("g/t", "late instant", 1, 0),
        row("g/t", "to the parent's end", 60, 40),
        row("g/t", "at the parent's end", 100, 0),
        row("g/t", "after", 100, 10),
    ];
    expected.sort();
    assert_eq!(rows(&loaded), expected);
}

#[test]
fn slices_left_open_keep_the_rest_right_however_they_nest() {
    let oracle = oracle_or_skip!();
    for (policy, flush) in [
        (OpenSlices::Close, false),
        (OpenSlices::Close, true),
        (OpenSlices::Leave, false),
        (OpenSlices::Leave, true),
    ] {
        let builder = TraceGenerator::builder().open_slices(policy);
        let (loaded, stats) = support::read(&oracle, builder, |trace| {
            let (track, other) = (trace.group("g").track("t"), trace.group("g").track("u"));
            let outer = track.begin(10, "outer").expect("possible");
            let inner = track.begin(20, "inner").expect("possible");
            track.duration(30, 10, "child").emit().expect("possible");
            if flush {
                trace.flush().expect("memory takes all");
            }
            track.duration(60, 10, "later child").emit().expect("possible");
            other.duration(0, 1_000, "the last time").emit().expect("possible");
            drop((outer, inner));
        });
        assert_eq!(stats.left_open, 2);
        let length = |start: i64| if policy == OpenSlices::Close { 1_000 - start } else { -1 };
        let mut expected = vec![
            row("g/t", "outer", 10, length(10)),
            row("g/t", "inner", 20, length(20)),
            row("g/t", "child", 30, 10),
            row("g/t", "later child", 60, 10),
            row("g/u", "the last time", 0, 1_000),
        ];
        expected.sort();
        assert_eq!(rows(&loaded), expected, "{policy:?} {flush}");
    }
}

#[test]
fn a_slice_begun_on_one_thread_and_ended_on_another_has_its_length() {
    let oracle = oracle_or_skip!();
    let (loaded, stats) = support::read(&oracle, TraceGenerator::builder().window(3), |trace| {
        let track = trace.group("g").track("t");
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let from = track.clone();
            scope.spawn(move || {
                for at in 0..500_u64 {
                    let slice = from.slice(at * 10, "slice").arg("at", at).begin();
                    sender.send((at, slice.expect("possible"))).expect("the other side listens");
                }
            });
            scope.spawn(move || {
                for (at, slice) in receiver {
                    slice.end(at * 10 + at % 10).expect("after its begin");
                }
            });
        });
    });
    assert_eq!((stats.events, stats.left_open), (500, 0));
    let slices = loaded.slices();
    assert_eq!(slices.len(), 500);
    for (at, slice) in (0..500_i64).zip(&slices) {
        assert_eq!((slice.ts, slice.dur), (at * 10, at % 10));
        assert_eq!(slice.args["at"], at);
    }
}

/// A dependency that takes no time: the producer is recorded first, on a track that is made later.
#[test]
fn an_arrow_between_two_tracks_at_one_time_leads_from_the_first_recorded_to_the_second() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let (consumers, producers) = (trace.group("g").track("c"), trace.group("g").track("p"));
        consumers.duration(0, 10, "earlier").emit().expect("possible");
        let flow = trace.flow();
        producers.duration(100, 10, "producer").flow(flow).emit().expect("possible");
        consumers.duration(100, 10, "consumer").flow_end(flow).emit().expect("possible");
    });
    let slices = loaded.slices();
    let name = |id: i64| {
        let slice = slices.iter().find(|slice| slice.id == id).expect("a slice");
        slice.name.clone().unwrap_or_default()
    };
    let arrows: Vec<_> =
        loaded.flows().iter().map(|flow| (name(flow.slice_out), name(flow.slice_in))).collect();
    assert_eq!(arrows, [("producer".to_owned(), "consumer".to_owned())]);
}

/// Recorded until the first error, which `finish` tells.
fn refused(builder: TraceBuilder, slices: &[(u64, u64, &str)]) -> (String, u64, Vec<u8>) {
    let memory = support::Memory::default();
    let trace = builder.overlap(Overlap::Refuse).sink(memory.clone()).expect("a trace");
    let track = trace.group("Die:0").track("XPU:0");
    for (start, end, name) in slices {
        track.duration(*start, end - start, *name).emit().expect("told by finish");
    }
    let error = trace.finish().expect_err("an engine does one thing at a time");
    assert!(matches!(error.kind(), ErrorKind::Overlap { .. } | ErrorKind::Late { .. }), "{error}");
    (error.to_string(), trace.stats().refused, memory.bytes())
}

#[test]
fn refused_slices_are_told_and_missing_and_the_rest_is_there() {
    let oracle = oracle_or_skip!();
    let slices = [
        (0, 100, "a"),
        (10, 20, "b"),
        (15, 25, "c"),
        (20, 30, "d"),
        (50, 150, "e"),
        (100, 110, "f"),
    ];
    let (message, refused_slices, bytes) = refused(TraceGenerator::builder(), &slices);
    assert_eq!(
        message,
        "slices overlap on track `XPU:0`: `b` from 10 to 20 ns, and `c` from 15 to 25 ns, which \
         is left out"
    );
    assert_eq!(refused_slices, 2);
    let loaded = support::loaded(&oracle, &bytes);
    let expected = [("a", 0, 100), ("b", 10, 10), ("d", 20, 10), ("f", 100, 10)];
    let expected = expected.map(|(name, start, length)| row("Die:0/XPU:0", name, start, length));
    assert_eq!(rows(&loaded), expected);

    let slices = [(100, 110, "a"), (200, 210, "b"), (300, 310, "c"), (50, 60, "late")];
    let (message, refused_slices, bytes) = refused(TraceGenerator::builder().window(0), &slices);
    assert_eq!(
        message,
        "slice `late` from 50 to 60 ns on track `XPU:0` came after slices up to 200 ns were \
         written, and is left out; a larger window allows for it"
    );
    assert_eq!(refused_slices, 1);
    let loaded = support::loaded(&oracle, &bytes);
    assert_eq!(loaded.slices().len(), 3);
}

#[test]
fn events_of_eight_threads_on_shared_and_own_tracks_are_all_there() {
    let oracle = oracle_or_skip!();
    let builder = TraceGenerator::builder().ring_bytes(4096).window(64);
    let (loaded, stats) = support::read(&oracle, builder, |trace| {
        let shared = trace.group("g").track("shared");
        let counter = trace.group("g").counter("shared");
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let own = trace.group("g").track(&format!("own {thread}"));
                let (shared, counter) = (&shared, &counter);
                scope.spawn(move || {
                    for at in 0..300_u64 {
                        let event = own.duration(at * 10, 10, "own").arg("at", at);
                        event.emit().expect("possible");
                        let event = shared.duration(at * 10 + thread, 8, "shared");
                        event.arg("thread", thread).arg("at", at).emit().expect("possible");
                        counter.count(at * 10 + thread, thread).expect("possible");
                    }
                });
            }
        });
    });
    assert_eq!(stats.events, 8 * 900);
    let slices = loaded.slices();
    assert_eq!(slices.len(), 8 * 600);
    let mut found: Vec<(u64, u64)> = vec![];
    for slice in &slices {
        let at = slice.args["at"].as_i64().expect("a number");
        if let Some(thread) = slice.args.get("thread").and_then(novatrace_testkit::Value::as_i64) {
            assert_eq!((slice.track.as_str(), slice.dur), ("g/shared", 8));
            assert_eq!(slice.ts, at * 10 + thread);
            found.push((thread.cast_unsigned(), at.cast_unsigned()));
        } else {
            assert_eq!((slice.ts, slice.dur), (at * 10, 10));
        }
    }
    found.sort_unstable();
    let expected: Vec<_> = (0..8).flat_map(|thread| (0..300).map(move |at| (thread, at))).collect();
    assert_eq!(found, expected);
    for thread in 0..8 {
        let own = format!("g/own {thread}");
        assert_eq!(slices.iter().filter(|slice| slice.track == own).count(), 300);
    }
    let counters = loaded.counters();
    assert_eq!(counters.len(), 2_400);
    assert!(
        counters
            .iter()
            .all(|sample| format!("{:.1}", sample.value) == format!("{}.0", sample.ts % 10))
    );
}
