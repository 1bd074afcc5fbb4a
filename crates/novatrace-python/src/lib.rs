//! The Python package's extension module, `novatrace._novatrace`. Belongs here: classes that convert what
//! Python gives and forward it. Does not: anything that a Rust user could not have.
//!
//! Docstrings are in the stub, `python/novatrace/_novatrace.pyi`, from which `build.rs` has them.
#![expect(
    clippy::doc_lazy_continuation,
    reason = "their examples are Python's: `>>>` quotes nothing"
)]

/// The docstring that the stub has for a function, class, or `Class.method`.
macro_rules! stub {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/stub/", $name))
    };
}

mod arrays;
mod children;
mod choices;
mod class;
mod command;
mod error;
mod fast;
mod flow;
mod frame;
mod function;
mod generator;
mod hook;
mod legacy;
mod live;
mod monitor;
mod span;
mod task;
mod traced;
mod value;
mod worker;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _novatrace {
    #[pymodule_export]
    use super::children::{_child_started, _join};
    #[pymodule_export]
    use super::command::_command;
    #[pymodule_export]
    use super::flow::Flow;
    #[pymodule_export]
    use super::function::{trace_func, trace_func_args};
    #[pymodule_export]
    use super::generator::{
        _finish_all, OpenSlice, PyCounterTrack, PyGroup, Stats, TraceGenerator, Track,
    };
    #[pymodule_export]
    use super::hook::{_handled, _hook, _hook_thread, _raised, _unhook};
    #[pymodule_export]
    use super::legacy::{
        LegacyCounter, LegacyCounterTrack, LegacyPacket, LegacyPackets, LegacySpan, LegacyTrace,
        LegacyTrack, legacy_instant, legacy_trace, legacy_trace_func,
    };
    #[pymodule_export]
    use super::live::{
        Dump, PyCounter, PyLiveTrack, Report, Session, close, counter, flow, instant, is_recording,
        open, session, trace, track,
    };
    #[pymodule_export]
    use super::monitor::_monitors;
    #[pymodule_export]
    use super::worker::_serve_worker;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::fast::refuse_subinterpreter(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // What is public is said by the package.
        module.delattr("__all__")?;
        super::span::set_up(module)?;
        super::traced::set_up(module)?;
        super::fast::set_up(module)?;
        let atexit = module.py().import("atexit")?;
        atexit.call_method1("register", (module.getattr("_finish_all")?,))?;
        novatrace::__macro_support::wait_by(super::wait);
        super::worker::set_up(module)?;
        Ok(())
    }
}

/// Waits without the interpreter's lock, whether the calling thread has it or not.
fn wait(wait: &mut dyn FnMut()) {
    /// What waits touches nothing of the interpreter's.
    struct Detached<'w>(&'w mut dyn FnMut());
    // SAFETY: it is called by the thread that made it.
    unsafe impl Send for Detached<'_> {}
    let mut detached = Detached(wait);
    let waited = pyo3::Python::try_attach(|py| {
        let detached = &mut detached;
        py.detach(move || (detached.0)());
    });
    if waited.is_none() {
        // The interpreter is on its way out.
        (detached.0)();
    }
}
