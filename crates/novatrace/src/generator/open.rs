//! The slices that have begun and not ended, as the callers know them.

use std::collections::{BTreeMap, HashMap};

/// Tells the open slices of a trace apart; from 1, in the order of their begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpenId(pub(crate) u64);

/// An open slice.
#[derive(Debug)]
struct Open {
    start_ns: u64,
    name: Box<str>,
}

/// The open slices of a trace, by track and then in the order of their begins: the innermost last.
/// Whichever is ended, it is found in time of the logarithm of their number.
#[derive(Debug, Default)]
pub(crate) struct OpenSliceTable {
    by_track: HashMap<u32, BTreeMap<OpenId, Open>>,
}

/// Why a slice cannot be ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotEnded {
    /// It is not open.
    NotOpen,
    /// It began later: its name, and when.
    BeganLater(Box<str>, u64),
}

impl OpenSliceTable {
    pub(crate) fn open(&mut self, track: u32, id: OpenId, start_ns: u64, name: Box<str>) {
        self.by_track.entry(track).or_default().insert(id, Open { start_ns, name });
    }

    /// Ends a slice of a track, the innermost if none is named. Tells which it was.
    pub(crate) fn end(
        &mut self,
        track: u32,
        id: Option<OpenId>,
        end_ns: u64,
    ) -> Result<OpenId, NotEnded> {
        let slices = self.by_track.get_mut(&track).ok_or(NotEnded::NotOpen)?;
        let id = match id {
            Some(id) => id,
            None => *slices.last_key_value().ok_or(NotEnded::NotOpen)?.0,
        };
        let open = slices.get(&id).ok_or(NotEnded::NotOpen)?;
        if end_ns < open.start_ns {
            return Err(NotEnded::BeganLater(open.name.clone(), open.start_ns));
        }
        slices.remove(&id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_or_any_other_is_ended_once() {
        let mut table = OpenSliceTable::default();
        for id in 1..=3 {
            table.open(7, OpenId(id), id * 10, format!("s{id}").into());
        }
        assert_eq!(table.end(7, Some(OpenId(1)), 50), Ok(OpenId(1)));
        assert_eq!(table.end(7, Some(OpenId(1)), 50), Err(NotEnded::NotOpen));
        assert_eq!(table.end(7, None, 29), Err(NotEnded::BeganLater("s3".into(), 30)));
        assert_eq!(table.end(7, None, 30), Ok(OpenId(3)));
        assert_eq!(table.end(7, None, 50), Ok(OpenId(2)));
        assert_eq!(table.end(7, None, 50), Err(NotEnded::NotOpen));
        assert_eq!(table.end(8, None, 50), Err(NotEnded::NotOpen));
    }
}
