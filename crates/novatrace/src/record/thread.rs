//! Which ring is this thread's.
//!
//! A thread has a ring for each trace it records into. The one it used last is found through a
//! thread-local pointer: a load and a comparison.
#![expect(unsafe_code, reason = "a pointer into a list that only this thread changes")]

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;

use super::{Closed, Ring};

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
///
/// `write` must not record: it must not call what a user gave (`Serialize` and the like).
#[inline]
pub(crate) fn push(
    source: &impl Source,
    words: usize,
    track: u32,
    wake: &dyn Fn(),
    write: impl FnOnce(&mut [u64]),
) -> Result<bool, Closed> {
    let (id, ring) = LAST.get();
    if id == source.id() {
        // SAFETY: `LAST` points into this thread's `RINGS`, which keeps the ring alive, and is reset
        // before an entry is removed.
        let ring = unsafe { &*ring };
        // SAFETY: a ring in `RINGS` is pushed to by its thread only.
        unsafe { ring.push(words, track, wake, write) }
    } else {
        push_to_other(source, words, track, wake, write)
    }
}

#[cold]
#[inline(never)]
fn push_to_other(
    source: &impl Source,
    words: usize,
    track: u32,
    wake: &dyn Fn(),
    write: impl FnOnce(&mut [u64]),
) -> Result<bool, Closed> {
    let id = source.id();
    let found = RINGS.try_with(|rings| {
        let rings = &mut rings.borrow_mut().0;
        if let Some((_, ring)) = rings.iter().find(|(of, _)| *of == id) {
            return Arc::clone(ring);
        }
        // Traces that are finished leave their rings behind; a good moment to forget them.
        LAST.set((0, ptr::null()));
        rings.retain(|(_, ring)| !ring.is_closed());
        let ring = source.new_ring();
        rings.push((id, Arc::clone(&ring)));
        ring
    });
    if let Ok(ring) = found {
        LAST.set((id, Arc::as_ptr(&ring)));
        // SAFETY: a ring in `RINGS` is pushed to by its thread only.
        unsafe { ring.push(words, track, wake, write) }
    } else {
        // The thread's locals are gone already: a ring for this one record.
        let ring = source.new_ring();
        // SAFETY: this thread has just made it, and the worker does not push.
        let result = unsafe { ring.push(words, track, wake, write) };
        ring.release();
        result
    }
}
