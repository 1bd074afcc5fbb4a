//! Every feature of `novatrace-core`, used as a program without the generator would: what its bytes
//! mean to Perfetto's trace processor.

use novatrace_core::{
    Annotations, ChildOrdering, CounterDescriptor, EventBody, EventType, ExplicitTrack, Kind,
    Limits, Merge, ProcessDescriptor, Scalar, Sequence, SequenceId, Shape, SourceLocation, Symbols,
    Text, ThreadDescriptor, Timestamps, TrackDescriptor, TrackKind, TrackUuid, Unit, header,
};
use novatrace_testkit::{Loaded, Oracle, Value, assert_tree, oracle_or_skip};

const TRACK: TrackUuid = TrackUuid(1);

/// A trace that is being put together: its bytes and one sequence.
struct Trace {
    out: Vec<u8>,
    sequence: Sequence,
}

impl Trace {
    /// On sequence 1, with track 1 as the default.
    fn new(timestamps: Timestamps) -> Self {
        let sequence = Sequence::new(SequenceId::new(1).expect("not zero"), timestamps);
        let mut trace = Self { out: vec![], sequence };
        trace.sequence.start(&mut trace.out, Some(TRACK));
        trace
    }

    /// With a plain track 1 called "track".
    fn with_track(timestamps: Timestamps) -> Self {
        let mut trace = Self::new(timestamps);
        trace.describe(&TrackDescriptor::plain(TRACK, "track"));
        trace
    }

    fn describe(&mut self, descriptor: &TrackDescriptor<'_>) {
        self.sequence.descriptor(&mut self.out, descriptor);
    }

    fn event(
        &mut self,
        ns: u64,
        kind: EventType,
        track: Option<TrackUuid>,
        body: impl FnOnce(&mut EventBody<'_>),
    ) {
        let mut bytes = vec![];
        body(&mut EventBody::new(&mut bytes));
        let track = track.map(ExplicitTrack::new);
        self.sequence.event(&mut self.out, ns, kind, track.as_ref(), &bytes);
    }

    fn slice(&mut self, start: u64, end: u64, track: Option<TrackUuid>, name: &str) {
        self.event(start, EventType::SliceBegin, track, |body| {
            body.name(Text::Inline(name));
        });
        self.sequence.end(&mut self.out, end, track.map(ExplicitTrack::new).as_ref());
    }

    fn instant(&mut self, ns: u64, name: &str) {
        self.event(ns, EventType::Instant, None, |body| {
            body.name(Text::Inline(name));
        });
    }

    fn count(&mut self, ns: u64, track: TrackUuid, value: Scalar) {
        self.event(ns, EventType::Counter, Some(track), |body| {
            body.counter(value);
        });
    }

    /// Healthy, and without a field that Perfetto's schema does not have.
    fn load(&self, oracle: &Oracle) -> Loaded {
        oracle.decode_text(&self.out).expect("every field is in the schema");
        self.load_undecoded(oracle)
    }

    fn load_undecoded(&self, oracle: &Oracle) -> Loaded {
        let loaded = oracle.load_bytes(&self.out).expect("the trace processor takes it");
        loaded.assert_healthy();
        loaded
    }
}

#[test]
fn the_uuid_is_metadata_and_attributes_are_as_the_schema_has_them() {
    let oracle = oracle_or_skip!();
    let mut trace = Trace::with_track(Timestamps::Incremental);
    header::trace_uuid(&mut trace.out, 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF);
    let attributes = [
        ("model", header::Attribute::Text("llama")),
        ("dies", header::Attribute::Int(-2)),
        ("", header::Attribute::Text("")),
    ];
    header::trace_attributes(&mut trace.out, attributes);
    trace.instant(1, "i");
    let loaded = trace.load(&oracle);
    let rows = loaded.query("select str_value as uuid from metadata where name = 'trace_uuid'");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].str("uuid"), "00112233-4455-6677-8899-aabbccddeeff");
    // The trace processor of the oracle is older than `TraceAttributes`; the schema is not.
    let decoded = oracle.decode_text(&trace.out).expect("every field is in the schema");
    for expected in ["key: \"model\"", "string_value: \"llama\"", "long_value: -2", "key: \"\""] {
        assert!(decoded.contains(expected), "{expected} in {decoded}");
    }
}

