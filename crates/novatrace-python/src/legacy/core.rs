//! `_core`: single packets, which the caller puts together to traces. Belongs here: one call, one packet.
//! Does not: order, lanes and files, which are the generator's.
//!
//! All packets of one [`LegacyPackets`] are of one sequence with absolute times, so that they may come in
//! any order after its header. A text is defined in the first packet that needs it: whoever leaves out a
//! packet leaves out the names that came with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use novatrace::CounterValue;
use novatrace_core::header::{self, Attribute};
use novatrace_core::schema::{trace, trace_packet};
use novatrace_core::{
    CounterDescriptor, EventBody, EventType, ExplicitTrack, Kind, MAX_TIMESTAMP_NS,
    ProcessDescriptor, Scalar, Sequence, SequenceId, SourceLocation, Symbols, Text, Timestamps,
    TrackDescriptor, TrackKind, TrackUuid, bytes_field,
};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use serde::Serialize;

use super::annotations::Place;
use super::text::{self as printed, Content, Fields, Message};
use super::tgen::given;
use crate::error::value_error;
use crate::flow::flow_numbers;
use crate::generator::{counter_value, texts};
use crate::value::{Described, Reader, any_text, text};

fn sequence() -> Sequence {
    let id = SequenceId::new(1).expect("not zero");
    // Packets may get lost on their way through the caller's hands.
    Sequence::new(id, Timestamps::Absolute).with_needs_state(true)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is in the fields of that number.
fn within(bytes: &[u8], field: u32) -> impl Iterator<Item = &[u8]> {
    Fields(bytes).filter_map(move |(number, content)| match content {
        Content::Bytes(inner) if number == field => Some(inner),
        _ => None,
    })
}

fn print(message: &Message, bytes: &[u8]) -> String {
    let mut text = String::new();
    printed::print(message, bytes, 0, &mut text);
    text
}

/// A `TracePacket`.
struct Packet {
    /// Its fields, but for the event.
    fields: Vec<u8>,
    event: Option<Event>,
}

struct Event {
    ns: u64,
    kind: EventType,
    track: TrackUuid,
    body: Vec<u8>,
}

impl Packet {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.fields.clone();
        if let Some(Event { ns, kind, track, body }) = &self.event {
            let mut packet = Vec::new();
            let track = ExplicitTrack::new(*track);
            sequence().event(&mut packet, *ns, *kind, Some(&track), body);
            within(&packet, trace::PACKET).for_each(|fields| bytes.extend_from_slice(fields));
        }
        bytes
    }
}

/// One packet, with the methods of protobuf's that the old module's users call.
#[pyclass(frozen, module = "novatrace", name = "_LegacyPacket")]
pub(crate) struct LegacyPacket(Mutex<Packet>);

impl LegacyPacket {
    /// The packets of `trace`.
    fn all(trace: &[u8]) -> Vec<Self> {
        let packet =
            |fields: &[u8]| Self(Mutex::new(Packet { fields: fields.to_vec(), event: None }));
        within(trace, trace::PACKET).map(packet).collect()
    }

    /// The only packet of `trace`.
    fn one(trace: &[u8]) -> Self {
        Self::all(trace).pop().expect("a packet was written")
    }
}

#[pymethods]
#[expect(non_snake_case, reason = "protobuf's names")]
impl LegacyPacket {
    fn SerializeToString<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &lock(&self.0).bytes())
    }

    fn ByteSize(&self) -> usize {
        lock(&self.0).bytes().len()
    }

    fn __str__(&self) -> String {
        print(&printed::TRACE_PACKET, &lock(&self.0).bytes())
    }

    /// Adds arguments to the packet's event.
    fn annotate(
        &self,
        py: Python<'_>,
        kwargs: &Bound<'_, PyAny>,
        list_max_size: usize,
    ) -> PyResult<()> {
        let arguments = arguments(Some(kwargs), list_max_size)?;
        match &mut lock(&self.0).event {
            Some(event) => event.body.extend(arguments),
            None => return Err(value_error(py, "the packet is no event, and has no arguments")),
        }
        Ok(())
    }
}

/// Packets, as a file.
#[pyclass(frozen, module = "novatrace", name = "_LegacyTrace")]
pub(crate) struct LegacyTrace(Vec<u8>);

