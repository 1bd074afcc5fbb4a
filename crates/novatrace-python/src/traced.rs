//! The object that stands for a decorated function. Belongs here: the class, by hand. Does not: what a call records.
//!
//! The interpreter's way to call an object of a class that PyO3 makes for the stable ABI of Python 3.9 is with a tuple
//! of the arguments, which is allocated, and takes longer than all that a call does while nothing records; and a
//! method is bound to its object first, by a call of its own. This class is called as functions are.
#![expect(unsafe_code, reason = "a class of the interpreter's, by hand")]

use std::ffi::{c_int, c_void};
use std::mem::{ManuallyDrop, offset_of};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::class::{END, HAS_VECTORCALL, IS_METHOD, class, place, slot};
use crate::fast::{
    Arguments, Method, Object, answered, called, count_by_place, documented, method_of,
};
use crate::function::{Traced, TracedCall, function_name};
use crate::live::Opened;

/// An instance.
#[repr(C)]
struct Instance {
    head: ffi::PyObject,
    /// What the interpreter calls: `call`.
    call: ffi::vectorcallfunc,
    /// Its `__dict__`, or null.
    attributes: Object,
    /// The interpreter's list of them, or null.
    weak_references: Object,
    traced: ManuallyDrop<Traced>,
}

static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn the_class(py: Python<'_>) -> *mut ffi::PyTypeObject {
    CLASS.get(py).expect("the class is made with the module").as_ptr().cast()
}

/// The function as an object of Python's.
pub(crate) fn new(py: Python<'_>, traced: Traced) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a class; a new reference, or null with an exception.
    let object =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(the_class(py), 0)) }?;
    let instance = object.as_ptr().cast::<Instance>();
    // SAFETY: an instance, of zeros but for its head. Nobody looks at it before it is whole, the collector neither:
    // there is no call of the interpreter's in between.
    unsafe {
        (&raw mut (*instance).call).write(call);
        (&raw mut (*instance).traced).write(ManuallyDrop::new(traced));
    }
    Ok(object)
}

/// What the object stands for.
///
/// # Errors
///
/// - `TypeError`, if it stands for no function.
pub(crate) fn of<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<&'a Traced> {
    if object.get_type_ptr() != the_class(object.py()) {
        return Err(PyTypeError::new_err("not a decorated function"));
    }
    // SAFETY: an instance, for as long as the reference.
    Ok(unsafe { &(*object.as_ptr().cast::<Instance>()).traced })
}

unsafe extern "C" fn dealloc(object: Object) {
    let instance = object.cast::<Instance>();
    // SAFETY: the last reference to an instance is gone; its class counts its instances.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        if !(*instance).weak_references.is_null() {
            ffi::PyObject_ClearWeakRefs(object);
        }
        let class = ffi::Py_TYPE(object);
        clear(object);
        ManuallyDrop::take(&mut (*instance).traced).let_go(Python::assume_attached());
        ffi::PyObject_GC_Del(object.cast());
        ffi::Py_DECREF(class.cast());
    }
}

unsafe extern "C" fn traverse(
    object: Object,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    let instance = object.cast::<Instance>();
    // SAFETY: the collector calls this with an instance, which is whole.
    unsafe {
        let traced = &(*instance).traced;
        let args = traced.said.args.as_ref().map_or(ptr::null_mut(), Py::as_ptr);
        let class = ffi::Py_TYPE(object).cast();
        for held in [class, (*instance).attributes, traced.function.as_ptr(), args] {
            if !held.is_null() {
                let answer = visit(held, argument);
                if answer != 0 {
                    return answer;
                }
            }
        }
    }
    0
}

/// What else it holds is there until the last reference is gone: a cycle has a dict or a function to be broken at.
unsafe extern "C" fn clear(object: Object) -> c_int {
    let instance = object.cast::<Instance>();
    // SAFETY: the collector calls this with an instance, that nobody else has; null before what is dropped can look.
    unsafe {
        let attributes = (&raw mut (*instance).attributes).replace(ptr::null_mut());
        ffi::Py_XDECREF(attributes);
    }
    0
}

/// # Safety
///
/// - An instance, for as long as the reference.
unsafe fn parts<'a, 'py>(
    py: Python<'py>,
    object: &'a Object,
) -> (&'a Traced, &'a Bound<'py, PyAny>) {
    // SAFETY: this function's contract.
    let traced = unsafe { &(*object.cast::<Instance>()).traced };
    (traced, traced.function.bind(py))
}

unsafe extern "C" fn call(
    object: Object,
    args: *const Object,
    count: usize,
    names: Object,
) -> Object {
    called(|py| {
        // SAFETY: as the interpreter passed them.
        let arguments = unsafe { Arguments::new(args, count_by_place(count), names) };
        // SAFETY: the interpreter calls this with an instance.
        let (traced, function) = unsafe { parts(py, &object) };
        let mut opened = traced.open(py, || arguments.collect(py))?;
        let answer = arguments.pass_on_quickly(function);
        opened.end();
        answer
    })
}

/// The call by which a caller has its arguments in a tuple.
unsafe extern "C" fn call_with_tuple(object: Object, args: Object, names: Object) -> Object {
    called(|py| {
        // SAFETY: the interpreter calls this with an instance, a tuple, and a dict or null.
        unsafe {
            let (traced, function) = parts(py, &object);
            let args = Bound::from_borrowed_ptr(py, args).cast_into_unchecked::<PyTuple>();
            let names = Bound::from_borrowed_ptr_or_opt(py, names);
            let names = names.map(|names| names.cast_into_unchecked::<PyDict>());
            let collected = || Ok((args.clone(), names.clone().unwrap_or_else(|| PyDict::new(py))));
            let mut opened = traced.open(py, collected)?;
            let answer = function.call(&args, names.as_ref());
            opened.end();
            Ok(answer?.into_ptr())
        }
    })
}

