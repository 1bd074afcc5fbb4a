//! Tracks of one's own, which any thread may record on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::args::{Both, Rest, Said};
use super::dynamic::Fields;
use super::session::Live;
use super::site::{CallSite, SiteNames, recording_id, registry};
use super::{clock, thread};
use crate::name::{Label, Name};
use crate::record::{
    And, Cursor, HAS_CATEGORY, HEAD_WORDS, Item, Items, Kind, TICKS, Tag, Writer, cut, head,
    text_item,
};
use crate::worker::RowKind;

/// A row of the process with spans and instants of any thread; from [`track`].
///
/// Spans that overlap without nesting are drawn on lanes of the same row.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let session = novatrace::open(folder.path().join("app.pftrace"))?;
/// let io = novatrace::track("io");
/// let read = io.trace("read");
/// io.instant(&format!("block {}", 7));
/// std::thread::spawn(move || drop(read)).join().expect("no panic");
/// # session.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LiveTrack(Arc<Shared>);

struct Shared {
    name: Box<str>,
    /// The row in the session it was last recorded in: the session's id and the row.
    cached: AtomicU64,
}

/// The track of that name. It belongs to the process, not to a session, and may be made before one
/// is open.
#[must_use]
pub fn track(name: &str) -> LiveTrack {
    LiveTrack(Arc::new(Shared { name: name.into(), cached: AtomicU64::new(0) }))
}

impl LiveTrack {
    /// Its row in the session that records, if one does.
    fn row(&self) -> Option<(Arc<Live>, u32)> {
        if cfg!(feature = "disabled") {
            return None;
        }
        let live = Arc::clone(registry().session()?);
        let id = live.link().id() << 32;
        let cached = self.0.cached.load(Ordering::Relaxed);
        if cached >> 32 << 32 == id {
            #[expect(clippy::cast_possible_truncation, reason = "the low half")]
            return Some((live, cached as u32));
        }
        let row = live.link().rows().child(None, RowKind::Track, &self.0.name);
        self.0.cached.store(id | u64::from(row), Ordering::Relaxed);
        Some((live, row))
    }

    /// A span on this track, which ends when the guard is dropped, on whichever thread.
    ///
    /// Takes a lock, unlike `trace!`.
    pub fn trace<'a>(&self, name: impl Into<Label<'a>>) -> TrackSpan {
        self.begin(name.into(), &(), &[])
    }

    /// An instant on this track.
    pub fn instant<'a>(&self, name: impl Into<Label<'a>>) {
        if let Some((_, row)) = self.row() {
            record(Kind::Instant, row, 0, name.into(), &(), &[]);
        }
    }

    /// A span of a call site on this track.
    #[doc(hidden)]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn span_of<A: Items, R: Rest>(
        &self,
        site: &'static CallSite,
        said: Said<A, R>,
    ) -> TrackSpan {
        self.begin_site(site, &said.items, said.rest.words())
    }

    /// The same of a call site whose events have a name, with items and words that follow them.
    pub(super) fn begin_site(
        &self,
        site: &'static CallSite,
        items: &impl Items,
        words: &[u64],
    ) -> TrackSpan {
        let SiteNames { name, category } = site.names();
        let category = And { before: (), item: Some(Item::Category(Label::Name(category))) };
        let name = name.map_or(Label::Text(""), Label::Name);
        self.begin(name, &Both(category, items), words)
    }

    /// A span that says more, and whose name is not in the source.
    #[doc(hidden)]
    pub fn trace_with(&self, name: &str, category: Name, fields: &Fields) -> TrackSpan {
        let category = And { before: (), item: Some(Item::Category(Label::Name(category))) };
        self.begin(Label::Text(name), &category, fields.said().rest)
    }

    /// The same for an instant.
    #[doc(hidden)]
    pub fn instant_with(&self, name: &str, category: Name, fields: &Fields) {
        let category = And { before: (), item: Some(Item::Category(Label::Name(category))) };
        if let Some((_, row)) = self.row() {
            let name = Label::Text(name);
            record(Kind::Instant, row, 0, name, &category, fields.said().rest);
        }
    }

    fn begin(&self, name: Label<'_>, items: &impl Items, words: &[u64]) -> TrackSpan {
        TrackSpan(self.row().map(|(live, row)| {
            let id = live.link().next_open_id().0;
            let is_begun = record(Kind::Begin, row, id, name, items, words);
            OpenSpan { live, row, id: is_begun.then_some(id) }
        }))
    }

    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl fmt::Debug for LiveTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveTrack").field(&self.0.name).finish()
    }
}

struct OpenSpan {
    live: Arc<Live>,
    row: u32,
    /// `None` if its begin found no room: there is nothing to end.
    id: Option<u64>,
}

/// A span of a [`LiveTrack`], which ends when this is dropped. Unlike a
/// [`SpanGuard`](crate::SpanGuard) it may go to another thread.
#[must_use = "the span ends when the guard is dropped"]
pub struct TrackSpan(Option<OpenSpan>);

impl TrackSpan {
    /// A guard of nothing.
    pub const fn none() -> Self {
        Self(None)
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the session that it was recorded in still records. Takes no lock.
    pub(super) fn is_current(&self) -> bool {
        self.0.as_ref().is_some_and(|open| recording_id() == open.live.link().id())
    }
}

impl Drop for TrackSpan {
    fn drop(&mut self) {
        let Some(OpenSpan { live, row, id: Some(id) }) = self.0.take() else { return };
        // A session that is over has ended its spans.
        if registry().session().is_some_and(|current| Arc::ptr_eq(current, &live)) {
            let head = head(Kind::End, TICKS, HEAD_WORDS, row);
            thread::end_on_row(&live, [head, 0, clock::ticks(), id]);
        }
    }
}

impl fmt::Debug for TrackSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackSpan").field("is_recorded", &self.0.is_some()).finish()
    }
}

/// Records an event of a row in the layout of the generator, with ticks for times. Says whether there was
/// room.
fn record(
    kind: Kind,
    row: u32,
    word: u64,
    name: Label<'_>,
    items: &impl Items,
    rest: &[u64],
) -> bool {
    let name_id = match name {
        Label::Name(name) => u64::from(name.id()) << 32,
        Label::Text(_) => 0,
    };
    let mut words = vec![0, name_id, 0, word];
    if let Label::Text(text) = name {
        text_item(&mut words, Tag::Name, cut(text));
    }
    let at = words.len();
    words.resize(at + items.words(), 0);
    items.write(&mut Cursor::new(&mut words[at..]));
    words.extend_from_slice(rest);
    if words.len() % 2 == 1 {
        words.word(0);
    }
    // Live tracks have the category that they are given.
    let flags = if items.words() > 0 { TICKS | HAS_CATEGORY } else { TICKS };
    words[0] = head(kind, flags, words.len(), row);
    words[2] = clock::ticks();
    thread::many_words(&words)
}
