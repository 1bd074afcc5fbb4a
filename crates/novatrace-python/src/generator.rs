//! Explicit times: `TraceGenerator` and its tracks. Belongs here: what the calls take. Does not: arrays of
//! events, the old module's calls.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use novatrace::{
    Complete, CounterTrack, CounterValue, ErrorKind, Event, FlowId, Group, GroupTrack, NormalTrack,
    Open, Overlap, Seconds, Time as _, TimeFault,
};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString};

use crate::arrays::nanoseconds;
use crate::choices;
use crate::error::{OrRaise, full_message, value_error};
use crate::flow::{Flow, flow_numbers};
use crate::live::flush_session;
use crate::value::{Described, Reader, any_text, digits, index, limits, text};
use crate::worker::tell_fallback;

/// A trace, as all its objects in Python share it.
pub(crate) struct Shared {
    pub(crate) trace: novatrace::TraceGenerator,
    path: PathBuf,
    list_max_size: AtomicUsize,
    /// Whether somebody was told how it ended.
    is_finished: AtomicBool,
}

/// All traces that may have to be finished at exit.
static OPEN: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

impl Shared {
    fn set_batch(&self, py: Python<'_>, batch: &choices::Batch) {
        let trace = &self.trace;
        py.detach(|| batch.apply(trace.batch(), |p, b, time| trace.set_batch(p, b, time)));
    }

    pub(crate) fn create(
        py: Python<'_>,
        path: PathBuf,
        builder: novatrace::TraceBuilder,
        list_max_size: usize,
    ) -> PyResult<Arc<Self>> {
        let open = || OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<_> = open().iter().filter_map(Weak::upgrade).collect();
        let is_left = left.iter().any(|shared| shared.path == path);
        drop(left);
        if is_left {
            // Perhaps nobody has it any more: a trace and its tracks may be a cycle.
            py.import("gc")?.call_method0("collect")?;
        }
        let trace = py.detach(|| builder.limits(limits()).create(&path)).or_raise(py)?;
        let list_max_size = AtomicUsize::new(list_max_size);
        let shared =
            Arc::new(Self { trace, path, list_max_size, is_finished: AtomicBool::new(false) });
        {
            let mut open = open();
            open.retain(|trace| trace.strong_count() > 0);
            open.push(Arc::downgrade(&shared));
        }
        tell_fallback(py, &shared.path, shared.trace.worker_fallback());
        Ok(shared)
    }

    fn reader(&self) -> Reader {
        Reader::new(self.list_max_size.load(Ordering::Relaxed))
    }

    pub(crate) fn set_list_max_size(&self, size: usize) {
        self.list_max_size.store(size, Ordering::Relaxed);
    }

    pub(crate) fn flow(&self, number: u64) -> FlowId {
        self.trace.import_flow(number)
    }
}

/// Completes every trace that is left, at the interpreter's exit, and says which cannot be. A live session
/// goes on to the end of the process, which nothing can be said at any more: what is wrong by now is said.
#[pyfunction]
pub(crate) fn _finish_all(py: Python<'_>) {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    let errors: Vec<_> = py.detach(|| {
        let left = open.iter().filter_map(Weak::upgrade);
        let left = left.filter(|shared| !shared.is_finished.load(Ordering::Relaxed));
        let finished = left.map(|shared| shared.trace.finish().map(drop));
        finished.chain([flush_session()]).filter_map(Result::err).collect()
    });
    for error in errors {
        // A child's traces are its parent's to complete.
        if !matches!(error.kind(), ErrorKind::Forked { .. }) {
            let line = format!("novatrace: {}\n", full_message(&error));
            let stderr = py.import("sys").and_then(|sys| sys.getattr("stderr"));
            // There may be none to write to.
            drop(stderr.and_then(|stderr| stderr.call_method1("write", (line,))));
        }
    }
}

/// A time or length as it was given: an `int` is nanoseconds, a `float` seconds.
pub(crate) enum When {
    Ns(i64),
    Seconds(f64),
}

impl When {
    pub(crate) fn of(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        if let Ok(number) = object.cast::<PyInt>() {
            return Self::ns(number, what);
        }
        if let Ok(number) = object.cast::<PyFloat>() {
            return Ok(Self::Seconds(number.extract()?));
        }
        Self::of_other(object, what)
    }

