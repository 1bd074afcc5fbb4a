//! One slice or instant, as it is being described.

use std::fmt;

use novatrace_core::Limits;
use serde::Serialize;

use super::group::Row;
use super::{FlowId, OpenSlice};
use crate::error::{Error, ErrorKind};
use crate::name::Label;
use crate::record::{
    self, And, Cursor, Fill, HAS_CATEGORY, HAS_FLOW, HEAD_WORDS, Item, Items, Tag, Writer, cut,
    text_item, text_words,
};
use crate::time::TimeFault;
use crate::value::{self, Spill, ValueError};

/// Of an [`Event`] that says all there is: a slice of some length or an instant, to be
/// [emitted](Event::emit).
#[derive(Debug, Clone, Copy)]
pub struct Complete {
    kind: Kind,
    end_ns: u64,
}

/// Of an [`Event`] that is a slice whose end is not known yet, to be [begun](Event::begin).
#[derive(Debug, Clone, Copy)]
pub struct Open(());

/// As messages call it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Slice,
    Instant,
}

/// A slice or instant that is being described; recorded by [`emit`](Self::emit) if it is
/// [`Complete`], by [`begin`](Self::begin) if it is [`Open`].
///
/// Its type grows with each category, number and flow it is given: they stay where the caller has
/// them, and go from there into the ring. In a loop, or to pass an event on, give a list or a map
/// to [`arg`](Self::arg) or [`args`](Self::args) instead.
///
/// A slice without an end cannot be emitted, and what has an end, or is a point, cannot be begun:
///
/// ```compile_fail,E0599
/// # fn f(engine: &novatrace::NormalTrack) {
/// engine.slice(10, "gemm").emit();
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn f(engine: &novatrace::NormalTrack) {
/// engine.duration(10, 5, "gemm").begin();
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn f(engine: &novatrace::NormalTrack) {
/// engine.instant(10, "tick").begin();
/// # }
/// ```
#[must_use = "an event is recorded by `emit`, or by `begin` if its end is not known"]
pub struct Event<'a, S, A> {
    row: &'a Row,
    state: S,
    start: u64,
    flags: u8,
    name: Label<'a>,
    items: A,
    spill: Spill,
    /// Whether items have gone to the spill, where all further ones have to follow.
    is_spilled: bool,
    fault: Option<Fault>,
}

/// The first thing wrong with the event; told when it is emitted.
enum Fault {
    Time(TimeFault),
    Flow(FlowId),
    Argument(Box<(String, ValueError)>),
}

impl<'a> Event<'a, Complete, ()> {
    /// A slice from one time to another.
    #[inline(always)]
    pub(crate) fn slice(
        row: &'a Row,
        times: Result<(u64, u64), TimeFault>,
        name: Label<'a>,
    ) -> Self {
        let (start, end_ns, fault) = match times {
            Ok((start, end)) => (start, end, None),
            Err(fault) => (0, 0, Some(Fault::Time(fault))),
        };
        Self::new(row, Complete { kind: Kind::Slice, end_ns }, start, fault, name)
    }

    #[inline(always)]
    pub(crate) fn instant(row: &'a Row, time: Result<u64, TimeFault>, name: Label<'a>) -> Self {
        let (start, fault) = time_or_fault(time);
        Self::new(row, Complete { kind: Kind::Instant, end_ns: start }, start, fault, name)
    }
}

impl<'a> Event<'a, Open, ()> {
    /// A slice whose end is not known.
    #[inline(always)]
    pub(crate) fn open(row: &'a Row, start: Result<u64, TimeFault>, name: Label<'a>) -> Self {
        let (start, fault) = time_or_fault(start);
        Self::new(row, Open(()), start, fault, name)
    }
}

#[inline(always)]
fn time_or_fault(time: Result<u64, TimeFault>) -> (u64, Option<Fault>) {
    match time {
        Ok(time) => (time, None),
        Err(fault) => (0, Some(Fault::Time(fault))),
    }
}

impl<'a, S> Event<'a, S, ()> {
    #[inline(always)]
    fn new(row: &'a Row, state: S, start: u64, fault: Option<Fault>, name: Label<'a>) -> Self {
        let (spill, is_spilled) = (Spill::new(), false);
        Self { row, state, start, flags: 0, name, items: (), spill, is_spilled, fault }
    }
}

impl<'a, S, A: Items> Event<'a, S, A> {
    /// Adds an item after all before it: once there are some in the spill, which is written last, it
    /// goes there too.
    ///
    /// Here and below, an event is taken apart and put together again, and its spill and fault are
    /// handed on by value: of an event that never has an address, everything but the times and
    /// numbers is known at compile time.
    #[inline(always)]
    fn and(self, item: Item<'a>) -> Event<'a, S, And<'a, A>> {
        let Self { row, state, start, flags, name, items, spill, is_spilled, fault } = self;
        let (spill, item) = if is_spilled { (spill.with(item), None) } else { (spill, Some(item)) };
        let items = And { before: items, item };
        Event { row, state, start, flags, name, items, spill, is_spilled, fault }
    }

    /// A category to filter by; may be given several times.
    #[inline(always)]
    pub fn category(mut self, category: impl Into<Label<'a>>) -> Event<'a, S, And<'a, A>> {
        self.flags |= HAS_CATEGORY;
        self.and(Item::Category(category.into()))
    }

    /// An argument: anything that is `serde::Serialize`. Numbers and booleans cost least, texts are
    /// copied, and what has parts is read now and shown nested. Of equal keys the viewer shows the
    /// last.
    ///
    /// ```
    /// # use novatrace::TraceGenerator;
    /// #[derive(serde::Serialize)]
    /// struct CostBook {
    ///     flops: u64,
    ///     tiles: Vec<(u32, u32)>,
    /// }
    /// # let folder = tempfile::tempdir()?;
    /// # let trace = TraceGenerator::create(folder.path().join("sim.pftrace"))?;
    /// # let engine = trace.group("Die:0").track("XPU:0");
    /// let cost = CostBook { flops: 1 << 30, tiles: vec![(64, 64), (64, 32)] };
    /// engine.duration(0, 10, "gemm").arg("m", 1024).arg("cost", &cost).emit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn arg<V: Serialize>(
        self,
        key: impl Into<Label<'a>>,
        value: V,
    ) -> Event<'a, S, And<'a, A>> {
        let key = key.into();
        match value::scalar(&value) {
            Some(scalar) => self.and(Item::Argument(key, scalar)),
            None => self.spilled(|spill, limits| value::parts(spill, limits, key, &value), key),
        }
    }

    /// Lets `write` write to the spill.
    #[inline(always)]
    fn spilled(
        self,
        write: impl FnOnce(&mut Spill, Limits) -> Result<(), ValueError>,
        key: Label<'a>,
    ) -> Event<'a, S, And<'a, A>> {
        let Self { row, state, start, flags, name, items, spill, is_spilled: _, fault } = self;
        let (spill, fault) = write_to(spill, fault, row.link.config.limits, write, key);
        let items = And { before: items, item: None };
        Event { row, state, start, flags, name, items, spill, is_spilled: true, fault }
    }

    /// Each field of a struct, or entry of a map, as an argument of its own.
    pub fn args<V: Serialize>(mut self, fields: V) -> Self {
        let write = |spill: &mut Spill, limits| value::fields(spill, limits, &fields);
        let limits = self.row.link.config.limits;
        let key = Label::Text("(fields)");
        (self.spill, self.fault) = write_to(self.spill, self.fault, limits, write, key);
        self.is_spilled = true;
        self
    }

    /// Ties the event to the flow's event before it, in order of time. Of two events at the very same
    /// time on different tracks, the one recorded first comes first; on one track, the longer slice, since
    /// the viewer needs that one around the other.
    #[inline(always)]
    pub fn flow(self, flow: FlowId) -> Event<'a, S, And<'a, A>> {
        self.check(flow).and(Item::Flow(flow.get()))
    }

    /// As [`flow`](Self::flow), and the flow's last event.
    #[inline(always)]
    pub fn flow_end(self, flow: FlowId) -> Event<'a, S, And<'a, A>> {
        self.check(flow).and(Item::FlowEnd(flow.get()))
    }

    /// [`flow`](Self::flow) for any number of them.
    ///
    /// ```
    /// # use novatrace::{FlowId, TraceGenerator};
    /// # let folder = tempfile::tempdir()?;
    /// # let trace = TraceGenerator::create(folder.path().join("sim.pftrace"))?;
    /// # let engine = trace.group("Die:0").track("XPU:0");
    /// let inputs: Vec<FlowId> = (0..3).map(|_| trace.flow()).collect();
    /// engine.duration(0, 10, "all-reduce").flows(inputs.iter().copied()).emit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flows(mut self, flows: impl IntoIterator<Item = FlowId>) -> Self {
        for flow in flows {
            self = self.check(flow);
            self.is_spilled = true;
            self.spill.item(Item::Flow(flow.get()));
        }
        self
    }

    /// [`flow_end`](Self::flow_end) for any number of them.
    pub fn flows_end(mut self, flows: impl IntoIterator<Item = FlowId>) -> Self {
        for flow in flows {
            self = self.check(flow);
            self.is_spilled = true;
            self.spill.item(Item::FlowEnd(flow.get()));
        }
        self
    }

    /// [`category`](Self::category) for any number of them.
    pub fn categories<'l, L: Into<Label<'l>>>(
        mut self,
        categories: impl IntoIterator<Item = L>,
    ) -> Self {
        for category in categories {
            self.flags |= HAS_CATEGORY;
            self.is_spilled = true;
            self.spill.item(Item::Category(category.into()));
        }
        self
    }

    /// That the event has a flow, which must be known.
    #[inline(always)]
    fn check(self, flow: FlowId) -> Self {
        let Self { row, state, start, flags, name, items, spill, is_spilled, fault } = self;
        let fault = if row.link.flows.knows(flow) { fault } else { unknown_flow(fault, flow) };
        let flags = flags | HAS_FLOW;
        Self { row, state, start, flags, name, items, spill, is_spilled, fault }
    }

    /// The place in a source file that the event comes from; `line` from 1.
    pub fn location(mut self, file: &str, function: &str, line: u32) -> Self {
        self.is_spilled = true;
        self.spill.location(file, function, line);
        self
    }
}

