//! The fence between a recording thread and the worker, asymmetric: free on the side that records.
//!
//! A thread publishes a record and then looks whether the trace is closed; the worker closes the
//! trace and then looks for published records. Without a full fence on both sides each could miss
//! the other's store, and a record be neither drained nor refused. `membarrier(2)` lets the worker
//! run that fence on behalf of all threads, so that the recording side needs to keep only the
//! compiler from reordering. Where the kernel refuses it, the worker waits instead: longer, by five
//! orders of magnitude, than a processor keeps a store to itself. Other systems fence on both sides,
//! and so do loom's models, which know no fence on another thread's behalf.
//!
//! Here too: what the ring is made of, from the standard library or, in models, from loom.
#![cfg_attr(all(target_os = "linux", not(loom)), expect(unsafe_code, reason = "one system call"))]

#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use linux::{heavy, light, prepare};
#[cfg(any(not(target_os = "linux"), loom))]
pub(crate) use other::{heavy, light, prepare};

#[cfg(not(loom))]
pub(crate) use std::{sync::Mutex, sync::atomic};

#[cfg(not(loom))]
pub(crate) mod thread {
    pub(crate) use std::thread::{Thread, current, yield_now};
    use std::time::Duration;

    /// `std`'s, or what was [put in its place](super::park_by).
    pub(crate) fn park_timeout(time: Duration) {
        match super::PARK.get() {
            Some(park) => park(time),
            None => std::thread::park_timeout(time),
        }
    }
}

static PARK: std::sync::OnceLock<fn(std::time::Duration)> = std::sync::OnceLock::new();

/// Threads that wait for room in their rings do so by `park`, which is to call `std::thread::park_timeout` of the time that it
/// is given: for an interpreter, whose lock they let go meanwhile. The first one stays.
pub fn park_by(park: fn(std::time::Duration)) {
    let _ = PARK.set(park);
}

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, atomic};

#[cfg(loom)]
pub(crate) mod thread {
    pub(crate) use loom::thread::{Thread, current, yield_now};

    /// Without the limit: who relies on it is found to wait for ever.
    pub(crate) fn park_timeout(_: std::time::Duration) {
        loom::thread::park();
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
mod linux {
    use std::sync::atomic::{Ordering, compiler_fence};
    use std::time::Duration;

    /// Asks for the asymmetric fence. To be called before the first ring of a trace is made.
    pub(crate) fn prepare() {
        // Asked again, and answered, in `heavy`.
        let _ = membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    }

    /// The recording side.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The worker's side.
    pub(crate) fn heavy() {
        if !membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: `membarrier` takes a command, flags and a processor number, no pointers, and
        // changes nothing but the order of memory accesses.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}

#[cfg(any(not(target_os = "linux"), loom))]
mod other {
    use super::atomic::{Ordering, fence};

    pub(crate) fn prepare() {}

    #[inline(always)]
    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
    }
}
