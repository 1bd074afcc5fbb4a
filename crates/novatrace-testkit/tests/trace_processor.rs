//! The testkit against traces whose every byte is written here, so that it depends on no code of ours.

use std::collections::BTreeMap;

use novatrace_testkit::{Error, Flow, Stat, Value, assert_tree, oracle_or_skip};

/// Just enough of protobuf.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value.to_le_bytes()[0] | 128);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

fn int(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn fixed(field: u64, bits: u64) -> Vec<u8> {
    [varint(field << 3 | 1), bits.to_le_bytes().to_vec()].concat()
}

fn message(field: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    let bytes = parts.concat();
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    message(field, &[value.as_bytes().to_vec()])
}

/// `Trace.packet` on sequence 1.
fn packet(parts: &[Vec<u8>]) -> Vec<u8> {
    message(1, &[int(10, 1), parts.concat()])
}

/// `TracePacket.track_descriptor` with uuid.
fn descriptor(uuid: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    packet(&[message(60, &[int(1, uuid), parts.concat()])])
}

/// A packet with a time stamp and `TracePacket.track_event` with type and track.
fn event(ts: u64, kind: u64, track: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    packet(&[int(8, ts), message(11, &[int(9, kind), int(11, track), parts.concat()])])
}

/// `TrackEvent.debug_annotations` with name.
fn annotation(name: &str, value: Vec<u8>) -> Vec<u8> {
    message(4, &[text(10, name), value])
}

const BEGIN: u64 = 1;
const END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;
const FLOW: u64 = 47;
const TERMINATING_FLOW: u64 = 48;

fn named(name: &str) -> Vec<u8> {
    [text(22, "op"), text(23, name)].concat()
}

/// A process with a group of two tracks, a thread, and a track of its own.
fn sample() -> Vec<u8> {
    let clock = message(6, &[message(1, &[int(1, 6), int(2, 0)])]);
    [
        packet(&[clock, int(13, 1)]),
        descriptor(1, &[message(3, &[int(1, 7), text(6, "chip")])]),
        descriptor(2, &[message(4, &[int(1, 7), int(2, 8), text(5, "driver")])]),
        descriptor(3, &[text(2, "cluster"), int(5, 1)]),
        descriptor(4, &[text(2, "core"), int(5, 3), int(15, 2)]),
        descriptor(5, &[text(2, "power"), int(5, 3), message(8, &[text(6, "W")])]),
        descriptor(u64::MAX, &[text(2, "free\nline"), int(15, 2)]),
        event(10, BEGIN, 4, &[named("matmul"), arguments(), fixed(FLOW, u64::MAX)]),
        event(12, BEGIN, 4, &[named("load")]),
        event(15, END, 4, &[]),
        event(16, INSTANT, 4, &[named("barrier")]),
        event(20, END, 4, &[]),
        event(30, BEGIN, 2, &[named("wait"), fixed(TERMINATING_FLOW, u64::MAX)]),
        event(40, END, 2, &[]),
        event(30, BEGIN, u64::MAX, &[named("open")]),
        event(10, COUNTER, 5, &[fixed(44, 1.5_f64.to_bits())]),
        event(1 << 60, COUNTER, 5, &[int(30, 2)]),
    ]
    .concat()
}

fn arguments() -> Vec<u8> {
    [
        annotation("int", int(4, i64::MIN.cast_unsigned())),
        annotation("uint", int(3, u64::MAX)),
        annotation("float", fixed(5, 0.1_f64.to_bits())),
        annotation("bool", int(2, 1)),
        annotation("pointer", int(7, 255)),
        annotation("text", text(6, "\u{feff}h\u{e9}\t")),
        annotation("dict", message(11, &[text(10, "key"), int(4, 5)])),
        annotation("list", [message(12, &[int(4, 1)]), message(12, &[int(4, 2)])].concat()),
    ]
    .concat()
}

#[test]
fn slices_have_their_tracks_times_and_arguments() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&sample()).expect("a good trace");
    loaded.assert_healthy();

    let slices = loaded.slices();
    let facts: Vec<_> = slices
        .iter()
        .map(|s| {
            (
                s.track.as_str(),
                s.ts,
                s.dur,
                s.name.as_deref().unwrap_or_default(),
                s.depth,
                s.parent_id,
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("chip/cluster/core", 10, 10, "matmul", 0, None),
            ("chip/cluster/core", 12, 3, "load", 1, Some(slices[0].id)),
            ("chip/cluster/core", 16, 0, "barrier", 1, Some(slices[0].id)),
            ("chip/driver", 30, 10, "wait", 0, None),
            ("free\nline", 30, -1, "open", 0, None),
        ]
    );
    assert!(slices.iter().all(|slice| slice.category.as_deref() == Some("op")));
    assert_eq!((slices[0].end(), slices[4].end()), (Some(20), None));
    assert_eq!(slices[0].track_name.as_deref(), Some("core"));

    let expected = BTreeMap::from(
        [
            ("int", Value::Int(i64::MIN)),
            ("uint", Value::Uint(u64::MAX)),
            ("float", Value::Float(0.1)),
            ("bool", Value::Bool(true)),
            ("pointer", Value::Pointer(255)),
            ("text", Value::Text("\u{feff}h\u{e9}\t".into())),
            ("dict.key", Value::Int(5)),
            ("list[0]", Value::Int(1)),
            ("list[1]", Value::Int(2)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    assert_eq!(slices[0].args, expected);
    assert_eq!(slices[1].args, BTreeMap::new());
}

#[test]
fn counters_flows_tracks_and_processes_are_plain_data() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&sample()).expect("a good trace");

    let counters = loaded.counters();
    let facts: Vec<_> = counters.iter().map(|c| (c.track.as_str(), c.ts, c.value)).collect();
    assert_eq!(facts, [("chip/cluster/power", 10, 1.5), ("chip/cluster/power", 1 << 60, 2.0)]);

    let slices = loaded.slices();
    assert_eq!(
        loaded.flows(),
        [Flow { slice_out: slices[0].id, slice_in: slices[3].id, id: Some(u64::MAX) }]
    );

    let mut tracks = loaded.tracks();
    tracks.sort_by(|a, b| a.path.cmp(&b.path));
    let facts: Vec<_> =
        tracks.iter().map(|t| (t.path.as_str(), t.uuid, t.unit.as_deref())).collect();
    assert_eq!(
        facts,
        [
            ("chip", Some(1), None),
            ("chip/cluster", Some(3), None),
            ("chip/cluster/core", Some(4), None),
            ("chip/cluster/power", Some(5), Some("W")),
            ("chip/driver", None, None),
            ("free\nline", Some(u64::MAX), None),
        ]
    );
    assert_eq!(tracks.iter().filter(|track| track.is_counter).count(), 1);

    let processes = loaded.processes();
    assert_eq!(processes.len(), 1);
    assert_eq!((processes[0].pid, processes[0].name.as_deref()), (Some(7), Some("chip")));
}

#[test]
fn the_tree_shows_the_whole_trace() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&sample()).expect("a good trace");
    assert_tree!(
        loaded,
        r#"
        chip
          driver
            30 +10 wait [op]
          cluster
            core
              10 +10 matmul [op] {bool=true, dict.key=5, float=0.1, int=-9223372036854775808, list[0]=1, list[1]=2, pointer=0xff, text="\u{feff}hé\t", uint=18446744073709551615}
                12 +3 load [op]
                16 +0 barrier [op]
            power (counter, W)
              10 = 1.5
              1152921504606846976 = 2.0
        "free\nline"
          30 +? open [op]
        flows
          matmul@10 -> wait@30
        "#
    );
}

