//! The calls that are made a million times, by the interpreter's quick calling convention: arguments come
//! in an array, where PyO3, for the stable ABI of Python 3.9, has them in a tuple. Belongs here: taking such
//! calls apart. Does not: what they do; whatever is not the usual case goes to the same call as PyO3 has it.
#![expect(unsafe_code, reason = "the interpreter's calling convention")]

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::PyClass;
use pyo3::exceptions::{PyImportError, PySystemError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::legacy::{LegacyCounterTrack, LegacyTrack};
use crate::live::{PyCounter, trace_name};
use crate::span;
use crate::value::text;

pub(crate) type Object = *mut ffi::PyObject;

/// `METH_FASTCALL` is in the stable ABI since 3.10, and the same since 3.7.
const FAST: i32 = 0x0080;
const KEYWORDS: i32 = 0x0002;
const NO_ARGUMENTS: i32 = 0x0004;
const ONE_ARGUMENT: i32 = 0x0008;

/// Does the work of a call; what it raises is raised, and a panic too.
#[inline(always)]
pub(crate) fn called(work: impl FnOnce(Python<'_>) -> PyResult<Object>) -> Object {
    // SAFETY: the interpreter calls this, with the thread attached.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| work(py))) {
        Ok(Ok(object)) => object,
        Ok(Err(error)) => {
            error.restore(py);
            ptr::null_mut()
        }
        Err(_) => {
            PySystemError::new_err("novatrace panicked; please report it").restore(py);
            ptr::null_mut()
        }
    }
}

/// The object that a method is called on.
///
/// # Safety
///
/// - `object` is an object of that class: the method's descriptor has checked it.
#[inline(always)]
unsafe fn this<'a, 'py, T: PyClass>(py: Python<'py>, object: &'a Object) -> &'a Bound<'py, T> {
    // SAFETY: borrowed for the call, as its arguments are.
    let any = unsafe { Bound::ref_from_ptr(py, object) };
    // SAFETY: this function's contract.
    unsafe { any.cast_unchecked() }
}

/// A call's arguments by place and by name.
pub(crate) struct Arguments<'a> {
    by_place: &'a [Object],
    by_name: &'a [Object],
    names: Object,
}

impl<'a> Arguments<'a> {
    /// # Safety
    ///
    /// - What the interpreter passed.
    #[inline(always)]
    pub(crate) unsafe fn new(args: *const Object, count: ffi::Py_ssize_t, names: Object) -> Self {
        let by_name = if names.is_null() {
            0
        } else {
            // SAFETY: a tuple of the keywords' names.
            unsafe { ffi::PyTuple_Size(names) }
        };
        let (count, by_name) = (count.cast_unsigned(), by_name.cast_unsigned());
        if count + by_name == 0 {
            return Self { by_place: &[], by_name: &[], names };
        }
        // SAFETY: so many arguments by place, and the named ones after them.
        let all = unsafe { std::slice::from_raw_parts(args, count + by_name) };
        let (by_place, by_name) = all.split_at(count);
        Self { by_place, by_name, names }
    }

    /// The parameters of those names, in order; `None` if the call does not fit them.
    #[inline(always)]
    fn take<const N: usize>(&self, py: Python<'_>, parameters: [&str; N]) -> Option<[Object; N]> {
        let mut taken = [ptr::null_mut(); N];
        taken.get_mut(..self.by_place.len())?.copy_from_slice(self.by_place);
        for (at, &argument) in self.by_name.iter().enumerate() {
            // SAFETY: the tuple has a name for each; borrowed from it.
            let name = unsafe { ffi::PyTuple_GetItem(self.names, at.cast_signed()) };
            // SAFETY: as above.
            let name = unsafe { Bound::from_borrowed_ptr(py, name) };
            let name = name.cast::<PyString>().ok()?;
            let place = parameters.iter().position(|parameter| *parameter == text(name))?;
            if !taken[place].is_null() {
                return None;
            }
            taken[place] = argument;
        }
        Some(taken)
    }

