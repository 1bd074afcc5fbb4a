//! The Python package: a wheel, installed into a virtual environment of its own as a user would, and its tests.
//!
//! The environment is in `target/python`; `stamp` in it holds the requirements that were installed, so that a second run
//! costs nothing but the wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::oracle;

const REQUIREMENTS: &str = "python/tests/requirements.txt";

/// A virtual environment that has the package.
pub(crate) struct Environment {
    python: PathBuf,
}

impl Environment {
    /// Makes it; `None` if there is no Python.
    pub(crate) fn set_up(target: &Path) -> Result<Option<Self>> {
        let home = target.join("python");
        let venv = home.join("venv");
        let stamp = home.join("stamp");
        let requirements =
            fs::read_to_string(crate::root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
        if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) {
            let Some(python) = oracle::python() else { return Ok(None) };
            oracle::install(&python, &venv, REQUIREMENTS)?;
            fs::write(&stamp, requirements).with_context(|| stamp.display().to_string())?;
        }
        let environment = Self { python: oracle::interpreter(&venv) };
        environment.install_package(&home.join("wheels"))?;
        Ok(Some(environment))
    }

    /// Builds a wheel, and installs it.
    fn install_package(&self, wheels: &Path) -> Result<()> {
        if wheels.exists() {
            fs::remove_dir_all(wheels).with_context(|| wheels.display().to_string())?;
        }
        let mut build = self.module("maturin");
        build.args(["build", "--release", "--quiet", "--interpreter"]).arg(&self.python);
        run(build.arg("--out").arg(wheels))?;
        let mut wheel = fs::read_dir(wheels)?.filter_map(|entry| Some(entry.ok()?.path()));
        let wheel = wheel.next().context("maturin made no wheel")?;
        println!("{} of {} bytes", wheel.display(), wheel.metadata()?.len());
        let mut install = self.module("pip");
        install.args(["install", "--quiet", "--no-deps", "--no-index", "--force-reinstall"]);
        run(install.arg("--disable-pip-version-check").arg(wheel))
    }

    /// The tests. Warnings are errors.
    pub(crate) fn tests(&self) -> Command {
        let mut command = self.module("pytest");
        command.args(["-q", "-W", "error", "-p", "no:cacheprovider", "-rs"]);
        // Not the root, where the sources of the package would be found instead of the package.
        command.current_dir(crate::root().join("python/tests"));
        command
    }

    /// Checks the stub against the module.
    pub(crate) fn stub_test(&self) -> Command {
        let mut command = self.module("mypy.stubtest");
        command
            .args(["novatrace", "--ignore-disjoint-bases"])
            .current_dir(crate::root().join("python/tests"));
        command
    }

    fn module(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", name]).current_dir(crate::root());
        command
    }
}

/// The interpreter of a virtual environment with a server that speaks S3, set up if it is not there yet; `None` if there
/// is no Python.
pub(crate) fn server_of_s3(target: &Path) -> Result<Option<PathBuf>> {
    const REQUIREMENTS: &str = "crates/novatrace-sink/tests/moto.txt";
    let home = target.join("object-store");
    let (venv, stamp) = (home.join("venv"), home.join("stamp"));
    let requirements =
        fs::read_to_string(crate::root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) {
        let Some(python) = oracle::python() else { return Ok(None) };
        oracle::install(&python, &venv, REQUIREMENTS)?;
        fs::write(&stamp, requirements).with_context(|| stamp.display().to_string())?;
    }
    Ok(Some(oracle::interpreter(&venv)))
}

/// The tests alone.
pub(crate) fn run_tests(arguments: &[String]) -> Result<ExitCode> {
    oracle::set_up()?;
    let environment = Environment::set_up(&crate::test::target_dir()?)?;
    let environment = environment.context("there is no Python 3.10 or later on the PATH")?;
    let status = environment.tests().args(arguments).status().context("pytest")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
