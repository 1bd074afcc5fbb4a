//! The layer for `tracing`: spans and events come back as the rows that they were.

#[path = "live/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use novatrace::Session;
use novatrace_testkit::{Loaded, Slice, Value, oracle_or_skip};
use tracing::instrument::WithSubscriber;
use tracing::{
    Dispatch, Instrument, Level, Subscriber, debug, error, info, info_span, span, trace_span, warn,
};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use support::recording;

fn name(slice: &Slice) -> &str {
    slice.name.as_deref().unwrap_or_default()
}

fn rows(slices: &[Slice]) -> Vec<(&str, i64)> {
    slices.iter().map(|slice| (name(slice), slice.depth)).collect()
}

fn subscriber() -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync {
    tracing_subscriber::registry().with(novatrace_tracing::layer())
}

fn with(work: impl FnOnce()) {
    tracing::subscriber::with_default(subscriber(), work);
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[derive(Debug)]
struct Failure(Option<Box<Failure>>);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "cannot load" } else { "no such file" })
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn spans_nest_and_fields_keep_their_types() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        with(|| {
            let failure = Failure(Some(Box::new(Failure(None))));
            let outer = info_span!(
                target: "loader",
                "load",
                rows = -3_i64,
                wide = u64::MAX,
                share = 0.5,
                done = true,
                format = "csv",
                shown = ?Some(7),
                error = &failure as &dyn std::error::Error,
                later = tracing::field::Empty,
            );
            outer.in_scope(|| {
                let _inner = trace_span!("inner").entered();
                warn!(line = 7, "cut {}", "off");
            });
            outer.record("later", 9_u8);
            outer.in_scope(|| ());
            error!(code = 1);
        });
    });
    let slices = loaded.slices();
    let expected = [("load", 0), ("inner", 1), ("cut off", 2), ("load", 0), ("load", 0)];
    assert_eq!(rows(&slices)[..5], expected);
    assert_eq!((slices.len(), report.events, report.left_open), (6, 6, 0));
    assert_eq!(slices[0].category.as_deref(), Some("loader,INFO"));
    assert_eq!(slices[1].category.as_deref(), Some("live_tracing,TRACE"));
    let args: Vec<_> = slices[0].args.clone().into_iter().collect();
    let expected = [
        ("done", Value::Bool(true)),
        ("error", text("cannot load: no such file")),
        ("format", text("csv")),
        ("rows", Value::Int(-3)),
        ("share", Value::Float(0.5)),
        ("shown", text("Some(7)")),
        ("wide", Value::Uint(u64::MAX)),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    assert_eq!(args, expected);
    assert_eq!(slices[2].args["line"], Value::Int(7));
    // Recorded later: an instant of its own, and from the next enter on.
    assert_eq!((slices[3].dur, &slices[3].args["later"]), (0, &Value::Uint(9)));
    assert_eq!(
        (&slices[4].args["later"], &slices[4].args["rows"]),
        (&Value::Uint(9), &Value::Int(-3))
    );
    assert!(name(&slices[5]).starts_with("event "), "{}", name(&slices[5]));
    assert_eq!(slices[5].category.as_deref(), Some("live_tracing,ERROR"));
}

#[test]
fn counters_and_arrows() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        with(|| {
            let cause = info_span!("cause");
            let effect = info_span!("effect");
            cause.in_scope(|| effect.follows_from(&cause));
            debug!(counter.queue = 3, counter.load = 0.5);
            info!(counter.queue = 4_u64, done = true, "step");
            effect.in_scope(|| ());
        });
    });
    let slices = loaded.slices();
    assert_eq!(rows(&slices), [("cause", 0), ("effect", 1), ("step", 0), ("effect", 0)]);
    let arrows: Vec<_> =
        loaded.flows().iter().map(|flow| (flow.slice_out, flow.slice_in)).collect();
    assert_eq!(arrows, [(slices[1].id, slices[3].id)]);
    let expected = [("load", 0.5), ("queue", 3.0), ("queue", 4.0)];
    assert_eq!(samples(&loaded), expected.map(|(name, value)| (name.to_owned(), value)));
}

