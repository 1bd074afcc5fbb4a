//! The project's own commands. `cargo xtask test` is what CI runs; see CONTRIBUTING.md.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line's results and remarks"
)]

mod oracle;
mod picture;
mod python;
mod sanitize;
mod sql;
mod test;
mod torture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Sets up the oracle, checks the sources and runs every test.
    Test(test::Options),
    /// Runs the tests of recording under the address and the thread sanitizer.
    Sanitize(sanitize::Options),
    /// Sets up the oracle only: Perfetto's trace processor and Node, in .oracle/.
    Oracle,
    /// Kills, stops and starves programs that record, and counts what is not in their traces.
    Torture(torture::Options),
    /// Queries a trace with Perfetto's trace processor.
    Sql(sql::Options),
    /// Builds and installs the Python package, and runs its tests only; what follows goes to pytest.
    Python {
        /// Such as `-k values`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Takes a picture of a trace in the Perfetto UI.
    Picture(picture::Options),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Test(options) => test::run(&options),
        Command::Sanitize(options) => sanitize::run(&options),
        Command::Oracle => oracle::set_up().map(|set_up| match set_up {
            oracle::SetUp::Ready => ExitCode::SUCCESS,
            oracle::SetUp::Absent(_) => ExitCode::FAILURE,
        }),
        Command::Torture(options) => torture::run(&options),
        Command::Sql(options) => sql::run(&options),
        Command::Python { arguments } => python::run_tests(&arguments),
        Command::Picture(options) => picture::run(&options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// The root of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| unreachable!("xtask is a folder of the workspace"))
}

/// Where the oracle is set up, unless `NOVATRACE_ORACLE` says otherwise.
fn oracle_home() -> PathBuf {
    std::env::var_os("NOVATRACE_ORACLE").map_or_else(|| root().join(".oracle"), PathBuf::from)
}
