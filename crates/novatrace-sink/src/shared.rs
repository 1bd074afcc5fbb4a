//! A plain file that several processes write to, each its own batches. Belongs here: how they take turns. Does not:
//! what keeps their packets apart.

use std::cmp::Ordering;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::file::{at_its_end, is_cut, write_whole};
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
/// They take turns by a lock on a small file beside it, `run.pftrace.novatrace-lock`, which also has the length up to which the
/// file consists of whole batches: what a process that was killed has left of one is cut off by the next. All that write
/// have the file itself locked together, so that nobody empties it; the last one removes the file beside.
#[derive(Debug)]
pub struct SharedFile {
    sink: FileSink,
    turns: Turns,
    /// Opened by the first batch.
    lock: Option<File>,
}

/// The file by which processes take turns.
#[derive(Debug, Clone)]
pub struct Turns {
    /// Where it is.
    pub path: PathBuf,
    /// What the first process has said of the trace's beginning: a file of that path which has something else is
    /// another trace's.
    pub start: [u64; 3],
}

/// A process that writes to another's file.
#[derive(Debug)]
pub struct Member {
    /// The file, locked.
    pub file: FileSink,
    /// The file by which processes take turns.
    pub turns: Turns,
    /// A number that no other process has; that of the first is 0.
    pub number: u32,
}

impl SharedFile {
    /// Lets other processes write to a file that is empty, by [`join`](Self::join). Returns the file by which they take turns.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or the file is a pipe or a device.
    pub fn share(file: &FileSink, start: [u64; 3]) -> io::Result<Turns> {
        if !file.is_regular() {
            return Err(io::Error::other("it is no plain file"));
        }
        // Whatever folder the programs go to.
        let path = beside(&std::path::absolute(file.path())?);
        // One that is there was left by processes that were all killed; or it is that of a file which has another path by
        // now, and those that write there have it open.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        let lock = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let write = || {
            let turn = Turn::wait(&lock)?;
            for (at, number) in
                [(0, MAGIC), (LEN, 0), (MEMBERS, 0)].into_iter().chain(START.into_iter().zip(start))
            {
                turn.set(at, number)?;
            }
            drop(turn);
            // From here on others may have it too, but nobody alone.
            Ok(file.file().try_lock_shared()?)
        };
        match write() {
            Ok(()) => Ok(Turns { path, start }),
            Err(error) => {
                let _ = std::fs::remove_file(&path); // The first error is the one to tell.
                Err(error)
            }
        }
    }

    /// Joins the processes that write the trace of that beginning to a file; `None` if nobody does any more.
    ///
    /// # Errors
    ///
    /// If the file or the one beside it cannot be opened or read.
    pub fn join(path: &Path, start: [u64; 3]) -> io::Result<Option<Member>> {
        let path = std::path::absolute(path)?;
        let turns = Turns { path: beside(&path), start };
        let Some(lock) = turns.open()? else { return Ok(None) };
        let file = at_its_end().open(&path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            // Nobody writes: they were all killed.
            Ok(()) => {
                turns.remove(&lock);
                return Ok(None);
            }
        }
        match file.try_lock_shared() {
            Ok(()) => {}
            // The last one is about to go, or another trace is written there.
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let file = FileSink::of_file(file, path);
        if !turns.is(&lock) {
            return Ok(None);
        }
        let turn = Turn::wait(&lock)?;
        let number = turn.get(MEMBERS)? + 1;
        turn.set(MEMBERS, number)?;
        drop(turn);
        let number = u32::try_from(number).map_err(io::Error::other)?;
        Ok(Some(Member { file, turns, number }))
    }

    /// Takes turns, by that file, with the others that write to a file.
    #[must_use]
    pub fn new(file: FileSink, turns: Turns) -> Self {
        Self { sink: file, turns, lock: None }
    }

    /// Cuts off what is behind so many bytes, unless other processes have written to the file too: then nobody knows
    /// whose that is, and what is no whole batch is cut off by whoever writes next, or leaves last.
    pub fn cut_if_alone(file: &File, turns: &Turns, len: u64) {
        let cut = || {
            let Some(lock) = turns.open()? else { return Ok(()) };
            let turn = Turn::wait(&lock)?;
            if turn.get(MEMBERS)? == 0 && len < file.metadata()?.len() {
                file.set_len(len)?;
                turn.set(LEN, len)?;
            }
            io::Result::Ok(())
        };
        // What cannot be cut is a part of a batch at the end of the file, which viewers forgive.
        let _ = cut();
    }

    /// Lets go of a file that was shared, and tidies up if no other process has it.
    pub fn leave(file: &File, turns: &Turns) {
        Self::leave_by(file, turns, turns.open().ok().flatten().as_ref());
    }

    fn leave_by(file: &File, turns: &Turns, lock: Option<&File>) {
        // What cannot be unlocked is when it is closed.
        let _ = file.unlock();
        if file.try_lock().is_ok() {
            if let Some(lock) = lock {
                let _ = Turn::wait(lock).and_then(|turn| turn.whole(file));
                turns.remove(lock);
            }
            let _ = file.unlock();
        }
    }
}

