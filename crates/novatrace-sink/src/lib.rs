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

mod bundle;
mod compressed;
mod compression;
mod error;
mod file;
#[cfg(feature = "object-store")]
mod object;
mod panics;
mod random;
#[cfg(unix)]
mod shared;
mod stream;
mod threads;

use std::fmt;
use std::io;

pub use compressed::Compressed;
pub use compression::{Compression, CompressionError};
pub use error::CreateError;
pub use file::FileSink;
#[cfg(feature = "object-store")]
pub use object::ObjectSink;
/// For whoever calls sinks. Not API: it may change with any release.
#[doc(hidden)]
pub use panics::{caught, panic_message};
#[doc(hidden)]
pub use random::random;
#[cfg(unix)]
pub use shared::{Member, SharedFile, Turns};
pub use stream::{Address, AddressError, Received, Receiver, StreamSink, WriteSink};
#[doc(hidden)]
pub use threads::{is_own, spawn_own};

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

    /// How many of the batches that were taken have not arrived yet: the latest ones. After an error, those
    /// that never will. For sinks that have something between them and the file, such as a thread.
    fn pending(&self) -> usize {
        0
    }

    /// How many bytes the batches that have arrived take where they are, if that is not their own length.
    fn stored_bytes(&self) -> Option<u64> {
        None
    }

    /// Waits until all batches that were taken have arrived.
    ///
    /// # Errors
    ///
    /// Whatever kept them from it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Called when no batch will follow. Waits as [`flush`](Self::flush) does.
    ///
    /// # Errors
    ///
    /// Whatever kept earlier batches from arriving.
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        (**self).write(batch)
    }

    fn pending(&self) -> usize {
        (**self).pending()
    }

    fn stored_bytes(&self) -> Option<u64> {
        (**self).stored_bytes()
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        (**self).finish()
    }
}
