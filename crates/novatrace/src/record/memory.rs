//! The memory of a ring: taken from the operating system as it is touched, and given back whole. An
//! allocator would fill it with zeros, word by word, once it has recycled a block.
#![cfg_attr(unix, expect(unsafe_code, reason = "mapped memory"))]

use std::cell::UnsafeCell;
use std::ops::{Deref, Range};

/// Words that are zero until they are written.
pub(super) struct Words {
    words: platform::Words,
    /// One for each word, for loom to know who touches it.
    #[cfg(loom)]
    shadows: Box<[loom::cell::UnsafeCell<()>]>,
}

impl Words {
    /// So many words.
    ///
    /// # Panics
    ///
    /// If there is no memory for them.
    pub(super) fn new(words: usize) -> Self {
        Self {
            words: platform::Words::new(words),
            #[cfg(loom)]
            shadows: (0..words).map(|_| loom::cell::UnsafeCell::new(())).collect(),
        }
    }

    /// Words that are somebody else's.
    ///
    /// # Safety
    ///
    /// - So many words lie at `first`, initialised, aligned, and as long as this lives.
    #[cfg(all(target_os = "linux", not(loom)))]
    pub(super) unsafe fn borrowed(first: std::ptr::NonNull<UnsafeCell<u64>>, words: usize) -> Self {
        // SAFETY: by the contract.
        Self { words: unsafe { platform::Words::borrowed(first, words) } }
    }

    /// Tells loom, if it is there, that the caller writes words. A reader or another writer that is
    /// not ordered with it is a race, which fails the model.
    #[inline(always)]
    #[cfg_attr(not(loom), expect(clippy::unused_self, reason = "used by the models"))]
    pub(super) fn are_written(&self, words: Range<u64>) {
        #[cfg(loom)]
        for word in words {
            let place = usize::try_from(word).expect("small") % self.shadows.len();
            self.shadows[place].with_mut(|_| ());
        }
        #[cfg(not(loom))]
        let _ = words;
    }

    /// The same for a reader.
    #[inline(always)]
    #[cfg_attr(not(loom), expect(clippy::unused_self, reason = "used by the models"))]
    pub(super) fn are_read(&self, words: Range<u64>) {
        #[cfg(loom)]
        for word in words {
            let place = usize::try_from(word).expect("small") % self.shadows.len();
            self.shadows[place].with(|_| ());
        }
        #[cfg(not(loom))]
        let _ = words;
    }
}

impl Deref for Words {
    type Target = [UnsafeCell<u64>];

    #[inline(always)]
    fn deref(&self) -> &[UnsafeCell<u64>] {
        &self.words
    }
}

#[cfg(unix)]
mod platform {
    use std::cell::UnsafeCell;
    use std::ops::Deref;
    use std::ptr::{self, NonNull};

    pub(super) struct Words {
        first: NonNull<UnsafeCell<u64>>,
        len: usize,
        is_borrowed: bool,
    }

    impl Words {
        pub(super) fn new(len: usize) -> Self {
            let bytes = len.checked_mul(8).expect("a ring that fits the address space");
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
            // SAFETY: a new mapping that is no file's and lies nowhere in particular.
            let first = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
            assert!(first != libc::MAP_FAILED, "no memory for a ring of {bytes} bytes");
            let first = NonNull::new(first.cast()).expect("a mapping is never at address 0");
            Self { first, len, is_borrowed: false }
        }

        /// # Safety
        ///
        /// - As of [`super::Words::borrowed`].
        #[cfg(all(target_os = "linux", not(loom)))]
        pub(super) unsafe fn borrowed(first: NonNull<UnsafeCell<u64>>, len: usize) -> Self {
            Self { first, len, is_borrowed: true }
        }
    }

    impl Deref for Words {
        type Target = [UnsafeCell<u64>];

        #[inline(always)]
        fn deref(&self) -> &[UnsafeCell<u64>] {
            // SAFETY: there are `len` words, all zero or written since, as long as this lives; they are
            // aligned.
            unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
        }
    }

    impl Drop for Words {
        fn drop(&mut self) {
            if self.is_borrowed {
                return;
            }
            // SAFETY: the mapping that `new` made, to which nobody has a reference any more.
            unsafe { libc::munmap(self.first.as_ptr().cast(), self.len * 8) };
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::cell::UnsafeCell;
    use std::ops::Deref;

    pub(super) struct Words(Box<[UnsafeCell<u64>]>);

    impl Words {
        pub(super) fn new(len: usize) -> Self {
            Self((0..len).map(|_| UnsafeCell::new(0)).collect())
        }
    }

    impl Deref for Words {
        type Target = [UnsafeCell<u64>];

        #[inline(always)]
        fn deref(&self) -> &[UnsafeCell<u64>] {
            &self.0
        }
    }
}
