//! `check`: every fault of a trace that can be seen in it. Belongs here: looking for faults. Does not: what they are called and
//! mean (`rules.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use foldhash::{HashMap, HashMapExt};

use novatrace_core::schema::track_event::{
    CALLSTACK, CALLSTACK_IID, CALLSTACK_WEIGHT, DEBUG_ANNOTATIONS,
};

use crate::Error;
use crate::args::{self, Oddity, Take, Value};
use crate::both_ends;
use crate::bundle::{BundleFault, Codec};
use crate::event::{Event, EventKind, FlowPart};
use crate::frame::Damage;
use crate::input::Source;
use crate::nesting::{Nesting, called};
use crate::packet::Parsed;
use crate::pipeline::{self, Bundle};
use crate::rules::{Rule, Severity};
use crate::shares::{self, Join};
use crate::text::TextId;
use crate::track::{Astray, Descriptor, TrackId, TrackKind};
use crate::tracks_in_order::TracksInOrder;
use crate::walk::{Place, State, Visit, Whereabouts, slice};
use crate::window::{SERVICE_EVENT, Window};
use crate::wire::Fields;

/// What is wrong with a trace.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// Packets, those of bundles included.
    pub packets: u64,
    /// Track events.
    pub events: u64,
    /// By rule, the worst first.
    pub findings: Vec<RuleFindings>,
}

/// How often a rule is broken, and where.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RuleFindings {
    /// The rule.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What the fault is.
    pub what: &'static str,
    /// What the viewer shows because of it.
    pub shows: &'static str,
    /// What the writer has to do otherwise.
    pub mend: &'static str,
    /// How often.
    pub count: u64,
    /// The first ones.
    pub examples: Vec<Finding>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Finding {
    /// The packet's number, those of bundles included, from 0 on.
    pub packet: u64,
    /// Its first byte in the file, or in what the file unpacks to; of a packet in a bundle, the bundle's.
    pub offset: u64,
    /// `trusted_packet_sequence_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// Process, thread, tracks above and the track, joined by `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// Nanoseconds of trace time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    /// What exactly.
    pub detail: String,
}

impl Report {
    /// Whether nothing is lost or shown wrong: notes are no matter.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Note)
    }
}

/// How a trace is checked.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    examples: usize,
    threads: usize,
}

impl Default for Check {
    fn default() -> Self {
        Self { examples: 5, threads: pipeline::threads() }
    }
}

impl Check {
    /// As many threads as there are processors, five examples of each fault.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many examples of each fault are kept.
    #[must_use]
    pub fn examples(self, examples: usize) -> Self {
        Self { examples, ..self }
    }

    /// How many threads there are besides the caller's.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Checks a trace, in memory that does not grow with it. `progress` is told how many bytes have been
    /// read.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no trace. What is wrong in one is in the report.
    pub fn run(self, source: &Source, mut progress: impl FnMut(u64)) -> Result<Report, Error> {
        let (state, mut checker, _) =
            shares::walk(source, self.threads, || self.visitor(), &mut progress)?;
        let cut = checker.tracks.settle(source, self.threads)?;
        checker.finish(&state, &cut);
        if checker.noted.iter().any(|noted| noted.has_arguments_at_ends) {
            let is_wanted: Vec<bool> =
                checker.noted.iter().map(|noted| noted.has_arguments_at_ends).collect();
            both_ends::find(source, self.threads, &is_wanted, |found, state| {
                checker
                    .found
                    .add(Rule::KeyAtBothEnds, found.at, 1, state, |_| found.detail.clone());
            })?;
        }
        Ok(checker.found.report(source, &state, checker.events))
    }
}

impl Check {
    pub(crate) fn visitor(self) -> Checker {
        Checker::new(self.examples)
    }
}

/// Faults so far.
#[derive(Debug)]
struct Found {
    examples: usize,
    by_rule: BTreeMap<Rule, (u64, Vec<Finding>)>,
}

