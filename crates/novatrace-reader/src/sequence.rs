//! What a sequence of packets carries from one to the next: interned texts, defaults, its clocks, sums of counters.

use foldhash::{HashMap, HashMapExt};

use novatrace_core::schema::interned_data as interned;

use crate::callstack::Stacks;
use crate::clock::Shift;
use crate::packet::{Parsed, has};
use crate::rules::Rule;
use crate::text::{Interned, TextId};

/// Places of sequences, by their numbers: nearly all writers have small ones.
#[derive(Debug, Default)]
pub(crate) struct SequenceIndex {
    /// One more than the place; 0 for none.
    small: Vec<u32>,
    large: HashMap<u32, u32>,
}

impl SequenceIndex {
    const SMALL: u32 = 1 << 12;

    #[inline(always)]
    pub(crate) fn get(&self, id: u32) -> Option<u32> {
        match self.small.get(id as usize) {
            Some(place) => place.checked_sub(1),
            None => self.large.get(&id).copied(),
        }
    }

    pub(crate) fn put(&mut self, id: u32, place: u32) {
        if id >= Self::SMALL {
            self.large.insert(id, place);
            return;
        }
        if id as usize >= self.small.len() {
            self.small.resize(id as usize + 1, 0);
        }
        self.small[id as usize] = place + 1;
    }
}

/// `SourceLocation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Location {
    pub(crate) file: Option<TextId>,
    pub(crate) function: Option<TextId>,
    pub(crate) line: Option<u32>,
}

/// The tables of interned data that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Table {
    Category,
    Name,
    Key,
    Text,
    Location,
    Correlation,
    LogBody,
    Function,
    MappingPath,
    SourcePath,
    Mapping,
    Frame,
    Callstack,
}

impl Table {
    /// The table of that field of `InternedData`, if it is read.
    pub(crate) fn of(field: u32) -> Option<Self> {
        Some(match field {
            interned::EVENT_CATEGORIES => Self::Category,
            interned::EVENT_NAMES => Self::Name,
            interned::DEBUG_ANNOTATION_NAMES => Self::Key,
            interned::DEBUG_ANNOTATION_STRING_VALUES => Self::Text,
            interned::SOURCE_LOCATIONS => Self::Location,
            interned::CORRELATION_ID_STR => Self::Correlation,
            interned::LOG_MESSAGE_BODY => Self::LogBody,
            interned::FUNCTION_NAMES => Self::Function,
            interned::MAPPING_PATHS => Self::MappingPath,
            interned::SOURCE_PATHS => Self::SourcePath,
            interned::MAPPINGS => Self::Mapping,
            interned::FRAMES => Self::Frame,
            interned::CALLSTACKS => Self::Callstack,
            _ => return None,
        })
    }

    /// Whether its entries are messages that refer to other entries.
    pub(crate) fn has_messages(self) -> bool {
        matches!(self, Self::Mapping | Self::Frame | Self::Callstack)
    }

    /// As `InternedData` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Category => "event_categories",
            Self::Name => "event_names",
            Self::Key => "debug_annotation_names",
            Self::Text => "debug_annotation_string_values",
            Self::Location => "source_locations",
            Self::Correlation => "correlation_id_str",
            Self::LogBody => "log_message_body",
            Self::Function => "function_names",
            Self::MappingPath => "mapping_paths",
            Self::SourcePath => "source_paths",
            Self::Mapping => "mappings",
            Self::Frame => "frames",
            Self::Callstack => "callstacks",
        }
    }
}

/// The thread whose events are on a sequence, if they name no track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceThread {
    pub(crate) pid: i64,
    pub(crate) tid: i64,
    /// The sequence has described no other.
    pub(crate) is_only: bool,
}

/// A clock of the sequence's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnClock {
    pub(crate) id: u32,
    pub(crate) is_incremental: bool,
    pub(crate) unit: i64,
    /// Of an incremental one: the time that the next delta is added to, in nanoseconds.
    pub(crate) now: i64,
}

