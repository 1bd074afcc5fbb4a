//! Packets as text, in the form of protobuf's own text format: for `print_proto`. Belongs here: the names
//! of the fields that are written, and reading them. Does not: their numbers, which the core has.

use std::fmt::Write;

use novatrace_core::schema as s;

/// The fields of a message, and how their values are said.
pub(super) struct Message(&'static [(u32, &'static str, Said)]);

#[derive(Clone, Copy)]
enum Said {
    Uint,
    Int,
    Bool,
    Double,
    Text,
    /// Names of values, from `first` on.
    Enum(u64, &'static [&'static str]),
    Message(&'static Message),
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order written; ends at what it cannot read.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for at in 0..10 {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Content<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Content::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                Content::Bytes(bytes)
            }
            _ => return None,
        };
        Some((u32::try_from(tag >> 3).ok()?, content))
    }
}

/// Appends the fields of a message, a line each, by number.
pub(super) fn print(message: &Message, bytes: &[u8], indent: usize, out: &mut String) {
    let mut fields: Vec<_> = Fields(bytes).collect();
    fields.sort_by_key(|&(number, _)| number);
    for (number, content) in fields {
        let known = message.0.iter().find(|field| field.0 == number);
        let _ = match known {
            Some((_, name, _)) => write!(out, "{:indent$}{name}", ""),
            None => write!(out, "{:indent$}{number}", ""),
        };
        let _ = match (known.map(|field| field.2), content) {
            (Some(Said::Message(inner)), Content::Bytes(bytes)) => {
                out.push_str(" {\n");
                print(inner, bytes, indent + 2, out);
                writeln!(out, "{:indent$}}}", "")
            }
            (Some(Said::Bool), Content::Varint(value)) => writeln!(out, ": {}", value != 0),
            (Some(Said::Int), Content::Varint(value)) => {
                writeln!(out, ": {}", value.cast_signed())
            }
            (Some(Said::Enum(first, names)), Content::Varint(value)) => {
                let name =
                    value.checked_sub(first).and_then(|at| names.get(usize::try_from(at).ok()?));
                match name {
                    Some(name) => writeln!(out, ": {name}"),
                    None => writeln!(out, ": {value}"),
                }
            }
            (Some(Said::Double), Content::Fixed64(bits)) => match f64::from_bits(bits) {
                nan if nan.is_nan() => writeln!(out, ": nan"),
                value => writeln!(out, ": {value:?}"),
            },
            (_, Content::Varint(value) | Content::Fixed64(value)) => writeln!(out, ": {value}"),
            (_, Content::Bytes(bytes)) => {
                out.push_str(": \"");
                escape(&String::from_utf8_lossy(bytes), out);
                writeln!(out, "\"")
            }
        };
    }
}

fn escape(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\'' | '\\' => out.extend(['\\', char]),
            '\0'..' ' | '\x7F' => {
                let _ = write!(out, "\\{:03o}", u32::from(char)); // a String takes everything
            }
            _ => out.push(char),
        }
    }
}

use Said::{Bool, Double, Enum, Int, Text, Uint};

pub(super) static TRACE: Message =
    Message(&[(s::trace::PACKET, "packet", Said::Message(&TRACE_PACKET))]);

pub(super) static TRACE_PACKET: Message = {
    use s::trace_packet as f;
    Message(&[
        (f::CLOCK_SNAPSHOT, "clock_snapshot", Said::Message(&CLOCK_SNAPSHOT)),
        (f::TIMESTAMP, "timestamp", Uint),
        (f::TRUSTED_PACKET_SEQUENCE_ID, "trusted_packet_sequence_id", Uint),
        (f::TRACK_EVENT, "track_event", Said::Message(&TRACK_EVENT)),
        (f::INTERNED_DATA, "interned_data", Said::Message(&INTERNED_DATA)),
        (f::SEQUENCE_FLAGS, "sequence_flags", Uint),
        (f::TRACE_PACKET_DEFAULTS, "trace_packet_defaults", Said::Message(&TRACE_PACKET_DEFAULTS)),
        (f::TRACK_DESCRIPTOR, "track_descriptor", Said::Message(&TRACK_DESCRIPTOR)),
        (f::FIRST_PACKET_ON_SEQUENCE, "first_packet_on_sequence", Bool),
        (f::TRACE_ATTRIBUTES, "trace_attributes", Said::Message(&TRACE_ATTRIBUTES)),
    ])
};

const CLOCKS: Said = Enum(
    1,
    &[
        "BUILTIN_CLOCK_REALTIME",
        "BUILTIN_CLOCK_REALTIME_COARSE",
        "BUILTIN_CLOCK_MONOTONIC",
        "BUILTIN_CLOCK_MONOTONIC_COARSE",
        "BUILTIN_CLOCK_MONOTONIC_RAW",
        "BUILTIN_CLOCK_BOOTTIME",
    ],
);

