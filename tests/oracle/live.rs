//! Live recording: what threads record comes back as the rows that it was.

#![expect(clippy::items_after_statements, reason = "what a test records stands in it")]

#[path = "live/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use novatrace::{Counter, ErrorKind, Overflow, Session, counter, instant, trace};
use novatrace_testkit::{Slice, Value, oracle_or_skip};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use support::{Gate, boottime_ns, read, recording, recording_bytes};

fn name(slice: &Slice) -> &str {
    slice.name.as_deref().unwrap_or_default()
}

fn names(slices: &[Slice]) -> Vec<&str> {
    slices.iter().map(name).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn on<'s>(slices: &'s [Slice], thread: &str) -> Vec<&'s Slice> {
    let end = format!("/{thread}");
    slices.iter().filter(|slice| slice.track.ends_with(&end)).collect()
}

#[derive(Debug)]
struct Plain(#[expect(dead_code, reason = "shown by Debug")] u32);

#[derive(serde::Serialize)]
struct Cost {
    flops: u64,
    tiles: Vec<(u32, u32)>,
}

#[test]
fn arguments_keep_their_types_and_names() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let owned = String::from("owned");
        let made = format!("made {}", 7);
        let cost = Cost { flops: 9, tiles: vec![(1, 2)] };
        let _span = trace!(
            "span",
            int = -3_i64,
            small = 200_u8,
            wide = u64::MAX,
            least = i64::MIN,
            double = 0.25,
            yes = true,
            no = false,
            text = "literal",
            owned = owned,
            by_reference = &owned,
            "key · of its own" = 'c',
            debug = Plain(4),
            cost = cost,
            none = None::<u32>,
            category = "compute",
        );
        let _ = trace!(&made, step = 1);
        let _guard = trace!(made);
        instant!("point", list = [1, 2],);
    });
    let slices = loaded.slices();
    assert_eq!(names(&slices), ["span", "made 7", "made 7", "point"]);
    assert_eq!(slices[0].category.as_deref(), Some("compute"));
    assert_eq!(slices[1].category.as_deref(), Some("live"));
    assert_eq!((slices[1].parent_id, slices[3].dur), (Some(slices[0].id), 0));
    let expected: BTreeMap<String, Value> = [
        ("int", Value::Int(-3)),
        ("small", Value::Uint(200)),
        ("wide", Value::Uint(u64::MAX)),
        ("least", Value::Int(i64::MIN)),
        ("double", Value::Float(0.25)),
        ("yes", Value::Bool(true)),
        ("no", Value::Bool(false)),
        ("text", text("literal")),
        ("owned", text("owned")),
        ("by_reference", text("owned")),
        ("key · of its own", text("c")),
        ("debug", text("Plain(4)")),
        ("cost.flops", Value::Uint(9)),
        ("cost.tiles[0][0]", Value::Uint(1)),
        ("cost.tiles[0][1]", Value::Uint(2)),
        ("none", text("null")),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    assert_eq!(slices[0].args, expected);
    assert_eq!(slices[1].args["step"], Value::Int(1));
}

/// What one thread does.
#[derive(Debug, Clone)]
enum Step {
    Open(i64, f64, String),
    Close,
    Point(i64),
    Sample(i32),
    Flow(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<i64>(), -1e9..1e9, "[a-z]{0,12}").prop_map(|(int, double, text)| Step::Open(int, double, text)),
        4 => Just(Step::Close),
        1 => any::<i64>().prop_map(Step::Point),
        1 => any::<i32>().prop_map(Step::Sample),
        1 => (0..20_usize).prop_map(Step::Flow),
    ];
    prop::collection::vec(step, 1..120)
}

static SAMPLES: [Counter; 8] = [
    counter!("c0", unit = "items"),
    counter!("c1", unit = "items"),
    counter!("c2", unit = "items"),
    counter!("c3", unit = "items"),
    counter!("c4", unit = "items"),
    counter!("c5", unit = "items"),
    counter!("c6", unit = "items"),
    counter!("c7", unit = "items"),
];

