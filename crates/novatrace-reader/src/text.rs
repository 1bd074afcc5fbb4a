//! Names and other texts, each kept once.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::{HashMap, HashMapExt};

/// A text of a trace as a part of one line: what would move a terminal's cursor, colour it or turn its direction of writing is
/// spelled out, such as `\u{1b}`.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_odd) {
        return text.into();
    }
    text.chars()
        .fold(String::new(), |mut line, c| {
            if is_odd(c) {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
            line
        })
        .into()
}

/// A text in [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TextId(u32);

impl TextId {
    /// By [`Texts::take_in`].
    pub(crate) fn renumber(&mut self, texts: &[Self]) {
        if let Some(ours) = texts.get(self.0 as usize) {
            *self = *ours;
        }
    }
}

/// Texts by number.
#[derive(Debug)]
pub(crate) struct Texts {
    ids: HashMap<Box<str>, TextId>,
    all: Vec<Box<str>>,
    /// Of each, what arguments with that name need to know.
    keys: Vec<Key>,
}

/// A text as the name of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// To know it again by.
    pub(crate) hash: u64,
    /// It is shown as it is: not empty, and without characters that stand for nesting.
    pub(crate) is_plain: bool,
}

impl Key {
    pub(crate) fn of(text: &str) -> Self {
        let hash = foldhash::fast::FixedState::with_seed(1).hash_one(text);
        Self { hash, is_plain: !text.is_empty() && !text.contains(['.', '[', ']']) }
    }
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self { ids: HashMap::new(), all: Vec::new(), keys: Vec::new() }
    }

    /// The number of a text; what is not UTF-8 in it is replaced, and a NUL ends it, as in the trace processor.
    pub(crate) fn id_of(&mut self, bytes: &[u8]) -> TextId {
        let text = String::from_utf8_lossy(bytes);
        let text = text.split('\0').next().unwrap_or_default();
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = TextId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        if id.0 < u32::MAX {
            self.all.push(text.into());
            self.keys.push(Key::of(text));
            self.ids.insert(text.into(), id);
        }
        id
    }

    /// Has all texts of another: their numbers here, by those there.
    pub(crate) fn take_in(&mut self, other: &Self) -> Vec<TextId> {
        other.all.iter().map(|text| self.id_of(text.as_bytes())).collect()
    }

    #[inline(always)]
    pub(crate) fn key(&self, id: TextId) -> Option<Key> {
        self.keys.get(id.0 as usize).copied()
    }

    pub(crate) fn get(&self, id: TextId) -> &str {
        self.all.get(id.0 as usize).map_or("", |text| text)
    }
}

/// What is interned on a sequence, by iid.
#[derive(Debug, Clone)]
pub(crate) struct Interned<T> {
    /// Small numbers.
    dense: Vec<Option<T>>,
    sparse: HashMap<u64, T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { dense: Vec::new(), sparse: HashMap::new() }
    }
}

impl<T: Copy + PartialEq> Interned<T> {
    #[inline(always)]
    pub(crate) fn get(&self, iid: u64) -> Option<T> {
        match self.dense.get(usize::try_from(iid).unwrap_or(usize::MAX)) {
            Some(&entry) => entry,
            None => self.sparse.get(&iid).copied(),
        }
    }

    /// Defines an entry; the first definition counts. Returns an earlier one, if it is another.
    pub(crate) fn define(&mut self, iid: u64, entry: T) -> Option<T> {
        if let Some(before) = self.get(iid) {
            return (before != entry).then_some(before);
        }
        let at = usize::try_from(iid).unwrap_or(usize::MAX);
        if at <= 2 * self.dense.len() + 64 {
            if at >= self.dense.len() {
                let old = self.dense.len();
                self.dense.resize(at + 1, None);
                for iid in old..self.dense.len() {
                    self.dense[iid] = self.sparse.remove(&(iid as u64));
                }
            }
            self.dense[at] = Some(entry);
        } else {
            self.sparse.insert(iid, entry);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_reaches_a_terminal_but_letters() {
        assert_eq!(one_line("a \u{e4}/\u{4e2d}"), "a \u{e4}/\u{4e2d}");
        assert_eq!(one_line("\u{1b}[2J\n\u{202e}x\u{9b}"), "\\u{1b}[2J\\n\\u{202e}x\\u{9b}");
    }

    #[test]
    fn entries_are_found_whatever_their_numbers() {
        let mut interned = Interned::default();
        let numbers: Vec<u64> =
            (0..100).chain([1 << 40, u64::MAX, 500, 240]).chain(200..300).collect();
        for &number in &numbers {
            interned.define(number, number);
        }
        assert!(numbers.iter().all(|&number| interned.get(number) == Some(number)));
        assert_eq!((interned.get(100), interned.get(501)), (None, None));
        assert_eq!(
            (interned.define(5, 6), interned.define(5, 5), interned.get(5)),
            (Some(5), None, Some(5))
        );
    }
}
