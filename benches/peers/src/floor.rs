//! The floor: each event packed into 36 raw bytes, which nothing can read.

use std::path::Path;

use crate::measure::Batch;
use crate::workload::{Duration, Sample, Writer};

struct Floor(Batch);

pub fn w6(path: &Path) {
    Floor(Batch::create(path)).w6().0.close();
}

impl Writer for Floor {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        let mut event = [0; 36];
        event[..8].copy_from_slice(&duration.start.to_le_bytes());
        event[8..12].copy_from_slice(&(duration.length as u32).to_le_bytes());
        event[12..16].copy_from_slice(&(duration.track as u32).to_le_bytes());
        event[16..20].copy_from_slice(&(duration.name as u32).to_le_bytes());
        event[20..28].copy_from_slice(&duration.m.to_le_bytes());
        event[28..].copy_from_slice(&duration.k.to_le_bytes());
        self.0.bytes.extend_from_slice(&event);
        self.0.write_if_full();
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        let mut event = [0; 36];
        event[..8].copy_from_slice(&sample.time.to_le_bytes());
        event[12..16].copy_from_slice(&(sample.counter as u32).to_le_bytes());
        event[28..].copy_from_slice(&sample.value.to_le_bytes());
        self.0.bytes.extend_from_slice(&event);
        self.0.write_if_full();
    }
}
