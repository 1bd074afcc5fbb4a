//! The live clock: ticks that a recording thread reads, and what they are in nanoseconds.
//!
//! Ticks are the processor's time-stamp counter where it is invariant and the kernel itself keeps
//! time with it, else nanoseconds of `CLOCK_BOOTTIME`. The worker turns them into the trace's time
//! by reading both clocks together before each drain: what was recorded since the last such reading
//! lies between the two, so that a line through them is exact to the noise of a reading, some tens of
//! nanoseconds, without knowing the counter's frequency, and follows every drift.
#![expect(unsafe_code, reason = "reading the processor's counter and the system's clocks")]

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

const UNKNOWN: u8 = 0;
const COUNTER: u8 = 1;
const SYSTEM: u8 = 2;

/// Which clock ticks are read from; decided once for the process.
static SOURCE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Where ticks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockSource {
    /// The processor's time-stamp counter, which is invariant here: some 10 ns a reading.
    Counter,
    /// `CLOCK_BOOTTIME` of the operating system: some 25 ns a reading.
    System,
}

/// Decides where ticks come from. To be called before the first reading.
pub(crate) fn prepare() -> ClockSource {
    if SOURCE.load(Ordering::Relaxed) == UNKNOWN {
        let source = if counter::is_usable() { COUNTER } else { SYSTEM };
        SOURCE.store(source, Ordering::Relaxed);
    }
    match SOURCE.load(Ordering::Relaxed) {
        COUNTER => ClockSource::Counter,
        _ => ClockSource::System,
    }
}

/// Reads ticks from where another process does.
pub(crate) fn set(is_counter: bool) {
    SOURCE.store(if is_counter { COUNTER } else { SYSTEM }, Ordering::Relaxed);
}

/// Ticks now.
#[inline(always)]
pub fn ticks() -> u64 {
    if SOURCE.load(Ordering::Relaxed) == COUNTER { counter::read() } else { system_ticks() }
}

/// Ticks now, read after all that the thread has loaded before: the counter may otherwise be read early.
#[inline(always)]
pub(crate) fn ticks_after_loads() -> u64 {
    counter::wait_for_loads();
    ticks()
}

/// How many ticks so much time is, to a part in some thousands: the first call takes a millisecond.
pub fn ticks_in(time: Duration) -> u64 {
    static SLOPE: OnceLock<u64> = OnceLock::new();
    let slope = *SLOPE.get_or_init(|| {
        prepare();
        let mut timeline = Timeline::start();
        while Clock::Boot.now_ns() < timeline.now_ns() + 1_000_000 {
            std::hint::spin_loop();
        }
        timeline.advance();
        timeline.slope.max(1)
    });
    let ticks = (time.as_nanos() << 32) / u128::from(slope);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[inline(never)]
fn system_ticks() -> u64 {
    Clock::Boot.now_ns()
}

/// A clock of the operating system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Since the machine started, its sleep included: the trace's time.
    Boot,
    /// Since some start, without the machine's sleep.
    Monotonic,
    /// The time of day, since 1970.
    Real,
}

