//! What the oracle tests share: a trace that is recorded, and read back by the trace processor.

use std::io;
use std::sync::{Arc, Mutex};

use novatrace::{Sink, Stats, TraceBuilder, TraceGenerator};
use novatrace_testkit::{Loaded, Oracle};

/// Keeps what it is given.
#[allow(dead_code, reason = "not every file with tests has one of these")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

#[allow(dead_code, reason = "as above")]
impl Memory {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl Sink for Memory {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.0.lock().expect("not poisoned").extend_from_slice(batch);
        Ok(())
    }
}

/// Writes the same batches into memory and into another sink, which says what has become of them.
#[allow(dead_code, reason = "as above")]
#[derive(Debug)]
pub(crate) struct Both<S>(pub(crate) Memory, pub(crate) S);

impl<S: Sink> Sink for Both<S> {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.0.write(batch)?;
        self.1.write(batch)
    }

    fn pending(&self) -> usize {
        self.1.pending()
    }

    fn stored_bytes(&self) -> Option<u64> {
        self.1.stored_bytes()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.1.finish()
    }
}

/// The bytes of what `record` records, and what `finish` says of them.
pub(crate) fn written(
    builder: TraceBuilder,
    record: impl FnOnce(&TraceGenerator),
) -> (Vec<u8>, Stats) {
    // In a file, which a worker of another process can write too.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("trace");
    let trace = builder.create(&path).expect("a trace");
    record(&trace);
    let stats = trace.finish().expect("a file takes all");
    assert_eq!((stats.dropped, stats.refused), (0, 0));
    let bytes = std::fs::read(&path).expect("it is there");
    assert_eq!(stats.bytes, bytes.len() as u64);
    (bytes, stats)
}

/// The trace that these bytes are; healthy, or the test fails.
pub(crate) fn loaded(oracle: &Oracle, bytes: &[u8]) -> Loaded {
    let loaded = oracle.load_bytes(bytes).expect("the trace processor takes it");
    loaded.assert_healthy();
    loaded
}

/// What `record` records as the trace processor has it.
#[allow(dead_code, reason = "not every test reads one trace at a time")]
pub(crate) fn read(
    oracle: &Oracle,
    builder: TraceBuilder,
    record: impl FnOnce(&TraceGenerator),
) -> (Loaded, Stats) {
    let (bytes, stats) = written(builder, record);
    (loaded(oracle, &bytes), stats)
}
