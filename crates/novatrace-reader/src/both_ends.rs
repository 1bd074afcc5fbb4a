//! Arguments of a slice, of its begin and its end together. Belongs here: what becomes of those that both have. Does not: what
//! arguments are (`args.rs`).

use std::collections::BTreeSet;
use std::fmt::Write;

use foldhash::HashMap;

use crate::Error;
use crate::args::{self, Take, Value};
use crate::event::{Event, EventKind};
use crate::input::Source;
use crate::model::Args;
use crate::timeline::{Open, Stack};
use crate::track::TrackId;
use crate::walk::{State, Visit, Whereabouts, walk};

/// Arguments that others are put to: the last of those with one name counts.
pub(crate) struct Put<'a> {
    args: &'a mut Args,
    /// Of many, where each is.
    places: HashMap<String, usize>,
}

impl<'a> Put<'a> {
    /// As long as there are fewer, to look at each is faster.
    const MANY: usize = 64;

    pub(crate) fn to(args: &'a mut Args) -> Self {
        Self { args, places: HashMap::default() }
    }

    pub(crate) fn put(&mut self, key: &str, value: Value) {
        if let Some(at) = self.place(key) {
            self.args[at].1 = value;
            return;
        }
        if !self.places.is_empty() {
            self.places.insert(key.to_owned(), self.args.len());
        }
        self.args.push((key.to_owned(), value));
    }

    fn place(&mut self, key: &str) -> Option<usize> {
        if self.args.len() < Self::MANY {
            return self.args.iter().position(|(other, _)| other == key);
        }
        if self.places.is_empty() {
            self.places =
                self.args.iter().zip(0..).map(|((key, _), at)| (key.clone(), at)).collect();
        }
        self.places.get(key).copied()
    }
}

/// Puts the end's arguments to those of the begin. Elements of a list that both have come after one another.
pub(crate) fn join(args: &mut Args, of_end: Args) {
    let mut lens: HashMap<String, usize> = HashMap::default();
    for (key, _) in args.iter() {
        for (list, element) in elements(key) {
            let len = lens.entry(list.to_owned()).or_default();
            *len = element.saturating_add(1).max(*len);
        }
    }
    let mut put = Put::to(args);
    for (key, value) in of_end {
        // From the outside in: which list an inner one is depends on what the outer one's elements are called now.
        let mut called = String::new();
        let mut rest = key.as_str();
        while let Some((list, element)) = elements(rest).next() {
            called.push_str(list);
            let before = lens.get(&called).copied().unwrap_or(0);
            let _ = write!(called, "[{}]", before.saturating_add(element));
            rest = rest[list.len()..].split_once(']').map_or("", |(_, rest)| rest);
        }
        called.push_str(rest);
        put.put(&called, value);
    }
}

/// The lists in an argument's key, and which elements: of `a[1].b[2]`, `a` and 1, `a[1].b` and 2.
fn elements(key: &str) -> impl Iterator<Item = (&str, usize)> {
    key.match_indices('[').filter_map(|(at, _)| {
        let (element, _) = key[at + 1..].split_once(']')?;
        Some((&key[..at], element.parse().ok()?))
    })
}

/// An argument that both ends of a slice have.
#[derive(Debug)]
pub(crate) struct AtBothEnds {
    pub(crate) at: Whereabouts,
    pub(crate) detail: String,
}

/// Looks for slices whose begin and end have one argument, on tracks with ends that have any: ends seldom have arguments, so the
/// keys of begins are remembered only in this second way through the file. `is_wanted` says which tracks; events of one that
/// are not in order of time are left.
pub(crate) fn find(
    source: &Source,
    threads: usize,
    is_wanted: &[bool],
    mut tell: impl FnMut(&AtBothEnds, &State),
) -> Result<(), Error> {
    let tracks = is_wanted.iter().map(|is| is.then(Track::default)).collect();
    let mut look = Look { tracks, key: String::new(), tell: &mut tell };
    walk(source, threads, &mut look, |_| {})?;
    Ok(())
}

#[derive(Debug, Default)]
struct Track {
    stack: Stack<Keys>,
    last_ts: i64,
}

struct Look<'a, F> {
    /// By number, those that are wanted.
    tracks: Vec<Option<Track>>,
    key: String,
    tell: &'a mut F,
}

