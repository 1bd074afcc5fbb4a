//! W1 and W6 into one file, into parts, and W1 into a flight recorder, in turn; and how long a dump of 64 MiB takes
//! while another thread records.
//!
//! `cargo run --release -p novatrace-benches --bin flight [ROUNDS]`
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

mod measure;
mod workload;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use novatrace::{FlightRecorder, Overflow, Rotate, Session, SessionBuilder, TraceGenerator};

use measure::{median, processor_ns};
use workload::{EVENTS, SPANS, W6, w1};

/// Spans of one burst: they fit a thread's buffer.
const BURST: u64 = 32_000;
/// Of the flight recorder.
const BYTES: usize = 64 << 20;
/// Of a part.
const PART: u64 = 8 << 20;

/// Where a recording goes.
#[derive(Debug, Clone, Copy)]
enum To {
    File,
    Parts,
    Memory,
}

impl To {
    fn open(self, builder: SessionBuilder, path: &Path) -> Result<Session> {
        Ok(match self {
            Self::File => builder.create(path)?,
            Self::Parts => builder.rotate(Rotate::bytes(PART).keep(2)).create(path)?,
            Self::Memory => builder.flight_recorder(FlightRecorder::bytes(BYTES))?,
        })
    }
}

/// Nanoseconds of an event: of the caller in bursts that fit its buffer, until the session is closed, and of all
/// threads' processor time until then.
fn measure_w1(to: To, path: &Path) -> Result<[f64; 3]> {
    let session = to.open(Session::builder(), path)?;
    let mut bursts = vec![];
    for _ in 0..2 * SPANS / BURST {
        let start = Instant::now();
        w1(BURST);
        bursts.push(start.elapsed().as_secs_f64() * 1e9 / BURST as f64);
        session.flush()?;
    }
    session.close()?;
    let (start, before) = (Instant::now(), processor_ns());
    let session = to.open(Session::builder().overflow(Overflow::Block), path)?;
    w1(4 * SPANS);
    let report = session.close()?;
    assert_eq!((report.events, report.lost), (4 * SPANS, 0));
    let spans = 4.0 * SPANS as f64;
    let wall = start.elapsed().as_secs_f64() * 1e9 / spans;
    Ok([median(&mut bursts), wall, (processor_ns() - before) / spans])
}

fn measure_w6(to: To, path: &Path) -> Result<[f64; 3]> {
    let (start, before) = (Instant::now(), processor_ns());
    let builder = TraceGenerator::builder();
    let trace = match to {
        To::Parts => builder.rotate(Rotate::bytes(PART).keep(2)).create(path)?,
        To::File | To::Memory => builder.create(path)?,
    };
    let workload = W6::new(&trace);
    workload.record()?;
    let recorded = start.elapsed().as_secs_f64() * 1e9 / EVENTS;
    trace.finish()?;
    let wall = start.elapsed().as_secs_f64() * 1e9 / EVENTS;
    Ok([recorded, wall, (processor_ns() - before) / EVENTS])
}

/// How long a dump takes, in milliseconds, its size in MiB, and what a thread lost that recorded a million spans a
/// second meanwhile.
fn measure_dump(path: &Path) -> Result<[f64; 3]> {
    let builder = Session::builder();
    let session = To::Memory.open(builder, path)?;
    for _ in 0..5_000_000 / BURST {
        w1(BURST);
        session.flush()?;
    }
    let is_over = AtomicBool::new(false);
    let (milliseconds, bytes) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (start, mut spans) = (Instant::now(), 0);
            while !is_over.load(Ordering::Relaxed) {
                w1(1_600);
                spans += 1_600;
                while start.elapsed() < Duration::from_micros(spans) {
                    std::hint::spin_loop();
                }
            }
        });
        let start = Instant::now();
        let dump = session.dump(path);
        let time = start.elapsed().as_secs_f64() * 1e3;
        is_over.store(true, Ordering::Relaxed);
        dump.map(|dump| (time, dump.bytes))
    })?;
    let report = session.close()?;
    Ok([milliseconds, bytes as f64 / f64::from(1 << 20), report.lost as f64])
}

/// Name, measurement, and where to.
type Kind = (&'static str, fn(To, &Path) -> Result<[f64; 3]>, To);

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("flight.pftrace");
    let kinds: [Kind; 5] = [
        ("W1, one file", measure_w1, To::File),
        ("W1, parts of 8 MiB", measure_w1, To::Parts),
        ("W1, flight recorder of 64 MiB", measure_w1, To::Memory),
        ("W6, one file", measure_w6, To::File),
        ("W6, parts of 8 MiB", measure_w6, To::Parts),
    ];
    let mut rows: Vec<[Vec<f64>; 3]> = kinds.iter().map(|_| Default::default()).collect();
    let mut dumps: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        for ((_, measure, to), row) in kinds.iter().zip(&mut rows) {
            for (values, value) in row.iter_mut().zip(measure(*to, &path)?) {
                values.push(value);
            }
        }
        for (values, value) in dumps.iter_mut().zip(measure_dump(&path)?) {
            values.push(value);
        }
    }
    println!("ns an event, medians of {rounds} rounds    caller   closed  processor");
    for ((name, ..), row) in kinds.iter().zip(&mut rows) {
        let [caller, wall, processor] = row.each_mut().map(|values| median(values));
        println!("{name:<36}{caller:8.2} {wall:8.1} {processor:8.1}");
    }
    let [milliseconds, size, lost] = dumps.each_mut().map(|values| median(values));
    println!("a dump of {size:.1} MiB: {milliseconds:.0} ms; lost meanwhile: {lost}");
    Ok(())
}
