//! `dump`: a trace as text, a line for each packet, in the order of the file.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::str::FromStr;

use novatrace_core::schema::interned_data;

use crate::Error;
use crate::args::{self, Take, Value};
use crate::callstack::Callstack;
use crate::event::{Arrow, Event, EventKind, FlowPart};
use crate::frame::Damage;
use crate::input::Source;
use crate::packet::{Parsed, Payload, has};
use crate::pipeline::{self, Bundle};
use crate::sequence::Sequence;
use crate::text::{TextId, one_line};
use crate::track::{Descriptor, TrackId};
use crate::walk::{Place, State, Visit, payload_name, slice, walk};
use crate::wire::{Fields, Wire};

/// Kinds of packets, to choose among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpKind {
    /// Track events.
    Event,
    /// Track descriptors.
    Descriptor,
    /// Interned data.
    Interned,
    /// All others.
    Other,
}

impl FromStr for DumpKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "event" => Self::Event,
            "descriptor" => Self::Descriptor,
            "interned" => Self::Interned,
            "other" => Self::Other,
            _ => return Err("there are event, descriptor, interned and other".to_owned()),
        })
    }
}

/// Whether a track is wanted, by its path.
type Chooses = Box<dyn Fn(&str) -> bool>;

/// What of a trace is printed, and how.
#[derive(Default)]
pub struct Dump {
    track: Option<Chooses>,
    from: Option<i64>,
    to: Option<i64>,
    kinds: Vec<DumpKind>,
    is_plain: bool,
}

impl std::fmt::Debug for Dump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dump")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl Dump {
    /// Everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events of tracks that `chooses` says yes to, by their paths.
    #[must_use]
    pub fn tracks(self, chooses: impl Fn(&str) -> bool + 'static) -> Self {
        Self { track: Some(Box::new(chooses)), ..self }
    }

    /// Only events from the first time on and before the second, in nanoseconds of trace time.
    #[must_use]
    pub fn between(self, from: Option<i64>, to: Option<i64>) -> Self {
        Self { from, to, ..self }
    }

    /// Only packets of these kinds; all if none.
    #[must_use]
    pub fn kinds(self, kinds: Vec<DumpKind>) -> Self {
        Self { kinds, ..self }
    }

    /// Without packet numbers and offsets.
    #[must_use]
    pub fn plain(self, is_plain: bool) -> Self {
        Self { is_plain, ..self }
    }

    /// Prints a trace.
    ///
    /// # Errors
    ///
    /// [`Error`] if the file cannot be read; in it, what writing to `out` says.
    pub fn run(self, source: &Source, out: impl Write) -> Result<io::Result<()>, Error> {
        let mut print = Print {
            dump: self,
            out,
            line: String::new(),
            key: String::new(),
            chosen: vec![],
            outcome: Ok(()),
        };
        walk(source, pipeline::threads(), &mut print, |_| {})?;
        Ok(print.outcome)
    }

    fn wants(&self, kind: DumpKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Whether packets are wanted that are of no time and no track.
    fn is_restricted(&self) -> bool {
        self.track.is_some() || self.from.is_some() || self.to.is_some()
    }
}

struct Print<W> {
    dump: Dump,
    out: W,
    line: String,
    key: String,
    /// By track, whether it is wanted.
    chosen: Vec<Option<bool>>,
    outcome: io::Result<()>,
}

impl<W: Write> Print<W> {
    fn start(&mut self, place: Place, sequence: Option<u32>) {
        self.line.clear();
        if !self.dump.is_plain {
            let _ = write!(self.line, "#{} @{} ", place.packet, place.offset);
        }
        if let Some(sequence) = sequence {
            let _ = write!(self.line, "[{sequence}] ");
        }
    }

    fn end(&mut self) {
        self.line.push('\n');
        if self.outcome.is_ok() {
            self.outcome = self.out.write_all(self.line.as_bytes());
        }
    }

    /// Frames of a callstack, the outermost first.
    fn callstack(&mut self, callstack: Callstack<'_>, sequence: &Sequence, state: &State) {
        let frames = callstack.frames(sequence, &state.texts, MAX_FRAMES);
        self.line.push_str(" callstack");
        if frames.is_empty() {
            let _ = match callstack {
                Callstack::Interned(iid) => write!(self.line, " {iid}, not defined"),
                Callstack::Inline(_) => write!(self.line, ", empty"),
            };
        }
        for (index, frame) in frames.iter().enumerate() {
            let before = if index == 0 { ' ' } else { ';' };
            let _ = write!(self.line, "{before}{}", one_line(&frame.to_string()));
        }
        if frames.len() == MAX_FRAMES {
            self.line.push_str(";...");
        }
    }

    fn is_chosen(&mut self, track: TrackId, state: &State) -> bool {
        let Some(chooses) = &self.dump.track else { return true };
        let at = track as usize;
        if at >= self.chosen.len() {
            self.chosen.resize(at + 1, None);
        }
        *self.chosen[at].get_or_insert_with(|| chooses(&state.tracks.path(track, &state.texts)))
    }
}

