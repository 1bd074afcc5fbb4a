//! Slices, instants, their labels and their arrows.

use novatrace::{Name, TraceGenerator};
use novatrace_testkit::oracle_or_skip;

use super::support::{loaded, written};
use super::{arrows, rows, traced};

#[test]
fn slices_end_by_their_handles_in_any_order() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let track = trace.group("g").track("t");
        let outer = track.slice(0, "outer").arg("a", 1).begin().expect("recordable");
        let inner = track.begin(10, "inner").expect("recordable");
        // The outer one is told first, but ends last.
        outer.end(40).expect("after its begin");
        inner.end(20).expect("after its begin");
        let later = track.slice(40, "later").begin().expect("recordable");
        later.end(60).expect("after its begin");
    });
    assert_eq!(
        rows(&loaded),
        [
            "g/t 0+40 outer [default] {a=1}",
            "g/t 10+10 inner [default] {}",
            "g/t 40+20 later [default] {}",
        ]
    );
    let slices = loaded.slices();
    assert_eq!(slices[1].parent_id, Some(slices[0].id));
}

#[test]
fn an_end_without_a_handle_ends_the_slice_begun_last() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let (one, two) = (trace.group("g").track("one"), trace.group("g").track("two"));
        let _a = one.begin(0, "a").expect("recordable");
        let _b = one.begin(1, "b").expect("recordable");
        let _c = two.begin(2, "c").expect("recordable");
        one.end(3).expect("b is open");
        one.end(4).expect("a is open");
        two.end(5).expect("c is open");
        assert!(one.end(6).is_err());
    });
    assert_eq!(
        rows(&loaded),
        ["g/one 0+4 a [default] {}", "g/one 1+2 b [default] {}", "g/two 2+3 c [default] {}",]
    );
}

#[test]
fn flows_fan_out_and_in_and_end() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let group = trace.group("g");
        let outputs: Vec<_> = (0..3).map(|_| trace.flow()).collect();
        let ends = group.track("a");
        let split = ends.duration(0, 10, "split").flows(outputs.iter().copied());
        split.emit().expect("recordable");
        for (at, flow) in (0..3u64).zip(&outputs) {
            let (track, name) = (group.track(&format!("w{at}")), format!("work {at}"));
            track.duration(20 + at, 10, &name).flow(*flow).emit().expect("recordable");
        }
        let join = ends.duration(50, 10, "join").flows_end(outputs);
        join.emit().expect("recordable");
    });
    assert_eq!(
        arrows(&loaded),
        [
            "split -> work 0",
            "split -> work 1",
            "split -> work 2",
            "work 0 -> join",
            "work 1 -> join",
            "work 2 -> join",
        ]
    );
}

#[test]
fn a_flow_that_has_ended_begins_anew() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let (track, flow) = (trace.group("g").track("t"), trace.flow());
        track.duration(0, 1, "a").flow(flow).emit().expect("recordable");
        track.duration(10, 1, "b").flow_end(flow).emit().expect("recordable");
        track.duration(20, 1, "c").flow(flow).emit().expect("recordable");
        track.instant(30, "d").flow(flow).emit().expect("recordable");
    });
    assert_eq!(arrows(&loaded), ["a -> b", "c -> d"]);
}

#[test]
fn an_imported_flow_leads_from_one_trace_to_another() {
    let oracle = oracle_or_skip!();
    let mut id = 0;
    let (mut bytes, _) = written(TraceGenerator::builder(), |trace| {
        let flow = trace.flow();
        id = flow.get();
        let track = trace.group("host").track("t");
        track.duration(0, 1, "launch").flow(flow).emit().expect("recordable");
    });
    let (device, _) = written(TraceGenerator::builder(), |trace| {
        let flow = trace.import_flow(id);
        let track = trace.group("device").track("t");
        track.duration(10, 1, "kernel").flow_end(flow).emit().expect("recordable");
    });
    bytes.extend(device);
    let loaded = loaded(&oracle, &bytes);
    assert_eq!(arrows(&loaded), ["launch -> kernel"]);
    assert_eq!(loaded.flows()[0].id, Some(id));
}

