//! What only other writers write, made by hand: legacy events of every phase, and one key at both ends of a slice. We read what the trace
//! processor reads.

use novatrace_reader::{Source, Trace};
use novatrace_testkit::{Oracle, oracle_or_skip};

mod by_hand;

use by_hand::{
    BEGIN, END, Field, T, b, descriptor, event, event_on, fixed, m, packet, start, track, v,
};

const THREAD: u64 = 8;
const OTHER_THREAD: u64 = 9;

/// A process with two threads, and a track of none.
fn with_threads(parts: &[Vec<u8>]) -> Vec<u8> {
    let thread =
        |uuid, tid, name| descriptor(&[v(1, uuid), m(4, &[v(1, 7), v(2, tid), b(5, name)])]);
    [
        start(1),
        descriptor(&[v(1, 3), m(3, &[v(1, 7), b(6, "process")])]),
        thread(THREAD, 70, "one"),
        thread(OTHER_THREAD, 71, "other"),
        track(T, "plain"),
        parts.concat(),
    ]
    .concat()
}

fn legacy_on(uuid: u64, ts: u64, phase: u8, name: &str, fields: &[Field]) -> Vec<u8> {
    let legacy = [&[v(2, u64::from(phase))], fields].concat();
    packet(&[v(8, ts), v(10, 1), m(11, &[v(11, uuid), b(22, "c"), b(23, name), m(6, &legacy)])])
}

fn legacy(ts: u64, phase: u8, name: &str, fields: &[Field]) -> Vec<u8> {
    legacy_on(THREAD, ts, phase, name, fields)
}

/// Both have the same rows, and so many slices and arrows.
#[track_caller]
fn assert_alike(oracle: &Oracle, bytes: &[u8], slices: usize, flows: usize) {
    let loaded = oracle.load_bytes(bytes).expect("the trace processor takes it");
    assert_eq!((loaded.slices().len(), loaded.flows().len()), (slices, flows));
    loaded.assert_read_alike();
}

#[test]
fn asynchronous_events_are_on_tracks_by_their_ids() {
    let oracle = oracle_or_skip!();
    let unscoped = |id| v(6, id);
    let nested = with_threads(&[
        legacy(1, b'b', "a", &[unscoped(1)]),
        legacy(2, b'b', "inner", &[unscoped(1)]),
        legacy(3, b'b', "a", &[unscoped(2)]),
        legacy(4, b'n', "instant", &[unscoped(1)]),
        legacy(5, b'e', "inner", &[unscoped(1)]),
        legacy_on(OTHER_THREAD, 6, b'e', "a", &[unscoped(2)]),
        legacy(9, b'e', "a", &[unscoped(1)]),
        legacy_on(T, 20, b'b', "left open", &[unscoped(3)]),
    ]);
    assert_alike(&oracle, &nested, 5, 0);

    let of_old = with_threads(&[
        legacy(1, b'S', "a", &[unscoped(1)]),
        legacy(2, b'T', "a", &[unscoped(1)]),
        legacy(3, b'p', "a", &[unscoped(1)]),
        legacy(3, b'S', "b", &[unscoped(1)]),
        legacy(5, b'F', "a", &[unscoped(1)]),
        legacy(6, b'F', "b", &[unscoped(1)]),
    ]);
    assert_alike(&oracle, &of_old, 4, 0);

    let (global, local) = (v(11, 4), v(10, 4));
    let scoped = |scope: &str| [unscoped(4), b(7, scope)];
    let by_scope = with_threads(&[
        legacy(1, b'b', "local", std::slice::from_ref(&local)),
        legacy(2, b'b', "global", std::slice::from_ref(&global)),
        legacy(3, b'b', "one", &scoped("one")),
        legacy(4, b'b', "two", &scoped("two")),
        legacy_on(OTHER_THREAD, 5, b'e', "local", &[local]),
        legacy(6, b'e', "global", &[global]),
        legacy(7, b'e', "one", &scoped("one")),
        legacy(8, b'e', "two", &scoped("two")),
    ]);
    assert_alike(&oracle, &by_scope, 4, 0);
}