/// The counters' samples, by name and value.
fn samples(loaded: &Loaded) -> Vec<(String, f64)> {
    let mut samples: Vec<_> = loaded
        .counters()
        .iter()
        .map(|sample| {
            (sample.track.rsplit('/').next().unwrap_or_default().to_owned(), sample.value)
        })
        .collect();
    samples.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    samples
}

#[test]
fn counters_of_spans_are_sampled_when_they_are_given() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        with(|| {
            let empty = tracing::field::Empty;
            let span = info_span!("span", rows = 1, counter.depth = 2, counter.load = empty);
            span.in_scope(|| ());
            span.record("counter.load", 0.5);
            span.record("counter.depth", 3_u64);
            span.in_scope(|| ());
            drop(info_span!("never entered", counter.depth = 4));
        });
    });
    // Neither an instant for what was recorded later, nor arguments.
    let slices = loaded.slices();
    assert_eq!(rows(&slices), [("span", 0), ("span", 0)]);
    let rows_only = [("rows".to_owned(), Value::Int(1))].into_iter().collect();
    assert!(slices.iter().all(|slice| slice.args == rows_only));
    let expected = [("depth", 2.0), ("depth", 3.0), ("depth", 4.0), ("load", 0.5)];
    assert_eq!(samples(&loaded), expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!((report.events, report.lost), (6, 0));
}

#[test]
fn it_composes_with_fmt_and_filters_and_categories() {
    let oracle = oracle_or_skip!();
    let builder = Session::builder().categories("-noise");
    let (loaded, _) = recording(&oracle, builder, || {
        let subscriber = tracing_subscriber::registry()
            .with(tracing_subscriber::fmt::layer().with_writer(std::io::sink))
            .with(novatrace_tracing::layer().with_filter(LevelFilter::INFO));
        tracing::subscriber::with_default(subscriber, || {
            let _outer = info_span!("outer").entered();
            let _filtered = trace_span!("filtered").entered();
            let _noise = info_span!(target: "noise", "noise", field = 1).entered();
            debug!("filtered too");
            info!(target: "noise", "noise too");
            let _inner = info_span!("inner").entered();
        });
    });
    assert_eq!(rows(&loaded.slices()), [("outer", 0), ("inner", 1)]);
}

#[test]
fn spans_left_out_of_order_on_other_threads_or_in_other_sessions() {
    let oracle = oracle_or_skip!();
    let subscriber = std::sync::Arc::new(subscriber());
    let dispatch = tracing::Dispatch::new(subscriber);
    let outlives = tracing::dispatcher::with_default(&dispatch, || info_span!("outlives"));
    let entered = tracing::dispatcher::with_default(&dispatch, || outlives.clone().entered());
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        tracing::dispatcher::with_default(&dispatch, || {
            let (a, b) = (info_span!("a"), info_span!("b"));
            let (a_entered, b_entered) = (a.clone().entered(), b.clone().entered());
            drop(a_entered);
            drop(b_entered);
            drop(entered);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    let (a, dispatch) = (&a, &dispatch);
                    scope.spawn(move || {
                        tracing::dispatcher::with_default(dispatch, || {
                            for at in 0..100 {
                                a.in_scope(|| span!(Level::INFO, "work", at).in_scope(|| ()));
                            }
                        });
                    });
                }
            });
        });
    });
    let slices = loaded.slices();
    let count = |wanted: &str| slices.iter().filter(|slice| name(slice) == wanted).count();
    assert_eq!((count("a"), count("b"), count("work"), count("outlives")), (801, 2, 800, 0));
    assert_eq!((report.left_open, report.lost), (0, 0));
    assert!(slices.iter().all(|slice| slice.dur >= 0));
    let nested = slices.iter().filter(|slice| name(slice) == "work" && slice.depth == 1);
    assert_eq!(nested.count(), 800);
}

#[tracing::instrument]
async fn polled(times: u32) -> u32 {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
    times
}

