//! Python values as arguments: what any object looks like in a trace. Belongs here: which object is shown
//! how, and where it ends. Does not: how values are recorded.
//!
//! A value is read during the call, and reading it never fails an event: what cannot be read is shown as
//! a text that says so. It ends, whatever it is: a container beyond `list_max_size` items says how many
//! more there are, one that contains itself says so, and an event of too many values in all is cut.
#![expect(unsafe_code, reason = "the interpreter's types, texts and dictionaries")]

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_char;

use novatrace::Limits;
use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// Items of a container that are shown, unless another number is chosen.
pub(crate) const LIST_MAX_SIZE: usize = 256;
/// Limits for what takes the values: how much is shown of them is told by their reader.
pub(crate) fn limits() -> Limits {
    Limits { items: usize::MAX, ..Limits::default() }
}

/// Values of one event that are shown; a list of lists of lists has many.
const MOST_VALUES: usize = 1 << 18;

unsafe extern "C" {
    // In the stable ABI since 3.10, and exported with the same signature since 3.3.
    fn PyUnicode_AsUTF8AndSize(text: *mut ffi::PyObject, size: *mut isize) -> *const c_char;
}

/// The text of a `str`; lone surrogates are replaced.
pub(crate) fn text<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    let mut size = 0;
    // SAFETY: a `str`; the bytes are kept by it, which cannot change.
    let bytes = unsafe { PyUnicode_AsUTF8AndSize(text.as_ptr(), &raw mut size) };
    if bytes.is_null() {
        drop(PyErr::take(text.py()));
        return Cow::Owned(text.to_string_lossy().into_owned());
    }
    // SAFETY: so many bytes, as the function says.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size.cast_unsigned()) };
    // SAFETY: UTF-8, as the function says.
    Cow::Borrowed(unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// The text of anything: of a `str` its own, else what `str()` says.
pub(crate) fn any_text<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    match object.cast::<PyString>() {
        Ok(text) => Ok(text.clone()),
        Err(_) => object.str(),
    }
}

/// The `int` that an object stands for as an index; `None` if it stands for none.
pub(crate) fn index<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyInt>>> {
    // SAFETY: an object.
    if unsafe { ffi::PyIndex_Check(object.as_ptr()) } == 0 {
        return Ok(None);
    }
    // SAFETY: an object; the answer is a new reference to an `int`, or null with an exception.
    let number = unsafe { ffi::PyNumber_Index(object.as_ptr()) };
    // SAFETY: as above.
    let number = unsafe { Bound::from_owned_ptr_or_err(object.py(), number) }?;
    Ok(Some(number.cast_into()?))
}

/// An `int` in digits. `str()` refuses more than some thousand of them.
pub(crate) fn digits<'py>(number: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    number.str().or_else(|_| number.call_method1("__format__", ("#x",))?.str())
}

/// What `str()` says. A `String` straight from the object would call it again, and swallow what it raises.
pub(crate) fn said(object: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(text(&any_text(object)?).into_owned())
}

fn repr(object: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(text(&object.repr()?).into_owned())
}

fn class_name(object: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(text(&object.get_type().name()?).into_owned())
}

/// Reads the values of one event.
pub(crate) struct Reader {
    max_items: usize,
    values_left: Cell<usize>,
    /// An interrupt, which is not for us to swallow.
    interrupt: RefCell<Option<PyErr>>,
}

impl Reader {
    pub(crate) fn new(max_items: usize) -> Self {
        Self { max_items, values_left: Cell::new(MOST_VALUES), interrupt: RefCell::new(None) }
    }

    /// A mapping's entries as fields.
    pub(crate) fn value<'r, 'py>(&'r self, object: &'r Bound<'py, PyAny>) -> Value<'r, 'py> {
        Value(object, self, None)
    }

