//! What each fuzz target does with its bytes. Belongs here: what has to hold for any bytes. Does not: where they come from, which is
//! libFuzzer for the targets, and the kept corpus for the reader's tests.

use std::io::Write;

use novatrace_reader::{Check, Dump, Info, Source, Trace};

/// What does not begin like a trace is refused before anything is decoded.
fn trace_of(data: &[u8]) -> Source {
    Source::from_bytes("fuzz", [&[0x0A, 0], data].concat())
}

/// Any bytes are read: into memory, and as text.
pub(crate) fn decoder(data: &[u8]) {
    let source = trace_of(data);
    let trace = Trace::read(&source).expect("it begins with a packet");
    for slice in &trace.slices {
        assert!(slice.track < trace.tracks.len() && slice.dur >= -1);
        assert!(slice.parent.is_none_or(|parent| parent < trace.slices.len()));
        for callstack in slice.callstack.iter().chain(&slice.end_callstack) {
            assert!(trace.callstacks[*callstack].iter().all(|frame| *frame < trace.frames.len()));
        }
    }
    Dump::new().run(&source, std::io::sink()).expect("it begins with a packet").expect("a sink");
}

/// `check` has an answer for any bytes, the same one whatever the number of threads, and `info` has one too.
pub(crate) fn check(data: &[u8]) {
    let source = trace_of(data);
    let check = |threads| {
        Check::new().threads(threads).run(&source, |_| {}).expect("it begins with a packet")
    };
    let report = check(1);
    assert_eq!(format!("{report:?}"), format!("{:?}", check(0)));
    let counted: u64 = report.findings.iter().map(|found| found.count).sum();
    assert_eq!(counted == 0, report.findings.is_empty());
    let info = Info::of(&source, |_| {}).expect("it begins with a packet");
    assert_eq!(info.packets, report.packets);
}

/// Any bytes are unpacked: as bundles of each kind, as whole files of each kind, and as what is in a sound bundle.
pub(crate) fn bundle(data: &[u8]) {
    if data.len() > 1 << 16 {
        return;
    }
    let mut zlib = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::fast());
    zlib.write_all(data).expect("memory");
    let zlib = zlib.finish().expect("memory");
    let (deflated, zstd) = (&[0x92, 0x03][..], &[0xAA, 0x08][..]);
    let whole = |magic: &[u8]| [magic, data].concat();
    for bytes in [
        packet(deflated, data),
        packet(deflated, &whole(&[0x78, 0x01])),
        packet(deflated, &whole(&[0x1F, 0x8B, 8, 0])),
        packet(zstd, data),
        packet(zstd, &whole(&[0x28, 0xB5, 0x2F, 0xFD])),
        packet(deflated, &zlib),
        whole(&[0x1F, 0x8B, 8, 0]),
        whole(&[0x28, 0xB5, 0x2F, 0xFD]),
    ] {
        let source = Source::from_bytes("fuzz", bytes);
        let _ = Info::of(&source, |_| {});
    }
}

/// A packet with one field of up to 2 MiB.
fn packet(tag: &[u8], content: &[u8]) -> Vec<u8> {
    let len = |len: usize| {
        let bits = |by: usize| (len >> by).to_le_bytes()[0] & 0x7F;
        vec![bits(0) | 0x80, bits(7) | 0x80, bits(14)]
    };
    let field = [tag, &len(content.len()), content].concat();
    [&[0x0A], &len(field.len())[..], &field].concat()
}
