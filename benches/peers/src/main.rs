//! novatrace's speed and size beside a floor and beside peers. `docs/COMPARE.md` tells the numbers.

mod caller;
mod floor;
mod grow;
mod live;
mod measure;
mod w6;
mod with_novatrace;
mod with_perfetto_writer;
mod with_prost;
mod with_protobuf;
#[cfg(feature = "sdk")]
mod with_sdk;
mod workload;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// Where files are written, and removed; the system's folder for such by default.
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
    #[command(subcommand)]
    command: Task,
}

#[derive(Clone, Copy, PartialEq, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Subcommand)]
enum Task {
    /// W6 until the file is closed, by all contestants in turn.
    W6 {
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// Leave a file of each contestant in the folder.
        #[arg(long)]
        keep: bool,
        /// Only contestants whose names have this in them.
        #[arg(long)]
        only: Option<String>,
        /// Do not deflate the files, which takes longer than all else.
        #[arg(long)]
        fast: bool,
    },
    /// The caller's cost alone.
    Caller {
        #[arg(long, default_value_t = 200)]
        bursts: usize,
    },
    /// How novatrace's cost grows.
    Grow {
        /// The most events.
        #[arg(long, default_value_t = 1e7)]
        max: f64,
        /// Runs of each case; the one in the middle is told.
        #[arg(long, default_value_t = 3)]
        repeat: usize,
        /// Write to `/dev/null`.
        #[arg(long)]
        null: bool,
    },
    /// Live recording: W1 to W5.
    Live(live::Choice),
    /// One contestant at one task of `live`.
    #[command(hide = true)]
    LiveCase(live::Case),
    /// One case of `grow`.
    #[command(hide = true)]
    Case(grow::Case),
}

fn main() -> Result<()> {
    let Arguments { dir, format, command } = Arguments::parse();
    let dir = dir.unwrap_or_else(std::env::temp_dir);
    let json = format == Format::Json;
    match command {
        Task::W6 { rounds, keep, only, fast } => {
            let choice = w6::Choice { rounds, keep, only, fast, json };
            w6::run(&choice, &dir)
        }
        Task::Caller { bursts } => caller::run(bursts, &dir, json),
        Task::Grow { max, repeat, null } => grow::run(max, repeat, &dir, null, json),
        Task::Live(choice) => live::run(&choice, &dir, json),
        Task::LiveCase(case) => live::run_case(&case),
        Task::Case(case) => grow::run_case(case),
    }
}
