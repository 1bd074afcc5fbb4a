//! A plain file gone through by several threads at once: each reads all of it, and takes in the events of some of the sequences.
//! Belongs here: when that gives the same as one walk, and the joining.
//!
//! Bytes that one core has read are slow to get at from another, about as slow as to take them apart: so each reads
//! for itself. What all sequences have in common, descriptors and snapshots, each takes in, in the order of the file; so tracks,
//! clocks and packets have the same numbers on all. Texts have not, and are numbered anew when joined.
//!
//! Where more than that depends on the order between sequences, the shares give up, and the caller walks alone: as
//! soon as anything is wrong, there are bundles, or an event comes before its track is described; and at the end, if slices of
//! one track are on sequences of several shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::Error;
use crate::frame::{ChunkKind, Framer};
use crate::input::{Packing, Source};
use crate::packet::Packets;
use crate::text::TextId;
use crate::walk::{State, Visit, Walk};

/// The sequences that a walk takes in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    at: u32,
    /// There are two to the power of that.
    bits: u32,
}

impl Share {
    pub(crate) const ALL: Self = Self { at: 0, bits: 0 };

    /// Hashed, since writers count, and may do something else with every other sequence.
    #[inline(always)]
    pub(crate) fn has(self, sequence: u32) -> bool {
        u64::from(sequence.wrapping_mul(0x9E37_79B1)) >> (32 - self.bits) == u64::from(self.at)
    }

    pub(crate) fn is_all(self) -> bool {
        self.bits == 0
    }

    /// The one that tells of what all take in.
    pub(crate) fn is_first(self) -> bool {
        self.at == 0
    }
}

/// A visitor of a share.
pub(crate) trait Join: Visit + Send {
    /// Takes in what another share has; `texts` has our numbers for its. Returns whether that is as good as one visitor.
    fn join(&mut self, other: Self, texts: &[TextId]) -> bool;
}

/// Smaller files are soon read.
const MIN_LEN: u64 = if cfg!(fuzzing) { 0 } else { 1 << 20 };
/// To look whose each packet is takes a third of the time that it takes to take it in.
const MAX_SHARES: usize = 4;

/// Goes through a source, on as many threads besides the caller's if it can be shared.
pub(crate) fn walk<V: Join>(
    source: &Source,
    threads: usize,
    visitor: impl Fn() -> V,
    progress: &mut dyn FnMut(u64),
) -> Result<(State, V, Packing), Error> {
    if let Some((state, visit)) = shared(source, threads, &visitor, progress)? {
        return Ok((state, visit, Packing::Plain));
    }
    let mut visit = visitor();
    let (state, packing) = crate::walk::walk(source, threads, &mut visit, progress)?;
    Ok((state, visit, packing))
}

