//! A plain file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{CreateError, Sink};

/// Writes batches to a file, each with one call of `write`.
///
/// What the operating system has taken counts as written: other programs see it at once, and it
/// outlives this one. It need not be on the disk yet. A network file system or a quota may even refuse
/// it later, when the file is closed, which nobody is told then; [`sync_on_finish`](Self::sync_on_finish)
/// waits for the disk, and tells.
///
/// ```
/// use novatrace_sink::{FileSink, Sink};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.pftrace");
/// let mut sink = FileSink::create(&path)?.sync_on_finish();
/// sink.write(b"whole packets")?;
/// sink.finish()?; // it is on the disk
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSink {
    file: File,
    path: PathBuf,
    /// Bytes of the batches that were written whole.
    len: u64,
    /// Whether `len` is a position to cut at: not so for pipes and terminals.
    is_regular: bool,
    syncs: bool,
}

impl FileSink {
    /// Creates the file, or empties the one that is there. Pipes and devices can be named too.
    ///
    /// # Errors
    ///
    /// [`CreateError`], with nothing created or emptied: the path is a directory, its parent is missing, another trace is
    /// being written to it, by this process or another, or the operating system refuses.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, CreateError> {
        let path = path.as_ref();
        if path.is_dir() {
            return Err(CreateError::IsDirectory { path: path.to_owned() });
        }
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
                let parent = parent.to_owned();
                return Err(CreateError::NoParent { path: path.to_owned(), parent });
            }
            _ => {}
        }
        let fail = |source| CreateError::Io { path: path.to_owned(), source };
        // Emptied once it is known to be nobody else's.
        let file = at_its_end().create(true).truncate(false).open(path).map_err(fail)?;
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_regular {
            // A file system without locks has none to refuse by.
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                return Err(CreateError::InUse { path: path.to_owned() });
            }
            file.set_len(0).map_err(fail)?;
        }
        Ok(Self { file, path: path.to_owned(), len: 0, is_regular, syncs: false })
    }

    /// Has [`finish`](Sink::finish) wait until all of the file is on its disk or server, which may
    /// take seconds, and tell what went wrong there. Pipes and devices are not waited for.
    #[must_use = "it is this sink that waits"]
    pub fn sync_on_finish(mut self) -> Self {
        self.syncs = self.is_regular;
        self
    }

    /// Goes on with a file that has so many bytes: what is behind them is cut off.
    pub(crate) fn append(path: &Path, len: u64) -> Result<Self, CreateError> {
        let fail = |source| CreateError::Io { path: path.to_owned(), source };
        let mut file = at_its_end().open(path).map_err(fail)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(CreateError::InUse { path: path.to_owned() });
        }
        file.set_len(len).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(Self { file, path: path.to_owned(), len, is_regular: true, syncs: false })
    }

    /// A file that is open, and empty; `path` is what it is called.
    #[must_use]
    pub fn of_file(file: File, path: PathBuf) -> Self {
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        Self { file, path, len: 0, is_regular, syncs: false }
    }

    /// Whether it is no pipe or device.
    #[cfg(unix)]
    pub(crate) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Leaves the file, and the lock on it, to another process that has it too.
    pub fn hand_over(mut self) {
        self.is_regular = false;
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl FileSink {
    /// Looks whether what was written is still there. Behind what another has cut off, further batches would lie after a
    /// gap of zeros, which the trace processor passes over in silence.
    fn check(&self) -> io::Result<()> {
        if !self.is_regular {
            return Ok(());
        }
        let (found, written) = (self.file.metadata()?.len(), self.len);
        if found >= written {
            return Ok(());
        }
        Err(is_cut(written, found))
    }
}

/// How a trace is opened: such that what is written comes to lie at its end, wherever that is by then.
pub(crate) fn at_its_end() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    // Elsewhere, what can only append cannot cut.
    #[cfg(unix)]
    options.append(true);
    options
}

/// Writes a batch behind `whole` bytes, at its end: or not at all, and whatever is wrong with the file, it is not longer
/// by that.
pub(crate) fn write_whole(file: &File, batch: &[u8], whole: u64) -> io::Result<()> {
    let bytes = batch.len() as u64;
    let mut file = file;
    let written = file.write_all(batch);
    let found = file.metadata()?.len();
    match written {
        Ok(()) if found >= whole + bytes => Ok(()),
        Ok(()) => {
            // Cut since somebody has looked: the batch lies behind what was left, which may be a part of a packet.
            let left = found.saturating_sub(bytes);
            file.set_len(left)?;
            Err(is_cut(whole, left))
        }
        Err(error) => {
            // A full disk takes a part of a batch; a file cut between packets is the better one.
            // If this fails too, the first error is still the one to tell.
            let _ = file.set_len(found.min(whole));
            Err(error)
        }
    }
}

