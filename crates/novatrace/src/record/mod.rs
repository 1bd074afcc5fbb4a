//! The words a caller writes, and the ring they go into. Belongs here: the layout of a record, the
//! way from one thread to another. Does not: packets, and what the texts mean.
//!
//! # Layout
//!
//! A record is whole 64-bit words, so that it can live in memory that another process maps:
//!
//! | word | low half | high half |
//! |---|---|---|
//! | 0 | [`Kind`] (8 bits), flags (8), words in all (16) | track |
//! | 1 | 0 | [`Name`](crate::Name) id, 0 if a text follows |
//! | 2 | start, or the time of an end, instant or sample | |
//! | 3 | end; id of an open slice; bits of a counter value | |
//! | 4… | items: name as text, categories, flows, arguments | |
//!
//! Times are nanoseconds, or ticks of the live clock if the flag [`TICKS`] says so.
//!
//! What a live program records on its threads' own tracks is shorter, and an even number of words,
//! so that two words (an end) always fit before the end of the buffer:
//!
//! | word | low half | high half |
//! |---|---|---|
//! | 0 | [`Kind`], flags, words in all | call site; the counter's row; 0 for an end |
//! | 1 | ticks | |
//! | 2… | items; bits of a counter value | |
//!
//! An item is a head word, and what belongs to it: tag (8 bits), key as a name id (24 bits, 0 for
//! none or when an [`Tag::Key`] item comes before), and 32 bits for a value that fits.

mod item;
#[cfg(all(test, loom))]
mod loom_models;
mod memory;
mod ring;
mod shared;
mod thread;

pub(crate) use item::Cursor;
pub use item::{And, Items};
pub(crate) use item::{
    CUT, Item, MAX_TEXT, Tag, Writer, cut, key, scalar, text, text_item, text_words,
};
use memory::Words;
pub(crate) use ring::{Closed, Drain, Refusal, Ring, is_event};
#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use shared::SHARED_BYTES;
#[cfg(unix)]
pub(crate) use thread::forget;
pub(crate) use thread::{Source, push};

/// Writes the words of one record into its place in a ring.
///
/// A trait, where a closure would do, so that it can be inlined into each of the ways a record takes.
/// It must not record anything itself.
pub(crate) trait Fill {
    fn fill(self, place: &mut [u64]);
}

impl<const N: usize> Fill for &[u64; N] {
    #[inline(always)]
    fn fill(self, place: &mut [u64]) {
        place.copy_from_slice(self);
    }
}

impl Fill for &[u64] {
    #[inline(always)]
    fn fill(self, place: &mut [u64]) {
        place.copy_from_slice(self);
    }
}

/// Words before the items.
pub(crate) const HEAD_WORDS: usize = 4;
/// The same in records of a live thread.
pub(crate) const LIVE_HEAD_WORDS: usize = 2;
/// Longer records wait aside: a record's length has 16 bits.
pub(crate) const MAX_WORDS: usize = 0xFFFF;
/// Flag: at least one category is among the items.
pub(crate) const HAS_CATEGORY: u8 = 1;
/// Flag: at least one flow is among the items.
pub(crate) const HAS_FLOW: u8 = 4;
/// Flag: times are ticks of the live clock.
pub(crate) const TICKS: u8 = 8;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The rest of the ring's buffer is unused; go on at its start.
    Skip = 1,
    /// A record too long for the ring waits in its side queue.
    Aside,
    Slice,
    Instant,
    Begin,
    End,
    CountInt,
    CountDouble,
    /// From here on, what a live thread records on its own track: see [`LIVE_HEAD_WORDS`].
    LiveBegin,
    LiveEnd,
    /// An end that is not the innermost open slice's: how many slices were open around its own is
    /// in the high half of word 0.
    LiveEndOuter,
    LiveInstant,
    LiveCountInt,
    LiveCountDouble,
    /// So many events found no room: word 2.
    Lost,
}

impl Kind {
    /// Whether such a record of a live thread is of a row: its time is where the generator's records have it.
    #[inline(always)]
    pub(crate) const fn is_of_row(self) -> bool {
        matches!(self, Self::Begin | Self::End | Self::Instant | Self::Slice)
    }

    pub(crate) const fn of(word: u64) -> Option<Self> {
        Some(match word & 0xFF {
            1 => Self::Skip,
            2 => Self::Aside,
            3 => Self::Slice,
            4 => Self::Instant,
            5 => Self::Begin,
            6 => Self::End,
            7 => Self::CountInt,
            8 => Self::CountDouble,
            9 => Self::LiveBegin,
            10 => Self::LiveEnd,
            11 => Self::LiveEndOuter,
            12 => Self::LiveInstant,
            13 => Self::LiveCountInt,
            14 => Self::LiveCountDouble,
            15 => Self::Lost,
            _ => return None,
        })
    }
}

/// The first word of a record of `words` words, at most [`MAX_WORDS`]; of a longer one, which waits
/// aside, the length is not read.
#[inline(always)]
pub(crate) const fn head(kind: Kind, flags: u8, words: usize, track: u32) -> u64 {
    let words = words as u64 & MAX_WORDS as u64;
    kind as u64 | (flags as u64) << 8 | words << 16 | (track as u64) << 32
}

/// The length that [`head`] was given.
#[inline(always)]
pub(crate) const fn words_of(head: u64) -> u64 {
    head >> 16 & MAX_WORDS as u64
}