    fn ns(number: &Bound<'_, PyInt>, what: &str) -> PyResult<Self> {
        if let Ok(ns) = number.extract() {
            return Ok(Self::Ns(ns));
        }
        let digits = digits(number)?;
        let digits: String = text(&digits).chars().take(40).collect();
        Err(value_error(number.py(), format!("{what} is out of range: {digits} ns")))
    }

    /// As a point in time, in nanoseconds.
    fn point(&self) -> Result<u64, TimeFault> {
        match *self {
            Self::Ns(ns) => ns.point(),
            Self::Seconds(seconds) => Seconds(seconds).point(),
        }
    }

    /// Numbers of other libraries, such as numpy's.
    #[cold]
    fn of_other(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let py = object.py();
        let no_index = match index(object) {
            Ok(Some(number)) => return Self::ns(&number, what),
            Ok(None) => None,
            // An array of one float has the method, and refuses.
            Err(error) if error.is_instance_of::<PyTypeError>(py) => Some(error),
            Err(error) => return Err(error),
        };
        if let Some(ns) = nanoseconds(object, what)? {
            return Self::of(&ns, what);
        }
        let class = object.get_type();
        if class.hasattr("__float__")? {
            return Ok(Self::Seconds(object.extract()?));
        }
        if let Some(error) = no_index {
            return Err(error);
        }
        let given = class.name()?;
        Err(PyTypeError::new_err(format!(
            "{what} must be an int (nanoseconds) or a float (seconds), not {}",
            text(&given)
        )))
    }
}

fn mixed() -> PyErr {
    PyTypeError::new_err(
        "start and length must both be ints (nanoseconds) or both be floats (seconds)",
    )
}

/// A counter's value.
pub(crate) fn counter_value(object: &Bound<'_, PyAny>) -> PyResult<CounterValue> {
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(CounterValue::Double(number.extract()?));
    }
    let py = object.py();
    match object.extract::<i64>() {
        Ok(value) => Ok(CounterValue::Int(value)),
        // None, or one that is too large.
        Err(error)
            if error.is_instance_of::<PyTypeError>(py)
                || error.is_instance_of::<PyOverflowError>(py) =>
        {
            Ok(CounterValue::Double(object.extract()?))
        }
        Err(error) => Err(error),
    }
}

/// The texts of a `str`, or of each in a sequence of them.
pub(crate) fn texts<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    match object.cast::<PyString>() {
        Ok(text) => Ok(vec![text.clone()]),
        Err(_) => object.try_iter()?.map(|item| any_text(&item?)).collect(),
    }
}

/// What an event says beside its name.
pub(crate) struct Details<'a, 'py> {
    pub(crate) category: Option<&'a Bound<'py, PyAny>>,
    pub(crate) flow: Option<&'a Bound<'py, PyAny>>,
    pub(crate) flow_end: Option<&'a Bound<'py, PyAny>>,
    pub(crate) args: Option<&'a Bound<'py, PyAny>>,
    pub(crate) kwargs: Option<&'a Bound<'py, PyDict>>,
}

/// Records the event with all that.
pub(crate) fn emit(
    py: Python<'_>,
    event: Event<'_, Complete, ()>,
    details: &Details<'_, '_>,
    shared: &Shared,
) -> PyResult<()> {
    let reader = shared.reader();
    detailed(event, details, shared, &reader)?.emit().or_raise(py)?;
    reader.finish()
}

/// Begins the slice with all that.
pub(crate) fn begin(
    py: Python<'_>,
    event: Event<'_, Open, ()>,
    details: &Details<'_, '_>,
    shared: &Shared,
) -> PyResult<novatrace::OpenSlice> {
    let reader = shared.reader();
    let slice = detailed(event, details, shared, &reader)?.begin().or_raise(py)?;
    reader.finish()?;
    Ok(slice)
}

