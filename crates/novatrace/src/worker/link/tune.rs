//! What can change while a trace is written.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use novatrace_sink::Compression;

use super::Link;
use crate::process::Message;
use crate::worker::sizing::Bounds;

/// The choices that can.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    pub(crate) batch: Bounds,
    pub(crate) compression: Compression,
}

impl Link {
    pub(crate) fn tuning(&self) -> Tuning {
        *self.tuning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes some of them. The worker goes by them before it answers a flush that is asked for afterwards.
    pub(crate) fn tune(&self, change: impl FnOnce(&mut Tuning)) {
        if self.check_process().is_err() {
            // The trace is the parent's.
            return;
        }
        // Held until they are sent, so that the worker ends with the last ones.
        let mut tuning = self.tuning.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut tuning);
        self.tunings.fetch_add(1, Ordering::Release);
        if let Some(program) = self.program() {
            let Tuning { batch, compression } = *tuning;
            program.send(&Message::Tune { batch, compression: compression.to_string() });
        }
    }

    /// As the program says to a worker of its own process.
    pub(super) fn hear_tuning(&self, batch: Bounds, compression: &str) {
        // Of the same library, so that it is known.
        let compression = compression.parse().unwrap_or_default();
        *self.tuning.lock().unwrap_or_else(PoisonError::into_inner) = Tuning { batch, compression };
        self.tunings.fetch_add(1, Ordering::Release);
    }

    /// The choices, if they are others than when there had been `seen` changes.
    pub(crate) fn tuned(&self, seen: &mut u64) -> Option<Tuning> {
        self.listen();
        let tunings = self.tunings.load(Ordering::Acquire);
        (std::mem::replace(seen, tunings) != tunings).then(|| self.tuning())
    }
}
