//! Threads and sessions that end at awkward times: what is in the trace is right, and nothing panics.

#![expect(clippy::items_after_statements, reason = "what a test records stands in it")]

#[path = "live/support.rs"]
mod support;

use std::cell::RefCell;
use std::sync::mpsc;

use novatrace::{Session, SpanGuard, instant, trace};
use novatrace_testkit::{Slice, oracle_or_skip};

use support::{boottime_ns, recording, rename_this_thread};

fn rows(slices: &[Slice]) -> Vec<(&str, i64)> {
    slices.iter().map(|slice| (slice.name.as_deref().unwrap_or_default(), slice.depth)).collect()
}

/// Guards that were begun in one session and are dropped in the next end nothing of that.
#[test]
fn spans_that_outlive_their_session_end_with_it() {
    let oracle = oracle_or_skip!();
    let mut held: Vec<SpanGuard> = vec![];
    let mut closed = (0, 0);
    let (first, report) = recording(&oracle, Session::builder(), || {
        held.push(trace!("outer"));
        held.push(trace!("inner"));
        closed.0 = boottime_ns();
    });
    closed.1 = boottime_ns();
    assert_eq!((report.events, report.left_open), (2, 2));
    let slices = first.slices();
    assert_eq!(rows(&slices), [("outer", 0), ("inner", 1)]);
    for slice in &slices {
        let end = slice.end().expect("it ended").cast_unsigned();
        assert!(closed.0 <= end + 20_000 && end <= closed.1 + 20_000);
    }
    // While none is open.
    drop(held.pop());
    let (second, report) = recording(&oracle, Session::builder(), || {
        // Before this thread has recorded anything, and then in the place of one that is open.
        held.push(SpanGuard::none());
        drop(held.pop());
        let open = trace!("open");
        drop(held.pop());
        instant!("within");
        drop(open);
        instant!("after");
    });
    assert_eq!(rows(&second.slices()), [("open", 0), ("within", 1), ("after", 0)]);
    assert_eq!((report.events, report.left_open), (3, 0));
}

/// The span stays open: it is drawn to the end of its thread or of the session, and an outer one
/// that ends before splits it.
#[test]
#[expect(clippy::mem_forget, reason = "what a guard that leaks does")]
fn guards_that_leak_leave_their_spans_open() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let thread = std::thread::Builder::new().name("leaks".to_owned()).spawn(|| {
            let outer = trace!("outer");
            std::mem::forget(trace!("leaked"));
            instant!("within");
            drop(outer);
            let _ = trace!("after");
        });
        thread.expect("a thread can be started").join().expect("no panic");
        std::mem::forget(trace!("on the main thread"));
    });
    let slices = loaded.slices();
    let expected = [
        ("outer", 0),
        ("leaked", 1),
        ("within", 2),
        ("leaked", 0),
        ("after", 1),
        ("on the main thread", 0),
    ];
    assert_eq!(rows(&slices), expected);
    assert_eq!(slices[1].end(), Some(slices[3].ts));
    assert!(slices[3].end() >= slices[4].end());
    assert!(slices.iter().all(|slice| slice.dur >= 0));
    assert_eq!((report.events, report.left_open, report.lost), (5, 2, 0));
}

/// The trace processor keeps 512 levels; what is beyond 500 is counted, also if it is left open.
#[test]
#[expect(clippy::mem_forget, reason = "spans that are open at the end")]
fn spans_too_deep_to_be_shown_can_be_left_open_or_end_out_of_order() {
    let oracle = oracle_or_skip!();
    for ends in [true, false] {
        let (loaded, report) = recording(&oracle, Session::builder(), || {
            let deep = || (0..600).for_each(|_| std::mem::forget(trace!("deep")));
            if ends {
                std::thread::spawn(deep).join().expect("no panic");
            } else {
                std::thread::scope(|scope| {
                    let thread = scope.spawn(deep);
                    thread.join().expect("no panic");
                });
                deep();
            }
        });
        let threads = if ends { 1 } else { 2 };
        assert_eq!((report.events, report.lost), (500 * threads, 100 * threads));
        assert_eq!(report.left_open, 500 * threads, "those that are in the trace");
        assert_eq!(loaded.slices().len() as u64, 500 * threads);
        assert!(loaded.slices().iter().all(|slice| slice.dur >= 0));
    }
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let mut guards: Vec<_> = (0..510).map(|_| trace!("deep")).collect();
        // The outermost first: the others move up, and those too deep before stay away.
        drop(guards.remove(0));
        drop(guards.remove(495));
        drop(guards.pop());
        while !guards.is_empty() {
            drop(guards.remove(0));
        }
        instant!("after");
    });
    assert_eq!((report.events, report.lost, report.left_open), (501, 10, 0));
    let slices = loaded.slices();
    assert_eq!(rows(&slices).last(), Some(&("after", 0)));
    assert!(slices.iter().all(|slice| slice.dur >= 0));
}

