//! Recording makes no system call once warm. The kernel is the judge: it kills a thread in strict
//! secure-computing mode at any call but `read`, `write` and `exit`. A process of its own records so.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "one system call, to forbid all others")]

mod judge;
mod measure;

use std::time::Duration;

use novatrace::{Name, TraceGenerator};

use measure::Nowhere;

#[test]
fn recording_makes_no_system_call_once_warm() {
    let patience = Duration::from_secs(10);
    judge::judge("recording_makes_no_system_call_once_warm", patience, record);
}

fn record(kind: &str) {
    // Half of a quarter of the ring, at which the worker is woken, is enough for all of it.
    let builder = TraceGenerator::builder().ring_bytes(64 << 20);
    let trace = builder.sink(Nowhere).expect("a trace");
    let (track, counter) = (trace.group("g").track("t"), trace.group("g").counter("c"));
    let (gemm, m) = (Name::new("gemm"), Name::new("m"));
    let texts: Vec<String> = (0..100).map(|at| format!("name {at}")).collect();
    let flows: Vec<_> = (0..100).map(|_| trace.flow()).collect();
    let events = |rounds: u64| {
        for at in 0..rounds {
            let index = usize::try_from(at % 100).expect("small");
            let event = track.duration(at, 5, gemm).category(m).arg(m, at).arg("k", 0.5);
            event.flow(flows[index]).emit().expect("open");
            let event = track.instant(at, &texts[index]).category("run time");
            event.arg("dtype", "fp16").arg("list", [1, 2, 3]).emit().expect("open");
            counter.count(at, 0.5).expect("open");
        }
    };
    events(1_000);
    trace.flush().expect("it takes all");
    // SAFETY: no pointers; what it does is what is wanted.
    let forbid = || unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    judge::recorded(kind, forbid, || events(10_000));
}
