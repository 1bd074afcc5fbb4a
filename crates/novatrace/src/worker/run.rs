//! The worker's thread: takes records, keeps the books, drains tracks, answers.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use novatrace_core::{EventBody, Piece, Scalar, Sequence, SequenceId, ShortBody, Timestamps};
use novatrace_sink::Sink;

use super::decode::{Dictionary, Place};
use super::describe::{self, Described};
use super::link::Link;
use super::output::Output;
use super::pending::{Entry, EntryKind, Extent};
use super::stats::Stats;
use super::track::{Surroundings, Track};
use crate::error::ErrorKind;
use crate::generator::OpenSlices;
use crate::record::{Drain, HEAD_WORDS, Kind};

/// A record of so many words counts as two events of the window, of twice as many as three, so
/// that the window bounds memory: 1 KiB an event.
const WORDS_PER_EVENT: usize = 128;
/// Bodies that open slices may hold back.
const MAX_PENDING_BYTES: usize = 32 << 20;
/// How long the worker waits at most for a ring to fill.
const TICK: Duration = Duration::from_millis(5);
/// The same when nothing has come for a while.
const IDLE_TICK: Duration = Duration::from_millis(50);

/// The worker's thread, from start to end.
pub(crate) fn run(link: &Arc<Link>, sink: Box<dyn Sink>, path: Option<PathBuf>, uuid: u128) {
    let mut rings = Rings::default();
    let mut worker = Worker::new(link, sink, path, uuid);
    // A fault of ours must not take the program with it, nor leave its threads waiting.
    let outcome = catch_unwind(AssertUnwindSafe(|| worker.run(&mut rings, uuid)));
    if let Err(panic) = outcome {
        let message = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        link.fail(ErrorKind::WorkerPanicked { message }.into());
        link.close(&mut rings.known, &mut rings.all);
    }
    let stats = worker.stats();
    // The file is closed before anyone is told that it is complete.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(worker)));
    link.done(stats);
}

#[derive(Debug, Default)]
struct Rings {
    all: Vec<Drain>,
    /// How many there have ever been.
    known: u64,
}

/// All that the worker knows.
struct Worker<'l> {
    link: &'l Link,
    out: Output,
    /// The shared one first.
    sequences: Vec<Sequence>,
    dictionary: Dictionary,
    /// By row; `None` for groups, and for rows without events.
    tracks: Vec<Option<Box<Track>>>,
    described: Described,
    /// Tracks with pending events.
    active: Vec<u32>,
    /// What the last drain left.
    pending_events: usize,
    pending_bytes: usize,
    events_since_drain: u64,
    /// What is left of the window.
    window_left: usize,
    /// Ends that came before their begins, through another thread's ring: by open slice.
    early_ends: HashMap<u64, u64>,
    counts: Stats,
}

impl<'l> Worker<'l> {
    fn new(link: &'l Link, sink: Box<dyn Sink>, path: Option<PathBuf>, uuid: u128) -> Self {
        let config = &link.config;
        let out = Output::new(sink, path, config.batch_packets, config.batch_bytes);
        let shared = SequenceId::new(1).expect("not zero");
        let shared = Sequence::new(shared, Timestamps::Absolute);
        Self {
            link,
            out,
            sequences: vec![shared],
            dictionary: Dictionary::new(config.default_category, config.limits),
            tracks: Vec::new(),
            described: Described::new(uuid),
            active: Vec::new(),
            pending_events: 0,
            pending_bytes: 0,
            events_since_drain: 0,
            window_left: config.window,
            early_ends: HashMap::new(),
            counts: Stats::default(),
        }
    }

    fn run(&mut self, rings: &mut Rings, uuid: u128) {
        describe::write_header(&mut self.out, uuid, &self.link.config.attributes);
        self.sequences[0].start(&mut self.out.batch, None);
        self.out.packet();
        let mut idle = 0;
        loop {
            // Asked first: what was recorded before the request is then in the rings.
            let asked = self.link.asked();
            if asked.finish {
                self.link.close(&mut rings.known, &mut rings.all);
                self.take_all(rings);
                self.finish();
                return;
            }
            self.link.new_rings(&mut rings.known, &mut rings.all);
            let progress = self.take_all(rings);
            if asked.flush {
                self.drain_all();
                self.out.write();
            }
            self.out.write_if_older(self.link.config.batch_time);
            if let Some(error) = self.out.take_error() {
                self.link.fail(error);
            }
            self.link.answer(asked.flushes, self.stats());
            if progress {
                idle = 0;
            } else {
                idle += 1;
                self.link.sleep(if idle < 20 { TICK } else { IDLE_TICK }, &rings.all);
            }
        }
    }

    fn take_all(&mut self, rings: &mut Rings) -> bool {
        let mut progress = false;
        rings.all.retain_mut(|ring| {
            // Released first: what was pushed before is then seen.
            let is_released = ring.is_released();
            progress |= ring.take(|record| self.record(record));
            !(is_released && ring.is_empty())
        });
        progress
    }

