//! When every action of a graph runs on its machine. NOT: what is shown of it.
//!
//! An event-driven simulation. Each cluster has a station per kind of engine, each die one for its
//! sending half of the ring. An action is ready when all it waits for has ended; a free engine
//! takes the ready action that comes first in program order. Compute actions then take what
//! [`cost`](crate::cost) says. A transfer first takes the latency of its path and then shares
//! bandwidth as [`fluid`](crate::fluid) says:
//!
//! ```text
//! load, hit    L2 ─▶ L1 port          store   L1 port ─▶ L2 ─▶ L3 (write-through)
//! load, miss   L3 ─▶ L2 ─▶ L1 port    ring    L2 ─▶ link ─▶ L2 of the next die
//! ```
//!
//! Nothing depends on hashing order, threads or the clock: the same input gives the same calls to
//! the observer, in the same order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::cache::Cache;
use crate::cost::{Cost, CostModel};
use crate::fluid::{Channel, Fluid, Path};
use crate::graph::{ActionId, Graph, Phase, Work};
use crate::hardware::Hardware;
use crate::meter::{Meter, OfCluster, OfDie};
use crate::observe::{Finished, Level, Observer, Span};
use crate::plan::Plan;
use crate::units::{bytes_per_ps, float, ns_to_ps};

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Simulated time of the whole run.
    pub total_ps: u64,
    /// Of which reading the prompt, to the first token of the answer.
    pub prefill_ps: u64,
    /// Of which the rest of the answer.
    pub decode_ps: u64,
    /// Tokens of the prompt.
    pub prefill_tokens: u64,
    /// Tokens generated after the first.
    pub decode_tokens: u64,
    /// Actions that ran, barriers included.
    pub actions: u64,
    /// Operations of the matrix engines, two to a multiply-add.
    pub matrix_flops: u64,
    /// Busy share of the matrix engines, 0 to 1.
    pub matrix_busy: f64,
    /// Operations done per operation the matrix engines could have done, 0 to 1.
    pub matrix_efficiency: f64,
    /// Busy share of the vector engines, 0 to 1.
    pub vector_busy: f64,
    /// Busy share of the DMA engines, 0 to 1.
    pub dma_busy: f64,
    /// Used share of the memories' bandwidth, 0 to 1.
    pub l3_used: f64,
    /// Used share of the links' bandwidth, 0 to 1; absent on a single die.
    pub link_used: Option<f64>,
    /// Bytes that passed the dies' memories.
    pub l3_bytes: f64,
    /// Share of cache look-ups that hit, 0 to 1.
    pub l2_hit_rate: f64,
    /// Energy of the run.
    pub energy_j: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A compute action's time is over.
    End,
    /// A transfer's first byte arrived.
    Stream,
}

/// The engines of one kind in one place.
#[derive(Debug, Default)]
struct Station {
    ready: BinaryHeap<Reverse<ActionId>>,
    free: BinaryHeap<Reverse<u32>>,
    engines: u32,
    changed: bool,
}

impl Station {
    fn new(engines: usize) -> Self {
        let free: BinaryHeap<_> = (0_u32..).take(engines).map(Reverse).collect();
        Self { engines: u32::try_from(free.len()).unwrap_or(u32::MAX), free, ..Self::default() }
    }
}

/// An action on an engine.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    engine: u32,
    start_ps: u64,
    stream_ps: u64,
    level: Option<Level>,
    cost: Cost,
}

/// Runs a plan, telling `observer` what happens and `progress` how many actions have ended, now
/// and then.
///
/// # Errors
///
/// What the observer returns; the run ends there.
pub fn simulate<O: Observer>(
    plan: &Plan,
    observer: &mut O,
    mut progress: impl FnMut(u64),
) -> Result<Summary, O::Error> {
    const PROGRESS_EVERY: u64 = 4096;
    let mut run = Run::new(plan, observer);
    let mut reported = 0;
    run.begin()?;
    while run.step()? {
        if run.ended >= reported + PROGRESS_EVERY {
            reported = run.ended;
            progress(reported);
        }
    }
    progress(run.ended);
    run.finish()
}

