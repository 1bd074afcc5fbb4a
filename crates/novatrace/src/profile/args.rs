//! What a call site says beside its name: arguments and flows. Belongs here: how a macro's values
//! find their type. Does not: how they are written.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::sync::Arc;

use novatrace_core::{Limits, Scalar};
use serde::Serialize;

use crate::FlowId;
use crate::name::{Label, Name};
use crate::record::{And, Cursor, Item, Items, Tag, cut, text_item, text_words};
use crate::value::{self, Spill};

/// The arguments and flows of one event, as they are gathered by `trace!` and its kind: `items` are
/// known by their types, and `rest` has words for those that are not.
#[derive(Debug)]
#[must_use = "it is recorded by a call site"]
pub struct Said<A, R = NoRest> {
    pub(super) items: A,
    pub(super) rest: R,
}

/// Words beside an event's items.
pub trait Rest {
    /// The words.
    #[doc(hidden)]
    fn words(&self) -> &[u64];
    #[doc(hidden)]
    fn into_spill(self) -> Spill;
}

/// Nothing beside the items.
#[derive(Debug, Clone, Copy)]
pub struct NoRest;

impl Rest for NoRest {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        &[]
    }
    #[inline(always)]
    fn into_spill(self) -> Spill {
        Spill::new()
    }
}

impl Rest for Spill {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        self.words()
    }
    #[inline(always)]
    fn into_spill(self) -> Spill {
        self
    }
}

impl Said<()> {
    /// Nothing yet.
    #[inline(always)]
    pub fn nothing() -> Self {
        Self { items: (), rest: NoRest }
    }
}

impl<A: Items, R: Rest> Said<A, R> {
    #[inline(always)]
    pub(super) fn and(self, item: Option<Item<'_>>) -> Said<And<'_, A>, R> {
        Said { items: And { before: self.items, item }, rest: self.rest }
    }

    /// A category beside the call site's.
    #[inline(always)]
    pub fn category<'a>(self, category: Name) -> Said<And<'a, A>, R> {
        self.and(Some(Item::Category(Label::Name(category))))
    }

    /// Anything that is `Serialize`.
    #[inline(always)]
    pub fn serialized<'a, V: Serialize + ?Sized>(
        self,
        key: Name,
        value: &V,
    ) -> Said<And<'a, A>, Spill> {
        let key = Label::Name(key);
        let mut spill = self.rest.into_spill();
        let item = value::scalar(value).map(|scalar| Item::Argument(key, scalar));
        if item.is_none()
            && let Err(error) = value::parts(&mut spill, Limits::default(), key, value)
        {
            spill.text(key, &format!("<{error}>"));
        }
        Said { items: And { before: self.items, item }, rest: spill }
    }

    /// Anything that is `Debug`.
    pub fn debug<V: Debug + ?Sized>(self, key: Name, value: &V) -> Said<A, Spill> {
        let mut text = String::new();
        // A `Debug` that fails has said something all the same.
        let _ = fmt::write(&mut text, format_args!("{value:?}"));
        let mut spill = self.rest.into_spill();
        spill.text(Label::Name(key), &text);
        Said { items: self.items, rest: spill }
    }

    /// Flows that this event takes part in, or that end here.
    #[inline(always)]
    pub fn flows<F: IntoFlows>(self, flows: F, ends: bool) -> Said<Both<A, F::Items>, R> {
        Said { items: Both(self.items, flows.items(ends)), rest: self.rest }
    }

    /// The name, for a call site that has none.
    #[inline(always)]
    pub fn named<N: AsRef<str> + ?Sized>(self, name: &N) -> Said<Both<MadeName<'_>, A>, R> {
        Said { items: Both(MadeName(name.as_ref()), self.items), rest: self.rest }
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

/// All the words of an event's arguments.
pub(super) struct Words<'s, A> {
    pub(super) items: &'s A,
    pub(super) rest: &'s [u64],
}

