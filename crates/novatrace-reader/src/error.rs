//! Why a file cannot be read at all. What is wrong inside of one is a [`Finding`](crate::Finding).

use std::io;
use std::path::PathBuf;

/// A file that cannot be read, or is no Perfetto trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// It is something else.
    #[error("`{}` is {what}, not a Perfetto trace of packets{}", path.display(), hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    NotATrace {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        what: &'static str,
        /// What can be done about it.
        hint: Option<&'static str>,
    },
    /// A copy cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}
