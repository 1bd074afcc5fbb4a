//! Events that say the same as one before but for their numbers: most do. Belongs here: recognising
//! them, and writing their bodies from bytes made once. Does not: what an item means otherwise
//! (`decode.rs`), byte layout.

use novatrace_core::{Piece, SequenceId, ShortBody, Text};

use crate::record::{Tag, text, text_words};

/// Items beyond which an event has no form.
const MAX_ITEMS: usize = 6;
/// How many forms are kept; each is in the one place that its name and length say.
const FORMS: usize = 1 << 10;

/// What events that say the same but for their numbers have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)] // What is read for every event first, and close together.
pub(crate) struct Form {
    /// Name and category.
    lead: Piece,
    len: u8,
    values: [Value; MAX_ITEMS],
    parts: [Part; MAX_ITEMS],
}

/// An item's bytes, and the bits of its head word that are always the same.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    expected: u64,
    piece: Piece,
}

/// The number that comes after a piece.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u8)]
enum Value {
    None,
    /// In the head word's high half.
    Uint,
    /// As `Uint`, but signed.
    Int,
    /// Whether the head word's tag is that of true.
    Bool,
    /// In the next word, to be written as a varint.
    Wide,
    /// In the next word.
    Word,
    /// As `Word`; not for NaN.
    Double,
    /// In the next words, as many as its length in the head word's high half says.
    Text,
}

/// Decides how a text is written.
pub(crate) trait Texts {
    fn value<'a>(&mut self, text: &'a str) -> Text<'a>;
}

impl Value {
    /// The bits of an item's head word that are always the same.
    #[inline(always)]
    const fn fixed(self) -> u64 {
        const TAG_AND_KEY: u64 = 0xFFFF_FFFF;
        const _: () = assert!(
            Tag::False as u8 + 1 == Tag::True as u8 && (Tag::False as u8).is_multiple_of(2)
        );
        match self {
            Self::Uint | Self::Int | Self::Text => TAG_AND_KEY,
            Self::Bool => u64::MAX - 1,
            Self::None | Self::Word | Self::Wide | Self::Double => u64::MAX,
        }
    }
}

impl Form {
    /// The form of events of that name and category, to which their items are to be added.
    pub(crate) fn new(lead: Piece) -> Self {
        let none = Part { expected: 0, piece: lead };
        Self { lead, len: 0, values: [Value::None; MAX_ITEMS], parts: [none; MAX_ITEMS] }
    }

    fn add(&mut self, head: u64, piece: Piece, value: Value) -> Option<()> {
        let at = usize::from(self.len);
        *self.values.get_mut(at)? = value;
        self.parts[at] = Part { expected: head & value.fixed(), piece };
        self.len += 1;
        Some(())
    }

