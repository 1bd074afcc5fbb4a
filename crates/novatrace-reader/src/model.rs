//! A whole trace as plain data. Belongs here: what the trace processor's tables would hold. Does not: SQL; traces larger than
//! memory, for which `check` and `info` keep only sums.

use foldhash::{HashMap, HashMapExt};

use crate::Error;
use crate::args::{self, Take, Value};
use crate::both_ends::{self, Put};
use crate::callstack::{Callstack, Frame, inline_frames};
use crate::event::{Arrow, Event, EventKind, FlowDoes, FlowPart};
use crate::input::{Packing, Source};
use crate::pipeline;
use crate::text::TextId;
use crate::timeline::{Open, Stack};
use crate::track::{TrackId, TrackKind};
use crate::walk::{State, Visit, walk};
use crate::wire::Fields;

/// Arguments by name: a debug annotation under its own, `m`, and below it `m.key` or `m[0]`; a source location
/// under `source.file_name` and the like. In order, the last of those with one name.
pub type Args = Vec<(String, Value)>;

/// A trace.
#[derive(Debug, Default)]
pub struct Trace {
    /// How the file was packed as a whole.
    pub packing: Option<Packing>,
    /// `TraceUuid`.
    pub uuid: Option<u128>,
    /// `TraceAttributes`, in order.
    pub attributes: Vec<(String, String)>,
    /// By pid.
    pub processes: Vec<Process>,
    /// In the order in which they first came.
    pub tracks: Vec<TrackInfo>,
    /// In order of start; those at one time in the order of the file.
    pub slices: Vec<Slice>,
    /// In order of time within each track.
    pub counters: Vec<Counter>,
    /// In order of time within each track.
    pub states: Vec<Spell>,
    /// In order of the events they lead to.
    pub flows: Vec<Flow>,
    /// Functions in callstacks.
    pub frames: Vec<Frame>,
    /// Indices in [`Trace::frames`], the outermost first.
    pub callstacks: Vec<Vec<usize>>,
}

/// A process that a descriptor names.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Process {
    /// Its number.
    pub pid: i64,
    /// Its name.
    pub name: Option<String>,
}

/// A track.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TrackInfo {
    /// `TrackDescriptor.uuid`.
    pub uuid: u64,
    /// Its own name.
    pub name: Option<String>,
    /// Where it is shown: process, thread, tracks above and its own name, joined by `/`.
    pub path: String,
    /// What it shows.
    pub kind: TrackKind,
    /// Of a counter.
    pub unit: Option<String>,
    /// Index in [`Trace::tracks`] of the one above.
    pub parent: Option<usize>,
}

/// A slice, or an instant: a slice of length 0.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Slice {
    /// Index in [`Trace::tracks`].
    pub track: usize,
    /// Nanoseconds of trace time.
    pub ts: i64,
    /// Length in nanoseconds; -1 if it never ended.
    pub dur: i64,
    /// Name.
    pub name: Option<String>,
    /// Category; several are joined by commas.
    pub category: Option<String>,
    /// How many slices it is inside of.
    pub depth: usize,
    /// The innermost of them: index in [`Trace::slices`].
    pub parent: Option<usize>,
    /// Arguments, of begin and end together.
    pub args: Args,
    /// Where the program was at its begin: index in [`Trace::callstacks`].
    pub callstack: Option<usize>,
    /// And at its end.
    pub end_callstack: Option<usize>,
}

/// A value of a counter.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Counter {
    /// Index in [`Trace::tracks`].
    pub track: usize,
    /// Nanoseconds of trace time.
    pub ts: i64,
    /// Value.
    pub value: f64,
}

/// A time during which a track of states has one value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Spell {
    /// Index in [`Trace::tracks`].
    pub track: usize,
    /// Nanoseconds of trace time.
    pub ts: i64,
    /// Length in nanoseconds, up to the next value; -1 of the last one.
    pub dur: i64,
    /// The value: the name of the events that say so, one after the other. An event without a name ends the last value.
    pub value: String,
}

