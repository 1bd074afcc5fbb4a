//! Random timelines: what Perfetto's trace processor reads back is what was recorded, exactly, whatever
//! the order, the threads, the window and the flushes.

mod seed;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use novatrace::{CounterTrack, FlowId, NormalTrack, OpenSlice, Sink, Stats, TraceGenerator};
use novatrace_testkit::{Loaded, Oracle, Slice, Value, oracle_or_skip};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use serde_json::json;

use seed::{number, seeded};

/// Tracks of one trace; each has a timeline of its own style.
const TRACKS: usize = 32;
const TRACES: u32 = 14;

/// What one slice, instant or sample says.
#[derive(Debug, Clone, PartialEq)]
enum What {
    Slice { start: u64, end: u64, by_handle: bool },
    Instant(u64),
    Sample(u64, f64),
}

#[derive(Debug, Clone, PartialEq)]
struct Event {
    track: usize,
    what: What,
    name: u8,
    category: Option<u8>,
    args: serde_json::Value,
    /// Which flow it belongs to, if any.
    flow: Option<usize>,
}

/// How the times of a track's slices come about.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// One after the other, touching.
    Abutting,
    /// A tree.
    Nested,
    /// Anything, in so few points in time that nearly everything touches.
    Dense,
    /// Anything.
    Overlapping,
}

#[derive(Debug, Clone)]
struct Plan {
    events: Vec<Event>,
    /// Positions after which everything is flushed.
    flushes: Vec<usize>,
    window: usize,
    threads: usize,
    /// Whether the threads record in the order of the events.
    in_turns: bool,
    /// Whether other tracks have come first and taken all sequences of their own.
    is_crowded: bool,
}

/// More tracks than have sequences of their own.
const CROWD: u64 = 130;

fn slices(style: Style) -> BoxedStrategy<Vec<(u64, u64)>> {
    match style {
        Style::Abutting => prop::collection::vec(0u64..20, 1..25)
            .prop_map(|lengths| {
                let mut at = 0;
                lengths
                    .iter()
                    .map(|length| {
                        (at, {
                            at += length;
                            at
                        })
                    })
                    .collect()
            })
            .boxed(),
        Style::Nested => prop::collection::vec((0u64..50, 0u64..50), 1..20)
            .prop_map(|cuts| {
                let mut tree: Vec<(u64, u64)> = vec![(0, 1_000)];
                for (place, part) in cuts {
                    let (start, end) = tree[usize::try_from(place).expect("small") % tree.len()];
                    let third = (end - start) / 3;
                    tree.push((start + third * (part % 3), start + third * (part % 3 + 1)));
                }
                // What was cut twice at the same place may cross: keep what nests.
                let mut kept: Vec<(u64, u64)> = vec![];
                for slice in tree {
                    let fits = |other: &(u64, u64)| {
                        slice.1 <= other.0
                            || other.1 <= slice.0
                            || (slice.0 <= other.0 && other.1 <= slice.1)
                            || (other.0 <= slice.0 && slice.1 <= other.1)
                    };
                    if kept.iter().all(fits) {
                        kept.push(slice);
                    }
                }
                kept
            })
            .boxed(),
        Style::Dense => prop::collection::vec((0u64..8, 0u64..5), 1..25)
            .prop_map(|times| times.iter().map(|(start, len)| (*start, start + len)).collect())
            .boxed(),
        Style::Overlapping => prop::collection::vec((0u64..5_000, 0u64..900), 1..25)
            .prop_map(|times| times.iter().map(|(start, len)| (*start, start + len)).collect())
            .boxed(),
    }
}

fn args() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        (-1e9..1e9f64).prop_map(|value| json!(value)),
        "[a-z]{0,12}".prop_map(|value| json!(value)),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|items| json!(items)),
        ]
    });
    prop_oneof![
        2 => Just(json!({})),
        1 => prop::collection::btree_map("[a-z]{1,3}", value, 1..4).prop_map(|items| json!(items)),
    ]
}

fn any_style() -> BoxedStrategy<Style> {
    prop_oneof![
        Just(Style::Abutting),
        Just(Style::Nested),
        Just(Style::Dense),
        Just(Style::Overlapping)
    ]
    .boxed()
}

