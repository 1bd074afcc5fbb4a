//! What the live tests share: one session at a time, into memory, read back by the trace processor.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use novatrace::{Report, Session, SessionBuilder, Sink};
use novatrace_testkit::{Loaded, Oracle};

/// There is one session at a time in a process, and tests are threads of one.
static ONE: Mutex<()> = Mutex::new(());

#[allow(dead_code, reason = "for tests that open sessions themselves")]
pub(crate) fn one() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does what would be recorded while no session is open, not even another test's.
#[allow(dead_code, reason = "most tests record")]
pub(crate) fn without_session<R>(record: impl FnOnce() -> R) -> R {
    let _one = one();
    record()
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    is_held: bool,
    is_open: bool,
}

/// A sink into memory that holds its worker, once something has been recorded, until it is opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the worker is held.
    #[allow(dead_code, reason = "not every test holds it")]
    pub(crate) fn wait_until_held(&self) {
        let mut state = self.state();
        while !state.is_held {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the worker go on.
    #[allow(dead_code, reason = "not every test holds it")]
    pub(crate) fn open(&self) {
        self.state().is_open = true;
        self.0.1.notify_all();
    }
}

impl Sink for Gate {
    fn write(&mut self, batch: &[u8]) -> std::io::Result<()> {
        let mut state = self.state();
        state.bytes.extend_from_slice(batch);
        // A thread of the program's: its name is in the packet that describes it.
        let is_recorded = batch.windows(6).any(|bytes| bytes == b"before" || bytes == b"first\x1a")
            || batch.windows(5).any(|bytes| bytes == b"first");
        if is_recorded && !state.is_open {
            state.is_held = true;
            self.0.1.notify_all();
            while !state.is_open {
                state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        Ok(())
    }
}

/// What `record` records into a gate.
#[track_caller]
pub(crate) fn recording_into(
    gate: &Gate,
    builder: SessionBuilder,
    record: impl FnOnce(&Session),
) -> (Vec<u8>, Report) {
    let _one = one();
    let session = builder.sink(gate.clone()).expect("no other session is open");
    record(&session);
    let report = session.close().expect("memory takes all");
    let bytes = std::mem::take(&mut gate.state().bytes);
    assert_eq!((report.dropped, report.bytes), (0, bytes.len() as u64));
    (bytes, report)
}

/// What `record` records.
#[allow(dead_code, reason = "not every test reads all that is recorded")]
#[track_caller]
pub(crate) fn recording_bytes(
    builder: SessionBuilder,
    record: impl FnOnce(&Session),
) -> (Vec<u8>, Report) {
    let gate = Gate::default();
    gate.open();
    recording_into(&gate, builder, record)
}

/// What `record` records, as the trace processor has it; healthy, or the test fails.
#[allow(dead_code, reason = "not every test reads all that is recorded")]
#[track_caller]
pub(crate) fn recording(
    oracle: &Oracle,
    builder: SessionBuilder,
    record: impl FnOnce(),
) -> (Loaded, Report) {
    let (bytes, report) = recording_bytes(builder, |_| record());
    (read(oracle, &bytes), report)
}

/// The trace that these bytes are; healthy, or the test fails.
#[allow(dead_code, reason = "not every test reads all that is recorded")]
#[track_caller]
pub(crate) fn read(oracle: &Oracle, bytes: &[u8]) -> Loaded {
    let loaded = oracle.load_bytes(bytes).expect("the trace processor takes it");
    loaded.assert_healthy();
    loaded
}

/// `CLOCK_BOOTTIME`, in nanoseconds.
#[allow(dead_code, reason = "not every test looks at the clock")]
pub(crate) fn boottime_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("not negative")
}

/// Renames the calling thread.
#[allow(dead_code, reason = "not every test renames")]
pub(crate) fn rename_this_thread(name: &str) {
    let name = std::ffi::CString::new(name).expect("no NUL");
    rustix::thread::set_name(&name).expect("short enough");
}
