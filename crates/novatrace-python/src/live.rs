//! Live recording: the session, spans, instants, counters and tracks. Belongs here: what the calls take.
//! Does not: decorated functions, tasks.

use std::cell::Cell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use novatrace::__macro_support::{
    CallSite, Fields, LooseSpan, SiteOn, child_env_of, end_those_said, flow_of,
};
use novatrace::{Children, FlightRecorder, LiveTrack, Name, Overflow, TrackSpan};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::choices;
use crate::error::{OrRaise, state_error, value_error};
use crate::flow::{Flow, flow_numbers};
use crate::frame::Place;
use crate::function::Traced;
use crate::generator::counter_value;
use crate::hook::{begin_held_back, is_run};
use crate::span::{self, Span};
use crate::task;
use crate::value::{LIST_MAX_SIZE, Reader, any_text, limits, text};
use crate::worker::tell_fallback;

/// The session that was opened last. Kept here, so that a program that does not keep what `open` answers
/// records all the same, to its end.
static OPENED: Mutex<Option<Known>> = Mutex::new(None);

#[derive(Clone)]
struct Known {
    session: Shared,
    path: Option<PathBuf>,
    worker: &'static str,
    /// Where it was opened.
    place: String,
}

type Shared = Arc<Mutex<Option<novatrace::Session>>>;
/// How many sessions there were; threads are named once in each.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

#[doc = stub!("Session")]
#[pyclass(frozen, module = "novatrace")]
pub(crate) struct Session {
    session: Shared,
    path: Option<PathBuf>,
    worker: &'static str,
}

#[doc = stub!("open")]
#[pyfunction]
#[pyo3(signature = (path=None, *, categories=None, capacity=None, overflow="drop", grow_limit=None, attributes=None, flush_interval=None, batch_bytes=None, process_name=None, compression=None, worker="thread", rotate_bytes=None, rotate_seconds=None, keep=None, flight_recorder=None, dump_on_signal=None, dump_if_slower=None, children=None))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python's")]
pub(crate) fn open(
    py: Python<'_>,
    path: Option<PathBuf>,
    categories: Option<&str>,
    capacity: Option<usize>,
    overflow: &str,
    grow_limit: Option<usize>,
    attributes: Option<&Bound<'_, PyDict>>,
    flush_interval: Option<f64>,
    batch_bytes: Option<usize>,
    process_name: Option<&str>,
    compression: Option<&str>,
    worker: &str,
    rotate_bytes: Option<u64>,
    rotate_seconds: Option<f64>,
    keep: Option<u32>,
    flight_recorder: Option<&Bound<'_, PyAny>>,
    dump_on_signal: Option<(i32, PathBuf)>,
    dump_if_slower: Option<(String, f64, PathBuf)>,
    children: Option<&str>,
) -> PyResult<Session> {
    let to = destination(py, path, flight_recorder, dump_on_signal, dump_if_slower)?;
    let mut builder = novatrace::Session::builder();
    if let Some(categories) = categories {
        builder = builder.categories(categories);
    }
    if let Some(capacity) = capacity {
        builder = builder.capacity(capacity);
    }
    builder = builder.overflow(match overflow {
        "drop" => Overflow::DropNewest,
        "block" => Overflow::Block,
        "grow" => Overflow::Grow(grow_limit.unwrap_or(256 << 20)),
        other => {
            let message = format!("overflow is \"drop\", \"block\" or \"grow\", not {other:?}");
            return Err(value_error(py, message));
        }
    });
    for (key, value) in choices::attributes(attributes)? {
        builder = builder.attribute(&key, value);
    }
    let batch = choices::Batch::new(py, batch_bytes, flush_interval)?;
    if let Some(compression) = compression {
        builder = builder.compression(choices::compression(py, compression)?);
    }
    if let Some(rotate) = choices::rotate(py, rotate_bytes, rotate_seconds, keep)? {
        builder = builder.rotate(rotate);
    }
    builder = builder.worker(choices::worker(py, worker)?);
    if let Some(children) = children {
        builder = builder.children(choices::children(py, children)?);
    }
    let name = match process_name {
        Some(name) => name.to_owned(),
        None => program_name(py)?,
    };
    builder = builder.process_name(&name);
    let place = Place::of_caller(py).map(|place| place.shown(py)).unwrap_or_default();
    let path = match &to {
        To::File(path) => Some(path.clone()),
        To::Memory(_) => None,
    };
    // What joined another process's trace by itself gives way to what the program opens.
    crate::children::leave(py);
    let opened = py.detach(|| match to {
        To::File(path) => builder.create(path),
        To::Memory(recorder) => builder.flight_recorder(recorder),
    });
    if let Err(error) = &opened
        && matches!(error.kind(), novatrace::ErrorKind::AlreadyOpen { .. })
    {
        if is_run() {
            return Err(state_error(
                py,
                "cannot open a session: `novatrace run` records this program into one of its own; run it \
                 with `python`, or open none if `novatrace.session()` has one",
            ));
        }
        let first = known().map(|first| format!(" since {}", first.place)).unwrap_or_default();
        let message = format!("cannot open a session: one is open{first}; close that first");
        return Err(state_error(py, message));
    }
    let session = opened.or_raise(py)?;
    batch.apply(session.batch(), |packets, bytes, time| session.set_batch(packets, bytes, time));
    made_current(py, session, path, place)
}

