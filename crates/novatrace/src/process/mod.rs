//! The worker in a process of its own, which outlives the program. Belongs here: the memory that both map,
//! what is said through it beside the records, starting the worker and noticing that the other side
//! is gone. Does not: records and packets, which are the same in a thread.
//!
//! ```text
//! program                          memory (arena.rs)                 worker
//! recording threads ── records ──▶ rings ────────────────────────▶ run.rs, as in a thread
//! names, rows, …    ── messages ─▶ log (log.rs, message.rs) ─────▶ its own Link, Name and Rows
//! flush, finish     ◀─ answers ──▶ control page (control.rs) ◀──── stats, errors
//! program.rs, spawn.rs                                             served.rs
//! ```
#![expect(unsafe_code, reason = "memory and descriptors that two processes share")]

mod arena;
mod control;
mod futex;
mod log;
mod message;
mod program;
mod served;
mod spawn;

pub(crate) use arena::Block;
pub(crate) use control::Note;
pub(crate) use futex::{wait, wake};
pub(crate) use message::{ErrorFacts, Message, Numbers, ReportFacts, RowFacts, row_settled};
pub(crate) use program::{Program, tell_name};
pub(crate) use served::Served;
pub use served::serve;
pub use spawn::set_command;
pub(crate) use spawn::{asked_for, can_serve};

/// Program and worker have to be built from the same novatrace: what they share has no other version.
const LAYOUT: u64 = {
    let text = concat!(env!("CARGO_PKG_VERSION"), " 1").as_bytes();
    // FNV-1a.
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut at = 0;
    while at < text.len() {
        hash = (hash ^ text[at] as u64).wrapping_mul(0x100_0000_01B3);
        at += 1;
    }
    hash ^ (size_of::<control::Control>() as u64) << 8 ^ crate::record::SHARED_BYTES as u64
};
