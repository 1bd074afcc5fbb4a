//! How far a received file is, beside it, so that a receiver that is started again goes on where the last one was. Does
//! not belong here: the file itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::frame::StreamId;

/// A file of 32 bytes: the stream's number, how many batches are in its trace, and how many bytes these are.
#[derive(Debug)]
pub(crate) struct Note {
    file: File,
    path: PathBuf,
}

impl Note {
    /// The note of a trace's file.
    pub(crate) fn path_of(trace: &Path) -> PathBuf {
        let mut name = trace.as_os_str().to_owned();
        name.push(".part");
        name.into()
    }

    /// The note of a trace that begins.
    pub(crate) fn create(trace: &Path, id: StreamId) -> io::Result<Self> {
        let path = Self::path_of(trace);
        let file = File::create(&path)?;
        let mut note = Self { file, path };
        note.file.write_all(&id)?;
        note.write(0, 0)?;
        Ok(note)
    }

    /// The note of a trace that was begun, if there is one: and how many batches and bytes it has.
    pub(crate) fn open(trace: &Path, id: StreamId) -> io::Result<Option<(Self, u64, u64)>> {
        let path = Self::path_of(trace);
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = [0; 32];
        if file.read_exact(&mut bytes).is_err() || bytes[..16] != id {
            return Ok(None);
        }
        let number = |at: usize| {
            let eight = bytes[at..at + 8].try_into().unwrap_or_default();
            u64::from_le_bytes(eight)
        };
        Ok(Some((Self { file, path }, number(16), number(24))))
    }

    /// So many batches are in the trace, which are so many bytes.
    pub(crate) fn write(&mut self, batches: u64, bytes: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(16))?;
        let mut words = [0; 16];
        words[..8].copy_from_slice(&batches.to_le_bytes());
        words[8..].copy_from_slice(&bytes.to_le_bytes());
        // In one call: there is none that is half written.
        self.file.write_all(&words)
    }

    /// The trace is complete.
    pub(crate) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}
