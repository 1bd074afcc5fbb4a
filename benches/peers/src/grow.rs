//! How novatrace's cost grows with events, tracks, threads and disorder: each case in a process of
//! its own, so that each has a peak of memory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use novatrace::{Name, TraceGenerator};
use serde::{Deserialize, Serialize};

use crate::measure::{memory_kib, print_table, row, time};
use crate::with_novatrace::{Rows, registered};
use crate::workload::{COUNTERS, KEYS, TRACKS, duration, sample};

#[derive(clap::Args, Clone, Serialize, Deserialize)]
pub struct Case {
    /// Durations and samples, together.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    #[arg(long, default_value_t = TRACKS)]
    tracks: usize,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Events are shuffled in blocks of so many durations (and a quarter as many samples), a
    /// power of two; 1 leaves them in order.
    #[arg(long, default_value_t = 1)]
    shuffled: usize,
    /// Instead of novatrace's default.
    #[arg(long)]
    window: Option<usize>,
    /// Written to, and then removed; "/dev/null" measures all but the disk.
    #[arg(long)]
    file: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    case: Case,
    wall_ns: f64,
    processor_ns: f64,
    bytes: f64,
    /// Above what the process had before the trace was created.
    peak_mib: f64,
    lanes: u64,
}

/// Runs one case and prints it as JSON.
pub fn run_case(case: Case) -> Result<()> {
    let names = registered();
    let keys = KEYS.map(Name::new);
    let order = shuffled(case.shuffled);
    let durations = case.events / 5 * 4 / case.threads as u64;
    let events = (durations + durations.div_ceil(4)) * case.threads as u64;
    let tracks_each = case.tracks.div_ceil(case.threads);
    let mut stats = None;
    // Peaks so far are forgotten.
    std::fs::write("/proc/self/clear_refs", "5").context("Linux is needed")?;
    let before = memory_kib("VmRSS:")?;
    let took = time(|| {
        let mut builder = TraceGenerator::builder();
        if let Some(window) = case.window {
            builder = builder.window(window);
        }
        let rows = Rows::create(builder, &case.file, tracks_each * case.threads);
        std::thread::scope(|scope| {
            for thread in 0..case.threads {
                let tracks = &rows.tracks[thread * tracks_each..][..tracks_each];
                let counters = &rows.counters[thread * COUNTERS / case.threads..]
                    [..(COUNTERS / case.threads).max(1)];
                let (order, names) = (&order, &names);
                scope.spawn(move || {
                    let block = order.len() as u64;
                    let whole = durations / block * block;
                    for at in 0..durations {
                        let i = if at < whole {
                            (at & !(block - 1)) + u64::from(order[(at & (block - 1)) as usize])
                        } else {
                            at
                        };
                        let event = duration(i, tracks.len());
                        tracks[event.track]
                            .duration(event.start, event.length, names[event.name])
                            .arg(keys[0], event.m)
                            .arg(keys[1], event.k)
                            .emit()
                            .expect("valid");
                        if let Some(sample) = sample(i, event.start) {
                            counters[sample.counter & (counters.len() - 1)]
                                .count(sample.time, sample.value)
                                .expect("valid");
                        }
                    }
                });
            }
        });
        stats = Some(rows.trace.finish());
    });
    let peak = memory_kib("VmHWM:")?;
    let stats = stats.context("it was finished")??;
    ensure!(stats.events == events && stats.dropped == 0, "{stats:?}");
    let line = Line {
        wall_ns: took.wall / events as f64,
        processor_ns: took.processor / events as f64,
        bytes: stats.bytes as f64 / events as f64,
        peak_mib: (peak - before) / 1024.0,
        lanes: stats.lanes,
        case,
    };
    println!("{}", serde_json::to_string(&line)?);
    Ok(())
}

/// The numbers below `block` in an order by chance that is always the same.
fn shuffled(block: usize) -> Vec<u32> {
    assert!(block.is_power_of_two());
    let mut order: Vec<u32> = (0..block as u32).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for at in (1..block).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, (state % (at as u64 + 1)) as usize);
    }
    order
}

pub fn run(max: f64, repeat: usize, dir: &Path, null: bool, json: bool) -> Result<()> {
    let folder = tempfile::tempdir_in(dir)?;
    let file = if null { "/dev/null".into() } else { folder.path().join("grow.pftrace") };
    let base =
        Case { events: 1_000_000, tracks: TRACKS, threads: 1, shuffled: 1, window: None, file };
    let mut cases = Vec::new();
    for events in [100_000, 1_000_000, 10_000_000, 100_000_000] {
        if events as f64 <= max {
            cases.push(Case { events, ..base.clone() });
        }
    }
    for tracks in [1, 8, 64, 512, 4_096] {
        cases.push(Case { tracks, ..base.clone() });
    }
    for threads in [1, 2, 4, 8] {
        cases.push(Case { threads, events: 4_000_000, ..base.clone() });
    }
    // 10,240 events in the default window of 16,384; 40,960 in one of 65,536.
    for (shuffled, window) in [(1, None), (8_192, None), (1, Some(65_536)), (32_768, Some(65_536))]
    {
        for tracks in [64, 4_096] {
            cases.push(Case { shuffled, window, tracks, ..base.clone() });
        }
    }
    let mut lines = Vec::new();
    for case in &cases {
        let mut runs = (0..repeat.max(1))
            .map(|_| {
                let line = in_child(case)?;
                if !null {
                    std::fs::remove_file(&case.file)?;
                }
                Ok(line)
            })
            .collect::<Result<Vec<Line>>>()?;
        // The run in the middle, as a whole: its numbers belong together.
        runs.sort_by(|a, b| a.wall_ns.total_cmp(&b.wall_ns));
        lines.push(runs.swap_remove(runs.len() / 2));
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    } else {
        print(&lines);
    }
    Ok(())
}

fn in_child(case: &Case) -> Result<Line> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("case").arg("--file").arg(&case.file);
    command.args(["--events", &case.events.to_string(), "--tracks", &case.tracks.to_string()]);
    command.args(["--threads", &case.threads.to_string()]);
    command.args(["--shuffled", &case.shuffled.to_string()]);
    if let Some(window) = case.window {
        command.args(["--window", &window.to_string()]);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn print(lines: &[Line]) {
    let heads = [
        "events", "tracks", "threads", "shuffled", "window", "ns", "cpu ns", "peak MiB", "bytes",
        "lanes",
    ];
    let mut rows = vec![row(heads)];
    for Line { case, wall_ns, processor_ns, bytes, peak_mib, lanes } in lines {
        rows.push(vec![
            case.events.to_string(),
            case.tracks.to_string(),
            case.threads.to_string(),
            if case.shuffled > 1 { case.shuffled.to_string() } else { "no".to_owned() },
            case.window.map_or("default".to_owned(), |window| window.to_string()),
            format!("{wall_ns:.1}"),
            format!("{processor_ns:.1}"),
            format!("{peak_mib:.1}"),
            format!("{bytes:.1}"),
            lanes.to_string(),
        ]);
    }
    print_table(&rows);
}
