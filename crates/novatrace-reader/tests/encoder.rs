//! What the encoder writes reads back equal: random events on several sequences, with arguments of every type, and what is expected
//! told by a model that knows neither of the two. States and counters that ride on other events, which the encoder does
//! not write, are the oracle's tests'.

use std::collections::BTreeMap;

use novatrace_core::{
    Annotations, CounterDescriptor, EventBody, EventType, ExplicitTrack, Iid, Kind, Limits, Scalar,
    Sequence, SequenceId, Shape, SourceLocation, Symbols, Text, Timestamps, TrackDescriptor,
    TrackKind, TrackUuid,
};
use novatrace_reader::{Check, Severity, Source, Trace, Value};
use proptest::prelude::*;

/// A text, interned or spelled out.
#[derive(Debug, Clone)]
struct Said {
    text: String,
    is_interned: bool,
}

#[derive(Debug, Clone)]
enum Argument {
    Scalar(Scalar),
    Text(Said),
    Dictionary(Vec<(Said, Argument)>),
    List(Vec<Argument>),
}

#[derive(Debug, Clone)]
struct Location {
    file: String,
    function: String,
    line: u32,
    is_interned: bool,
}

#[derive(Debug, Clone)]
enum What {
    Begin,
    End,
    Instant,
    /// Of one of the sequence's counters.
    Count(usize, Scalar),
    /// The sequence forgets its state.
    Clear,
}

#[derive(Debug, Clone)]
struct Step {
    sequence: usize,
    /// Whether it is on the sequence's second track, and not on its default one.
    is_on_other: bool,
    after_ns: u64,
    what: What,
    name: Said,
    categories: Vec<Said>,
    args: Vec<(Said, Argument)>,
    flows: Vec<u64>,
    terminating: Option<u64>,
    location: Option<Location>,
}

const SEQUENCES: usize = 3;
/// Plain, multiplied, adding up.
const COUNTERS: usize = 3;

fn text(pattern: &'static str) -> impl Strategy<Value = Said> {
    (pattern, any::<bool>()).prop_map(|(text, is_interned)| Said { text, is_interned })
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-3..200_i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        number().prop_map(Scalar::Int),
        number().prop_map(|number| Scalar::Uint(number.cast_unsigned())),
        number().prop_map(|number| Scalar::Pointer(number.cast_unsigned())),
        any::<f64>().prop_map(Scalar::Double),
        Just(Scalar::Double(f64::NAN)),
        Just(Scalar::Double(f64::NEG_INFINITY)),
    ]
}

/// Values of counters, whose sums a double can hold.
fn sample() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        (-1_000_000..1_000_000_i64).prop_map(Scalar::Int),
        (-1_000_000..1_000_000_i32).prop_map(|value| Scalar::Double(f64::from(value) / 8.0)),
    ]
}

fn key() -> impl Strategy<Value = Said> {
    text("[a-c.\\[\\]\u{e4}]{0,3}")
}