#[test]
fn spans_that_overlap_in_an_endless_chain_are_all_shown() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let mut before = trace!("link");
        for _ in 1..5_000 {
            let next = trace!("link");
            drop(std::mem::replace(&mut before, next));
        }
    });
    assert_eq!((report.events, report.lost, report.left_open), (5_000, 0, 0));
    // Each but the first and the last is cut where the one before it ends.
    let slices = loaded.slices();
    assert_eq!(slices.len(), 2 * 5_000 - 1);
    assert!(slices.iter().all(|slice| slice.dur >= 0 && slice.depth <= 1));
}

#[test]
fn a_panic_ends_spans_also_of_threads_and_of_guards_in_collections() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let thread = std::thread::spawn(|| {
            let _outer = trace!("outer");
            let _many: Vec<_> = (0..3).map(|_| trace!("one of many")).collect();
            let _last = trace!("last");
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(thread.join().is_err());
        let caught = std::panic::catch_unwind(|| {
            struct InDrop;
            impl Drop for InDrop {
                fn drop(&mut self) {
                    let _span = trace!("while unwinding", panicking = std::thread::panicking());
                }
            }
            let _outer = trace!("caught");
            let _in_drop = InDrop;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(caught.is_err());
    });
    let slices = loaded.slices();
    // A vector drops its first element first, so that the others are split.
    let one = "one of many";
    let expected = [
        ("outer", 0),
        (one, 1),
        (one, 2),
        (one, 3),
        ("last", 4),
        (one, 1),
        (one, 2),
        (one, 1),
        ("caught", 0),
        ("while unwinding", 1),
    ];
    assert_eq!(rows(&slices), expected);
    assert_eq!(slices[9].args["panicking"], true);
    assert_eq!((report.events, report.left_open, report.lost), (7, 0, 0));
}

#[test]
fn a_thread_renamed_while_it_runs_has_its_new_name() {
    let oracle = oracle_or_skip!();
    let (go, wait) = mpsc::channel::<()>();
    let mut thread = None;
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let (say, renamed) = mpsc::channel::<()>();
        let builder = std::thread::Builder::new().name("first name".to_owned());
        let spawned = builder.spawn(move || {
            instant!("recorded");
            rename_this_thread("second name");
            say.send(()).expect("it listens");
            // Still there when the session ends.
            let _ = wait.recv();
        });
        thread = Some(spawned.expect("a thread can be started"));
        renamed.recv().expect("it says so");
    });
    go.send(()).expect("it listens");
    thread.expect("started").join().expect("no panic");
    let slices = loaded.slices();
    assert!(slices[0].track.ends_with("/second name"), "{}", slices[0].track);
}

/// Thread-locals are destroyed in the order in which they were first used, novatrace's among them.
#[test]
fn destructors_of_thread_locals_record_or_are_counted() {
    let oracle = oracle_or_skip!();
    struct Last(&'static str, Option<SpanGuard>);
    impl Drop for Last {
        fn drop(&mut self) {
            let _span = trace!(self.0);
            drop(self.1.take());
        }
    }
    thread_local!(static LAST: RefCell<Vec<Last>> = const { RefCell::new(Vec::new()) });
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        for (is_first, name) in [(true, "ours is gone"), (false, "ours is there")] {
            let thread = std::thread::spawn(move || {
                if is_first {
                    LAST.with_borrow(|_| ());
                }
                let held = trace!("held");
                LAST.with_borrow_mut(|last| last.push(Last(name, Some(held))));
            });
            thread.join().expect("no panic");
        }
    });
    let slices = loaded.slices();
    assert!(slices.iter().all(|slice| slice.dur >= 0));
    let held = rows(&slices).iter().filter(|row| **row == ("held", 0)).count();
    assert_eq!(held, 2);
    // A span of each is in the trace, or counted.
    assert_eq!(report.events + report.lost, 4);
    assert_eq!(slices.iter().filter(|slice| slice.depth == 1).count() as u64, 2 - report.lost);
}
