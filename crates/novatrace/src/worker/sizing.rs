//! How large a batch becomes. Belongs here: its bounds, and the size within them that suits the load. Does not: what is
//! in a batch.
//!
//! A busy program has few large batches, which cost least and compress best; one that records now and then has
//! small ones, so that little waits for the file. The size doubles when a batch has filled in an eighth of the time that
//! it may wait, and is halved when one has waited that time without filling.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a batch has before its size grows, unless its bound is less.
const LEAST_PACKETS: usize = 4 << 10;
/// The same in bytes.
const LEAST_BYTES: usize = 64 << 10;
/// A batch that fills in this part of its time is a small one for the load.
const FAST: u32 = 8;

/// What a batch has at most, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { packets: 1 << 14, bytes: 256 << 10, time: Duration::from_millis(100) }
    }
}

impl Bounds {
    /// There is no batch without a packet, nor are there more than one each millisecond.
    pub(crate) fn new(packets: usize, bytes: usize, time: Duration) -> Self {
        let time = time.max(Duration::from_millis(1));
        Self { packets: packets.max(1), bytes: bytes.max(1), time }
    }
}

/// The size of batches.
#[derive(Debug)]
pub(crate) struct Sizing {
    bounds: Bounds,
    /// The present size; between the least and the bounds.
    packets: usize,
    bytes: usize,
    /// When a batch was written last.
    last: Instant,
}

impl Sizing {
    pub(crate) fn new(bounds: Bounds, now: Instant) -> Self {
        let mut sizing = Self { bounds, packets: 0, bytes: 0, last: now };
        sizing.resize(LEAST_PACKETS, LEAST_BYTES);
        sizing
    }

    /// Other bounds from now on; the size changes only as far as they demand it.
    pub(crate) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.resize(self.packets, self.bytes);
    }

    fn resize(&mut self, packets: usize, bytes: usize) {
        self.packets = packets.max(LEAST_PACKETS).min(self.bounds.packets);
        self.bytes = bytes.max(LEAST_BYTES).min(self.bounds.bytes);
    }

    #[inline(always)]
    pub(crate) fn is_full(&self, packets: usize, bytes: usize) -> bool {
        packets >= self.packets || bytes >= self.bytes
    }

    /// How long a batch waits.
    pub(crate) fn time(&self) -> Duration {
        self.bounds.time
    }

    /// A batch is full.
    pub(crate) fn filled(&mut self, now: Instant) {
        if now.duration_since(self.last) < self.bounds.time / FAST {
            self.resize(self.packets.saturating_mul(2), self.bytes.saturating_mul(2));
        }
    }

    /// A batch has waited its time.
    pub(crate) fn waited(&mut self) {
        self.resize(self.packets / 2, self.bytes / 2);
    }

    /// A batch is written.
    pub(crate) fn written(&mut self, now: Instant) {
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_the_load_between_the_least_and_the_bounds() {
        let (ms, start) = (Duration::from_millis, Instant::now());
        let mut sizing = Sizing::new(Bounds::new(1 << 20, 1 << 20, ms(80)), start);
        let mut sizes = vec![sizing.bytes >> 10];
        let mut now = start;
        // Full after so long each time, or not within its time.
        let load =
            [Some(10), Some(10), Some(11), Some(80), Some(1), Some(1), None, Some(1), Some(1)];
        for took in load.into_iter().chain([Some(1), Some(1), None, None, None, None, None]) {
            now += ms(took.unwrap_or(80));
            match took {
                Some(_) => sizing.filled(now),
                None => sizing.waited(),
            }
            sizing.written(now);
            sizes.push(sizing.bytes >> 10);
        }
        let expected =
            [64, 64, 64, 64, 64, 128, 256, 128, 256, 512, 1024, 1024, 512, 256, 128, 64, 64];
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_bound_below_the_least_is_the_size() {
        let now = Instant::now();
        let mut sizing = Sizing::new(Bounds::new(100, 1 << 20, Duration::from_secs(60)), now);
        assert!(sizing.is_full(100, 0) && !sizing.is_full(99, LEAST_BYTES - 1));
        sizing.waited();
        assert!(sizing.is_full(100, 0) && !sizing.is_full(99, LEAST_BYTES - 1));
        sizing.set_bounds(Bounds::new(1 << 20, 1_000, Duration::from_secs(60)));
        sizing.filled(now);
        assert!(sizing.is_full(0, 1_000) && !sizing.is_full(1_000, 999));
        sizing.set_bounds(Bounds::default());
        assert!(sizing.is_full(0, LEAST_BYTES) && !sizing.is_full(0, LEAST_BYTES - 1));
    }
}
