//! Items: what a record says beyond its four words.
#![expect(unsafe_code, reason = "a text in a record is bytes in memory")]

use novatrace_core::Scalar;

use crate::name::Label;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    /// The record's name, as a text.
    Name = 1,
    /// The key of the item that comes next, as a text.
    Key,
    Category,
    CategoryText,
    Flow,
    FlowEnd,
    /// Line in the value; file and function follow as `Text` items.
    Location,
    False,
    True,
    /// The value is in the head word.
    SmallInt,
    SmallUint,
    /// The value is in the next word.
    Int,
    Uint,
    Double,
    Pointer,
    /// The value is the length in bytes; the text follows.
    Text,
    /// The value is a name's id.
    NameValue,
    Dictionary,
    Array,
    /// Closes a dictionary or an array.
    End,
    /// So many items were left out of this container: the next word.
    More,
}

impl Tag {
    pub(crate) const fn of(word: u64) -> Option<Self> {
        const ALL: [Tag; 21] = [
            Tag::Name,
            Tag::Key,
            Tag::Category,
            Tag::CategoryText,
            Tag::Flow,
            Tag::FlowEnd,
            Tag::Location,
            Tag::False,
            Tag::True,
            Tag::SmallInt,
            Tag::SmallUint,
            Tag::Int,
            Tag::Uint,
            Tag::Double,
            Tag::Pointer,
            Tag::Text,
            Tag::NameValue,
            Tag::Dictionary,
            Tag::Array,
            Tag::End,
            Tag::More,
        ];
        let number = (word & 0xFF) as usize;
        if number == 0 || number > ALL.len() { None } else { Some(ALL[number - 1]) }
    }

    #[inline(always)]
    pub(crate) const fn head(self, key: u32, value: u32) -> u64 {
        self as u64 | (key as u64) << 8 | (value as u64) << 32
    }
}

/// Words that a text of `len` bytes takes.
#[inline(always)]
pub(crate) const fn text_words(len: usize) -> usize {
    len.div_ceil(8)
}

/// The text of `len` bytes that `words` begin with.
#[inline]
pub(crate) fn text(words: &[u64], len: usize) -> &str {
    let words = &words[..text_words(len)];
    // SAFETY: `text_words(len)` words are at least `len` initialised bytes, which live as long.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), len) };
    // Checked all the same: in memory that another process maps, it is somebody else's promise.
    std::str::from_utf8(bytes).unwrap_or("\u{FFFD}")
}

/// Takes the words of a record, in order.
pub(crate) trait Writer {
    fn word(&mut self, word: u64);

    #[inline(always)]
    fn text(&mut self, text: &str) {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        for word in words {
            self.word(u64::from_ne_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_ne_bytes(word));
        }
    }
}

impl Writer for Vec<u64> {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.push(word);
    }
}

/// One item as its caller gave it. After inlining, which one it is is known at compile time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<'a> {
    Category(Label<'a>),
    Flow(u64),
    FlowEnd(u64),
    Argument(Label<'a>, Scalar),
    Text(Label<'a>, &'a str),
}

/// The longest text that is copied, in bytes: the trace processor loses events of 256 MiB without a word.
pub(crate) const MAX_TEXT: usize = 1 << 24;
/// In a text's length: the rest was left out.
pub(crate) const CUT: u32 = 1 << 31;

/// `text`, or its start if it is far too long for any viewer.
#[inline(always)]
pub(crate) fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT { text } else { cut_long(text) }
}

