//! Many events in one call, from arrays: no object of Python's for each. Belongs here: how arrays are read.
//! Does not: what an event is.
#![expect(unsafe_code, reason = "the buffers of arrays")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;

use novatrace::{Complete, CounterTrack, Event, Name, NormalTrack, Seconds};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{OrRaise, value_error};
use crate::generator::texts;
use crate::value::{any_text, text};

/// `Py_buffer`, in the stable ABI since 3.11, and the same since 3.0.
#[repr(C)]
struct RawBuffer {
    buf: *mut c_void,
    obj: *mut ffi::PyObject,
    len: isize,
    itemsize: isize,
    readonly: c_int,
    ndim: c_int,
    format: *mut c_char,
    shape: *mut isize,
    strides: *mut isize,
    suboffsets: *mut isize,
    internal: *mut c_void,
}

unsafe extern "C" {
    fn PyObject_GetBuffer(object: *mut ffi::PyObject, view: *mut RawBuffer, flags: c_int) -> c_int;
    fn PyBuffer_Release(view: *mut RawBuffer);
}

/// `PyBUF_STRIDES | PyBUF_FORMAT`
const STRIDED: c_int = 0x10 | 0x08 | 0x04;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Bool,
}

/// A one-dimensional array of numbers of another library's.
struct Column<'py> {
    raw: Box<RawBuffer>,
    /// From one item to the next, in bytes.
    stride: isize,
    item: Item,
    what: &'static str,
    py: PhantomData<Bound<'py, PyAny>>,
}

impl Drop for Column<'_> {
    fn drop(&mut self) {
        // SAFETY: filled by `PyObject_GetBuffer`, and released once.
        unsafe { PyBuffer_Release(&raw mut *self.raw) };
    }
}

/// A number of an array.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Double(f64),
}

impl<'py> Column<'py> {
    fn new(object: &Bound<'py, PyAny>, what: &'static str) -> PyResult<Self> {
        let py = object.py();
        let mut raw = Box::new(RawBuffer {
            buf: std::ptr::null_mut(),
            obj: std::ptr::null_mut(),
            len: 0,
            itemsize: 0,
            readonly: 0,
            ndim: 0,
            format: std::ptr::null_mut(),
            shape: std::ptr::null_mut(),
            strides: std::ptr::null_mut(),
            suboffsets: std::ptr::null_mut(),
            internal: std::ptr::null_mut(),
        });
        // SAFETY: an object, and a place for its answer, which does not move.
        if unsafe { PyObject_GetBuffer(object.as_ptr(), &raw mut *raw, STRIDED) } != 0 {
            drop(PyErr::take(py));
            // A list, or anything that can be iterated over.
            let numbers = py.import("array")?.getattr("array")?;
            let list = object.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            let code = if list.iter().all(|item| item.is_instance_of::<pyo3::types::PyInt>()) {
                "q"
            } else {
                "d"
            };
            let array = numbers.call1((code, list)).map_err(|error| {
                let message = format!("{what} must be an array or a sequence of numbers");
                let wrong = PyTypeError::new_err(message);
                wrong.set_cause(py, Some(error));
                wrong
            })?;
            return Self::new(&array, what);
        }
        let (ndim, itemsize, format) = (raw.ndim, raw.itemsize, raw.format);
        let stride = if raw.strides.is_null() || ndim != 1 {
            // One item after the other, as arrays of `ctypes` are.
            itemsize
        } else {
            // SAFETY: one dimension, so that there is one stride.
            unsafe { *raw.strides }
        };
        let column = |item| Self { raw, stride, item, what, py: PhantomData };
        let format = if format.is_null() {
            "B".to_owned()
        } else {
            // SAFETY: a text that lives as long as the buffer.
            unsafe { CStr::from_ptr(format) }.to_string_lossy().into_owned()
        };
        let code = format.trim_start_matches(['@', '=', '<']);
        let item = match (code, itemsize) {
            ("?", 1) => Item::Bool,
            ("b", 1) => Item::I8,
            ("h", 2) => Item::I16,
            ("i" | "l" | "q", 4) => Item::I32,
            ("i" | "l" | "q" | "n", 8) => Item::I64,
            ("B", 1) => Item::U8,
            ("H", 2) => Item::U16,
            ("I" | "L" | "Q", 4) => Item::U32,
            ("I" | "L" | "Q" | "N", 8) => Item::U64,
            ("f", 4) => Item::F32,
            ("d", 8) => Item::F64,
            _ => {
                drop(column(Item::U8));
                let message =
                    format!("{what} must be an array of numbers, not of format {format:?}");
                return Err(PyTypeError::new_err(message));
            }
        };
        let column = column(item);
        if ndim != 1 {
            return Err(value_error(py, format!("{what} must have one dimension, not {ndim}")));
        }
        Ok(column)
    }

