//! Explicit timestamps: [`TraceGenerator`] and its tracks. Does not belong here: a clock, packets.

mod builder;
mod counter;
mod event;
mod flow;
mod group;
mod open;
mod track;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use novatrace_sink::Compression;

pub use builder::{Attribute, OpenSlices, Overlap, TraceBuilder};
pub use counter::{CounterTrack, CounterValue, Unit};
pub use event::{Complete, Event, Open};
pub use flow::FlowId;
pub(crate) use flow::Flows;
pub use group::{Group, GroupTrack};
pub(crate) use open::{OpenId, OpenSliceTable};
pub use track::{NormalTrack, OpenSlice};

use crate::error::Error;
use crate::worker::{Bounds, Link, Stats, Worker};

/// One trace that is being written, with times that the caller gives.
///
/// Clones are the same trace. The file is complete after [`finish`](Self::finish), or when the last
/// clone is dropped; tracks and groups that outlive it are refused from then on. (Nobody drops a
/// `static`: a trace in one has to be finished.)
///
/// In a forked child the trace is the parent's: what is recorded there is not in it, and `flush` and
/// `finish` say so.
///
/// Calls may come from any number of threads, with times in any order. A slice that comes at most
/// [`window`](TraceBuilder::window) events late is drawn as if it had come in order; a later one
/// gets a lane of its own, never a wrong place.
///
/// ```
/// # use novatrace::TraceGenerator;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sim.pftrace");
/// let trace = TraceGenerator::create(path)?;
/// std::thread::scope(|scope| {
///     for die in 0..4 {
///         let cluster = trace.cluster(Some(die), Some(0));
///         scope.spawn(move || cluster.track("XPU:0").duration(die, 10, "gemm").emit());
///     }
/// });
/// assert_eq!(trace.finish()?.events, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TraceGenerator {
    owner: Arc<Owner>,
}

/// Finishes the trace with the last of its clones.
struct Owner {
    link: Arc<Link>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // There is nobody to tell; `finish` is the way to know.
        let _ = self.link.finish();
    }
}

impl TraceGenerator {
    /// Creates the file, or empties the one that is there, and starts the trace with the defaults of
    /// [`TraceBuilder`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Create`](crate::ErrorKind::Create) if the path is a directory, its parent is
    /// missing, or the operating system refuses: nothing is created then.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().create(path)
    }

    /// For attributes, limits, and other choices.
    pub fn builder() -> TraceBuilder {
        TraceBuilder::default()
    }

    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { owner: Arc::new(Owner { link }) }
    }

    fn link(&self) -> &Arc<Link> {
        &self.owner.link
    }

    /// The group of that name at the top; made when first asked for.
    ///
    /// The viewer shows groups at the top by name, and what they hold in the order it was made: put
    /// groups into a group where their order matters.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        Group::new(self.link(), name)
    }

    /// The track of that name at the top, outside of all groups.
    #[must_use]
    pub fn track(&self, name: &str) -> NormalTrack {
        NormalTrack::at_top(self.link(), name)
    }

    /// The counter of that name at the top, outside of all groups.
    #[must_use]
    pub fn counter(&self, name: &str) -> CounterTrack {
        CounterTrack::at_top(self.link(), name)
    }

    /// The group of a die's cluster: "Global" without a die, "Die:0, Global" without a cluster,
    /// else "Die:0, Cluster:1". The `get_cluster_tgen` of the module that novatrace replaces.
    ///
    /// A cluster without a die, which names nothing, gives "Global" too.
    #[must_use]
    pub fn cluster(&self, die: Option<u32>, cluster: Option<u32>) -> Group {
        match (die, cluster) {
            (None, _) => self.group("Global"),
            (Some(die), None) => self.group(&format!("Die:{die}, Global")),
            (Some(die), Some(cluster)) => self.group(&format!("Die:{die}, Cluster:{cluster}")),
        }
    }

    /// A new flow: an arrow between the events that are given it, in the order of their times.
    ///
    /// Its number is used by no other flow, of this or any other trace or process.
    #[must_use]
    pub fn flow(&self) -> FlowId {
        self.link().flows.next()
    }

    /// Makes a flow of another trace known to this one, for an arrow between traces that are
    /// looked at together.
    #[must_use]
    pub fn import_flow(&self, id: u64) -> FlowId {
        self.link().flows.import(id)
    }

    /// Where the worker is, which need not be where it was asked for.
    #[must_use]
    pub fn worker(&self) -> Worker {
        self.owner.link.worker()
    }

    /// Why the worker is a thread, though a process was asked for.
    #[must_use]
    pub fn worker_fallback(&self) -> Option<&str> {
        self.owner.link.fallback()
    }

    /// Changes what batches have at most, and how long they wait: see [`TraceBuilder::batch`]. What was recorded
    /// before may be in batches of either kind; a [`flush`](Self::flush) in between settles it.
    pub fn set_batch(&self, packets: usize, bytes: usize, time: Duration) {
        self.link().tune(|tuning| tuning.batch = Bounds::new(packets, bytes, time));
    }

    /// What batches have at most at present, in packets and bytes, and how long they wait.
    #[must_use]
    pub fn batch(&self) -> (usize, usize, Duration) {
        let Bounds { packets, bytes, time } = self.link().tuning().batch;
        (packets, bytes, time)
    }

    /// Compresses otherwise from the next batch on, or no more: another level, another codec, whether or not the
    /// trace began with one. A file may have bundles of several kinds.
    pub fn set_compression(&self, compression: Compression) {
        self.link().tune(|tuning| tuning.compression = compression);
    }

    /// Waits until everything that was recorded before this call is with the sink.
    ///
    /// The window is emptied: slices that come later but start before what was written get a lane of
    /// their own, and so do slices still open.
    ///
    /// # Errors
    ///
    /// The first failure of the sink or the worker, also if it lies further back.
    pub fn flush(&self) -> Result<(), Error> {
        self.link().flush()
    }

    /// Completes the file. Everything recorded before is in it; what is recorded after is refused.
    /// Slices still open are dealt with as [`TraceBuilder::open_slices`] says. A second call gives
    /// the same answer.
    ///
    /// Complete is what the operating system has taken: it may reach the disk later, unless the trace
    /// is made with [`FileSink::sync_on_finish`](crate::FileSink::sync_on_finish).
    ///
    /// # Errors
    ///
    /// The first thing that went wrong: the sink's failure, a refused overlap, a fault of the
    /// worker. The file is as complete as can be all the same, and [`stats`](Self::stats) counts
    /// what is missing.
    pub fn finish(&self) -> Result<Stats, Error> {
        self.link().finish()
    }

    /// The counts up to now: of what the worker has dealt with, not of what is still on its way to
    /// it. Final after [`finish`](Self::finish).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.link().stats()
    }
}

impl fmt::Debug for TraceGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceGenerator").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