fn detailed<'e, S>(
    mut event: Event<'e, S, ()>,
    details: &Details<'_, '_>,
    shared: &Shared,
    reader: &Reader,
) -> PyResult<Event<'e, S, ()>> {
    if let Some(args) = details.args {
        event = event.args(Described(reader.value(args)));
    }
    if let Some(kwargs) = details.kwargs {
        event = event.args(reader.value(kwargs.as_any()));
    }
    if let Some(category) = details.category {
        for category in &texts(category)? {
            event = event.categories([&*text(category)]);
        }
    }
    if let Some(flow) = details.flow {
        event = event.flows(flow_numbers(flow)?.into_iter().map(|flow| shared.flow(flow)));
    }
    if let Some(flow) = details.flow_end {
        event = event.flows_end(flow_numbers(flow)?.into_iter().map(|flow| shared.flow(flow)));
    }
    Ok(event)
}

#[doc = stub!("TraceGenerator")]
#[pyclass(frozen, subclass, weakref, module = "novatrace")]
pub(crate) struct TraceGenerator {
    pub(crate) shared: Arc<Shared>,
}

#[pymethods]
impl TraceGenerator {
    #[new]
    #[pyo3(signature = (path, *, attributes=None, window=None, overlap="lane", default_category="default", list_max_size=256, flush_interval=None, batch_bytes=None, compression=None, worker="thread", rotate_bytes=None, rotate_seconds=None, keep=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python's")]
    pub(crate) fn new(
        py: Python<'_>,
        path: PathBuf,
        attributes: Option<&Bound<'_, PyDict>>,
        window: Option<usize>,
        overlap: &str,
        default_category: Option<&str>,
        list_max_size: usize,
        flush_interval: Option<f64>,
        batch_bytes: Option<usize>,
        compression: Option<&str>,
        worker: &str,
        rotate_bytes: Option<u64>,
        rotate_seconds: Option<f64>,
        keep: Option<u32>,
    ) -> PyResult<Self> {
        let mut builder = novatrace::TraceGenerator::builder();
        for (key, value) in choices::attributes(attributes)? {
            builder = builder.attribute(&key, value);
        }
        if let Some(window) = window {
            builder = builder.window(window);
        }
        builder = builder.overlap(match overlap {
            "lane" => Overlap::Lane,
            "refuse" => Overlap::Refuse,
            other => {
                let message = format!("overlap is \"lane\" or \"refuse\", not {other:?}");
                return Err(value_error(py, message));
            }
        });
        builder = builder.default_category(default_category);
        let batch = choices::Batch::new(py, batch_bytes, flush_interval)?;
        if let Some(compression) = compression {
            builder = builder.compression(choices::compression(py, compression)?);
        }
        if let Some(rotate) = choices::rotate(py, rotate_bytes, rotate_seconds, keep)? {
            builder = builder.rotate(rotate);
        }
        builder = builder.worker(choices::worker(py, worker)?);
        let shared = Shared::create(py, path, builder, list_max_size)?;
        shared.set_batch(py, &batch);
        Ok(Self { shared })
    }

    #[doc = stub!("TraceGenerator.path")]
    #[getter]
    fn path(&self) -> &OsStr {
        self.shared.path.as_os_str()
    }

