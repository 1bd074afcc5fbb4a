//! The words of arguments whose type is not known where they are recorded.

use std::cell::Cell;

use crate::name::Label;
use crate::record::{Item, Tag, Writer, text_item};

thread_local! {
    static SPARE: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
}

/// The tokens of one event's arguments; empty, and free, for events without any.
#[derive(Debug, Default)]
pub struct Spill(Vec<u64>);

/// A buffer that one huge event has grown is not kept.
const MAX_SPARE_WORDS: usize = 1 << 17;

impl Spill {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    /// Adds a place in a source file.
    pub(crate) fn location(&mut self, file: &str, function: &str, line: u32) {
        let out = self.buffer();
        out.word(Tag::Location.head(0, line));
        text_item(out, Tag::Text, file);
        text_item(out, Tag::Text, function);
    }

    /// Adds a word of an item.
    pub(crate) fn word(&mut self, word: u64) {
        self.buffer().word(word);
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, label: Label<'_>, text: &str) {
        Item::Text(label, text).write(self.buffer());
    }

    /// Adds an item that its event's type has no place for.
    pub(crate) fn item(&mut self, item: Item<'_>) {
        item.write(self.buffer());
    }

    /// With an item more.
    #[inline(never)]
    pub(crate) fn with(mut self, item: Item<'_>) -> Self {
        self.item(item);
        self
    }

    pub(super) fn buffer(&mut self) -> &mut Vec<u64> {
        if self.0.capacity() == 0 {
            self.0 = SPARE.try_with(Cell::take).unwrap_or_default();
        }
        &mut self.0
    }
}

impl Drop for Spill {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0.capacity() != 0 {
            give_back(std::mem::take(&mut self.0));
        }
    }
}

#[inline(never)]
fn give_back(mut buffer: Vec<u64>) {
    if buffer.capacity() <= MAX_SPARE_WORDS {
        buffer.clear();
        // Without thread-locals the buffer is just freed.
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}
