//! The layer. Does not belong here: what a place in the program is called, how fields are read.

use std::cell::RefCell;

use novatrace::__macro_support::{Fields, Place, Running, Said, SiteOn};
use novatrace::{FlowId, Name, SpanGuard};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::sites::Site;
use crate::visit::Visitor;

/// A layer that records into the novatrace session that is open.
#[must_use]
pub fn layer() -> NovatraceLayer {
    NovatraceLayer { poll_flows: false, task_tracks: false }
}

/// Records spans and events; from [`layer`].
#[derive(Debug, Clone)]
pub struct NovatraceLayer {
    poll_flows: bool,
    task_tracks: bool,
}

impl NovatraceLayer {
    /// Whether an arrow leads from each slice of a span to its next one: from poll to poll of a future.
    /// Not by default, since it takes 10 bytes a slice; of no effect with
    /// [`with_task_tracks`](Self::with_task_tracks), where such an arrow is there anyway.
    #[must_use]
    pub fn with_poll_flows(mut self, poll_flows: bool) -> Self {
        self.poll_flows = poll_flows;
        self
    }

    /// Whether each span is also drawn whole, on a row of its task's, so that a future that is polled on
    /// several threads is one slice there. Not by default: it takes two events more a span, and a few
    /// locks.
    ///
    /// - This slice lasts from the span's first entry, or that of a span inside it, to its close: until
    ///   its last handle is dropped, and those of the spans inside it. A span that was made but waits for
    ///   its first poll has no row yet, so that there are as many rows as run at once.
    /// - Every span is drawn so, since nobody knows beforehand which will be entered more than once.
    /// - The rows are `task 1`, `task 2` and on, from the pool that
    ///   [`in_span`](novatrace::InSpanExt::in_span) takes them from. A span is on the row of its parent
    ///   (the one around it, or the one named by `parent:`) if nothing else is open inside that; spans
    ///   that run at once inside one have rows of their own.
    /// - Its fields are on this slice, and so are those that were recorded before its first entry; its
    ///   entries are slices on the threads' tracks as before, but for fields. An arrow leads from it
    ///   through all of them.
    /// - A span that is still open when a session ends is drawn up to there, and anew in the next session
    ///   from when it is entered in that.
    ///
    /// ```
    /// use tracing_subscriber::prelude::*;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let session = novatrace::open(folder.path().join("app.pftrace"))?;
    /// let layer = novatrace_tracing::layer().with_task_tracks(true);
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     let request = tracing::info_span!("request", id = 7);
    ///     request.in_scope(|| "polled");
    ///     request.in_scope(|| "polled again, perhaps by another thread");
    /// });
    /// // The request on `task 1`, and two slices on the thread's track.
    /// assert_eq!(session.close()?.events, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_task_tracks(mut self, task_tracks: bool) -> Self {
        self.task_tracks = task_tracks;
        self
    }
}

/// What a span's slices say; for spans that say anything.
#[derive(Debug, Default)]
struct Spoken {
    fields: Fields,
    /// What was recorded later, the last time.
    later: Fields,
    /// Arrows that lead to the next slice.
    arrows: Vec<FlowId>,
    /// The arrow from slice to slice.
    polls: Option<FlowId>,
    /// The slice on its task's row, from the first entry on.
    task: Option<Running>,
}

thread_local! {
    /// The spans that this thread has entered, the last one last.
    static ENTERED: RefCell<Vec<(u64, SpanGuard)>> = const { RefCell::new(Vec::new()) };
}

