//! The layer for `tracing`: spans and events come back as the rows that they were.

#[path = "live/support.rs"]
mod support;

use novatrace::Session;
use novatrace_testkit::{Loaded, Slice, Value, oracle_or_skip};
use tracing::{Level, Subscriber, debug, error, info, info_span, span, trace_span, warn};
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
