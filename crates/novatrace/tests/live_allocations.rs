//! Live recording allocates nothing once warm. One process of its own: it counts for the whole of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use novatrace::{Counter, Session, Sink, counter, instant, trace};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: each call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug)]
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// How often a thread allocates for 1,000 calls, after one that warms it up.
fn allocations(mut record: impl FnMut(u64)) -> u64 {
    record(0);
    let before = ALLOCATIONS.get();
    (1..=1_000).for_each(record);
    ALLOCATIONS.get() - before
}

static SAMPLES: Counter = counter!("samples", unit = "items");

fn every_kind() -> Vec<(&'static str, u64)> {
    let texts: Vec<String> = (0..100).map(|at| format!("text {at}")).collect();
    let text = |at: u64| texts[usize::try_from(at % 100).expect("small")].as_str();
    let flows: Vec<_> = (0..100).map(|_| novatrace::flow()).collect();
    let flow = |at: u64| flows[usize::try_from(at % 100).expect("small")];
    vec![
        ("span", allocations(|_| drop(trace!("span")))),
        ("instant", allocations(|_| instant!("instant"))),
        ("counter", allocations(|at| SAMPLES.set(at.cast_signed()))),
        ("addition", allocations(|_| SAMPLES.add(1))),
        (
            "span with three arguments",
            allocations(|at| drop(trace!("span", int = at, double = 0.5, text = text(at)))),
        ),
        (
            "instant with three arguments",
            allocations(|at| instant!("instant", int = at, yes = true, text = text(at))),
        ),
        ("name of run time", allocations(|at| drop(trace!(text(at), category = "made")))),
        ("flows", allocations(|at| instant!("flow", flow_in = [flow(at), flow(at + 1)]))),
        (
            "nested",
            allocations(|_| {
                let _outer = trace!("outer");
                let _inner = trace!("inner");
            }),
        ),
    ]
}

/// Of one test, so that nothing else records meanwhile.
#[test]
fn live_recording_allocates_nothing_once_warm() {
    // Nothing records yet: nothing at all.
    let off = allocations(|at| drop(trace!("off", text = format_args!("{at}").to_string())));
    assert_eq!(off, 0);
    let session = Session::builder().sink(Nowhere).expect("no other session is open");
    for (kind, count) in every_kind() {
        assert_eq!(count, 0, "{kind}");
    }
    // A thread that comes later pays for itself once.
    let late = std::thread::spawn(every_kind).join().expect("no panic");
    assert!(late.iter().all(|(_, count)| *count == 0), "{late:?}");
    let report = session.close().expect("it takes all");
    assert_eq!(report.lost, 0);
    let off = allocations(|_| drop(trace!("off again")));
    assert_eq!(off, 0);
}
