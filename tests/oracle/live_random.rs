//! Random programs of threads that begin and end spans, in order and out of it: what the trace processor
//! reads back is what they did, exactly, and when they did it.

mod seed;
#[path = "live/support.rs"]
mod support;

use std::collections::BTreeMap;

use novatrace::{Counter, FlowId, Session, SpanGuard, counter, flow, instant, trace};
use novatrace_testkit::{Args, Flow, Loaded, Slice, Value, oracle_or_skip};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;

use seed::{number, seeded};
use support::{boottime_ns, recording};

const THREADS: usize = 8;
/// Flows that any thread may take part in.
const SHARED_FLOWS: usize = 12;
/// A span's times lie on a line between two readings of the clocks; where the worker is interrupted in
/// one of those, they are off by more than usual. `live_clock.rs` says how much is usual.
const SLACK_NS: u64 = 20_000;

/// What an event says, by kinds of arguments.
#[derive(Debug, Clone)]
enum What {
    Plain,
    Ints(i64, u64),
    Floats(f64, bool),
    Texts(String, String),
    Nested(Json),
    Shown(i64),
    Small(u8, i8, char),
    /// The name is made at run time.
    Made(u8, i32),
}

/// Not `Serialize`, so that its `Debug` is what is recorded.
#[derive(Debug)]
struct Shown {
    #[expect(dead_code, reason = "shown by Debug")]
    value: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Begin(What, Option<usize>),
    End,
    Instant(What, Option<usize>),
    /// An instant with a flow of its own, and one where that ends.
    Pair,
    /// This thread's counter.
    Set(f64),
    Add(i32),
    /// The counter of all.
    AddShared(i32),
}

static OWN: [Counter; THREADS] = [
    counter!("own 0"),
    counter!("own 1"),
    counter!("own 2"),
    counter!("own 3"),
    counter!("own 4"),
    counter!("own 5"),
    counter!("own 6"),
    counter!("own 7"),
];
static SHARED: Counter = counter!("shared", unit = "items", category = "sums");

/// `trace!` or `instant!` of what there is to say.
macro_rules! say {
    ($verb:ident, $what:expr, $flow:expr) => {
        match $what {
            What::Plain => $verb!("plain", flow_in = $flow),
            What::Ints(int, uint) => {
                $verb!("ints", int = *int, category = "numbers", uint = uint, flow_out = $flow,)
            }
            What::Floats(float, flag) => {
                $verb!("floats", float = float, flag = *flag, flow_in = $flow)
            }
            What::Texts(owned, borrowed) => {
                $verb!("texts", flow_in = $flow, owned = owned, "bor rowed" = borrowed.as_str())
            }
            What::Nested(json) => $verb!("nested", value = json, flow_out = $flow),
            What::Shown(value) => $verb!("shown", shown = Shown { value: *value }, flow_in = $flow),
            What::Small(byte, signed, char) => {
                $verb!("small", byte = *byte, signed = *signed, char = *char, flow_in = $flow)
            }
            What::Made(name, at) => $verb!(format!("made {name}"), at = *at, flow_out = $flow),
        }
    };
}

impl What {
    fn name(&self) -> String {
        match self {
            Self::Plain => "plain".to_owned(),
            Self::Ints(..) => "ints".to_owned(),
            Self::Floats(..) => "floats".to_owned(),
            Self::Texts(..) => "texts".to_owned(),
            Self::Nested(_) => "nested".to_owned(),
            Self::Shown(_) => "shown".to_owned(),
            Self::Small(..) => "small".to_owned(),
            Self::Made(name, _) => format!("made {name}"),
        }
    }