#[test]
fn cells_of_every_type_arrive_exactly() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&sample()).expect("a good trace");
    let rows = loaded.query(
        "select 9007199254740993 as big, -9223372036854775807 - 1 as least, 1.0 as one, -0.0 as zero, 9e999 as inf,
            'a b' as words, '' as empty, null as none, x'00ff' as blob",
    );
    let row = &rows[0];
    assert_eq!((row.i64("big"), row.i64("least")), (9_007_199_254_740_993, i64::MIN));
    assert_eq!((row.f64("one"), row.f64("inf")), (1.0, f64::INFINITY));
    assert_eq!((row.str("words"), row.str("empty"), row.opt_str("none")), ("a b", "", None));
    assert_eq!(*row.value("blob"), Value::Blob(vec![0, 255]));
    assert_eq!(row.columns().len(), 9);
    assert_eq!(loaded.query("select id from slice where id < 0"), []);
}

#[test]
fn large_answers_come_in_several_batches() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&sample()).expect("a good trace");
    let rows = loaded.query(
        "with recursive n(x) as (select 1 union all select x + 1 from n where x < 100000)
         select x, x * 1000003 as y, 'number ' || x as name, x / 2.0 as half from n",
    );
    assert_eq!(rows.len(), 100_000);
    for (row, x) in rows.iter().zip(1_i64..) {
        assert_eq!((row.i64("x"), row.i64("y")), (x, x * 1_000_003));
        assert_eq!(row.str("name"), format!("number {x}"));
    }
    assert_eq!(*rows[99_998].value("half"), 49_999.5);
}

#[test]
fn a_file_is_read_by_its_path() {
    let oracle = oracle_or_skip!();
    let path =
        std::env::temp_dir().join(format!("novatrace-testkit-{}.pftrace", std::process::id()));
    std::fs::write(&path, sample()).expect("the temporary folder can be written");
    let loaded = oracle.load(&path).expect("a good trace");
    std::fs::remove_file(&path).expect("it was just written");
    assert_eq!(loaded.slices().len(), 5);
    assert_eq!(loaded.trace(), path.display().to_string());
}

