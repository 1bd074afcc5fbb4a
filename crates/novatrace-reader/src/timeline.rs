//! How slices of one track nest. Belongs here: the trace processor's rules for begins and ends in order of time
//! (`slice_tracker.cc`). Does not: the order, which is the caller's; which tracks there are.

use crate::text::TextId;

/// Slices more deep than this are not kept.
pub(crate) const MAX_DEPTH: usize = 512;

/// A slice that may still end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open<T> {
    pub(crate) start: i64,
    /// Known of instants, and of slices that have ended while others in them have not.
    pub(crate) end: Option<i64>,
    pub(crate) name: Option<TextId>,
    pub(crate) category: Option<TextId>,
    /// What the caller knows it by.
    pub(crate) tag: T,
}

/// The slices of a track that are open at some time.
#[derive(Debug, Clone)]
pub(crate) struct Stack<T> {
    pub(crate) open: Vec<Open<T>>,
    /// How many of them have an end that is known.
    ended: usize,
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self { open: Vec::new(), ended: 0 }
    }
}

/// What an end does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It ends the innermost slice.
    Innermost,
    /// It ends an outer one; so many are open inside.
    Outer(usize),
    /// No slice is open.
    Orphan,
    /// None of those that are open has its name and category.
    Mismatched,
}

/// A slice is over: its length is known.
pub(crate) trait Closed<T> {
    fn closed(&mut self, open: &Open<T>, end: i64, is_cut: bool);
}

impl<T, F: FnMut(&Open<T>, i64, bool)> Closed<T> for F {
    fn closed(&mut self, open: &Open<T>, end: i64, is_cut: bool) {
        self(open, end, is_cut);
    }
}

impl<T> Stack<T> {
    /// Has other numbers for its texts.
    pub(crate) fn renumber(&mut self, texts: &[TextId]) {
        for open in &mut self.open {
            for text in open.name.iter_mut().chain(&mut open.category) {
                text.renumber(texts);
            }
        }
    }

    /// Takes away what is over by `ts`. An instant is around those that come after it at the same time.
    #[inline(always)]
    fn settle(&mut self, ts: i64, is_instant: bool, closed: &mut impl Closed<T>) {
        // Nearly always: what is open has no end so far.
        if self.ended == 0 {
            return;
        }
        self.settle_slowly(ts, is_instant, closed);
    }

    #[cold]
    #[inline(never)]
    fn settle_slowly(&mut self, ts: i64, is_instant: bool, closed: &mut impl Closed<T>) {
        let mut is_inner_open = false;
        for at in (0..self.open.len()).rev() {
            let Some(end) = self.open[at].end else {
                is_inner_open = true;
                continue;
            };
            if is_inner_open {
                if ts <= end {
                    continue;
                }
                // Slices in it that have not ended are cut where it ends.
                while self.open.len() > at + 1 {
                    if let Some(inner) = self.open.pop() {
                        closed.closed(&inner, inner.end.unwrap_or(end), true);
                    }
                }
                self.open.pop();
                is_inner_open = false;
            } else if end < ts || (end == ts && !(is_instant && self.open[at].start == ts)) {
                self.open.pop();
            }
        }
        self.ended = self.open.iter().filter(|open| open.end.is_some()).count();
    }

    /// A slice begins. Returns how deep it is; `None` if it is too deep.
    #[inline(always)]
    pub(crate) fn begin(&mut self, open: Open<T>, closed: &mut impl Closed<T>) -> Option<usize> {
        self.settle(open.start, open.end == Some(open.start), closed);
        let depth = self.open.len();
        if depth >= MAX_DEPTH {
            return None;
        }
        self.ended += usize::from(open.end.is_some());
        self.open.push(open);
        Some(depth)
    }

    /// An end at `ts`; `close` is given the slice that it ends.
    #[inline(always)]
    pub(crate) fn end(
        &mut self,
        ts: i64,
        name: Option<TextId>,
        category: Option<TextId>,
        closed: &mut impl Closed<T>,
    ) -> (Ended, Option<usize>) {
        self.settle(ts, false, closed);
        let fits = |open: &Open<T>| {
            open.end.is_none()
                && category.is_none_or(|category| open.category == Some(category))
                && name.is_none_or(|name| open.name.is_none_or(|other| other == name))
        };
        let Some(at) = self.open.iter().rposition(fits) else {
            let is_any = self.open.iter().any(|open| open.end.is_none());
            return (if is_any { Ended::Mismatched } else { Ended::Orphan }, None);
        };
        closed.closed(&self.open[at], ts, false);
        if at + 1 == self.open.len() {
            self.open.pop();
            return (Ended::Innermost, Some(at));
        }
        self.open[at].end = Some(ts);
        self.ended += 1;
        (Ended::Outer(self.open.len() - at - 1), Some(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(start: i64, tag: char) -> Open<char> {
        Open { start, end: None, name: None, category: None, tag }
    }

    #[test]
    fn ends_close_the_innermost_slice() {
        let mut stack = Stack::default();
        let mut seen = vec![];
        let mut closed = |open: &Open<char>, end, _| seen.push((open.tag, open.start, end));
        assert_eq!(stack.begin(open(0, 'a'), &mut closed), Some(0));
        assert_eq!(stack.begin(open(5, 'b'), &mut closed), Some(1));
        assert_eq!(stack.end(7, None, None, &mut closed).0, Ended::Innermost);
        assert_eq!(stack.end(9, None, None, &mut closed).0, Ended::Innermost);
        assert_eq!(stack.end(9, None, None, &mut closed).0, Ended::Orphan);
        assert_eq!(seen, [('b', 5, 7), ('a', 0, 9)]);
    }

    #[test]
    fn what_is_inside_of_a_slice_that_has_ended_is_cut() {
        let mut texts = crate::text::Texts::new();
        let name = texts.id_of(b"a");
        let mut stack = Stack::default();
        let mut seen = vec![];
        let mut closed = |open: &Open<char>, end, is_cut| seen.push((open.tag, end, is_cut));
        stack.begin(Open { name: Some(name), ..open(0, 'a') }, &mut closed);
        stack.begin(Open { name: Some(texts.id_of(b"b")), ..open(2, 'b') }, &mut closed);
        assert_eq!(stack.end(5, Some(name), None, &mut closed).0, Ended::Outer(1));
        assert_eq!(stack.begin(open(6, 'c'), &mut closed), Some(0));
        assert_eq!(seen, [('a', 5, false), ('b', 5, true)]);
    }
}
