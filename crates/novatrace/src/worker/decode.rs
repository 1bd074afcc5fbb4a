//! From a record to the body of its event: texts become numbers, values their fields.

use novatrace_core::{
    Annotations, EventBody, Iid, Kind, Limits, Piece, Reference, Scalar, Sequence, Shape,
    SourceLocation, Symbols, Text,
};

use super::forms::{Form, Forms, Texts};
use super::output::Output;
use crate::name::Name;
use crate::record::{CUT, HAS_CATEGORY, HEAD_WORDS, Tag, text, text_words};

/// The numbers of a trace's texts.
#[derive(Debug)]
pub(crate) struct Dictionary {
    known: Known,
    /// By [`Name::id`].
    names: Vec<Option<Iid>>,
    forms: Forms,
    default_category: Option<Name>,
    /// The name without letters, which no key may be by number: the core writes "(empty)" only in
    /// the place of a text.
    empty: u32,
    limits: Limits,
    location: String,
}

/// The texts that have numbers, and those that may get one.
#[derive(Debug)]
struct Known {
    symbols: Symbols<foldhash::fast::FixedState>,
    seen: SeenOnce,
}

impl Known {
    #[inline]
    fn text<'a>(&mut self, text: &'a str, kind: Kind, place: &mut Place<'_>) -> Text<'a> {
        match self.symbols.intern(text) {
            Some(iid) => {
                place.define(&self.symbols, kind, iid);
                Text::Iid(iid)
            }
            None => Text::Inline(text),
        }
    }

    /// A value is interned when it comes again: many never do.
    #[inline]
    fn value<'a>(&mut self, text: &'a str, place: &mut Place<'_>) -> Text<'a> {
        let kind = Kind::AnnotationString;
        if text.len() > Symbols::MAX_TEXT_BYTES {
            return Text::Inline(text);
        }
        match self.symbols.get(text) {
            Some(iid) => {
                place.define(&self.symbols, kind, iid);
                Text::Iid(iid)
            }
            None if self.seen.again(text) => self.text(text, kind, place),
            None => Text::Inline(text),
        }
    }
}

/// Texts among an event's values, on the sequence where they are written.
struct TextsAt<'k, 'p, 'o> {
    known: &'k mut Known,
    place: &'p mut Place<'o>,
}

impl Texts for TextsAt<'_, '_, '_> {
    #[inline]
    fn value<'a>(&mut self, text: &'a str) -> Text<'a> {
        self.known.value(text, self.place)
    }
}

/// Recognises texts that come a second time: a table of hashes, each of which the next overwrites.
#[derive(Debug)]
struct SeenOnce(Box<[u64; 1024]>);

impl SeenOnce {
    fn again(&mut self, text: &str) -> bool {
        use std::hash::BuildHasher;
        let hash = foldhash::fast::FixedState::with_seed(3).hash_one(text) | 1;
        let slot = &mut self.0[(hash >> 54) as usize];
        std::mem::replace(slot, hash) == hash
    }
}

/// What the record of a slice or instant says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'r> {
    /// `None` if the first item is the name as a text.
    pub(crate) name: Option<Name>,
    /// A category beside those among the items.
    pub(crate) category: Option<Name>,
    pub(crate) items: &'r [u64],
}

/// Where a text is to be known, and where that is written.
pub(crate) struct Place<'a> {
    pub(crate) sequence: &'a mut Sequence,
    pub(crate) out: &'a mut Output,
}

