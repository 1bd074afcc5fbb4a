//! fastrace: local spans below a root span for each burst, since a root takes 10,240. It brings no
//! reporter that writes a file; ours counts the spans.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use fastrace::Span;
use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace::local::LocalSpan;

use super::{Peer, Task, workloads};

macro_rules! span {
    ($name:literal) => {
        let _span = LocalSpan::enter_with_local_parent($name);
    };
}

/// Properties are texts.
macro_rules! span_with {
    ($name:literal, $number:ident, $double:ident, $text:ident) => {
        let _span = LocalSpan::enter_with_local_parent($name).with_properties(|| {
            [
                ("number", std::borrow::Cow::from($number.to_string())),
                ("double", $double.to_string().into()),
                ("text", $text.into()),
            ]
        });
    };
}

static SPANS: AtomicU64 = AtomicU64::new(0);

struct Count;

impl Reporter for Count {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        let local = spans.iter().filter(|span| span.name != "root").count();
        SPANS.fetch_add(local as u64, Ordering::Relaxed);
    }
}

pub struct Fastrace;

impl Peer for Fastrace {
    const BURST: u64 = 8_000;
    const FILE: bool = false;

    workloads!(span, span_with);

    fn start(_: &Path, _: Task) -> Result<Self> {
        fastrace::set_reporter(Count, Config::default());
        Ok(Self)
    }

    fn burst(work: fn(u64), events: u64) {
        let root = Span::root("root", SpanContext::random());
        let _parent = root.set_local_parent();
        work(events);
    }

    fn empty(&mut self) -> Result<()> {
        fastrace::flush();
        Ok(())
    }

    fn close(self) -> Result<Option<u64>> {
        fastrace::flush();
        Ok(Some(SPANS.load(Ordering::Relaxed)))
    }
}
