//! Processes that the program starts, and that record into its trace: by the interpreter's hook for forks, or by what
//! their environment says. Belongs here: when they join and leave. Does not: how they are kept apart.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};

use novatrace::__macro_support::{CHILD_VARIABLE, child_started, is_fork};
use novatrace::SessionBuilder;
use pyo3::prelude::*;

use crate::error::{OrRaise, warn};
use crate::live::{Session, made_current, name_thread, program_name, session};

/// The session that is open is one that this process has joined by itself.
static HAS_JOINED: AtomicBool = AtomicBool::new(false);

/// Has programs that are started from here on know of the session, or of none.
pub(crate) fn tell(py: Python<'_>, env: Option<(&'static str, OsString)>) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    match env {
        Some((name, value)) => {
            py.import("novatrace._children")?.call_method0("watch_programs")?;
            environ.set_item(name, value)
        }
        None => environ.call_method1("pop", (CHILD_VARIABLE, py.None())).map(drop),
    }
}

/// A program was started, as the process of that number.
#[pyfunction]
pub(crate) fn _child_started(py: Python<'_>, process: u32) {
    name_thread(py);
    child_started(process);
}

/// Joins the trace of the process that started this one, if there is one to join. Answers whether.
#[pyfunction]
pub(crate) fn _join(py: Python<'_>) -> bool {
    // In most forks there is nothing to join, and this is all that is done there.
    if !is_fork() && !is_told(py) {
        return false;
    }
    let joined = join(py).unwrap_or_else(|error| {
        let text = "this process is not in the trace of the one that started it: %s";
        warn(py, (text, error.value(py)));
        false
    });
    HAS_JOINED.store(joined, Ordering::Relaxed);
    joined
}

fn join(py: Python<'_>) -> PyResult<bool> {
    let builder = SessionBuilder::default().process_name(&program_name(py)?);
    let Some(session) = py.detach(|| builder.join()).or_raise(py)? else { return Ok(false) };
    let path = session.path();
    made_current(py, session, path, "its start".to_owned())?;
    Ok(true)
}

/// Whether the environment says what may be joined, as Python knows it.
fn is_told(py: Python<'_>) -> bool {
    let environ = py.import("os").and_then(|os| os.getattr("environ"));
    environ.and_then(|environ| environ.contains(CHILD_VARIABLE)).unwrap_or(false)
}

/// The program opens a session: the one that it has joined by itself is over.
pub(crate) fn leave(py: Python<'_>) {
    if HAS_JOINED.swap(false, Ordering::Relaxed)
        && let Some(joined) = session()
    {
        // What went wrong with it is nothing that the program asked for.
        let _ = Session::close(&joined, py);
    }
}