#[test]
fn processes_threads_and_counters_are_what_their_descriptors_say() {
    let oracle = oracle_or_skip!();
    let mut trace = Trace::new(Timestamps::Absolute);
    let process = ProcessDescriptor { pid: 7, name: "chip" };
    trace.describe(&TrackDescriptor {
        kind: TrackKind::Process(process),
        ..TrackDescriptor::plain(TRACK, "the process itself")
    });
    let thread = ThreadDescriptor { pid: 7, tid: 1 << 31, name: "driver" };
    trace.describe(&TrackDescriptor {
        kind: TrackKind::Thread(thread),
        ..TrackDescriptor::plain(TrackUuid(2), "ignored")
    });
    trace.describe(&TrackDescriptor {
        parent: Some(TRACK),
        ..TrackDescriptor::plain(TrackUuid(3), "below the process")
    });
    let units = [
        (4, None),
        (5, Some(Unit::Nanoseconds)),
        (6, Some(Unit::Count)),
        (7, Some(Unit::Bytes)),
        (8, Some(Unit::Named("W"))),
    ];
    for (uuid, unit) in units {
        let counter = CounterDescriptor { unit, ..CounterDescriptor::default() };
        trace.describe(&TrackDescriptor {
            parent: Some(TrackUuid(3)),
            rank: Some(uuid),
            kind: TrackKind::Counter(counter),
            ..TrackDescriptor::plain(TrackUuid(u64::from(uuid.unsigned_abs())), "counter")
        });
    }
    trace.slice(10, 20, Some(TrackUuid(2)), "on the thread");
    trace.slice(10, 20, Some(TRACK), "on the process");
    trace.slice(10, 20, Some(TrackUuid(3)), "on the track");
    trace.count(10, TrackUuid(4), Scalar::Int(-3));
    trace.count(10, TrackUuid(5), Scalar::Uint(u64::MAX));
    trace.count(10, TrackUuid(6), Scalar::Bool(true));
    trace.count(10, TrackUuid(7), Scalar::Int((1 << 53) - 1));
    trace.count(10, TrackUuid(8), Scalar::Double(f64::NEG_INFINITY));
    trace.count(11, TrackUuid(8), Scalar::Double(-0.5));
    let loaded = trace.load(&oracle);
    assert_tree!(
        loaded,
        "
        chip
          driver
            10 +10 on the thread
          below the process
            10 +10 on the track
            counter (counter)
              10 = -3.0
            counter (counter, ns)
              10 = 1.8446744073709552e19
            counter (counter, count)
              10 = 1.0
            counter (counter, bytes)
              10 = 9007199254740991.0
            counter (counter, W)
              10 = -inf
              11 = -0.5
          the process itself
            10 +10 on the process
        "
    );
}

#[test]
fn counters_multiply_add_up_and_share_an_axis() {
    let oracle = oracle_or_skip!();
    let mut trace = Trace::with_track(Timestamps::Incremental);
    let counter = |uuid, name, counter| TrackDescriptor {
        parent: Some(TRACK),
        kind: TrackKind::Counter(counter),
        description: Some("what it counts"),
        ..TrackDescriptor::plain(TrackUuid(uuid), name)
    };
    let unit = Some(Unit::Named("kB"));
    let multiplied = CounterDescriptor { unit, multiplier: Some(1000), ..Default::default() };
    let added = CounterDescriptor { is_incremental: true, ..Default::default() };
    let shared = CounterDescriptor { shared_axis: Some("axis"), ..Default::default() };
    trace.describe(&counter(2, "multiplied", multiplied));
    trace.describe(&counter(3, "added", added));
    trace.describe(&counter(4, "shared", shared));
    for (time, value) in [(1, 3), (2, 0), (3, -2)] {
        trace.count(time, TrackUuid(2), Scalar::Int(value));
        trace.count(time, TrackUuid(2), Scalar::Double(0.5));
        trace.count(time, TrackUuid(3), Scalar::Int(value));
        trace.count(time, TrackUuid(4), Scalar::Int(value));
    }
    let loaded = trace.load(&oracle);
    assert_tree!(
        loaded,
        "
        track
          added (counter)
            1 = 3.0
            2 = 3.0
            3 = 1.0
          multiplied (counter, kB)
            1 = 3000.0
            1 = 500.0
            2 = 0.0
            2 = 500.0
            3 = -2000.0
            3 = 500.0
          shared (counter)
            1 = 3.0
            2 = 0.0
            3 = -2.0
        "
    );
    let tracks = loaded.tracks();
    let shared = tracks.iter().find(|track| track.path == "track/shared").expect("it is there");
    assert_eq!(shared.args["y_axis_share_key"], "axis");
    assert_eq!(shared.args["description"], "what it counts");
}

