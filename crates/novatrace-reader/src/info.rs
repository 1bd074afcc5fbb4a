//! `info`: what a trace is, in sums. Belongs here: counting. Does not: tables for people.

use std::path::PathBuf;

use foldhash::{HashMap, HashMapExt};

use crate::Error;
use crate::bundle::Codec;
use crate::clock::Clock;
use crate::event::{Event, EventKind, Lean};
use crate::frame::Damage;
use crate::input::{Packing, Source};
use crate::model::unit;
use crate::packet::{Parsed, Payload, has};
use crate::pipeline::{self, Bundle};
use crate::shares::{self, Join};
use crate::text::TextId;
use crate::timeline::{Open, Stack};
use crate::track::{TrackId, TrackKind};
use crate::tracks_in_order::{InOrder, TracksInOrder};
use crate::walk::{Place, State, Visit, payload_name};

/// What a trace is.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// How it is packed as a whole.
    pub packing: Packing,
    /// Bundles in it, with the bytes that they have and that they unpack to.
    pub bundles: Option<Bundles>,
    /// Which program seems to have written it.
    pub writer: String,
    /// `TraceUuid`, in hexadecimal.
    pub uuid: Option<String>,
    /// `TraceAttributes`.
    pub attributes: Vec<(String, String)>,
    /// Packets, those of bundles included.
    pub packets: u64,
    /// Sequences of packets.
    pub sequences: u64,
    /// The first and the last time of an event, in nanoseconds of trace time.
    pub start_ns: Option<i64>,
    /// See `start_ns`.
    pub end_ns: Option<i64>,
    /// The trace's clock, and those that snapshots relate to it.
    pub clocks: Vec<String>,
    /// Tracks with events, and those above them, in the order of a tree.
    pub tracks: Vec<TrackFacts>,
    /// Slices by name, by total time.
    pub slices: Vec<NameFacts>,
    /// Counters, in the order of the tree.
    pub counters: Vec<CounterFacts>,
    /// Bytes by kind of data, the most first.
    pub kinds: Vec<KindFacts>,
    /// Packets before which others were dropped.
    pub losses: u64,
    /// Bytes that are no packets.
    pub damaged_bytes: u64,
    /// Slices that never end.
    pub left_open: u64,
}

/// Bundles.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Bundles {
    /// How many.
    pub count: u64,
    /// Bytes, packed.
    pub packed: u64,
    /// Bytes, unpacked.
    pub unpacked: u64,
}

/// A track, or one above others.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TrackFacts {
    /// Processes and threads are above their tracks.
    pub depth: usize,
    /// Its own name.
    pub name: String,
    /// What it shows; `None` for a process or thread that is told by others' descriptors.
    pub kind: Option<TrackKind>,
    /// Slices that begin on it.
    pub slices: u64,
    /// Instants.
    pub instants: u64,
    /// Samples of a counter.
    pub samples: u64,
    /// The time in which slices of it are open.
    pub busy_ns: i64,
}

/// Slices of one name.
#[derive(Debug, Clone, serde::Serialize)]
pub struct NameFacts {
    /// The name.
    pub name: String,
    /// How many, of those that end.
    pub count: u64,
    /// Their time.
    pub total_ns: i64,
    /// The same without that of slices in them.
    pub self_ns: i64,
    /// The longest.
    pub max_ns: i64,
}

/// A counter.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CounterFacts {
    /// Where it is shown.
    pub path: String,
    /// Its unit.
    pub unit: Option<String>,
    /// Samples.
    pub samples: u64,
    /// The lowest value.
    pub min: f64,
    /// The highest value.
    pub max: f64,
    /// The last value.
    pub last: f64,
}

/// Packets of one kind.
#[derive(Debug, Clone, serde::Serialize)]
pub struct KindFacts {
    /// Such as `slice begin`.
    pub kind: String,
    /// How many packets.
    pub packets: u64,
    /// Their bytes, unpacked.
    pub bytes: u64,
}