fn track_events(track: usize, style: BoxedStrategy<Style>) -> impl Strategy<Value = Vec<Event>> {
    let label =
        (any::<u8>(), proptest::option::of(0u8..4), args(), proptest::option::of(0usize..40));
    let slices = style.prop_flat_map(slices);
    let instants = prop::collection::vec(0u64..1_000, 0..4);
    let samples = prop::collection::vec((0u64..300, -1e6..1e6f64), 0..12);
    let labels = prop::collection::vec(label, 48);
    (slices, instants, samples, labels, 0u8..4).prop_map(
        move |(slices, instants, samples, labels, handles)| {
            let slices = slices.into_iter().enumerate().map(|(at, (start, end))| What::Slice {
                start,
                end,
                by_handle: handles == 0 && at % 3 == 0,
            });
            let instants = instants.into_iter().map(What::Instant);
            let samples = samples.into_iter().map(|(time, value)| What::Sample(time, value));
            let what = slices.chain(instants).chain(samples);
            what.zip(labels)
                .map(|(what, (name, category, args, flow))| {
                    let flow = flow.filter(|_| matches!(what, What::Slice { .. }));
                    Event { track, what, name, category, args, flow }
                })
                .collect()
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let tracks: Vec<_> = (0..TRACKS).map(|track| track_events(track, any_style())).collect();
    let order = prop_oneof![Just(0usize), Just(16), Just(usize::MAX)];
    let flushes = prop::collection::vec(0usize..2_000, 0..4);
    let window = prop_oneof![Just(0usize), Just(1), Just(7), Just(64), Just(1 << 14)];
    (tracks, order, flushes, window, 1usize..5, any::<bool>(), any::<u64>()).prop_map(
        |(tracks, block, flushes, window, threads, is_crowded, seed)| {
            let events = shuffled(tracks, block, seed);
            Plan { events, flushes, window, threads, in_turns: false, is_crowded }
        },
    )
}

/// In order of time, but for blocks of `block` that are shuffled.
fn shuffled(tracks: Vec<Vec<Event>>, block: usize, seed: u64) -> Vec<Event> {
    let mut events: Vec<Event> = tracks.into_iter().flatten().collect();
    // As the trace processor needs them: the longest first.
    events.sort_by_key(|event| match event.what {
        What::Slice { start, end, .. } => (start, !end),
        What::Instant(start) | What::Sample(start, _) => (start, !start),
    });
    let mut random = seed | 1;
    let length = events.len();
    for block in events.chunks_mut(block.clamp(1, length)) {
        for at in (1..block.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(random >> 33).expect("31 bits") % (at + 1);
            block.swap(at, other);
        }
    }
    events
}

/// Slices that nest, shuffled within the window, by threads that take turns.
fn orderly_plan() -> impl Strategy<Value = Plan> {
    let styles = prop_oneof![Just(Style::Abutting), Just(Style::Nested)];
    let tracks: Vec<_> =
        (0..TRACKS).map(|track| track_events(track, styles.clone().boxed())).collect();
    let window = prop_oneof![Just(0usize), Just(1), Just(7), Just(64), Just(1 << 14)];
    let plan = (tracks, window, 1usize..4, any::<bool>(), any::<u64>());
    plan.prop_map(|(tracks, window, threads, is_crowded, seed)| {
        let mut events = shuffled(tracks, window + 1, seed);
        for event in &mut events {
            if let What::Slice { by_handle, .. } = &mut event.what {
                *by_handle = false;
            }
        }
        Plan { events, flushes: vec![], window, threads, in_turns: true, is_crowded }
    })
}

/// Keeps what it is given, for the oracle.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Sink for Memory {
    fn write(&mut self, batch: &[u8]) -> std::io::Result<()> {
        self.0.lock().expect("not poisoned").extend_from_slice(batch);
        Ok(())
    }
}

fn name(event: &Event) -> String {
    format!("name {}", event.name % 32)
}

fn category(event: &Event) -> Option<String> {
    event.category.map(|category| format!("category {category}"))
}

fn record(plan: &Plan) -> (Vec<u8>, Vec<u64>, Stats) {
    let memory = Memory::default();
    let trace = TraceGenerator::builder()
        .window(plan.window)
        .ring_bytes(if plan.threads > 2 { 4096 } else { 1 << 20 })
        .sink(memory.clone())
        .expect("a thread can be started");
    let crowd = if plan.is_crowded { CROWD } else { 0 };
    for at in 0..crowd {
        let track = trace.group("crowd").track(&at.to_string());
        track.instant(0, "first").emit().expect("possible");
    }
    let group = trace.group("group");
    let tracks: Vec<NormalTrack> = (0..TRACKS).map(|at| group.track(&format!("t{at}"))).collect();
    let counters: Vec<CounterTrack> =
        (0..TRACKS).map(|at| group.counter(&format!("c{at}")).unit("W")).collect();
    let flows: Vec<FlowId> = (0..40).map(|_| trace.flow()).collect();
    let turn = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..plan.threads {
            let (trace, tracks, counters, flows) = (&trace, &tracks, &counters, &flows);
            let turn = &turn;
            scope.spawn(move || {
                let mut open: Vec<(usize, u64, OpenSlice)> = vec![];
                for (at, event) in plan.events.iter().enumerate() {
                    if at % plan.threads == thread {
                        while plan.in_turns && turn.load(Ordering::Acquire) != at {
                            std::thread::yield_now();
                        }
                        submit(event, tracks, counters, flows, &mut open, at);
                        turn.store(at + 1, Ordering::Release);
                    }
                    // A slice that is open ends some calls later, and the last opened first or last.
                    if open.first().is_some_and(|(since, ..)| since + 10 < at) {
                        let last = at % 2 * (open.len() - 1);
                        let (_, end, slice) = open.swap_remove(last);
                        slice.end(end).expect("after its begin");
                    }
                    if thread == 0 && plan.flushes.contains(&at) {
                        trace.flush().expect("memory takes all");
                    }
                }
                for (_, end, slice) in open {
                    slice.end(end).expect("after its begin");
                }
            });
        }
    });
    let stats = trace.finish().expect("memory takes all");
    assert_eq!(stats.events, plan.events.len() as u64 + crowd);
    assert_eq!((stats.dropped, stats.refused, stats.left_open), (0, 0, 0));
    let bytes = memory.0.lock().expect("not poisoned").clone();
    assert_eq!(stats.bytes, bytes.len() as u64);
    (bytes, flows.iter().map(|flow| flow.get()).collect(), stats)
}

