//! Bundles: packets that are compressed together and put into one packet. Belongs here: where packets
//! begin and end, and the two codecs. Does not: threads, and what else is in a packet.
//!
//! A reader takes a bundle's frame as a whole or not at all, so that state that goes on from packet to packet goes on
//! from bundle to bundle. It refuses the whole file if a bundle is in a bundle, or has two frames.

use std::io;

use novatrace_core::schema::{trace, trace_packet};
use novatrace_core::{LENGTH_DELIMITED, read_varint, tag, varint};

use crate::Compression;

/// What a bundle's packets have at most, unless a single one has more: Perfetto's limit is 512 KiB.
const MAX_CONTENT: usize = (512 << 10) - 1;

/// Compresses packets, with buffers and tables that are kept.
pub(crate) struct Bundler {
    codec: Codec,
    frame: Vec<u8>,
}

enum Codec {
    None,
    Zlib(flate2::Compress),
    #[cfg(feature = "zstd")]
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Bundler {
    #[cfg_attr(
        not(feature = "zstd"),
        expect(clippy::unnecessary_wraps, reason = "the tables of zstd may find no memory")
    )]
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        let codec = match compression {
            Compression::None => Codec::None,
            Compression::Zlib(level) => {
                let level = flate2::Compression::new(level.clamp(1, 9).into());
                Codec::Zlib(flate2::Compress::new(level, true))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd(level) => {
                Codec::Zstd(zstd::bulk::Compressor::new(level.clamp(1, 19).into())?)
            }
        };
        Ok(Self { codec, frame: Vec::new() })
    }

    /// Appends bundles of these packets: as few as the limit allows.
    pub(crate) fn bundle(&mut self, mut packets: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !packets.is_empty() {
            let (content, rest) = packets.split_at(whole_packets(packets)?);
            self.one(content, out)?;
            packets = rest;
        }
        Ok(())
    }

    fn one(&mut self, content: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let Self { codec, frame } = self;
        frame.clear();
        let field = match codec {
            Codec::None => {
                out.extend_from_slice(content);
                return Ok(());
            }
            Codec::Zlib(deflate) => {
                deflate.reset();
                loop {
                    // More than it takes, so that there is one turn: what cannot be deflated grows by some
                    // bytes of each 16 KiB.
                    frame.reserve(content.len() / 64 + content.len() + 64);
                    let done = usize::try_from(deflate.total_in()).unwrap_or(content.len());
                    let status = deflate
                        .compress_vec(&content[done..], frame, flate2::FlushCompress::Finish)
                        .map_err(io::Error::other)?;
                    if status == flate2::Status::StreamEnd {
                        break;
                    }
                }
                trace_packet::COMPRESSED_PACKETS
            }
            #[cfg(feature = "zstd")]
            Codec::Zstd(encoder) => {
                frame.reserve(zstd::zstd_safe::compress_bound(content.len()));
                encoder.compress_to_buffer(content, frame)?;
                trace_packet::ZSTD_COMPRESSED_PACKETS
            }
        };
        let mut head = Vec::with_capacity(16);
        tag(&mut head, field, LENGTH_DELIMITED);
        varint(&mut head, frame.len() as u64);
        tag(out, trace::PACKET, LENGTH_DELIMITED);
        varint(out, (head.len() + frame.len()) as u64);
        out.extend_from_slice(&head);
        out.extend_from_slice(frame);
        Ok(())
    }
}

