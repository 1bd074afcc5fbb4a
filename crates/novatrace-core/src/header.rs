//! What a trace says of itself: its uuid and attributes. Packets of no sequence.

use crate::clock::ClockId;
use crate::schema::{clock_snapshot, trace, trace_attributes, trace_packet, trace_uuid};
use crate::wire;

/// The value of a trace attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute<'a> {
    /// `string_value`
    Text(&'a str),
    /// `long_value`
    Int(i64),
}

/// Appends `TraceUuid`: tells traces apart.
pub fn trace_uuid(out: &mut Vec<u8>, uuid: u128) {
    #[expect(clippy::cast_possible_truncation, reason = "one half each")]
    let (high, low) = ((uuid >> 64) as u64, uuid as u64);
    let packet = wire::open(out, trace::PACKET);
    let message = wire::open(out, trace_packet::TRACE_UUID);
    for (field, half) in [(trace_uuid::MSB, high), (trace_uuid::LSB, low)] {
        wire::varint_field(out, field, half);
    }
    wire::close(out, message);
    wire::close(out, packet);
}

/// Appends `TraceAttributes`; each is a row `trace_attribute.<key>` of the trace processor's
/// `metadata` table. Of equal keys the last is kept there.
pub fn trace_attributes<'a>(
    out: &mut Vec<u8>,
    attributes: impl IntoIterator<Item = (&'a str, Attribute<'a>)>,
) {
    let packet = wire::open(out, trace::PACKET);
    let message = wire::open(out, trace_packet::TRACE_ATTRIBUTES);
    for (key, value) in attributes {
        let entry = wire::open(out, trace_attributes::ATTRIBUTE);
        wire::text_field(out, trace_attributes::attribute::KEY, key);
        match value {
            Attribute::Text(text) => {
                wire::text_field(out, trace_attributes::attribute::STRING_VALUE, text);
            }
            Attribute::Int(value) => {
                let value = value.cast_unsigned();
                wire::varint_field(out, trace_attributes::attribute::LONG_VALUE, value);
            }
        }
        wire::close(out, entry);
    }
    wire::close(out, message);
    wire::close(out, packet);
}

/// Appends `ClockSnapshot`: what several clocks showed at one time, in nanoseconds. `BOOTTIME` must be
/// among them, or the others cannot be related to the trace.
pub fn clock_snapshot(out: &mut Vec<u8>, readings: &[(ClockId, u64)]) {
    let packet = wire::open(out, trace::PACKET);
    let message = wire::open(out, trace_packet::CLOCK_SNAPSHOT);
    for &(clock, ns) in readings {
        let reading = wire::open(out, clock_snapshot::CLOCKS);
        wire::varint_field(out, clock_snapshot::clock::CLOCK_ID, u64::from(clock.0));
        wire::varint_field(out, clock_snapshot::clock::TIMESTAMP, ns);
        wire::close(out, reading);
    }
    let primary = u64::from(ClockId::BOOTTIME.0);
    wire::varint_field(out, clock_snapshot::PRIMARY_TRACE_CLOCK, primary);
    wire::close(out, message);
    wire::close(out, packet);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_together() {
        let mut out = vec![];
        clock_snapshot(&mut out, &[(ClockId::BOOTTIME, 300), (ClockId::REALTIME, 1)]);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 17,                         // Trace.packet
            0x32, 15,                         //   clock_snapshot
            0x0A, 5, 0x08, 6, 0x10, 0xAC, 0x02, //   clocks: BOOTTIME
            0x0A, 4, 0x08, 1, 0x10, 1,        //     clocks: REALTIME
            0x10, 6,                          //     primary_trace_clock
        ]);
    }

    #[test]
    fn uuid_and_attributes() {
        let mut out = vec![];
        trace_uuid(&mut out, 3 << 64 | 4);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 7,                          // Trace.packet
            0xCA, 0x05, 4, 0x08, 3, 0x10, 4,  //   trace_uuid: msb, lsb
        ]);
        out.clear();
        trace_attributes(&mut out, [("a", Attribute::Text("b")), ("c", Attribute::Int(300))]);
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 19,                         // Trace.packet
            0xF2, 0x07, 16,                   //   trace_attributes
            0x0A, 6, 0x0A, 1, b'a', 0x1A, 1, b'b', // attribute: key, string_value
            0x0A, 6, 0x0A, 1, b'c', 0x10, 0xAC, 0x02, // attribute: key, long_value
        ]);
    }
}
