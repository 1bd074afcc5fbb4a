//! A plain file that several processes write to, each its own batches. Belongs here: how they take turns. Does not:
//! what keeps their packets apart.

use std::cmp::Ordering;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::file::is_cut;
use crate::{FileSink, Sink};

/// How long one process waits for the others' turns. Who has died has none any more, unless a fork of it has the
/// file open.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the file beside begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"novatr01");
/// Where the file beside has what, as numbers of 64 bits.
const LEN: u64 = 8;
const MEMBERS: u64 = 16;
const START: [u64; 3] = [24, 32, 40];

/// Writes batches to a file that other processes write to as well.
///
/// They take turns by a lock on a small file beside it, `run.pftrace.lock`, which also has the length up to which the
/// file consists of whole batches: what a process that was killed has left of one is cut off by the next. All that write
/// have the file itself locked together, so that nobody empties it; the last one removes the file beside.
#[derive(Debug)]
pub struct SharedFile {
    sink: FileSink,
    turns: PathBuf,
    /// Opened by the first batch.
    lock: Option<File>,
}

/// A process that writes to another's file.
#[derive(Debug)]
pub struct Member {
    /// The file, locked.
    pub file: FileSink,
    /// The file by which processes take turns.
    pub turns: PathBuf,
    /// A number that no other process has; that of the first is 0.
    pub number: u32,
    /// What the first process has said of the file's beginning.
    pub start: [u64; 3],
}

impl SharedFile {
    /// Lets other processes write to a file that is empty, by [`join`](Self::join). Returns the file by which they take turns.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or the file is a pipe or a device.
    pub fn share(file: &FileSink, start: [u64; 3]) -> io::Result<PathBuf> {
        if !file.is_regular() {
            return Err(io::Error::other("it is no plain file"));
        }
        // Whatever folder the programs go to.
        let turns = beside(&std::path::absolute(file.path())?);
        // One that is there already was left by processes that were all killed.
        let lock = OpenOptions::new().write(true).create(true).truncate(true).open(&turns)?;
        let turn = Turn::wait(&lock)?;
        for (at, number) in
            [(0, MAGIC), (LEN, 0), (MEMBERS, 0)].into_iter().chain(START.into_iter().zip(start))
        {
            turn.set(at, number)?;
        }
        drop(turn);
        // From here on others may have it too, but nobody alone.
        file.file().try_lock_shared()?;
        Ok(turns)
    }