/// An arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Flow {
    /// Index in [`Trace::slices`] of where it begins.
    pub from: usize,
    /// And of where it leads to.
    pub to: usize,
    /// `TrackEvent.flow_ids`.
    pub id: u64,
}

impl Trace {
    /// Reads a trace into memory.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is none. One that is damaged is read as far as it goes: see `check`.
    pub fn read(source: &Source) -> Result<Self, Error> {
        Self::read_with(source, pipeline::threads())
    }

    pub(crate) fn read_with(source: &Source, threads: usize) -> Result<Self, Error> {
        let mut collect = Collect::default();
        let (state, packing) = walk(source, threads, &mut collect, |_| {})?;
        Ok(collect.finish(&state, packing))
    }
}

#[derive(Debug)]
struct Kept {
    ts: i64,
    track: TrackId,
    kind: EventKind,
    name: Option<TextId>,
    late_name: Option<(u32, u32, u64)>,
    category: Option<TextId>,
    args: Args,
    flows: Vec<FlowPart>,
    callstack: Option<usize>,
}

/// Events as they come.
#[derive(Debug, Default)]
struct Collect {
    events: Vec<Kept>,
    key: String,
    stacks: StacksSoFar,
}

/// Callstacks of events so far. What is interned is here once for each sequence and each clearing of its state.
#[derive(Debug, Default)]
struct StacksSoFar {
    frames: Vec<Frame>,
    callstacks: Vec<Vec<usize>>,
    frames_of: HashMap<(u32, u32, u64), usize>,
    callstacks_of: HashMap<(u32, u32, u64), usize>,
}

impl StacksSoFar {
    fn of_event(&mut self, event: &Event<'_>, state: &State) -> Option<usize> {
        let sequence = &state.sequences[event.sequence as usize];
        let frames: Vec<usize> = match Callstack::of(event.more?)? {
            Callstack::Inline(bytes) => {
                let first = self.frames.len();
                self.frames.extend(inline_frames(bytes));
                (first..self.frames.len()).collect()
            }
            Callstack::Interned(iid) => {
                let key = |iid| (event.sequence, sequence.generation, iid);
                if let Some(known) = self.callstacks_of.get(&key(iid)) {
                    return Some(*known);
                }
                let frame = |iid| {
                    *self.frames_of.entry(key(iid)).or_insert_with(|| {
                        self.frames.push(sequence.stacks.frame(iid, &state.texts));
                        self.frames.len() - 1
                    })
                };
                let frames: Vec<usize> = sequence.stacks.frames_of(iid).map(frame).collect();
                if !frames.is_empty() {
                    self.callstacks_of.insert(key(iid), self.callstacks.len());
                }
                frames
            }
        };
        if frames.is_empty() {
            return None;
        }
        self.callstacks.push(frames);
        Some(self.callstacks.len() - 1)
    }
}

struct Arguments<'a>(Put<'a>);

impl Take for Arguments<'_> {
    fn value(&mut self, key: &str, value: Value) {
        self.0.put(key, value);
    }
}

impl Visit for Collect {
    fn event(&mut self, event: &Event<'_>, state: &State) {
        let sequence = &state.sequences[event.sequence as usize];
        let (mut arguments, mut flows, mut callstack) = (vec![], vec![], None);
        if let Some(payload) = event.more {
            args::walk(
                payload,
                sequence,
                &state.texts,
                &mut self.key,
                &mut Arguments(Put::to(&mut arguments)),
            );
            if event.is_more_than_args {
                flows.extend(Fields::of(payload).filter_map(FlowPart::of));
                callstack = self.stacks.of_event(event, state);
            }
        }
        self.events.push(Kept {
            ts: event.ts,
            track: event.track,
            kind: event.kind,
            name: event.name,
            late_name: event.late_name.map(|iid| (event.sequence, sequence.generation, iid)),
            category: event.category,
            args: arguments,
            flows,
            callstack,
        });
    }
}