    fn category(&self) -> &'static str {
        if matches!(self, Self::Ints(..)) { "numbers" } else { "live_random" }
    }

    fn args(&self) -> Args {
        let args: Vec<(&str, Value)> = match self {
            Self::Plain => vec![],
            Self::Ints(int, uint) => vec![("int", Value::Int(*int)), ("uint", Value::Uint(*uint))],
            Self::Floats(float, flag) => {
                vec![("float", Value::Float(*float)), ("flag", Value::Bool(*flag))]
            }
            Self::Texts(owned, borrowed) => vec![
                ("owned", Value::Text(owned.clone())),
                ("bor rowed", Value::Text(borrowed.clone())),
            ],
            Self::Nested(json) => {
                let mut args = Args::new();
                flat("value", json, &mut args);
                return args;
            }
            Self::Shown(value) => {
                vec![("shown", Value::Text(format!("Shown {{ value: {value} }}")))]
            }
            Self::Small(byte, signed, char) => vec![
                ("byte", Value::Uint(u64::from(*byte))),
                ("signed", Value::Int(i64::from(*signed))),
                ("char", Value::Text(char.to_string())),
            ],
            Self::Made(_, at) => vec![("at", Value::Int(i64::from(*at)))],
        };
        args.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Arguments that have parts, as the trace processor names them.
fn flat(prefix: &str, json: &Json, args: &mut Args) {
    let value = match json {
        Json::Object(items) if !items.is_empty() => {
            return items.iter().for_each(|(key, value)| {
                flat(&format!("{prefix}.{key}"), value, args);
            });
        }
        Json::Array(items) if !items.is_empty() => {
            return items.iter().enumerate().for_each(|(at, value)| {
                flat(&format!("{prefix}[{at}]"), value, args);
            });
        }
        Json::Object(_) => Value::Text("{}".to_owned()),
        Json::Array(_) => Value::Text("[]".to_owned()),
        Json::Null => Value::Text("null".to_owned()),
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => Value::Uint(value),
            (None, Some(value)) => Value::Int(value),
            (None, None) => Value::Float(number.as_f64().expect("a number")),
        },
    };
    args.insert(prefix.to_owned(), value);
}

fn what() -> impl Strategy<Value = What> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e9..1e9_f64).prop_map(Json::from),
        "[a-z]{0,12}".prop_map(Json::from),
    ];
    let nested = leaf.prop_recursive(3, 10, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::hash_map("[a-z]{1,3}", inner, 0..4).prop_map(Json::from_iter),
        ]
    });
    prop_oneof![
        Just(What::Plain),
        (any::<i64>(), any::<u64>()).prop_map(|(int, uint)| What::Ints(int, uint)),
        (-1e300..1e300_f64, any::<bool>()).prop_map(|(float, flag)| What::Floats(float, flag)),
        ("\\PC{0,20}", "[a-z]{0,70}").prop_map(|(owned, borrowed)| What::Texts(owned, borrowed)),
        nested.prop_map(What::Nested),
        any::<i64>().prop_map(What::Shown),
        (any::<u8>(), any::<i8>(), prop::char::range('!', 'ž'))
            .prop_map(|(byte, signed, char)| What::Small(byte, signed, char)),
        (any::<u8>(), any::<i32>()).prop_map(|(name, at)| What::Made(name, at)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flow = proptest::option::weighted(0.3, 0..SHARED_FLOWS);
    let step = prop_oneof![
        4 => (what(), flow.clone()).prop_map(|(what, flow)| Step::Begin(what, flow)),
        4 => Just(Step::End),
        2 => (what(), flow).prop_map(|(what, flow)| Step::Instant(what, flow)),
        1 => Just(Step::Pair),
        1 => (-1e9..1e9_f64).prop_map(Step::Set),
        1 => any::<i32>().prop_map(Step::Add),
        1 => (-1_000..1_000_i32).prop_map(Step::AddShared),
    ];
    prop::collection::vec(step, 1..100)
}

/// A slice or an instant as it was recorded.
#[derive(Debug, Clone)]
struct Done {
    name: String,
    category: &'static str,
    args: Args,
    /// Its parent's place among the thread's.
    parent: Option<usize>,
    depth: i64,
    flow: Option<FlowId>,
    is_flow_end: bool,
    /// The clock before and after the calls that began and ended it.
    begin: (u64, u64),
    end: (u64, u64),
}

/// The clock around a call.
fn around<T>(call: impl FnOnce() -> T) -> (T, (u64, u64)) {
    let before = boottime_ns();
    let result = call();
    (result, (before, boottime_ns()))
}

/// Does what `steps` say, and tells what that was.
fn perform(steps: &[Step], thread: usize, flows: &[FlowId]) -> (Vec<Done>, Vec<f64>) {
    let mut open: Vec<(usize, SpanGuard)> = vec![];
    let (mut done, mut samples): (Vec<Done>, Vec<f64>) = (vec![], vec![]);
    let mut value = OWN[thread].value();
    let note = |done: &mut Vec<Done>, open: &[(usize, SpanGuard)], what: &What, flow, begin| {
        done.push(Done {
            name: what.name(),
            category: what.category(),
            args: what.args(),
            parent: open.last().map(|(at, _)| *at),
            depth: i64::try_from(open.len()).expect("few"),
            flow,
            is_flow_end: false,
            begin,
            end: begin,
        });
    };
    for step in steps {
        match step {
            Step::Begin(what, flow) => {
                let flow = flow.map(|flow| flows[flow]);
                let (guard, begin) = around(|| say!(trace, what, flow));
                note(&mut done, &open, what, flow, begin);
                open.push((done.len() - 1, guard));
            }
            Step::End => {
                if let Some((at, guard)) = open.pop() {
                    done[at].end = around(|| drop(guard)).1;
                }
            }
            Step::Instant(what, flow) => {
                let flow = flow.map(|flow| flows[flow]);
                let ((), begin) = around(|| say!(instant, what, flow));
                note(&mut done, &open, what, flow, begin);
            }
            Step::Pair => {
                let flow = flow();
                let ((), begin) = around(|| say!(instant, &What::Plain, flow));
                note(&mut done, &open, &What::Plain, Some(flow), begin);
                let ((), begin) = around(|| instant!("plain", flow_end = [flow]));
                note(&mut done, &open, &What::Plain, Some(flow), begin);
                done.last_mut().expect("just now").is_flow_end = true;
            }
            Step::Set(new) => {
                OWN[thread].set(*new);
                value = *new;
                samples.push(value);
            }
            Step::Add(more) => {
                OWN[thread].add(*more);
                value += f64::from(*more);
                samples.push(value);
            }
            Step::AddShared(more) => SHARED.add(*more),
        }
    }
    while let Some((at, guard)) = open.pop() {
        done[at].end = around(|| drop(guard)).1;
    }
    (done, samples)
}

/// The slices of a thread, in order of their starts.
fn of_thread<'s>(slices: &'s [Slice], name: &str) -> Vec<&'s Slice> {
    let end = format!("/{name}");
    slices.iter().filter(|slice| slice.track.ends_with(&end)).collect()
}