fn submit(
    event: &Event,
    tracks: &[NormalTrack],
    counters: &[CounterTrack],
    flows: &[FlowId],
    open: &mut Vec<(usize, u64, OpenSlice)>,
    at: usize,
) {
    let (track, name, category) = (&tracks[event.track], name(event), category(event));
    let flow = event.flow.map(|flow| flows[flow]);
    match event.what {
        What::Slice { start, end, by_handle } => {
            if by_handle {
                let slice = track.slice(start, &name).categories(category.as_deref());
                let slice = slice.args(&event.args).flows(flow).begin().expect("possible");
                open.push((at, end, slice));
            } else {
                let slice = track.duration(start, end - start, &name);
                let slice = slice.categories(category.as_deref()).args(&event.args).flows(flow);
                slice.emit().expect("possible");
            }
        }
        What::Instant(time) => {
            let instant = track.instant(time, &name).categories(category.as_deref());
            instant.args(&event.args).emit().expect("possible");
        }
        What::Sample(time, value) => counters[event.track].count(time, value).expect("possible"),
    }
}

type Row = (String, i64, i64, String, String, BTreeMap<String, String>);

fn shown(value: &Value) -> String {
    match value {
        Value::Float(value) => format!("{value:?}"),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Text(text) => format!("'{text}'"),
        other => format!("{other:?}"),
    }
}

