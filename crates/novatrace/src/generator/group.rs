//! Groups: the rows that hold tracks.

use std::fmt;
use std::sync::Arc;

use super::{CounterTrack, NormalTrack};
use crate::worker::{Link, RowKind};

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

            /// What the viewer shows when the group is asked about. Has no effect once an event
            /// of the group has been written.
            #[must_use]
            pub fn description(self, text: &str) -> Self {
                self.0.link.rows().edit(self.0.index, |row| row.description = Some(text.into()));
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
