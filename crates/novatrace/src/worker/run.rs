//! The worker's thread: takes records, keeps the books, drains tracks, answers.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use novatrace_core::{EventBody, ExplicitTrack, Piece, Scalar, Sequence, ShortBody, Timestamps};
use novatrace_sink::panic_message;

use super::decode::{Dictionary, Place, flows};
use super::describe::Described;
use super::destination::Destination;
use super::link::Link;
use super::live::Live;
use super::output::Output;
use super::pending::{Entry, EntryKind, Extent};
use super::rings::{Pass, Patience, Rings};
use super::stats::Stats;
use super::ties::Ties;
use super::track::{AtEnd, Surroundings, Track};
use crate::error::ErrorKind;
use crate::generator::OpenSlices;
use crate::record::{Drain, HAS_FLOW, HEAD_WORDS, Kind, is_event};

/// What the records of one window take at most, in words; so the window bounds memory too.
const WINDOW_WORDS: usize = 2 << 20;
/// Bodies that open slices may hold back.
const MAX_PENDING_BYTES: usize = 32 << 20;
/// How long the worker waits at most for a ring to fill.
const TICK: Duration = Duration::from_millis(5);
/// The same when nothing has come for a while.
const IDLE_TICK: Duration = Duration::from_millis(50);

/// The worker's thread, from start to end.
pub(crate) fn run(link: &Arc<Link>, destination: Destination, uuid: u128, described: Described) {
    let mut rings = Rings::default();
    let mut worker = Worker::new(link, destination, uuid, described);
    link.ready();
    // A fault of ours must not take the program with it, nor leave its threads waiting.
    let outcome = catch_unwind(AssertUnwindSafe(|| worker.run(&mut rings)));
    if let Err(panic) = outcome {
        let message = panic_message(&*panic).to_owned();
        link.fail(ErrorKind::WorkerPanicked { message }.into());
        worker.close(&mut rings);
        worker.abandon(&mut rings);
    }
    let stats = worker.stats();
    // The file is closed before anyone is told that it is complete.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(worker)));
    #[cfg(test)]
    link.steps.store(super::steps::counted(), std::sync::atomic::Ordering::Relaxed);
    link.done(stats);
}

/// All that the worker knows.
pub(super) struct Worker<'l> {
    pub(super) link: &'l Link,
    pub(super) out: Output,
    /// The shared one first.
    pub(super) sequences: Vec<Sequence>,
    pub(super) dictionary: Dictionary,
    /// Of a live session.
    pub(super) live: Option<Box<Live>>,
    /// By row; `None` for groups, and for rows without events.
    pub(super) tracks: Vec<Option<Box<Track>>>,
    pub(super) described: Described,
    /// How samples of live threads name a counter, by row.
    counter_tracks: Vec<Option<ExplicitTrack>>,
    /// Tracks with pending events.
    active: Vec<u32>,
    /// What the last drain left.
    pending_events: usize,
    pending_bytes: usize,
    /// Events between two drains.
    window: usize,
    /// What is left of the window.
    window_left: usize,
    /// A record of 2 to this power words counts as two events of the window, of twice as many as
    /// three: so that a window of such records has no more than `WINDOW_WORDS`.
    long: u32,
    patience: Patience,
    ties: Ties,
    /// After a fault of its own: what is not with the sink is not going to be.
    is_abandoned: bool,
    /// Ends that came before their begins, through another thread's ring: by open slice.
    early_ends: HashMap<u64, u64>,
    pub(super) counts: Stats,
    is_closed: bool,
    /// The first part's; those of others count up from it.
    pub(super) uuid: u128,
}

impl<'l> Worker<'l> {
    fn new(link: &'l Link, destination: Destination, uuid: u128, mut described: Described) -> Self {
        let config = &link.config;
        let window = config.window.min(WINDOW_WORDS);
        let window = window + Patience::extra(window);
        let out = Output::new(destination, config, link.served());
        let shared = Sequence::new(config.sequence_id(1), Timestamps::Absolute);
        let live = config.is_live.then(|| Box::new(Live::new(described.set_process(), config)));
        Self {
            link,
            out,
            sequences: vec![shared],
            dictionary: Dictionary::new(config.default_category, config.limits),
            tracks: Vec::new(),
            described,
            counter_tracks: Vec::new(),
            live,
            active: Vec::new(),
            pending_events: 0,
            pending_bytes: 0,
            window,
            window_left: window,
            long: (WINDOW_WORDS / config.window.clamp(1, WINDOW_WORDS)).ilog2(),
            patience: Patience::new(config.window),
            ties: Ties::default(),
            is_abandoned: false,
            early_ends: HashMap::new(),
            counts: Stats::default(),
            is_closed: false,
            uuid,
        }
    }

