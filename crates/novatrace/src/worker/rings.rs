//! From which ring the next records are taken. Belongs here: the order among threads. Does not: what
//! a record means.
//!
//! Threads that take turns, by a lock, a channel or a barrier, call in an order that the window is
//! to be counted in, and the rings hold nothing of that order but the times. So records are merged
//! by their times: of several rings, the one whose next record is the earliest comes first.
//!
//! ```text
//! first  = words published, of each ring        (none, of rings made meanwhile)
//! second = the next record of each ring
//! while there is one: the ring of the earliest
//!     has it been taken up to `first`? the pass ends
//!     take from it while no other's next is earlier
//! ```
//!
//! The bound makes that complete: what is taken was published before each ring was looked at for
//! the second time, and what its thread had seen called before it even earlier. Each of those
//! records is then taken already, or waits in its ring, behind one that is no earlier.
//!
//! What comes before a thread's first call is known without any times: its ring says what the other
//! rings held when it was made, and that is taken first. Times would let the first of a new thread's
//! records go ahead of all that others had recorded, to be counted between it and its next.
//!
//! A thread far ahead of the others in time must not wait for them for ever. Its ring gets a turn
//! when so many records of others have been taken since it had one.

use std::sync::Arc;

use super::link::{Link, NewRing};
use super::pending::{self, Key};
use crate::record::{Drain, HEAD_WORDS, Kind, Ring};

/// The rings of a trace's threads.
#[derive(Debug, Default)]
pub(crate) struct Rings {
    pub(crate) all: Vec<Drain>,
    /// How many there have ever been.
    known: u64,
    /// What is to be taken first: for each ring that is new, the words that others held before it.
    before: Vec<Vec<(Arc<Ring>, u64)>>,
    /// By ring, how many records of others have been taken since its last turn.
    waited: Vec<usize>,
    /// Reused: by ring, the words that a pass may take.
    until: Vec<u64>,
    /// Reused: the next record of each ring that has one.
    heads: Vec<(usize, Key)>,
}

/// How far a pass goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Until it might leave something behind that belongs before what it takes.
    InOrder,
    /// Until everything is taken that was published when the pass began.
    Whole,
}

/// What order costs at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Records taken from one ring though another's are earlier: switching has its price.
    slack: usize,
    /// Records after which a ring gets a turn, whatever its times.
    wait: usize,
}

impl Patience {
    /// For a reorder window of so many events.
    pub(crate) fn new(window: usize) -> Self {
        Self { slack: Self::extra(window), wait: window.max(1 << 12) }
    }

    /// By how many events the window has to be longer to make up for the slack.
    pub(crate) const fn extra(window: usize) -> usize {
        window / 64
    }
}

impl Rings {
    /// Hands records to `with`, in the order that they were called in as far as it can be known.
    /// Returns whether there were any.
    #[inline(always)]
    pub(crate) fn take(
        &mut self,
        link: &Link,
        patience: Patience,
        pass: Pass,
        mut with: impl FnMut(&[u64]),
    ) -> bool {
        loop {
            self.until.clear();
            self.until.extend(self.all.iter().map(Drain::published));
            let made = link.rings_made();
            if made == self.known {
                break;
            }
            self.known = made;
            self.ask(link);
        }
        let mut progress = false;
        if !self.before.is_empty() {
            progress = self.take_before(patience, &mut with);
        }
        progress |= if let ([ring], &[until]) = (&mut self.all[..], &self.until[..]) {
            ring.take(until, |record| {
                with(record);
                true
            })
        } else {
            self.merge(patience, pass, &mut with)
        };
        self.forget_released();
        progress
    }

    /// Takes over the rings that were made since it was asked last.
    pub(crate) fn ask(&mut self, link: &Link) {
        for NewRing { drain, before } in link.new_rings() {
            self.all.push(drain);
            if !before.is_empty() {
                self.before.push(before);
            }
        }
    }

