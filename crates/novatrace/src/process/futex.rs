//! Sleeping on a word that two processes share.

use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while the word is `value`, for so long at most; or less, for no reason.
pub(crate) fn wait(word: &AtomicU32, value: u32, time: Duration) {
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    let limit = &raw const limit;
    // SAFETY: the word and the limit outlive the call, which writes to neither.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, limit) };
}

/// Wakes all that sleep on the word, of whichever process.
pub(crate) fn wake(word: &AtomicU32) {
    let (word, none) = (word.as_ptr(), ptr::null::<libc::timespec>());
    // SAFETY: the word is alive; it is not written to.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX, none) };
}