    /// What interrupted the reading, if something did: to be raised.
    pub(crate) fn finish(&self) -> PyResult<()> {
        match self.interrupt.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// What is shown instead of what failed.
    fn failure(&self, object: &Bound<'_, PyAny>, error: PyErr) -> String {
        let name = class_name(object).unwrap_or_else(|error| {
            self.note(object.py(), error);
            "object".to_owned()
        });
        let said = class_name(error.value(object.py())).unwrap_or_else(|_| "error".to_owned());
        self.note(object.py(), error);
        format!("<{name}: {said} while it was read>")
    }

    /// Keeps what is more than an error of the object's.
    fn note(&self, py: Python<'_>, error: PyErr) {
        if !error.is_instance_of::<PyException>(py) {
            self.interrupt.replace(Some(error));
        }
    }

    fn count(&self) {
        self.values_left.set(self.values_left.get().saturating_sub(1));
    }
}

/// A container that is being read, and those around it.
#[derive(Clone, Copy)]
struct Within<'r> {
    address: usize,
    outer: Option<&'r Within<'r>>,
}

impl<'r> Within<'r> {
    /// The container, if it is to be read; else why not.
    fn enter(
        object: &Bound<'_, PyAny>,
        outer: Option<&'r Self>,
        reader: &Reader,
    ) -> Result<Self, &'static str> {
        let address = object.as_ptr().addr();
        let mut around = outer;
        while let Some(within) = around {
            if within.address == address {
                return Err("<cycle: contains itself>");
            }
            around = within.outer;
        }
        if reader.values_left.get() == 0 {
            return Err("<too many values>");
        }
        Ok(Self { address, outer })
    }
}

/// A value, what reads it, and what it is in.
pub(crate) struct Value<'r, 'py>(&'r Bound<'py, PyAny>, &'r Reader, Option<&'r Within<'r>>);

impl Serialize for Value<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(object, reader, outer) = *self;
        reader.count();
        // SAFETY: the type of an object that is alive.
        let kind = unsafe { ffi::Py_TYPE(object.as_ptr()) };
        if kind == &raw mut ffi::PyUnicode_Type {
            return serialize_text(serializer, object);
        }
        if kind == &raw mut ffi::PyLong_Type {
            return serialize_int(serializer, object, reader);
        }
        if kind == &raw mut ffi::PyFloat_Type {
            return serialize_float(serializer, object);
        }
        if kind == &raw mut ffi::PyBool_Type {
            return serializer.serialize_bool(object.is(PyBool::new(object.py(), true)));
        }
        if kind == &raw mut ffi::PyDict_Type {
            return serialize_dict(serializer, object, reader, outer);
        }
        if kind == &raw mut ffi::PyList_Type || kind == &raw mut ffi::PyTuple_Type {
            return serialize_list(serializer, object, reader, outer);
        }
        if object.is_none() {
            return serializer.serialize_str("None");
        }
        serialize_other(serializer, object, reader, outer)
    }
}

fn serialize_text<S: Serializer>(
    serializer: S,
    object: &Bound<'_, PyAny>,
) -> Result<S::Ok, S::Error> {
    match object.cast::<PyString>() {
        Ok(string) => serializer.serialize_str(&text(string)),
        Err(_) => serializer.serialize_str("<not a text>"),
    }
}

fn serialize_int<S: Serializer>(
    serializer: S,
    object: &Bound<'_, PyAny>,
    reader: &Reader,
) -> Result<S::Ok, S::Error> {
    let mut overflow = 0;
    // SAFETY: an `int`.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
    if overflow == 0 {
        return serializer.serialize_i64(value);
    }
    if overflow > 0
        && let Ok(value) = object.extract::<u64>()
    {
        return serializer.serialize_u64(value);
    }
    match digits(object) {
        Ok(digits) => serializer.serialize_str(&text(&digits)),
        Err(error) => serializer.serialize_str(&reader.failure(object, error)),
    }
}

fn serialize_float<S: Serializer>(
    serializer: S,
    object: &Bound<'_, PyAny>,
) -> Result<S::Ok, S::Error> {
    // SAFETY: a `float`.
    serializer.serialize_f64(unsafe { ffi::PyFloat_AsDouble(object.as_ptr()) })
}

