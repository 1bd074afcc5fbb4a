//! Groups: the rows that hold tracks.

use std::fmt;
use std::sync::Arc;

use super::{CounterTrack, NormalTrack};
use crate::error::ErrorKind;
use crate::worker::{self, Link, RowKind};

/// A group at the top; from [`TraceGenerator::group`](crate::TraceGenerator::group). What it holds is
/// shown in the order it was made. Asking again for a name gives the same track.
#[derive(Clone)]
pub struct Group(Row);

/// A group within a group; from [`Group::group`]. The viewer draws 32 levels; what lies deeper is
/// shown beside the row it belongs to, with both names.
#[derive(Clone)]
pub struct GroupTrack(Row);

/// A row of the viewer that has a name, a parent and children.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) link: Arc<Link>,
    pub(crate) index: u32,
}

impl Row {
    pub(crate) fn child(&self, kind: RowKind, name: &str) -> Self {
        let index = self.link.rows().child(Some(self.index), kind, name);
        Self { link: Arc::clone(&self.link), index }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.link.rows().name(self.index)
    }

    /// Says a property of the row, which is a `what`; an error of `finish` if it comes too late to be
    /// in the trace, and is not what was said before.
    pub(crate) fn set<T: PartialEq>(
        &self,
        what: &str,
        property: &'static str,
        field: impl FnOnce(&mut worker::Row) -> &mut Option<T>,
        value: T,
    ) {
        let (is_new, is_written) = self.link.rows().edit(self.index, |row| {
            let field = field(row);
            let is_new = field.as_ref() != Some(&value);
            *field = Some(value);
            is_new
        });
        let row = || format!("{what} `{}`", self.name());
        if is_new {
            self.link.tell_edit(self.index, row, property);
        }
        if is_new && is_written {
            self.link.fail(ErrorKind::RowSettled { row: row(), property }.into());
        }
    }

    pub(crate) fn describe(&self, what: &str, text: &str) {
        self.set(what, "description", |row| &mut row.description, text.into());
    }

    pub(crate) fn debug(&self, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(what).field(&self.name()).finish()
    }
}

impl NormalTrack {
    pub(crate) fn at_top(link: &Arc<Link>, name: &str) -> Self {
        let index = link.rows().child(None, RowKind::Track, name);
        Self(Row { link: Arc::clone(link), index })
    }
}

impl CounterTrack {
    pub(crate) fn at_top(link: &Arc<Link>, name: &str) -> Self {
        let index = link.rows().child(None, RowKind::Counter, name);
        Self(Row { link: Arc::clone(link), index })
    }
}

impl Group {
    pub(crate) fn new(link: &Arc<Link>, name: &str) -> Self {
        let index = link.rows().child(None, RowKind::Group, name);
        Self(Row { link: Arc::clone(link), index })
    }
}

macro_rules! holds_tracks {
    ($type:ident) => {
        impl $type {
            /// The group of that name within this one.
            #[must_use]
            pub fn group(&self, name: &str) -> GroupTrack {
                GroupTrack(self.0.child(RowKind::Group, name))
            }

            /// The track of that name within this group, for slices and instants.
            #[must_use]
            pub fn track(&self, name: &str) -> NormalTrack {
                NormalTrack(self.0.child(RowKind::Track, name))
            }

            /// The counter of that name within this group.
            #[must_use]
            pub fn counter(&self, name: &str) -> CounterTrack {
                CounterTrack(self.0.child(RowKind::Counter, name))
            }

            /// What the viewer shows when the group is asked about. To be said before the first
            /// event in the group: after that it may come too late, which is then an error of
            /// [`TraceGenerator::finish`](crate::TraceGenerator::finish).
            #[must_use]
            pub fn description(self, text: &str) -> Self {
                self.0.describe("group", text);
                self
            }

            /// The name it was made with.
            #[must_use]
            pub fn name(&self) -> Arc<str> {
                self.0.name()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.debug(stringify!($type), f)
            }
        }
    };
}

holds_tracks!(Group);
holds_tracks!(GroupTrack);