#[test]
fn tracks_nest_to_any_depth_and_say_their_order() {
    let oracle = oracle_or_skip!();
    let mut trace = Trace::new(Timestamps::Absolute);
    let depth = 60;
    let orders =
        [ChildOrdering::Lexicographic, ChildOrdering::Chronological, ChildOrdering::Explicit];
    for level in 1..=depth {
        trace.describe(&TrackDescriptor {
            parent: (level > 1).then(|| TrackUuid(level - 1)),
            child_ordering: orders.get(usize::try_from(level).expect("small") - 1).copied(),
            rank: (level == 2).then_some(i32::MIN),
            description: (level == 3).then_some("line\nbreak"),
            ..TrackDescriptor::plain(TrackUuid(level), &level.to_string())
        });
    }
    trace.slice(1, 2, Some(TrackUuid(depth)), "deep");
    let loaded = trace.load(&oracle);
    let path: Vec<String> = (1..=depth).map(|level| level.to_string()).collect();
    assert_eq!(loaded.slices()[0].track, path.join("/"));
    let tracks = loaded.tracks();
    let arg = |level: usize, key: &str| tracks[level - 1].args.get(key).cloned();
    assert_eq!(tracks.iter().map(|track| track.uuid).collect::<Vec<_>>(), {
        (1..=depth).map(Some).collect::<Vec<_>>()
    });
    let text = |text: &str| Some(Value::Text(text.into()));
    assert_eq!(arg(1, "child_ordering"), text("lexicographic"));
    assert_eq!(arg(2, "child_ordering"), text("chronological"));
    assert_eq!(arg(3, "child_ordering"), text("explicit"));
    assert_eq!(arg(4, "child_ordering"), None);
    assert_eq!(arg(2, "sibling_order_rank"), Some(Value::Int(i32::MIN.into())));
    assert_eq!(arg(3, "description"), text("line\nbreak"));
}

#[test]
fn siblings_merge_by_name_or_key_and_by_default_not_at_all() {
    let oracle = oracle_or_skip!();
    let merges =
        [(Merge::None, 2), (Merge::ByName, 1), (Merge::ByKey("key"), 1), (Merge::ByIntKey(9), 1)];
    for (merge, expected) in merges {
        let mut trace = Trace::with_track(Timestamps::Absolute);
        for uuid in [2, 3] {
            trace.describe(&TrackDescriptor {
                parent: Some(TRACK),
                merge,
                ..TrackDescriptor::plain(TrackUuid(uuid), "same")
            });
        }
        trace.slice(10, 20, Some(TrackUuid(2)), "a");
        trace.slice(15, 25, Some(TrackUuid(3)), "b");
        let loaded = trace.load(&oracle);
        let slices = loaded.slices();
        let facts: Vec<_> =
            slices.iter().map(|s| (s.track.as_str(), s.ts, s.dur, s.depth)).collect();
        assert_eq!(facts, [("track/same", 10, 10, 0), ("track/same", 15, 10, 0)], "{merge:?}");
        // Merged tracks form one group, whose lanes the viewer draws as one row.
        let groups = loaded.query(
            "select count(distinct track_group_id) as groups, count(track_group_id) as grouped \
             from track where name = 'same'",
        );
        let lanes = (groups[0].i64("groups"), groups[0].i64("grouped"));
        let rows = if lanes.1 == 0 { 2 } else { lanes.0 };
        assert_eq!(rows, expected, "{merge:?}: {lanes:?}");
    }
}

