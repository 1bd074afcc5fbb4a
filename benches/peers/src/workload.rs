//! W6: 1,000,000 durations over 64 tracks in 8 groups, with 200 names and two integer arguments
//! each, and with every fourth of them a sample of one of 8 counters. Times ascend. An event is a
//! duration or a sample.

pub const DURATIONS: u64 = 1_000_000;
pub const EVENTS: u64 = DURATIONS + DURATIONS / 4;
pub const TRACKS: usize = 64;
pub const GROUPS: usize = 8;
pub const NAMES: usize = 200;
pub const COUNTERS: usize = 8;
pub const KEYS: [&str; 2] = ["m", "k"];
pub const UNIT: &str = "GB/s";
pub const BATCH: usize = 256 << 10;
/// When the first duration begins, in ns: peers that count in µs take 0 for no time.
const FIRST: u64 = 1_000;

#[derive(Clone, Copy)]
pub struct Duration {
    pub start: u64,
    pub length: u64,
    pub track: usize,
    pub name: usize,
    pub m: i64,
    pub k: i64,
}

#[derive(Clone, Copy)]
pub struct Sample {
    pub time: u64,
    pub counter: usize,
    pub value: f64,
}

/// The duration `i` over so many tracks, a power of two, on each of which one begins every 2,560 ns.
#[inline(always)]
pub fn duration(i: u64, tracks: usize) -> Duration {
    Duration {
        start: FIRST + ((i * 2_560) >> tracks.trailing_zeros()),
        length: 1_500,
        track: i as usize & (tracks - 1),
        name: (i % NAMES as u64) as usize,
        m: (i % 1_000) as i64,
        k: (i % 77) as i64,
    }
}

/// The sample that goes with the duration `i`.
#[inline(always)]
pub fn sample(i: u64, time: u64) -> Option<Sample> {
    i.is_multiple_of(4).then(|| Sample {
        time,
        counter: (i / 4) as usize % COUNTERS,
        value: i as f64 * 0.5,
    })
}

pub fn names() -> Vec<String> {
    (0..NAMES).map(|name| format!("kernel_{name:03}")).collect()
}

pub fn group_name(group: usize) -> String {
    format!("Die:{group}")
}

pub fn track_name(track: usize) -> String {
    format!("XPU:{track}")
}

pub fn counter_name(counter: usize) -> String {
    format!("bandwidth {counter}")
}

/// Somebody who writes durations and samples.
pub trait Writer: Sized {
    fn duration(&mut self, duration: Duration);
    fn sample(&mut self, sample: Sample);

    /// W6, event by event.
    #[inline(always)]
    fn w6(mut self) -> Self {
        for i in 0..DURATIONS {
            let duration = duration(i, TRACKS);
            self.duration(duration);
            if let Some(sample) = sample(i, duration.start) {
                self.sample(sample);
            }
        }
        self
    }
}

/// The tracks of W6 numbered from 1, those with most events first, so that their numbers are one
/// byte: for writers that number tracks themselves.
pub mod uuid {
    use super::{COUNTERS, GROUPS, TRACKS, UNIT, counter_name, group_name, track_name};

    pub const fn track(track: usize) -> u64 {
        1 + track as u64
    }

    pub const fn counter(counter: usize) -> u64 {
        1 + (TRACKS + counter) as u64
    }

    pub const fn group(group: usize) -> u64 {
        1 + (TRACKS + COUNTERS + group) as u64
    }

    pub struct Descriptor {
        pub uuid: u64,
        pub parent: Option<u64>,
        pub name: String,
        /// Of a counter.
        pub unit: Option<&'static str>,
    }

    pub fn descriptors() -> impl Iterator<Item = Descriptor> {
        let groups = (0..GROUPS).map(|at| Descriptor {
            uuid: group(at),
            parent: None,
            name: group_name(at),
            unit: None,
        });
        let tracks = (0..TRACKS).map(|at| Descriptor {
            uuid: track(at),
            parent: Some(group(at % GROUPS)),
            name: track_name(at),
            unit: None,
        });
        let counters = (0..COUNTERS).map(|at| Descriptor {
            uuid: counter(at),
            parent: Some(group(at % GROUPS)),
            name: counter_name(at),
            unit: Some(UNIT),
        });
        groups.chain(tracks).chain(counters)
    }
}
