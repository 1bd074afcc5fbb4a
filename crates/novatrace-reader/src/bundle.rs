//! Compressed bundles of packets. Belongs here: unpacking one, within limits. Does not: the packets in it.

use std::io::Read;

use crate::packet::{COMPRESSED_PACKETS, ZSTD_COMPRESSED_PACKETS};
use crate::wire::{Fields, Wire};

/// What a bundle may unpack to. Perfetto's own have less than 512 KiB.
pub(crate) const MAX_BUNDLE: usize = 32 << 20;

/// How a bundle is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Codec {
    Zlib,
    Gzip,
    Zstd,
}

/// What is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BundleFault {
    /// It cannot be unpacked (any further).
    Damaged(String),
    /// Deflated, without a header: the trace processor takes nothing of the file.
    RawDeflate,
    /// More than [`MAX_BUNDLE`].
    TooLarge,
    /// More follows the first compressed frame.
    SecondFrame,
}

/// A bundle's content, as far as it can be unpacked.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) codec: Option<Codec>,
    pub(crate) packed: usize,
    pub(crate) bytes: Vec<u8>,
    /// How many they are, also when they have been taken.
    pub(crate) bytes_len: usize,
    pub(crate) fault: Option<BundleFault>,
}

/// Unpacks the bundle in a packet's content; `None` if there is none.
pub(crate) fn unpack(content: &[u8]) -> Option<Unpacked> {
    let (number, packed) = Fields::of(content).find_map(|field| match field {
        (number @ (COMPRESSED_PACKETS | ZSTD_COMPRESSED_PACKETS), Wire::Bytes(packed)) => {
            Some((number, packed))
        }
        _ => None,
    })?;
    let mut unpacked = Unpacked {
        codec: None,
        packed: packed.len(),
        bytes: Vec::new(),
        bytes_len: 0,
        fault: None,
    };
    let left = match (number, packed) {
        (ZSTD_COMPRESSED_PACKETS, _) => {
            unpacked.codec = Some(Codec::Zstd);
            let decoder = zstd::stream::read::Decoder::with_buffer(packed).map(|decoder| {
                let mut decoder = decoder.single_frame();
                // A window that one bundle may have; what asks for more is refused.
                let _ = decoder.window_log_max(25);
                decoder
            });
            match decoder {
                Ok(mut decoder) => {
                    unpacked.read(&mut decoder);
                    decoder.finish().len()
                }
                Err(error) => {
                    unpacked.fault = Some(BundleFault::Damaged(error.to_string()));
                    0
                }
            }
        }
        (_, [0x1F, 0x8B, ..]) => {
            unpacked.codec = Some(Codec::Gzip);
            let mut decoder = flate2::bufread::GzDecoder::new(packed);
            unpacked.read(&mut decoder);
            decoder.into_inner().len()
        }
        (_, [method, flags, ..])
            if method & 0x0F == 8
                && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31) =>
        {
            unpacked.codec = Some(Codec::Zlib);
            let mut decoder = flate2::bufread::ZlibDecoder::new(packed);
            unpacked.read(&mut decoder);
            decoder.into_inner().len()
        }
        _ => {
            let mut decoder = flate2::bufread::DeflateDecoder::new(packed);
            unpacked.read(&mut decoder);
            let is_raw = unpacked.fault.is_none() && unpacked.bytes.first() == Some(&0x0A);
            unpacked.fault = Some(if is_raw {
                BundleFault::RawDeflate
            } else {
                unpacked.bytes.clear();
                BundleFault::Damaged("neither zlib nor gzip".to_owned())
            });
            0
        }
    };
    if left > 0 && unpacked.fault.is_none() {
        unpacked.fault = Some(BundleFault::SecondFrame);
    }
    unpacked.bytes_len = unpacked.bytes.len();
    Some(unpacked)
}

impl Unpacked {
    fn read(&mut self, from: &mut impl Read) {
        match from.by_ref().take(MAX_BUNDLE as u64).read_to_end(&mut self.bytes) {
            Ok(read) if read == MAX_BUNDLE && !is_at_end(from) => {
                self.fault = Some(BundleFault::TooLarge);
            }
            Ok(_) => {}
            Err(error) => self.fault = Some(BundleFault::Damaged(error.to_string())),
        }
    }
}

fn is_at_end(from: &mut impl Read) -> bool {
    from.read_exact(&mut [0]).is_err()
}
