//! From the normed activations to attention's partial sums, by way of the cached keys and values.

use std::ops::Range;

use super::{Columns, Lowering, Normed, Partial, index, matrix, overlapping, small};
use crate::cache::BlockId;
use crate::graph::{ActionId, Transfer, VectorWork, Why, Work};
use crate::model::Architecture;
use crate::tiling::pieces;

impl Lowering<'_> {
    pub(super) fn attention(
        &mut self,
        normed: &Normed,
        tokens: &Range<u64>,
    ) -> Vec<Option<Partial>> {
        let rows = normed.rows;
        let head_dim = self.model.head_dim;
        let clusters = self.hardware.clusters();
        let shards = self.shards.clone();
        let width = |heads: &Range<u64>| (heads.end - heads.start) * head_dim;
        let active: Vec<_> =
            (0..clusters).filter(|&cluster| !shards[cluster].heads.is_empty()).collect();
        let mut inputs = vec![Columns::new(); clusters];
        let mut projected = [(); 3].map(|()| vec![Columns::new(); clusters]);
        let names = [("q_proj", matrix::Q), ("k_proj", matrix::K), ("v_proj", matrix::V)];
        for (index, (name, matrix)) in names.into_iter().enumerate() {
            self.builder.begin_operation(name);
            for &cluster in &active {
                if index == 0 {
                    inputs[cluster] = self.inputs("qkv", cluster, normed);
                }
                let shard = &shards[cluster];
                let columns = width(if index == 0 { &shard.heads } else { &shard.kv_heads });
                projected[index][cluster] =
                    self.project(name, matrix, cluster, rows, columns, &inputs[cluster]);
            }
        }
        let [mut queries, mut keys, values] = projected;
        if self.model.architecture == Architecture::Llama {
            self.builder.begin_operation("rope");
            for &cluster in &active {
                let shard = &shards[cluster];
                let columns = [width(&shard.heads), width(&shard.kv_heads)];
                let after: Vec<_> = [&queries[cluster], &keys[cluster]]
                    .into_iter()
                    .flatten()
                    .map(|(_, from)| *from)
                    .collect();
                let elements = rows * (columns[0] + columns[1]);
                let rope = self.vector("rope", cluster, VectorWork::Rotate, elements, &after);
                queries[cluster] = vec![(0..columns[0], rope)];
                keys[cluster] = vec![(0..columns[1], rope)];
            }
        }
        let mut stored = vec![Vec::new(); clusters];
        self.builder.begin_operation("kv store");
        for &cluster in &active {
            let produced = [&keys[cluster], &values[cluster]];
            stored[cluster] = self.store_keys(cluster, tokens, produced);
        }
        self.builder.begin_operation("attention");
        let mut contexts = vec![Columns::new(); clusters];
        for &cluster in &active {
            contexts[cluster] = self.heads(cluster, tokens, &queries[cluster], &stored[cluster]);
        }
        self.project_partial("o_proj", matrix::O, rows, &contexts)
    }

    fn key_block(&self, cluster: usize, head: u64, values: bool, tile: u64) -> BlockId {
        BlockId::KeyValue {
            layer: self.layer,
            head: small(head),
            values,
            tile: small(tile),
            cluster: small(cluster as u64),
        }
    }

    /// Writes the new tokens' keys and values. Returns head, whether values, tile and action.
    fn store_keys(
        &mut self,
        cluster: usize,
        tokens: &Range<u64>,
        produced: [&Columns; 2],
    ) -> Vec<(u64, bool, u64, ActionId)> {
        let head_dim = self.model.head_dim;
        let step = self.tiling.keys(head_dim);
        let whole = self.bytes(step * head_dim);
        let mut stores = Vec::new();
        for (local, head) in self.shards[cluster].kv_heads.clone().enumerate() {
            let columns = local as u64 * head_dim..(local as u64 + 1) * head_dim;
            for values in [false, true] {
                for tile in tokens.start / step..tokens.end.div_ceil(step) {
                    let new = tokens.start.max(tile * step)..tokens.end.min((tile + 1) * step);
                    let bytes = self.bytes((new.end - new.start) * head_dim);
                    let block = self.key_block(cluster, head, values, tile);
                    let label = if values { "store v" } else { "store k" };
                    let label = self.label(&format!("{label}# kv{head} t{tile}"));
                    let work = Work::Store(Transfer { bytes, block, block_bytes: whole });
                    let store = self.builder.push(work, cluster, label);
                    for (_, from) in overlapping(produced[usize::from(values)], &columns) {
                        self.builder.wait(*from, Why::Data);
                    }
                    stores.push((head, values, tile, store));
                }
            }
        }
        stores
    }

    /// Scores, online softmax and context of a cluster's heads, a tile of keys at a time.
    fn heads(
        &mut self,
        cluster: usize,
        tokens: &Range<u64>,
        queries: &Columns,
        stored: &[(u64, bool, u64, ActionId)],
    ) -> Columns {
        let head_dim = self.model.head_dim;
        let rows = tokens.end - tokens.start;
        let shard = self.shards[cluster].clone();
        let group = self.model.heads / self.model.kv_heads;
        let step = self.tiling.keys(head_dim);
        let whole = self.bytes(step * head_dim);
        let mut contexts: Vec<Option<ActionId>> = shard.heads.clone().map(|_| None).collect();
        for kv_head in shard.kv_heads.clone() {
            for (tile, range) in (0_u64..).zip(pieces(0..tokens.end, step)) {
                let keys = range.end - range.start;
                let loads = [false, true].map(|values| {
                    let label = if values { "load v" } else { "load k" };
                    let transfer = Transfer {
                        bytes: self.bytes(keys * head_dim),
                        block: self.key_block(cluster, kv_head, values, tile),
                        block_bytes: whole,
                    };
                    let label = format!("{label}# kv{kv_head} t{tile}");
                    let (load, slot) = self.load_tile(&label, cluster, transfer);
                    let new = (kv_head, values, tile);
                    for (.., store) in stored.iter().filter(|s| (s.0, s.1, s.2) == new) {
                        self.builder.wait(*store, Why::Data);
                    }
                    (load, slot)
                });
                let heads = shard.heads.start.max(kv_head * group)
                    ..shard.heads.end.min((kv_head + 1) * group);
                for head in heads {
                    let local = head - shard.heads.start;
                    let columns = local * head_dim..(local + 1) * head_dim;
                    let work = Work::Gemm { m: small(rows), n: small(keys), k: small(head_dim) };
                    let label = self.label(&format!("scores# h{head} t{tile}"));
                    let scores = self.builder.push(work, cluster, label);
                    self.builder.wait(loads[0].0, Why::Data);
                    for (_, from) in overlapping(queries, &columns) {
                        self.builder.wait(*from, Why::Data);
                    }
                    let label = format!("softmax# h{head} t{tile}");
                    let kind = VectorWork::Softmax;
                    let softmax = self.vector(&label, cluster, kind, rows * keys, &[scores]);
                    let work = Work::Gemm { m: small(rows), n: small(head_dim), k: small(keys) };
                    let label = self.label(&format!("context# h{head} t{tile}"));
                    let context = self.builder.push(work, cluster, label);
                    self.builder.wait(loads[1].0, Why::Data);
                    self.builder.wait(softmax, Why::Data);
                    let chain = &mut contexts[index(local)];
                    if let Some(previous) = chain.replace(context) {
                        self.builder.wait(previous, Why::Order);
                    }
                    self.slots[cluster].last_user[loads[0].1] = Some(scores);
                    self.slots[cluster].last_user[loads[1].1] = Some(context);
                }
            }
        }
        (0_u64..)
            .zip(contexts)
            .filter_map(|(local, last)| Some((local * head_dim..(local + 1) * head_dim, last?)))
            .collect()
    }
}
