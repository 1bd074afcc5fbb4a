//! Futures in spans: each task has a row of its own, from a pool.
//!
//! A task's span lasts from its first poll to its end, wherever it is polled, and so it is drawn on a row
//! that belongs to the task while it runs; each poll is a slice on the thread that polls. A flow leads
//! from the task's span through its polls. A future in a span inside another is drawn inside it, on the
//! same row; of several that run at once inside another, as in a `join!`, the first is, and the others
//! have rows of their own, since what is on a row has to nest.
//!
//! [`Running`] is all of that but the future, for layers over other instrumentation.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::args::{IntoFlows, Rest, Said};
use super::flow::flow;
use super::site::{CallSite, is_recording};
use super::track::{LiveTrack, TrackSpan, track};
use crate::FlowId;
use crate::record::Items;

static POOL: Mutex<Pool> = Mutex::new(Pool { tracks: Vec::new(), free: BinaryHeap::new() });

pub(super) struct Pool {
    /// All rows that were ever needed at once.
    tracks: Vec<LiveTrack>,
    /// Those that no task has at the moment; the lowest comes first, so that few are used.
    free: BinaryHeap<Reverse<usize>>,
}

impl Pool {
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A row while a task has it.
#[derive(Debug)]
struct Row {
    index: usize,
    track: LiveTrack,
    /// The innermost span that is open on it, by its flow.
    innermost: AtomicU64,
}

impl Row {
    fn take(span: u64) -> Arc<Self> {
        let mut pool = Pool::lock();
        let index = pool.free.pop().map_or_else(
            || {
                let number = pool.tracks.len() + 1;
                pool.tracks.push(track(&format!("task {number}")));
                number - 1
            },
            |Reverse(index)| index,
        );
        Arc::new(Self { index, track: pool.tracks[index].clone(), innermost: AtomicU64::new(span) })
    }
}

/// A row of the pool, for tasks of other languages: taken until it is dropped.
#[doc(hidden)]
#[derive(Debug)]
pub struct TaskRow(Arc<Row>);

impl TaskRow {
    /// The lowest row that is free. No span of this library's is inside what is drawn there.
    #[must_use]
    pub fn take() -> Self {
        Self(Row::take(0))
    }

    /// The track.
    #[must_use]
    pub fn track(&self) -> &LiveTrack {
        &self.0.track
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        Pool::lock().free.push(Reverse(self.index));
    }
}

/// A span on a row, for those that begin inside it.
#[derive(Debug, Clone)]
pub struct Place {
    row: Arc<Row>,
    /// Its flow, by which it is known.
    span: u64,
}

impl Place {
    /// The span that is being polled on this thread.
    fn current() -> Option<Self> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Inside the span `outer`, if there is none inside it yet; else on a row from the pool. Also tells
    /// the span around it.
    fn find(span: u64, outer: Option<Self>) -> (Self, Option<u64>) {
        if let Some(Self { row, span: outer }) = outer
            && row
                .innermost
                .compare_exchange(outer, span, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            return (Self { row, span }, Some(outer));
        }
        (Self { row: Row::take(span), span }, None)
    }
}

thread_local! {
    /// The span of the task that is being polled on this thread.
    static CURRENT: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// What a task's span is called, and what it says: decided when the future is made, since its
/// arguments are there then. `None` if nothing was to be recorded.
#[derive(Debug)]
pub struct Task(Option<Planned>);

#[derive(Debug)]
struct Planned {
    site: &'static CallSite,
    /// Words of the arguments.
    words: Vec<u64>,
}

impl Task {
    /// A task of the call site, with arguments.
    #[doc(hidden)]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn new<A: Items, R: Rest>(site: &'static CallSite, said: Said<A, R>) -> Self {
        let mut words = vec![0; said.items.words()];
        said.items.write(&mut crate::record::Cursor::new(&mut words));
        words.extend_from_slice(said.rest.words());
        Self(Some(Planned { site, words }))
    }

    /// A task of which nothing is recorded.
    #[doc(hidden)]
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }
}

