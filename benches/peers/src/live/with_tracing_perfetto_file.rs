//! tracing-perfetto-file: encodes in the caller's thread into the thread's queue of 32 KiB, which is flushed
//! after each burst; a full queue is written by the caller, as in complete runs. Spans on tracks of their
//! own (its default) or on their threads' tracks. Annotations for W2 and counters for W4 alone.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tracing_perfetto_file::{FlushGuard, PerfettoLayer, SpanMode};

use super::with_tracing::{install, through_tracing};
use super::{Peer, Task};

pub struct File<const THREAD_TRACKS: bool>(FlushGuard);

#[inline(never)]
fn samples(samples: u64) {
    for at in super::next(samples) {
        tracing::info!(counter.samples = at as f64);
    }
}

impl<const THREAD_TRACKS: bool> Peer for File<THREAD_TRACKS> {
    const BURST: u64 = 256;
    const SAMPLES: Option<fn(u64)> = if THREAD_TRACKS { None } else { Some(samples) };

    through_tracing!();

    fn start(path: &Path, task: Task) -> Result<Self> {
        let mode = if THREAD_TRACKS { SpanMode::ThreadTracks } else { SpanMode::SpanTracks };
        let mut builder = PerfettoLayer::builder(fs::File::create(path)?).span_mode(mode);
        if task.has_arguments() {
            builder = builder.with_debug_annotations();
        }
        if task.has_samples() {
            builder = builder.with_counters();
        }
        let (layer, guard) = builder.build();
        install!(layer);
        Ok(Self(guard))
    }

    fn empty(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    fn close(self) -> Result<Option<u64>> {
        self.0.flush()?;
        Ok(None)
    }
}