impl Place<'_> {
    #[inline(always)]
    fn define(&mut self, symbols: &Symbols<foldhash::fast::FixedState>, kind: Kind, iid: Iid) {
        if !self.sequence.is_defined(kind, iid) {
            self.write_definition(symbols, kind, iid);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_definition(
        &mut self,
        symbols: &Symbols<foldhash::fast::FixedState>,
        kind: Kind,
        iid: Iid,
    ) {
        self.sequence.define(&mut self.out.batch, kind, iid, symbols.text(iid));
        self.out.packet();
    }
}

impl Dictionary {
    pub(crate) fn new(default_category: Option<Name>, limits: Limits) -> Self {
        let hasher = foldhash::fast::FixedState::with_seed(1);
        Self {
            known: Known {
                symbols: Symbols::with_hasher(hasher, Symbols::DEFAULT_MAX_TEXTS),
                seen: SeenOnce(Box::new([0; 1024])),
            },
            names: Vec::new(),
            forms: Forms::default(),
            default_category,
            empty: Name::new("").id(),
            limits,
            location: String::new(),
        }
    }

    /// All sequences have been started again: they know no text.
    pub(crate) fn forget_forms(&mut self) {
        self.forms.forget();
    }

    /// Defines what a body says by number, where it is to be written again.
    pub(crate) fn define_all(&self, body: &[u8], place: &mut Place<'_>) {
        let symbols = &self.known.symbols;
        EventBody::references(body, &mut |reference| match reference {
            Reference::Text(kind, number) => {
                if let Some(iid) = symbols.iid(number) {
                    place.define(symbols, kind, iid);
                }
            }
            Reference::Location(number) => {
                if let Some(iid) = symbols.iid(number)
                    && let [line, function, file] =
                        symbols.text(iid).rsplitn(3, '\0').collect::<Vec<_>>()[..]
                {
                    let line = line.parse().unwrap_or_default();
                    let location = SourceLocation { file, function, line };
                    if place.sequence.define_location(&mut place.out.batch, iid, &location) {
                        place.out.packet();
                    }
                }
            }
        });
    }

    /// See [`EventBody::is_called`].
    pub(crate) fn is_called(&self, body: &[u8], text: &str) -> bool {
        EventBody::is_called(body, &self.known.symbols, text)
    }

    /// The name that an event's body begins with.
    pub(crate) fn name_in(&self, body: &[u8]) -> String {
        EventBody::name_in(body, &self.known.symbols).unwrap_or_default()
    }

    #[inline]
    fn name(&mut self, id: u32, kind: Kind, place: &mut Place<'_>) -> Iid {
        let iid = match self.names.get(id as usize) {
            Some(&Some(iid)) => iid,
            _ => self.first_use(id),
        };
        place.define(&self.known.symbols, kind, iid);
        iid
    }

    #[cold]
    #[inline(never)]
    fn first_use(&mut self, id: u32) -> Iid {
        let text = Name::from_id(id).map_or("", Name::as_str);
        let iid = self.known.symbols.intern_always(text);
        let index = id as usize;
        if self.names.len() <= index {
            self.names.resize(index + 1, None);
        }
        self.names[index] = Some(iid);
        iid
    }

    /// Appends the body of the slice or instant that `record` is.
    #[inline(always)]
    pub(crate) fn body(&mut self, record: &[u64], body: &mut Vec<u8>, place: &mut Place<'_>) {
        let name = (record[1] >> 32) as u32;
        let items = &record[HEAD_WORDS..];
        let id = place.sequence.id();
        let texts = &mut TextsAt { known: &mut self.known, place };
        if !self.forms.write(name, items, id, body, texts) {
            let flags = record[0].to_le_bytes()[1];
            let category = self.default_category.filter(|_| flags & HAS_CATEGORY == 0);
            let said = Said { name: Name::from_id(name), category, items };
            self.plain_body(said, body, place);
            if let Some(form) = self.form(said) {
                self.forms.learn(name, items, form, id);
            }
        }
    }

    /// Appends the body of an event that is the first of its form, or has none.
    #[inline(never)]
    pub(crate) fn plain_body(&mut self, said: Said<'_>, body: &mut Vec<u8>, place: &mut Place<'_>) {
        let mut items = Reader { words: said.items };
        let name = match said.name {
            Some(name) => Text::Iid(self.name(name.id(), Kind::EventName, place)),
            None => self.known.text(items.first_text(), Kind::EventName, place),
        };
        let mut event = EventBody::new(body);
        event.name(name);
        if let Some(category) = said.category {
            let category = self.name(category.id(), Kind::Category, place);
            event.category(Text::Iid(category));
        }
        while let Some(item) = items.next() {
            self.item(&item, &mut items, &mut event, place);
        }
    }

    /// Name and category of an event, if they are known and short.
    pub(crate) fn lead(&self, said: Said<'_>) -> Option<Piece> {
        let iid = |name: Name| *self.names.get(name.id() as usize)?;
        let name = Piece::name(iid(said.name?)?);
        match said.category {
            Some(category) => name.and(Piece::category(iid(category)?)),
            None => Some(name),
        }
    }

    /// Appends the body of an event of that form, on a sequence that knows its texts; false, and nothing,
    /// if it is not of the form.
    #[inline(always)]
    pub(crate) fn formed_body(
        &mut self,
        form: &Form,
        items: &[u64],
        body: &mut Vec<u8>,
        place: &mut Place<'_>,
    ) -> bool {
        form.write(items, body, &mut TextsAt { known: &mut self.known, place })
    }

    /// The form of an event whose texts are all known, if it has one.
    pub(crate) fn form(&self, said: Said<'_>) -> Option<Form> {
        let iid = |id: u32| *self.names.get(id as usize)?;
        let mut form = Form::new(self.lead(said)?);
        let mut words = said.items.iter();
        while let Some(&head) = words.next() {
            let (key, small) = (((head >> 8) & 0xFF_FFFF) as u32, (head >> 32) as u32);
            if key == self.empty {
                return None;
            }
            match Tag::of(head) {
                Some(Tag::Category) => form.category(head, Piece::category(iid(small)?)),
                Some(Tag::SmallUint) => form.uint(head, Piece::uint(iid(key)?)?),
                Some(Tag::SmallInt) => form.int(head, Piece::int(iid(key)?)?),
                Some(Tag::False | Tag::True) => form.bool(head, Piece::bool(iid(key)?)?),
                Some(Tag::Uint) => words.next().and(form.wide(head, Piece::uint(iid(key)?)?)),
                Some(Tag::Int) => words.next().and(form.wide(head, Piece::int(iid(key)?)?)),
                Some(Tag::Flow) => words.next().and(form.flow(head, Piece::FLOW)),
                Some(Tag::FlowEnd) => words.next().and(form.flow(head, Piece::TERMINATING_FLOW)),
                Some(Tag::Text) => {
                    let len = text_words(small as usize);
                    if len > 0 {
                        words.nth(len - 1)?;
                    }
                    form.text(head, Piece::text(iid(key)?)?)
                }
                Some(Tag::Double) => words.next().and(form.double(head, Piece::double(iid(key)?)?)),
                // The word that makes the number of a live record's words even.
                None if head == 0 && words.len() == 0 => break,
                _ => None,
            }?;
        }
        Some(form)
    }

    fn item<'r>(
        &mut self,
        item: &Item<'r>,
        items: &mut Reader<'r>,
        body: &mut EventBody<'_>,
        place: &mut Place<'_>,
    ) {
        match item.tag {
            Tag::Category => {
                body.category(Text::Iid(self.name(item.small, Kind::Category, place)));
            }
            Tag::CategoryText => {
                body.category(self.known.text(items.text(item.small), Kind::Category, place));
            }
            Tag::Flow => {
                body.flow(items.word());
            }
            Tag::FlowEnd => {
                body.terminating_flow(items.word());
            }
            Tag::Location => self.location(item.small, items, body, place),
            _ => {
                let limits = self.limits;
                self.value(item, items, &mut body.annotations(limits), place);
            }
        }
    }

    #[inline]
    fn key<'r>(&mut self, item: &Item<'r>, place: &mut Place<'_>) -> Text<'r> {
        match (item.key_text, item.key) {
            (Some(""), _) | (None, 0) => Text::Inline(""),
            (Some(text), _) => self.known.text(text, Kind::AnnotationName, place),
            (None, id) if id == self.empty => Text::Inline(""),
            (None, id) => Text::Iid(self.name(id, Kind::AnnotationName, place)),
        }
    }

    fn value<'r>(
        &mut self,
        item: &Item<'r>,
        items: &mut Reader<'r>,
        annotations: &mut Annotations<'_>,
        place: &mut Place<'_>,
    ) {
        let key = self.key(item, place);
        if let Some(scalar) = items.scalar(item) {
            annotations.scalar(key, scalar);
            return;
        }
        let shape = match item.tag {
            Tag::Text => {
                let text = items.text(item.small);
                if item.small & CUT != 0 {
                    annotations.text(key, Text::Inline(&format!("{text}… (cut)")));
                    return;
                }
                let text = self.known.value(text, place);
                annotations.text(key, text);
                return;
            }
            Tag::NameValue => {
                let iid = self.name(item.small, Kind::AnnotationString, place);
                annotations.text(key, Text::Iid(iid));
                return;
            }
            Tag::Array => Shape::Array,
            _ => Shape::Dictionary,
        };
        let mut container = annotations.container(key, shape);
        while let Some(item) = items.next() {
            match item.tag {
                Tag::End => break,
                Tag::More => container.more(items.word()),
                _ => self.value(&item, items, &mut container, place),
            }
        }
        container.finish();
    }

    fn location(
        &mut self,
        line: u32,
        items: &mut Reader<'_>,
        body: &mut EventBody<'_>,
        place: &mut Place<'_>,
    ) {
        use std::fmt::Write;
        let (file, function) = (items.first_text(), items.first_text());
        let location = SourceLocation { file, function, line };
        self.location.clear();
        let _ = write!(self.location, "{file}\0{function}\0{line}"); // a String takes everything
        match self.known.symbols.intern(&self.location) {
            Some(iid) => {
                if place.sequence.define_location(&mut place.out.batch, iid, &location) {
                    place.out.packet();
                }
                body.location(iid);
            }
            None => {
                body.inline_location(&location);
            }
        }
    }
}