fn argument() -> impl Strategy<Value = Argument> {
    let leaf = prop_oneof![
        3 => scalar().prop_map(Argument::Scalar),
        1 => text("[^\\x00]{0,6}").prop_map(Argument::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec((key(), inner.clone()), 0..4).prop_map(Argument::Dictionary),
            prop::collection::vec(inner, 0..4).prop_map(Argument::List),
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        6 => Just(What::Begin),
        6 => Just(What::End),
        3 => Just(What::Instant),
        4 => (0..COUNTERS, sample()).prop_map(|(counter, value)| What::Count(counter, value)),
        1 => Just(What::Clear),
    ];
    let location = ("[a-z/]{1,8}", "[a-z:]{1,4}", any::<u32>(), any::<bool>()).prop_map(
        |(file, function, line, is_interned)| Location { file, function, line, is_interned },
    );
    let place = (0..SEQUENCES, any::<bool>(), prop_oneof![1..100_u64, 1..1_u64 << 40]);
    let said = (text("[^\\x00]{1,6}"), prop::collection::vec(text("[a-z]{1,3}"), 0..4));
    let more = (
        prop::collection::vec((key(), argument()), 0..4),
        prop::collection::vec(0..6_u64, 0..3),
        prop::option::weighted(0.1, 0..6_u64),
        prop::option::weighted(0.2, location),
    );
    (place, what, said, more).prop_map(
        |(
            (sequence, is_on_other, after_ns),
            what,
            (name, categories),
            (args, flows, terminating, location),
        )| Step {
            sequence,
            is_on_other,
            after_ns,
            what,
            name,
            categories,
            args,
            flows,
            terminating,
            location,
        },
    )
}

/// The encoder, at work.
struct Writer {
    out: Vec<u8>,
    symbols: Symbols,
    sequences: Vec<Sequence>,
}

fn own_track(sequence: usize) -> TrackUuid {
    TrackUuid(10 + sequence as u64)
}

fn other_track(sequence: usize) -> TrackUuid {
    TrackUuid(1 << 60 | sequence as u64)
}

fn counter(sequence: usize, number: usize) -> TrackUuid {
    TrackUuid(100 + (sequence * COUNTERS + number) as u64)
}

impl Writer {
    /// The sequences, the first of which writes times as they are.
    fn new() -> Self {
        let mut out = vec![];
        let sequences = (0..SEQUENCES).map(|at| {
            let times = if at == 0 { Timestamps::Absolute } else { Timestamps::Incremental };
            let id = u32::try_from(at).ok().and_then(|at| SequenceId::new(at + 1));
            let mut sequence = Sequence::new(id.expect("not zero"), times);
            sequence.start(&mut out, Some(own_track(at)));
            sequence.descriptor(&mut out, &TrackDescriptor::plain(own_track(at), "own"));
            sequence.descriptor(&mut out, &TrackDescriptor::plain(other_track(at), "other"));
            for number in 0..COUNTERS {
                let about = CounterDescriptor {
                    multiplier: (number == 1).then_some(1_000),
                    is_incremental: number == 2,
                    ..CounterDescriptor::default()
                };
                let kind = TrackKind::Counter(about);
                let plain = TrackDescriptor::plain(counter(at, number), "counter");
                sequence.descriptor(&mut out, &TrackDescriptor { kind, ..plain });
            }
            sequence
        });
        let sequences = sequences.collect();
        Self { out, symbols: Symbols::default(), sequences }
    }

    /// A text as the sequence says it, defined if need be.
    fn text<'t>(&mut self, sequence: usize, kind: Kind, said: &'t Said) -> Text<'t> {
        if !said.is_interned || said.text.is_empty() {
            return Text::Inline(&said.text);
        }
        let iid = self.symbols.intern(&said.text).expect("few");
        self.sequences[sequence].define(&mut self.out, kind, iid, &said.text);
        Text::Iid(iid)
    }

    /// Defines the texts of arguments, which are then found among the symbols.
    fn define(&mut self, sequence: usize, args: &[(Said, Argument)]) {
        for (key, value) in args {
            self.text(sequence, Kind::AnnotationName, key);
            self.define_in(sequence, value);
        }
    }

    fn define_in(&mut self, sequence: usize, value: &Argument) {
        match value {
            Argument::Scalar(_) => {}
            Argument::Text(said) => drop(self.text(sequence, Kind::AnnotationString, said)),
            Argument::Dictionary(entries) => self.define(sequence, entries),
            Argument::List(items) => items.iter().for_each(|item| self.define_in(sequence, item)),
        }
    }

    fn location(&mut self, sequence: usize, location: &Location) -> Option<Iid> {
        let Location { file, function, line, is_interned } = location;
        let said = SourceLocation { file, function, line: *line };
        is_interned.then(|| {
            let iid = self.symbols.intern(&format!("{said:?}")).expect("few");
            self.sequences[sequence].define_location(&mut self.out, iid, &said);
            iid
        })
    }

    fn step(&mut self, step: &Step, ns: u64) {
        let at = step.sequence;
        if matches!(step.what, What::Clear) {
            return self.sequences[at].restart_at(&mut self.out, ns);
        }
        let mut bytes = vec![];
        let other = ExplicitTrack::new(other_track(at));
        let mut track = step.is_on_other.then_some(other);
        let kind = match step.what {
            What::Begin => EventType::SliceBegin,
            What::End => EventType::SliceEnd,
            What::Instant => EventType::Instant,
            What::Count(number, _) => {
                track = Some(ExplicitTrack::new(counter(at, number)));
                EventType::Counter
            }
            What::Clear => unreachable!("told above"),
        };
        if let What::Count(_, value) = step.what {
            EventBody::new(&mut bytes).counter(value);
        } else {
            self.body(step, &mut bytes);
        }
        self.sequences[at].event(&mut self.out, ns, kind, track.as_ref(), &bytes);
    }

    fn body(&mut self, step: &Step, bytes: &mut Vec<u8>) {
        let at = step.sequence;
        self.define(at, &step.args);
        let location =
            step.location.as_ref().map(|location| (location, self.location(at, location)));
        if !matches!(step.what, What::End) {
            let name = self.text(at, Kind::EventName, &step.name);
            EventBody::new(bytes).name(name);
            for category in &step.categories {
                let category = self.text(at, Kind::Category, category);
                EventBody::new(bytes).category(category);
            }
        }
        let mut body = EventBody::new(bytes);
        match location {
            Some((_, Some(iid))) => drop(body.location(iid)),
            Some((Location { file, function, line, .. }, None)) => {
                body.inline_location(&SourceLocation { file, function, line: *line });
            }
            None => {}
        }
        for flow in &step.flows {
            body.flow(*flow);
        }
        if let Some(flow) = step.terminating {
            body.terminating_flow(flow);
        }
        let mut top = body.annotations(Limits::default());
        for (index, (key, value)) in step.args.iter().enumerate() {
            annotate(&self.symbols, &mut top, &unique(key, index, &step.what), value);
        }
    }
}

