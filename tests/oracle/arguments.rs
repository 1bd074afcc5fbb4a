//! Arguments of every shape that `serde` knows, as the trace processor shows them.

mod support;

use std::collections::BTreeMap;

use novatrace::{Limits, Name, Pointer, TraceBuilder, TraceGenerator};
use novatrace_testkit::{Oracle, oracle_or_skip};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// The arguments of an event with `value` under the key `v`.
fn shown(oracle: &Oracle, builder: TraceBuilder, value: impl Serialize) -> Vec<String> {
    let (loaded, _) = support::read(oracle, builder, |trace| {
        trace.group("g").track("t").instant(1, "i").arg("v", value).emit().expect("possible");
    });
    lines(&loaded.slices()[0].args)
}

fn lines(args: &novatrace_testkit::Args) -> Vec<String> {
    args.iter().map(|(key, value)| format!("{key} = {value}")).collect()
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Newtype(u8);
#[derive(Serialize)]
struct Pair(i8, &'static str);
#[derive(Serialize)]
struct Empty {}
#[derive(Serialize)]
enum Kind {
    Plain,
    New(f32),
    Both(u16, i16),
    Fields { m: u32, inner: Option<Box<Kind>> },
    NewUnit(()),
}

/// Serialized as bytes, not as a list.
struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A map with whatever keys.
struct Map<K>(Vec<(K, i32)>);

impl<K: Serialize> Serialize for Map<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[test]
fn every_scalar_keeps_its_type_and_value() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        let event = track
            .instant(1, "i")
            .arg("bool", true)
            .arg("i8", i8::MIN)
            .arg("i16", i16::MIN)
            .arg("i32", i32::MIN)
            .arg("i32 most", i32::MAX)
            .arg("i64", i64::MIN)
            .arg("u8", u8::MAX)
            .arg("u16", u16::MAX)
            .arg("u32", u32::MAX)
            .arg("u64", u64::MAX)
            .arg("isize", -1_isize);
        let event = event
            .arg("i128 small", -5_i128)
            .arg("i128 large", i128::MIN)
            .arg("u128 small", 5_u128)
            .arg("u128 large", u128::MAX)
            .arg("f32", 0.1_f32)
            .arg("f64", 0.1)
            .arg("nan", f64::NAN)
            .arg("f32 nan", f32::NAN)
            .arg("inf", f64::INFINITY)
            .arg("minus zero", -0.0)
            .arg("char", '\u{1F980}');
        let event = event
            .arg("text", "a \"b\"\n")
            .arg("owned", String::from("c"))
            .arg("empty", "")
            .arg("name", Name::new("registered"))
            .arg("unit", ())
            .arg("none", None::<u8>)
            .arg("some", Some(3))
            .arg("some none", Some(None::<u8>))
            .arg("bytes", Bytes(&[0, 255]))
            .arg("no bytes", Bytes(&[]))
            .arg("pointer", Pointer(u64::MAX))
            .arg("small pointer", Pointer(1));
        event.emit().expect("possible");
    });
    let expected = [
        "bool = true",
        "bytes = \"0x00ff\"",
        "char = \"🦀\"",
        "empty = \"\"",
        "f32 = 0.10000000149011612",
        "f32 nan = \"NaN\"",
        "f64 = 0.1",
        "i128 large = \"-170141183460469231731687303715884105728\"",
        "i128 small = -5",
        "i16 = -32768",
        "i32 = -2147483648",
        "i32 most = 2147483647",
        "i64 = -9223372036854775808",
        "i8 = -128",
        "inf = inf",
        "isize = -1",
        "minus zero = -0.0",
        "name = \"registered\"",
        "nan = \"NaN\"",
        "no bytes = \"0x\"",
        "none = \"null\"",
        "owned = \"c\"",
        "pointer = 0xffffffffffffffff",
        "small pointer = 0x1",
        "some = 3",
        "some none = \"null\"",
        "text = \"a \\\"b\\\"\\n\"",
        "u128 large = \"340282366920938463463374607431768211455\"",
        "u128 small = 5",
        "u16 = 65535",
        "u32 = 4294967295",
        "u64 = 18446744073709551615",
        "u8 = 255",
        "unit = \"null\"",
    ];
    assert_eq!(lines(&loaded.slices()[0].args), expected);
}

