//! What a call site says beside its name: arguments and flows. Belongs here: how a macro's values
//! find their type. Does not: how they are written.

use std::borrow::Cow;
use std::fmt::{self, Debug};

use novatrace_core::Limits;
use serde::Serialize;

use crate::FlowId;
use crate::name::{Label, Name};
use crate::record::{And, Cursor, Item, Items, Tag, cut, text_item, text_words};
use crate::value::{self, Spill};

/// The arguments and flows of one event, as they are gathered by `trace!` and its kind.
#[derive(Debug)]
#[must_use = "it is recorded by a call site"]
pub struct Said<A> {
    pub(super) items: A,
    pub(super) spill: Spill,
}

impl Said<()> {
    /// Nothing yet.
    #[inline(always)]
    pub fn nothing() -> Self {
        Self { items: (), spill: Spill::new() }
    }
}

impl<A: Items> Said<A> {
    #[inline(always)]
    pub(super) fn and(self, item: Option<Item<'_>>) -> Said<And<'_, A>> {
        Said { items: And { before: self.items, item }, spill: self.spill }
    }

    /// A flow that this event takes part in.
    #[inline(always)]
    pub fn flow<'a>(self, flow: FlowId) -> Said<And<'a, A>> {
        self.and(Some(Item::Flow(flow.get())))
    }

    /// A flow that ends here.
    #[inline(always)]
    pub fn flow_end<'a>(self, flow: FlowId) -> Said<And<'a, A>> {
        self.and(Some(Item::FlowEnd(flow.get())))
    }

    /// A text.
    #[inline(always)]
    pub fn text(self, key: Name, text: &str) -> Said<And<'_, A>> {
        self.and(Some(Item::Text(Label::Name(key), text)))
    }

    /// Anything that is `Serialize`.
    #[inline(always)]
    pub fn serialized<'a, V: Serialize + ?Sized>(
        mut self,
        key: Name,
        value: &V,
    ) -> Said<And<'a, A>> {
        let key = Label::Name(key);
        let scalar = match value::capture(&mut self.spill, Limits::default(), key, value) {
            Ok(scalar) => scalar,
            Err(error) => {
                self.spill.text(key, &format!("<{error}>"));
                None
            }
        };
        self.and(scalar.map(|scalar| Item::Argument(key, scalar)))
    }

    /// Anything that is `Debug`.
    pub fn debug<'a, V: Debug + ?Sized>(mut self, key: Name, value: &V) -> Said<And<'a, A>> {
        let mut text = String::new();
        // A `Debug` that fails has said something all the same.
        let _ = fmt::write(&mut text, format_args!("{value:?}"));
        self.spill.text(Label::Name(key), &text);
        self.and(None)
    }
}

/// A name made at run time, as the first item.
#[derive(Debug, Clone, Copy)]
pub struct MadeName<'a>(&'a str);

impl Items for MadeName<'_> {
    #[inline(always)]
    fn words(&self) -> usize {
        1 + text_words(cut(self.0).len())
    }
    #[inline(always)]
    fn write(&self, out: &mut Cursor<'_>) {
        text_item(out, Tag::Name, self.0);
    }
}

impl<A: Items> Said<A> {
    /// The name, for a call site that has none.
    #[inline(always)]
    pub fn named<N: AsRef<str> + ?Sized>(self, name: &N) -> Said<Both<MadeName<'_>, A>> {
        Said { items: Both(MadeName(name.as_ref()), self.items), spill: self.spill }
    }
}

/// All the words of an event's arguments.
pub(super) struct Words<'s, A> {
    pub(super) items: &'s A,
    pub(super) spill: &'s [u64],
}

impl<A: Items> Words<'_, A> {
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.items.words() + self.spill.len()
    }

    #[inline(always)]
    pub(super) fn write(&self, out: &mut Cursor<'_>) {
        self.items.write(out);
        out.words(self.spill);
    }
}

/// A value on its way to the method for its type: text, `Serialize`, or `Debug`, whichever comes
/// first. The macros call `(&&&Value(&value)).add(said, key)`; method look-up then tries one
/// reference less with each of the traits below.
#[derive(Debug)]
pub struct Value<'v, T: ?Sized>(pub &'v T);

/// Values that are texts.
pub trait AddText<'v> {
    /// Adds the value.
    fn add<A: Items>(&self, said: Said<A>, key: Name) -> Said<And<'v, A>>;
}

macro_rules! texts {
    ($($type:ty),*) => {$(
        impl<'v> AddText<'v> for &&Value<'v, $type> {
            #[inline(always)]
            fn add<A: Items>(&self, said: Said<A>, key: Name) -> Said<And<'v, A>> {
                let text: &'v str = self.0.as_ref();
                said.and(Some(Item::Text(Label::Name(key), text)))
            }
        }
    )*};
}