impl<A: Items> Event<'_, Complete, A> {
    /// Records the event.
    ///
    /// Waits if the thread's ring is full; otherwise a few words are written, and nothing else
    /// happens on this thread.
    ///
    /// # Errors
    ///
    /// The event is not recorded, and nothing else is lost, on
    /// [`ErrorKind::Time`], [`ErrorKind::UnknownFlow`], [`ErrorKind::Argument`] and
    /// [`ErrorKind::Finished`]. A failure of the sink is not told here but by `flush` and `finish`.
    #[inline(always)]
    pub fn emit(self) -> Result<(), Error> {
        let Complete { kind: said, end_ns } = self.state;
        let kind = match said {
            Kind::Slice => record::Kind::Slice,
            Kind::Instant => record::Kind::Instant,
        };
        self.record(said, kind, end_ns)
    }
}

impl<A: Items> Event<'_, Open, A> {
    /// Begins the slice, which ends with [`OpenSlice::end`].
    ///
    /// # Errors
    ///
    /// Those of [`emit`](Event::emit).
    pub fn begin(self) -> Result<OpenSlice, Error> {
        let row = self.row;
        let start = self.start;
        let name = self.name.to_string();
        // Refused events must not be remembered as open, so that it is opened only after the record.
        let id = row.link.next_open_id();
        self.record(Kind::Slice, record::Kind::Begin, id.0)?;
        row.link.open_slices().open(row.index, id, start, name.into());
        Ok(OpenSlice::new(row, id, start))
    }
}