#[test]
fn names_categories_and_flows_interned_or_spelled_out_read_the_same() {
    let oracle = oracle_or_skip!();
    let mut trace = Trace::with_track(Timestamps::Incremental);
    let mut symbols = Symbols::default();
    for (name, kind) in
        [("gemm", Kind::EventName), ("compute", Kind::Category), ("hot", Kind::Category)]
    {
        let iid = symbols.intern(name).expect("room");
        trace.sequence.define(&mut trace.out, kind, iid, name);
    }
    let iid = |name: &str| Text::Iid(symbols.get(name).expect("interned"));
    trace.event(10, EventType::SliceBegin, None, |body| {
        body.name(iid("gemm")).category(iid("compute")).category(iid("hot")).flow(0).flow(u64::MAX);
    });
    trace.sequence.end(&mut trace.out, 20, None);
    trace.event(30, EventType::SliceBegin, None, |body| {
        let (name, first) = (Text::Inline("gemm"), Text::Inline("compute"));
        body.name(name).category(first).category(Text::Inline("hot")).flow(u64::MAX);
        body.terminating_flow(0);
    });
    trace.sequence.end(&mut trace.out, 40, None);
    trace.event(50, EventType::Instant, None, |body| {
        body.name(Text::Inline("after")).flow(0).terminating_flow(u64::MAX);
    });
    let loaded = trace.load(&oracle);
    assert_tree!(
        loaded,
        "
        track
          10 +10 gemm [compute,hot]
          30 +10 gemm [compute,hot]
          50 +0 after
        flows
          gemm@10 -> gemm@30
          gemm@10 -> gemm@30
          gemm@30 -> after@50
        "
    );
    // Flow 0 ended at 30: the instant begins another.
    let ids: Vec<_> = loaded.flows().iter().map(|flow| flow.id.expect("they have ids")).collect();
    assert_eq!(ids, [u64::MAX, 0, u64::MAX]);
}

#[test]
fn locations_interned_or_spelled_out_are_arguments() {
    let oracle = oracle_or_skip!();
    let mut trace = Trace::with_track(Timestamps::Incremental);
    let mut symbols = Symbols::default();
    let location = SourceLocation { file: "a.rs", function: "f", line: 7 };
    let iid = symbols.intern("a.rs f 7").expect("room");
    assert!(trace.sequence.define_location(&mut trace.out, iid, &location));
    assert!(!trace.sequence.define_location(&mut trace.out, iid, &location));
    trace.event(1, EventType::Instant, None, |body| {
        body.name(Text::Inline("interned")).location(iid);
    });
    trace.event(2, EventType::Instant, None, |body| {
        body.name(Text::Inline("inline")).inline_location(&location);
    });
    let loaded = trace.load(&oracle);
    assert_tree!(
        loaded,
        r#"
        track
          1 +0 interned {source.file_name="a.rs", source.function_name="f", source.line_number=7, source_location_iid=1}
          2 +0 inline {source_location.file_name="a.rs", source_location.function_name="f", source_location.line_number=7}
        "#
    );
}

const A: Text<'static> = Text::Inline("a");
const NONE: Text<'static> = Text::Inline("");

