//! The run as a trace: what an executor, a cost service and a benchmark write with novatrace. NOT:
//! simulating.
//!
//! Times are the simulator's picoseconds rounded to nanoseconds at both ends, so that slices that
//! touch still touch and none overlap.

mod rows;

use std::time::Duration;

use novatrace::{CounterTrack, Error, FlowId, Name, TraceGenerator};
use serde::Serialize;

use self::rows::Rows;
use crate::cost::Cost;
use crate::graph::{Action, Graph, Why, Work};
use crate::meter::Sample;
use crate::observe::{Finished, Level, Observer, Span};
use crate::plan::Plan;
use crate::simulate::{Summary, simulate};
use crate::units::{float, to_ns};

/// How much a [`Tracer`] recorded, counted where it was recorded. What a reader finds in the trace
/// must equal it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Slices.
    pub slices: u64,
    /// Instants.
    pub instants: u64,
    /// Counter samples.
    pub counter_samples: u64,
    /// Arrows: pairs of events with a flow of their own.
    pub arrows: u64,
}

impl Recorded {
    /// Slices, instants and counter samples together.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.slices + self.instants + self.counter_samples
    }
}

/// Runs a plan and traces it. The trace is left open; `finish` it.
///
/// # Errors
///
/// The first event that novatrace refuses.
///
/// # Examples
///
/// ```no_run
/// use accelerator::{Hardware, Model, Plan, Workload, trace};
///
/// let model = Model::open(Model::DEFAULT)?;
/// let plan = Plan::new(model, Hardware::open(Hardware::DEFAULT)?, Workload::default())?;
/// let generator = novatrace::TraceGenerator::create("accelerator.pftrace")?;
/// let (summary, recorded) = trace(&plan, &generator, |_| ())?;
/// let stats = generator.finish()?;
/// assert_eq!(stats.events, recorded.events());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn trace(
    plan: &Plan,
    generator: &TraceGenerator,
    progress: impl FnMut(u64),
) -> Result<(Summary, Recorded), Error> {
    let mut tracer = Tracer::new(plan, generator);
    let summary = simulate(plan, &mut tracer, progress)?;
    Ok((summary, tracer.recorded))
}

/// Writes a run to a trace as it happens.
#[derive(Debug)]
pub struct Tracer {
    generator: TraceGenerator,
    rows: Rows,
    words: Words,
    /// The flow of each arrow, from its first event on.
    flows: Vec<Option<FlowId>>,
    /// Scratch: the flows of one event.
    of_event: Vec<FlowId>,
    recorded: Recorded,
}

/// Names, categories and keys known beforehand. Labels of actions are not: there are as many as the
/// model has tiles, so they are given as text.
#[derive(Debug)]
struct Words {
    compute: Name,
    vector: Name,
    dma: Name,
    collective: Name,
    barrier: Name,
    leading: Name,
    latency: Name,
    phase: Name,
    layer: Name,
    operation: Name,
    leading_l2: Name,
    leading_l3: Name,
    leading_store: Name,
    stream_l2: Name,
    stream_l3: Name,
    stream_store: Name,
    bytes: Name,
    gb_s: Name,
}

impl Words {
    fn new() -> Self {
        Self {
            compute: Name::new("compute"),
            vector: Name::new("vector"),
            dma: Name::new("dma"),
            collective: Name::new("collective"),
            barrier: Name::new("barrier"),
            leading: Name::new("leading"),
            latency: Name::new("latency"),
            phase: Name::new("phase"),
            layer: Name::new("layer"),
            operation: Name::new("operation"),
            leading_l2: Name::new("lead L2"),
            leading_l3: Name::new("lead L3"),
            leading_store: Name::new("lead store"),
            stream_l2: Name::new("L2 → L1"),
            stream_l3: Name::new("L3 → L2 → L1"),
            stream_store: Name::new("L1 → L2 → L3"),
            bytes: Name::new("bytes"),
            gb_s: Name::new("GB/s"),
        }
    }
}

/// What a compute action cost, as the trace shows it.
#[derive(Serialize)]
struct CostBook<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<u64>,
    cost: &'a Cost,
}

#[derive(Serialize)]
struct Shape {
    m: u32,
    n: u32,
    k: u32,
}

/// What a transfer came to, as the trace shows it.
#[derive(Serialize)]
struct TransferBook {
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    l2: Option<&'static str>,
    leading_ns: u64,
    latency_ns: u64,
}

