//! The stream of packets, cut into chunks of whole ones. Belongs here: lengths of packets, bytes that are none, the end.
//! Does not: what is in a packet.
//!
//! A file is `Trace { repeated TracePacket packet = 1 }`: each packet is the byte 0x0A, its length, and so many bytes. Where that
//! is not so, the bytes up to the next place from which on packets follow one another are damage.

use std::io;

use crate::input::{Content, End};
use crate::packet::{COMPRESSED_PACKETS, ZSTD_COMPRESSED_PACKETS};
use crate::wire::{Fields, varint};

/// Packets are handed on in chunks of about so many bytes: with what is made of them, they stay in a core's cache.
const CHUNK: usize = 64 << 10;
/// A longer packet is taken for damage. Perfetto's own limit is below 512 KiB.
pub(crate) const MAX_PACKET: usize = 64 << 20;
pub(crate) const PACKET_TAG: u8 = 0x0A;
/// `TracePacket.compressed_packets` and `.zstd_compressed_packets`, as fields begin.
const BUNDLE_TAGS: [[u8; 2]; 2] = [long_tag(COMPRESSED_PACKETS), long_tag(ZSTD_COMPRESSED_PACKETS)];

/// The tag, of two bytes, of a field that has a length.
const fn long_tag(field: u32) -> [u8; 2] {
    let tag = field << 3 | 2;
    assert!(tag >= 0x80 && tag < 0x4000);
    [(tag & 0x7F) as u8 | 0x80, (tag >> 7) as u8]
}

/// A part of the stream.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Where it begins in the stream, unpacked if the file is packed as a whole.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: ChunkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// Whole packets.
    Packets,
    /// One packet that is a bundle of others.
    Bundle,
    /// Bytes that are no packets.
    Damage(Damage),
}

/// What bytes are that are no packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A packet that the end of the file cuts.
    Cut,
    /// Zeros, up to the end: a file that was allocated and not filled.
    ZerosAtEnd,
    /// Zeros, with packets after them.
    Zeros,
    /// A field of the file that is not a packet.
    ForeignField(u32),
    /// Anything else.
    Garbage,
    /// The file as a whole cannot be unpacked any further.
    Packed,
}

/// Cuts a stream into chunks.
pub(crate) struct Framer {
    content: Content,
    buffer: Vec<u8>,
    /// Where the buffer begins in the stream.
    offset: u64,
    end: Option<End>,
    /// What was handed on last was damage without its end.
    is_lost: bool,
}

/// What comes next in the buffer.
enum Next {
    Packet {
        end: usize,
        content: usize,
    },
    /// Its end is not in the buffer; so many bytes are needed.
    Longer(usize),
    NoPacket,
}

impl Framer {
    pub(crate) fn new(content: Content) -> Self {
        Self { content, buffer: Vec::new(), offset: 0, end: None, is_lost: false }
    }

    fn next_at(&self, at: usize) -> Next {
        match self.buffer.get(at) {
            Some(&PACKET_TAG) => {}
            Some(_) => return Next::NoPacket,
            None => return Next::Longer(at + 2),
        }
        let Some((len, content)) = varint(&self.buffer, at + 1) else {
            let known = self.buffer.len() - at;
            return if known > 10 { Next::NoPacket } else { Next::Longer(at + 11) };
        };
        match usize::try_from(len) {
            Ok(len) if len <= MAX_PACKET => {
                let end = content + len;
                if end <= self.buffer.len() {
                    Next::Packet { end, content }
                } else {
                    Next::Longer(end)
                }
            }
            _ => Next::NoPacket,
        }
    }

    /// Where the packets end that follow one another from there on, are short and no bundles, as nearly all are.
    #[inline]
    fn after_short_ones(&self, mut at: usize) -> usize {
        while let Some(&[PACKET_TAG, len @ 2..0x80, one, other]) =
            self.buffer[at..].first_chunk::<4>()
        {
            let end = at + 2 + usize::from(len);
            if at >= CHUNK || end > self.buffer.len() || BUNDLE_TAGS.contains(&[one, other]) {
                break;
            }
            at = end;
        }
        at
    }

