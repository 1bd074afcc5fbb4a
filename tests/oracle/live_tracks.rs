//! Tracks of one's own, categories, counters, and sessions one after the other.
#![expect(clippy::items_after_statements, reason = "what a test records stands in it")]

mod itself;
#[path = "live/support.rs"]
mod support;

use std::cell::Cell;
use std::sync::Barrier;

use novatrace::{Counter, ErrorKind, Session, counter, instant, trace};
use novatrace_testkit::{Loaded, Slice, oracle_or_skip};

use support::{boottime_ns, read, recording, recording_bytes, without_session};

/// As in `live_random.rs`.
const SLACK_NS: i64 = 20_000;

fn names(slices: &[Slice]) -> Vec<&str> {
    slices.iter().map(|slice| slice.name.as_deref().unwrap_or_default()).collect()
}

fn now() -> i64 {
    boottime_ns().cast_signed()
}

fn slice<'s>(slices: &'s [Slice], name: &str) -> &'s Slice {
    let slice = slices.iter().find(|slice| slice.name.as_deref() == Some(name));
    slice.unwrap_or_else(|| panic!("{name} is not among {:?}", names(slices)))
}

/// Slices of one row nest in the trace processor by construction; what it would cut to make them do so
/// has another end than it was given.
#[test]
fn a_track_that_threads_feed_at_once_shows_each_span_whole() {
    let oracle = oracle_or_skip!();
    const THREADS: usize = 4;
    const ROUNDS: usize = 50;
    let io = novatrace::track("io");
    let mut times = vec![];
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let barrier = Barrier::new(THREADS);
        times = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (io, barrier) = (&io, &barrier);
                    scope.spawn(move || {
                        (0..ROUNDS)
                            .map(|round| {
                                // All of them overlap, in whatever order.
                                barrier.wait();
                                let name = format!("{thread} {round}");
                                let before = now();
                                let span = io.trace(&name);
                                let between = now();
                                barrier.wait();
                                let between = (between, now());
                                drop(span);
                                (name, before, between, now())
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            let threads = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            threads.flatten().collect::<Vec<_>>()
        });
    });
    let slices = loaded.slices();
    assert_eq!(slices.len(), THREADS * ROUNDS);
    assert!(slices.iter().all(|slice| slice.track_name.as_deref() == Some("io")));
    for (name, before, between, after) in &times {
        let slice = slice(&slices, name);
        let end = slice.end().expect("it ended");
        assert!(before - SLACK_NS <= slice.ts && slice.ts <= between.0 + SLACK_NS, "{slice:?}");
        assert!(between.1 - SLACK_NS <= end && end <= after + SLACK_NS, "{slice:?}");
    }
    // Some overlapped without nesting; four at a time need four lanes at most.
    assert!((1..THREADS as u64).contains(&report.lanes), "{report:?}");
    assert_eq!((report.events, report.left_open), ((THREADS * ROUNDS) as u64, 0));
}

#[test]
fn a_span_ends_on_the_thread_it_was_moved_to() {
    let oracle = oracle_or_skip!();
    let work = novatrace::track("work");
    let mut ended = (0, 0);
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let first = work.trace("first");
        let thread = std::thread::spawn({
            let work = work.clone();
            move || {
                let second = work.trace("second");
                let before = now();
                drop(first);
                ((before, now()), second)
            }
        });
        let second;
        (ended, second) = thread.join().expect("no panic");
        drop(second);
        work.instant("done");
    });
    let slices = loaded.slices();
    assert_eq!(names(&slices), ["first", "second", "done"]);
    let end = slices[0].end().expect("it ended");
    assert!(ended.0 - SLACK_NS <= end && end <= ended.1 + SLACK_NS);
    // The second began within the first and outlasted it.
    assert!(slices[1].end() > slices[0].end() && slices[1].ts >= slices[0].ts);
    assert_ne!(slices[0].track_id, slices[1].track_id);
    assert_eq!((report.lanes, report.left_open), (1, 0));
}

