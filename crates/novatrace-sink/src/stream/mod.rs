//! Streams: batches that go to another process, and what receives them. `docs/STREAM.md` has what is said between the
//! two. Nothing is lost or doubled when a connection is.
//!
//! ```text
//! program: StreamSink ──▶ spool ──▶ frames ══ socket ══▶ Receiver: a file for each stream, and
//!          sink.rs        spool.rs  frame.rs  address.rs  receive.rs  a note of how far it is (note.rs)
//!                        ◀── forgets what ◀── answers ◀──
//! ```

mod address;
mod frame;
mod note;
mod plain;
mod receive;
mod sink;
mod spool;

pub use address::{Address, AddressError};
pub use plain::WriteSink;
pub use receive::{Received, Receiver};
pub use sink::StreamSink;
