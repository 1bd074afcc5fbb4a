//! prost with messages written by hand that have only the fields that are needed, so that they are
//! small. Names and keys are interned beforehand, times are absolute, so that an end can be written
//! at once: readers sort.

use std::path::Path;

use prost::Message;

use crate::measure::Batch;
use crate::workload::{Duration, KEYS, Sample, Writer, names, uuid};

#[derive(Clone, PartialEq, Message)]
struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<TrackEvent>,
    #[prost(uint32, optional, tag = "13")]
    sequence_flags: Option<u32>,
}

/// A packet of the beginning.
#[derive(Clone, PartialEq, Message)]
struct SetupPacket {
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "12")]
    interned_data: Option<InternedData>,
    #[prost(uint32, optional, tag = "13")]
    sequence_flags: Option<u32>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<TrackDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackEvent {
    #[prost(message, repeated, tag = "4")]
    debug_annotations: Vec<DebugAnnotation>,
    #[prost(int32, optional, tag = "9")]
    r#type: Option<i32>,
    #[prost(uint64, optional, tag = "10")]
    name_iid: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    track_uuid: Option<u64>,
    #[prost(double, optional, tag = "44")]
    double_counter_value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct DebugAnnotation {
    #[prost(uint64, optional, tag = "1")]
    name_iid: Option<u64>,
    #[prost(int64, optional, tag = "4")]
    int_value: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct InternedData {
    #[prost(message, repeated, tag = "2")]
    event_names: Vec<InternedString>,
    #[prost(message, repeated, tag = "3")]
    debug_annotation_names: Vec<InternedString>,
}

#[derive(Clone, PartialEq, Message)]
struct InternedString {
    #[prost(uint64, optional, tag = "1")]
    iid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackDescriptor {
    #[prost(uint64, optional, tag = "1")]
    uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
    #[prost(message, optional, tag = "8")]
    counter: Option<CounterDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct CounterDescriptor {
    #[prost(string, optional, tag = "6")]
    unit_name: Option<String>,
}

const SLICE_BEGIN: i32 = 1;
const SLICE_END: i32 = 2;
const COUNTER: i32 = 4;
const CLEARED: u32 = 1;
const NEEDS_STATE: u32 = 2;
const SEQUENCE: u32 = 1;

/// The packet as the file's next: field 1 of the trace.
#[inline(always)]
fn write(batch: &mut Batch, packet: &impl Message) {
    batch.bytes.push(0x0A);
    packet.encode_length_delimited(&mut batch.bytes).expect("a `Vec` has room");
    batch.write_if_full();
}

fn create(path: &Path) -> Batch {
    let interned = |texts: Vec<String>| {
        let texts = (1..).zip(texts);
        texts.map(|(iid, name)| InternedString { iid: Some(iid), name: Some(name) }).collect()
    };
    let mut batch = Batch::create(path);
    write(
        &mut batch,
        &SetupPacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            interned_data: Some(InternedData {
                event_names: interned(names()),
                debug_annotation_names: interned(KEYS.map(str::to_owned).into()),
            }),
            sequence_flags: Some(CLEARED),
            track_descriptor: None,
        },
    );
    for descriptor in uuid::descriptors() {
        let unit = descriptor.unit.map(str::to_owned);
        let descriptor = TrackDescriptor {
            uuid: Some(descriptor.uuid),
            name: Some(descriptor.name),
            parent_uuid: descriptor.parent,
            counter: unit.map(|unit| CounterDescriptor { unit_name: Some(unit) }),
        };
        let packet = SetupPacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_descriptor: Some(descriptor),
            ..SetupPacket::default()
        };
        write(&mut batch, &packet);
    }
    batch
}

/// Makes a message for each packet, as programs do.
struct Made(Batch);

pub fn w6_made(path: &Path) {
    Made(create(path)).w6().0.close();
}

impl Writer for Made {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        let annotation =
            |iid, value| DebugAnnotation { name_iid: Some(iid), int_value: Some(value) };
        let track_uuid = Some(uuid::track(duration.track));
        let begin = TracePacket {
            timestamp: Some(duration.start),
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_event: Some(TrackEvent {
                debug_annotations: vec![annotation(1, duration.m), annotation(2, duration.k)],
                r#type: Some(SLICE_BEGIN),
                name_iid: Some(duration.name as u64 + 1),
                track_uuid,
                ..TrackEvent::default()
            }),
            sequence_flags: Some(NEEDS_STATE),
        };
        write(&mut self.0, &begin);
        let end = TracePacket {
            timestamp: Some(duration.start + duration.length),
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_event: Some(TrackEvent {
                r#type: Some(SLICE_END),
                track_uuid,
                ..TrackEvent::default()
            }),
            sequence_flags: None,
        };
        write(&mut self.0, &end);
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        let packet = TracePacket {
            timestamp: Some(sample.time),
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_event: Some(TrackEvent {
                r#type: Some(COUNTER),
                track_uuid: Some(uuid::counter(sample.counter)),
                double_counter_value: Some(sample.value),
                ..TrackEvent::default()
            }),
            sequence_flags: None,
        };
        write(&mut self.0, &packet);
    }
}

/// Uses three messages again and again, as programs could: nothing is allocated.
struct Reused {
    batch: Batch,
    begin: TracePacket,
    end: TracePacket,
    sample: TracePacket,
}

pub fn w6_reused(path: &Path) {
    let packet = |r#type| TracePacket {
        trusted_packet_sequence_id: Some(SEQUENCE),
        track_event: Some(TrackEvent { r#type: Some(r#type), ..TrackEvent::default() }),
        ..TracePacket::default()
    };
    let mut begin = packet(SLICE_BEGIN);
    begin.sequence_flags = Some(NEEDS_STATE);
    let annotation = |iid| DebugAnnotation { name_iid: Some(iid), int_value: None };
    event(&mut begin).debug_annotations = [1, 2].map(annotation).into();
    let batch = create(path);
    Reused { batch, begin, end: packet(SLICE_END), sample: packet(COUNTER) }.w6().batch.close();
}

#[inline(always)]
fn event(packet: &mut TracePacket) -> &mut TrackEvent {
    packet.track_event.as_mut().expect("set when it was made")
}

impl Writer for Reused {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        self.begin.timestamp = Some(duration.start);
        let begin = event(&mut self.begin);
        begin.track_uuid = Some(uuid::track(duration.track));
        begin.name_iid = Some(duration.name as u64 + 1);
        begin.debug_annotations[0].int_value = Some(duration.m);
        begin.debug_annotations[1].int_value = Some(duration.k);
        write(&mut self.batch, &self.begin);
        self.end.timestamp = Some(duration.start + duration.length);
        event(&mut self.end).track_uuid = Some(uuid::track(duration.track));
        write(&mut self.batch, &self.end);
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        self.sample.timestamp = Some(sample.time);
        let event = event(&mut self.sample);
        event.track_uuid = Some(uuid::counter(sample.counter));
        event.double_counter_value = Some(sample.value);
        write(&mut self.batch, &self.sample);
    }
}