#[test]
fn a_location_is_the_source_of_the_event() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let track = trace.group("g").track("t");
        for at in 0..2 {
            let instant = track.instant(at, "i").location("src/model.rs", "attention", 42);
            instant.arg("at", at).emit().expect("recordable");
        }
    });
    for (at, slice) in (0..).zip(loaded.slices()) {
        // With the number that stands for the place, since it is written once.
        assert_eq!(slice.args.len(), 5, "{:?}", slice.args);
        assert_eq!(slice.args["at"], at);
        assert_eq!(slice.args["source.file_name"], "src/model.rs");
        assert_eq!(slice.args["source.function_name"], "attention");
        assert_eq!(slice.args["source.line_number"], 42);
    }
}

#[test]
fn an_event_has_the_categories_it_names_or_the_default_one() {
    let oracle = oracle_or_skip!();
    let record = |trace: &TraceGenerator| {
        let track = trace.group("g").track("t");
        track.instant(0, "none").emit().expect("recordable");
        track.instant(1, "one").category("dma").emit().expect("recordable");
        let both = track.instant(2, "two").category(Name::new("dma")).category("compute");
        both.emit().expect("recordable");
        track.instant(3, "many").categories(["x", "y", "z"]).emit().expect("recordable");
    };
    let categories = |category| {
        let builder = TraceGenerator::builder().default_category(category);
        let loaded = loaded(&oracle, &written(builder, record).0);
        loaded.slices().into_iter().map(|slice| slice.category).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    let named = [some("dma"), some("dma,compute"), some("x,y,z")];
    assert_eq!(categories(Some("sim"))[0], some("sim"));
    assert_eq!(categories(None)[0], None);
    for default in [Some("sim"), None] {
        assert_eq!(categories(default)[1..], named);
    }
}

#[test]
fn what_is_said_of_an_event_keeps_its_order_whatever_its_types() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let track = trace.group("g").track("t");
        let number = track.instant(0, "number last").arg("m", "old").arg("m", 5);
        number.emit().expect("recordable");
        let text = track.instant(1, "text last").arg("m", 5).arg("m", "new");
        text.emit().expect("recordable");
        let fields = std::collections::BTreeMap::from([("m", 1), ("n", 2)]);
        let fields = track.instant(2, "fields between").arg("n", 0).args(&fields).arg("m", 9u8);
        fields.emit().expect("recordable");
        let list = track.instant(3, "list first").categories(["x", "y"]).category("z");
        list.emit().expect("recordable");
        let list = track.instant(4, "list last").category("x").categories(["y", "z"]);
        list.emit().expect("recordable");
    });
    assert_eq!(
        rows(&loaded),
        [
            "g/t 0+0 number last [default] {m=5}",
            "g/t 1+0 text last [default] {m=\"new\"}",
            "g/t 2+0 fields between [default] {m=9, n=2}",
            "g/t 3+0 list first [x,y,z] {}",
            "g/t 4+0 list last [x,y,z] {}",
        ]
    );
}

#[test]
fn attributes_are_in_the_trace_in_the_order_they_were_said() {
    let oracle = oracle_or_skip!();
    let builder = TraceGenerator::builder()
        .attribute("model", "llama")
        .attribute("dies", 2)
        .attribute("least", i64::MIN)
        .attribute("empty", "")
        .attribute("model", "mixtral");
    let (bytes, _) = written(builder, |_| ());
    let loaded = loaded(&oracle, &bytes);
    assert_eq!(loaded.query("select * from metadata where name = 'trace_uuid'").len(), 1);
    // The oracle's trace processor is older than the packet; its schema is not.
    let decoded = oracle.decode_text(&bytes).expect("every field is in the schema");
    let field = |line: &str| {
        let (field, value) = line.trim().split_once(": ")?;
        ["key", "long_value", "string_value"].contains(&field).then(|| value.to_owned())
    };
    let found: Vec<String> = decoded.lines().filter_map(field).collect();
    let own = found.iter().position(|value| value == "\"model\"").expect("it was said");
    assert_eq!(
        found[own..].join(" "),
        "\"model\" \"llama\" \"dies\" 2 \"least\" -9223372036854775808 \"empty\" \"\" \
         \"model\" \"mixtral\""
    );
}
