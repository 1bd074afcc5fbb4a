//! What compression costs and gains: W1 (live spans), W6 (a simulator's durations and samples) and the trace of
//! `novatrace demo`, by codec and level. An event is a span, a duration, an instant or a sample.
//!
//! `cargo run --release -p novatrace-benches --bin compression [ROUNDS]`
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

mod measure;
mod workload;

use std::path::Path;
use std::time::Instant;

use accelerator::{Hardware, Model, Plan, Workload};
use anyhow::Result;
use novatrace::{Compression, Overflow, Session, TraceGenerator};

use measure::{median, processor_ns};
use workload::{SPANS, W6, w1};

/// Spans of one burst: they fit a thread's buffer.
const BURST: u64 = 32_000;

struct Run {
    /// Until the recording calls have returned.
    caller: f64,
    wall: f64,
    processor: f64,
    bytes: f64,
}

/// What one recording came to, for each event.
fn run(work: impl FnOnce() -> Result<(f64, u64, u64)>) -> Result<Run> {
    let before = processor_ns();
    let start = Instant::now();
    let (caller, events, bytes) = work()?;
    let events = events as f64;
    Ok(Run {
        caller: caller / events,
        wall: start.elapsed().as_secs_f64() * 1e9 / events,
        processor: (processor_ns() - before) / events,
        bytes: bytes as f64 / events,
    })
}

fn live(path: &Path, compression: Compression) -> Result<Run> {
    let mut caller = 0.0;
    let session = Session::builder().compression(compression).create(path)?;
    for _ in 0..SPANS / BURST {
        let start = Instant::now();
        w1(BURST);
        caller += start.elapsed().as_secs_f64() * 1e9;
        session.flush()?;
    }
    session.close()?;
    let whole = run(|| {
        let builder = Session::builder().overflow(Overflow::Block).compression(compression);
        let session = builder.create(path)?;
        w1(SPANS);
        let report = session.close()?;
        assert_eq!((report.events, report.lost), (SPANS, 0));
        Ok((0.0, report.events, report.bytes))
    })?;
    Ok(Run { caller: caller / (SPANS / BURST * BURST) as f64, ..whole })
}

fn w6(path: &Path, compression: Compression) -> Result<Run> {
    let trace = TraceGenerator::builder().compression(compression).create(path)?;
    let workload = W6::new(&trace);
    run(|| {
        let start = Instant::now();
        workload.record()?;
        let caller = start.elapsed().as_secs_f64() * 1e9;
        let stats = trace.finish()?;
        Ok((caller, stats.events, stats.bytes))
    })
}

fn demo(path: &Path, compression: Compression) -> Result<Run> {
    let model = Model::open(Model::DEFAULT)?;
    let plan = Plan::new(model, Hardware::open(Hardware::DEFAULT)?, Workload::default())?;
    let trace = TraceGenerator::builder().compression(compression).create(path)?;
    run(|| {
        let start = Instant::now();
        accelerator::trace(&plan, &trace, |_| ())?;
        let caller = start.elapsed().as_secs_f64() * 1e9;
        let stats = trace.finish()?;
        Ok((caller, stats.events, stats.bytes))
    })
}

/// A name, and what records into a file so compressed.
type Case = (&'static str, fn(&Path, Compression) -> Result<Run>);

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("trace.pftrace");
    let codecs = ["none", "zlib:1", "zlib:6", "zstd:1", "zstd:3"];
    let codecs = codecs.map(str::parse::<Compression>);
    let cases: [Case; 3] = [("W1", live), ("W6", w6), ("demo", demo)];
    println!(
        "medians of {rounds} rounds, for each event      B   caller ns   until closed ns   M/s   processor ns"
    );
    for (name, case) in cases {
        let mut runs: Vec<Vec<Run>> = codecs.iter().map(|_| vec![]).collect();
        for _ in 0..rounds.max(1) {
            // In turn, so that all have the same machine.
            for (codec, runs) in codecs.iter().zip(&mut runs) {
                // Emptying a file of last round's is the file system's time, not ours.
                let _ = std::fs::remove_file(&path);
                runs.push(case(&path, codec.clone()?)?);
            }
        }
        for (codec, runs) in codecs.iter().zip(&runs) {
            let of = |what: fn(&Run) -> f64| median(&mut runs.iter().map(what).collect::<Vec<_>>());
            let wall = of(|run| run.wall);
            println!(
                "{name:<6}{:<32}{:9.2}{:12.1}{wall:18.1}{:6.1}{:15.1}",
                codec.clone()?.to_string(),
                of(|run| run.bytes),
                of(|run| run.caller),
                1e3 / wall,
                of(|run| run.processor),
            );
        }
    }
    Ok(())
}
