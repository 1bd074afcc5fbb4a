//! Decorated functions: each call is a span. Belongs here: what becomes of a function that is decorated, and what of
//! a call is recorded. Does not: the object that stands for it, spans, what arguments look like.

use novatrace::__macro_support::{CallSite, Fields, SiteOn};
use novatrace::{LiveTrack, Name};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::error::{state_error, value_error};
use crate::frame::Place;
use crate::live::{Opened, Said, say_args};
use crate::traced;
use crate::value::{any_text, text};

/// What of a call's arguments is recorded.
struct Arguments {
    /// Of the parameters that are given by place, in their order.
    names: Vec<Py<PyString>>,
    skipped: Vec<String>,
    /// Whether what has no name of its own is not recorded, given by place and by name.
    skips_rest: [bool; 2],
    /// Those of the parameters that can be given by name only.
    by_name: Vec<String>,
}

impl Arguments {
    fn new(function: &Bound<'_, PyAny>, skipped: Vec<String>) -> PyResult<Self> {
        let py = function.py();
        // What is called in the end may take its arguments by other names than what calls it.
        let parameters = py.import("novatrace._shims")?.call_method1("parameters", (function,))?;
        let (names, by_name, rest): (Vec<Py<PyString>>, Vec<String>, [Option<String>; 2]) =
            parameters.extract()?;
        let is_skipped = |name: &str| skipped.iter().any(|skipped| skipped == name);
        let known: Vec<_> = names.iter().map(|name| text(name.bind(py))).collect();
        for name in &skipped {
            let is_known = known.iter().any(|known| known == name)
                || by_name.contains(name)
                || rest.iter().flatten().any(|rest| rest == name)
                || ["self", "cls", "args"].contains(&name.as_str());
            if !is_known && rest[1].is_none() {
                let function = function_name(function)?;
                return Err(value_error(
                    py,
                    format!("skip: {function} has no parameter called {name:?}"),
                ));
            }
        }
        drop(known);
        let skips = |rest: &Option<String>| rest.as_deref().is_some_and(is_skipped);
        let skips_rest = [skips(&rest[0]) || is_skipped("args"), skips(&rest[1])];
        Ok(Self { names, skips_rest, by_name, skipped })
    }
}

/// What is decorated, and how each of its calls is recorded.
pub(crate) struct Traced {
    pub(crate) function: Py<PyAny>,
    site: &'static CallSite,
    track: Option<LiveTrack>,
    arguments: Option<Arguments>,
    place: Option<Place>,
    /// What each call's span says beside that.
    pub(crate) said: Said,
}

