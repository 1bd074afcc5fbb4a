//! W1 to W5 of live recording, by novatrace and by what else records live. Each case runs in a process of
//! its own, since most contestants install something that stays, and the floor runs in each.

mod case;
mod count;
mod floor;
mod rounds;
mod with_fastrace;
mod with_novatrace;
mod with_perfetto_recorder;
#[cfg(feature = "sdk")]
mod with_perfetto_sdk;
mod with_puffin;
mod with_tracing;
mod with_tracing_chrome;
mod with_tracing_perfetto;
mod with_tracing_perfetto_file;
#[cfg(feature = "sdk")]
mod with_tracing_perfetto_sdk;
mod with_tracy;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use case::{Case, run_case};
pub use rounds::{Choice, run};

/// Spans of W1, W2 and of each thread of W3, samples of W4.
const EVENTS: u64 = 1_000_000;
const THREADS: u64 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum Task {
    /// What the caller waits for: in bursts that fit the buffers, which are emptied between them.
    CallerW1,
    CallerW2,
    CallerW4,
    /// W5: compiled in, while nothing records.
    Off,
    /// Until the file is closed: 4 deep, 16 static names.
    W1,
    /// The same with an integer, a double and a short text.
    W2,
    /// W1 on each of 4 threads.
    W3,
    /// Counter samples.
    W4,
}

impl Task {
    fn has_arguments(self) -> bool {
        matches!(self, Self::CallerW2 | Self::W2)
    }

    fn has_samples(self) -> bool {
        matches!(self, Self::CallerW4 | Self::W4)
    }

    fn threads(self) -> u64 {
        if self == Self::W3 { THREADS } else { 1 }
    }
}

/// What is measured beside the others.
trait Peer: Sized {
    /// So many events fit its buffers, if it has such; a multiple of 16.
    const BURST: u64;
    /// Whether there is a file at the end.
    const FILE: bool = true;
    /// So many counter samples, if it has counters.
    const SAMPLES: Option<fn(u64)> = None;

    fn w1(spans: u64);
    fn w2(spans: u64);

    /// W1 while nothing records.
    fn off(spans: u64) {
        Self::w1(spans);
    }

    fn start(path: &Path, task: Task) -> Result<Self>;

    /// Before a burst, which is timed.
    fn prepare(&mut self, _events: u64) {}

    /// A burst, with what has to surround it.
    fn burst(work: fn(u64), events: u64) {
        work(events);
    }

    /// After a burst: its buffers are made empty.
    fn empty(&mut self) -> Result<()> {
        Ok(())
    }

    /// What a whole run has to call after each burst, if anything.
    fn frame() {}

    /// What a thread has to call at its end, if anything.
    fn end_thread() {}

    /// Completes the file; the number of events it took, if there is no file.
    fn close(self) -> Result<Option<u64>>;
}

struct Contestant {
    name: &'static str,
    run: fn(&Case) -> Result<case::Line>,
    has_samples: bool,
    has_file: bool,
}

const fn contestant<P: Peer>(name: &'static str) -> Contestant {
    Contestant {
        name,
        run: case::measure::<P>,
        has_samples: P::SAMPLES.is_some(),
        has_file: P::FILE,
    }
}

const CONTESTANTS: &[Contestant] = &[
    contestant::<with_novatrace::Novatrace>("novatrace"),
    contestant::<with_perfetto_recorder::Recorder>("perfetto-recorder"),
    contestant::<with_tracing_perfetto_file::File<false>>("tracing-perfetto-file"),
    contestant::<with_tracing_perfetto_file::File<true>>("tracing-perfetto-file, ThreadTracks"),
    contestant::<with_tracing_perfetto::Layer>("tracing-perfetto"),
    contestant::<with_tracing_chrome::Chrome>("tracing-chrome"),
    #[cfg(feature = "sdk")]
    contestant::<with_perfetto_sdk::Sdk>("perfetto-sdk"),
    #[cfg(feature = "sdk")]
    contestant::<with_tracing_perfetto_sdk::Layer>("tracing-perfetto-sdk"),
    contestant::<with_tracy::Tracy>("tracy-client"),
    contestant::<with_puffin::Puffin>("puffin"),
    contestant::<with_fastrace::Fastrace>("fastrace"),
];

/// So many numbers that come after those of the last call, so that values do not depend on the size of
/// bursts.
fn next(numbers: u64) -> Range<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = NEXT.fetch_add(numbers, Ordering::Relaxed);
    first..first + numbers
}

/// `w1` and `w2` from two macros that begin a span to the end of the scope.
macro_rules! workloads {
    ($span:ident, $span_with:ident) => {
        /// So many spans, a multiple of 16.
        #[inline(never)]
        fn w1(spans: u64) {
            for _ in 0..spans / 16 {
                $crate::live::nest!($span "a0" "a1" "a2" "a3");
                $crate::live::nest!($span "b0" "b1" "b2" "b3");
                $crate::live::nest!($span "c0" "c1" "c2" "c3");
                $crate::live::nest!($span "d0" "d1" "d2" "d3");
            }
        }

        #[inline(never)]
        fn w2(spans: u64) {
            use std::hint::black_box;
            for at in $crate::live::next(spans / 16) {
                let (number, double) = (black_box(at as i64), black_box(at as f64));
                let text: &'static str = black_box("fp16");
                $crate::live::nest!($span_with "a0" "a1" "a2" "a3" , number, double, text);
                $crate::live::nest!($span_with "b0" "b1" "b2" "b3" , number, double, text);
                $crate::live::nest!($span_with "c0" "c1" "c2" "c3" , number, double, text);
                $crate::live::nest!($span_with "d0" "d1" "d2" "d3" , number, double, text);
            }
        }
    };
}
use workloads;

macro_rules! nest {
    ($span:ident $a:literal $b:literal $c:literal $d:literal $(, $n:ident, $f:ident, $t:ident)?) => {{
        $span!($a $(, $n, $f, $t)?);
        $span!($b $(, $n, $f, $t)?);
        $span!($c $(, $n, $f, $t)?);
        $span!($d $(, $n, $f, $t)?);
    }};
}
use nest;