impl Collect {
    fn finish(mut self, state: &State, packing: Packing) -> Trace {
        let said = |text: TextId| state.texts.get(text).to_owned();
        let mut trace = Trace {
            packing: Some(packing),
            uuid: state.uuid,
            frames: self.stacks.frames,
            callstacks: self.stacks.callstacks,
            ..Trace::default()
        };
        trace.attributes =
            state.attributes.iter().map(|(key, value)| (said(*key), value.clone())).collect();
        let mut pids: Vec<i64> =
            state.tracks.all.iter().filter_map(|track| track.about.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        trace.processes = pids
            .into_iter()
            .map(|pid| Process {
                pid,
                name: state.tracks.process_names.get(&pid).map(|name| said(*name)),
            })
            .collect();
        trace.tracks = (0..state.tracks.all.len())
            .map(|id| {
                let about = &state.tracks.get(id as TrackId).about;
                TrackInfo {
                    uuid: about.uuid,
                    name: about.name.map(said),
                    path: state.tracks.path(id as TrackId, &state.texts),
                    kind: about.kind,
                    unit: unit(about.unit, about.unit_name.map(said)),
                    parent: about
                        .parent
                        .and_then(|uuid| state.tracks.find_id(uuid))
                        .map(|id| id as usize),
                }
            })
            .collect();
        let strays: Vec<bool> =
            (0..trace.tracks.len()).map(|id| state.tracks.stray(id as TrackId).is_some()).collect();
        self.events.retain(|event| !strays[event.track as usize]);
        // In order of time, those at one time as they came.
        self.events.sort_by_key(|event| event.ts);
        let mut build = Build {
            trace,
            state,
            stacks: HashMap::new(),
            flows: HashMap::new(),
            arrows: HashMap::new(),
            waiting: HashMap::new(),
            spells: HashMap::new(),
        };
        for event in self.events {
            build.event(event);
        }
        build.trace.counters.sort_by_key(|counter| counter.track);
        build.trace.states.sort_by_key(|spell| spell.track);
        build.trace
    }
}

pub(crate) fn unit(unit: Option<u64>, name: Option<String>) -> Option<String> {
    match unit {
        Some(1) => Some("ns".to_owned()),
        Some(2) => Some("count".to_owned()),
        Some(3) => Some("bytes".to_owned()),
        _ => name,
    }
}

struct Build<'s> {
    trace: Trace,
    state: &'s State,
    stacks: HashMap<TrackId, Stack<usize>>,
    /// The last slice of each flow.
    flows: HashMap<u64, usize>,
    /// The flows of legacy events, by id, category and name.
    arrows: HashMap<(u64, Option<TextId>, Option<TextId>), u64>,
    /// Flows that end at the next slice of a track.
    waiting: HashMap<TrackId, Vec<u64>>,
    /// The last value of each track of states.
    spells: HashMap<TrackId, usize>,
}

