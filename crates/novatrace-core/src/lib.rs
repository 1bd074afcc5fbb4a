//! Turns events into the bytes of Perfetto's `TracePacket`s, without a protobuf library and without
//! allocating per packet.
//!
//! A trace is a file of packets; this crate appends whole packets to a `Vec<u8>` of the caller's.
//! It opens no file, starts no thread and reads no clock.
//!
//! ```
//! use novatrace_core::{
//!     EventBody, EventType, Kind, Sequence, SequenceId, Symbols, Text, Timestamps, TrackDescriptor,
//!     TrackUuid,
//! };
//!
//! let mut out = Vec::new();
//! let mut symbols = Symbols::default();
//! let track = TrackUuid(7);
//!
//! // One sequence with this track and a delta clock as its defaults.
//! let mut sequence = Sequence::new(SequenceId::new(1).ok_or("zero")?, Timestamps::Incremental);
//! sequence.start(&mut out, Some(track));
//! sequence.descriptor(&mut out, &TrackDescriptor::plain(track, "XPU:0"));
//!
//! let gemm = symbols.intern("gemm").ok_or("full")?;
//! sequence.define(&mut out, Kind::EventName, gemm, "gemm");
//! let mut body = Vec::new();
//! EventBody::new(&mut body).name(Text::Iid(gemm));
//! sequence.event(&mut out, 1_000, EventType::SliceBegin, None, &body);
//! sequence.end(&mut out, 1_500, None);
//! // A begin of 14 bytes and an end of 12, the first of them with a name that was sent before.
//! assert!(out.ends_with(&[0x0A, 9, 0x40, 0xF4, 0x03, 0x5A, 2, 0x48, 2, 0x50, 1]));
//! # Ok::<(), &str>(())
//! ```
//!
//! Concepts, in reading order: [`Sequence`] (who writes, with which defaults), [`Symbols`] and
//! [`Kind`] (interning), [`EventBody`] and [`Annotations`] (what an event says),
//! [`TrackDescriptor`] (where it is drawn), [`header`] (what the trace says of itself).
//!
//! What it does not do: sort events, keep slices from overlapping, or check that ends have begins;
//! the crate `novatrace` does.

mod annotation;
mod clock;
mod event;
pub mod header;
mod intern;
mod piece;
mod refer;
pub mod schema;
mod sequence;
mod track;
mod wire;

pub use annotation::{Annotations, Budget, Limits, Scalar, Shape};
pub use clock::{ClockId, MAX_TIMESTAMP_NS};
pub use event::{EventBody, SourceLocation};
pub use intern::{Iid, Kind, Symbols, Text};
pub use refer::Reference;
pub use schema::EventType;
pub use sequence::{ExplicitTrack, Gap, Sequence, SequenceId, Timestamps};
pub use track::{
    ChildOrdering, CounterDescriptor, Merge, ProcessDescriptor, ThreadDescriptor, TrackDescriptor,
    TrackKind, TrackUuid, Unit,
};

/// For `novatrace`, which makes each piece for the one call that it comes before: nothing else checks
/// that a flow's piece is not used for an annotation. Not API: it may change with any release.
#[doc(hidden)]
pub use piece::{Piece, ShortBody};

/// For whoever puts packets together from parts of others. Not API, as above.
#[doc(hidden)]
pub use wire::{LENGTH_DELIMITED, bytes_field, read_varint, tag, varint};
