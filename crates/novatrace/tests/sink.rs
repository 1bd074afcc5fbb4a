//! Batches, back-pressure, and sinks that fail: nothing hangs, nothing is lost uncounted.

mod batches;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use batches::{Memory, packets};
use novatrace::{ErrorKind, Sink, TraceGenerator};

fn record(trace: &TraceGenerator, events: u64) {
    let track = trace.group("g").track("t");
    for at in 0..events {
        track.duration(at * 10, 5, "name").arg("at", at).emit().expect("accepted");
    }
}

#[test]
fn batches_are_whole_packets_and_keep_to_their_size() {
    for prelude in [1, 2] {
        let memory = Memory::default();
        let builder = TraceGenerator::builder().batch(100, 1 << 20, Duration::from_secs(60));
        let trace = builder.window(10).sink(memory.clone()).expect("a trace");
        // An instant is one packet: begins are odd ones then, or even ones.
        for _ in 0..prelude {
            trace.group("g").track("t").instant(0, "name").emit().expect("accepted");
        }
        record(&trace, 10_000);
        let stats = trace.finish().expect("memory takes all");
        let batches = memory.0.lock().expect("not poisoned");
        let counts: Vec<usize> = batches.iter().map(|batch| packets(batch).len()).collect();
        // The last event, or an end and the event after it.
        let is_full = |&count: &usize| (100..=101).contains(&count);
        assert!(counts[..counts.len() - 1].iter().all(is_full), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>() as u64, stats.packets);
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>() as u64, stats.bytes);
    }
}

#[test]
fn a_batch_grows_by_the_ends_of_one_lane_at_most() {
    let memory = Memory::default();
    let builder = TraceGenerator::builder().batch(100, 1 << 20, Duration::from_secs(60));
    let trace = builder.overlap(novatrace::Overlap::Refuse).sink(memory.clone()).expect("a trace");
    let track = trace.group("g").track("t");
    // Each begins as two inner ones end, and crosses the outermost: refused, so that it writes
    // nothing but those ends.
    track.duration(0, 10_000, "outer").emit().expect("accepted");
    for at in 1..1_000 {
        track.duration(at * 10, 8, "inner").emit().expect("accepted");
        track.duration(at * 10, 8, "inner").emit().expect("accepted");
        track.duration(at * 10 + 9, 20_000, "crosses").emit().expect("accepted");
    }
    trace.finish().expect_err("slices cross");
    let batches = memory.0.lock().expect("not poisoned");
    let counts: Vec<usize> = batches.iter().map(|batch| packets(batch).len()).collect();
    assert!(counts.iter().all(|&count| count <= 102), "{counts:?}");
}

#[test]
fn batches_keep_to_their_bytes_too() {
    let memory = Memory::default();
    let builder = TraceGenerator::builder().batch(1 << 20, 4096, Duration::from_secs(60));
    let trace = builder.window(10).sink(memory.clone()).expect("a trace");
    record(&trace, 10_000);
    trace.finish().expect("memory takes all");
    let batches = memory.0.lock().expect("not poisoned");
    let (last, full) = batches.split_last().expect("not empty");
    assert!(full.iter().all(|batch| (4096..4096 + 128).contains(&batch.len())));
    assert!(last.len() <= 4096 + 128);
}

/// Takes so many batches, then no more.
#[derive(Debug)]
struct Fills(Arc<AtomicUsize>);

impl Sink for Fills {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        let left =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| io::Error::from(io::ErrorKind::StorageFull))
    }
}

#[test]
fn a_full_sink_is_told_once_and_what_it_did_not_take_is_counted() {
    let room = Arc::new(AtomicUsize::new(3));
    let builder = TraceGenerator::builder().batch(100, 1 << 20, Duration::from_secs(60));
    let trace = builder.window(10).ring_bytes(4096).sink(Fills(room)).expect("a trace");
    record(&trace, 10_000);
    let error = trace.flush().expect_err("it is full");
    assert!(matches!(error.kind(), ErrorKind::Write { bytes, .. } if *bytes > 0), "{error}");
    record(&trace, 10_000);
    let error = trace.finish().expect_err("it is full");
    let source = std::error::Error::source(&error).expect("the sink's error");
    let source = source.downcast_ref::<io::Error>().expect("an I/O error");
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    let stats = trace.stats();
    assert_eq!((stats.events, stats.packets), (20_000, 300));
    // Three batches of 100 packets: all but the header, names, descriptors are begins and ends.
    assert!((19_850..19_860).contains(&stats.dropped), "{stats:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_names_the_file() {
    let trace = TraceGenerator::create("/dev/full").expect("it can be opened");
    record(&trace, 10);
    let error = trace.finish().expect_err("it is full");
    assert_eq!(error.to_string(), "cannot write trace to `/dev/full`: 0 bytes were written before");
}

/// Panics at its first batch.
#[derive(Debug)]
struct Panics;

impl Sink for Panics {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        panic!("a fault of the sink");
    }
}

