//! Interning: text → [`Iid`]. Belongs here: which number stands for which text. Does not: writing
//! packets; what a sequence has already sent is the [`crate::Sequence`]'s to know.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::schema::interned_data;

/// A number that stands for a text on every sequence that has been told so
/// (`InternedData.*.iid`); never 0, which means "unset" in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iid(NonZeroU32);

impl Iid {
    /// The number as it is written.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0.get() as usize
    }
}

/// What an interned text is used for: each kind is its own field of `InternedData`, with ids of its
/// own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `event_names`
    EventName,
    /// `event_categories`
    Category,
    /// `debug_annotation_names`
    AnnotationName,
    /// `debug_annotation_string_values`
    AnnotationString,
}

impl Kind {
    pub(crate) const fn field(self) -> u32 {
        match self {
            Self::EventName => interned_data::EVENT_NAMES,
            Self::Category => interned_data::EVENT_CATEGORIES,
            Self::AnnotationName => interned_data::DEBUG_ANNOTATION_NAMES,
            Self::AnnotationString => interned_data::DEBUG_ANNOTATION_STRING_VALUES,
        }
    }

    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A text as an event refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// By number; the sequence must have [defined](crate::Sequence::define) it before.
    Iid(Iid),
    /// Spelled out in the event.
    Inline(&'a str),
}

/// The texts of a trace, numbered from 1 in the order they came.
///
/// One table serves all sequences and all kinds, so that an encoded event says the same on each
/// sequence. It is bounded: a trace whose names never repeat would otherwise keep all of them in
/// memory, here and in the viewer.
pub struct Symbols<S = RandomState> {
    by_text: HashMap<Arc<str>, Iid, S>,
    texts: Vec<Arc<str>>,
    /// How many of the texts are bounded by `max_texts`.
    bounded: usize,
    max_texts: usize,
}

impl Symbols {
    /// How many texts are interned before the rest are spelled out.
    pub const DEFAULT_MAX_TEXTS: usize = 1 << 16;
    /// A longer text is never interned.
    pub const MAX_TEXT_BYTES: usize = 1 << 10;
}

impl Default for Symbols {
    fn default() -> Self {
        Self::with_hasher(RandomState::new(), Self::DEFAULT_MAX_TEXTS)
    }
}

impl<S: BuildHasher> Symbols<S> {
    /// An empty table of at most `max_texts` texts (beyond those of
    /// [`intern_always`](Self::intern_always)) that hashes with `hasher`.
    pub fn with_hasher(hasher: S, max_texts: usize) -> Self {
        Self { by_text: HashMap::with_hasher(hasher), texts: Vec::new(), bounded: 0, max_texts }
    }

    /// The number of `text`, a new one if it has none yet; `None` when the table is full or the
    /// text longer than [`Symbols::MAX_TEXT_BYTES`]: such a text is to be written inline.
    #[inline]
    pub fn intern(&mut self, text: &str) -> Option<Iid> {
        if let Some(&iid) = self.by_text.get(text) {
            return Some(iid);
        }
        if self.bounded >= self.max_texts || text.len() > Symbols::MAX_TEXT_BYTES {
            return None;
        }
        self.bounded += 1;
        Some(self.insert(text))
    }

    /// The number of `text`, whatever the bounds: for texts whose number the program bounds.
    ///
    /// # Panics
    ///
    /// After 2^32 − 1 texts.
    pub fn intern_always(&mut self, text: &str) -> Iid {
        match self.by_text.get(text) {
            Some(&iid) => iid,
            None => self.insert(text),
        }
    }

    /// The number of `text` if it has one.
    #[inline]
    pub fn get(&self, text: &str) -> Option<Iid> {
        self.by_text.get(text).copied()
    }

    /// The text with this number, if there is one.
    #[must_use]
    pub fn numbered(&self, number: u64) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.texts.get(index).map(|text| &**text)
    }

    /// The number itself, if a text has it.
    #[must_use]
    pub fn iid(&self, number: u64) -> Option<Iid> {
        self.numbered(number)?;
        NonZeroU32::new(u32::try_from(number).ok()?).map(Iid)
    }

    /// The text that `iid` stands for.
    ///
    /// # Panics
    ///
    /// If `iid` comes from another table and is not in this one.
    #[must_use]
    pub fn text(&self, iid: Iid) -> &Arc<str> {
        &self.texts[iid.index() - 1]
    }

    #[cold]
    fn insert(&mut self, text: &str) -> Iid {
        let text: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&text));
        let number = u32::try_from(self.texts.len()).ok().and_then(NonZeroU32::new);
        let iid = Iid(number.expect("at least one, and fewer than 2^32 texts fit in memory"));
        self.by_text.insert(text, iid);
        iid
    }
}

impl<S> fmt::Debug for Symbols<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols")
            .field("texts", &self.texts.len())
            .field("max_texts", &self.max_texts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Iid {
    pub(crate) fn for_test(number: u32) -> Self {
        Self(NonZeroU32::new(number).expect("not zero"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_start_at_one_and_are_reused() {
        let mut symbols = Symbols::default();
        let first = symbols.intern("gemm");
        assert_eq!(first, Some(Iid::for_test(1)));
        assert_eq!(symbols.intern("softmax"), Some(Iid::for_test(2)));
        assert_eq!(symbols.intern("gemm"), first);
        assert_eq!(&**symbols.text(Iid::for_test(2)), "softmax");
    }

    #[test]
    fn a_full_table_keeps_what_it_has_and_takes_no_more() {
        let mut symbols = Symbols::with_hasher(RandomState::new(), 1);
        assert_eq!(symbols.intern("a"), Some(Iid::for_test(1)));
        assert_eq!(symbols.intern("b"), None);
        assert_eq!(symbols.intern("a"), Some(Iid::for_test(1)));
        assert_eq!(symbols.intern_always("b"), Iid::for_test(2));
    }

    #[test]
    fn texts_that_are_always_interned_take_no_room_from_the_others() {
        let mut symbols = Symbols::with_hasher(RandomState::new(), 1);
        assert_eq!(symbols.intern_always("a"), Iid::for_test(1));
        assert_eq!(symbols.intern_always("b"), Iid::for_test(2));
        assert_eq!(symbols.intern("c"), Some(Iid::for_test(3)));
        assert_eq!(symbols.intern("d"), None);
    }

    #[test]
    fn a_very_long_text_is_not_interned() {
        let mut symbols = Symbols::default();
        assert_eq!(symbols.intern(&"x".repeat(Symbols::MAX_TEXT_BYTES + 1)), None);
    }
}