/// A future in a span; from [`InSpanExt::in_span`], or an `async fn` with
/// [`trace_func`](crate::trace_func).
#[must_use = "a future does nothing unless it is polled"]
pub struct InSpan<F> {
    task: Task,
    // Dropped in this order: what is inside the future ends before its span does.
    inner: F,
    running: Option<(&'static CallSite, Running)>,
}

/// A task's span, which ends when this is dropped, on whichever thread.
#[derive(Debug)]
pub struct Running {
    flow: FlowId,
    outer: Option<u64>,
    // Dropped in this order: the span ends before another task may have the row.
    span: TrackSpan,
    place: Place,
}

impl Running {
    /// Begins the span of a task, if it is to be recorded: on the row of `outer`, which is to end later,
    /// if nothing else is open inside that.
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn begin(
        site: &'static CallSite,
        said: Said<(), &[u64]>,
        outer: Option<Place>,
    ) -> Option<Self> {
        site.on()?;
        let flow = flow();
        let (place, outer) = Place::find(flow.get(), outer);
        let span = place.row.track.begin_site(site, &flow.items(false), said.rest);
        // Dropped if it is not recorded, so that the row is free.
        let running = Self { flow, outer, span, place };
        running.span.is_recorded().then_some(running)
    }

    /// The flow that the span begins, for the slices of its polls.
    #[must_use]
    pub fn flow(&self) -> FlowId {
        self.flow
    }

    /// Where it is drawn.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Whether the session that it began in still records. Takes no lock.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.span.is_current()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(outer) = self.outer {
            // Now, since the row stays with the task around this one.
            self.span = TrackSpan::none();
            let innermost = &self.place.row.innermost;
            // If another is still open inside this span, it may stay the innermost one.
            let _ = innermost.compare_exchange(
                self.place.span,
                outer,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }
}

impl<F> InSpan<F> {
    #[doc(hidden)]
    pub const fn new(task: Task, inner: F) -> Self {
        Self { task, inner, running: None }
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    #[expect(unsafe_code, reason = "a field that is pinned with its future")]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `inner` is not moved out of what is pinned: it is used through this pin only, and
        // dropped in its place; the other fields are `Unpin` and not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let inner = unsafe { Pin::new_unchecked(&mut this.inner) };
        if let Some(Planned { site, words }) = this.task.0.take() {
            let said = Said { items: (), rest: &words[..] };
            this.running =
                Running::begin(site, said, Place::current()).map(|running| (site, running));
        }
        let Some((site, running)) = &this.running else { return inner.poll(context) };
        let poll = {
            let _slice = poll_slice(site, running.flow);
            let _current = Current::set(&running.place);
            inner.poll(context)
        };
        if poll.is_ready() {
            this.running = None;
        }
        poll
    }
}

/// A value of the type that an `async fn` returns, where it is never made.
#[doc(hidden)]
#[must_use]
pub fn never<T>() -> T {
    unreachable!("the attribute calls it where nothing is reached")
}

/// The slice on the thread that polls.
fn poll_slice(site: &'static CallSite, flow: FlowId) -> super::SpanGuard {
    match site.on() {
        Some(site) => site.begin(Said::nothing().flows(flow, false)),
        None => super::SpanGuard::none(),
    }
}

/// Sets the thread's current task, and back when dropped.
struct Current(Option<Place>);

impl Current {
    fn set(place: &Place) -> Self {
        let place = Some(place.clone());
        Self(CURRENT.try_with(|current| current.replace(place)).ok().flatten())
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let before = self.0.take();
        let _ = CURRENT.try_with(|current| current.replace(before));
    }
}

impl<F> fmt::Debug for InSpan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InSpan").field("task", &self.task).finish_non_exhaustive()
    }
}

/// Gives any future a span.
pub trait InSpanExt: Future + Sized {
    /// The future in a span of that name, on a row of its task's: see [`in_span!`](crate::in_span) for
    /// arguments and categories.
    ///
    /// The name is registered for the rest of the process; it is one of few, known beforehand.
    ///
    /// ```
    /// use novatrace::InSpanExt;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let session = novatrace::open(folder.path().join("app.pftrace"))?;
    /// let answer = async { 42 }.in_span("compute");
    /// # assert_eq!(block_on(answer), 42);
    /// # session.close()?;
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     match std::pin::pin!(future).poll(&mut context) {
    /// #         std::task::Poll::Ready(output) => output,
    /// #         std::task::Poll::Pending => panic!("never pending"),
    /// #     }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn in_span(self, name: &'static str) -> InSpan<Self> {
        let task = if is_recording() {
            let site = CallSite::made(name, "task");
            site.on().map_or(Task::none(), |_| Task::new(site, Said::nothing()))
        } else {
            Task::none()
        };
        InSpan::new(task, self)
    }
}

impl<F: Future> InSpanExt for F {}