struct Run<'a, O> {
    graph: &'a Graph,
    hardware: &'a Hardware,
    observer: &'a mut O,
    costs: CostModel,
    now_ps: u64,
    waiting: Vec<u32>,
    /// Actions under way, by id; dense, since ids are.
    running: Vec<Running>,
    stations: Vec<Station>,
    events: BinaryHeap<Reverse<(u64, ActionId, Event)>>,
    fluid: Fluid,
    caches: Vec<Cache>,
    meter: Meter,
    left_of_operation: Vec<u32>,
    operation_start_ps: u64,
    stage_start_ps: u64,
    pass_start_ps: u64,
    ended: u64,
    dma_ps: u64,
    summary: Summary,
    /// Scratch.
    ended_transfers: Vec<ActionId>,
    newly_ready: Vec<ActionId>,
}

const STATIONS_PER_CLUSTER: usize = 3;

impl<'a, O: Observer> Run<'a, O> {
    fn new(plan: &'a Plan, observer: &'a mut O) -> Self {
        let (graph, hardware) = (plan.graph(), plan.hardware());
        let mut stations = Vec::new();
        for _ in 0..hardware.clusters() {
            stations.push(Station::new(hardware.matrix.engines));
            stations.push(Station::new(hardware.vector.engines));
            stations.push(Station::new(hardware.dma.engines));
        }
        stations.extend((0..hardware.dies).map(|_| Station::new(1)));
        let count = |action: usize| {
            let action = u32::try_from(action).expect("the graph is limited");
            u32::try_from(graph.incoming(action).len()).expect("the graph is limited")
        };
        Self {
            graph,
            hardware,
            observer,
            costs: CostModel::new(hardware, plan.model().element_bytes),
            now_ps: 0,
            waiting: (0..graph.actions.len()).map(count).collect(),
            running: vec![Running::default(); graph.actions.len()],
            stations,
            events: BinaryHeap::new(),
            fluid: Fluid::new(capacities(hardware)),
            caches: (0..hardware.dies).map(|_| Cache::new(hardware.l2.capacity_bytes)).collect(),
            meter: Meter::new(hardware, plan.counter_interval_ps()),
            left_of_operation: graph.operations.iter().map(|operation| operation.actions).collect(),
            operation_start_ps: 0,
            stage_start_ps: 0,
            pass_start_ps: 0,
            ended: 0,
            dma_ps: 0,
            summary: Summary::default(),
            ended_transfers: Vec::new(),
            newly_ready: Vec::new(),
        }
    }

    /// Starts whatever waits for nothing.
    fn begin(&mut self) -> Result<(), O::Error> {
        self.newly_ready = (0_u32..)
            .zip(&self.waiting)
            .filter(|(_, waiting)| **waiting == 0)
            .map(|(action, _)| action)
            .collect();
        self.place_ready()?;
        self.dispatch();
        Ok(())
    }

    /// Goes to the next moment at which anything happens. False when nothing will.
    fn step(&mut self) -> Result<bool, O::Error> {
        let event_ps = self.events.peek().map(|Reverse((at_ps, ..))| *at_ps);
        let Some(next_ps) = [event_ps, self.fluid.next_ps()].into_iter().flatten().min() else {
            return Ok(false);
        };
        self.advance_fluid(next_ps);
        self.now_ps = next_ps;
        while let Some(sample) = self.meter.ended(next_ps) {
            self.observer.sample(&sample)?;
        }
        let mut ended = std::mem::take(&mut self.ended_transfers);
        for action in ended.drain(..) {
            self.end(action)?;
        }
        self.ended_transfers = ended;
        while let Some(&Reverse((at_ps, action, event))) = self.events.peek() {
            if at_ps != next_ps {
                break;
            }
            self.events.pop();
            match event {
                Event::End => self.end(action)?,
                Event::Stream => self.stream(action),
            }
        }
        self.place_ready()?;
        self.dispatch();
        Ok(true)
    }