    /// Takes what was there before the new rings were made.
    #[cold]
    #[inline(never)]
    fn take_before(&mut self, patience: Patience, with: &mut dyn FnMut(&[u64])) -> bool {
        let until = std::mem::take(&mut self.until);
        let mut progress = false;
        for before in std::mem::take(&mut self.before) {
            self.until.extend(self.all.iter().map(|drain| {
                before
                    .iter()
                    .find_map(|(ring, words)| drain.is_of(ring).then_some(*words))
                    .unwrap_or(0)
            }));
            progress |= self.merge(patience, Pass::Whole, with);
            self.until.clear();
        }
        self.until = until;
        progress
    }

    #[inline(never)]
    fn merge(&mut self, patience: Patience, pass: Pass, with: &mut dyn FnMut(&[u64])) -> bool {
        let Self { all, waited, until, heads, .. } = self;
        waited.resize(all.len(), 0);
        heads.clear();
        for (ring, drain) in all.iter_mut().enumerate() {
            heads.extend(next(drain).map(|key| (ring, key)));
        }
        let slack = patience.slack / all.len().max(1);
        let mut progress = false;
        while let Some((at, limit)) = choose(heads, waited, patience.wait) {
            let ring = heads[at].0;
            let is_late = waited[ring] > patience.wait;
            let most = if is_late { patience.wait / 8 } else { usize::MAX };
            let (mut taken, mut next_key) = (0, None);
            all[ring].take(until[ring], |record| {
                let key = key(record);
                if taken > slack && (key > limit || taken >= most) {
                    next_key = Some(key);
                    return false;
                }
                with(record);
                taken += 1;
                true
            });
            progress |= taken > 0;
            if taken == 0 && pass == Pass::InOrder {
                break;
            }
            for (other, _) in &*heads {
                waited[*other] += taken;
            }
            waited[ring] = 0;
            match next_key.or_else(|| if taken == 0 { None } else { next(&mut all[ring]) }) {
                Some(key) => heads[at].1 = key,
                None => drop(heads.swap_remove(at)),
            }
        }
        progress
    }

    /// Forgets the rings of threads that are gone.
    fn forget_released(&mut self) {
        let mut at = 0;
        while at < self.all.len() {
            // Released first: what was pushed before is then seen.
            if self.all[at].is_released() && self.all[at].is_empty() {
                self.all.remove(at);
                if at < self.waited.len() {
                    self.waited.remove(at);
                }
            } else {
                at += 1;
            }
        }
    }
}

/// The ring that is next, and up to where it may go: one that has waited long enough, or else the
/// earliest.
#[inline]
fn choose(heads: &[(usize, Key)], waited: &[usize], wait: usize) -> Option<(usize, Key)> {
    const LAST: Key = (u64::MAX, u64::MAX);
    let (mut least, mut first, mut second) = (None, LAST, LAST);
    for (at, &(ring, key)) in heads.iter().enumerate() {
        if waited[ring] > wait {
            return Some((at, LAST));
        }
        if key < first || least.is_none() {
            (least, first, second) = (Some(at), key, first);
        } else {
            second = second.min(key);
        }
    }
    least.map(|at| (at, second))
}

/// Where the ring's next record belongs, if there is one.
fn next(ring: &mut Drain) -> Option<Key> {
    let mut next = None;
    ring.take(u64::MAX, |record| {
        next = Some(key(record));
        false
    });
    next
}

/// Where a record belongs among others.
#[inline]
fn key(record: &[u64]) -> Key {
    let Some((&[head, _, start, word], _)) = record.split_first_chunk::<HEAD_WORDS>() else {
        return (0, 0);
    };
    match Kind::of(head) {
        Some(Kind::Slice) => pending::key(start, word),
        // Around all that begin with it.
        Some(Kind::Begin) => (start, 0),
        _ => pending::key(start, start),
    }
}
