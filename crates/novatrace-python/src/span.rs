//! The object that `trace` answers: a span to be entered, or a decorator. Belongs here: the class, by hand. Does not:
//! what a span records.
//!
//! For each `with`, the interpreter binds `__enter__` and `__exit__` to the object, which allocates two bound methods
//! and takes longer than all that a span does while nothing records. The class is therefore made by hand, such that
//! both are bound by answering the object itself: it is called with nothing to enter, with an exception's three
//! parts to leave, and with a function to decorate it. On the class they are methods as usual (`ExitStack` asks there).
#![expect(unsafe_code, reason = "a class of the interpreter's, by hand")]

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::{ManuallyDrop, offset_of};
use std::ptr;

use novatrace::__macro_support::CallSite;
use novatrace::LiveTrack;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyString, PyType};

use crate::class::{END, HAS_VECTORCALL, class, place, room, slot};
use crate::error::state_error;
use crate::fast::{Method, Object, called, count_by_place, documented, method_of};
use crate::function::Traced;
use crate::live::{Opened, Said};
use crate::value::text;

/// What is recorded when the object is entered.
pub(crate) struct Span {
    pub(crate) name: Py<PyString>,
    pub(crate) site: &'static CallSite,
    pub(crate) track: Option<LiveTrack>,
    pub(crate) said: Said,
    pub(crate) opened: Opened,
}

impl Span {
    #[inline]
    fn enter(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(on) = self.site.on() else { return Ok(()) };
        if !matches!(self.opened, Opened::No) {
            return Err(state_error(py, "the span is open already: make another with trace()"));
        }
        let Self { name, site, track, said, opened } = self;
        let name = text(name.bind(py));
        let say = |fields: &mut _| said.say(py, fields);
        *opened = Opened::begin(py, on, site, track.as_ref(), &name, say)?;
        Ok(())
    }

    /// To be called instead of dropping it where PyO3 does not know that the thread is attached: it would keep what is
    /// let go for later.
    fn let_go(self, py: Python<'_>) {
        let Self { name, said, .. } = self;
        name.drop_ref(py);
        said.let_go(py);
    }

    fn decorate(&self, function: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = function.py();
        let name = Some(text(self.name.bind(py)).into_owned());
        let (track, said) = (self.track.clone(), self.said.clone_ref(py));
        Traced::wrap(function, name, self.site.category(), track, None, false, said)
    }
}

/// An instance.
#[repr(C)]
struct Instance {
    head: ffi::PyObject,
    /// What the interpreter calls: `call`.
    call: ffi::vectorcallfunc,
    /// Whether a call uses the span: reading its arguments may run anything, this very span included.
    is_used: Cell<bool>,
    span: ManuallyDrop<Span>,
}

static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Memory of instances that are gone, for the next ones.
#[cfg(not(Py_GIL_DISABLED))]
mod spare {
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    use super::Instance;

    const LIMIT: usize = 32;
    static SPARE: [AtomicPtr<Instance>; LIMIT] = [const { AtomicPtr::new(ptr::null_mut()) }; LIMIT];
    /// Who has the interpreter's lock has these: nothing else orders them.
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn take() -> Option<*mut Instance> {
        let count = COUNT.load(Ordering::Relaxed).checked_sub(1)?;
        COUNT.store(count, Ordering::Relaxed);
        Some(SPARE.get(count)?.load(Ordering::Relaxed))
    }

    pub(super) fn give(instance: *mut Instance) -> bool {
        let count = COUNT.load(Ordering::Relaxed);
        let Some(place) = SPARE.get(count) else { return false };
        place.store(instance, Ordering::Relaxed);
        COUNT.store(count + 1, Ordering::Relaxed);
        true
    }
}

/// An interpreter without the lock has memory of each thread's own.
#[cfg(Py_GIL_DISABLED)]
mod spare {
    pub(super) fn take() -> Option<*mut super::Instance> {
        None
    }

    pub(super) fn give(_: *mut super::Instance) -> bool {
        false
    }
}

