//! Memory that two processes map: a file without a name, sparse and large, in which the program takes
//! blocks. What lies there is found by its offset, since each process has it elsewhere.
//!
//! ```text
//! 0          the control page    control.rs
//! 4 KiB      the reply           what the worker says at length
//! 68 KiB     the log             log.rs
//! 1092 KiB   blocks              rings, and records that are too long for one
//! ```
//!
//! Only the program takes blocks. Either side gives one back by marking it free; the program then takes it
//! again.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How much can be mapped: of memory it takes what is touched.
const BYTES: usize = 16 << 30;
const REPLY: usize = 4 << 10;
pub(super) const REPLY_BYTES: usize = 64 << 10;
const LOG: usize = REPLY + REPLY_BYTES;
pub(super) const LOG_BYTES: usize = 1 << 20;
const BLOCKS: usize = LOG + LOG_BYTES;
const PAGE: usize = 4 << 10;
/// What a block begins with: whether it is in use.
const HEAD: usize = 128;

/// Shared memory, mapped as long as this lives.
#[derive(Debug)]
pub(crate) struct Arena {
    first: NonNull<u8>,
    blocks: Mutex<Blocks>,
}

// SAFETY: the mapping is plain memory, of which this hands out pointers and no references but to atomics.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// The blocks that the program has taken.
#[derive(Debug, Default)]
struct Blocks {
    /// Where there has been none.
    end: usize,
    /// Offset and size of each.
    all: Vec<(usize, usize)>,
}

/// A block, by whoever uses it.
#[derive(Debug)]
pub(crate) struct Block {
    arena: Arc<Arena>,
    offset: usize,
    /// Whether it is given back when this is dropped.
    gives_back: bool,
}

impl Arena {
    /// New memory, all zero, and the file by which another process can map it.
    pub(super) fn create() -> io::Result<(Arc<Self>, File)> {
        refuse_small_files()?;
        // SAFETY: a text with an end, and a flag.
        let fd = unsafe { libc::memfd_create(c"novatrace".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(BYTES as u64)?;
        Ok((Self::open(&file)?, file))
    }

    /// The memory behind such a file.
    pub(super) fn open(file: &File) -> io::Result<Arc<Self>> {
        if file.metadata()?.len() != BYTES as u64 {
            return Err(io::Error::other("the shared memory has another size"));
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let fd = file.as_raw_fd();
        // SAFETY: a new mapping of a file of that size.
        let first = unsafe { libc::mmap(ptr::null_mut(), BYTES, protection, flags, fd, 0) };
        if first == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // What is recorded is no part of a core file. It may not be heard; then it is.
        // SAFETY: the mapping that was just made.
        unsafe { libc::madvise(first, BYTES, libc::MADV_DONTDUMP) };
        let first = NonNull::new(first.cast()).expect("a mapping is never at address 0");
        let blocks = Blocks { end: BLOCKS, all: Vec::new() };
        Ok(Arc::new(Self { first, blocks: Mutex::new(blocks) }))
    }

    /// Takes a block with room for so many bytes; `None` if there is none. What it held before it may
    /// hold still.
    pub(crate) fn alloc(self: &Arc<Self>, bytes: usize) -> Option<Block> {
        let size = bytes.checked_add(HEAD)?.checked_next_multiple_of(PAGE)?;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |&(offset, of): &(usize, usize)| {
            of == size && self.state(offset).load(Ordering::Acquire) == 0
        };
        let offset = if let Some((offset, _)) = blocks.all.iter().copied().find(fits) {
            offset
        } else {
            let offset = blocks.end;
            blocks.end = offset.checked_add(size).filter(|&end| end <= BYTES)?;
            blocks.all.push((offset, size));
            offset
        };
        // Read by the side that it is given to, which is told of it later.
        self.state(offset).store(1, Ordering::Relaxed);
        Some(Block { arena: Arc::clone(self), offset, gives_back: false })
    }

    /// The block at an offset that the program has told of, which is given back when it is dropped.
    /// `None` if it has no room for so many bytes.
    pub(crate) fn block(self: &Arc<Self>, offset: u64, bytes: usize) -> Option<Block> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(HEAD)?.checked_add(bytes)?;
        let fits = offset >= BLOCKS && offset.is_multiple_of(PAGE) && end <= BYTES;
        fits.then(|| Block { arena: Arc::clone(self), offset, gives_back: true })
    }

    fn state(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: blocks lie in the mapping.
        let word = unsafe { self.at(offset) }.cast::<AtomicU32>();
        // SAFETY: they begin on a page, with a word for this.
        unsafe { word.as_ref() }
    }

    /// # Safety
    ///
    /// - `offset` lies in the mapping.
    unsafe fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset < BYTES);
        // SAFETY: by the contract.
        unsafe { self.first.add(offset) }
    }

    /// The control page.
    pub(super) fn control(&self) -> &super::control::Control {
        const { assert!(size_of::<super::control::Control>() <= REPLY) };
        // SAFETY: atomics, for which zeros are values, at the start of the mapping, which is a page.
        unsafe { self.first.cast().as_ref() }
    }

    /// A place in the reply.
    pub(super) fn reply(&self, at: usize) -> *mut u8 {
        assert!(at < REPLY_BYTES);
        // SAFETY: within the mapping.
        unsafe { self.at(REPLY + at) }.as_ptr()
    }

    /// A place in the log.
    pub(super) fn log(&self, at: usize) -> *mut u8 {
        assert!(at < LOG_BYTES);
        // SAFETY: within the mapping.
        unsafe { self.at(LOG + at) }.as_ptr()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping that `open` made, of which nobody has a pointer any more.
        unsafe { libc::munmap(self.first.as_ptr().cast(), BYTES) };
    }
}

impl Block {
    /// By which the other process finds it.
    pub(crate) fn offset(&self) -> u64 {
        self.offset as u64
    }

    /// Where it begins: aligned to 128 bytes.
    pub(crate) fn start(&self) -> NonNull<u8> {
        // SAFETY: a block lies in the mapping, its head included.
        unsafe { self.arena.at(self.offset + HEAD) }
    }

    /// Whether it has been given back, by whichever side.
    pub(crate) fn is_free(&self) -> bool {
        self.arena.state(self.offset).load(Ordering::Acquire) == 0
    }

    /// The memory that it is part of.
    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.gives_back {
            self.arena.state(self.offset).store(0, Ordering::Release);
        }
    }
}

/// A limit on the size of files would be a signal that ends the program.
fn refuse_small_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    let answer = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    if answer == 0 && limit.rlim_cur >= BYTES as u64 {
        return Ok(());
    }
    Err(io::Error::other("the size of files is limited (ulimit -f), shared memory's too"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_the_other_side_gives_back_is_taken_again() {
        let (program, file) = Arena::create().expect("memory");
        let worker = Arena::open(&file).expect("the same memory");
        let first = program.alloc(5_000).expect("room");
        let second = program.alloc(5_000).expect("room");
        assert_ne!(first.offset(), second.offset());
        // SAFETY: nobody else writes there.
        unsafe { first.start().write(7) };
        let theirs = worker.block(first.offset(), 5_000).expect("it is one");
        // SAFETY: written above.
        assert_eq!(unsafe { theirs.start().read() }, 7);
        assert_ne!(program.alloc(5_000).expect("room").offset(), first.offset());
        drop(theirs);
        assert_eq!(program.alloc(5_000).expect("room").offset(), first.offset());
        assert!(worker.block(12, 1).is_none() && worker.block(u64::MAX, 1).is_none());
        assert!(program.alloc(BYTES).is_none());
    }
}
