//! Live recording makes no system call once warm. The kernel is the judge: by a filter that has one rule
//! it kills the thread at any call. (The strict mode of `system_calls.rs` forbids the processor's
//! counter too.)
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "two system calls, to forbid all others")]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use novatrace::{ClockSource, Counter, Session, Sink, counter, instant, trace};

#[derive(Debug)]
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where the child's recording thread is.
static STEP: AtomicU32 = AtomicU32::new(0);
const RECORDS: u32 = 1;
const DONE: u32 = 2;
const FORBIDDEN: u32 = 3;

/// What a child says by its exit code.
const CHILD: &str = "NOVATRACE_TEST_CHILD";

#[test]
fn live_recording_makes_no_system_call_once_warm() {
    if let Ok(kind) = std::env::var(CHILD) {
        child(&kind);
    }
    let exit_code = |kind| {
        let program = std::env::current_exe().expect("Linux says");
        let mut command = Command::new(program);
        command.args(["--exact", "live_recording_makes_no_system_call_once_warm"]);
        let output = command.env(CHILD, kind).output().expect("it starts");
        output.status.code()
    };
    // That the kernel does judge, and then its judgement.
    match exit_code("call") {
        Some(3) => report_skip(),
        code => {
            assert_eq!(code, Some(1), "a system call was not noticed");
            assert_eq!(exit_code("record"), Some(0), "recording made a system call");
        }
    }
}

/// Says that the test did not run, also where `cargo xtask test` counts such tests.
fn report_skip() {
    use std::io::Write;
    let line =
        b"SKIPPED live_recording_makes_no_system_call_once_warm: no secure-computing mode here\n";
    // A note; nothing depends on its arrival.
    let _ = std::io::stderr().write_all(line);
    if let Some(path) = std::env::var_os("NOVATRACE_SKIPS") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line)).expect("the skipped test can be noted");
    }
}

/// Exits with 0 if the recording thread came to its end, 1 if it was killed on the way, 3 if the kernel
/// does not know the mode.
fn child(kind: &str) -> ! {
    let kind = kind.to_owned();
    std::thread::spawn(move || record(&kind));
    let start = Instant::now();
    let code = loop {
        match STEP.load(Ordering::Acquire) {
            DONE => break 0,
            FORBIDDEN => break 3,
            _ if start.elapsed() > Duration::from_secs(20) || is_alone() => break 1,
            _ => std::thread::yield_now(),
        }
    };
    // Past the handler that would end the session: its thread has no system calls left to take part.
    // SAFETY: it ends the process.
    unsafe { libc::_exit(code) };
}

/// Whether the recording thread was there and is gone.
fn is_alone() -> bool {
    let tasks = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
        tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
    };
    STEP.load(Ordering::Acquire) == RECORDS && tasks().all(|name| name.trim_end() != "recorder")
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
    // SAFETY: the name is terminated, and the call reads it only.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"recorder".as_ptr()) };
    // A quarter of the ring, at which the worker is woken, holds all of it.
    let session = Session::builder().capacity(128 << 20).sink(Nowhere).expect("a session");
    // Without the counter, the clock is the kernel's, which answers without a call where it can.
    assert!(matches!(session.clock(), ClockSource::Counter | ClockSource::System));
    let texts: Vec<String> = (0..100).map(|at| format!("name {at}")).collect();
    let flow = novatrace::flow();
    events(1_000, &texts, flow);
    session.flush().expect("it takes all");
    STEP.store(RECORDS, Ordering::Release);
    let answer = forbid();
    if answer != 0 {
        STEP.store(FORBIDDEN, Ordering::Release);
    } else if kind == "call" {
        std::thread::yield_now();
        STEP.store(DONE, Ordering::Release);
    } else {
        events(10_000, &texts, flow);
        STEP.store(DONE, Ordering::Release);
    }
    // The end of a thread takes calls too: the main one ends the process.
    loop {
        std::hint::spin_loop();
    }
}
