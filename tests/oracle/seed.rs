//! Random numbers of a test, which whoever runs it can have again.

use std::hash::BuildHasher;

use proptest::test_runner::{RngAlgorithm, TestRng};

/// A number that the environment gives.
pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// `NOVATRACE_SEED`, or another number each time; and the random numbers that it has.
pub(crate) fn seeded() -> (u64, TestRng) {
    let seed =
        number("NOVATRACE_SEED").unwrap_or_else(|| std::hash::RandomState::new().hash_one(0));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    (seed, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
