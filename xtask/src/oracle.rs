//! The oracle: a Python virtual environment with Perfetto's trace processor and Node, in `.oracle/`.
//!
//! `.oracle/stamp` holds the requirements that were installed, so that a second run costs nothing and a changed
//! `tests/oracle/requirements.txt` starts afresh.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use novatrace_testkit::Oracle;

const REQUIREMENTS: &str = "tests/oracle/requirements.txt";

/// What came of it.
pub(crate) enum SetUp {
    /// Tests can use it.
    Ready,
    /// There is no Python to install it with: the tests that need it are skipped.
    Absent(String),
}

/// Sets the oracle up if it is not there yet.
///
/// An oracle that `NOVATRACE_ORACLE` names is the user's own and left as it is.
pub(crate) fn set_up() -> Result<SetUp> {
    let home = crate::oracle_home();
    if std::env::var_os("NOVATRACE_ORACLE").is_some() {
        Oracle::at(&home)?;
        return Ok(SetUp::Ready);
    }
    let requirements =
        fs::read_to_string(crate::root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    let stamp = home.join("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements)
        && Oracle::at(&home).is_ok()
    {
        println!("the oracle is in {}", home.display());
        return Ok(SetUp::Ready);
    }
    let Some(python) = python() else {
        let why = "there is no Python 3.10 or later on the PATH; install python3 and python3-venv"
            .to_owned();
        println!("no oracle: {why}");
        return Ok(SetUp::Absent(why));
    };
    install(&python, &home.join("venv"), REQUIREMENTS)?;
    Oracle::at(&home).context("the packages were installed, but are not as expected")?;
    fs::write(&stamp, requirements).with_context(|| stamp.display().to_string())?;
    println!("the oracle is in {}", home.display());
    Ok(SetUp::Ready)
}

/// The first Python that can be used. Several are tried, since the first on the PATH may be too old.
pub(crate) fn python() -> Option<PathBuf> {
    ["python3", "python", "python3.13", "python3.12", "python3.11", "python3.10"]
        .map(PathBuf::from)
        .into_iter()
        .find(|python| {
            let check = "import sys; sys.exit(sys.version_info < (3, 10))";
            let status = Command::new(python)
                .args(["-c", check])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        })
}

/// The interpreter of a virtual environment.
pub(crate) fn interpreter(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts/python.exe") } else { venv.join("bin/python") }
}

/// Makes a virtual environment with what the requirements name.
pub(crate) fn install(python: &Path, venv: &Path, requirements: &str) -> Result<()> {
    if let Some(home) = venv.parent() {
        fs::create_dir_all(home).with_context(|| home.display().to_string())?;
    }
    let made = Command::new(python)
        .args(["-m", "venv", "--clear"])
        .arg(venv)
        .output()
        .context("python3 -m venv")?;
    if !made.status.success() {
        bail!(
            "cannot make a virtual environment with {}: install its `venv` module (Debian, Ubuntu: apt-get install python3-venv)\n{}{}",
            python.display(),
            String::from_utf8_lossy(&made.stdout),
            String::from_utf8_lossy(&made.stderr)
        );
    }
    let bin = interpreter(venv);
    // Wheels only and nothing but what is named, by hash: no build scripts run and nothing can drift.
    let mut pip = Command::new(bin);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--no-deps",
        "--require-hashes",
    ]);
    pip.arg("--requirement").arg(crate::root().join(requirements));
    let status = pip.status().with_context(|| format!("{pip:?}"))?;
    ensure!(
        status.success(),
        "pip could not install {requirements} (its reasons are above): it needs a network, or a mirror that it is \
         configured for, and a Python and platform that the file has hashes for\nthe command was {pip:?}"
    );
    Ok(())
}
