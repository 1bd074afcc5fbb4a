//! A worker that was killed, in a process of its own, has a thread in its place until the trace is finished: it
//! keeps the program from waiting, and counts what is not in the trace.

use std::sync::Arc;
use std::time::Duration;

use super::link::{Link, NewRing};
use super::stats::Stats;
use super::threads::{NewThread, ThreadLink};
use crate::process::Program;
use crate::record::{Drain, Ring};

/// How long it waits at most for rings to fill.
const TICK: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Mourner {
    drains: Vec<Drain>,
    threads: Vec<Arc<ThreadLink>>,
    /// What the worker said last.
    stats: Stats,
    /// Events that it had taken, and that are in the file.
    taken: u64,
    written: u64,
    bytes: u64,
    lost: u64,
}

impl Mourner {
    /// Takes the worker's place, and cuts the file to what is known to be whole.
    pub(super) fn new(program: &Program) -> Self {
        let kept = program.take_over();
        let (bytes, written) = program.cut();
        let taken = kept.events + kept.rings.iter().map(|ring| ring.events_taken()).sum::<u64>();
        let drains = kept.rings.iter().map(Ring::end_anew).collect();
        let (stats, lost) = (program.stats(), kept.lost);
        Self { drains, threads: Vec::new(), stats, taken, written, bytes, lost }
    }

    /// What is left of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Until the trace is finished.
    pub(super) fn run(mut self, link: &Link, program: &Program) {
        loop {
            // Asked first: what was recorded before the request is then in the rings.
            let asked = link.asked();
            if asked.finish {
                link.refuse_rings();
                self.adopt(link);
                self.drains.iter().for_each(Drain::begin_close);
                self.threads.iter().for_each(|thread| thread.begin_close());
                link.fence();
                self.drains.iter().for_each(Drain::finish_close);
                self.threads.iter().for_each(|thread| thread.finish_close());
                while self.take() {}
                program.leave();
                return link.done(self.stats());
            }
            self.adopt(link);
            let progress = self.take();
            link.answer(asked.flushes, self.stats());
            if !progress {
                link.sleep(TICK, || self.drains.iter().all(Drain::is_empty));
            }
        }
    }

    fn adopt(&mut self, link: &Link) {
        self.drains.extend(link.new_rings().into_iter().map(|NewRing { drain, .. }| drain));
        for NewThread { drain, thread } in link.new_threads() {
            self.drains.push(drain);
            self.threads.push(thread);
        }
        self.drains.extend(self.threads.iter().filter_map(|thread| thread.next_ring()));
        drop(link.ends());
    }

    /// Takes what there is, and counts it. Whether there was anything.
    fn take(&mut self) -> bool {
        let mut progress = false;
        self.drains.retain_mut(|drain| {
            let events = drain.events();
            progress |= drain.take(u64::MAX, |_| true);
            self.taken += drain.events() - events;
            let is_over = drain.is_released() && drain.is_empty();
            if is_over {
                self.lost += drain.lost();
            }
            !is_over
        });
        self.threads.retain(|thread| Arc::strong_count(thread) > 1);
        progress
    }

    fn stats(&self) -> Stats {
        let lost = self.lost + self.drains.iter().map(Drain::lost).sum::<u64>();
        let dropped = self.taken.saturating_sub(self.stats.refused + self.written);
        Stats { events: self.taken, bytes: self.bytes, dropped, lost, ..self.stats }
    }
}
