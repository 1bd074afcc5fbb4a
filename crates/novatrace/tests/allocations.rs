//! Recording allocates nothing and makes no system call once warm. One process of its own: it counts
//! for the whole of it.

mod allocator;
mod measure;

use std::collections::BTreeMap;

use novatrace::{Name, TraceGenerator};

use allocator::ALLOCATIONS;
use measure::Nowhere;

/// How often recording 100 events allocates, after 400 like them that warm it up.
fn allocations(mut record: impl FnMut(u64)) -> u64 {
    let mut before = 0;
    for at in 1..=500 {
        if at == 401 {
            before = ALLOCATIONS.get();
        }
        record(at);
    }
    ALLOCATIONS.get() - before
}

#[derive(serde::Serialize)]
struct CostBook {
    flops: u64,
    tiles: [(u32, u32); 2],
    kind: &'static str,
}

/// Serialized as bytes, not as a list.
struct Bytes(&'static [u8]);

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn recording_allocates_nothing_once_warm() {
    let trace = TraceGenerator::builder().sink(Nowhere).expect("a trace");
    let group = trace.group("g");
    let (track, counter) = (group.track("t"), group.counter("c"));
    let (gemm, compute, m) = (Name::new("gemm"), Name::new("compute"), Name::new("m"));
    let names: Vec<String> = (0..100).map(|at| format!("name {at}")).collect();

    let with_names = allocations(|at| {
        track
            .duration(at, 5, gemm)
            .category(compute)
            .arg(m, at)
            .arg("k", 0.5)
            .emit()
            .expect("open");
    });
    assert_eq!(with_names, 0, "names, numbers");
    let with_texts = allocations(|at| {
        let name = &names[usize::try_from(at % 100).expect("small")];
        track.duration(at, 5, name).category("compute").arg("dtype", "fp16").emit().expect("open");
    });
    assert_eq!(with_texts, 0, "texts");
    let with_parts = allocations(|at| {
        let cost = CostBook { flops: at, tiles: [(1, 2), (3, 4)], kind: "gemm" };
        track.duration(at, 5, "a").arg("cost", &cost).args(&cost).emit().expect("open");
    });
    assert_eq!(with_parts, 0, "nested");
    let address = std::net::IpAddr::from([192, 168, 0, 1]);
    let printed = allocations(|at| {
        let event = track.duration(at, 5, gemm).arg("to", address);
        event.arg(m, format_args!("{at} of {at}")).arg("wide", u128::MAX).emit().expect("open");
    });
    assert_eq!(printed, 0, "what only `Display` shows");
    let name_values = allocations(|at| {
        track.duration(at, 5, gemm).arg(m, compute).arg("list", [m, gemm]).emit().expect("open");
    });
    assert_eq!(name_values, 0, "names as values");
    let numbered = BTreeMap::from([(1_u64, 0.5), (1 << 40, 1.5)]);
    let named = [(true, 'x'), (false, 'y')].map(|(key, value)| (key.then_some(gemm), value));
    let keys = allocations(|at| {
        let event = track.instant(at, gemm).arg("numbered", &numbered).arg("named", named);
        event.arg("bytes", Bytes(&[1, 2, 255])).emit().expect("open");
    });
    assert_eq!(keys, 0, "numbers as keys, bytes, options, characters");
    let imported = trace.import_flow(7);
    let imports = allocations(|at| {
        track.instant(at, gemm).flow(imported).emit().expect("open");
    });
    assert_eq!(imports, 0, "flows of other traces");
    let flows = allocations(|at| {
        track.instant(at, gemm).flow(trace.flow()).location("a.rs", "f", 1).emit().expect("open");
    });
    assert_eq!(flows, 0, "flows, instants, locations");
    assert_eq!(allocations(|at| counter.count(at, 0.5).expect("open")), 0, "counters");
    trace.finish().expect("it takes all");
}

/// System calls of this thread by the kernel's own count of the times it gave up the processor of its
/// own accord: a thread that locks, waits or sleeps does.
#[test]
#[cfg(target_os = "linux")]
fn recording_never_waits_once_warm() {
    fn voluntary() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        let count = line.and_then(|line| line.split_whitespace().nth(1));
        count.and_then(|count| count.parse().ok()).expect("a count")
    }
    let trace = TraceGenerator::builder().ring_bytes(8 << 20).sink(Nowhere).expect("a trace");
    let track = trace.group("g").track("t");
    let name = Name::new("warm");
    // Once around the ring: its memory comes from the system as it is touched first, and the kernel may
    // let a thread wait for that.
    for _ in 0..4 {
        for at in 0..100_000u64 {
            track.duration(at, 5, name).emit().expect("open");
        }
        trace.flush().expect("it takes all");
    }
    let before = voluntary();
    // 4 MiB: half of what the ring holds.
    for at in 0..100_000u64 {
        track.duration(at, 5, name).emit().expect("open");
    }
    let after = voluntary();
    assert_eq!(after - before, 0);
    trace.finish().expect("it takes all");
}