#[derive(Serialize)]
struct PassBook {
    tokens: u64,
    context: u64,
    tokens_per_s: f64,
}

impl Tracer {
    /// Makes all groups and tracks.
    #[must_use]
    pub fn new(plan: &Plan, generator: &TraceGenerator) -> Self {
        Self {
            generator: generator.clone(),
            rows: Rows::new(plan, generator),
            words: Words::new(),
            flows: vec![None; plan.graph().edges.len()],
            of_event: Vec::new(),
            recorded: Recorded::default(),
        }
    }

    /// What was recorded so far.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        self.recorded
    }

    /// Gathers the flows of the arrows that end and begin at an action.
    fn gather_flows(&mut self, graph: &Graph, action: u32) {
        self.of_event.clear();
        for edge in graph.incoming(action) {
            if let Some(flow) = self.flows[edge] {
                self.of_event.push(flow);
                self.recorded.arrows += 1;
            }
        }
        for &edge in graph.outgoing(action) {
            let edge = edge as usize;
            if graph.edges[edge].why == Why::Data {
                let flow = self.generator.flow();
                self.flows[edge] = Some(flow);
                self.of_event.push(flow);
            }
        }
    }

    fn compute(&mut self, action: &Action, finished: &Finished, name: &str) -> Result<(), Error> {
        let cluster = &self.rows.clusters[action.place as usize];
        let engine = finished.engine as usize;
        let (start, length) = times(finished.start_ps, finished.end_ps);
        let (track, category, shape, elements) = match action.work {
            Work::Gemm { m, n, k } => {
                let shape = Some(Shape { m, n, k });
                (&cluster.matrix[engine], self.words.compute, shape, None)
            }
            Work::Vector { elements, .. } => {
                (&cluster.vector[engine], self.words.vector, None, Some(elements))
            }
            _ => return Ok(()),
        };
        let book = CostBook { shape, elements, cost: &finished.cost };
        let event = track.duration(start, length, name).category(category).args(&book);
        self.recorded.slices += 1;
        event.flows(self.of_event.iter().copied()).emit()
    }

    /// The transfer on its engine's row; its way through the memory levels on the row below.
    fn transfer(
        &mut self,
        action: &Action,
        bytes: u64,
        finished: &Finished,
        name: &str,
    ) -> Result<(), Error> {
        let words = &self.words;
        let cluster = &self.rows.clusters[action.place as usize];
        let engine = finished.engine as usize;
        let (start, length) = times(finished.start_ps, finished.end_ps);
        let (stream, stream_length) = times(finished.stream_ps, finished.end_ps);
        let lead_length = stream - start;
        let is_load = matches!(action.work, Work::Load(_));
        let hit = finished.level == Some(Level::L2);
        let (lead_name, stream_name) = match (is_load, hit) {
            (false, _) => (words.leading_store, words.stream_store),
            (true, true) => (words.leading_l2, words.stream_l2),
            (true, false) => (words.leading_l3, words.stream_l3),
        };
        let book = TransferBook {
            bytes,
            l2: is_load.then_some(if hit { "hit" } else { "miss" }),
            leading_ns: lead_length,
            latency_ns: stream_length,
        };
        let event = cluster.dma[engine].duration(start, length, name).category(words.dma);
        self.recorded.slices += 2;
        event.args(&book).flows(self.of_event.iter().copied()).emit()?;
        let path = &cluster.paths[engine];
        path.duration(start, lead_length, lead_name).category(words.leading).emit()?;
        // A few bytes arrive within the nanosecond; the row above has them.
        if stream_length == 0 {
            return Ok(());
        }
        self.recorded.slices += 1;
        // Bytes per picosecond are TB/s.
        let rate = float(bytes) / float(finished.end_ps - finished.stream_ps) * 1e3;
        path.duration(stream, stream_length, stream_name)
            .category(words.latency)
            .arg(words.gb_s, rate)
            .emit()
    }
}

impl Observer for Tracer {
    type Error = Error;