    fn run(&mut self, rings: &mut Rings) {
        self.write_header();
        self.sequences[0].start(&mut self.out.batch, None);
        self.out.packet();
        self.start_live();
        self.out.part_begins();
        let (mut idle, mut tunings) = (0, 0);
        loop {
            // Asked first: what was recorded before the request is then in the rings.
            let asked = self.link.asked();
            if let Some(tuning) = self.link.tuned(&mut tunings) {
                self.out.tune(tuning);
            }
            if asked.finish {
                self.close(rings);
                self.take(rings, Pass::Whole);
                // A pass for each ring that a thread has grown.
                while self.take_live() {}
                self.follow_flight();
                self.finish();
                return;
            }
            let pass = if asked.flush { Pass::Whole } else { Pass::InOrder };
            let mut progress = self.take(rings, pass);
            self.new_threads();
            progress |= self.take_live();
            if asked.flush {
                self.drain_all();
                self.out.flush();
            }
            self.follow_flight();
            self.cut_if_full();
            self.out.write_if_old();
            if let Some(error) = self.out.take_error() {
                self.link.fail(error);
            }
            self.link.answer(asked.flushes, self.stats());
            if progress {
                idle = 0;
            } else {
                idle += 1;
                let live = self.live.as_deref();
                self.link.sleep(if idle < 20 { TICK } else { IDLE_TICK }, || {
                    rings.all.iter().all(Drain::is_empty) && live.is_none_or(Live::is_idle)
                });
            }
        }
    }

