//! Call sites and counters: statics of the program that are registered when they are first reached,
//! and switched on and off with the session and its categories.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::children::{self, Invitation};
use super::filter::Filter;
use super::session::Live;
use crate::name::Name;

/// Nothing is to be recorded.
const OFF: u32 = 0;
/// Not registered yet.
const UNKNOWN: u32 = u32::MAX;

/// Whether something records, and under which number: one load and a branch when not.
#[derive(Debug)]
pub(super) struct Switch(AtomicU32);

impl Switch {
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(UNKNOWN))
    }

    /// The number if it is on; `register` is called at the first time.
    #[inline(always)]
    pub(super) fn number(&self, register: impl FnOnce()) -> Option<u32> {
        match self.0.load(Ordering::Relaxed) {
            OFF => None,
            UNKNOWN => self.first_number(register),
            number => {
                out_of_line();
                Some(number - 1)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn first_number(&self, register: impl FnOnce()) -> Option<u32> {
        register();
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }

    fn set(&self, number: Option<u32>) {
        self.0.store(number.map_or(OFF, |number| number + 1), Ordering::Relaxed);
    }
}

/// Puts what follows it out of the way: a program that is not traced has recording behind a jump that is
/// not taken, instead of jumping over it, which costs it half.
#[cold]
#[inline(always)]
fn out_of_line() {}

/// A text at a call site, which gets its number when it is first reached.
#[derive(Debug)]
pub struct LazyName {
    text: &'static str,
    id: AtomicU32,
}

impl LazyName {
    /// Registers nothing yet.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { text, id: AtomicU32::new(0) }
    }

    /// The registered name.
    #[inline(always)]
    pub fn get(&self) -> Name {
        match Name::from_id(self.id.load(Ordering::Relaxed)) {
            Some(name) => name,
            None => self.register(),
        }
    }

    #[cold]
    #[inline(never)]
    fn register(&self) -> Name {
        let name = Name::new(self.text);
        self.id.store(name.id(), Ordering::Relaxed);
        name
    }
}

/// Call sites that are not in the source, by name and category.
pub(super) type MadeSites = HashMap<(&'static str, &'static str), &'static CallSite>;

pub(super) fn made_sites() -> MutexGuard<'static, MadeSites> {
    static MADE: LazyLock<Mutex<MadeSites>> = LazyLock::new(Mutex::default);
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the program that records a span or an instant: a static that `trace!` and `instant!`
/// make.
#[derive(Debug)]
pub struct CallSite {
    switch: Switch,
    name: &'static str,
    category: &'static str,
}

impl CallSite {
    /// A place whose events have that name and category; the empty name says that each event brings
    /// its own.
    #[must_use]
    pub const fn new(name: &'static str, category: &'static str) -> Self {
        Self { switch: Switch::new(), name, category }
    }

    /// The one place of that name and category for spans whose place is not in the source: made when
    /// first asked for, and kept.
    #[doc(hidden)]
    #[must_use]
    pub fn made(name: &'static str, category: &'static str) -> &'static Self {
        made_sites()
            .entry((name, category))
            .or_insert_with(|| Box::leak(Box::new(Self::new(name, category))))
    }

    /// The name; empty if each event brings its own.
    #[doc(hidden)]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The category.
    #[doc(hidden)]
    #[must_use]
    pub const fn category(&self) -> &'static str {
        self.category
    }

    /// The category, registered.
    #[doc(hidden)]
    #[must_use]
    pub fn category_name(&self) -> Name {
        Name::new(self.category)
    }

    pub(super) fn names(&self) -> SiteNames {
        let name = (!self.name.is_empty()).then(|| Name::new(self.name));
        SiteNames { name, category: Name::new(self.category) }
    }

    /// The way to record here, if anything is to be recorded: a load and a branch.
    #[inline(always)]
    pub fn on(&'static self) -> Option<SiteOn> {
        if cfg!(feature = "disabled") {
            return None;
        }
        self.switch.number(|| registry().add_site(self)).map(SiteOn)
    }
}

/// A call site that records.
#[derive(Debug, Clone, Copy)]
pub struct SiteOn(pub(super) u32);

/// What a call site's events have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SiteNames {
    /// `None` if each event brings its own.
    pub(crate) name: Option<Name>,
    pub(crate) category: Name,
}