    /// As those who are not quick have them.
    pub(crate) fn collect<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let object = |&object: &Object| {
            // SAFETY: an argument, which lives for the call.
            unsafe { Bound::from_borrowed_ptr(py, object) }
        };
        let by_place = PyTuple::new(py, self.by_place.iter().map(object))?;
        let by_name = PyDict::new(py);
        for (at, argument) in self.by_name.iter().enumerate() {
            // SAFETY: as in `take`.
            let name = unsafe { ffi::PyTuple_GetItem(self.names, at.cast_signed()) };
            by_name.set_item(object(&name), object(argument))?;
        }
        Ok((by_place, by_name))
    }

    /// Calls `function` with the same arguments.
    #[cold]
    fn pass_on(&self, function: &Bound<'_, PyAny>) -> PyResult<Object> {
        let (by_place, by_name) = self.collect(function.py())?;
        Ok(function.call(by_place, Some(&by_name))?.into_ptr())
    }

    /// The same, without a tuple if they are few.
    #[inline(always)]
    pub(crate) fn pass_on_quickly(&self, function: &Bound<'_, PyAny>) -> PyResult<Object> {
        let end = ptr::null_mut::<ffi::PyObject>();
        let f = function.as_ptr();
        // SAFETY: a function, and its arguments to the null.
        let answer = unsafe {
            match (self.by_place, self.by_name) {
                ([], []) => ffi::PyObject_CallFunctionObjArgs(f, end),
                (&[a], []) => ffi::PyObject_CallFunctionObjArgs(f, a, end),
                (&[a, b], []) => ffi::PyObject_CallFunctionObjArgs(f, a, b, end),
                (&[a, b, c], []) => ffi::PyObject_CallFunctionObjArgs(f, a, b, c, end),
                (&[a, b, c, d], []) => ffi::PyObject_CallFunctionObjArgs(f, a, b, c, d, end),
                _ => return self.pass_on(function),
            }
        };
        answered(function.py(), answer)
    }
}

/// How many arguments a call has by place: the topmost bit says that the place before them is free.
#[inline(always)]
pub(crate) const fn count_by_place(count: usize) -> ffi::Py_ssize_t {
    (count & (usize::MAX >> 1)).cast_signed()
}

/// What a call has answered, or raised.
#[inline(always)]
pub(crate) fn answered(py: Python<'_>, answer: Object) -> PyResult<Object> {
    if answer.is_null() { Err(PyErr::fetch(py)) } else { Ok(answer) }
}

/// An argument, if it was given.
#[inline(always)]
fn given<'a, 'py>(py: Python<'py>, object: &'a Object) -> Option<&'a Bound<'py, PyAny>> {
    if object.is_null() {
        return None;
    }
    // SAFETY: an argument, which lives for the call, and is not null.
    Some(unsafe { Bound::ref_from_ptr(py, object) })
}

/// The call as PyO3 has it.
fn slow<'a, 'py>(
    py: Python<'py>,
    call: &'a PyOnceLock<Py<PyAny>>,
) -> PyResult<&'a Bound<'py, PyAny>> {
    let call = call.get(py).map(|call| call.bind(py));
    call.ok_or_else(|| PySystemError::new_err("not set up"))
}

static SLOW_TRACE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static SLOW_DURATION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static SLOW_COUNT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

unsafe extern "C" fn trace(
    _: Object,
    args: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    called(|py| {
        // SAFETY: as the interpreter passed them.
        let arguments = unsafe { Arguments::new(args, count, names) };
        if let ([name], []) = (arguments.by_place, arguments.by_name)
            && let Some(span) = given(py, name).and_then(trace_name)
        {
            return span::object(py, span);
        }
        arguments.pass_on(slow(py, &SLOW_TRACE)?)
    })
}

