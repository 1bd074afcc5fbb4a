//! The choices that a trace is made with.

use std::path::Path;
use std::time::Duration;

use novatrace_core::Limits;
use novatrace_sink::{Compression, Sink};

use super::TraceGenerator;
use crate::error::Error;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::name::Name;
use crate::rotate::{self, Rotate};
use crate::sink::Target;
use crate::worker::{Bounds, Config, Destination, Link, Worker};

/// What becomes of slices of one track that overlap without one holding the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overlap {
    /// The later one is drawn on an extra lane of the same row.
    #[default]
    Lane,
    /// The later one is left out and counted, and is an error of `flush` and `finish`.
    Refuse,
}

/// What becomes of slices that are still open when the trace is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OpenSlices {
    /// They end at the last time of the trace, and are counted. If the program is killed they never end, as with
    /// `Leave`.
    #[default]
    Close,
    /// They stay open, on a lane of their own, and are counted; the viewer draws them to the end.
    Leave,
}

/// The value of an attribute of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number.
    Int(i64),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// Makes a [`TraceGenerator`] with choices of one's own.
///
/// ```
/// use novatrace::{Overlap, TraceGenerator};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sim.pftrace");
/// let trace = TraceGenerator::builder()
///     .attribute("model", "llama")
///     .attribute("dies", 2)
///     .overlap(Overlap::Refuse)
///     .create(&path)?;
/// let engine = trace.group("Die:0").track("XPU:0");
/// engine.duration(0, 10, "first").emit()?;
/// engine.duration(5, 10, "second").emit()?;
/// let error = trace.finish().expect_err("an engine does one thing at a time");
/// assert_eq!(
///     error.to_string(),
///     "slices overlap on track `XPU:0`: `first` from 0 to 10 ns, \
///      and `second` from 5 to 15 ns, which is left out",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder makes no trace until `create` or `sink`"]
pub struct TraceBuilder {
    config: Config,
}

impl Default for TraceBuilder {
    fn default() -> Self {
        Self {
            config: Config {
                attributes: Vec::new(),
                limits: Limits::default(),
                window: 1 << 14,
                overlap: Overlap::default(),
                open_slices: OpenSlices::default(),
                default_category: Some(Name::new("default")),
                ring_bytes: 1 << 20,
                batch: Bounds::default(),
                is_live: false,
                process_name: None,
                process: 0,
                worker: Worker::default(),
                compression: Compression::None,
                rotate: None,
                rotate_path: None,
                flight: None,
                shared: None,
            },
        }
    }
}

impl TraceBuilder {
    /// For a live session, which has the same choices and more.
    pub(crate) fn into_config(self) -> Config {
        self.config
    }

    /// A fact about the trace, shown in the viewer's info page; of equal keys the last is shown.
    pub fn attribute(mut self, key: &str, value: impl Into<Attribute>) -> Self {
        self.config.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// How much of nested arguments is kept; by default 256 items of a container, 32 containers
    /// deep. The trace says how much was left out.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// How many events a slice may come late without getting a lane of its own; 16,384 by default: so
    /// many fit the processor's cache.
    ///
    /// The worker holds up to four times as many events, some 50 bytes each and no more than 64 MiB
    /// in all. A program that is killed loses what is held. 0 is for events that come in order.
    pub fn window(mut self, events: usize) -> Self {
        self.config.window = events;
        self
    }

    /// What becomes of slices that overlap; a lane by default.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.config.overlap = overlap;
        self
    }

    /// What becomes of slices that are open at the end; closed by default.
    pub fn open_slices(mut self, open_slices: OpenSlices) -> Self {
        self.config.open_slices = open_slices;
        self
    }

    /// The category of slices and instants that name none; "default" by default. `None` writes
    /// none, 2 bytes less an event, but Perfetto's JSON export then leaves those events out.
    pub fn default_category(mut self, category: Option<&str>) -> Self {
        self.config.default_category = category.map(Name::new);
        self
    }