#[test]
fn tracks_and_spans_outlive_sessions() {
    let oracle = oracle_or_skip!();
    let early = novatrace::track("early");
    // Before a session is open: nothing.
    let nothing = without_session(|| early.trace("nothing"));
    let mut held = None;
    let (first, report) = recording(&oracle, Session::builder(), || {
        drop(nothing);
        held = Some(early.trace("held"));
        early.instant("first");
    });
    assert_eq!((report.events, report.left_open), (2, 1));
    let (second, report) = recording(&oracle, Session::builder(), || {
        let span = early.trace("second");
        held = None;
        drop(span);
    });
    assert_eq!((report.events, report.left_open), (1, 0));
    without_session(|| early.instant("after"));
    let slices = first.slices();
    assert_eq!(names(&slices), ["held", "first"]);
    assert!(slices[0].end() > Some(slices[1].ts));
    assert_eq!(names(&second.slices()), ["second"]);
    assert!(second.slices()[0].dur >= 0);
}

/// An instant of each category.
fn categories() {
    instant!("read", category = "io.read");
    instant!("write", category = "io.write");
    instant!("net", category = "net");
    instant!("own");
    static COUNTED: Counter = counter!("counted", category = "io.write");
    COUNTED.add(1);
}

#[test]
fn categories_are_chosen_by_globs() {
    let oracle = oracle_or_skip!();
    for (globs, expected, samples) in [
        ("", vec!["read", "write", "net", "own"], 1),
        ("io.*,-io.read", vec!["write"], 1),
        ("-io.*", vec!["net", "own"], 0),
        ("live_tracks,net", vec!["net", "own"], 0),
        ("nothing", vec![], 0),
    ] {
        let builder = Session::builder().categories(globs);
        let (loaded, _) = recording(&oracle, builder, categories);
        assert_eq!(names(&loaded.slices()), expected, "{globs}");
        assert_eq!(loaded.counters().len(), samples, "{globs}");
    }
}

#[test]
fn categories_are_switched_while_it_runs() {
    let oracle = oracle_or_skip!();
    let span = |name: u32| trace!("span", name = name, category = "switched");
    let (bytes, report) = recording_bytes(Session::builder().categories("switched"), |session| {
        let outer = span(1);
        session.set_categories("-switched");
        let off = span(2);
        categories();
        // Begun while it was on, ended while it is off; begun while it was off, ended while it is on.
        drop(outer);
        session.set_categories("*");
        let on = span(3);
        drop(off);
        drop(on);
        categories();
    });
    let loaded = read(&oracle, &bytes);
    let slices = loaded.slices();
    let expected = ["span", "read", "write", "net", "own", "span", "read", "write", "net", "own"];
    assert_eq!(names(&slices), expected);
    assert_eq!(
        (slices[0].args["name"].as_i64(), slices[5].args["name"].as_i64()),
        (Some(1), Some(3))
    );
    let depths: Vec<_> = slices.iter().map(|slice| (slice.dur >= 0, slice.depth)).collect();
    // What the first one is around was recorded before it ended; the other has nothing in it.
    let expected = [0, 1, 1, 1, 1, 0, 0, 0, 0, 0].map(|depth| (true, depth));
    assert_eq!(depths, expected);
    // The samples too.
    assert_eq!((report.events, report.lost), (12, 0));
}

#[test]
fn arguments_are_evaluated_once_and_only_when_on() {
    let oracle = oracle_or_skip!();
    let evaluated = Cell::new(0);
    let evaluate = || {
        evaluated.set(evaluated.get() + 1);
        evaluated.get()
    };
    let record = || {
        let _span = trace!("span", number = evaluate(), category = "evaluated");
        instant!("instant", number = evaluate(), category = "evaluated");
    };
    without_session(record);
    assert_eq!(evaluated.get(), 0);
    let (loaded, _) = recording(&oracle, Session::builder(), record);
    let numbers: Vec<_> =
        loaded.slices().iter().map(|slice| slice.args["number"].as_i64()).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
    let (loaded, _) = recording(&oracle, Session::builder().categories("-evaluated"), record);
    assert_eq!((loaded.slices().len(), evaluated.get()), (0, 2));
    without_session(record);
    assert_eq!(evaluated.get(), 2);
}

