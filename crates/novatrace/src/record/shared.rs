//! The part of a ring that its owner and the worker both touch: on the heap, or in memory that two
//! processes map.
#![expect(unsafe_code, reason = "a place that another process has too")]

use std::ops::Deref;
use std::ptr::NonNull;
use std::time::Duration;

use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::thread;

/// Keeps what two threads write from sharing a cache line (or the pair that is fetched together).
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

#[derive(Default)]
#[repr(C)]
pub(super) struct Shared {
    pub(super) owner: Apart<OwnerShared>,
    pub(super) worker: Apart<WorkerShared>,
    pub(super) closing: Apart<Closing>,
    #[cfg(all(target_os = "linux", not(loom)))]
    taken: Apart<crate::process::Note>,
}

/// What it takes at the start of a block.
#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) const SHARED_BYTES: usize = size_of::<Shared>();

/// Written by the owner.
#[derive(Default)]
#[repr(C)]
pub(super) struct OwnerShared {
    /// Words published, counted for ever.
    pub(super) tail: AtomicU64,
    /// Events that found no room.
    pub(super) lost: AtomicU64,
    /// The owner will push no more.
    pub(super) released: AtomicBool,
}

/// Written by the worker.
#[derive(Default)]
#[repr(C)]
pub(super) struct WorkerShared {
    /// Words taken, counted for ever.
    pub(super) head: AtomicU64,
    /// Not 0 while the owner waits for room.
    pub(super) is_waited_for: AtomicU32,
}

/// Written once, by the worker; read by the owner after each record.
#[derive(Default)]
#[repr(C)]
pub(super) struct Closing {
    pub(super) is_closed: AtomicBool,
    /// Valid once it is not `u64::MAX` any more.
    pub(super) final_tail: AtomicU64,
}

/// Where a record is that lies beside the ring.
pub(super) enum Aside {
    /// In this process, which has it.
    Here,
    /// In the memory of both; a copy.
    Read(Box<[u64]>),
    /// There was no memory for it.
    Nowhere,
}

/// Where that part of a ring is.
pub(super) struct SharedSide {
    at: NonNull<Shared>,
    elsewhere: Elsewhere,
}

// SAFETY: it is atomics, in a box of its own or in memory that lives as long as this.
unsafe impl Send for SharedSide {}
// SAFETY: as above.
unsafe impl Sync for SharedSide {}

impl SharedSide {
    /// For an owner and a worker in one process.
    pub(super) fn own() -> Self {
        let at = NonNull::from(Box::leak(Box::<Shared>::default()));
        let side = Self { at, elsewhere: Elsewhere::NOT };
        side.reset();
        side
    }

    /// As of a ring that nobody has used.
    pub(super) fn reset(&self) {
        self.owner.0.tail.store(0, Ordering::Relaxed);
        self.owner.0.lost.store(0, Ordering::Relaxed);
        self.owner.0.released.store(false, Ordering::Relaxed);
        self.worker.0.head.store(0, Ordering::Relaxed);
        self.worker.0.is_waited_for.store(0, Ordering::Relaxed);
        self.closing.0.is_closed.store(false, Ordering::Relaxed);
        self.closing.0.final_tail.store(u64::MAX, Ordering::Relaxed);
        self.note_taken(0, 0);
    }
}

impl Deref for SharedSide {
    type Target = Shared;

    #[inline(always)]
    fn deref(&self) -> &Shared {
        // SAFETY: a leaked box that is freed with this, or a block that lives as long.
        unsafe { self.at.as_ref() }
    }
}

