//! What rows a trace has: their names, kinds and places. Shared by the callers, who make them, and
//! the worker, who describes them in the trace.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::generator::Unit;
use crate::process::{Message, Program, RowFacts};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RowKind {
    Group,
    Track,
    Counter,
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) parent: Option<u32>,
    pub(crate) kind: RowKind,
    pub(crate) name: Arc<str>,
    /// Its place among its siblings, from 0.
    pub(crate) rank: i32,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) unit: Option<Unit>,
    pub(crate) shared_axis: Option<Arc<str>>,
    children: i32,
    depth: u32,
    is_written: bool,
}

impl Row {
    /// One without properties or children, at the top.
    pub(crate) fn new(parent: Option<u32>, kind: RowKind, name: Arc<str>, rank: i32) -> Self {
        Self {
            parent,
            kind,
            name,
            rank,
            description: None,
            unit: None,
            shared_axis: None,
            children: 0,
            depth: 0,
            is_written: false,
        }
    }
}

/// All rows, in the order they were made: a row's parent comes before it.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    table: Mutex<Table>,
    len: AtomicU32,
    /// A worker in another process, which has its own.
    told: OnceLock<Arc<Program>>,
}

/// How deep rows are nested. The trace processor drops what has more than 100 ancestors, and the one in
/// the viewer ends the whole trace at fewer.
const MAX_DEPTH: u32 = 32;
/// The longest name of a row that stands for several levels, in bytes.
const MAX_JOINED: usize = 256;

#[derive(Debug, Default)]
struct Table {
    rows: Vec<Row>,
    by_place: HashMap<(Option<u32>, RowKind, Arc<str>), u32>,
    /// How many rows have no parent.
    top: i32,
}

impl Rows {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of that place, made when first asked for.
    pub(crate) fn child(&self, parent: Option<u32>, kind: RowKind, name: &str) -> u32 {
        let mut table = self.lock();
        let table = &mut *table;
        let name: Arc<str> = name.into();
        let key = (parent, kind, Arc::clone(&name));
        if let Some(&index) = table.by_place.get(&key) {
            return index;
        }
        // What would lie too deep is drawn beside the row that it belongs to, with both names.
        let mut shown = Arc::clone(&name);
        let mut drawn = parent;
        if let Some(at) = parent
            && table.rows[at as usize].depth + 1 >= MAX_DEPTH
        {
            let above = &table.rows[at as usize];
            drawn = above.parent;
            shown = joined(&above.name, &name);
        }
        let depth = drawn.map_or(0, |parent| table.rows[parent as usize].depth + 1);
        let parent = drawn;
        let siblings = match parent {
            Some(parent) => &mut table.rows[parent as usize].children,
            None => &mut table.top,
        };
        let rank = *siblings;
        *siblings += 1;
        let index = u32::try_from(table.rows.len()).expect("fewer than 2^32 rows fit in memory");
        let row = Row { depth, ..Row::new(parent, kind, shown, rank) };
        if let Some(program) = self.told.get() {
            program.send(&Message::Row((&row).into()));
        }
        table.rows.push(row);
        table.by_place.insert(key, index);
        self.len.store(index + 1, Ordering::Release);
        index
    }

    /// From now on a worker in another process is told of rows. None has been made.
    pub(crate) fn tell(&self, program: Arc<Program>) {
        let _ = self.told.set(program); // of a new trace, and so for the first time
    }

    /// The worker's side: the next row, as the program tells it.
    pub(crate) fn add(&self, row: Row) {
        let mut table = self.lock();
        table.rows.push(row);
        let len = u32::try_from(table.rows.len()).expect("fewer than 2^32 rows fit in memory");
        self.len.store(len, Ordering::Release);
    }

    /// The worker's side: a row has other properties. Whether it is in time.
    pub(crate) fn replace(&self, index: u32, row: Row) -> bool {
        match self.lock().rows.get_mut(index as usize) {
            Some(old) if !old.is_written => {
                *old = row;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn facts(&self, index: u32) -> RowFacts {
        (&self.lock().rows[index as usize]).into()
    }

    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn name(&self, index: u32) -> Arc<str> {
        Arc::clone(&self.lock().rows[index as usize].name)
    }

    /// Changes a row that has not been written yet, and says whether it has: then what the change would
    /// have returned is computed on a copy.
    pub(crate) fn edit<R>(&self, index: u32, edit: impl FnOnce(&mut Row) -> R) -> (R, bool) {
        let mut table = self.lock();
        let row = &mut table.rows[index as usize];
        let is_written = row.is_written;
        (if is_written { edit(&mut row.clone()) } else { edit(row) }, is_written)
    }

    /// A row as it is to be described, from now on unchangeable.
    pub(crate) fn settle(&self, index: u32) -> Row {
        let mut table = self.lock();
        let row = &mut table.rows[index as usize];
        row.is_written = true;
        row.clone()
    }
}

/// The names of two levels in one row.
fn joined(above: &str, below: &str) -> Arc<str> {
    let joined = format!("{above} › {below}");
    if joined.len() <= MAX_JOINED {
        return joined.into();
    }
    let mut start = joined.len() - MAX_JOINED;
    while !joined.is_char_boundary(start) {
        start += 1;
    }
    format!("…{}", &joined[start..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_would_lie_too_deep_lie_beside_with_both_names() {
        let rows = Rows::default();
        let mut row = rows.child(None, RowKind::Group, "0");
        for level in 1..10_000 {
            row = rows.child(Some(row), RowKind::Group, &level.to_string());
        }
        let leaf = rows.child(Some(row), RowKind::Track, "leaf");
        assert_eq!(rows.child(Some(row), RowKind::Track, "leaf"), leaf);
        assert_ne!(rows.child(None, RowKind::Track, "leaf"), leaf);
        let name = rows.name(leaf);
        assert!(name.starts_with('…') && name.ends_with("9998 › 9999 › leaf"), "{name}");
        assert_eq!(&*rows.name(31), "31");
        assert_eq!(&*rows.name(32), "31 › 32");
        let mut depth = 0;
        let mut at = rows.settle(leaf).parent;
        while let Some(parent) = at {
            depth += 1;
            at = rows.settle(parent).parent;
        }
        assert_eq!(depth, 31);
    }
}
