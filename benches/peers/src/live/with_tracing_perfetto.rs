//! tracing-perfetto: encodes and writes in the caller's thread whenever a span without a parent ends; the
//! writer is a file behind a buffer of 256 KiB and a mutex. Annotations for W2 alone. Its threads have no
//! buffer that a burst could fit.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tracing_perfetto::PerfettoLayer;

use super::with_tracing::{install, through_tracing};
use super::{Peer, Task};

#[derive(Clone)]
struct Shared(Arc<Mutex<BufWriter<File>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whole packets, so that threads do not mix.
        self.0.lock().expect("none panics").write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().expect("none panics").flush()
    }
}

pub struct Layer(Shared);

impl Peer for Layer {
    const BURST: u64 = 32_000;

    through_tracing!();

    fn start(path: &Path, task: Task) -> Result<Self> {
        let file = BufWriter::with_capacity(256 << 10, File::create(path)?);
        let shared = Shared(Arc::new(Mutex::new(file)));
        let writer = shared.clone();
        let layer = PerfettoLayer::new(move || writer.clone());
        install!(layer.with_debug_annotations(task.has_arguments()));
        Ok(Self(shared))
    }

    fn empty(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    fn close(mut self) -> Result<Option<u64>> {
        self.0.flush()?;
        Ok(None)
    }
}