impl Drop for SharedSide {
    fn drop(&mut self) {
        if !self.is_elsewhere() {
            // SAFETY: leaked in `own`, and of this only.
            drop(unsafe { Box::from_raw(self.at.as_ptr()) });
        }
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
mod elsewhere {
    use std::mem::ManuallyDrop;

    use super::super::Words;
    use super::{Aside, Duration, Shared, SharedSide, thread};
    use crate::process::{self, Block};

    /// The memory of two processes in which the ring is.
    pub(super) struct Elsewhere(Option<Block>);

    impl Elsewhere {
        pub(super) const NOT: Self = Self(None);
    }

    impl SharedSide {
        /// At the start of a block; with the words behind it. `is_new` if nobody has used it, or all let go.
        pub(in super::super) fn in_block(
            block: Block,
            words: usize,
            is_new: bool,
        ) -> (Self, Words) {
            let at = block.start().cast::<Shared>();
            // SAFETY: the block has room for both.
            let first = unsafe { at.add(1) }.cast();
            // SAFETY: so many words lie there, as long as the block is kept, which is as long as the ring.
            let words = unsafe { Words::borrowed(first, words) };
            let side = Self { at, elsewhere: Elsewhere(Some(block)) };
            if is_new {
                side.reset();
            }
            (side, words)
        }

        /// Whether the other side is in another process.
        #[inline]
        pub(in super::super) fn is_elsewhere(&self) -> bool {
            self.elsewhere.0.is_some()
        }

        /// The worker's side: so many events were among what came before `head`.
        #[inline]
        pub(in super::super) fn note_taken(&self, head: u64, events: u64) {
            if self.is_elsewhere() {
                self.taken.0.set([head, events]);
            }
        }

        /// Whether the worker has given back the block.
        pub(in super::super) fn is_given_back(&self) -> bool {
            self.elsewhere.0.as_ref().is_some_and(Block::is_free)
        }

        /// By which the other process finds the ring; 0 if there is none.
        pub(in super::super) fn offset(&self) -> u64 {
            self.elsewhere.0.as_ref().map_or(0, Block::offset)
        }

        /// Once the worker is gone: up to where it had taken, and how many events.
        pub(in super::super) fn taken(&self) -> [u64; 2] {
            self.taken.0.get()
        }

        /// Waits to be woken, for so long at most; or less.
        pub(in super::super) fn sleep(&self, time: Duration) {
            if self.is_elsewhere() {
                let word = &self.worker.0.is_waited_for;
                thread::wait_by(&mut || process::wait(word, 1, time));
            } else {
                thread::park_timeout(time);
            }
        }

        pub(in super::super) fn wake(&self) {
            process::wake(&self.worker.0.is_waited_for);
        }

        /// Puts a record beside the ring, if the worker is in another process; says where. Offset 0 is
        /// nowhere: there is no memory.
        pub(in super::super) fn put_aside(&self, record: &[u64]) -> Option<[u64; 2]> {
            let arena = self.elsewhere.0.as_ref()?.arena();
            // Of another size than any ring, which is not to be reused for one.
            let Some(block) = arena.alloc((record.len() * 8).next_power_of_two() + 8192) else {
                return Some([0, 0]);
            };
            let place = block.start().cast::<u64>();
            // SAFETY: the block has room for it, and is the caller's.
            unsafe { place.as_ptr().copy_from_nonoverlapping(record.as_ptr(), record.len()) };
            Some([block.offset(), record.len() as u64])
        }

        fn aside(&self, place: &[u64]) -> Option<(Block, usize)> {
            let arena = self.elsewhere.0.as_ref()?.arena();
            let words = usize::try_from(*place.get(2)?).ok()?;
            Some((arena.block(*place.get(1)?, words.checked_mul(8)?)?, words))
        }

        /// A copy of what was put beside the ring, and stays there.
        pub(in super::super) fn read_aside(&self, place: &[u64]) -> Aside {
            if !self.is_elsewhere() {
                return Aside::Here;
            }
            let Some((block, words)) = self.aside(place) else { return Aside::Nowhere };
            let block = ManuallyDrop::new(block);
            let first = block.start().cast::<u64>();
            // SAFETY: `put_aside` wrote so many words there before it said so.
            Aside::Read(unsafe { std::slice::from_raw_parts(first.as_ptr(), words) }.into())
        }

        /// Gives back what was put beside the ring.
        pub(in super::super) fn free_aside(&self, place: &[u64]) {
            drop(self.aside(place));
        }
    }
}

#[cfg(not(all(target_os = "linux", not(loom))))]
mod elsewhere {
    use super::{Aside, Duration, SharedSide, thread};

    pub(super) struct Elsewhere;

    impl Elsewhere {
        pub(super) const NOT: Self = Self;
    }

    #[expect(clippy::unused_self, reason = "as where there is such memory")]
    impl SharedSide {
        pub(in super::super) fn is_elsewhere(&self) -> bool {
            false
        }

        pub(in super::super) fn note_taken(&self, _head: u64, _events: u64) {}

        pub(in super::super) fn taken(&self) -> [u64; 2] {
            [0, 0]
        }

        pub(in super::super) fn offset(&self) -> u64 {
            0
        }

        pub(in super::super) fn sleep(&self, time: Duration) {
            thread::park_timeout(time);
        }

        pub(in super::super) fn wake(&self) {}

        pub(in super::super) fn put_aside(&self, _record: &[u64]) -> Option<[u64; 2]> {
            None
        }

        pub(in super::super) fn read_aside(&self, _place: &[u64]) -> Aside {
            Aside::Here
        }

        pub(in super::super) fn free_aside(&self, _place: &[u64]) {}
    }
}

use elsewhere::Elsewhere;
