//! What is known of a place in the program that makes spans or events. Does not belong here: what they
//! say.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use novatrace::__macro_support::CallSite;
use novatrace::{Counter, Name};
use tracing::Metadata;
use tracing::field::Field;

/// A place that makes spans or events.
#[derive(Debug)]
pub(crate) struct Site {
    /// Of spans: by their name.
    pub(crate) span: &'static CallSite,
    /// Of events, which bring their own name.
    pub(crate) event: &'static CallSite,
    pub(crate) level: Name,
    /// By field.
    fields: Box<[Key]>,
    /// Whether every field is a counter.
    pub(crate) is_counters: bool,
}

/// What a field is.
#[derive(Debug)]
pub(crate) enum Key {
    Message,
    Argument(Name),
    Counter(&'static Counter),
}

impl Site {
    fn new(metadata: &'static Metadata<'static>) -> Self {
        let target = metadata.target();
        let fields: Box<[Key]> = metadata
            .fields()
            .iter()
            .map(|field| match field.name() {
                "message" => Key::Message,
                name => match name.strip_prefix("counter.") {
                    Some(counter) if !counter.is_empty() => {
                        Key::Counter(Counter::made(counter, None, target))
                    }
                    _ => Key::Argument(Name::new(name)),
                },
            })
            .collect();
        let is_counters =
            !fields.is_empty() && fields.iter().all(|key| matches!(key, Key::Counter(_)));
        Self {
            span: CallSite::made(metadata.name(), target),
            event: CallSite::made("", target),
            level: Name::new(metadata.level().as_str()),
            fields,
            is_counters,
        }
    }

    pub(crate) fn key(&self, field: &Field) -> Option<&Key> {
        self.fields.get(field.index())
    }

    /// The site of these metadata: of a few that the thread has met lately, a comparison away.
    #[inline]
    pub(crate) fn of(metadata: &'static Metadata<'static>) -> &'static Self {
        const CACHED: usize = 64;
        thread_local! {
            static CACHE: [Cell<(usize, Option<&'static Site>)>; CACHED] =
                const { [const { Cell::new((0, None)) }; CACHED] };
        }
        let address = std::ptr::from_ref(metadata).addr();
        let found = CACHE.try_with(|cache| {
            let slot = &cache[(address >> 4) % CACHED];
            match slot.get() {
                (of, Some(site)) if of == address => site,
                _ => {
                    let site = Self::look_up(metadata, address);
                    slot.set((address, Some(site)));
                    site
                }
            }
        });
        found.unwrap_or_else(|_| Self::look_up(metadata, address))
    }

    #[cold]
    fn look_up(metadata: &'static Metadata<'static>, address: usize) -> &'static Self {
        static SITES: RwLock<Option<HashMap<usize, &'static Site>>> = RwLock::new(None);
        if let Some(sites) = &*SITES.read().unwrap_or_else(PoisonError::into_inner)
            && let Some(site) = sites.get(&address)
        {
            return site;
        }
        let mut sites = SITES.write().unwrap_or_else(PoisonError::into_inner);
        // As many as there are places in the program, which keeps them as long.
        sites
            .get_or_insert_default()
            .entry(address)
            .or_insert_with(|| Box::leak(Box::new(Self::new(metadata))))
    }
}
