//! Traces that are joined to one file with `cat` are one trace with the rows of all.

mod support;

use novatrace::{TraceBuilder, TraceGenerator};
use novatrace_testkit::{Loaded, oracle_or_skip};

/// More tracks than have sequences of their own.
const TRACKS: u64 = 140;

/// The same rows, names and times in each trace; only the argument tells them apart.
fn part(builder: TraceBuilder, number: u64) -> Vec<u8> {
    let (bytes, stats) = support::written(builder, |trace| {
        let group = trace.group("group");
        for at in 0..TRACKS {
            let track = group.track(&format!("track {at}"));
            let event =
                track.duration(at, 10, "slice").arg("part", number).location("a.rs", "f", 1);
            event.arg("text", format!("of part {number}")).emit().expect("possible");
        }
        group.counter("counter").count(number, number).expect("possible");
        let (track, flow) = (group.track("track 0"), trace.flow());
        track.duration(100, 10, "from").arg("part", number).flow(flow).emit().expect("possible");
        track.duration(120, 10, "to").arg("part", number).flow_end(flow).emit().expect("possible");
        // Overlaps: on a lane.
        track.duration(105, 10, "lane").arg("part", number).emit().expect("possible");
    });
    assert_eq!(stats.lanes, 1);
    bytes
}

/// The slices of one part, without the argument that says so.
fn of_part(loaded: &Loaded, part: u64) -> Vec<(String, String, i64, i64)> {
    let slices = loaded.slices();
    let slices = slices.iter().filter(|slice| slice.args["part"] == part);
    let mut rows: Vec<_> = slices
        .map(|slice| {
            let name = slice.name.clone().unwrap_or_default();
            (slice.track.clone(), name, slice.ts, slice.dur)
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn joined_traces_have_the_rows_of_all_of_them() {
    let oracle = oracle_or_skip!();
    let builders = [
        TraceGenerator::builder(),
        TraceGenerator::builder().window(0),
        TraceGenerator::builder().default_category(None),
    ];
    let parts: Vec<Vec<u8>> =
        (0..).zip(builders).map(|(number, builder)| part(builder, number)).collect();
    let alone = support::loaded(&oracle, &parts[0]);
    let expected = of_part(&alone, 0);
    assert_eq!(expected.len() as u64, TRACKS + 3);

    let joined = support::loaded(&oracle, &parts.concat());
    for part in 0..3_u64 {
        assert_eq!(of_part(&joined, part), expected);
    }
    let slices = joined.slices();
    assert_eq!(slices.len() as u64, 3 * (TRACKS + 3));
    for slice in slices.iter().filter(|slice| slice.name.as_deref() == Some("slice")) {
        let part = slice.args["part"].as_u64().expect("a number");
        assert_eq!(slice.args["text"], format!("of part {part}"));
        let category = (part < 2).then_some("default");
        assert_eq!(slice.category.as_deref(), category);
    }
    // Rows of one name in different traces are different rows.
    let tracks = joined.tracks();
    let rows = |path: &str| tracks.iter().filter(|track| track.path == path).count();
    assert_eq!((rows("group"), rows("group/track 139"), rows("group/track 0")), (3, 3, 6));
    let mut counters: Vec<_> = joined.counters().iter().map(|c| (c.ts, c.value)).collect();
    counters.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    assert_eq!(counters, [(0, 0.0), (1, 1.0), (2, 2.0)]);
    let flows = joined.flows();
    let part_of = |id: i64| {
        let slice = slices.iter().find(|slice| slice.id == id).expect("a slice");
        (slice.name.as_deref(), slice.args["part"].as_u64())
    };
    let mut arrows: Vec<_> =
        flows.iter().map(|flow| (part_of(flow.slice_out), part_of(flow.slice_in))).collect();
    arrows.sort();
    let arrow = |part| ((Some("from"), Some(part)), (Some("to"), Some(part)));
    assert_eq!(arrows, [arrow(0), arrow(1), arrow(2)]);
}

#[test]
fn a_trace_joined_to_itself_is_twice_the_slices_on_the_same_rows() {
    let oracle = oracle_or_skip!();
    // Uuids and flows are equal then: what comes second must come later to nest.
    let (bytes, _) = support::written(TraceGenerator::builder(), |trace| {
        trace.group("g").track("t").duration(0, 10, "slice").emit().expect("possible");
    });
    let twice = support::loaded(&oracle, &[bytes.as_slice(), &bytes].concat());
    let rows: Vec<_> = twice.slices().iter().map(|s| (s.track.clone(), s.ts, s.dur)).collect();
    assert_eq!(rows, vec![("g/t".to_owned(), 0, 10); 2]);
}