/// A slice as it was recorded: name, depth, arguments, and the clock around its begin and its end.
#[derive(Debug, Clone)]
struct Done {
    name: &'static str,
    depth: i64,
    args: BTreeMap<String, Value>,
    begin: (u64, u64),
    end: (u64, u64),
}

fn perform(steps: &[Step], thread: usize, flows: &[novatrace::FlowId]) -> Vec<Done> {
    let mut open = vec![];
    let mut done: Vec<Done> = vec![];
    let close = |done: &mut Vec<Done>, (at, guard): (usize, novatrace::SpanGuard)| {
        let before = boottime_ns();
        drop(guard);
        done[at].end = (before, boottime_ns());
    };
    for step in steps {
        let before = boottime_ns();
        let depth = i64::try_from(open.len()).expect("few");
        let (name, args): (_, BTreeMap<String, Value>) = match step {
            Step::Open(int, double, text) => {
                let guard = trace!("span", int = *int, double = *double, text = text);
                open.push((done.len(), guard));
                let args = [
                    ("int".to_owned(), Value::Int(*int)),
                    ("double".to_owned(), Value::Float(*double)),
                    ("text".to_owned(), Value::Text(text.clone())),
                ];
                ("span", args.into())
            }
            Step::Close => {
                if let Some(last) = open.pop() {
                    close(&mut done, last);
                }
                continue;
            }
            Step::Point(int) => {
                instant!("point", int = *int);
                ("point", [("int".to_owned(), Value::Int(*int))].into())
            }
            Step::Sample(value) => {
                SAMPLES[thread].set(*value);
                continue;
            }
            Step::Flow(flow) => {
                instant!("flow", flow_out = flows[*flow]);
                ("flow", BTreeMap::new())
            }
        };
        let around = (before, boottime_ns());
        done.push(Done { name, depth, args, begin: around, end: around });
    }
    while let Some(last) = open.pop() {
        close(&mut done, last);
    }
    done
}

/// The clock's readings are two, joined by a line: what lies between is off by their noise, and by more
/// where the machine was busy with something else in one of them.
const SLACK_NS: u64 = 20_000;

