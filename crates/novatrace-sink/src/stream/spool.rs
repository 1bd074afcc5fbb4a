//! Batches that wait for the other side: in memory, and then in a file that nobody else sees. Does not belong
//! here: when they are sent.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What is kept in memory.
const MEMORY: u64 = 4 << 20;

/// A queue of batches by number. Those in the file go round in it: its length is that of what waits.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// Made when it is needed.
    file: Option<File>,
    /// What the file may have.
    limit: u64,
    waiting: VecDeque<Waiting>,
    /// The number of the first that waits.
    first: u64,
    memory: u64,
    /// What of the file is taken, and where that ends.
    taken: u64,
    end: u64,
}

#[derive(Debug)]
enum Waiting {
    Here(Vec<u8>),
    /// So many bytes, from there.
    InFile(u64, u64),
}

impl Spool {
    pub(crate) fn new(folder: &Path, limit: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
            limit,
            waiting: VecDeque::new(),
            first: 0,
            memory: 0,
            taken: 0,
            end: 0,
        }
    }

    /// Keeps a batch; `false` if there is no room for it.
    pub(crate) fn push(&mut self, batch: &[u8]) -> io::Result<bool> {
        let len = batch.len() as u64;
        // One at least, however large.
        if self.memory == 0 || self.memory + len <= MEMORY {
            self.memory += len;
            self.waiting.push_back(Waiting::Here(batch.to_vec()));
            return Ok(true);
        }
        if self.taken + len > self.limit {
            return Ok(false);
        }
        let at = self.end;
        let before = usize::try_from(self.limit - at).unwrap_or(usize::MAX).min(batch.len());
        let (head, tail) = batch.split_at(before);
        self.write_at(at, head)?;
        self.write_at(0, tail)?;
        self.end = (at + len) % self.limit;
        self.taken += len;
        self.waiting.push_back(Waiting::InFile(at, len));
        Ok(true)
    }

    /// Keeps a small one, whether or not there is room.
    pub(crate) fn push_always(&mut self, batch: &[u8]) {
        self.memory += batch.len() as u64;
        self.waiting.push_back(Waiting::Here(batch.to_vec()));
    }

    /// Reads a batch that waits into the buffer.
    pub(crate) fn read(&mut self, number: u64, batch: &mut Vec<u8>) -> io::Result<()> {
        batch.clear();
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.waiting.get(index)) {
            Some(Waiting::Here(bytes)) => {
                batch.extend_from_slice(bytes);
                Ok(())
            }
            Some(&Waiting::InFile(at, len)) => {
                let before = len.min(self.limit - at);
                self.read_at(at, before, batch)?;
                self.read_at(0, len - before, batch)
            }
            None => Err(io::Error::other("a batch that does not wait")),
        }
    }

    /// Forgets the batches before this number.
    pub(crate) fn forget_before(&mut self, number: u64) {
        while self.first < number
            && let Some(batch) = self.waiting.pop_front()
        {
            self.first += 1;
            match batch {
                Waiting::Here(bytes) => self.memory -= bytes.len() as u64,
                Waiting::InFile(_, len) => self.taken -= len,
            }
        }
        if self.taken == 0 {
            // From its beginning again: little of the disk is touched then.
            self.end = 0;
        }
    }

    /// The number of the first that waits, and of the one that would come next.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        (self.first, self.first + self.waiting.len() as u64)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.folder)?),
        };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    }

    fn read_at(&mut self, at: u64, len: u64, to: &mut Vec<u8>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.seek(SeekFrom::Start(at))?;
        let read = file.take(len).read_to_end(to)?;
        if read as u64 == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: u64, len: usize) -> Vec<u8> {
        (0..len).map(|at| (at as u64 * 7 + number).to_le_bytes()[0]).collect()
    }

    #[test]
    fn batches_come_back_as_they_were_however_often_the_file_goes_round() {
        let mut spool = Spool::new(&std::env::temp_dir(), 10 << 20);
        let mut sizes = (0..).map(|number| (number, 1 + (number * number * 7_919) % 700_000));
        let mut expected = VecDeque::new();
        let (mut read, mut refused) = (vec![], 0);
        for round in 0..40 {
            for (number, size) in sizes.by_ref().take(if round % 5 == 0 { 60 } else { 10 }) {
                let batch = batch(number, usize::try_from(size).expect("small"));
                if spool.push(&batch).expect("a temporary file") {
                    expected.push_back(batch);
                } else {
                    refused += 1;
                }
            }
            let (first, next) = spool.numbers();
            assert_eq!(next - first, expected.len() as u64);
            // Also twice, as after a lost connection.
            for (number, expected) in (first..next).zip(&expected) {
                spool.read(number, &mut read).expect("it waits");
                assert!(read == *expected, "batch {number}");
            }
            let done = first + (next - first) * (round % 3) / 2;
            spool.forget_before(done);
            expected.drain(..usize::try_from(done - first).expect("small"));
        }
        assert!(refused > 0);
    }

    #[test]
    fn one_batch_always_has_room_and_the_limit_is_that_of_the_file() {
        let mut spool = Spool::new(&std::env::temp_dir(), 0);
        let large = batch(0, 9 << 20);
        assert!(spool.push(&large).expect("memory"));
        assert!(!spool.push(b"x").expect("no file"));
        spool.forget_before(1);
        assert!(spool.push(b"x").expect("memory"));
        assert_eq!(spool.numbers(), (1, 2));
    }
}