/// The arguments of an instant with the annotations that `write` writes.
fn annotated(
    oracle: &Oracle,
    limits: Limits,
    write: impl FnOnce(&mut Annotations<'_>),
) -> Vec<String> {
    arguments(&annotation_trace(limits, write).load(oracle))
}

fn annotation_trace(limits: Limits, write: impl FnOnce(&mut Annotations<'_>)) -> Trace {
    let mut trace = Trace::with_track(Timestamps::Incremental);
    trace.event(1, EventType::Instant, None, |body| {
        write(&mut body.name(Text::Inline("i")).annotations(limits));
    });
    trace
}

fn arguments(loaded: &Loaded) -> Vec<String> {
    loaded.slices()[0].args.iter().map(|(key, value)| format!("{key} = {value}")).collect()
}

#[test]
fn annotations_of_every_type_keep_every_bit() {
    let oracle = oracle_or_skip!();
    let args = annotated(&oracle, Limits::default(), |top| {
        let values = [
            ("true", Scalar::Bool(true)),
            ("false", Scalar::Bool(false)),
            ("least", Scalar::Int(i64::MIN)),
            ("minus", Scalar::Int(-1)),
            ("most", Scalar::Int(i64::MAX)),
            ("zero", Scalar::Uint(0)),
            ("uint", Scalar::Uint(u64::MAX)),
            ("tenth", Scalar::Double(0.1)),
            ("inf", Scalar::Double(f64::NEG_INFINITY)),
            ("nan", Scalar::Double(f64::NAN)),
            ("tiny", Scalar::Double(5e-324)),
            ("pointer", Scalar::Pointer(u64::MAX)),
        ];
        for (name, value) in values {
            top.scalar(Text::Inline(name), value);
        }
        top.text(Text::Inline("text"), Text::Inline("ü \u{1F980}\n\""));
        top.text(Text::Inline("nothing"), Text::Inline(""));
        top.scalar(NONE, Scalar::Int(5));
    });
    let expected = [
        "(empty) = 5",
        "false = false",
        "inf = -inf",
        "least = -9223372036854775808",
        "minus = -1",
        "most = 9223372036854775807",
        "nan = \"NaN\"",
        "nothing = \"\"",
        "pointer = 0xffffffffffffffff",
        "tenth = 0.1",
        "text = \"ü 🦀\\n\\\"\"",
        "tiny = 5e-324",
        "true = true",
        "uint = 18446744073709551615",
        "zero = 0",
    ];
    assert_eq!(args, expected);
}

#[test]
fn dictionaries_and_arrays_nest_in_each_other_and_empty_ones_stay_visible() {
    let oracle = oracle_or_skip!();
    let args = annotated(&oracle, Limits::default(), |top| {
        let mut dictionary = top.container(A, Shape::Dictionary);
        dictionary.scalar(Text::Inline("x"), Scalar::Int(1));
        let mut array = dictionary.container(Text::Inline("list"), Shape::Array);
        let mut inner = array.container(NONE, Shape::Array);
        inner.scalar(NONE, Scalar::Int(2));
        inner.container(NONE, Shape::Array).finish();
        inner.finish();
        let mut inner = array.container(NONE, Shape::Dictionary);
        inner.text(Text::Inline("y"), Text::Inline("z"));
        inner.container(Text::Inline("none"), Shape::Dictionary).finish();
        inner.finish();
        array.finish();
        dictionary.finish();
        top.container(Text::Inline("empty list"), Shape::Array).finish();
        top.container(Text::Inline("empty dictionary"), Shape::Dictionary).finish();
    });
    let expected = [
        "a.list[0][0] = 2",
        "a.list[0][1] = \"[]\"",
        "a.list[1].none = \"{}\"",
        "a.list[1].y = \"z\"",
        "a.x = 1",
        "empty dictionary = \"{}\"",
        "empty list = \"[]\"",
    ];
    assert_eq!(args, expected);
}

#[test]
fn what_exceeds_the_limits_is_counted_in_the_trace() {
    let oracle = oracle_or_skip!();
    let args = annotated(&oracle, Limits { items: 2, depth: 2 }, |top| {
        let mut array = top.container(Text::Inline("long"), Shape::Array);
        (0..5).for_each(|item| array.scalar(NONE, Scalar::Int(item)));
        array.finish();
        let mut dictionary = top.container(Text::Inline("wide"), Shape::Dictionary);
        for key in ["a", "b", "c"] {
            dictionary.scalar(Text::Inline(key), Scalar::Int(1));
        }
        dictionary.finish();
        let mut one = top.container(Text::Inline("deep"), Shape::Array);
        let mut two = one.container(NONE, Shape::Array);
        let mut three = two.container(NONE, Shape::Array);
        (0..4).for_each(|item| three.scalar(NONE, Scalar::Int(item)));
        three.finish();
        two.finish();
        one.finish();
        // Not a container: its items are the event's own.
        for key in ["p", "q", "r"] {
            top.scalar(Text::Inline(key), Scalar::Int(1));
        }
    });
    let expected = [
        "deep[0][0] = \"(4 more items)\"",
        "long[0] = 0",
        "long[1] = 1",
        "long[2] = \"(3 more items)\"",
        "p = 1",
        "q = 1",
        "r = 1",
        "wide.... = \"(1 more items)\"",
        "wide.a = 1",
        "wide.b = 1",
    ];
    // The trace processor writes `_` for the points of a key.
    assert_eq!(args, expected.map(|line| line.replace("....", ".___")));
}

/// Arrays within arrays, so many of them.
fn nest(around: &mut Annotations<'_>, levels: usize) {
    let mut inner = around.container(NONE, Shape::Array);
    if levels > 1 {
        nest(&mut inner, levels - 1);
    } else {
        inner.scalar(NONE, Scalar::Int(1));
    }
    inner.finish();
}

#[test]
fn the_deepest_nesting_that_can_be_asked_for_is_read() {
    let oracle = oracle_or_skip!();
    let limits = Limits { items: 256, depth: usize::MAX };
    // Perfetto's protobuf classes stop at 100 messages within each other; the trace processor does not.
    let args = |levels| {
        let trace = annotation_trace(limits, |top| nest(top, levels));
        arguments(&trace.load_undecoded(&oracle))
    };
    assert_eq!(
        args(Limits::MAX_DEPTH),
        [format!("(empty){} = 1", "[0]".repeat(Limits::MAX_DEPTH))]
    );
    let cut = format!("(empty){} = \"(1 more items)\"", "[0]".repeat(Limits::MAX_DEPTH));
    assert_eq!(args(Limits::MAX_DEPTH + 1), [cut]);
}

#[test]
fn times_of_every_size_forwards_and_backwards_are_read_on_either_clock() {
    let oracle = oracle_or_skip!();
    let times = [
        0,
        0,
        127,
        128,
        16_383,
        16_384,
        5,
        1 << 34,
        (1 << 34) + 1,
        1 << 35,
        (1 << 35) + (1 << 35),
        1 << 40,
        1,
        1 << 62,
        (1 << 62) + 1,
        3,
    ];
    for timestamps in [Timestamps::Incremental, Timestamps::Absolute] {
        let mut trace = Trace::with_track(timestamps);
        for (number, time) in times.iter().enumerate() {
            trace.instant(*time, &number.to_string());
        }
        assert_eq!(trace.sequence.last_ns(), (1 << 62) + 1);
        let loaded = trace.load(&oracle);
        let mut found: Vec<(usize, i64)> = loaded
            .slices()
            .iter()
            .map(|s| (s.name.as_deref().unwrap_or("").parse().expect("a number"), s.ts))
            .collect();
        found.sort_unstable();
        let expected: Vec<_> = times.iter().map(|time| time.cast_signed()).enumerate().collect();
        assert_eq!(found, expected, "{timestamps:?}");
    }
}

#[test]
fn two_sequences_keep_their_names_defaults_and_clocks_apart() {
    let oracle = oracle_or_skip!();
    let mut trace = Trace::with_track(Timestamps::Incremental);
    let mut other =
        Sequence::new(SequenceId::new(70_000).expect("not zero"), Timestamps::Incremental)
            .with_needs_state(true);
    other.start(&mut trace.out, Some(TrackUuid(2)));
    other.descriptor(&mut trace.out, &TrackDescriptor::plain(TrackUuid(2), "other"));
    let mut symbols = Symbols::default();
    let iid = symbols.intern("of the first").expect("room");
    trace.sequence.define(&mut trace.out, Kind::EventName, iid, "of the first");
    other.define(&mut trace.out, Kind::EventName, iid, "of the second");
    let mut name = vec![];
    EventBody::new(&mut name).name(Text::Iid(iid));
    for time in [10, 20, 5] {
        trace.sequence.event(&mut trace.out, time, EventType::SliceBegin, None, &name);
        other.event(&mut trace.out, time + 1, EventType::SliceBegin, None, &name);
        trace.sequence.end(&mut trace.out, time + 2, None);
        other.end(&mut trace.out, time + 4, None);
    }
    assert_tree!(
        trace.load(&oracle),
        "
        other
          6 +3 of the second
          11 +3 of the second
          21 +3 of the second
        track
          5 +2 of the first
          10 +2 of the first
          20 +2 of the first
        "
    );
}

#[test]
fn a_sequence_that_is_started_again_begins_afresh() {
    let oracle = oracle_or_skip!();
    for needs_state in [false, true] {
        for timestamps in [Timestamps::Incremental, Timestamps::Absolute] {
            let mut trace = Trace::with_track(timestamps);
            trace.sequence = trace.sequence.with_needs_state(needs_state);
            let mut symbols = Symbols::default();
            let names = ["first", "second"];
            let iid = symbols.intern("whatever").expect("room");
            for (name, default_track) in names.into_iter().zip([TRACK, TrackUuid(2)]) {
                if name == "second" {
                    trace.sequence.start(&mut trace.out, Some(default_track));
                    trace.describe(&TrackDescriptor::plain(default_track, "another"));
                }
                // The same number stands for another name now.
                trace.sequence.define(&mut trace.out, Kind::EventName, iid, name);
                for time in [100, 50, 1_000_000] {
                    trace.event(time, EventType::SliceBegin, None, |body| {
                        body.name(Text::Iid(iid));
                    });
                    trace.sequence.end(&mut trace.out, time + 10, None);
                }
            }
            assert_tree!(
                trace.load(&oracle),
                "
                another
                  50 +10 second
                  100 +10 second
                  1000000 +10 second
                track
                  50 +10 first
                  100 +10 first
                  1000000 +10 first
                "
            );
        }
    }
}