impl Turns {
    /// `None` if there is none any more, or it is another trace's.
    fn open(&self) -> io::Result<Option<File>> {
        let lock = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock?,
        };
        let is_this = |lock: &File| -> io::Result<bool> {
            let mut is_this = word(lock, 0)? == MAGIC;
            for (at, number) in START.into_iter().zip(self.start) {
                is_this &= word(lock, at)? == number;
            }
            Ok(is_this)
        };
        // One that cannot be read that far is being made.
        Ok(is_this(&lock).unwrap_or(false).then_some(lock))
    }

    /// Whether it is what is at the path.
    fn is(&self, lock: &File) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|there| {
            lock.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        })
    }

    fn remove(&self, lock: &File) {
        if self.is(lock) {
            let _ = std::fs::remove_file(&self.path); // Nobody takes it for theirs.
        }
    }
}

fn word(file: &File, at: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Of no other program's.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".novatrace-lock");
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
        word(self.0, at)
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
            lock => {
                let gone = "the file by which its processes take turns is gone";
                lock.insert(self.turns.open()?.ok_or_else(|| io::Error::other(gone))?)
            }
        };
        Ok((Turn::wait(lock)?, self.sink.file()))
    }
}

impl Sink for SharedFile {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let (turn, file) = self.turn()?;
        let whole = turn.whole(file)?;
        write_whole(file, batch, whole)?;
        let noted = turn.set(LEN, whole + batch.len() as u64);
        if noted.is_err() {
            let _ = file.set_len(whole);
        }
        noted
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
        let lock = self.lock.take().or_else(|| self.turns.open().ok().flatten());
        Self::leave_by(self.sink.file(), &self.turns, lock.as_ref());
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

    fn join(path: &Path) -> Option<Member> {
        SharedFile::join(path, [7, 8, 9]).expect("readable")
    }

    fn member(path: &Path) -> (SharedFile, u32) {
        let joined = join(path).expect("somebody writes");
        (SharedFile::new(joined.file, joined.turns), joined.number)
    }

    fn turns_of(path: &Path) -> Turns {
        Turns { path: beside(path), start: [7, 8, 9] }
    }

    fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    #[test]
    fn a_trace_that_is_renamed_while_it_is_written_is_none_of_the_next_ones_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, elsewhere) = (folder.path().join("a.pftrace"), folder.path().join("b.pftrace"));
        let mut first = shared(&path);
        first.write(b"one ").expect("writable");
        std::fs::rename(&path, &elsewhere).expect("it can be");
        let file = FileSink::create(&path).expect("creatable");
        let turns = SharedFile::share(&file, [1, 2, 3]).expect("a plain file");
        let mut second = SharedFile::new(file, turns);
        second.write(b"another's").expect("writable");
        first.write(b"two").expect("writable");
        drop(first);
        assert!(beside(&path).exists(), "it is the second's");
        second.write(b" rest").expect("writable");
        drop(second);
        assert!(!beside(&path).exists());
        assert_eq!(std::fs::read(&path).expect("readable"), b"another's rest");
        assert_eq!(std::fs::read(&elsewhere).expect("readable"), b"one two");
    }

    #[test]
    fn there_is_nothing_to_join_if_all_that_wrote_were_killed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let killed = shared(&path);
        killed.sink.file().unlock().expect("as the system does");
        std::mem::forget(killed);
        let mut next = FileSink::create(&path).expect("nobody writes to it");
        next.write(b"of another run").expect("writable");
        assert!(join(&path).is_none(), "another writes there");
        drop(next);
        assert!(join(&path).is_none(), "nobody writes there");
        assert!(!beside(&path).exists(), "what was left is tidied up");
        assert_eq!(std::fs::read(&path).expect("readable"), b"of another run");
    }

    #[test]
    fn batches_of_all_are_in_the_file_and_the_last_tidies_up() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pftrace");
        let mut first = shared(&path);
        let (mut second, number) = member(&path);
        assert_eq!(number, 1);
        let (mut third, number) = member(&path);
        assert_eq!(number, 2);
        let of_another = SharedFile::join(&path, [1, 2, 3]).expect("readable");
        assert!(of_another.is_none(), "the trace of another beginning is another");
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
        assert!(join(&path).is_none());
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
        let (mut second, _) = member(&path);
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
        let (mut second, _) = member(&path);
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
        SharedFile::cut_if_alone(&file, &turns_of(&path), 7);
        first.write(b"more").expect("writable");
        assert_eq!(std::fs::read(&path).expect("readable"), b"noted, more");
        let _second = member(&path);
        SharedFile::cut_if_alone(&file, &turns_of(&path), 7);
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
