//! The floors: two readings of the processor's counter and 24 bytes stored; for what is off, an empty
//! loop.

use std::hint::black_box;

use super::EVENTS;
use crate::measure::{median, time};

const SLOTS: u64 = 32_000;

#[inline(never)]
fn readings(events: u64, buffer: &mut [[u64; 3]]) {
    for at in 0..events {
        // SAFETY: every x86-64 processor has the instruction.
        let (begin, end) = unsafe { (core::arch::x86_64::_rdtsc(), core::arch::x86_64::_rdtsc()) };
        buffer[(at % SLOTS) as usize] = [at, begin, end];
    }
    black_box(buffer);
}

#[inline(never)]
fn nothing(events: u64) {
    for at in 0..events {
        black_box(at);
    }
}

/// Nanoseconds a span, of the one and of the other.
pub struct Floor {
    buffer: Vec<[u64; 3]>,
    readings: Vec<f64>,
    nothing: Vec<f64>,
}

impl Floor {
    pub fn new() -> Self {
        let mut buffer = vec![[1; 3]; SLOTS as usize];
        // Warms up.
        readings(EVENTS, &mut buffer);
        Self { buffer, readings: vec![], nothing: vec![] }
    }

    pub fn run(&mut self) {
        for _ in 0..3 {
            let took = time(|| readings(EVENTS, &mut self.buffer));
            self.readings.push(took.wall / EVENTS as f64);
            let took = time(|| nothing(EVENTS));
            self.nothing.push(took.wall / EVENTS as f64);
        }
    }

    pub fn readings(&self) -> f64 {
        median(self.readings.clone())
    }

    pub fn nothing(&self) -> f64 {
        median(self.nothing.clone())
    }
}
