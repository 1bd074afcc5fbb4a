//! How large batches are: as the load and the bounds have it, which may change. Nothing here depends on how fast the
//! machine is: a batch that may wait an hour fills in no time, and one that may wait a millisecond is waited for.

mod batches;

use std::time::Duration;

use batches::{Memory, packets};
use novatrace::{Compression, Overflow, Session, TraceGenerator, instant};

const HOUR: Duration = Duration::from_secs(3_600);
const AT_ONCE: Duration = Duration::from_millis(1);

fn count(memory: &Memory) -> usize {
    memory.0.lock().expect("not poisoned").len()
}

/// The sizes of the batches since there were `from`.
fn sizes(memory: &Memory, from: usize) -> Vec<usize> {
    let batches = memory.0.lock().expect("not poisoned");
    batches[from..].iter().map(Vec::len).collect()
}

#[test]
fn batches_grow_under_load_up_to_their_bound_and_are_small_when_idle() {
    let memory = Memory::default();
    let builder = Session::builder().overflow(Overflow::Block).batch(1 << 20, 1 << 20, HOUR);
    let session = builder.sink(memory.clone()).expect("none is open");
    let load = |events: i64| {
        let before = count(&memory);
        for at in 0..events {
            instant!("event", at = at);
        }
        session.flush().expect("memory takes all");
        let sizes = sizes(&memory, before);
        sizes.into_iter().map(|bytes| bytes >> 10).collect::<Vec<_>>()
    };
    let busy = load(200_000);
    assert_eq!(busy[..6], [64, 128, 256, 512, 1024, 1024], "{busy:?}");

    // One at a time, each of which is there before the next comes.
    session.set_batch(1 << 20, 1 << 20, AT_ONCE);
    session.flush().expect("memory takes all");
    for at in 0..10 {
        let before = count(&memory);
        instant!("event", at = at);
        while count(&memory) == before {
            std::thread::yield_now();
        }
    }

    // As small as at first.
    session.set_batch(1 << 20, 300 << 10, HOUR);
    assert_eq!(session.batch(), (1 << 20, 300 << 10, HOUR));
    session.flush().expect("memory takes all");
    let busy = load(90_000);
    assert_eq!(busy[..4], [64, 128, 256, 300], "{busy:?}");
    let report = session.close().expect("memory takes all");
    assert_eq!((report.events, report.lost, report.dropped), (290_010, 0, 0));
    assert_eq!(report.bytes, sizes(&memory, 0).iter().sum::<usize>() as u64);
}

#[test]
fn a_trace_goes_by_what_it_is_told_while_it_is_written() {
    let memory = Memory::default();
    let builder = TraceGenerator::builder().window(0).batch(1 << 20, 1 << 30, HOUR);
    let trace = builder.sink(memory.clone()).expect("a trace");
    let track = trace.track("t");
    // The batches of so many more events.
    let record = |events: std::ops::Range<u64>| {
        let before = count(&memory);
        for at in events {
            track.instant(at, "event").arg("at", at).emit().expect("accepted");
        }
        trace.flush().expect("memory takes all");
        memory.0.lock().expect("not poisoned")[before..].to_vec()
    };
    assert_eq!(record(0..1_000).len(), 1);
    trace.set_batch(100, 1 << 20, HOUR);
    trace.flush().expect("memory takes all");
    let counts: Vec<_> = record(1_000..2_000).iter().map(|batch| packets(batch).len()).collect();
    assert_eq!(counts, [100; 10]);
    trace.set_batch(1 << 20, 2_000, HOUR);
    trace.flush().expect("memory takes all");
    let batches = record(2_000..3_000);
    let (_, full) = batches.split_last().expect("not empty");
    assert!(full.len() > 5 && full.iter().all(|batch| (2_000..2_100).contains(&batch.len())));

    trace.set_batch(1 << 20, 1 << 20, HOUR);
    trace.set_compression(Compression::ZLIB);
    trace.flush().expect("memory takes all");
    let packed = record(3_000..20_000).concat().len();
    trace.set_compression(Compression::None);
    trace.flush().expect("memory takes all");
    let plain = record(20_000..37_000).concat().len();
    assert!(packed * 3 < plain, "{packed} bytes compressed, {plain} bytes plain");
    let stats = trace.finish().expect("memory takes all");
    assert_eq!((stats.events, stats.dropped), (37_000, 0));
    assert_eq!(stats.bytes, sizes(&memory, 0).iter().sum::<usize>() as u64);
}
