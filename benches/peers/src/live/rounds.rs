//! All contestants in turn, round by round, and the table.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::case::{Line, Whole};
use super::{CONTESTANTS, Contestant, Task};
use crate::measure::{median, print_table};

#[derive(clap::Args)]
pub struct Choice {
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Leave the files of the first round in the folder.
    #[arg(long)]
    keep: bool,
    /// Only contestants whose names have this in them.
    #[arg(long)]
    only: Option<String>,
    /// Only these tasks.
    #[arg(long, value_enum, value_delimiter = ',')]
    task: Vec<Task>,
    /// Do not deflate the files.
    #[arg(long)]
    fast: bool,
}

/// A contestant at a task: a line of each round.
#[derive(Serialize)]
struct Cell {
    contestant: &'static str,
    task: Task,
    has_file: bool,
    lines: Vec<Line>,
    /// The same task by novatrace, in the same rounds.
    #[serde(skip)]
    novatrace: Vec<Line>,
}

pub fn run(choice: &Choice, dir: &Path, json: bool) -> Result<()> {
    let folder = tempfile::tempdir_in(dir)?;
    let contestants: Vec<&Contestant> = CONTESTANTS
        .iter()
        .filter(|one| choice.only.as_ref().is_none_or(|only| one.name.contains(only)))
        .collect();
    let tasks: Vec<Task> = Task::value_variants()
        .iter()
        .copied()
        .filter(|task| choice.task.is_empty() || choice.task.contains(task))
        .collect();
    let mut cells: Vec<Cell> = tasks
        .iter()
        .flat_map(|&task| contestants.iter().map(move |one| (task, one)))
        .filter(|(task, one)| one.has_samples || !task.has_samples())
        .map(|(task, one)| Cell {
            contestant: one.name,
            task,
            has_file: one.has_file,
            lines: vec![],
            novatrace: vec![],
        })
        .collect();
    for round in 0..choice.rounds {
        for cell in &mut cells {
            let kept = choice.keep && round == 0;
            let file = file_of(cell, if kept { dir } else { folder.path() });
            cell.lines.push(in_child(cell, &file, round == 0 && !choice.fast, kept)?);
        }
    }
    for at in 0..cells.len() {
        let task = cells[at].task;
        let novatrace = cells.iter().find(|one| one.contestant == "novatrace" && one.task == task);
        cells[at].novatrace = novatrace.map(|one| one.lines.clone()).unwrap_or_default();
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&cells)?);
    } else {
        print(&cells, &tasks, choice.rounds);
    }
    Ok(())
}

fn file_of(cell: &Cell, dir: &Path) -> PathBuf {
    let name = cell.contestant.replace(", ", "-");
    dir.join(format!("live-{name}-{:?}.trace", cell.task))
}

fn in_child(cell: &Cell, file: &Path, deflate: bool, keep: bool) -> Result<Line> {
    let mut command = Command::new(std::env::current_exe()?);
    let task = cell.task.to_possible_value().expect("none is skipped");
    command.args(["live-case", "--peer", cell.contestant, "--task", task.get_name()]);
    command.arg("--file").arg(file);
    if deflate {
        command.arg("--deflate");
    }
    if keep {
        command.arg("--keep");
    }
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} at {:?}: {errors}", cell.contestant, cell.task);
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl Cell {
    fn median(&self, of: impl Fn(&Line) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.lines.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| median(values))
    }

    /// The median over the rounds of the ratio within a round.
    fn ratio(
        &self,
        of: impl Fn(&Line) -> Option<f64>,
        to: impl Fn(usize) -> Option<f64>,
    ) -> Option<f64> {
        let ratios: Vec<f64> = (self.lines.iter().enumerate())
            .filter_map(|(round, line)| Some(of(line)? / to(round)?))
            .collect();
        (!ratios.is_empty()).then(|| median(ratios))
    }

    fn whole(&self, of: impl Fn(&Whole) -> Option<f64>) -> Option<f64> {
        self.median(|line| line.whole.as_ref().and_then(&of))
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
}

fn print(cells: &[Cell], tasks: &[Task], rounds: usize) {
    let all = |of: fn(&Line) -> f64| {
        median(cells.iter().flat_map(|cell| cell.lines.iter().map(of)).collect())
    };
    println!(
        "live recording, medians of {rounds} rounds; floor {:.1} ns, empty loop {:.2} ns",
        all(|line| line.floor_ns),
        all(|line| line.empty_ns),
    );
    for &task in tasks {
        let of_task = cells.iter().filter(|cell| cell.task == task);
        let is_whole = matches!(task, Task::W1 | Task::W2 | Task::W3 | Task::W4);
        println!("\n{task:?}");
        let heads: &[&str] = if is_whole {
            &[
                "",
                "ns",
                "M/s",
                "x novatrace",
                "loop ns",
                "cpu ns",
                "bytes",
                "deflated",
                "peak MiB",
                "kept",
                "lost",
            ]
        } else {
            &["", "ns", "x floor", "x novatrace"]
        };
        let mut rows = vec![heads.iter().map(|&head| head.to_owned()).collect::<Vec<_>>()];
        for cell in of_task {
            let mut row = vec![cell.contestant.to_owned()];
            if is_whole {
                let wall = |line: &Line| line.whole.as_ref().map(|whole| whole.wall_ns);
                let ns = cell.median(wall);
                row.push(number(ns, 1) + if cell.has_file { "" } else { " no file" });
                row.push(number(ns.map(|ns| 1e3 / ns), 1));
                row.push(number(
                    cell.ratio(wall, |round| cell.novatrace.get(round).and_then(wall)),
                    2,
                ));
                row.push(number(cell.whole(|whole| Some(whole.record_ns)), 1));
                row.push(number(cell.whole(|whole| Some(whole.processor_ns)), 1));
                row.push(number(cell.whole(|whole| whole.bytes), 1));
                row.push(number(cell.whole(|whole| whole.bytes_deflated), 1));
                row.push(number(cell.whole(|whole| Some(whole.peak_mib)), 1));
                row.push(number(cell.whole(|whole| whole.kept.map(|kept| kept as f64)), 0));
                row.push(number(cell.whole(|whole| whole.lost.map(|lost| lost as f64)), 0));
            } else {
                let ns = |line: &Line| line.caller_ns;
                let floor = |round: usize| {
                    let line: &Line = &cell.lines[round];
                    Some(if task == Task::Off { line.empty_ns } else { line.floor_ns })
                };
                row.push(number(cell.median(ns), 2));
                row.push(number(cell.ratio(ns, floor), 2));
                row.push(number(cell.ratio(ns, |round| cell.novatrace.get(round).and_then(ns)), 2));
            }
            rows.push(row);
        }
        print_table(&rows);
    }
}
