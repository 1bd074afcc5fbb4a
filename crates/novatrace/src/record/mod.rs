//! The words a caller writes, and the ring they go into. Belongs here: the layout of a record, the
//! way from one thread to another. Does not: packets, and what the texts mean.
//!
//! # Layout
//!
//! A record is whole 64-bit words, so that it can live in memory that another process maps:
//!
//! | word | low half | high half |
//! |---|---|---|
//! | 0 | [`Kind`] (8 bits), flags (8), 0 | track |
//! | 1 | words in all | [`Name`](crate::Name) id, 0 if a text follows |
//! | 2 | start in ns, or the time of an end, instant or sample | |
//! | 3 | end in ns; id of an open slice; bits of a counter value | |
//! | 4… | items: name as text, categories, flows, arguments | |
//!
//! An item is a head word, and what belongs to it: tag (8 bits), key as a name id (24 bits, 0 for
//! none or when an [`Tag::Key`] item comes before), and 32 bits for a value that fits.

mod item;
mod ring;
mod thread;

pub(crate) use item::Cursor;
pub use item::{And, Items};
pub(crate) use item::{Item, Tag, Writer, cut, key, scalar, text, text_item, text_words};
pub(crate) use ring::{Closed, Drain, Ring};
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

/// Words before the items.
pub(crate) const HEAD_WORDS: usize = 4;
/// Flag: at least one category is among the items.
pub(crate) const HAS_CATEGORY: u8 = 1;
/// Flag: the first item is the name as a text.
pub(crate) const NAME_IS_TEXT: u8 = 2;
/// Flag: at least one flow is among the items.
pub(crate) const HAS_FLOW: u8 = 4;

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
}

impl Kind {
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
            _ => return None,
        })
    }
}

/// The first word of a record.
#[inline]
pub(crate) const fn head(kind: Kind, flags: u8, track: u32) -> u64 {
    kind as u64 | (flags as u64) << 8 | (track as u64) << 32
}