    /// Has `len` bytes in the buffer, unless the stream ends before.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        if self.end.is_none() && self.buffer.len() < len {
            let more = (len - self.buffer.len()).max(CHUNK / 2);
            self.end = self.content.append(&mut self.buffer, more)?;
        }
        Ok(())
    }

    /// The next part, in order; `None` at the end.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        self.fill(CHUNK)?;
        if self.is_lost && !self.buffer.is_empty() && !self.is_resumed_at(0) {
            return Ok(Some(self.damage(Damage::Garbage)?));
        }
        self.is_lost = false;
        let mut at = 0;
        loop {
            at = self.after_short_ones(at);
            match self.next_at(at) {
                Next::Packet { end, content } => {
                    let is_bundle = self.buffer[content..end]
                        .first_chunk()
                        .is_some_and(|tag| BUNDLE_TAGS.contains(tag));
                    if is_bundle && at == 0 {
                        return Ok(Some(self.cut(end, ChunkKind::Bundle)));
                    }
                    if is_bundle || at >= CHUNK {
                        return Ok(Some(self.cut(at, ChunkKind::Packets)));
                    }
                    at = end;
                }
                _ if at > 0 => return Ok(Some(self.cut(at, ChunkKind::Packets))),
                Next::Longer(len) if self.end.is_none() => self.fill(len)?,
                _ if self.buffer.is_empty() => {
                    return Ok(match self.end.take() {
                        Some(End::Packed) => {
                            self.end = Some(End::Whole);
                            Some(self.cut(0, ChunkKind::Damage(Damage::Packed)))
                        }
                        end => {
                            self.end = end;
                            None
                        }
                    });
                }
                Next::Longer(_) => return Ok(Some(self.damage(Damage::Cut)?)),
                Next::NoPacket => return Ok(Some(self.damage(Damage::Garbage)?)),
            }
        }
    }

    fn cut(&mut self, len: usize, kind: ChunkKind) -> Chunk {
        let rest = self.buffer[len..].to_vec();
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.truncate(len);
        let offset = self.offset;
        self.offset += len as u64;
        Chunk { offset, bytes, kind }
    }

    /// The bytes at the beginning of the buffer that are no packets.
    #[cold]
    fn damage(&mut self, damage: Damage) -> io::Result<Chunk> {
        if damage == Damage::Garbage && !self.is_lost {
            if self.buffer.first() == Some(&0) {
                return self.zeros();
            }
            let mut fields = Fields::of(&self.buffer);
            if let Some((number, _)) = fields.next()
                && number != 1
                && self.is_resumed_at(fields.position())
            {
                return Ok(
                    self.cut(fields.position(), ChunkKind::Damage(Damage::ForeignField(number)))
                );
            }
        }
        loop {
            if let Some(at) = (1..self.buffer.len()).find(|&at| self.is_resumed_at(at)) {
                return Ok(self.cut(at, ChunkKind::Damage(Damage::Garbage)));
            }
            if self.end.is_some() {
                return Ok(self.cut(self.buffer.len(), ChunkKind::Damage(damage)));
            }
            if self.buffer.len() >= 4 * CHUNK {
                // What may be the begin of something stays.
                self.is_lost = true;
                return Ok(self.cut(self.buffer.len() - CHUNK, ChunkKind::Damage(Damage::Garbage)));
            }
            self.fill(self.buffer.len() + CHUNK)?;
        }
    }

    fn zeros(&mut self) -> io::Result<Chunk> {
        let count = |buffer: &[u8]| buffer.iter().take_while(|byte| **byte == 0).count();
        let mut zeros = count(&self.buffer);
        while zeros == self.buffer.len() && self.end.is_none() && zeros < MAX_PACKET {
            self.fill(zeros + CHUNK)?;
            zeros += count(&self.buffer[zeros..]);
        }
        let is_end = self.end.is_some() && zeros == self.buffer.len();
        Ok(self
            .cut(zeros, ChunkKind::Damage(if is_end { Damage::ZerosAtEnd } else { Damage::Zeros })))
    }

    /// Whether packets follow one another from there on: three of them, or all that there are.
    fn is_resumed_at(&self, mut at: usize) -> bool {
        for _ in 0..3 {
            match self.next_at(at) {
                Next::Packet { end, content } if is_plausible(&self.buffer[content..end]) => {
                    at = end;
                }
                _ => return false,
            }
            if at == self.buffer.len() {
                return true;
            }
        }
        true
    }
}

