//! The kernel as the judge of whether a thread makes system calls: a child process forbids them to the
//! thread that records, which it then kills at any call.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where the child's recording thread is.
static STEP: AtomicU32 = AtomicU32::new(0);
const RECORDS: u32 = 1;
const DONE: u32 = 2;
const FORBIDDEN: u32 = 3;

/// What a child is to do; it says how that went by its exit code.
const CHILD: &str = "NOVATRACE_TEST_CHILD";

/// Runs the test of that name in child processes, whose thread `record` is to call [`recorded`].
pub(crate) fn judge(test: &str, patience: Duration, record: fn(&str)) {
    if let Ok(kind) = std::env::var(CHILD) {
        child(kind, patience, record);
    }
    let exit_code = |kind| {
        let program = std::env::current_exe().expect("Linux says");
        let mut command = Command::new(program);
        command.args(["--exact", test]);
        let output = command.env(CHILD, kind).output().expect("it starts");
        output.status.code()
    };
    // That the kernel does judge, and then its judgement.
    match exit_code("call") {
        Some(3) => report_skip(test),
        code => {
            assert_eq!(code, Some(1), "a system call was not noticed");
            assert_eq!(exit_code("record"), Some(0), "recording made a system call");
        }
    }
}

/// Says that the test did not run, also where `cargo xtask test` counts such tests.
fn report_skip(test: &str) {
    use std::io::Write;
    let line = format!("SKIPPED {test}: no secure-computing mode here\n");
    // A note; nothing depends on its arrival.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("NOVATRACE_SKIPS") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let noted = file.and_then(|mut file| file.write_all(line.as_bytes()));
        noted.expect("the skipped test can be noted");
    }
}

/// Exits with 0 if the recording thread came to its end, 1 if it was killed on the way, 3 if the kernel
/// does not know the mode.
fn child(kind: String, patience: Duration, record: fn(&str)) -> ! {
    std::thread::spawn(move || {
        // SAFETY: the name is terminated, and the call reads it only.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"recorder".as_ptr()) };
        record(&kind);
    });
    let start = Instant::now();
    let code = loop {
        match STEP.load(Ordering::Acquire) {
            DONE => break 0,
            FORBIDDEN => break 3,
            _ if start.elapsed() > patience || is_alone() => break 1,
            _ => std::thread::yield_now(),
        }
    };
    // Past the handlers of exit: the recording thread has no system calls left to take part in any.
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

/// What is judged: `forbid` forbids the thread its system calls, and says 0 if it could; then `events` are
/// recorded, or a call is made if `kind` says so. Does not return.
pub(crate) fn recorded(
    kind: &str,
    forbid: impl FnOnce() -> libc::c_int,
    events: impl FnOnce(),
) -> ! {
    STEP.store(RECORDS, Ordering::Release);
    if forbid() != 0 {
        STEP.store(FORBIDDEN, Ordering::Release);
    } else {
        if kind == "call" {
            std::thread::yield_now();
        } else {
            events();
        }
        STEP.store(DONE, Ordering::Release);
    }
    // The end of a thread takes calls too: the main one ends the process.
    loop {
        std::hint::spin_loop();
    }
}
