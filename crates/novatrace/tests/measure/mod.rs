//! A sink that costs nothing, and the memory of the process.

use novatrace::Sink;

/// Takes everything and keeps nothing.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// A figure of the process's status, such as `VmRSS`, in KiB.
#[allow(dead_code, reason = "not every test measures memory")]
pub(crate) fn kib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(key)).expect("a line of it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
