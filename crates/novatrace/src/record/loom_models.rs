//! Models of the ring's protocol, which loom runs in every order that the memory model allows:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p novatrace --lib loom
//! ```
//!
//! The buffer's words have shadows that tell loom who touches them when, so that a word read while it
//! is written fails a model, and not only a wrong value. The fence that the worker runs on behalf of
//! all threads is one on each side here; `sync` says why that is the same. Parked threads are woken or
//! wait for ever, since there is no time in a model.
#![expect(unsafe_code, reason = "each model pushes from one thread")]

use std::sync::Arc;

use loom::thread;

use super::{Closed, Drain, Fill, Kind, Refusal, Ring, head, words_of};
use crate::sync;

/// A record all of whose words say which one it is.
struct Record(u64);

impl Fill for Record {
    fn fill(self, place: &mut [u64]) {
        place.fill(self.0);
        place[0] = head(Kind::Slice, 0, place.len(), 0);
    }
}

fn push(ring: &Ring, len: usize, record: u64) -> Result<bool, Closed> {
    // SAFETY: each model pushes from one thread.
    unsafe { ring.push(len, 0, &|| {}, Record(record)) }
}

fn try_push(ring: &Ring, len: usize, spare: u64, record: u64) -> Result<bool, Refusal> {
    // SAFETY: as above.
    unsafe { ring.try_push(len, spare, Record(record)) }
}

/// What a worker took.
#[derive(Default)]
struct Taken {
    records: Vec<u64>,
    ends: u64,
    told_lost: u64,
}

