//! Flows between events of a live program.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::FlowId;

/// A new flow: an arrow between the events that say they take part in it, in the order of their
/// times.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let session = novatrace::open(folder.path().join("app.pftrace"))?;
/// let flow = novatrace::flow();
/// novatrace::instant!("ready", flow_out = flow);
/// std::thread::spawn(move || {
///     let _span = novatrace::trace!("consume", flow_in = flow);
/// })
/// .join()
/// .expect("no panic");
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One flow through several events is a chain. For arrows from one event to several, make a flow for
/// each: `flow_out = [first, second]`; the other way round, `flow_in = [first, second]`. `flow_end` is
/// a `flow_in` after which nothing may follow.
#[must_use]
pub fn flow() -> FlowId {
    if NEXT.load(Ordering::Relaxed) == 0 {
        let first = RandomState::new().hash_one(std::process::id()) | 1;
        let _ = NEXT.compare_exchange(0, first, Ordering::Relaxed, Ordering::Relaxed); // or another thread has
    }
    FlowId::from_number(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// 0 until there is a flow.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// In a forked child, whose flows are none of its parent's.
pub(super) fn forget() {
    NEXT.store(0, Ordering::Relaxed);
}

/// The flow of that number, which another language has kept.
#[doc(hidden)]
#[must_use]
pub const fn flow_of(number: u64) -> FlowId {
    FlowId::from_number(number)
}