#[pymethods]
#[expect(non_snake_case, reason = "protobuf's names")]
impl LegacyTrace {
    #[new]
    fn new(packets: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut bytes = Vec::new();
        for packet in packets.try_iter()? {
            let packet = packet?.cast_into::<LegacyPacket>()?;
            bytes_field(&mut bytes, trace::PACKET, &lock(&packet.get().0).bytes());
        }
        Ok(Self(bytes))
    }

    fn SerializeToString<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0)
    }

    fn ByteSize(&self) -> usize {
        self.0.len()
    }

    fn __str__(&self) -> String {
        print(&printed::TRACE, &self.0)
    }
}

/// What a packet's texts are, and which of them have been defined.
struct State {
    sequence: Sequence,
    symbols: Symbols,
}

impl State {
    fn text<'t>(&mut self, definitions: &mut Vec<u8>, kind: Kind, text: &'t str) -> Text<'t> {
        match self.symbols.intern(text) {
            Some(iid) => {
                self.sequence.define(definitions, kind, iid, text);
                Text::Iid(iid)
            }
            None => Text::Inline(text),
        }
    }

    fn location(
        &mut self,
        definitions: &mut Vec<u8>,
        location: &SourceLocation<'_>,
        body: &mut EventBody<'_>,
    ) {
        let SourceLocation { file, function, line } = location;
        match self.symbols.intern(&format!("{file}\0{function}\0{line}")) {
            Some(iid) => {
                self.sequence.define_location(definitions, iid, location);
                body.location(iid);
            }
            None => {
                body.inline_location(location);
            }
        }
    }
}

/// The bytes of `kwargs` in an event.
fn arguments(kwargs: Option<&Bound<'_, PyAny>>, list_max_size: usize) -> PyResult<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(kwargs) = given(kwargs) {
        let reader = Reader::new(list_max_size);
        // What a value's reading says is in the value's place already.
        let _ = Described(reader.value(kwargs)).serialize(Place::Event(&mut body));
        reader.finish()?;
    }
    Ok(body)
}

fn time(ts: &Bound<'_, PyAny>) -> PyResult<u64> {
    let py = ts.py();
    let out_of_range =
        || value_error(py, format!("a time is from 0 to {MAX_TIMESTAMP_NS} ns, not {ts}"));
    match ts.extract::<i64>() {
        Ok(ns) => u64::try_from(ns).map_err(|_| out_of_range()),
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => Err(out_of_range()),
        Err(error) => Err(error),
    }
}

/// What an event says, read from Python before anything is locked.
struct Said<'py> {
    uuid: u64,
    ns: u64,
    name: Option<Bound<'py, PyString>>,
    categories: Vec<Bound<'py, PyString>>,
    arguments: Vec<u8>,
    flows: Vec<u64>,
    caller: Option<(Bound<'py, PyString>, u32, Bound<'py, PyString>)>,
    value: Option<Scalar>,
}

impl<'py> Said<'py> {
    fn new(uuid: u64, ts: &Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(Self {
            uuid,
            ns: time(ts)?,
            name: None,
            categories: Vec::new(),
            arguments: Vec::new(),
            flows: Vec::new(),
            caller: None,
            value: None,
        })
    }

    fn categories(mut self, categories: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        self.categories = given(categories).map_or(Ok(Vec::new()), texts)?;
        Ok(self)
    }

    fn flows(mut self, flows: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        self.flows = given(flows).map_or(Ok(Vec::new()), flow_numbers)?;
        Ok(self)
    }

    fn packet(self, kind: EventType, state: &Mutex<State>) -> LegacyPacket {
        let (mut definitions, mut body) = (Vec::new(), Vec::new());
        let mut event = EventBody::new(&mut body);
        {
            let mut state = lock(state);
            if let Some(name) = &self.name {
                event.name(state.text(&mut definitions, Kind::EventName, &text(name)));
            }
            for category in &self.categories {
                event.category(state.text(&mut definitions, Kind::Category, &text(category)));
            }
            if let Some((file, line, function)) = &self.caller {
                let (file, function) = (text(file), text(function));
                let location = SourceLocation { file: &file, function: &function, line: *line };
                state.location(&mut definitions, &location, &mut event);
            }
        }
        for flow in self.flows {
            event.flow(flow);
        }
        if let Some(value) = self.value {
            event.counter(value);
        }
        body.extend(self.arguments);
        let mut interned = Vec::new();
        for packet in within(&definitions, trace::PACKET) {
            let entries = within(packet, trace_packet::INTERNED_DATA);
            entries.for_each(|entry| interned.extend_from_slice(entry));
        }
        let mut fields = Vec::new();
        if !interned.is_empty() {
            bytes_field(&mut fields, trace_packet::INTERNED_DATA, &interned);
        }
        let event = Event { ns: self.ns, kind, track: TrackUuid(self.uuid), body };
        LegacyPacket(Mutex::new(Packet { fields, event: Some(event) }))
    }
}

