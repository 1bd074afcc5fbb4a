//! Names that a program knows beforehand, registered once for the whole process.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

/// A text that is registered for the rest of the process, to be used as a slice's name, a category
/// or an argument's key: an event then carries a number instead of the text, which is the cheapest
/// there is.
///
/// For a vocabulary that is known beforehand, since what is registered is never forgotten. Names
/// made at run time are better given as `&str`.
///
/// ```
/// use novatrace::Name;
///
/// let gemm = Name::new("gemm");
/// assert_eq!(gemm, Name::new("gemm"));
/// assert_eq!(gemm.as_str(), "gemm");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(NonZeroU32);

static NAMES: LazyLock<RwLock<HashMap<&'static str, Name>>> = LazyLock::new(RwLock::default);

/// The texts by number, found without a lock: those from 2^n on in the nth block, which never moves.
static TEXTS: [OnceLock<Block>; 24] = [const { OnceLock::new() }; 24];
type Block = Box<[OnceLock<&'static str>]>;

/// The block of a number, and its place there.
const fn place(number: u32) -> (usize, usize) {
    let block = number.ilog2();
    (block as usize, (number - (1 << block)) as usize)
}

/// The registry, held for a fork: a child in whose copy another thread holds it would wait for ever.
#[cfg(unix)]
pub(crate) struct Held(
    #[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, HashMap<&'static str, Name>>,
);

/// Holds the registry until what this returns is dropped.
#[cfg(unix)]
pub(crate) fn hold() -> Held {
    Held(NAMES.write().unwrap_or_else(PoisonError::into_inner))
}

impl Name {
    /// Records have 24 bits for a name.
    const MAX: usize = (1 << 24) - 1;

    /// Registers `text`, or finds it. Takes a lock: to be called once, not once an event.
    ///
    /// # Panics
    ///
    /// When more than 16 million texts are registered.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let known = NAMES.read().unwrap_or_else(PoisonError::into_inner).get(text).copied();
        if let Some(name) = known {
            return name;
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&name) = names.get(text) {
            return name;
        }
        let number = names.len() + 1;
        assert!(number <= Self::MAX, "too many names; give names made at run time as `&str`");
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        let name = Self(number.expect("from 1 to 2^24"));
        let text: &'static str = Box::leak(Box::from(text));
        let (block, place) = place(name.id());
        let block =
            TEXTS[block].get_or_init(|| (0..1_usize << block).map(|_| OnceLock::new()).collect());
        let _ = block[place].set(text); // of a new number, and so for the first time
        names.insert(text, name);
        crate::process::tell_name(text);
        name
    }

    /// The text. Takes no lock.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "every name has a text")]
    pub fn as_str(self) -> &'static str {
        let (block, place) = place(self.id());
        let text = TEXTS[block].get().and_then(|block| block[place].get());
        text.expect("put there before the name was made")
    }

    #[inline]
    pub(crate) const fn id(self) -> u32 {
        self.0.get()
    }

    /// The name with this id, which a record carried.
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        NonZeroU32::new(id).map(Self)
    }
}

/// Calls `with` with all texts, in the order of their numbers, while none is added.
pub(crate) fn with_all(with: impl FnOnce(&[&'static str])) {
    let names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    let numbers = 1..=u32::try_from(names.len()).unwrap_or(u32::MAX);
    let texts: Vec<_> = numbers.filter_map(Name::from_id).map(Name::as_str).collect();
    with(&texts);
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Name").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name, category or key as a caller gives it: a [`Name`], or a text that is copied.
#[derive(Debug, Clone, Copy)]
pub enum Label<'a> {
    /// Registered beforehand.
    Name(Name),
    /// Made at run time.
    Text(&'a str),
}

impl From<Name> for Label<'_> {
    #[inline]
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a str> for Label<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Label<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name.as_str()),
            Self::Text(text) => f.pad(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_text_however_many_there_are_and_while_others_are_registered() {
        let names: Vec<_> = (0..5_000).map(|at| Name::new(&format!("name {at}"))).collect();
        let _held = NAMES.write().expect("not poisoned");
        for (at, name) in names.iter().enumerate() {
            assert_eq!(name.as_str(), format!("name {at}"));
        }
    }
}
