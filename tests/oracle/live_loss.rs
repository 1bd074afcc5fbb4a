//! What finds no room: counted to the event, told in the trace, and without harm to what comes after.
#![expect(clippy::print_stdout, reason = "measured figures")]
#![expect(clippy::items_after_statements, reason = "what a test records stands in it")]

#[path = "live/support.rs"]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use novatrace::{Counter, Overflow, Session, SessionBuilder, counter, instant, trace};
use novatrace_testkit::{Slice, Value, oracle_or_skip};

use support::{Gate, read, recording_into};

static SAMPLES: Counter = counter!("samples");

fn name(slice: &Slice) -> &str {
    slice.name.as_deref().unwrap_or_default()
}

fn on<'s>(slices: &'s [Slice], thread: &str) -> Vec<&'s Slice> {
    let end = format!("/{thread}");
    slices.iter().filter(|slice| slice.track.ends_with(&end)).collect()
}

/// The smallest buffers, and a worker that hands over whatever it has.
fn tiny() -> SessionBuilder {
    Session::builder().capacity(4096).batch(1, 1, Duration::from_millis(1))
}

/// Records something that is in the file as soon as the gate holds the worker.
fn hold(gate: &Gate) {
    instant!("first");
    gate.wait_until_held();
}

#[test]
fn each_threads_losses_are_counted_and_marked_where_they_were() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let calls = [AtomicU64::new(0), AtomicU64::new(0)];
    let called = |thread: usize| {
        calls[thread].fetch_add(1, Ordering::Relaxed);
    };
    let (bytes, report) = recording_into(&gate, tiny(), |session| {
        hold(&gate);
        std::thread::scope(|scope| {
            let (mut go_on, mut full) = (vec![], vec![]);
            for thread in 0..2 {
                let (go, wait) = mpsc::channel::<()>();
                let (say, is_full) = mpsc::channel::<()>();
                go_on.push(go);
                full.push(is_full);
                let builder = std::thread::Builder::new().name(format!("loser {thread}"));
                let called = &called;
                let spawned = builder.spawn_scoped(scope, move || {
                    for at in 0..700 * (thread + 1) {
                        let _span = trace!("span", at = at, text = "some text");
                        called(thread);
                        if thread == 1 {
                            SAMPLES.set(i64::try_from(at).expect("small"));
                            instant!("point", at = at);
                            called(thread);
                            called(thread);
                        }
                    }
                    say.send(()).expect("it listens");
                    wait.recv().expect("told when");
                    // The worker has taken everything: there is room.
                    for at in 0..3 {
                        let _outer = trace!("after", at = at);
                        let _inner = trace!("inner", text = "some text");
                        called(thread);
                        called(thread);
                    }
                });
                spawned.expect("a thread can be started");
            }
            for full in &full {
                full.recv().expect("it says so");
            }
            gate.open();
            session.flush().expect("memory takes all");
            for go in &go_on {
                go.send(()).expect("it listens");
            }
        });
    });
    let calls = calls.map(AtomicU64::into_inner);
    assert_eq!(report.events + report.lost, calls.iter().sum::<u64>() + 1);
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let samples = loaded.counters().len() as u64;
    let mut losses = report.losses.clone();
    losses.sort_by(|a, b| a.thread.cmp(&b.thread));
    assert_eq!(losses.len(), 2);
    for (thread, loss) in losses.iter().enumerate() {
        assert_eq!(loss.thread, format!("loser {thread}"));
        assert_ne!(loss.tid, 0);
        let rows = on(&slices, &loss.thread);
        let is_mark = |slice: &&&Slice| name(slice) == "events lost";
        let recorded = rows.iter().filter(|slice| !is_mark(slice)).count() as u64;
        let recorded = recorded + if thread == 1 { samples } else { 0 };
        assert_eq!(loss.events, calls[thread] - recorded);
        assert!(loss.events > 500);
        // One mark, after all that came before the loss and before all that came after it.
        let marks: Vec<_> = rows.iter().filter(is_mark).collect();
        assert_eq!(marks.len(), 1);
        assert_eq!(marks[0].args["count"], Value::Uint(loss.events));
        assert_eq!((marks[0].category.as_deref(), marks[0].depth), (Some("novatrace"), 0));
        let at = rows.iter().position(|slice| is_mark(&slice)).expect("it is there");
        let is_after = |slice: &&Slice| ["after", "inner"].contains(&name(slice));
        assert!(!rows[..at].iter().any(is_after));
        let after: Vec<_> = rows[at + 1..].iter().map(|slice| (name(slice), slice.depth)).collect();
        assert_eq!(after, [("after", 0), ("inner", 1)].repeat(3));
        assert!(rows.iter().all(|slice| slice.dur >= 0));
        assert_eq!(rows[at + 2].args["text"], "some text");
        // Before it, one after the other without a gap.
        let numbers: Vec<_> = rows[..at].iter().filter(|slice| name(slice) == "span").collect();
        for (at, slice) in numbers.iter().enumerate() {
            assert_eq!(slice.args["at"], i64::try_from(at).expect("small"));
        }
    }
    assert_eq!(losses.iter().map(|loss| loss.events).sum::<u64>(), report.lost);
    let text = oracle.decode_text(&bytes).expect("it is a trace");
    assert_eq!(text.to_lowercase().matches("previous_packet_dropped: 257").count(), 2, "{text}");
}

