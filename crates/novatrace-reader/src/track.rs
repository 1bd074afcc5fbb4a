//! Tracks: what their descriptors say. Belongs here: one track's own facts, and the tree of them. Does not: events.

use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashMapExt};

use novatrace_core::schema::{
    counter_descriptor as counter, process_descriptor as process, thread_descriptor as thread,
    track_descriptor as descriptor,
};

use crate::text::{TextId, Texts};
use crate::wire::{Fields, Wire};

/// A track's number in [`Tracks`].
pub(crate) type TrackId = u32;

/// What a track shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// Slices and instants.
    #[default]
    Plain,
    /// Those of a process.
    Process,
    /// Those of a thread.
    Thread,
    /// A value over time.
    Counter,
    /// A state over time.
    State,
}

/// What a descriptor says; also what a track is known by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Descriptor {
    pub(crate) uuid: u64,
    pub(crate) name: Option<TextId>,
    pub(crate) kind: TrackKind,
    pub(crate) parent: Option<u64>,
    pub(crate) pid: Option<i64>,
    pub(crate) tid: Option<i64>,
    pub(crate) process_name: Option<TextId>,
    /// `ProcessDescriptor.cmdline`.
    pub(crate) has_command_line: bool,
    pub(crate) thread_name: Option<TextId>,
    pub(crate) start_ns: Option<i64>,
    /// Of a counter.
    pub(crate) unit: Option<u64>,
    pub(crate) unit_name: Option<TextId>,
    pub(crate) multiplier: Option<i64>,
    pub(crate) is_incremental: bool,
    pub(crate) merge: u64,
    pub(crate) has_merge_key: bool,
    pub(crate) rank: Option<i64>,
}

impl Descriptor {
    /// Takes in a `ThreadDescriptor`.
    pub(crate) fn thread(&mut self, bytes: &[u8], texts: &mut Texts) {
        for (number, value) in Fields::of(bytes) {
            match (number, value) {
                (thread::PID, Wire::Varint(pid)) => self.pid = Some(i64::from(pid as i32)),
                (thread::TID, Wire::Varint(tid)) => self.tid = Some(tid.cast_signed()),
                (thread::THREAD_NAME, Wire::Bytes(name)) => {
                    self.thread_name = Some(texts.id_of(name));
                }
                _ => {}
            }
        }
    }

    /// `None` if it is of no track, not even of 0.
    pub(crate) fn of(bytes: &[u8], texts: &mut Texts) -> Option<Self> {
        let mut this = Self::default();
        let (mut has_process, mut has_thread, mut has_uuid) = (false, false, false);
        for (number, value) in Fields::of(bytes) {
            match (number, value) {
                (descriptor::UUID, Wire::Varint(uuid)) => {
                    (this.uuid, has_uuid) = (uuid, true);
                }
                // `name`, `static_name` and `atrace_name`.
                (descriptor::NAME | 10 | 13, Wire::Bytes(name)) => {
                    this.name = Some(texts.id_of(name));
                }
                (descriptor::PARENT_UUID, Wire::Varint(uuid)) => this.parent = Some(uuid),
                (descriptor::SIBLING_ORDER_RANK, Wire::Varint(rank)) => {
                    this.rank = Some(rank.cast_signed());
                }
                (descriptor::SIBLING_MERGE_BEHAVIOR, Wire::Varint(merge)) => this.merge = merge,
                (descriptor::SIBLING_MERGE_KEY | descriptor::SIBLING_MERGE_KEY_INT, _) => {
                    this.has_merge_key = true;
                }
                (descriptor::PROCESS, Wire::Bytes(bytes)) => {
                    has_process = true;
                    for (number, value) in Fields::of(bytes) {
                        match (number, value) {
                            // An int32, of which a negative one is sent as 64 bits.
                            (process::PID, Wire::Varint(pid)) => {
                                this.pid = Some(i64::from(pid as i32));
                            }
                            (process::PROCESS_NAME, Wire::Bytes(name)) => {
                                this.process_name = Some(texts.id_of(name));
                            }
                            (2, Wire::Bytes(_)) => this.has_command_line = true,
                            (7, Wire::Varint(start)) => this.start_ns = Some(start.cast_signed()),
                            _ => {}
                        }
                    }
                }
                (descriptor::THREAD, Wire::Bytes(bytes)) => {
                    has_thread = true;
                    this.thread(bytes, texts);
                }
                (descriptor::COUNTER, Wire::Bytes(bytes)) => {
                    this.kind = TrackKind::Counter;
                    for (number, value) in Fields::of(bytes) {
                        match (number, value) {
                            (counter::UNIT, Wire::Varint(unit)) => this.unit = Some(unit),
                            (counter::UNIT_NAME, Wire::Bytes(name)) => {
                                this.unit_name = Some(texts.id_of(name));
                            }
                            (counter::UNIT_MULTIPLIER, Wire::Varint(by)) => {
                                this.multiplier = Some(by.cast_signed());
                            }
                            (counter::IS_INCREMENTAL, Wire::Varint(is)) => {
                                this.is_incremental = is != 0;
                            }
                            _ => {}
                        }
                    }
                }
                // `state`.
                (18, Wire::Bytes(_)) => this.kind = TrackKind::State,
                _ => {}
            }
        }
        // A counter of a thread or process is one still.
        if this.kind == TrackKind::Plain && has_thread {
            this.kind = TrackKind::Thread;
        } else if this.kind == TrackKind::Plain && has_process {
            this.kind = TrackKind::Process;
        }
        has_uuid.then_some(this)
    }
}