#[test]
fn a_sink_that_panics_is_an_error_and_leaves_nobody_waiting() {
    let builder = TraceGenerator::builder().ring_bytes(4096).batch(1, 1, Duration::from_millis(1));
    let trace = builder.window(0).sink(Panics).expect("a trace");
    // More than the ring holds: none waits for ever, and all are counted.
    record(&trace, 10_000);
    let error = trace.finish().expect_err("the sink failed");
    assert!(matches!(error.kind(), ErrorKind::Write { bytes: 0, .. }), "{error:?}");
    let source = std::error::Error::source(&error).expect("the sink's error");
    assert_eq!(source.to_string(), "the sink panicked: a fault of the sink");
    trace.flush().expect_err("still");
    let stats = trace.stats();
    assert_eq!((stats.events, stats.packets, stats.dropped), (10_000, 0, 10_000));
}

/// Takes nothing until it is let.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Sink for Gate {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        let mut open = self.0.0.lock().expect("not poisoned");
        while !*open {
            open = self.0.1.wait(open).expect("not poisoned");
        }
        Ok(())
    }
}

#[test]
fn a_thread_whose_ring_is_full_waits_for_the_sink_and_loses_nothing() {
    let gate = Gate::default();
    let builder =
        TraceGenerator::builder().ring_bytes(4096).batch(10, 1000, Duration::from_secs(60));
    let trace = builder.window(0).sink(gate.clone()).expect("a trace");
    let done = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (trace, counted) = (&trace, Arc::clone(&done));
        scope.spawn(move || {
            let track = trace.group("g").track("t");
            for at in 0..2_000 {
                track.duration(at, 1, "a").emit().expect("accepted");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        // The sink takes nothing yet, and 4 KiB hold 85 such events.
        while done.load(Ordering::Relaxed) < 50 {
            std::thread::yield_now();
        }
        assert!(done.load(Ordering::Relaxed) < 2_000);
        *gate.0.0.lock().expect("not poisoned") = true;
        gate.0.1.notify_all();
    });
    let stats = trace.finish().expect("the sink took all");
    assert_eq!((stats.events, stats.dropped), (2_000, 0));
}

#[test]
fn a_trace_that_is_dropped_is_complete() {
    let memory = Memory::default();
    let trace = TraceGenerator::builder().sink(memory.clone()).expect("a trace");
    let clone = trace.clone();
    record(&trace, 10);
    drop(trace);
    record(&clone, 10);
    drop(clone);
    let batches = memory.0.lock().expect("not poisoned");
    // Uuid, attributes, two sequences, two descriptors, three texts; 20 begins and ends.
    assert_eq!(batches.iter().map(|batch| packets(batch).len()).sum::<usize>(), 9 + 40);
}

#[test]
fn creating_a_trace_empties_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.pftrace");
    for events in [1_000, 1] {
        let trace = TraceGenerator::create(&path).expect("writable");
        record(&trace, events);
        let stats = trace.finish().expect("writable");
        assert_eq!(std::fs::metadata(&path).expect("it is there").len(), stats.bytes);
    }
}

/// Takes everything, and then finds that it has lost it.
#[derive(Debug)]
struct LosesAll;

impl Sink for LosesAll {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Err(io::Error::other("the network is gone"))
    }
}

#[test]
fn a_sink_that_fails_at_the_end_is_told_by_finish() {
    let trace = TraceGenerator::builder().sink(LosesAll).expect("a trace");
    record(&trace, 10);
    trace.flush().expect("it takes all");
    let error = trace.finish().expect_err("it is gone");
    let (message, bytes) = (error.to_string(), trace.stats().bytes);
    assert_eq!(message, format!("cannot write trace: {bytes} bytes were written before"));
    assert!(
        std::error::Error::source(&error)
            .is_some_and(|source| source.to_string() == "the network is gone")
    );
    assert_eq!(trace.finish().expect_err("as before").to_string(), message);
}

