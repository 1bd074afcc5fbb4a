//! Arguments of events, as the trace processor flattens them: `m`, `list[0]`, `dict.key`. Belongs here: debug annotations and
//! source locations. Does not: what they mean.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use novatrace_core::schema::{
    debug_annotation as annotation, log_message as log, source_location as location,
    track_event as event,
};

use crate::json::{Part, Parts};
use crate::sequence::{Location, Sequence};
use crate::text::{Key, Texts};
use crate::wire::{Fields, Wire};

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// None: what is not a number, or is not defined.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// An address.
    Pointer(u64),
    /// A double.
    Double(f64),
    /// Text.
    Text(String),
}

/// What is odd about an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    Nameless,
    Empty,
    KeyCharacters,
    NotANumber,
    Twice,
    /// JSON that is cut, or otherwise none.
    Json,
    /// The number of a text that is not defined so far.
    Undefined(u64),
}

/// How deep arguments are followed.
const MAX_DEPTH: usize = 200;

/// What is found among arguments, in order.
pub(crate) trait Take {
    /// Whether texts of values are worth copying.
    const WANTS_VALUES: bool = true;
    fn value(&mut self, key: &str, value: Value);
    fn odd(&mut self, _: &str, _: Oddity) {}
}

/// Goes through an event's arguments. `key` is room to work in.
pub(crate) fn walk<T: Take>(
    payload: &[u8],
    sequence: &Sequence,
    texts: &Texts,
    key: &mut String,
    take: &mut T,
) {
    key.clear();
    let mut walk = Walk { sequence, texts, take, key, lists: BTreeMap::new() };
    let mut seen = Seen::default();
    for (number, value) in Fields::of(payload) {
        match (number, value) {
            (event::CORRELATION_ID, Wire::Varint(id)) if T::WANTS_VALUES => {
                walk.take.value("correlation_id", Value::Text(format!("tp:#{id}")));
            }
            (event::CORRELATION_ID_STR, Wire::Bytes(text)) if T::WANTS_VALUES => {
                walk.take.value("correlation_id", Value::Text(text_of(text)));
            }
            (event::CORRELATION_ID_STR_IID, Wire::Varint(iid)) if T::WANTS_VALUES => {
                if let Some(text) = sequence.correlations.get(iid) {
                    walk.take.value("correlation_id", Value::Text(texts.get(text).to_owned()));
                }
            }
            (event::LOG_MESSAGE, Wire::Bytes(bytes)) if T::WANTS_VALUES => walk.log(bytes),
            (event::DEBUG_ANNOTATIONS, Wire::Bytes(bytes))
                if T::WANTS_VALUES || !walk.is_usual(bytes, &mut seen) =>
            {
                walk.entry(bytes, &mut seen, 0);
            }
            (event::SOURCE_LOCATION, Wire::Bytes(bytes)) => walk.location(bytes),
            (event::SOURCE_LOCATION_IID, Wire::Varint(iid)) => walk.interned_location(iid),
            _ => {}
        }
    }
}

/// The names of a dictionary so far: by their hashes, since few are ever there twice.
#[derive(Default)]
struct Seen {
    few: [u64; 12],
    len: usize,
    more: Vec<u64>,
}

impl Seen {
    #[inline]
    fn has(&self, Key { hash, .. }: Key) -> bool {
        let few = &self.few[..self.len.min(self.few.len())];
        few.contains(&hash) || self.more.contains(&hash)
    }

    /// Whether the name was there before.
    #[inline]
    fn insert(&mut self, key: Key) -> bool {
        if self.has(key) {
            return true;
        }
        let Key { hash, .. } = key;
        match self.few.get_mut(self.len) {
            Some(place) => *place = hash,
            None => self.more.push(hash),
        }
        self.len += 1;
        false
    }
}

/// What came of an argument.
struct Outcome {
    /// What comes after it in its dictionary counts.
    is_good: bool,
    /// There is a value in it.
    has_value: bool,
}

