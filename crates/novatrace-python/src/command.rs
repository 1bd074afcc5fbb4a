//! The command line, which the package's own `novatrace` passes on to.

use std::ffi::OsString;
use std::process::ExitCode;

use pyo3::prelude::*;

/// Does what `novatrace` with these arguments does; answers its exit status.
#[pyfunction]
pub(crate) fn _command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    let arguments = std::iter::once(OsString::from("novatrace")).chain(arguments);
    let status = py.detach(|| novatrace_cli::main(arguments));
    // An `ExitCode` does not tell which it is, but that it is success.
    (0..=2).find(|&code| ExitCode::from(code) == status).unwrap_or(1)
}