/// Hands the flows of a record to `with`.
#[inline(never)]
pub(crate) fn flows(record: &[u64], mut with: impl FnMut(u64)) {
    let mut items = Reader { words: &record[HEAD_WORDS..] };
    while let Some(item) = items.next() {
        match item.tag {
            Tag::Flow | Tag::FlowEnd => with(items.word()),
            Tag::More => {
                items.word();
            }
            Tag::Name | Tag::CategoryText | Tag::Text => {
                items.text(item.small);
            }
            _ => {
                items.scalar(&item);
            }
        }
    }
}

/// Reads the items of a record.
struct Reader<'r> {
    words: &'r [u64],
}

struct Item<'r> {
    tag: Tag,
    /// A name's id, or 0.
    key: u32,
    key_text: Option<&'r str>,
    small: u32,
}

impl<'r> Reader<'r> {
    #[inline]
    fn word(&mut self) -> u64 {
        match self.words.split_first() {
            Some((&word, rest)) => {
                self.words = rest;
                word
            }
            None => 0,
        }
    }

    #[inline]
    fn text(&mut self, len: u32) -> &'r str {
        let len = (len & !CUT) as usize;
        let (words, rest) = self.words.split_at(text_words(len).min(self.words.len()));
        self.words = rest;
        if words.len() * 8 < len { "" } else { text(words, len) }
    }

    /// The text of the next item, which is known to be one.
    fn first_text(&mut self) -> &'r str {
        let head = self.word();
        self.text((head >> 32) as u32)
    }

    #[inline]
    fn next(&mut self) -> Option<Item<'r>> {
        let mut key_text = None;
        while !self.words.is_empty() {
            let head = self.word();
            let small = (head >> 32) as u32;
            match Tag::of(head)? {
                Tag::Key => key_text = Some(self.text(small)),
                tag => {
                    return Some(Item {
                        tag,
                        key: ((head >> 8) & 0xFF_FFFF) as u32,
                        key_text,
                        small,
                    });
                }
            }
        }
        None
    }

    #[inline]
    fn scalar(&mut self, item: &Item<'_>) -> Option<Scalar> {
        Some(match item.tag {
            Tag::False => Scalar::Bool(false),
            Tag::True => Scalar::Bool(true),
            Tag::SmallInt => Scalar::Int(item.small.cast_signed().into()),
            Tag::SmallUint => Scalar::Uint(item.small.into()),
            Tag::Int => Scalar::Int(self.word().cast_signed()),
            Tag::Uint => Scalar::Uint(self.word()),
            Tag::Double => Scalar::Double(f64::from_bits(self.word())),
            Tag::Pointer => Scalar::Pointer(self.word()),
            _ => return None,
        })
    }
}