#[test]
fn each_poll_of_a_future_is_a_slice_and_may_have_an_arrow_to_the_next() {
    let oracle = oracle_or_skip!();
    let subscriber =
        tracing_subscriber::registry().with(novatrace_tracing::layer().with_poll_flows(true));
    let dispatch = tracing::Dispatch::new(subscriber);
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        tracing::dispatcher::with_default(&dispatch, || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            assert_eq!(runtime.block_on(polled(3)), 3);
        });
    });
    let slices = loaded.slices();
    let polls: Vec<_> = slices.iter().filter(|slice| name(slice) == "polled").collect();
    assert!(polls.len() >= 4, "{}", polls.len());
    assert!(polls.iter().all(|slice| slice.args["times"] == Value::Uint(3)));
    assert_eq!(loaded.flows().len(), polls.len() - 1);
}

/// A subscriber that draws tasks, for any thread.
fn with_task_tracks() -> Dispatch {
    let layer = novatrace_tracing::layer().with_task_tracks(true);
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

fn is_task(slice: &Slice) -> bool {
    slice.track_name.as_deref().is_some_and(|track| track.starts_with("task "))
}

/// What is on the rows of tasks, in order of start, and what is on the threads' tracks.
fn tasks_and_polls(loaded: &Loaded) -> (Vec<Slice>, Vec<Slice>) {
    loaded.slices().into_iter().partition(is_task)
}

/// The row of each slice, counted as they are first used; its name; its depth.
fn places(tasks: &[Slice]) -> Vec<(usize, &str, i64)> {
    let mut used = Vec::new();
    let mut row = |id| {
        used.iter().position(|&known| known == id).unwrap_or_else(|| {
            used.push(id);
            used.len() - 1
        })
    };
    tasks.iter().map(|slice| (row(slice.track_id), name(slice), slice.depth)).collect()
}

/// By task, the slices that its arrow leads through one after the other.
fn entries<'s>(loaded: &Loaded, tasks: &[Slice], polls: &'s [Slice]) -> Vec<Vec<&'s Slice>> {
    let next: BTreeMap<_, _> =
        loaded.flows().iter().map(|flow| (flow.slice_out, flow.slice_in)).collect();
    assert_eq!(next.len(), loaded.flows().len(), "chains");
    let polls: BTreeMap<_, _> = polls.iter().map(|slice| (slice.id, slice)).collect();
    let chain = |task: &Slice| {
        std::iter::successors(next.get(&task.id), |at| next.get(at)).map(|at| polls[at]).collect()
    };
    tasks.iter().map(chain).collect()
}

#[tracing::instrument]
async fn fetch(id: u32) -> u32 {
    tokio::time::sleep(Duration::from_millis(2)).await;
    parse(id).await
}

#[tracing::instrument(level = "debug", skip_all, fields(bytes = id + 100))]
async fn parse(id: u32) -> u32 {
    tokio::task::yield_now().await;
    let _span = info_span!("crunch").entered();
    id * 10
}

