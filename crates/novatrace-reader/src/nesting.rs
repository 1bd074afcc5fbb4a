//! What is wrong with how slices of one track nest. Belongs here: the faults that begins and ends in order of time show. Does not: the
//! rules by which they nest (`timeline.rs`).

use crate::event::{EventKind, Lean};
use crate::rules::Rule;
use crate::text::TextId;
use crate::timeline::{Ended, Open, Stack};
use crate::tracks_in_order::InOrder;
use crate::walk::{Place, State};

/// Where a slice began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) place: Place,
    sequence: u32,
}

/// What is wrong about an end, told later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    Named(Option<TextId>, &'static str),
    Inside(Option<TextId>, usize),
    Deep,
}

impl What {
    pub(crate) fn text(self, state: &State) -> String {
        match self {
            Self::Named(name, what) => format!("{what} {}", called(name, state)),
            Self::Inside(name, count) => {
                format!("it ends {}, in which {count} are open", called(name, state))
            }
            Self::Deep => "the 513th".to_owned(),
        }
    }
}

pub(crate) fn called(name: Option<TextId>, state: &State) -> String {
    name.map_or_else(
        || "a slice without a name".to_owned(),
        |name| format!("{:?}", state.texts.get(name)),
    )
}

/// How often a rule is broken on a track, and the first times.
pub(crate) type TrackFault = (Rule, u64, Vec<(Lean, What)>);

/// How slices of one track nest.
#[derive(Debug, Default)]
pub(crate) struct Nesting {
    pub(crate) stack: Stack<Begun>,
    #[expect(clippy::box_collection, reason = "most tracks have none")]
    pub(crate) faults: Option<Box<Vec<TrackFault>>>,
}

impl Nesting {
    #[cold]
    #[inline(never)]
    fn fault(&mut self, rule: Rule, event: &Lean, what: What) {
        let faults = self.faults.get_or_insert_default();
        let at = faults.iter().position(|fault| fault.0 == rule).unwrap_or_else(|| {
            faults.push((rule, 0, vec![]));
            faults.len() - 1
        });
        faults[at].1 += 1;
        if faults[at].2.len() < 3 {
            faults[at].2.push((*event, what));
        }
    }

    #[inline(always)]
    fn end(&mut self, event: &Lean) {
        let mut ended: Option<Open<Begun>> = None;
        let mut close = |open: &Open<Begun>, _: i64, is_cut: bool| {
            if !is_cut {
                ended = Some(*open);
            }
        };
        let (how, _) = self.stack.end(event.ts, event.name, event.category, &mut close);
        match (how, ended) {
            (Ended::Innermost, Some(open)) => {
                if open.tag.sequence != event.sequence {
                    let is_own_open = self
                        .stack
                        .open
                        .iter()
                        .any(|open| open.tag.sequence == event.sequence && open.end.is_none());
                    if is_own_open {
                        self.fault(Rule::EndOfOther, event, What::Named(open.name, "it ends"));
                    }
                }
                let is_empty =
                    open.start == event.ts && open.tag.place.packet + 1 != event.place.packet;
                if is_empty && self.stack.open.last().is_some_and(|outer| outer.start < event.ts) {
                    self.fault(Rule::ZeroInside, event, What::Named(open.name, "the inner one is"));
                }
            }
            (Ended::Outer(count), open) => {
                self.fault(
                    Rule::MisplacedEnd,
                    event,
                    What::Inside(open.and_then(|open| open.name), count),
                );
            }
            (Ended::Orphan, _) => {
                self.fault(Rule::OrphanEnd, event, What::Named(event.name, "an end for"));
            }
            (Ended::Mismatched, _) => {
                self.fault(Rule::MismatchedEnd, event, What::Named(event.name, "an end for"));
            }
            (Ended::Innermost, None) => {}
        }
    }
}

impl InOrder for Nesting {
    #[inline(always)]
    fn event(&mut self, event: &Lean) {
        let end = match event.kind {
            EventKind::Begin => None,
            EventKind::End => return self.end(event),
            EventKind::Instant => Some(event.ts),
            EventKind::Complete(length) => Some(event.ts.saturating_add(length)),
            EventKind::Counter(_) | EventKind::State | EventKind::Arrow(..) => return,
        };
        let tag = Begun { place: event.place, sequence: event.sequence };
        let open = Open { start: event.ts, end, name: event.name, category: event.category, tag };
        if self.stack.begin(open, &mut |_: &Open<Begun>, _: i64, _: bool| {}).is_none() {
            self.fault(Rule::TooDeep, event, What::Deep);
        }
    }

    fn renumber(&mut self, texts: &[TextId]) -> bool {
        self.stack.renumber(texts);
        // A walk of all sequences tells of these in its own order.
        self.faults.is_none()
    }

    fn join(&mut self, _: Self, _: bool) -> bool {
        false
    }
}
