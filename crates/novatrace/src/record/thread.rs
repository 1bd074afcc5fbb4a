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

/// In a forked child, whose only thread this is: its rings are the parent's.
#[cfg(unix)]
pub(crate) fn forget() {
    LAST.set((0, ptr::null()));
    let _ = RINGS.try_with(|rings| {
        if let Ok(mut rings) = rings.try_borrow_mut() {
            // To let them go would tell the parent's worker that this thread is over.
            std::mem::forget(std::mem::take(&mut rings.0));
        }
    });
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
    let is_late = LAST.get().0 != source.id() && !switch_to(source);
    // SAFETY: `LAST` points to a ring that `RINGS` keeps alive, and is reset before an entry is removed
    // from this thread's `RINGS`; or to one that `forget_late` will give up.
    let ring = unsafe { &*LAST.get().1 };
    // SAFETY: a ring that `LAST` points to is pushed to by its thread only.
    let pushed = unsafe { ring.push(words, track, wake, record) };
    if is_late {
        forget_late();
    }
    pushed
}

/// Makes `LAST` this thread's ring for the trace.
///
/// False if the thread ends, and its list is gone already: a record then has a ring to itself, which
/// [`forget_late`] gives up. Nothing else here may take the record, or even a reference to it: it is
/// in registers only as long as [`Ring::push`] alone, which is inlined, reads it.
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
    let is_known = found.is_ok();
    LAST.set((id, found.unwrap_or_else(|_| Arc::into_raw(source.new_ring()))));
    is_known
}

/// Gives up the ring that [`switch_to`] made for one record; the worker forgets it once it has taken it.
#[cold]
#[inline(never)]
fn forget_late() {
    let (_, ring) = LAST.replace((0, ptr::null()));
    // SAFETY: it comes from `Arc::into_raw` in `switch_to`, which nobody else undoes.
    let ring = unsafe { Arc::from_raw(ring) };
    ring.release();
}
