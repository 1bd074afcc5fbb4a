//! Why a sink could not be made.

use std::io;
use std::path::PathBuf;

/// The same error, for who asks once more: its kind and what it says, without its source.
pub(crate) fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// Why a trace file could not be created. Nothing was created or truncated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The path is that of a folder.
    #[error("cannot create trace `{}`: it is a directory; name a file in it", path.display())]
    IsDirectory {
        /// As given.
        path: PathBuf,
    },
    /// The folder that is to hold the file does not exist.
    #[error("cannot create trace `{}`: the directory `{}` does not exist; create it first", path.display(), parent.display())]
    NoParent {
        /// As given.
        path: PathBuf,
        /// The missing folder.
        parent: PathBuf,
    },
    /// Another trace is being written to it, by this process or another.
    #[error("cannot create trace `{}`: another trace is being written there; finish that one first, or choose another name", path.display())]
    InUse {
        /// As given.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot create trace `{}`", path.display())]
    Io {
        /// As given.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}