    fn finished(&mut self, graph: &Graph, finished: &Finished) -> Result<(), Error> {
        let action = graph.actions[finished.action as usize];
        let name = graph.labels[action.label as usize].as_str();
        self.gather_flows(graph, finished.action);
        match action.work {
            Work::Gemm { .. } | Work::Vector { .. } => self.compute(&action, finished, name),
            Work::Load(transfer) | Work::Store(transfer) => {
                self.transfer(&action, transfer.bytes, finished, name)
            }
            Work::Ring { bytes } => {
                let (start, length) = times(finished.start_ps, finished.end_ps);
                let Some(ring) = &self.rows.dies[action.place as usize].ring else {
                    return Ok(());
                };
                self.recorded.slices += 1;
                ring.duration(start, length, name)
                    .category(self.words.collective)
                    .arg(self.words.bytes, bytes)
                    .flows(self.of_event.iter().copied())
                    .emit()
            }
            Work::Barrier => {
                self.recorded.instants += 1;
                let event = self.rows.benchmark.barriers.instant(to_ns(finished.end_ps), name);
                event.category(self.words.barrier).flows(self.of_event.iter().copied()).emit()
            }
            Work::Join => Ok(()),
        }
    }

    fn sample(&mut self, sample: &Sample) -> Result<(), Error> {
        let (start, end) = (to_ns(sample.start_ps), to_ns(sample.end_ps));
        let mut samples = 0;
        let mut count = |counter: &CounterTrack, at_ns: u64, value: f64| {
            samples += 1;
            counter.count(at_ns, value)
        };
        for (die, tracks) in sample.dies.iter().zip(&self.rows.dies) {
            count(&tracks.power, start, die.power_w)?;
            count(&tracks.energy, end, die.energy_j * 1e3)?;
            count(&tracks.l3, start, die.l3_gb_s)?;
            count(&tracks.l2, start, die.l2_gb_s)?;
            if let Some(rate) = die.l2_hit_rate {
                count(&tracks.hit_rate, start, rate * 100.0)?;
            }
            if let Some(link) = &tracks.link {
                count(link, start, die.link_gb_s)?;
            }
        }
        for (cluster, tracks) in sample.clusters.iter().zip(&self.rows.clusters) {
            count(&tracks.l1, start, cluster.l1_gb_s)?;
            count(&tracks.matrix_busy, start, cluster.matrix_busy * 100.0)?;
            count(&tracks.vector_busy, start, cluster.vector_busy * 100.0)?;
            count(&tracks.power, start, cluster.power_w)?;
        }
        self.recorded.counter_samples += samples;
        Ok(())
    }

    fn operation(&mut self, graph: &Graph, span: &Span) -> Result<(), Error> {
        let (start, length) = times(span.start_ps, span.end_ps);
        // It ended together with another, which has the time.
        if length == 0 {
            return Ok(());
        }
        let operation = &graph.operations[span.index as usize];
        let stage = &graph.stages[operation.stage as usize];
        self.recorded.slices += 1;
        self.rows
            .benchmark
            .operations
            .duration(start, length, operation.name)
            .category(self.words.operation)
            .arg("stage", stage.name.as_str())
            .arg("actions", operation.actions)
            .emit()
    }

    fn stage(&mut self, graph: &Graph, span: &Span) -> Result<(), Error> {
        let (start, length) = times(span.start_ps, span.end_ps);
        let stage = &graph.stages[span.index as usize];
        let pass = &graph.passes[stage.pass as usize];
        self.recorded.slices += 1;
        self.rows
            .benchmark
            .layers
            .duration(start, length, stage.name.as_str())
            .category(self.words.layer)
            .arg("pass", pass.name.as_str())
            .emit()
    }

    fn pass(&mut self, graph: &Graph, span: &Span) -> Result<(), Error> {
        let (start, length) = times(span.start_ps, span.end_ps);
        let pass = &graph.passes[span.index as usize];
        let book = PassBook {
            tokens: pass.tokens,
            context: pass.context,
            tokens_per_s: float(pass.tokens)
                / Duration::from_nanos(length).as_secs_f64().max(f64::MIN_POSITIVE),
        };
        self.recorded.slices += 1;
        self.rows
            .benchmark
            .phases
            .duration(start, length, pass.name.as_str())
            .category(self.words.phase)
            .args(&book)
            .emit()
    }
}

/// Start and length in nanoseconds, rounded so that neighbours stay neighbours.
fn times(start_ps: u64, end_ps: u64) -> (u64, u64) {
    let start = to_ns(start_ps);
    (start, to_ns(end_ps) - start)
}