/// Makes a session the one that is open.
pub(crate) fn made_current(
    py: Python<'_>,
    session: novatrace::Session,
    path: Option<PathBuf>,
    place: String,
) -> PyResult<Session> {
    let worker = session.worker().word();
    let fallback = session.worker_fallback().map(str::to_owned);
    let env = child_env_of(&session);
    let session = Arc::new(Mutex::new(Some(session)));
    let known = Known { session: Arc::clone(&session), path: path.clone(), worker, place };
    *OPENED.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    SESSIONS.fetch_add(1, Ordering::Relaxed);
    let shown = path.as_deref().unwrap_or(Path::new("a recording in memory"));
    tell_fallback(py, shown, fallback.as_deref());
    crate::children::tell(py, env)?;
    Ok(Session { session, path, worker })
}

/// Where a session records to.
enum To {
    File(PathBuf),
    Memory(FlightRecorder),
}

/// A span that takes so long is dumped, but not another one within a minute.
const SLOW_EVERY: Duration = Duration::from_secs(60);

fn destination(
    py: Python<'_>,
    path: Option<PathBuf>,
    flight_recorder: Option<&Bound<'_, PyAny>>,
    dump_on_signal: Option<(i32, PathBuf)>,
    dump_if_slower: Option<(String, f64, PathBuf)>,
) -> PyResult<To> {
    let wrong = |message: &str| Err(PyTypeError::new_err(message.to_owned()));
    let Some(recorder) = flight_recorder else {
        if dump_on_signal.is_some() || dump_if_slower.is_some() {
            return wrong("dumps are a flight recorder's: give flight_recorder too");
        }
        return path.map_or_else(
            || wrong("open() needs a path, or flight_recorder"),
            |path| Ok(To::File(path)),
        );
    };
    if path.is_some() {
        return wrong("a flight recorder has no path: give it to dump()");
    }
    let mut recorder = choices::flight_recorder(recorder)?;
    if let Some((what, seconds, path)) = dump_if_slower {
        let limit = Duration::try_from_secs_f64(seconds)
            .map_err(|error| value_error(py, format!("dump_if_slower: {error}")))?;
        recorder = recorder.dump_if_slower(&what, limit, SLOW_EVERY, path);
    }
    #[cfg(unix)]
    if let Some((signal, path)) = dump_on_signal {
        recorder = recorder.dump_on_signal(signal, path);
    }
    #[cfg(not(unix))]
    if dump_on_signal.is_some() {
        return Err(value_error(py, "dump_on_signal: there are no such signals here"));
    }
    Ok(To::Memory(recorder))
}

fn known() -> Option<Known> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[doc = stub!("session")]
#[pyfunction]
pub(crate) fn session() -> Option<Session> {
    let Known { session, path, worker, .. } = known()?;
    let session = Session { session, path, worker };
    (!session.closed()).then_some(session)
}

