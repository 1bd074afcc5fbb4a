//! Many threads, many traces, and `finish` in the middle of it.

mod batches;

use std::sync::atomic::{AtomicU64, Ordering};

use batches::Memory;
use novatrace::{
    CounterTrack, Error, FlowId, Group, GroupTrack, Name, NormalTrack, OpenSlice, Stats,
    TraceBuilder, TraceGenerator,
};

#[test]
fn handles_can_go_to_any_thread() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    // Ended once, so that there is no clone.
    fn check_open<T: Send + Sync + 'static>() {}
    check::<TraceGenerator>();
    check::<Group>();
    check::<GroupTrack>();
    check::<NormalTrack>();
    check::<CounterTrack>();
    check::<TraceBuilder>();
    check::<Name>();
    check::<FlowId>();
    check::<Stats>();
    check::<Error>();
    check_open::<OpenSlice>();
}

#[test]
fn sixteen_threads_make_and_finish_traces_at_once() {
    let shared: Vec<TraceGenerator> = (0..16)
        .map(|_| TraceGenerator::builder().sink(Memory::default()).expect("a trace"))
        .collect();
    let accepted: Vec<AtomicU64> = shared.iter().map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (shared, accepted) = (&shared, &accepted);
            scope.spawn(move || {
                for round in 0..16 {
                    // Everybody records into everybody's, while their owners finish them.
                    for (trace, accepted) in shared.iter().zip(accepted) {
                        let track = trace.group("g").track("t");
                        if track.instant(1, "i").emit().is_ok() {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    let own = TraceGenerator::builder().ring_bytes(4096).sink(Memory::default());
                    let own = own.expect("a trace");
                    own.group("g").track("t").instant(1, "i").emit().expect("open");
                    if round % 2 == 0 {
                        assert_eq!(own.finish().expect("memory takes all").events, 1);
                    }
                    if round == thread {
                        shared[thread].finish().expect("memory takes all");
                    }
                }
            });
        }
    });
    for (trace, accepted) in shared.iter().zip(accepted) {
        assert_eq!(trace.finish().expect("memory takes all").events, accepted.into_inner());
    }
}

#[test]
fn flush_and_finish_may_be_asked_for_by_many_at_once() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (trace, track) = (trace.clone(), track.clone());
            scope.spawn(move || {
                for at in 0..50 {
                    track.instant(at, "i").emit().expect("open");
                    trace.flush().expect("memory takes all");
                    assert!(trace.stats().events > at);
                }
                drop((trace, thread));
            });
        }
    });
    let finishes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| trace.finish())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    for stats in finishes {
        assert_eq!(stats.expect("memory takes all").events, 400);
    }
}

