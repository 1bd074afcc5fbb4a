//! The fence between a recording thread and the worker, asymmetric: free on the side that records.
//!
//! A thread publishes a record and then looks whether the trace is closed; the worker closes the
//! trace and then looks for published records. Without a full fence on both sides each could miss
//! the other's store, and a record be neither drained nor refused. `membarrier(2)` lets the worker
//! run that fence on behalf of all threads, so that the recording side needs to keep only the
//! compiler from reordering. Where it is not to be had, both sides use an ordinary fence.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "one system call"))]

use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

/// Whether [`heavy`] fences for the other threads too. Set once, before any thread records.
static ASYMMETRIC: AtomicBool = AtomicBool::new(false);

/// Asks for the asymmetric fence. To be called before the first ring of a trace is made.
pub(crate) fn prepare() {
    if platform::register() {
        ASYMMETRIC.store(true, Ordering::Relaxed);
    }
}

/// The recording side.
#[inline(always)]
pub(crate) fn light() {
    if ASYMMETRIC.load(Ordering::Relaxed) {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The worker's side.
pub(crate) fn heavy() {
    if !(ASYMMETRIC.load(Ordering::Relaxed) && platform::barrier()) {
        fence(Ordering::SeqCst);
    }
}

#[cfg(target_os = "linux")]
mod platform {
    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: `membarrier` takes a command, flags and a processor number, no pointers, and
        // changes nothing but the order of memory accesses.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn register() -> bool {
        membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    pub(super) fn barrier() -> bool {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn barrier() -> bool {
        false
    }
}
