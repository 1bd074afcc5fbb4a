//! `cargo xtask torture`: the test `torture` for as long as it is told to, built for speed.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::oracle;
use crate::test::cargo;

/// How long, and which rounds.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Minutes; some hundred rounds each
    #[arg(long, default_value_t = 30)]
    minutes: u64,

    /// The random numbers of an earlier run, which it has told
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the worker and the test, and runs that.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    oracle::set_up()?;
    let worker = cargo(crate::root(), &["build", "--release", "-p", "novatrace-cli"]);
    ensure!(succeeds(worker)?, "the worker cannot be built");
    let test = ["test", "--release", "-p", "novatrace-tests", "--test", "torture"];
    let mut test = cargo(crate::root(), &test);
    test.args(["--", "--nocapture"]);
    test.env("NOVATRACE_TORTURE_MINUTES", options.minutes.to_string());
    test.envs(options.seed.map(|seed| ("NOVATRACE_TORTURE_SEED", seed.to_string())));
    Ok(if succeeds(test)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn succeeds(mut command: Command) -> Result<bool> {
    Ok(command.status().with_context(|| format!("{command:?}"))?.success())
}
