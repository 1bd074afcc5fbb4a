//! The calls of the module that novatrace replaces, `nova_platform.perfetto_protobuf`, as bases of its
//! classes. Belongs here: what those calls take, where that is not what ours take. Does not: their names
//! and attributes, which are in `python/nova_platform`.

mod annotations;
mod core;
mod profile;
mod text;
mod tgen;

pub(crate) use core::{LegacyPacket, LegacyPackets, LegacyTrace};
pub(crate) use profile::{
    LegacyCounter, LegacySpan, legacy_instant, legacy_trace, legacy_trace_func,
};
pub(crate) use tgen::{LegacyCounterTrack, LegacyTrack};
