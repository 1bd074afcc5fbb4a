//! Reading a trace, beside the trace processor in the same run: `cargo run --release -p novatrace-benches --bin reader [MILLIONS]`.
//!
//! A trace of so many million slices (8, some 190 MB, by default; 40, a GB, do not fit the WebAssembly's memory) on 64 tracks, a
//! quarter of them nested and with an argument. What is told is the time to load it in the trace processor, in WebAssembly
//! under Node, without starting that, and of `check` and `info`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use novatrace::{Name, TraceGenerator};
use novatrace_reader::{Check, Info, Source};
use novatrace_testkit::Oracle;

fn write(path: &std::path::Path, slices: u64) -> Result<u64> {
    let trace = TraceGenerator::create(path)?;
    let tracks: Vec<_> = (0..64)
        .map(|at| trace.group(&format!("die {}", at / 16)).track(&format!("core {}", at % 16)))
        .collect();
    let names: Vec<Name> = (0..32).map(|at| Name::new(&format!("op {at}"))).collect();
    let key = Name::new("m");
    let mut written = 0;
    for step in 0.. {
        let start = step * 100;
        for (at, track) in tracks.iter().enumerate() {
            track.duration(start, 90, names[at % 32]).emit()?;
            written += 1;
            if at % 4 == 0 {
                track
                    .duration(start + 10, 40 + step % 20, names[(at + 7) % 32])
                    .arg(key, step)
                    .emit()?;
                written += 1;
            }
        }
        if written >= slices {
            break;
        }
    }
    trace.finish()?;
    Ok(std::fs::metadata(path)?.len())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn timed<T>(rounds: usize, mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    let times: Result<Vec<Duration>> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            work()?;
            Ok(started.elapsed())
        })
        .collect();
    Ok(median(times?))
}

#[expect(clippy::print_stdout, reason = "its purpose")]
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn main() -> Result<()> {
    let millions: f64 = std::env::args().nth(1).map_or(Ok(8.0), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("big.pftrace");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "millions")]
    let bytes = write(&path, (millions * 1e6) as u64)? as f64;
    let source = Source::open(&path)?;
    let packets = Check::new().run(&source, |_| {})?.packets as f64;
    let line = |what: &str, seconds: f64, theirs: Option<f64>| {
        let rate = bytes / 1e6 / seconds;
        let ratio =
            theirs.map_or_else(String::new, |theirs| format!("{:>8.1} x", theirs / seconds));
        println!(
            "{what:<32}{seconds:>8.2} s{rate:>8.0} MB/s{:>8.1} ns a packet{ratio}",
            seconds * 1e9 / packets
        );
    };
    println!(
        "{:.0} MB, {packets} packets; the last column: times as fast as the trace processor",
        bytes / 1e6
    );
    let theirs = match Oracle::find() {
        Ok(oracle) => {
            // Starts the process, which is used again.
            oracle.load_bytes(b"\x0a\x00").context("the trace processor starts")?;
            let started = Instant::now();
            match timed(3, || Ok(oracle.load(&path)?)) {
                Ok(seconds) => {
                    line("trace processor, loading", seconds, None);
                    Some(seconds)
                }
                Err(error) => {
                    let seconds = started.elapsed().as_secs_f64();
                    let error = error.to_string();
                    let what = error.lines().next().unwrap_or_default();
                    println!("trace processor, after {seconds:.0} s: {what}");
                    None
                }
            }
        }
        Err(skip) => {
            println!("{skip}");
            None
        }
    };
    line("check", timed(5, || Ok(Check::new().run(&source, |_| {})?))?, theirs);
    line(
        "check, one thread",
        timed(3, || Ok(Check::new().threads(0).run(&source, |_| {})?))?,
        theirs,
    );
    line("info", timed(5, || Ok(Info::of(&source, |_| {})?))?, theirs);
    Ok(())
}
