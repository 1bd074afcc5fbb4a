//! A process that forks while it records into a generator.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork")]

use novatrace::{ErrorKind, TraceGenerator};

/// More than a ring has room for: a child that waited for it to be emptied would do so for ever.
const MANY: u64 = 100_000;

#[test]
fn a_forked_child_neither_waits_for_its_parents_trace_nor_is_in_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = TraceGenerator::builder().create(folder.path().join("a")).expect("a trace");
    let track = trace.track("t");
    track.instant(0, "before").emit().expect("open");
    trace.flush().expect("there is room");
    // SAFETY: this process has no other thread that holds a lock the child needs: the harness waits, and the
    // worker sleeps.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a process can be started");
    let recorded = (1..=MANY).all(|at| track.instant(at, "i").emit().is_ok());
    if child == 0 {
        let told = trace.flush().is_err_and(|e| matches!(e.kind(), ErrorKind::Forked { .. }));
        // SAFETY: it ends the process, and needs nothing.
        unsafe { libc::_exit(i32::from(!(recorded && told))) };
    }
    let mut status = 1;
    // SAFETY: `status` is ours to write to.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
    assert!(recorded);
    assert_eq!(trace.finish().expect("there is room").events, MANY + 1);
    track.instant(0, "after").emit().expect_err("the parent is told");
}
