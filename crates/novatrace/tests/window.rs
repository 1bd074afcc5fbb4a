//! What the window promises: a slice that comes no later than it gets no lane, whatever else happens.

mod batches;

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use batches::Memory;
use novatrace::{Sink, TraceBuilder, TraceGenerator};

fn lanes(builder: TraceBuilder, record: impl FnOnce(&TraceGenerator)) -> u64 {
    let trace = builder.sink(Memory::default()).expect("a trace");
    record(&trace);
    trace.finish().expect("memory takes all").lanes
}

#[test]
fn an_open_slice_that_holds_back_much_costs_other_tracks_nothing() {
    let found = lanes(TraceGenerator::builder().window(100), |trace| {
        let (held, other) = (trace.group("g").track("a"), trace.group("g").track("b"));
        let mut open = held.begin(0, "open").expect("open");
        for at in 1..20_000_u64 {
            held.duration(at * 10, 5, "child").emit().expect("open");
            if at % 400 == 0 {
                // Long since drawn on a lane of its own, to let the others pass.
                open.end(at * 10 + 5).expect("after its begin");
                open = held.begin(at * 10 + 5, "open").expect("open");
            }
            // The second comes first, by some 20 events.
            match at % 50 {
                0 => other.duration(at * 10 + 20, 10, "second").emit().expect("open"),
                20 => other.duration((at - 20) * 10 + 10, 10, "first").emit().expect("open"),
                _ => {}
            }
        }
        open.end(200_000).expect("after its begin");
    });
    // That of the open slices.
    assert!(found <= 1, "{found}");
}

#[test]
fn long_events_and_wide_windows_are_counted_in_events_as_far_as_memory_goes() {
    let long = "x".repeat(1 << 10);
    for (window, text) in [(10, &*long), (1 << 10, &*long), (1 << 17, "short")] {
        let found = lanes(TraceGenerator::builder().window(window), |trace| {
            let track = trace.group("g").track("t");
            let slices: Vec<u64> = (0..3 * (window as u64 + 1)).collect();
            for block in slices.chunks(window + 1) {
                for &at in block.iter().rev() {
                    track.duration(at * 10, 10, "slice").arg("text", text).emit().expect("open");
                }
            }
        });
        assert_eq!(found, 0, "window {window}");
    }
}

/// Takes nothing until its gate is open.
#[derive(Debug)]
struct Gated(Receiver<()>);

impl Sink for Gated {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        // Once it is open, nobody sends any more.
        let _ = self.0.recv();
        Ok(())
    }
}

#[test]
fn what_came_before_a_thread_began_does_not_count_between_its_events() {
    let (gate, closed) = mpsc::channel();
    let builder = TraceGenerator::builder().window(10).batch(1, 1, Duration::from_millis(1));
    let trace = builder.sink(Gated(closed)).expect("a trace");
    // The worker waits with the header, so that it sees all of this at once.
    let (before, track) = (trace.group("g").track("before"), trace.group("g").track("t"));
    for _ in 0..1_000 {
        before.instant(10, "before").emit().expect("open");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Earlier than all of those, later, and around both.
            for (start, length) in [(0, 5), (20, 5), (0, 30)] {
                track.duration(start, length, "slice").emit().expect("open");
            }
        });
    });
    drop(gate);
    assert_eq!(trace.finish().expect("it takes all").lanes, 0);
}
