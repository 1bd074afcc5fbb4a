//! Callstacks of events: frames that a sequence interns, or that the event spells out. Belongs here: what they refer to. Does not: what is
//! made of them.

use std::fmt;

use foldhash::HashSet;

use novatrace_core::schema::{
    callstack, frame, inline_callstack as inline, mapping, track_event as event,
};

use crate::sequence::{Sequence, Table};
use crate::text::{Interned, TextId, Texts};
use crate::wire::{Fields, Wire};

/// A function that was being called.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Frame {
    /// Its name.
    pub function: Option<String>,
    /// The source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The library or program that has it.
    pub mapping: Option<String>,
    /// Where in that.
    pub rel_pc: Option<u64>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.function.as_deref().unwrap_or("(unnamed)"))?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({file}:{line})")?,
            (Some(file), None) => write!(f, " ({file})")?,
            (None, Some(line)) => write!(f, " (line {line})")?,
            (None, None) => {}
        }
        match (&self.mapping, self.rel_pc) {
            (Some(mapping), Some(at)) => write!(f, " in {mapping}+{at:#x}"),
            (Some(mapping), None) => write!(f, " in {mapping}"),
            _ => Ok(()),
        }
    }
}

/// A message that was interned, in [`Stacks::bytes`].
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stored {
    start: usize,
    len: usize,
}

/// What a sequence has interned for callstacks. Messages are kept as they are, since they may refer to what is defined after them.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    functions: Interned<TextId>,
    mapping_paths: Interned<TextId>,
    source_paths: Interned<TextId>,
    mappings: Interned<Stored>,
    frames: Interned<Stored>,
    callstacks: Interned<Stored>,
    bytes: Vec<u8>,
    /// What is known to refer to this or that, so that it is said once.
    looked_at: HashSet<(Table, u64)>,
}

impl Stacks {
    /// Defines a text. Returns an earlier one, if it is another.
    pub(crate) fn define_text(&mut self, table: Table, iid: u64, text: TextId) -> Option<TextId> {
        match table {
            Table::MappingPath => &mut self.mapping_paths,
            Table::SourcePath => &mut self.source_paths,
            _ => &mut self.functions,
        }
        .define(iid, text)
    }

    /// Defines a message. Returns whether there is an earlier one that is another.
    pub(crate) fn define(&mut self, table: Table, iid: u64, message: &[u8]) -> bool {
        if let Some(before) = self.messages(table).get(iid) {
            return self.content(before) != message;
        }
        let stored = Stored { start: self.bytes.len(), len: message.len() };
        self.bytes.extend(message);
        match table {
            Table::Mapping => &mut self.mappings,
            Table::Frame => &mut self.frames,
            _ => &mut self.callstacks,
        }
        .define(iid, stored);
        false
    }

    fn messages(&self, table: Table) -> &Interned<Stored> {
        match table {
            Table::Mapping => &self.mappings,
            Table::Frame => &self.frames,
            _ => &self.callstacks,
        }
    }

    fn content(&self, Stored { start, len }: Stored) -> &[u8] {
        &self.bytes[start..start + len]
    }