/// The span as an object of Python's.
#[inline(always)]
pub(crate) fn object(py: Python<'_>, span: Span) -> PyResult<Object> {
    let class = CLASS.get(py).expect("the class is made with the module").as_ptr();
    let instance = match spare::take() {
        Some(instance) => instance,
        None => room(py)?,
    };
    // SAFETY: room for an instance, which nothing else has, and its class.
    unsafe {
        (&raw mut (*instance).call).write(call);
        (&raw mut (*instance).is_used).write(Cell::new(false));
        (&raw mut (*instance).span).write(ManuallyDrop::new(span));
        Ok(ffi::PyObject_Init(instance.cast(), class.cast()))
    }
}

pub(crate) fn new(py: Python<'_>, span: Span) -> PyResult<Py<PyAny>> {
    let object = object(py, span)?;
    // SAFETY: a new reference.
    Ok(unsafe { Bound::from_owned_ptr(py, object) }.unbind())
}

unsafe extern "C" fn dealloc(object: Object) {
    let instance = object.cast::<Instance>();
    // SAFETY: the last reference to an instance is gone; its class is one of this module's, and counts its instances.
    unsafe {
        let class = ffi::Py_TYPE(object);
        ManuallyDrop::take(&mut (*instance).span).let_go(Python::assume_attached());
        if !spare::give(instance) {
            ffi::PyObject_Free(instance.cast::<c_void>());
        }
        ffi::Py_DECREF(class.cast());
    }
}

/// Does `work` with an object's span, which nobody else has meanwhile.
///
/// # Safety
///
/// - `object` is an instance of the class.
#[inline(always)]
unsafe fn with_span<T>(
    py: Python<'_>,
    object: Object,
    work: impl FnOnce(&mut Span) -> PyResult<T>,
) -> PyResult<T> {
    /// Gives the span back, also if `work` panics.
    struct Used<'a>(&'a Cell<bool>);
    impl Drop for Used<'_> {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }
    // SAFETY: borrowed from the caller, for this call.
    let any = unsafe { Bound::ref_from_ptr(py, &object) };
    let instance = object.cast::<Instance>();
    // Another thread that has a hand on it is waited for.
    with_critical_section(any, || {
        // SAFETY: an instance, by this function's contract.
        let is_used = unsafe { &(*instance).is_used };
        if is_used.replace(true) {
            return Err(state_error(py, "the span is being entered or left"));
        }
        let _used = Used(is_used);
        // SAFETY: as above; by its mark, nothing else refers to the span until `_used` is gone.
        work(unsafe { &mut (*instance).span })
    })
}

/// # Safety
///
/// - `object` is an instance of the class.
#[inline(always)]
unsafe fn enter(py: Python<'_>, object: Object) -> PyResult<Object> {
    // SAFETY: this function's contract.
    unsafe { with_span(py, object, |span| span.enter(py)) }?;
    // SAFETY: as above; the reference is the caller's.
    unsafe { ffi::Py_INCREF(object) };
    Ok(object)
}

/// # Safety
///
/// - `object` is an instance of the class.
#[inline(always)]
unsafe fn exit(py: Python<'_>, object: Object) -> PyResult<Object> {
    // SAFETY: this function's contract.
    unsafe {
        with_span(py, object, |span| {
            span.opened.end();
            Ok(())
        })
    }?;
    Ok(py.None().into_ptr())
}

unsafe extern "C" fn call(
    object: Object,
    args: *const Object,
    count: usize,
    names: Object,
) -> Object {
    called(|py| {
        let count = count_by_place(count);
        // SAFETY: a tuple, of the names of those arguments that have one.
        let named = if names.is_null() { 0 } else { unsafe { ffi::PyTuple_Size(names) } };
        // SAFETY: the interpreter calls this with an instance, and `count` arguments.
        unsafe {
            match (count, named) {
                (0, 0) => enter(py, object),
                (3, 0) => exit(py, object),
                (1, 0) => {
                    let function = Bound::ref_from_ptr(py, &*args);
                    let decorated = with_span(py, object, |span| span.decorate(function));
                    Ok(decorated?.into_ptr())
                }
                (given, named) => Err(PyTypeError::new_err(format!(
                    "a span decorates one function, given by place; {given} arguments by place and {named} by \
                     name were given"
                ))),
            }
        }
    })
}