#[test]
fn what_a_call_accepted_is_counted_even_when_finish_races_with_it() {
    for _ in 0..30 {
        let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
        let accepted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (track, accepted) = (trace.group("g").track(&thread.to_string()), &accepted);
                scope.spawn(move || {
                    for at in 0.. {
                        if track.duration(at * 10, 5, "a").emit().is_err() {
                            break;
                        }
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while accepted.load(Ordering::Relaxed) < 2_000 {
                std::thread::yield_now();
            }
            trace.finish().expect("memory takes all");
        });
        let stats = trace.stats();
        assert_eq!(stats.events, accepted.into_inner());
        assert_eq!(stats.dropped, 0);
    }
}

#[test]
fn thousands_of_short_threads_lose_nothing() {
    let trace =
        TraceGenerator::builder().ring_bytes(4096).sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    for block in 0..40u64 {
        std::thread::scope(|scope| {
            for thread in 0..50u64 {
                let track = &track;
                scope.spawn(move || track.instant(block * 50 + thread, "i").emit().expect("open"));
            }
        });
    }
    assert_eq!(trace.finish().expect("memory takes all").events, 2_000);
}

#[test]
fn one_thread_records_into_several_traces() {
    let traces: Vec<TraceGenerator> = (0..8)
        .map(|_| TraceGenerator::builder().sink(Memory::default()).expect("a trace"))
        .collect();
    let tracks: Vec<NormalTrack> = traces.iter().map(|trace| trace.group("g").track("t")).collect();
    for at in 0..1_000u64 {
        for track in &tracks {
            track.duration(at * 10, 5, "a").emit().expect("open");
        }
    }
    for trace in traces {
        assert_eq!(trace.finish().expect("memory takes all").events, 1_000);
    }
}

#[test]
fn a_thread_can_record_while_its_locals_are_destroyed() {
    struct Last(NormalTrack);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.instant(2, "in a destructor").arg("text", "copied").emit().expect("open");
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    // Once with the local made before novatrace's own, once after: one of them outlives those.
    for first in [true, false] {
        let track = track.clone();
        let thread = std::thread::spawn(move || {
            if first {
                LAST.set(Some(Last(track.clone())));
            }
            track.instant(1, "before").emit().expect("open");
            LAST.set(Some(Last(track.clone())));
        });
        thread.join().expect("no panic");
    }
    // Setting it twice drops the first value too.
    assert_eq!(trace.finish().expect("memory takes all").events, 5);
}

/// Calls `record` with 0 to `events` in that order, each on the thread that `whose` says.
fn in_turns(
    threads: u64,
    events: u64,
    whose: impl Fn(u64) -> u64 + Sync,
    record: impl Fn(u64) + Sync,
) {
    let turn = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (turn, whose, record) = (&turn, &whose, &record);
            scope.spawn(move || {
                for at in (0..events).filter(|at| whose(*at) == thread) {
                    while turn.load(Ordering::Acquire) != at {
                        std::thread::yield_now();
                    }
                    record(at);
                    turn.store(at + 1, Ordering::Release);
                }
            });
        }
    });
}

#[test]
fn threads_that_take_turns_on_one_track_need_no_lane() {
    let whose: [fn(u64) -> u64; 3] = [|at| at % 3, |at| at / 700, |at| at * at / 7 % 3];
    for window in [0, 1, 100, 1 << 14] {
        for whose in whose {
            let builder = TraceGenerator::builder().window(window).ring_bytes(1 << 16);
            let trace = builder.sink(Memory::default()).expect("a trace");
            let track = trace.group("g").track("t");
            in_turns(3, 2_100, whose, |at| {
                track.duration(at * 10, 10, "turn").emit().expect("open");
            });
            assert_eq!(trace.finish().expect("memory takes all").lanes, 0, "window {window}");
        }
    }
}

#[test]
fn slices_late_within_the_window_need_no_lane_whichever_thread_calls() {
    for window in [1, 7, 100] {
        let builder = TraceGenerator::builder().window(window);
        let trace = builder.sink(Memory::default()).expect("a trace");
        let track = trace.group("g").track("t");
        in_turns(
            2,
            2_000,
            |at| at / 3 % 2,
            |at| {
                // Each block of window + 1 events backwards.
                let block = window as u64 + 1;
                let place = at / block * block + (block - 1 - at % block);
                track.duration(place * 10, 10, "late").emit().expect("open");
            },
        );
        assert_eq!(trace.finish().expect("memory takes all").lanes, 0, "window {window}");
    }
}

#[test]
fn a_backlog_of_one_thread_does_not_make_another_late() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    let others = trace.group("g").track("u");
    // More than the window in each ring at once, and in turns: first one thread, then the other.
    for round in 0..5 {
        in_turns(
            2,
            2,
            |at| at,
            |at| {
                for place in 0..20_000 {
                    let time = ((round * 2 + at) * 20_000 + place) * 10;
                    track.duration(time, 10, "slice").emit().expect("open");
                    if place % 2 == 0 {
                        others.instant(time, "instant").emit().expect("open");
                    }
                }
            },
        );
    }
    assert_eq!(trace.finish().expect("memory takes all").lanes, 0);
}
