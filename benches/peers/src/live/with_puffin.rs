//! puffin: each burst is a frame, which is handed to a sink that counts its scopes.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use puffin::GlobalProfiler;

use super::{Peer, Task, workloads};

macro_rules! span {
    ($name:literal) => {
        puffin::profile_scope!($name);
    };
}

/// A scope takes one text.
macro_rules! span_with {
    ($name:literal, $number:ident, $double:ident, $text:ident) => {
        puffin::profile_scope!($name, format!("{} {} {}", $number, $double, $text));
    };
}

static SCOPES: AtomicU64 = AtomicU64::new(0);

pub struct Puffin;

impl Peer for Puffin {
    const BURST: u64 = 32_000;
    const FILE: bool = false;

    workloads!(span, span_with);

    fn start(_: &Path, _: Task) -> Result<Self> {
        puffin::set_scopes_on(true);
        GlobalProfiler::lock().add_sink(Box::new(|frame| {
            SCOPES.fetch_add(frame.meta().num_scopes as u64, Ordering::Relaxed);
        }));
        Ok(Self)
    }

    fn empty(&mut self) -> Result<()> {
        Self::frame();
        Ok(())
    }

    fn frame() {
        GlobalProfiler::lock().new_frame();
    }

    fn close(self) -> Result<Option<u64>> {
        Ok(Some(SCOPES.load(Ordering::Relaxed)))
    }
}
