//! Names that a program knows beforehand, registered once for the whole process.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{LazyLock, PoisonError, RwLock, RwLockWriteGuard};

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

#[derive(Default)]
struct Registry {
    by_text: HashMap<&'static str, Name>,
    texts: Vec<&'static str>,
}

static REGISTRY: LazyLock<RwLock<Registry>> = LazyLock::new(RwLock::default);

/// The registry, held for a fork: a child in whose copy another thread holds it would wait for ever.
#[cfg(unix)]
pub(crate) struct Held(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, Registry>);

/// Holds the registry until what this returns is dropped.
#[cfg(unix)]
pub(crate) fn hold() -> Held {
    Held(REGISTRY.write().unwrap_or_else(PoisonError::into_inner))
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
        {
            let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(&name) = registry.by_text.get(text) {
                return name;
            }
        }
        let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&name) = registry.by_text.get(text) {
            return name;
        }
        let number = registry.texts.len() + 1;
        assert!(number <= Self::MAX, "too many names; give names made at run time as `&str`");
        let name = u32::try_from(number).ok().and_then(NonZeroU32::new).map(Self);
        let name = name.expect("from 1 to 2^24");
        let text: &'static str = Box::leak(Box::from(text));
        registry.texts.push(text);
        registry.by_text.insert(text, name);
        name
    }

    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
        registry.texts[self.0.get() as usize - 1]
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
