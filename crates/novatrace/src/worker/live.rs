//! What live threads recorded on their own tracks: already in order, so that it goes straight from the
//! ring into packets. Belongs here: threads' sequences, open spans, and the clock's snapshots. Does
//! not: events of rows, which take the generator's way once their times are known.
//!
//! A pass over the rings first looks up to where each has been published, then reads the clocks, and
//! then takes what was published: the reading is later than whatever is taken.

use std::sync::Arc;
use std::time::Duration;

use novatrace_core::header;
use novatrace_core::{
    ClockId, EventBody, EventType, Gap, Piece, ProcessDescriptor, Scalar, Sequence, SequenceId,
    Text, ThreadDescriptor, Timestamps, TrackDescriptor, TrackKind, TrackUuid,
};

use super::bodies::{Bodies, Sample};
use super::config::{Config, Shared};
use super::decode::{Place, Said};
use super::forms::Form;
use super::lanes::MAX_DEPTH;
use super::parts::Carry;
use super::run::Worker;
use super::threads::{Loss, NewThread, ThreadLink};
use crate::profile::{Clock, SiteNames, Timeline};
use crate::record::{Drain, Kind, LIVE_HEAD_WORDS, TICKS};

/// How often all clocks are read together.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(2);
/// The first sequence of a thread; the ones before belong to rows.
const FIRST_SEQUENCE: u32 = 32;

/// A live session's threads, call sites and clock.
#[derive(Debug)]
pub(super) struct Live {
    threads: Vec<Thread>,
    timeline: Timeline,
    sites: Vec<Site>,
    process: TrackUuid,
    /// Ids of sequences whose threads are over.
    free_sequences: Vec<SequenceId>,
    next_sequence: u32,
    next_snapshot_ns: u64,
    /// When rows were last drained.
    drained_ns: u64,
    /// The latest `BOOTTIME` of a snapshot.
    snapshot_ns: u64,
    /// When all sequences start, if other processes have some too.
    shared_start_ns: Option<u64>,
    /// Where the trace was cut last: what is said of threads and their counters is not earlier.
    cut_ns: u64,
    /// Of a trace in parts, by counter's row, the last sample of any thread.
    samples: Vec<Option<Box<Sample>>>,
    body: Vec<u8>,
}

/// A call site.
#[derive(Debug)]
struct Site {
    names: SiteNames,
    /// Name and category, once their numbers are known.
    lead: Option<Piece>,
    /// Of the events that come with arguments.
    form: Option<Form>,
}

#[derive(Debug)]
struct Thread {
    drain: Drain,
    /// Up to where this pass takes records.
    published: u64,
    link: Arc<ThreadLink>,
    book: Book,
}

/// What is known of a thread's track.
#[derive(Debug)]
struct Book {
    uuid: TrackUuid,
    sequence: Sequence,
    /// By call site, whether the sequence knows its texts.
    known: Vec<bool>,
    /// Open spans, outermost first, and those among them that have ended.
    open: Vec<Span>,
    /// How many of them are shown.
    shown: usize,
    /// Of a trace in parts, what they said.
    bodies: Bodies,
    name: Box<str>,
    /// The time of the last record of a span or instant.
    last_ns: u64,
    lost: u64,
    /// Of those, what the trace is to tell of before the next record.
    to_tell: u64,
    /// Events of the ring there is now whose loss the trace has told of.
    told: u64,
}

/// A span of a thread, from its begin until it and all that began later have ended.
#[derive(Debug, Clone, Copy)]
enum Span {
    /// It is open, and is in the trace under that name.
    Shown(Piece),
    /// It is open, and inside of more spans than are shown.
    TooDeep,
    /// It has ended while a later one was open.
    Ended,
}

impl Span {
    fn is_shown(&self) -> bool {
        matches!(self, Self::Shown(_))
    }
}

