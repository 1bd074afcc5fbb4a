//! `_profile`: spans that hand out flow ids and say where they come from.

use novatrace::__macro_support::{CallSite, Fields, flow_of};
use novatrace::{LiveTrack, Name};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::error::{state_error, value_error};
use crate::flow::flow_numbers;
use crate::frame::Place;
use crate::function::{Decorate, function_name, skipped};
use crate::generator::counter_value;
use crate::live::{Opened, PyLiveTrack, name_thread, record_instant, say_args, site};
use crate::value::{any_text, text};

/// `_trace`
#[pyclass(subclass, module = "novatrace", name = "_LegacySpan")]
pub(crate) struct LegacySpan {
    name: Py<PyString>,
    track: Option<LiveTrack>,
    args: Option<Py<PyTuple>>,
    kwargs: Option<Py<PyDict>>,
    incoming: Vec<u64>,
    outgoing: Py<PyList>,
    place: Option<Place>,
    opened: Opened,
}

fn new_flows(py: Python<'_>, count: usize) -> PyResult<Vec<u64>> {
    // Each is written into the event.
    const MOST: usize = 1 << 20;
    if count > MOST {
        return Err(value_error(py, format!("an event has at most {MOST} new flows, not {count}")));
    }
    Ok((0..count).map(|_| novatrace::flow().get()).collect())
}

#[pymethods]
impl LegacySpan {
    /// Flows that lead here.
    fn set_incoming_flow_ids<'py>(
        slf: Bound<'py, Self>,
        incoming_flow_ids: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let numbers = flow_numbers(incoming_flow_ids)?;
        slf.try_borrow_mut()?.incoming.extend(numbers);
        Ok(slf)
    }

    /// New flows that begin here: `with` gives their numbers.
    fn get_outgoing_flow_ids<'py>(
        slf: Bound<'py, Self>,
        num_outgoing_flow_ids: usize,
    ) -> PyResult<Bound<'py, Self>> {
        {
            let this = slf.try_borrow()?;
            let py = slf.py();
            if !matches!(this.opened, Opened::No) {
                return Err(state_error(
                    py,
                    "flows are to be asked for before the span is entered",
                ));
            }
            let outgoing = this.outgoing.bind(py);
            outgoing.set_slice(
                0,
                outgoing.len(),
                PyList::new(py, new_flows(py, num_outgoing_flow_ids)?)?.as_any(),
            )?;
        }
        Ok(slf)
    }

    /// Where the span comes from: `(file, line, function)`, or a function.
    fn set_caller<'py>(
        slf: Bound<'py, Self>,
        caller: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let place = if let Ok(caller) = caller.cast::<PyTuple>() {
            Some(Place {
                file: any_text(&caller.get_item(0)?)?.unbind(),
                line: caller.get_item(1)?.extract()?,
                function: any_text(&caller.get_item(2)?)?.unbind(),
            })
        } else {
            caller.getattr(intern!(slf.py(), "__code__")).ok().as_ref().and_then(Place::of_code)
        };
        slf.try_borrow_mut()?.place = place;
        Ok(slf)
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        with_critical_section(slf, || Self::enter(slf))
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let _ = (kind, error, traceback);
        with_critical_section(slf, || slf.try_borrow_mut().map(|mut span| span.opened.end()))?;
        Ok(false)
    }
}

impl LegacySpan {
    fn enter<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let mut this = slf.try_borrow_mut()?;
        let Self { name, track, args, kwargs, incoming, outgoing, place, opened } = &mut *this;
        let site = site(None);
        if let Some(on) = site.on() {
            if !matches!(opened, Opened::No) {
                return Err(state_error(py, "the span is open already: make another with trace()"));
            }
            let caller = if place.is_none() { Place::of_caller(py) } else { None };
            let flows = flow_numbers(outgoing.bind(py).as_any())?;
            let name = text(name.bind(py));
            *opened = Opened::begin(py, on, site, track.as_ref(), &name, |fields| {
                if let Some(place) = place.as_ref().or(caller.as_ref()) {
                    place.say(py, fields);
                }
                incoming.iter().chain(&flows).for_each(|&flow| fields.flow(flow_of(flow)));
                if args.is_none() && kwargs.is_none() {
                    return Ok(());
                }
                let shown = PyDict::new(py);
                if let Some(args) = args {
                    shown.set_item(intern!(py, "kargs"), &*args)?;
                }
                if let Some(kwargs) = kwargs {
                    shown.set_item(intern!(py, "kwargs"), &*kwargs)?;
                }
                say_args(shown.as_any(), fields)
            })?;
        }
        Ok(outgoing.bind(py).clone())
    }
}