    /// A category of the event, whose head word is `head`.
    pub(crate) fn category(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::None)
    }

    /// A flow.
    pub(crate) fn flow(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::Word)
    }

    /// An unsigned number of 32 bits.
    pub(crate) fn uint(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::Uint)
    }

    /// A signed number of 32 bits.
    pub(crate) fn int(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::Int)
    }

    /// A number that needs a word.
    pub(crate) fn wide(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::Wide)
    }

    /// True or false.
    pub(crate) fn bool(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::Bool)
    }

    /// A double.
    pub(crate) fn double(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::Double)
    }

    /// A text.
    pub(crate) fn text(&mut self, head: u64, piece: Piece) -> Option<()> {
        self.add(head, piece, Value::Text)
    }

    /// Appends the body of the event that says `items`, after which a word may follow that is 0; false,
    /// and nothing, if it is not of this form.
    #[inline(always)]
    pub(crate) fn write(
        &self,
        mut items: &[u64],
        body: &mut Vec<u8>,
        texts: &mut impl Texts,
    ) -> bool {
        let mut short = ShortBody::new(body, 1 + MAX_ITEMS).piece(self.lead);
        let len = usize::from(self.len).min(MAX_ITEMS);
        for (part, &value) in self.parts[..len].iter().zip(&self.values) {
            let Some((&head, rest)) = items.split_first() else { return false };
            items = rest;
            if head & value.fixed() != part.expected {
                return false;
            }
            short = match value {
                Value::Uint => short.varint(part.piece, (head >> 32) as u32),
                Value::Int => match ((head >> 32) as u32).cast_signed() {
                    value @ 0.. => short.varint(part.piece, value.cast_unsigned()),
                    value => short.long_varint(part.piece, i64::from(value).cast_unsigned()),
                },
                Value::Bool => short.varint(part.piece, (head & 1) as u32),
                Value::None => short.piece(part.piece),
                Value::Text => {
                    let text_len = (head >> 32) as usize;
                    let Some((words, rest)) = items.split_at_checked(text_words(text_len)) else {
                        return false;
                    };
                    items = rest;
                    let text = text(words, text_len);
                    if text_len > ShortBody::MAX_TEXT || text.as_bytes().contains(&0) {
                        return false;
                    }
                    match texts.value(text) {
                        Text::Iid(iid) => short.interned_text(part.piece, iid),
                        Text::Inline(text) => short.text(part.piece, text, MAX_ITEMS),
                    }
                }
                Value::Word | Value::Wide | Value::Double => {
                    let Some((&word, rest)) = items.split_first() else { return false };
                    items = rest;
                    if value == Value::Double && f64::from_bits(word).is_nan() {
                        return false;
                    }
                    if value == Value::Wide {
                        short.long_varint(part.piece, word)
                    } else {
                        short.word(part.piece, word)
                    }
                }
            };
        }
        if !matches!(items, [] | [0]) {
            return false;
        }
        short.finish();
        true
    }
}

/// A form, and where it may be used.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Slot {
    /// By number, the sequences that know every text of the form; 0 for an empty slot.
    known_on: [u64; 2],
    /// Name and number of words of the events.
    key: u64,
    form: Form,
}

/// The forms that events had lately.
#[derive(Debug)]
pub(crate) struct Forms {
    slots: Box<[Option<Slot>]>,
    /// Events that had no form, to replace one only now and then where two share a slot.
    misses: u32,
}

impl Default for Forms {
    fn default() -> Self {
        Self { slots: vec![None; FORMS].into_boxed_slice(), misses: 0 }
    }
}

impl Forms {
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "below FORMS")]
    fn place(key: u64) -> usize {
        (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - FORMS.ilog2())) as usize
    }

    #[inline(always)]
    fn bit(sequence: SequenceId) -> (usize, u64) {
        let id = sequence.get();
        ((id >> 6 & 1) as usize, 1 << (id & 63))
    }

    #[inline(always)]
    fn key(name: u32, items: &[u64]) -> u64 {
        items.len() as u64 | u64::from(name) << 32
    }

    /// Appends the body of an event on `sequence`, if it is of a form that is known there.
    #[inline(always)]
    pub(crate) fn write(
        &self,
        name: u32,
        items: &[u64],
        sequence: SequenceId,
        body: &mut Vec<u8>,
        texts: &mut impl Texts,
    ) -> bool {
        let (word, bit) = Self::bit(sequence);
        let key = Self::key(name, items);
        match &self.slots[Self::place(key)] {
            Some(slot) if slot.key == key && slot.known_on[word] & bit != 0 => {
                slot.form.write(items, body, texts)
            }
            _ => false,
        }
    }

    /// No sequence knows a text any more.
    pub(crate) fn forget(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            slot.known_on = [0; 2];
        }
    }

    /// Remembers the form of an event all whose texts are known on `sequence`, one of 1 to 127.
    pub(crate) fn learn(&mut self, name: u32, items: &[u64], form: Form, sequence: SequenceId) {
        let (word, bit) = Self::bit(sequence);
        let key = Self::key(name, items);
        let slot = &mut self.slots[Self::place(key)];
        match slot {
            Some(slot) if slot.key == key && slot.form == form => slot.known_on[word] |= bit,
            _ => {
                self.misses = self.misses.wrapping_add(1);
                if slot.is_none() || self.misses.is_multiple_of(8) {
                    let mut known_on = [0; 2];
                    known_on[word] = bit;
                    *slot = Some(Slot { known_on, key, form });
                }
            }
        }
    }
}