#[cold]
fn cut_long(text: &str) -> &str {
    let mut end = MAX_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[inline(always)]
pub(crate) fn text_item(out: &mut impl Writer, tag: Tag, text: &str) {
    keyed_item(out, tag, 0, text);
}

/// A text that is an argument's value; `key` is its key as a name's id, or 0.
#[inline(always)]
pub(crate) fn keyed_text(out: &mut impl Writer, key: u32, text: &str) {
    keyed_item(out, Tag::Text, key, text);
}

#[expect(clippy::cast_possible_truncation, reason = "cut to MAX_TEXT")]
#[inline(always)]
fn keyed_item(out: &mut impl Writer, tag: Tag, key: u32, text: &str) {
    let kept = cut(text);
    let flag = if kept.len() < text.len() { CUT } else { 0 };
    out.word(tag.head(key, kept.len() as u32 | flag));
    out.text(kept);
}

#[inline(always)]
fn text_item_words(text: &str) -> usize {
    1 + text_words(cut(text).len())
}

/// Writes an argument's key if it is a text, and gives its number otherwise.
#[inline(always)]
pub(crate) fn key(out: &mut impl Writer, key: Label<'_>) -> u32 {
    match key {
        Label::Name(name) => name.id(),
        Label::Text(text) => {
            text_item(out, Tag::Key, text);
            0
        }
    }
}

#[inline(always)]
pub(crate) fn scalar(out: &mut impl Writer, key: u32, value: Scalar) {
    match value {
        Scalar::Bool(false) => out.word(Tag::False.head(key, 0)),
        Scalar::Bool(true) => out.word(Tag::True.head(key, 0)),
        Scalar::Int(value) => match i32::try_from(value) {
            Ok(small) => out.word(Tag::SmallInt.head(key, small.cast_unsigned())),
            Err(_) => wide(out, Tag::Int, key, value.cast_unsigned()),
        },
        Scalar::Uint(value) => match u32::try_from(value) {
            Ok(small) => out.word(Tag::SmallUint.head(key, small)),
            Err(_) => wide(out, Tag::Uint, key, value),
        },
        Scalar::Double(value) => wide(out, Tag::Double, key, value.to_bits()),
        Scalar::Pointer(value) => wide(out, Tag::Pointer, key, value),
    }
}

#[inline(always)]
fn wide(out: &mut impl Writer, tag: Tag, key: u32, value: u64) {
    out.word(tag.head(key, 0));
    out.word(value);
}

#[inline(always)]
fn scalar_words(value: Scalar) -> usize {
    match value {
        Scalar::Bool(_) => 1,
        Scalar::Int(value) => 1 + usize::from(i32::try_from(value).is_err()),
        Scalar::Uint(value) => 1 + usize::from(u32::try_from(value).is_err()),
        Scalar::Double(_) | Scalar::Pointer(_) => 2,
    }
}

impl Item<'_> {
    #[inline(always)]
    fn words(&self) -> usize {
        match *self {
            Self::Category(Label::Name(_)) => 1,
            Self::Category(Label::Text(text)) => text_item_words(text),
            Self::Flow(_) | Self::FlowEnd(_) => 2,
            Self::Argument(Label::Name(_), value) => scalar_words(value),
            Self::Argument(Label::Text(text), value) => text_item_words(text) + scalar_words(value),
            Self::Text(Label::Name(_), value) => text_item_words(value),
            Self::Text(Label::Text(text), value) => text_item_words(text) + text_item_words(value),
        }
    }

    #[inline(always)]
    pub(crate) fn write(&self, out: &mut impl Writer) {
        match *self {
            Self::Category(Label::Name(name)) => out.word(Tag::Category.head(0, name.id())),
            Self::Category(Label::Text(text)) => text_item(out, Tag::CategoryText, text),
            Self::Flow(id) => wide(out, Tag::Flow, 0, id),
            Self::FlowEnd(id) => wide(out, Tag::FlowEnd, 0, id),
            Self::Argument(label, value) => {
                let key = key(out, label);
                scalar(out, key, value);
            }
            Self::Text(label, value) => {
                let key = key(out, label);
                keyed_text(out, key, value);
            }
        }
    }
}

/// The items of an event, as a list that is a type: nothing is allocated, and after inlining each
/// item goes from its caller's registers into the ring.
pub trait Items {
    /// Words that [`Items::write`] will write.
    #[doc(hidden)]
    fn words(&self) -> usize;
    #[doc(hidden)]
    fn write(&self, out: &mut Cursor<'_>);
}

impl Items for () {
    #[inline(always)]
    fn words(&self) -> usize {
        0
    }
    #[inline(always)]
    fn write(&self, _: &mut Cursor<'_>) {}
}

/// All the items before, and perhaps one more: an argument that turned out to have parts is
/// elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct And<'a, A> {
    pub(crate) before: A,
    pub(crate) item: Option<Item<'a>>,
}

impl<A: Items> Items for And<'_, A> {
    #[inline(always)]
    fn words(&self) -> usize {
        // A closure here would be a call that is not inlined.
        let words = match &self.item {
            Some(item) => item.words(),
            None => 0,
        };
        self.before.words() + words
    }
    #[inline(always)]
    fn write(&self, out: &mut Cursor<'_>) {
        self.before.write(out);
        if let Some(item) = self.item {
            item.write(out);
        }
    }
}

/// Writes words into a record's place in the ring.
#[derive(Debug)]
pub struct Cursor<'a> {
    words: &'a mut [u64],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    pub(crate) fn new(words: &'a mut [u64]) -> Self {
        Self { words, at: 0 }
    }

    #[inline(always)]
    pub(crate) fn words(&mut self, words: &[u64]) {
        if !words.is_empty() {
            self.words[self.at..self.at + words.len()].copy_from_slice(words);
            self.at += words.len();
        }
    }
}

impl Writer for Cursor<'_> {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.words[self.at] = word;
        self.at += 1;
    }
}