    /// The size of each recording thread's ring; 1 MiB by default, at least 4 KiB, at most 1 GiB, and
    /// rounded up to a power of two. A thread that fills it faster than the worker empties it waits.
    pub fn ring_bytes(mut self, bytes: usize) -> Self {
        self.config.ring_bytes = bytes.min(1 << 30);
        self
    }

    /// When a batch goes to the sink: at so many packets or bytes at most, and so much time after its first
    /// packet at the latest; 16,384, 256 KiB and 100 ms by default. A packet is never split, so that a batch
    /// can be larger by the last one.
    ///
    /// Within these bounds the size follows the load: at first a batch goes at 4,096 packets or 64 KiB, which doubles
    /// whenever one fills in an eighth of the time, and is halved whenever one has waited the whole of it.
    /// [`TraceGenerator::set_batch`] changes the bounds while the trace is written.
    pub fn batch(mut self, packets: usize, bytes: usize, time: Duration) -> Self {
        self.config.batch = Bounds::new(packets, bytes, time);
        self
    }

    /// Where the worker is: a thread by default.
    pub fn worker(mut self, worker: Worker) -> Self {
        self.config.worker = worker;
        self
    }

    /// How the trace is compressed; not at all by default. It is done by a thread of its own: recording
    /// costs what it costs without.
    ///
    /// The environment variable `NOVATRACE_COMPRESSION`, if it is set, takes the place of this for files:
    /// so that whoever runs a program can choose.
    ///
    /// Each [`batch`](Self::batch) is compressed by itself, so that a file is readable up to the last one that
    /// was written. A program that records little has small batches, which compress badly; with a longer
    /// time between them it loses more if it is killed.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// Goes on in another file when the one that is being written is large or old enough.
    ///
    /// ```
    /// use novatrace::{Rotate, TraceGenerator};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sim.pftrace");
    /// let trace = TraceGenerator::builder().rotate(Rotate::bytes(100_000)).create(&path)?;
    /// let track = trace.group("Die:0").track("XPU:0");
    /// for at in 0..20_000 {
    ///     track.duration(at * 10, 8, "gemm").emit()?;
    ///     if at % 5_000 == 0 {
    ///         trace.flush()?; // So that this small program is cut where a long one would be.
    ///     }
    /// }
    /// let stats = trace.finish()?;
    /// assert!(stats.parts > 1);
    /// assert!(folder.path().join("sim.0002.pftrace").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rotate(mut self, rotate: Rotate) -> Self {
        self.config.rotate = Some(rotate);
        self
    }

    /// Creates the file, or empties the one that is there, and starts the trace. With
    /// [`rotate`](Self::rotate), creates the first part, and removes those of an earlier trace of that path.
    ///
    /// A path such as `tcp://localhost:9011` or `unix:/run/novatrace.sock` is no file, but a stream to
    /// `novatrace receive` there, which need not be there yet: see [`StreamSink`](crate::StreamSink). With the
    /// feature `object-store`, one such as `s3://bucket/run.pftrace` is an object in a store, which is there when
    /// the trace is finished.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Create`] if the path is a directory, its parent is missing, or the operating
    /// system refuses: nothing is created then. [`ErrorKind::Environment`] if `NOVATRACE_COMPRESSION` names no
    /// compression, and [`ErrorKind::Address`] if the path begins as a stream's address and is none.
    /// [`ErrorKind::Worker`] if no thread can be started.
    pub fn create(mut self, path: impl AsRef<Path>) -> Result<TraceGenerator, Error> {
        let target = Target::open(path.as_ref(), &mut self.config)?;
        Ok(TraceGenerator::new(target.start(self.config)?))
    }

    /// Starts the trace into any sink.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Worker`](crate::ErrorKind::Worker) if no thread can be started; [`ErrorKind::RotatesNoSink`](crate::ErrorKind::RotatesNoSink) with
    /// [`rotate`](Self::rotate).
    pub fn sink(self, sink: impl Sink + 'static) -> Result<TraceGenerator, Error> {
        rotate::refuse(&self.config)?;
        let destination = Destination::sink(sink, self.config.compression, None);
        Ok(TraceGenerator::new(Link::start(self.config, destination)?))
    }
}
