//! Errors as Python's exceptions: one family, defined in `novatrace/_errors.py`.

use std::io;

use novatrace::{Error, ErrorKind};
use pyo3::prelude::*;

/// The exception for an error of the library.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let message = full_message(error);
    let class = match error.kind() {
        ErrorKind::Create(create) => {
            let source = std::error::Error::source(create).and_then(|error| error.downcast_ref());
            return file_error(py, &message, source);
        }
        ErrorKind::Write { source, .. } => return file_error(py, &message, Some(source)),
        ErrorKind::Worker(source) => return file_error(py, &message, Some(source)),
        ErrorKind::AlreadyOpen { .. }
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

fn file_error(py: Python<'_>, message: &str, source: Option<&io::Error>) -> PyErr {
    let number = source.and_then(io::Error::raw_os_error);
    exception(py, "TraceFileError", (number, message))
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
