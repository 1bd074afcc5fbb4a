//! What the two processes tell each other, as it is sent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::generator::{Attribute, OpenSlices, Overlap, Unit};
use crate::name::Name;
use crate::rotate::Rotate;
use crate::worker::{Bounds, Config, Row, RowKind, Shared};

/// What the program tells, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// After the names that there were.
    Hello(Box<Hello>),
    /// The next registered text.
    Name(String),
    /// The next call site.
    Site { name: Option<u32>, category: u32 },
    /// The next row.
    Row(RowFacts),
    /// A row has another description or unit.
    Edit { index: u32, row: RowFacts, what: String, property: String },
    /// A thread that uses the generator has a ring.
    Ring { ring: RingFacts, before: Vec<(u64, u64)> },
    /// A live thread has a ring.
    Thread { id: u64, ring: RingFacts, tid: u32, name: String, system_name: Option<String> },
    /// A live thread goes on in another ring.
    Grown { thread: u64, ring: RingFacts },
    /// A span of a live thread was ended by another.
    Ended { thread: u64, token: u64, ticks: u64 },
    /// The thread itself records such ends, all that there are, from here on.
    Taken { thread: u64 },
    /// The program calls a live thread something else.
    Named { thread: u64, name: String },
    /// A live thread ends, under this name.
    Over { thread: u64, name: Option<String> },
    /// The choices that can change have become these.
    Tune { batch: Bounds, compression: String },
    /// The end of a live row's span.
    End([u64; 4]),
}

/// Where a ring is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct RingFacts {
    pub(crate) offset: u64,
    pub(crate) words: u64,
}

/// The numbers that tell a trace apart.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Numbers {
    pub(crate) uuid: u128,
    pub(crate) first_uuid: u64,
    pub(crate) first_explicit: u64,
}

/// What the worker has to know before anything else.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) program: u32,
    pub(crate) is_counter: bool,
    pub(crate) path: Option<PathBuf>,
    pub(crate) numbers: Numbers,
    pub(crate) process_name: String,
    config: ConfigFacts,
}

/// [`Config`], as far as the worker needs it.
#[derive(Debug, Serialize, Deserialize)]
struct ConfigFacts {
    attributes: Vec<(String, Result<String, i64>)>,
    limits: (usize, usize),
    window: usize,
    refuses_overlap: bool,
    leaves_open: bool,
    default_category: Option<u32>,
    ring_bytes: usize,
    batch: Bounds,
    is_live: bool,
    compression: String,
    /// With what parts are called after.
    rotate: Option<((u64, Duration, u32), PathBuf)>,
    shared: Option<Shared>,
}

impl Hello {
    pub(super) fn new(
        config: &Config,
        path: Option<PathBuf>,
        is_counter: bool,
        numbers: Numbers,
    ) -> Self {
        let attributes = config.attributes.iter().map(|(key, value)| {
            let value = match value {
                Attribute::Text(text) => Ok(text.clone()),
                Attribute::Int(value) => Err(*value),
            };
            (key.clone(), value)
        });
        Self {
            program: std::process::id(),
            is_counter,
            path,
            numbers,
            process_name: config.process_name(),
            config: ConfigFacts {
                attributes: attributes.collect(),
                limits: (config.limits.items, config.limits.depth),
                window: config.window,
                refuses_overlap: config.overlap == Overlap::Refuse,
                leaves_open: config.open_slices == OpenSlices::Leave,
                default_category: config.default_category.map(Name::id),
                ring_bytes: config.ring_bytes,
                batch: config.batch,
                is_live: config.is_live,
                compression: config.compression.to_string(),
                rotate: config.rotate.map(Rotate::facts).zip(config.rotate_path.clone()),
                shared: config.shared.clone(),
            },
        }
    }

    /// The choices of the trace. The names before it must have come.
    pub(super) fn config(&self) -> Config {
        let facts = &self.config;
        let attributes = facts.attributes.iter().map(|(key, value)| {
            let value = match value {
                Ok(text) => Attribute::Text(text.clone()),
                Err(value) => Attribute::Int(*value),
            };
            (key.clone(), value)
        });
        Config {
            attributes: attributes.collect(),
            limits: novatrace_core::Limits { items: facts.limits.0, depth: facts.limits.1 },
            window: facts.window,
            overlap: if facts.refuses_overlap { Overlap::Refuse } else { Overlap::Lane },
            open_slices: if facts.leaves_open { OpenSlices::Leave } else { OpenSlices::Close },
            default_category: facts.default_category.and_then(Name::from_id),
            ring_bytes: facts.ring_bytes,
            batch: facts.batch,
            is_live: facts.is_live,
            process_name: Some(self.process_name.as_str().into()),
            process: self.program,
            worker: crate::Worker::Thread,
            // Of the same library, so that it is known.
            compression: facts.compression.parse().unwrap_or_default(),
            rotate: facts.rotate.as_ref().map(|(facts, _)| Rotate::of_facts(*facts)),
            flight: None,
            rotate_path: facts.rotate.as_ref().map(|(_, path)| path.clone()),
            shared: facts.shared.clone(),
        }
    }
}

