//! The threads that recording itself has: the program's panic hook must not wait for them on one of them.

use std::cell::Cell;
use std::io;
use std::thread::{Builder, JoinHandle};

thread_local! {
    static IS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Starts one.
///
/// # Errors
///
/// The operating system's, if it has no thread for us.
pub fn spawn_own<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        own();
        work()
    })
}

/// The calling thread is one.
pub(crate) fn own() {
    IS_OWN.set(true);
}

/// Whether the calling thread is one.
#[must_use]
pub fn is_own() -> bool {
    IS_OWN.get()
}
