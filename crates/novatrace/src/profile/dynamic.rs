//! Call sites, counters and arguments that are known only at run time, for layers over other
//! instrumentation. Does not belong here: that instrumentation.

use std::sync::{Mutex, MutexGuard, PoisonError};

use novatrace_core::{Limits, Scalar};
use serde::Serialize;

use super::args::{Rest, Said};
use super::counter::Counter;
use crate::FlowId;
use crate::name::{Label, Name};
use crate::record::{Item, Tag, Writer, text_item};
use crate::value::{self, Spill};

/// Arguments of an event, gathered one by one: kept as they will be recorded.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<u64>);

impl Fields {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The name of the event, for a call site that has none; the first thing to be said.
    pub fn name(&mut self, name: &str) {
        text_item(&mut self.0, Tag::Name, name);
    }

    /// A category beside the call site's.
    pub fn category(&mut self, name: Name) {
        Item::Category(Label::Name(name)).write(&mut self.0);
    }

    /// A flow that the event takes part in.
    pub fn flow(&mut self, flow: FlowId) {
        Item::Flow(flow.get()).write(&mut self.0);
    }

    /// A flow that ends with the event.
    pub fn flow_end(&mut self, flow: FlowId) {
        Item::FlowEnd(flow.get()).write(&mut self.0);
    }

    /// The place in a source file that the event comes from.
    pub fn location(&mut self, file: &str, function: &str, line: u32) {
        self.0.word(Tag::Location.head(0, line));
        text_item(&mut self.0, Tag::Text, file);
        text_item(&mut self.0, Tag::Text, function);
    }

    /// Each field of a struct, or entry of a map, as an argument of its own; none, and what is wrong, if
    /// one of them says that it cannot be serialized.
    ///
    /// # Errors
    ///
    /// What the value's `Serialize` said.
    pub fn all<V: Serialize>(&mut self, fields: V, limits: Limits) -> Result<(), String> {
        value::fields_into(&mut self.0, limits, &fields).map_err(|error| error.to_string())
    }

    /// A text.
    pub fn text(&mut self, key: Name, text: &str) {
        Item::Text(Label::Name(key), text).write(&mut self.0);
    }

    /// A signed number.
    pub fn int(&mut self, key: Name, value: i64) {
        self.scalar(key, Scalar::Int(value));
    }

    /// An unsigned number.
    pub fn uint(&mut self, key: Name, value: u64) {
        self.scalar(key, Scalar::Uint(value));
    }

    /// A double.
    pub fn double(&mut self, key: Name, value: f64) {
        self.scalar(key, Scalar::Double(value));
    }

    /// True or false.
    pub fn bool(&mut self, key: Name, value: bool) {
        self.scalar(key, Scalar::Bool(value));
    }

    fn scalar(&mut self, key: Name, value: Scalar) {
        Item::Argument(Label::Name(key), value).write(&mut self.0);
    }

    /// Adds those of another.
    pub fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// What an event says with them.
    #[inline]
    pub fn said(&self) -> Said<(), &[u64]> {
        Said { items: (), rest: &self.0 }
    }
}

impl Rest for &[u64] {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    fn into_spill(self) -> Spill {
        let mut spill = Spill::new();
        for &word in self {
            spill.word(word);
        }
        spill
    }
}

/// Counters that are not in the source.
pub(super) fn made_counters() -> MutexGuard<'static, Vec<&'static Counter>> {
    static MADE: Mutex<Vec<&'static Counter>> = Mutex::new(Vec::new());
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counter {
    /// The one counter of that name and category, for counters that are not in the source: made when
    /// first asked for, and kept.
    #[doc(hidden)]
    #[must_use]
    pub fn made(name: &str, unit: Option<&str>, category: &'static str) -> &'static Self {
        let mut made = made_counters();
        if let Some(counter) = made.iter().find(|counter| counter.is(name, category)) {
            return counter;
        }
        let name = Name::new(name).as_str();
        let counter: &'static Self = {
            let unit = unit.map(|unit| Name::new(unit).as_str());
            Box::leak(Box::new(Self::new(name, unit, category)))
        };
        made.push(counter);
        counter
    }
}
