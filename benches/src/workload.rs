//! What the benches record.
#![allow(dead_code, unused_macros, unused_imports, reason = "not every bench records all of it")]

use anyhow::Result;
use novatrace::{CounterTrack, Name, NormalTrack, TraceGenerator};

/// Spans of W1.
pub(crate) const SPANS: u64 = 1_000_000;

macro_rules! four_deep {
    ($a:literal $b:literal $c:literal $d:literal $($argument:tt)*) => {{
        let _a = novatrace::trace!($a $($argument)*);
        let _b = novatrace::trace!($b $($argument)*);
        let _c = novatrace::trace!($c $($argument)*);
        let _d = novatrace::trace!($d $($argument)*);
    }};
}

pub(crate) use four_deep;

/// W1: so many spans, a multiple of 16.
#[inline(never)]
pub(crate) fn w1(spans: u64) {
    for _ in 0..spans / 16 {
        four_deep!("a0" "a1" "a2" "a3");
        four_deep!("b0" "b1" "b2" "b3");
        four_deep!("c0" "c1" "c2" "c3");
        four_deep!("d0" "d1" "d2" "d3");
    }
}

/// Durations of W6.
pub(crate) const DURATIONS: u64 = 1_000_000;
/// Durations and samples of W6.
pub(crate) const EVENTS: f64 = 1_250_000.0;

/// W6, ready to be recorded.
pub(crate) struct W6 {
    names: Vec<Name>,
    keys: [Name; 2],
    tracks: Vec<NormalTrack>,
    counters: Vec<CounterTrack>,
}

impl W6 {
    pub(crate) fn new(trace: &TraceGenerator) -> Self {
        let groups: Vec<_> = (0..8).map(|at| trace.group(&format!("Die:{at}"))).collect();
        Self {
            names: (0..200).map(|at| Name::new(&format!("operation_{at}"))).collect(),
            keys: [Name::new("m"), Name::new("k")],
            tracks: (0..64).map(|at| groups[at % 8].track(&format!("XPU:{at}"))).collect(),
            counters: groups.iter().map(|group| group.counter("bandwidth").unit("GB/s")).collect(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn record(&self) -> Result<()> {
        let [m, k] = self.keys;
        for at in 0..DURATIONS {
            let name = self.names[usize::try_from(at % 200)?];
            let track = &self.tracks[usize::try_from(at % 64)?];
            track.duration(at * 40, 1_500, name).arg(m, at % 1_000).arg(k, at % 77).emit()?;
            if at % 4 == 0 {
                let counter = &self.counters[usize::try_from(at / 4 % 8)?];
                counter.count(at * 40, at as f64 * 0.5)?;
            }
        }
        Ok(())
    }
}