    fn len(&self) -> usize {
        // SAFETY: one dimension, so that there is one length.
        unsafe { *self.raw.shape }.cast_unsigned()
    }

    fn is_float(&self) -> bool {
        matches!(self.item, Item::F32 | Item::F64)
    }

    #[inline]
    fn get(&self, at: usize) -> Number {
        assert!(at < self.len(), "within the array");
        // SAFETY: within the array, by the assertion.
        let place = unsafe { self.raw.buf.cast::<u8>().offset(self.stride * at.cast_signed()) };
        macro_rules! read {
            ($type:ty) => {{
                // SAFETY: an item of that type and size; it may lie anywhere.
                unsafe { place.cast::<$type>().read_unaligned() }
            }};
        }
        match self.item {
            Item::I8 => Number::Int(read!(i8).into()),
            Item::I16 => Number::Int(read!(i16).into()),
            Item::I32 => Number::Int(read!(i32).into()),
            Item::I64 => Number::Int(read!(i64)),
            Item::U8 => Number::Int(read!(u8).into()),
            Item::U16 => Number::Int(read!(u16).into()),
            Item::U32 => Number::Int(read!(u32).into()),
            Item::U64 => {
                let value = read!(u64);
                #[expect(clippy::cast_precision_loss, reason = "beyond what an i64 holds")]
                i64::try_from(value).map_or(Number::Double(value as f64), Number::Int)
            }
            Item::F32 => Number::Double(read!(f32).into()),
            Item::F64 => Number::Double(read!(f64)),
            Item::Bool => Number::Int((read!(u8) != 0).into()),
        }
    }

    fn of_len(self, py: Python<'_>, len: usize) -> PyResult<Self> {
        if self.len() == len {
            return Ok(self);
        }
        let message =
            format!("{} has {} items, where the first array has {len}", self.what, self.len());
        Err(value_error(py, message))
    }
}

/// A time as a number of the kind that its array has.
fn ns(py: Python<'_>, column: &Column<'_>, at: usize) -> PyResult<i64> {
    match column.get(at) {
        Number::Int(value) => Ok(value),
        Number::Double(value) => {
            Err(value_error(py, format!("{}[{at}] is out of range: {value} ns", column.what)))
        }
    }
}

fn seconds(column: &Column<'_>, at: usize) -> Seconds {
    #[expect(clippy::cast_precision_loss, reason = "an array of doubles")]
    Seconds(match column.get(at) {
        Number::Int(value) => value as f64,
        Number::Double(value) => value,
    })
}

/// One name for all, or one for each.
enum Names {
    One(Name),
    Each(Vec<Name>),
}

impl Names {
    fn of<'py>(py: Python<'py>, names: &Bound<'py, PyAny>, len: usize) -> PyResult<Self> {
        if let Ok(name) = names.cast::<PyString>() {
            return Ok(Self::One(Name::new(&text(name))));
        }
        let mut each = Vec::with_capacity(len);
        // Kept, so that nothing else comes to lie at its address.
        let mut last: Option<(Bound<'_, PyAny>, Name)> = None;
        let mut add = |object: Bound<'py, PyAny>| -> PyResult<()> {
            let name = match &last {
                Some((known, name)) if known.is(&object) => *name,
                _ => {
                    let name = Name::new(&text(&any_text(&object)?));
                    last = Some((object, name));
                    name
                }
            };
            each.push(name);
            Ok(())
        };
        if let Ok(list) = names.cast::<PyList>() {
            list.iter().try_for_each(&mut add)?;
        } else if let Ok(tuple) = names.cast::<PyTuple>() {
            tuple.iter().try_for_each(&mut add)?;
        } else {
            names.try_iter()?.try_for_each(|name| add(name?))?;
        }
        if each.len() == len {
            return Ok(Self::Each(each));
        }
        let message = format!("names has {} items, where the first array has {len}", each.len());
        Err(value_error(py, message))
    }

    fn get(&self, at: usize) -> Name {
        match self {
            Self::One(name) => *name,
            Self::Each(names) => names[at],
        }
    }
}

