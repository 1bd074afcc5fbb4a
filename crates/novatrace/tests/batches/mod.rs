//! A sink that keeps its batches, and the packets in them.

use std::io;
use std::sync::{Arc, Mutex};

use novatrace::Sink;

/// Keeps every batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(pub(crate) Arc<Mutex<Vec<Vec<u8>>>>);

impl Sink for Memory {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.0.lock().expect("not poisoned").push(batch.to_vec());
        Ok(())
    }
}

/// Lengths of the packets of a batch; panics if it is not made of whole ones.
#[allow(dead_code, reason = "not every test looks into batches")]
pub(crate) fn packets(batch: &[u8]) -> Vec<usize> {
    let mut rest = batch;
    let mut lengths = vec![];
    while let Some((&tag, after)) = rest.split_first() {
        assert_eq!(tag, 0x0A, "Trace.packet");
        let (mut len, mut shift, mut at) = (0usize, 0, 0);
        loop {
            len |= usize::from(after[at] & 0x7F) << shift;
            shift += 7;
            at += 1;
            if after[at - 1] & 0x80 == 0 {
                break;
            }
        }
        lengths.push(len);
        rest = &after[at + len..];
    }
    lengths
}
