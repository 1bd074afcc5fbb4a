//! A model's run as actions on a machine. NOT: how long anything takes.
//!
//! The weights are spread over all clusters of all dies (tensor parallel, as [`Shard`] says). A
//! layer is two halves with the same shape:
//!
//! ```text
//! norm ─▶ q k v ─▶ rope, cache ─▶ scores, softmax, context per head ─▶ o_proj ─┐
//!                                                                              ├▶ partial sums
//! norm ─▶ gate up ─▶ silu ─▶ down_proj ────────────────────────────────────────┘   in L2
//!                                                    reduce within the die ─▶ ring between dies
//! ```
//!
//! Weight tiles and cached keys go through a few scratchpad slots per cluster: a load waits until
//! the tile that had its slot was used, and for nothing else, so loads run ahead of barriers as a
//! prefetcher would. Everything else waits for its data.
//!
//! The prompt is cut into chunks whose activations fit the scratchpad. Attention is computed for
//! whole tiles of keys; masked scores are not skipped. Only the prompt's last token goes through
//! the output matrix.

mod attention;
mod collective;

use std::ops::Range;

use crate::cache::BlockId;
use crate::error::Error;
use crate::graph::{ActionId, Builder, Graph, Phase, Transfer, VectorWork, Why, Work};
use crate::hardware::Hardware;
use crate::model::{Architecture, Model};
use crate::tiling::{Shard, Tiling, even_part, pieces, shards};
use crate::workload::{Workload, check, passes};

/// Matrices of a layer, as the cache knows them.
mod matrix {
    pub(super) const Q: u32 = 0;
    pub(super) const K: u32 = 1;
    pub(super) const V: u32 = 2;
    pub(super) const O: u32 = 3;
    pub(super) const UP: u32 = 4;
    pub(super) const GATE: u32 = 5;
    pub(super) const DOWN: u32 = 6;
    pub(super) const HEAD: u32 = 7;
}

/// The actions of a workload, unless it does not fit.
pub(crate) fn lower(
    model: &Model,
    hardware: &Hardware,
    workload: &Workload,
) -> Result<(Graph, Tiling), Error> {
    let tiling = check(model, hardware, workload)?;
    let mut lowering = Lowering {
        model,
        hardware,
        shards: shards(model, hardware),
        slots: vec![Slots::new(tiling.slots); hardware.clusters()],
        tiling,
        builder: Builder::default(),
        activations: 0,
        suffix: String::new(),
        layer: 0,
    };
    let mut barrier = None;
    let (mut chunk, mut step) = (0, 0);
    for (phase, tokens) in passes(workload, lowering.tiling.tokens) {
        let name = match phase {
            Phase::Prefill => {
                chunk += 1;
                format!("prefill {chunk}: {} tokens", tokens.end - tokens.start)
            }
            Phase::Decode => {
                step += 1;
                format!("decode {step}")
            }
        };
        let answers = tokens.end >= workload.prompt_tokens;
        barrier = Some(lowering.pass(name, phase, &tokens, answers, barrier));
    }
    Ok((lowering.builder.finish(), lowering.tiling))
}

/// Scratchpad slots of a cluster, used in turn.
#[derive(Clone, Debug)]
struct Slots {
    /// The last user of each slot's tile.
    last_user: Vec<Option<ActionId>>,
    next: usize,
}

impl Slots {
    fn new(count: usize) -> Self {
        Self { last_user: vec![None; count], next: 0 }
    }
}

/// Where the residual stream can be read on each die, and from when.
#[derive(Debug)]
struct Residual {
    block: BlockId,
    ready: Vec<(ActionId, Why)>,
}

/// The output of a norm: complete on a die after `joins`, stored in parts by the clusters.
#[derive(Debug)]
struct Normed {
    rows: u64,
    block: BlockId,
    joins: Vec<ActionId>,
    stores: Vec<Option<ActionId>>,
}

/// Ranges of columns and who produced them.
type Columns = Vec<(Range<u64>, ActionId)>;

/// Partial sums that a cluster left in L2.
#[derive(Debug)]
struct Partial {
    block: BlockId,
    stores: Vec<ActionId>,
}

#[derive(Debug)]
struct Lowering<'a> {
    model: &'a Model,
    hardware: &'a Hardware,
    shards: Vec<Shard>,
    slots: Vec<Slots>,
    tiling: Tiling,
    builder: Builder,
    activations: u32,
    /// ` L3` within layers.
    suffix: String,
    layer: u32,
}

