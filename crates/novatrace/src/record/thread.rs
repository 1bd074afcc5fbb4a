//! Which ring is this thread's.
//!
//! A thread has a ring for each trace it records into. The one it used last is found through a
//! thread-local pointer: a load and a comparison.
#![expect(unsafe_code, reason = "a pointer into a list that only this thread changes")]

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;

use super::{Closed, Fill, Ring};

thread_local! {
    /// Trace id (never 0) and ring of the trace this thread recorded into last. The pointer is into
    /// [`RINGS`], and reset before what it points to leaves that list.
    static LAST: Cell<(u64, *const Ring)> = const { Cell::new((0, ptr::null())) };
    static RINGS: RefCell<Rings> = const { RefCell::new(Rings(Vec::new())) };
}

struct Rings(Vec<(u64, Arc<Ring>)>);

impl Drop for Rings {
    fn drop(&mut self) {
        LAST.set((0, ptr::null()));
        for (_, ring) in &self.0 {
            ring.release();
        }
    }
}

/// What a thread records through once its own thread-locals are gone.
pub(crate) trait Source {
    /// Unique to the trace.
    fn id(&self) -> u64;
    /// Makes a ring for the calling thread, known to the worker.
    fn new_ring(&self) -> Arc<Ring>;
}

/// Puts a record of `words` words into the calling thread's ring for the trace; see [`Ring::push`].
#[inline(always)]
pub(crate) fn push(
    source: &impl Source,
    words: usize,
    track: u32,
    wake: &dyn Fn(),
    record: impl Fill,
) -> Result<bool, Closed> {
    if LAST.get().0 != source.id() && !switch_to(source) {
        return push_late(source, words, track, wake, record);
    }
    // SAFETY: `LAST` points to a ring that `RINGS` keeps alive, and is reset before an entry is removed
    // from this thread's `RINGS`.
    let ring = unsafe { &*LAST.get().1 };
    // SAFETY: a ring in `RINGS` is pushed to by its thread only.
    unsafe { ring.push(words, track, wake, record) }
}

/// Makes `LAST` this thread's ring for the trace; false if the thread ends, and its list is gone already.
#[cold]
#[inline(never)]
fn switch_to(source: &impl Source) -> bool {
    let id = source.id();
    let found = RINGS.try_with(|rings| {
        let rings = &mut rings.borrow_mut().0;
        if let Some((_, ring)) = rings.iter().find(|(of, _)| *of == id) {
            return Arc::as_ptr(ring);
        }
        // Traces that are finished leave their rings behind; a good moment to forget them.
        LAST.set((0, ptr::null()));
        rings.retain(|(_, ring)| !ring.is_closed());
        let ring = source.new_ring();
        let last = Arc::as_ptr(&ring);
        rings.push((id, ring));
        last
    });
    found.is_ok_and(|ring| {
        LAST.set((id, ring));
        true
    })
}

/// A record of a thread whose thread-locals are being destroyed has a ring to itself, which the worker
/// forgets once it has taken it.
#[cold]
#[inline(never)]
fn push_late(
    source: &impl Source,
    words: usize,
    track: u32,
    wake: &dyn Fn(),
    record: impl Fill,
) -> Result<bool, Closed> {
    let ring = source.new_ring();
    // SAFETY: nobody else has it.
    let pushed = unsafe { ring.push(words, track, wake, record) };
    ring.release();
    pushed
}