    fn advance_fluid(&mut self, to_ps: u64) {
        let (meter, hardware) = (&mut self.meter, self.hardware);
        let dies = hardware.dies;
        self.fluid.advance(
            to_ps,
            |channel, from_ps, to_ps, bytes| {
                let channel = usize::from(channel);
                match channel / dies {
                    0 => meter.die(channel, OfDie::L3Bytes, from_ps, to_ps, bytes),
                    1 => meter.die(channel - dies, OfDie::L2Bytes, from_ps, to_ps, bytes),
                    2 => meter.die(channel - 2 * dies, OfDie::LinkBytes, from_ps, to_ps, bytes),
                    _ => {
                        let cluster = channel - 3 * dies;
                        meter.cluster(cluster, OfCluster::L1Bytes, from_ps, to_ps, bytes);
                    }
                }
            },
            &mut self.ended_transfers,
        );
    }

    fn station_of(&self, action: ActionId) -> Option<usize> {
        let action = &self.graph.actions[action as usize];
        let place = action.place as usize;
        let of_cluster = |kind| Some(place * STATIONS_PER_CLUSTER + kind);
        match action.work {
            Work::Gemm { .. } => of_cluster(0),
            Work::Vector { .. } => of_cluster(1),
            Work::Load(_) | Work::Store(_) => of_cluster(2),
            Work::Ring { .. } => Some(self.hardware.clusters() * STATIONS_PER_CLUSTER + place),
            Work::Barrier | Work::Join => None,
        }
    }