impl Build<'_> {
    fn event(&mut self, mut kept: Kept) {
        let track = kept.track as usize;
        if let Some(late) = &kept.late_name {
            kept.name = self.state.defined_late.get(late).copied();
        }
        let said = |text: Option<TextId>| text.map(|text| self.state.texts.get(text).to_owned());
        let stack = self.stacks.entry(kept.track).or_default();
        let slices = &mut self.trace.slices;
        let (length, end) = match kept.kind {
            EventKind::Counter(value) => {
                return self.trace.counters.push(Counter { track, ts: kept.ts, value });
            }
            EventKind::State => return self.spell(&kept),
            EventKind::Arrow(arrow, id) => return self.arrow(&kept, arrow, id),
            EventKind::End => {
                let mut ended = None;
                let mut close = |open: &Open<usize>, end: i64, is_cut: bool| {
                    slices[open.tag].dur = end - open.start;
                    if !is_cut {
                        ended = Some(open.tag);
                    }
                };
                stack.end(kept.ts, kept.name, kept.category, &mut close);
                if let Some(slice) = ended {
                    let ended = &mut self.trace.slices[slice];
                    both_ends::join(&mut ended.args, kept.args);
                    ended.end_callstack = kept.callstack;
                    self.bind(slice, &kept.flows);
                }
                return;
            }
            EventKind::Begin => (-1, None),
            EventKind::Instant => (0, Some(kept.ts)),
            EventKind::Complete(length) => (length, Some(kept.ts.saturating_add(length))),
        };
        let number = slices.len();
        let open =
            Open { start: kept.ts, end, name: kept.name, category: kept.category, tag: number };
        let mut close =
            |open: &Open<usize>, end: i64, _: bool| slices[open.tag].dur = end - open.start;
        // One that is too deep is at the top, with its name only, and does not end.
        let depth = stack.begin(open, &mut close).unwrap_or_else(|| {
            (kept.args, kept.flows, kept.callstack) = (vec![], vec![], None);
            0
        });
        let parent = depth.checked_sub(1).and_then(|at| stack.open.get(at)).map(|open| open.tag);
        // A track without a descriptor is called after its first event.
        let about = &self.state.tracks.get(kept.track);
        let name = said(kept.name);
        if !about.is_described && self.trace.tracks[track].name.is_none() {
            let called =
                if about.about.uuid == 0 { Some("Default Track".to_owned()) } else { name.clone() };
            self.trace.tracks[track].path = called.clone().unwrap_or_default();
            self.trace.tracks[track].name = called;
        }
        let category = said(kept.category);
        slices.push(Slice {
            track,
            ts: kept.ts,
            dur: length,
            name,
            category,
            depth,
            parent,
            args: kept.args,
            callstack: kept.callstack,
            end_callstack: None,
        });
        for id in self.waiting.remove(&kept.track).unwrap_or_default() {
            self.flow(id, FlowDoes::End, number);
        }
        self.bind(number, &kept.flows);
    }

    /// A state lasts until another one: again the same is not another.
    fn spell(&mut self, kept: &Kept) {
        let track = kept.track as usize;
        // Those on other tracks are dropped.
        if self.trace.tracks[track].kind != TrackKind::State {
            return;
        }
        let value = kept.name.map(|name| self.state.texts.get(name));
        let states = &mut self.trace.states;
        if let Some(last) = self.spells.get(&kept.track).map(|at| &mut states[*at]) {
            if value == Some(&last.value) {
                return;
            }
            last.dur = kept.ts - last.ts;
        }
        self.spells.remove(&kept.track);
        if let Some(value) = value {
            self.spells.insert(kept.track, states.len());
            states.push(Spell { track, ts: kept.ts, dur: -1, value: value.to_owned() });
        }
    }

    /// A legacy flow event: it is about the innermost slice that is open.
    fn arrow(&mut self, kept: &Kept, arrow: Arrow, id: u64) {
        let next = self.arrows.len() as u64;
        let flow = *self.arrows.entry((id, kept.category, kept.name)).or_insert(next);
        if arrow == Arrow::EndAtNext {
            return self.waiting.entry(kept.track).or_default().push(flow);
        }
        let does = match arrow {
            Arrow::Begin => FlowDoes::Begin,
            Arrow::Step => FlowDoes::Step,
            Arrow::End | Arrow::EndAtNext => FlowDoes::End,
        };
        let open = self.stacks.get(&kept.track).and_then(|stack| stack.open.last());
        if let Some(slice) = open.map(|open| open.tag) {
            self.flow(flow, does, slice);
        }
    }

    fn bind(&mut self, slice: usize, flows: &[FlowPart]) {
        for part in flows {
            self.flow(part.id, part.does, slice);
        }
    }

    fn flow(&mut self, id: u64, does: FlowDoes, slice: usize) {
        let before = match does {
            FlowDoes::Terminate => self.flows.remove(&id),
            FlowDoes::BeginOrStep => self.flows.insert(id, slice),
            FlowDoes::Begin => {
                self.flows.entry(id).or_insert(slice);
                None
            }
            FlowDoes::Step => self.flows.get_mut(&id).map(|last| std::mem::replace(last, slice)),
            FlowDoes::End => self.flows.get(&id).copied(),
        };
        if let Some(from) = before {
            self.trace.flows.push(Flow { from, to: slice, id });
        }
    }
}
