//! Where finished batches of bytes go. A [`Sink`] takes whole packets, many at once, and knows
//! nothing of what is in them.
//!
//! ```
//! use novatrace_sink::{FileSink, Sink};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run.pftrace");
//! let mut sink = FileSink::create(&path)?;
//! sink.write(b"whole packets")?;
//! sink.finish()?;
//! assert_eq!(std::fs::read(&path)?, b"whole packets");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod file;

use std::fmt;
use std::io;

pub use error::CreateError;
pub use file::FileSink;

/// Takes batches of whole packets, in order.
///
/// Called by one thread at a time, never by a recording one. After an error the sink is not written
/// to again; what it holds up to its last good batch must remain readable.
pub trait Sink: Send + fmt::Debug {
    /// Takes one batch.
    ///
    /// # Errors
    ///
    /// Whatever kept the batch from being taken whole. A part of it must not remain if that can be
    /// helped.
    fn write(&mut self, batch: &[u8]) -> io::Result<()>;

    /// Called when no batch will follow.
    ///
    /// # Errors
    ///
    /// Whatever kept earlier batches from arriving.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