    /// Joins the processes that write to a file; `None` if nobody does any more.
    ///
    /// # Errors
    ///
    /// If the file or the one beside it cannot be opened or read.
    pub fn join(path: &Path) -> io::Result<Option<Member>> {
        let path = std::path::absolute(path)?;
        let turns = beside(&path);
        let lock = match open(&turns) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock?,
        };
        let file = open(&path)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            // The last one is about to go.
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let file = FileSink::of_file(file, path);
        let is_there = std::fs::metadata(&turns).is_ok_and(|there| {
            lock.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        });
        if !is_there {
            return Ok(None);
        }
        let turn = Turn::wait(&lock)?;
        if turn.get(0)? != MAGIC {
            return Err(io::Error::other("another version of novatrace writes to it"));
        }
        let number = turn.get(MEMBERS)? + 1;
        turn.set(MEMBERS, number)?;
        let mut start = [0; 3];
        for (at, number) in START.into_iter().zip(&mut start) {
            *number = turn.get(at)?;
        }
        drop(turn);
        let number = u32::try_from(number).map_err(io::Error::other)?;
        Ok(Some(Member { file, turns, number, start }))
    }

    /// Takes turns, by the file of that path, with the others that write to a file.
    #[must_use]
    pub fn new(file: FileSink, turns: PathBuf) -> Self {
        Self { sink: file, turns, lock: None }
    }

    /// Cuts off what is behind so many bytes, unless other processes have written to the file too: then nobody knows
    /// whose that is, and what is no whole batch is cut off by whoever writes next, or leaves last.
    pub fn cut_if_alone(file: &File, turns: &Path, len: u64) {
        // What cannot be cut is a part of a batch at the end of the file, which viewers forgive.
        let _ = Self::with_turn(turns, |turn| {
            if turn.get(MEMBERS)? == 0 && len < file.metadata()?.len() {
                file.set_len(len)?;
                turn.set(LEN, len)?;
            }
            Ok(())
        });
    }

    /// Lets go of a file that was shared, and tidies up if no other process has it.
    pub fn leave(file: &File, turns: &Path) {
        // What cannot be unlocked is when it is closed.
        let _ = file.unlock();
        if file.try_lock().is_ok() {
            let _ = Self::with_turn(turns, |turn| turn.whole(file));
            let _ = std::fs::remove_file(turns);
            let _ = file.unlock();
        }
    }

    fn with_turn<T>(turns: &Path, work: impl FnOnce(&Turn<'_>) -> io::Result<T>) -> io::Result<T> {
        let lock = open(turns)?;
        work(&Turn::wait(&lock)?)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// The time in which no other process writes.
struct Turn<'a>(&'a File);

impl<'a> Turn<'a> {
    fn wait(lock: &'a File) -> io::Result<Self> {
        let since = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self(lock)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    let message =
                        format!("another process has kept it for {} s", PATIENCE.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
            }
        }
    }

    fn get(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// How long the file is, without what somebody who died in the middle of a batch has left of that. One that is shorter
    /// is left as it is, as one of one's own.
    fn whole(&self, file: &File) -> io::Result<u64> {
        let (len, whole) = (file.metadata()?.len(), self.get(LEN)?);
        match len.cmp(&whole) {
            Ordering::Less => return Err(is_cut(whole, len)),
            Ordering::Equal => {}
            Ordering::Greater => file.set_len(whole)?,
        }
        Ok(whole)
    }

    fn set(&self, at: u64, number: u64) -> io::Result<()> {
        self.0.write_all_at(&number.to_le_bytes(), at)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock(); // If it cannot be, others wait until it is closed.
    }
}

impl SharedFile {
    /// Waits for its turn.
    fn turn(&mut self) -> io::Result<(Turn<'_>, &File)> {
        let lock = match &mut self.lock {
            Some(lock) => lock,
            lock => lock.insert(open(&self.turns)?),
        };
        Ok((Turn::wait(lock)?, self.sink.file()))
    }
}

impl Sink for SharedFile {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let (turn, file) = self.turn()?;
        let whole = turn.whole(file)?;
        let written = file.write_all_at(batch, whole);
        let written = written.and_then(|()| turn.set(LEN, whole + batch.len() as u64));
        if written.is_err() {
            // As in a file of one's own.
            let _ = file.set_len(whole);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let (turn, file) = self.turn()?;
        turn.whole(file).map(drop)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.sink.finish()
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        Self::leave(self.sink.file(), &self.turns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::assert_says_it_is_cut;

    fn shared(path: &Path) -> SharedFile {
        let file = FileSink::create(path).expect("creatable");
        let turns = SharedFile::share(&file, [7, 8, 9]).expect("a plain file");
        SharedFile::new(file, turns)
    }

    fn member(path: &Path) -> (SharedFile, u32, [u64; 3]) {
        let joined = SharedFile::join(path).expect("readable").expect("somebody writes");
        (SharedFile::new(joined.file, joined.turns), joined.number, joined.start)
    }

    #[test]
    fn batches_of_all_are_in_the_file_and_the_last_tidies_up() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut first = shared(&path);
        let (mut second, number, start) = member(&path);
        assert_eq!((number, start), (1, [7, 8, 9]));
        let (mut third, number, _) = member(&path);
        assert_eq!(number, 2);
        first.write(b"one ").expect("writable");
        second.write(b"two ").expect("writable");
        first.write(b"three ").expect("writable");
        drop(first);
        FileSink::create(&path).expect_err("others write to it");
        third.write(b"four").expect("writable");
        drop(second);
        assert!(beside(&path).exists());
        drop(third);
        assert!(!beside(&path).exists());
        assert!(SharedFile::join(&path).expect("readable").is_none());
        assert_eq!(std::fs::read(&path).expect("readable"), b"one two three four");
        FileSink::create(&path).expect("nobody writes to it");
    }

    #[test]
    fn what_a_killed_process_has_left_of_a_batch_is_cut_off() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut first = shared(&path);
        first.write(b"whole ").expect("writable");
        let other = OpenOptions::new().append(true).open(&path).expect("there");
        io::Write::write_all(&mut &other, b"a par").expect("writable");
        let (mut second, ..) = member(&path);
        second.write(b"batches").expect("writable");
        assert_eq!(std::fs::read(&path).expect("readable"), b"whole batches");
        // And by the last one to leave.
        io::Write::write_all(&mut &other, b"a par").expect("writable");
        drop(first);
        assert_eq!(std::fs::read(&path).expect("readable"), b"whole batchesa par");
        drop(second);
        assert_eq!(std::fs::read(&path).expect("readable"), b"whole batches");
    }

    #[test]
    fn a_file_that_another_has_cut_is_an_error_and_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut first = shared(&path);
        first.write(b"whole packets").expect("writable");
        first.flush().expect("all is there");
        let (mut second, ..) = member(&path);
        open(&path).expect("there").set_len(5).expect("writable");
        assert_says_it_is_cut(&mut first);
        assert_says_it_is_cut(&mut second);
        assert_eq!(std::fs::read(&path).expect("there"), b"whole");
    }

    #[test]
    fn a_file_is_cut_as_long_as_one_process_has_written_to_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut first = shared(&path);
        first.write(b"noted, not noted").expect("writable");
        let file = open(&path).expect("there");
        SharedFile::cut_if_alone(&file, &beside(&path), 7);
        first.write(b"more").expect("writable");
        assert_eq!(std::fs::read(&path).expect("readable"), b"noted, more");
        let _second = member(&path);
        SharedFile::cut_if_alone(&file, &beside(&path), 7);
        assert_eq!(std::fs::read(&path).expect("readable"), b"noted, more");
    }

    #[test]
    fn a_turn_ends_when_its_process_does() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut first = shared(&path);
        first.write(b"one ").expect("writable");
        let lock = File::open(beside(&path)).expect("there");
        lock.lock().expect("free");
        let waiting = thread::spawn(move || first.write(b"two"));
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        drop(lock);
        waiting.join().expect("no panic").expect("writable");
    }

    #[test]
    fn a_device_is_not_shared() {
        let null = FileSink::create("/dev/null").expect("always there");
        SharedFile::share(&null, [0; 3]).expect_err("it is no plain file");
    }
}
