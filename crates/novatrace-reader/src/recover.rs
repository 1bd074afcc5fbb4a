//! `recover`: a readable copy of a damaged trace.
//!
//! After a gap, the times of a sequence with an incremental clock are not known until its next snapshot: the deltas of
//! the packets that are lost would have to be added. Such packets are left out, unless they are asked for.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use foldhash::HashSet;

use crate::Error;
use crate::clock;
use crate::frame::Damage;
use crate::input::Source;
use crate::packet::{Parsed, Payload, has};
use crate::pipeline::{self, Bundle};
use crate::walk::{Place, State, Visit, slice, walk};
use crate::wire::put_varint;

/// What became of a damaged trace.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Recovered {
    /// Packets in the copy.
    pub packets: u64,
    /// Bytes of the copy.
    pub bytes: u64,
    /// Where bytes were no packets: how many, from which one on.
    pub damaged: Vec<(u64, u64)>,
    /// Bundles that could not be unpacked to their ends.
    pub damaged_bundles: u64,
    /// Packets with bytes in them that are no field; left out.
    pub malformed: u64,
    /// Packets whose times are not known after a gap.
    pub doubtful: u64,
}

impl Recovered {
    /// Whether the file was whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty() && self.damaged_bundles == 0 && self.malformed == 0
    }
}

/// Copies what can be read of a trace, plain whatever it was packed as; `keep_doubtful` has packets stay whose
/// times are not known after a gap.
///
/// # Errors
///
/// If the file cannot be read, is no trace, or the copy cannot be written.
pub fn recover(source: &Source, to: &Path, keep_doubtful: bool) -> Result<Recovered, Error> {
    let fail = |error| Error::Write { path: to.to_owned(), error };
    if to.canonicalize().ok().is_some_and(|to| source.path().canonicalize().ok() == Some(to)) {
        return Err(fail(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is the damaged trace itself",
        )));
    }
    let out = BufWriter::with_capacity(1 << 18, File::create(to).map_err(fail)?);
    let mut copy = Copy {
        out,
        keep_doubtful,
        doubtful: HashSet::default(),
        outcome: Ok(()),
        done: Recovered::default(),
    };
    walk(source, pipeline::threads(), &mut copy, |_| {})?;
    copy.outcome.and_then(|()| copy.out.flush()).map_err(fail)?;
    Ok(copy.done)
}

struct Copy {
    out: BufWriter<File>,
    keep_doubtful: bool,
    /// Sequences whose clocks have missed deltas, perhaps.
    doubtful: HashSet<u32>,
    outcome: io::Result<()>,
    done: Recovered,
}

impl Copy {
    fn gap(&mut self, state: &State) {
        for sequence in &state.sequences {
            if sequence.clocks.iter().any(|clock| clock.is_incremental) {
                self.doubtful.insert(sequence.id);
            }
        }
    }

    fn put(&mut self, content: &[u8]) -> io::Result<()> {
        let mut header = vec![0x0A];
        put_varint(&mut header, content.len() as u64);
        self.out.write_all(&header)?;
        self.out.write_all(content)?;
        self.done.packets += 1;
        self.done.bytes += (header.len() + content.len()) as u64;
        Ok(())
    }

    /// Whether the packet's time is a delta on a clock that has missed some.
    fn is_doubtful(&self, parsed: &Parsed, state: &State) -> bool {
        if !parsed.has(has::TIMESTAMP) || !self.doubtful.contains(&parsed.sequence) {
            return false;
        }
        let Some(sequence) = state.find_sequence(parsed.sequence) else { return false };
        let id = sequence.clock_of(parsed);
        clock::is_of_sequence(id)
            && sequence.clocks.iter().any(|clock| clock.id == id && clock.is_incremental)
    }
}

impl Visit for Copy {
    fn packet(&mut self, _: Place, parsed: &Parsed, bytes: &[u8], state: &State) {
        let content = slice(bytes, (parsed.start, parsed.len));
        if parsed.has(has::MALFORMED) {
            self.done.malformed += 1;
            return self.gap(state);
        }
        if parsed.kind == Payload::ClockSnapshot {
            // It tells the time anew.
            self.doubtful.remove(&parsed.sequence);
        }
        // A bundle in a bundle ends the trace processor.
        if parsed.kind == Payload::Bundle {
            return;
        }
        if self.is_doubtful(parsed, state) {
            self.done.doubtful += 1;
            if !self.keep_doubtful {
                return;
            }
        }
        if self.outcome.is_ok() {
            self.outcome = self.put(content);
        }
    }

    fn bundle(&mut self, bundle: &Bundle, state: &State) {
        if bundle.unpacked.fault.is_some() || bundle.rest > 0 {
            self.done.damaged_bundles += 1;
            self.gap(state);
        }
    }

    fn damage(&mut self, offset: u64, len: u64, damage: Damage, state: &State) {
        if damage == Damage::ZerosAtEnd {
            return;
        }
        // What follows one another is one.
        match self.done.damaged.last_mut() {
            Some(last) if last.0 + last.1 == offset => last.1 += len,
            _ => self.done.damaged.push((offset, len)),
        }
        self.gap(state);
    }

    fn is_done(&self) -> bool {
        self.outcome.is_err()
    }
}
