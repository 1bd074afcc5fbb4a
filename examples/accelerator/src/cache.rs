//! The L2 cache of a die: which blocks are there, least recently used out first. NOT: how long an
//! access takes.
//!
//! Blocks are whole tiles or tensors rather than lines; the DMA engines ask for nothing smaller. A
//! block counts as present from the moment its fill starts, as in a cache that merges misses.
//! Writes go through to L3, so an evicted block needs no write-back. A block larger than the
//! cache goes past it.

use std::collections::{BTreeMap, HashMap};

/// What the cache knows data by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BlockId {
    /// A tile of a weight matrix; the same in every pass.
    Weight { layer: u32, matrix: u32, cluster: u32, tile: u32 },
    /// A tile of the key or value cache of a head.
    KeyValue { layer: u32, head: u32, values: bool, tile: u32, cluster: u32 },
    /// An activation or partial result, numbered through the run.
    Activation(u32),
}

/// Least recently used blocks.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: u64,
    used: u64,
    clock: u64,
    blocks: HashMap<BlockId, (u64, u64)>,
    by_age: BTreeMap<u64, BlockId>,
}

impl Cache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, used: 0, clock: 0, blocks: HashMap::new(), by_age: BTreeMap::new() }
    }

    /// Uses a block, bringing it in if it is absent. True if it was there.
    pub(crate) fn touch(&mut self, block: BlockId, bytes: u64) -> bool {
        self.clock += 1;
        if let Some((_, age)) = self.blocks.get_mut(&block) {
            self.by_age.remove(age);
            *age = self.clock;
            self.by_age.insert(self.clock, block);
            return true;
        }
        if bytes > self.capacity {
            return false;
        }
        while self.used + bytes > self.capacity {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            if let Some((freed, _)) = self.blocks.remove(&oldest) {
                self.used -= freed;
            }
        }
        self.used += bytes;
        self.blocks.insert(block, (bytes, self.clock));
        self.by_age.insert(self.clock, block);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_block_goes_first() {
        let [a, b, c] = [1, 2, 3].map(BlockId::Activation);
        let mut cache = Cache::new(100);
        assert!(!cache.touch(a, 50));
        assert!(!cache.touch(b, 50));
        assert!(cache.touch(a, 50), "still there, and now younger than b");
        assert!(!cache.touch(c, 10), "evicts b");
        assert!(cache.touch(a, 50));
        assert!(!cache.touch(b, 50), "evicts c, the oldest");
        assert!(cache.used <= 100);
    }

    #[test]
    fn a_block_larger_than_the_cache_leaves_it_alone() {
        let [a, b] = [1, 2].map(BlockId::Activation);
        let mut cache = Cache::new(100);
        cache.touch(a, 60);
        assert!(!cache.touch(b, 101));
        assert!(!cache.touch(b, 101));
        assert!(cache.touch(a, 60));
    }
}