/// A static of the program that is switched on by giving it a row.
pub(super) trait Rowed: Sync {
    fn switch(&self) -> &Switch;
    fn category(&self) -> &'static str;
    fn row(&self, live: &Live) -> u32;
}

/// All that has been reached, and the session that records it.
#[derive(Default)]
pub(super) struct Registry {
    sites: Vec<&'static CallSite>,
    names: Vec<SiteNames>,
    rowed: Vec<&'static dyn Rowed>,
    session: Option<(std::sync::Arc<Live>, Filter)>,
    /// What the process that this one is a fork of told.
    inherited: Option<Invitation>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    sites: Vec::new(),
    names: Vec::new(),
    rowed: Vec::new(),
    session: None,
    inherited: None,
});

/// The session that records, by its link's number, and 0 if none does: for those that have no call site
/// to ask.
static RECORDING: AtomicU64 = AtomicU64::new(0);

/// A load and a branch.
#[inline]
pub(super) fn is_recording() -> bool {
    !cfg!(feature = "disabled") && recording_id() != 0
}

/// The number of the session that records; 0 if none does.
pub(super) fn recording_id() -> u64 {
    RECORDING.load(Ordering::Relaxed)
}

pub(super) fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The names of the call sites from number `first` on.
pub(crate) fn site_names_from(first: usize) -> Vec<SiteNames> {
    registry().names.get(first..).unwrap_or_default().to_vec()
}

impl Registry {
    fn add_site(&mut self, site: &'static CallSite) {
        // Another thread may have been here in between.
        if site.switch.0.load(Ordering::Relaxed) != UNKNOWN {
            return;
        }
        self.sites.push(site);
        self.names.push(site.names());
        let number = self.sites.len() - 1;
        self.tell_sites();
        site.switch.set(self.admits(site.category).then(|| number_of(number)));
    }

    pub(super) fn add_rowed(&mut self, rowed: &'static dyn Rowed) {
        if rowed.switch().0.load(Ordering::Relaxed) != UNKNOWN {
            return;
        }
        self.rowed.push(rowed);
        let row = match &self.session {
            Some((live, filter)) if filter.admits(rowed.category()) => Some(rowed.row(live)),
            _ => None,
        };
        rowed.switch().set(row);
    }

    /// Tells the session's worker of the call sites, if it is another process.
    fn tell_sites(&self) {
        if let Some(live) = self.session() {
            live.link().tell_sites(&self.names);
        }
    }

    fn admits(&self, category: &str) -> bool {
        self.session.as_ref().is_some_and(|(_, filter)| filter.admits(category))
    }

    /// The session that records.
    pub(super) fn session(&self) -> Option<&std::sync::Arc<Live>> {
        self.session.as_ref().map(|(live, _)| live)
    }

    /// Makes `session` the one that records, or nothing any more.
    pub(super) fn set_session(&mut self, session: Option<(std::sync::Arc<Live>, Filter)>) {
        self.session = session;
        let id = self.session().map_or(0, |live| live.link().id());
        RECORDING.store(id, Ordering::Relaxed);
        self.tell_sites();
        for (number, site) in self.sites.iter().enumerate() {
            site.switch.set(self.admits(site.category).then(|| number_of(number)));
        }
        for rowed in &self.rowed {
            let row = match &self.session {
                Some((live, filter)) if filter.admits(rowed.category()) => Some(rowed.row(live)),
                _ => None,
            };
            rowed.switch().set(row);
        }
    }

    /// In a forked child, where nothing takes what is recorded: the session is not this process's.
    pub(super) fn forget_session(&mut self, told: Option<Invitation>) {
        // Its memory is the parent's copy, and whatever its drop would do is the parent's to do.
        std::mem::forget(self.session.take());
        self.inherited = told.or(self.inherited.take());
        if self.inherited.is_some() {
            children::inherit();
        }
        self.set_session(None);
    }

    /// What the process that this one is a fork of told.
    pub(super) fn inherited(&self) -> Option<&Invitation> {
        self.inherited.as_ref()
    }

    /// Changes what the session records.
    pub(super) fn set_filter(&mut self, live: &std::sync::Arc<Live>, filter: Filter) {
        if self.session().is_some_and(|current| std::sync::Arc::ptr_eq(current, live)) {
            self.set_session(Some((std::sync::Arc::clone(live), filter)));
        }
    }
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 call sites fit in a program")
}