/// Makes packets.
#[pyclass(frozen, module = "novatrace", name = "_LegacyPackets")]
pub(crate) struct LegacyPackets(Mutex<State>);

impl LegacyPackets {
    fn descriptor(&self, descriptor: &TrackDescriptor<'_>) -> LegacyPacket {
        let mut packet = Vec::new();
        lock(&self.0).sequence.descriptor(&mut packet, descriptor);
        LegacyPacket::one(&packet)
    }
}

#[pymethods]
impl LegacyPackets {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(State { sequence: sequence(), symbols: Symbols::default() }))
    }

    fn header(&self) -> Vec<LegacyPacket> {
        let mut packets = Vec::new();
        let producer = [
            ("producer", Attribute::Text("novatrace")),
            ("producer_version", Attribute::Text(env!("CARGO_PKG_VERSION"))),
        ];
        header::trace_attributes(&mut packets, producer);
        lock(&self.0).sequence.start(&mut packets, None);
        LegacyPacket::all(&packets)
    }

    fn process(
        &self,
        uuid: u64,
        pid: i32,
        process_name: &Bound<'_, PyAny>,
        track_name: &Bound<'_, PyAny>,
    ) -> PyResult<LegacyPacket> {
        let (process_name, track_name) = (any_text(process_name)?, any_text(track_name)?);
        let process = ProcessDescriptor { pid, name: &text(&process_name) };
        Ok(self.descriptor(&TrackDescriptor {
            kind: TrackKind::Process(process),
            ..TrackDescriptor::plain(TrackUuid(uuid), &text(&track_name))
        }))
    }

    fn track(
        &self,
        uuid: u64,
        parent: Option<u64>,
        name: &Bound<'_, PyAny>,
        is_counter: bool,
    ) -> PyResult<LegacyPacket> {
        let name = any_text(name)?;
        let kind = if is_counter {
            TrackKind::Counter(CounterDescriptor::default())
        } else {
            TrackKind::Plain
        };
        Ok(self.descriptor(&TrackDescriptor {
            parent: parent.map(TrackUuid),
            kind,
            ..TrackDescriptor::plain(TrackUuid(uuid), &text(&name))
        }))
    }

    /// An instant, or the begin of a slice.
    #[expect(clippy::too_many_arguments, reason = "the old call")]
    fn named<'py>(
        &self,
        is_instant: bool,
        uuid: u64,
        ts: &Bound<'py, PyAny>,
        annotation: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyAny>>,
        flow: Option<&Bound<'py, PyAny>>,
        caller: Option<(Bound<'py, PyAny>, u32, Bound<'py, PyAny>)>,
        category_list: Option<&Bound<'py, PyAny>>,
        list_max_size: usize,
    ) -> PyResult<LegacyPacket> {
        let kind = if is_instant { EventType::Instant } else { EventType::SliceBegin };
        let mut said = Said::new(uuid, ts)?.categories(category_list)?.flows(flow)?;
        said.name = Some(any_text(annotation)?);
        said.arguments = arguments(kwargs, list_max_size)?;
        if let Some((file, line, function)) = caller {
            said.caller = Some((any_text(&file)?, line, any_text(&function)?));
        }
        Ok(said.packet(kind, &self.0))
    }

    fn end<'py>(
        &self,
        uuid: u64,
        ts: &Bound<'py, PyAny>,
        flow: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<LegacyPacket> {
        Ok(Said::new(uuid, ts)?.flows(flow)?.packet(EventType::SliceEnd, &self.0))
    }

    fn count<'py>(
        &self,
        uuid: u64,
        ts: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        category_list: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<LegacyPacket> {
        let mut said = Said::new(uuid, ts)?.categories(category_list)?;
        said.value = Some(match counter_value(value)? {
            CounterValue::Int(value) => Scalar::Int(value),
            CounterValue::Double(value) if !value.is_nan() => Scalar::Double(value),
            _ => return Err(value_error(ts.py(), "a counter's value is a number, and not NaN")),
        });
        Ok(said.packet(EventType::Counter, &self.0))
    }
}
