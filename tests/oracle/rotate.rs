//! Traces in parts: each part opens by itself, and what the parts say together, with slices that are
//! continued joined, is what a trace in one file says.

mod seed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use novatrace::{
    Counter, CreateError, ErrorKind, LiveTrack, OpenSlice, OpenSlices, Overflow, Rotate, Session,
    SpanGuard, TraceBuilder, TraceGenerator, TrackSpan, Worker, counter, trace,
};
use novatrace_testkit::{Args, Counter as Sample, Oracle, Slice, Value, oracle_or_skip};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use seed::{number, seeded};

/// There is one session at a time in a process, and tests are threads of one.
static ONE: Mutex<()> = Mutex::new(());

/// A slice or instant: where, what, when, and what else it said.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    track: String,
    name: String,
    category: String,
    ts: i64,
    /// `None` if it was never ended.
    end: Option<i64>,
    args: Args,
}

/// Which event it is, by the argument that tells all apart, or its name.
fn id(slice: &Slice) -> u64 {
    let named = slice.name.as_deref().and_then(|name| name.strip_prefix("row ")?.parse().ok());
    slice.args.get("id").and_then(Value::as_u64).or(named).expect("each is told apart")
}

fn row(slice: &Slice) -> Row {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut args = slice.args.clone();
    // By the order in which threads came first.
    args.remove("source_location_iid");
    Row {
        track: slice.track.clone(),
        name: text(&slice.name),
        category: text(&slice.category),
        ts: slice.ts,
        end: slice.end(),
        args,
    }
}

fn take_mark(row: &mut Row, mark: &str) -> bool {
    row.args.remove(mark).is_some_and(|value| value == Value::Bool(true))
}

/// The rows of all parts, by id; each piece of one that was cut begins where the one before it was cut.
fn joined(parts: &[Part]) -> BTreeMap<u64, Row> {
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    // Those that go on in the next part.
    let mut cut: BTreeSet<u64> = BTreeSet::new();
    for (number, part) in (1..).zip(parts) {
        let mut goes_on = BTreeSet::new();
        let mut continued = BTreeSet::new();
        for slice in &part.slices {
            let mut row = row(slice);
            let id = id(slice);
            let is_continued = take_mark(&mut row, "continued");
            if take_mark(&mut row, "continues") || row.end.is_none() {
                goes_on.insert(id);
            }
            if is_continued {
                continued.insert(id);
                let first = rows.get_mut(&id).expect("it began in an earlier part");
                assert_eq!(
                    first.end.unwrap_or(first.ts),
                    row.ts,
                    "part {number}: {first:?} {row:?}"
                );
                let whole = Row { ts: first.ts, ..row.clone() };
                assert_eq!(Row { end: row.end, ..first.clone() }, whole);
                first.end = row.end;
            } else if let Some(first) = rows.insert(id, row.clone()) {
                panic!("part {number}: {row:?}, and {first:?} before");
            }
        }
        assert_eq!(continued, cut, "part {number}");
        cut = goes_on;
    }
    rows
}

fn samples(parts: &[Part]) -> BTreeSet<(String, i64, u64)> {
    let samples = parts.iter().flat_map(|part| &part.samples);
    samples.map(|sample| (sample.track.clone(), sample.ts, sample.value.to_bits())).collect()
}

/// Every part of the trace on `path`, in order.
fn part_paths(path: &Path) -> Vec<PathBuf> {
    let stem = path.file_stem().expect("it has a name").to_str().expect("ASCII").to_owned();
    let part = |number| path.with_file_name(format!("{stem}.{number:04}.pftrace"));
    (1..10_000).map(part).take_while(|part| part.exists()).collect()
}

/// What the trace processor has of a part.
struct Part {
    slices: Vec<Slice>,
    samples: Vec<Sample>,
}