    /// Queues the actions that became ready; barriers and joins end at once and may make more
    /// actions ready.
    fn place_ready(&mut self) -> Result<(), O::Error> {
        while let Some(action) = self.newly_ready.pop() {
            if let Some(station) = self.station_of(action) {
                let station = &mut self.stations[station];
                station.ready.push(Reverse(action));
                station.changed = true;
            } else {
                self.running[action as usize].start_ps = self.now_ps;
                self.running[action as usize].stream_ps = self.now_ps;
                self.end(action)?;
            }
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        for index in 0..self.stations.len() {
            if !std::mem::take(&mut self.stations[index].changed) {
                continue;
            }
            loop {
                let station = &mut self.stations[index];
                if station.free.is_empty() {
                    break;
                }
                let Some(Reverse(action)) = station.ready.pop() else {
                    break;
                };
                let Some(Reverse(engine)) = station.free.pop() else {
                    break;
                };
                self.start(action, engine);
            }
        }
    }

    fn start(&mut self, action: ActionId, engine: u32) {
        let place = self.graph.actions[action as usize].place as usize;
        let work = &self.graph.actions[action as usize].work;
        let busy = match work {
            Work::Gemm { .. } => OfCluster::MatrixPs,
            Work::Vector { .. } => OfCluster::VectorPs,
            _ => return self.start_transfer(action, engine),
        };
        let cost = self.costs.of(work);
        let (start, end) = (self.now_ps, self.now_ps + cost.duration_ps);
        self.meter.cluster(place, busy, start, end, float(cost.duration_ps));
        self.meter.cluster(place, OfCluster::L1Bytes, start, end, float(cost.l1_bytes));
        self.meter.cluster(place, OfCluster::ComputePj, start, end, cost.compute_pj);
        self.running[action as usize] =
            Running { engine, start_ps: start, stream_ps: start, level: None, cost };
        self.events.push(Reverse((end, action, Event::End)));
    }

    fn start_transfer(&mut self, action: ActionId, engine: u32) {
        let (hardware, now) = (self.hardware, self.now_ps);
        let place = self.graph.actions[action as usize].place as usize;
        let (level, latency_ns) = match self.graph.actions[action as usize].work {
            Work::Ring { .. } => {
                let link = hardware.link.as_ref().map_or(0.0, |link| link.latency_ns);
                (Level::Link, link + hardware.l2.latency_ns)
            }
            Work::Load(transfer) => {
                let die = hardware.die_of(place);
                let hit = self.caches[die].touch(transfer.block, transfer.block_bytes);
                let what = if hit { OfDie::Hits } else { OfDie::Misses };
                self.meter.die(die, what, now, now, 1.0);
                let near = hardware.dma.startup_ns + hardware.l2.latency_ns;
                if hit { (Level::L2, near) } else { (Level::L3, near + hardware.l3.latency_ns) }
            }
            Work::Store(transfer) => {
                // Writes find the block or make it; either way they are no look-up.
                let die = hardware.die_of(place);
                self.caches[die].touch(transfer.block, transfer.block_bytes);
                let near = hardware.dma.startup_ns + hardware.l1.latency_ns;
                (Level::L3, near)
            }
            Work::Gemm { .. } | Work::Vector { .. } | Work::Barrier | Work::Join => return,
        };
        let stream_ps = now + ns_to_ps(latency_ns).max(1);
        self.running[action as usize] =
            Running { engine, start_ps: now, stream_ps, level: Some(level), cost: Cost::default() };
        self.events.push(Reverse((stream_ps, action, Event::Stream)));
    }

    /// The first byte is there; from now on the transfer shares bandwidth.
    fn stream(&mut self, action: ActionId) {
        let hardware = self.hardware;
        let dies = hardware.dies;
        let place = self.graph.actions[action as usize].place as usize;
        let channel = |number: usize| {
            Channel::try_from(number).expect("machines are limited to 64 dies of 64 clusters")
        };
        let (bytes, path, limit) = match self.graph.actions[action as usize].work {
            Work::Load(transfer) | Work::Store(transfer) => {
                let die = hardware.die_of(place);
                let (l3, l2) = (channel(die), channel(dies + die));
                let l1 = channel(3 * dies + place);
                let path = match self.running[action as usize].level {
                    Some(Level::L2) => Path::new(&[l2, l1]),
                    _ => Path::new(&[l3, l2, l1]),
                };
                (transfer.bytes, path, bytes_per_ps(hardware.dma.bandwidth_gb_s))
            }
            Work::Ring { bytes } => {
                let link = channel(2 * dies + place);
                let l2 = [place, (place + 1) % dies].map(|die| channel(dies + die));
                (bytes, Path::new(&[l2[0], link, l2[1]]), f64::INFINITY)
            }
            Work::Gemm { .. } | Work::Vector { .. } | Work::Barrier | Work::Join => return,
        };
        self.fluid.start(action, path, bytes, limit);
    }

    fn end(&mut self, action: ActionId) -> Result<(), O::Error> {
        let running = self.running[action as usize];
        let graph = self.graph;
        let node = &graph.actions[action as usize];
        if let Some(station) = self.station_of(action) {
            let station = &mut self.stations[station];
            station.free.push(Reverse(running.engine));
            debug_assert!(station.free.len() <= station.engines as usize);
            station.changed = true;
        }
        match node.work {
            Work::Gemm { .. } => self.summary.matrix_flops += running.cost.flops,
            Work::Load(_) | Work::Store(_) => self.dma_ps += self.now_ps - running.start_ps,
            _ => {}
        }
        if node.work != Work::Join {
            self.observer.finished(
                graph,
                &Finished {
                    action,
                    engine: running.engine,
                    start_ps: running.start_ps,
                    stream_ps: running.stream_ps,
                    end_ps: self.now_ps,
                    level: running.level,
                    cost: running.cost,
                },
            )?;
        }
        self.ended += 1;
        for &edge in graph.outgoing(action) {
            let to = graph.edges[edge as usize].to;
            let waiting = &mut self.waiting[to as usize];
            *waiting -= 1;
            if *waiting == 0 {
                self.newly_ready.push(to);
            }
        }
        let left = &mut self.left_of_operation[node.operation as usize];
        *left -= 1;
        if *left == 0 {
            let span = self.span_from(node.operation, self.operation_start_ps);
            self.operation_start_ps = self.now_ps;
            self.observer.operation(graph, &span)?;
        }
        if node.work == Work::Barrier {
            self.end_stage(graph.operations[node.operation as usize].stage)?;
        }
        Ok(())
    }

    fn span_from(&self, index: u32, start_ps: u64) -> Span {
        Span { index, start_ps, end_ps: self.now_ps }
    }

    fn end_stage(&mut self, stage: u32) -> Result<(), O::Error> {
        let span = self.span_from(stage, self.stage_start_ps);
        self.stage_start_ps = self.now_ps;
        self.observer.stage(self.graph, &span)?;
        let number = self.graph.stages[stage as usize].pass;
        let pass = &self.graph.passes[number as usize];
        if stage + 1 == pass.stages.end {
            let span = self.span_from(number, self.pass_start_ps);
            let (time, tokens) = match pass.phase {
                Phase::Prefill => (&mut self.summary.prefill_ps, &mut self.summary.prefill_tokens),
                Phase::Decode => (&mut self.summary.decode_ps, &mut self.summary.decode_tokens),
            };
            *time += self.now_ps - self.pass_start_ps;
            *tokens += pass.tokens;
            self.pass_start_ps = self.now_ps;
            self.observer.pass(self.graph, &span)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Summary, O::Error> {
        debug_assert_eq!(self.ended, self.graph.actions.len() as u64, "a graph has no cycles");
        if let Some(sample) = self.meter.last(self.now_ps) {
            self.observer.sample(&sample)?;
        }
        let (hardware, meter) = (self.hardware, &self.meter);
        let run = float(self.now_ps).max(1.0);
        let engines = |per_cluster: usize| run * float((per_cluster * hardware.clusters()) as u64);
        let matrix = &hardware.matrix;
        let hz = float(matrix.frequency_mhz) * 1e-6;
        let peak_per_ps = float(2 * matrix.rows * matrix.columns) * hz;
        let used = |bytes: f64, gb_s: f64| {
            bytes / (run * bytes_per_ps(gb_s) * float(hardware.dies as u64))
        };
        let l3_bytes = meter.total_of_dies(OfDie::L3Bytes);
        let hits = meter.total_of_dies(OfDie::Hits);
        let misses = meter.total_of_dies(OfDie::Misses);
        let flops = self.summary.matrix_flops;
        Ok(Summary {
            total_ps: self.now_ps,
            actions: self.ended,
            matrix_busy: meter.total_of_clusters(OfCluster::MatrixPs) / engines(matrix.engines),
            matrix_efficiency: float(flops) / (engines(matrix.engines) * peak_per_ps),
            vector_busy: meter.total_of_clusters(OfCluster::VectorPs)
                / engines(hardware.vector.engines),
            dma_busy: float(self.dma_ps) / engines(hardware.dma.engines),
            l3_used: used(l3_bytes, hardware.l3.bandwidth_gb_s),
            link_used: hardware
                .link
                .as_ref()
                .map(|link| used(meter.total_of_dies(OfDie::LinkBytes), link.bandwidth_gb_s)),
            l3_bytes,
            l2_hit_rate: hits / (hits + misses).max(1.0),
            energy_j: meter.energy_j(self.now_ps),
            ..self.summary
        })
    }
}

/// Memories, caches and links of all dies, then the scratchpad ports of all clusters. The DMA
/// engines have half of a scratchpad's bandwidth.
fn capacities(hardware: &Hardware) -> Vec<f64> {
    let link = hardware.link.as_ref().map_or(0.0, |link| link.bandwidth_gb_s);
    let of_dies = [hardware.l3.bandwidth_gb_s, hardware.l2.bandwidth_gb_s, link]
        .into_iter()
        .flat_map(|gb_s| std::iter::repeat_n(gb_s, hardware.dies));
    let ports = std::iter::repeat_n(hardware.l1.bandwidth_gb_s / 2.0, hardware.clusters());
    of_dies.chain(ports).map(bytes_per_ps).collect()
}
