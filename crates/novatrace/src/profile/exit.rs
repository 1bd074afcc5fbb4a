//! What is done when the program ends, panics or forks. Does not belong here: ending a session.

use std::sync::{Arc, Once};

use novatrace_sink::{is_own, panic_message};

use super::session;
use super::site::registry;

/// To be called before the first session starts.
pub(super) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(platform::prepare);
    prepare_for_forks();
}

/// To be called before the first trace.
pub(crate) fn prepare_for_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(platform::prepare_for_forks);
}

/// A session that is still open when the program exits is closed, so that its file is complete.
extern "C" fn at_exit() {
    let live = registry().session().map(Arc::clone);
    if let Some(live) = live {
        // There is nobody to tell.
        let _ = session::end(&live);
    }
}

/// Makes panics instants of the trace, and flushes.
pub(super) fn hook_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // The worker, or its sink, would wait for itself; its panic is an error of the session's.
            let live = if is_own() { None } else { registry().session().map(Arc::clone) };
            let Some(live) = live else { return before(panic) };
            let message = panic_message(panic.payload());
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            crate::instant!("panic", category = "panic", message = message, place = place);
            let link = live.link();
            let _ = link.flush();
            if let Some(flight) = &link.config.flight
                && let Err(error) = flight.panicked(link)
            {
                link.fail(error);
            }
            before(panic);
        }));
    });
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "handlers of the C library's")]
mod platform {
    use std::cell::RefCell;
    use std::sync::MutexGuard;

    use super::super::children::{self, Invitation};
    use super::super::site::{MadeSites, Registry, made_sites, registry};
    use super::super::task::Pool;
    use super::super::{counter::Counter, dynamic, flow, thread};
    use crate::name;

    /// What is locked without a session, held across a fork, so that the child finds it free and whole.
    ///
    /// Locked in the order of the fields, as everywhere: whoever holds one takes none of those before it.
    /// At present `counters` and `registry` are held as `names` is taken, and the others alone.
    struct Held {
        _pool: MutexGuard<'static, Pool>,
        _sites: MutexGuard<'static, MadeSites>,
        _counters: MutexGuard<'static, Vec<&'static Counter>>,
        registry: MutexGuard<'static, Registry>,
        names: name::Held,
        /// What the child is told.
        told: Option<Invitation>,
    }

    impl Held {
        /// Waits for each in turn.
        fn hold(told: Option<Invitation>) -> Self {
            let (pool, sites, counters) = (Pool::lock(), made_sites(), dynamic::made_counters());
            let registry = registry();
            let names = name::hold();
            Self { _pool: pool, _sites: sites, _counters: counters, registry, names, told }
        }
    }

    thread_local! {
        static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
    }

    pub(super) fn prepare() {
        // SAFETY: `at_exit` is a function of the right type, and does not unwind: what it calls
        // catches panics of the worker, and has none of its own.
        unsafe { libc::atexit(super::at_exit) };
    }

    pub(super) fn prepare_for_forks() {
        // SAFETY: functions of the right type, which do not unwind: they take and release locks.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    }

    extern "C" fn before_fork() {
        // It records, and takes these locks itself.
        let told = children::before_fork();
        let _ = HELD.try_with(|held| held.replace(Some(Held::hold(told))));
    }

    extern "C" fn in_parent() {
        let _ = HELD.try_with(RefCell::take);
    }

    /// The child has no worker: nothing is recorded there until it has a session of its own.
    extern "C" fn in_child() {
        let _ = HELD.try_with(|held| {
            if let Some(Held { mut registry, names, told, .. }) = held.take() {
                drop(names);
                registry.forget_session(told);
            }
            flow::forget();
            thread::forget();
            crate::record::forget();
        });
    }
}

#[cfg(not(unix))]
mod platform {
    pub(super) fn prepare() {}

    pub(super) fn prepare_for_forks() {}
}
