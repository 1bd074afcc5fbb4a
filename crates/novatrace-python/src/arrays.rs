//! Many events in one call, from arrays: no object of Python's for each. Belongs here: how arrays are read.
//! Does not: what an event is.
#![expect(unsafe_code, reason = "the buffers of arrays")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;

use novatrace::{Complete, CounterTrack, CounterValue, Event, Name, NormalTrack, Seconds};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyString, PyTuple};
use pyo3::{ffi, intern};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{OrRaise, value_error};
use crate::generator::{When, texts};
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
struct Buffer<'py> {
    raw: Box<RawBuffer>,
    /// From one item to the next, in bytes.
    stride: isize,
    item: Item,
    py: PhantomData<Bound<'py, PyAny>>,
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: filled by `PyObject_GetBuffer`, and released once.
        unsafe { PyBuffer_Release(&raw mut *self.raw) };
    }
}

/// A number of an array.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    /// Beyond what an `i64` holds.
    Uint(u64),
    Double(f64),
    Bool(bool),
}

impl<'py> Buffer<'py> {
    /// The object's array; `None` if it has none, or one of objects.
    fn of(object: &Bound<'py, PyAny>, what: &str) -> PyResult<Option<Self>> {
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
            let error = PyErr::fetch(py);
            return if error.is_instance_of::<PyException>(py) { Ok(None) } else { Err(error) };
        }
        let (ndim, itemsize, format) = (raw.ndim, raw.itemsize, raw.format);
        let stride = if raw.strides.is_null() || ndim != 1 {
            // One item after the other, as arrays of `ctypes` are.
            itemsize
        } else {
            // SAFETY: one dimension, so that there is one stride.
            unsafe { *raw.strides }
        };
        let mut buffer = Self { raw, stride, item: Item::U8, py: PhantomData };
        let format = if format.is_null() {
            "B".to_owned()
        } else {
            // SAFETY: a text that lives as long as the buffer.
            unsafe { CStr::from_ptr(format) }.to_string_lossy().into_owned()
        };
        if ndim != 1 {
            return Err(value_error(py, format!("{what} must have one dimension, not {ndim}")));
        }
        let code = format.trim_start_matches(['@', '=', '<']);
        buffer.item = match (code, itemsize) {
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
            ("O", _) => return Ok(None),
            _ => {
                let message =
                    format!("{what} must be an array of numbers, not of format {format:?}");
                return Err(PyTypeError::new_err(message));
            }
        };
        Ok(Some(buffer))
    }

    #[inline]
    fn len(&self) -> usize {
        // SAFETY: one dimension, so that there is one length.
        unsafe { *self.raw.shape }.cast_unsigned()
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
                i64::try_from(value).map_or(Number::Uint(value), Number::Int)
            }
            Item::F32 => Number::Double(read!(f32).into()),
            Item::F64 => Number::Double(read!(f64)),
            Item::Bool => Number::Bool(read!(u8) != 0),
        }
    }
}

enum Numbers<'py> {
    Buffer(Buffer<'py>),
    List(Vec<Number>),
}

/// Numbers, one for each event.
struct Column<'py> {
    numbers: Numbers<'py>,
    what: &'static str,
}

/// What a column of times counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Ns,
    Seconds,
}

impl<'py> Column<'py> {
    fn new(object: &Bound<'py, PyAny>, what: &'static str) -> PyResult<Self> {
        let ns = nanoseconds(object, what)?;
        let object = ns.as_ref().unwrap_or(object);
        let numbers = match Buffer::of(object, what)? {
            Some(buffer) => Numbers::Buffer(buffer),
            // A list, or anything that can be iterated over.
            None => Numbers::List(list(object, what)?),
        };
        Ok(Self { numbers, what })
    }

    fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Buffer(buffer) => buffer.len(),
            Numbers::List(list) => list.len(),
        }
    }

    /// What its numbers count, as times.
    fn unit(&self) -> PyResult<Unit> {
        match &self.numbers {
            Numbers::Buffer(buffer) if matches!(buffer.item, Item::F32 | Item::F64) => {
                Ok(Unit::Seconds)
            }
            Numbers::Buffer(_) => Ok(Unit::Ns),
            Numbers::List(list) => {
                let is_double = |number: &Number| matches!(number, Number::Double(_));
                match list.iter().filter(|number| is_double(number)).count() {
                    0 => Ok(Unit::Ns),
                    doubles if doubles == list.len() => Ok(Unit::Seconds),
                    _ => Err(PyTypeError::new_err(format!(
                        "{} must all be ints (nanoseconds) or all be floats (seconds)",
                        self.what
                    ))),
                }
            }
        }
    }

    #[inline]
    fn get(&self, at: usize) -> Number {
        match &self.numbers {
            Numbers::Buffer(buffer) => buffer.get(at),
            Numbers::List(list) => list[at],
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

/// Nanoseconds as integers, if they are numpy's; its other dates and times are refused. Their numbers are of
/// units that nothing else would tell.
pub(crate) fn nanoseconds<'py>(
    object: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let Some(kind) = object.getattr_opt(intern!(py, "dtype"))? else { return Ok(None) };
    let (Some(kind), name) =
        (kind.getattr_opt(intern!(py, "kind"))?, kind.getattr_opt(intern!(py, "name"))?)
    else {
        return Ok(None);
    };
    let Ok(kind) = kind.cast::<PyString>() else { return Ok(None) };
    if !matches!(&*text(kind), "m" | "M") {
        return Ok(None);
    }
    let name = match name {
        Some(name) => text(&any_text(&name)?).into_owned(),
        None => String::new(),
    };
    if name == "timedelta64[ns]" {
        let array = py.import("numpy")?.call_method1("asarray", (object,))?;
        return array.call_method1("view", ("i8",)).map(Some);
    }
    Err(PyTypeError::new_err(format!(
        "{what} must be numbers or timedelta64[ns], not {name}: convert it with astype()"
    )))
}

/// The numbers of anything that can be iterated over.
fn list(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<Number>> {
    let py = object.py();
    let wrong = |error| {
        let message = format!("{what} must be an array or a sequence of numbers");
        let wrong = PyTypeError::new_err(message);
        wrong.set_cause(py, Some(error));
        wrong
    };
    let items = object.try_iter().map_err(|error| {
        if error.is_instance_of::<PyTypeError>(py) { wrong(error) } else { error }
    })?;
    let number = |item: PyResult<Bound<'_, PyAny>>| {
        let item = item?;
        if let Ok(value) = item.cast::<PyBool>() {
            return Ok(Number::Bool(value.is_true()));
        }
        if let Ok(int) = item.cast::<PyInt>() {
            if let Ok(value) = int.extract() {
                return Ok(Number::Int(value));
            }
            if let Ok(value) = int.extract() {
                return Ok(Number::Uint(value));
            }
        }
        let number = When::of(&item, what).map_err(|error| {
            if error.is_instance_of::<PyTypeError>(py) { wrong(error) } else { error }
        })?;
        Ok(match number {
            When::Ns(value) => Number::Int(value),
            When::Seconds(value) => Number::Double(value),
        })
    };
    items.map(number).collect()
}

/// A time of a column of nanoseconds.
fn ns(py: Python<'_>, column: &Column<'_>, at: usize) -> PyResult<i64> {
    let given = match column.get(at) {
        Number::Int(value) => return Ok(value),
        Number::Bool(value) => return Ok(value.into()),
        Number::Uint(value) => value.to_string(),
        Number::Double(value) => value.to_string(),
    };
    Err(value_error(py, format!("{}[{at}] is out of range: {given} ns", column.what)))
}

/// A time of a column of seconds.
fn seconds(column: &Column<'_>, at: usize) -> Seconds {
    Seconds(match column.get(at) {
        Number::Double(value) => value,
        // There are none in such a column.
        Number::Int(_) | Number::Uint(_) | Number::Bool(_) => f64::NAN,
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
            Number::Bool(value) => serializer.serialize_bool(value),
            Number::Int(value) => serializer.serialize_i64(value),
            Number::Uint(value) => serializer.serialize_u64(value),
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
    if len == 0 {
        return Ok(());
    }
    let unit = starts.unit()?;
    if unit != lengths.unit()? {
        return Err(PyTypeError::new_err(
            "starts and lengths must both be of integers (nanoseconds) or of floats (seconds)",
        ));
    }
    for at in 0..len {
        let name = names.get(at);
        let mut event = match unit {
            Unit::Ns => track.duration(ns(py, &starts, at)?, ns(py, &lengths, at)?, name),
            Unit::Seconds => track.duration(seconds(&starts, at), seconds(&lengths, at), name),
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
    let unit = times.unit()?;
    for at in 0..times.len() {
        let value = match values.get(at) {
            Number::Int(value) => value.into(),
            Number::Bool(value) => i64::from(value).into(),
            #[expect(clippy::cast_precision_loss, reason = "a counter has no larger integers")]
            Number::Uint(value) => CounterValue::Double(value as f64),
            Number::Double(value) => CounterValue::Double(value),
        };
        match unit {
            Unit::Ns => counter.count(ns(py, &times, at)?, value),
            Unit::Seconds => counter.count(seconds(&times, at), value),
        }
        .or_raise(py)?;
    }
    Ok(())
}
