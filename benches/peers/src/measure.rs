//! Times, medians and tables.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::workload::BATCH;

/// What a stretch of the program took, in nanoseconds.
#[derive(Clone, Copy)]
pub struct Took {
    pub wall: f64,
    /// The processor's time in all threads, user's and system's.
    pub processor: f64,
}

pub fn time(work: impl FnOnce()) -> Took {
    let (processor, wall) = (processor_ns(), Instant::now());
    work();
    let wall = wall.elapsed().as_nanos() as f64;
    Took { wall, processor: processor_ns() - processor }
}

fn processor_ns() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a place for one `rusage`, which zeroes are too.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let ns = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// A number from `/proc/self/status`, such as `VmHWM:`.
pub fn memory_kib(key: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("Linux says so")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Prints rows in aligned columns, the first to the left and the others to the right.
pub fn print_table(rows: &[Vec<String>]) {
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, &width) in row.iter().zip(&widths).skip(1) {
            line += &format!("  {cell:>width$}");
        }
        println!("{}", line.trim_end());
    }
}

pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Bytes that are written to a file 256 KiB at a time, for writers that are not novatrace.
pub struct Batch {
    pub bytes: Vec<u8>,
    file: File,
}

impl Batch {
    pub fn create(path: &Path) -> Self {
        let file = File::create(path).expect("the file can be created");
        Self { bytes: Vec::with_capacity(BATCH + (64 << 10)), file }
    }

    #[inline(always)]
    pub fn write_if_full(&mut self) {
        if self.bytes.len() >= BATCH {
            self.write();
        }
    }

    #[inline(never)]
    fn write(&mut self) {
        self.file.write_all(&self.bytes).expect("the file can be written");
        self.bytes.clear();
    }

    pub fn close(mut self) {
        self.write();
    }
}
