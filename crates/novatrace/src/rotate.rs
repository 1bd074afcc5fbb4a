//! A trace in several files: when one ends and the next begins, what they are called, and how many are
//! kept. Does not belong here: what is carried over (`worker/parts.rs`).

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use novatrace_sink::{Compression, FileSink};

use crate::error::{Error, ErrorKind};
use crate::sink;
use crate::worker::{Config, Destination};

/// When a trace goes on in another file: for [`TraceBuilder::rotate`](crate::TraceBuilder::rotate) and
/// [`SessionBuilder::rotate`](crate::SessionBuilder::rotate).
///
/// The parts of `run.pftrace` are `run.0001.pftrace`, `run.0002.pftrace` and so on; attribute `part` of
/// each has its number. Each opens by itself: it has all rows, and what the part before left open.
///
/// - A slice that is open at the cut ends there, with the argument `continues`, and begins again in the
///   next part with its name, categories, arguments and flows, and the argument `continued`. So lengths can be
///   added up over parts, and what is not `continued` is counted once. A generator's slice whose end is
///   not known yet ([`begin`](crate::NormalTrack::begin)) has no end in the part, and is in the next one
///   from its start.
/// - A counter's last value is the first one of the next part.
/// - An arrow from one part into another is shown only if it starts at a slice that is carried over.
///
/// Joined with `cat`, the parts are one trace.
///
/// ```
/// use std::time::Duration;
/// use novatrace::{Rotate, Session};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.pftrace");
/// // The last hour or so, in files of ten minutes, or of 1 GB if that is reached first.
/// let rotate = Rotate::every(Duration::from_secs(600)).or_bytes(1_000_000_000).keep(6);
/// let session = Session::builder().rotate(rotate).create(&path)?;
/// novatrace::instant!("checkpoint");
/// let report = session.close()?;
/// assert_eq!(report.parts, 1);
/// assert!(folder.path().join("app.0001.pftrace").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate {
    bytes: u64,
    every: Duration,
    keep: Option<NonZeroU32>,
}

impl Rotate {
    /// A part ends when it has so many bytes. It can be larger by what the worker takes in one turn, some MB in
    /// a program that records millions of events a second, and is at least twice as large as what is
    /// carried over.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self { bytes, every: Duration::MAX, keep: None }
    }

    /// A part ends after so much time, of the clock on the wall also for traces that have times of their
    /// own. There is none in which nothing was recorded.
    #[must_use]
    pub const fn every(time: Duration) -> Self {
        Self { bytes: u64::MAX, every: time, keep: None }
    }

    /// Also when the part has so many bytes.
    #[must_use]
    pub const fn or_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// Also after so much time.
    #[must_use]
    pub const fn or_every(self, time: Duration) -> Self {
        Self { every: time, ..self }
    }

    /// As it is sent to a worker in another process: bytes, time, and how many are kept.
    pub(crate) fn facts(self) -> (u64, Duration, u32) {
        (self.bytes, self.every, self.keep.map_or(0, NonZeroU32::get))
    }

    /// The reverse of [`facts`](Self::facts).
    pub(crate) fn of_facts((bytes, every, keep): (u64, Duration, u32)) -> Self {
        Self { bytes, every, keep: NonZeroU32::new(keep) }
    }

    /// How many parts are kept, the one that is being written included; all, by default, and for 0. The oldest is
    /// removed when another begins.
    #[must_use]
    pub const fn keep(self, parts: u32) -> Self {
        Self { keep: NonZeroU32::new(parts), ..self }
    }
}

/// The file of a trace on `path`: of its first part, if it has parts.
pub(crate) fn create(config: &mut Config, path: &Path) -> Result<FileSink, Error> {
    if config.rotate.is_none() {
        return Ok(FileSink::create(path).map_err(ErrorKind::Create)?);
    }
    // Whatever folder the program goes to.
    config.rotate_path = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    // Parts of an earlier trace would be taken for this one's. Its last is locked if it is not finished.
    let old = parts_of(path);
    if let Some(last) = old.last() {
        drop(FileSink::create(part_path(path, *last)).map_err(ErrorKind::Create)?);
    }
    let first = FileSink::create(part_path(path, 1)).map_err(ErrorKind::Create)?;
    for number in old.into_iter().filter(|number| *number != 1) {
        let _ = std::fs::remove_file(part_path(path, number)); // As when there are too many.
    }
    Ok(first)
}

/// Whoever makes a sink gives it no name for further parts.
pub(crate) fn refuse(config: &Config) -> Result<(), Error> {
    if config.rotate.is_some() { Err(ErrorKind::RotatesNoSink.into()) } else { Ok(()) }
}

/// `name.0001.pftrace` for `name.pftrace`.
fn part_path(path: &Path, number: u32) -> PathBuf {
    sink::numbered(path, format_args!("{number:04}"))
}