#[test]
fn nested_spans_of_eight_threads_come_back_as_they_were() {
    let oracle = oracle_or_skip!();
    let plans = prop::collection::vec(steps(), 8);
    let mut runner =
        TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&plans, |plans| {
        let mut all: Vec<Vec<Done>> = vec![];
        let (loaded, report) = recording(&oracle, Session::builder(), || {
            let flows: Vec<_> = (0..20).map(|_| novatrace::flow()).collect();
            all = std::thread::scope(|scope| {
                let threads: Vec<_> = plans
                    .iter()
                    .enumerate()
                    .map(|(at, steps)| {
                        let flows = &flows;
                        std::thread::Builder::new()
                            .name(format!("t{at}"))
                            .spawn_scoped(scope, move || perform(steps, at, flows))
                            .expect("a thread can be started")
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
        });
        let slices = loaded.slices();
        let mut events = 0;
        for (at, (done, steps)) in all.iter().zip(&plans).enumerate() {
            let rows = on(&slices, &format!("t{at}"));
            prop_assert_eq!(rows.len(), done.len());
            for (row, done) in rows.iter().zip(done) {
                prop_assert_eq!((name(row), row.depth), (done.name, done.depth));
                prop_assert_eq!(&row.args, &done.args);
                let (start, end) = (row.ts.cast_unsigned(), (row.ts + row.dur).cast_unsigned());
                prop_assert!(done.begin.0 <= start + SLACK_NS && start <= done.begin.1 + SLACK_NS);
                prop_assert!(done.end.0 <= end + SLACK_NS && end <= done.end.1 + SLACK_NS);
            }
            let samples: Vec<f64> = steps
                .iter()
                .filter_map(|step| match step {
                    Step::Sample(value) => Some(f64::from(*value)),
                    _ => None,
                })
                .collect();
            let row = format!("/c{at}");
            let read = loaded.counters();
            let read: Vec<f64> =
                read.iter().filter(|c| c.track.ends_with(&row)).map(|c| c.value).collect();
            prop_assert_eq!(&read, &samples);
            events += done.len() + samples.len();
        }
        prop_assert_eq!(report.events, events as u64);
        // Of the instants of one flow, in order of time, each has an arrow to the next.
        let flows = slices.iter().filter(|slice| name(slice) == "flow").count();
        let used = plans.iter().flatten().filter_map(|step| match step {
            Step::Flow(flow) => Some(flow),
            _ => None,
        });
        let used: std::collections::BTreeSet<_> = used.collect();
        prop_assert_eq!(loaded.flows().len(), flows - used.len());
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_span_that_ends_before_one_begun_later_splits_that_one() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let around = trace!("around");
        let outer = trace!("outer");
        let inner = trace!("inner", m = 1);
        drop(outer);
        let later = trace!("later");
        drop(inner);
        drop(later);
        drop(around);
        let _ = trace!("after");
    });
    let slices = loaded.slices();
    let rows: Vec<_> = slices.iter().map(|slice| (name(slice), slice.depth)).collect();
    let expected = [
        ("around", 0),
        ("outer", 1),
        ("inner", 2),
        ("inner", 1),
        ("later", 2),
        ("later", 1),
        ("after", 0),
    ];
    assert_eq!(rows, expected);
    assert_eq!(slices[2].end(), Some(slices[3].ts));
    assert_eq!(slices[4].end(), Some(slices[5].ts));
    assert!(slices[5].end() <= slices[0].end() && slices[0].end() <= Some(slices[6].ts));
    assert_eq!(report.events, 5);
    assert!(slices.iter().all(|slice| slice.dur >= 0));
}

/// What has ended does not count as open, however often: spans beyond 500 levels are not shown.
#[test]
fn spans_that_end_before_later_ones_leave_nothing_behind() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let around = trace!("around");
        for _ in 0..1_000 {
            let outer = trace!("outer");
            let inner = trace!("inner");
            drop(outer);
            drop(inner);
        }
        let after = trace!("after");
        drop(around);
        drop(after);
        let _ = trace!("last");
    });
    assert_eq!((report.events, report.lost, report.left_open), (2_003, 0, 0));
    let slices = loaded.slices();
    let depths = |wanted: &str| -> std::collections::BTreeSet<_> {
        slices.iter().filter(|slice| name(slice) == wanted).map(|slice| slice.depth).collect()
    };
    assert_eq!((depths("outer"), depths("inner")), ([1].into(), [1, 2].into()));
    assert_eq!((depths("after"), depths("last")), ([0, 1].into(), [0].into()));
}

#[test]
fn tracks_of_ones_own_take_spans_of_any_thread_and_keep_overlaps_apart() {
    let oracle = oracle_or_skip!();
    let io = novatrace::track("io");
    for _ in 0..2 {
        let (loaded, report) = recording(&oracle, Session::builder(), || {
            let barrier = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for at in 0..4 {
                    let (io, barrier) = (&io, &barrier);
                    scope.spawn(move || {
                        let span = io.trace(&format!("read {at}"));
                        barrier.wait();
                        drop(span);
                        io.instant("done");
                    });
                }
            });
            let moved = io.trace("moved");
            std::thread::spawn(move || drop(moved)).join().expect("no panic");
        });
        let slices = loaded.slices();
        assert_eq!(slices.len(), 9);
        assert!(slices.iter().all(|slice| slice.track_name.as_deref() == Some("io")));
        assert!(slices.iter().all(|slice| slice.dur >= 0));
        assert_eq!((report.events, report.left_open), (9, 0));
        let moved = slices.iter().find(|slice| name(slice) == "moved").expect("it is there");
        assert_eq!(moved.depth, 0);
    }
}

