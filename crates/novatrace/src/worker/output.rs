//! Batches of packets on their way to the sink, and what becomes of them when it fails.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use novatrace_core::Sequence;

use super::config::Config;
use super::destination::Destination;
use super::link::Tuning;
use super::sizing::Sizing;
use crate::error::{Error, ErrorKind};
use crate::process::Served;
use crate::rotate::Rotation;

/// A batch's packets, events and bytes.
#[derive(Debug, Clone, Copy)]
struct Batch {
    packets: u64,
    events: u64,
    bytes: u64,
}

/// Gathers packets, and writes them a batch at a time.
#[derive(Debug)]
pub(crate) struct Output {
    /// Packets not yet written. Whoever appends to it calls [`packet`](Self::packet) or
    /// [`event`](Self::event) for each.
    pub(crate) batch: Vec<u8>,
    batch_packets: usize,
    batch_events: u64,
    sizing: Sizing,
    destination: Destination,
    rotation: Option<Rotation>,
    /// What the part begins with that only those need who have not the part before.
    pub(super) carried: Vec<u8>,
    pub(super) carried_packets: usize,
    /// Says that the part before is missing.
    loss: Vec<u8>,
    /// Spans that take as long are watched.
    slow_ns: u64,
    slow: Vec<(u64, Vec<u8>)>,
    /// What had been written before the part, and what has been carried over into it.
    bytes_before: u64,
    bytes_carried: u64,
    events_before: u64,
    /// Since when the batch has not been empty, as far as it has been noticed.
    since: Option<Instant>,
    /// The sink's first error; it gets nothing more then.
    error: Option<Error>,
    has_failed: bool,
    /// Batches that the sink has taken, and that may not have arrived.
    pending: VecDeque<Batch>,
    packets: u64,
    bytes: u64,
    /// Of the packets, those that are events.
    events: u64,
    dropped: u64,
    /// The program, if it is another process's: to be told what is in its file.
    served: Option<Arc<Served>>,
}

impl Output {
    pub(crate) fn new(
        destination: Destination,
        config: &Config,
        served: Option<&Arc<Served>>,
    ) -> Self {
        let slow_ns = destination.flight().map_or(u64::MAX, |flight| flight.slow_ns);
        Self {
            batch: Vec::with_capacity(config.batch.bytes.min(1 << 20)),
            batch_packets: 0,
            batch_events: 0,
            sizing: Sizing::new(config.batch, now()),
            destination,
            rotation: Rotation::of(config),
            carried: Vec::new(),
            carried_packets: 0,
            loss: Vec::new(),
            slow_ns,
            slow: Vec::new(),
            bytes_before: 0,
            bytes_carried: 0,
            events_before: 0,
            since: None,
            error: None,
            has_failed: false,
            pending: VecDeque::new(),
            packets: 0,
            bytes: 0,
            events: 0,
            dropped: 0,
            served: served.map(Arc::clone),
        }
    }

    /// Counts the end of a slice that has been appended to the batch. What comes after it is to call
    /// [`limit`](Self::limit), if it writes no packet itself.
    #[inline]
    pub(crate) fn end(&mut self) {
        self.batch_packets += 1;
    }

    /// Counts a packet that has been appended to the batch, and writes the batch if it is full.
    #[inline]
    pub(crate) fn packet(&mut self) {
        self.batch_packets += 1;
        self.limit();
    }

    /// Writes the batch if it is full.
    #[inline]
    pub(crate) fn limit(&mut self) {
        if self.sizing.is_full(self.batch_packets, self.batch.len()) {
            self.write_full();
        }
    }

    /// [`packet`](Self::packet) for one that is a recorded event, not the end of one or an aid.
    #[inline]
    pub(crate) fn event(&mut self) {
        self.batch_events += 1;
        self.packet();
    }

    #[cold]
    #[inline(never)]
    fn write_full(&mut self) {
        self.sizing.filled(now());
        self.write();
    }