#[test]
fn with_task_tracks_a_span_is_one_slice_across_awaits_and_threads() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(3).enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let dispatch = with_task_tracks();
            let tasks: Vec<_> = (0..20)
                .map(|id| tokio::spawn(fetch(id).with_subscriber(dispatch.clone())))
                .collect();
            for (id, task) in (0..).zip(tasks) {
                assert_eq!(task.await.expect("no panic"), id * 10);
            }
        });
    });
    let (tasks, polls) = tasks_and_polls(&loaded);
    assert_eq!((report.lost, report.left_open, report.lanes), (0, 0, 0));
    assert_eq!((tasks.len(), report.events), (60, (tasks.len() + polls.len()) as u64));
    let inside = |outer: &Slice, wanted: &str| {
        let mut inside = tasks.iter().filter(|slice| slice.parent_id == Some(outer.id));
        let (inner, more) = (inside.next().expect("a slice inside"), inside.next());
        assert_eq!((name(inner), more), (wanted, None));
        assert_eq!(inner.track_id, outer.track_id);
        inner
    };
    let fetches: Vec<&Slice> = tasks.iter().filter(|slice| slice.depth == 0).collect();
    let mut ids = Vec::new();
    for fetch in fetches {
        assert_eq!((name(fetch), fetch.category.as_deref()), ("fetch", Some("live_tracing,INFO")));
        assert!(fetch.dur >= 2_000_000, "{fetch:?}");
        let parse = inside(fetch, "parse");
        assert_eq!(parse.category.as_deref(), Some("live_tracing,DEBUG"));
        let crunch = inside(parse, "crunch");
        let id = fetch.args["id"].as_i64().expect("a number");
        let bytes = parse.args["bytes"].as_i64().expect("a number");
        assert_eq!((bytes - id, crunch.args.len()), (100, 0));
        assert_eq!((fetch.args.len(), parse.args.len()), (1, 1));
        ids.push(id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<i64>>());
    // Every entry is a slice on a thread, without fields, and on its task's arrow.
    let entries = entries(&loaded, &tasks, &polls);
    assert_eq!(entries.iter().map(Vec::len).sum::<usize>(), polls.len());
    for (task, entries) in tasks.iter().zip(entries) {
        let least = match name(task) {
            "fetch" => 3,
            "parse" => 2,
            _ => 1,
        };
        assert!(entries.len() >= least, "{task:?}");
        for entry in entries {
            assert_eq!((name(entry), &entry.category), (name(task), &task.category));
            assert!(entry.args.is_empty(), "{entry:?}");
            assert!(task.ts <= entry.ts && entry.end() <= task.end(), "{task:?} {entry:?}");
        }
    }
}

#[test]
fn with_task_tracks_spans_that_run_at_once_do_not_share_a_row_and_cut_ones_end() {
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let sleep = |milliseconds| tokio::time::sleep(Duration::from_millis(milliseconds));
        let work = async {
            tokio::join!(
                sleep(4).instrument(info_span!("first")),
                sleep(8).instrument(info_span!("second")),
                sleep(2).instrument(info_span!("third")),
            );
            sleep(1).instrument(info_span!("after")).await;
            let forever = std::future::pending::<()>().instrument(info_span!("forever"));
            assert!(tokio::time::timeout(Duration::from_millis(1), forever).await.is_err());
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().expect("a runtime");
        tracing::dispatcher::with_default(&with_task_tracks(), || {
            runtime.block_on(async { work.instrument(info_span!("all")).await });
        });
    });
    let (tasks, _) = tasks_and_polls(&loaded);
    let expected = [
        (0, "all", 0),
        (0, "first", 1),
        (1, "second", 0),
        (2, "third", 0),
        (0, "after", 1),
        (0, "forever", 1),
    ];
    assert_eq!(places(&tasks), expected);
    assert!(tasks.iter().all(|slice| slice.dur >= 1_000_000), "{tasks:?}");
    assert_eq!((report.lost, report.left_open, report.lanes), (0, 0, 0));
}

#[test]
fn with_task_tracks_a_span_is_inside_its_parent_whoever_enters_it() {
    let oracle = oracle_or_skip!();
    let builder = Session::builder().categories("-noise");
    let (loaded, report) = recording(&oracle, builder, || {
        let dispatch = with_task_tracks();
        tracing::dispatcher::with_default(&dispatch, || {
            // Never entered: it begins with the first span inside it.
            let root = info_span!("root", id = 1, later = tracing::field::Empty);
            root.record("later", 2);
            let first = info_span!(parent: &root, "first");
            let second = info_span!(parent: &root, "second", row = "its own");
            let cause = info_span!("cause").entered();
            second.follows_from(&cause);
            drop(cause);
            first.in_scope(|| ());
            second.in_scope(|| ());
            drop(first);
            // What is not recorded is passed over.
            let noise = info_span!(target: "noise", parent: &root, "noise");
            let third = info_span!(parent: &noise, "third");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    third.in_scope(|| {
                        let alone = tracing::dispatcher::with_default(
                            &dispatch,
                            || info_span!(parent: None, "alone"),
                        );
                        alone.in_scope(|| ());
                    });
                });
            });
            // The parent is open for as long as one inside it is.
            drop((root, noise, third));
            second.in_scope(|| ());
            drop(info_span!("never entered"));
        });
    });
    let (tasks, polls) = tasks_and_polls(&loaded);
    let expected = [
        (0, "cause", 0),
        (0, "root", 0),
        (0, "first", 1),
        (1, "second", 0),
        (0, "third", 1),
        (2, "alone", 0),
    ];
    assert_eq!(places(&tasks), expected);
    assert_eq!((report.lost, report.left_open, report.lanes), (0, 0, 0));
    let args: Vec<_> = tasks[1].args.clone().into_iter().collect();
    let expected = [("id".to_owned(), Value::Int(1)), ("later".to_owned(), Value::Int(2))];
    assert_eq!(args, expected);
    assert_eq!(tasks[3].args["row"], text("its own"));
    assert!(tasks[1].end() >= tasks[3].end());
    // The instants of what was recorded and followed, then the entries, but for the root's.
    let expected =
        [("root", 0), ("cause", 0), ("second", 1), ("first", 0), ("second", 0), ("second", 0)];
    let main = polls[0].track_id;
    let (main, other): (Vec<_>, Vec<_>) =
        polls.iter().cloned().partition(|slice| slice.track_id == main);
    assert_eq!((rows(&main), rows(&other)), (expected.to_vec(), vec![("third", 0), ("alone", 1)]));
    // The arrow of what it followed leads to the whole of it.
    assert!(
        loaded
            .flows()
            .iter()
            .any(|flow| (flow.slice_out, flow.slice_in) == (main[2].id, tasks[3].id))
    );
}