/// What was written is not there any more.
pub(crate) fn is_cut(written: u64, found: u64) -> io::Error {
    io::Error::other(format!("something else has cut it from {written} bytes to {found}"))
}

impl Sink for FileSink {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if !self.is_regular {
            return self.file.write_all(batch);
        }
        self.check()?;
        write_whole(&self.file, batch, self.len)?;
        self.len += batch.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.check()?;
        if self.syncs { self.file.sync_data() } else { Ok(()) }
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        // Closing does not, as long as a forked child has the file.
        if self.is_regular {
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Whatever is asked of a sink, it says that its file of 13 bytes has been cut to 5.
    pub(crate) fn assert_says_it_is_cut(sink: &mut dyn Sink) {
        let said = "something else has cut it from 13 bytes to 5";
        assert_eq!(sink.write(b"more").expect_err("a gap").to_string(), said);
        assert_eq!(sink.flush().expect_err("a gap").to_string(), said);
        assert_eq!(sink.finish().expect_err("a gap").to_string(), said);
    }

    #[test]
    fn a_file_that_another_has_cut_is_an_error_and_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut sink = FileSink::create(&path).expect("creatable");
        sink.write(b"whole packets").expect("writable");
        sink.flush().expect("all is there");
        let other = OpenOptions::new().write(true).open(&path).expect("there");
        other.set_len(5).expect("writable");
        assert_says_it_is_cut(&mut sink);
        assert_eq!(std::fs::read(&path).expect("there"), b"whole");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_is_cut_while_a_batch_is_written_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut sink = FileSink::create(&path).expect("creatable");
        sink.write(b"whole packets").expect("writable");
        let other = OpenOptions::new().write(true).open(&path).expect("there");
        other.set_len(5).expect("writable");
        let error = write_whole(sink.file(), b"a batch that is longer", 13).expect_err("a gap");
        assert_eq!(error.to_string(), "something else has cut it from 13 bytes to 5");
        assert_eq!(std::fs::read(&path).expect("there"), b"whole");
        assert_says_it_is_cut(&mut sink);
    }

    #[test]
    fn an_existing_file_is_emptied() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        std::fs::write(&path, "the last run").expect("writable");
        let mut sink = FileSink::create(&path).expect("creatable");
        sink.write(b"new").expect("writable");
        assert_eq!(std::fs::read(&path).expect("readable"), b"new");
    }

    #[test]
    fn a_file_has_one_writer_and_another_empties_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut sink = FileSink::create(&path).expect("creatable");
        sink.write(b"whole packets").expect("writable");
        let error = FileSink::create(&path).expect_err("it has a writer");
        assert!(matches!(error, CreateError::InUse { .. }), "{error}");
        assert_eq!(std::fs::read(&path).expect("readable"), b"whole packets");
        drop(sink);
        FileSink::create(&path).expect("the writer is gone");
        let null = || FileSink::create("/dev/null").expect("always there");
        drop((null(), null()));
    }

    #[test]
    fn a_directory_and_a_missing_parent_are_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = FileSink::create(folder.path()).expect_err("a directory");
        assert!(matches!(error, CreateError::IsDirectory { .. }), "{error}");
        let error = FileSink::create(folder.path().join("no/a.pftrace")).expect_err("no parent");
        assert!(error.to_string().ends_with("no` does not exist; create it first"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_of_the_write() {
        let mut sink = FileSink::create("/dev/full").expect("always there on Linux");
        let error = sink.write(b"x").expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// Files of `/proc` are regular ones that cannot be synced, which shows who tries.
    #[test]
    #[cfg(target_os = "linux")]
    fn only_a_sink_that_was_told_to_waits_for_the_disk() {
        let create = || FileSink::create("/proc/thread-self/comm").expect("a thread has a name");
        create().finish().expect("nothing is left to do");
        let error = create().sync_on_finish().finish().expect_err("there is no disk");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let null = FileSink::create("/dev/null").expect("always there on Linux");
        null.sync_on_finish().finish().expect("devices are not waited for");
    }
}
