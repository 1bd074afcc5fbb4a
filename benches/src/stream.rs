//! W6 from several programs at once, each with a trace of its own, into one receiver over TCP, beside the same into files. The
//! programs are threads here, and the receiver is in the same process: all of their time is counted.
//!
//! `cargo run --release -p novatrace-benches --bin stream [PROGRAMS] [ROUNDS]`
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

mod measure;
mod workload;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use novatrace::{Receiver, StreamSink, TraceGenerator};

use measure::{median, processor_ns};
use workload::{EVENTS, W6};

/// Wall-clock and processor time of all programs, in nanoseconds for each of their events.
fn programs(
    programs: usize,
    open: impl Fn(usize) -> Result<TraceGenerator> + Sync,
) -> Result<(f64, f64)> {
    let before = processor_ns();
    let start = Instant::now();
    let outcomes: Vec<Result<u64>> = std::thread::scope(|scope| {
        let open = &open;
        let spawned = (0..programs).map(|program| {
            scope.spawn(move || {
                let trace = open(program)?;
                W6::new(&trace).record()?;
                Ok(trace.finish()?.events)
            })
        });
        let spawned: Vec<_> = spawned.collect();
        let joined = spawned.into_iter().map(|thread| thread.join().expect("no panic"));
        joined.collect()
    });
    let mut events = 0.0;
    for outcome in outcomes {
        let recorded = outcome? as f64;
        assert!((recorded - EVENTS).abs() < 0.5);
        events += recorded;
    }
    Ok((start.elapsed().as_secs_f64() * 1e9 / events, (processor_ns() - before) / events))
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map_or(Ok(8), |programs| programs.parse::<usize>())?;
    let rounds = arguments.next().map_or(Ok(3), |rounds| rounds.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let received = folder.path().join("received");
    let receiver = Receiver::bind(&["tcp://127.0.0.1:0".parse()?], &received)?;
    let address = receiver.addresses().first().context("it listens")?.clone();
    std::thread::spawn(move || receiver.run(|_| ()));
    let (mut files, mut streams) = (vec![], vec![]);
    for _ in 0..rounds.max(1) {
        let file = |program: usize| folder.path().join(format!("{program}.pftrace"));
        files.push(programs(count, |program| Ok(TraceGenerator::create(file(program))?))?);
        streams.push(programs(count, |_| {
            let stream = StreamSink::new(address.clone(), "bench");
            Ok(TraceGenerator::builder().sink(stream.patience(Duration::from_secs(60)))?)
        })?);
        empty(folder.path())?;
        empty(&received)?;
    }
    println!(
        "W6 from {count} programs, medians of {rounds} rounds     ns   M events/s in all   processor ns"
    );
    for (name, runs) in [("files", files), ("streams", streams)] {
        let wall = median(&mut runs.iter().map(|run| run.0).collect::<Vec<_>>());
        let processor = median(&mut runs.iter().map(|run| run.1).collect::<Vec<_>>());
        println!("{name:<44}{wall:8.1}{:20.1}{processor:15.1}", 1e3 / wall);
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