#[test]
fn structs_enums_tuples_and_maps_are_shown_as_they_are_usually_written() {
    let oracle = oracle_or_skip!();
    let nested = Kind::Fields { m: 1, inner: Some(Box::new(Kind::Fields { m: 2, inner: None })) };
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        let event = track
            .instant(1, "i")
            .arg("unit struct", Unit)
            .arg("newtype", Newtype(7))
            .arg("pair", Pair(-1, "x"))
            .arg("empty struct", Empty {})
            .arg("plain", Kind::Plain)
            .arg("new", Kind::New(0.5))
            .arg("both", Kind::Both(1, -1))
            .arg("fields", &nested)
            .arg("new unit", Kind::NewUnit(()));
        let event = event
            .arg("tuple", (1, "two", [3.0, 4.0]))
            .arg("empty list", Vec::<u8>::new())
            .arg("lists", vec![vec![1], vec![], vec![2, 3]])
            .arg("mixed", vec![Kind::Plain, Kind::New(1.5), Kind::Both(2, 3)])
            .arg("empty map", BTreeMap::<u8, u8>::new())
            .arg("pointers", [Pointer(16)])
            .arg("options", [Some(1), None])
            .arg("names", [Name::new("n")]);
        event.emit().expect("possible");
    });
    let expected = [
        "both.Both[0] = 1",
        "both.Both[1] = -1",
        "empty list = \"[]\"",
        "empty map = \"{}\"",
        "empty struct = \"{}\"",
        "fields.Fields.inner.Fields.inner = \"null\"",
        "fields.Fields.inner.Fields.m = 2",
        "fields.Fields.m = 1",
        "lists[0][0] = 1",
        "lists[1] = \"[]\"",
        "lists[2][0] = 2",
        "lists[2][1] = 3",
        "mixed[0] = \"Plain\"",
        "mixed[1].New = 1.5",
        "mixed[2].Both[0] = 2",
        "mixed[2].Both[1] = 3",
        "names[0] = \"n\"",
        "new unit.NewUnit = \"null\"",
        "new.New = 0.5",
        "newtype = 7",
        "options[0] = 1",
        "options[1] = \"null\"",
        "pair[0] = -1",
        "pair[1] = \"x\"",
        "plain = \"Plain\"",
        "pointers[0] = 0x10",
        "tuple[0] = 1",
        "tuple[1] = \"two\"",
        "tuple[2][0] = 3.0",
        "tuple[2][1] = 4.0",
        "unit struct = \"Unit\"",
    ];
    assert_eq!(lines(&loaded.slices()[0].args), expected);
}

#[test]
fn maps_may_have_keys_of_any_scalar() {
    let oracle = oracle_or_skip!();
    let builder = TraceGenerator::builder;
    let integers = Map(vec![(i64::MIN, 1), (-1, 2), (70_000, 3), (i64::MAX, 4)]);
    let expected =
        ["v.-1 = 2", "v.-9223372036854775808 = 1", "v.70000 = 3", "v.9223372036854775807 = 4"];
    assert_eq!(shown(&oracle, builder(), integers), expected);
    assert_eq!(shown(&oracle, builder(), Map(vec![(u64::MAX, 1)])), ["v.18446744073709551615 = 1"]);
    let truths = Map(vec![(true, 1), (false, 2)]);
    assert_eq!(shown(&oracle, builder(), truths), ["v.false = 2", "v.true = 1"]);
    assert_eq!(shown(&oracle, builder(), Map(vec![('x', 1)])), ["v.x = 1"]);
    assert_eq!(shown(&oracle, builder(), Map(vec![(Kind::Plain, 1)])), ["v.Plain = 1"]);
    assert_eq!(shown(&oracle, builder(), Map(vec![(Newtype(3), 1)])), ["v.3 = 1"]);
    assert_eq!(shown(&oracle, builder(), Map(vec![(None::<u8>, 1)])), ["v.null = 1"]);
    // Perfetto's own separators become `_` in its keys.
    let odd = Map(vec![("a.b", 1), ("[0]", 2), ("", 3)]);
    assert_eq!(shown(&oracle, builder(), odd), ["v.(empty) = 3", "v._0_ = 2", "v.a_b = 1"]);
}

