//! Tasks of `asyncio`: each has a row of its own while it runs, from a pool, since tasks take turns on
//! their thread. Belongs here: which task runs, and which row it has. Does not: spans.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use novatrace::__macro_support::TaskRow;
use novatrace::LiveTrack;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The rows that tasks have, by the task's address.
static ROWS: Mutex<Option<HashMap<usize, TaskRow>>> = Mutex::new(None);

fn with_rows<T>(work: impl FnOnce(&mut HashMap<usize, TaskRow>) -> T) -> T {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    work(rows.get_or_insert_with(HashMap::new))
}

struct Asyncio {
    modules: Py<PyDict>,
    /// How many modules there were when `asyncio` was not among them, the last time.
    modules_without: AtomicUsize,
    found: PyOnceLock<(Py<PyAny>, Py<PyAny>)>,
    release: Py<PyAny>,
}

static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();

impl Asyncio {
    fn get(py: Python<'_>) -> PyResult<&Self> {
        ASYNCIO.get_or_try_init(py, || {
            Ok(Self {
                modules: py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind(),
                modules_without: AtomicUsize::new(0),
                found: PyOnceLock::new(),
                release: wrap_pyfunction!(_release_row, py)?.into_any().unbind(),
            })
        })
    }
}

/// The task that runs on this thread; `None` at once if nobody has imported `asyncio`.
fn running<'py>(py: Python<'py>, asyncio: &Asyncio) -> PyResult<Option<Bound<'py, PyAny>>> {
    let found = match asyncio.found.get(py) {
        Some(found) => found,
        None => {
            // Nothing was imported since it was not there.
            let modules = asyncio.modules.bind(py);
            let count = modules.len();
            if asyncio.modules_without.load(Ordering::Relaxed) == count {
                return Ok(None);
            }
            let Some(module) = modules.get_item(intern!(py, "asyncio"))? else {
                asyncio.modules_without.store(count, Ordering::Relaxed);
                return Ok(None);
            };
            let functions = (|| -> PyResult<_> {
                let get_loop = module.getattr("_get_running_loop")?.unbind();
                Ok((get_loop, module.getattr("current_task")?.unbind()))
            })();
            // It may be half imported.
            let Ok(functions) = functions else { return Ok(None) };
            asyncio.found.get_or_init(py, || functions)
        }
    };
    let running_loop = found.0.bind(py).call0()?;
    if running_loop.is_none() {
        return Ok(None);
    }
    let task = found.1.bind(py).call1((running_loop,))?;
    Ok((!task.is_none()).then_some(task))
}

/// The row of the task that runs on this thread, if one does.
pub(crate) fn row(py: Python<'_>) -> Option<LiveTrack> {
    let asyncio = Asyncio::get(py).ok()?;
    let task = running(py, asyncio).ok().flatten()?;
    let address = task.as_ptr().addr();
    let known = with_rows(|rows| rows.get(&address).map(|row| row.track().clone()));
    if known.is_some() {
        return known;
    }
    task.call_method1(intern!(py, "add_done_callback"), (asyncio.release.bind(py),)).ok()?;
    let row = TaskRow::take();
    let track = row.track().clone();
    with_rows(|rows| rows.insert(address, row));
    Some(track)
}

/// The task is over, and its row free.
#[pyfunction]
fn _release_row(task: &Bound<'_, PyAny>) {
    with_rows(|rows| rows.remove(&task.as_ptr().addr()));
}