#[cfg(target_os = "linux")]
impl Clock {
    /// Nanoseconds.
    #[expect(clippy::cast_sign_loss, reason = "these clocks are not negative")]
    pub(crate) fn now_ns(self) -> u64 {
        let clock = match self {
            Self::Boot => libc::CLOCK_BOOTTIME,
            Self::Monotonic => libc::CLOCK_MONOTONIC,
            Self::Real => libc::CLOCK_REALTIME,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid place for the result; these clocks are always there.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

#[cfg(not(target_os = "linux"))]
impl Clock {
    /// Nanoseconds; of all but the time of day, since the first reading in this process.
    pub(crate) fn now_ns(self) -> u64 {
        use std::time::{Instant, SystemTime};
        static START: OnceLock<Instant> = OnceLock::new();
        let time = match self {
            Self::Boot | Self::Monotonic => START.get_or_init(Instant::now).elapsed(),
            Self::Real => {
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
            }
        };
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(target_arch = "x86_64")]
mod counter {
    use std::arch::x86_64::{__cpuid, _mm_lfence, _rdtsc};

    #[inline(always)]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction.
        unsafe { _rdtsc() }
    }

    #[inline(always)]
    pub(super) fn wait_for_loads() {
        // SAFETY: every x86-64 processor has the instruction.
        unsafe { _mm_lfence() };
    }

    /// Whether the counter runs at one rate whatever the processor does, and is the same on all
    /// cores: the processor says the first, and that the kernel uses it says the second.
    pub(super) fn is_usable() -> bool {
        const INVARIANT: u32 = 1 << 8;
        #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
        // SAFETY: every x86-64 processor has the instruction.
        let (last, power) = unsafe { (__cpuid(0x8000_0000), __cpuid(0x8000_0007)) };
        let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        last.eax >= 0x8000_0007
            && power.edx & INVARIANT != 0
            && std::fs::read_to_string(source).is_ok_and(|source| source.trim() == "tsc")
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod counter {
    pub(super) fn read() -> u64 {
        0
    }

    pub(super) fn wait_for_loads() {}

    pub(super) fn is_usable() -> bool {
        false
    }
}

/// Both clocks at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Anchor {
    ticks: u64,
    ns: u64,
}

impl Anchor {
    /// The time of `ticks` on the line through this reading.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "times of a trace fit 63 bits")]
    fn on_line(&self, slope: u64, ticks: u64) -> u64 {
        let since = ticks.wrapping_sub(self.ticks).cast_signed();
        let ns = (i128::from(since) * i128::from(slope)) >> 32;
        self.ns.wrapping_add_signed(ns as i64)
    }

    /// Nanoseconds a tick on the line to a later reading, times 2^32.
    fn slope_to(&self, later: Self) -> u64 {
        let (ticks, ns) = (later.ticks - self.ticks, later.ns - self.ns);
        u64::try_from((u128::from(ns) << 32) / u128::from(ticks)).unwrap_or(u64::MAX)
    }

    /// The reading with the least time around it, of a few: the thread may be interrupted in one.
    fn read() -> Self {
        let mut best = (u64::MAX, Self { ticks: 0, ns: 0 });
        for _ in 0..4 {
            let before = ticks();
            let ns = Clock::Boot.now_ns();
            let around = ticks().saturating_sub(before);
            if around < best.0 {
                best = (around, Self { ticks: before + around / 2, ns });
            }
        }
        best.1
    }
}

/// Turns ticks into nanoseconds of `BOOTTIME`.
#[derive(Debug)]
pub(crate) struct Timeline {
    last: Anchor,
    now: Anchor,
    /// Nanoseconds a tick between the two, times 2^32.
    slope: u64,
    /// The readings before, and the slopes after them: for what a thread has read and was interrupted
    /// before it was published. On another line it would come to lie a little off, and so, perhaps, on
    /// the wrong side of what another thread did. Also for spans that are recorded once they have lasted
    /// for a while: of old readings fewer are kept, but never none.
    before: VecDeque<(Anchor, u64)>,
}

/// Readings that are kept.
const MAX_BEFORE: usize = 1 << 10;
/// Two old readings that are kept lie apart by this part of their age, or less.
const APART: u64 = 32;

impl Timeline {
    pub(crate) fn start() -> Self {
        let now = Anchor::read();
        Self { last: now, now, slope: 1 << 32, before: VecDeque::new() }
    }

    /// Reads both clocks. Times of what was recorded before are known then.
    pub(crate) fn advance(&mut self) {
        let now = Anchor::read();
        self.advance_to(now);
    }

    fn advance_to(&mut self, now: Anchor) {
        // Clocks that stand still, or were set back, say nothing.
        if now.ticks > self.now.ticks && now.ns >= self.now.ns {
            // The first reading has no line before it.
            if self.last != self.now {
                if self.before.len() == MAX_BEFORE {
                    self.thin();
                }
                self.before.push_back((self.last, self.slope));
            }
            self.slope = self.now.slope_to(now);
            self.last = self.now;
            self.now = now;
        }
    }

    /// Forgets readings that others lie close enough around for their age: some hundred are left for
    /// every duration, be it days.
    fn thin(&mut self) {
        let old: Vec<_> = self.before.iter().map(|&(anchor, _)| anchor).collect();
        let mut kept = Vec::with_capacity(MAX_BEFORE);
        for (at, &anchor) in old.iter().enumerate() {
            let next = old.get(at + 1).unwrap_or(&self.last);
            let age = self.now.ticks - anchor.ticks;
            if kept.last().is_none_or(|last: &Anchor| next.ticks - last.ticks > age / APART) {
                kept.push(anchor);
            }
        }
        // So many only if the clock stood still in between; then the oldest are over.
        kept.drain(..kept.len().saturating_sub(MAX_BEFORE * 7 / 8));
        let nexts = kept.iter().skip(1).chain([&self.last]);
        self.before =
            kept.iter().zip(nexts).map(|(&one, &next)| (one, one.slope_to(next))).collect();
    }

    /// The time of `ticks`, which were read between the last two readings, or little before.
    #[inline(always)]
    pub(crate) fn ns(&self, ticks: u64) -> u64 {
        if ticks >= self.last.ticks {
            self.last.on_line(self.slope, ticks)
        } else {
            self.earlier_ns(ticks)
        }
    }

    #[cold]
    #[inline(never)]
    fn earlier_ns(&self, ticks: u64) -> u64 {
        let after = self.before.partition_point(|(anchor, _)| anchor.ticks <= ticks);
        match self.before.get(after.saturating_sub(1)) {
            Some((anchor, slope)) => anchor.on_line(*slope, ticks),
            None => self.last.on_line(self.slope, ticks),
        }
    }

    /// No time that is still to be converted is earlier, but by accident.
    pub(crate) fn earliest_ns(&self) -> u64 {
        self.last.ns
    }

    /// The time of the last reading.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now.ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks: u64, ns: u64) -> Anchor {
        Anchor { ticks, ns }
    }

    fn timeline(now: Anchor, slope: u64) -> Timeline {
        Timeline { last: at(0, 0), now, slope, before: VecDeque::new() }
    }

    #[test]
    fn times_lie_on_a_line_from_reading_to_reading() {
        let mut timeline = timeline(at(1_000, 500), 1 << 31);
        timeline.advance_to(at(3_000, 1_500));
        assert_eq!(timeline.ns(1_000), 500);
        assert_eq!(timeline.ns(2_000), 1_000);
        assert_eq!(timeline.ns(3_000), 1_500);
        // Read before the last reading, published after it.
        assert_eq!(timeline.ns(800), 400);
        timeline.advance_to(at(4_000, 3_500));
        assert_eq!((timeline.ns(3_000), timeline.ns(3_500)), (1_500, 2_500));
        // What was read long ago stays on the line of its time.
        assert_eq!((timeline.ns(2_000), timeline.ns(800), timeline.ns(10)), (1_000, 400, 5));
    }

    #[test]
    fn what_was_read_before_the_first_reading_lies_on_the_first_line() {
        let mut timeline = Timeline { last: at(1_000, 500), ..timeline(at(1_000, 500), 1 << 32) };
        timeline.advance_to(at(3_000, 1_500));
        assert_eq!(timeline.ns(800), 400);
        timeline.advance_to(at(4_000, 3_500));
        assert_eq!(timeline.ns(800), 400);
    }

    #[test]
    fn what_was_read_long_ago_lies_on_the_line_of_its_time_however_many_readings_ago() {
        // A clock that runs faster and faster, by a fiftieth each hour.
        let ns = |ticks: u64| {
            ticks + u64::try_from(u128::from(ticks).pow(2) / 360_000_000_000_000).expect("hours")
        };
        let mut timeline = timeline(at(1_000, ns(1_000)), 1 << 32);
        timeline.last = timeline.now;
        let step = 5_000_000;
        for reading in 1..200_000 {
            timeline.advance_to(at(reading * step, ns(reading * step)));
            if reading % 10_007 == 0 {
                let mut before = 0;
                for part in 1..=1_000 {
                    let ticks = reading * step / 1_000 * part;
                    let (got, is) = (timeline.ns(ticks), ns(ticks));
                    // A thousandth of a thousandth of what has passed since.
                    let off = (reading * step - ticks) / 1_000_000 + 10;
                    assert!(got.abs_diff(is) <= off, "{reading} {part} {got} {is}");
                    assert!(got >= before);
                    before = got;
                }
            }
        }
        assert!(timeline.before.len() <= MAX_BEFORE);
    }

    #[test]
    fn ticks_of_a_time_are_as_many_as_pass_in_it() {
        let second = ticks_in(Duration::from_secs(1));
        let (before, start) = (ticks(), Clock::Boot.now_ns());
        while Clock::Boot.now_ns() < start + 20_000_000 {}
        let passed = ticks() - before;
        assert!(passed >= second / 51, "{passed} of {second}");
        assert_eq!(ticks_in(Duration::ZERO), 0);
    }

    #[test]
    fn a_clock_that_stands_still_or_steps_back_bends_nothing() {
        let mut timeline = timeline(at(1_000, 1_000), 1 << 32);
        timeline.advance_to(at(1_000, 1_700));
        timeline.advance_to(at(1_500, 900));
        assert_eq!(timeline.ns(700), 700);
        assert_eq!(timeline.now_ns(), 1_000);
    }

    #[test]
    fn a_long_sleep_does_not_overflow() {
        let day = 86_400_000_000_000;
        let mut timeline = timeline(at(0, 0), 0);
        timeline.advance_to(at(10 * day, 3 * day));
        // The slope is rounded down, by less than 2^-32.
        assert!(3 * day - timeline.ns(10 * day) <= (10 * day) >> 32);
    }

    #[test]
    fn ticks_ascend_and_agree_with_the_system() {
        prepare();
        let mut timeline = Timeline::start();
        let (before, reading, after) = (Clock::Boot.now_ns(), ticks(), Clock::Boot.now_ns());
        std::thread::yield_now();
        timeline.advance();
        let ns = timeline.ns(reading);
        let slack = 100_000; // the machine may do something else in between
        assert!(before - slack <= ns && ns <= after + slack, "{before} {ns} {after}");
    }
}
