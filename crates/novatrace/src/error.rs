//! Everything that can be wrong with a call, and what went wrong behind it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::time::TimeFault;

/// What went wrong; [`Error::kind`] tells it apart. Cheap to pass on and to clone.
#[derive(Clone)]
pub struct Error(Arc<ErrorKind>);

impl Error {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }
}

impl From<ErrorKind> for Error {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self(Arc::new(kind))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

/// The kinds of [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The trace file cannot be made. There is no trace then.
    #[error(transparent)]
    Create(novatrace_sink::CreateError),
    /// A path that begins as a stream's address does, and is none. There is no trace then.
    #[error(transparent)]
    Address(novatrace_sink::AddressError),
    /// A path that is the URL of an object in a store, such as `s3://bucket/run.pftrace`, in a program that was
    /// built without the feature `object-store`. There is no trace then.
    #[error(
        "cannot create trace `{url}`: object stores were left out of this program; build it with novatrace's feature `object-store`, or name a file"
    )]
    NoObjectStores {
        /// As given.
        url: String,
    },
    /// A variable of the environment, by which whoever runs a program chooses, has a value that is none.
    /// There is no trace then, and no file was touched.
    #[error("cannot create a trace as the environment variable {variable} says")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with its value.
        source: novatrace_sink::CompressionError,
    },
    /// A sink of one's own cannot be cut into parts. There is no trace then.
    #[error("cannot rotate a trace that goes into a sink; give `create` a path instead")]
    RotatesNoSink,
    /// The session writes into a file or sink; nothing is dumped.
    #[error("cannot dump a session that has no flight recorder; open one with `flight_recorder`")]
    NoFlightRecorder,
    /// A live session is open already, and goes on. There is one at a time.
    #[error("cannot open a session: one is open since {first}; close that first")]
    AlreadyOpen {
        /// Where the first was opened: file, line and column.
        first: String,
    },
    /// The process is a fork of the one that opened the trace, which alone has the trace's worker:
    /// nothing that is recorded here is in the trace.
    #[error("cannot complete a trace of process {parent} in its forked child")]
    Forked {
        /// The process that opened the trace.
        parent: u32,
    },
    /// Only a trace in one plain file can have child processes record into it, or beside it, and on this system.
    #[error(
        "child processes cannot join this trace: they can if it is in one plain file, on Unix; choose \
         `Children::Quiet`"
    )]
    NoChildren,
    /// The file of another process's trace, or the one beside it, could not be used. There is no session then.
    #[error("cannot share the trace `{}` with other processes: {source}", path.display())]
    Join {
        /// The trace.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The handler of a signal could not be installed. There is no trace then.
    #[error("cannot dump on signal {signal}")]
    Signal {
        /// Its number.
        signal: i32,
        /// What the operating system said.
        source: io::Error,
    },
    /// The worker thread could not be started. There is no trace then.
    #[error("cannot start the trace's worker thread")]
    Worker(#[source] io::Error),
    /// The sink took no more. What it had taken before is a readable trace; the rest is counted as
    /// dropped, and recording goes on without effect.
    #[error("cannot write trace{}: {bytes} bytes were written before", Shown(path.as_ref()))]
    Write {
        /// The file, if it is one.
        path: Option<PathBuf>,
        /// How much was written before.
        bytes: u64,
        /// What the sink said.
        source: io::Error,
    },
    /// The trace has been finished; the event is not recorded.
    #[error("cannot record {what}: the trace is finished")]
    Finished {
        /// The event.
        what: String,
    },
    /// A time or length that cannot be; the event is not recorded.
    #[error("cannot record {what}: {fault}")]
    Time {
        /// The event.
        what: String,
        /// What is wrong with it.
        fault: TimeFault,
    },
    /// The flow was not made by this trace; the event is not recorded.
    #[error(
        "cannot record {what}: flow {flow:#x} is unknown to this trace; make it with `flow()`, or \
         announce it with `import_flow()` if it comes from another"
    )]
    UnknownFlow {
        /// The event.
        what: String,
        /// The flow's id.
        flow: u64,
    },
    /// No slice of the track is open; nothing is recorded.
    #[error("cannot end a slice on track `{track}` at {end_ns} ns: none is open")]
    EndWithoutBegin {
        /// The track.
        track: String,
        /// The end as given.
        end_ns: u64,
    },
    /// The slice would end before it began; it stays open.
    #[error(
        "cannot end slice `{name}` on track `{track}` at {end_ns} ns: it began at {start_ns} ns"
    )]
    EndBeforeBegin {
        /// The track.
        track: String,
        /// The slice.
        name: String,
        /// When it began.
        start_ns: u64,
        /// The end as given.
        end_ns: u64,
    },
    /// A counter value that is not a number; it is not recorded.
    #[error("cannot record {what}: the value is NaN")]
    NotANumber {
        /// The sample.
        what: String,
    },
    /// The `Serialize` of an argument failed; the event is not recorded.
    #[error("cannot record {what}: argument `{key}` cannot be serialized: {message}")]
    Argument {
        /// The event.
        what: String,
        /// The argument's key.
        key: String,
        /// What its `Serialize` said.
        message: String,
    },
    /// Two slices of a track overlap without one holding the other, and
    /// [`Overlap::Refuse`](crate::Overlap::Refuse) was asked for. The second is not in the trace.
    #[error(
        "slices overlap on track `{track}`: `{first}` from {} to {} ns, and `{second}` from {} to {} ns, \
         which is left out", first_ns.0, first_ns.1, second_ns.0, second_ns.1
    )]
    Overlap {
        /// The track.
        track: String,
        /// The slice that is in the trace.
        first: String,
        /// Its start and end.
        first_ns: (u64, u64),
        /// The slice that is left out.
        second: String,
        /// Its start and end.
        second_ns: (u64, u64),
    },
    /// A slice came later than the window allows for, and
    /// [`Overlap::Refuse`](crate::Overlap::Refuse) was asked for. It is not in the trace.
    #[error(
        "slice `{name}` from {} to {} ns on track `{track}` came after slices up to {written_ns} ns \
         were written, and is left out; a larger window allows for it", ns.0, ns.1
    )]
    Late {
        /// The track.
        track: String,
        /// The slice.
        name: String,
        /// Its start and end.
        ns: (u64, u64),
        /// Up to where the track has been written.
        written_ns: u64,
    },
    /// A unit or description was said after the row had been written, and is not in the trace. Whether
    /// one that follows the row's first event is still in time depends on the worker's progress; if it
    /// is, it is in the trace, and no error.
    #[error("the {property} of {row} came after its first events, and is not in the trace")]
    RowSettled {
        /// The counter, track or group, by kind and name.
        row: String,
        /// Which property.
        property: &'static str,
    },
    /// The worker failed: a fault of novatrace itself. The file holds what was written before.
    #[error("the trace's worker failed: {message}")]
    WorkerPanicked {
        /// What it said.
        message: String,
    },
}

struct Shown<'a>(Option<&'a PathBuf>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |path| write!(f, " to `{}`", path.display()))
    }
}
