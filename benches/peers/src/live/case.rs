//! One contestant at one task, in a process of its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::floor::Floor;
use super::{CONTESTANTS, EVENTS, Peer, Task, count};
use crate::measure::{Took, median, memory_kib, time};

#[derive(clap::Args)]
pub struct Case {
    #[arg(long)]
    pub peer: String,
    #[arg(long, value_enum)]
    pub task: Task,
    #[arg(long)]
    pub file: PathBuf,
    /// Tell the size of the file when deflated, too.
    #[arg(long)]
    pub deflate: bool,
    #[arg(long)]
    pub keep: bool,
}

/// Times are nanoseconds an event.
#[derive(Serialize, Deserialize, Default, Clone)]
pub struct Line {
    pub floor_ns: f64,
    pub empty_ns: f64,
    pub caller_ns: Option<f64>,
    pub whole: Option<Whole>,
}

#[derive(Serialize, Deserialize, Clone)]
pub struct Whole {
    pub wall_ns: f64,
    /// Until the last thread had recorded its last event, waiting for room and for memory included.
    pub record_ns: f64,
    /// Of all threads.
    pub processor_ns: f64,
    /// Above what the process had before it started.
    pub peak_mib: f64,
    pub bytes: Option<f64>,
    pub bytes_deflated: Option<f64>,
    pub kept: Option<u64>,
    pub lost: Option<u64>,
}

pub fn run_case(case: &Case) -> Result<()> {
    let contestant = CONTESTANTS.iter().find(|one| one.name == case.peer).context("its name")?;
    let line = (contestant.run)(case)?;
    println!("{}", serde_json::to_string(&line)?);
    Ok(())
}

pub fn measure<P: Peer>(case: &Case) -> Result<Line> {
    let mut floor = Floor::new();
    floor.run();
    let mut line = Line::default();
    match case.task {
        Task::Off => {
            let events = 10 * EVENTS;
            let runs = (0..5).map(|_| time(|| P::off(events)).wall / events as f64);
            line.caller_ns = Some(median(runs.collect()));
        }
        Task::CallerW1 | Task::CallerW2 | Task::CallerW4 => {
            line.caller_ns = Some(caller::<P>(case)?);
        }
        Task::W1 | Task::W2 | Task::W3 | Task::W4 => line.whole = Some(whole::<P>(case)?),
    }
    floor.run();
    line.floor_ns = floor.readings();
    line.empty_ns = floor.nothing();
    if P::FILE && !case.keep && case.file.exists() {
        std::fs::remove_file(&case.file)?;
    }
    Ok(line)
}

fn work_of<P: Peer>(task: Task) -> Result<fn(u64)> {
    if task.has_samples() {
        P::SAMPLES.context("it has counters")
    } else {
        Ok(if task.has_arguments() { P::w2 } else { P::w1 })
    }
}

fn caller<P: Peer>(case: &Case) -> Result<f64> {
    let work = work_of::<P>(case.task)?;
    let mut peer = P::start(&case.file, case.task)?;
    // Arguments take room.
    let events = if case.task.has_arguments() { P::BURST / 32 * 16 } else { P::BURST };
    let mut bursts = vec![];
    for _ in 0..EVENTS / events {
        peer.prepare(events);
        let took = time(|| P::burst(work, events));
        bursts.push(took.wall / events as f64);
        peer.empty()?;
    }
    peer.close()?;
    Ok(median(bursts))
}

fn whole<P: Peer>(case: &Case) -> Result<Whole> {
    let work = work_of::<P>(case.task)?;
    // Peaks so far are forgotten.
    std::fs::write("/proc/self/clear_refs", "5").context("Linux is needed")?;
    let before = memory_kib("VmRSS:")?;
    let thread = || {
        let mut left = EVENTS;
        while left > 0 {
            let events = left.min(P::BURST);
            P::burst(work, events);
            P::frame();
            left -= events;
        }
        P::end_thread();
    };
    // Without a file, starting is no part of the time: it may wait for the clock, and there is nothing
    // to compare it with.
    let started = if P::FILE { None } else { Some(P::start(&case.file, case.task)) };
    let (mut taken, mut record_ns) = (Ok(None), 0.0);
    let took = time(|| {
        taken = started.unwrap_or_else(|| P::start(&case.file, case.task)).and_then(|peer| {
            let start = Instant::now();
            std::thread::scope(|scope| {
                let others: Vec<_> =
                    (1..case.task.threads()).map(|_| scope.spawn(thread)).collect();
                thread();
                // The scope itself does not wait for the threads' destructors.
                others.into_iter().for_each(|other| other.join().expect("it does not panic"));
            });
            record_ns = start.elapsed().as_nanos() as f64;
            peer.close()
        });
    });
    let peak = memory_kib("VmHWM:")?;
    describe::<P>(case, took, record_ns, (peak - before) / 1024.0, taken?)
}

fn describe<P: Peer>(
    case: &Case,
    took: Took,
    record_ns: f64,
    peak_mib: f64,
    taken: Option<u64>,
) -> Result<Whole> {
    let expected = EVENTS * case.task.threads();
    let events = expected as f64;
    let (mut bytes, mut bytes_deflated, mut kept) = (None, None, taken);
    if P::FILE {
        let path: &Path = &case.file;
        let counted = count::count(path)?;
        kept = Some(if case.task.has_samples() { counted.samples } else { counted.spans });
        bytes = Some(path.metadata()?.len() as f64 / events);
        if case.deflate {
            bytes_deflated = Some(count::deflated(path)? as f64 / events);
        }
    }
    Ok(Whole {
        wall_ns: took.wall / events,
        record_ns: record_ns / events,
        processor_ns: took.processor / events,
        peak_mib,
        bytes,
        bytes_deflated,
        kept,
        lost: kept.map(|kept| expected.saturating_sub(kept)),
    })
}