impl Book {
    /// The time of the next record: a thread's are in order, but an old one's line has fewer readings to
    /// it than the line of the one before may have had.
    #[inline(always)]
    fn in_order(&mut self, ns: u64) -> u64 {
        self.last_ns = self.last_ns.max(ns);
        self.last_ns
    }
}

impl Live {
    pub(super) fn new(process: TrackUuid, config: &Config) -> Self {
        let timeline = Timeline::start();
        let shared_start_ns = config.shared.as_ref().map(|shared| shared.start[0]);
        Self {
            next_snapshot_ns: 0,
            drained_ns: 0,
            snapshot_ns: 0,
            shared_start_ns,
            cut_ns: 0,
            samples: Vec::new(),
            threads: Vec::new(),
            timeline,
            sites: Vec::new(),
            process,
            free_sequences: Vec::new(),
            next_sequence: FIRST_SEQUENCE,
            body: Vec::new(),
        }
    }

    /// When a sequence may start: before what is still to be written, as far as can be, but not before
    /// a clock was read last, since a clock that steps back is refused.
    pub(super) fn start_ns(&self) -> u64 {
        let start_ns = || self.timeline.earliest_ns().max(self.snapshot_ns);
        self.shared_start_ns.unwrap_or_else(start_ns)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.threads.iter().all(|thread| thread.drain.is_empty())
    }

    pub(super) fn begin_close(&self) {
        for thread in &self.threads {
            thread.drain.begin_close();
            thread.link.begin_close();
        }
    }

    pub(super) fn finish_close(&self) {
        for thread in &self.threads {
            thread.drain.finish_close();
            thread.link.finish_close();
        }
    }
}

