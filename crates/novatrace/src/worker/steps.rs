//! How much the worker looks at, counted for tests: what is to cost the same for each event shows in numbers
//! that do not depend on the machine. Costs nothing otherwise.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts so many events or lanes as looked at or moved, by the calling thread.
#[inline(always)]
pub(super) fn count(steps: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps as u64);
    let _ = steps;
}

/// What the calling thread has counted.
#[cfg(test)]
pub(super) fn counted() -> u64 {
    STEPS.get()
}