    #[doc = stub!("TraceGenerator.worker")]
    #[getter]
    fn worker(&self) -> &'static str {
        self.shared.trace.worker().word()
    }

    #[doc = stub!("TraceGenerator.list_max_size")]
    #[getter]
    fn list_max_size(&self) -> usize {
        self.shared.list_max_size.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_list_max_size(&self, size: usize) {
        self.shared.set_list_max_size(size);
    }

    #[doc = stub!("TraceGenerator.group")]
    fn group(&self, name: &Bound<'_, PyString>) -> PyGroup {
        PyGroup::top(&self.shared, self.shared.trace.group(&text(name)))
    }

    #[doc = stub!("TraceGenerator.track")]
    fn track(&self, name: &Bound<'_, PyString>) -> Track {
        Track::new(&self.shared, self.shared.trace.track(&text(name)))
    }

    #[doc = stub!("TraceGenerator.counter")]
    #[pyo3(signature = (name, *, unit=None))]
    fn counter(&self, name: &Bound<'_, PyString>, unit: Option<&str>) -> PyCounterTrack {
        PyCounterTrack::new(&self.shared, self.shared.trace.counter(&text(name)), unit)
    }

    #[doc = stub!("TraceGenerator.cluster")]
    #[pyo3(signature = (die, cluster))]
    fn cluster(&self, die: Option<u32>, cluster: Option<u32>) -> PyGroup {
        PyGroup::top(&self.shared, self.shared.trace.cluster(die, cluster))
    }

    #[doc = stub!("TraceGenerator.flow")]
    fn flow(&self) -> Flow {
        Flow(self.shared.trace.flow().get())
    }

    #[doc = stub!("TraceGenerator.set_batch")]
    #[pyo3(signature = (*, bytes=None, flush_interval=None))]
    fn set_batch(
        &self,
        py: Python<'_>,
        bytes: Option<usize>,
        flush_interval: Option<f64>,
    ) -> PyResult<()> {
        self.shared.set_batch(py, &choices::Batch::new(py, bytes, flush_interval)?);
        Ok(())
    }

    #[doc = stub!("TraceGenerator.set_compression")]
    fn set_compression(&self, py: Python<'_>, compression: &str) -> PyResult<()> {
        let compression = choices::compression(py, compression)?;
        py.detach(|| self.shared.trace.set_compression(compression));
        Ok(())
    }

    #[doc = stub!("TraceGenerator.flush")]
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.shared.trace.flush()).or_raise(py)
    }

    #[doc = stub!("TraceGenerator.finish")]
    pub(crate) fn finish(&self, py: Python<'_>) -> PyResult<Stats> {
        self.shared.is_finished.store(true, Ordering::Relaxed);
        py.detach(|| self.shared.trace.finish()).or_raise(py).map(Stats)
    }

    #[doc = stub!("TraceGenerator.stats")]
    fn stats(&self) -> Stats {
        Stats(self.shared.trace.stats())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind=None, error=None, traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyAny>>,
        error: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (error, traceback);
        let finished = self.finish(py);
        // The program's own exception is the one to be seen.
        if kind.is_none() {
            finished?;
        }
        Ok(())
    }

    /// The file is this process's: a copy of the object is none.
    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        format!("<novatrace.TraceGenerator {:?}>", self.shared.path.display())
    }
}

#[doc = stub!("Stats")]
#[pyclass(frozen, module = "novatrace")]
pub(crate) struct Stats(pub(crate) novatrace::Stats);

#[pymethods]
impl Stats {
    #[doc = stub!("Stats.events")]
    #[getter]
    fn events(&self) -> u64 {
        self.0.events
    }
    #[doc = stub!("Stats.packets")]
    #[getter]
    fn packets(&self) -> u64 {
        self.0.packets
    }
    #[doc = stub!("Stats.bytes")]
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }
    #[doc = stub!("Stats.lanes")]
    #[getter]
    fn lanes(&self) -> u64 {
        self.0.lanes
    }
    #[doc = stub!("Stats.dropped")]
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped
    }
    #[doc = stub!("Stats.refused")]
    #[getter]
    fn refused(&self) -> u64 {
        self.0.refused
    }
    #[doc = stub!("Stats.left_open")]
    #[getter]
    fn left_open(&self) -> u64 {
        self.0.left_open
    }
    #[doc = stub!("Stats.parts")]
    #[getter]
    fn parts(&self) -> u64 {
        self.0.parts
    }
    fn __repr__(&self) -> String {
        let novatrace::Stats { events, packets, bytes, lanes, dropped, refused, left_open, .. } =
            self.0;
        format!(
            "Stats(events={events}, packets={packets}, bytes={bytes}, lanes={lanes}, \
             dropped={dropped}, refused={refused}, left_open={left_open})"
        )
    }
}

enum AnyGroup {
    Top(Group),
    Inner(GroupTrack),
}

macro_rules! in_group {
    ($self:expr, $method:ident($($argument:expr),*)) => {
        match &$self.group {
            AnyGroup::Top(group) => group.$method($($argument),*),
            AnyGroup::Inner(group) => group.$method($($argument),*),
        }
    };
}

#[doc = stub!("Group")]
#[pyclass(frozen, name = "Group", module = "novatrace")]
pub(crate) struct PyGroup {
    shared: Arc<Shared>,
    group: AnyGroup,
}

impl PyGroup {
    pub(crate) fn top(shared: &Arc<Shared>, group: Group) -> Self {
        Self { shared: Arc::clone(shared), group: AnyGroup::Top(group) }
    }
}

#[pymethods]
impl PyGroup {
    #[doc = stub!("Group.name")]
    #[getter]
    fn name(&self) -> String {
        in_group!(self, name()).to_string()
    }

