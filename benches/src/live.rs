//! Live recording beside its floor. W1: 1,000,000 spans, 4 deep, 16 static names, one thread. W2: the
//! same with three arguments. W3: W1 on 4 threads. W4: 1,000,000 counter samples. W5: W1 while nothing
//! records. The floor is two readings of the processor's counter and 24 bytes stored.
//!
//! `cargo run --release -p novatrace-benches --bin live [ROUNDS]`
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

mod measure;
mod workload;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use novatrace::{Counter, Overflow, Session};

use measure::{median, processor_ns};
use workload::{SPANS, four_deep, w1};

/// Spans of one burst: they fit a thread's buffer.
const BURST: u64 = 32_000;

static SAMPLES: Counter = novatrace::counter!("samples", unit = "items");

#[inline(never)]
fn w2(spans: u64) {
    for at in 0..spans / 16 {
        let (number, double, text) =
            (black_box(at.cast_signed()), black_box(at as f64), black_box("fp16"));
        four_deep!("a0" "a1" "a2" "a3", number = number, double = double, text = text);
        four_deep!("b0" "b1" "b2" "b3", number = number, double = double, text = text);
        four_deep!("c0" "c1" "c2" "c3", number = number, double = double, text = text);
        four_deep!("d0" "d1" "d2" "d3", number = number, double = double, text = text);
    }
}

#[inline(never)]
fn w4(samples: u64) {
    for at in 0..samples {
        SAMPLES.set(at as f64);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[expect(unsafe_code, reason = "the processor's counter")]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[inline(never)]
fn floor(spans: u64, buffer: &mut [[u64; 3]]) {
    for at in 0..spans {
        let begin = counter();
        let end = counter();
        buffer[(at % BURST) as usize] = [at, begin, end];
    }
    black_box(buffer);
}

fn ns(spans: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e9 / spans as f64
}

/// The caller's cost: in bursts that fit the buffer.
fn caller(session: &Session, work: fn(u64), spans: u64) -> Result<f64> {
    let mut bursts = vec![];
    for _ in 0..SPANS / spans {
        bursts.push(ns(spans, || work(spans)));
        session.flush()?;
    }
    Ok(median(&mut bursts))
}

struct Whole {
    wall: f64,
    processor: f64,
    bytes: f64,
    lost: u64,
}

/// Until the file is closed.
fn whole(path: &Path, threads: u64, work: fn(u64)) -> Result<Whole> {
    // Emptying a file of last round's is the file system's time, not ours.
    std::fs::remove_file(path)?;
    let before = processor_ns();
    let start = Instant::now();
    let session = Session::builder().overflow(Overflow::Block).create(path)?;
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| work(SPANS));
        }
        work(SPANS);
    });
    let report = session.close()?;
    let events = (SPANS * threads) as f64;
    let wall = start.elapsed().as_secs_f64() * 1e9 / events;
    let processor = (processor_ns() - before) / events;
    assert_eq!(report.events + report.lost, SPANS * threads);
    Ok(Whole { wall, processor, bytes: report.bytes as f64 / events, lost: report.lost })
}

/// Name, threads and work.
type Kind = (&'static str, u64, fn(u64));

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("live.pftrace");
    let mut buffer = vec![[0; 3]; usize::try_from(BURST)?];
    let names = ["floor", "W1 caller", "W2 caller", "W4 caller", "W5 caller"];
    let mut callers: Vec<Vec<f64>> = vec![vec![]; names.len()];
    let kinds: [Kind; 4] = [("W1", 1, w1), ("W2", 1, w2), ("W3, 4 threads", 4, w1), ("W4", 1, w4)];
    let mut wholes: Vec<Vec<Whole>> = kinds.iter().map(|_| vec![]).collect();
    for _ in 0..rounds {
        callers[0].push(ns(SPANS, || floor(SPANS, &mut buffer)));
        callers[4].push(ns(SPANS, || w1(SPANS)));
        let session = novatrace::open(&path)?;
        callers[1].push(caller(&session, w1, BURST)?);
        callers[2].push(caller(&session, w2, BURST / 2)?);
        callers[3].push(caller(&session, w4, BURST)?);
        session.close()?;
        for (at, (_, threads, work)) in kinds.iter().enumerate() {
            wholes[at].push(whole(&path, *threads, *work)?);
        }
    }
    println!("live recording, medians of {rounds} rounds       ns/event   × floor");
    let floor = median(&mut callers[0].clone());
    for (name, values) in names.iter().zip(&mut callers) {
        let value = median(values);
        println!("{name:<40}{value:8.2} {:9.2}", value / floor);
    }
    for ((name, ..), values) in kinds.iter().zip(&wholes) {
        let of = |what: fn(&Whole) -> f64| median(&mut values.iter().map(what).collect::<Vec<_>>());
        let wall = of(|whole| whole.wall);
        println!(
            "{name:<16} until the file is closed {wall:8.1} ns, {:5.1} M/s, processor {:5.1} ns, {:4.1} B, lost {}",
            1e3 / wall,
            of(|whole| whole.processor),
            of(|whole| whole.bytes),
            of(|whole| whole.lost as f64),
        );
    }
    Ok(())
}