    #[inline(always)]
    fn record(&mut self, record: &[u64]) {
        let Some((&[head, _, start, word], _)) = record.split_first_chunk::<HEAD_WORDS>() else {
            return;
        };
        let row = (head >> 32) as u32;
        let Some(kind) = Kind::of(head) else { return };
        let Some(Some(track)) = self.tracks.get_mut(row as usize) else {
            return self.first_record(row, record);
        };
        let bodies = track.pending.bodies();
        let body = bodies.len();
        let (end, entry) = match kind {
            Kind::Slice | Kind::Instant | Kind::Begin => {
                let sequence = &mut self.sequences[track.sequence];
                let mut place = Place { sequence, out: &mut self.out };
                self.dictionary.body(record, bodies, &mut place);
                if kind == Kind::Slice {
                    (word, EntryKind::Slice)
                } else if kind == Kind::Instant {
                    (start, EntryKind::Instant)
                } else {
                    (Entry::open_end(word), EntryKind::Slice)
                }
            }
            Kind::CountDouble => {
                ShortBody::new(bodies, 1).word(Piece::DOUBLE_COUNTER, word).finish();
                (start, EntryKind::Counter)
            }
            Kind::CountInt => {
                EventBody::new(bodies).counter(Scalar::Int(word.cast_signed()));
                (start, EntryKind::Counter)
            }
            Kind::End => return self.end(row, word, start),
            Kind::Skip | Kind::Aside => return,
        };
        track.pending.push(start, end, entry, body);
        if !track.is_active {
            track.is_active = true;
            self.active.push(row);
        }
        if kind == Kind::Begin
            && let Some(end) = self.early_ends.remove(&word)
        {
            self.end(row, word, end);
        }
        self.events_since_drain += 1;
        match self.window_left.checked_sub(1 + record.len() / WORDS_PER_EVENT) {
            Some(left) => self.window_left = left,
            None => self.drain_window(),
        }
    }

    /// The first record of a row.
    #[cold]
    #[inline(never)]
    fn first_record(&mut self, row: u32, record: &[u64]) {
        let rows = self.link.rows();
        if row < rows.len() {
            self.tracks.resize_with(rows.len() as usize, || None);
            let (sequences, out) = (&mut self.sequences, &mut self.out);
            let track = self.described.first_event(rows, row, sequences, out);
            self.tracks[row as usize] = Some(Box::new(track));
            self.record(record);
        }
    }

    fn end(&mut self, track: u32, id: u64, end: u64) {
        let Some(Some(at)) = self.tracks.get_mut(track as usize) else { return };
        if !at.end(id, end, &mut self.sequences[at.sequence], &mut self.out) {
            self.early_ends.insert(id, end);
        }
    }

    #[cold]
    #[inline(never)]
    fn drain_window(&mut self) {
        self.drain(Extent::Window, false);
        // Open slices hold back what follows them, but not for ever.
        let held = 2 * self.link.config.window.max(1);
        if self.pending_events > held || self.pending_bytes > MAX_PENDING_BYTES {
            self.drain(Extent::Window, true);
        }
    }

    /// Writes all that is known, the ends of slices included, also of tracks without pending events.
    fn drain_all(&mut self) {
        self.drain(Extent::All, true);
        for track in self.tracks.iter_mut().flatten() {
            track.write_ends(&mut self.sequences[track.sequence], &mut self.out);
        }
    }

    fn drain(&mut self, extent: Extent, with_open: bool) {
        self.counts.events += self.events_since_drain;
        self.events_since_drain = 0;
        self.window_left = self.link.config.window;
        self.pending_events = 0;
        self.pending_bytes = 0;
        for index in std::mem::take(&mut self.active) {
            let row = index as usize;
            let Some(at) = &mut self.tracks[row] else { continue };
            let (link, described, dictionary) = (self.link, &self.described, &self.dictionary);
            let (lanes, refused) = (&mut self.counts.lanes, &mut self.counts.refused);
            at.drain(
                extent,
                with_open,
                &mut Surroundings {
                    sequence: &mut self.sequences[at.sequence],
                    out: &mut self.out,
                    overlap: self.link.config.overlap,
                    new_lane: &mut |sequence, out| {
                        *lanes += 1;
                        described.lane(link.rows(), index, *lanes, sequence, out)
                    },
                    refused: &mut |kind| {
                        *refused += 1;
                        link.fail(kind.into());
                    },
                    name_of: &|body| dictionary.name_in(body),
                },
            );
            self.pending_events += at.pending.len();
            self.pending_bytes += at.pending.body_bytes();
            if at.pending.is_empty() {
                at.is_active = false;
            } else {
                self.active.push(index);
            }
        }
    }

    fn finish(&mut self) {
        let written = self.sequences.iter().map(Sequence::last_ns);
        let pending = self.tracks.iter().flatten().map(|track| track.last_ns());
        let last_ns = written.chain(pending).max().unwrap_or(0);
        let last = match self.link.config.open_slices {
            OpenSlices::Close => Some(last_ns),
            OpenSlices::Leave => None,
        };
        for at in self.tracks.iter_mut().flatten() {
            let sequence = &mut self.sequences[at.sequence];
            self.counts.left_open += at.finish_open(last, sequence, &mut self.out);
        }
        self.drain_all();
        // Rows without events are rows all the same.
        let rows = self.link.rows();
        for index in 0..rows.len() {
            self.described.row(rows, index, &mut self.sequences[0], &mut self.out);
        }
        self.out.finish();
        if let Some(error) = self.out.take_error() {
            self.link.fail(error);
        }
    }

    fn stats(&self) -> Stats {
        let (packets, bytes, dropped) = self.out.counts();
        let events = self.counts.events + self.events_since_drain;
        Stats { events, packets, bytes, dropped, ..self.counts }
    }
}