/// One after the other, by the same trace processor: to start one for each takes longer than all else.
fn load(oracle: &Oracle, paths: &[PathBuf]) -> Vec<Part> {
    let load = |path| {
        let loaded = oracle.load(path).expect("the trace processor takes it");
        loaded.assert_healthy();
        Part { slices: loaded.slices(), samples: loaded.counters() }
    };
    paths.iter().map(load).collect()
}

/// All parts one after the other, in a file beside them.
fn one_file(paths: &[PathBuf]) -> PathBuf {
    let bytes: Vec<u8> =
        paths.iter().flat_map(|path| std::fs::read(path).expect("there")).collect();
    let path = paths[0].with_file_name("all.pftrace");
    std::fs::write(&path, bytes).expect("writable");
    path
}

/// Each part says first which it is, and has a uuid of its own.
fn check_heads(oracle: &Oracle, all: &Path, parts: usize) {
    let text = oracle.decode_text(&std::fs::read(all).expect("readable")).expect("packets");
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let heads: Vec<_> = text.split("trace_uuid").skip(1).collect();
    assert_eq!(heads.len(), parts);
    for (number, head) in (1..).zip(&heads) {
        assert!(head.contains(&format!(r#"key: "part" long_value: {number} "#)), "{head:.1000}");
    }
    let uuids: BTreeSet<_> = heads.iter().map(|head| head.split('}').next()).collect();
    assert_eq!(uuids.len(), parts);
}

#[derive(Debug, Clone)]
enum What {
    Slice { start: u64, length: u64 },
    Open { start: u64, length: u64 },
    Instant(u64),
    Sample(u64, i32),
    Flush,
}

#[derive(Debug, Clone)]
struct Planned {
    track: usize,
    what: What,
    name: usize,
    text: String,
    located: bool,
    flow: Option<usize>,
}

#[derive(Debug, Clone)]
struct Plan {
    events: Vec<Planned>,
    threads: usize,
    window: usize,
    tracks: usize,
    open_slices: OpenSlices,
}

const NAMES: [&str; 4] = ["gemm", "softmax", "load weights", "store"];

fn plan() -> impl Strategy<Value = Plan> {
    // Times go on by some 20 ns an event, with slices as long as to hold dozens.
    let event = |at: u64| {
        let near = (0..40_u64).prop_map(move |off| at * 20 + off);
        let length = prop_oneof![3 => 0..40_u64, 2 => 40..1_000_u64, 1 => 1_000..20_000_u64];
        let what =
            (0..100_u32, near, length, any::<i32>()).prop_map(|(kind, start, length, value)| {
                match kind {
                    0..60 => What::Slice { start, length },
                    60..70 => What::Open { start, length },
                    70..80 => What::Instant(start),
                    80..99 => What::Sample(start, value),
                    _ => What::Flush,
                }
            });
        let flow = proptest::option::weighted(0.2, 0..20_usize);
        (0..1_000_usize, what, 0..NAMES.len(), "[ab]{0,2}", any::<bool>(), flow).prop_map(
            |(track, what, name, text, located, flow)| Planned {
                track,
                what,
                name,
                text,
                located,
                flow,
            },
        )
    };
    let events = (200..900_u64).prop_flat_map(move |len| (0..len).map(event).collect::<Vec<_>>());
    let window = prop::sample::select(vec![0, 4, 64, 1 << 14]);
    // One track, a few, and more than have sequences of their own.
    let tracks = prop::sample::select(vec![1, 3, 12, 140]);
    let open = prop::sample::select(vec![OpenSlices::Close, OpenSlices::Leave]);
    (events, 1..4_usize, window, tracks, open).prop_map(
        |(events, threads, window, tracks, open_slices)| Plan {
            events,
            threads,
            window,
            tracks,
            open_slices,
        },
    )
}

/// Records a plan. Slices that are opened are closed a while later, but for the last ones.
fn record(plan: &Plan, builder: TraceBuilder, path: &Path) -> novatrace::Stats {
    // A small ring, so that the worker takes little at a time.
    let builder = builder.window(plan.window).ring_bytes(4 << 10).open_slices(plan.open_slices);
    let trace = builder.create(path).expect("writable");
    let group = trace.group("group");
    let flows: Vec<_> = (0..20).map(|_| trace.flow()).collect();
    std::thread::scope(|scope| {
        for thread in 0..plan.threads {
            let (trace, group, flows) = (&trace, &group, &flows);
            scope.spawn(move || {
                let mut open: Vec<(u64, OpenSlice)> = vec![];
                let own = plan.events.iter().enumerate().skip(thread).step_by(plan.threads);
                for (at, event) in own {
                    // Each thread has counters of its own: of samples at one time the order is not said.
                    let track = group.track(&format!("track {}", event.track % plan.tracks));
                    let name = NAMES[event.name];
                    match event.what {
                        What::Slice { start, length } => {
                            let slice = track.duration(start, length, name).category(name);
                            let slice = slice.arg("id", at).arg("text", &event.text);
                            let mut slice = slice.flows(event.flow.map(|flow| flows[flow]));
                            if event.located {
                                slice = slice.location("a.rs", name, 7);
                            }
                            slice.emit().expect("possible");
                        }
                        What::Open { start, length } => {
                            let slice = track.slice(start, name).arg("id", at);
                            let slice = slice.arg("list", [1, 2]).arg("text", &event.text);
                            open.push((start + length, slice.begin().expect("possible")));
                            if open.len() > 5 {
                                let (end, slice) = open.remove(0);
                                slice.end(end).expect("after its begin");
                            }
                        }
                        What::Instant(time) => {
                            track.instant(time, name).arg("id", at).emit().expect("possible");
                        }
                        What::Sample(time, value) => {
                            let counter = group.counter(&format!("counter {thread}"));
                            counter.count(time, i64::from(value)).expect("possible");
                        }
                        What::Flush => trace.flush().expect("the disk takes it"),
                    }
                }
                std::mem::forget(open);
            });
        }
    });
    trace.finish().expect("the disk takes it")
}

fn check_plan(oracle: &Oracle, plan: &Plan, cuts: &mut u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("whole.pftrace");
    let builder = TraceGenerator::builder();
    let whole_stats = record(plan, builder.clone(), &path);
    let whole = load(oracle, &[path]);
    let path = folder.path().join("cut.pftrace");
    let worker = if plan.threads == 3 { Worker::Process } else { Worker::Thread };
    // What is compressed has arrived late, when the part may be over.
    let compression = if plan.threads == 2 { "zlib:1" } else { "none" };
    let builder = builder.compression(compression.parse().expect("it is one")).worker(worker);
    let stats = record(plan, builder.rotate(Rotate::bytes(6_000)), &path);
    let paths = part_paths(&path);
    let parts = load(oracle, &paths);
    assert_eq!(parts.len(), usize::try_from(stats.parts).expect("few"));
    let len = |path: &PathBuf| path.metadata().expect("there").len();
    assert_eq!(stats.bytes, paths.iter().map(len).sum::<u64>());
    assert_eq!((stats.events, stats.left_open), (whole_stats.events, whole_stats.left_open));
    *cuts += stats.parts - 1;

    let mut expected = joined(&whole);
    let mut found = joined(&parts);
    if plan.open_slices == OpenSlices::Close {
        // They end with the last event of a trace, which each part has one of.
        let last = |rows: &BTreeMap<u64, Row>| rows.values().filter_map(|row| row.end).max();
        assert_eq!(last(&found), last(&expected));
    }
    for (id, expected) in &mut expected {
        assert_eq!(found.remove(id).as_ref(), Some(&*expected));
    }
    assert_eq!(found, BTreeMap::new());
    assert_eq!(samples(&parts), samples(&whole));
    // As one file, the pieces are the rows of the parts.
    let all = one_file(&paths);
    if compression == "none" {
        check_heads(oracle, &all, paths.len());
    }
    let all = load(oracle, &[all]);
    let sorted = |parts: &[Part]| {
        let slices = parts.iter().flat_map(|part| &part.slices);
        let mut rows: Vec<String> = slices.map(|slice| format!("{:?}", row(slice))).collect();
        rows.sort();
        rows
    };
    if !plan.events.iter().any(|event| matches!(event.what, What::Open { .. })) {
        assert_eq!(sorted(&all), sorted(&parts));
    }
}

/// Checks random plans; a failure names the seed, with which `NOVATRACE_SEED` has the same ones again.
fn check_random(cases: u64, mut check: impl FnMut(&Plan)) {
    let (seed, random) = seeded();
    #[expect(clippy::print_stdout, reason = "how to run it again")]
    {
        println!("NOVATRACE_SEED={seed}");
    }
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    for _ in 0..number("NOVATRACE_TRACES").unwrap_or(cases) {
        check(&plan().new_tree(&mut runner).expect("a plan").current());
    }
}

#[test]
fn random_timelines_in_parts_are_the_ones_in_one_file() {
    let oracle = oracle_or_skip!();
    let mut cuts = 0;
    check_random(4, |plan| check_plan(&oracle, plan, &mut cuts));
    assert!(cuts > 4, "{cuts} cuts");
}

/// When something was done: before and after.
type Around = (i64, i64);

fn boottime_ns() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Does it, and says when.
fn timed<R>(act: impl FnOnce() -> R) -> (R, Around) {
    let before = boottime_ns();
    let done = act();
    (done, (before, boottime_ns()))
}

/// A span that was recorded live.
#[derive(Debug)]
struct Done {
    id: u64,
    name: &'static str,
    begin: Around,
    end: Around,
    /// The innermost span that was open on its thread.
    parent: Option<u64>,
}

/// As in `live_random.rs`.
const SLACK_NS: i64 = 20_000;

static OWN: [Counter; 3] = [counter!("own 0"), counter!("own 1"), counter!("own 2")];

/// What a thread records: spans in spans, some of them long, and its counter. Returns what it did, and the
/// values that the counter had.
fn perform(thread: u8, track: &LiveTrack) -> (Vec<Done>, Vec<f64>) {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[thread; 32]);
    let (mut done, mut values) = (vec![], vec![]);
    let mut open: Vec<(SpanGuard, u64, &'static str, Around)> = vec![];
    let mut rows: Vec<(TrackSpan, u64, Around)> = vec![];
    let end = |open: &mut Vec<(SpanGuard, u64, &'static str, Around)>, done: &mut Vec<Done>| {
        if let Some((guard, id, name, begin)) = open.pop() {
            let ((), end) = timed(|| drop(guard));
            done.push(Done { id, name, begin, end, parent: open.last().map(|outer| outer.1) });
        }
    };
    for step in 0..1_500_u64 {
        let id = u64::from(thread) << 32 | step;
        match random.next_u32() % 16 {
            0..4 if open.len() < 12 => {
                let (guard, begin) = timed(|| trace!("plain", id = id));
                open.push((guard, id, "plain", begin));
            }
            4 if open.len() < 12 => {
                let text = if step % 3 == 0 { "one" } else { "two" };
                let (guard, begin) =
                    timed(|| trace!(format!("made"), id = id, text = text, list = [step, 2]));
                open.push((guard, id, "made", begin));
            }
            5 => {
                let (span, begin) = timed(|| track.trace(&format!("row {id}")));
                rows.push((span, id, begin));
                if rows.len() > 3 {
                    let (span, id, begin) = rows.remove(0);
                    let ((), end) = timed(|| drop(span));
                    done.push(Done { id, name: "row", begin, end, parent: None });
                }
            }
            6 => {
                values.push(f64::from(random.next_u32()));
                OWN[usize::from(thread)].set(values[values.len() - 1]);
            }
            7 => std::thread::yield_now(),
            _ => end(&mut open, &mut done),
        }
    }
    while !open.is_empty() {
        end(&mut open, &mut done);
    }
    for (span, id, begin) in rows {
        let ((), end) = timed(|| drop(span));
        done.push(Done { id, name: "row", begin, end, parent: None });
    }
    (done, values)
}

/// The parent of each piece of a slice is a piece of its parent.
fn check_parents(part: &Part, done: &BTreeMap<u64, Done>) {
    let slices = &part.slices;
    let ids: BTreeMap<i64, u64> = slices.iter().map(|slice| (slice.id, id(slice))).collect();
    for slice in slices {
        let parent = slice.parent_id.map(|parent| ids[&parent]);
        let own = &done[&ids[&slice.id]];
        if own.name != "row" {
            assert_eq!(parent, own.parent, "{slice:?}");
        }
    }
}

#[test]
fn what_threads_do_over_many_parts_is_told_whole() {
    let oracle = oracle_or_skip!();
    let _one = ONE.lock().expect("not poisoned");
    for worker in [Worker::Thread, Worker::Process] {
        check_threads(&oracle, worker);
    }
}

fn check_threads(oracle: &Oracle, worker: Worker) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("live.pftrace");
    let builder = Session::builder().rotate(Rotate::bytes(12_000)).worker(worker);
    // Small buffers, so that the worker takes little at a time.
    let builder = builder.overflow(Overflow::Block).capacity(4 << 10);
    let session = builder.create(&path).expect("writable");
    assert_eq!(session.worker(), worker, "{:?}", session.worker_fallback());
    let track = novatrace::track("row");
    // Open from the first part to the last.
    let (outer, outer_begin) = timed(|| trace!("outer", id = 1_u64 << 40));
    let (mut all, mut values) = (BTreeMap::new(), vec![]);
    std::thread::scope(|scope| {
        let spawn = |thread| {
            let track = &track;
            scope.spawn(move || perform(thread, track))
        };
        for thread in (0..3).map(spawn).collect::<Vec<_>>() {
            let (done, set) = thread.join().expect("no panic");
            all.extend(done.into_iter().map(|done| (done.id, done)));
            values.push(set);
        }
    });
    let ((), end) = timed(|| drop(outer));
    let outer = Done { id: 1 << 40, name: "outer", begin: outer_begin, end, parent: None };
    all.insert(outer.id, outer);
    let report = session.close().expect("the disk takes it");
    assert_eq!((report.lost, report.left_open, report.dropped), (0, 0, 0));
    assert!(report.parts > 5, "{report:?}");

    let paths = part_paths(&path);
    assert_eq!(paths.len(), usize::try_from(report.parts).expect("few"));
    let parts = load(oracle, &paths);
    let rows = joined(&parts);
    assert_eq!(rows.len(), all.len());
    let is_within =
        |time: i64, around: Around| around.0 - SLACK_NS <= time && time <= around.1 + SLACK_NS;
    for (id, done) in &all {
        let row = &rows[id];
        assert_eq!(row.name.split(' ').next(), Some(done.name));
        assert!(is_within(row.ts, done.begin), "{row:?} {done:?}");
        assert!(is_within(row.end.expect("it ended"), done.end), "{row:?} {done:?}");
    }
    for part in &parts {
        check_parents(part, &all);
    }
    // A value that is carried over is that of the last sample.
    for (thread, mut values) in values.into_iter().enumerate() {
        let counters = parts.iter().flat_map(|part| &part.samples);
        let counters = counters.filter(|c| c.track.ends_with(&format!("/own {thread}")));
        let mut found: Vec<f64> = counters.map(|sample| sample.value).collect();
        found.dedup();
        values.dedup();
        assert_eq!(found, values);
    }
    // The outer one is in each part from start to end, but for what follows it.
    let pieces = parts.iter().flat_map(|part| &part.slices);
    let pieces = pieces.filter(|slice| slice.name.as_deref() == Some("outer")).count();
    assert!(pieces + 1 >= parts.len(), "{pieces} of {}", parts.len());
    let all = one_file(&paths);
    check_heads(oracle, &all, paths.len());
    let all = load(oracle, &[all]);
    assert_eq!(all[0].slices.len(), parts.iter().map(|part| part.slices.len()).sum::<usize>());
}

#[test]
fn the_oldest_parts_are_removed_and_those_of_an_earlier_trace_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sim.pftrace");
    let record = |rotate: Rotate| {
        let trace = TraceGenerator::builder().rotate(rotate).create(&path).expect("writable");
        let track = trace.group("g").track("t");
        for at in 0..30 {
            let name = format!("{at} {}", "x".repeat(200));
            track.duration(at * 10, 10, &name).emit().expect("possible");
            trace.flush().expect("the disk takes it");
        }
        (trace.clone(), trace.finish().expect("the disk takes it"))
    };
    let names = || {
        let files = std::fs::read_dir(folder.path()).expect("readable");
        let names = files.map(|file| file.expect("readable").file_name().into_string());
        names.map(|name| name.expect("ASCII")).collect::<BTreeSet<_>>()
    };
    let (_, stats) = record(Rotate::bytes(1_000));
    assert!(stats.parts > 5, "{stats:?}");
    assert_eq!(names().len(), usize::try_from(stats.parts).expect("few"));
    // The first of them is not there when it is recorded again.
    for _ in 0..2 {
        let (_, stats) = record(Rotate::bytes(1_000).keep(2));
        let last = [stats.parts - 1, stats.parts];
        assert_eq!(names(), last.map(|number| format!("sim.{number:04}.pftrace")).into());
    }
}

#[test]
fn a_trace_that_is_being_written_keeps_its_parts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sim.pftrace");
    let builder = TraceGenerator::builder().rotate(Rotate::bytes(100));
    let trace = builder.clone().create(&path).expect("writable");
    let track = trace.group("g").track("t");
    for at in 0..20 {
        track.instant(at, "i").emit().expect("possible");
        trace.flush().expect("the disk takes it");
    }
    let parts = part_paths(&path);
    assert!(parts.len() > 2, "{}", parts.len());
    let bytes = || parts.iter().map(|part| std::fs::read(part).expect("there")).collect::<Vec<_>>();
    let before = bytes();
    let error = builder.clone().create(&path).expect_err("it is being written");
    assert!(matches!(error.kind(), ErrorKind::Create(CreateError::InUse { .. })), "{error}");
    assert_eq!(bytes(), before);
    trace.finish().expect("the disk takes it");
    builder.create(&path).expect("it is finished");
}