#[test]
fn flows_fan_out_and_in_and_end() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let (a, b) = (novatrace::flow(), novatrace::flow());
        instant!("out", flow_out = [a, b]);
        let _ = trace!("first", flow_in = a);
        let _ = trace!("second", flow_in = Some(b), flow_out = None);
        let _ = trace!("both", flow_in = &vec![a, b]);
        instant!("end", flow_end = a);
    });
    let slices = loaded.slices();
    let called = |id: i64| name(slices.iter().find(|slice| slice.id == id).expect("a slice"));
    let mut arrows: Vec<_> =
        loaded.flows().iter().map(|flow| (called(flow.slice_out), called(flow.slice_in))).collect();
    arrows.sort_unstable();
    let expected = [
        ("both", "end"),
        ("first", "both"),
        ("out", "first"),
        ("out", "second"),
        ("second", "both"),
    ];
    assert_eq!(arrows, expected);
}

#[test]
fn categories_are_chosen_when_opening_and_while_running() {
    let oracle = oracle_or_skip!();
    fn all() {
        let _ = trace!("read", category = "io.read");
        let _ = trace!("write", category = "io.write");
        let _ = trace!("plain");
        static BYTES: Counter = counter!("bytes", category = "io.read");
        BYTES.add(1);
    }
    let (loaded, report) = recording(&oracle, Session::builder().categories("io.*,-io.read"), all);
    assert_eq!((names(&loaded.slices()), report.events), (vec!["write"], 1));
    let bytes = recording_bytes(Session::builder().categories("io.read"), |session| {
        all();
        session.set_categories("-io.*");
        all();
    });
    let loaded = read(&oracle, &bytes.0);
    assert_eq!(names(&loaded.slices()), ["read", "plain"]);
    assert_eq!(loaded.counters().len(), 1);
}

#[test]
fn of_two_sessions_the_second_is_refused_and_told_where_the_first_was_opened() {
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("other.pftrace");
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let error = novatrace::open(&path).expect_err("one is open");
        assert!(matches!(error.kind(), ErrorKind::AlreadyOpen { .. }), "{error}");
        assert!(error.to_string().contains("oracle/live.rs:"), "{error}");
        let _ = trace!("it goes on");
    });
    assert!(!path.exists());
    assert_eq!(names(&loaded.slices()), ["it goes on"]);
}

#[test]
fn guards_of_a_session_that_is_over_are_nothing_to_the_next() {
    let oracle = oracle_or_skip!();
    let mut guards = vec![];
    let (first, report) = recording(&oracle, Session::builder(), || {
        guards.push(trace!("outlives"));
        std::thread::sleep(Duration::from_millis(2));
    });
    assert_eq!((report.left_open, first.slices()[0].dur > 1_000_000), (1, true));
    let (second, report) = recording(&oracle, Session::builder(), || {
        let span = trace!("span");
        guards.clear();
        instant!("inside");
        drop(span);
    });
    let slices = second.slices();
    assert_eq!((names(&slices), report.left_open), (vec!["span", "inside"], 0));
    assert_eq!(slices[1].depth, 1);
}