impl Info {
    /// Counts what is in a trace, in memory that does not grow with it. `progress` is told how many bytes
    /// have been read.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no trace.
    pub fn of(source: &Source, progress: impl FnMut(u64)) -> Result<Self, Error> {
        Self::with_threads(source, pipeline::threads(), progress)
    }

    pub(crate) fn with_threads(
        source: &Source,
        threads: usize,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, Error> {
        let (state, mut counting, packing) =
            shares::walk(source, threads, Counting::new, &mut progress)?;
        counting.tracks.settle(source, threads)?;
        Ok(counting.finish(source.path().to_owned(), source.file_len()?, packing, &state))
    }
}

/// Kinds of packets: those of [`Payload`], and events by type.
const EVENTS: [&str; 6] =
    ["event of no type", "slice begin", "slice end", "instant", "counter", "state"];

pub(crate) struct Counting {
    tracks: TracksInOrder<Sums>,
    events: [(u64, u64); EVENTS.len()],
    others: HashMap<Payload, (u64, u64)>,
    interned: (u64, u64),
    bundles: Bundles,
    codec: Option<Codec>,
    losses: u64,
    damaged: u64,
    range: Option<(i64, i64)>,
}

impl Counting {
    pub(crate) fn new() -> Self {
        Self {
            tracks: TracksInOrder::new(),
            events: [(0, 0); EVENTS.len()],
            others: HashMap::new(),
            interned: (0, 0),
            bundles: Bundles::default(),
            codec: None,
            losses: 0,
            damaged: 0,
            range: None,
        }
    }
}

impl Visit for Counting {
    #[inline(always)]
    fn packet(&mut self, _: Place, parsed: &Parsed, _: &[u8], _: &State) {
        let mut bytes = u64::from(parsed.len) + 2 + u64::from(parsed.len >= 0x80);
        if parsed.has & (has::INTERNED | has::DROPPED) != 0 {
            let interned = u64::from(parsed.interned.1);
            self.interned.0 += u64::from(interned > 0);
            self.interned.1 += interned;
            bytes -= interned;
            self.losses += u64::from(parsed.has & has::DROPPED != 0);
        }
        let (packets, sum) = if parsed.kind == Payload::TrackEvent {
            let kind = usize::from(parsed.event_type);
            let Some(event) = self.events.get_mut(kind) else { return };
            (&mut event.0, &mut event.1)
        } else {
            let other = self.others.entry(parsed.kind).or_default();
            (&mut other.0, &mut other.1)
        };
        *packets += 1;
        *sum += bytes;
    }

    #[inline(always)]
    fn event(&mut self, event: &Event<'_>, _: &State) {
        let (first, last) = self.range.unwrap_or((event.ts, event.ts));
        self.range = Some((first.min(event.ts), last.max(event.ts)));
        self.tracks.event(event.track, &event.lean);
    }

    fn bundle(&mut self, bundle: &Bundle, _: &State) {
        self.bundles.count += 1;
        self.bundles.packed += bundle.len;
        self.bundles.unpacked += bundle.unpacked.bytes_len as u64;
        self.codec = self.codec.or(bundle.unpacked.codec);
    }