/// A track of the trace.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) about: Descriptor,
    /// Whether there was a descriptor of it.
    pub(crate) is_described: bool,
}

/// A track that no descriptor makes, but what legacy events say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LegacyTrack {
    /// Of asynchronous events with an id; `scope` is their category, or of those of old their name.
    Async {
        scope: Option<TextId>,
        id: u64,
        pid: Option<i64>,
    },
    GlobalInstants,
    ProcessInstants(i64),
    /// Of a thread that no descriptor has named so far.
    Thread(i64, i64),
}

/// All tracks, in the order in which they were first seen.
#[derive(Debug)]
pub(crate) struct Tracks {
    pub(crate) all: Vec<Track>,
    ids: HashMap<u64, TrackId>,
    of_legacy: HashMap<LegacyTrack, TrackId>,
    of_threads: HashMap<(i64, i64), TrackId>,
    /// Names of processes and threads: also of those that other descriptors than their own tell.
    pub(crate) process_names: HashMap<i64, TextId>,
    pub(crate) thread_names: HashMap<(i64, i64), TextId>,
}

/// The deepest that the trace processor follows parents.
pub(crate) const MAX_ANCESTORS: usize = 100;

/// Why a track is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Astray {
    /// No descriptor has this uuid.
    UnknownParent(u64),
    /// It is its own ancestor.
    Loop,
    /// More than [`MAX_ANCESTORS`].
    TooDeep,
}

impl Tracks {
    pub(crate) fn new() -> Self {
        Self {
            all: Vec::new(),
            ids: HashMap::new(),
            of_legacy: HashMap::new(),
            of_threads: HashMap::new(),
            process_names: HashMap::new(),
            thread_names: HashMap::new(),
        }
    }

    pub(crate) fn id_of(&mut self, uuid: u64) -> TrackId {
        *self.ids.entry(uuid).or_insert_with(|| {
            let about = Descriptor { uuid, ..Descriptor::default() };
            self.all.push(Track { about, is_described: false });
            (self.all.len() - 1) as TrackId
        })
    }

    /// The track of legacy events, which is called after the first of them.
    pub(crate) fn of_legacy(&mut self, which: LegacyTrack, name: Option<TextId>) -> TrackId {
        *self.of_legacy.entry(which).or_insert_with(|| {
            let (kind, name, pid) = match which {
                LegacyTrack::Async { pid, .. } => (TrackKind::Plain, name, pid),
                LegacyTrack::GlobalInstants => (TrackKind::Plain, None, None),
                LegacyTrack::ProcessInstants(pid) => (TrackKind::Process, None, Some(pid)),
                LegacyTrack::Thread(pid, _) => (TrackKind::Thread, None, Some(pid)),
            };
            let tid = match which {
                LegacyTrack::Thread(_, tid) => Some(tid),
                _ => None,
            };
            let about = Descriptor { name, kind, pid, tid, ..Descriptor::default() };
            self.all.push(Track { about, is_described: true });
            (self.all.len() - 1) as TrackId
        })
    }

