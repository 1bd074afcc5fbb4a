//! What can go wrong between a test and the trace processor.

/// A trace the trace processor does not take, a statement it does not run, or a server that is gone.
///
/// Each names the trace, and the texts of the trace processor and its error stream in full, since
/// this is read in the output of a failed test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The Node process could not be started, or died before it answered.
    #[error("cannot start the trace processor with `{command}`: {message}\nstderr: {stderr}")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        message: String,
        /// What it wrote to its error stream.
        stderr: String,
    },
    /// The trace processor read the trace and refused it.
    #[error("{trace}: rejected by the trace processor: {message}\nstderr: {stderr}")]
    Rejected {
        /// The path, or the length of the bytes.
        trace: String,
        /// The trace processor's message.
        message: String,
        /// What it wrote to its error stream.
        stderr: String,
    },
    /// A statement failed.
    #[error("{trace}: SQL failed: {message}\nSQL: {sql}\nstderr: {stderr}")]
    Sql {
        /// The path, or the length of the bytes.
        trace: String,
        /// The statement.
        sql: String,
        /// The trace processor's message.
        message: String,
        /// What it wrote to its error stream.
        stderr: String,
    },
    /// The server ended or answered with something else than the protocol allows.
    #[error(
        "{trace}: the trace processor's server failed at {request}: {message}\nstdout: {stdout}\nstderr: {stderr}"
    )]
    Server {
        /// The path, or the length of the bytes.
        trace: String,
        /// What was asked.
        request: String,
        /// Why its answer could not be used.
        message: String,
        /// Its answer.
        stdout: String,
        /// What it wrote to its error stream.
        stderr: String,
    },
    /// Perfetto's protobuf classes cannot read the bytes, or know a field of them not.
    #[error("{trace}: {message}")]
    Schema {
        /// The length of the bytes.
        trace: String,
        /// What the decoder said.
        message: String,
    },
}