#[test]
fn what_finds_no_room_is_counted_and_told() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let builder = Session::builder().capacity(4096).batch(1, 1, Duration::from_millis(1));
    let (send, receive) = mpsc::channel();
    let (bytes, report) = support::recording_into(&gate, builder, |session| {
        std::thread::Builder::new()
            .name("loser".to_owned())
            .spawn(move || {
                let _ = trace!("before");
                // The worker is held in the sink, so that the buffer fills.
                receive.recv().expect("told when");
                let outer = trace!("outer");
                for at in 0..1_000 {
                    let _span = trace!("span", at = at);
                }
                drop(outer);
                receive.recv().expect("told when");
                let _ = trace!("after");
            })
            .map(|thread| {
                gate.wait_until_held();
                send.send(()).expect("it listens");
                std::thread::sleep(Duration::from_millis(20));
                gate.open();
                session.flush().expect("memory takes all");
                send.send(()).expect("it listens");
                thread.join().expect("no panic");
            })
            .expect("a thread can be started");
    });
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let count = |wanted: &str| slices.iter().filter(|slice| name(slice) == wanted).count();
    assert_eq!((count("before"), count("outer"), count("after")), (1, 1, 1));
    assert!(report.lost > 0);
    assert_eq!(report.events + report.lost, 1_003);
    assert_eq!(count("span") as u64 + 3, report.events);
    assert_eq!((report.losses.len(), report.losses[0].events), (1, report.lost));
    assert_eq!(report.losses[0].thread, "loser");
    let told: Vec<_> = slices.iter().filter(|slice| name(slice) == "events lost").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].args["count"], Value::Uint(report.lost));
    // The spans that are there are the first ones, and whole.
    let outer = slices.iter().find(|slice| name(slice) == "outer").expect("it is there");
    for (at, slice) in slices.iter().filter(|slice| name(slice) == "span").enumerate() {
        assert_eq!(slice.args["at"], Value::Int(i64::try_from(at).expect("small")));
        assert_eq!((slice.parent_id, slice.dur >= 0), (Some(outer.id), true));
    }
    let marks = loaded.query("select count(*) as n from slice where name = 'after' and depth = 0");
    assert_eq!(marks[0].i64("n"), 1);
}

#[test]
fn who_blocks_or_grows_loses_nothing() {
    let oracle = oracle_or_skip!();
    for overflow in [Overflow::Block, Overflow::Grow(64 << 20)] {
        let builder = Session::builder().capacity(4096).overflow(overflow);
        let (loaded, report) = recording(&oracle, builder, || {
            std::thread::scope(|scope| {
                for thread in 0..3 {
                    scope.spawn(move || {
                        let _outer = trace!("outer");
                        for at in 0..5_000 {
                            let _span = trace!("span", thread = thread, at = at);
                        }
                    });
                }
            });
        });
        assert_eq!((report.events, report.lost), (15_003, 0), "{overflow:?}");
        let slices = loaded.slices();
        assert_eq!(slices.len(), 15_003);
        assert!(slices.iter().all(|slice| slice.dur >= 0));
        let inner = slices.iter().filter(|slice| slice.depth == 1).count();
        assert_eq!(inner, 15_000);
    }
}

#[test]
fn a_ring_that_may_not_grow_enough_counts_the_rest() {
    let oracle = oracle_or_skip!();
    let gate = Gate::default();
    let builder = Session::builder().capacity(4096).overflow(Overflow::Grow(64 << 10)).batch(
        1,
        1,
        Duration::from_millis(1),
    );
    let (bytes, report) = support::recording_into(&gate, builder, |_| {
        let _ = trace!("first");
        gate.wait_until_held();
        for at in 0..10_000 {
            let _span = trace!("span", at = at);
        }
        gate.open();
    });
    assert!(report.lost > 5_000, "{report:?}");
    assert_eq!(report.events + report.lost, 10_001);
    let spans = read(&oracle, &bytes).slices();
    let spans = spans.iter().filter(|slice| name(slice) == "span").count();
    assert_eq!(spans as u64 + 1, report.events);
    assert!(spans > 1_000, "it has grown: {spans}");
}

#[test]
fn spans_beyond_what_the_viewer_keeps_are_counted() {
    let oracle = oracle_or_skip!();
    fn nest(depth: u32) {
        let _span = trace!("deep");
        if depth > 1 {
            nest(depth - 1);
        }
    }
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        nest(600);
        nest(3);
    });
    assert_eq!((report.events, report.lost), (503, 100));
    let slices = loaded.slices();
    assert_eq!(slices.len(), 503);
    assert!(slices.iter().all(|slice| slice.dur >= 0));
    assert_eq!(slices[500].depth, 0);
}

