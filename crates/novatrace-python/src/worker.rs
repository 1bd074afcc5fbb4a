//! The worker in a process of its own, which is an interpreter: how it is started, and what it does. Belongs here
//! too: saying that there is none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use novatrace::__macro_support::{serve, set_command};
use pyo3::prelude::*;

use crate::error::warn;

/// What the interpreter runs: this module by itself, from its file, without the package.
const PROGRAM: &str = "\
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
file = sys.argv[1]
spec = ModuleSpec('novatrace._novatrace', ExtensionFileLoader('novatrace._novatrace', file), origin=file)
module = spec.loader.create_module(spec)
spec.loader.exec_module(module)
module._serve_worker(sys.argv)";

/// Has workers started from the interpreter, if that is a program which can be asked to run something.
pub(crate) fn set_up(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let sys = module.py().import("sys")?;
    let executable: Option<PathBuf> = sys.getattr("executable")?.extract()?;
    let file = module.getattr("__spec__").and_then(|spec| spec.getattr("origin"));
    let file = file.and_then(|file| file.extract::<OsString>());
    if let (Some(executable), Ok(file)) = (executable, file)
        && is_python(&executable)
    {
        // Isolated from what the environment and the user's folder say, and without `site`, which takes most of
        // an interpreter's start.
        let options = ["-I", "-S", "-E", "-B", "-c", PROGRAM].map(OsString::from);
        set_command([executable.into()].into_iter().chain(options).chain([file]).collect());
    }
    Ok(())
}

/// A program that has an interpreter within it takes other arguments, and may do anything when it is started.
fn is_python(executable: &Path) -> bool {
    let name = executable.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.contains("python")
}

/// If the arguments say that this process is a worker, is one until its program is done, and ends.
#[pyfunction]
pub(crate) fn _serve_worker(py: Python<'_>, arguments: Vec<OsString>) {
    py.detach(|| {
        // Without the interpreter's way out: what it would tidy up ends with the process.
        if let Some(code) = serve(arguments) {
            std::process::exit(i32::from(code != ExitCode::SUCCESS));
        }
    });
}

/// Says once that a trace has no process to itself, if one was asked for.
pub(crate) fn tell_fallback(py: Python<'_>, path: &Path, why: Option<&str>) {
    let Some(why) = why else { return };
    warn(py, ("the worker of %s is a thread and not a process: %s", path, why));
}