impl<W: Write> Visit for Print<W> {
    fn packet(&mut self, place: Place, parsed: &Parsed, bytes: &[u8], _: &State) {
        if self.dump.is_restricted() {
            return;
        }
        let sequence = parsed.has(has::SEQUENCE).then_some(parsed.sequence);
        if parsed.has(has::CLEARED) && self.dump.wants(DumpKind::Other) {
            self.start(place, sequence);
            self.line.push_str("state cleared");
            self.end();
        }
        if parsed.has(has::DROPPED) && self.dump.wants(DumpKind::Other) {
            self.start(place, sequence);
            let _ =
                write!(self.line, "packets were dropped before, for reasons {:#x}", parsed.dropped);
            self.end();
        }
        if parsed.has(has::DEFAULTS) && self.dump.wants(DumpKind::Other) {
            self.start(place, sequence);
            self.line.push_str("defaults ");
            message(&mut self.line, slice(bytes, parsed.defaults), 0);
            self.end();
        }
        if parsed.has(has::INTERNED) && self.dump.wants(DumpKind::Interned) {
            for (number, value) in Fields::of(slice(bytes, parsed.interned)) {
                let Some(entry) = value.bytes() else { continue };
                self.start(place, sequence);
                let _ = write!(self.line, "{} ", table_name(number));
                let field = |wanted| {
                    Fields::of(entry).find(|(number, _)| *number == wanted).map(|(_, value)| value)
                };
                let iid = field(interned_data::entry::IID).and_then(Wire::number).unwrap_or(0);
                match field(interned_data::entry::TEXT)
                    .and_then(Wire::bytes)
                    .filter(|_| Fields::of(entry).count() == 2)
                {
                    Some(text) => {
                        let _ = write!(self.line, "{iid} = {:?}", String::from_utf8_lossy(text));
                    }
                    None => message(&mut self.line, entry, 0),
                }
                self.end();
            }
        }
        let is_other =
            !matches!(parsed.kind, Payload::TrackEvent | Payload::TrackDescriptor | Payload::None);
        if is_other && self.dump.wants(DumpKind::Other) {
            self.start(place, sequence);
            let _ = write!(self.line, "{} ", payload_name(parsed.kind));
            message(&mut self.line, slice(bytes, parsed.payload), 0);
            self.end();
        }
    }

    fn descriptor(&mut self, place: Place, id: TrackId, said: &Descriptor, state: &State) {
        if self.dump.is_restricted() || !self.dump.wants(DumpKind::Descriptor) {
            return;
        }
        self.start(place, None);
        let _ = write!(
            self.line,
            "track {} {:?}: {:?}",
            said.uuid,
            state.tracks.path(id, &state.texts),
            said.kind
        );
        let mut put = |what: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(self.line, ", {what} {value}");
            }
        };
        let text = |text: Option<TextId>| text.map(|text| format!("{:?}", state.texts.get(text)));
        put("parent", said.parent.map(|uuid| uuid.to_string()));
        put("pid", said.pid.map(|pid| pid.to_string()));
        put("tid", said.tid.map(|tid| tid.to_string()));
        put("unit", text(said.unit_name).or_else(|| said.unit.map(|unit| unit.to_string())));
        put("times", said.multiplier.map(|by| by.to_string()));
        put("incremental", said.is_incremental.then(String::new));
        put("rank", said.rank.map(|rank| rank.to_string()));
        self.end();
    }

    fn event(&mut self, event: &Event<'_>, state: &State) {
        let is_in = self.dump.from.is_none_or(|from| event.ts >= from)
            && self.dump.to.is_none_or(|to| event.ts < to);
        if !is_in || !self.dump.wants(DumpKind::Event) || !self.is_chosen(event.track, state) {
            return;
        }
        let sequence = &state.sequences[event.sequence as usize];
        self.start(event.place, Some(sequence.id));
        let text = |text: TextId| state.texts.get(text);
        let what = match event.kind {
            EventKind::Begin => "begin",
            EventKind::End => "end",
            EventKind::Instant => "instant",
            EventKind::Complete(_) => "complete",
            EventKind::Counter(_) => "counter",
            EventKind::State => "state",
            EventKind::Arrow(Arrow::Begin, _) => "arrow begins",
            EventKind::Arrow(Arrow::Step, _) => "arrow goes on",
            EventKind::Arrow(Arrow::End | Arrow::EndAtNext, _) => "arrow ends",
        };
        let _ = write!(
            self.line,
            "{} {:?} {what}",
            event.ts,
            state.tracks.path(event.track, &state.texts)
        );
        if let EventKind::Counter(value) = event.kind {
            let _ = write!(self.line, " {value:?}");
        }
        if let EventKind::Arrow(_, id) = event.kind {
            let _ = write!(self.line, " {id}");
        }
        if let EventKind::Complete(length) = event.kind {
            let _ = write!(self.line, " +{length}");
        }
        if let Some(name) = event.name {
            let _ = write!(self.line, " {:?}", text(name));
        } else if let Some(iid) = event.late_name {
            let _ = write!(self.line, " name {iid}, not defined");
        }
        if let Some(category) = event.category {
            let _ = write!(self.line, " [{}]", one_line(text(category)));
        }
        if let Some(payload) = event.more {
            let mut arguments = Arguments { line: &mut self.line, has_any: false };
            args::walk(payload, sequence, &state.texts, &mut self.key, &mut arguments);
            if arguments.has_any {
                self.line.push('}');
            }
            for part in Fields::of(payload).filter_map(FlowPart::of) {
                let what = if part.is_end() { "ends flow" } else { "flow" };
                let _ = write!(self.line, " {what} {}", part.id);
            }
            if let Some(callstack) = Callstack::of(payload) {
                self.callstack(callstack, sequence, state);
            }
        }
        self.end();
    }

    fn bundle(&mut self, bundle: &Bundle, state: &State) {
        if !self.dump.is_restricted() && self.dump.wants(DumpKind::Other) {
            self.start(Place { packet: state.packets, offset: bundle.offset }, None);
            let unpacked = &bundle.unpacked;
            let codec =
                unpacked.codec.map_or_else(|| "unknown".to_owned(), |codec| format!("{codec:?}"));
            let _ = write!(
                self.line,
                "bundle by {codec}, {} bytes of {}",
                unpacked.packed, unpacked.bytes_len
            );
            self.end();
        }
    }

    fn damage(&mut self, offset: u64, len: u64, damage: Damage, state: &State) {
        self.start(Place { packet: state.packets, offset }, None);
        let _ = write!(self.line, "{len} bytes that are no packet ({damage:?})");
        self.end();
    }

    fn is_done(&self) -> bool {
        self.outcome.is_err()
    }
}

