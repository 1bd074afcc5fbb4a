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
pub(crate) use linux::{heavy, heavy_elsewhere, light, prepare, prepare_elsewhere};
#[cfg(any(not(target_os = "linux"), loom))]
pub(crate) use other::{
    heavy, heavy as heavy_elsewhere, light, prepare, prepare as prepare_elsewhere,
};

#[cfg(not(loom))]
pub(crate) use std::{sync::Mutex, sync::atomic};

#[cfg(not(loom))]
pub(crate) mod thread {
    pub(crate) use std::thread::{Thread, current, yield_now};
    use std::time::Duration;

    /// `std`'s, [around](super::wait_by) which something may be done.
    pub(crate) fn park_timeout(time: Duration) {
        wait_by(&mut || std::thread::park_timeout(time));
    }

    /// Waits as `wait` does, which something may be done [around](super::wait_by).
    pub(crate) fn wait_by(wait: &mut dyn FnMut()) {
        match super::AROUND_WAITS.get() {
            Some(around) => around(wait),
            None => wait(),
        }
    }
}

type Around = fn(&mut dyn FnMut());
static AROUND_WAITS: std::sync::OnceLock<Around> = std::sync::OnceLock::new();

/// Threads that wait for room in their rings do so within `around`, which is to call what it is given: for
/// an interpreter, whose lock they let go meanwhile. The first one stays.
pub fn wait_by(around: Around) {
    let _ = AROUND_WAITS.set(around);
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

    /// [`prepare`] of a worker in another process.
    pub(crate) fn prepare_elsewhere() {
        let _ = membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
    }

    /// [`heavy`] for the threads of another process.
    pub(crate) fn heavy_elsewhere() {
        if !membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED) {
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