/// [`Row`], as it was made or changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowFacts {
    parent: Option<u32>,
    kind: u8,
    name: String,
    rank: i32,
    description: Option<String>,
    unit: Option<UnitFacts>,
    shared_axis: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum UnitFacts {
    Nanoseconds,
    Count,
    Bytes,
    Named(String),
}

impl From<&Row> for RowFacts {
    fn from(row: &Row) -> Self {
        Self {
            parent: row.parent,
            kind: row.kind as u8,
            name: row.name.to_string(),
            rank: row.rank,
            description: row.description.as_deref().map(str::to_owned),
            unit: row.unit.as_ref().map(|unit| match unit {
                Unit::Nanoseconds => UnitFacts::Nanoseconds,
                Unit::Count => UnitFacts::Count,
                Unit::Bytes => UnitFacts::Bytes,
                Unit::Named(name) => UnitFacts::Named(name.clone()),
            }),
            shared_axis: row.shared_axis.as_deref().map(str::to_owned),
        }
    }
}

impl RowFacts {
    pub(crate) fn into_row(self) -> Row {
        let kind = match self.kind {
            0 => RowKind::Group,
            1 => RowKind::Track,
            _ => RowKind::Counter,
        };
        let unit = self.unit.map(|unit| match unit {
            UnitFacts::Nanoseconds => Unit::Nanoseconds,
            UnitFacts::Count => Unit::Count,
            UnitFacts::Bytes => Unit::Bytes,
            UnitFacts::Named(name) => Unit::Named(name),
        });
        let text = |text: Option<String>| text.map(Arc::from);
        let (description, shared_axis) = (text(self.description), text(self.shared_axis));
        let mut row = Row::new(self.parent, kind, self.name.into(), self.rank);
        (row.description, row.unit, row.shared_axis) = (description, unit, shared_axis);
        row
    }
}

/// What the worker tells at the end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ReportFacts {
    pub(crate) threads: u64,
    /// Name, number and lost events.
    pub(crate) losses: Vec<(String, u32, u64)>,
}

/// The first error of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ErrorFacts {
    Write {
        path: Option<PathBuf>,
        bytes: u64,
        code: Option<i32>,
        text: String,
    },
    Overlap {
        track: String,
        first: String,
        first_ns: (u64, u64),
        second: String,
        second_ns: (u64, u64),
    },
    Late {
        track: String,
        name: String,
        ns: (u64, u64),
        written_ns: u64,
    },
    RowSettled {
        row: String,
        property: String,
    },
    Other(String),
}

/// What a text in a reply is cut to, so that replies fit.
const MAX_TEXT: usize = 4 << 10;

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT / 4).collect()
}

impl From<&Error> for ErrorFacts {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Write { path, bytes, source } => Self::Write {
                path: path.clone(),
                bytes: *bytes,
                code: source.raw_os_error(),
                text: cut(&source.to_string()),
            },
            ErrorKind::Overlap { track, first, first_ns, second, second_ns } => Self::Overlap {
                track: cut(track),
                first: cut(first),
                first_ns: *first_ns,
                second: cut(second),
                second_ns: *second_ns,
            },
            ErrorKind::Late { track, name, ns, written_ns } => {
                Self::Late { track: cut(track), name: cut(name), ns: *ns, written_ns: *written_ns }
            }
            ErrorKind::RowSettled { row, property } => {
                Self::RowSettled { row: cut(row), property: cut(property) }
            }
            ErrorKind::WorkerPanicked { message } => Self::Other(cut(message)),
            other => Self::Other(cut(&other.to_string())),
        }
    }
}

/// A row's property that came too late.
pub(crate) fn row_settled(row: String, property: &str) -> Error {
    ErrorFacts::RowSettled { row, property: property.to_owned() }.into()
}

impl From<ErrorFacts> for Error {
    fn from(facts: ErrorFacts) -> Self {
        match facts {
            ErrorFacts::Write { path, bytes, code, text } => {
                let source = code
                    .map_or_else(|| std::io::Error::other(text), std::io::Error::from_raw_os_error);
                ErrorKind::Write { path, bytes, source }
            }
            ErrorFacts::Overlap { track, first, first_ns, second, second_ns } => {
                ErrorKind::Overlap { track, first, first_ns, second, second_ns }
            }
            ErrorFacts::Late { track, name, ns, written_ns } => {
                ErrorKind::Late { track, name, ns, written_ns }
            }
            ErrorFacts::RowSettled { row, property } => {
                let property = ["description", "unit", "shared axis"]
                    .into_iter()
                    .find(|known| *known == property)
                    .unwrap_or("property");
                ErrorKind::RowSettled { row, property }
            }
            ErrorFacts::Other(message) => ErrorKind::WorkerPanicked { message },
        }
        .into()
    }
}
