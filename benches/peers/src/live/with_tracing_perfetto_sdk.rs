//! tracing-perfetto-sdk: a layer over perfetto-sdk, set up as that is here, but for the library's own
//! `init`, whose shared memory is too small for complete runs. Annotations for W2 alone.

use std::path::Path;

use anyhow::Result;
use tracing_perfetto_sdk::{PerfettoLayer, perfetto_te_ns};

use super::with_perfetto_sdk::Recording;
use super::with_tracing::{install, through_tracing};
use super::{Peer, Task};

pub struct Layer(Recording);

impl Peer for Layer {
    const BURST: u64 = 32_000;

    through_tracing!();

    fn start(path: &Path, task: Task) -> Result<Self> {
        let register = || perfetto_te_ns::register().expect("it is the first time");
        let recording = Recording::start(path, register)?;
        install!(if task.has_arguments() {
            PerfettoLayer::new()
        } else {
            PerfettoLayer::without_debug_annotations()
        });
        Ok(Self(recording))
    }

    fn empty(&mut self) -> Result<()> {
        self.0.flush();
        Ok(())
    }

    fn close(self) -> Result<Option<u64>> {
        self.0.close()?;
        Ok(None)
    }
}