/// Arguments of one event, and of begin and end, have keys of their own, unless they are empty or interned.
fn unique(key: &Said, index: usize, what: &What) -> Said {
    let end = if matches!(what, What::End) { "e" } else { "" };
    Said { text: format!("{end}{index}{}", key.text), is_interned: false }
}

fn found<'t>(symbols: &Symbols, said: &'t Said) -> Text<'t> {
    match symbols.get(&said.text) {
        Some(iid) if said.is_interned && !said.text.is_empty() => Text::Iid(iid),
        _ => Text::Inline(&said.text),
    }
}

fn annotate(symbols: &Symbols, into: &mut Annotations<'_>, key: &Said, value: &Argument) {
    let name = found(symbols, key);
    match value {
        Argument::Scalar(scalar) => into.scalar(name, *scalar),
        Argument::Text(said) => into.text(name, found(symbols, said)),
        Argument::Dictionary(entries) => {
            let mut dictionary = into.container(name, Shape::Dictionary);
            for (key, value) in entries {
                annotate(symbols, &mut dictionary, key, value);
            }
            dictionary.finish();
        }
        Argument::List(items) => {
            let mut list = into.container(name, Shape::Array);
            let none = Said { text: String::new(), is_interned: false };
            for item in items {
                annotate(symbols, &mut list, &none, item);
            }
            list.finish();
        }
    }
}

/// Arguments by key, the last of those that have one.
type Args = BTreeMap<String, String>;

/// What is expected of an argument below a key. Elements of a list that has come before come after its own.
fn flat(key: &str, value: &Argument, args: &mut Args, lens: &mut BTreeMap<String, usize>) {
    let mut put = |value: Value| drop(args.insert(key.to_owned(), format!("{value:?}")));
    match value {
        Argument::Scalar(Scalar::Bool(value)) => put(Value::Bool(*value)),
        Argument::Scalar(Scalar::Int(value)) => put(Value::Int(*value)),
        Argument::Scalar(Scalar::Uint(value)) => put(Value::Uint(*value)),
        Argument::Scalar(Scalar::Pointer(value)) => put(Value::Pointer(*value)),
        Argument::Scalar(Scalar::Double(value)) if value.is_nan() => {
            put(Value::Text("NaN".to_owned()));
        }
        Argument::Scalar(Scalar::Double(value)) => put(Value::Double(*value)),
        Argument::Text(said) => put(Value::Text(said.text.clone())),
        Argument::Dictionary(entries) if entries.is_empty() => put(Value::Text("{}".to_owned())),
        Argument::List(items) if items.is_empty() => put(Value::Text("[]".to_owned())),
        Argument::Dictionary(entries) => {
            for (name, value) in entries {
                flat(&format!("{key}.{}", shown(&name.text)), value, args, lens);
            }
        }
        Argument::List(items) => {
            for item in items {
                let len = lens.entry(key.to_owned()).or_default();
                *len += 1;
                let key = format!("{key}[{}]", *len - 1);
                flat(&key, item, args, lens);
            }
        }
    }
}

fn shown(name: &str) -> String {
    if name.is_empty() { "(empty)".to_owned() } else { name.replace(['.', '[', ']'], "_") }
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    track: u64,
    ts: i64,
    dur: i64,
    name: String,
    category: Option<String>,
    depth: usize,
    parent: Option<usize>,
    args: Args,
}

/// What a trace should have.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    slices: Vec<Row>,
    /// Of each track, times and values.
    samples: BTreeMap<u64, Vec<(i64, f64)>>,
    arrows: Vec<(usize, usize, u64)>,
}

#[derive(Default)]
struct Model {
    expected: Expected,
    open: BTreeMap<u64, Vec<usize>>,
    flows: BTreeMap<u64, usize>,
    sums: BTreeMap<usize, f64>,
}

