//! Traces that other tools wrote: we read what the trace processor reads, and `check` finds what is wrong with them.

use std::collections::BTreeMap;
use std::path::Path;

use novatrace_reader::{Check, Severity, Source};
use novatrace_testkit::oracle_or_skip;

/// Each fixture, and the rules it breaks.
const FIXTURES: &[(&str, &[&str])] = &[
    ("perfetto", &[]),
    ("perfetto-recorder-w2", &[]),
    ("perfetto-recorder-w4", &[]),
    ("perfetto-sdk-w2", &[]),
    ("perfetto-sdk-w4", &[]),
    ("retrobus", &["not-a-counter"]),
    ("tg4perfetto", &["unknown-iid"]),
    // Its sequences have random numbers: half of its traces show nothing in the trace processor.
    ("tracing-perfetto-file-threadtracks-w2", &["unknown-clock", "large-sequence"]),
    ("tracing-perfetto-file-w2", &[]),
    ("tracing-perfetto-file-w4", &["unknown-clock", "large-sequence"]),
    ("tracing-perfetto-sdk-w2", &[]),
    ("tracing-perfetto-w2", &[]),
];

#[test]
fn traces_by_other_tools_are_read_as_the_trace_processor_reads_them() {
    let oracle = oracle_or_skip!();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).expect("it is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|ending| ending != "pftrace") {
            continue;
        }
        let loaded = oracle.load(&path).expect("the trace processor takes it");
        loaded.assert_read_alike();

        let report = Check::new().run(&Source::open(&path).expect("readable"), |_| {});
        let findings = report.expect("a trace").findings.into_iter();
        let broken = findings.filter(|found| found.severity > Severity::Note);
        let rules: Vec<String> = broken.map(|found| found.rule.to_string()).collect();
        found.insert(path.file_stem().expect("a name").to_string_lossy().into_owned(), rules);
    }
    let expected = FIXTURES.iter().map(|(name, rules)| {
        ((*name).to_owned(), rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>())
    });
    assert_eq!(found, expected.collect::<BTreeMap<_, _>>());
}
