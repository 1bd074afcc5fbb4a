//! What the `tracing` layer costs above `tracing` itself: spans without fields, and with three, through a
//! registry alone and through one with the layer.
//!
//! `cargo run --release -p novatrace-benches --bin layer [ROUNDS]`
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use novatrace::{Overflow, Session};
use tracing::info_span;
use tracing_subscriber::prelude::*;

const SPANS: u64 = 400_000;
/// Spans of one burst: they fit a thread's buffer.
const BURST: u64 = 20_000;

#[inline(never)]
fn bare(spans: u64) {
    for _ in 0..spans / 4 {
        let _a = info_span!("a").entered();
        let _b = info_span!("b").entered();
        let _c = info_span!("c").entered();
        let _d = info_span!("d").entered();
    }
}

#[inline(never)]
fn with_fields(spans: u64) {
    for at in 0..spans / 4 {
        let (number, double, text) = (black_box(at), black_box(at as f64), black_box("fp16"));
        let _a = info_span!("a", number, double, text).entered();
        let _b = info_span!("b", number, double, text).entered();
        let _c = info_span!("c", number, double, text).entered();
        let _d = info_span!("d", number, double, text).entered();
    }
}

/// The median of bursts, with what `between` does between them.
fn bursts(work: fn(u64), mut between: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut all = vec![];
    for _ in 0..SPANS / BURST {
        let start = Instant::now();
        work(BURST);
        all.push(start.elapsed().as_secs_f64() * 1e9 / BURST as f64);
        between()?;
    }
    all.sort_by(f64::total_cmp);
    Ok(all[all.len() / 2])
}

/// What spans say, and the spans.
type Kind = (&'static str, fn(u64));

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let kinds: [Kind; 2] = [("no fields", bare), ("three fields", with_fields)];
    for (name, work) in kinds {
        let (mut alone, mut layered) = (vec![], vec![]);
        for _ in 0..rounds {
            let registry = tracing_subscriber::registry();
            alone.push(tracing::subscriber::with_default(registry, || bursts(work, || Ok(())))?);
            let builder = Session::builder().overflow(Overflow::Block);
            let session = builder.create(folder.path().join("layer.pftrace"))?;
            let registry = tracing_subscriber::registry().with(novatrace_tracing::layer());
            layered.push(tracing::subscriber::with_default(registry, || {
                bursts(work, || Ok(session.flush()?))
            })?);
            session.close()?;
        }
        for values in [&mut alone, &mut layered] {
            values.sort_by(f64::total_cmp);
        }
        let (alone, layered) = (alone[rounds / 2], layered[rounds / 2]);
        println!(
            "{name:<14} registry alone {alone:6.1} ns, with the layer {layered:6.1} ns: {:5.1} ns a span more",
            layered - alone,
        );
    }
    Ok(())
}
