//! Arrows between events at the very same time: they lead from the one recorded first to the next.

mod support;

use std::collections::BTreeMap;

use novatrace::{OpenSlice, TraceGenerator};
use novatrace_testkit::{Loaded, Oracle, oracle_or_skip};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// More tracks than have sequences of their own.
const CROWD: usize = 130;

/// One slice; at most one for each track and time, since one track's own order stays.
#[derive(Debug, Clone)]
struct Event {
    track: usize,
    time: u64,
    /// Up to the track's next time.
    length: u64,
    flows: Vec<usize>,
    by_handle: bool,
}

#[derive(Debug, Clone)]
struct Plan {
    /// In the order of recording: by time.
    events: Vec<Event>,
    flushes: Vec<usize>,
    window: usize,
    is_crowded: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let event = (
        0usize..8,
        0u64..6,
        0u64..=10,
        prop::collection::btree_set(0usize..12, 0..4),
        prop::bool::weighted(0.1),
        any::<u32>(),
    );
    let events = prop::collection::vec(event, 1..60).prop_map(|events| {
        let mut places = BTreeMap::new();
        for (track, time, length, flows, by_handle, order) in events {
            let flows = flows.into_iter().collect();
            let event = Event { track, time: time * 10, length, flows, by_handle };
            places.insert((track, time), (order, event));
        }
        let mut events: Vec<_> = places.into_values().collect();
        events.sort_by_key(|(order, event)| (event.time, *order));
        events.into_iter().map(|(_, event)| event).collect()
    });
    let flushes = prop::collection::vec(0usize..200, 0..3);
    let window = prop_oneof![Just(0usize), Just(1), Just(3), Just(10), Just(1 << 14)];
    (events, flushes, window, any::<bool>()).prop_map(|(events, flushes, window, is_crowded)| {
        Plan { events, flushes, window, is_crowded }
    })
}

/// Producer and consumer of each arrow, by their places among the events.
type Arrows = Vec<(usize, usize)>;

fn recorded(plan: &Plan) -> Arrows {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    let mut arrows = vec![];
    for (at, event) in plan.events.iter().enumerate() {
        for &flow in &event.flows {
            arrows.extend(last.insert(flow, at).map(|before| (before, at)));
        }
    }
    arrows.sort_unstable();
    arrows
}

fn found(loaded: &Loaded) -> Arrows {
    let names: BTreeMap<i64, usize> = loaded
        .slices()
        .into_iter()
        .filter_map(|slice| Some((slice.id, slice.name?.parse().ok()?)))
        .collect();
    let arrows = loaded.flows();
    let mut arrows: Arrows =
        arrows.iter().map(|flow| (names[&flow.slice_out], names[&flow.slice_in])).collect();
    arrows.sort_unstable();
    arrows
}

fn check(oracle: &Oracle, plan: &Plan) {
    let last_of = |flow: usize| plan.events.iter().rposition(|event| event.flows.contains(&flow));
    let builder = TraceGenerator::builder().window(plan.window);
    let (loaded, _) = support::read(oracle, builder, |trace| {
        for at in 0..if plan.is_crowded { CROWD } else { 0 } {
            let track = trace.group("crowd").track(&at.to_string());
            track.instant(0, "first").emit().expect("possible");
        }
        let flows: Vec<_> = (0..12).map(|_| trace.flow()).collect();
        let tracks: Vec<_> = (0..8).map(|at| trace.group("g").track(&at.to_string())).collect();
        let mut open: Vec<(usize, u64, OpenSlice)> = vec![];
        for (at, event) in plan.events.iter().enumerate() {
            let (ending, going): (Vec<_>, Vec<_>) =
                event.flows.iter().partition(|flow| last_of(**flow) == Some(at));
            let track = &tracks[event.track];
            let name = at.to_string();
            let end = event.time + event.length;
            let flows =
                |of: Vec<&usize>| of.into_iter().map(|flow| flows[*flow]).collect::<Vec<_>>();
            if event.by_handle {
                let slice = track.slice(event.time, &name);
                let slice = slice.flows(flows(going)).flows_end(flows(ending));
                open.push((at, end, slice.begin().expect("possible")));
            } else {
                let slice = track.duration(event.time, event.length, &name);
                let slice = slice.arg("text", "[between]").flows(flows(going));
                slice.flows_end(flows(ending)).emit().expect("possible");
            }
            if open.first().is_some_and(|(since, ..)| since + 8 < at) {
                let (_, end, slice) = open.remove(0);
                slice.end(end).expect("after its begin");
            }
            if plan.flushes.contains(&at) {
                trace.flush().expect("memory takes all");
            }
        }
        for (_, end, slice) in open {
            slice.end(end).expect("after its begin");
        }
    });
    assert_eq!(found(&loaded), recorded(plan));
}

#[test]
fn arrows_between_events_at_one_time_lead_from_the_first_recorded_to_the_next() {
    let oracle = oracle_or_skip!();
    let cases = std::env::var("NOVATRACE_TRACES").ok().and_then(|cases| cases.parse().ok());
    let config =
        Config { cases: cases.unwrap_or(40), failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&plan(), |plan| {
        check(&oracle, &plan);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn a_chain_through_many_tracks_at_one_time_keeps_its_order_across_drains() {
    let oracle = oracle_or_skip!();
    for window in [0, 10, 100, 1 << 14] {
        let builder = TraceGenerator::builder().window(window);
        let (loaded, stats) = support::read(&oracle, builder, |trace| {
            let group = trace.group("g");
            let tracks: Vec<_> = (0..50).map(|at| group.track(&at.to_string())).collect();
            for step in 0..20_u64 {
                let flow = trace.flow();
                // Forwards and backwards through the tracks.
                for at in 0..50 {
                    let place = if step % 2 == 0 { at } else { 49 - at };
                    let track = &tracks[usize::try_from(place).expect("small")];
                    let name = (step * 50 + at).to_string();
                    track.duration(step, 1, &name).flow(flow).emit().expect("possible");
                }
            }
        });
        assert_eq!(stats.lanes, 0);
        let steps = (0..20).flat_map(|step| (0..49).map(move |at| step * 50 + at));
        let expected: Arrows = steps.map(|at| (at, at + 1)).collect();
        assert_eq!(found(&loaded), expected, "window {window}");
    }
}
