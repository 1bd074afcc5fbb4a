//! Where a call comes from. Belongs here: frames of the interpreter. Does not: what is done with places.
#![expect(unsafe_code, reason = "frames of the interpreter")]

use std::ffi::c_int;

use novatrace::__macro_support::Fields;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::value::text;

unsafe extern "C" {
    // In the stable ABI since 3.10, and exported by 3.9 with the same signatures.
    pub(crate) fn PyFrame_GetCode(frame: *mut ffi::PyFrameObject) -> *mut ffi::PyObject;
    fn PyFrame_GetLineNumber(frame: *mut ffi::PyFrameObject) -> c_int;
}

/// A place in a source file.
pub(crate) struct Place {
    pub(crate) file: Py<PyString>,
    pub(crate) function: Py<PyString>,
    pub(crate) line: u32,
}

impl Place {
    /// The place of the Python code that called into this library; `None` if there is none.
    pub(crate) fn of_caller(py: Python<'_>) -> Option<Self> {
        // SAFETY: borrowed from the thread's state; there is one, since `py` is there.
        let frame = unsafe { ffi::PyEval_GetFrame() };
        if frame.is_null() {
            return None;
        }
        // SAFETY: a frame.
        let line = unsafe { PyFrame_GetLineNumber(frame) };
        // SAFETY: a frame; it answers a reference that is ours, and never null.
        let code = unsafe { PyFrame_GetCode(frame) };
        // SAFETY: as above.
        let code = unsafe { Bound::from_owned_ptr(py, code) };
        Self::in_code(&code, line)
    }

    /// The place that called the Python code that called into this library.
    pub(crate) fn of_callers_caller(py: Python<'_>) -> Option<Self> {
        // SAFETY: as in `of_caller`.
        let frame = unsafe { ffi::PyEval_GetFrame() };
        if frame.is_null() {
            return None;
        }
        // SAFETY: a frame, borrowed; made ours.
        let frame = unsafe { Bound::from_borrowed_ptr(py, frame.cast::<ffi::PyObject>()) };
        let caller = frame.getattr("f_back").ok().filter(|caller| !caller.is_none())?;
        let line = caller.getattr("f_lineno").ok()?.extract().unwrap_or_default();
        Self::in_code(&caller.getattr("f_code").ok()?, line)
    }

    /// Where a function begins.
    pub(crate) fn of_code(code: &Bound<'_, PyAny>) -> Option<Self> {
        let line = code.getattr("co_firstlineno").ok()?.extract().ok()?;
        Self::in_code(code, line)
    }

    fn in_code(code: &Bound<'_, PyAny>, line: i32) -> Option<Self> {
        let name = |attribute| code.getattr(attribute).ok()?.cast_into::<PyString>().ok();
        Some(Self {
            file: name("co_filename")?.unbind(),
            function: name("co_name")?.unbind(),
            line: u32::try_from(line).unwrap_or_default(),
        })
    }

    pub(crate) fn say(&self, py: Python<'_>, fields: &mut Fields) {
        let (file, function) = (self.file.bind(py), self.function.bind(py));
        fields.location(&text(file), &text(function), self.line);
    }

    pub(crate) fn shown(&self, py: Python<'_>) -> String {
        format!("{}:{}", text(self.file.bind(py)), self.line)
    }
}
