//! What rows a trace has: their names, kinds and places. Shared by the callers, who make them, and
//! the worker, who describes them in the trace.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::generator::Unit;

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
    is_written: bool,
}

/// All rows, in the order they were made: a row's parent comes before it.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    table: Mutex<Table>,
    len: AtomicU32,
}

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
        let siblings = match parent {
            Some(parent) => &mut table.rows[parent as usize].children,
            None => &mut table.top,
        };
        let rank = *siblings;
        *siblings += 1;
        let index = u32::try_from(table.rows.len()).expect("fewer than 2^32 rows fit in memory");
        table.rows.push(Row {
            parent,
            kind,
            name,
            rank,
            description: None,
            unit: None,
            shared_axis: None,
            children: 0,
            is_written: false,
        });
        table.by_place.insert(key, index);
        self.len.store(index + 1, Ordering::Release);
        index
    }

    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn name(&self, index: u32) -> Arc<str> {
        Arc::clone(&self.lock().rows[index as usize].name)
    }

    /// Changes a row that has not been written yet; with one that has, what the change would have
    /// returned is computed on a copy.
    pub(crate) fn edit<R>(&self, index: u32, edit: impl FnOnce(&mut Row) -> R) -> R {
        let mut table = self.lock();
        let row = &mut table.rows[index as usize];
        if row.is_written { edit(&mut row.clone()) } else { edit(row) }
    }

    pub(crate) fn is_written(&self, index: u32) -> bool {
        self.lock().rows[index as usize].is_written
    }

    /// A row as it is to be described, from now on unchangeable.
    pub(crate) fn settle(&self, index: u32) -> Row {
        let mut table = self.lock();
        let row = &mut table.rows[index as usize];
        row.is_written = true;
        row.clone()
    }
}