#[test]
fn a_rejected_trace_is_an_error_and_the_next_one_is_read_afresh() {
    let oracle = oracle_or_skip!();
    for _ in 0..2 {
        let error = oracle.load_bytes(b"neither trace nor anything").expect_err("it is no trace");
        assert!(matches!(&error, Error::Rejected { .. }), "{error}");
        assert!(error.to_string().contains("trace of 26 bytes: rejected"), "{error}");
        assert!(error.to_string().contains("Unknown trace type"), "{error}");
        assert_eq!(oracle.load_bytes(&sample()).expect("a good trace").slices().len(), 5);
    }
    let error = oracle.load("/no/such.pftrace").expect_err("there is no such file");
    assert!(error.to_string().contains("/no/such.pftrace"), "{error}");
}

#[test]
fn a_statement_that_fails_names_trace_and_sql() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&sample()).expect("a good trace");
    let error =
        loaded.try_query("select nonsense from slice").expect_err("there is no such column");
    let shown = error.to_string();
    assert!(
        shown.contains(loaded.trace()) && shown.contains("SQL: select nonsense from slice"),
        "{shown}"
    );
    assert!(shown.contains("no such column: nonsense"), "{shown}");
    assert_eq!(loaded.query("select count(*) as n from slice")[0].i64("n"), 5);
}

#[test]
fn several_traces_can_be_open_at_once() {
    let oracle = oracle_or_skip!();
    let full = oracle.load_bytes(&sample()).expect("a good trace");
    let empty = oracle.load_bytes(&packet(&[int(13, 1)])).expect("a good trace");
    assert_eq!((full.slices().len(), empty.slices().len()), (5, 0));
    assert_eq!(empty.tree(), "");
}

/// A child of a track that nobody described: the UI's banner says nothing, since the statistic is of severity "info".
fn orphaned() -> Vec<u8> {
    let child = descriptor(4, &[text(2, "core"), int(5, 99)]);
    [packet(&[int(13, 1)]), child, event(10, INSTANT, 4, &[named("lost")])].concat()
}

#[test]
fn loss_that_the_ui_hides_is_not_healthy() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&orphaned()).expect("it is not rejected");
    assert_eq!(loaded.slices(), []);
    let message = panic_of(|| loaded.assert_healthy());
    assert!(message.contains("track_event_parser_errors = 2 (info)"), "{message}");
}

#[test]
fn packets_before_the_first_clear_are_counted_as_lost() {
    let oracle = oracle_or_skip!();
    let needs_state = packet(&[int(8, 1), int(13, 2), message(11, &[int(9, INSTANT), int(11, 4)])]);
    let loaded = oracle.load_bytes(&needs_state).expect("it is not rejected");
    let message = panic_of(|| loaded.assert_healthy());
    assert!(message.contains("tokenizer_skipped_packets = 1 (info)"), "{message}");
}

#[test]
fn expected_loss_must_be_named_and_must_be_there() {
    let oracle = oracle_or_skip!();
    let loaded = oracle.load_bytes(&orphaned()).expect("it is not rejected");
    loaded.assert_healthy_but_for(&["track_event_parser_errors"]);

    let healthy = oracle.load_bytes(&sample()).expect("a good trace");
    let message = panic_of(|| healthy.assert_healthy_but_for(&["misplaced_end_event"]));
    assert!(message.contains("misplaced_end_event = 0, but was expected"), "{message}");
}

#[test]
fn a_cut_or_unknown_field_that_the_trace_processor_ignores_is_found_by_the_schema() {
    let oracle = oracle_or_skip!();
    let whole = sample();
    let decoded = oracle.decode_text(&whole).expect("all of it is in the schema");
    assert!(decoded.contains("process_name: \"chip\""), "{decoded}");

    let cut = &whole[..whole.len() - 1];
    let loaded = oracle.load_bytes(cut).expect("it says nothing");
    assert!(!loaded.stats().iter().any(Stat::is_fault));
    // Our own reader finds it too.
    let finding = panic_of(|| loaded.assert_no_finding());
    assert!(finding.contains("rule: Cut"), "{finding}");
    let error = oracle.decode_text(cut).expect_err("the last packet is cut");
    assert!(error.to_string().contains("malformed"), "{error}");

    let strange = [whole, packet(&[message(60, &[int(1, 9), int(999, 1)])])].concat();
    oracle.load_bytes(&strange).expect("it says nothing").assert_healthy();
    let error = oracle.decode_text(&strange).expect_err("there is no field 999");
    assert!(error.to_string().contains("trace.packet[17].track_descriptor[0].999"), "{error}");
}

fn panic_of(action: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action))
        .expect_err("it has to panic");
    *panic.downcast::<String>().expect("it panics with a text")
}