fn is_within(time: i64, around: (u64, u64)) -> bool {
    let time = time.cast_unsigned();
    around.0 <= time + SLACK_NS && time <= around.1 + SLACK_NS
}

/// The arrows between events, in order of their starts, that take part in flows.
fn arrows(events: &mut [(&Slice, &Done)]) -> Vec<(i64, i64, u64)> {
    events.sort_by_key(|(slice, _)| slice.id);
    let mut last: BTreeMap<u64, i64> = BTreeMap::new();
    let mut arrows = vec![];
    for (slice, done) in events {
        let Some(flow) = done.flow.map(novatrace::FlowId::get) else { continue };
        arrows.extend(last.insert(flow, slice.id).map(|from| (from, slice.id, flow)));
        if done.is_flow_end {
            last.remove(&flow);
        }
    }
    arrows.sort_unstable();
    arrows
}

fn check_samples(loaded: &Loaded, threads: &[Vec<f64>], added: &[f64], base: f64) {
    let counters = loaded.counters();
    let of = |name: &str| -> Vec<f64> {
        let end = format!("/{name}");
        counters.iter().filter(|c| c.track.ends_with(&end)).map(|c| c.value).collect()
    };
    for (thread, samples) in threads.iter().enumerate() {
        assert_eq!(&of(&format!("own {thread}")), samples);
    }
    // Of several threads' additions, each sample is the one before it and one of them.
    let sums = of("shared");
    let before = std::iter::once(base).chain(sums.iter().copied());
    let mut steps: Vec<f64> = sums.iter().zip(before).map(|(sum, before)| sum - before).collect();
    let mut added = added.to_vec();
    steps.sort_by(f64::total_cmp);
    added.sort_by(f64::total_cmp);
    assert_eq!(steps, added);
}

