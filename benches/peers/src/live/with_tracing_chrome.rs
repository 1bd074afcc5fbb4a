//! tracing-chrome: Chrome's JSON, written by a thread of its own behind a channel without a bound. Its
//! `flush` does not wait, so after a burst we wait until its writer was flushed. No source locations;
//! arguments for W2 alone.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};

use super::with_tracing::{install, through_tracing};
use super::{Peer, Task};

struct Flushed {
    file: File,
    flushes: Arc<AtomicU64>,
}

impl Write for Flushed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

pub struct Chrome {
    guard: FlushGuard,
    flushes: Arc<AtomicU64>,
}

impl Peer for Chrome {
    const BURST: u64 = 32_000;

    through_tracing!();

    fn start(path: &Path, task: Task) -> Result<Self> {
        let flushes = Arc::default();
        let (layer, guard) = ChromeLayerBuilder::new()
            .writer(Flushed { file: File::create(path)?, flushes: Arc::clone(&flushes) })
            .include_locations(false)
            .include_args(task.has_arguments())
            .build();
        install!(layer);
        Ok(Self { guard, flushes })
    }

    fn empty(&mut self) -> Result<()> {
        let before = self.flushes.load(Ordering::Acquire);
        self.guard.flush();
        while self.flushes.load(Ordering::Acquire) == before {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn close(self) -> Result<Option<u64>> {
        drop(self.guard);
        Ok(None)
    }
}
