//! W6 by all contestants, round by round in one process, until the file is closed.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::measure::{Took, median, print_table, row, time};
use crate::workload::EVENTS;
use crate::{floor, with_novatrace, with_perfetto_writer, with_prost, with_protobuf};

struct Contestant {
    name: &'static str,
    w6: fn(&Path),
    is_protobuf: bool,
}

const CONTESTANTS: &[Contestant] = &[
    Contestant { name: "floor: 36 raw bytes", w6: floor::w6, is_protobuf: false },
    Contestant { name: "novatrace, names known", w6: with_novatrace::w6_names, is_protobuf: false },
    Contestant { name: "novatrace, texts", w6: with_novatrace::w6_texts, is_protobuf: false },
    Contestant { name: "perfetto_protos", w6: with_protobuf::w6_made, is_protobuf: true },
    Contestant {
        name: "perfetto_protos, messages reused",
        w6: with_protobuf::w6_reused,
        is_protobuf: true,
    },
    Contestant { name: "prost", w6: with_prost::w6_made, is_protobuf: true },
    Contestant { name: "prost, messages reused", w6: with_prost::w6_reused, is_protobuf: true },
    Contestant { name: "perfetto-writer", w6: with_perfetto_writer::w6, is_protobuf: true },
    #[cfg(feature = "sdk")]
    Contestant { name: "perfetto-sdk", w6: crate::with_sdk::w6, is_protobuf: false },
];

#[derive(Serialize)]
struct Line {
    contestant: &'static str,
    /// Medians over the rounds, nanoseconds an event.
    wall_ns: f64,
    processor_ns: f64,
    million_per_second: f64,
    /// Medians over the rounds of the ratio within a round.
    times_floor: f64,
    times_novatrace: f64,
    bytes: f64,
    bytes_deflated: f64,
    #[serde(skip)]
    is_protobuf: bool,
}

pub struct Choice {
    pub rounds: usize,
    pub keep: bool,
    pub only: Option<String>,
    pub fast: bool,
    pub json: bool,
}

pub fn run(choice: &Choice, dir: &Path) -> Result<()> {
    let Choice { rounds, keep, only, fast, json } = choice;
    let contestants: Vec<&Contestant> = CONTESTANTS
        .iter()
        .filter(|contestant| only.as_ref().is_none_or(|only| contestant.name.contains(only)))
        .collect();
    let folder = tempfile::tempdir_in(dir)?;
    let mut took: Vec<Vec<Took>> = contestants.iter().map(|_| Vec::new()).collect();
    let mut sizes = vec![(0.0, 0.0); contestants.len()];
    for round in 0..=*rounds {
        for (at, contestant) in contestants.iter().enumerate() {
            let path = folder.path().join(format!("{at}.pftrace"));
            let this = time(|| (contestant.w6)(&path));
            // The first round warms up, and is where files are looked at.
            if round > 0 {
                took[at].push(this);
            } else {
                sizes[at] = sizes_of(&path, !fast)?;
                if *keep {
                    let name: String = contestant.name.replace([' ', ',', ':'], "_");
                    std::fs::copy(&path, dir.join(format!("w6-{name}.pftrace")))?;
                }
            }
            std::fs::remove_file(&path)?;
        }
    }
    let novatrace = contestants.iter().position(|one| one.name.starts_with("novatrace"));
    let lines: Vec<Line> = (0..contestants.len())
        .map(|at| line(contestants[at], &took, at, novatrace.unwrap_or(0), sizes[at]))
        .collect();
    if *json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    } else {
        print(&lines, *rounds);
    }
    Ok(())
}

fn line(
    contestant: &Contestant,
    took: &[Vec<Took>],
    at: usize,
    novatrace: usize,
    (bytes, bytes_deflated): (f64, f64),
) -> Line {
    let events = EVENTS as f64;
    let walls = |at: usize| took[at].iter().map(|took| took.wall / events);
    let ratio = |to: usize| median(walls(at).zip(walls(to)).map(|(a, b)| a / b).collect());
    let wall_ns = median(walls(at).collect());
    Line {
        contestant: contestant.name,
        wall_ns,
        processor_ns: median(took[at].iter().map(|took| took.processor / events).collect()),
        million_per_second: 1e3 / wall_ns,
        times_floor: ratio(0),
        times_novatrace: ratio(novatrace),
        bytes,
        bytes_deflated,
        is_protobuf: contestant.is_protobuf,
    }
}

/// Bytes an event, raw and deflated.
fn sizes_of(path: &Path, deflate: bool) -> Result<(f64, f64)> {
    if !deflate {
        return Ok((path.metadata()?.len() as f64 / EVENTS as f64, f64::NAN));
    }
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut deflated = flate2::write::GzEncoder::new(Counted(0), flate2::Compression::new(6));
    let raw = io::copy(&mut file, &mut deflated)?;
    let deflated = deflated.finish()?.0;
    Ok((raw as f64 / EVENTS as f64, deflated as f64 / EVENTS as f64))
}

struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn print(lines: &[Line], rounds: usize) {
    println!("W6, an event of {EVENTS}, medians of {rounds} rounds");
    let heads = ["", "ns", "M/s", "x floor", "x novatrace", "cpu ns", "bytes", "deflated"];
    let mut rows = vec![row(heads)];
    for line in lines {
        rows.push(vec![
            line.contestant.to_owned(),
            format!("{:.1}", line.wall_ns),
            format!("{:.1}", line.million_per_second),
            format!("{:.2}", line.times_floor),
            format!("{:.2}", line.times_novatrace),
            format!("{:.1}", line.processor_ns),
            format!("{:.1}", line.bytes),
            format!("{:.1}", line.bytes_deflated),
        ]);
    }
    print_table(&rows);
    let fastest = lines.iter().filter(|line| line.is_protobuf);
    if let Some(fastest) = fastest.min_by(|a, b| a.wall_ns.total_cmp(&b.wall_ns)) {
        println!(
            "fastest with a protobuf library: {}, {:.2} times novatrace's time",
            fastest.contestant, fastest.times_novatrace
        );
    }
}