unsafe extern "C" fn refuse(_: *mut ffi::PyTypeObject, _: Object, _: Object) -> Object {
    called(|_| Err(PyTypeError::new_err("decorated functions are made by trace_func()")))
}

/// Bound to an object, as a function is.
unsafe extern "C" fn bind(object: Object, to: Object, _: Object) -> Object {
    static METHOD: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    called(|py| {
        // SAFETY: the interpreter calls this with an instance, and an object or null. `None` stands for null in calls
        // from Python.
        unsafe {
            if to.is_null() || ffi::Py_IsNone(to) != 0 {
                ffi::Py_INCREF(object);
                return Ok(object);
            }
            let end = ptr::null_mut::<ffi::PyObject>();
            let method = METHOD.import(py, "types", "MethodType")?.as_ptr();
            answered(py, ffi::PyObject_CallFunctionObjArgs(method, object, to, end))
        }
    })
}

unsafe extern "C" fn repr(object: Object) -> Object {
    called(|py| {
        // SAFETY: the interpreter calls this with an instance.
        let (_, function) = unsafe { parts(py, &object) };
        Ok(format!("<traced {}>", function.repr()?).into_pyobject(py)?.into_any().into_ptr())
    })
}

/// `__dict__`, which is made when it is asked for.
unsafe extern "C" fn attributes(object: Object, _: *mut c_void) -> Object {
    called(|py| {
        // SAFETY: the descriptor has checked the object, which lives for the call.
        let any = unsafe { Bound::ref_from_ptr(py, &object) };
        with_critical_section(any, || {
            let instance = object.cast::<Instance>();
            // SAFETY: an instance, and by the section nobody else's.
            unsafe {
                if (*instance).attributes.is_null() {
                    // Without the interpreter's lock, its lookups read it outside of the section.
                    let place = AtomicPtr::from_ptr(&raw mut (*instance).attributes);
                    place.store(PyDict::new(py).into_ptr(), Ordering::Release);
                }
                ffi::Py_INCREF((*instance).attributes);
                Ok((*instance).attributes)
            }
        })
    })
}

/// By its name, as functions are pickled.
unsafe extern "C" fn reduce(object: Object, _: Object) -> Object {
    called(|py| {
        // SAFETY: the method's descriptor has checked the object.
        let (_, function) = unsafe { parts(py, &object) };
        Ok(function_name(function)?.into_pyobject(py)?.into_any().into_ptr())
    })
}

/// A span of the call, for functions that are more than one call.
unsafe extern "C" fn span(object: Object, args: *const Object, count: ffi::Py_ssize_t) -> Object {
    called(|py| {
        if count != 2 {
            return Err(PyTypeError::new_err(
                "_span() takes a call's arguments, by place and by name",
            ));
        }
        // SAFETY: an instance, and two arguments, which live for the call.
        let (traced, args, kwargs) = unsafe {
            let any = |object| Bound::from_borrowed_ptr(py, object);
            (any(object), any(*args), any(*args.add(1)))
        };
        let (args, kwargs) = (args.cast_into::<PyTuple>()?, kwargs.cast_into::<PyDict>()?);
        let given = Some((args.unbind(), kwargs.unbind()));
        let call = TracedCall { traced: traced.unbind(), given, opened: Opened::No };
        Ok(Bound::new(py, call)?.into_ptr())
    })
}

/// Makes the class, and gives it to the module.
pub(crate) fn set_up(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let mut members = [
        place(c"__vectorcalloffset__", offset_of!(Instance, call).cast_signed()),
        place(c"__dictoffset__", offset_of!(Instance, attributes).cast_signed()),
        place(c"__weaklistoffset__", offset_of!(Instance, weak_references).cast_signed()),
        ffi::PyMemberDef::default(),
    ];
    // The interpreter keeps it.
    let properties = Box::leak(Box::new([
        ffi::PyGetSetDef {
            name: c"__dict__".as_ptr(),
            get: Some(attributes),
            set: Some(ffi::PyObject_GenericSetDict),
            ..Default::default()
        },
        ffi::PyGetSetDef::default(),
    ]));
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_call, call_with_tuple as *mut c_void),
        slot(ffi::Py_tp_new, refuse as *mut c_void),
        slot(ffi::Py_tp_descr_get, bind as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, properties.as_mut_ptr().cast()),
        slot(ffi::Py_tp_doc, documented!("Traced").as_ptr().cast_mut().cast()),
        END,
    ];
    let flags = HAS_VECTORCALL | IS_METHOD | ffi::Py_TPFLAGS_HAVE_GC;
    // SAFETY: functions on an `Instance`; the members are copied.
    let class =
        unsafe { class(py, c"novatrace.Traced", size_of::<Instance>(), flags, &mut slots) }?;
    let methods = [
        (c"__reduce__", c"__reduce__($self, /)\n--\n\n", Method::NoArguments(reduce)),
        (c"_span", c"_span($self, args, kwargs, /)\n--\n\n", Method::Fast(span)),
    ];
    for (name, signature, method) in methods {
        class.setattr(&*name.to_string_lossy(), method_of(&class, name, signature, method)?)?;
    }
    module.setattr("Traced", &class)?;
    CLASS.get_or_init(py, || class.unbind());
    Ok(())
}