/// A span on the track, or the thread's own.
#[pyfunction]
#[pyo3(signature = (track, name, args, kwargs, /))]
pub(crate) fn legacy_trace(
    py: Python<'_>,
    track: Option<&Bound<'_, PyLiveTrack>>,
    name: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: &Bound<'_, PyDict>,
) -> PyResult<LegacySpan> {
    Ok(LegacySpan {
        name: any_text(name)?.unbind(),
        track: track.map(|track| track.get().0.clone()),
        args: (!args.is_empty()).then(|| args.clone().unbind()),
        kwargs: (!kwargs.is_empty()).then(|| kwargs.clone().unbind()),
        incoming: Vec::new(),
        outgoing: PyList::empty(py).unbind(),
        place: None,
        opened: Opened::No,
    })
}

/// An instant on the track, or the thread's own; answers the flows that begin there.
#[pyfunction]
#[pyo3(signature = (track, name, description, num_outgoing_flow_ids, incoming_flow_ids, /))]
pub(crate) fn legacy_instant(
    py: Python<'_>,
    track: Option<&Bound<'_, PyLiveTrack>>,
    name: &Bound<'_, PyAny>,
    description: Option<&Bound<'_, PyAny>>,
    num_outgoing_flow_ids: usize,
    incoming_flow_ids: &Bound<'_, PyAny>,
) -> PyResult<Vec<u64>> {
    let flows = new_flows(py, num_outgoing_flow_ids)?;
    let incoming = flow_numbers(incoming_flow_ids)?;
    let name = any_text(name)?;
    let track = track.map(|track| &track.get().0);
    // The caller of the module's `instant`, which is Python.
    record_instant(py, site(None), track, &text(&name), |fields: &mut Fields| {
        if let Some(place) = Place::of_callers_caller(py) {
            place.say(py, fields);
        }
        incoming.iter().chain(&flows).for_each(|&flow| fields.flow(flow_of(flow)));
        match description {
            Some(description) => say_args(description, fields),
            None => Ok(()),
        }
    })?;
    Ok(flows)
}

/// The decorators: the function's name, and where it is.
#[pyfunction]
#[pyo3(signature = (function, track, with_args, /))]
pub(crate) fn legacy_trace_func(
    function: &Bound<'_, PyAny>,
    track: Option<&Bound<'_, PyLiveTrack>>,
    with_args: bool,
) -> PyResult<Py<PyAny>> {
    let py = function.py();
    let name = match function.getattr(intern!(py, "__name__")) {
        Ok(name) => text(&any_text(&name)?).into_owned(),
        Err(_) => function_name(function)?,
    };
    let decorate = Decorate {
        name: Some(name),
        category: Name::new("default").as_str(),
        track: track.map(|track| track.get().0.clone()),
        skipped: with_args.then(|| skipped(Vec::new())),
        with_place: true,
    };
    decorate.decorate(function)
}

/// The base of `count`.
#[pyclass(subclass, frozen, module = "novatrace", name = "_LegacyCounter")]
pub(crate) struct LegacyCounter(&'static novatrace::Counter);

#[pymethods]
impl LegacyCounter {
    #[new]
    fn new(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = any_text(name)?;
        let category = CallSite::category(site(None));
        Ok(Self(novatrace::Counter::made(&text(&name), None, category)))
    }

    fn count(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        name_thread(py);
        self.0.set(counter_value(value)?);
        Ok(())
    }

    fn increment(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        name_thread(py);
        self.0.add(counter_value(value)?);
        Ok(())
    }

    #[getter]
    fn _value(&self) -> f64 {
        self.0.value()
    }
}