impl Model {
    fn step(&mut self, step: &Step, ts: i64) {
        let at = step.sequence;
        let track = if step.is_on_other { other_track(at) } else { own_track(at) }.0;
        let stack = self.open.entry(track).or_default();
        let slice = match &step.what {
            What::Clear => {
                self.sums.remove(&at);
                return;
            }
            What::Count(number, value) => {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let value = match value {
                    Scalar::Int(value) => *value as f64,
                    Scalar::Double(value) => *value,
                    _ => unreachable!("no sample"),
                };
                let sum = self.sums.entry(at).or_default();
                let value = match number {
                    1 => value * 1_000.0,
                    2 => {
                        *sum += value;
                        *sum
                    }
                    _ => value,
                };
                let samples = self.expected.samples.entry(counter(at, *number).0).or_default();
                return samples.push((ts, value));
            }
            What::End => match stack.pop() {
                Some(slice) => {
                    let row = &mut self.expected.slices[slice];
                    row.dur = ts - row.ts;
                    slice
                }
                None => return,
            },
            What::Begin | What::Instant => {
                let is_begin = matches!(step.what, What::Begin);
                let slice = self.expected.slices.len();
                // Interned ones come first.
                let (interned, spelled_out): (Vec<&Said>, Vec<&Said>) =
                    step.categories.iter().partition(|said| said.is_interned);
                let categories: Vec<&str> =
                    interned.iter().chain(&spelled_out).map(|said| &*said.text).collect();
                self.expected.slices.push(Row {
                    track,
                    ts,
                    dur: if is_begin { -1 } else { 0 },
                    name: step.name.text.clone(),
                    category: (!categories.is_empty()).then(|| categories.join(",")),
                    depth: stack.len(),
                    parent: stack.last().copied(),
                    args: Args::new(),
                });
                if is_begin {
                    stack.push(slice);
                }
                slice
            }
        };
        let args = &mut self.expected.slices[slice].args;
        let mut lens = BTreeMap::new();
        for (index, (key, value)) in step.args.iter().enumerate() {
            flat(&shown(&unique(key, index, &step.what).text), value, args, &mut lens);
        }
        if let Some(Location { file, function, line, is_interned }) = &step.location {
            let below = if *is_interned { "source" } else { "source_location" };
            let mut put = |what, value: Value| {
                args.insert(format!("{below}.{what}"), format!("{value:?}"));
            };
            put("file_name", Value::Text(file.clone()));
            put("function_name", Value::Text(function.clone()));
            put("line_number", Value::Uint(u64::from(*line)));
        }
        for flow in &step.flows {
            if let Some(from) = self.flows.insert(*flow, slice) {
                self.expected.arrows.push((from, slice, *flow));
            }
        }
        if let Some(flow) = step.terminating
            && let Some(from) = self.flows.remove(&flow)
        {
            self.expected.arrows.push((from, slice, flow));
        }
    }
}

/// What was read, in the model's form.
fn told(trace: &Trace) -> Expected {
    let slices = trace.slices.iter().map(|slice| Row {
        track: trace.tracks[slice.track].uuid,
        ts: slice.ts,
        dur: slice.dur,
        name: slice.name.clone().unwrap_or_default(),
        category: slice.category.clone(),
        depth: slice.depth,
        parent: slice.parent,
        args: slice.args.iter().map(|(key, value)| (key.clone(), format!("{value:?}"))).collect(),
    });
    let mut samples = BTreeMap::<u64, Vec<(i64, f64)>>::new();
    for counter in &trace.counters {
        let samples = samples.entry(trace.tracks[counter.track].uuid).or_default();
        samples.push((counter.ts, counter.value));
    }
    let arrows = trace.flows.iter().map(|flow| (flow.from, flow.to, flow.id)).collect();
    Expected { slices: slices.collect(), samples, arrows }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_encoder_writes_reads_back_equal(steps in prop::collection::vec(step(), 0..40)) {
        let (mut writer, mut model, mut ns) = (Writer::new(), Model::default(), 0);
        for step in &steps {
            ns += step.after_ns;
            writer.step(step, ns);
            model.step(step, i64::try_from(ns).expect("40 steps"));
        }
        let source = Source::from_bytes("encoded", writer.out);
        let trace = Trace::read(&source).expect("a trace");
        prop_assert_eq!(told(&trace), model.expected);

        // Ends without a begin, keys that one dictionary has twice and places that both ends have are random, too; nothing else is
        // wrong.
        let report = Check::new().run(&source, |_| {}).expect("a trace");
        let random = ["orphan-end", "key-twice", "key-at-both-ends"];
        let wrong: Vec<_> = report
            .findings
            .iter()
            .filter(|found| found.severity > Severity::Note && !random.contains(&found.rule.name()))
            .collect();
        prop_assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