/// The arguments as the trace processor names them.
fn flat(prefix: &str, value: &serde_json::Value, out: &mut BTreeMap<String, String>) {
    use serde_json::Value as Json;
    match value {
        Json::Object(items) if items.is_empty() && !prefix.is_empty() => {
            out.insert(prefix.to_owned(), "'{}'".to_owned());
        }
        Json::Array(items) if items.is_empty() => {
            out.insert(prefix.to_owned(), "'[]'".to_owned());
        }
        Json::Object(items) => {
            for (key, value) in items {
                let dot = if prefix.is_empty() { "" } else { "." };
                flat(&format!("{prefix}{dot}{key}"), value, out);
            }
        }
        Json::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                flat(&format!("{prefix}[{at}]"), value, out);
            }
        }
        Json::Number(number) if number.is_f64() => {
            out.insert(prefix.to_owned(), format!("{:?}", number.as_f64().expect("it is one")));
        }
        Json::String(text) => {
            out.insert(prefix.to_owned(), format!("'{text}'"));
        }
        other => {
            out.insert(prefix.to_owned(), other.to_string());
        }
    }
}

fn recorded_rows(plan: &Plan) -> Vec<Row> {
    let rows = plan.events.iter().filter_map(|event| {
        let (start, end) = match event.what {
            What::Slice { start, end, .. } => (start, end),
            What::Instant(time) => (time, time),
            What::Sample(..) => return None,
        };
        let mut args = BTreeMap::new();
        flat("", &event.args, &mut args);
        let category = category(event).unwrap_or_else(|| "default".to_owned());
        let (start, end) = (start.cast_signed(), end.cast_signed());
        Some((format!("group/t{}", event.track), start, end - start, name(event), category, args))
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort();
    rows
}

fn row(slice: &Slice) -> Row {
    let args = slice.args.iter().map(|(key, value)| (key.clone(), shown(value))).collect();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (slice.track.clone(), slice.ts, slice.dur, text(&slice.name), text(&slice.category), args)
}

fn check(plan: &Plan, loaded: &Loaded, flow_ids: &[u64]) {
    loaded.assert_healthy();
    let mut slices = loaded.slices();
    let all = slices.len();
    slices.retain(|slice| slice.track.starts_with("group/"));
    let crowd = if plan.is_crowded { CROWD } else { 0 };
    assert_eq!((all - slices.len()) as u64, crowd);
    let mut rows: Vec<Row> = slices.iter().map(row).collect();
    rows.sort();
    let recorded = recorded_rows(plan);
    for (found, recorded) in rows.iter().zip(&recorded) {
        assert_eq!(found, recorded);
    }
    assert_eq!(rows.len(), recorded.len());

    // Samples of one counter at one time keep the order of submission, if one thread submitted them.
    let mut samples: BTreeMap<(String, i64), Vec<u64>> = BTreeMap::new();
    for event in &plan.events {
        if let What::Sample(time, value) = event.what {
            let place = (format!("group/c{}", event.track), time.cast_signed());
            samples.entry(place).or_default().push(value.to_bits());
        }
    }
    let mut found: BTreeMap<(String, i64), Vec<u64>> = BTreeMap::new();
    for counter in loaded.counters() {
        found.entry((counter.track, counter.ts)).or_default().push(counter.value.to_bits());
    }
    if plan.threads > 1 {
        for values in samples.values_mut().chain(found.values_mut()) {
            values.sort_unstable();
        }
    }
    assert_eq!(found, samples);

    check_flows(plan, loaded, &slices, flow_ids);
}

/// An arrow leads from each event of a flow to the next in time. Which of several at one time comes
/// first is not said, so that arrows are compared by their times.
fn check_flows(plan: &Plan, loaded: &Loaded, slices: &[Slice], flow_ids: &[u64]) {
    let start_of: HashMap<i64, i64> = slices.iter().map(|slice| (slice.id, slice.ts)).collect();
    let mut recorded: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
    for (number, id) in flow_ids.iter().enumerate() {
        let mut times: Vec<i64> = plan
            .events
            .iter()
            .filter(|event| event.flow == Some(number))
            .map(|event| match event.what {
                What::Slice { start, .. } => start.cast_signed(),
                What::Instant(_) | What::Sample(..) => unreachable!("flows are for slices here"),
            })
            .collect();
        times.sort_unstable();
        if times.len() > 1 {
            recorded.insert(*id, times.windows(2).map(|pair| (pair[0], pair[1])).collect());
        }
    }
    let mut found: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
    for flow in loaded.flows() {
        let times = (start_of[&flow.slice_out], start_of[&flow.slice_in]);
        found.entry(flow.id.expect("flows have ids")).or_default().push(times);
    }
    for times in found.values_mut() {
        times.sort_unstable();
    }
    assert_eq!(found, recorded);
}

fn check_plan(oracle: &Oracle, plan: &Plan) -> Stats {
    let (bytes, flow_ids, stats) = record(plan);
    let loaded = oracle.load_bytes(&bytes).expect("the trace processor takes it");
    check(plan, &loaded, &flow_ids);
    stats
}

/// Checks random plans. A failure names the seed, with which `NOVATRACE_SEED` has the same plans again.
fn for_all(cases: u32, plans: impl Strategy<Value = Plan>, check: impl Fn(&Plan)) {
    let (seed, random) = seeded();
    let config =
        Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new_with_rng(config, random).run(&plans, |plan| {
        check(&plan);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        // A plan is thousands of lines long.
        Err(TestError::Fail(why, _)) => panic!("NOVATRACE_SEED={seed}: {why}"),
        Err(error) => panic!("NOVATRACE_SEED={seed}: {error}"),
    }
}

#[test]
fn random_timelines_read_back_as_they_were_recorded() {
    let oracle = oracle_or_skip!();
    assert!(TRACES as usize * TRACKS >= 300);
    // `NOVATRACE_TRACES=1000` for a long run.
    let cases = number("NOVATRACE_TRACES").and_then(|cases| u32::try_from(cases).ok());
    let cases = cases.unwrap_or(TRACES);
    for_all(cases, plan(), |plan| {
        check_plan(&oracle, plan);
    });
}

#[test]
fn timelines_that_nest_and_come_within_the_window_take_no_lane() {
    let oracle = oracle_or_skip!();
    for_all(6, orderly_plan(), |plan| {
        let Plan { window, threads, is_crowded, .. } = plan;
        let lanes = check_plan(&oracle, plan).lanes;
        assert_eq!(lanes, 0, "{threads} threads, window {window}, crowded: {is_crowded}");
    });
}

#[test]
fn all_orders_of_slices_that_touch_read_back_the_same() {
    let oracle = oracle_or_skip!();
    // Abutting, equal start, equal end, zero length at each place, identical, overlapping.
    let sets: [&[(u64, u64)]; 6] = [
        &[(0, 10), (10, 20), (10, 10), (20, 20)],
        &[(0, 10), (0, 5), (0, 0), (5, 10)],
        &[(0, 10), (5, 10), (10, 10), (0, 10)],
        &[(0, 10), (5, 15), (10, 20), (15, 25)],
        &[(0, 30), (10, 20), (20, 30), (20, 20)],
        &[(5, 5), (5, 5), (5, 9), (5, 9)],
    ];
    for window in [0, 1, 1 << 14] {
        let mut events = vec![];
        let mut track = 0;
        for set in sets {
            for order in orders(set.len()) {
                for (name, &at) in (0..).zip(&order) {
                    let (start, end) = set[at];
                    let what = What::Slice { start, end, by_handle: false };
                    let args = json!({});
                    events.push(Event { track, what, name, category: None, args, flow: None });
                }
                track += 1;
            }
        }
        // More tracks than a plan has: a trace for each share of them.
        for first in (0..track).step_by(TRACKS) {
            let share =
                events.iter().filter(|event| (first..first + TRACKS).contains(&event.track));
            let share = share.cloned().map(|event| Event { track: event.track - first, ..event });
            let plan = Plan {
                events: share.collect(),
                flushes: vec![],
                window,
                threads: 1,
                in_turns: false,
                is_crowded: window == 1,
            };
            check_plan(&oracle, &plan);
        }
    }
}

fn orders(len: usize) -> Vec<Vec<usize>> {
    if len == 0 {
        return vec![vec![]];
    }
    let shorter = orders(len - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, len - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..len).map(move |at| insert(order, at))).collect()
}