fn serialize_list<S: Serializer>(
    serializer: S,
    object: &Bound<'_, PyAny>,
    reader: &Reader,
    outer: Option<&Within<'_>>,
) -> Result<S::Ok, S::Error> {
    let within = match Within::enter(object, outer, reader) {
        Ok(within) => within,
        Err(why) => return serializer.serialize_str(why),
    };
    if let Ok(list) = object.cast::<PyList>() {
        let items = (0..list.len()).map_while(|at| list.get_item(at).ok());
        serialize_items(serializer, list.len(), items, reader, &within)
    } else if let Ok(tuple) = object.cast::<PyTuple>() {
        serialize_items(serializer, tuple.len(), tuple.iter(), reader, &within)
    } else {
        serializer.serialize_str("<not a list>")
    }
}

/// As many of the items as are shown, and how many more there are.
fn serialize_items<'py, S: Serializer>(
    serializer: S,
    len: usize,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    reader: &Reader,
    within: &Within<'_>,
) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(len))?;
    let mut shown = 0;
    for item in items.take(reader.max_items) {
        if reader.values_left.get() == 0 {
            break;
        }
        list.serialize_element(&Value(&item, reader, Some(within)))?;
        shown += 1;
    }
    if shown < len {
        list.serialize_element(&format_args!("... ({} more items)", len - shown))?;
    }
    list.end()
}

/// The entries of a dictionary, which may change meanwhile: reading a value may run any code.
struct Entries<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    at: ffi::Py_ssize_t,
}

impl<'py> Iterator for Entries<'_, 'py> {
    type Item = (Bound<'py, PyAny>, Bound<'py, PyAny>);

    fn next(&mut self) -> Option<Self::Item> {
        // Without the interpreter's lock, another thread could take away what is borrowed here.
        let dict = self.dict;
        with_critical_section(dict, || self.borrowed())
    }
}

impl<'py> Entries<'_, 'py> {
    /// The next entry, while nobody changes the dictionary.
    #[inline(always)]
    fn borrowed(&mut self) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = self.dict.py();
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        let dict = self.dict.as_ptr();
        // SAFETY: a dictionary, and a place that it gave or 0; it checks it against its size.
        let found =
            unsafe { ffi::PyDict_Next(dict, &raw mut self.at, &raw mut key, &raw mut value) };
        if found == 0 {
            return None;
        }
        // SAFETY: borrowed from the dictionary, which nobody changes before they are made ours.
        let key = unsafe { Bound::from_borrowed_ptr(py, key) };
        // SAFETY: as above.
        let value = unsafe { Bound::from_borrowed_ptr(py, value) };
        Some((key, value))
    }
}

fn serialize_dict<S: Serializer>(
    serializer: S,
    object: &Bound<'_, PyAny>,
    reader: &Reader,
    outer: Option<&Within<'_>>,
) -> Result<S::Ok, S::Error> {
    let Ok(dict) = object.cast::<PyDict>() else {
        return serializer.serialize_str("<not a dictionary>");
    };
    let within = match Within::enter(object, outer, reader) {
        Ok(within) => within,
        Err(why) => return serializer.serialize_str(why),
    };
    let len = dict.len();
    serialize_entries(serializer, len, Entries { dict, at: 0 }.take(len), reader, &within)
}

fn serialize_entries<'py, S: Serializer>(
    serializer: S,
    len: usize,
    entries: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    reader: &Reader,
    within: &Within<'_>,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(len))?;
    let mut shown = 0;
    for (key, value) in entries.take(reader.max_items) {
        if reader.values_left.get() == 0 {
            break;
        }
        if let Ok(key) = key.cast::<PyString>() {
            map.serialize_entry(&*text(key), &Value(&value, reader, Some(within)))?;
        } else {
            map.serialize_entry(&key_text(&key, reader), &Value(&value, reader, Some(within)))?;
        }
        shown += 1;
    }
    if shown < len {
        map.serialize_entry("...", &format_args!("({} more items)", len - shown))?;
    }
    map.end()
}

fn key_text(key: &Bound<'_, PyAny>, reader: &Reader) -> String {
    let text = Kind::of(key).and_then(|kind| match kind {
        Kind::Enum => enum_text(key),
        _ => said(key),
    });
    text.unwrap_or_else(|error| reader.failure(key, error))
}

fn enum_text(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let name = object.getattr("name")?;
    if name.is_none() {
        return said(object); // several flags
    }
    Ok(format!("{}.{}", class_name(object)?, said(&name)?))
}

