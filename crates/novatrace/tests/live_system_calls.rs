//! Live recording makes no system call once warm. The kernel is the judge: by a filter that has one rule
//! it kills the thread at any call. (The strict mode of `system_calls.rs` forbids the processor's
//! counter too.)
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "two system calls, to forbid all others")]

mod judge;
mod measure;

use std::time::Duration;

use novatrace::{ClockSource, Counter, Session, counter, instant, trace};

use measure::Nowhere;

#[test]
fn live_recording_makes_no_system_call_once_warm() {
    let patience = Duration::from_secs(20);
    judge::judge("live_recording_makes_no_system_call_once_warm", patience, record);
}

static SAMPLES: Counter = counter!("samples");

fn events(rounds: u64, texts: &[String], flow: novatrace::FlowId) {
    for at in 0..rounds {
        let text = &texts[usize::try_from(at % 100).expect("small")];
        let _outer = trace!("outer");
        let inner = trace!("inner", int = at, double = 0.5, text = text.as_str());
        instant!("instant", flow_out = flow, yes = true);
        SAMPLES.set(at.cast_signed());
        SAMPLES.add(0.5);
        drop(inner);
        drop(trace!(text.as_str(), category = "made"));
    }
}

/// From here on, any system call of this thread's ends it. Says 0 if that is so.
fn forbid() -> libc::c_int {
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel has them")]
    let mut kill = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_KILL_THREAD,
    };
    let filter = libc::sock_fprog { len: 1, filter: &raw mut kill };
    // SAFETY: no pointers; what it does is what is wanted.
    let answer = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if answer != 0 {
        return answer;
    }
    // SAFETY: the filter has the one rule that it says, and is read before the call returns.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) }
}

fn record(kind: &str) {
    // A quarter of the ring, at which the worker is woken, holds all of it.
    let session = Session::builder().capacity(128 << 20).sink(Nowhere).expect("a session");
    // Without the counter, the clock is the kernel's, which answers without a call where it can.
    assert!(matches!(session.clock(), ClockSource::Counter | ClockSource::System));
    let texts: Vec<String> = (0..100).map(|at| format!("name {at}")).collect();
    let flow = novatrace::flow();
    events(1_000, &texts, flow);
    session.flush().expect("it takes all");
    judge::recorded(kind, forbid, || events(10_000, &texts, flow));
}
