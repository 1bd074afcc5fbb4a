//! perfetto-recorder with `fastant`: events go to a vector of the thread. For the caller's cost, room is
//! reserved before each burst, and what was recorded is thrown away after it. In complete runs, each
//! thread's events are taken at its end, and encoded and written at the end of all.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use perfetto_recorder::{
    CounterTrack, CounterUnit, EVENTS_PER_ARG, EVENTS_PER_SPAN, ThreadTraceData, TraceBuilder,
};

use super::{Peer, Task, workloads};

macro_rules! span {
    ($name:literal) => {
        perfetto_recorder::scope!($name);
    };
}

macro_rules! span_with {
    ($name:literal, $number:ident, $double:ident, $text:ident) => {
        perfetto_recorder::scope!($name, number = $number, double = $double, text = $text);
    };
}

static THREADS: Mutex<Vec<ThreadTraceData>> = Mutex::new(Vec::new());
static TRACK: Mutex<Option<CounterTrack>> = Mutex::new(None);

pub struct Recorder {
    path: PathBuf,
    trace: TraceBuilder,
}

#[inline(never)]
fn samples(samples: u64) {
    let mut track = TRACK.lock().expect("one thread");
    let track = track.as_mut().expect("it was made at the start");
    for at in super::next(samples) {
        track.record_f64(perfetto_recorder::time(), at as f64);
    }
}

impl Peer for Recorder {
    const BURST: u64 = 32_000;
    const SAMPLES: Option<fn(u64)> = Some(samples);

    workloads!(span, span_with);

    fn start(path: &Path, _: Task) -> Result<Self> {
        perfetto_recorder::start().ok().context("it is compiled in")?;
        let mut trace = TraceBuilder::new().ok().context("it was started")?;
        let track = trace.create_counter_track("samples", CounterUnit::Count, 1, false);
        *TRACK.lock().expect("one thread") = Some(track);
        Ok(Self { path: path.to_owned(), trace })
    }

    fn prepare(&mut self, events: u64) {
        let each = EVENTS_PER_SPAN + 3 * EVENTS_PER_ARG;
        perfetto_recorder::current_thread_reserve(events as usize * each);
    }

    fn empty(&mut self) -> Result<()> {
        drop(ThreadTraceData::take_current_thread());
        Ok(())
    }

    fn end_thread() {
        THREADS.lock().expect("none panics").push(ThreadTraceData::take_current_thread());
    }

    fn close(mut self) -> Result<Option<u64>> {
        for thread in std::mem::take(&mut *THREADS.lock().expect("none panics")) {
            self.trace.process_thread_data(&thread);
        }
        self.trace.write_to_file(self.path)?;
        Ok(None)
    }
}