#[test]
fn a_map_with_keys_that_have_parts_is_refused() {
    let trace = TraceGenerator::builder().sink(support::Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    let error = track.instant(1, "i").arg("v", Map(vec![((1, 2), 3)])).emit();
    assert_eq!(
        error.expect_err("no text").to_string(),
        "cannot record instant `i` on track `t`: argument `v` cannot be serialized: \
         a map's keys must be texts or numbers",
    );
}

#[derive(Serialize)]
struct CostBook {
    flops: u64,
    tiles: Vec<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[test]
fn fields_and_entries_become_arguments_of_their_own() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        let cost = CostBook { flops: 5, tiles: vec![(1, 2)], note: None };
        track.instant(1, "struct").args(&cost).arg("m", 1).emit().expect("possible");
        let map = BTreeMap::from([(1, "one"), (2, "two")]);
        track.instant(2, "map").args(&map).emit().expect("possible");
        track.instant(3, "nothing").args(()).args(None::<CostBook>).emit().expect("possible");
        track.instant(4, "some").args(Some(&cost)).emit().expect("possible");
        let variant = Kind::Fields { m: 3, inner: None };
        track.instant(5, "variant").args(&variant).emit().expect("possible");
        let json = serde_json::json!({"a": {"b": [1, null]}, "c": {}});
        track.instant(6, "json").args(&json).emit().expect("possible");
        track.instant(7, "twice").args(&cost).args(&map).emit().expect("possible");
    });
    let found: Vec<Vec<String>> = loaded.slices().iter().map(|slice| lines(&slice.args)).collect();
    let cost = ["flops = 5", "tiles[0][0] = 1", "tiles[0][1] = 2"];
    let expected: [&[&str]; 7] = [
        &[cost[0], "m = 1", cost[1], cost[2]],
        &["1 = \"one\"", "2 = \"two\""],
        &[],
        &cost,
        &["Fields.inner = \"null\"", "Fields.m = 3"],
        &["a.b[0] = 1", "a.b[1] = \"null\"", "c = \"{}\""],
        &["1 = \"one\"", "2 = \"two\"", cost[0], cost[1], cost[2]],
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_exceeds_the_limits_is_counted_in_the_trace() {
    let oracle = oracle_or_skip!();
    let limited = |items, depth| TraceGenerator::builder().limits(Limits { items, depth });
    let list: Vec<i32> = (0..1000).collect();
    assert_eq!(
        shown(&oracle, limited(2, 9), &list),
        ["v[0] = 0", "v[1] = 1", "v[2] = \"(998 more items)\""]
    );
    assert_eq!(shown(&oracle, limited(0, 9), &list), ["v = \"(1000 more items)\""]);
    assert_eq!(shown(&oracle, limited(9, 0), &list), ["v = \"(1000 more items)\""]);
    let map: BTreeMap<i32, i32> = (0..5).map(|key| (key, key)).collect();
    assert_eq!(
        shown(&oracle, limited(2, 9), &map),
        ["v.0 = 0", "v.1 = 1", "v.___ = \"(3 more items)\""]
    );
    assert_eq!(
        shown(&oracle, limited(9, 2), [[[1, 2], [3, 4]]]),
        ["v[0][0] = \"(2 more items)\"", "v[0][1] = \"(2 more items)\""]
    );
    let variant = Kind::Fields { m: 1, inner: None };
    assert_eq!(shown(&oracle, limited(9, 1), &variant), ["v.Fields = \"(2 more items)\""]);
    assert_eq!(
        shown(&oracle, limited(1, 9), Kind::Both(5, 6)),
        ["v.Both[0] = 5", "v.Both[1] = \"(1 more items)\""]
    );
    assert_eq!(
        shown(&oracle, limited(2, 9), Bytes(&[1, 2, 3])),
        ["v = \"0x0102… (1 more items)\""]
    );
    let mut deep = serde_json::json!(1);
    for _ in 0..40 {
        deep = serde_json::json!({ "d": deep });
    }
    let cut = format!("v{} = \"(1 more items)\"", ".d".repeat(32));
    assert_eq!(shown(&oracle, TraceGenerator::builder(), &deep), [cut]);
}

#[test]
fn a_variant_that_lies_too_deep_is_one_item() {
    let oracle = oracle_or_skip!();
    let builder = TraceGenerator::builder().limits(Limits { items: 9, depth: 0 });
    let variant = Kind::Fields { m: 1, inner: None };
    assert_eq!(shown(&oracle, builder, &variant), ["v = \"(1 more items)\""]);
}

#[test]
fn the_fields_of_args_are_not_limited_but_what_is_in_them_is() {
    let oracle = oracle_or_skip!();
    let builder = TraceGenerator::builder().limits(Limits { items: 1, depth: 1 });
    let (loaded, _) = support::read(&oracle, builder, |trace| {
        let fields = serde_json::json!({"a": 1, "b": [1, 2], "c": [[1]]});
        trace.group("g").track("t").instant(1, "i").args(&fields).emit().expect("possible");
    });
    assert_eq!(
        lines(&loaded.slices()[0].args),
        ["a = 1", "b[0] = 1", "b[1] = \"(1 more items)\"", "c[0] = \"(1 more items)\""]
    );
}

#[test]
fn keys_of_every_kind_stay_apart_and_of_equal_ones_the_last_is_shown() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        let long = "k".repeat(5_000);
        let event = track.instant(1, "i").arg("", 1).arg("a b", 2).arg("🦀", 3).arg("\u{1}", 4);
        let event = event.arg("same", 5).arg("same", 6).arg(Name::new("same"), 7);
        event.arg(&long, 8).arg(&"名".to_owned(), 9).emit().expect("possible");
    });
    let long = format!("{} = 8", "k".repeat(5_000));
    let expected = ["\u{1} = 4", "(empty) = 1", "a b = 2", &long, "same = 7", "名 = 9", "🦀 = 3"];
    assert_eq!(lines(&loaded.slices()[0].args), expected);
}