/// The call by which a caller has its arguments in a tuple.
unsafe extern "C" fn call_with_tuple(object: Object, args: Object, names: Object) -> Object {
    const MOST: usize = 4;
    // SAFETY: the interpreter calls this with a tuple, and a dict or null.
    unsafe {
        let count = ffi::PyTuple_Size(args).cast_unsigned();
        let mut array = [ptr::null_mut(); MOST];
        for (at, place) in array.iter_mut().enumerate().take(count) {
            *place = ffi::PyTuple_GetItem(args, at.cast_signed());
        }
        if names.is_null() || ffi::PyDict_Size(names) == 0 {
            return call(object, array.as_ptr(), count.min(MOST), ptr::null_mut());
        }
        called(|_| {
            Err(PyTypeError::new_err(
                "a span decorates one function, given by place and not by name",
            ))
        })
    }
}

unsafe extern "C" fn refuse(_: *mut ffi::PyTypeObject, _: Object, _: Object) -> Object {
    called(|_| Err(PyTypeError::new_err("spans are made by trace()")))
}

unsafe extern "C" fn enter_method(object: Object, _: Object) -> Object {
    // SAFETY: the method's descriptor has checked the object.
    called(|py| unsafe { enter(py, object) })
}

unsafe extern "C" fn exit_method(object: Object, _: *const Object, _: ffi::Py_ssize_t) -> Object {
    // SAFETY: as above.
    called(|py| unsafe { exit(py, object) })
}

/// `__enter__` or `__exit__`.
#[repr(C)]
struct Binding {
    head: ffi::PyObject,
    /// What it is on the class.
    method: Object,
}

unsafe extern "C" fn bind(binding: Object, object: Object, _: Object) -> Object {
    // SAFETY: the interpreter calls this with a `Binding`, and an instance or null. `None` stands for null in calls
    // from Python.
    unsafe {
        let on_class = object.is_null() || ffi::Py_IsNone(object) != 0;
        let bound = if on_class { (*binding.cast::<Binding>()).method } else { object };
        ffi::Py_INCREF(bound);
        bound
    }
}

/// Makes the class, and gives it to the module.
pub(crate) fn set_up(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let offset = offset_of!(Instance, call).cast_signed();
    let mut members = [place(c"__vectorcalloffset__", offset), ffi::PyMemberDef::default()];
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_call, call_with_tuple as *mut c_void),
        slot(ffi::Py_tp_new, refuse as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(ffi::Py_tp_doc, documented!("Span").as_ptr().cast_mut().cast()),
        END,
    ];
    // SAFETY: functions on an `Instance`; the members are copied.
    let span =
        unsafe { class(py, c"novatrace.Span", size_of::<Instance>(), HAS_VECTORCALL, &mut slots) }?;
    let mut slots = [
        slot(ffi::Py_tp_descr_get, bind as *mut c_void),
        slot(ffi::Py_tp_new, refuse as *mut c_void),
        END,
    ];
    // SAFETY: a function on a `Binding`, which is never freed.
    let binding = unsafe { class(py, c"novatrace._Binding", size_of::<Binding>(), 0, &mut slots) }?;
    let methods = [
        (c"__enter__", c"__enter__($self)\n--\n\n", Method::NoArguments(enter_method)),
        (
            c"__exit__",
            c"__exit__($self, kind, error, traceback, /)\n--\n\n",
            Method::Fast(exit_method),
        ),
    ];
    for (name, signature, method) in methods {
        let method = method_of(&span, name, signature, method)?;
        let memory = room::<Binding>(py)?;
        // SAFETY: room for a `Binding`, whose class it becomes; it has the method for ever.
        let bound = unsafe {
            (&raw mut (*memory).method).write(method.into_ptr());
            Bound::from_owned_ptr(py, ffi::PyObject_Init(memory.cast(), binding.as_type_ptr()))
        };
        // Never freed.
        std::mem::forget(bound.clone());
        span.setattr(&*name.to_string_lossy(), bound)?;
    }
    // `add` would say what is public, which the package does.
    module.setattr("Span", &span)?;
    CLASS.get_or_init(py, || span.unbind());
    Ok(())
}