    /// Hands the batch to the sink.
    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if !self.has_failed {
            let len = self.batch.len() as u64;
            match self.destination.take(&mut self.batch, self.batch_events) {
                Ok(()) => {
                    self.pending.push_back(Batch {
                        packets: self.batch_packets as u64,
                        events: self.batch_events,
                        bytes: len,
                    });
                    self.settle();
                }
                Err(source) => self.fail(source),
            }
        }
        if self.has_failed {
            self.dropped += self.batch_events;
        }
        self.batch.clear();
        self.batch_packets = 0;
        self.batch_events = 0;
        self.since = None;
        self.sizing.written(now());
    }

    /// Goes by these choices from now on.
    pub(crate) fn tune(&mut self, tuning: Tuning) {
        self.sizing.set_bounds(tuning.batch);
        if let Some(rotation) = &mut self.rotation {
            rotation.set_compression(tuning.compression);
        }
        if !self.has_failed
            && let Err(source) = self.destination.set_compression(tuning.compression)
        {
            self.fail(source);
        }
    }

    /// How long a batch waits.
    pub(crate) fn batch_time(&self) -> Duration {
        self.sizing.time()
    }

    /// Counts the batches that have arrived.
    fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let Some((pending, stored)) = self.destination.pending() else { return };
        while self.pending.len() > pending
            && let Some(batch) = self.pending.pop_front()
        {
            self.packets += batch.packets;
            self.bytes += batch.bytes;
            self.events += batch.events;
        }
        self.bytes = stored.map_or(self.bytes, |stored| self.bytes_before + stored);
        if let Some(served) = &self.served {
            served.written(self.bytes, self.events);
        }
    }

    /// Writes the rest, and waits until it has arrived.
    pub(crate) fn flush(&mut self) {
        self.write();
        self.arrive();
    }

    /// Waits until what has been written has arrived.
    pub(crate) fn arrive(&mut self) {
        self.wait(Destination::flush);
    }

    fn wait(&mut self, wait: impl FnOnce(&mut Destination) -> io::Result<()>) {
        if self.has_failed {
            return;
        }
        match wait(&mut self.destination) {
            Ok(()) => self.settle(),
            Err(source) => self.fail(source),
        }
    }

    /// Writes what has waited its time, since this was first called with it.
    pub(crate) fn write_if_old(&mut self) {
        if !self.has_failed {
            self.settle();
        }
        if self.batch.is_empty() {
            return;
        }
        match self.since {
            None => self.since = Some(now()),
            Some(since) if since.elapsed() >= self.sizing.time() => {
                self.sizing.waited();
                self.write();
            }
            Some(_) => {}
        }
    }

    /// Whether open slices are to be remembered, since the trace may go on in another part.
    #[inline(always)]
    pub(crate) fn carries(&self) -> bool {
        self.rotation.is_some()
    }

    /// Whether what is open is ended where a part ends.
    pub(crate) fn ends_parts(&self) -> bool {
        self.destination.flight().is_none()
    }

    /// Counts so many packets that have been appended to the batch.
    pub(crate) fn packets(&mut self, packets: usize) {
        self.batch_packets += packets;
        self.limit();
    }

    /// Starts a sequence again, in another part.
    pub(crate) fn restart(&mut self, sequence: &mut Sequence, ns: u64) {
        if self.destination.flight().is_some() {
            sequence.overwritten(&mut self.loss);
        }
        sequence.restart_at(&mut self.batch, ns);
        self.packet();
    }

    /// A slice has taken so long.
    #[inline]
    pub(crate) fn took(&mut self, ns: u64, body: &[u8]) {
        if ns >= self.slow_ns {
            self.slow.push((ns, body.to_vec()));
        }
    }

    /// Whether someone wants to know how long slices take.
    #[inline(always)]
    pub(crate) fn watches(&self) -> bool {
        self.slow_ns != u64::MAX
    }

    /// The slices that took long, each but once.
    pub(crate) fn slow_ones(&mut self) -> Vec<(u64, Vec<u8>)> {
        std::mem::take(&mut self.slow)
    }

    /// Which part this is, from 1, if the trace is in parts.
    pub(crate) fn part_number(&self) -> Option<u32> {
        self.rotation.as_ref().map(Rotation::number)
    }

    /// How many parts there are.
    pub(crate) fn parts(&self) -> u64 {
        if self.destination.flight().is_some() { 1 } else { self.part_number().unwrap_or(1).into() }
    }

    /// Whether the part is to end.
    pub(crate) fn is_part_full(&self) -> bool {
        let Some(rotation) = &self.rotation else { return false };
        let (bytes, carried) = (self.gathered() - self.bytes_before, self.bytes_carried);
        // In memory, time goes on also when nothing happens.
        let has_events =
            self.destination.flight().is_some() || self.events_gathered() > self.events_before;
        !self.has_failed && rotation.is_full(bytes, carried, has_events)
    }

    /// What has been gathered is the last of this part.
    pub(crate) fn next_part(&mut self) {
        self.write();
        if self.has_failed {
            return;
        }
        let Some(rotation) = &mut self.rotation else { return };
        rotation.next();
        if let Some(flight) = self.destination.flight() {
            self.bytes_before = self.bytes;
            return flight.begin_part();
        }
        self.wait(Destination::finish);
        if self.has_failed {
            return;
        }
        self.bytes_before = self.bytes;
        let Some(rotation) = &self.rotation else { return };
        match rotation.open() {
            Ok(destination) => self.destination = destination,
            Err(source) => {
                let path = rotation.part_path();
                self.fail_at(Some(path), source);
            }
        }
    }

    /// Bytes of all parts, as far as is known: what is still to be compressed counts as it is.
    fn gathered(&self) -> u64 {
        let pending: u64 = self.pending.iter().map(|batch| batch.bytes).sum();
        self.bytes + pending + self.batch.len() as u64
    }

    fn events_gathered(&self) -> u64 {
        let pending: u64 = self.pending.iter().map(|batch| batch.events).sum();
        self.events + pending + self.batch_events
    }

    /// What has been gathered is what every part begins with.
    pub(crate) fn part_begins(&mut self) {
        if let Some(flight) = self.destination.flight().map(Arc::clone) {
            let (loss, carried) =
                (std::mem::take(&mut self.loss), std::mem::take(&mut self.carried));
            self.carried_packets = 0;
            self.write();
            flight.carry(loss, carried);
        } else {
            self.batch.append(&mut self.carried);
            self.batch_packets += std::mem::take(&mut self.carried_packets);
        }
        self.events_before = self.events_gathered();
        self.bytes_carried = self.gathered() - self.bytes_before;
    }

    /// Writes the rest, and tells the sink that it was the rest.
    pub(crate) fn finish(&mut self) {
        self.write();
        self.wait(Destination::finish);
    }

    fn fail(&mut self, source: io::Error) {
        self.fail_at(self.destination.path().map(Path::to_owned), source);
    }

    fn fail_at(&mut self, path: Option<PathBuf>, source: io::Error) {
        self.has_failed = true;
        self.settle();
        let lost = self.pending.drain(..).map(|batch| batch.events);
        self.dropped += lost.sum::<u64>();
        let kind = ErrorKind::Write { path, bytes: self.bytes, source };
        self.error = Some(kind.into());
    }

    /// The sink's error, once.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Packets, bytes, and events dropped.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.packets, self.bytes, self.dropped)
    }

    /// Events that the sink has taken.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}

/// When a batch was begun; never a time in a trace.
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use novatrace_sink::{Compression, Sink};

    use super::*;
    use crate::worker::Bounds;

    #[derive(Debug)]
    struct Nowhere;

    impl Sink for Nowhere {
        fn write(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_batch_waits_its_time_from_its_first_packet_on_however_long_there_was_none() {
        let mut config = crate::TraceGenerator::builder().into_config();
        config.batch = Bounds { packets: 100, bytes: 100, time: Duration::ZERO };
        let mut out =
            Output::new(Destination::sink(Nowhere, Compression::None, None), &config, None);
        for _ in 0..2 {
            out.write_if_old();
            out.batch.push(0);
            out.packet();
            out.write_if_old();
            assert_eq!(out.batch.len(), 1);
            out.write_if_old();
            assert!(out.batch.is_empty());
        }
        assert_eq!(out.counts(), (2, 2, 0));
    }
}
