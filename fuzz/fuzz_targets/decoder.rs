//! Any bytes are read: into memory, and as text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use novatrace_reader::{Dump, Source, Trace};

fuzz_target!(|data: &[u8]| {
    // What does not begin like a trace is refused before anything is decoded.
    let bytes = [&[0x0A, 0], data].concat();
    let source = Source::from_bytes("fuzz", bytes);
    let trace = Trace::read(&source).expect("it begins with a packet");
    for slice in &trace.slices {
        assert!(slice.track < trace.tracks.len() && slice.dur >= -1);
        assert!(slice.parent.is_none_or(|parent| parent < trace.slices.len()));
    }
    Dump::new().run(&source, std::io::sink()).expect("it begins with a packet").expect("a sink");
});
