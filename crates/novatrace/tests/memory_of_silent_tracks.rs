//! A track that has fallen silent gives its memory back. One process of its own: it measures the whole
//! of it.
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
fn tracks_that_are_busy_one_after_the_other_take_no_more_than_one() {
    let before = kib("VmRSS");
    let trace = TraceGenerator::builder().sink(Nowhere).expect("a trace");
    let name = Name::new("slice");
    for phase in 0..100_u64 {
        let track = trace.group("g").track(&phase.to_string());
        for at in 0..40_000 {
            track.duration((phase * 40_000 + at) * 10, 10, name).emit().expect("open");
        }
    }
    trace.finish().expect("it takes all");
    let growth = kib("VmHWM") - before;
    assert!(growth <= 32 << 10, "{growth} KiB");
}
