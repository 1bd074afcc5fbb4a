//! The rings of threads: how each gets its own, and the worker comes to know of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use super::Link;
use crate::process::Message;
use crate::record::{Drain, Ring, Source};
use crate::worker::threads::{Attachment, NewThread, ThreadLink};

/// Rings that are kept for threads to come: with the default size, 64 MiB of address space at most, and
/// of memory what they have used.
const MAX_SPARE_RINGS: usize = 16;

/// The ring of a thread that had none.
#[derive(Debug)]
pub(crate) struct NewRing {
    pub(crate) drain: Drain,
    /// What others had published when it was made, in words, unless it was taken: all that was called
    /// before the thread's first call is among it.
    pub(crate) before: Vec<(Arc<Ring>, u64)>,
}

/// The rings of threads that use a generator.
#[derive(Debug, Default)]
pub(super) struct GeneratorRings {
    /// Not yet taken over by the worker.
    pub(super) new: Vec<NewRing>,
    /// Those of threads that may have records to be taken.
    all: Vec<Weak<Ring>>,
}

impl GeneratorRings {
    fn add(&mut self, drain: Drain) {
        let before = self.before();
        self.all.push(drain.ring());
        self.new.push(NewRing { drain, before });
    }

    /// What the rings have published that has not been taken.
    fn before(&mut self) -> Vec<(Arc<Ring>, u64)> {
        let mut before = vec![];
        self.all.retain(|ring| {
            let ring = ring.upgrade();
            before.extend(
                ring.iter().filter_map(|ring| Some((Arc::clone(ring), ring.waiting_until()?))),
            );
            ring.is_some()
        });
        before
    }
}

impl Source for Arc<Link> {
    #[inline(always)]
    fn id(&self) -> u64 {
        self.id
    }

    fn new_ring(&self) -> Arc<Ring> {
        if self.check_process().is_err() {
            // The locks may have been held when the process forked, and the memory is the parent's.
            return Ring::closed();
        }
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_closed = self.control().is_closed;
        if !is_closed
            && let Some(program) = self.program()
            && let Some((ring, facts)) = program.ring(self.config.ring_bytes)
        {
            let before = rings.before();
            let before = before.iter().map(|(ring, words)| (ring.offset(), *words)).collect();
            rings.all.push(Arc::downgrade(&ring));
            program.send(&Message::Ring { ring: facts, before });
            self.rings_made.fetch_add(1, Ordering::Release);
            return ring;
        }
        if is_closed || self.program().is_some() {
            // Finished; or there is no memory for it that the worker's process has.
            return Ring::closed();
        }
        let (ring, drain) = Ring::with_bytes(self.config.ring_bytes);
        rings.add(drain);
        self.rings_made.fetch_add(1, Ordering::Release);
        ring
    }
}

impl Link {
    /// A ring for the calling thread of a live program, known to the worker; `None` when the trace is
    /// finished.
    pub(crate) fn attach_thread(
        &self,
        attachment: Attachment,
        bytes: usize,
    ) -> Option<(Arc<Ring>, Arc<ThreadLink>)> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.control().is_closed {
            return None;
        }
        let id = self.rings_made.fetch_add(1, Ordering::Release);
        let (ring, thread) = if let Some(program) = self.program() {
            let (ring, facts) = program.ring(bytes)?;
            let thread = ThreadLink::of_this_thread(attachment, Some((Arc::clone(program), id)));
            program.send(&Message::Thread {
                id,
                ring: facts,
                tid: thread.tid,
                name: thread.name.to_string(),
                system_name: thread.system_name.clone(),
            });
            (ring, Arc::new(thread))
        } else {
            let spare = self.spare_rings.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let (ring, drain) = spare.unwrap_or_else(|| Ring::with_bytes(bytes));
            ring.adopt();
            let thread = Arc::new(ThreadLink::of_this_thread(attachment, None));
            threads.push(NewThread { drain, thread: Arc::clone(&thread) });
            (ring, thread)
        };
        drop(threads);
        let mut attached = self.attached();
        attached.retain(|thread| thread.strong_count() > 0);
        attached.push(Arc::downgrade(&thread));
        Some((ring, thread))
    }

    pub(super) fn attached(&self) -> MutexGuard<'_, Vec<Weak<ThreadLink>>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live thread of that attachment, if it is not over.
    pub(crate) fn thread(&self, attachment: Attachment) -> Option<Arc<ThreadLink>> {
        let attached = self.attached();
        attached.iter().filter_map(Weak::upgrade).find(|thread| thread.attachment == attachment)
    }

    /// How many rings have ever been made.
    pub(crate) fn rings_made(&self) -> u64 {
        self.listen();
        self.rings_made.load(Ordering::Acquire)
    }

    /// The rings that were made since it was asked last, in that order.
    pub(crate) fn new_rings(&self) -> Vec<NewRing> {
        std::mem::take(&mut self.rings.lock().unwrap_or_else(PoisonError::into_inner).new)
    }

    /// [`new_rings`](Self::new_rings) of live threads.
    pub(crate) fn new_threads(&self) -> Vec<NewThread> {
        std::mem::take(&mut self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the ring of a thread that is over for another, unless there are many.
    pub(crate) fn give_back(&self, ring: Drain) {
        let mut spare = self.spare_rings.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE_RINGS {
            spare.extend(ring.into_new());
        }
    }

    /// From here on, rings are refused.
    pub(crate) fn refuse_rings(&self) {
        // Whoever has one of these locks has yet to look, or has made its ring.
        let _rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let _threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.control().is_closed = true;
    }
}