impl Found {
    #[inline(never)]
    fn add(
        &mut self,
        rule: Rule,
        at: Whereabouts,
        count: u64,
        state: &State,
        detail: impl FnOnce(&State) -> String,
    ) {
        let (counted, examples) = self.by_rule.entry(rule).or_default();
        *counted += count;
        if examples.len() < self.examples {
            examples.push(Finding {
                packet: at.place.packet,
                offset: at.place.offset,
                sequence: at.sequence,
                track: at.track.map(|track| state.tracks.path(track, &state.texts)),
                ts: at.ts,
                detail: detail(state),
            });
        }
    }

    fn report(&mut self, source: &Source, state: &State, events: u64) -> Report {
        let mut findings: Vec<RuleFindings> = std::mem::take(&mut self.by_rule)
            .into_iter()
            .map(|(rule, (count, mut examples))| {
                examples.sort_by_key(|finding| finding.packet);
                RuleFindings {
                    rule,
                    severity: rule.severity(),
                    what: rule.what(),
                    shows: rule.shows(),
                    mend: rule.mend(),
                    count,
                    examples,
                }
            })
            .collect();
        findings.sort_by_key(|found| std::cmp::Reverse(found.severity));
        Report { path: source.path().to_owned(), packets: state.packets, events, findings }
    }
}

/// Flows by number: more than these are not looked at.
const MAX_FLOWS: usize = 4 << 20;

#[derive(Debug, Clone, Copy)]
struct FlowSeen {
    first: Place,
    events: u32,
    has_begin: bool,
}

/// What is noted of a track regardless of order.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    first_slice: Option<Place>,
    first_state: Option<Place>,
    /// Of an incremental counter: the sequence, and the last time.
    counter: Option<(u32, i64)>,
    has_events: bool,
    has_arguments_at_ends: bool,
    /// Of callstacks: bits of [`weighed`].
    callstacks: u8,
    first: Place,
    first_ts: i64,
}

pub(crate) struct Checker {
    found: Found,
    tracks: TracksInOrder<Nesting>,
    noted: Vec<Noted>,
    flows: HashMap<u64, FlowSeen>,
    uuids_of_pids: HashMap<i64, u64>,
    codec: Option<Codec>,
    uncategorised: (u64, Whereabouts),
    events: u64,
    window: Window,
    /// Room for arguments' names.
    key: String,
}

impl Checker {
    fn new(examples: usize) -> Self {
        Self {
            found: Found { examples, by_rule: BTreeMap::new() },
            tracks: TracksInOrder::new(),
            noted: Vec::new(),
            flows: HashMap::new(),
            uuids_of_pids: HashMap::new(),
            codec: None,
            uncategorised: (0, Whereabouts::default()),
            events: 0,
            window: Window::default(),
            key: String::new(),
        }
    }

    /// What only the whole trace shows.
    fn finish(&mut self, state: &State, cut: &[TrackId]) {
        for (id, nesting) in self.tracks.made() {
            for (rule, count, examples) in nesting.faults.iter().flat_map(|faults| faults.iter()) {
                for (index, (lean, what)) in examples.iter().enumerate() {
                    let at = Whereabouts {
                        place: lean.place,
                        sequence: state
                            .sequences
                            .get(lean.sequence as usize)
                            .map(|sequence| sequence.id),
                        track: Some(id),
                        ts: Some(lean.ts),
                    };
                    let count = if index == 0 { *count } else { 0 };
                    self.found.add(*rule, at, count, state, |state| what.text(state));
                }
            }
            if let Some(open) = nesting.stack.open.iter().find(|open| open.end.is_none()) {
                let count =
                    nesting.stack.open.iter().filter(|open| open.end.is_none()).count() as u64;
                let at = Whereabouts {
                    place: open.tag.place,
                    sequence: None,
                    track: Some(id),
                    ts: Some(open.start),
                };
                self.found.add(Rule::LeftOpen, at, count, state, |state| {
                    format!("{count} on this track, the outermost {}", called(open.name, state))
                });
            }
        }
        self.merged(state);
        for (id, noted) in (0..).zip(&self.noted) {
            if noted.has_events {
                self.found.track(id, noted, state);
            }
        }
        for track in cut {
            let at = Whereabouts { track: Some(*track), ..Whereabouts::default() };
            self.found.add(Rule::NotAllChecked, at, 1, state, |_| {
                "only its first events were".to_owned()
            });
        }
        let mut lonely: Vec<_> =
            self.flows.iter().filter(|(_, flow)| flow.events == 1 || !flow.has_begin).collect();
        lonely.sort_by_key(|(id, flow)| (flow.first, **id));
        for (id, flow) in lonely {
            let rule = if flow.has_begin { Rule::LonelyFlow } else { Rule::FlowEndAlone };
            self.found.add(rule, flow.first.into(), 1, state, |_| format!("flow {id}"));
        }
        let (count, at) = self.uncategorised;
        if count > 0 {
            self.found.add(Rule::NoCategory, at, count, state, |_| "the first of them".to_owned());
        }
    }

