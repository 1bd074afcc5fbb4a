//! A window bounds memory, however many events it is said to have, and however long those are. One
//! process of its own: it measures the whole of it.
#![cfg(target_os = "linux")]

mod measure;

use novatrace::{Name, TraceGenerator};

use measure::{Nowhere, kib};

#[test]
fn windows_of_any_length_take_no_more_than_160_mib() {
    let before = kib("VmRSS");
    let long = "x".repeat(1 << 20);
    // Short events, and long ones: 300 MiB of them.
    for (events, text) in [(3_000_000, "short"), (300, &*long)] {
        let trace = TraceGenerator::builder().window(1 << 30).sink(Nowhere).expect("a trace");
        let track = trace.group("g").track("t");
        let (name, key) = (Name::new("slice"), Name::new("key"));
        for at in 0..events {
            track.duration(at * 10, 10, name).arg(key, text).emit().expect("open");
        }
        trace.finish().expect("it takes all");
    }
    let growth = kib("VmHWM") - before;
    assert!(growth <= 160 << 10, "{growth} KiB");
}
