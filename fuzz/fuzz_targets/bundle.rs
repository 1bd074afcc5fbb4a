//! Any bytes are unpacked: as bundles of each kind, as whole files of each kind, and as what is in a sound bundle.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use novatrace_reader::{Info, Source};

fn packet(tag: &[u8], content: &[u8]) -> Vec<u8> {
    let len = |len: usize| vec![len as u8 & 0x7F | 0x80, (len >> 7) as u8 & 0x7F | 0x80, (len >> 14) as u8];
    let field = [tag, &len(content.len()), content].concat();
    [&[0x0A], &len(field.len())[..], &field].concat()
}

fuzz_target!(|data: &[u8]| {
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
});
