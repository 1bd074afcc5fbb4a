//! `_tgen`: tracks with times in seconds.

use novatrace::Seconds;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::flow::flow_numbers;
use crate::generator::{Details, PyCounterTrack, Track, begin, counter_value, emit};
use crate::value::{any_text, text};

/// The base of `NormalTrack`.
#[pyclass(subclass, frozen, module = "novatrace", name = "_LegacyTrack")]
pub(crate) struct LegacyTrack {
    track: Py<Track>,
}

/// Whether there is something in `kwargs`, `flow` or `category_list`: not `None` and not an empty list.
pub(super) fn given<'a, 'py>(
    object: Option<&'a Bound<'py, PyAny>>,
) -> Option<&'a Bound<'py, PyAny>> {
    object.filter(|object| !object.is_none() && object.len().map_or(true, |len| len > 0))
}

fn seconds(object: &Bound<'_, PyAny>) -> PyResult<Seconds> {
    object.extract().map(Seconds)
}

/// What an event says beside its name, as the old calls give it.
fn details<'a, 'py>(
    kwargs: Option<&'a Bound<'py, PyAny>>,
    flow: Option<&'a Bound<'py, PyAny>>,
    categories: Option<&'a Bound<'py, PyAny>>,
) -> Details<'a, 'py> {
    Details {
        category: given(categories),
        flow: given(flow),
        flow_end: None,
        args: given(kwargs),
        kwargs: None,
    }
}

impl LegacyTrack {
    #[expect(clippy::too_many_arguments, reason = "the old call")]
    #[inline]
    pub(crate) fn record<'py>(
        &self,
        py: Python<'py>,
        ts: &Bound<'py, PyAny>,
        dur: &Bound<'py, PyAny>,
        annotation: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        categories: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let Track { shared, track } = self.track.get();
        let name = any_text(annotation)?;
        let name = text(&name);
        let event = track.duration(seconds(ts)?, seconds(dur)?, &*name);
        emit(py, event, &details(kwargs, flow, categories), shared)
    }
}

#[pymethods]
impl LegacyTrack {
    /// Further arguments are for `__init__` of the class.
    #[new]
    #[pyo3(signature = (track, *_further, **_named))]
    fn new(
        track: Py<Track>,
        _further: &Bound<'_, PyAny>,
        _named: Option<&Bound<'_, PyAny>>,
    ) -> Self {
        Self { track }
    }

    #[pyo3(signature = (ts, dur, annotation, kwargs=None, flow=None, category_list=None))]
    fn duration<'py>(
        slf: Bound<'py, Self>,
        ts: &Bound<'py, PyAny>,
        dur: &Bound<'py, PyAny>,
        annotation: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        category_list: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        slf.get().record(slf.py(), ts, dur, annotation, kwargs, flow, category_list)?;
        Ok(slf)
    }

    #[pyo3(signature = (ts, annotation, kwargs=None, flow=None, category_list=None))]
    fn instant<'py>(
        slf: Bound<'py, Self>,
        ts: &Bound<'py, PyAny>,
        annotation: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        category_list: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let Track { shared, track } = slf.get().track.get();
        let name = any_text(annotation)?;
        let name = text(&name);
        let event = track.instant(seconds(ts)?, &*name);
        emit(py, event, &details(kwargs, flow, category_list), shared)?;
        Ok(slf)
    }

    #[pyo3(signature = (ts, annotation, kwargs=None, flow=None, category_list=None))]
    fn open<'py>(
        slf: Bound<'py, Self>,
        ts: &Bound<'py, PyAny>,
        annotation: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        category_list: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let Track { shared, track } = slf.get().track.get();
        let name = any_text(annotation)?;
        let name = text(&name);
        let event = track.slice(seconds(ts)?, &*name);
        // It is ended by the track.
        let _ = begin(py, event, &details(kwargs, flow, category_list), shared)?;
        Ok(slf)
    }

    #[pyo3(signature = (ts, flow=None))]
    fn close<'py>(
        slf: Bound<'py, Self>,
        ts: &Bound<'py, PyAny>,
        flow: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let Track { shared, track } = slf.get().track.get();
        let time = seconds(ts)?;
        if let Some(flow) = given(flow) {
            // The viewer has no arrows from ends: an instant at the end stands for it.
            let flows = flow_numbers(flow)?.into_iter().map(|flow| shared.flow(flow));
            track.instant(time, "end").flows(flows).emit().or_raise(py)?;
        }
        track.end(time).or_raise(py)?;
        Ok(slf)
    }
}

/// The base of `CounterTrack`.
#[pyclass(subclass, frozen, module = "novatrace", name = "_LegacyCounterTrack")]
pub(crate) struct LegacyCounterTrack {
    counter: Py<PyCounterTrack>,
}

#[pymethods]
impl LegacyCounterTrack {
    #[new]
    #[pyo3(signature = (counter, *_further, **_named))]
    fn new(
        counter: Py<PyCounterTrack>,
        _further: &Bound<'_, PyAny>,
        _named: Option<&Bound<'_, PyAny>>,
    ) -> Self {
        Self { counter }
    }

    #[pyo3(signature = (ts, value))]
    fn count<'py>(
        slf: Bound<'py, Self>,
        ts: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        slf.get().record(slf.py(), ts, value)?;
        Ok(slf)
    }
}

impl LegacyCounterTrack {
    #[inline]
    pub(crate) fn record(
        &self,
        py: Python<'_>,
        ts: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.counter.get().counter.count(seconds(ts)?, counter_value(value)?).or_raise(py)
    }
}
