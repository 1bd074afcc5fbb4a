//! tracy-client with only its feature `enable`, and `manual-lifetime`, without which it records from before
//! `main` on. No server: what is recorded is kept in memory, and there is no way to empty it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tracy_client::{Client, plot_name, span_location};

use super::{Peer, Task, workloads};

macro_rules! span {
    ($name:literal) => {
        let _span = tracy_client::span!($name);
    };
}

/// A zone takes integers and texts: the double is formatted.
macro_rules! span_with {
    ($name:literal, $number:ident, $double:ident, $text:ident) => {
        let span = tracy_client::span!($name);
        span.emit_value($number as u64);
        span.emit_text(&$double.to_string());
        span.emit_text($text);
    };
}

/// `span!` panics when the client does not run.
macro_rules! span_if_running {
    ($name:literal) => {
        let _span = Client::running().map(|client| client.span(span_location!($name), 0));
    };
}

pub struct Tracy {
    _client: Client,
}

#[inline(never)]
fn samples(samples: u64) {
    let client = Client::running().expect("it was started");
    for at in super::next(samples) {
        client.plot(plot_name!("samples"), at as f64);
    }
}

impl Peer for Tracy {
    const BURST: u64 = 32_000;
    const FILE: bool = false;
    const SAMPLES: Option<fn(u64)> = Some(samples);

    workloads!(span, span_with);

    #[inline(never)]
    fn off(spans: u64) {
        for _ in 0..spans / 16 {
            super::nest!(span_if_running "a0" "a1" "a2" "a3");
            super::nest!(span_if_running "b0" "b1" "b2" "b3");
            super::nest!(span_if_running "c0" "c1" "c2" "c3");
            super::nest!(span_if_running "d0" "d1" "d2" "d3");
        }
    }

    fn start(_: &Path, _: Task) -> Result<Self> {
        let client = Client::start();
        // Its thread prepares itself for some milliseconds, which are no part of a span's cost.
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self { _client: client })
    }

    fn close(self) -> Result<Option<u64>> {
        Ok(None)
    }
}
