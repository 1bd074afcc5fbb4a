//! perfetto-sdk: Perfetto's C++ library with its service in the same process, and 32 MiB of memory shared
//! with it, which is flushed after each burst. A buffer of 1 GiB is read into the file at the end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::Result;
use live_te_ns as perfetto_te_ns;
use perfetto_sdk::producer::{Backends, Producer, ProducerInitArgsBuilder};
use perfetto_sdk::tracing_session::TracingSession;
use perfetto_sdk::track_event::{
    EventContext, TrackEvent, TrackEventCounter, TrackEventDebugArg, TrackEventTrack,
};
use perfetto_sdk::{scoped_track_event, track_event_categories, track_event_counter};

use super::{Peer, Task, workloads};

track_event_categories! {
    pub mod live_te_ns {
        ("live", "Live", []),
    }
}

macro_rules! span {
    ($name:literal) => {
        scoped_track_event!("live", $name);
    };
}

macro_rules! span_with {
    ($name:literal, $number:ident, $double:ident, $text:ident) => {
        scoped_track_event!("live", $name, |context: &mut EventContext| {
            context.add_debug_arg("number", TrackEventDebugArg::Int64($number));
            context.add_debug_arg("double", TrackEventDebugArg::Double($double));
            context.add_debug_arg("text", TrackEventDebugArg::String($text));
        });
    };
}

static TRACK: OnceLock<TrackEventTrack> = OnceLock::new();

/// A session, and where it will be written.
pub struct Recording {
    session: TracingSession,
    path: PathBuf,
}

impl Recording {
    /// Starts the library in this process; `register` registers categories.
    pub fn start(path: &Path, register: impl FnOnce()) -> Result<Self> {
        let arguments = ProducerInitArgsBuilder::new().backends(Backends::IN_PROCESS);
        Producer::init(arguments.shmem_size_hint_kb(32 << 10).build());
        TrackEvent::init();
        register();
        let mut session = TracingSession::in_process()?;
        session.setup(&config());
        session.start_blocking();
        Ok(Self { session, path: path.to_owned() })
    }

    pub fn flush(&mut self) {
        self.session.flush_blocking(Duration::from_secs(30));
    }

    pub fn close(mut self) -> Result<()> {
        self.flush();
        self.session.stop_blocking();
        let file = Mutex::new(File::create(self.path)?);
        self.session.read_trace_blocking(move |bytes, _| {
            file.lock().expect("one thread").write_all(bytes).expect("the file can be written");
        });
        Ok(())
    }
}

/// A `TraceConfig`: one buffer of 1 GiB that keeps what comes first, and all track events.
fn config() -> Vec<u8> {
    let nested = |tag: u8, inner: &[u8]| {
        let mut bytes = vec![tag, u8::try_from(inner.len()).expect("short")];
        bytes.extend_from_slice(inner);
        bytes
    };
    // buffers { size_kb: 1048576 fill_policy: DISCARD }
    let mut config = nested(0x0A, &[0x08, 0x80, 0x80, 0x40, 0x20, 0x02]);
    // data_sources { config { name: "track_event" track_event_config { enabled_categories: "*" } } }
    let mut source = nested(0x0A, b"track_event");
    source.extend([0x8A, 0x07, 3, 0x12, 1, b'*']);
    config.extend(nested(0x12, &nested(0x0A, &source)));
    config
}

pub struct Sdk(Recording);

#[inline(never)]
fn samples(samples: u64) {
    let track = TRACK.get_or_init(|| {
        TrackEventTrack::register_counter_track("samples", TrackEventTrack::process_track_uuid())
            .expect("initialised")
    });
    for at in super::next(samples) {
        track_event_counter!("live", |context: &mut EventContext| {
            context.set_track(track);
            context.set_counter(TrackEventCounter::Double(at as f64));
        });
    }
}

impl Peer for Sdk {
    const BURST: u64 = 32_000;
    const SAMPLES: Option<fn(u64)> = Some(samples);

    workloads!(span, span_with);

    fn start(path: &Path, _: Task) -> Result<Self> {
        let register = || perfetto_te_ns::register().expect("it is the first time");
        Ok(Self(Recording::start(path, register)?))
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