#[test]
fn with_task_tracks_spans_that_outlive_their_session_are_drawn_anew() {
    let oracle = oracle_or_skip!();
    let dispatch = with_task_tracks();
    let (mut spans, mut entered) = (Vec::new(), None);
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        tracing::dispatcher::with_default(&dispatch, || {
            let outer = info_span!("outer", id = 1);
            let inner = info_span!(parent: &outer, "inner", id = 2);
            inner.in_scope(|| ());
            entered = Some(info_span!("entered").entered());
            spans = vec![outer, inner];
        });
    });
    let (tasks, _) = tasks_and_polls(&loaded);
    assert_eq!(places(&tasks), [(0, "outer", 0), (0, "inner", 1), (1, "entered", 0)]);
    assert_eq!((report.events, report.left_open), (5, 4));
    assert!(tasks.iter().all(|slice| slice.dur >= 0));
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        spans[1].in_scope(|| ());
        drop(entered.take()); // left and closed in a session that has not met it
        spans[0].in_scope(|| ());
    });
    let (tasks, polls) = tasks_and_polls(&loaded);
    assert_eq!(places(&tasks), [(0, "outer", 0), (0, "inner", 1)]);
    let ids: Vec<_> = tasks.iter().map(|slice| &slice.args["id"]).collect();
    assert_eq!(ids, [&Value::Int(1), &Value::Int(2)]);
    assert_eq!(rows(&polls), [("inner", 0), ("outer", 0)]);
    assert_eq!((report.events, report.left_open), (4, 2));
    drop(spans); // in no session at all
}

#[test]
fn with_task_tracks_threads_that_enter_a_span_at_once_draw_it_once() {
    const SPANS: usize = 50;
    const THREADS: usize = 4;
    let oracle = oracle_or_skip!();
    let (loaded, report) = recording(&oracle, Session::builder(), || {
        let spans: Vec<_> = tracing::dispatcher::with_default(&with_task_tracks(), || {
            let parent = info_span!("parent");
            (0..SPANS).map(|_| info_span!(parent: &parent, "shared")).collect()
        });
        let barrier = std::sync::Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for span in &spans {
                        barrier.wait();
                        span.in_scope(|| ());
                    }
                });
            }
        });
    });
    let (tasks, polls) = tasks_and_polls(&loaded);
    assert_eq!((tasks.len(), polls.len()), (SPANS + 1, SPANS * THREADS));
    assert_eq!((name(&tasks[0]), tasks[1].parent_id), ("parent", Some(tasks[0].id)));
    assert_eq!((report.lost, report.left_open, report.lanes), (0, 0, 0));
    let entries = entries(&loaded, &tasks, &polls);
    assert!(entries.iter().skip(1).all(|entries| entries.len() == THREADS));
}