    /// The track that a descriptor is of. Of several that are one thread's, the last is where events are that name the thread only.
    pub(crate) fn of_descriptor(&mut self, said: &Descriptor) -> TrackId {
        let (TrackKind::Thread, Some(pid), Some(tid)) = (said.kind, said.pid, said.tid) else {
            return self.id_of(said.uuid);
        };
        // Events may have named the thread before.
        if let Some(id) = self.of_legacy.remove(&LegacyTrack::Thread(pid, tid))
            && let Entry::Vacant(vacant) = self.ids.entry(said.uuid)
        {
            vacant.insert(id);
            self.all[id as usize].is_described = false;
        }
        let id = self.id_of(said.uuid);
        self.of_threads.insert((pid, tid), id);
        id
    }

    /// The track of a thread, by its numbers.
    pub(crate) fn of_thread(&mut self, pid: i64, tid: i64) -> TrackId {
        match self.of_threads.get(&(pid, tid)) {
            Some(id) => *id,
            None => self.of_legacy(LegacyTrack::Thread(pid, tid), None),
        }
    }

    pub(crate) fn find_id(&self, uuid: u64) -> Option<TrackId> {
        self.ids.get(&uuid).copied()
    }

    pub(crate) fn find(&self, uuid: u64) -> Option<&Track> {
        self.find_id(uuid).map(|id| self.get(id))
    }

    pub(crate) fn get(&self, id: TrackId) -> &Track {
        &self.all[id as usize]
    }

    /// The process of a track, or of the one above that has one, and the thread.
    pub(crate) fn owner(&self, id: TrackId) -> (Option<i64>, Option<i64>) {
        for track in self.ancestry(id) {
            if track.about.tid.is_some() || track.about.pid.is_some() {
                return (track.about.pid, track.about.tid);
            }
        }
        (None, None)
    }

    /// A track and those above it, as far as they can be followed.
    pub(crate) fn ancestry(&self, id: TrackId) -> impl Iterator<Item = &Track> {
        std::iter::successors(Some(self.get(id)), |track| {
            track.about.parent.filter(|uuid| *uuid != 0).and_then(|uuid| self.find(uuid))
        })
        .take(MAX_ANCESTORS)
    }

    /// Whether a track can be shown.
    pub(crate) fn stray(&self, id: TrackId) -> Option<Astray> {
        let mut track = self.get(id);
        let own = track.about.uuid;
        for _ in 0..=MAX_ANCESTORS {
            // A process or thread has no parent, whatever it says.
            let is_owner = matches!(track.about.kind, TrackKind::Process | TrackKind::Thread);
            let parent = track.about.parent.filter(|uuid| *uuid != 0 && !is_owner)?;
            match self.find(parent) {
                Some(next) if next.is_described => track = next,
                _ => return Some(Astray::UnknownParent(parent)),
            }
            if track.about.uuid == own {
                return Some(Astray::Loop);
            }
        }
        // A loop that does not come back to the track itself, or just many.
        let mut seen = foldhash::HashSet::default();
        let is_loop = std::iter::successors(Some(self.get(id)), |track| {
            track.about.parent.and_then(|uuid| self.find(uuid))
        })
        .take(self.all.len() + 1)
        .any(|track| !seen.insert(track.about.uuid));
        Some(if is_loop { Astray::Loop } else { Astray::TooDeep })
    }

    /// Where a track is shown: process, thread, tracks above, its own name, joined by `/`.
    pub(crate) fn path(&self, id: TrackId, texts: &Texts) -> String {
        let (pid, tid) = self.owner(id);
        let mut parts: Vec<String> = Vec::new();
        if let Some(pid) = pid {
            parts.push(match self.process_names.get(&pid) {
                Some(name) => texts.get(*name).to_owned(),
                None => format!("pid {pid}"),
            });
        }
        if let (Some(pid), Some(tid)) = (pid, tid) {
            parts.push(match self.thread_names.get(&(pid, tid)) {
                Some(name) => texts.get(*name).to_owned(),
                None => format!("tid {tid}"),
            });
        }
        let is_owner =
            |track: &&Track| matches!(track.about.kind, TrackKind::Process | TrackKind::Thread);
        let mut names: Vec<String> = self
            .ancestry(id)
            .take_while(|track| !is_owner(track))
            .map(|track| track.about.name.map_or("(unnamed)", |name| texts.get(name)).to_owned())
            .collect();
        // The track of a process has a name of its own beside the process's.
        if names.is_empty() && self.get(id).about.kind == TrackKind::Process {
            names.extend(self.get(id).about.name.map(|name| texts.get(name).to_owned()));
        }
        parts.extend(names.into_iter().rev());
        parts.join("/")
    }
}
