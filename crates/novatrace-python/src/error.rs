//! Errors as Python's exceptions: one family, defined in `novatrace/_errors.py`.

use std::path::Path;

use novatrace::{CreateError, Error, ErrorKind};
use pyo3::prelude::*;

/// The exception for an error of the library.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let message = full_message(error);
    let class = match error.kind() {
        ErrorKind::Create(create) => {
            let (number, path) = match create {
                CreateError::IsDirectory { path } => (errno(py, "EISDIR"), path),
                CreateError::NoParent { path, .. } => (errno(py, "ENOENT"), path),
                CreateError::InUse { path } => (errno(py, "EBUSY"), path),
                CreateError::Io { path, source } => (source.raw_os_error(), path),
                _ => return file_error(py, &message, None, None),
            };
            return file_error(py, &message, number.or_else(|| errno(py, "EINVAL")), Some(path));
        }
        ErrorKind::Write { source, path, .. } => {
            let number = source.raw_os_error().or_else(|| errno(py, "EIO"));
            return file_error(py, &message, number, path.as_deref());
        }
        ErrorKind::Join { source, path } => {
            let number = source.raw_os_error().or_else(|| errno(py, "EINVAL"));
            return file_error(py, &message, number, Some(path));
        }
        ErrorKind::Worker(source) | ErrorKind::Signal { source, .. } => {
            return file_error(py, &message, source.raw_os_error(), None);
        }
        ErrorKind::AlreadyOpen { .. }
        | ErrorKind::NoFlightRecorder
        | ErrorKind::Forked { .. }
        | ErrorKind::Finished { .. }
        | ErrorKind::EndWithoutBegin { .. } => "TraceStateError",
        _ => "TraceValueError",
    };
    exception(py, class, (message,))
}

/// The message, and those of its causes that it does not repeat.
pub(crate) fn full_message(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

/// The number of an error that has not come from the operating system.
fn errno(py: Python<'_>, name: &str) -> Option<i32> {
    py.import("errno").ok()?.getattr(name).ok()?.extract().ok()
}

fn file_error(py: Python<'_>, message: &str, number: Option<i32>, path: Option<&Path>) -> PyErr {
    exception(py, "TraceFileError", (number, message, path.map(Path::as_os_str)))
}

/// An exception of the family, by name.
pub(crate) fn exception(
    py: Python<'_>,
    class: &str,
    arguments: impl for<'py> pyo3::call::PyCallArgs<'py>,
) -> PyErr {
    let made = py
        .import("novatrace._errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1(arguments));
    match made {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

pub(crate) fn value_error(py: Python<'_>, message: impl Into<String>) -> PyErr {
    exception(py, "TraceValueError", (message.into(),))
}

pub(crate) fn state_error(py: Python<'_>, message: impl Into<String>) -> PyErr {
    exception(py, "TraceStateError", (message.into(),))
}

/// Tells the logger `novatrace`, by its arguments. The program goes on all the same, whatever handlers do.
pub(crate) fn warn<'py>(py: Python<'py>, arguments: impl pyo3::call::PyCallArgs<'py>) {
    let tell = || {
        let logger = py.import("logging")?.call_method1("getLogger", ("novatrace",))?;
        logger.call_method1("warning", arguments)
    };
    drop(tell());
}

/// What a call answers, with the error as an exception.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}
