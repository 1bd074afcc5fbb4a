//! Where batches go. Does not belong here: when, and what becomes of those that do not arrive (`output.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(unix)]
use novatrace_sink::SharedFile;
use novatrace_sink::{Compressed, Compression, FileSink, Sink, caught};

use super::config::Config;
use crate::flight::Flight;

/// Where batches go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// To a sink. With the path, if it has one: of the part, if the trace is in parts.
    Sink(Compressed<Box<dyn Sink>>, Option<PathBuf>),
    /// They stay in memory, as they are.
    Flight(Arc<Flight>),
}

impl Destination {
    /// To a sink, compressed in front of it.
    pub(crate) fn sink(
        sink: impl Sink + 'static,
        compression: Compression,
        path: Option<PathBuf>,
    ) -> Self {
        Self::Sink(Compressed::new(Box::new(sink), compression), path)
    }

    /// From the next batch on.
    pub(crate) fn set_compression(&mut self, compression: Compression) -> io::Result<()> {
        match self {
            Self::Sink(sink, _) => caught(|| sink.set_compression(compression)),
            // Whoever dumps asks for it.
            Self::Flight(_) => Ok(()),
        }
    }

    /// To a file, of this process alone or of several, as the choices have it.
    pub(crate) fn file(file: FileSink, config: &Config) -> Self {
        let path = Some(file.path().to_owned());
        #[cfg(unix)]
        if let Some(shared) = &config.shared {
            let shared = SharedFile::new(file, shared.turns());
            return Self::sink(shared, config.compression, path);
        }
        Self::sink(file, config.compression, path)
    }

    /// Takes a batch of so many events, which is empty then, or has something to be cleared.
    pub(crate) fn take(&mut self, batch: &mut Vec<u8>, events: u64) -> io::Result<()> {
        match self {
            Self::Sink(sink, _) => caught(|| sink.write(batch)),
            Self::Flight(flight) => {
                flight.take(batch, events);
                Ok(())
            }
        }
    }

    /// How many batches have not arrived, and what the others take where they are, if that is not their own
    /// length. Nothing is known of a sink that panics when it is asked.
    pub(crate) fn pending(&self) -> Option<(usize, Option<u64>)> {
        match self {
            Self::Sink(sink, _) => caught(|| Ok((sink.pending(), sink.stored_bytes()))).ok(),
            Self::Flight(_) => Some((0, None)),
        }
    }

    /// Waits until all has arrived.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Sink(sink, _) => caught(|| sink.flush()),
            Self::Flight(_) => Ok(()),
        }
    }

    /// As [`flush`](Self::flush), when nothing will follow.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Sink(sink, _) => caught(|| sink.finish()),
            Self::Flight(_) => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Sink(_, path) => path.as_deref(),
            Self::Flight(_) => None,
        }
    }

    pub(crate) fn flight(&self) -> Option<&Arc<Flight>> {
        match self {
            Self::Sink(..) => None,
            Self::Flight(flight) => Some(flight),
        }
    }
}