/// How many events begin in the packets of a batch: begins, instants and samples.
fn events(batch: &[u8]) -> u64 {
    let mut rest = batch;
    let mut events = 0;
    for len in packets(batch) {
        let head = 1 + (1..=3).take_while(|at| len >> (7 * (at - 1)) > 0).count();
        let packet = &rest[head..head + len];
        rest = &rest[head + len..];
        // TracePacket.track_event with type 1 (begin), 3 (instant) or 4 (counter) first.
        let is_event = |window: &[u8]| {
            window[0] == 0x5A
                && usize::from(window[1]) < len
                && window[2] == 0x48
                && [1, 3, 4].contains(&window[3])
        };
        // After the timestamp, of at most ten bytes, and perhaps a clock.
        events += u64::from(packet[0] == 0x40 && packet.windows(4).take(16).any(is_event));
    }
    events
}

/// Fails at the nth batch and keeps those before.
#[derive(Debug)]
struct FailsAt(usize, Memory);

impl Sink for FailsAt {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                self.1.write(batch)
            }
            None => Err(io::Error::other("enough")),
        }
    }
}

#[test]
fn wherever_a_sink_fails_written_and_dropped_add_up_to_what_was_recorded() {
    for fails_at in [0, 1, 2, 5, 17, 60, 1_000] {
        let memory = Memory::default();
        let builder = TraceGenerator::builder().batch(100, 1 << 20, Duration::from_secs(60));
        let builder = builder.window(16).overlap(novatrace::Overlap::Refuse).ring_bytes(4096);
        let trace = builder.sink(FailsAt(fails_at, memory.clone())).expect("a trace");
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let group = trace.group("g");
                let (track, counter) =
                    (group.track(&format!("t{thread}")), group.counter(&format!("c{thread}")));
                scope.spawn(move || {
                    for at in 0..500_u64 {
                        // Every tenth crosses the one before.
                        let start = at * 10 - u64::from(at % 10 == 9) * 7;
                        track.duration(start, 5, "slice").emit().expect("accepted");
                        track.instant(at * 10, "instant").emit().expect("accepted");
                        counter.count(at, at).expect("accepted");
                    }
                    drop(track.begin(6_000, "left open").expect("accepted"));
                });
            }
        });
        let _ = trace.finish().expect_err("slices cross, at the least");
        let stats = trace.stats();
        assert_eq!(stats.events, 4 * 1_501);
        assert_eq!(stats.left_open, 4);
        let written: u64 =
            memory.0.lock().expect("not poisoned").iter().map(|batch| events(batch)).sum();
        assert_eq!(written + stats.dropped + stats.refused, stats.events, "{fails_at}: {stats:?}");
        assert_eq!(stats.dropped > 0, fails_at < 1_000, "{fails_at}: {stats:?}");
    }
}

/// Panics when there is nothing more to write.
#[derive(Debug)]
struct PanicsAtTheEnd;

impl Sink for PanicsAtTheEnd {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        panic!("fault number {}", 7);
    }
}

#[test]
fn a_sink_that_panics_at_the_end_is_an_error_also_when_nobody_asks() {
    let trace = TraceGenerator::builder().sink(PanicsAtTheEnd).expect("a trace");
    record(&trace, 10);
    let error = trace.finish().expect_err("the sink failed");
    let source = std::error::Error::source(&error).expect("the sink's error");
    assert_eq!(source.to_string(), "the sink panicked: fault number 7");
    let trace = TraceGenerator::builder().sink(PanicsAtTheEnd).expect("a trace");
    record(&trace, 10);
    drop(trace);
}

#[test]
fn a_trace_that_is_dropped_by_a_panic_is_complete() {
    let memory = Memory::default();
    let sink = memory.clone();
    let thread = std::thread::spawn(move || {
        let trace = TraceGenerator::builder().sink(sink).expect("a trace");
        record(&trace, 10);
        panic!("a fault of the program");
    });
    thread.join().expect_err("it panicked");
    let batches = memory.0.lock().expect("not poisoned");
    assert_eq!(batches.iter().map(|batch| events(batch)).sum::<u64>(), 10);
}
