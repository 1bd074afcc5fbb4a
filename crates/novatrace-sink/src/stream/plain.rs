//! A stream of nothing but packets, as in a file: for pipes, standard output, and whatever can be written to.

use std::fmt;
use std::io::{self, Write};

use crate::Sink;

/// Writes batches to any [`Write`], each with one call and a flush: what comes out is a trace.
///
/// If whoever reads it is slow, the trace's worker waits; if it goes away, that is the sink's error.
///
/// ```
/// use novatrace_sink::{Sink, WriteSink};
///
/// let mut sink = WriteSink::new(std::io::sink()); // or `std::io::stdout()`, or a child's standard input
/// sink.write(b"whole packets")?;
/// sink.finish()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct WriteSink<W>(W);

impl<W: Write + Send> WriteSink<W> {
    /// Writes into this.
    pub fn new(to: W) -> Self {
        Self(to)
    }
}

impl<W: Write + Send> Sink for WriteSink<W> {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.0.write_all(batch)?;
        self.0.flush()
    }
}

impl<W> fmt::Debug for WriteSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteSink").finish_non_exhaustive()
    }
}