    #[doc = stub!("Group.group")]
    fn group(&self, name: &Bound<'_, PyString>) -> Self {
        let group = AnyGroup::Inner(in_group!(self, group(&text(name))));
        Self { shared: Arc::clone(&self.shared), group }
    }

    #[doc = stub!("Group.track")]
    fn track(&self, name: &Bound<'_, PyString>) -> Track {
        Track::new(&self.shared, in_group!(self, track(&text(name))))
    }

    #[doc = stub!("Group.counter")]
    #[pyo3(signature = (name, *, unit=None))]
    fn counter(&self, name: &Bound<'_, PyString>, unit: Option<&str>) -> PyCounterTrack {
        PyCounterTrack::new(&self.shared, in_group!(self, counter(&text(name))), unit)
    }

    fn __repr__(&self) -> String {
        format!("<novatrace.Group {:?}>", self.name())
    }
}

#[doc = stub!("Track")]
#[pyclass(frozen, module = "novatrace")]
pub(crate) struct Track {
    pub(crate) shared: Arc<Shared>,
    pub(crate) track: NormalTrack,
}

impl Track {
    fn new(shared: &Arc<Shared>, track: NormalTrack) -> Self {
        Self { shared: Arc::clone(shared), track }
    }
}

#[pymethods]
impl Track {
    #[doc = stub!("Track.name")]
    #[getter]
    fn name(&self) -> String {
        self.track.name().to_string()
    }

    #[doc = stub!("Track.duration")]
    #[pyo3(signature = (start, length, name, /, *, category=None, flow=None, flow_end=None, args=None, **kwargs))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python's")]
    fn duration<'py>(
        &self,
        py: Python<'py>,
        start: &Bound<'py, PyAny>,
        length: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        category: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        flow_end: Option<&Bound<'py, PyAny>>,
        args: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let name = any_text(name)?;
        let name = text(&name);
        let details = Details { category, flow, flow_end, args, kwargs };
        let event = match (When::of(start, "start")?, When::of(length, "length")?) {
            (When::Ns(start), When::Ns(length)) => self.track.duration(start, length, &*name),
            (When::Seconds(start), When::Seconds(length)) => {
                self.track.duration(Seconds(start), Seconds(length), &*name)
            }
            _ => return Err(mixed()),
        };
        emit(py, event, &details, &self.shared)
    }

    #[doc = stub!("Track.instant")]
    #[pyo3(signature = (time, name, /, *, category=None, flow=None, flow_end=None, args=None, **kwargs))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python's")]
    fn instant<'py>(
        &self,
        py: Python<'py>,
        time: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        category: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        flow_end: Option<&Bound<'py, PyAny>>,
        args: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let name = any_text(name)?;
        let name = text(&name);
        let details = Details { category, flow, flow_end, args, kwargs };
        let event = match When::of(time, "time")? {
            When::Ns(time) => self.track.instant(time, &*name),
            When::Seconds(time) => self.track.instant(Seconds(time), &*name),
        };
        emit(py, event, &details, &self.shared)
    }

    #[doc = stub!("Track.begin")]
    #[pyo3(signature = (start, name, /, *, category=None, flow=None, flow_end=None, args=None, **kwargs))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python's")]
    fn begin<'py>(
        &self,
        py: Python<'py>,
        start: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        category: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        flow_end: Option<&Bound<'py, PyAny>>,
        args: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<OpenSlice> {
        let name = any_text(name)?;
        let name = text(&name);
        let details = Details { category, flow, flow_end, args, kwargs };
        let start = When::of(start, "start")?;
        let event = match start {
            When::Ns(start) => self.track.slice(start, &*name),
            When::Seconds(start) => self.track.slice(Seconds(start), &*name),
        };
        let slice = begin(py, event, &details, &self.shared)?;
        Ok(OpenSlice {
            slice: Mutex::new(Some(slice)),
            start_ns: start.point().unwrap_or_default(),
            name: name.into(),
            track: self.track.clone(),
            _shared: Arc::clone(&self.shared),
        })
    }

    #[doc = stub!("Track.end")]
    #[pyo3(signature = (time, /))]
    fn end(&self, py: Python<'_>, time: &Bound<'_, PyAny>) -> PyResult<()> {
        let ended = match When::of(time, "time")? {
            When::Ns(time) => self.track.end(time),
            When::Seconds(time) => self.track.end(Seconds(time)),
        };
        ended.or_raise(py)
    }

    #[doc = stub!("Track.durations")]
    #[pyo3(signature = (starts, lengths, names, *, category=None, args=None))]
    fn durations<'py>(
        &self,
        py: Python<'py>,
        starts: &Bound<'py, PyAny>,
        lengths: &Bound<'py, PyAny>,
        names: &Bound<'py, PyAny>,
        category: Option<&Bound<'py, PyAny>>,
        args: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        crate::arrays::durations(py, &self.track, starts, lengths, names, category, args)
    }

    fn __repr__(&self) -> String {
        format!("<novatrace.Track {:?}>", self.name())
    }
}