/// Calls a counter's method.
///
/// # Safety
///
/// - `counter` is a `PyCounter`: the method's descriptor has checked it.
#[inline(always)]
unsafe fn change(
    counter: Object,
    value: Object,
    change: impl FnOnce(&PyCounter, Python<'_>, &Bound<'_, PyAny>) -> PyResult<()>,
) -> Object {
    called(|py| {
        // SAFETY: this function's contract.
        let counter = unsafe { this::<PyCounter>(py, &counter) };
        if let Some(value) = given(py, &value) {
            change(counter.get(), py, value)?;
        }
        Ok(py.None().into_ptr())
    })
}

unsafe extern "C" fn set(object: Object, value: Object) -> Object {
    // SAFETY: a method of that class.
    unsafe { change(object, value, PyCounter::set) }
}

unsafe extern "C" fn add(object: Object, value: Object) -> Object {
    // SAFETY: a method of that class.
    unsafe { change(object, value, PyCounter::add) }
}

unsafe extern "C" fn duration(
    object: Object,
    args: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    called(|py| {
        // SAFETY: as the interpreter passed them.
        let arguments = unsafe { Arguments::new(args, count, names) };
        let parameters = ["ts", "dur", "annotation", "kwargs", "flow", "category_list"];
        // SAFETY: a method of that class.
        let track = unsafe { this::<LegacyTrack>(py, &object) };
        if let Some([ts, dur, annotation, kwargs, flow, categories]) =
            arguments.take(py, parameters)
            && let (Some(ts), Some(dur), Some(annotation)) =
                (given(py, &ts), given(py, &dur), given(py, &annotation))
        {
            let (kwargs, flow) = (given(py, &kwargs), given(py, &flow));
            track.get().record(py, ts, dur, annotation, kwargs, flow, given(py, &categories))?;
            return Ok(track.clone().into_ptr());
        }
        arguments.pass_on(&slow(py, &SLOW_DURATION)?.call_method1("__get__", (track,))?)
    })
}

unsafe extern "C" fn count(
    object: Object,
    args: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    called(|py| {
        // SAFETY: as the interpreter passed them.
        let arguments = unsafe { Arguments::new(args, count, names) };
        // SAFETY: a method of that class.
        let counter = unsafe { this::<LegacyCounterTrack>(py, &object) };
        if let Some([ts, value]) = arguments.take(py, ["ts", "value"])
            && let (Some(ts), Some(value)) = (given(py, &ts), given(py, &value))
        {
            counter.get().record(py, ts, value)?;
            return Ok(counter.clone().into_ptr());
        }
        arguments.pass_on(&slow(py, &SLOW_COUNT)?.call_method1("__get__", (counter,))?)
    })
}

/// The stub's docstring, after a signature if it is a function's, as definitions have them.
macro_rules! documented {
    ($signature:literal, $name:literal) => {
        documented!(@ $signature, "\n--\n\n", stub!($name))
    };
    ($name:literal) => {
        documented!(@ stub!($name))
    };
    (@ $($text:expr),+) => {{
        const TEXT: &str = concat!($($text,)+ "\0");
        const DOCUMENTED: &::std::ffi::CStr = match ::std::ffi::CStr::from_bytes_with_nul(TEXT.as_bytes()) {
            Ok(text) => text,
            Err(_) => panic!("a docstring has no zero in it"),
        };
        DOCUMENTED
    }};
}
pub(crate) use documented;

/// A function by one of the calling conventions that PyO3 does not name for this ABI.
#[derive(Clone, Copy)]
pub(crate) enum Method {
    NoArguments(unsafe extern "C" fn(Object, Object) -> Object),
    One(unsafe extern "C" fn(Object, Object) -> Object),
    Fast(unsafe extern "C" fn(Object, *const Object, ffi::Py_ssize_t) -> Object),
    Keywords(unsafe extern "C" fn(Object, *const Object, ffi::Py_ssize_t, Object) -> Object),
}

/// A function as definitions have it, whatever its convention: their flags say which it is.
fn any_method(method: *const ()) -> ffi::PyCFunction {
    // SAFETY: a function's address; the interpreter calls it by the convention that the flags name.
    unsafe { std::mem::transmute::<*const (), ffi::PyCFunction>(method) }
}

