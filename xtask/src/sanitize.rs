//! `cargo xtask sanitize`: the tests of recording, run under LLVM's address and thread sanitizers.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::test::{cargo, target_dir};

/// The target for which Rust ships both runtimes; without one being named, the flags would reach macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Tests of what a sanitizer adds to a process itself: memory, and system calls.
const NOT_UNDER_SANITIZERS: [&str; 5] =
    ["memory", "memory_of_silent_tracks", "memory_of_windows", "system_calls", "live_system_calls"];

/// The same, among the live tests.
const TEST_OF_MEMORY: &str = "ten_thousand_threads_take_no_memory_for_ever";

/// Which sanitizers to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One of them; both by default.
    sanitizer: Option<Sanitizer>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sanitizer {
    /// Out of bounds, used after free, leaked.
    Address,
    /// Two threads at the same memory without order.
    Thread,
}

impl Sanitizer {
    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Thread => "thread",
        }
    }
}

/// Runs the tests of `novatrace` and the live ones of the oracle, in a target folder for each sanitizer.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let chosen = options.sanitizer;
    let chosen = chosen.map_or(vec![Sanitizer::Address, Sanitizer::Thread], |one| vec![one]);
    let mut failed = vec![];
    for sanitizer in chosen {
        let tests = tests_of_novatrace()?;
        let named = tests.iter().flat_map(|name| ["--test", name]);
        let novatrace = ["-p", "novatrace", "--lib"].into_iter().chain(named).collect();
        for args in [novatrace, vec!["-p", "novatrace-tests", "--test", "live*"]] {
            println!("\n==> {} sanitizer: {}", sanitizer.name(), args[1]);
            let mut cargo = sanitized(sanitizer, &args)?;
            if !cargo.status().with_context(|| format!("{cargo:?}"))?.success() {
                failed.push(format!("{}, {}", sanitizer.name(), args[1]));
            }
        }
    }
    for failed in &failed {
        println!("FAILED {failed}");
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sanitized(sanitizer: Sanitizer, args: &[&str]) -> Result<Command> {
    let mut cargo = cargo(crate::root(), &["test", "--no-fail-fast", "--target", TARGET]);
    let name = sanitizer.name();
    cargo.args(args);
    cargo.arg("--target-dir").arg(target_dir()?.join(format!("sanitize-{name}")));
    cargo.args(["--", "--skip", TEST_OF_MEMORY]);
    // The sanitizers are an unstable option of the stable compiler. The standard library comes without
    // them, which is what the second flag admits.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    let flags = format!("-Zsanitizer={name} -Cunsafe-allow-abi-mismatch=sanitizer");
    cargo.env("RUSTFLAGS", flags);
    if let Sanitizer::Thread = sanitizer {
        let suppressions = crate::root().join("xtask/src/thread_sanitizer.txt");
        ensure!(suppressions.is_file(), "{} is missing", suppressions.display());
        // Children of forks start workers of their own.
        let options = format!("suppressions={} die_after_fork=0", suppressions.display());
        cargo.env("TSAN_OPTIONS", options);
    }
    Ok(cargo)
}

/// The integration tests of `novatrace`, but for those whose figures a sanitizer changes.
fn tests_of_novatrace() -> Result<Vec<String>> {
    let dir: PathBuf = crate::root().join("crates/novatrace/tests");
    let mut names = vec![];
    for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            && !NOT_UNDER_SANITIZERS.contains(&name)
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