texts!(str, String, Box<str>, Cow<'_, str>, std::sync::Arc<str>);

impl<'v> AddText<'v> for &&Value<'v, &str> {
    #[inline(always)]
    fn add<A: Items>(&self, said: Said<A>, key: Name) -> Said<And<'v, A>> {
        let text: &'v str = self.0;
        said.and(Some(Item::Text(Label::Name(key), text)))
    }
}

/// Values that are `Serialize`.
pub trait AddSerialized<'v> {
    /// Adds the value.
    fn add<A: Items>(&self, said: Said<A>, key: Name) -> Said<And<'v, A>>;
}

impl<'v, T: Serialize + ?Sized> AddSerialized<'v> for &Value<'v, T> {
    #[inline(always)]
    fn add<A: Items>(&self, said: Said<A>, key: Name) -> Said<And<'v, A>> {
        said.serialized(key, self.0)
    }
}

/// Values that are `Debug`.
pub trait AddDebug<'v> {
    /// Adds the value.
    fn add<A: Items>(&self, said: Said<A>, key: Name) -> Said<And<'v, A>>;
}

impl<'v, T: Debug + ?Sized> AddDebug<'v> for Value<'v, T> {
    fn add<A: Items>(&self, said: Said<A>, key: Name) -> Said<And<'v, A>> {
        said.debug(key, self.0)
    }
}

/// One flow, several, or perhaps one: what `flow_in`, `flow_out` and `flow_end` take.
pub trait IntoFlows {
    /// The flows, each an item.
    type Items: Items;
    /// As items of events; `ends` if the flows end there.
    fn items(self, ends: bool) -> Self::Items;
}

/// Flows in a list.
#[derive(Debug, Clone, Copy)]
pub struct FlowList<L> {
    list: L,
    ends: bool,
}

impl<L: AsRef<[FlowId]>> Items for FlowList<L> {
    #[inline(always)]
    fn words(&self) -> usize {
        2 * self.list.as_ref().len()
    }
    #[inline(always)]
    fn write(&self, out: &mut Cursor<'_>) {
        for flow in self.list.as_ref() {
            let id = flow.get();
            if self.ends { Item::FlowEnd(id) } else { Item::Flow(id) }.write(out);
        }
    }
}

impl<const N: usize> IntoFlows for [FlowId; N] {
    type Items = FlowList<Self>;
    #[inline(always)]
    fn items(self, ends: bool) -> Self::Items {
        FlowList { list: self, ends }
    }
}

impl<'l> IntoFlows for &'l [FlowId] {
    type Items = FlowList<&'l [FlowId]>;
    #[inline(always)]
    fn items(self, ends: bool) -> Self::Items {
        FlowList { list: self, ends }
    }
}

impl<'l> IntoFlows for &'l Vec<FlowId> {
    type Items = FlowList<&'l [FlowId]>;
    #[inline(always)]
    fn items(self, ends: bool) -> Self::Items {
        self.as_slice().items(ends)
    }
}

impl IntoFlows for FlowId {
    type Items = FlowList<[FlowId; 1]>;
    #[inline(always)]
    fn items(self, ends: bool) -> Self::Items {
        [self].items(ends)
    }
}

/// Perhaps a flow, as an item.
#[derive(Debug, Clone, Copy)]
pub struct MaybeFlow(Option<FlowId>, bool);

impl Items for MaybeFlow {
    #[inline(always)]
    fn words(&self) -> usize {
        if self.0.is_some() { 2 } else { 0 }
    }
    #[inline(always)]
    fn write(&self, out: &mut Cursor<'_>) {
        if let Some(flow) = self.0 {
            flow.items(self.1).write(out);
        }
    }
}

impl IntoFlows for Option<FlowId> {
    type Items = MaybeFlow;
    #[inline(always)]
    fn items(self, ends: bool) -> Self::Items {
        MaybeFlow(self, ends)
    }
}

/// Two lists of items, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Both<A, B>(A, B);

impl<A: Items, B: Items> Items for Both<A, B> {
    #[inline(always)]
    fn words(&self) -> usize {
        self.0.words() + self.1.words()
    }
    #[inline(always)]
    fn write(&self, out: &mut Cursor<'_>) {
        self.0.write(out);
        self.1.write(out);
    }
}

impl<A: Items> Said<A> {
    /// Flows that this event takes part in, or that end here.
    #[inline(always)]
    pub fn flows<F: IntoFlows>(self, flows: F, ends: bool) -> Said<Both<A, F::Items>> {
        Said { items: Both(self.items, flows.items(ends)), spill: self.spill }
    }
}
