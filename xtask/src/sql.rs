//! `cargo xtask sql`: a question to the trace processor by hand.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use novatrace_testkit::Oracle;

/// What to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The trace.
    trace: PathBuf,
    /// Statements; each prints a JSON array of its rows on a line.
    #[arg(required = true)]
    sql: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let oracle = Oracle::at(&crate::oracle_home())?;
    let mut query = Command::new(oracle.node());
    query.arg(crate::root().join("crates/novatrace-testkit/runner/query.mjs"));
    query.arg(oracle.web_dist()).arg(&options.trace).args(&options.sql);
    let status = query.status().with_context(|| format!("{query:?}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