/// Random plans; a failure names the seed, with which `NOVATRACE_SEED` has the same ones again.
fn for_all<P: std::fmt::Debug>(cases: u32, plans: impl Strategy<Value = P>, check: impl Fn(&P)) {
    let (seed, random) = seeded();
    #[expect(clippy::print_stdout, reason = "how to run it again")]
    {
        println!("NOVATRACE_SEED={seed}");
    }
    let cases = number("NOVATRACE_TRACES").and_then(|n| u32::try_from(n).ok()).unwrap_or(cases);
    // A failed assertion shows itself; plans are long, and threads make each run another.
    let config =
        Config { cases, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new_with_rng(config, random).run(&plans, |plan| {
        check(&plan);
        Ok(())
    });
    if let Err(error) = outcome {
        let error: String = error.to_string().chars().take(2_000).collect();
        panic!("NOVATRACE_SEED={seed}: {error}");
    }
}

#[test]
fn what_eight_threads_record_reads_back_as_it_was_done() {
    let oracle = oracle_or_skip!();
    for_all(10, prop::collection::vec(steps(), THREADS), |plans| {
        let base = SHARED.value();
        let mut all = vec![];
        let (loaded, report) = recording(&oracle, Session::builder(), || {
            let flows: Vec<FlowId> = (0..SHARED_FLOWS).map(|_| flow()).collect();
            all = std::thread::scope(|scope| {
                let spawn = |(at, steps): (usize, &Vec<Step>)| {
                    let (steps, flows) = (steps.clone(), &flows);
                    let builder = std::thread::Builder::new().name(format!("r{at}"));
                    let thread = builder.spawn_scoped(scope, move || perform(&steps, at, flows));
                    thread.expect("a thread can be started")
                };
                let threads: Vec<_> = plans.iter().enumerate().map(spawn).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
        });
        let slices = loaded.slices();
        let mut pairs = vec![];
        for (at, (done, _)) in all.iter().enumerate() {
            let rows = of_thread(&slices, &format!("r{at}"));
            assert_eq!(rows.len(), done.len());
            for (row, done) in rows.iter().zip(done) {
                let category = row.category.as_deref();
                assert_eq!(row.name.as_deref(), Some(done.name.as_str()));
                assert_eq!((category, row.depth), (Some(done.category), done.depth));
                assert_eq!(row.args, done.args);
                assert_eq!(row.parent_id, done.parent.map(|parent| rows[parent].id));
                assert!(is_within(row.ts, done.begin), "{row:?} {done:?}");
                assert!(is_within(row.ts + row.dur, done.end), "{row:?} {done:?}");
            }
            pairs.extend(rows.into_iter().zip(done));
        }
        assert_eq!(slices.len(), pairs.len());
        let mut found: Vec<_> = loaded
            .flows()
            .iter()
            .map(|&Flow { slice_out, slice_in, id }| (slice_out, slice_in, id.expect("an id")))
            .collect();
        found.sort_unstable();
        assert_eq!(found, arrows(&mut pairs));

        let added: Vec<f64> = plans
            .iter()
            .flatten()
            .filter_map(|step| match step {
                Step::AddShared(more) => Some(f64::from(*more)),
                _ => None,
            })
            .collect();
        let samples: Vec<Vec<f64>> = all.iter().map(|(_, samples)| samples.clone()).collect();
        check_samples(&loaded, &samples, &added, base);
        let sampled = samples.iter().map(Vec::len).sum::<usize>() + added.len();
        assert_eq!(report.events, (slices.len() + sampled) as u64);
        assert_eq!((report.lost, report.left_open, report.threads), (0, 0, threads_used(plans)));
    });
}

/// A thread that does nothing but end what it has not begun is not in the trace.
fn threads_used(plans: &[Vec<Step>]) -> u64 {
    let records = |steps: &&Vec<Step>| steps.iter().any(|step| !matches!(step, Step::End));
    plans.iter().filter(records).count() as u64
}

/// Begins a span, or drops the guard in that place among the open ones.
#[derive(Debug, Clone)]
enum Turn {
    Begin(usize),
    Drop(usize),
}

fn begin(name: usize, number: usize) -> (&'static str, SpanGuard) {
    macro_rules! spans {
        ($($at:literal $name:literal),*) => {
            match name {
                $($at => ($name, trace!($name, number = number)),)*
                _ => ("plain", trace!("plain")),
            }
        };
    }
    spans!(0 "a", 1 "b", 2 "c", 3 "d", 4 "e")
}

/// A piece of a span, as it is expected.
#[derive(Debug, Clone)]
struct Piece {
    span: usize,
    name: &'static str,
    depth: i64,
    begin: (u64, u64),
    end: (u64, u64),
    /// The piece of the same span that goes before it, by its place.
    after: Option<usize>,
}

/// Guards may be dropped in any order, and the viewer draws nothing but slices that nest. So a span
/// that ends takes those that were begun after it, and are open, down with it, and they begin anew
/// at the same time, one level further out:
///
/// ```text
/// a ──────────┐             a ──────────┐
///   b ────────┼───────▶       b ────────┤
///                             b (again) ├──────
/// ```
///
/// The pieces of a span follow each other without a gap, from its begin to its end; the arguments are
/// those of the first. A span whose name was made at run time goes on as "(continued)".
#[test]
fn guards_dropped_in_any_order_cover_the_time_of_their_spans() {
    let oracle = oracle_or_skip!();
    let turn = prop_oneof![(0..6_usize).prop_map(Turn::Begin), (0..60_usize).prop_map(Turn::Drop),];
    for_all(30, prop::collection::vec(turn, 1..60), |turns| {
        let mut pieces: Vec<Piece> = vec![];
        let mut spans = 0;
        let (loaded, report) = recording(&oracle, Session::builder(), || {
            // The piece that is open of each open span, outermost first.
            let mut open: Vec<(usize, SpanGuard)> = vec![];
            let rest = vec![Turn::Drop(0); turns.len()];
            for turn in turns.iter().chain(&rest) {
                match turn {
                    Turn::Begin(name) => {
                        let ((name, guard), begin) = around(|| begin(*name, spans));
                        let depth = i64::try_from(open.len()).expect("few");
                        let (span, end) = (spans, begin);
                        pieces.push(Piece { span, name, depth, begin, end, after: None });
                        open.push((pieces.len() - 1, guard));
                        spans += 1;
                    }
                    Turn::Drop(_) if open.is_empty() => {}
                    Turn::Drop(place) => {
                        let place = place % open.len();
                        let (piece, guard) = open.remove(place);
                        let ((), time) = around(|| drop(guard));
                        pieces[piece].end = time;
                        for (piece, _) in &mut open[place..] {
                            pieces[*piece].end = time;
                            let mut again = pieces[*piece].clone();
                            again.depth -= 1;
                            again.begin = time;
                            again.after = Some(*piece);
                            *piece = pieces.len();
                            pieces.push(again);
                        }
                    }
                }
            }
        });
        let slices = loaded.slices();
        assert_eq!(slices.len(), pieces.len());
        for (slice, piece) in slices.iter().zip(&pieces) {
            assert_eq!((slice.name.as_deref(), slice.depth), (Some(piece.name), piece.depth));
            assert!(is_within(slice.ts, piece.begin), "{slice:?} {piece:?}");
            assert!(is_within(slice.ts + slice.dur, piece.end), "{slice:?} {piece:?}");
            match piece.after {
                Some(before) => {
                    assert_eq!(slices[before].end(), Some(slice.ts));
                    assert_eq!(slice.args, Args::new());
                }
                None if piece.name == "plain" => assert_eq!(slice.args, Args::new()),
                None => assert_eq!(slice.args["number"], i64::try_from(piece.span).expect("few")),
            }
        }
        assert_eq!((report.events, report.lost, report.left_open), (spans as u64, 0, 0));
    });
}

#[test]
fn a_span_named_at_run_time_goes_on_as_continued() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = recording(&oracle, Session::builder(), || {
        let outer = trace!("outer");
        let made = trace!(format!("made {}", 7));
        drop(outer);
        drop(made);
    });
    let slices = loaded.slices();
    let names: Vec<_> = slices.iter().filter_map(|slice| slice.name.as_deref()).collect();
    assert_eq!(names, ["outer", "made 7", "(continued)"]);
    assert_eq!(slices[1].end(), Some(slices[2].ts));
}
