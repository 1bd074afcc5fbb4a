//! Memory stays flat, however long the trace. One process of its own: it measures the whole of it.
#![cfg(target_os = "linux")]

mod measure;

use novatrace::{Name, TraceGenerator};

use measure::{Nowhere, kib};

#[test]
fn three_million_events_and_as_many_names_take_no_more_than_64_mib() {
    let before = kib("VmRSS");
    let trace = TraceGenerator::builder().sink(Nowhere).expect("a trace");
    let group = trace.group("g");
    let tracks: Vec<_> = (0..200).map(|at| group.track(&format!("t{at}"))).collect();
    // Holds back its own track until its end comes, and no more.
    let open = tracks[0].begin(0, "open").expect("possible");
    let m = Name::new("m");
    let mut name = String::new();
    for at in 0..3_000_000u64 {
        use std::fmt::Write;
        name.clear();
        write!(name, "never again {at}").expect("a String takes everything");
        let track = &tracks[usize::try_from(at % 200).expect("small")];
        track.duration(at * 10, 1_000, &name).arg(m, at).emit().expect("open");
    }
    open.end(40_000_000).expect("after its begin");
    let stats = trace.finish().expect("it takes all");
    assert_eq!(stats.events, 3_000_001);
    let growth = kib("VmHWM") - before;
    assert!(growth <= 64 << 10, "{growth} KiB");
}
