//! What the program tells a worker in another process, so that both have the same names, call sites, rows
//! and rings.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use super::{Link, NewRing, Side};
use crate::name::Name;
use crate::process::{self, Message};
use crate::profile::{SiteNames, site_names_from};
use crate::record::Ring;
use crate::worker::threads::{NewThread, ThreadLink};

/// What the worker of another process's program goes by.
#[derive(Debug, Default)]
pub(super) struct Told {
    rings: HashMap<u64, Weak<Ring>>,
    threads: HashMap<u64, Weak<ThreadLink>>,
}

impl Link {
    /// Tells the worker's process of call sites that it does not know.
    pub(crate) fn tell_sites(&self, sites: &[SiteNames]) {
        let Some(program) = self.program() else { return };
        let mut told = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        for site in sites.get(told.len()..).unwrap_or_default() {
            let (name, category) = (site.name.map(Name::id), site.category.id());
            program.send(&Message::Site { name, category });
            told.push(*site);
        }
    }

    /// Tells it of a row's new description or unit.
    pub(crate) fn tell_edit(&self, index: u32, what: impl FnOnce() -> String, property: &str) {
        if let Some(program) = self.program() {
            let (row, what, property) = (self.rows.facts(index), what(), property.into());
            program.send(&Message::Edit { index, row, what, property });
        }
    }

    /// Hears what the program has told a worker of its own process since it was asked last. What a record
    /// needs was told before it was published.
    #[inline]
    pub(crate) fn listen(&self) {
        if let Side::Worker(served) = &self.side {
            served.receive(|message| self.hear(message));
        }
    }

    #[cold]
    pub(super) fn hear(&self, message: Message) {
        let Side::Worker(served) = &self.side else { return };
        match message {
            Message::Hello(_) => {}
            Message::Name(text) => drop(Name::new(&text)),
            Message::Site { name, category } => {
                let name = name.and_then(Name::from_id);
                if let Some(category) = Name::from_id(category) {
                    let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
                    sites.push(SiteNames { name, category });
                }
            }
            Message::Row(row) => self.rows.add(row.into_row()),
            Message::Edit { index, row, what, property } => {
                if !self.rows.replace(index, row.into_row()) {
                    self.fail(process::row_settled(what, &property));
                }
            }
            Message::Ring { ring, before } => {
                let Some(drain) = served.drain(ring) else { return };
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                let before = before.iter().filter_map(|(offset, words)| {
                    Some((told.rings.get(offset)?.upgrade()?, *words))
                });
                let before = before.collect();
                told.rings.insert(ring.offset, drain.ring());
                let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
                rings.new.push(NewRing { drain, before });
                self.rings_made.fetch_add(1, Ordering::Release);
            }
            Message::Thread { id, ring, tid, name, system_name } => {
                let Some(drain) = served.drain(ring) else { return };
                let process = self.config.process;
                let thread = Arc::new(ThreadLink::told(process, tid, &name, system_name));
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.threads.insert(id, Arc::downgrade(&thread));
                let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
                threads.push(NewThread { drain, thread });
                self.rings_made.fetch_add(1, Ordering::Release);
            }
            Message::Grown { thread, ring } => {
                if let (Some(thread), Some(drain)) = (self.told_thread(thread), served.drain(ring))
                {
                    thread.add_ring(drain);
                }
            }
            Message::Ended { thread, token, ticks } => {
                self.told_thread(thread).inspect(|thread| thread.end_later(token, ticks));
            }
            Message::Taken { thread } => {
                self.told_thread(thread).inspect(|thread| drop(thread.ended()));
            }
            Message::Named { thread, name } => {
                self.told_thread(thread).inspect(|thread| thread.give_name(&name));
            }
            Message::Over { thread, name } => {
                self.told_thread(thread).inspect(|thread| thread.end_as(name));
                // Nothing more is said of it.
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.threads.remove(&thread);
            }
            Message::Tune { batch, compression } => self.hear_tuning(batch, &compression),
            Message::End(end) => {
                self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
            }
        }
    }

    fn told_thread(&self, id: u64) -> Option<Arc<ThreadLink>> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.threads.get(&id)?.upgrade()
    }

    /// The names of the call sites from number `first` on.
    pub(crate) fn site_names_from(&self, first: usize) -> Vec<SiteNames> {
        match &self.side {
            Side::Worker(_) => {
                let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
                sites.get(first..).unwrap_or_default().to_vec()
            }
            _ => site_names_from(first),
        }
    }
}
