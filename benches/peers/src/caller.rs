//! What recording costs the caller alone: bursts that fit the ring, with the worker given time to
//! empty it between them. Data are made beforehand.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use novatrace::{Name, TraceGenerator};
use serde::Serialize;

use crate::measure::{median, print_table, row};
use crate::with_novatrace::{Rows, registered};
use crate::workload::{Duration, KEYS, TRACKS, duration, names};

/// A longest record is 13 words: 4,000 are less than half of the default ring.
const BURST: usize = 4_000;

#[derive(Serialize)]
struct Line {
    case: &'static str,
    /// Nanoseconds an event, over bursts.
    median_ns: f64,
    /// The burst that a tenth of the bursts were faster than.
    tenth_ns: f64,
}

struct Bench {
    rows: Rows,
    data: Vec<Duration>,
    bursts: usize,
    /// Ascends from burst to burst.
    base: u64,
    lines: Vec<Line>,
}

impl Bench {
    /// `record` is given the rows, the data of one event and the time that the burst is after.
    fn case(
        &mut self,
        case: &'static str,
        mut record: impl FnMut(&Rows, &Duration, u64),
    ) -> Result<()> {
        let mut times = Vec::with_capacity(self.bursts);
        for burst in 0..self.bursts + 5 {
            let start = Instant::now();
            for event in &self.data {
                record(&self.rows, event, self.base);
            }
            let ns = start.elapsed().as_nanos() as f64 / BURST as f64;
            if burst >= 5 {
                times.push(ns);
            }
            self.base += 1_000_000;
            self.rows.trace.flush()?;
        }
        times.sort_by(f64::total_cmp);
        let tenth_ns = times[times.len() / 10];
        self.lines.push(Line { case, median_ns: median(times), tenth_ns });
        Ok(())
    }
}

pub fn run(bursts: usize, dir: &Path, json: bool) -> Result<()> {
    let folder = tempfile::tempdir_in(dir)?;
    let rows =
        Rows::create(TraceGenerator::builder(), &folder.path().join("caller.pftrace"), TRACKS);
    let data = (0..BURST as u64).map(|i| duration(i, TRACKS)).collect();
    let mut bench = Bench { rows, data, bursts, base: 0, lines: Vec::new() };
    let names_known = registered();
    let texts = names();
    let keys = KEYS.map(Name::new);

    bench.case("empty loop", |_, event, base| {
        black_box((event, base));
    })?;
    let mut ring = vec![0u64; 1 << 17];
    let mut at = 0;
    bench.case("floor: 48 bytes into a ring", |_, event, base| {
        let place = &mut ring[at..at + 6];
        place[0] = event.start + base;
        place[1] = event.length;
        place[2] = event.track as u64;
        place[3] = event.name as u64;
        place[4] = event.m as u64;
        place[5] = event.k as u64;
        at = (at + 6) & 0xFFFF;
        black_box(&ring);
    })?;
    bench.case("duration, name known", |rows, event, base| {
        let track = &rows.tracks[event.track];
        track
            .duration(event.start + base, event.length, names_known[event.name])
            .emit()
            .expect("valid");
    })?;
    bench.case("duration, 2 ints, name and keys known", |rows, event, base| {
        let track = &rows.tracks[event.track];
        track
            .duration(event.start + base, event.length, names_known[event.name])
            .arg(keys[0], event.m)
            .arg(keys[1], event.k)
            .emit()
            .expect("valid");
    })?;
    bench.case("duration, 2 ints, name a text, keys known", |rows, event, base| {
        let track = &rows.tracks[event.track];
        track
            .duration(event.start + base, event.length, &texts[event.name])
            .arg(keys[0], event.m)
            .arg(keys[1], event.k)
            .emit()
            .expect("valid");
    })?;
    bench.case("duration, 2 ints, name and keys texts", |rows, event, base| {
        let track = &rows.tracks[event.track];
        let keys = black_box(KEYS);
        track
            .duration(event.start + base, event.length, &texts[event.name])
            .arg(keys[0], event.m)
            .arg(keys[1], event.k)
            .emit()
            .expect("valid");
    })?;
    bench.case("instant, name known", |rows, event, base| {
        let track = &rows.tracks[event.track];
        track.instant(event.start + base, names_known[event.name]).emit().expect("valid");
    })?;
    bench.case("counter, double", |rows, event, base| {
        rows.counters[event.track % 8].count(event.start + base, event.m as f64).expect("valid");
    })?;
    bench.case("W6: 4 durations, names known, to 1 counter", |rows, event, base| {
        let track = &rows.tracks[event.track];
        track
            .duration(event.start + base, event.length, names_known[event.name])
            .arg(keys[0], event.m)
            .arg(keys[1], event.k)
            .emit()
            .expect("valid");
        if event.track % 4 == 0 {
            let counter = &rows.counters[event.track / 4 % 8];
            counter.count(event.start + base, event.m as f64).expect("valid");
        }
    })?;
    if let Some(last) = bench.lines.last_mut() {
        last.median_ns /= 1.25;
        last.tenth_ns /= 1.25;
    }
    bench.rows.trace.finish()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&bench.lines)?);
    } else {
        println!("caller, ns an event, {bursts} bursts of {BURST}");
        let mut table = vec![row(["", "median", "tenth"])];
        for line in &bench.lines {
            let ns = |ns: f64| format!("{ns:.1}");
            table.push(vec![line.case.to_owned(), ns(line.median_ns), ns(line.tenth_ns)]);
        }
        print_table(&table);
    }
    Ok(())
}