impl Taken {
    fn take(&mut self, drain: &mut Drain) {
        drain.take(u64::MAX, |words| {
            assert_eq!(words_of(words[0]), words.len() as u64);
            match Kind::of(words[0]) {
                Some(Kind::Slice) => {
                    assert!(words[1..].iter().all(|&word| word == words[1]), "torn: {words:?}");
                    self.records.push(words[1]);
                }
                Some(Kind::LiveEnd) => self.ends += 1,
                Some(Kind::Lost) => self.told_lost += words[2],
                other => panic!("{other:?}"),
            }
            true
        });
    }
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

/// An empty ring of `words` words whose next record begins at word `at`.
fn ring_at(words: usize, at: usize) -> (Arc<Ring>, Drain) {
    let (ring, mut drain) = Ring::with_bytes(8 * words);
    for _ in 0..at / 2 {
        assert_eq!(try_push(&ring, 2, 0, 0).map(drop), Ok(()));
    }
    drain.take(u64::MAX, |_| true);
    (ring, drain)
}

#[test]
fn records_come_out_whole_and_in_order_around_the_end_of_the_buffer() {
    model(4, || {
        let (ring, mut drain) = ring_at(8, 6);
        let owner = thread::spawn(move || {
            let lens = [4, 2, 4];
            let pushed = (1..).zip(lens).filter(|&(n, len)| try_push(&ring, len, 0, n).is_ok());
            pushed.map(|(n, _)| n).collect::<Vec<u64>>()
        });
        let mut taken = Taken::default();
        taken.take(&mut drain);
        taken.take(&mut drain);
        let pushed = owner.join().expect("no panic");
        taken.take(&mut drain);
        assert_eq!(taken.records, pushed);
        assert_eq!(pushed.first(), Some(&1));
    });
}

#[test]
fn a_full_ring_keeps_room_for_every_end() {
    model(4, || {
        let (ring, mut drain) = ring_at(8, 4);
        let owner = thread::spawn(move || {
            let mut open = 0;
            for n in 1..=3 {
                match try_push(&ring, 2, 2 * (open + 1), n) {
                    Ok(_) => open += 1,
                    Err(refusal) => {
                        assert_eq!(refusal, Refusal::Full);
                        ring.count_lost();
                    }
                }
            }
            for _ in 0..open {
                let end = [head(Kind::LiveEnd, 0, 2, 0), 0];
                // SAFETY: each begin kept the room.
                assert!(unsafe { ring.push_spare(end) }.is_ok());
            }
            open
        });
        let mut taken = Taken::default();
        taken.take(&mut drain);
        taken.take(&mut drain);
        let open = owner.join().expect("no panic");
        taken.take(&mut drain);
        assert_eq!((taken.records.len() as u64, taken.ends), (open, open));
        assert_eq!(taken.records.len() as u64 + drain.lost(), 3);
    });
}

#[test]
fn what_finds_no_room_is_counted_and_told() {
    model(3, || {
        let (ring, mut drain) = ring_at(16, 0);
        let owner = thread::spawn(move || {
            let mut accepted = vec![];
            for n in 1..=6 {
                match try_push(&ring, 4, 0, n) {
                    Ok(_) => accepted.push(n),
                    Err(_) => ring.count_lost(),
                }
            }
            accepted
        });
        let mut taken = Taken::default();
        taken.take(&mut drain);
        taken.take(&mut drain);
        let accepted = owner.join().expect("no panic");
        taken.take(&mut drain);
        assert_eq!(taken.records, accepted);
        assert_eq!(accepted.len() as u64 + drain.lost(), 6);
        assert!(taken.told_lost <= drain.lost());
        // What comes after a loss is preceded by the word of it.
        if accepted.last() == Some(&6) {
            assert_eq!(taken.told_lost, drain.lost());
        }
    });
}

#[test]
fn each_push_is_either_taken_or_refused_when_closing_races() {
    model(5, || {
        let (ring, mut drain) = ring_at(16, 14);
        let owner = thread::spawn(move || {
            let pushed = (1..=3).filter(|&n| try_push(&ring, 2, 0, n).is_ok());
            pushed.collect::<Vec<u64>>()
        });
        let mut taken = Taken::default();
        taken.take(&mut drain);
        drain.begin_close();
        sync::heavy();
        drain.finish_close();
        taken.take(&mut drain);
        let accepted = owner.join().expect("no panic");
        assert_eq!(taken.records, accepted);
        taken.take(&mut drain);
        assert_eq!(taken.records, accepted, "refused, and taken all the same");
    });
}

#[test]
fn an_owner_that_waits_for_room_is_woken() {
    model(3, || {
        let (ring, mut drain) = ring_at(8, 4);
        let owner = thread::spawn(move || {
            for n in 1..=4 {
                assert!(push(&ring, 3, n).is_ok());
            }
            ring.release();
        });
        let mut taken = Taken::default();
        while !(drain.is_released() && drain.is_empty()) {
            taken.take(&mut drain);
            thread::yield_now();
        }
        assert_eq!(taken.records, [1, 2, 3, 4]);
        owner.join().expect("no panic");
    });
}

#[test]
fn an_owner_that_waits_for_room_is_woken_by_the_close() {
    model(3, || {
        let (ring, mut drain) = ring_at(8, 0);
        let owner = thread::spawn(move || {
            let pushed = (1..=3).filter(|&n| push(&ring, 4, n).is_ok());
            pushed.collect::<Vec<u64>>()
        });
        drain.begin_close();
        sync::heavy();
        drain.finish_close();
        let accepted = owner.join().expect("no panic");
        let mut taken = Taken::default();
        taken.take(&mut drain);
        assert_eq!(taken.records, accepted);
    });
}

#[test]
fn a_ring_that_is_let_go_has_shown_all_it_has() {
    model(5, || {
        let (ring, mut drain) = ring_at(8, 0);
        let owner = thread::spawn(move || {
            assert!(try_push(&ring, 2, 0, 1).is_ok());
            assert!(try_push(&ring, 2, 0, 2).is_ok());
            ring.count_lost();
            ring.release();
        });
        let mut taken = Taken::default();
        taken.take(&mut drain);
        if drain.is_released() {
            let is_empty = drain.is_empty();
            taken.take(&mut drain);
            assert_eq!((taken.records.as_slice(), drain.lost()), ([1, 2].as_slice(), 1));
            assert!(!is_empty || taken.records.len() == 2);
        }
        owner.join().expect("no panic");
    });
}

/// That a model would notice: without the worker's fence, a push and the close can miss each other.
#[test]
#[should_panic(expected = "left == right")]
fn without_the_fence_a_push_is_lost() {
    model(5, || {
        let (ring, mut drain) = ring_at(8, 0);
        let owner = thread::spawn(move || try_push(&ring, 2, 0, 1).is_ok());
        drain.begin_close();
        drain.finish_close();
        let mut taken = Taken::default();
        taken.take(&mut drain);
        assert_eq!(taken.records.len(), usize::from(owner.join().expect("no panic")));
    });
}
