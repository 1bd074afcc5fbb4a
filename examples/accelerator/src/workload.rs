//! What a model is asked to do, how much work that is, and whether a machine can. NOT: the actions of
//! the work.

use std::ops::Range;

use crate::error::Error;
use crate::graph::Phase;
use crate::hardware::Hardware;
use crate::model::Model;
use crate::tiling::{Tiling, pieces, shards};
use crate::units::float;

/// Most actions that a graph may have: a few hundred MB and about a minute.
const MOST_ACTIONS: f64 = 8e6;

/// What the model is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Tokens of the prompt, at least one.
    pub prompt_tokens: u64,
    /// Tokens generated one by one after the one that ends the prompt's pass.
    pub decode_steps: u64,
}

impl Default for Workload {
    /// 256 tokens of prompt and three decode steps: some 300 thousand events on the default machine.
    fn default() -> Self {
        Self { prompt_tokens: 256, decode_steps: 3 }
    }
}

/// Passes of a workload: the prompt in chunks, then a token at a time.
pub(crate) fn passes(workload: &Workload, chunk: u64) -> impl Iterator<Item = (Phase, Range<u64>)> {
    let prompt = workload.prompt_tokens;
    let prefill = pieces(0..prompt, chunk).map(|tokens| (Phase::Prefill, tokens));
    let decode = (0..workload.decode_steps)
        .map(move |step| (Phase::Decode, prompt + step..prompt + step + 1));
    prefill.chain(decode)
}

/// Operations (two to a multiply-add) of all matrix products of a run.
///
/// Clusters that share a key-value head each compute it, and it counts each time.
#[must_use]
pub fn matrix_flops(model: &Model, hardware: &Hardware, workload: &Workload, chunk: u64) -> u64 {
    let kv_heads: u64 =
        shards(model, hardware).iter().map(|shard| shard.kv_heads.end - shard.kv_heads.start).sum();
    let query = model.query_width();
    let weights = 2 * model.hidden * (query + kv_heads * model.head_dim)
        + model.feed_forward_matrices() * model.hidden * model.intermediate;
    passes(workload, chunk)
        .map(|(_, tokens)| {
            let count = tokens.end - tokens.start;
            let layer = 2 * count * weights + 4 * count * tokens.end * query;
            let head = if tokens.end >= workload.prompt_tokens {
                2 * model.hidden * model.vocabulary
            } else {
                0
            };
            model.layers * layer + head
        })
        .sum()
}

/// How a workload is cut into tiles, if the machine can hold it and the graph of it.
pub(crate) fn check(
    model: &Model,
    hardware: &Hardware,
    workload: &Workload,
) -> Result<Tiling, Error> {
    let total = workload.prompt_tokens.saturating_add(workload.decode_steps);
    if workload.prompt_tokens == 0 || total > model.positions {
        return Err(Error::BadWorkload {
            prompt_tokens: workload.prompt_tokens,
            decode_steps: workload.decode_steps,
            limit: model.positions,
        });
    }
    // First, since what fits the memory does not overflow what follows.
    check_memory(model, hardware, total)?;
    let tiling = Tiling::new(model, hardware)?;
    let estimate = estimate_actions(model, hardware, workload, &tiling);
    if estimate > MOST_ACTIONS {
        return Err(Error::TooManyActions { estimate, limit: MOST_ACTIONS });
    }
    Ok(tiling)
}

/// Counts the tiles as [`lower`](crate::lower) makes them, in floats, since what is refused here would
/// overflow integers.
pub(crate) fn estimate_actions(
    model: &Model,
    hardware: &Hardware,
    workload: &Workload,
    tiling: &Tiling,
) -> f64 {
    let clusters = float(hardware.clusters() as u64);
    let tiles = |n: u64, k: u64, over_n: bool| {
        let share =
            |size: u64, split: bool| if split { float(size) / clusters } else { float(size) };
        (share(n, over_n) / float(tiling.n)).ceil() * (share(k, !over_n) / float(tiling.k)).ceil()
    };
    let query = model.query_width();
    let key_value = model.kv_heads * model.head_dim;
    let up = float(model.feed_forward_matrices() - 1);
    let layer_tiles = tiles(query, model.hidden, true)
        + 2.0 * tiles(key_value, model.hidden, true)
        + tiles(model.hidden, query, false)
        + up * tiles(model.intermediate, model.hidden, true)
        + tiles(model.hidden, model.intermediate, false);
    let prompt = float(workload.prompt_tokens);
    let chunks = (prompt / float(tiling.tokens)).ceil();
    let steps = float(workload.decode_steps);
    let keys = float(tiling.keys(model.head_dim));
    // Half the prompt is in the cache on average while it is read, all of it while it is answered.
    let key_tiles = chunks * (prompt / keys / 2.0 + 1.0).ceil() + steps * (prompt / keys).ceil();
    let heads = (float(model.heads) / clusters).ceil() * 3.0 + 2.0;
    let ring = float(2 * hardware.dies as u64 * hardware.dies as u64);
    let per_layer = (chunks + steps) * (clusters * (2.0 * layer_tiles + 40.0) + 2.0 * ring)
        + clusters * key_tiles * heads;
    let head = clusters * 2.0 * tiles(model.vocabulary, model.hidden, true);
    float(model.layers) * per_layer + (1.0 + steps) * head
}

fn check_memory(model: &Model, hardware: &Hardware, tokens: u64) -> Result<(), Error> {
    let width = u128::from(model.kv_heads * model.head_dim);
    let cache = 2 * u128::from(model.layers) * width * u128::from(tokens);
    let needed = (model.weights() + cache) * u128::from(model.element_bytes);
    let per_die = needed.div_ceil(hardware.dies as u128);
    if per_die > u128::from(hardware.l3.capacity_bytes) {
        return Err(Error::OutOfMemory {
            hardware: hardware.name.clone(),
            needed_mib: u64::try_from(per_die >> 20).unwrap_or(u64::MAX),
            capacity_mib: hardware.l3.capacity_bytes >> 20,
        });
    }
    Ok(())
}