/// How objects of a type are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Enum,
    Text,
    Int,
    Float,
    Bytes,
    List,
    NamedTuple,
    Dict,
    /// A set or deque: what can be iterated without being used up.
    Collection,
    Dataclass,
    Numpy,
    Error,
    /// By what is in its `__dict__`.
    Object,
    /// By `str()`.
    Said,
    /// By `repr()`.
    Repr,
}

thread_local! {
    /// By the type's address; the types live on, so that an address means one of them.
    static KINDS: RefCell<HashMap<usize, Kind>> = RefCell::default();
}

impl Kind {
    const MOST_TYPES: usize = 4096;

    /// Fails if the type does not let itself be asked: a metaclass may do anything.
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        // SAFETY: the type of an object that is alive.
        let address = unsafe { ffi::Py_TYPE(object.as_ptr()) }.addr();
        let known = KINDS.try_with(|kinds| kinds.borrow().get(&address).copied()).ok().flatten();
        if let Some(kind) = known {
            return Ok(kind);
        }
        let class = object.get_type();
        let kind = Self::of_type(&class, object.is_callable())?;
        let _ = KINDS.try_with(|kinds| {
            let mut kinds = kinds.borrow_mut();
            if kinds.len() < Self::MOST_TYPES {
                std::mem::forget(class.unbind());
                kinds.insert(address, kind);
            }
        });
        Ok(kind)
    }

    fn of_type(class: &Bound<'_, PyType>, is_callable: bool) -> PyResult<Self> {
        let py = class.py();
        let is = |module: &str, name: &str| -> PyResult<bool> {
            class.is_subclass(&py.import(module)?.getattr(name)?)
        };
        if is("enum", "Enum")? {
            return Ok(Self::Enum);
        }
        let mut is_numpy = false;
        for base in class.getattr("__mro__")?.try_iter()? {
            is_numpy |= said(&base?.getattr("__module__")?)? == "numpy";
        }
        if is_numpy && class.hasattr("tolist")? {
            return Ok(Self::Numpy);
        }
        Ok(if class.is_subclass_of::<PyString>()? {
            Self::Text
        } else if class.is_subclass_of::<PyInt>()? {
            Self::Int
        } else if class.is_subclass_of::<PyFloat>()? {
            Self::Float
        } else if is("builtins", "bytes")? || is("builtins", "bytearray")? {
            Self::Bytes
        } else if class.is_subclass_of::<PyDict>()? {
            Self::Dict
        } else if class.is_subclass_of::<PyTuple>()? && class.hasattr("_fields")? {
            Self::NamedTuple
        } else if class.is_subclass_of::<PyList>()? || class.is_subclass_of::<PyTuple>()? {
            Self::List
        } else if is("builtins", "set")?
            || is("builtins", "frozenset")?
            || is("collections", "deque")?
        {
            Self::Collection
        } else if class.hasattr("__dataclass_fields__")? {
            Self::Dataclass
        } else if is("builtins", "BaseException")? {
            Self::Error
        } else if is_callable || is("types", "ModuleType")? {
            Self::Repr
        } else if class.hasattr("__dict__")? && has_instance_dict(class)? {
            Self::Object
        } else if !class.getattr("__str__")?.is(&py.get_type::<PyAny>().getattr("__str__")?) {
            Self::Said
        } else {
            Self::Repr
        })
    }
}

/// Whether objects of the class have attributes of their own.
fn has_instance_dict(class: &Bound<'_, PyType>) -> PyResult<bool> {
    Ok(class.getattr("__dictoffset__")?.extract::<isize>()? != 0)
}