#[test]
fn events_of_threads_and_processes_are_dropped_where_there_is_none() {
    let oracle = oracle_or_skip!();
    let scope = |scope| [v(14, scope)];
    let instants = [T, THREAD].map(|uuid| {
        [
            legacy_on(uuid, 1, b'I', "unspecified", &[]),
            legacy_on(uuid, 2, b'I', "global", &scope(1)),
            legacy_on(uuid, 3, b'I', "process", &scope(2)),
            legacy_on(uuid, 4, b'i', "thread", &scope(3)),
            legacy_on(uuid, 5, b'R', "mark", &[]),
        ]
        .concat()
    });
    assert_alike(&oracle, &with_threads(&instants), 7, 0);

    let slices = [T, THREAD].map(|uuid| {
        [
            legacy_on(uuid, 10, b'B', "begin", &[]),
            legacy_on(uuid, 20, b'E', "begin", &[]),
            legacy_on(uuid, 30, b'X', "complete", &[v(3, 2)]),
            legacy_on(uuid, 40, b'X', "negative", &[v(3, u64::MAX)]),
            // Neither slices nor arrows.
            legacy_on(uuid, 50, b'C', "counter", &[]),
            legacy_on(uuid, 60, b'N', "object", &[]),
            legacy_on(uuid, 70, b'b', "without an id", &[]),
            legacy_on(uuid, 80, b's', "without an id", &[]),
        ]
        .concat()
    });
    assert_alike(&oracle, &with_threads(&slices), 2, 0);
}

#[test]
fn legacy_flows_bind_to_slices_that_are_open_or_begin_next() {
    let oracle = oracle_or_skip!();
    let us = |us| v(3, us);
    let flow = |id| v(6, id);
    let between = with_threads(&[
        legacy(1, b'X', "first", &[us(10)]),
        legacy(2_000, b's', "f", &[flow(77)]),
        legacy(3_000, b's', "g", &[flow(77)]),
        legacy(20_001, b'X', "second", &[us(10)]),
        legacy(22_001, b't', "f", &[flow(77)]),
        legacy_on(OTHER_THREAD, 30_000, b'f', "g", &[flow(77)]),
        legacy(41_000, b'f', "f", &[flow(77)]),
        legacy_on(OTHER_THREAD, 41_500, b'X', "of the other thread", &[us(1)]),
        legacy(42_000, b'X', "third", &[us(10)]),
        legacy(45_000, b'X', "inside", &[us(3)]),
        legacy(46_000, b'f', "f", &[flow(77), v(12, 1)]),
        // Of a flow that has not begun.
        legacy(46_500, b't', "h", &[flow(78)]),
    ]);
    assert_alike(&oracle, &between, 5, 4);

    let (into, out, both) = (v(13, 1), v(13, 2), v(13, 3));
    let bound = |direction: &Field| [us(10), v(8, 9), direction.clone()];
    let of_slices = with_threads(&[
        legacy(1, b'X', "from", &bound(&out)),
        legacy(20_001, b'X', "by way of", &bound(&both)),
        legacy(42_000, b'X', "to", &bound(&into)),
        legacy(60_000, b'X', "and to", &bound(&into)),
        legacy(80_000, b'X', "no direction", &[us(1), v(8, 9)]),
        event_on(1, T, 90_000, BEGIN, &[b(22, "c"), b(23, "typed"), m(6, &[v(8, 9), both])]),
        event(90_010, END, &[fixed(48, 9)]),
    ]);
    assert_alike(&oracle, &of_slices, 6, 5);
}

#[test]
fn of_a_key_at_both_ends_the_end_has_the_value() {
    let oracle = oracle_or_skip!();
    let argument = |key: &str, value| m(4, &[b(10, key), v(4, value)]);
    let bytes = with_threads(&[
        event(1, BEGIN, &[b(22, "c"), b(23, "s"), argument("both", 1), argument("begin", 2)]),
        event(5, END, &[argument("both", 3), argument("end", 4)]),
    ]);
    assert_alike(&oracle, &bytes, 1, 0);
    let trace = Trace::read(&Source::from_bytes("both ends", bytes)).expect("a trace");
    let args: Vec<_> =
        trace.slices[0].args.iter().map(|(key, value)| format!("{key} {value:?}")).collect();
    assert_eq!(args, ["both Int(3)", "begin Int(2)", "end Int(4)"]);
}

/// The tests' trace processor, v52, knows no states.
#[test]
fn states_last_until_the_next_one() {
    const STATE: u64 = 5;
    let state = |ts, fields: &[Field]| event(ts, STATE, fields);
    let bytes = [
        start(1),
        descriptor(&[v(1, T), b(2, "power"), v(15, 2), m(18, &[])]),
        state(1, &[b(23, "on")]),
        state(4, &[b(23, "on")]),
        state(10, &[b(23, "off")]),
        state(30, &[]),
        state(50, &[b(23, "on")]),
    ]
    .concat();
    let trace = Trace::read(&Source::from_bytes("states", bytes)).expect("a trace");
    let states: Vec<_> =
        trace.states.iter().map(|spell| (spell.ts, spell.dur, spell.value.as_str())).collect();
    assert_eq!(states, [(1, 9, "on"), (10, 20, "off"), (50, -1, "on")]);
}
