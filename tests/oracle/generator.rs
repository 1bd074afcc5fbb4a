//! Each feature of the generator, as the rows that the trace processor reads back.

mod support;

use novatrace::TraceGenerator;
use novatrace_testkit::{Loaded, Oracle};

#[path = "generator/events.rs"]
mod events;
#[path = "generator/extremes.rs"]
mod extremes;
#[path = "generator/tracks.rs"]
mod tracks;
#[path = "generator/windows.rs"]
mod windows;

/// What `record` records with the builder's defaults, read back.
fn traced(oracle: &Oracle, record: impl FnOnce(&TraceGenerator)) -> Loaded {
    support::read(oracle, TraceGenerator::builder(), record).0
}

/// Each slice and instant as `track start+length name [category] {arguments}`, in order of start;
/// an instant has length 0.
fn rows(loaded: &Loaded) -> Vec<String> {
    let row = |slice: &novatrace_testkit::Slice| {
        let args: Vec<String> =
            slice.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let name = slice.name.as_deref().unwrap_or("(null)");
        let category = slice.category.as_deref().unwrap_or("(null)");
        let (track, ts, dur) = (&slice.track, slice.ts, slice.dur);
        format!("{track} {ts}+{dur} {name} [{category}] {{{}}}", args.join(", "))
    };
    loaded.slices().iter().map(row).collect()
}

/// Each sample as `track time=value`, in order of track and time.
fn samples(loaded: &Loaded) -> Vec<String> {
    let row = |sample: &novatrace_testkit::Counter| {
        format!("{} {}={:?}", sample.track, sample.ts, sample.value)
    };
    loaded.counters().iter().map(row).collect()
}

/// Each arrow as `name -> name`, in order of the slices they connect.
fn arrows(loaded: &Loaded) -> Vec<String> {
    let slices = loaded.slices();
    let name = |id| {
        let slice = slices.iter().find(|slice| slice.id == id).expect("arrows are between slices");
        slice.name.clone().unwrap_or_default()
    };
    let flows = loaded.flows();
    flows
        .iter()
        .map(|flow| format!("{} -> {}", name(flow.slice_out), name(flow.slice_in)))
        .collect()
}