impl Lowering<'_> {
    fn pass(
        &mut self,
        name: String,
        phase: Phase,
        tokens: &Range<u64>,
        answers: bool,
        after: Option<ActionId>,
    ) -> ActionId {
        let rows = tokens.end - tokens.start;
        self.builder.begin_pass(name, phase, rows, tokens.end);
        let mut residual = self.embedding(rows, after);
        for layer in 0..self.model.layers {
            self.suffix = format!(" L{layer}");
            self.layer = small(layer);
            self.builder.begin_stage(format!("layer {layer}"));
            let normed = self.norm("attn norm", rows, &residual);
            let partials = self.attention(&normed, tokens);
            let names = ["attn reduce", "attn all-reduce"];
            residual = self.all_reduce(names, rows, &partials, &residual).0;
            let normed = self.norm("mlp norm", rows, &residual);
            let partials = self.feed_forward(&normed);
            let names = ["mlp reduce", "mlp all-reduce"];
            let (next, last) = self.all_reduce(names, rows, &partials, &residual);
            residual = self.barrier(next.block, &last);
        }
        self.suffix.clear();
        if answers {
            residual = self.head(&residual);
        }
        residual.ready[0].0
    }

    fn barrier(&mut self, block: BlockId, after: &[ActionId]) -> Residual {
        let barrier = self.builder.barrier(after);
        Residual { block, ready: vec![(barrier, Why::Order); self.hardware.dies] }
    }

    fn activation(&mut self) -> BlockId {
        self.activations += 1;
        BlockId::Activation(self.activations)
    }

    fn bytes(&self, elements: u64) -> u64 {
        elements * self.model.element_bytes
    }

    /// The rows that each cluster of a die has of a tensor spread by rows; none if there are more
    /// clusters than rows.
    fn row_parts(&self, rows: u64) -> Vec<(usize, usize, u64)> {
        let per_die = self.hardware.clusters_per_die;
        (0..self.hardware.clusters())
            .map(|cluster| {
                let part = even_part(rows, per_die, cluster % per_die);
                (self.hardware.die_of(cluster), cluster, part.end - part.start)
            })
            .filter(|(_, _, part)| *part > 0)
            .collect()
    }

    fn embedding(&mut self, rows: u64, after: Option<ActionId>) -> Residual {
        self.builder.begin_stage("embedding".to_owned());
        self.builder.begin_operation("embedding");
        let hidden = self.model.hidden;
        let block = self.activation();
        let whole = self.bytes(rows * hidden);
        let mut stores = Vec::new();
        for (_, cluster, part) in self.row_parts(rows) {
            let bytes = self.bytes(part * hidden);
            // Rows of the table that nobody else wants: a block of their own.
            let rows_block = self.activation();
            let load = self.load("load embedding", cluster, bytes, rows_block, bytes);
            if let Some(barrier) = after {
                self.builder.wait(barrier, Why::Order);
            }
            let kind = VectorWork::Embed;
            let embed = self.vector("embed", cluster, kind, part * hidden, &[load]);
            stores.push(self.store("store embedding", cluster, bytes, block, whole, embed));
        }
        self.barrier(block, &stores)
    }

    /// A name with the layer where the text has `#`, or at its end.
    fn label(&self, text: &str) -> String {
        match text.split_once('#') {
            Some((what, which)) => format!("{what}{}{which}", self.suffix),
            None => format!("{text}{}", self.suffix),
        }
    }

    fn load(
        &mut self,
        label: &str,
        cluster: usize,
        bytes: u64,
        block: BlockId,
        block_bytes: u64,
    ) -> ActionId {
        let work = Work::Load(Transfer { bytes, block, block_bytes });
        let label = self.label(label);
        self.builder.push(work, cluster, label)
    }

    fn store(
        &mut self,
        label: &str,
        cluster: usize,
        bytes: u64,
        block: BlockId,
        block_bytes: u64,
        from: ActionId,
    ) -> ActionId {
        let work = Work::Store(Transfer { bytes, block, block_bytes });
        let label = self.label(label);
        let store = self.builder.push(work, cluster, label);
        self.builder.wait(from, Why::Data);
        store
    }

    fn vector(
        &mut self,
        label: &str,
        cluster: usize,
        kind: VectorWork,
        elements: u64,
        after: &[ActionId],
    ) -> ActionId {
        let label = self.label(label);
        let action = self.builder.push(Work::Vector { kind, elements }, cluster, label);
        for &from in after {
            self.builder.wait(from, Why::Data);
        }
        action
    }

    /// Norm of the residual stream, rows spread over the clusters of each die.
    fn norm(&mut self, name: &'static str, rows: u64, residual: &Residual) -> Normed {
        self.builder.begin_operation(name);
        let hidden = self.model.hidden;
        let (whole, block) = (self.bytes(rows * hidden), self.activation());
        let mut stores = vec![None; self.hardware.clusters()];
        for (die, cluster, part) in self.row_parts(rows) {
            let bytes = self.bytes(part * hidden);
            let load = self.load(&format!("load {name}"), cluster, bytes, residual.block, whole);
            let (ready, why) = residual.ready[die];
            self.builder.wait(ready, why);
            let norm = self.vector(name, cluster, VectorWork::Norm, part * hidden, &[load]);
            let store = self.store(&format!("store {name}"), cluster, bytes, block, whole, norm);
            stores[cluster] = Some(store);
        }
        let joins = (0..self.hardware.dies)
            .map(|die| {
                let parts = stores[self.hardware.clusters_of(die)].iter().flatten();
                self.builder.join(parts.copied())
            })
            .collect();
        Normed { rows, block, joins, stores }
    }

    /// The normed activations of all rows, in pieces along the inner dimension.
    fn inputs(&mut self, name: &str, cluster: usize, normed: &Normed) -> Columns {
        let hidden = self.model.hidden;
        let whole = self.bytes(normed.rows * hidden);
        pieces(0..hidden, self.tiling.k)
            .enumerate()
            .map(|(index, range)| {
                let bytes = self.bytes(normed.rows * (range.end - range.start));
                let label = format!("load {name}# x k{index}");
                let load = self.load(&label, cluster, bytes, normed.block, whole);
                self.builder.wait(normed.joins[self.hardware.die_of(cluster)], Why::Order);
                if let Some(own) = normed.stores[cluster] {
                    self.builder.wait(own, Why::Data);
                }
                (range, load)
            })
            .collect()
    }

    /// Brings a tile into the next slot, when that slot's tile was used.
    fn load_tile(&mut self, label: &str, cluster: usize, transfer: Transfer) -> (ActionId, usize) {
        let label = self.label(label);
        let load = self.builder.push(Work::Load(transfer), cluster, label);
        let slots = &mut self.slots[cluster];
        let slot = slots.next;
        slots.next = (slot + 1) % slots.last_user.len();
        if let Some(user) = slots.last_user[slot].take() {
            self.builder.wait(user, Why::Order);
        }
        (load, slot)
    }

    /// A matrix product of one cluster: `rows` × inner by inner × `width`.
    ///
    /// As many output tiles as there are engines are accumulated side by side, so that engines are
    /// not idle while one output tile goes through its inner tiles one after the other.
    fn project(
        &mut self,
        name: &str,
        matrix: u32,
        cluster: usize,
        rows: u64,
        width: u64,
        input: &Columns,
    ) -> Columns {
        let inner = input.last().map_or(0, |(range, _)| range.end);
        let outputs: Vec<_> = pieces(0..width, self.tiling.n).collect();
        let mut produced: Columns = Vec::new();
        let mut tile = 0;
        for (group_index, group) in outputs.chunks(self.hardware.matrix.engines).enumerate() {
            let mut chains: Vec<Option<ActionId>> = vec![None; group.len()];
            for deep in pieces(0..inner, self.tiling.k) {
                for (member, wide) in group.iter().enumerate() {
                    let (n, k) = (wide.end - wide.start, deep.end - deep.start);
                    let bytes = self.bytes(n * k);
                    let block = BlockId::Weight {
                        layer: self.layer,
                        matrix,
                        cluster: small(cluster as u64),
                        tile,
                    };
                    let transfer = Transfer { bytes, block, block_bytes: bytes };
                    let (load, slot) =
                        self.load_tile(&format!("load {name}# w{tile}"), cluster, transfer);
                    let work = Work::Gemm { m: small(rows), n: small(n), k: small(k) };
                    let label = self.label(&format!("{name}# t{tile}"));
                    let gemm = self.builder.push(work, cluster, label);
                    self.builder.wait(load, Why::Data);
                    let first_use = group_index == 0 && member == 0;
                    for (_, from) in overlapping(input, &deep) {
                        let why = if first_use { Why::Data } else { Why::Order };
                        self.builder.wait(*from, why);
                    }
                    if let Some(previous) = chains[member].replace(gemm) {
                        self.builder.wait(previous, Why::Order);
                    }
                    self.slots[cluster].last_user[slot] = Some(gemm);
                    tile += 1;
                }
            }
            for (wide, chain) in group.iter().zip(chains) {
                if let Some(last) = chain {
                    produced.push((wide.clone(), last));
                }
            }
        }
        produced
    }

    /// A product whose inner dimension is spread over the clusters: each leaves partial sums.
    fn project_partial(
        &mut self,
        name: &'static str,
        matrix: u32,
        rows: u64,
        inputs: &[Columns],
    ) -> Vec<Option<Partial>> {
        self.builder.begin_operation(name);
        let hidden = self.model.hidden;
        let whole = self.bytes(rows * hidden);
        let mut partials = Vec::new();
        for (cluster, input) in inputs.iter().enumerate() {
            if input.is_empty() {
                partials.push(None);
                continue;
            }
            let block = self.activation();
            let outputs = self.project(name, matrix, cluster, rows, hidden, input);
            let stores = outputs
                .iter()
                .enumerate()
                .map(|(index, (range, gemm))| {
                    let bytes = self.bytes(rows * (range.end - range.start));
                    let label = format!("store {name}# p{index}");
                    self.store(&label, cluster, bytes, block, whole, *gemm)
                })
                .collect();
            partials.push(Some(Partial { block, stores }));
        }
        partials
    }

    fn feed_forward(&mut self, normed: &Normed) -> Vec<Option<Partial>> {
        let rows = normed.rows;
        let clusters = self.hardware.clusters();
        let gated = self.model.architecture == Architecture::Llama;
        let names: &[_] = if gated {
            &[("gate_proj", matrix::GATE), ("up_proj", matrix::UP)]
        } else {
            &[("up_proj", matrix::UP)]
        };
        let widths: Vec<_> = self
            .shards
            .iter()
            .map(|shard| shard.feed_forward.end - shard.feed_forward.start)
            .collect();
        let mut inputs = vec![Columns::new(); clusters];
        let mut projected = vec![Vec::new(); clusters];
        for (index, &(name, matrix)) in names.iter().enumerate() {
            self.builder.begin_operation(name);
            for cluster in (0..clusters).filter(|&cluster| widths[cluster] > 0) {
                if index == 0 {
                    inputs[cluster] = self.inputs("mlp", cluster, normed);
                }
                let input = &inputs[cluster];
                let columns = self.project(name, matrix, cluster, rows, widths[cluster], input);
                projected[cluster].push(columns);
            }
        }
        let (name, kind) =
            if gated { ("silu", VectorWork::GatedSilu) } else { ("gelu", VectorWork::Gelu) };
        self.builder.begin_operation(name);
        let mut activated = vec![Columns::new(); clusters];
        for (cluster, halves) in projected.iter().enumerate() {
            let Some(first) = halves.first() else {
                continue;
            };
            for (tile, (range, _)) in first.iter().enumerate() {
                let after: Vec<_> = halves
                    .iter()
                    .flat_map(|half| overlapping(half, range))
                    .map(|(_, from)| *from)
                    .collect();
                let elements = rows * (range.end - range.start);
                let label = format!("{name}# t{tile}");
                let action = self.vector(&label, cluster, kind, elements, &after);
                activated[cluster].push((range.clone(), action));
            }
        }
        self.project_partial("down_proj", matrix::DOWN, rows, &activated)
    }

    /// The last token's logits, and which is largest.
    fn head(&mut self, residual: &Residual) -> Residual {
        const CANDIDATE_BYTES: u64 = 64;
        self.layer = u32::MAX;
        self.builder.begin_stage("lm head".to_owned());
        let normed = self.norm("final norm", 1, residual);
        let clusters = self.hardware.clusters();
        let width = |shard: &Shard| shard.vocabulary.end - shard.vocabulary.start;
        let widths: Vec<_> = self.shards.iter().map(width).collect();
        self.builder.begin_operation("lm_head");
        let mut logits = vec![Columns::new(); clusters];
        for cluster in (0..clusters).filter(|&cluster| widths[cluster] > 0) {
            let input = self.inputs("lm_head", cluster, &normed);
            logits[cluster] =
                self.project("lm_head", matrix::HEAD, cluster, 1, widths[cluster], &input);
        }
        self.builder.begin_operation("argmax");
        let block = self.activation();
        let mut stores = vec![Vec::new(); self.hardware.dies];
        for cluster in (0..clusters).filter(|&cluster| widths[cluster] > 0) {
            let after: Vec<_> = logits[cluster].iter().map(|(_, from)| *from).collect();
            let kind = VectorWork::ArgMax;
            let action = self.vector("argmax", cluster, kind, widths[cluster], &after);
            let bytes = CANDIDATE_BYTES;
            let store = self.store("store argmax", cluster, bytes, block, bytes, action);
            stores[self.hardware.die_of(cluster)].push(store);
        }
        let (after, last) =
            self.ring("argmax all-reduce", CANDIDATE_BYTES, block, &stores, residual);
        self.barrier(after.block, &last)
    }
}

fn overlapping<'c>(
    columns: &'c Columns,
    range: &Range<u64>,
) -> impl Iterator<Item = &'c (Range<u64>, ActionId)> + use<'c> {
    let range = range.clone();
    columns
        .iter()
        .filter(move |(columns, _)| columns.start < range.end && range.start < columns.end)
}

/// Sizes of tiles and counts of layers, heads and tiles are far below 2^32 once the number of
/// actions has been checked.
fn small(value: u64) -> u32 {
    u32::try_from(value).expect("the limit on actions bounds all counts")
}

fn index(value: u64) -> usize {
    usize::try_from(value).expect("the limit on actions bounds all counts")
}
