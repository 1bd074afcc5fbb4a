//! Texts of every kind, and more of everything than usual.

use std::collections::BTreeMap;

use novatrace::TraceGenerator;
use novatrace_testkit::{Loaded, oracle_or_skip};

use super::{read, rows, traced, written};

fn names(loaded: &Loaded) -> Vec<String> {
    loaded.slices().into_iter().map(|slice| slice.name.expect("it was given one")).collect()
}

#[test]
fn names_of_any_text_are_shown() {
    let oracle = oracle_or_skip!();
    let long = "é".repeat(1 << 19);
    let texts = ["", "a\0b", "🦀 ünï", "a.b[0]", "line\nbreak\t\"quoted\"", &long, "\u{10ffff}"];
    let loaded = traced(&oracle, |trace| {
        let track = trace.group("g").track("t");
        // Twice: a text that comes again is written differently.
        for (at, text) in (0..).zip(texts.iter().chain(&texts)) {
            track.instant(at, *text).emit().expect("recordable");
        }
    });
    let shown = texts.map(|text| text.replace('\0', "␀"));
    let shown: Vec<String> = shown.iter().chain(&shown).cloned().collect();
    let found = names(&loaded);
    for (found, shown) in found.iter().zip(&shown) {
        assert!(found == shown, "{} bytes, not {}", found.len(), shown.len());
    }
    assert_eq!(found.len(), shown.len());
}

#[test]
fn groups_tracks_and_categories_may_have_any_text() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let group = trace.group("🦀/\0");
        let track = group.track("a\0b");
        track.instant(0, "i").category("x\0y").emit().expect("recordable");
        group.counter("%s").unit("°C\0").count(0, 1).expect("recordable");
    });
    assert_eq!(rows(&loaded), ["🦀/␀/a␀b 0+0 i [x␀y] {}"]);
    let tracks = loaded.tracks();
    let counter = tracks.iter().find(|track| track.is_counter).expect("it has a sample");
    assert_eq!((counter.path.as_str(), counter.unit.as_deref()), ("🦀/␀/%s", Some("°C␀")));
}

#[test]
fn a_group_and_a_track_without_a_name_are_rows_too() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let group = trace.group("");
        group.track("").instant(0, "i").emit().expect("recordable");
        group.counter("").count(0, 3).expect("recordable");
    });
    let counters = loaded.counters();
    assert_eq!(names(&loaded), ["i"]);
    assert_eq!((counters.len(), counters[0].ts, counters[0].value), (1, 0, 3.0));
    assert_eq!(loaded.tracks().len(), 3);
}

#[test]
fn seventy_thousand_names_all_arrive() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        let track = trace.group("g").track("t");
        for at in 0..70_000 {
            let name = format!("name {at}");
            track.instant(at, &name).emit().expect("recordable");
        }
        // Known by number, and spelled out each time.
        track.instant(70_000, "name 0").emit().expect("recordable");
        track.instant(70_001, "name 69999").emit().expect("recordable");
    });
    let rows = loaded.query("select ts, name from slice order by ts");
    assert_eq!(rows.len(), 70_002);
    for (at, row) in (0..).zip(&rows) {
        let number = [0, 69_999][usize::from(at == 70_001)];
        let number = if at < 70_000 { at } else { number };
        assert_eq!((row.i64("ts"), row.str("name")), (at, format!("name {number}").as_str()));
    }
}

#[test]
fn an_event_far_larger_than_its_ring_keeps_its_place() {
    let oracle = oracle_or_skip!();
    let builder = TraceGenerator::builder().ring_bytes(4096);
    let huge: BTreeMap<String, String> =
        (0..200).map(|at| (format!("k{at}"), format!("{at} ").repeat(200))).collect();
    let (bytes, _) = written(builder, |trace| {
        let track = trace.group("g").track("t");
        track.duration(0, 10, "before").emit().expect("recordable");
        track.duration(10, 10, "huge").arg("huge", &huge).emit().expect("recordable");
        track.duration(20, 10, "after").arg("a", 1).emit().expect("recordable");
    });
    let slices = read(&oracle, &bytes).slices();
    assert_eq!(slices.iter().map(|slice| slice.ts).collect::<Vec<_>>(), [0, 10, 20]);
    assert!(slices[0].args.is_empty());
    assert_eq!(slices[1].args.len(), huge.len());
    for (key, text) in &huge {
        assert_eq!(slices[1].args[&format!("huge.{key}")], *text);
    }
    assert_eq!(slices[2].args["a"], 1);
}

#[test]
fn slices_nest_six_hundred_deep_in_either_order() {
    let oracle = oracle_or_skip!();
    let loaded = traced(&oracle, |trace| {
        for name in ["down", "up"] {
            let track = trace.group("g").track(name);
            for at in 0..600u64 {
                let at = if name == "up" { 599 - at } else { at };
                let slice = track.duration(at, 2_000 - 2 * at, "s");
                slice.arg("at", at).emit().expect("recordable");
            }
            track.instant(5_000, "after").emit().expect("recordable");
        }
    });
    let found = rows(&loaded);
    for name in ["down", "up"] {
        let slice = |at| format!("g/{name} {at}+{} s [default] {{at={at}}}", 2_000 - 2 * at);
        let mut recorded: Vec<String> = (0..600).map(slice).collect();
        recorded.push(format!("g/{name} 5000+0 after [default] {{}}"));
        let track = format!("g/{name} ");
        assert_eq!(
            found.iter().filter(|row| row.starts_with(&track)).collect::<Vec<_>>(),
            recorded.iter().collect::<Vec<_>>()
        );
    }
    // The trace processor drops what is deeper than 512: the innermost are on a lane of their own.
    assert_eq!(loaded.slices().iter().map(|slice| slice.depth).max(), Some(499));
}
