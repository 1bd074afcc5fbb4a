//! The calls of a program from `sys.monitoring`, which Python has since 3.12: it hands over a function's code
//! where the profile hook makes a frame object first, says which exception it is, and what is not to be
//! recorded costs nothing from its second call on. It has no say about C functions' methods that the hook
//! would make easier, so that those are the hook's. Belongs here: the callbacks. Does not: what a call is.
//!
//! A call is known by its code here, not by its frame: of two calls of one function, whose returns come in
//! another order, the spans change places, and are called the same.
#![expect(unsafe_code, reason = "the interpreter's callbacks, without arguments being gathered")]

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;

use crate::hook::{Calls, with_calls};

/// `sys.monitoring.DISABLE`: there is nothing to be told of this place again.
static DISABLE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());

/// In the stable ABI since 3.10, and the same in 3.9.
const METH_FASTCALL: c_int = 0x80;

type Callback = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
) -> *mut ffi::PyObject;

/// What the callbacks answer, as a new reference.
fn answer(is_wanted: bool) -> *mut ffi::PyObject {
    let disable = DISABLE.load(Ordering::Relaxed);
    // SAFETY: the interpreter calls, so it is there.
    let none = unsafe { ffi::Py_None() };
    let answer = if is_wanted || disable.is_null() { none } else { disable };
    // SAFETY: `None`, or what `_monitors` holds for ever.
    unsafe { ffi::Py_IncRef(answer) };
    answer
}

/// `PY_START`, `PY_RESUME` and `PY_THROW`; the latter may not be disabled.
unsafe extern "C" fn on_call(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: there are `count` arguments.
    let code = if count >= 2 { unsafe { *args } } else { return answer(true) };
    let is_wanted = with_calls(|calls| calls.monitored_call(code));
    answer(is_wanted.unwrap_or(true) || count > 2)
}

/// `PY_RETURN` and `PY_YIELD`.
unsafe extern "C" fn on_return(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: there are `count` arguments.
    let code = if count >= 3 { unsafe { *args } } else { return answer(true) };
    answer(with_calls(|calls| calls.monitored_return(code)).unwrap_or(true))
}

/// `PY_UNWIND`.
unsafe extern "C" fn on_unwind(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    if count >= 3 {
        // SAFETY: there are `count` arguments.
        let code = unsafe { *args };
        // SAFETY: as above.
        let exception = unsafe { *args.add(2) };
        with_calls(|calls| calls.monitored_unwind(code, exception));
    }
    answer(true)
}

impl Calls {
    /// Says whether such calls are wanted.
    #[inline(always)]
    fn monitored_call(&mut self, code: *mut ffi::PyObject) -> bool {
        if !self.is_hooked() && !self.hook_if_known(code) {
            return true;
        }
        let site = self.site_of(code);
        if site.is_none() {
            return false;
        }
        self.push(code as usize, site);
        true
    }

    #[inline(always)]
    fn monitored_return(&mut self, code: *mut ffi::PyObject) -> bool {
        if self.is_innermost(code as usize) {
            self.leave(code as usize, false);
            return true;
        }
        if !self.is_hooked() {
            return true;
        }
        self.leave(code as usize, false);
        self.site_of(code).is_some()
    }

    #[cold]
    fn monitored_unwind(&mut self, code: *mut ffi::PyObject, exception: *mut ffi::PyObject) {
        // SAFETY: the interpreter calls, so this thread is attached to it.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: an argument, lent.
        let exception = unsafe { Bound::from_borrowed_ptr(py, exception) };
        // What has not been called yet is not left either.
        if self.is_recorded(code) {
            self.set_raised(code as usize, &exception);
            self.leave(code as usize, true);
        }
    }

    /// Hooks a thread that has not been, as soon as it has a name.
    #[cold]
    #[inline(never)]
    fn hook_if_known(&mut self, code: *mut ffi::PyObject) -> bool {
        // SAFETY: as above.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: an argument, lent.
        let code = unsafe { Bound::from_borrowed_ptr(py, code) };
        // An error is one of a module that is not whole, as the interpreter ends.
        if is_being_made(&code).unwrap_or(true) {
            return false;
        }
        self.hook(py);
        true
    }
}

/// Whether a thread that calls this is still being made by `threading`, which will give it a name.
fn is_being_made(code: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = code.py();
    let threading = py.import(intern!(py, "threading"))?;
    let number = threading.call_method0(intern!(py, "get_ident"))?;
    if threading.getattr(intern!(py, "_active"))?.contains(number)? {
        return Ok(false);
    }
    code.getattr(intern!(py, "co_filename"))?.eq(threading.getattr(intern!(py, "__file__"))?)
}

fn builtin(py: Python<'_>, callback: Callback) -> PyResult<Py<PyAny>> {
    // SAFETY: a function's address, which the flags below say how to call.
    let address = unsafe { std::mem::transmute::<Callback, ffi::PyCFunction>(callback) };
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"_monitor".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: address },
        ml_flags: METH_FASTCALL,
        ml_doc: ptr::null(),
    }));
    let none = ptr::null_mut();
    // SAFETY: a definition that stays, whose function is of the kind that its flags say.
    let made = unsafe { ffi::PyCFunction_NewEx(definition, none, none) };
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }.map(Bound::unbind)
}

/// The callbacks for calls, returns and unwinding, given `sys.monitoring.DISABLE`.
#[pyfunction]
pub(crate) fn _monitors(disable: Bound<'_, PyAny>) -> PyResult<[Py<PyAny>; 3]> {
    let py = disable.py();
    DISABLE.store(disable.into_ptr(), Ordering::Relaxed);
    Ok([builtin(py, on_call)?, builtin(py, on_return)?, builtin(py, on_unwind)?])
}
