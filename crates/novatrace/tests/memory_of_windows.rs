//! A window bounds memory, however many events it is said to have, and however long those are. One
//! process of its own: it measures the whole of it.
#![cfg(target_os = "linux")]

use novatrace::{Name, Sink, TraceGenerator};

#[derive(Debug)]
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

fn kib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(key)).expect("a line of it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

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
