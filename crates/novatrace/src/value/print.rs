//! What a `Display` says, straight into an event's words: no `String` is made on the way.

use std::fmt::{self, Write};

use crate::record::{CUT, MAX_TEXT, Tag, Writer};

/// Appends `value` as a text item; `key` is the item's key as a name's id, or 0.
pub(super) fn print(
    out: &mut Vec<u64>,
    tag: Tag,
    key: u32,
    value: impl fmt::Display,
) -> fmt::Result {
    let at = out.len();
    out.word(0);
    let mut printer = Printer { out, len: 0, is_cut: false };
    write!(printer, "{value}")?;
    let len = u32::try_from(printer.len).expect("at most MAX_TEXT");
    let flag = if printer.is_cut { CUT } else { 0 };
    out[at] = tag.head(key, len | flag);
    Ok(())
}

struct Printer<'a> {
    out: &'a mut Vec<u64>,
    /// Bytes so far; the last word is filled up from there.
    len: usize,
    /// The text was too long: nothing more is kept.
    is_cut: bool,
}

impl Write for Printer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Ok(());
        }
        let mut end = text.len().min(MAX_TEXT - self.len);
        self.is_cut = end < text.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = &text.as_bytes()[..end];
        let used = self.len % 8;
        self.len += end;
        if used > 0
            && let Some(last) = self.out.last_mut()
        {
            let (first, rest) = bytes.split_at(bytes.len().min(8 - used));
            let mut word = last.to_ne_bytes();
            word[used..used + first.len()].copy_from_slice(first);
            *last = u64::from_ne_bytes(word);
            bytes = rest;
        }
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.out.word(u64::from_ne_bytes(word));
        }
        Ok(())
    }
}

/// Bytes as hexadecimal digits, the first of them only if there are many.
pub(super) struct Hex<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) most: usize,
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.bytes.split_at(self.bytes.len().min(self.most));
        f.write_str("0x")?;
        for byte in shown {
            write!(f, "{byte:02x}")?;
        }
        if rest.is_empty() { Ok(()) } else { write!(f, "… ({} more items)", rest.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::text_item;
    use proptest::prelude::*;

    /// Said in as many parts as there are.
    struct Parts<'a>(&'a [String]);

    impl fmt::Display for Parts<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|part| f.write_str(part))
        }
    }

    proptest! {
        #[test]
        fn a_printed_text_is_the_copied_one(parts in prop::collection::vec(".{0,20}", 0..8)) {
            let (mut printed, mut copied) = (vec![7], vec![7]);
            print(&mut printed, Tag::Text, 0, Parts(&parts)).expect("it does not fail");
            text_item(&mut copied, Tag::Text, &parts.concat());
            prop_assert_eq!(printed, copied);
        }
    }

    #[test]
    fn a_printed_text_is_cut_where_a_copied_one_is() {
        let parts = ["é".repeat(MAX_TEXT / 2 - 1), "aaé".to_owned(), "more".to_owned()];
        let (mut printed, mut copied) = (vec![], vec![]);
        print(&mut printed, Tag::Text, 0, Parts(&parts)).expect("it does not fail");
        text_item(&mut copied, Tag::Text, &parts.concat());
        assert!(printed == copied);
        let parts = ["a".repeat(MAX_TEXT - 1), "é".to_owned(), "b".to_owned()];
        print(&mut printed, Tag::Text, 0, Parts(&parts)).expect("it does not fail");
        text_item(&mut copied, Tag::Text, &parts.concat());
        assert!(printed == copied);
    }
}