/// What may be doubtful about a sequence.
pub(crate) mod doubt {
    /// Its state: it has not been cleared, or something was lost since.
    pub(crate) const STATE: u8 = 1;
    /// Its deltas: some may be lost, and no snapshot has told the time since.
    pub(crate) const CLOCK: u8 = 2;
    /// Its default clock, which went when its state was cleared.
    pub(crate) const DEFAULT_CLOCK: u8 = 4;
}

/// What a sequence has said so far.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: u32,
    /// What is doubtful about it: bits of [`doubt`].
    pub(crate) doubts: u8,
    /// Whether it ever did.
    pub(crate) is_started: bool,
    /// How often it did.
    pub(crate) generation: u32,
    pub(crate) categories: Interned<TextId>,
    pub(crate) names: Interned<TextId>,
    pub(crate) keys: Interned<TextId>,
    pub(crate) texts: Interned<TextId>,
    pub(crate) locations: Interned<Location>,
    pub(crate) correlations: Interned<TextId>,
    pub(crate) log_bodies: Interned<TextId>,
    pub(crate) stacks: Box<Stacks>,
    /// The thread that it described last, and whether it is the only one. This goes on when the state is cleared.
    pub(crate) thread: Option<SequenceThread>,
    pub(crate) default_track: Option<u64>,
    pub(crate) default_clock: Option<u32>,
    pub(crate) default_extra: Vec<u64>,
    pub(crate) default_extra_double: Vec<u64>,
    pub(crate) clocks: Vec<OwnClock>,
    /// The last way from a clock to the trace's time, and the snapshots that it knew.
    pub(crate) shift: Option<(u32, u64, Shift)>,
    /// The last track asked for.
    pub(crate) last_track: Option<(u64, u32)>,
    /// Of incremental counters, by track.
    pub(crate) sums: HashMap<u32, f64>,
}

impl Sequence {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            doubts: doubt::STATE,
            is_started: false,
            generation: 0,
            categories: Interned::default(),
            names: Interned::default(),
            keys: Interned::default(),
            texts: Interned::default(),
            locations: Interned::default(),
            correlations: Interned::default(),
            log_bodies: Interned::default(),
            stacks: Box::default(),
            thread: None,
            default_track: None,
            default_clock: None,
            default_extra: Vec::new(),
            default_extra_double: Vec::new(),
            clocks: Vec::new(),
            shift: None,
            last_track: None,
            sums: HashMap::new(),
        }
    }

    /// What it is when something needs its state, and that is not valid.
    pub(crate) fn why_invalid(&self) -> Rule {
        if self.is_started { Rule::SkippedAfterLoss } else { Rule::SequenceNotStarted }
    }

    /// The clock that a packet's time is on; 0 for the trace's own.
    #[inline(always)]
    pub(crate) fn clock_of(&self, parsed: &Parsed) -> u32 {
        if parsed.has(has::CLOCK) { parsed.clock } else { self.default_clock.unwrap_or(0) }
    }

    /// Notes that it describes a thread.
    pub(crate) fn describes(&mut self, pid: i64, tid: i64) {
        let is_only = self
            .thread
            .is_none_or(|before| before.is_only && (before.pid, before.tid) == (pid, tid));
        self.thread = Some(SequenceThread { pid, tid, is_only });
    }

    /// Whether it has cleared its state, and lost nothing since.
    pub(crate) fn is_valid(&self) -> bool {
        self.doubts & doubt::STATE == 0
    }

    /// Notes that packets of it are lost, and with them deltas, if it has any.
    pub(crate) fn lose(&mut self) {
        if self.clocks.iter().any(|clock| clock.is_incremental) {
            self.doubts |= doubt::CLOCK;
        }
    }

    /// Forgets all but its clocks and its thread, which go on.
    pub(crate) fn clear(&mut self) {
        let mut doubts = self.doubts & doubt::CLOCK;
        if self.default_clock.is_some() {
            doubts |= doubt::DEFAULT_CLOCK;
        }
        let clocks = std::mem::take(&mut self.clocks);
        *self = Self {
            doubts,
            is_started: true,
            generation: self.generation + 1,
            clocks,
            thread: self.thread,
            ..Self::new(self.id)
        };
    }
}