impl<S, A: Items> Event<'_, S, A> {
    #[inline(always)]
    fn record(self, said: Kind, kind: record::Kind, word: u64) -> Result<(), Error> {
        let Self { row, state: _, start, flags, name, items, spill, is_spilled: _, fault } = self;
        if let Some(fault) = fault {
            return Err(refused(row, said, name, fault));
        }
        let name_text = match name {
            Label::Name(_) => None,
            Label::Text(text) => Some(cut(text)),
        };
        let name_words = match name_text {
            Some(text) => 1 + text_words(text.len()),
            None => 0,
        };
        let words = HEAD_WORDS + name_words + items.words() + spill.words().len();
        let name_id = match name {
            Label::Name(name) => name.id(),
            Label::Text(_) => 0,
        };
        let track = row.index;
        let head = [record::head(kind, flags, words, track), u64::from(name_id) << 32, start, word];
        let record = Record { head, name_text, items: &items, spill: spill.words() };
        match row.link.push(words, track, record) {
            Ok(()) => Ok(()),
            Err(record::Closed) => Err(finished(row, said, name)),
        }
    }
}

/// [`Event::spilled`], out of line and by value, so that no part of the event needs an address.
#[inline(never)]
fn write_to(
    mut spill: Spill,
    fault: Option<Fault>,
    limits: Limits,
    write: impl FnOnce(&mut Spill, Limits) -> Result<(), ValueError>,
    key: Label<'_>,
) -> (Spill, Option<Fault>) {
    let fault = match write(&mut spill, limits) {
        Ok(()) => fault,
        Err(error) => fault.or_else(|| Some(Fault::Argument(Box::new((key.to_string(), error))))),
    };
    (spill, fault)
}