#[doc = stub!("close")]
#[pyfunction]
pub(crate) fn close(py: Python<'_>) -> PyResult<Report> {
    let Some(session) = session() else { return Err(state_error(py, "no session is open")) };
    if is_run() {
        let message = "cannot close the session: it is `novatrace run`'s, which does so at the end";
        return Err(state_error(py, message));
    }
    session.close(py)
}

/// Waits until all that the session recorded is in the file, if one is open.
pub(crate) fn flush_session() -> Result<(), novatrace::Error> {
    let Some(Known { session, .. }) = known() else { return Ok(()) };
    session.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(Ok(()), |s| s.flush())
}

/// What was started: the script, as `python script.py` names it.
pub(crate) fn program_name(py: Python<'_>) -> PyResult<String> {
    let argv = py.import("sys")?.getattr("argv");
    let first = argv.and_then(|argv| argv.get_item(0)).and_then(|first| any_text(&first));
    let name = first.map(|first| text(&first).into_owned()).unwrap_or_default();
    Ok(if name.is_empty() || name == "-c" { "python".to_owned() } else { name })
}

#[pymethods]
impl Session {
    #[doc = stub!("Session.path")]
    #[getter]
    fn path(&self) -> Option<&OsStr> {
        self.path.as_ref().map(|path| path.as_os_str())
    }

    #[doc = stub!("Session.worker")]
    #[getter]
    fn worker(&self) -> &'static str {
        self.worker
    }

    #[doc = stub!("Session.children")]
    #[getter]
    fn children(&self) -> &'static str {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let children = session.as_ref().map_or(Children::Quiet, novatrace::Session::children);
        children.word()
    }

    #[doc = stub!("Session.set_categories")]
    fn set_categories(&self, py: Python<'_>, globs: &str) {
        py.detach(|| {
            if let Some(session) = &*self.session.lock().unwrap_or_else(PoisonError::into_inner) {
                session.set_categories(globs);
            }
        });
    }

    #[doc = stub!("Session.set_batch")]
    #[pyo3(signature = (*, bytes=None, flush_interval=None))]
    fn set_batch(
        &self,
        py: Python<'_>,
        bytes: Option<usize>,
        flush_interval: Option<f64>,
    ) -> PyResult<()> {
        let batch = choices::Batch::new(py, bytes, flush_interval)?;
        py.detach(|| {
            if let Some(session) = &*self.session.lock().unwrap_or_else(PoisonError::into_inner) {
                batch.apply(session.batch(), |p, b, time| session.set_batch(p, b, time));
            }
        });
        Ok(())
    }

    #[doc = stub!("Session.set_compression")]
    fn set_compression(&self, py: Python<'_>, compression: &str) -> PyResult<()> {
        let compression = choices::compression(py, compression)?;
        py.detach(|| {
            if let Some(session) = &*self.session.lock().unwrap_or_else(PoisonError::into_inner) {
                session.set_compression(compression);
            }
        });
        Ok(())
    }

    #[doc = stub!("Session.flush")]
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| match &*self.session.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(session) => session.flush(),
            None => Ok(()),
        })
        .or_raise(py)
    }

    #[doc = stub!("Session.dump")]
    fn dump(&self, py: Python<'_>, path: PathBuf) -> PyResult<Dump> {
        let dumped = py.detach(|| {
            let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            session.as_ref().map(|session| session.dump(path))
        });
        match dumped {
            Some(dump) => dump.or_raise(py).map(Dump),
            None => Err(state_error(py, "the session is closed already")),
        }
    }

    #[doc = stub!("Session.close")]
    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<Report> {
        let closed = py.detach(|| {
            let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
            session.map(novatrace::Session::close)
        });
        let Some(report) = closed else {
            return Err(state_error(py, "the session is closed already"));
        };
        if known().is_none_or(|known| Arc::ptr_eq(&known.session, &self.session)) {
            crate::children::tell(py, None)?;
        }
        report.or_raise(py).map(Report)
    }

    #[doc = stub!("Session.closed")]
    #[getter]
    fn closed(&self) -> bool {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).is_none()
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
        if !self.closed() {
            let closed = self.close(py);
            // The program's own exception is the one to be seen.
            if kind.is_none() {
                closed?;
            }
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        match &self.path {
            Some(path) => format!("<novatrace.Session {:?}>", path.display()),
            None => "<novatrace.Session in memory>".to_owned(),
        }
    }
}

