//! `perfetto-sdk`, Perfetto's own library, with its service in the same process: a buffer that
//! holds all, read into the file at the end. Tracks are the process's: it describes a track with the
//! track's first event, and the groups of W6 have none.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, Once};
use std::time::Duration as Time;

use perfetto_sdk::producer::{Backends, Producer, ProducerInitArgsBuilder};
use perfetto_sdk::tracing_session::TracingSession;
use perfetto_sdk::track_event::{
    EventContext, TrackEvent, TrackEventCategory, TrackEventCounter, TrackEventDebugArg,
    TrackEventTimestamp, TrackEventTrack, TrackEventType,
};

use crate::workload::{
    COUNTERS, Duration, KEYS, Sample, TRACKS, Writer, counter_name, names, track_name,
};

struct Through {
    category: TrackEventCategory,
    names: Vec<CString>,
    tracks: Vec<TrackEventTrack>,
    counters: Vec<TrackEventTrack>,
}

/// A `TraceConfig`: one buffer of 256 MiB that keeps what comes first, and all track events.
fn config() -> Vec<u8> {
    let nested = |tag: u8, inner: &[u8]| {
        let mut bytes = vec![tag, u8::try_from(inner.len()).expect("short")];
        bytes.extend_from_slice(inner);
        bytes
    };
    // buffers { size_kb: 262144 fill_policy: DISCARD }
    let mut config = nested(0x0A, &[0x08, 0x80, 0x80, 0x10, 0x20, 0x02]);
    // data_sources { config { name: "track_event" track_event_config { enabled_categories: "*" } } }
    let mut source = nested(0x0A, b"track_event");
    source.extend([0x8A, 0x07, 3, 0x12, 1, b'*']);
    config.extend(nested(0x12, &nested(0x0A, &source)));
    config
}

pub fn w6(path: &Path) {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        let mut arguments = ProducerInitArgsBuilder::new().backends(Backends::IN_PROCESS);
        arguments = arguments.shmem_size_hint_kb(32 << 10);
        Producer::init(arguments.build());
        TrackEvent::init();
    });
    let none: &[*const std::ffi::c_char] = &[];
    // SAFETY: there are no tags that would have to end in a zero.
    let mut category = unsafe { TrackEventCategory::new(c"w6", c"W6", none) };
    category.register();
    TrackEvent::publish_categories();
    let mut session = TracingSession::in_process().expect("the service runs here");
    session.setup(&config());
    session.start_blocking();
    assert!(category.is_enabled());

    let process = TrackEventTrack::process_track_uuid();
    let track = |at: usize| {
        let name = track_name(at);
        TrackEventTrack::register_named_track_with_dynamic_name(&name, at as u64, process)
            .expect("initialised")
    };
    let counter = |at: usize| {
        TrackEventTrack::register_counter_track_with_dynamic_name(&counter_name(at), process)
            .expect("initialised")
    };
    let through = Through {
        category,
        names: names().iter().map(|name| CString::new(&**name).expect("no zeroes")).collect(),
        tracks: (0..TRACKS).map(track).collect(),
        counters: (0..COUNTERS).map(counter).collect(),
    };
    let mut through = through.w6();
    session.flush_blocking(Time::from_secs(30));
    session.stop_blocking();
    let file = Mutex::new(File::create(path).expect("the file can be created"));
    session.read_trace_blocking(move |bytes, _| {
        file.lock().expect("one thread").write_all(bytes).expect("the file can be written");
    });
    drop(session);
    through.category.unregister();
}

fn at(ns: u64) -> TrackEventTimestamp {
    TrackEventTimestamp::Boot(Time::from_nanos(ns))
}

impl Writer for Through {
    #[inline(always)]
    fn duration(&mut self, duration: Duration) {
        let track = &self.tracks[duration.track];
        let name: &CStr = &self.names[duration.name];
        let mut begin = EventContext::default();
        begin.set_timestamp(at(duration.start)).set_track(track);
        begin.add_debug_arg(KEYS[0], TrackEventDebugArg::Int64(duration.m));
        begin.add_debug_arg(KEYS[1], TrackEventDebugArg::Int64(duration.k));
        self.category.emit(TrackEventType::SliceBegin(name.as_ptr()), &mut begin);
        let mut end = EventContext::default();
        end.set_timestamp(at(duration.start + duration.length)).set_track(track);
        self.category.emit(TrackEventType::SliceEnd, &mut end);
    }

    #[inline(always)]
    fn sample(&mut self, sample: Sample) {
        let mut event = EventContext::default();
        event.set_timestamp(at(sample.time)).set_track(&self.counters[sample.counter]);
        event.set_counter(TrackEventCounter::Double(sample.value));
        self.category.emit(TrackEventType::Counter, &mut event);
    }
}