/// The parts of `path` that there are, in order.
fn parts_of(path: &Path) -> Vec<u32> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(files) = std::fs::read_dir(folder.unwrap_or(Path::new("."))) else { return vec![] };
    let number = |name: &Path| {
        let stem = if path.extension().is_some() { Path::new(name.file_stem()?) } else { name };
        let number = stem.extension()?.to_str()?.parse().ok()?;
        (Some(name) == part_path(path, number).file_name().map(Path::new)).then_some(number)
    };
    let names = files.filter_map(|file| Some(file.ok()?.file_name()));
    let mut numbers: Vec<u32> = names.filter_map(|name| number(Path::new(&name))).collect();
    numbers.sort_unstable();
    numbers
}

/// The parts of a trace, as the worker goes from one to the next.
#[derive(Debug)]
pub(crate) struct Rotation {
    rotate: Rotate,
    /// Empty if they are in memory, where they have no names.
    path: PathBuf,
    compression: Compression,
    /// Of the part that is being written, from 1.
    number: u32,
    since: Instant,
}

impl Rotation {
    /// At the first part, if the trace is to have parts.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let in_memory = config.flight.is_some().then(PathBuf::new);
        let (rotate, path) = (config.rotate?, config.rotate_path.clone().or(in_memory)?);
        let compression = config.compression;
        Some(Self { rotate, path, compression, number: 1, since: Instant::now() })
    }

    /// Of the parts to come.
    pub(crate) fn set_compression(&mut self, compression: Compression) {
        self.compression = compression;
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Where the part is.
    pub(crate) fn part_path(&self) -> PathBuf {
        part_path(&self.path, self.number)
    }

    /// Whether a part of so many bytes is to end, of which some were carried over, and in which something
    /// has happened since or not.
    pub(crate) fn is_full(&self, bytes: u64, carried: u64, has_events: bool) -> bool {
        let is_large = bytes >= self.rotate.bytes && bytes / 2 >= carried;
        has_events && (is_large || self.since.elapsed() >= self.rotate.every)
    }

    /// Goes on to the next part, whatever becomes of it.
    pub(crate) fn next(&mut self) {
        self.number += 1;
        self.since = Instant::now();
    }

    /// Makes the part's file, and removes one that is not to be kept.
    pub(crate) fn open(&self) -> io::Result<Destination> {
        let path = self.part_path();
        let file = FileSink::create(&path).map_err(io::Error::other)?;
        if let Some(keep) = self.rotate.keep
            && let Some(old @ 1..) = self.number.checked_sub(keep.get())
        {
            // If it cannot be removed, or someone has, that is no fault of the trace.
            let _ = std::fs::remove_file(part_path(&self.path, old));
        }
        Ok(Destination::sink(file, self.compression, Some(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_before_the_last_extension() {
        let part = |path: &str| part_path(Path::new(path), 12).display().to_string();
        assert_eq!(part("a/run.pftrace"), "a/run.0012.pftrace");
        assert_eq!(part("run.gpu.pftrace"), "run.gpu.0012.pftrace");
        assert_eq!(part("b.c/run"), "b.c/run.0012");
        assert_eq!(part_path(Path::new("run"), 12_345), Path::new("run.12345"));
    }

    #[test]
    fn parts_are_known_by_their_names_and_nothing_else_is_taken_for_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let others = [
            "run.pftrace",
            "run.1.pftrace",
            "run.00001.pftrace",
            "run.0004.json",
            "run.x.pftrace",
            "my.run.0004.pftrace",
            "run.0004",
        ];
        for name in
            ["run.0012.pftrace", "run.0003.pftrace", "run.12345.pftrace"].iter().chain(&others)
        {
            std::fs::write(folder.path().join(name), "").expect("writable");
        }
        assert_eq!(parts_of(&folder.path().join("run.pftrace")), [3, 12, 12_345]);
        assert_eq!(parts_of(&folder.path().join("run")), [4]);
        assert_eq!(parts_of(&folder.path().join("missing/run.pftrace")), [0_u32; 0]);
    }

    #[test]
    fn a_part_ends_by_size_or_age_but_never_without_an_event() {
        let at = |rotate| {
            let mut config = crate::TraceGenerator::builder().rotate(rotate).into_config();
            config.rotate_path = Some(PathBuf::new());
            Rotation::of(&config).expect("it rotates")
        };
        let by_size = at(Rotate::bytes(100));
        assert!(!by_size.is_full(99, 10, true) && by_size.is_full(100, 10, true));
        assert!(!by_size.is_full(150, 100, true), "most of it was carried over");
        let by_age = at(Rotate::every(Duration::ZERO).or_bytes(1 << 40));
        assert!(by_age.is_full(11, 10, true) && !by_age.is_full(11, 10, false));
        let by_both = at(Rotate::bytes(100).or_every(Duration::from_secs(3_600)));
        assert!(!by_both.is_full(99, 10, true) && by_both.is_full(100, 10, true));
    }
}
