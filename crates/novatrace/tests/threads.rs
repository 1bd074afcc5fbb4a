//! Many threads, many traces, and `finish` in the middle of it.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};

use common::Memory;
use novatrace::{CounterTrack, Group, GroupTrack, NormalTrack, TraceGenerator};

#[test]
fn handles_can_go_to_any_thread() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<TraceGenerator>();
    check::<Group>();
    check::<GroupTrack>();
    check::<NormalTrack>();
    check::<CounterTrack>();
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
