//! Each feature of the generator, as the rows that the trace processor reads back.

use std::sync::{Arc, Mutex};

use novatrace::{Sink, Stats, TraceBuilder, TraceGenerator};
use novatrace_testkit::{Loaded, Oracle};

#[path = "generator/events.rs"]
mod events;
#[path = "generator/extremes.rs"]
mod extremes;
#[path = "generator/tracks.rs"]
mod tracks;
#[path = "generator/windows.rs"]
mod windows;

/// Keeps what it is given, for the oracle.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl Sink for Memory {
    fn write(&mut self, batch: &[u8]) -> std::io::Result<()> {
        self.0.lock().expect("not poisoned").extend_from_slice(batch);
        Ok(())
    }
}

/// What `record` records, as bytes; nothing of it was dropped or refused.
fn written(builder: TraceBuilder, record: impl FnOnce(&TraceGenerator)) -> (Vec<u8>, Stats) {
    let memory = Memory::default();
    let trace = builder.sink(memory.clone()).expect("a thread can be started");
    record(&trace);
    let stats = trace.finish().expect("memory takes all");
    assert_eq!((stats.dropped, stats.refused), (0, 0));
    let bytes = memory.bytes();
    assert_eq!(stats.bytes, bytes.len() as u64);
    (bytes, stats)
}

/// The healthy trace that these bytes are.
fn read(oracle: &Oracle, bytes: &[u8]) -> Loaded {
    let loaded = oracle.load_bytes(bytes).expect("the trace processor takes it");
    loaded.assert_healthy();
    loaded
}

/// What `record` records with the builder's defaults, read back.
fn traced(oracle: &Oracle, record: impl FnOnce(&TraceGenerator)) -> Loaded {
    read(oracle, &written(TraceGenerator::builder(), record).0)
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