    /// Tracks that are shown as one.
    fn merged(&mut self, state: &State) {
        let mut of_name = BTreeMap::<_, (TrackId, u64)>::new();
        for (id, noted) in (0..).zip(&self.noted) {
            let track = state.tracks.get(id);
            let about = &track.about;
            let is_by_name = track.is_described && about.uuid != 0 && matches!(about.merge, 0 | 1);
            if let (true, true, TrackKind::Plain, Some(name)) =
                (noted.has_events, is_by_name, about.kind, about.name)
            {
                of_name.entry((about.parent.unwrap_or(0), name)).or_insert((id, 0)).1 += 1;
            }
        }
        let mut merged: Vec<_> = of_name.into_values().filter(|(_, count)| *count > 1).collect();
        merged.sort_unstable();
        for (id, count) in merged {
            let noted = &self.noted[id as usize];
            let at = Whereabouts {
                place: noted.first,
                sequence: None,
                track: Some(id),
                ts: Some(noted.first_ts),
            };
            self.found.add(Rule::MergedTracks, at, 1, state, |_| format!("{count} tracks"));
        }
    }

    #[inline(never)]
    fn more(&mut self, event: &Event<'_>, payload: &[u8], state: &State) {
        let sequence = &state.sequences[event.sequence as usize];
        let at = Whereabouts { sequence: Some(sequence.id), ..Whereabouts::from(event) };
        let mut oddities = Oddities { found: &mut self.found, at, state };
        args::walk(payload, sequence, &state.texts, &mut self.key, &mut oddities);
        let is_argument = |(number, _)| number == DEBUG_ANNOTATIONS;
        if event.kind == EventKind::End && Fields::of(payload).any(is_argument) {
            self.noted[event.track as usize].has_arguments_at_ends = true;
        }
        if !event.is_more_than_args {
            return;
        }
        if let Some(weighed) = weighed(payload) {
            self.noted[event.track as usize].callstacks |= weighed;
        }
        for field in Fields::of(payload) {
            if field.0 == 21 && state.tracks.owner(event.track).1.is_none() {
                self.found.add(Rule::LogElsewhere, at, 1, state, |_| "a log message".to_owned());
            }
            let Some(part) = FlowPart::of(field) else { continue };
            let (id, is_end) = (part.id, part.is_end());
            if matches!(event.kind, EventKind::Counter(_)) {
                self.found.add(Rule::FlowOnCounter, at, 1, state, |_| format!("flow {id}"));
                continue;
            }
            if self.flows.len() < MAX_FLOWS || self.flows.contains_key(&id) {
                let flow = self.flows.entry(id).or_insert(FlowSeen {
                    first: event.place,
                    events: 0,
                    has_begin: false,
                });
                flow.events = flow.events.saturating_add(1);
                flow.has_begin |= !is_end;
            }
        }
    }
}

impl Visit for Checker {
    #[inline(always)]
    fn packet(&mut self, _: Place, parsed: &Parsed, bytes: &[u8], _: &State) {
        if parsed.kind == SERVICE_EVENT {
            self.window.marker(slice(bytes, parsed.payload));
        }
    }