/// The thread records nothing afterwards that could carry the mark.
#[test]
fn a_loss_at_a_threads_end_is_marked_too() {
    let oracle = oracle_or_skip!();
    for ends in [true, false] {
        let gate = Gate::default();
        let (bytes, report) = recording_into(&gate, tiny(), |_| {
            hold(&gate);
            let lose = || (0..1_000).for_each(|at| instant!("point", at = at));
            if ends {
                let named = std::thread::Builder::new().name("short".to_owned());
                let thread = named.spawn(lose).expect("a thread can be started");
                thread.join().expect("no panic");
            } else {
                lose();
            }
            gate.open();
        });
        assert!(report.lost > 500);
        let loaded = read(&oracle, &bytes);
        let slices = loaded.slices();
        let marks: Vec<_> = slices.iter().filter(|slice| name(slice) == "events lost").collect();
        assert_eq!(marks.len(), 1, "the thread ends: {ends}");
        assert_eq!(marks[0].args["count"], Value::Uint(report.lost));
        let last = slices.iter().map(|slice| slice.ts).max();
        assert_eq!(Some(marks[0].ts), last);
    }
}

#[test]
fn an_open_spans_end_is_never_lost() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let mut ended = 0;
    let (bytes, report) = recording_into(&gate, tiny(), |_| {
        hold(&gate);
        // So many that the room for their ends is the larger part of the buffer.
        let mut guards: Vec<_> = (0..400).map(|_| trace!("nested")).collect();
        instant!("no room");
        while let Some(guard) = guards.pop() {
            drop(guard);
        }
        ended = support::boottime_ns();
        gate.open();
    });
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let nested: Vec<_> = slices.iter().filter(|slice| name(slice) == "nested").collect();
    assert!((100..400).contains(&nested.len()), "{}", nested.len());
    for (depth, slice) in nested.iter().enumerate() {
        assert_eq!(slice.depth, i64::try_from(depth).expect("small"));
        let end = slice.end().expect("it ended").cast_unsigned();
        assert!(slice.dur >= 0 && end <= ended + 20_000);
    }
    assert_eq!(report.events + report.lost, 402);
    assert_eq!(report.left_open, 0);
}

/// No room is kept for them in a ring: they may end on another thread. They are neither lost nor left open.
#[test]
fn a_track_spans_end_is_never_lost() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let io = novatrace::track("io");
    let mut ended = 0;
    let (bytes, report) = recording_into(&gate, tiny(), |_| {
        hold(&gate);
        let five = || (0..5).map(|_| io.trace("span")).collect::<Vec<_>>();
        let (here, elsewhere, by_a_new_thread) = (five(), five(), five());
        let fill = || {
            for _ in 0..300 {
                instant!("point");
            }
        };
        fill();
        // There is nothing to end, then.
        drop(io.trace("no room"));
        drop(here);
        let thread = std::thread::spawn(move || {
            fill();
            drop(elsewhere);
        });
        thread.join().expect("no panic");
        std::thread::spawn(move || drop(by_a_new_thread)).join().expect("no panic");
        ended = support::boottime_ns();
        gate.open();
    });
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let spans: Vec<_> = slices.iter().filter(|slice| name(slice) == "span").collect();
    assert_eq!(spans.len(), 15);
    for slice in spans {
        let end = slice.end().expect("it ended").cast_unsigned();
        assert!(slice.dur >= 0 && end <= ended + 20_000);
    }
    assert!(report.lost > 100, "{}", report.lost);
    assert_eq!(report.events + report.lost, 1 + 15 + 1 + 2 * 300);
    let told: u64 = report.losses.iter().map(|loss| loss.events).sum();
    assert_eq!((told, report.left_open), (report.lost, 0));
    assert!(!slices.iter().any(|slice| name(slice) == "no room"));
}

#[test]
fn who_blocks_stands_still_and_loses_nothing() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let done = AtomicU64::new(0);
    let builder = tiny().overflow(Overflow::Block);
    let (bytes, report) = recording_into(&gate, builder, |_| {
        hold(&gate);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _outer = trace!("outer");
                for at in 0..1_000 {
                    let _span = trace!("span", at = at);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
            // It fills its buffer, and then it waits: parked, which the system tells.
            let mut before = 0;
            loop {
                std::thread::sleep(Duration::from_millis(30));
                let now = done.load(Ordering::Relaxed);
                if now > 0 && now == before {
                    break;
                }
                before = now;
            }
            assert!(before < 200, "{before}");
            assert!(!thread.is_finished());
            gate.open();
        });
    });
    assert_eq!((report.events, report.lost), (1_002, 0));
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let numbers: Vec<_> = slices
        .iter()
        .filter(|slice| name(slice) == "span")
        .map(|slice| (slice.args["at"].as_i64(), slice.depth))
        .collect();
    assert_eq!(numbers, (0..1_000).map(|at| (Some(at), 1)).collect::<Vec<_>>());
}

