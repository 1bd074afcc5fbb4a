//! `perfetto_protos`, which is rust-protobuf over all of Perfetto's messages. Names, keys and times
//! as in `with_prost`.

use std::path::Path;

use perfetto_protos::counter_descriptor::CounterDescriptor;
use perfetto_protos::debug_annotation::{DebugAnnotation, DebugAnnotationName};
use perfetto_protos::interned_data::InternedData;
use perfetto_protos::trace_packet::TracePacket;
use perfetto_protos::track_descriptor::TrackDescriptor;
use perfetto_protos::track_event::track_event::Type;
use perfetto_protos::track_event::{EventName, TrackEvent};
use protobuf::Message;

use crate::measure::Batch;
use crate::workload::{Duration, KEYS, Sample, Writer, names, uuid};

const CLEARED: u32 = 1;
const NEEDS_STATE: u32 = 2;
const SEQUENCE: u32 = 1;

/// The packet as the file's next: field 1 of the trace.
#[inline(always)]
fn write(batch: &mut Batch, packet: &TracePacket) {
    batch.bytes.push(0x0A);
    packet.write_length_delimited_to_vec(&mut batch.bytes).expect("a `Vec` has room");
    batch.write_if_full();
}

fn packet() -> TracePacket {
    let mut packet = TracePacket::new();
    packet.set_trusted_packet_sequence_id(SEQUENCE);
    packet
}

fn create(path: &Path) -> Batch {
    let mut interned = InternedData::new();
    for (iid, text) in (1..).zip(names()) {
        let mut name = EventName::new();
        name.set_iid(iid);
        name.set_name(text);
        interned.event_names.push(name);
    }
    for (iid, text) in (1..).zip(KEYS) {
        let mut name = DebugAnnotationName::new();
        name.set_iid(iid);
        name.set_name(text.to_owned());
        interned.debug_annotation_names.push(name);
    }
    let mut batch = Batch::create(path);
    let mut first = packet();
    first.set_sequence_flags(CLEARED);
    first.interned_data = Some(interned).into();
    write(&mut batch, &first);
    for said in uuid::descriptors() {
        let mut descriptor = TrackDescriptor::new();
        descriptor.set_uuid(said.uuid);
        descriptor.set_name(said.name);
        if let Some(parent) = said.parent {
            descriptor.set_parent_uuid(parent);
        }
        if let Some(unit) = said.unit {
            let mut counter = CounterDescriptor::new();
            counter.set_unit_name(unit.to_owned());
            descriptor.counter = Some(counter).into();
        }
        let mut packet = packet();
        packet.set_track_descriptor(descriptor);
        write(&mut batch, &packet);
    }
    batch
}

#[inline(always)]
fn annotation(iid: u64, value: i64) -> DebugAnnotation {
    let mut annotation = DebugAnnotation::new();
    annotation.set_name_iid(iid);
    annotation.set_int_value(value);
    annotation
}

/// Makes a message for each packet, as programs do.
struct Made(Batch);

pub fn w6_made(path: &Path) {
    Made(create(path)).w6().0.close();
}

impl Made {
    #[inline(always)]
    fn write(&mut self, time: u64, event: TrackEvent) {
        let mut packet = packet();
        packet.set_timestamp(time);
        if event.has_name_iid() {
            packet.set_sequence_flags(NEEDS_STATE);
        }
        packet.set_track_event(event);
        write(&mut self.0, &packet);
    }
}

impl Writer for Made {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        let mut begin = TrackEvent::new();
        begin.set_type(Type::TYPE_SLICE_BEGIN);
        begin.set_track_uuid(uuid::track(duration.track));
        begin.set_name_iid(duration.name as u64 + 1);
        begin.debug_annotations = vec![annotation(1, duration.m), annotation(2, duration.k)];
        self.write(duration.start, begin);
        let mut end = TrackEvent::new();
        end.set_type(Type::TYPE_SLICE_END);
        end.set_track_uuid(uuid::track(duration.track));
        self.write(duration.start + duration.length, end);
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        let mut event = TrackEvent::new();
        event.set_type(Type::TYPE_COUNTER);
        event.set_track_uuid(uuid::counter(sample.counter));
        event.set_double_counter_value(sample.value);
        self.write(sample.time, event);
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
    let of_type = |r#type| {
        let mut packet = packet();
        packet.mut_track_event().set_type(r#type);
        packet
    };
    let mut begin = of_type(Type::TYPE_SLICE_BEGIN);
    begin.set_sequence_flags(NEEDS_STATE);
    begin.mut_track_event().debug_annotations = vec![annotation(1, 0), annotation(2, 0)];
    let end = of_type(Type::TYPE_SLICE_END);
    let sample = of_type(Type::TYPE_COUNTER);
    Reused { batch: create(path), begin, end, sample }.w6().batch.close();
}

impl Writer for Reused {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        self.begin.set_timestamp(duration.start);
        let begin = self.begin.mut_track_event();
        begin.set_track_uuid(uuid::track(duration.track));
        begin.set_name_iid(duration.name as u64 + 1);
        begin.debug_annotations[0].set_int_value(duration.m);
        begin.debug_annotations[1].set_int_value(duration.k);
        write(&mut self.batch, &self.begin);
        self.end.set_timestamp(duration.start + duration.length);
        self.end.mut_track_event().set_track_uuid(uuid::track(duration.track));
        write(&mut self.batch, &self.end);
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        self.sample.set_timestamp(sample.time);
        let event = self.sample.mut_track_event();
        event.set_track_uuid(uuid::counter(sample.counter));
        event.set_double_counter_value(sample.value);
        write(&mut self.batch, &self.sample);
    }
}
