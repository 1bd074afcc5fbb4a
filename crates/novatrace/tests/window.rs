//! What the window promises: a slice that comes no later than it gets no lane, whatever else happens.

mod batches;

use batches::Memory;
use novatrace::{TraceBuilder, TraceGenerator};

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