    /// Refuses records from here on, and settles which came before: once, since owners rely on it.
    fn close(&mut self, rings: &mut Rings) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.link.refuse_rings();
        self.link.listen();
        rings.ask(self.link);
        self.new_threads();
        let live = self.live.as_deref();
        rings.all.iter().for_each(Drain::begin_close);
        live.inspect(|live| live.begin_close());
        self.link.fence();
        rings.all.iter().for_each(Drain::finish_close);
        live.inspect(|live| live.finish_close());
    }

    fn take(&mut self, rings: &mut Rings, pass: Pass) -> bool {
        let (link, patience) = (self.link, self.patience);
        rings.take(link, patience, pass, |record| self.record(record))
    }

    #[inline(always)]
    pub(super) fn record(&mut self, record: &[u64]) {
        if let Some(&[_, _, start, word]) = record.first_chunk::<HEAD_WORDS>() {
            self.record_at(record, start, word);
        }
    }

    /// An event of a row, with its times in nanoseconds: those of the record, or what they stand for.
    #[inline(always)]
    pub(super) fn record_at(&mut self, record: &[u64], start: u64, word: u64) {
        // Before anything can go wrong with it.
        self.counts.events += u64::from(is_event(record[0]));
        self.place(record, start, word);
    }

    /// Puts a record where it belongs.
    #[inline(always)]
    fn place(&mut self, record: &[u64], start: u64, word: u64) {
        let head = record[0];
        let row = (head >> 32) as u32;
        let Some(kind) = Kind::of(head) else { return };
        let Some(Some(track)) = self.tracks.get_mut(row as usize) else {
            return self.first_record(row, record, start, word);
        };
        let bodies = track.pending.bodies();
        let body = bodies.len();
        let (end, entry) = match kind {
            Kind::Slice | Kind::Instant | Kind::Begin => {
                let sequence = &mut self.sequences[track.sequence];
                let mut place = Place { sequence, out: &mut self.out };
                self.dictionary.body(record, bodies, &mut place);
                if head & u64::from(HAS_FLOW) << 8 != 0 {
                    flows(record, |flow| self.ties.note(flow, start, row));
                }
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
            _ => return,
        };
        #[expect(clippy::cast_possible_truncation, reason = "it may wrap around")]
        let number = self.counts.events as u32;
        track.pending.push(start, end, entry, number, body);
        if !track.is_active {
            track.is_active = true;
            self.active.push(row);
        }
        if kind == Kind::Begin
            && let Some(end) = self.early_ends.remove(&word)
        {
            self.end(row, word, end);
        }
        match self.window_left.checked_sub(1 + (record.len() >> self.long)) {
            Some(left) => self.window_left = left,
            None => self.drain_window(),
        }
    }

    /// The first record of a row.
    #[cold]
    #[inline(never)]
    fn first_record(&mut self, row: u32, record: &[u64], start: u64, word: u64) {
        let rows = self.link.rows();
        if row < rows.len() {
            self.tracks.resize_with(rows.len() as usize, || None);
            let (sequences, out) = (&mut self.sequences, &mut self.out);
            let start_ns = self.live.as_deref().map_or(0, Live::start_ns);
            let from = (start_ns, &self.link.config);
            let track = self.described.first_event(rows, row, from, sequences, out);
            self.tracks[row as usize] = Some(Box::new(track));
            self.place(record, start, word);
        }
    }

    /// How samples of live threads name a counter; described when first asked for.
    pub(super) fn counter_track(&mut self, row: u32) -> Option<ExplicitTrack> {
        let index = row as usize;
        if let Some(&Some(track)) = self.counter_tracks.get(index) {
            return Some(track);
        }
        let rows = self.link.rows();
        if row >= rows.len() {
            return None;
        }
        let uuid = self.described.row(rows, row, true, &mut self.sequences[0], &mut self.out);
        let track = ExplicitTrack::new(uuid);
        self.counter_tracks.resize(self.counter_tracks.len().max(index + 1), None);
        self.counter_tracks[index] = Some(track);
        Some(track)
    }

    fn end(&mut self, track: u32, id: u64, end: u64) {
        let Some(Some(at)) = self.tracks.get_mut(track as usize) else { return };
        if !at.end(id, end, &mut self.sequences[at.sequence], &mut self.out) {
            self.early_ends.insert(id, end);
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn drain_window(&mut self) {
        self.drain(Extent::Window);
        // Open slices hold back what follows them, but not for ever.
        let held = 2 * self.window.max(1);
        if self.pending_events > held || self.pending_bytes > MAX_PENDING_BYTES {
            self.drain(Extent::Held);
        }
        self.ties.forget(&self.tracks);
    }

    /// Writes all that is known, the ends of slices included, also of tracks without pending events.
    fn drain_all(&mut self) {
        self.drain(Extent::All);
        self.ties = Ties::default();
        for track in self.tracks.iter_mut().flatten() {
            track.write_ends(&mut self.sequences[track.sequence], &mut self.out);
        }
    }

    fn drain(&mut self, extent: Extent) {
        self.window_left = self.window;
        self.pending_events = 0;
        self.pending_bytes = 0;
        if !self.ties.is_empty() {
            self.drain_tied(extent);
        }
        for row in std::mem::take(&mut self.active) {
            let Some(Some(at)) = self.tracks.get_mut(row as usize) else { continue };
            if std::mem::take(&mut at.is_drained) {
                // Together with others.
            } else if at.pending.is_empty() {
                // Nothing has come since the last drain.
                at.pending.shrink();
                at.is_active = false;
                continue;
            } else {
                self.with_track(row, |at, around| at.drain(extent, around));
            }
            if let Some(Some(at)) = self.tracks.get(row as usize) {
                self.pending_events += at.pending.len();
                self.pending_bytes += at.pending.body_bytes();
            }
            self.active.push(row);
        }
    }

    /// Writes the tracks that are tied, merged.
    #[cold]
    #[inline(never)]
    fn drain_tied(&mut self, extent: Extent) {
        #[expect(clippy::cast_possible_truncation, reason = "it may wrap around")]
        let number = self.counts.events as u32 + 1;
        let mut merge = self.ties.prepare(&mut self.tracks, extent, number);
        while let Some((row, places)) = merge.next() {
            self.with_track(row, |at, around| at.write(places, around));
        }
        for (row, written) in merge.written() {
            if let Some(Some(at)) = self.tracks.get_mut(row as usize) {
                at.pending.finish(written);
                at.is_drained = true;
            }
        }
    }

    #[inline(always)]
    fn with_track(&mut self, row: u32, write: impl FnOnce(&mut Track, &mut Surroundings<'_>)) {
        let Some(Some(at)) = self.tracks.get_mut(row as usize) else { return };
        let (link, described, dictionary) = (self.link, &mut self.described, &self.dictionary);
        let (lanes, refused) = (&mut self.counts.lanes, &mut self.counts.refused);
        let mut around = Surroundings {
            sequence: &mut self.sequences[at.sequence],
            out: &mut self.out,
            overlap: link.config.overlap,
            new_lane: &mut |sequence, out| {
                *lanes += 1;
                described.lane(link.rows(), row, sequence, out)
            },
            refused: &mut |kind| {
                *refused += 1;
                link.fail(kind.into());
            },
            name_of: &|body| dictionary.name_in(body),
        };
        write(at, &mut around);
    }

    fn finish(&mut self) {
        let now = self.finish_live();
        let written = self.sequences.iter().map(Sequence::last_ns);
        let pending = self.tracks.iter_mut().flatten().map(|track| track.last_ns());
        let last_ns = written.chain(pending).chain(now).max().unwrap_or(0);
        let end = match self.link.config.open_slices {
            OpenSlices::Leave => AtEnd::Leave,
            // Nobody has ended them: what the program was doing is to be seen.
            OpenSlices::Close if self.link.is_cut_off() => AtEnd::Unfinished,
            OpenSlices::Close => AtEnd::Close(last_ns),
        };
        for at in self.tracks.iter_mut().flatten() {
            let sequence = &mut self.sequences[at.sequence];
            self.counts.left_open += at.finish_open(end, sequence, &mut self.out);
        }
        self.drain_all();
        // Rows without events are rows all the same.
        let rows = self.link.rows();
        for index in 0..rows.len() {
            self.described.row(rows, index, false, &mut self.sequences[0], &mut self.out);
        }
        self.out.finish();
        if let Some(error) = self.out.take_error() {
            self.link.fail(error);
        }
    }

    /// After a fault: counts what is left in the rings as recorded, and all that is not with the sink
    /// as dropped.
    fn abandon(&mut self, rings: &mut Rings) {
        let (link, patience) = (self.link, self.patience);
        rings.take(link, patience, Pass::Whole, |record| {
            self.counts.events += u64::from(is_event(record[0]));
        });
        self.is_abandoned = true;
        // Not what the batch has, which may end in the middle of a packet.
        self.out.arrive();
    }

    fn stats(&self) -> Stats {
        let (packets, bytes, dropped) = self.out.counts();
        let dropped = if self.is_abandoned {
            self.counts.events - self.counts.refused - self.out.events()
        } else {
            dropped
        };
        let parts = self.out.parts();
        Stats { packets, bytes, dropped, parts, ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use novatrace_sink::Sink;

    use super::*;
    use crate::record;
    use crate::{OpenSlice, TraceGenerator};

    #[derive(Debug)]
    struct Nowhere;

    impl Sink for Nowhere {
        fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_fault_of_the_worker_all_that_was_recorded_is_written_or_counted_as_dropped() {
        for before in [0, 10, 3_000] {
            let builder = TraceGenerator::builder().batch(1_000, 1 << 20, Duration::from_secs(60));
            let trace = builder.window(10).sink(Nowhere).expect("a trace");
            let track = trace.group("g").track("t");
            for at in 0..before {
                track.instant(at, "before").emit().expect("open");
            }
            // Nobody has registered a name of this number.
            let words = [
                record::head(Kind::Instant, 0, HEAD_WORDS, track.0.index),
                HEAD_WORDS as u64 | 0xFF_FFFF << 32,
                before,
                before,
            ];
            let link = &track.0.link;
            link.push_words(track.0.index, &words, String::new).expect("open");
            let after = (0..3_000).take_while(|at| track.instant(*at, "after").emit().is_ok());
            let recorded = before + 1 + after.count() as u64;
            let error = trace.finish().expect_err("the worker failed");
            assert!(matches!(error.kind(), ErrorKind::WorkerPanicked { .. }), "{error}");
            let stats = trace.stats();
            assert_eq!(stats.events, recorded);
            let aids = 9; // Header, sequences, descriptors, texts.
            let written = stats.packets.saturating_sub(aids);
            assert!((written..=stats.packets).contains(&(recorded - stats.dropped)), "{stats:?}");
        }
    }

    /// What the worker looks at until `slices` have begun and, in the same or the other order, ended: for
    /// each of them.
    fn steps_per_slice(slices: u64, window: usize, is_last_first: bool) -> u64 {
        let trace = TraceGenerator::builder().window(window).sink(Nowhere).expect("a trace");
        let track = trace.group("g").track("t");
        let mut open: Vec<OpenSlice> =
            (0..slices).map(|at| track.begin(at, "open").expect("open")).collect();
        if is_last_first {
            open.reverse();
        }
        for slice in open {
            slice.end(slices).expect("after its begin");
        }
        trace.finish().expect("it takes all");
        track.0.link.steps.load(Ordering::Relaxed) / slices
    }

    #[test]
    fn many_open_slices_on_one_track_take_no_time_for_each_other() {
        // While they wait for their turn, and on lanes of their own.
        for (window, is_last_first) in [(1 << 17, false), (10, false), (1 << 17, true), (10, true)]
        {
            for slices in [4_000, 64_000] {
                let steps = steps_per_slice(slices, window, is_last_first);
                // Of 64,000 that lie inside each other, with 500 on a lane, lanes are 64 of the steps.
                assert!((1..100).contains(&steps), "{steps} for each of {slices}, window {window}");
            }
        }
    }
}