fn serialize_other<S: Serializer>(
    serializer: S,
    object: &Bound<'_, PyAny>,
    reader: &Reader,
    outer: Option<&Within<'_>>,
) -> Result<S::Ok, S::Error> {
    let or_failure =
        |result: PyResult<String>| result.unwrap_or_else(|error| reader.failure(object, error));
    let kind = match Kind::of(object) {
        Ok(kind) => kind,
        Err(error) => return serializer.serialize_str(&reader.failure(object, error)),
    };
    match kind {
        Kind::Text => serialize_text(serializer, object),
        Kind::Int => serialize_int(serializer, object, reader),
        Kind::Float => serialize_float(serializer, object),
        Kind::Dict => serialize_dict(serializer, object, reader, outer),
        Kind::List => serialize_list(serializer, object, reader, outer),
        Kind::Enum => serializer.serialize_str(&or_failure(enum_text(object))),
        Kind::Bytes => match object.extract::<Cow<'_, [u8]>>() {
            Ok(bytes) => serializer.serialize_bytes(&bytes),
            Err(error) => serializer.serialize_str(&reader.failure(object, error)),
        },
        Kind::Error => {
            let text = class_name(object).and_then(|name| Ok(format!("{name}: {}", said(object)?)));
            serializer.serialize_str(&or_failure(text))
        }
        Kind::Said => serializer.serialize_str(&or_failure(said(object))),
        Kind::Repr => serializer.serialize_str(&or_failure(repr(object))),
        kind @ (Kind::NamedTuple | Kind::Dataclass | Kind::Object) => {
            let entries = match kind {
                Kind::NamedTuple => named_entries(object, "_fields"),
                Kind::Dataclass => named_entries(object, "__dataclass_fields__"),
                _ => attributes(object),
            };
            match entries {
                Ok(entries) if entries.is_empty() && kind == Kind::Object => {
                    serializer.serialize_str(&or_failure(without_attributes(object)))
                }
                Ok(entries) if kind == Kind::Object && is_private(&entries, object) => {
                    serializer.serialize_str(&or_failure(said(object)))
                }
                Ok(entries) => {
                    serialize_within(reader, object, outer, serializer, |serializer, within| {
                        let len = entries.len();
                        serialize_entries(serializer, len, entries.into_iter(), reader, within)
                    })
                }
                Err(error) => serializer.serialize_str(&reader.failure(object, error)),
            }
        }
        Kind::Collection => match first_items(object, reader.max_items) {
            Ok((len, items)) => {
                serialize_within(reader, object, outer, serializer, |serializer, within| {
                    serialize_items(serializer, len, items.into_iter(), reader, within)
                })
            }
            Err(error) => serializer.serialize_str(&reader.failure(object, error)),
        },
        Kind::Numpy => match numpy(object, reader.max_items) {
            Ok(Numpy::Scalar(value)) if Kind::of(&value).is_ok_and(|kind| kind != Kind::Numpy) => {
                Value(&value, reader, outer).serialize(serializer)
            }
            Ok(Numpy::Scalar(value)) => serializer.serialize_str(&or_failure(said(&value))),
            Ok(Numpy::Record(fields)) => {
                serialize_within(reader, object, outer, serializer, |serializer, within| {
                    let len = fields.len();
                    serialize_entries(serializer, len, fields.into_iter(), reader, within)
                })
            }
            Ok(Numpy::Array(len, items)) => {
                serialize_within(reader, object, outer, serializer, |serializer, within| {
                    serialize_items(serializer, len, items.into_iter(), reader, within)
                })
            }
            Err(error) => serializer.serialize_str(&reader.failure(object, error)),
        },
    }
}

