//! Tracks with slices and instants.

use std::fmt;
use std::sync::Arc;

use super::event::{Complete, Event, Open};
use super::group::Row;
use super::open::{NotEnded, OpenId};
use crate::error::{Error, ErrorKind};
use crate::name::Label;
use crate::record;
use crate::time::Time;

/// A row with slices and instants; from [`Group::track`](crate::Group::track).
///
/// Slices may come in any order, also from several threads. Those that abut, nest, or start or end
/// together are drawn on one row; those that overlap otherwise on an extra lane of it.
#[derive(Clone)]
pub struct NormalTrack(pub(crate) Row);

impl NormalTrack {
    /// A slice from `start`, `length` long, both ≥ 0. Recorded by [`Event::emit`].
    ///
    /// ```
    /// # use novatrace::{Seconds, TraceGenerator};
    /// # let folder = tempfile::tempdir()?;
    /// # let trace = TraceGenerator::create(folder.path().join("sim.pftrace"))?;
    /// let engine = trace.group("Die:0").track("XPU:0");
    /// engine.duration(1_000, 500, "gemm").emit()?; // nanoseconds
    /// engine.duration(Seconds(1.5e-6), Seconds(0.5e-6), "softmax").emit()?; // abuts
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn duration<'a, T: Time>(
        &'a self,
        start: T,
        length: T,
        name: impl Into<Label<'a>>,
    ) -> Event<'a, Complete, ()> {
        Event::slice(&self.0, T::span(start, length), name.into())
    }

    /// A point in time. Recorded by [`Event::emit`].
    #[inline(always)]
    pub fn instant<'a, T: Time>(
        &'a self,
        time: T,
        name: impl Into<Label<'a>>,
    ) -> Event<'a, Complete, ()> {
        Event::instant(&self.0, time.point(), name.into())
    }

    /// A slice whose end is not known yet, with whatever can be said about it already. Begun by
    /// [`Event::begin`].
    #[inline]
    pub fn slice<'a, T: Time>(
        &'a self,
        start: T,
        name: impl Into<Label<'a>>,
    ) -> Event<'a, Open, ()> {
        Event::open(&self.0, start.point(), name.into())
    }

    /// Begins a slice whose end is not known yet: [`slice`](Self::slice) with nothing but a name.
    ///
    /// Takes a lock of the trace's, unlike [`duration`](Self::duration).
    ///
    /// # Errors
    ///
    /// Those of [`Event::emit`].
    pub fn begin<'a, T: Time>(
        &'a self,
        start: T,
        name: impl Into<Label<'a>>,
    ) -> Result<OpenSlice, Error> {
        self.slice(start, name).begin()
    }

    /// Ends the slice of this track that was begun last and is still open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EndWithoutBegin`] if none is open; otherwise those of [`OpenSlice::end`].
    pub fn end<T: Time>(&self, time: T) -> Result<(), Error> {
        let end_ns = self.point(time)?;
        self.end_open(None, end_ns)
    }

    /// What the viewer shows when the track is asked about. To be said before the track's first event:
    /// after that it may come too late, which is then an error of
    /// [`TraceGenerator::finish`](crate::TraceGenerator::finish).
    #[must_use]
    pub fn description(self, text: &str) -> Self {
        self.0.describe("track", text);
        self
    }

    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.0.name()
    }

    fn point<T: Time>(&self, time: T) -> Result<u64, Error> {
        time.point().map_err(|fault| {
            let what = format!("the end of a slice on track `{}`", self.name());
            ErrorKind::Time { what, fault }.into()
        })
    }

    fn end_open(&self, id: Option<OpenId>, end_ns: u64) -> Result<(), Error> {
        let ended = self.0.link.open_slices().end(self.0.index, id, end_ns);
        let id = ended.map_err(|why| {
            let track = self.name().to_string();
            match why {
                NotEnded::NotOpen => ErrorKind::EndWithoutBegin { track, end_ns },
                NotEnded::BeganLater(name, start_ns) => {
                    ErrorKind::EndBeforeBegin { track, name: name.into(), start_ns, end_ns }
                }
            }
        })?;
        let words =
            [record::head(record::Kind::End, 0, record::HEAD_WORDS, self.0.index), 0, end_ns, id.0];
        self.0.link.push_words(self.0.index, &words, || {
            format!("the end of a slice on track `{}`", self.name())
        })
    }
}

impl fmt::Debug for NormalTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("NormalTrack", f)
    }
}

/// A slice that has begun and not ended; from [`NormalTrack::begin`]. May be ended on any thread,
/// and in any order.
///
/// Dropping it does not end the slice: what is open when the trace is finished is dealt with as
/// [`TraceBuilder::open_slices`](crate::TraceBuilder::open_slices) says.
///
/// ```
/// # use novatrace::TraceGenerator;
/// # let folder = tempfile::tempdir()?;
/// # let trace = TraceGenerator::create(folder.path().join("sim.pftrace"))?;
/// let queue = trace.group("Die:0").track("queue");
/// let waiting = queue.begin(100, "waiting")?;
/// let running = queue.slice(150, "running").arg("tile", 7).begin()?;
/// running.end(180)?;
/// waiting.end(200)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a slice that is not ended stays open to the end of the trace"]
pub struct OpenSlice {
    track: NormalTrack,
    id: OpenId,
    start_ns: u64,
}

impl OpenSlice {
    pub(crate) fn new(row: &Row, id: OpenId, start_ns: u64) -> Self {
        Self { track: NormalTrack(row.clone()), id, start_ns }
    }

    /// Ends the slice. Takes a lock of the trace's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EndBeforeBegin`], [`ErrorKind::Time`]: the slice stays open.
    /// [`ErrorKind::EndWithoutBegin`] if [`NormalTrack::end`] has ended it already.
    /// [`ErrorKind::Finished`].
    pub fn end<T: Time>(self, time: T) -> Result<(), Error> {
        let end_ns = self.track.point(time)?;
        self.track.end_open(Some(self.id), end_ns)
    }
}

impl fmt::Debug for OpenSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSlice")
            .field("track", &self.track)
            .field("start_ns", &self.start_ns)
            .finish_non_exhaustive()
    }
}