impl Worker<'_> {
    /// Writes which process this is, before anything else of a live session.
    pub(super) fn start_live(&mut self) {
        self.snapshot();
        self.describe_process();
    }

    pub(super) fn describe_process(&mut self) {
        let Some(live) = &self.live else { return };
        let pid = i32::try_from(self.link.config.process).unwrap_or(i32::MAX);
        let name = self.link.config.process_name();
        let process = TrackDescriptor {
            kind: TrackKind::Process(ProcessDescriptor { pid, name: &name }),
            ..TrackDescriptor::plain(live.process, &name)
        };
        self.sequences[0].descriptor(&mut self.out.batch, &process);
        self.out.packet();
    }

    /// What all clocks show: so that the trace can be laid beside others, and the time of day be told.
    fn snapshot(&mut self) {
        let Some(live) = &mut self.live else { return };
        let boot = Clock::Boot.now_ns();
        let is_first = live.next_snapshot_ns == 0;
        live.next_snapshot_ns = boot + u64::try_from(SNAPSHOT_EVERY.as_nanos()).unwrap_or(u64::MAX);
        let [boot, monotonic, real] = match &self.link.config.shared {
            None => [boot, Clock::Monotonic.now_ns(), Clock::Real.now_ns()],
            Some(Shared { number: 0, start, .. }) if is_first => *start,
            Some(_) => return,
        };
        live.snapshot_ns = boot;
        let readings =
            [(ClockId::BOOTTIME, boot), (ClockId::MONOTONIC, monotonic), (ClockId::REALTIME, real)];
        header::clock_snapshot(&mut self.out.batch, &readings);
        self.out.packet();
    }

    /// Adds threads that have begun to record.
    pub(super) fn new_threads(&mut self) {
        for new in self.link.new_threads() {
            self.add_thread(new);
        }
    }

    fn add_thread(&mut self, NewThread { drain, thread }: NewThread) {
        let uuid = self.described.next_uuid();
        let Some(live) = &mut self.live else { return };
        let id = live.free_sequences.pop().unwrap_or_else(|| {
            live.next_sequence += 1;
            self.link.config.sequence_id(live.next_sequence - 1)
        });
        let mut sequence = Sequence::new(id, Timestamps::Incremental);
        let out = &mut self.out;
        sequence.start_at(&mut out.batch, live.start_ns(), Some(uuid), Gap::None);
        out.packet();
        let book = Book {
            uuid,
            sequence,
            known: Vec::new(),
            open: Vec::new(),
            shown: 0,
            bodies: Bodies::default(),
            name: thread.name.clone(),
            last_ns: 0,
            lost: 0,
            to_tell: 0,
            told: 0,
        };
        let mut thread = Thread { drain, published: 0, link: thread, book };
        thread.describe(&mut out.batch);
        out.packet();
        live.threads.push(thread);
    }

    /// Takes what live threads have recorded. Returns whether there was anything.
    pub(super) fn take_live(&mut self) -> bool {
        let Some(live) = &mut self.live else { return false };
        // Before the rings are looked at: their begins are then published.
        let ends = self.link.ends();
        for thread in &mut live.threads {
            thread.published = thread.drain.published();
        }
        self.link.listen();
        live.timeline.advance();
        let now = live.timeline.now_ns();
        let is_time_for_snapshot = now >= live.next_snapshot_ns;
        let mut threads = std::mem::take(&mut live.threads);
        let mut progress = false;
        let mut at = 0;
        while at < threads.len() {
            let Thread { drain, book, published, .. } = &mut threads[at];
            progress |= drain.take(*published, |record| {
                self.live_record(book, record);
                true
            });
            // Asked first: what was pushed before is then seen, if only by the next pass.
            let is_over = drain.is_released() && drain.is_empty();
            if !is_over {
                at += 1;
            } else if self.next_ring(&mut threads[at]) {
                // Taken by the next pass, whose reading of the clocks is later than what is in it.
                progress = true;
                at += 1;
            } else {
                self.link.give_back(threads.swap_remove(at).drain);
            }
        }
        for end in &ends {
            self.row_record(end);
        }
        progress |= !ends.is_empty();
        if is_time_for_snapshot {
            self.snapshot();
            for thread in &mut threads {
                thread.follow_name(&mut self.out);
            }
        }
        if let Some(live) = &mut self.live {
            // Threads that began meanwhile.
            threads.append(&mut live.threads);
            live.threads = threads;
            let since = Duration::from_nanos(now.saturating_sub(live.drained_ns));
            if since >= self.out.batch_time() {
                live.drained_ns = now;
                self.drain_window();
            }
        }
        progress
    }

    /// A ring was let go: the thread has another, or is over.
    fn next_ring(&mut self, thread: &mut Thread) -> bool {
        self.settle_losses(thread);
        self.link.listen();
        if let Some(next) = thread.link.next_ring() {
            thread.drain = next;
            thread.published = 0;
            return true;
        }
        self.end_thread(thread);
        false
    }

    /// Nothing more comes from a ring: what was lost after its last record is told now.
    fn settle_losses(&mut self, thread: &mut Thread) {
        let lost = thread.drain.lost();
        thread.book.lost += lost;
        let told = std::mem::take(&mut thread.book.told);
        if lost > told {
            self.lost(&mut thread.book, lost - told, None);
            thread.book.told = 0;
        }
    }

    /// Ends the spans that others have ended since the thread's last record.
    fn end_those_said(&mut self, thread: &mut Thread) {
        for (token, ticks) in thread.link.ended() {
            let Some(live) = &self.live else { return };
            let ns = thread.book.in_order(live.timeline.ns(ticks));
            #[expect(clippy::cast_possible_truncation, reason = "the low half is the place")]
            self.end_outer(&mut thread.book, token as u32 as usize, ns);
        }
    }

    /// Ends the spans that are open, as far as they are in the trace.
    fn end_open(&mut self, book: &mut Book, ns: u64) {
        let open = std::mem::take(&mut book.shown);
        for _ in 0..open {
            book.sequence.end(&mut self.out.batch, ns, None);
            self.out.packet();
        }
        book.open.clear();
        self.counts.left_open += open as u64;
    }

    /// The thread is over, or the session is.
    fn end_thread(&mut self, thread: &mut Thread) {
        thread.follow_name(&mut self.out);
        self.end_those_said(thread);
        let Some(live) = &self.live else { return };
        let last = thread.book.sequence.last_ns().max(live.timeline.earliest_ns());
        self.end_open(&mut thread.book, last);
        self.counts.lost += thread.book.lost;
        let loss = (thread.book.lost > 0).then(|| Loss {
            thread: thread.book.name.to_string(),
            tid: thread.link.tid,
            events: thread.book.lost,
        });
        self.link.report_thread(loss);
        if let Some(live) = &mut self.live {
            live.free_sequences.push(thread.book.sequence.id());
        }
    }

    /// The live session is over, and all rings have been taken. Tells when it ended.
    pub(super) fn finish_live(&mut self) -> Option<u64> {
        let Some(live) = &mut self.live else { return None };
        // Spans that are open end now; of a program that was killed, never.
        live.timeline.advance();
        let now = live.timeline.now_ns();
        for mut thread in std::mem::take(&mut live.threads) {
            self.settle_losses(&mut thread);
            self.end_those_said(&mut thread);
            if self.link.is_cut_off() {
                self.counts.left_open += std::mem::take(&mut thread.book.shown) as u64;
            }
            self.end_open(&mut thread.book, now);
            self.end_thread(&mut thread);
        }
        self.snapshot();
        Some(now)
    }

    #[inline(always)]
    fn live_record(&mut self, book: &mut Book, record: &[u64]) {
        let Some((&[head, ticks], _)) = record.split_first_chunk::<LIVE_HEAD_WORDS>() else {
            return;
        };
        let Some(live) = &self.live else { return };
        let ns = live.timeline.ns(ticks);
        if book.to_tell != 0 && !matches!(Kind::of(head), Some(Kind::Lost)) {
            let events = std::mem::take(&mut book.to_tell);
            // A record of a row has its time elsewhere.
            let is_of_row = Kind::of(head).is_some_and(Kind::is_of_row);
            let ticks = if is_of_row { record.get(2).copied().unwrap_or(ticks) } else { ticks };
            self.lost(book, events, Some(live.timeline.ns(ticks)));
        }
        let number = (head >> 32) as u32;
        match Kind::of(head) {
            Some(Kind::LiveEnd) => {
                let ns = book.in_order(ns);
                if let Some(Span::Shown(_)) = book.open.pop() {
                    book.shown -= 1;
                    if self.out.watches() {
                        self.watched(book, book.open.len(), ns);
                    }
                    book.sequence.end(&mut self.out.batch, ns, None);
                    self.out.end();
                }
            }
            Some(Kind::LiveBegin) => {
                let ns = book.in_order(ns);
                if book.shown >= MAX_DEPTH {
                    return too_deep(book);
                }
                let lead =
                    self.said(book, number, &record[LIVE_HEAD_WORDS..], ns, EventType::SliceBegin);
                if self.out.carries() {
                    let is_all = record.len() == LIVE_HEAD_WORDS && lead != CONTINUED;
                    if is_all && !self.out.watches() {
                        book.bodies.begin_known(book.open.len());
                    } else {
                        self.remember(book, is_all.then_some(lead), ns);
                    }
                }
                book.open.push(Span::Shown(lead));
                book.shown += 1;
            }
            Some(Kind::LiveInstant) => {
                let ns = book.in_order(ns);
                self.said(book, number, &record[LIVE_HEAD_WORDS..], ns, EventType::Instant);
            }
            Some(kind) => self.other_record(book, kind, number, ns, record),
            None => {}
        }
    }

    /// Writes an event of a call site. Returns what it is called.
    #[inline(always)]
    fn said(
        &mut self,
        book: &mut Book,
        site: u32,
        items: &[u64],
        ns: u64,
        event: EventType,
    ) -> Piece {
        let index = site as usize;
        if let Some(live) = &mut self.live
            && book.known.get(index) == Some(&true)
            && let Some(Site { lead: Some(lead), form, .. }) = live.sites.get(index)
        {
            let lead = *lead;
            if items.is_empty() {
                book.sequence.named_event(&mut self.out.batch, ns, event, lead);
                self.count_event();
                return lead;
            }
            live.body.clear();
            if let Some(form) = form
                && self.dictionary.formed_body(
                    form,
                    items,
                    &mut live.body,
                    &mut Place { sequence: &mut book.sequence, out: &mut self.out },
                )
            {
                book.sequence.event(&mut self.out.batch, ns, event, None, &live.body);
                self.count_event();
                return lead;
            }
        }
        self.said_plainly(book, site, items, ns, event)
    }

    /// Remembers what a span has just said: no more than `lead`, if that is given.
    #[cold]
    #[inline(never)]
    fn remember(&mut self, book: &mut Book, lead: Option<Piece>, ns: u64) {
        let Some(live) = &mut self.live else { return };
        if let Some(lead) = lead {
            live.body.clear();
            EventBody::new(&mut live.body).piece(lead);
        }
        book.bodies.begin(book.open.len(), ns, &live.body);
    }

    /// The span that lay so deep has ended.
    #[cold]
    #[inline(never)]
    fn watched(&mut self, book: &Book, depth: usize, ns: u64) {
        if let Some(since) = book.bodies.since(depth) {
            self.out.took(ns.saturating_sub(since), book.bodies.at(depth));
        }
    }

    /// The trace is cut: what comes from here on counts as no earlier than the time that this is, in a
    /// live session.
    pub(super) fn cut_live(&mut self) -> Option<u64> {
        let live = self.live.as_deref_mut()?;
        live.cut_ns = live.timeline.earliest_ns();
        for thread in &mut live.threads {
            thread.book.last_ns = thread.book.last_ns.max(live.cut_ns);
        }
        Some(live.cut_ns)
    }

    /// Ends the open spans of threads, for this part of the trace.
    pub(super) fn end_live_part(&mut self, continues: &[u8]) {
        let Some(live) = &mut self.live else { return };
        for Thread { book, .. } in &mut live.threads {
            for _ in 0..book.shown {
                let (ns, end) = (book.last_ns, EventType::SliceEnd);
                book.sequence.event(&mut self.out.batch, ns, end, None, continues);
                self.out.packet();
            }
        }
    }

    /// Says of threads, in the next part, who they are, and begins again what is open.
    pub(super) fn begin_live_part(&mut self, start_ns: u64) {
        let Self { live, out, dictionary, .. } = self;
        let Some(live) = live else { return };
        for thread in &mut live.threads {
            let book = &mut thread.book;
            out.restart(&mut book.sequence, start_ns);
            book.known.clear();
            thread.describe(&mut out.batch);
            out.packet();
            let Book { sequence, open, bodies, last_ns, .. } = &mut thread.book;
            let mut carry = Carry { dictionary, sequence, out };
            for (depth, span) in open.iter().enumerate() {
                let Span::Shown(lead) = *span else { continue };
                let mut body = bodies.at(depth);
                if body.is_empty() && lead != CONTINUED {
                    live.body.clear();
                    EventBody::new(&mut live.body).piece(lead);
                    body = &live.body;
                }
                carry.slice(*last_ns, None, body);
            }
        }
        for (row, sample) in (0..).zip(std::mem::take(&mut live.samples)) {
            // Described, as every row that had been; on the sequence that all share.
            if let Some(mut sample) = sample {
                let Some(track) = self.counter_track(row) else { continue };
                let Some(live) = &mut self.live else { return };
                sample.ns = sample.ns.max(live.cut_ns);
                let (dictionary, sequence) = (&self.dictionary, &mut self.sequences[0]);
                let mut carry = Carry { dictionary, sequence, out: &mut self.out };
                carry.sample(sample.ns, Some(&track), &sample.body);
                live.samples.resize_with(row as usize + 1, || None);
                live.samples[row as usize] = Some(sample);
            }
        }
        self.snapshot();
    }

    /// Counts a live event whose packet has been appended to the batch.
    #[inline(always)]
    fn count_event(&mut self) {
        self.counts.events += 1;
        self.out.event();
    }

    #[inline(never)]
    fn said_plainly(
        &mut self,
        book: &mut Book,
        site: u32,
        items: &[u64],
        ns: u64,
        event: EventType,
    ) -> Piece {
        let index = site as usize;
        let Some(live) = &mut self.live else { return CONTINUED };
        if live.sites.len() <= index {
            let names = self.link.site_names_from(live.sites.len());
            live.sites.extend(names.into_iter().map(|names| Site {
                names,
                lead: None,
                form: None,
            }));
        }
        let Some(site) = live.sites.get_mut(index) else { return CONTINUED };
        let said = Said { name: site.names.name, category: Some(site.names.category), items };
        live.body.clear();
        let mut place = Place { sequence: &mut book.sequence, out: &mut self.out };
        self.dictionary.plain_body(said, &mut live.body, &mut place);
        book.sequence.event(&mut self.out.batch, ns, event, None, &live.body);
        site.lead = self.dictionary.lead(said);
        if !items.is_empty()
            && let Some(form) = self.dictionary.form(said)
        {
            site.form = Some(form);
        }
        if said.name.is_some() {
            if book.known.len() <= index {
                book.known.resize(index + 1, false);
            }
            book.known[index] = true;
        }
        let lead = site.lead.unwrap_or(CONTINUED);
        self.count_event();
        lead
    }

    #[cold]
    #[inline(never)]
    fn other_record(&mut self, book: &mut Book, kind: Kind, number: u32, ns: u64, record: &[u64]) {
        match kind {
            Kind::LiveEndOuter => {
                let ns = book.in_order(ns);
                self.end_outer(book, number as usize, ns);
            }
            // Told at the time of what comes next, which was recorded as soon as there was room.
            Kind::Lost => book.to_tell += record.get(2).copied().unwrap_or_default(),
            Kind::LiveCountInt | Kind::LiveCountDouble => {
                let bits = record.get(2).copied().unwrap_or_default();
                self.live_sample(book, number, kind, bits, ns);
            }
            kind if kind.is_of_row() => self.row_record(record),
            _ => {}
        }
    }

    fn live_sample(&mut self, book: &mut Book, row: u32, kind: Kind, bits: u64, ns: u64) {
        let Some(track) = self.counter_track(row) else { return };
        let Some(live) = &mut self.live else { return };
        let ns = ns.max(live.cut_ns);
        live.body.clear();
        let value = match kind {
            Kind::LiveCountInt => Scalar::Int(bits.cast_signed()),
            _ => Scalar::Double(f64::from_bits(bits)),
        };
        EventBody::new(&mut live.body).counter(value);
        let event = EventType::Counter;
        book.sequence.event(&mut self.out.batch, ns, event, Some(&track), &live.body);
        if self.out.carries() {
            let at = row as usize;
            live.samples.resize_with(live.samples.len().max(at + 1), || None);
            Sample::keep(&mut live.samples[at], ns, &live.body);
        }
        self.count_event();
    }

    /// An event of a row: as the generator's, once its times are nanoseconds.
    fn row_record(&mut self, record: &[u64]) {
        let Some(live) = &self.live else { return };
        let Some(&[head, _, start, word]) = record.first_chunk::<4>() else { return };
        let flags = head.to_le_bytes()[1];
        if flags & TICKS == 0 {
            return self.record(record);
        }
        let start = live.timeline.ns(start);
        let word = match Kind::of(head) {
            Some(Kind::Slice) => live.timeline.ns(word),
            _ => word,
        };
        self.record_at(record, start, word);
    }

    /// A span ends while some that began later are open: they are ended with it, and begun again.
    fn end_outer(&mut self, book: &mut Book, place: usize, ns: u64) {
        if place >= book.open.len() {
            return;
        }
        if book.open[place].is_shown() {
            if self.out.watches() {
                self.watched(book, place, ns);
            }
            for _ in book.open[place..].iter().filter(|span| span.is_shown()) {
                book.sequence.end(&mut self.out.batch, ns, None);
                self.out.packet();
            }
            book.shown -= 1;
            for at in place + 1..book.open.len() {
                if let Span::Shown(lead) = book.open[at] {
                    self.begin_again(book, lead, ns);
                }
            }
        }
        book.open[place] = Span::Ended;
        while let Some(Span::Ended) = book.open.last() {
            book.open.pop();
        }
    }

    /// Begins a span anew by what it is called. By its texts and not by `lead`'s numbers, which the
    /// sequence may have forgotten at a loss.
    fn begin_again(&mut self, book: &mut Book, lead: Piece, ns: u64) {
        let Some(live) = &mut self.live else { return };
        live.body.clear();
        if let Some(site) = live.sites.iter().find(|site| site.lead == Some(lead)) {
            let (name, category) = (site.names.name, Some(site.names.category));
            let said = Said { name, category, items: &[] };
            let mut place = Place { sequence: &mut book.sequence, out: &mut self.out };
            self.dictionary.plain_body(said, &mut live.body, &mut place);
        } else {
            EventBody::new(&mut live.body).name(Text::Inline("(continued)"));
        }
        let event = EventType::SliceBegin;
        book.sequence.event(&mut self.out.batch, ns, event, None, &live.body);
        self.out.packet();
    }

    /// Some events found no room: the trace says so, to programs and to people.
    #[cold]
    #[inline(never)]
    fn lost(&mut self, book: &mut Book, events: u64, before_ns: Option<u64>) {
        let Some(live) = &mut self.live else { return };
        let start_ns = live.start_ns();
        // The next record may be earlier than the snapshot that the sequence starts from now.
        let ns = before_ns.unwrap_or_else(|| book.sequence.last_ns().max(start_ns));
        book.sequence.start_at(&mut self.out.batch, start_ns, Some(book.uuid), Gap::Loss);
        self.out.packet();
        book.told += events;
        book.known.clear();
        live.body.clear();
        let mut body = EventBody::new(&mut live.body);
        body.name(Text::Inline("events lost")).category(Text::Inline("novatrace"));
        body.annotation(Text::Inline("count"), Scalar::Uint(events));
        book.sequence.event(&mut self.out.batch, ns, EventType::Instant, None, &live.body);
        self.out.packet();
    }
}

/// Counts a span that the trace processor would drop.
#[cold]
fn too_deep(book: &mut Book) {
    book.lost += 1;
    book.open.push(Span::TooDeep);
}

/// Stands for a span whose name is not at hand.
const CONTINUED: Piece = Piece::FLOW;

impl Thread {
    fn describe(&mut self, out: &mut Vec<u8>) {
        let pid = i32::try_from(self.link.process).unwrap_or(i32::MAX);
        let tid = i64::from(self.link.tid);
        let name = &*self.book.name;
        let descriptor = TrackDescriptor {
            kind: TrackKind::Thread(ThreadDescriptor { pid, tid, name }),
            ..TrackDescriptor::plain(self.book.uuid, name)
        };
        self.book.sequence.descriptor(out, &descriptor);
    }

    /// Writes the thread's name again if it has another by now.
    fn follow_name(&mut self, out: &mut super::output::Output) {
        if let Some(name) = self.link.new_name()
            && *name != *self.book.name
        {
            self.book.name = name.into();
            self.describe(&mut out.batch);
            out.packet();
        }
    }
}
