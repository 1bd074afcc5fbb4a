//! The layer. Does not belong here: what a place in the program is called, how fields are read.

use std::cell::RefCell;

use novatrace::__macro_support::{Fields, Said};
use novatrace::{FlowId, SpanGuard};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::sites::Site;
use crate::visit::Visitor;

/// A layer that records into the novatrace session that is open.
#[must_use]
pub fn layer() -> NovatraceLayer {
    NovatraceLayer { poll_flows: false }
}

/// Records spans and events; from [`layer`].
#[derive(Debug, Clone)]
pub struct NovatraceLayer {
    poll_flows: bool,
}

impl NovatraceLayer {
    /// Whether an arrow leads from each slice of a span to its next one: from poll to poll of a future.
    /// Not by default, since it takes 10 bytes a slice.
    #[must_use]
    pub fn with_poll_flows(mut self, poll_flows: bool) -> Self {
        self.poll_flows = poll_flows;
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
        let mut spoken = Spoken::default();
        spoken.fields.category(site.level);
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
            let mut spoken = Spoken { arrows: vec![flow], ..Spoken::default() };
            spoken.fields.category(site.level);
            extensions.insert(spoken);
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
        let guard = match span.extensions_mut().get_mut::<Spoken>() {
            Some(spoken) => spoken.begin(on),
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
}

impl Spoken {
    fn begin(&mut self, on: novatrace::__macro_support::SiteOn) -> SpanGuard {
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