fn serialize_within<S: Serializer>(
    reader: &Reader,
    object: &Bound<'_, PyAny>,
    outer: Option<&Within<'_>>,
    serializer: S,
    serialize: impl FnOnce(S, &Within<'_>) -> Result<S::Ok, S::Error>,
) -> Result<S::Ok, S::Error> {
    match Within::enter(object, outer, reader) {
        Ok(within) => serialize(serializer, &within),
        Err(why) => serializer.serialize_str(why),
    }
}

type Entry<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// The attributes that the class names in `fields`, in order.
fn named_entries<'py>(object: &Bound<'py, PyAny>, fields: &str) -> PyResult<Vec<Entry<'py>>> {
    let mut entries = Vec::new();
    for name in object.getattr(fields)?.try_iter()? {
        let name = name?.cast_into::<PyString>()?;
        match object.getattr(&name) {
            Ok(value) => entries.push((name.into_any(), value)),
            // A dataclass's class variables are among its fields, and so are values it has no more.
            Err(error) if error.is_instance_of::<PyException>(object.py()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

fn attributes<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<Entry<'py>>> {
    let dict = object.getattr("__dict__")?.cast_into::<PyDict>()?;
    Ok(Entries { dict: &dict, at: 0 }.take(dict.len()).collect())
}

/// Whether all attributes of an object are its own affair, and it has something to say of itself: a data frame
/// is not what it is made of.
fn is_private(entries: &[Entry<'_>], object: &Bound<'_, PyAny>) -> bool {
    let is_private =
        |(key, _): &Entry<'_>| key.cast::<PyString>().is_ok_and(|key| text(key).starts_with('_'));
    let (class, plain) = (object.get_type(), object.py().get_type::<PyAny>());
    let is_own = |method: &str| match (class.getattr(method), plain.getattr(method)) {
        (Ok(own), Ok(plain)) => !own.is(&plain),
        _ => false,
    };
    entries.iter().all(is_private) && (is_own("__str__") || is_own("__repr__"))
}

/// An object that has no attributes at the moment: what it says of itself, if that is more than where it
/// lies in memory.
fn without_attributes(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let class = object.get_type();
    let plain = object.py().get_type::<PyAny>().getattr("__repr__")?;
    if class.getattr("__repr__")?.is(&plain) {
        return Ok(format!("<{}>", class_name(object)?));
    }
    repr(object)
}

fn first_items<'py>(
    object: &Bound<'py, PyAny>,
    most: usize,
) -> PyResult<(usize, Vec<Bound<'py, PyAny>>)> {
    let items = object.try_iter()?.take(most).collect::<PyResult<_>>()?;
    Ok((object.len()?, items))
}

enum Numpy<'py> {
    Scalar(Bound<'py, PyAny>),
    /// An item of an array with named fields.
    Record(Vec<Entry<'py>>),
    Array(usize, Vec<Bound<'py, PyAny>>),
}

/// A scalar as Python's own; of an array the first items. What is masked is `None`.
fn numpy<'py>(object: &Bound<'py, PyAny>, most: usize) -> PyResult<Numpy<'py>> {
    if object.getattr("ndim")?.extract::<usize>()? == 0 {
        let value = object.call_method0("tolist")?;
        if value.is_exact_instance_of::<PyTuple>() {
            let names = object.getattr("dtype")?.getattr("names")?;
            let field = |name: PyResult<Bound<'py, PyAny>>| {
                let name = name?;
                Ok((name.clone(), object.get_item(name)?))
            };
            return Ok(Numpy::Record(names.try_iter()?.map(field).collect::<PyResult<_>>()?));
        }
        return Ok(Numpy::Scalar(value));
    }
    // The rows of a matrix are matrices, and so are theirs.
    if let Some(plain) = object.getattr_opt("getA")? {
        let (len, items) = first_items(&plain.call0()?, most)?;
        return Ok(Numpy::Array(len, items));
    }
    let (len, items) = first_items(object, most)?;
    Ok(Numpy::Array(len, items))
}

/// What `kwargs` of the old module say: a mapping's entries, a dataclass's or object's attributes, a list
/// under `data_list`, anything else under `data`.
pub(crate) struct Described<'r, 'py>(pub(crate) Value<'r, 'py>);

impl Serialize for Described<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value(object, reader, outer) = self.0;
        if object.is_exact_instance_of::<PyDict>() {
            return serialize_dict(serializer, object, reader, outer);
        }
        // What cannot be asked is told in the value's place.
        let kind = Kind::of(object).unwrap_or(Kind::Repr);
        if kind == Kind::Object
            && let Ok(entries) = attributes(object)
            && !entries.is_empty()
        {
            // Its attributes are what is asked for, whatever it says of itself.
            return serialize_within(reader, object, outer, serializer, |serializer, within| {
                let len = entries.len();
                serialize_entries(serializer, len, entries.into_iter(), reader, within)
            });
        }
        let key = match kind {
            Kind::Dict | Kind::NamedTuple | Kind::Dataclass | Kind::Object => {
                return Value(object, reader, outer).serialize(serializer);
            }
            Kind::List | Kind::Collection | Kind::Numpy => "data_list",
            _ => "data",
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, &Value(object, reader, outer))?;
        map.end()
    }
}