#[test]
fn ten_thousand_threads_that_come_and_go() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        for batch in 0..1_250 {
            std::thread::scope(|scope| {
                for at in 0..8 {
                    scope.spawn(move || {
                        let _span = trace!("short", number = batch * 8 + at);
                    });
                }
            });
        }
    });
    assert_eq!((report.events, report.threads, report.lost), (10_000, 10_000, 0));
    let slices = loaded.slices();
    let mut numbers: Vec<_> =
        slices.iter().map(|slice| slice.args["number"].as_i64().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10_000).collect::<Vec<i64>>());
    assert!(slices.iter().all(|slice| slice.dur >= 0 && slice.depth == 0));
}

#[test]
fn a_panic_ends_the_spans_that_it_passes() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let panic = std::panic::catch_unwind(|| {
            let _outer = trace!("outer");
            let _inner = trace!("inner");
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(panic.is_err());
        let _ = trace!("after");
    });
    let slices = loaded.slices();
    let rows: Vec<_> = slices.iter().map(|slice| (name(slice), slice.depth)).collect();
    assert_eq!(rows, [("outer", 0), ("inner", 1), ("after", 0)]);
    assert_eq!((report.left_open, slices.iter().all(|slice| slice.dur >= 0)), (0, true));
}

#[test]
fn threads_are_called_what_they_are_called() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let named = std::thread::Builder::new().name("a name longer than fifteen bytes".to_owned());
        let spawned = named.spawn(|| {
            let _ = trace!("named");
        });
        drop(spawned.map(std::thread::JoinHandle::join));
        let renamed = std::thread::Builder::new().name("first name".to_owned()).spawn(|| {
            let _ = trace!("renamed");
            support::rename_this_thread("second name");
        });
        drop(renamed.map(std::thread::JoinHandle::join));
    });
    let slices = loaded.slices();
    assert!(slices[0].track.ends_with("/a name longer than fifteen bytes"), "{}", slices[0].track);
    assert!(slices[1].track.ends_with("/second name"), "{}", slices[1].track);
}

#[test]
fn destructors_of_a_threads_locals_may_record() {
    let oracle = oracle_or_skip!();
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            let _span = trace!("last");
            instant!("last point");
        }
    }
    thread_local!(static LAST: Last = const { Last });
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        for is_first in [true, false] {
            std::thread::spawn(move || {
                if is_first {
                    LAST.with(|_| ());
                }
                let _ = trace!("span");
                LAST.with(|_| ());
            })
            .join()
            .expect("no panic");
        }
    });
    // Destroyed before ours in one of the threads, and after it in the other.
    assert_eq!(report.events + report.lost, 6);
    let slices = loaded.slices();
    assert_eq!(slices.len() as u64, report.events);
    assert!(slices.iter().all(|slice| slice.dur >= 0));
}

#[test]
fn the_clocks_are_in_the_trace() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let _ = trace!("span");
    });
    let rows = loaded.query(
        "select clock_name as name, clock_value - ts as off, count(*) as n from clock_snapshot
         where clock_name in ('MONOTONIC', 'REALTIME') group by snapshot_id, clock_name order by snapshot_id, clock_name",
    );
    let clocks: Vec<_> = rows.iter().map(|row| row.str("name")).collect();
    assert_eq!(clocks, ["MONOTONIC", "REALTIME", "MONOTONIC", "REALTIME"]);
}

#[test]
fn counters_of_several_threads_count_everything_in_order() {
    let oracle = oracle_or_skip!();
    static SUM: Counter = counter!("sum", unit = "items");
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        SUM.add(1);
                    }
                });
            }
        });
        SUM.set(0.5);
        SUM.set(f64::NAN);
    });
    let values: Vec<f64> = loaded.counters().iter().map(|sample| sample.value).collect();
    let expected: Vec<f64> = (1..=8_000).map(f64::from).chain([0.5]).collect();
    assert_eq!(values, expected);
}