#[test]
fn an_empty_key_is_shown_as_such_however_it_is_given() {
    #[derive(serde::Serialize)]
    struct Renamed {
        #[serde(rename = "")]
        field: u8,
    }
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        // Twice, and also used as a name: what is known by number then is still no key.
        for time in 0..2 {
            let event = track.instant(time, Name::new("")).arg(Name::new(""), 1);
            event.emit().expect("possible");
            let event = track.instant(time, "i").arg("v", Renamed { field: 1 });
            event.emit().expect("possible");
        }
    });
    let shown: Vec<_> = loaded.slices().iter().map(|slice| lines(&slice.args)).collect();
    let (plain, nested) = (vec!["(empty) = 1"], vec!["v.(empty) = 1"]);
    assert_eq!(shown, [plain.clone(), nested.clone(), plain, nested]);
}

#[test]
fn an_event_larger_than_its_ring_arrives_whole_and_in_its_place() {
    let oracle = oracle_or_skip!();
    let builder =
        TraceGenerator::builder().ring_bytes(4096).limits(Limits { items: 10_000, depth: 4 });
    let text = "a text of some length, ".repeat(50_000);
    let list: Vec<u64> = (0..5_000).map(|item| item << 40).collect();
    let (loaded, stats) = support::read(&oracle, builder, |trace| {
        let track = trace.group("g").track("t");
        for at in 0..20_u32 {
            let event = track.duration(at * 10, 10, "big").arg("at", at);
            match at % 4 {
                0 => event.arg("text", &text).emit(),
                1 => event.arg("list", &list).emit(),
                _ => event.emit(),
            }
            .expect("possible");
        }
    });
    assert_eq!((stats.events, stats.lanes), (20, 0));
    let slices = loaded.slices();
    assert_eq!(slices.len(), 20);
    for (at, slice) in (0..20).zip(&slices) {
        assert_eq!((slice.ts, slice.dur), (at * 10, 10));
        assert_eq!(slice.args["at"], at);
        match at % 4 {
            0 => assert_eq!(slice.args["text"], *text.as_str()),
            1 => {
                assert_eq!(slice.args.len(), 5_001);
                assert!(
                    (0..5_000)
                        .all(|item: i64| { slice.args[&format!("list[{item}]")] == item << 40 })
                );
            }
            _ => assert_eq!(slice.args.len(), 1),
        }
    }
}

/// Records into the trace that it is being recorded into.
struct Records<'a>(&'a novatrace::NormalTrack);

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner = self.0.instant(5, "within").arg("text", "of its own").emit();
        inner.map_err(serde::ser::Error::custom)?;
        serializer.collect_seq(["a", "b"])
    }
}

#[test]
fn a_serialize_may_itself_record() {
    let oracle = oracle_or_skip!();
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.group("g").track("t");
        let event = track.instant(9, "around").arg("before", "x").arg("list", Records(&track));
        event.arg("after", "y").emit().expect("possible");
    });
    let slices = loaded.slices();
    let (around, within): (Vec<_>, Vec<_>) = slices.iter().partition(|slice| slice.ts == 9);
    assert_eq!(
        lines(&around[0].args),
        ["after = \"y\"", "before = \"x\"", "list[0] = \"a\"", "list[1] = \"b\""]
    );
    assert!(!within.is_empty());
    assert!(within.iter().all(|slice| lines(&slice.args) == ["text = \"of its own\""]));
}

#[test]
fn a_text_that_no_viewer_shows_is_cut_with_a_sign() {
    let oracle = oracle_or_skip!();
    let long = "ä".repeat(9 << 20);
    let (loaded, _) = support::read(&oracle, TraceGenerator::builder(), |trace| {
        let track = trace.track("t");
        track
            .instant(0, "i")
            .arg("before", 1)
            .arg("long", &long)
            .arg("after", 2)
            .emit()
            .expect("possible");
    });
    let slices = loaded.slices();
    let args = &slices[0].args;
    assert!(args["before"] == 1 && args["after"] == 2, "{:?}", args.keys());
    let text = args["long"].as_str().expect("a text");
    assert!(text.len() < 17 << 20 && text.starts_with("ää") && text.ends_with("ä… (cut)"));
}