#[test]
fn who_grows_loses_nothing_within_the_limit() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let builder = tiny().overflow(Overflow::Grow(1 << 20));
    let (bytes, report) = recording_into(&gate, builder, |_| {
        hold(&gate);
        // Across several buffers: an outer span, and its neighbours.
        let _outer = trace!("outer");
        for at in 0..5_000 {
            let _span = trace!("span", at = at);
        }
        gate.open();
    });
    assert_eq!((report.events, report.lost), (5_002, 0));
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let spans: Vec<_> = slices.iter().filter(|slice| name(slice) == "span").collect();
    assert_eq!(spans.len(), 5_000);
    for (at, slice) in spans.iter().enumerate() {
        assert_eq!((slice.args["at"].as_i64(), slice.depth), (i64::try_from(at).ok(), 1));
        assert!(slice.dur >= 0);
    }
}

/// The worker keeps taking, and the thread keeps losing: each mark lies exactly where its events are
/// missing.
#[test]
fn marks_lie_between_what_came_before_a_loss_and_what_came_after() {
    let oracle = oracle_or_skip!();
    const CALLS: i64 = 300_000;
    let gate = Gate::default();
    gate.open();
    let builder = Session::builder().capacity(4096);
    let (bytes, report) = recording_into(&gate, builder, |_| {
        for at in 0..CALLS {
            instant!("point", at = at);
        }
    });
    assert_eq!(report.events + report.lost, CALLS.cast_unsigned());
    let loaded = read(&oracle, &bytes);
    let (mut next, mut marks) = (0, 0);
    for slice in loaded.slices() {
        if name(&slice) == "events lost" {
            next += slice.args["count"].as_i64().expect("a number");
            marks += 1;
        } else {
            assert_eq!(slice.args["at"], next);
            next += 1;
        }
    }
    assert_eq!(next, CALLS);
    assert!(report.lost == 0 || marks > 0);
    println!("{} lost, {marks} marks", report.lost);
}

/// A loss clears what the trace's reader has been told of names; a span that is open goes on by its name.
#[test]
fn spans_that_are_split_after_a_loss_keep_their_names() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let (bytes, report) = recording_into(&gate, tiny(), |session| {
        hold(&gate);
        let outer = trace!("outer");
        let inner = trace!("inner", category = "kept");
        (0..1_000).for_each(|at| instant!("point", at = at));
        gate.open();
        session.flush().expect("memory takes all");
        instant!("point", at = 1_000);
        drop(outer);
        drop(inner);
        let _ = trace!("inner", category = "kept");
    });
    assert!(report.lost > 500);
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let inner: Vec<_> = slices
        .iter()
        .filter(|slice| slice.category.as_deref() == Some("kept"))
        .map(|slice| (name(slice), slice.depth))
        .collect();
    assert_eq!(inner, [("inner", 1), ("inner", 0), ("inner", 0)]);
    assert!(slices.iter().all(|slice| slice.name.is_some()));
}

#[test]
fn what_no_ring_can_hold_is_counted_and_harms_nothing_after_it() {
    let oracle = oracle_or_skip!();
    for overflow in [Overflow::DropNewest, Overflow::Block, Overflow::Grow(64 << 20)] {
        for long in ["y".repeat(600_000), "\0".repeat(600_000), "A".repeat(5 << 20)] {
            let builder = Session::builder().overflow(overflow).capacity(16 << 20);
            let (loaded, report) = support::recording(&oracle, builder, || {
                let row = novatrace::track("row");
                instant!("long", text = long.as_str());
                for _ in 0..100 {
                    let _span = trace!("long", text = long.as_str(), at = 1);
                    let _inner = trace!("short");
                }
                drop(row.trace("short"));
            });
            assert_eq!((report.events, report.lost), (101, 101), "{overflow:?}");
            let slices = loaded.slices();
            assert_eq!(slices.iter().filter(|slice| name(slice) == "short").count(), 101);
        }
    }
}

#[test]
fn a_loss_before_a_rows_span_is_marked_when_it_was() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let mut start_ns = 0;
    let (bytes, report) = recording_into(&gate, tiny(), |session| {
        let row = novatrace::track("row");
        hold(&gate);
        start_ns = support::boottime_ns();
        for _ in 0..1_000 {
            let _span = row.trace("span");
        }
        gate.open();
        session.flush().expect("memory takes all");
        drop(row.trace("after"));
    });
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    assert!(report.lost > 0);
    let told: Vec<_> = slices.iter().filter(|slice| name(slice) == "events lost").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].args["count"], Value::Uint(report.lost));
    let after = slices.iter().find(|slice| name(slice) == "after").expect("there was room");
    assert!((start_ns.cast_signed() - 20_000..=after.ts).contains(&told[0].ts));
}