#[test]
fn the_environment_has_the_last_word_on_categories() {
    if let Some(path) = itself::place() {
        let builder = Session::builder().categories("net");
        let session = builder.create(path).expect("no other session is open");
        categories();
        session.close().expect("a file takes all");
        return;
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("child.pftrace");
    let run = |categories: Option<&str>| -> Loaded {
        let test = "the_environment_has_the_last_word_on_categories";
        let mut command = itself::program(test, &path);
        command.env_remove("NOVATRACE_CATEGORIES");
        command.envs(categories.map(|categories| ("NOVATRACE_CATEGORIES", categories)));
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let loaded = oracle.load(&path).expect("the trace processor takes it");
        loaded.assert_healthy();
        loaded
    };
    assert_eq!(names(&run(None).slices()), ["net"]);
    assert_eq!(names(&run(Some("io.*,-io.read")).slices()), ["write"]);
    assert_eq!(names(&run(Some("")).slices()).len(), 4);
}

#[test]
fn a_second_session_is_refused_and_told_where_the_first_is() {
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("first.pftrace");
    let _one = support::one();
    let (line, session) = (line!(), novatrace::open(&path).expect("no other is open"));
    instant!("before");
    for other in [&path, &folder.path().join("second.pftrace")] {
        let error = novatrace::open(other).expect_err("one is open");
        let ErrorKind::AlreadyOpen { first, .. } = error.kind() else { panic!("{error}") };
        assert!(first.contains(&format!("live_tracks.rs:{line}:")), "{first}");
        assert!(error.to_string().contains(first), "{error}");
    }
    assert!(!folder.path().join("second.pftrace").exists());
    let error = Session::builder().sink(support::Gate::default()).expect_err("one is open");
    assert!(matches!(error.kind(), ErrorKind::AlreadyOpen { .. }));
    instant!("after");
    session.close().expect("a file takes all");
    // After a close, and after a drop, it is open to the next.
    let session = novatrace::open(folder.path().join("third.pftrace")).expect("it is closed");
    instant!("third");
    drop(session);
    let session = novatrace::open(folder.path().join("fourth.pftrace")).expect("it is dropped");
    instant!("fourth");
    assert_eq!(session.close().expect("a file takes all").events, 1);
    for (file, expected) in
        [("first", vec!["before", "after"]), ("third", vec!["third"]), ("fourth", vec!["fourth"])]
    {
        let path = folder.path().join(format!("{file}.pftrace"));
        let loaded = oracle.load(path).expect("the trace processor takes it");
        loaded.assert_healthy();
        assert_eq!(names(&loaded.slices()), expected);
    }
}

#[test]
fn a_session_whose_file_cannot_be_made_leaves_the_way_free() {
    let _one = support::one();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = novatrace::open(folder.path().join("no/such/folder")).expect_err("no folder");
    assert!(matches!(error.kind(), ErrorKind::Create(_)), "{error}");
    let session = novatrace::open(folder.path().join("a")).expect("none is open");
    session.close().expect("a file takes all");
}

#[test]
fn counters_keep_their_values_between_sessions() {
    static LEVEL: Counter = counter!("level", unit = "B");
    let oracle = oracle_or_skip!();
    without_session(|| LEVEL.add(100)); // nothing records: nothing is counted
    let samples = |loaded: &Loaded| -> Vec<(String, f64)> {
        let counters = loaded.counters();
        counters.iter().map(|c| (c.track.clone(), c.value)).collect()
    };
    let values =
        |loaded: &Loaded| samples(loaded).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    let (first, _) = recording(&oracle, Session::builder(), || {
        LEVEL.set(2);
        LEVEL.add(0.5);
    });
    without_session(|| LEVEL.set(1e9));
    let (second, _) = recording(&oracle, Session::builder(), || {
        LEVEL.add(-1);
        std::thread::spawn(|| LEVEL.add(i64::from(u32::MAX))).join().expect("no panic");
    });
    let (third, _) = recording(&oracle, Session::builder(), || ());
    assert_eq!(values(&first), [2.0, 2.5]);
    assert_eq!(values(&second), [1.5, 4_294_967_296.5]);
    assert_eq!(values(&third), [0.0; 0]);
    let level = |loaded: &Loaded| {
        let tracks = loaded.tracks();
        let track = tracks.iter().find(|track| track.name.as_deref() == Some("level"));
        track.map(|track| (track.is_counter, track.unit.clone()))
    };
    assert_eq!(level(&first), Some((true, Some("B".to_owned()))));
    assert_eq!(level(&second), level(&first));
    assert!(samples(&first)[0].0.ends_with("/level"));
}
