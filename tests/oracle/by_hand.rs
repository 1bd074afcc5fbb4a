//! Traces made by hand, field by field.
#![allow(dead_code, reason = "not every test needs every field")]

/// A field of a message.
pub(crate) type Field = Vec<u8>;

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7F).expect("7 bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("7 bits"));
    bytes
}

pub(crate) fn v(field: u64, value: u64) -> Field {
    [varint(field << 3), varint(value)].concat()
}

pub(crate) fn fixed(field: u64, value: u64) -> Field {
    [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

pub(crate) fn b(field: u64, content: impl AsRef<[u8]>) -> Field {
    let content = content.as_ref();
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

pub(crate) fn m(field: u64, fields: &[Field]) -> Field {
    b(field, fields.concat())
}

pub(crate) fn packet(fields: &[Field]) -> Vec<u8> {
    m(1, fields)
}

pub(crate) const T: u64 = 5;
pub(crate) const BEGIN: u64 = 1;
pub(crate) const END: u64 = 2;
pub(crate) const INSTANT: u64 = 3;
pub(crate) const COUNTER: u64 = 4;

pub(crate) fn snapshot(clocks: &[Field]) -> Field {
    m(6, clocks)
}

pub(crate) fn clock(id: u64, time: u64) -> Field {
    m(1, &[v(1, id), v(2, time)])
}

/// The start of a sequence, with its clock.
pub(crate) fn start(sequence: u64) -> Vec<u8> {
    packet(&[v(10, sequence), v(13, 1), snapshot(&[clock(6, 0), v(2, 6)])])
}

pub(crate) fn descriptor(fields: &[Field]) -> Vec<u8> {
    packet(&[v(10, 1), m(60, fields)])
}

pub(crate) fn track(uuid: u64, name: &str) -> Vec<u8> {
    descriptor(&[v(1, uuid), b(2, name), v(15, 2)])
}

pub(crate) fn counter(uuid: u64, fields: &[Field]) -> Vec<u8> {
    descriptor(&[v(1, uuid), b(2, "c"), m(8, fields)])
}

pub(crate) fn event_on(sequence: u64, uuid: u64, ts: u64, kind: u64, fields: &[Field]) -> Vec<u8> {
    let event = [&[v(9, kind), v(11, uuid)], fields].concat();
    packet(&[v(8, ts), v(10, sequence), m(11, &event)])
}

pub(crate) fn event(ts: u64, kind: u64, fields: &[Field]) -> Vec<u8> {
    event_on(1, T, ts, kind, fields)
}

pub(crate) fn named(ts: u64, kind: u64, name: &str) -> Vec<u8> {
    event(ts, kind, &[b(22, "c"), b(23, name)])
}

pub(crate) fn end(ts: u64) -> Vec<u8> {
    event(ts, END, &[])
}

/// A slice that is as it should be.
pub(crate) fn slice() -> Vec<u8> {
    [named(100, BEGIN, "good"), end(110)].concat()
}

/// A trace with one sequence, one track and one good slice, and this.
pub(crate) fn with(parts: &[Vec<u8>]) -> Vec<u8> {
    [start(1), track(T, "t"), parts.concat(), slice()].concat()
}