    /// The fields of a message, if it is defined.
    fn fields(&self, table: Table, iid: u64) -> Option<Fields<'_>> {
        self.messages(table).get(iid).map(|stored| Fields::of(self.content(stored)))
    }

    /// What a callstack refers to, by itself or by way of its frames, that is not defined so far. What was looked at before is not
    /// looked at again.
    pub(crate) fn missing(&mut self, iid: u64) -> Vec<(Table, u64)> {
        let mut looked_at = std::mem::take(&mut self.looked_at);
        let (mut missing, mut waiting) = (vec![], vec![(Table::Callstack, iid)]);
        while let Some((table, iid)) = waiting.pop() {
            let is_text = match table {
                Table::Function => Some(self.functions.get(iid).is_some()),
                Table::MappingPath => Some(self.mapping_paths.get(iid).is_some()),
                Table::SourcePath => Some(self.source_paths.get(iid).is_some()),
                _ => None,
            };
            let fields = match (is_text, self.fields(table, iid)) {
                (Some(true), _) => continue,
                (None, Some(fields)) => fields,
                _ => {
                    missing.push((table, iid));
                    continue;
                }
            };
            if !looked_at.insert((table, iid)) {
                continue;
            }
            let of_message = waiting.len();
            for (number, value) in fields {
                let Wire::Varint(other) = value else { continue };
                waiting.push(match (table, number) {
                    (Table::Callstack, callstack::FRAME_IDS) => (Table::Frame, other),
                    (Table::Frame, frame::FUNCTION_NAME_ID) if other != 0 => {
                        (Table::Function, other)
                    }
                    (Table::Frame, frame::MAPPING_ID) if other != 0 => (Table::Mapping, other),
                    (Table::Frame, frame::SOURCE_PATH_IID) if other != 0 => {
                        (Table::SourcePath, other)
                    }
                    (Table::Mapping, mapping::PATH_STRING_IDS) => (Table::MappingPath, other),
                    _ => continue,
                });
            }
            waiting[of_message..].reverse();
        }
        self.looked_at = looked_at;
        missing
    }

    /// The iids of a callstack's frames, the outermost first.
    pub(crate) fn frames_of(&self, iid: u64) -> impl Iterator<Item = u64> {
        self.fields(Table::Callstack, iid).into_iter().flatten().filter_map(|field| match field {
            (callstack::FRAME_IDS, Wire::Varint(iid)) => Some(iid),
            _ => None,
        })
    }

    /// A frame, as far as it is defined.
    pub(crate) fn frame(&self, iid: u64, texts: &Texts) -> Frame {
        let mut this = Frame::default();
        let text = |texts_of: &Interned<TextId>, iid| {
            texts_of.get(iid).map(|text| texts.get(text).to_owned())
        };
        for field in self.fields(Table::Frame, iid).into_iter().flatten() {
            match field {
                (frame::FUNCTION_NAME_ID, Wire::Varint(iid)) => {
                    this.function = text(&self.functions, iid);
                }
                (frame::MAPPING_ID, Wire::Varint(iid)) => this.mapping = self.mapping(iid, texts),
                (frame::REL_PC, Wire::Varint(at)) => this.rel_pc = Some(at),
                (frame::SOURCE_PATH_IID, Wire::Varint(iid)) => {
                    this.file = text(&self.source_paths, iid);
                }
                (frame::LINE_NUMBER, Wire::Varint(line)) => this.line = u32::try_from(line).ok(),
                _ => {}
            }
        }
        this
    }

    /// The path of a mapping.
    fn mapping(&self, iid: u64, texts: &Texts) -> Option<String> {
        /// Longer than any path is, so that what refers to one text time and again does not fill the memory.
        const MAX_PARTS: usize = 64;
        let parts = self.fields(Table::Mapping, iid)?.filter_map(|field| match field {
            (mapping::PATH_STRING_IDS, Wire::Varint(iid)) => self.mapping_paths.get(iid),
            _ => None,
        });
        let parts: Vec<&str> = parts.take(MAX_PARTS).map(|part| texts.get(part)).collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    }
}

/// The callstack of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Callstack<'a> {
    /// By its iid.
    Interned(u64),
    /// `TrackEvent.InlineCallstack`.
    Inline(&'a [u8]),
}

impl<'a> Callstack<'a> {
    /// If a `TrackEvent` has one.
    pub(crate) fn of(payload: &'a [u8]) -> Option<Self> {
        let (mut interned, mut inline) = (None, None);
        for field in Fields::of(payload) {
            match field {
                (event::CALLSTACK_IID, Wire::Varint(iid)) => interned = Some(Self::Interned(iid)),
                (event::CALLSTACK, Wire::Bytes(bytes)) => inline = Some(Self::Inline(bytes)),
                _ => {}
            }
        }
        interned.or(inline)
    }

    /// Its first frames, the outermost first.
    pub(crate) fn frames(self, sequence: &Sequence, texts: &Texts, most: usize) -> Vec<Frame> {
        match self {
            Self::Interned(iid) => {
                let frames = sequence.stacks.frames_of(iid).take(most);
                frames.map(|iid| sequence.stacks.frame(iid, texts)).collect()
            }
            Self::Inline(bytes) => inline_frames(bytes).take(most).collect(),
        }
    }
}

/// The frames of a callstack that is spelled out.
pub(crate) fn inline_frames(bytes: &[u8]) -> impl Iterator<Item = Frame> {
    Fields::of(bytes).filter(|(number, _)| *number == inline::FRAMES).map(|(_, value)| {
        let mut this = Frame::default();
        for field in value.bytes().into_iter().flat_map(Fields::of) {
            let text = |bytes| Some(String::from_utf8_lossy(bytes).into_owned());
            match field {
                (inline::frame::FUNCTION_NAME, Wire::Bytes(name)) => this.function = text(name),
                (inline::frame::SOURCE_FILE, Wire::Bytes(file)) => this.file = text(file),
                (inline::frame::LINE_NUMBER, Wire::Varint(line)) => {
                    this.line = u32::try_from(line).ok();
                }
                _ => {}
            }
        }
        this
    })
}