/// The keys of arguments; of the elements of a list, the list's.
#[derive(Debug, Default, Clone)]
struct Keys(BTreeSet<Box<str>>);

impl Take for Keys {
    fn value(&mut self, key: &str, _: Value) {
        let key = key.split('[').next().unwrap_or_default();
        if !self.0.contains(key) {
            self.0.insert(key.into());
        }
    }
}

impl<F> Look<'_, F> {
    fn keys(&mut self, event: &Event<'_>, state: &State) -> Keys {
        let mut keys = Keys::default();
        if let Some(payload) = event.more {
            let sequence = &state.sequences[event.sequence as usize];
            args::walk(payload, sequence, &state.texts, &mut self.key, &mut keys);
        }
        keys
    }

    fn track(&mut self, id: TrackId, ts: i64) -> Option<&mut Track> {
        let place = self.tracks.get_mut(id as usize)?;
        if place.as_ref().is_some_and(|track| ts < track.last_ts) {
            *place = None;
        }
        let track = place.as_mut()?;
        track.last_ts = ts;
        Some(track)
    }
}

impl<F: FnMut(&AtBothEnds, &State)> Visit for Look<'_, F> {
    fn event(&mut self, event: &Event<'_>, state: &State) {
        let end = match event.kind {
            EventKind::Begin | EventKind::End => None,
            EventKind::Instant => Some(event.ts),
            EventKind::Complete(length) => Some(event.ts.saturating_add(length)),
            EventKind::Counter(_) | EventKind::State | EventKind::Arrow(..) => return,
        };
        if self.track(event.track, event.ts).is_none() {
            return;
        }
        let keys = self.keys(event, state);
        let Some(track) = self.track(event.track, event.ts) else { return };
        if event.kind != EventKind::End {
            let (name, category) = (event.name, event.category);
            let open = Open { start: event.ts, end, name, category, tag: keys };
            track.stack.begin(open, &mut |_: &Open<Keys>, _: i64, _: bool| {});
            return;
        }
        let mut of_begin: Option<Keys> = None;
        let mut close = |open: &Open<Keys>, _: i64, is_cut: bool| {
            if !is_cut {
                of_begin = Some(open.tag.clone());
            }
        };
        track.stack.end(event.ts, event.name, event.category, &mut close);
        let of_begin = of_begin.unwrap_or_default();
        for key in keys.0.intersection(&of_begin.0) {
            let sequence = state.sequences[event.sequence as usize].id;
            let at = Whereabouts { sequence: Some(sequence), ..Whereabouts::from(event) };
            (self.tell)(&AtBothEnds { at, detail: format!("{key:?}") }, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(keys: &[(&str, i64)]) -> Args {
        keys.iter().map(|(key, value)| ((*key).to_owned(), Value::Int(*value))).collect()
    }

    #[test]
    fn of_many_arguments_too_the_last_of_one_name_counts() {
        let mut put_to = Args::new();
        let mut put = Put::to(&mut put_to);
        for round in 0..2 {
            for number in 0..200 {
                put.put(&format!("k{number}"), Value::Int(round * 1_000 + number));
            }
        }
        assert_eq!(put_to.len(), 200);
        let expected = |at: i64| (format!("k{at}"), Value::Int(1_000 + at));
        assert!((0..).zip(&put_to).all(|(at, arg)| *arg == expected(at)));
    }

    #[test]
    fn of_both_ends_the_last_value_counts_and_lists_go_on() {
        let mut of_begin = args(&[
            ("z", 5),
            ("l[0]", 1),
            ("l[1]", 2),
            ("n[0][0]", 1),
            ("n[0][1]", 2),
            ("m[0].k", 1),
        ]);
        join(
            &mut of_begin,
            args(&[
                ("z", 6),
                ("l[0]", 7),
                ("n[0][0]", 8),
                ("m[0].k", 9),
                ("m[1].k[0]", 3),
                ("q[0]", 4),
            ]),
        );
        let expected = args(&[
            ("z", 6),
            ("l[0]", 1),
            ("l[1]", 2),
            ("n[0][0]", 1),
            ("n[0][1]", 2),
            ("m[0].k", 1),
            ("l[2]", 7),
            ("n[1][0]", 8),
            ("m[1].k", 9),
            ("m[2].k[0]", 3),
            ("q[0]", 4),
        ]);
        assert_eq!(of_begin, expected);
    }
}