impl<A: Items> Words<'_, A> {
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.items.words() + self.rest.len()
    }

    #[inline(always)]
    pub(super) fn write(&self, out: &mut Cursor<'_>) {
        self.items.write(out);
        out.words(self.rest);
    }
}

/// A value on its way to the method for its type: number or text, `Serialize`, or `Debug`, whichever
/// comes first. The macros call `(&&&Value(&value)).add(said, key)`; method look-up then tries one
/// reference less with each of the traits below.
#[derive(Debug)]
pub struct Value<'v, T: ?Sized>(pub &'v T);

/// Values that are numbers or texts.
pub trait AddPlain<'v> {
    /// Adds the value.
    fn add<A: Items, R: Rest>(&self, said: Said<A, R>, key: Name) -> Said<And<'v, A>, R>;
}

macro_rules! plain {
    ($($type:ty: |$value:ident, $key:ident| $item:expr;)*) => {$(
        impl<'v> AddPlain<'v> for &&Value<'v, $type> {
            #[inline(always)]
            fn add<A: Items, R: Rest>(&self, said: Said<A, R>, key: Name) -> Said<And<'v, A>, R> {
                let ($value, $key) = (self.0, Label::Name(key));
                said.and(Some($item))
            }
        }
    )*};
}

plain! {
    str: |text, key| Item::Text(key, text);
    &str: |text, key| Item::Text(key, text);
    String: |text, key| Item::Text(key, text);
    Box<str>: |text, key| Item::Text(key, text);
    Arc<str>: |text, key| Item::Text(key, text);
    Cow<'_, str>: |text, key| Item::Text(key, text);
    bool: |value, key| Item::Argument(key, Scalar::Bool(*value));
    i8: |value, key| Item::Argument(key, Scalar::Int((*value).into()));
    i16: |value, key| Item::Argument(key, Scalar::Int((*value).into()));
    i32: |value, key| Item::Argument(key, Scalar::Int((*value).into()));
    i64: |value, key| Item::Argument(key, Scalar::Int(*value));
    isize: |value, key| Item::Argument(key, Scalar::Int(*value as i64));
    u8: |value, key| Item::Argument(key, Scalar::Uint((*value).into()));
    u16: |value, key| Item::Argument(key, Scalar::Uint((*value).into()));
    u32: |value, key| Item::Argument(key, Scalar::Uint((*value).into()));
    u64: |value, key| Item::Argument(key, Scalar::Uint(*value));
    usize: |value, key| Item::Argument(key, Scalar::Uint(*value as u64));
    f32: |value, key| Item::Argument(key, Scalar::Double((*value).into()));
    f64: |value, key| Item::Argument(key, Scalar::Double(*value));
}

/// Values that are `Serialize`.
pub trait AddSerialized<'v> {
    /// Adds the value.
    fn add<A: Items, R: Rest>(&self, said: Said<A, R>, key: Name) -> Said<And<'v, A>, Spill>;
}

impl<'v, T: Serialize + ?Sized> AddSerialized<'v> for &Value<'v, T> {
    #[inline(always)]
    fn add<A: Items, R: Rest>(&self, said: Said<A, R>, key: Name) -> Said<And<'v, A>, Spill> {
        said.serialized(key, self.0)
    }
}

/// Values that are `Debug`.
pub trait AddDebug {
    /// Adds the value.
    fn add<A: Items, R: Rest>(&self, said: Said<A, R>, key: Name) -> Said<A, Spill>;
}

impl<T: Debug + ?Sized> AddDebug for Value<'_, T> {
    fn add<A: Items, R: Rest>(&self, said: Said<A, R>, key: Name) -> Said<A, Spill> {
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
pub struct Both<A, B>(pub(super) A, pub(super) B);

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

impl<A: Items> Items for &A {
    #[inline(always)]
    fn words(&self) -> usize {
        (**self).words()
    }
    #[inline(always)]
    fn write(&self, out: &mut Cursor<'_>) {
        (**self).write(out);
    }
}
