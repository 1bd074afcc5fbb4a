//! What only other writers write, made by hand: legacy events of every phase, and one key at both ends of a slice. We read what the trace
//! processor reads.

use novatrace_reader::{Check, Dump, Severity, Source, Trace};
use novatrace_testkit::{Oracle, oracle_or_skip};

mod by_hand;

use by_hand::{
    BEGIN, END, Field, INSTANT, T, b, counter, descriptor, event, event_on, fixed, m, packet,
    start, track, v,
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

#[test]
fn of_a_list_at_both_ends_all_elements_are_there() {
    let oracle = oracle_or_skip!();
    let list = |key: &str, items: &[Field]| {
        let items: Vec<Field> = items.iter().map(|item| b(12, item)).collect();
        m(4, &[b(10, key), items.concat()])
    };
    let number = |value| v(4, value);
    let entry = |value| m(11, &[b(10, "k"), v(4, value)]);
    let nested =
        |items: &[Field]| items.iter().map(|item| b(12, item)).collect::<Vec<_>>().concat();
    let bytes = with_threads(&[
        event(
            1,
            BEGIN,
            &[
                b(22, "c"),
                b(23, "s"),
                list("l", &[number(1), number(2)]),
                list("n", &[nested(&[number(1), number(2)]), nested(&[number(3)])]),
                list("m", &[entry(1)]),
                // One without a value is none; what comes twice goes on.
                list("e", &[vec![], number(1)]),
                list("e", &[number(2)]),
            ],
        ),
        event(
            5,
            END,
            &[list("l", &[number(7)]), list("n", &[nested(&[number(8)])]), list("m", &[entry(9)])],
        ),
    ]);
    assert_alike(&oracle, &bytes, 1, 0);
}

/// Correlations, log messages and names and keys of both kinds.
#[test]
fn what_else_events_say_is_among_their_arguments() {
    let oracle = oracle_or_skip!();
    let interned = |entries: &[Field]| packet(&[v(10, 1), m(12, entries)]);
    let instant = |ts, fields: &[Field]| {
        event_on(1, THREAD, ts, INSTANT, &[b(22, "c"), b(23, "i"), fields.concat()])
    };
    let bytes = with_threads(&[
        interned(&[
            m(2, &[v(1, 1), b(2, "interned")]),
            m(3, &[v(1, 1), b(2, "key")]),
            m(4, &[v(1, 1), b(2, "dir\\a.c"), b(3, "f"), v(4, 7)]),
            m(20, &[v(1, 1), b(2, "body")]),
            m(43, &[v(1, 1), b(2, "correlated")]),
        ]),
        instant(1, &[v(52, 7)]),
        instant(2, &[b(53, "text")]),
        instant(3, &[v(54, 1)]),
        instant(4, &[m(21, &[v(1, 1), v(2, 1), v(3, 4)])]),
        instant(5, &[m(21, &[v(2, 1), v(3, 9)])]),
        instant(6, &[v(34, 1)]),
        // Numbers of 0 are none; otherwise they count.
        event(7, INSTANT, &[b(22, "c"), v(10, 0), b(23, "spelled out")]),
        event(8, INSTANT, &[v(3, 0), b(22, "c"), b(23, "i")]),
        event(9, INSTANT, &[v(3, 0), b(23, "i")]),
        instant(10, &[m(4, &[v(1, 1), b(10, "other"), v(4, 1)])]),
        instant(11, &[m(4, &[v(1, 0), b(10, "other"), v(4, 1)])]),
    ]);
    assert_alike(&oracle, &bytes, 11, 0);
}

#[test]
fn json_is_arguments_as_far_as_it_goes() {
    let oracle = oracle_or_skip!();
    let jsons = [
        r#"{"a":1,"b":[1,2.5,"x",null,true,{"c":-3},[],[7]],"d.e":"f","g":{},"h":[]}"#,
        r#"{"u":"\u00e4\n","": 1,"x[0]":2, "u": 3}"#,
        r#""text""#,
        "true",
        r#"{"a":1} rest"#,
        r#"{"a":1,}"#,
        "[1,2",
        "[[1],[2,[3]]]",
        // Nothing of these.
        "5",
        "no json",
        "[null]",
        "1e3",
    ];
    let json = |name: &str, json: &str| m(4, &[b(10, name), b(9, json)]);
    let mut ts = 0;
    let instants = jsons.map(|text| {
        ts += 1;
        event(ts, INSTANT, &[b(22, "c"), b(23, "i"), json("j", text)])
    });
    // Twice, and in a list.
    let list = m(4, &[b(10, "j"), m(12, &[b(9, "[1]")]), m(12, &[b(9, "[2,3]")])]);
    let twice = [list, json("j", "[4]"), json("j", "[5]")].concat();
    let both = event(99, INSTANT, &[b(22, "c"), b(23, "i"), twice]);
    let bytes = with_threads(&[instants.concat(), both]);
    assert_alike(&oracle, &bytes, jsons.len() + 1, 0);
}

#[test]
fn an_event_with_a_counter_too_many_is_none() {
    let oracle = oracle_or_skip!();
    let instant =
        |ts, fields: &[Field]| event(ts, INSTANT, &[b(22, "c"), b(23, "i"), fields.concat()]);
    let many = |field, count| (0..count).map(|_| v(field, 20)).collect::<Vec<_>>().concat();
    let doubles =
        |count| (0..count).map(|_| fixed(46, 1.5_f64.to_bits())).collect::<Vec<_>>().concat();
    let bytes = with_threads(&[
        counter(20, &[]),
        instant(1, &[many(31, 9), many(12, 9)]),
        instant(2, &[v(31, 99), v(12, 4)]),
        instant(3, &[v(31, 20), v(31, T), v(12, 4), v(12, 5)]),
        instant(4, &[v(12, 4)]),
        instant(5, &[many(31, 5), many(12, 5), many(45, 5), doubles(5)]),
        instant(6, &[many(31, 4), many(12, 4), many(45, 4), doubles(4)]),
        instant(7, &[v(31, 20), v(12, 4)]),
    ]);
    assert_alike(&oracle, &bytes, 2, 0);
}

/// A sequence's thread, unless the event says of which it is.
#[test]
fn events_without_a_track_are_on_the_thread_that_they_are_of() {
    let oracle = oracle_or_skip!();
    let (pid, tid) = (|pid| v(18, pid), |tid| v(19, tid));
    let complete = |ts, uuid: &[Field], fields: &[Field]| {
        let legacy = [&[v(2, u64::from(b'X')), v(3, 2)], fields].concat();
        packet(&[
            v(8, ts),
            v(10, 1),
            m(11, &[uuid.concat(), b(22, "c"), b(23, "x"), m(6, &legacy)]),
        ])
    };
    let typed = |ts, uuid: &[Field], kind, legacy: &[Field]| {
        let event = [uuid.concat(), v(9, kind), b(22, "c"), b(23, "t"), legacy.concat()];
        packet(&[v(8, ts), v(10, 1), m(11, &event)])
    };
    let zero = [v(11, 0)];
    let parts = [
        descriptor(&[v(1, 3), m(3, &[v(1, 7), b(6, "process")])]),
        descriptor(&[v(1, THREAD), m(4, &[v(1, 7), v(2, 70), b(5, "one")])]),
        // On the same track as what names it.
        event_on(1, THREAD, 1, BEGIN, &[b(22, "c"), b(23, "outer")]),
        typed(2, &[], BEGIN, &[]),
        typed(3, &[], END, &[]),
        event_on(1, THREAD, 4, END, &[]),
        typed(5, &zero, INSTANT, &[]),
        complete(10_000, &[], &[]),
        complete(20_000, &zero, &[]),
        complete(30_000, &[], &[pid(9)]),
        complete(40_000, &[], &[tid(90)]),
        complete(50_000, &[], &[pid(9), tid(91)]),
        // A track that is named counts.
        complete(60_000, &[v(11, THREAD)], &[pid(9), tid(91)]),
        complete(70_000, &[], &[pid(0)]),
        complete(80_000, &[], &[tid(0)]),
        typed(90_000, &[], INSTANT, &[m(6, &[pid(7), tid(70)])]),
        typed(91_000, &zero, INSTANT, &[m(6, &[pid(u64::MAX), tid(u64::MAX)])]),
        // Not forgotten with the state.
        packet(&[v(10, 1), v(13, 1)]),
        complete(100_000, &[], &[]),
        complete(110_000, &[], &[tid(70)]),
        // On tracks that are not the thread's, but the process's.
        packet(&[
            v(8, 120_000),
            v(10, 1),
            m(11, &[b(22, "c"), b(23, "p"), m(6, &[v(2, u64::from(b'I')), v(14, 2), pid(12)])]),
        ]),
        packet(&[
            v(8, 130_000),
            v(10, 1),
            m(11, &[b(22, "c"), b(23, "a"), m(6, &[v(2, u64::from(b'b')), v(10, 4), pid(12)])]),
        ]),
        // Named before it is described.
        complete(140_000, &[], &[pid(7), tid(71)]),
        packet(&[v(10, 2), v(13, 1)]),
        packet(&[
            v(10, 2),
            m(60, &[v(1, OTHER_THREAD), m(4, &[v(1, 7), v(2, 71), b(5, "other")])]),
        ]),
        event_on(2, OTHER_THREAD, 141_000, INSTANT, &[b(22, "c"), b(23, "inside")]),
        // A sequence without a thread.
        packet(&[v(10, 3), v(13, 1)]),
        packet(&[v(8, 150_000), v(10, 3), m(11, &[v(9, INSTANT), b(22, "c"), b(23, "none")])]),
        // Described by a packet of its own, as of old.
        packet(&[v(10, 4), v(13, 1)]),
        packet(&[v(10, 4), m(44, &[v(1, 7), v(2, 72), b(5, "old")])]),
        packet(&[v(8, 160_000), v(10, 4), m(11, &[v(9, INSTANT), b(22, "c"), b(23, "of old")])]),
    ];
    let bytes = [start(1), parts.concat()].concat();
    assert_alike(&oracle, &bytes, 19, 0);
}

/// The tests' trace processor, v52, knows no callstacks.
#[test]
fn callstacks_are_those_of_both_ends() {
    let interned = [
        m(5, &[v(1, 1), b(2, "main")]),
        m(5, &[v(1, 2), b(2, "leaf")]),
        m(6, &[v(1, 1), v(2, 1), v(3, 1), v(4, 16)]),
        m(6, &[v(1, 2), v(2, 2), v(5, 1), v(6, 7)]),
        m(7, &[v(1, 1), v(2, 1), v(2, 2)]),
        m(17, &[v(1, 1), b(2, "lib")]),
        m(17, &[v(1, 2), b(2, "a.so")]),
        m(18, &[v(1, 1), b(2, "leaf.c")]),
        m(19, &[v(1, 1), v(7, 1), v(7, 2)]),
    ];
    let inline = m(55, &[m(1, &[b(1, "outer"), b(2, "o.c"), v(3, 9)]), m(1, &[b(1, "inner")])]);
    let bytes = [
        start(1),
        track(T, "t"),
        packet(&[v(10, 1), m(12, &interned)]),
        event(1, BEGIN, &[b(22, "c"), b(23, "a"), v(56, 1)]),
        event(2, BEGIN, &[b(22, "c"), b(23, "b"), v(56, 1)]),
        event(3, END, &[inline]),
        event(4, END, &[]),
        event(5, INSTANT, &[b(22, "c"), b(23, "i"), v(56, 99)]),
    ]
    .concat();
    let source = Source::from_bytes("callstacks", bytes);
    let trace = Trace::read(&source).expect("a trace");
    let said = |at: Option<usize>| {
        let frames = trace.callstacks[at?].iter().map(|at| trace.frames[*at].to_string());
        Some(frames.collect::<Vec<_>>().join("; "))
    };
    let stacks: Vec<_> = trace
        .slices
        .iter()
        .map(|slice| (said(slice.callstack), said(slice.end_callstack)))
        .collect();
    let interned = Some("main in lib/a.so+0x10; leaf (leaf.c:7)".to_owned());
    let inline = Some("outer (o.c:9); inner".to_owned());
    assert_eq!(stacks, [(interned.clone(), None), (interned, inline), (None, None)]);
    assert_eq!((trace.frames.len(), trace.callstacks.len()), (4, 2));

    let mut text = vec![];
    Dump::new().run(&source, &mut text).expect("a trace").expect("memory");
    let text = String::from_utf8(text).expect("text");
    for line in [
        r#"1 "t" begin "a" [c] callstack main in lib/a.so+0x10;leaf (leaf.c:7)"#,
        r#"3 "t" end callstack outer (o.c:9);inner"#,
        r#"5 "t" instant "i" [c] callstack 99, not defined"#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let report = Check::new().run(&source, |_| {}).expect("a trace");
    let found: Vec<_> = report
        .findings
        .iter()
        .filter(|found| found.severity > Severity::Note)
        .flat_map(|found| &found.examples)
        .map(|found| (found.packet, found.detail.as_str()))
        .collect();
    assert_eq!(found, [(7, "sequence 1 uses 99 of callstacks 1 times, and never defines it")]);
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