#[doc = stub!("Report")]
#[pyclass(frozen, module = "novatrace")]
pub(crate) struct Report(novatrace::Report);

#[pymethods]
impl Report {
    #[doc = stub!("Report.events")]
    #[getter]
    fn events(&self) -> u64 {
        self.0.events
    }
    #[doc = stub!("Report.lost")]
    #[getter]
    fn lost(&self) -> u64 {
        self.0.lost
    }
    #[doc = stub!("Report.dropped")]
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped
    }
    #[doc = stub!("Report.losses")]
    #[getter]
    fn losses(&self) -> Vec<(String, u32, u64)> {
        self.0.losses.iter().map(|loss| (loss.thread.clone(), loss.tid, loss.events)).collect()
    }
    #[doc = stub!("Report.left_open")]
    #[getter]
    fn left_open(&self) -> u64 {
        self.0.left_open
    }
    #[doc = stub!("Report.threads")]
    #[getter]
    fn threads(&self) -> u64 {
        self.0.threads
    }
    #[doc = stub!("Report.lanes")]
    #[getter]
    fn lanes(&self) -> u64 {
        self.0.lanes
    }
    #[doc = stub!("Report.packets")]
    #[getter]
    fn packets(&self) -> u64 {
        self.0.packets
    }
    #[doc = stub!("Report.bytes")]
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }
    #[doc = stub!("Report.parts")]
    #[getter]
    fn parts(&self) -> u64 {
        self.0.parts
    }
    fn __repr__(&self) -> String {
        let novatrace::Report { events, lost, dropped, left_open, threads, bytes, .. } = self.0;
        format!(
            "Report(events={events}, lost={lost}, dropped={dropped}, left_open={left_open}, \
             threads={threads}, bytes={bytes})"
        )
    }
}

#[doc = stub!("Dump")]
#[pyclass(frozen, module = "novatrace")]
pub(crate) struct Dump(novatrace::Dump);

#[pymethods]
impl Dump {
    #[doc = stub!("Dump.path")]
    #[getter]
    fn path(&self) -> &OsStr {
        self.0.path.as_os_str()
    }
    #[doc = stub!("Dump.bytes")]
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }
    #[doc = stub!("Dump.events")]
    #[getter]
    fn events(&self) -> u64 {
        self.0.events
    }
    #[doc = stub!("Dump.overwritten")]
    #[getter]
    fn overwritten(&self) -> u64 {
        self.0.overwritten
    }
    fn __repr__(&self) -> String {
        let novatrace::Dump { path, bytes, events, overwritten, .. } = &self.0;
        let path = path.display();
        format!("Dump({path:?}, bytes={bytes}, events={events}, overwritten={overwritten})")
    }
}

/// The category of what names none.
const DEFAULT: &str = "default";
static DEFAULT_SITE: CallSite = CallSite::new("", DEFAULT);

/// What switches events of a category on and off; their names come with them.
pub(crate) fn site(category: Option<&str>) -> &'static CallSite {
    match category {
        None => &DEFAULT_SITE,
        Some(category) => CallSite::made("", Name::new(category).as_str()),
    }
}

thread_local! {
    static FIELDS: Cell<Fields> = const { Cell::new(Fields::new()) };
    /// The session in which this thread was given its name.
    static NAMED_IN: Cell<u64> = const { Cell::new(0) };
    /// How many spans were ended by other threads, when this one looked last.
    static SEEN_ENDED: Cell<u64> = const { Cell::new(0) };
}

/// Lends this thread's buffer of fields, so that nothing is allocated for an event.
fn with_fields<T>(work: impl FnOnce(&mut Fields) -> T) -> T {
    let mut fields = FIELDS.try_with(Cell::take).unwrap_or_default();
    fields.clear();
    let answer = work(&mut fields);
    let _ = FIELDS.try_with(|spare| spare.set(fields));
    answer
}