#[doc = stub!("OpenSlice")]
#[pyclass(frozen, module = "novatrace")]
pub(crate) struct OpenSlice {
    slice: Mutex<Option<novatrace::OpenSlice>>,
    start_ns: u64,
    name: Box<str>,
    track: NormalTrack,
    /// Keeps the trace.
    _shared: Arc<Shared>,
}

impl OpenSlice {
    /// When it would end; an error if it cannot, which must be known before the slice is given up.
    fn end_ns(&self, py: Python<'_>, time: &When) -> PyResult<u64> {
        let track = self.track.name();
        let end_ns = time.point().map_err(|fault| {
            let what = format!("the end of a slice on track `{track}`");
            value_error(py, format!("cannot record {what}: {fault}"))
        })?;
        if end_ns < self.start_ns {
            let Self { name, start_ns, .. } = self;
            return Err(value_error(
                py,
                format!(
                    "cannot end slice `{name}` on track `{track}` at {end_ns} ns: it began at {start_ns} ns"
                ),
            ));
        }
        Ok(end_ns)
    }
}

#[pymethods]
impl OpenSlice {
    #[doc = stub!("OpenSlice.end")]
    #[pyo3(signature = (time, /))]
    fn end(&self, py: Python<'_>, time: &Bound<'_, PyAny>) -> PyResult<()> {
        let time = When::of(time, "time")?;
        let mut slice = self.slice.lock().unwrap_or_else(PoisonError::into_inner);
        if slice.is_none() {
            return Err(crate::error::state_error(py, "the slice has ended already"));
        }
        let end_ns = self.end_ns(py, &time)?;
        slice.take().map_or(Ok(()), |slice| slice.end(end_ns)).or_raise(py)
    }
}

#[doc = stub!("CounterTrack")]
#[pyclass(frozen, name = "CounterTrack", module = "novatrace")]
pub(crate) struct PyCounterTrack {
    shared: Arc<Shared>,
    pub(crate) counter: CounterTrack,
}

impl PyCounterTrack {
    pub(crate) fn new(shared: &Arc<Shared>, counter: CounterTrack, unit: Option<&str>) -> Self {
        let counter = match unit {
            Some(unit) => counter.unit(unit),
            None => counter,
        };
        Self { shared: Arc::clone(shared), counter }
    }
}

#[pymethods]
impl PyCounterTrack {
    #[doc = stub!("CounterTrack.name")]
    #[getter]
    fn name(&self) -> String {
        self.counter.name().to_string()
    }

    #[doc = stub!("CounterTrack.count")]
    #[pyo3(signature = (time, value, /))]
    fn count(
        &self,
        py: Python<'_>,
        time: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let value = counter_value(value)?;
        let counted = match When::of(time, "time")? {
            When::Ns(time) => self.counter.count(time, value),
            When::Seconds(time) => self.counter.count(Seconds(time), value),
        };
        counted.or_raise(py)
    }

    #[doc = stub!("CounterTrack.counts")]
    #[pyo3(signature = (times, values))]
    fn counts(
        &self,
        py: Python<'_>,
        times: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        crate::arrays::counts(py, &self.counter, times, values)
    }

    #[doc = stub!("CounterTrack.counter")]
    #[pyo3(signature = (name, *, unit=None))]
    fn counter(&self, name: &Bound<'_, PyString>, unit: Option<&str>) -> Self {
        Self::new(&self.shared, self.counter.counter(&text(name)), unit)
    }

    fn __repr__(&self) -> String {
        format!("<novatrace.CounterTrack {:?}>", self.name())
    }
}