struct Arguments<'a> {
    line: &'a mut String,
    has_any: bool,
}

impl Take for Arguments<'_> {
    fn value(&mut self, key: &str, value: Value) {
        self.line.push_str(if self.has_any { ", " } else { " {" });
        self.has_any = true;
        let _ = write!(self.line, "{}=", one_line(key));
        let _ = match value {
            Value::Null => write!(self.line, "null"),
            Value::Bool(value) => write!(self.line, "{value}"),
            Value::Int(value) => write!(self.line, "{value}"),
            Value::Uint(value) => write!(self.line, "{value}"),
            Value::Pointer(value) => write!(self.line, "{value:#x}"),
            Value::Double(value) => write!(self.line, "{value:?}"),
            Value::Text(text) => write!(self.line, "{text:?}"),
        };
    }
}

fn table_name(number: u32) -> String {
    match number {
        interned_data::EVENT_CATEGORIES => "category".to_owned(),
        interned_data::EVENT_NAMES => "name".to_owned(),
        interned_data::DEBUG_ANNOTATION_NAMES => "key".to_owned(),
        interned_data::SOURCE_LOCATIONS => "source location".to_owned(),
        interned_data::DEBUG_ANNOTATION_STRING_VALUES => "text".to_owned(),
        interned_data::CORRELATION_ID_STR => "correlation id".to_owned(),
        interned_data::LOG_MESSAGE_BODY => "log message".to_owned(),
        interned_data::FUNCTION_NAMES => "function".to_owned(),
        interned_data::FRAMES => "frame".to_owned(),
        interned_data::CALLSTACKS => "callstack".to_owned(),
        interned_data::MAPPING_PATHS => "mapping's path".to_owned(),
        interned_data::SOURCE_PATHS => "source path".to_owned(),
        interned_data::MAPPINGS => "mapping".to_owned(),
        _ => format!("interned data of field {number}"),
    }
}

/// How many frames of a callstack are printed.
const MAX_FRAMES: usize = 128;

/// How deep messages of other kinds are printed, and how much of one.
const MAX_DEPTH: usize = 8;
const MAX_LINE: usize = 4_000;

/// A message whose fields are not known by name, by numbers. What may be a text or a message is taken for a text
/// if it can be read.
fn message(line: &mut String, bytes: &[u8], depth: usize) {
    line.push('{');
    let mut fields = Fields::of(bytes);
    for (index, (number, value)) in fields.by_ref().enumerate() {
        if line.len() > MAX_LINE {
            line.push_str(" ...");
            break;
        }
        let _ = write!(line, "{}{number}: ", if index == 0 { "" } else { ", " });
        match value {
            Wire::Varint(value) | Wire::Fixed64(value) => {
                let _ = write!(line, "{value}");
            }
            Wire::Fixed32(value) => {
                let _ = write!(line, "{value}");
            }
            Wire::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
                    let _ = write!(line, "{:?}", text.chars().take(200).collect::<String>());
                }
                _ if depth < MAX_DEPTH && is_message(bytes) => message(line, bytes, depth + 1),
                _ => {
                    let _ = write!(line, "{} bytes", bytes.len());
                }
            },
        }
    }
    line.push('}');
}

fn is_message(bytes: &[u8]) -> bool {
    let mut fields = Fields::of(bytes);
    fields.by_ref().for_each(|_| {});
    !fields.is_malformed()
}