/// A method's definition, for as long as the process lives.
fn definition(
    name: &'static CStr,
    text_signature: &'static CStr,
    method: Method,
) -> *mut ffi::PyMethodDef {
    let (flags, method) = match method {
        Method::NoArguments(method) => (NO_ARGUMENTS, method),
        Method::One(method) => (ONE_ARGUMENT, method),
        Method::Fast(method) => (FAST, any_method(method as *const ())),
        Method::Keywords(method) => (FAST | KEYWORDS, any_method(method as *const ())),
    };
    let definition = ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: method },
        ml_flags: flags,
        ml_doc: text_signature.as_ptr(),
    };
    Box::into_raw(Box::new(definition))
}

/// Puts a method in the place of the one that PyO3 made, which it answers.
fn replace<T: PyClass>(
    py: Python<'_>,
    name: &'static CStr,
    text_signature: &'static CStr,
    method: Method,
) -> PyResult<Py<PyAny>> {
    let slow = py.get_type::<T>().getattr(&*name.to_string_lossy())?.unbind();
    add_method::<T>(py, name, text_signature, method)?;
    Ok(slow)
}

/// Gives a class a method.
fn add_method<T: PyClass>(
    py: Python<'_>,
    name: &'static CStr,
    text_signature: &'static CStr,
    method: Method,
) -> PyResult<()> {
    let class = py.get_type::<T>();
    class.setattr(&*name.to_string_lossy(), method_of(&class, name, text_signature, method)?)
}

/// A method of the class, which is not put there.
pub(crate) fn method_of<'py>(
    class: &Bound<'py, PyType>,
    name: &'static CStr,
    text_signature: &'static CStr,
    method: Method,
) -> PyResult<Bound<'py, PyAny>> {
    let definition = definition(name, text_signature, method);
    // SAFETY: a class, and a definition that lives on.
    let descriptor = unsafe { ffi::PyDescr_NewMethod(class.as_type_ptr(), definition) };
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(class.py(), descriptor) }
}

/// Sub-interpreters would have classes and texts of the first one; from Python 3.12 on, it refuses this itself.
pub(crate) fn refuse_subinterpreter(py: Python<'_>) -> PyResult<()> {
    let _ = py;
    // SAFETY: the interpreter of this thread, which `py` says there is.
    let interpreter = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: as above.
    if unsafe { ffi::PyInterpreterState_GetID(interpreter) } == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "module novatrace._novatrace does not support loading in subinterpreters",
    ))
}

/// Makes the calls quick.
pub(crate) fn set_up(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    SLOW_TRACE.get_or_try_init(py, || Ok::<_, PyErr>(module.getattr("trace")?.unbind()))?;
    let signature = documented!(
        "trace(name, /, *, category=None, flow_in=None, flow_out=None, flow_end=None, **args)",
        "trace"
    );
    let definition = definition(c"trace", signature, Method::Keywords(trace));
    let name = module.name()?;
    // SAFETY: a definition that lives on, and a module's name.
    let quick = unsafe { ffi::PyCFunction_NewEx(definition, ptr::null_mut(), name.as_ptr()) };
    // SAFETY: a new reference, or null with an exception.
    module.setattr("trace", unsafe { Bound::from_owned_ptr_or_err(py, quick) }?)?;

    let signature = documented!("set($self, value, /)", "Counter.set");
    add_method::<PyCounter>(py, c"set", signature, Method::One(set))?;
    let signature = documented!("add($self, value, /)", "Counter.add");
    add_method::<PyCounter>(py, c"add", signature, Method::One(add))?;
    let signature =
        c"duration($self, ts, dur, annotation, kwargs=None, flow=None, category_list=None)\n--\n\n";
    let slow = replace::<LegacyTrack>(py, c"duration", signature, Method::Keywords(duration))?;
    SLOW_DURATION.get_or_init(py, || slow);
    let signature = c"count($self, ts, value)\n--\n\n";
    let slow = replace::<LegacyCounterTrack>(py, c"count", signature, Method::Keywords(count))?;
    SLOW_COUNT.get_or_init(py, || slow);
    Ok(())
}
