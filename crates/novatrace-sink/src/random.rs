//! Random numbers, for what tells traces apart that may be joined to one file.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

/// Random numbers that no other call has got, of this process or another, a fork of this one
/// included.
#[must_use]
pub fn random<const N: usize>() -> [u64; N] {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    // The standard library's hash keys are random, but a fork has the same ones; and the system's
    // randomness may be out of reach. Each makes up for the other.
    let keys = RandomState::new();
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let time = UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut source = File::open("/dev/urandom").ok();
    std::array::from_fn(|at| {
        let mut bytes = [0; 8];
        if let Some(source) = &mut source {
            // Without them the hash has to do.
            let _ = source.read_exact(&mut bytes);
        }
        keys.hash_one((std::process::id(), call, time, at)) ^ u64::from_ne_bytes(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_comes_twice() {
        let mut numbers: Vec<u64> = (0..100).flat_map(|_| random::<4>()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 400);
    }
}