impl<S> Layer<S> for NovatraceLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if metadata.fields().is_empty() && !self.poll_flows {
            return;
        }
        let site = Site::of(metadata);
        if site.span.on().is_none() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let mut spoken = Spoken::of(site);
        attributes.record(&mut Visitor { site, fields: &mut spoken.fields, message: None });
        spoken.polls = self.poll_flows.then(novatrace::flow);
        span.extensions_mut().replace(spoken);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let site = Site::of(span.metadata());
        let Some(on) = site.span.on() else { return };
        let mut arguments = Fields::new();
        values.record(&mut Visitor { site, fields: &mut arguments, message: None });
        if arguments.is_empty() {
            return; // nothing but counters
        }
        let mut fields = Fields::new();
        fields.category(site.level);
        fields.append(&arguments);
        on.instant(fields.said());
        // Read already: a `Debug` of the program's must not run while the extensions are locked.
        let mut extensions = span.extensions_mut();
        if let Some(spoken) = extensions.get_mut::<Spoken>() {
            spoken.later = arguments;
        } else {
            extensions.insert(Spoken { fields, ..Spoken::default() });
        }
    }

    fn on_follows_from(&self, id: &Id, _: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let site = Site::of(span.metadata());
        let Some(on) = site.span.on() else { return };
        let flow = novatrace::flow();
        on.instant(Said::nothing().flows(flow, false));
        let mut extensions = span.extensions_mut();
        if let Some(spoken) = extensions.get_mut::<Spoken>() {
            spoken.arrows.push(flow);
        } else {
            extensions.insert(Spoken { arrows: vec![flow], ..Spoken::of(site) });
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let site = Site::of(event.metadata());
        if site.is_counters {
            let mut none = Fields::new();
            event.record(&mut Visitor { site, fields: &mut none, message: None });
            return;
        }
        let Some(on) = site.event.on() else { return };
        let (mut message, mut arguments) = (String::new(), Fields::new());
        let message_here = Some(&mut message);
        event.record(&mut Visitor { site, fields: &mut arguments, message: message_here });
        let mut fields = Fields::new();
        let name = if message.is_empty() { event.metadata().name() } else { message.as_str() };
        fields.name(name);
        fields.category(site.level);
        fields.append(&arguments);
        on.instant(fields.said());
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let site = Site::of(span.metadata());
        let Some(on) = site.span.on() else { return };
        if self.task_tracks {
            begin_tasks(&span);
        }
        let guard = match span.extensions_mut().get_mut::<Spoken>() {
            Some(spoken) => spoken.begin(on, site.level),
            None => on.begin(Said::nothing().category(site.level)),
        };
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((id.into_u64(), guard)));
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        let id = id.into_u64();
        let left = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            match entered.last() {
                Some((last, _)) if *last == id => entered.pop(),
                // Left out of order, or entered before there was a session.
                _ => entered.iter().rposition(|(of, _)| *of == id).map(|at| entered.remove(at)),
            }
        });
        drop(left);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if !self.task_tracks {
            return;
        }
        let Some(span) = context.span(&id) else { return };
        let task = span.extensions_mut().get_mut::<Spoken>().and_then(|spoken| spoken.task.take());
        drop(task);
    }
}

/// Begins the slice on the task's row of this span, and before it those of the spans around it, as far
/// as they have not begun in this session: they close later, so that theirs enclose it.
fn begin_tasks<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) {
    let mut outer = None;
    let mut to_begin = Vec::new();
    for span in span.scope() {
        outer = span.extensions().get::<Spoken>().and_then(Spoken::place);
        if outer.is_some() {
            break;
        }
        to_begin.push(span);
    }
    for span in to_begin.iter().rev() {
        let site = Site::of(span.metadata());
        if site.span.on().is_none() {
            continue;
        }
        let mut extensions = span.extensions_mut();
        if extensions.get_mut::<Spoken>().is_none() {
            extensions.insert(Spoken::of(site));
        }
        if let Some(spoken) = extensions.get_mut::<Spoken>() {
            outer = spoken.begin_task(site, outer);
        }
    }
}

impl Spoken {
    /// That of a span without fields.
    fn of(site: &Site) -> Self {
        let mut spoken = Self::default();
        spoken.fields.category(site.level);
        spoken
    }

    /// Where the span is drawn, if it is on a row in this session.
    fn place(&self) -> Option<Place> {
        self.task.as_ref().filter(|task| task.is_current()).map(Running::place)
    }

    /// Begins the slice on the task's row, unless another thread has. Says what spans inside are inside of.
    fn begin_task(&mut self, site: &Site, outer: Option<Place>) -> Option<Place> {
        if let Some(place) = self.place() {
            return Some(place);
        }
        self.task = None; // one of a session that is over leaves its row
        let mut fields = self.fields.clone();
        fields.append(&self.later);
        for flow in self.arrows.drain(..) {
            fields.flow(flow);
        }
        self.task = Running::begin(site.span, fields.said(), outer.clone());
        self.place().or(outer)
    }

    /// Begins a slice on the thread's track.
    fn begin(&mut self, on: SiteOn, level: Name) -> SpanGuard {
        if let Some(task) = &self.task {
            // The fields are there.
            if self.arrows.is_empty() {
                return on.begin(Said::nothing().category(level).flows(task.flow(), false));
            }
            let mut fields = Fields::new();
            fields.category(level);
            for flow in self.arrows.drain(..).chain([task.flow()]) {
                fields.flow(flow);
            }
            return on.begin(fields.said());
        }
        if self.arrows.is_empty() && self.polls.is_none() && self.later.is_empty() {
            return on.begin(self.fields.said());
        }
        let mut fields = self.fields.clone();
        fields.append(&self.later);
        for flow in self.arrows.drain(..).chain(self.polls) {
            fields.flow(flow);
        }
        on.begin(fields.said())
    }
}