    #[inline(always)]
    fn event(&mut self, event: &Event<'_>, state: &State) {
        self.events += 1;
        if let Some(since) = self.window.late_by(event.ts) {
            self.found.add(Rule::LateEvent, event.into(), 1, state, |_| {
                format!("at {} ns, and all before {since} ns is out", event.ts)
            });
        }
        let at = event.track as usize;
        if at >= self.noted.len() {
            self.noted.resize(at + 1, Noted::default());
        }
        let noted = &mut self.noted[at];
        if !noted.has_events {
            (noted.has_events, noted.first, noted.first_ts) = (true, event.place, event.ts);
        }
        match event.kind {
            EventKind::Counter(_) => {
                if event.name.is_some() {
                    self.found.add(Rule::CounterName, event.into(), 1, state, |state| {
                        called(event.name, state)
                    });
                }
                if state.tracks.get(event.track).about.is_incremental {
                    self.incremental(event, state);
                }
            }
            EventKind::Arrow(..) => {}
            EventKind::State => {
                noted.first_state.get_or_insert(event.place);
            }
            _ => {
                noted.first_slice.get_or_insert(event.place);
                if event.category.is_none() && event.kind != EventKind::End {
                    if self.uncategorised.0 == 0 {
                        self.uncategorised.1 = Whereabouts::from(event);
                    }
                    self.uncategorised.0 += 1;
                }
                self.tracks.event(event.track, &event.lean);
            }
        }
        if let Some(payload) = event.more {
            self.more(event, payload, state);
        }
    }

    fn descriptor(&mut self, place: Place, track: TrackId, said: &Descriptor, state: &State) {
        let at = Whereabouts { place, sequence: None, track: Some(track), ts: None };
        let is_owner = matches!(said.kind, TrackKind::Process | TrackKind::Thread);
        let mut add = |rule, detail: String| self.found.add(rule, at, 1, state, |_| detail);
        if is_owner && (said.pid.is_none() || said.kind == TrackKind::Thread && said.tid.is_none())
        {
            add(
                Rule::MissingPid,
                format!("a {:?} with pid {:?} and tid {:?}", said.kind, said.pid, said.tid),
            );
        }
        if is_owner && said.pid == Some(0) {
            add(Rule::IdleProcess, format!("a {:?} of process 0", said.kind));
        }
        if said.kind == TrackKind::Process && said.has_command_line && said.process_name.is_none() {
            add(Rule::NamelessProcess, format!("pid {}", said.pid.unwrap_or_default()));
        }
        if let Some(pid) = said.pid.filter(|pid| *pid < 0) {
            add(Rule::NegativePid, format!("pid {pid}"));
        }
        if let (TrackKind::Thread, Some(name)) = (said.kind, said.name)
            && said.thread_name != Some(name)
        {
            add(Rule::IgnoredName, format!("{:?}", state.texts.get(name)));
        }
        if said.unit.is_some_and(|unit| unit != 0) && said.unit_name.is_some() {
            add(Rule::UnitTwice, "unit and unit_name".to_owned());
        }
        if let (TrackKind::Process, Some(pid)) = (said.kind, said.pid) {
            let before = *self.uuids_of_pids.entry(pid).or_insert(said.uuid);
            if before != said.uuid {
                add(Rule::PidTwice, format!("pid {pid}: uuid {before} and {}", said.uuid));
            }
        }
    }

    fn bundle(&mut self, bundle: &Bundle, state: &State) {
        let at = Whereabouts::from(Place { packet: state.packets, offset: bundle.offset });
        let mut add = |rule, detail: String| self.found.add(rule, at, 1, state, |_| detail);
        let unpacked = &bundle.unpacked;
        match &unpacked.fault {
            Some(BundleFault::Damaged(why)) => add(Rule::BundleDamaged, why.clone()),
            Some(BundleFault::RawDeflate) => {
                add(Rule::BundleRawDeflate, format!("{} bytes", unpacked.packed));
            }
            Some(BundleFault::TooLarge) => {
                add(Rule::BundleTooLarge, format!("{} bytes, packed", unpacked.packed));
            }
            Some(BundleFault::SecondFrame) => {
                add(Rule::BundleSecondFrame, "only the first is read".to_owned());
            }
            None => {}
        }
        if bundle.rest > 0 && unpacked.fault.is_none() {
            add(Rule::BundleDamaged, format!("its last {} bytes are no packet", bundle.rest));
        }
        if unpacked.fault.is_none() && unpacked.bytes_len >= 512 << 10 {
            add(Rule::BundleLarge, format!("{} bytes", unpacked.bytes_len));
        }
        if unpacked.codec == Some(Codec::Zstd) && self.codec.is_none() {
            add(Rule::BundleZstd, "the first of them".to_owned());
        }
        if let (Some(before), Some(codec)) = (self.codec, unpacked.codec)
            && (before == Codec::Zstd) != (codec == Codec::Zstd)
        {
            add(Rule::BundleMixed, format!("{before:?} before, {codec:?} here"));
        }
        self.codec = self.codec.or(unpacked.codec);
    }

