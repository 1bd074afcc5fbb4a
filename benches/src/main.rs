//! W6: 1,000,000 durations over 64 tracks in 8 groups, 200 names, two integer arguments each, and
//! 250,000 double counter samples on 8 counters, times ascending. Beside its floor: the same events
//! packed into 36 raw bytes each and written. An event is a duration or a sample.
//!
//! `cargo run --release -p novatrace-benches [ROUNDS]`
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
// Times of the bench itself, never of a trace.

mod measure;
mod workload;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use novatrace::{Name, NormalTrack, TraceGenerator};

use measure::{median, processor_ns};
use workload::{DURATIONS, EVENTS, W6};

/// Events of one burst: they fit a ring of the default size.
const BURST: u64 = 8_000;

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(7), |rounds| rounds.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let (mut floors, mut walls, mut ratios) = (vec![], vec![], vec![]);
    let (mut names, mut texts, mut processor) = (vec![], vec![], 0.0);
    let mut bytes = 0;
    for _ in 0..rounds.max(1) {
        let floor = floor(&folder.path().join("floor"))?;
        let before = processor_ns();
        let (wall, written) = w6(&folder.path().join("w6.pftrace"))?;
        processor += processor_ns() - before;
        bytes = written;
        floors.push(floor);
        walls.push(wall);
        ratios.push(wall / floor);
        let (with_names, with_texts) = bursts(&folder.path().join("bursts.pftrace"))?;
        names.push(with_names);
        texts.push(with_texts);
    }
    let wall = median(&mut walls);
    println!("W6, medians of {rounds} rounds           ns/event");
    println!("floor: 36 raw bytes packed, written   {:8.1}", median(&mut floors));
    println!("novatrace until the file is closed    {wall:8.1}   {:.1} M events/s", 1e3 / wall);
    println!("  times the floor                     {:8.2}", median(&mut ratios));
    println!("  processor time, all threads         {:8.1}", processor / EVENTS / rounds as f64);
    println!("  bytes an event                      {:8.1}", bytes as f64 / EVENTS);
    println!(
        "caller, names known beforehand        {:8.1}   in bursts that fit the ring",
        median(&mut names)
    );
    println!("caller, names and keys as texts       {:8.1}", median(&mut texts));
    Ok(())
}

fn floor(path: &Path) -> Result<f64> {
    let mut file = File::create(path)?;
    let mut batch = Vec::with_capacity(300 << 10);
    let start = Instant::now();
    for at in 0..DURATIONS + DURATIONS / 4 {
        let mut event = [0; 36];
        event[..8].copy_from_slice(&at.to_le_bytes());
        event[8..16].copy_from_slice(&(at * 3).to_le_bytes());
        event[16..24].copy_from_slice(&(at ^ 0x4D).to_le_bytes());
        event[28..].copy_from_slice(&(at + 9).to_le_bytes());
        batch.extend_from_slice(&event);
        if batch.len() >= 256 << 10 {
            file.write_all(&batch)?;
            batch.clear();
        }
    }
    file.write_all(&batch)?;
    drop(file);
    Ok(start.elapsed().as_secs_f64() * 1e9 / EVENTS)
}

fn w6(path: &Path) -> Result<(f64, u64)> {
    let trace = TraceGenerator::create(path)?;
    let workload = W6::new(&trace);
    let start = Instant::now();
    workload.record()?;
    let stats = trace.finish()?;
    Ok((start.elapsed().as_secs_f64() * 1e9 / EVENTS, stats.bytes))
}

/// The caller's cost alone: nanoseconds an event with names, and with texts.
fn bursts(path: &Path) -> Result<(f64, f64)> {
    let names: Vec<Name> = (0..200).map(|at| Name::new(&format!("operation_{at}"))).collect();
    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let (m, k) = (Name::new("m"), Name::new("k"));
    let trace = TraceGenerator::create(path)?;
    let track = trace.group("Die:0").track("XPU:0");
    let (mut with_names, mut with_texts) = (vec![], vec![]);
    for burst in 0..30 {
        let first = burst * BURST;
        with_names.push(timed(
            &trace,
            |at, track: &NormalTrack| {
                let name = names[usize::try_from(at % 200)?];
                let event = track.duration((first + at) * 80, 30, name);
                Ok(event.arg(m, at % 1_000).arg(k, at % 77).emit()?)
            },
            &track,
        )?);
        with_texts.push(timed(
            &trace,
            |at, track: &NormalTrack| {
                let name = &texts[usize::try_from(at % 200)?];
                let event = track.duration((first + at) * 80 + 40, 30, name);
                Ok(event.arg("m", at % 1_000).arg("k", at % 77).emit()?)
            },
            &track,
        )?);
    }
    trace.finish()?;
    Ok((median(&mut with_names), median(&mut with_texts)))
}

fn timed(
    trace: &TraceGenerator,
    mut record: impl FnMut(u64, &NormalTrack) -> Result<()>,
    track: &NormalTrack,
) -> Result<f64> {
    let start = Instant::now();
    for at in 0..BURST {
        record(at, track)?;
    }
    let elapsed = start.elapsed().as_secs_f64() * 1e9 / BURST as f64;
    trace.flush()?;
    Ok(elapsed)
}
