//! A trace in parts: how one ends, and what the next one says before its events, so that it can be read
//! by itself. Belongs here: what is carried over. Does not: where parts go (`output.rs`, `rotate.rs`).
//!
//! A lane is cut at its horizon, before which nothing comes any more, and a thread at its last record or
//! the last but one reading of the clocks. There, what is open ends, and begins again in the next part.

use novatrace_core::{EventBody, EventType, ExplicitTrack, Scalar, Sequence, Text};

use super::decode::{Dictionary, Place};
use super::describe::write_header;
use super::live::Live;
use super::output::Output;
use super::run::Worker;

/// What a slice says at its end if it goes on in the next part.
const CONTINUES: &str = "continues";
/// What a slice says if it began in an earlier part.
const CONTINUED: &str = "continued";

impl Worker<'_> {
    /// Writes what a file begins with, unless whoever dumps does so.
    pub(super) fn write_header(&mut self) {
        let (link, out) = (self.link, &mut self.out);
        if let Some(flight) = &link.config.flight {
            return flight.set_uuid(self.uuid);
        }
        if link.config.shared.as_ref().is_some_and(|shared| shared.number != 0) {
            return; // The process that created the trace does.
        }
        let number = out.part_number();
        // A viewer keeps what it knows of a trace by its uuid.
        let uuid = self.uuid.wrapping_add(number.unwrap_or_default().into());
        let number = number.map(|number| ("part", number.into()));
        write_header(&mut out.batch, uuid, &link.config.attributes, number);
        out.packets(2);
    }

    /// Has the flight recorder dumped if it is time to.
    pub(super) fn follow_flight(&mut self) {
        let Some(flight) = &self.link.config.flight else { return };
        flight.follow_signals();
        for (ns, body) in self.out.slow_ones() {
            flight.took(ns, |what| self.dictionary.is_called(&body, what));
        }
    }

    /// Goes on to the next part if this one is large or old enough.
    pub(super) fn cut_if_full(&mut self) {
        if self.out.is_part_full() {
            self.end_part();
            self.out.next_part();
            self.begin_part();
            self.out.part_begins();
        }
    }

    /// Ends what is open, for this part.
    fn end_part(&mut self) {
        let floor = self.cut_live();
        // In memory, parts follow one another, but for the first that is left.
        let mut continues = vec![];
        mark(&mut continues, CONTINUES);
        let continues = if self.out.ends_parts() { Some(&continues[..]) } else { None };
        for at in self.tracks.iter_mut().flatten() {
            at.cut(floor, continues, &mut self.sequences[at.sequence], &mut self.out);
        }
        if let Some(continues) = continues {
            self.end_live_part(continues);
        }
    }

    fn begin_part(&mut self) {
        self.write_header();
        let Self { out, sequences, .. } = self;
        let start_ns = self.live.as_deref().map_or(0, Live::start_ns);
        for sequence in sequences {
            out.restart(sequence, start_ns);
        }
        self.dictionary.forget_forms();
        self.describe_process();
        let Self { link, out, sequences, described, .. } = self;
        described.again(link.rows(), &mut sequences[0], out);
        let Self { tracks, dictionary, sequences, out, .. } = self;
        for at in tracks.iter().flatten() {
            let sequence = &mut sequences[at.sequence];
            let mut carry = Carry { dictionary, sequence, out };
            at.carried(&mut carry);
        }
        self.begin_live_part(start_ns);
    }
}

/// Takes what is carried over on one sequence into the next part.
pub(crate) struct Carry<'a> {
    pub(super) dictionary: &'a Dictionary,
    pub(super) sequence: &'a mut Sequence,
    pub(super) out: &'a mut Output,
}

impl Carry<'_> {
    /// Defines what a body says by number.
    pub(super) fn texts(&mut self, body: &[u8]) {
        let Self { dictionary, sequence, out } = self;
        dictionary.define_all(body, &mut Place { sequence, out });
    }

    /// Begins a slice again.
    pub(super) fn slice(&mut self, ns: u64, track: Option<&ExplicitTrack>, body: &[u8]) {
        self.texts(body);
        let Self { sequence, out, .. } = self;
        let mut again = Vec::with_capacity(body.len() + 16);
        again.extend_from_slice(body);
        if body.is_empty() {
            EventBody::new(&mut again).name(Text::Inline("(continued)"));
        }
        mark(&mut again, CONTINUED);
        sequence.event_apart(&mut out.carried, ns, EventType::SliceBegin, track, &again);
        out.carried_packets += 1;
    }

    /// Says a counter's value again.
    pub(super) fn sample(&mut self, ns: u64, track: Option<&ExplicitTrack>, body: &[u8]) {
        self.sequence.event_apart(&mut self.out.carried, ns, EventType::Counter, track, body);
        self.out.carried_packets += 1;
    }
}

fn mark(body: &mut Vec<u8>, key: &str) {
    EventBody::new(body).annotation(Text::Inline(key), Scalar::Bool(true));
}