    fn damage(&mut self, offset: u64, len: u64, damage: Damage, state: &State) {
        let at = Whereabouts::from(Place { packet: state.packets, offset });
        let (rule, detail) = match damage {
            Damage::Cut => (Rule::Cut, format!("a packet of which {len} bytes are there")),
            Damage::Garbage => (Rule::Garbage, format!("{len} bytes")),
            Damage::Zeros => (Rule::Zeros, format!("{len} bytes")),
            Damage::ZerosAtEnd => (Rule::ZerosAtEnd, format!("{len} bytes")),
            Damage::ForeignField(number) => {
                (Rule::ForeignField, format!("field {number}, {len} bytes"))
            }
            Damage::Packed => (Rule::PackedCut, "nothing after it can be unpacked".to_owned()),
        };
        self.found.add(rule, at, 1, state, |_| detail);
    }

    fn fault(
        &mut self,
        rule: Rule,
        at: Whereabouts,
        state: &State,
        detail: impl FnOnce(&State) -> String,
    ) {
        self.found.add(rule, at, 1, state, detail);
    }
}

impl Join for Checker {
    fn join(&mut self, other: Self, texts: &[TextId]) -> bool {
        if !self.found.by_rule.is_empty() || !other.found.by_rule.is_empty() {
            return false;
        }
        self.events += other.events;
        let (count, at) = other.uncategorised;
        if count > 0 && (self.uncategorised.0 == 0 || at.place < self.uncategorised.1.place) {
            self.uncategorised.1 = at;
        }
        self.uncategorised.0 += count;
        if self.flows.len() + other.flows.len() > MAX_FLOWS {
            return false;
        }
        for (id, flow) in other.flows {
            let ours = self.flows.entry(id).or_insert(FlowSeen { events: 0, ..flow });
            ours.first = ours.first.min(flow.first);
            ours.events = ours.events.saturating_add(flow.events);
            ours.has_begin |= flow.has_begin;
        }
        if other.noted.len() > self.noted.len() {
            self.noted.resize(other.noted.len(), Noted::default());
        }
        self.noted.iter_mut().zip(other.noted).all(|(ours, other)| ours.join(&other))
            && self.tracks.join(other.tracks, texts)
    }
}

impl Noted {
    /// Takes in what another share noted. Returns whether the order between them is no matter.
    fn join(&mut self, other: &Self) -> bool {
        if !other.has_events {
            return true;
        }
        if !self.has_events {
            *self = *other;
            return true;
        }
        let first = |one: Option<Place>, other: Option<Place>| one.into_iter().chain(other).min();
        self.first_slice = first(self.first_slice, other.first_slice);
        self.first_state = first(self.first_state, other.first_state);
        self.callstacks |= other.callstacks;
        self.has_arguments_at_ends |= other.has_arguments_at_ends;
        if other.first < self.first {
            (self.first, self.first_ts) = (other.first, other.first_ts);
        }
        self.counter.is_none() || other.counter.is_none()
    }
}

impl Checker {
    fn incremental(&mut self, event: &Event<'_>, state: &State) {
        let noted = &mut self.noted[event.track as usize];
        let before = noted.counter.replace((event.sequence, event.ts));
        let at = Whereabouts::from(event);
        let id = |sequence: u32| state.sequences[sequence as usize].id;
        if let Some((sequence, ts)) = before {
            if sequence != event.sequence {
                self.found.add(Rule::CounterShared, at, 1, state, |_| {
                    format!("sequences {} and {}", id(sequence), id(event.sequence))
                });
            }
            if event.ts < ts {
                self.found.add(Rule::CounterUnordered, at, 1, state, |_| {
                    format!("after a value at {ts} ns")
                });
            }
        }
    }
}

