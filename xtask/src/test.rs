//! `cargo xtask test`: every check of the project in order, and one closing line to count them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value as Json;

use crate::oracle::{self, SetUp};
use crate::python::{self, Environment};

/// How much to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only what a change should pass at every save: formatting, lints, unit, integration and oracle tests. Leaves out the
    /// documentation, its examples, the example programs and the release build.
    #[arg(long)]
    quick: bool,
}

/// Runs the steps; all of them, also after a failure, so that one run tells everything.
///
/// The last line is `N passed, N failed, N skipped`. It counts tests of all test binaries; one that skipped itself
/// counts as skipped only. A step that failed without a failing test (formatting, lints, a build) counts as one failure.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let work = WorkDir::new()?;
    let mut run = Run { work: work.0.clone(), steps: Vec::new() };

    run.step("oracle set-up", |_| match oracle::set_up() {
        Ok(SetUp::Absent(why)) if is_ci() => {
            Ok(Counts::broken(&format!("CI needs the oracle: {why}")))
        }
        Ok(SetUp::Ready | SetUp::Absent(_)) => Ok(Counts::default()),
        // With a network that is down, the tests that need no oracle are still worth running.
        Err(error) => Ok(Counts::broken(&format!("{error:#}"))),
    })?;
    run.cargo("format", &["fmt", "--all", "--check"])?;
    run.cargo(
        "lints",
        &["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"],
    )?;
    if !options.quick {
        run.cargo("documentation", &["doc", "--workspace", "--no-deps", "--keep-going"])?;
    }
    run.cargo("tests", &["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])?;
    run.step("worker in another process", Run::worker)?;
    if !options.quick {
        // The same file is among the tests above, with everything compiled in.
        run.cargo(
            "compiled out",
            &["test", "-p", "novatrace", "--features", "disabled", "--test", "compiled_out"],
        )?;
        run.step("models of the ring", Run::models)?;
        run.step("object stores", Run::object_stores)?;
        run.cargo("documentation's examples", &["test", "--workspace", "--doc", "--no-fail-fast"])?;
        run.step("Python package", Run::python)?;
        run.step("example programs", Run::examples)?;
        run.step("demo", Run::demo)?;
    }
    Ok(run.close())
}

/// Tests that a worker in a process of its own has to pass like a thread.
const TESTS_OF_RECORDING: [&str; 9] = [
    "arguments",
    "children",
    "flows",
    "generator",
    "live",
    "live_macros",
    "live_threads",
    "live_tracks",
    "order",
];

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// A folder for what the steps write, removed at the end.
struct WorkDir(PathBuf);

impl WorkDir {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("novatrace-xtask-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // A folder left behind in the temporary folder is no reason to fail.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Reported by name; libtest takes them for passed.
    skipped: BTreeSet<String>,
    /// What pytest says of those that it skipped, and counts itself.
    python_skips: Vec<String>,
}

impl Counts {
    fn broken(why: &str) -> Self {
        println!("{why}");
        Self { failed: 1, ..Self::default() }
    }

    fn skips(&self) -> u64 {
        self.ignored + self.skipped.len() as u64
    }

    /// Adds a line of libtest's, such as `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn read(&mut self, line: &str) {
        let Some((_, result)) =
            line.strip_prefix("test result: ").and_then(|line| line.split_once(". "))
        else {
            return self.read_pytest(line);
        };
        for part in result.split("; ") {
            let Some((Ok(number), what)) =
                part.split_once(' ').map(|(number, what)| (number.parse::<u64>(), what))
            else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl Counts {
    /// Adds pytest's last line, such as `3 failed, 96 passed, 1 skipped in 7.22s`, and the reasons of what it skipped.
    fn read_pytest(&mut self, line: &str) {
        if let Some(skipped) = line.strip_prefix("SKIPPED ") {
            self.python_skips.push(format!("SKIPPED {skipped}"));
        }
        let Some((counts, _)) = line.split_once(" in ").filter(|(_, time)| time.contains('s'))
        else {
            return;
        };
        let parts: Option<Vec<(u64, &str)>> = counts
            .split(", ")
            .map(|part| part.split_once(' ').and_then(|(n, what)| Some((n.parse().ok()?, what))))
            .collect();
        for (number, what) in parts.unwrap_or_default() {
            match what {
                "passed" => self.passed += number,
                "failed" | "error" | "errors" => self.failed += number,
                "skipped" => self.ignored += number,
                _ => {}
            }
        }
    }
}

struct Step {
    name: &'static str,
    time: Duration,
    counts: Counts,
}

struct Run {
    work: PathBuf,
    steps: Vec<Step>,
}

impl Run {
    fn step(
        &mut self,
        name: &'static str,
        action: impl FnOnce(&Self) -> Result<Counts>,
    ) -> Result<()> {
        println!("\n==> {name}");
        let start = Instant::now();
        let counts = action(self)?;
        let time = start.elapsed();
        println!("==> {name}: {} in {:.1} s", verdict(&counts), time.as_secs_f64());
        self.steps.push(Step { name, time, counts });
        Ok(())
    }

    fn cargo(&mut self, name: &'static str, args: &[&str]) -> Result<()> {
        self.step(name, |run| run.counted(crate::root(), args))
    }

    /// Runs cargo, passes its output on and counts the tests in it.
    fn counted(&self, dir: &Path, args: &[impl AsRef<OsStr>]) -> Result<Counts> {
        self.counted_command(cargo(dir, args))
    }

    fn counted_command(&self, mut cargo: Command) -> Result<Counts> {
        let skips = self.work.join("skips");
        cargo.env("NOVATRACE_SKIPS", &skips).stdout(Stdio::piped());
        let mut child = cargo.spawn().with_context(|| format!("{cargo:?}"))?;
        let mut counts = Counts::default();
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                counts.read(&line);
            }
        }
        let status = child.wait()?;
        if let Ok(text) = fs::read_to_string(&skips) {
            counts.skipped.extend(text.lines().map(str::to_owned));
            fs::remove_file(&skips)?;
        }
        counts.passed = counts.passed.saturating_sub(counts.skipped.len() as u64);
        if !status.success() && counts.failed == 0 {
            counts.failed = 1;
        }
        Ok(counts)
    }

    /// Runs the oracle's tests of recording again, with the worker in a process of its own.
    fn worker(&self) -> Result<Counts> {
        let mut cargo = cargo(crate::root(), &["test", "-p", "novatrace-tests", "--no-fail-fast"]);
        cargo.args(TESTS_OF_RECORDING.iter().flat_map(|name| ["--test", name]));
        cargo.env("NOVATRACE_WORKER", "process");
        self.counted_command(cargo)
    }

    /// Runs loom's models, in a target folder of their own: the flag is for every crate.
    fn models(&self) -> Result<Counts> {
        let mut cargo = cargo(crate::root(), &["test", "-p", "novatrace", "--lib"]);
        cargo.env("RUSTFLAGS", "--cfg loom");
        cargo.arg("--target-dir").arg(target_dir()?.join("loom")).arg("loom");
        self.counted_command(cargo)
    }

    /// What is not in the default build: uploads to object stores. Without Python, or a network to install it by, there is no server
    /// for them, and the tests that ask for it are skipped.
    fn object_stores(&self) -> Result<Counts> {
        let args =
            ["test", "-p", "novatrace-sink", "--features", "object-store", "--test", "object"];
        let mut cargo = cargo(crate::root(), &args);
        match python::server_of_s3(&target_dir()?) {
            Ok(Some(python)) => drop(cargo.env("NOVATRACE_MOTO", python)),
            Ok(None) => println!("no Python 3.10 or later"),
            Err(error) => println!("{error:#}"),
        }
        self.counted_command(cargo)
    }

    /// The Python package: its tests, and its stub against the module, which is one test.
    fn python(&self) -> Result<Counts> {
        let Some(environment) = Environment::set_up(&target_dir()?)? else {
            println!("no Python 3.10 or later");
            let skipped =
                BTreeSet::from(["SKIPPED the Python package: there is no Python".to_owned()]);
            return Ok(Counts { skipped, ..Counts::default() });
        };
        let mut counts = self.counted_command(environment.tests())?;
        let stub_test = environment.stub_test().status().context("stubtest")?;
        *if stub_test.success() { &mut counts.passed } else { &mut counts.failed } += 1;
        Ok(counts)
    }

    /// Runs every example program of the workspace in a folder of its own, a test each.
    fn examples(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        let metadata = metadata()?;
        for (package, name) in targets(&metadata, "example") {
            let dir = self.work.join(&name);
            fs::create_dir_all(&dir)?;
            println!("example {package}/{name}");
            let manifest = crate::root().join("Cargo.toml");
            let args =
                ["run", "--quiet", "--package", &package, "--example", &name, "--manifest-path"]
                    .map(OsStr::new);
            let args: Vec<_> = args.into_iter().chain([manifest.as_os_str()]).collect();
            let failed = self.counted(&dir, &args)?.failed > 0;
            *if failed { &mut counts.failed } else { &mut counts.passed } += 1;
        }
        Ok(counts)
    }

    /// The command of the README, as a user runs it; one test, once the command line has it.
    fn demo(&self) -> Result<Counts> {
        let help = cargo(crate::root(), &["run", "--quiet", "--", "demo", "--help"])
            .stderr(Stdio::null())
            .output()?;
        if !help.status.success() {
            println!("the command line has no `demo`");
            let skipped = BTreeSet::from(["SKIPPED demo: the command line has none".to_owned()]);
            return Ok(Counts { skipped, ..Counts::default() });
        }
        let out = self.work.join("demo");
        let args = ["run", "--release", "--", "demo", "--out"].map(OsStr::new);
        let args: Vec<_> = args.into_iter().chain([out.as_os_str()]).collect();
        let failed = self.counted(crate::root(), &args)?.failed > 0;
        Ok(if failed {
            Counts { failed: 1, ..Counts::default() }
        } else {
            Counts { passed: 1, ..Counts::default() }
        })
    }

    /// The table of steps, the skipped tests by name, and the closing line.
    fn close(self) -> ExitCode {
        println!();
        for step in &self.steps {
            println!(
                "{:>8.1} s  {:<26} {}",
                step.time.as_secs_f64(),
                step.name,
                verdict(&step.counts)
            );
        }
        let total: Duration = self.steps.iter().map(|step| step.time).sum();
        println!("{:>8.1} s  in all", total.as_secs_f64());
        for Step { counts, .. } in &self.steps {
            counts.skipped.iter().chain(&counts.python_skips).for_each(|line| println!("{line}"));
        }
        let sum = |count: fn(&Counts) -> u64| {
            self.steps.iter().map(|step| count(&step.counts)).sum::<u64>()
        };
        let failed = sum(|counts| counts.failed);
        println!(
            "{} passed, {failed} failed, {} skipped",
            sum(|counts| counts.passed),
            sum(Counts::skips)
        );
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn verdict(counts: &Counts) -> String {
    match counts {
        Counts { failed: 0, passed: 0, .. } if counts.skips() == 0 => "ok".into(),
        Counts { failed: 0, passed, .. } => {
            format!("ok, {passed} passed, {} skipped", counts.skips())
        }
        Counts { failed, passed, .. } => {
            format!("FAILED, {passed} passed, {failed} failed, {} skipped", counts.skips())
        }
    }
}

pub(crate) fn cargo(dir: &Path, args: &[impl AsRef<OsStr>]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(args).current_dir(dir).env("RUSTDOCFLAGS", "-D warnings");
    cargo
}

fn metadata() -> Result<Json> {
    let output = cargo(crate::root(), &["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cargo metadata")?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Where builds go.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    let path = metadata.get("target_directory").and_then(Json::as_str);
    path.map(PathBuf::from).context("cargo metadata names no target directory")
}

/// Package and name of each target of a kind.
fn targets(metadata: &Json, kind: &str) -> Vec<(String, String)> {
    let list = |json: &Json, key: &str| {
        json.get(key).and_then(Json::as_array).cloned().unwrap_or_default()
    };
    let name = |json: &Json| json.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for package in list(metadata, "packages") {
        for target in list(&package, "targets") {
            if list(&target, "kind").iter().any(|found| found == kind) {
                found.push((name(&package), name(&target)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_libtest_add_up() {
        let mut counts = Counts::default();
        counts.read("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s");
        counts.read("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        counts.read("test something ... ok");
        assert_eq!((counts.passed, counts.failed, counts.skips()), (4, 2, 1));
        counts.read("1 failed, 96 passed, 2 skipped in 7.22s");
        counts.read("what is 3 passed in this is none");
        assert_eq!((counts.passed, counts.failed, counts.skips()), (100, 3, 3));
    }

    #[test]
    fn examples_are_found_in_the_metadata() {
        let metadata = serde_json::json!({"packages": [
            {"name": "a", "targets": [{"name": "a", "kind": ["lib"]}, {"name": "hello", "kind": ["example"]}]},
            {"name": "b", "targets": []},
        ]});
        assert_eq!(targets(&metadata, "example"), [("a".to_owned(), "hello".to_owned())]);
    }
}
