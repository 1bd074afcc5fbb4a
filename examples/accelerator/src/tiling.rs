//! How work is cut: shards for clusters, tiles for a scratchpad, chunks of the prompt. NOT: in
//! which order the pieces run.
//!
//! A cluster's L1 is divided in three: half for activations (the tokens of a chunk with the widest
//! rows a layer gives them), three eighths for weight tiles waiting or in use, an eighth for the
//! output tiles being accumulated. Two weight tiles per matrix engine make a double buffer.

use std::ops::Range;

use crate::error::Error;
use crate::hardware::Hardware;
use crate::model::{Architecture, Model};

/// Part `index` of `total` things cut in `parts` as even as can be; the first parts are larger.
#[must_use]
pub(crate) fn even_part(total: u64, parts: usize, index: usize) -> Range<u64> {
    let (parts, index) = (parts as u64, index as u64);
    let (size, larger) = (total / parts, total % parts);
    let start = index * size + index.min(larger);
    start..start + size + u64::from(index < larger)
}

/// Consecutive ranges of at most `step` that cover `range`.
pub(crate) fn pieces(range: Range<u64>, step: u64) -> impl Iterator<Item = Range<u64>> + Clone {
    let count = (range.end - range.start).div_ceil(step);
    (0..count).map(move |index| {
        let start = range.start + index * step;
        start..range.end.min(start + step)
    })
}

/// What one cluster computes of every layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) heads: Range<u64>,
    /// Key and value heads that its query heads read. Clusters that share one both compute it.
    pub(crate) kv_heads: Range<u64>,
    pub(crate) feed_forward: Range<u64>,
    pub(crate) vocabulary: Range<u64>,
}

/// Tensor parallelism: heads, feed-forward columns and vocabulary are spread over all clusters.
pub(crate) fn shards(model: &Model, hardware: &Hardware) -> Vec<Shard> {
    let clusters = hardware.clusters();
    let group = model.heads / model.kv_heads;
    (0..clusters)
        .map(|index| {
            let heads = even_part(model.heads, clusters, index);
            let kv_heads = if heads.is_empty() {
                0..0
            } else {
                heads.start / group..(heads.end - 1) / group + 1
            };
            Shard {
                heads,
                kv_heads,
                feed_forward: even_part(model.intermediate, clusters, index),
                vocabulary: even_part(model.vocabulary, clusters, index),
            }
        })
        .collect()
}

/// Sizes that follow from the scratchpad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Inner dimension of a weight tile.
    pub(crate) k: u64,
    /// Columns of a weight tile.
    pub(crate) n: u64,
    /// Weight tiles that a cluster holds at once.
    pub(crate) slots: usize,
    /// Most tokens that go through a layer together.
    pub(crate) tokens: u64,
}

impl Tiling {
    /// The largest tiles that fit: `k` and `n` are doubled in turn, starting from one array.
    pub(crate) fn new(model: &Model, hardware: &Hardware) -> Result<Self, Error> {
        let engines = hardware.matrix.engines as u64;
        let slots = 2 * engines;
        let l1 = hardware.l1.capacity_bytes;
        let bytes = model.element_bytes;
        let clusters = hardware.clusters() as u64;
        let widest = [
            model.query_width().div_ceil(clusters)
                + 2 * model.kv_heads.div_ceil(clusters) * model.head_dim,
            model.intermediate.div_ceil(clusters)
                * match model.architecture {
                    Architecture::Gpt2 => 1,
                    Architecture::Llama => 2,
                },
        ];
        let token_bytes = bytes * (model.hidden + widest[0].max(widest[1]));
        let weight_bytes = l1 * 3 / 8 / slots;
        let (mut k, mut n) = (hardware.matrix.rows, hardware.matrix.columns);
        let needed = (2 * token_bytes)
            .max(bytes.saturating_mul(k).saturating_mul(n).saturating_mul(slots * 8) / 3)
            .max(bytes * n * engines * 8);
        if needed > l1 {
            return Err(Error::ScratchpadTooSmall {
                hardware: hardware.name.clone(),
                needed_kib: needed.div_ceil(1024),
                capacity_kib: l1 / 1024,
            });
        }
        while 2 * k * n * bytes <= weight_bytes {
            if k <= n {
                k *= 2;
            } else {
                n *= 2;
            }
        }
        // Wider output tiles leave room for fewer tokens.
        let tokens = (l1 / 2 / token_bytes).min(l1 / 8 / (n * bytes * engines));
        let rounded = tokens / hardware.matrix.rows * hardware.matrix.rows;
        Ok(Self {
            k,
            n,
            slots: 2 * hardware.matrix.engines,
            tokens: if rounded == 0 { tokens.max(1) } else { rounded },
        })
    }

    /// Keys that are scored together: a tile of the cache no larger than a weight tile, and
    /// scores no wider than an output tile.
    pub(crate) fn keys(&self, head_dim: u64) -> u64 {
        (self.k * self.n / head_dim).clamp(1, self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_cover_everything() {
        let parts: Vec<_> = (0..8).map(|index| even_part(12, 8, index)).collect();
        let lengths: Vec<_> = parts.iter().map(|part| part.end - part.start).collect();
        assert_eq!(lengths, [2, 2, 2, 2, 1, 1, 1, 1]);
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!((parts[0].start, parts[7].end), (0, 12));
        assert!(even_part(1, 4, 3).is_empty());
    }

    #[test]
    fn pieces_cover_a_range_once_with_a_short_last_one() {
        let cut: Vec<_> = pieces(100..804, 256).collect();
        assert_eq!(cut, [100..356, 356..612, 612..804]);
        assert_eq!(pieces(5..5, 256).count(), 0);
    }

    #[test]
    fn grouped_heads_follow_their_query_heads() {
        let model = Model::open("llama-1.1b").unwrap();
        let hardware = Hardware::open("server-2x4").unwrap();
        let shards = shards(&model, &hardware);
        assert_eq!(shards[0].heads, 0..4);
        assert_eq!((shards[0].kv_heads.clone(), shards[1].kv_heads.clone()), (0..1, 0..1));
        assert_eq!(shards[7].kv_heads, 3..4);
        assert_eq!(shards[7].vocabulary, 28_000..32_000);
    }

    #[test]
    fn tiles_fit_their_share_of_the_scratchpad() {
        for model in Model::built_in() {
            for hardware in Hardware::built_in() {
                let model = Model::open(model).unwrap();
                let hardware = Hardware::open(hardware).unwrap();
                let tiling = Tiling::new(&model, &hardware).unwrap();
                let l1 = hardware.l1.capacity_bytes;
                let weights = tiling.k * tiling.n * model.element_bytes * tiling.slots as u64;
                assert!(weights <= l1 * 3 / 8 && 2 * weights > l1 * 3 / 8, "{tiling:?}");
                let outputs = tiling.tokens * tiling.n * model.element_bytes;
                assert!(outputs * hardware.matrix.engines as u64 <= l1 / 8, "{tiling:?}");
                assert!(tiling.tokens.is_multiple_of(hardware.matrix.rows), "{tiling:?}");
            }
        }
    }

    #[test]
    fn a_scratchpad_too_small_for_one_tile_is_refused_with_what_would_do() {
        let model = Model::open("llama-1.1b").unwrap();
        let mut hardware = Hardware::open("server-2x4").unwrap();
        hardware.l1.capacity_bytes = 16 << 10;
        let message = Tiling::new(&model, &hardware).unwrap_err().to_string();
        assert!(message.contains("`l1.capacity_kib` of `server 2x4` is 16"), "{message}");
    }
}