/// The length of as many whole packets as a bundle may have; one at least.
fn whole_packets(bytes: &[u8]) -> io::Result<usize> {
    // All of them, most of the time; but what are no packets would harm what follows.
    let mut end = 0;
    while let Some(&tag) = bytes.get(end) {
        let next = (u32::from(tag) == trace::PACKET << 3 | LENGTH_DELIMITED)
            .then(|| read_varint(&bytes[end + 1..]))
            .flatten()
            .and_then(|(length, rest)| Some(rest.get(usize::try_from(length).ok()?..)?.len()))
            .map(|after| bytes.len() - after);
        let Some(next) = next else {
            let message = format!("byte {end} of the batch begins no whole packet");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        if next > MAX_CONTENT && end > 0 {
            break;
        }
        end = next;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn packet(len: usize) -> Vec<u8> {
        let mut packet = vec![0x0A];
        varint(&mut packet, len as u64);
        packet.extend((0..len).map(|at| (at * at / 7).to_le_bytes()[0]));
        packet
    }

    /// The bundles' contents, unpacked.
    fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut contents = vec![];
        let mut rest = bytes;
        while let [0x0A, behind @ ..] = rest {
            let (length, behind) = read_varint(behind).expect("a length");
            let (packet, after) = behind.split_at(usize::try_from(length).expect("small"));
            let (tag, packet) = read_varint(packet).expect("a tag");
            let (length, frame) = read_varint(packet).expect("a length");
            assert_eq!(frame.len() as u64, length);
            let mut content = vec![];
            match tag >> 3 {
                50 => {
                    let mut decoder = flate2::bufread::ZlibDecoder::new(frame);
                    decoder.read_to_end(&mut content).expect("a whole frame");
                    assert_eq!(decoder.into_inner(), b"");
                }
                #[cfg(feature = "zstd")]
                133 => content = zstd::bulk::decompress(frame, 8 << 20).expect("one whole frame"),
                other => panic!("field {other}"),
            }
            contents.push(content);
            rest = after;
        }
        assert_eq!(rest, b"");
        contents
    }

    /// All kinds that this build has.
    fn all() -> impl Iterator<Item = Compression> {
        ["zlib:1", "zlib:6", "zlib:9", "zstd:1", "zstd:19"]
            .iter()
            .filter_map(|text| text.parse().ok())
    }

    #[test]
    fn a_bundle_has_its_field_its_length_and_one_frame() {
        let mut out = vec![];
        let mut bundler = Bundler::new(Compression::Zlib(6)).expect("always");
        bundler.bundle(b"\x0A\x02hi", &mut out).expect("a packet");
        #[rustfmt::skip]
        assert_eq!(out, [
            0x0A, 15,         // Trace.packet
            0x92, 0x03, 12,   // TracePacket.compressed_packets
            0x78, 0x9C,       // zlib
            0xE3, 0x62, 0xCA, 0xC8, 0x04, 0x00,
            0x01, 0x6B, 0x00, 0xDE, // Adler-32
        ]);
    }

    #[test]
    fn bundles_are_below_the_limit_unless_a_packet_is_not() {
        let sizes = [10, 300_000, 200_000, 24_263, 1, 600_000, 5, 524_283, 0, 1_048_576];
        let packets: Vec<_> = sizes.into_iter().map(packet).collect();
        for compression in all() {
            let mut bundler = Bundler::new(compression).expect("always");
            for _ in 0..2 {
                let mut out = vec![];
                bundler.bundle(&packets.concat(), &mut out).expect("packets");
                let contents = unpacked(&out);
                assert_eq!(contents.concat(), packets.concat(), "{compression}");
                let lengths: Vec<_> = contents.iter().map(Vec::len).collect();
                let whole = |range: std::ops::Range<usize>| packets[range].concat().len();
                // The first four with their heads are 512 KiB less one byte.
                let expected = [0..4, 4..5, 5..6, 6..7, 7..8, 8..9, 9..10].map(whole).to_vec();
                assert_eq!(lengths, expected, "{compression}");
            }
        }
    }

    #[test]
    fn what_cannot_be_made_smaller_is_bundled_all_the_same() {
        let mut state = 1_u64;
        let mut packet = packet(400_000);
        for byte in &mut packet[4..] {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = state.to_be_bytes()[0];
        }
        for compression in all() {
            let mut out = vec![];
            let mut bundler = Bundler::new(compression).expect("always");
            bundler.bundle(&packet, &mut out).expect("a packet");
            assert!(out.len() > packet.len());
            assert_eq!(unpacked(&out), [&packet[..]], "{compression}");
        }
    }

    #[test]
    fn what_is_no_whole_packet_is_refused_with_its_place() {
        let mut bundler = Bundler::new(Compression::ZLIB).expect("always");
        for wrong in [&b"\x0A"[..], b"\x0A\x05hi", b"\x12\x00", b"\x0A\xFF\xFF\xFF\xFF\xFF\x01"] {
            let error = bundler.bundle(&[b"\x0A\x02hi", wrong].concat(), &mut vec![]);
            let error = error.expect_err("a part of a packet");
            assert_eq!(error.to_string(), "byte 4 of the batch begins no whole packet");
        }
    }
}