struct Walk<'a, T> {
    sequence: &'a Sequence,
    texts: &'a Texts,
    take: &'a mut T,
    key: &'a mut String,
    /// How many elements lists have so far, by their keys: one that an event has several times goes on.
    lists: BTreeMap<String, usize>,
}

impl<T: Take> Walk<'_, T> {
    /// Whether an annotation is as most are, an interned name and a number or a text, with nothing odd about it. Its name is
    /// then entered in `seen`.
    #[inline]
    fn is_usual(&self, bytes: &[u8], seen: &mut Seen) -> bool {
        /// Tags of one byte, of varints.
        const NAME_IID: u8 = (annotation::NAME_IID << 3) as u8;
        const BOOL: u8 = (annotation::BOOL_VALUE << 3) as u8;
        const UINT: u8 = (annotation::UINT_VALUE << 3) as u8;
        const INT: u8 = (annotation::INT_VALUE << 3) as u8;
        let is_known = |iid, seen: &mut Seen| {
            let key = self.sequence.keys.get(iid).and_then(|text| self.texts.key(text));
            key.is_some_and(|key| key.is_plain && !seen.insert(key))
        };
        // Nearly all of those: numbers of one or two bytes.
        if let [NAME_IID, iid @ 0..0x80, BOOL | UINT | INT, 0..0x80]
        | [NAME_IID, iid @ 0..0x80, UINT | INT, 0x80..=0xFF, 0..0x80] = *bytes
        {
            return is_known(u64::from(iid), seen);
        }
        let mut fields = Fields::of(bytes);
        let Some((annotation::NAME_IID, Wire::Varint(iid))) = fields.next() else { return false };
        let is_sound = match fields.next() {
            Some(
                (
                    annotation::BOOL_VALUE
                    | annotation::UINT_VALUE
                    | annotation::INT_VALUE
                    | annotation::POINTER_VALUE,
                    Wire::Varint(_),
                )
                | (annotation::STRING_VALUE, Wire::Bytes(_)),
            ) => true,
            Some((annotation::DOUBLE_VALUE, Wire::Fixed64(bits))) => !f64::from_bits(bits).is_nan(),
            _ => false,
        };
        is_sound && fields.position() == bytes.len() && is_known(iid, seen)
    }

    /// An annotation with a name, below the key so far. Names are entered in `seen`.
    fn entry(&mut self, bytes: &[u8], seen: &mut Seen, depth: usize) -> Outcome {
        let (mut name, mut iid) = (None, 0);
        let texts = self.texts;
        for (number, value) in Fields::of(bytes) {
            match (number, value) {
                (annotation::NAME_IID, Wire::Varint(number)) => iid = number,
                (annotation::NAME, Wire::Bytes(text)) => {
                    name = Some(String::from_utf8_lossy(text));
                }
                _ => {}
            }
        }
        // If there are both, the number counts.
        if iid != 0 {
            name = self.sequence.keys.get(iid).map(|text| Cow::Borrowed(texts.get(text)));
            if name.is_none() {
                self.take.odd(self.key, Oddity::Undefined(iid));
            }
        }
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            self.take.odd(self.key, Oddity::Nameless);
            return Outcome { is_good: false, has_value: false };
        };
        let before = self.key.len();
        if before > 0 {
            self.key.push('.');
        }
        if name.contains(['.', '[', ']']) {
            self.take.odd(&name, Oddity::KeyCharacters);
            self.key.push_str(&name.replace(['.', '[', ']'], "_"));
        } else {
            self.key.push_str(&name);
        }
        if seen.insert(Key::of(&name)) {
            self.take.odd(self.key, Oddity::Twice);
        }
        let outcome = self.value(bytes, depth);
        self.key.truncate(before);
        outcome
    }

    fn value(&mut self, bytes: &[u8], depth: usize) -> Outcome {
        let (mut dict, mut items, mut is_any) = (Seen::default(), 0, false);
        let mut has_values = false;
        for (number, value) in Fields::of(bytes) {
            let value = match (number, value) {
                (annotation::BOOL_VALUE, Wire::Varint(value)) => Value::Bool(value != 0),
                (annotation::UINT_VALUE, Wire::Varint(value)) => Value::Uint(value),
                (annotation::INT_VALUE, Wire::Varint(value)) => Value::Int(value.cast_signed()),
                (annotation::DOUBLE_VALUE, Wire::Fixed64(bits)) => match f64::from_bits(bits) {
                    value if value.is_nan() => {
                        self.take.odd(self.key, Oddity::NotANumber);
                        Value::Null
                    }
                    value => Value::Double(value),
                },
                (annotation::STRING_VALUE, Wire::Bytes(text)) if T::WANTS_VALUES => {
                    Value::Text(text_of(text))
                }
                (annotation::STRING_VALUE, Wire::Bytes(_)) => Value::Null,
                (annotation::STRING_VALUE_IID, Wire::Varint(iid)) => {
                    if let Some(text) = self.sequence.texts.get(iid) {
                        Value::Text(self.texts.get(text).to_owned())
                    } else {
                        self.take.odd(self.key, Oddity::Undefined(iid));
                        Value::Null
                    }
                }
                (annotation::POINTER_VALUE, Wire::Varint(value)) => Value::Pointer(value),
                // `legacy_json_value`.
                (9, Wire::Bytes(json)) => {
                    is_any = true;
                    has_values |= self.json(json);
                    continue;
                }
                (annotation::DICT_ENTRIES, Wire::Bytes(entry)) => {
                    is_any = true;
                    if depth < MAX_DEPTH {
                        let outcome = self.entry(entry, &mut dict, depth + 1);
                        has_values |= outcome.has_value;
                        // The others survive one without a name, but not those after it.
                        if !outcome.is_good {
                            return Outcome { is_good: false, has_value: has_values };
                        }
                    }
                    continue;
                }
                (annotation::ARRAY_VALUES, Wire::Bytes(item)) => {
                    is_any = true;
                    let before = self.key.len();
                    // Where only oddities are told, it is no matter.
                    if T::WANTS_VALUES {
                        items = self.lists.get(&**self.key).copied().unwrap_or(0);
                    }
                    let _ = write!(self.key, "[{items}]");
                    let has_value = depth < MAX_DEPTH && self.value(item, depth + 1).has_value;
                    self.key.truncate(before);
                    // One without a value is none.
                    items += usize::from(has_value);
                    if T::WANTS_VALUES && has_value {
                        self.lists.insert(self.key.clone(), items);
                    }
                    has_values |= has_value;
                    continue;
                }
                _ => continue,
            };
            (is_any, has_values) = (true, true);
            self.take.value(self.key, value);
        }
        if !is_any {
            self.take.odd(self.key, Oddity::Empty);
        }
        Outcome { is_good: true, has_value: has_values }
    }

    /// JSON, below the key so far. Returns whether there was a value in it.
    fn json(&mut self, bytes: &[u8]) -> bool {
        /// A list or dictionary that is open.
        struct Level {
            is_list: bool,
            key_len: usize,
            has_values: bool,
        }
        let base = self.key.len();
        let mut levels: Vec<Level> = vec![];
        let (mut has_values, mut is_whole) = (false, false);
        for part in Parts::of(bytes) {
            if levels.len() > MAX_DEPTH {
                break;
            }
            // What an element of a list is called.
            if let (Part::Open { .. } | Part::Value(_), Some(Level { is_list: true, .. })) =
                (&part, levels.last())
            {
                let element = self.lists.get(&**self.key).copied().unwrap_or(0);
                let _ = write!(self.key, "[{element}]");
            }
            // In JSON, an empty list is one, but null is none.
            let mut is_element = false;
            let has_value = match part {
                Part::Open { is_list } => {
                    levels.push(Level { is_list, key_len: self.key.len(), has_values: false });
                    continue;
                }
                Part::Name(name) => {
                    self.key.truncate(levels.last().map_or(base, |level| level.key_len));
                    self.key.push('.');
                    self.key.push_str(&name);
                    continue;
                }
                Part::Close => {
                    is_element = true;
                    levels.pop().is_some_and(|level| level.has_values)
                }
                Part::Value(value) => {
                    let has_value = value.is_some();
                    if let Some(value) = value {
                        self.take.value(self.key, value);
                    }
                    has_value
                }
            };
            has_values |= has_value;
            self.key.truncate(levels.last().map_or(base, |level| level.key_len));
            let Some(level) = levels.last_mut() else {
                is_whole = true;
                break;
            };
            level.has_values |= has_value;
            if level.is_list && (is_element || has_value) && T::WANTS_VALUES {
                *self.lists.entry(self.key.clone()).or_default() += 1;
            }
        }
        self.key.truncate(base);
        if !is_whole || !has_values {
            self.take.odd(self.key, Oddity::Json);
        }
        has_values
    }

    fn log(&mut self, bytes: &[u8]) {
        for (number, value) in Fields::of(bytes) {
            let Wire::Varint(value) = value else { continue };
            match number {
                log::BODY_IID => {
                    if let Some(body) = self.sequence.log_bodies.get(value) {
                        let body = Value::Text(self.texts.get(body).to_owned());
                        self.take.value("track_event.log_message", body);
                    }
                }
                log::SOURCE_LOCATION_IID => {
                    let Some(location) = self.sequence.locations.get(value) else { continue };
                    self.located("track_event.log_message", location, str::to_owned, Value::Int);
                }
                log::PRIO => {
                    // Those that there are none of are taken for none.
                    let prio = if value > 7 { 0 } else { value.cast_signed() };
                    self.take.value("track_event.priority", Value::Int(prio));
                }
                _ => {}
            }
        }
    }

    fn location(&mut self, bytes: &[u8]) {
        for (number, value) in Fields::of(bytes) {
            match (number, value) {
                (location::FILE_NAME, Wire::Bytes(text)) => {
                    self.take.value("source_location.file_name", Value::Text(text_of(text)));
                }
                (location::FUNCTION_NAME, Wire::Bytes(text)) => {
                    self.take.value("source_location.function_name", Value::Text(text_of(text)));
                }
                (location::LINE_NUMBER, Wire::Varint(line)) => {
                    self.take.value("source_location.line_number", Value::Uint(line));
                }
                _ => {}
            }
        }
    }

    fn interned_location(&mut self, iid: u64) {
        let Some(location) = self.sequence.locations.get(iid) else {
            return self.take.odd("source", Oddity::Undefined(iid));
        };
        if T::WANTS_VALUES {
            // As on Windows.
            self.located(
                "source",
                location,
                |path| path.replace('\\', "/"),
                |line| Value::Uint(line.cast_unsigned()),
            );
        }
    }

    /// The parts of an interned location, below a key; `path` is how its file is written, and `line` its line.
    fn located(
        &mut self,
        below: &str,
        location: Location,
        path: fn(&str) -> String,
        line: fn(i64) -> Value,
    ) {
        let mut put = |what: &str, value| self.take.value(&format!("{below}.{what}"), value);
        if let Some(file) = location.file {
            put("file_name", Value::Text(path(self.texts.get(file))));
        }
        if let Some(function) = location.function {
            put("function_name", Value::Text(self.texts.get(function).to_owned()));
        }
        if let Some(number) = location.line {
            put("line_number", line(i64::from(number)));
        }
    }
}

/// Text as SQL has it: up to a NUL.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).split('\0').next().unwrap_or_default().to_owned()
}