/// Whether bytes look like a packet: fields that such a one has, one of them that most have.
fn is_plausible(content: &[u8]) -> bool {
    const USUAL: [u32; 12] = [6, 8, 10, 11, 36, 50, 60, 69, 89, 126, 133, 33];
    let mut fields = Fields::of(content);
    let is_one = fields
        .by_ref()
        .take(64)
        .fold(false, |is_one, (number, _)| is_one || USUAL.contains(&number));
    is_one && !fields.is_malformed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn packet(content: &[u8]) -> Vec<u8> {
        [&[PACKET_TAG, u8::try_from(content.len()).expect("short")], content].concat()
    }

    /// `timestamp` and `trusted_packet_sequence_id`.
    fn small(number: u8) -> Vec<u8> {
        packet(&[0x40, number, 0x50, 1])
    }

    fn kinds(bytes: &[u8]) -> Vec<(u64, usize, ChunkKind)> {
        let (content, _) = Source::from_bytes("test", bytes).read().expect("a trace");
        let mut framer = Framer::new(content);
        let mut kinds = vec![];
        while let Some(chunk) = framer.next_chunk().expect("memory") {
            kinds.push((chunk.offset, chunk.bytes.len(), chunk.kind));
        }
        assert_eq!(kinds.iter().map(|(_, len, _)| len).sum::<usize>(), bytes.len());
        kinds
    }

    #[test]
    fn bytes_that_are_no_packets_are_told_from_those_that_are() {
        let good: Vec<u8> = (1..5).flat_map(small).collect();
        let packets = |offset, count: usize| (offset, count * 6, ChunkKind::Packets);
        let damage = |offset, len, damage| (offset, len, ChunkKind::Damage(damage));
        for (between, is) in [
            (&[0xFF, 0x0A, 0xFF, 1, 2][..], Damage::Garbage),
            (&[0; 9], Damage::Zeros),
            (&[0x12, 3, 1, 2, 3], Damage::ForeignField(2)),
            // A length that cannot be.
            (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], Damage::Garbage),
        ] {
            let bytes = [&good, between, &good].concat();
            let len = between.len();
            assert_eq!(
                kinds(&bytes),
                [packets(0, 4), damage(24, len, is), packets(24 + len as u64, 4)]
            );
        }
        assert_eq!(kinds(&good[..22]), [packets(0, 3), damage(18, 4, Damage::Cut)]);
        let bytes = [&good, &[0; 100][..]].concat();
        assert_eq!(kinds(&bytes), [packets(0, 4), damage(24, 100, Damage::ZerosAtEnd)]);
    }

    #[test]
    fn bundles_are_chunks_of_their_own() {
        let bundle = packet(&[0x92, 0x03, 1, 0]);
        let bytes = [small(1), bundle.clone(), bundle, small(2)].concat();
        let found: Vec<_> =
            kinds(&bytes).into_iter().map(|(offset, _, kind)| (offset, kind)).collect();
        let (packets, bundle) = (ChunkKind::Packets, ChunkKind::Bundle);
        assert_eq!(found, [(0, packets), (6, bundle), (12, bundle), (18, packets)]);
    }

    #[test]
    fn chunks_are_cut_between_packets() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(|at| small((at % 100) as u8)).collect();
        let kinds = kinds(&bytes);
        assert!(
            kinds.len() > 3
                && kinds.iter().all(|(_, len, kind)| len % 6 == 0 && *kind == ChunkKind::Packets)
        );
    }
}