#[cold]
#[inline(never)]
fn unknown_flow(fault: Option<Fault>, flow: FlowId) -> Option<Fault> {
    fault.or(Some(Fault::Flow(flow)))
}

#[cold]
#[inline(never)]
fn refused(row: &Row, kind: Kind, name: Label<'_>, fault: Fault) -> Error {
    let what = what(row, kind, name);
    match fault {
        Fault::Time(fault) => ErrorKind::Time { what, fault },
        Fault::Flow(flow) => ErrorKind::UnknownFlow { what, flow: flow.get() },
        Fault::Argument(wrong) => {
            let (key, error) = *wrong;
            ErrorKind::Argument { what, key, message: error.to_string() }
        }
    }
    .into()
}

#[cold]
#[inline(never)]
fn finished(row: &Row, kind: Kind, name: Label<'_>) -> Error {
    ErrorKind::Finished { what: what(row, kind, name) }.into()
}

fn what(row: &Row, kind: Kind, name: Label<'_>) -> String {
    let kind = match kind {
        Kind::Slice => "slice",
        Kind::Instant => "instant",
    };
    format!("{kind} `{name}` on track `{}`", row.name())
}

/// An event's words.
struct Record<'e, A> {
    head: [u64; HEAD_WORDS],
    name_text: Option<&'e str>,
    items: &'e A,
    spill: &'e [u64],
}

impl<A: Items> Fill for Record<'_, A> {
    #[inline(always)]
    fn fill(self, place: &mut [u64]) {
        let mut out = Cursor::new(place);
        for word in self.head {
            out.word(word);
        }
        if let Some(text) = self.name_text {
            text_item(&mut out, Tag::Name, text);
        }
        self.items.write(&mut out);
        out.words(self.spill);
    }
}

impl<S: fmt::Debug, A> fmt::Debug for Event<'_, S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("state", &self.state)
            .field("name", &self.name)
            .field("start_ns", &self.start)
            .finish_non_exhaustive()
    }
}
