//! novatrace: `trace!` into a file. Complete runs wait for the worker (`Overflow::Block`); the caller's
//! cost is measured with the default, a flush after each burst.

use std::path::Path;

use anyhow::{Result, ensure};
use novatrace::{Counter, Overflow, Session};

use super::{Peer, Task, workloads};

static SAMPLES: Counter = novatrace::counter!("samples", unit = "items");

macro_rules! span {
    ($name:literal) => {
        let _span = novatrace::trace!($name);
    };
}

macro_rules! span_with {
    ($name:literal, $number:ident, $double:ident, $text:ident) => {
        let _span = novatrace::trace!($name, number = $number, double = $double, text = $text);
    };
}

pub struct Novatrace {
    session: Session,
    is_whole: bool,
}

#[inline(never)]
fn samples(samples: u64) {
    for at in super::next(samples) {
        SAMPLES.set(at as f64);
    }
}

impl Peer for Novatrace {
    const BURST: u64 = 32_000;
    const SAMPLES: Option<fn(u64)> = Some(samples);

    workloads!(span, span_with);

    fn start(path: &Path, task: Task) -> Result<Self> {
        let is_whole = matches!(task, Task::W1 | Task::W2 | Task::W3 | Task::W4);
        let overflow = if is_whole { Overflow::Block } else { Overflow::default() };
        Ok(Self { session: Session::builder().overflow(overflow).create(path)?, is_whole })
    }

    fn empty(&mut self) -> Result<()> {
        Ok(self.session.flush()?)
    }

    fn close(self) -> Result<Option<u64>> {
        let report = self.session.close()?;
        ensure!(report.lost == 0 || !self.is_whole, "{report:?}");
        Ok(None)
    }
}