static CLOCK_SNAPSHOT: Message = {
    use s::clock_snapshot as f;
    Message(&[
        (f::CLOCKS, "clocks", Said::Message(&CLOCK)),
        (f::PRIMARY_TRACE_CLOCK, "primary_trace_clock", CLOCKS),
    ])
};

static CLOCK: Message = Message(&[
    (s::clock_snapshot::clock::CLOCK_ID, "clock_id", Uint),
    (s::clock_snapshot::clock::TIMESTAMP, "timestamp", Uint),
]);

static TRACE_PACKET_DEFAULTS: Message =
    Message(&[(s::trace_packet_defaults::TIMESTAMP_CLOCK_ID, "timestamp_clock_id", Uint)]);

static TRACE_ATTRIBUTES: Message =
    Message(&[(s::trace_attributes::ATTRIBUTE, "attribute", Said::Message(&ATTRIBUTE))]);

static ATTRIBUTE: Message = Message(&[
    (s::trace_attributes::attribute::KEY, "key", Text),
    (s::trace_attributes::attribute::STRING_VALUE, "string_value", Text),
]);

static TRACK_DESCRIPTOR: Message = {
    use s::track_descriptor as f;
    let merge = Enum(1, &["SIBLING_MERGE_BEHAVIOR_BY_TRACK_NAME", "SIBLING_MERGE_BEHAVIOR_NONE"]);
    Message(&[
        (f::UUID, "uuid", Uint),
        (f::NAME, "name", Text),
        (f::PROCESS, "process", Said::Message(&PROCESS)),
        (f::PARENT_UUID, "parent_uuid", Uint),
        (f::COUNTER, "counter", Said::Message(&COUNTER)),
        (f::SIBLING_MERGE_BEHAVIOR, "sibling_merge_behavior", merge),
    ])
};

static PROCESS: Message = Message(&[
    (s::process_descriptor::PID, "pid", Int),
    (s::process_descriptor::PROCESS_NAME, "process_name", Text),
]);

static COUNTER: Message = Message(&[]);

static TRACK_EVENT: Message = {
    use s::track_event as f;
    let kinds = Enum(1, &["TYPE_SLICE_BEGIN", "TYPE_SLICE_END", "TYPE_INSTANT", "TYPE_COUNTER"]);
    Message(&[
        (f::CATEGORY_IIDS, "category_iids", Uint),
        (f::DEBUG_ANNOTATIONS, "debug_annotations", Said::Message(&DEBUG_ANNOTATION)),
        (f::TYPE, "type", kinds),
        (f::NAME_IID, "name_iid", Uint),
        (f::TRACK_UUID, "track_uuid", Uint),
        (f::CATEGORIES, "categories", Text),
        (f::NAME, "name", Text),
        (f::COUNTER_VALUE, "counter_value", Int),
        (f::SOURCE_LOCATION, "source_location", Said::Message(&SOURCE_LOCATION)),
        (f::SOURCE_LOCATION_IID, "source_location_iid", Uint),
        (f::DOUBLE_COUNTER_VALUE, "double_counter_value", Double),
        (f::FLOW_IDS, "flow_ids", Uint),
    ])
};

static DEBUG_ANNOTATION: Message = {
    use s::debug_annotation as f;
    Message(&[
        (f::BOOL_VALUE, "bool_value", Bool),
        (f::UINT_VALUE, "uint_value", Uint),
        (f::INT_VALUE, "int_value", Int),
        (f::DOUBLE_VALUE, "double_value", Double),
        (f::STRING_VALUE, "string_value", Text),
        (f::NAME, "name", Text),
        (f::DICT_ENTRIES, "dict_entries", Said::Message(&DEBUG_ANNOTATION)),
        (f::ARRAY_VALUES, "array_values", Said::Message(&DEBUG_ANNOTATION)),
    ])
};

static INTERNED_DATA: Message = {
    use s::interned_data as f;
    Message(&[
        (f::EVENT_CATEGORIES, "event_categories", Said::Message(&INTERNED_NAME)),
        (f::EVENT_NAMES, "event_names", Said::Message(&INTERNED_NAME)),
        (f::SOURCE_LOCATIONS, "source_locations", Said::Message(&SOURCE_LOCATION)),
    ])
};

static INTERNED_NAME: Message = Message(&[
    (s::interned_data::entry::IID, "iid", Uint),
    (s::interned_data::entry::TEXT, "name", Text),
]);

static SOURCE_LOCATION: Message = {
    use s::source_location as f;
    Message(&[
        (f::IID, "iid", Uint),
        (f::FILE_NAME, "file_name", Text),
        (f::FUNCTION_NAME, "function_name", Text),
        (f::LINE_NUMBER, "line_number", Uint),
    ])
};