/// An argument's values.
type Argument<'py> = (Name, Column<'py>);

/// One of the values.
struct Value<'a, 'py>(&'a Column<'py>, usize);

impl Serialize for Value<'_, '_> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.get(self.1) {
            Number::Int(value) if self.0.item == Item::Bool => {
                serializer.serialize_bool(value != 0)
            }
            Number::Int(value) => serializer.serialize_i64(value),
            Number::Double(value) => serializer.serialize_f64(value),
        }
    }
}

/// Many arguments.
struct Arguments<'a, 'py>(&'a [Argument<'py>], usize);

impl Serialize for Arguments<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, column) in self.0 {
            map.serialize_entry(key, &Value(column, self.1))?;
        }
        map.end()
    }
}

/// Records the event with its arguments; few of them go straight into the ring.
#[inline]
fn emit(
    event: Event<'_, Complete, ()>,
    columns: &[Argument<'_>],
    at: usize,
) -> Result<(), novatrace::Error> {
    match columns {
        [] => event.emit(),
        [(a, x)] => event.arg(*a, Value(x, at)).emit(),
        [(a, x), (b, y)] => event.arg(*a, Value(x, at)).arg(*b, Value(y, at)).emit(),
        [(a, x), (b, y), (c, z)] => {
            event.arg(*a, Value(x, at)).arg(*b, Value(y, at)).arg(*c, Value(z, at)).emit()
        }
        _ => event.args(Arguments(columns, at)).emit(),
    }
}

pub(crate) fn durations<'py>(
    py: Python<'py>,
    track: &NormalTrack,
    starts: &Bound<'py, PyAny>,
    lengths: &Bound<'py, PyAny>,
    names: &Bound<'py, PyAny>,
    category: Option<&Bound<'py, PyAny>>,
    args: Option<&Bound<'py, PyDict>>,
) -> PyResult<()> {
    let starts = Column::new(starts, "starts")?;
    let len = starts.len();
    let lengths = Column::new(lengths, "lengths")?.of_len(py, len)?;
    let names = Names::of(py, names, len)?;
    let mut columns = Vec::new();
    for (key, column) in args.into_iter().flatten() {
        let column = Column::new(&column, "an array of args")?.of_len(py, len)?;
        columns.push((Name::new(&text(&any_text(&key)?)), column));
    }
    let categories: Vec<Name> = match category {
        Some(category) => {
            texts(category)?.iter().map(|category| Name::new(&text(category))).collect()
        }
        None => Vec::new(),
    };
    let is_float = starts.is_float();
    if is_float != lengths.is_float() {
        return Err(PyTypeError::new_err(
            "starts and lengths must both be of integers (nanoseconds) or of floats (seconds)",
        ));
    }
    for at in 0..len {
        let name = names.get(at);
        let mut event = if is_float {
            track.duration(seconds(&starts, at), seconds(&lengths, at), name)
        } else {
            track.duration(ns(py, &starts, at)?, ns(py, &lengths, at)?, name)
        };
        if !categories.is_empty() {
            event = event.categories(categories.iter().copied());
        }
        emit(event, &columns, at).or_raise(py)?;
    }
    Ok(())
}

pub(crate) fn counts(
    py: Python<'_>,
    counter: &CounterTrack,
    times: &Bound<'_, PyAny>,
    values: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let times = Column::new(times, "times")?;
    let values = Column::new(values, "values")?.of_len(py, times.len())?;
    for at in 0..times.len() {
        let value = match values.get(at) {
            Number::Int(value) => value.into(),
            Number::Double(value) => novatrace::CounterValue::Double(value),
        };
        if times.is_float() {
            counter.count(seconds(&times, at), value).or_raise(py)?;
        } else {
            counter.count(ns(py, &times, at)?, value).or_raise(py)?;
        }
    }
    Ok(())
}
