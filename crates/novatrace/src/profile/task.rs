//! Futures in spans: each task has a row of its own, from a pool.
//!
//! A task's span lasts from its first poll to its end, wherever it is polled, and so it is drawn on a row
//! that belongs to the task while it runs; each poll is a slice on the thread that polls. A flow leads
//! from the task's span through its polls. A future in a span inside another is drawn inside it, on the
//! same row.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use super::args::{IntoFlows, Rest, Said};
use super::flow::flow;
use super::site::CallSite;
use super::track::{LiveTrack, TrackSpan, track};
use crate::FlowId;
use crate::record::Items;

/// Rows that no task has at the moment, the lowest number last.
static FREE: Mutex<Pool> = Mutex::new(Pool { rows: Vec::new(), made: 0 });

struct Pool {
    rows: Vec<(u32, LiveTrack)>,
    made: u32,
}

thread_local! {
    /// The row of the task that is being polled on this thread.
    static CURRENT: RefCell<Option<Arc<Row>>> = const { RefCell::new(None) };
}

/// A row while a task has it.
struct Row {
    number: u32,
    track: LiveTrack,
}

impl Row {
    fn take() -> Arc<Self> {
        let mut pool = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, track) = pool.rows.pop().unwrap_or_else(|| {
            pool.made += 1;
            (pool.made, track(&format!("task {}", pool.made)))
        });
        Arc::new(Self { number, track })
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let mut pool = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let row = (self.number, self.track.clone());
        // The lowest numbers first, so that few rows are used.
        let at = pool.rows.partition_point(|(number, _)| *number > self.number);
        pool.rows.insert(at, row);
    }
}

/// What a task's span is called, and what it says: decided when the future is made, since its
/// arguments are there then.
#[derive(Debug)]
pub struct Task {
    site: &'static CallSite,
    /// Words of the arguments; `None` if nothing was to be recorded.
    words: Option<Vec<u64>>,
}

impl Task {
    /// A task of the call site, with arguments.
    #[doc(hidden)]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn new<A: Items, R: Rest>(site: &'static CallSite, said: Said<A, R>) -> Self {
        let mut words = vec![0; said.items.words()];
        said.items.write(&mut crate::record::Cursor::new(&mut words));
        words.extend_from_slice(said.rest.words());
        Self { site, words: Some(words) }
    }

    /// A task of which nothing is recorded.
    #[doc(hidden)]
    #[must_use]
    pub fn none(site: &'static CallSite) -> Self {
        Self { site, words: None }
    }
}

/// A future in a span; from [`InSpanExt::in_span`], or an `async fn` with
/// [`trace_func`](crate::trace_func).
#[must_use = "a future does nothing unless it is polled"]
pub struct InSpan<F> {
    task: Task,
    state: State,
    inner: F,
}

enum State {
    /// Not polled yet, or nothing is recorded.
    Idle,
    Running(Running),
}

struct Running {
    row: Arc<Row>,
    /// Ends when this is dropped; before the row is given back, since fields are dropped in order.
    span: TrackSpan,
    flow: FlowId,
}

impl Running {
    /// The span ends before the row is free again.
    fn end(self) {
        let Self { row, span, flow: _ } = self;
        drop(span);
        drop(row);
    }
}

impl<F> InSpan<F> {
    #[doc(hidden)]
    pub fn new(task: Task, inner: F) -> Self {
        Self { task, state: State::Idle, inner }
    }

    fn end(&mut self) {
        if let State::Running(running) = std::mem::replace(&mut self.state, State::Idle) {
            running.end();
        }
    }
}

impl Running {
    /// Begins the task's span, on the row of the task around it or on one from the pool.
    fn begin(task: &mut Task) -> Option<Self> {
        let words = task.words.take()?;
        task.site.on()?;
        let outer = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
        let row = outer.unwrap_or_else(Row::take);
        let flow = flow();
        let span = row.track.begin_site(task.site, &flow.items(false), &words);
        span.is_recorded().then_some(Self { row, span, flow })
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
        if matches!(this.state, State::Idle)
            && let Some(running) = Running::begin(&mut this.task)
        {
            this.state = State::Running(running);
        }
        let State::Running(running) = &this.state else { return inner.poll(context) };
        let poll = {
            let _slice = poll_slice(this.task.site, running.flow);
            let _current = Current::set(&running.row);
            inner.poll(context)
        };
        if poll.is_ready() {
            this.end();
        }
        poll
    }
}

impl<F> Drop for InSpan<F> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The slice on the thread that polls.
fn poll_slice(site: &'static CallSite, flow: FlowId) -> super::SpanGuard {
    match site.on() {
        Some(site) => site.begin(Said::nothing().flows(flow, false)),
        None => super::SpanGuard::none(),
    }
}

/// Sets the thread's current task, and back when dropped.
struct Current(Option<Arc<Row>>);

impl Current {
    fn set(row: &Arc<Row>) -> Self {
        let row = Some(Arc::clone(row));
        Self(CURRENT.try_with(|current| current.replace(row)).ok().flatten())
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
        let site = CallSite::made(name, "task");
        let task = match site.on() {
            Some(_) => Task::new(site, Said::nothing()),
            None => Task::none(site),
        };
        InSpan::new(task, self)
    }
}

impl<F: Future> InSpanExt for F {}
