//! What the benches share.

/// The middle of the values, which are then in order.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of all threads so far.
#[allow(dead_code, reason = "not every bench asks for it")]
pub(crate) fn processor_ns() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "one system call")]
    // SAFETY: `usage` is a valid place for the result.
    unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr())
    };
    #[expect(unsafe_code, reason = "zeroed above")]
    // SAFETY: as above.
    let usage = unsafe { usage.assume_init() };
    let of = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    of(usage.ru_utime) + of(usage.ru_stime)
}
