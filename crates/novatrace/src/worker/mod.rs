//! From records to the sink. Belongs here: draining rings, order, lanes, encoding, back-pressure,
//! the first error. Does not: types that users name (but [`Stats`]), and byte layout.
//!
//! ```text
//! rings ──▶ decode: body, iids ──▶ a track's pending events ──▶ lanes: begins, ends ──▶ batch ──▶ sink
//!                   (decode.rs)    (pending.rs)                  (lanes.rs)             (output.rs)
//! ```

mod bodies;
mod config;
mod decode;
mod describe;
mod destination;
mod forms;
mod lanes;
mod link;
mod live;
mod mourn;
mod output;
mod parts;
mod pending;
mod rings;
mod row;
mod run;
mod sizing;
mod stats;
mod steps;
mod threads;
mod ties;
mod track;

pub use config::Worker;
pub(crate) use config::{Config, Shared, called, word_of};
pub(crate) use describe::{Described, write_header};
pub(crate) use destination::Destination;
pub(crate) use link::{Asked, EndRecord, Link};
pub(crate) use row::{Row, RowKind};
pub(crate) use sizing::Bounds;
pub use stats::Stats;
pub use threads::Loss;
pub(crate) use threads::{Attachment, ThreadLink, give_name};
