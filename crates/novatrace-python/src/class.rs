//! Classes made by hand, for what PyO3 cannot say in the stable ABI of Python 3.9. Belongs here: how a class is
//! described to the interpreter. Does not: any class.
#![expect(unsafe_code, reason = "classes of the interpreter's, by hand")]

use std::ffi::{CStr, c_ulong, c_void};
use std::ptr;

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The interpreter's memory, for an object of its own.
pub(crate) fn room<T>(_: Python<'_>) -> PyResult<*mut T> {
    // SAFETY: the thread is attached.
    let memory = unsafe { ffi::PyObject_Malloc(size_of::<T>()) }.cast::<T>();
    if memory.is_null() { Err(PyMemoryError::new_err(())) } else { Ok(memory) }
}

/// A class from its description.
///
/// # Safety
///
/// - The slots are functions of their signatures, on instances of `size` bytes.
pub(crate) unsafe fn class<'py>(
    py: Python<'py>,
    name: &'static CStr,
    size: usize,
    flags: c_ulong,
    slots: &mut [ffi::PyType_Slot],
) -> PyResult<Bound<'py, PyType>> {
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size.try_into()?,
        itemsize: 0,
        flags: u32::try_from(ffi::Py_TPFLAGS_DEFAULT | flags)?,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: this function's contract; a new reference, or null with an exception.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec)) }?;
    Ok(class.cast_into::<PyType>()?)
}

pub(crate) const fn slot(slot: i32, pfunc: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc }
}

pub(crate) const END: ffi::PyType_Slot = slot(0, ptr::null_mut());

/// `Py_TPFLAGS_HAVE_VECTORCALL`, which is in the stable ABI since 3.12, and the same since 3.8.
pub(crate) const HAS_VECTORCALL: c_ulong = 1 << 11;

/// `Py_TPFLAGS_METHOD_DESCRIPTOR`: what is called on an object is called with that object first, and not bound to it
/// before. As above.
pub(crate) const IS_METHOD: c_ulong = 1 << 17;

/// Where in an instance the interpreter finds something of its own.
pub(crate) const fn place(name: &'static CStr, offset: isize) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset,
        flags: ffi::Py_READONLY,
        doc: ptr::null(),
    }
}