#[test]
fn a_sink_of_ones_own_has_no_parts() {
    #[derive(Debug)]
    struct Nowhere;
    impl novatrace::Sink for Nowhere {
        fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = TraceGenerator::builder().rotate(Rotate::bytes(100)).sink(Nowhere);
    assert!(matches!(error.expect_err("refused").kind(), ErrorKind::RotatesNoSink));
    let error = Session::builder().rotate(Rotate::bytes(100)).sink(Nowhere);
    assert!(matches!(error.expect_err("refused").kind(), ErrorKind::RotatesNoSink));
}

/// A folder that is gone is found out when the next part begins.
#[test]
fn a_part_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("writable");
    let builder = TraceGenerator::builder().rotate(Rotate::bytes(1_000));
    let trace = builder.create(inner.join("sim.pftrace")).expect("writable");
    let track = trace.group("g").track("t");
    std::fs::remove_dir_all(&inner).expect("writable");
    let mut written = 0;
    let error = loop {
        track.instant(written, &"x".repeat(100)).emit().expect("open");
        written += 1;
        if let Err(error) = trace.flush() {
            break error;
        }
        assert!(written < 1_000);
    };
    assert!(error.to_string().contains("sim.0002.pftrace"), "{error}");
    track.instant(written, "lost").emit().expect("open");
    let error = trace.finish().expect_err("as before");
    assert!(error.to_string().contains("sim.0002.pftrace"), "{error}");
    assert_eq!(trace.stats().dropped, 1);
}