/// `None` if the source has to be walked by one.
fn shared<V: Join>(
    source: &Source,
    threads: usize,
    visitor: &impl Fn() -> V,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<(State, V)>, Error> {
    let bits = (threads + 1).min(MAX_SHARES).ilog2();
    if bits == 0 || source.file_len()? < MIN_LEN || source.read()?.1 != Packing::Plain {
        return Ok(None);
    }
    let is_over = AtomicBool::new(false);
    let one = |share: Share, visit: V, progress: &mut dyn FnMut(u64)| {
        let outcome = walk_share(source, share, visit, &is_over, progress);
        if !matches!(outcome, Ok(Some(_))) {
            is_over.store(true, Ordering::Relaxed);
        }
        outcome
    };
    let outcomes = thread::scope(|scope| {
        let others: Vec<_> = (1..1 << bits)
            .map(|at| {
                let (one, visit) = (&one, visitor());
                thread::Builder::new()
                    .name("novatrace reader".to_owned())
                    .spawn_scoped(scope, move || one(Share { at, bits }, visit, &mut |_| {}))
            })
            .collect();
        let first = one(Share { at: 0, bits }, visitor(), progress);
        let others = others.into_iter().map(|thread| {
            let thread = thread.map_err(|error| source.fail(error))?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        std::iter::once(first).chain(others).collect::<Result<Option<Vec<_>>, _>>()
    })?;
    let Some(outcomes) = outcomes else { return Ok(None) };
    let mut outcomes = outcomes.into_iter();
    let Some((mut state, mut visit)) = outcomes.next() else { return Ok(None) };
    for (other_state, other) in outcomes {
        let texts = state.texts.take_in(&other_state.texts);
        let is_whole = state.packets == other_state.packets && visit.join(other, &texts);
        if !is_whole {
            return Ok(None);
        }
    }
    Ok(Some((state, visit)))
}

fn walk_share<V: Visit>(
    source: &Source,
    share: Share,
    mut visit: V,
    is_over: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<(State, V)>, Error> {
    let mut walk = Walk::new(&mut visit, share);
    let mut framer = Framer::new(source.read()?.0);
    while let Some(chunk) = framer.next_chunk().map_err(|error| source.fail(error))? {
        progress(chunk.offset);
        if chunk.kind != ChunkKind::Packets {
            return Ok(None);
        }
        walk.packets(&Packets { bytes: chunk.bytes, offset: chunk.offset, is_bundle: false });
        if !walk.is_sure() || is_over.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    Ok(walk.finish().map(|state| (state, visit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::Counting;
    use crate::{Check, Info};

    fn message(parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut bytes = Vec::new();
        crate::wire::put_varint(&mut bytes, content.len() as u64);
        bytes.extend(content);
        bytes
    }

    fn packet(parts: &[&[u8]]) -> Vec<u8> {
        [vec![0x0A], message(parts)].concat()
    }

    /// A track of that number, a counter or not.
    fn descriptor(uuid: u8, is_counter: bool) -> Vec<u8> {
        let kind: &[u8] = if is_counter { &[0x42, 0] } else { &[] };
        packet(&[&[0xE2, 0x03], &message(&[&[8, uuid, 0x12, 1, b'a' + uuid], kind])])
    }

    /// The sequence's state and clock: both begin at 0; its track is the default. Names are numbered otherwise on each.
    fn start(sequence: u8, track: u8) -> Vec<u8> {
        let name = |field: u8, iid: u8, text: &[u8]| {
            [vec![field], message(&[&[8, iid, 0x12, text.len() as u8], text])].concat()
        };
        let own = [b'o', b'0' + sequence];
        let data = message(&[
            &name(0x0A, 1, b"cat"),
            &name(0x12, 1, &own),
            &name(0x12, 2, b"both"),
            &name(0x1A, 1, b"key"),
        ]);
        packet(&[
            &[0x32, 14, 0x0A, 4, 8, 6, 16, 0, 0x0A, 6, 8, 64, 16, 0, 24, 1],
            &[0xDA, 0x03, 7, 0xD0, 0x03, 64, 0x5A, 2, 0x58, track],
            &[0x68, 1, 0x50, sequence, 0x62],
            &data,
        ])
    }

    fn event(sequence: u8, delta: u8, fields: &[u8]) -> Vec<u8> {
        packet(&[&[0x40, delta, 0x5A], &message(&[fields]), &[0x50, sequence]])
    }

    /// Sequences 1 to 4 with a track each, flows between these, and a counter of all; `rest` comes at the end.
    fn trace(rest: &[Vec<u8>]) -> Source {
        let mut bytes: Vec<u8> = (1..=4)
            .flat_map(|at| [descriptor(at, false), start(at, at)].concat())
            .chain(descriptor(9, true))
            .collect();
        let flow = |id: u8| [0xF9, 0x02, id, 0, 0, 0, 0, 0, 0, 0];
        let mut round = Vec::new();
        for at in 1..=4 {
            let begin = [0x48, 1, 0x50, 1, 0x18, 1];
            round.extend(event(at, 3, &begin));
            let with_more = [&[0x48, 1, 0x50, 2, 0x18, 1, 0x22, 4, 8, 1, 0x18, at][..], &flow(7)];
            round.extend(event(at, at, &with_more.concat()));
            round.extend(event(at, 3, &[0x48, 2]));
            round.extend(event(at, 2, &[0x48, 3, 0x50, 2, 0x18, 1]));
            round.extend(event(at, 1, &[0x48, 4, 0x58, 9, 0xF0, 0x01, at]));
            round.extend(event(at, 4, &[0x48, 2]));
        }
        while (bytes.len() as u64) < MIN_LEN {
            bytes.extend(&round);
        }
        // It stays open.
        bytes.extend(event(2, 1, &[0x48, 1, 0x50, 2, 0x18, 1]));
        bytes.extend(rest.concat());
        Source::from_bytes("shared", bytes)
    }

    fn told(source: &Source, threads: usize) -> [String; 2] {
        let report = Check::new().threads(threads).run(source, |_| {}).expect("a trace");
        let info = Info::with_threads(source, threads, |_| {}).expect("a trace");
        [serde_json::to_string(&report), serde_json::to_string(&info)]
            .map(|json| json.expect("data"))
    }

    fn is_shared(source: &Source) -> [bool; 2] {
        let check = shared(source, 1, &|| Check::new().visitor(), &mut |_| {}).expect("a trace");
        let info = shared(source, 1, &Counting::new, &mut |_| {}).expect("a trace");
        [check.is_some(), info.is_some()]
    }

    #[test]
    fn shares_give_what_one_walk_gives() {
        let source = trace(&[]);
        assert_eq!(is_shared(&source), [true; 2]);
        let alone = told(&source, 0);
        assert!(alone[0].contains("left-open") && alone[1].contains("o4"), "{}", alone[0]);
        assert_eq!([1, 3].map(|threads| told(&source, threads)), [alone.clone(), alone]);
    }

    #[test]
    fn what_only_one_walk_can_tell_is_left_to_one() {
        let of_share = |at| (1..=4).find(|id| Share { at, bits: 1 }.has(u32::from(*id)));
        let (first, other) = (of_share(0).expect("one"), of_share(1).expect("one"));
        let on_first_track = event(other, 9, &[0x48, 1, 0x58, first, 0x50, 2, 0x18, 1]);
        for (rest, is) in [
            (vec![on_first_track], [false; 2]),
            // An end for nothing: only `check` minds.
            (vec![event(other, 9, &[0x48, 2]), event(other, 9, &[0x48, 2])], [false, true]),
            // A track without a descriptor, a sequence without a start, and bytes that are no packet.
            (vec![event(1, 9, &[0x48, 1, 0x58, 77, 0x50, 2])], [false; 2]),
            (vec![packet(&[&[0x40, 1, 0x50, 9, 0x68, 2]])], [false; 2]),
            (vec![vec![7, 7, 7]], [false; 2]),
        ] {
            let source = trace(&rest);
            assert_eq!(is_shared(&source), is, "{rest:?}");
            assert_eq!(told(&source, 1), told(&source, 0), "{rest:?}");
        }
    }
}