/// Whether threads may be behind with what comes before their next record.
static BEHIND: AtomicBool = AtomicBool::new(false);
/// How many spans were ended by other threads than theirs.
static ENDED_ELSEWHERE: AtomicU64 = AtomicU64::new(0);

pub(crate) fn set_behind() {
    BEHIND.store(true, Ordering::Relaxed);
}

/// To be called before this thread records what is none of the hook's: what comes before that is recorded first.
#[inline]
fn catch_up() {
    if BEHIND.load(Ordering::Relaxed) {
        catch_up_slowly();
    }
}

#[cold]
#[inline(never)]
fn catch_up_slowly() {
    begin_held_back();
    end_those_ended_elsewhere();
}

/// Ends those of this thread's spans that others have ended since it looked last.
#[inline(always)]
pub(crate) fn end_those_ended_elsewhere() {
    let ended = ENDED_ELSEWHERE.load(Ordering::Acquire);
    if ended != 0 && SEEN_ENDED.try_with(|seen| seen.replace(ended)).unwrap_or(ended) != ended {
        end_those_said();
    }
}

/// To be called before this thread records something: calls it in the trace what `threading` calls it,
/// once a session.
#[inline]
pub(crate) fn name_thread(py: Python<'_>) {
    catch_up();
    let session = SESSIONS.load(Ordering::Relaxed);
    let is_named = NAMED_IN.try_with(|named| named.replace(session) == session).unwrap_or(true);
    if !is_named {
        // A thread that Python does not know is called what the operating system calls it.
        let _ = give_name(py);
    }
}

#[cold]
fn give_name(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    let number = threading.call_method0("get_ident")?;
    // `current_thread()` would make an object for a foreign thread, which stays for ever.
    let thread = threading.getattr("_active")?.get_item(number)?;
    novatrace::name_thread(&text(&any_text(&thread.getattr("name")?)?));
    Ok(())
}

/// What an event says beside its name and category.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) args: Option<Py<PyDict>>,
    pub(crate) flows: Option<Box<FlowsSaid>>,
}

#[derive(Clone, Default)]
pub(crate) struct FlowsSaid {
    through: Vec<u64>,
    ends: Vec<u64>,
}

