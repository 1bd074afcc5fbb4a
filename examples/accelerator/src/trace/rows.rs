//! Groups and rows of the trace, in the order in which they are to be seen.
//!
//! | group | rows |
//! |---|---|
//! | Benchmark | phases, layers, operations as slices; barriers as instants |
//! | Die:0 › Global | the ring's sending half; power, energy, traffic and hit rate as counters |
//! | Die:0 › Cluster:0 | a row per engine, below a DMA engine's the path of its transfers; counters |

use novatrace::{CounterTrack, NormalTrack, TraceGenerator};

use crate::plan::Plan;

#[derive(Debug)]
pub(super) struct Rows {
    pub(super) benchmark: Benchmark,
    pub(super) dies: Vec<Die>,
    /// Numbered over the whole machine.
    pub(super) clusters: Vec<Cluster>,
}

#[derive(Debug)]
pub(super) struct Benchmark {
    pub(super) phases: NormalTrack,
    pub(super) layers: NormalTrack,
    pub(super) operations: NormalTrack,
    pub(super) barriers: NormalTrack,
}

#[derive(Debug)]
pub(super) struct Die {
    pub(super) ring: Option<NormalTrack>,
    pub(super) power: CounterTrack,
    pub(super) energy: CounterTrack,
    pub(super) l3: CounterTrack,
    pub(super) l2: CounterTrack,
    pub(super) hit_rate: CounterTrack,
    pub(super) link: Option<CounterTrack>,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) matrix: Vec<NormalTrack>,
    pub(super) vector: Vec<NormalTrack>,
    pub(super) dma: Vec<NormalTrack>,
    pub(super) paths: Vec<NormalTrack>,
    pub(super) l1: CounterTrack,
    pub(super) matrix_busy: CounterTrack,
    pub(super) vector_busy: CounterTrack,
    pub(super) power: CounterTrack,
}

impl Rows {
    pub(super) fn new(plan: &Plan, generator: &TraceGenerator) -> Self {
        let hardware = plan.hardware();
        let window = format!("{} µs", plan.counter_interval_ps() / 1_000_000);
        // One group around all: the viewer orders what is at the very top by name, and everything
        // deeper as it was made.
        let whole = generator.group(&format!("{} on {}", plan.model().name, hardware.name));
        let group = whole.group("Benchmark");
        let benchmark = Benchmark {
            phases: group.track("Phases"),
            layers: group.track("Layers"),
            operations: group.track("Operations"),
            barriers: group.track("Barriers"),
        };
        let mut dies = Vec::new();
        let mut clusters = Vec::new();
        for die in (0_u32..).take(hardware.dies) {
            let several = hardware.dies > 1;
            let of_die = whole.group(&format!("Die:{die}"));
            let group = of_die.group("Global");
            dies.push(Die {
                ring: several.then(|| group.track("Ring")),
                power: group
                    .counter("Power")
                    .unit("W")
                    .description(&format!("Mean over {window}, clusters included")),
                energy: group
                    .counter("Energy")
                    .unit("mJ")
                    .description("Since the start, clusters included"),
                l3: group
                    .counter("L3 bandwidth")
                    .unit("GB/s")
                    .description("Traffic of the die's memory"),
                l2: group
                    .counter("L2 bandwidth")
                    .unit("GB/s")
                    .description("Traffic of the die's cache"),
                hit_rate: group.counter("L2 hit rate").unit("%").description(&format!(
                    "Of the loads that began in {window}; no sample if there were none"
                )),
                link: several.then(|| {
                    group
                        .counter("D2D bandwidth")
                        .unit("GB/s")
                        .description("Sent to the next die of the ring")
                }),
            });
            for cluster in (0_u32..).take(hardware.clusters_per_die) {
                let group = of_die.group(&format!("Cluster:{cluster}"));
                let rows = |kind: &str, engines: usize| -> Vec<_> {
                    (0..engines).map(|engine| group.track(&format!("{kind}:{engine}"))).collect()
                };
                let matrix = rows("XPU", hardware.matrix.engines);
                let vector = rows("VPU", hardware.vector.engines);
                let (dma, paths) = (0..hardware.dma.engines)
                    .map(|engine| {
                        let own = group.track(&format!("DMA:{engine}"));
                        (own, group.track(&format!("DMA:{engine} path")))
                    })
                    .unzip();
                clusters.push(Cluster {
                    matrix,
                    vector,
                    dma,
                    paths,
                    l1: group
                        .counter("L1 bandwidth")
                        .unit("GB/s")
                        .description("Traffic of the scratchpad, engines and DMA"),
                    matrix_busy: group.counter("XPU utilisation").unit("%"),
                    vector_busy: group.counter("VPU utilisation").unit("%"),
                    power: group
                        .counter("Power")
                        .unit("W")
                        .description(&format!("Mean over {window}")),
                });
            }
        }
        Self { benchmark, dies, clusters }
    }
}
