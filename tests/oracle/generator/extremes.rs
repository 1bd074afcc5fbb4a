//! Texts of every kind, and more of everything than usual.

use novatrace_testkit::{Loaded, oracle_or_skip};

use super::{rows, traced};

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
