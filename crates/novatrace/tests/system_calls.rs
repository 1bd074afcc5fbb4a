//! Recording makes no system call once warm. The kernel is the judge: it kills a thread in strict
//! secure-computing mode at any call but `read`, `write` and `exit`. A process of its own records so.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "one system call, to forbid all others")]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use novatrace::{Name, Sink, TraceGenerator};

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
fn recording_makes_no_system_call_once_warm() {
    if let Ok(kind) = std::env::var(CHILD) {
        child(&kind);
    }
    let exit_code = |kind| {
        let program = std::env::current_exe().expect("Linux says");
        let mut command = Command::new(program);
        command.args(["--exact", "recording_makes_no_system_call_once_warm"]);
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
    let line = b"SKIPPED recording_makes_no_system_call_once_warm: no secure-computing mode here\n";
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
            _ if start.elapsed() > Duration::from_secs(10) || is_alone() => break 1,
            _ => std::thread::yield_now(),
        }
    };
    std::process::exit(code);
}

/// Whether the recording thread was there and is gone.
fn is_alone() -> bool {
    let tasks = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
        tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
    };
    STEP.load(Ordering::Acquire) == RECORDS && tasks().all(|name| name.trim_end() != "recorder")
}

fn record(kind: &str) {
    // SAFETY: the name is terminated, and the call reads it only.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"recorder".as_ptr()) };
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
    STEP.store(RECORDS, Ordering::Release);
    // SAFETY: no pointers; what it does is what is wanted.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    if answer != 0 {
        STEP.store(FORBIDDEN, Ordering::Release);
    } else if kind == "call" {
        std::thread::yield_now();
        STEP.store(DONE, Ordering::Release);
    } else {
        events(10_000);
        STEP.store(DONE, Ordering::Release);
    }
    // The end of a thread takes calls too: the main one ends the process.
    loop {
        std::hint::spin_loop();
    }
}