impl Found {
    /// What is wrong with a track that has events.
    fn track(&mut self, id: TrackId, noted: &Noted, state: &State) {
        let track = state.tracks.get(id);
        let at = Whereabouts {
            place: noted.first,
            sequence: None,
            track: Some(id),
            ts: Some(noted.first_ts),
        };
        let uuid = track.about.uuid;
        if !track.is_described && uuid != 0 {
            self.add(Rule::UndescribedTrack, at, 1, state, |_| format!("uuid {uuid}"));
        }
        match state.tracks.stray(id) {
            None => {}
            Some(Astray::UnknownParent(parent)) => {
                self.add(Rule::UnknownParent, at, 1, state, |_| {
                    format!(
                        "uuid {uuid}: no descriptor of {parent}, which it or one above it is under"
                    )
                });
            }
            Some(Astray::Loop) => {
                self.add(Rule::ParentLoop, at, 1, state, |_| format!("uuid {uuid}"));
            }
            Some(Astray::TooDeep) => {
                self.add(Rule::ParentsTooDeep, at, 1, state, |_| format!("uuid {uuid}"));
            }
        }
        let kind = track.about.kind;
        // A thread under the process that it belongs to is where it is shown anyway.
        let parent = track.about.parent.filter(|uuid| *uuid != 0);
        let is_own_process =
            parent.and_then(|uuid| state.tracks.find(uuid)).is_some_and(|parent| {
                (parent.about.kind, parent.about.pid) == (TrackKind::Process, track.about.pid)
            });
        if let (TrackKind::Process | TrackKind::Thread, Some(parent), false) =
            (kind, parent, is_own_process)
        {
            self.add(Rule::OwnerWithParent, at, 1, state, |_| format!("parent_uuid {parent}"));
        }
        if let (TrackKind::Counter | TrackKind::State, Some(place)) = (kind, noted.first_slice) {
            self.add(Rule::SliceOnCounter, Whereabouts { place, ..at }, 1, state, |_| {
                format!("a track of kind {kind:?}")
            });
        }
        if noted.callstacks == 3 {
            self.add(Rule::CallstackWeight, at, 1, state, |_| "on this track".to_owned());
        }
        if let Some(place) = noted.first_state.filter(|_| kind != TrackKind::State) {
            self.add(Rule::StateElsewhere, Whereabouts { place, ..at }, 1, state, |_| {
                format!("a track of kind {kind:?}")
            });
        }
    }
}

/// If an event has a callstack: 1 without a weight, 2 with one.
fn weighed(payload: &[u8]) -> Option<u8> {
    let (mut has_callstack, mut has_weight) = (false, false);
    for (number, _) in Fields::of(payload) {
        has_callstack |= matches!(number, CALLSTACK | CALLSTACK_IID);
        has_weight |= number == CALLSTACK_WEIGHT;
    }
    has_callstack.then_some(1 + u8::from(has_weight))
}

struct Oddities<'a> {
    found: &'a mut Found,
    at: Whereabouts,
    state: &'a State,
}

impl Take for Oddities<'_> {
    const WANTS_VALUES: bool = false;

    fn value(&mut self, _: &str, _: Value) {}

    fn odd(&mut self, key: &str, oddity: Oddity) {
        let rule = match oddity {
            Oddity::Nameless => Rule::NamelessArgument,
            Oddity::Empty => Rule::EmptyArgument,
            Oddity::KeyCharacters => Rule::KeyCharacters,
            Oddity::NotANumber => Rule::ArgumentNan,
            Oddity::Twice => Rule::KeyTwice,
            Oddity::Json => Rule::Json,
            Oddity::Undefined(_) => Rule::UnknownIid,
        };
        self.found.add(rule, self.at, 1, self.state, |_| match oddity {
            Oddity::Undefined(iid) => format!(
                "{iid}, of an argument's name or text below {key:?}, or its source location"
            ),
            Oddity::Nameless if key.is_empty() => "an argument of the event".to_owned(),
            Oddity::Nameless => format!("an entry of {key:?}"),
            _ => format!("{key:?}"),
        });
    }
}