    fn damage(&mut self, _: u64, len: u64, damage: Damage, _: &State) {
        if damage != Damage::ZerosAtEnd {
            self.damaged += len;
        }
    }
}

impl Join for Counting {
    fn join(&mut self, other: Self, texts: &[TextId]) -> bool {
        let add = |ours: &mut (u64, u64), other: (u64, u64)| {
            (ours.0, ours.1) = (ours.0 + other.0, ours.1 + other.1);
        };
        for (ours, other) in self.events.iter_mut().zip(other.events) {
            add(ours, other);
        }
        for (kind, other) in other.others {
            add(self.others.entry(kind).or_default(), other);
        }
        add(&mut self.interned, other.interned);
        self.losses += other.losses;
        self.range = match (self.range, other.range) {
            (Some((from, to)), Some((other_from, other_to))) => {
                Some((from.min(other_from), to.max(other_to)))
            }
            (ours, other) => ours.or(other),
        };
        self.tracks.join(other.tracks, texts)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct NameSums {
    count: u64,
    total: i64,
    own: i64,
    max: i64,
}

/// What one track has.
#[derive(Debug, Default)]
struct Sums {
    /// Open slices, each with the time of slices in it.
    stack: Stack<i64>,
    slices: u64,
    instants: u64,
    busy: i64,
    /// Slices begin or end on it.
    is_nested: bool,
    /// Of a counter.
    samples: u64,
    values: Option<(f64, f64, f64)>,
    names: HashMap<Option<TextId>, NameSums>,
}

impl Sums {
    #[inline(always)]
    fn close(names: &mut HashMap<Option<TextId>, NameSums>, open: &Open<i64>, end: i64) -> i64 {
        let length = end.saturating_sub(open.start);
        let sums = names.entry(open.name).or_default();
        sums.count += 1;
        sums.total = sums.total.saturating_add(length);
        sums.own = sums.own.saturating_add(length.saturating_sub(open.tag));
        sums.max = sums.max.max(length);
        length
    }
}

impl InOrder for Sums {
    #[inline(always)]
    fn event(&mut self, event: &Lean) {
        let Self { stack, names, .. } = self;
        match event.kind {
            EventKind::Begin => {
                self.is_nested = true;
                self.slices += 1;
                let open = Open {
                    start: event.ts,
                    end: None,
                    name: event.name,
                    category: event.category,
                    tag: 0,
                };
                stack.begin(open, &mut |open: &Open<i64>, end: i64, _: bool| {
                    Self::close(names, open, end);
                });
            }
            EventKind::End => {
                self.is_nested = true;
                let mut length = None;
                let mut close = |open: &Open<i64>, end: i64, _: bool| {
                    length = Some(Self::close(names, open, end));
                };
                stack.end(event.ts, event.name, event.category, &mut close);
                match (stack.open.last_mut(), length) {
                    (Some(outer), Some(length)) => outer.tag = outer.tag.saturating_add(length),
                    (None, Some(length)) => self.busy = self.busy.saturating_add(length),
                    (_, None) => {}
                }
            }
            EventKind::Instant => self.instants += 1,
            EventKind::Complete(length) => {
                self.is_nested = true;
                self.slices += 1;
                let sums = names.entry(event.name).or_default();
                sums.count += 1;
                sums.total = sums.total.saturating_add(length);
                sums.own = sums.own.saturating_add(length);
                sums.max = sums.max.max(length);
            }
            EventKind::Counter(value) => {
                self.samples += 1;
                let (min, max, _) = self.values.unwrap_or((value, value, value));
                self.values = Some((min.min(value), max.max(value), value));
            }
            EventKind::State | EventKind::Arrow(..) => {}
        }
    }

    fn renumber(&mut self, texts: &[TextId]) -> bool {
        self.stack.renumber(texts);
        self.names = std::mem::take(&mut self.names)
            .into_iter()
            .map(|(mut name, sums)| {
                if let Some(name) = &mut name {
                    name.renumber(texts);
                }
                (name, sums)
            })
            .collect();
        true
    }

    fn join(&mut self, other: Self, is_later: bool) -> bool {
        self.instants += other.instants;
        self.samples += other.samples;
        self.values = match (self.values, other.values) {
            (Some((min, max, last)), Some((other_min, other_max, other_last))) => Some((
                min.min(other_min),
                max.max(other_max),
                if is_later { other_last } else { last },
            )),
            (ours, other) => ours.or(other),
        };
        // How those of both nest, their order would tell.
        if self.is_nested && other.is_nested {
            return false;
        }
        if other.is_nested {
            (self.is_nested, self.slices, self.busy) = (true, other.slices, other.busy);
            (self.stack, self.names) = (other.stack, other.names);
        }
        true
    }
}

impl Counting {
    fn finish(self, path: PathBuf, bytes: u64, packing: Packing, state: &State) -> Info {
        let mut names: HashMap<Option<TextId>, NameSums> = HashMap::new();
        let mut left_open = 0;
        for (_, sums) in self.tracks.made() {
            left_open += sums.stack.open.iter().filter(|open| open.end.is_none()).count() as u64;
            for (name, sums) in &sums.names {
                let all = names.entry(*name).or_default();
                all.count += sums.count;
                all.total = all.total.saturating_add(sums.total);
                all.own = all.own.saturating_add(sums.own);
                all.max = all.max.max(sums.max);
            }
        }
        let mut slices: Vec<NameFacts> = names
            .into_iter()
            .map(|(name, sums)| NameFacts {
                name: name.map_or_else(String::new, |name| state.texts.get(name).to_owned()),
                count: sums.count,
                total_ns: sums.total,
                self_ns: sums.own,
                max_ns: sums.max,
            })
            .collect();
        slices.sort_by(|one, other| {
            other.total_ns.cmp(&one.total_ns).then_with(|| one.name.cmp(&other.name))
        });
        let (tracks, order) = tree(&self.tracks, state);
        let sums: HashMap<TrackId, &Sums> = self.tracks.made().collect();
        let counters = order.iter().filter_map(|id| {
            let (sums, about) = (sums.get(id)?, &state.tracks.get(*id).about);
            let (min, max, last) = sums.values?;
            let name = about.unit_name.map(|name| state.texts.get(name).to_owned());
            let path = state.tracks.path(*id, &state.texts);
            Some(CounterFacts {
                path,
                unit: unit(about.unit, name),
                samples: sums.samples,
                min,
                max,
                last,
            })
        });
        let counters = counters.collect();
        let events = EVENTS.iter().zip(self.events).map(|(kind, sums)| ((*kind).to_owned(), sums));
        let others = self.others.into_iter().map(|(kind, sums)| (payload_name(kind), sums));
        let interned = [("interned_data".to_owned(), self.interned)];
        let mut kinds: Vec<KindFacts> = events
            .chain(others)
            .chain(interned)
            .filter(|(_, (packets, _))| *packets > 0)
            .map(|(kind, (packets, bytes))| KindFacts { kind, packets, bytes })
            .collect();
        kinds.sort_by(|one, other| {
            other.bytes.cmp(&one.bytes).then_with(|| one.kind.cmp(&other.kind))
        });
        let attribute =
            |(key, value): &(TextId, String)| (state.texts.get(*key).to_owned(), value.clone());
        let attributes: Vec<_> = state.attributes.iter().map(attribute).collect();
        Info {
            path,
            bytes,
            packing,
            bundles: (self.bundles.count > 0).then_some(self.bundles),
            writer: writer(&attributes, state, &kinds),
            uuid: state.uuid.map(|uuid| format!("{uuid:032x}")),
            attributes,
            packets: state.packets,
            sequences: state.sequences.iter().filter(|sequence| sequence.id != 0).count() as u64,
            start_ns: self.range.map(|range| range.0),
            end_ns: self.range.map(|range| range.1),
            clocks: clocks(state),
            tracks,
            slices,
            counters,
            kinds,
            losses: self.losses,
            damaged_bytes: self.damaged,
            left_open,
        }
    }
}

fn clocks(state: &State) -> Vec<String> {
    const BUILT_IN: [&str; 12] = [
        "",
        "REALTIME",
        "REALTIME_COARSE",
        "MONOTONIC",
        "MONOTONIC_COARSE",
        "MONOTONIC_RAW",
        "BOOTTIME",
        "",
        "",
        "TSC",
        "PERF",
        "TRACE_FILE",
    ];
    let name = |id: u32| match BUILT_IN.get(id as usize) {
        Some(&name) if !name.is_empty() => name.to_owned(),
        _ => format!("clock {id}"),
    };
    let trace = state.clocks.trace_clock();
    let mut ids: Vec<u32> = state.clocks.known().map(|clock: Clock| clock.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| *id != trace && !crate::clock::is_of_sequence(*id));
    std::iter::once(trace).chain(ids).map(name).collect()
}

/// What the file says of its writer, or what only one writer does.
fn writer(attributes: &[(String, String)], state: &State, kinds: &[KindFacts]) -> String {
    let attribute = |wanted: &str| {
        attributes.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
    };
    if let Some(producer) = attribute("producer") {
        let version = attribute("producer_version").unwrap_or_default();
        return format!("{producer} {version}").trim_end().to_owned();
    }
    let has = |wanted: &str| kinds.iter().any(|kind| kind.kind == wanted);
    let has_sequence = |id| state.sequences.iter().any(|sequence| sequence.id == id);
    if has("service_event") || has("trace_stats") {
        "Perfetto's tracing service".to_owned()
    } else if has("trace_config") && has_sequence(2) && state.sequences.len() <= 3 {
        "tg4perfetto, or a module like it".to_owned()
    } else {
        "unknown".to_owned()
    }
}

/// Processes, threads and tracks with events, and those above them.
fn tree(tracks: &TracksInOrder<Sums>, state: &State) -> (Vec<TrackFacts>, Vec<TrackId>) {
    let mut root = Node::default();
    for (id, sums) in tracks.made() {
        if sums.slices + sums.instants + sums.samples == 0 {
            continue;
        }
        let mut node = &mut root;
        let (pid, tid) = state.tracks.owner(id);
        if let Some(pid) = pid {
            let name = state.tracks.process_names.get(&pid).map(|name| state.texts.get(*name));
            node = node
                .child(&format!("p{pid}"), || format!("{} (pid {pid})", name.unwrap_or("process")));
        }
        if let (Some(pid), Some(tid)) = (pid, tid) {
            let name =
                state.tracks.thread_names.get(&(pid, tid)).map(|name| state.texts.get(*name));
            node = node
                .child(&format!("t{tid}"), || format!("{} (tid {tid})", name.unwrap_or("thread")));
        }
        let is_owner = |kind| matches!(kind, TrackKind::Process | TrackKind::Thread);
        let above: Vec<_> =
            state.tracks.ancestry(id).take_while(|track| !is_owner(track.about.kind)).collect();
        for track in above.into_iter().rev() {
            let name =
                || track.about.name.map_or("(unnamed)", |name| state.texts.get(name)).to_owned();
            node = node.child(&format!("u{}", track.about.uuid), name);
        }
        node.track = Some((id, state.tracks.get(id).about.kind));
        node.facts = (sums.slices, sums.instants, sums.samples, sums.busy);
    }
    let (mut facts, mut order) = (vec![], vec![]);
    root.list(0, &mut facts, &mut order);
    (facts, order)
}

#[derive(Default)]
struct Node {
    name: String,
    track: Option<(TrackId, TrackKind)>,
    facts: (u64, u64, u64, i64),
    children: Vec<Node>,
    by_key: HashMap<String, usize>,
}

impl Node {
    fn child(&mut self, key: &str, name: impl FnOnce() -> String) -> &mut Self {
        let at = *self.by_key.entry(key.to_owned()).or_insert_with(|| {
            self.children.push(Self { name: name(), ..Self::default() });
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    fn list(&self, depth: usize, facts: &mut Vec<TrackFacts>, order: &mut Vec<TrackId>) {
        for child in &self.children {
            let (slices, instants, samples, busy_ns) = child.facts;
            order.extend(child.track.map(|(id, _)| id));
            facts.push(TrackFacts {
                depth,
                name: child.name.clone(),
                kind: child.track.map(|(_, kind)| kind),
                slices,
                instants,
                samples,
                busy_ns,
            });
            child.list(depth + 1, facts, order);
        }
    }
}