impl Traced {
    /// The function, decorated; a coroutine or generator function stays one.
    pub(crate) fn wrap(
        function: &Bound<'_, PyAny>,
        name: Option<String>,
        category: &'static str,
        track: Option<LiveTrack>,
        skipped: Option<Vec<String>>,
        with_place: bool,
        said: Said,
    ) -> PyResult<Py<PyAny>> {
        let py = function.py();
        // Under a classmethod or staticmethod is the function that counts.
        if let Ok(inner) = function.getattr(intern!(py, "__func__"))
            && (is_a(function, "classmethod")? || is_a(function, "staticmethod")?)
        {
            let inner = Self::wrap(&inner, name, category, track, skipped, with_place, said)?;
            return Ok(function.get_type().call1((inner,))?.unbind());
        }
        if !function.is_callable() {
            let given = function.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "a function is to be decorated, not {given}"
            )));
        }
        let name = match name {
            Some(name) => name,
            None => function_name(function)?,
        };
        let code = function.getattr(intern!(py, "__code__")).ok();
        let arguments = match skipped {
            Some(skipped) => Some(Arguments::new(function, skipped)?),
            None => None,
        };
        let site = CallSite::made(Name::new(&name).as_str(), category);
        let traced = Self {
            function: function.clone().unbind(),
            site,
            track,
            arguments,
            place: if with_place { code.as_ref().and_then(Place::of_code) } else { None },
            said,
        };
        let traced = traced::new(py, traced)?;
        let flavour = code.map_or(Ok(0), |code| code.getattr("co_flags")?.extract::<u32>())?;
        // CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR
        if flavour & 0x3A0 != 0 {
            // What calls it has to see a function of that kind.
            let shims = py.import("novatrace._shims")?;
            return Ok(shims.call_method1("wrap", (function, traced))?.unbind());
        }
        update_wrapper(py, &traced, function)?;
        if is_class_method_by_name(function)? {
            return Ok(py.import("builtins")?.getattr("classmethod")?.call1((traced,))?.unbind());
        }
        Ok(traced.unbind())
    }

    /// As `Span::let_go`.
    pub(crate) fn let_go(self, py: Python<'_>) {
        let Self { function, arguments, said, .. } = self;
        function.drop_ref(py);
        said.let_go(py);
        for name in arguments.into_iter().flat_map(|arguments| arguments.names) {
            name.drop_ref(py);
        }
    }

    /// Begins the span of a call, whose arguments are asked for if they are recorded.
    #[inline(always)]
    pub(crate) fn open<'py>(
        &self,
        py: Python<'py>,
        args: impl FnOnce() -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)>,
    ) -> PyResult<Opened> {
        let Some(on) = self.site.on() else { return Ok(Opened::No) };
        self.begin(py, on, args)
    }

    /// Not inlined: its place on the stack is not needed any more as the function is called, which may call itself.
    #[inline(never)]
    fn begin<'py>(
        &self,
        py: Python<'py>,
        on: SiteOn,
        args: impl FnOnce() -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)>,
    ) -> PyResult<Opened> {
        let say = |fields: &mut Fields| self.say(py, fields, args);
        Opened::begin(py, on, self.site, self.track.as_ref(), self.site.name(), say)
    }

    fn say<'py>(
        &self,
        py: Python<'py>,
        fields: &mut Fields,
        args: impl FnOnce() -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)>,
    ) -> PyResult<()> {
        if let Some(place) = &self.place {
            place.say(py, fields);
        }
        self.said.say(py, fields)?;
        let Some(Arguments { names, skipped, skips_rest, by_name }) = &self.arguments else {
            return Ok(());
        };
        let (args, kwargs) = args()?;
        let shown = PyDict::new(py);
        let is_skipped = |name: &str| skipped.iter().any(|skipped| skipped == name);
        let mut rest = Vec::new();
        for (at, value) in args.iter().enumerate() {
            match names.get(at) {
                Some(name) if is_skipped(&text(name.bind(py))) => {}
                Some(name) => shown.set_item(name, value)?,
                None => rest.push(value),
            }
        }
        if !rest.is_empty() && !skips_rest[0] {
            shown.set_item(intern!(py, "args"), rest)?;
        }
        for (name, value) in kwargs {
            let called = any_text(&name)?;
            let called = text(&called);
            let has_a_name = || {
                by_name.iter().any(|name| *name == called)
                    || names.iter().any(|name| text(name.bind(py)) == called)
            };
            if !is_skipped(&called) && (!skips_rest[1] || has_a_name()) {
                shown.set_item(name, value)?;
            }
        }
        say_args(shown.as_any(), fields)
    }
}

/// What is not recorded of a call's arguments: the object of a method is none to its caller.
pub(crate) fn skipped(mut chosen: Vec<String>) -> Vec<String> {
    chosen.extend(["self".to_owned(), "cls".to_owned()]);
    chosen
}

fn is_a(object: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    object.is_instance(&object.py().import("builtins")?.getattr(name)?)
}

/// Whether a class will make a class method of the function, for its name: which it does of functions only.
fn is_class_method_by_name(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = function.py();
    if !function.is_instance(&py.import("types")?.getattr("FunctionType")?)? {
        return Ok(false);
    }
    let name = function_name(function)?;
    Ok(name.ends_with(".__init_subclass__") || name.ends_with(".__class_getitem__"))
}