impl Said {
    pub(crate) fn new(
        args: Option<&Bound<'_, PyDict>>,
        through: [Option<&Bound<'_, PyAny>>; 2],
        end: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let args = args.filter(|args| !args.is_empty()).map(|args| args.clone().unbind());
        let mut flows = FlowsSaid::default();
        for flow in through.into_iter().flatten() {
            flows.through.extend(flow_numbers(flow)?);
        }
        if let Some(flow) = end {
            flows.ends.extend(flow_numbers(flow)?);
        }
        let none = flows.through.is_empty() && flows.ends.is_empty();
        Ok(Self { args, flows: (!none).then(|| Box::new(flows)) })
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let args = self.args.as_ref().map(|args| args.clone_ref(py));
        Self { args, flows: self.flows.clone() }
    }

    pub(crate) fn let_go(self, py: Python<'_>) {
        if let Some(args) = self.args {
            args.drop_ref(py);
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.args.is_none() && self.flows.is_none()
    }

    pub(crate) fn say(&self, py: Python<'_>, fields: &mut Fields) -> PyResult<()> {
        if let Some(flows) = &self.flows {
            flows.through.iter().for_each(|&number| fields.flow(flow_of(number)));
            flows.ends.iter().for_each(|&number| fields.flow_end(flow_of(number)));
        }
        if let Some(args) = &self.args {
            say_args(args.bind(py).as_any(), fields)?;
        }
        Ok(())
    }
}

/// Every entry of a mapping as an argument.
pub(crate) fn say_args(args: &Bound<'_, PyAny>, fields: &mut Fields) -> PyResult<()> {
    let reader = Reader::new(LIST_MAX_SIZE);
    // What a value's reading says is in the value's place already.
    drop(fields.all(reader.value(args), limits()));
    reader.finish()
}

/// A span while it is open.
#[derive(Default)]
pub(crate) enum Opened {
    #[default]
    No,
    Thread(LooseSpan),
    Track(#[expect(dead_code, reason = "ends when dropped")] TrackSpan),
}

/// The row that an event goes to: the track, or the task's; the thread's own if `None`.
fn row(py: Python<'_>, track: Option<&LiveTrack>) -> Option<LiveTrack> {
    track.cloned().or_else(|| task::row(py))
}

impl Opened {
    /// Begins a span on the track, or the task's, or the thread's. It is called `name`, also if its call
    /// site is.
    pub(crate) fn begin(
        py: Python<'_>,
        on: SiteOn,
        site: &'static CallSite,
        track: Option<&LiveTrack>,
        name: &str,
        say: impl FnOnce(&mut Fields) -> PyResult<()>,
    ) -> PyResult<Self> {
        name_thread(py);
        let row = row(py, track);
        with_fields(|fields| {
            if let Some(track) = row {
                let said = say(fields);
                let span = track.trace_with(name, site.category_name(), fields);
                said.map(|()| Self::Track(span))
            } else {
                if site.name().is_empty() {
                    fields.name(name);
                }
                let said = say(fields);
                let mut opened = Self::Thread(on.begin(fields.said()).into());
                if said.is_err() {
                    // Nobody will have it, to end it.
                    opened.end();
                }
                said.map(|()| opened)
            }
        })
    }

    pub(crate) fn end(&mut self) {
        if let Self::Thread(span) = std::mem::take(self) {
            catch_up();
            if !span.end() {
                ENDED_ELSEWHERE.fetch_add(1, Ordering::Release);
                set_behind();
            }
        }
    }
}

/// `trace` of nothing but a name; `None` if it is none.
#[inline]
pub(crate) fn trace_name(name: &Bound<'_, PyAny>) -> Option<Span> {
    let name = name.cast::<PyString>().ok()?.clone().unbind();
    let said = Said::default();
    Some(Span { name, site: site(None), track: None, said, opened: Opened::No })
}

fn make_span(
    name: &Bound<'_, PyAny>,
    track: Option<&LiveTrack>,
    category: Option<&str>,
    said: Said,
) -> PyResult<Py<PyAny>> {
    let py = name.py();
    if let Ok(name) = name.cast::<PyString>() {
        let span = Span {
            name: name.clone().unbind(),
            site: site(category),
            track: track.cloned(),
            said,
            opened: Opened::No,
        };
        return span::new(py, span);
    }
    if name.is_callable() {
        if !said.is_nothing() {
            return Err(PyTypeError::new_err("@trace(...) takes the name first, then arguments"));
        }
        let category = site(category).category();
        return Traced::wrap(name, None, category, track.cloned(), None, false, said);
    }
    let given = name.get_type().name()?;
    Err(PyTypeError::new_err(format!("trace() takes a name or a function, not {given}")))
}

#[doc = stub!("trace")]
#[pyfunction]
#[pyo3(signature = (name, /, *, category=None, flow_in=None, flow_out=None, flow_end=None, **args))]
pub(crate) fn trace(
    name: &Bound<'_, PyAny>,
    category: Option<&str>,
    flow_in: Option<&Bound<'_, PyAny>>,
    flow_out: Option<&Bound<'_, PyAny>>,
    flow_end: Option<&Bound<'_, PyAny>>,
    args: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    make_span(name, None, category, Said::new(args, [flow_in, flow_out], flow_end)?)
}

/// Records an instant on the track, or the task's, or the thread's.
pub(crate) fn record_instant(
    py: Python<'_>,
    site: &'static CallSite,
    track: Option<&LiveTrack>,
    name: &str,
    say: impl FnOnce(&mut Fields) -> PyResult<()>,
) -> PyResult<()> {
    let Some(on) = site.on() else { return Ok(()) };
    name_thread(py);
    let row = row(py, track);
    with_fields(|fields| {
        if let Some(track) = row {
            let said = say(fields);
            track.instant_with(name, site.category_name(), fields);
            said
        } else {
            fields.name(name);
            let said = say(fields);
            on.instant(fields.said());
            said
        }
    })
}

#[doc = stub!("instant")]
#[pyfunction]
#[pyo3(signature = (name, /, *, category=None, flow_in=None, flow_out=None, flow_end=None, **args))]
pub(crate) fn instant(
    name: &Bound<'_, PyAny>,
    category: Option<&str>,
    flow_in: Option<&Bound<'_, PyAny>>,
    flow_out: Option<&Bound<'_, PyAny>>,
    flow_end: Option<&Bound<'_, PyAny>>,
    args: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let py = name.py();
    let said = Said::new(args, [flow_in, flow_out], flow_end)?;
    let name = any_text(name)?;
    record_instant(py, site(category), None, &text(&name), |fields| said.say(py, fields))
}

#[doc = stub!("LiveTrack")]
#[pyclass(frozen, name = "LiveTrack", module = "novatrace")]
pub(crate) struct PyLiveTrack(pub(crate) LiveTrack);

#[pymethods]
impl PyLiveTrack {
    #[doc = stub!("LiveTrack.name")]
    #[getter]
    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    #[doc = stub!("LiveTrack.trace")]
    #[pyo3(signature = (name, /, *, category=None, flow_in=None, flow_out=None, flow_end=None, **args))]
    fn trace(
        &self,
        name: &Bound<'_, PyAny>,
        category: Option<&str>,
        flow_in: Option<&Bound<'_, PyAny>>,
        flow_out: Option<&Bound<'_, PyAny>>,
        flow_end: Option<&Bound<'_, PyAny>>,
        args: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        make_span(name, Some(&self.0), category, Said::new(args, [flow_in, flow_out], flow_end)?)
    }

    #[doc = stub!("LiveTrack.instant")]
    #[pyo3(signature = (name, /, *, category=None, flow_in=None, flow_out=None, flow_end=None, **args))]
    fn instant(
        &self,
        name: &Bound<'_, PyAny>,
        category: Option<&str>,
        flow_in: Option<&Bound<'_, PyAny>>,
        flow_out: Option<&Bound<'_, PyAny>>,
        flow_end: Option<&Bound<'_, PyAny>>,
        args: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let py = name.py();
        let said = Said::new(args, [flow_in, flow_out], flow_end)?;
        let name = any_text(name)?;
        let say = |fields: &mut Fields| said.say(py, fields);
        record_instant(py, site(category), Some(&self.0), &text(&name), say)
    }

    fn __repr__(&self) -> String {
        format!("<novatrace.LiveTrack {:?}>", self.0.name())
    }
}

#[doc = stub!("track")]
#[pyfunction]
pub(crate) fn track(name: &Bound<'_, PyString>) -> PyLiveTrack {
    PyLiveTrack(novatrace::track(&text(name)))
}

#[doc = stub!("flow")]
#[pyfunction]
pub(crate) fn flow() -> Flow {
    Flow(novatrace::flow().get())
}

#[doc = stub!("is_recording")]
#[pyfunction]
pub(crate) fn is_recording() -> bool {
    DEFAULT_SITE.on().is_some()
}

#[doc = stub!("Counter")]
#[pyclass(frozen, name = "Counter", module = "novatrace")]
pub(crate) struct PyCounter {
    counter: &'static novatrace::Counter,
    name: Py<PyString>,
}

#[pymethods]
impl PyCounter {
    #[doc = stub!("Counter.name")]
    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyString> {
        self.name.clone_ref(py)
    }

    #[doc = stub!("Counter.value")]
    #[getter]
    fn value(&self) -> f64 {
        self.counter.value()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<novatrace.Counter {:?}>", text(self.name.bind(py)))
    }
}

impl PyCounter {
    pub(crate) fn set(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        name_thread(py);
        self.counter.set(counter_value(value)?);
        Ok(())
    }

    pub(crate) fn add(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        name_thread(py);
        self.counter.add(counter_value(value)?);
        Ok(())
    }
}

#[doc = stub!("counter")]
#[pyfunction]
#[pyo3(signature = (name, *, unit=None, category="default"))]
pub(crate) fn counter(name: &Bound<'_, PyString>, unit: Option<&str>, category: &str) -> PyCounter {
    let category = Name::new(category).as_str();
    let counter = novatrace::Counter::made(&text(name), unit, category);
    PyCounter { counter, name: name.clone().unbind() }
}