/// `functools.update_wrapper`
fn update_wrapper(
    py: Python<'_>,
    wrapper: &Bound<'_, PyAny>,
    function: &Bound<'_, PyAny>,
) -> PyResult<()> {
    py.import("functools")?.call_method1("update_wrapper", (wrapper, function))?;
    Ok(())
}

pub(crate) fn function_name(function: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = function.py();
    let name = match function.getattr(intern!(py, "__qualname__")) {
        Ok(name) => name,
        Err(_) => function.get_type().getattr(intern!(py, "__qualname__"))?,
    };
    Ok(text(&any_text(&name)?).into_owned())
}

/// One call of a coroutine or generator function, as a context manager.
#[pyclass(module = "novatrace")]
pub(crate) struct TracedCall {
    pub(crate) traced: Py<PyAny>,
    /// The call's arguments, until they are recorded: what belongs to them may in the end have this.
    pub(crate) given: Option<(Py<PyTuple>, Py<PyDict>)>,
    pub(crate) opened: Opened,
}

#[pymethods]
impl TracedCall {
    fn __enter__(&mut self, py: Python<'_>) -> PyResult<()> {
        let given = self.given.take();
        let given = || {
            let (args, kwargs) =
                given.ok_or_else(|| state_error(py, "the span of a call is entered once"))?;
            Ok((args.into_bound(py), kwargs.into_bound(py)))
        };
        self.opened = traced::of(self.traced.bind(py))?.open(py, given)?;
        Ok(())
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        &mut self,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> bool {
        let _ = (kind, error, traceback);
        self.opened.end();
        false
    }
}

fn decorator_or_decorated(
    function: Option<&Bound<'_, PyAny>>,
    py: Python<'_>,
    decorate: Decorate,
) -> PyResult<Py<PyAny>> {
    match function {
        Some(function) => decorate.decorate(function),
        None => Ok(Py::new(py, decorate)?.into_any()),
    }
}

/// A decorator with its choices made.
#[pyclass(frozen, module = "novatrace")]
pub(crate) struct Decorate {
    pub(crate) name: Option<String>,
    pub(crate) category: &'static str,
    pub(crate) track: Option<LiveTrack>,
    pub(crate) skipped: Option<Vec<String>>,
    pub(crate) with_place: bool,
}

impl Decorate {
    pub(crate) fn decorate(&self, function: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (name, track) = (self.name.clone(), self.track.clone());
        let (skipped, said) = (self.skipped.clone(), Said::default());
        Traced::wrap(function, name, self.category, track, skipped, self.with_place, said)
    }
}

#[pymethods]
impl Decorate {
    fn __call__(&self, function: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.decorate(function)
    }
}

#[doc = stub!("trace_func")]
#[pyfunction]
#[pyo3(signature = (function=None, /, *, name=None, category="default", track=None))]
pub(crate) fn trace_func(
    py: Python<'_>,
    function: Option<&Bound<'_, PyAny>>,
    name: Option<String>,
    category: &str,
    track: Option<&Bound<'_, crate::live::PyLiveTrack>>,
) -> PyResult<Py<PyAny>> {
    let track = track.map(|track| track.get().0.clone());
    let category = Name::new(category).as_str();
    let decorate = Decorate { name, category, track, skipped: None, with_place: false };
    decorator_or_decorated(function, py, decorate)
}

#[doc = stub!("trace_func_args")]
#[pyfunction]
#[pyo3(signature = (function=None, /, *, name=None, category="default", track=None, skip=None))]
pub(crate) fn trace_func_args(
    py: Python<'_>,
    function: Option<&Bound<'_, PyAny>>,
    name: Option<String>,
    category: &str,
    track: Option<&Bound<'_, crate::live::PyLiveTrack>>,
    skip: Option<Vec<String>>,
) -> PyResult<Py<PyAny>> {
    let track = track.map(|track| track.get().0.clone());
    let category = Name::new(category).as_str();
    let skipped = Some(skipped(skip.unwrap_or_default()));
    decorator_or_decorated(
        function,
        py,
        Decorate { name, category, track, skipped, with_place: false },
    )
}
