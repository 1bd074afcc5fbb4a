//! What the body of an event refers to by number: so that it can be written again where those numbers
//! mean nothing yet. Belongs here: finding them. Does not: telling a sequence what they stand for.

use std::hash::BuildHasher;

use crate::event::EventBody;
use crate::intern::{Kind, Symbols};
use crate::schema::{debug_annotation, track_event};
use crate::wire;

/// Something that an event says by number (`Iid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A text of that kind.
    Text(Kind, u64),
    /// A place in a source file.
    Location(u64),
}

impl EventBody<'_> {
    /// Whether the event has this name, or is of this category.
    #[must_use]
    pub fn is_called<S: BuildHasher>(body: &[u8], symbols: &Symbols<S>, text: &str) -> bool {
        let mut is_called = false;
        fields(body, &mut |field, value| {
            is_called |= match (field, value) {
                (track_event::NAME_IID | track_event::CATEGORY_IIDS, Value::Number(iid)) => {
                    symbols.numbered(iid) == Some(text)
                }
                (track_event::NAME | track_event::CATEGORIES, Value::Bytes(bytes)) => {
                    bytes == text.as_bytes()
                }
                _ => false,
            };
        });
        is_called
    }

    /// Hands what `body` refers to by number to `with`, in the order it is written.
    pub fn references(body: &[u8], with: &mut dyn FnMut(Reference)) {
        fields(body, &mut |field, value| match (field, value) {
            (track_event::NAME_IID, Value::Number(iid)) => {
                with(Reference::Text(Kind::EventName, iid));
            }
            (track_event::CATEGORY_IIDS, Value::Number(iid)) => {
                with(Reference::Text(Kind::Category, iid));
            }
            (track_event::SOURCE_LOCATION_IID, Value::Number(iid)) => {
                with(Reference::Location(iid));
            }
            (track_event::DEBUG_ANNOTATIONS, Value::Bytes(bytes)) => annotation(bytes, with),
            _ => {}
        });
    }
}

/// Not deeper than the encoder's limit of containers.
fn annotation(bytes: &[u8], with: &mut dyn FnMut(Reference)) {
    fields(bytes, &mut |field, value| match (field, value) {
        (debug_annotation::NAME_IID, Value::Number(iid)) => {
            with(Reference::Text(Kind::AnnotationName, iid));
        }
        (debug_annotation::STRING_VALUE_IID, Value::Number(iid)) => {
            with(Reference::Text(Kind::AnnotationString, iid));
        }
        (debug_annotation::DICT_ENTRIES | debug_annotation::ARRAY_VALUES, Value::Bytes(bytes)) => {
            annotation(bytes, with);
        }
        _ => {}
    });
}

/// The content of a field, as far as it matters here.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Hands each field of a message that we wrote to `with`; what is none ends it.
fn fields<'a>(mut bytes: &'a [u8], with: &mut dyn FnMut(u32, Value<'a>)) {
    while let Some((field, value, rest)) = field(bytes) {
        with(field, value);
        bytes = rest;
    }
}

fn field(bytes: &[u8]) -> Option<(u32, Value<'_>, &[u8])> {
    let (tag, rest) = wire::read_varint(bytes)?;
    let field = u32::try_from(tag >> 3).ok()?;
    let (value, rest) = match (tag & 7) as u32 {
        wire::VARINT => {
            let (number, rest) = wire::read_varint(rest)?;
            (Value::Number(number), rest)
        }
        wire::LENGTH_DELIMITED => {
            let (len, rest) = wire::read_varint(rest)?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Value::Bytes(bytes), rest)
        }
        wire::FIXED64 => (Value::Other, rest.get(8..)?),
        _ => return None,
    };
    Some((field, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::{Limits, Scalar, Shape};
    use crate::intern::Kind::{AnnotationName, AnnotationString, Category, EventName};
    use crate::intern::{Iid, Text};

    #[test]
    fn every_number_is_found_however_deep_and_nothing_else_is() {
        let iid = |number| Text::Iid(Iid::for_test(number));
        let mut body = vec![];
        let mut event = EventBody::new(&mut body);
        event.name(iid(1)).category(iid(2)).category(Text::Inline("c")).flow(77);
        event.location(Iid::for_test(9)).terminating_flow(78);
        event
            .annotation(iid(3), Scalar::Uint(300))
            .annotation(Text::Inline("k"), Scalar::Double(0.5));
        let mut annotations = event.annotations(Limits::default());
        annotations.text(iid(4), iid(5));
        annotations.text(Text::Inline("k"), Text::Inline("v"));
        let mut outer = annotations.container(iid(6), Shape::Dictionary);
        let mut inner = outer.container(iid(7), Shape::Array);
        inner.text(Text::Inline(""), iid(8));
        inner.finish();
        outer.finish();
        let mut found = vec![];
        EventBody::references(&body, &mut |reference| found.push(reference));
        let text = Reference::Text;
        assert_eq!(
            found,
            [
                text(EventName, 1),
                text(Category, 2),
                Reference::Location(9),
                text(AnnotationName, 3),
                text(AnnotationName, 4),
                text(AnnotationString, 5),
                text(AnnotationName, 6),
                text(AnnotationName, 7),
                text(AnnotationString, 8),
            ]
        );
    }

    #[test]
    fn an_event_is_called_by_its_name_and_its_categories() {
        let mut symbols = Symbols::default();
        let (name, category) = (symbols.intern("name"), symbols.intern("category"));
        let key = symbols.intern("key").expect("there is room");
        let [name, category] = [name, category].map(|iid| Text::Iid(iid.expect("there is room")));
        let (mut interned, mut inline) = (vec![], vec![]);
        EventBody::new(&mut interned).name(name).category(category);
        EventBody::new(&mut interned).annotation(Text::Iid(key), Scalar::Uint(1));
        EventBody::new(&mut inline).name(Text::Inline("name")).category(Text::Inline("category"));
        for body in [interned, inline] {
            let is_called = |text| EventBody::is_called(&body, &symbols, text);
            assert!(is_called("name") && is_called("category"));
            assert!(!is_called("key") && !is_called("nam"));
        }
    }

    #[test]
    fn a_body_that_is_cut_ends_where_it_is_cut() {
        let mut body = vec![];
        EventBody::new(&mut body).name(Text::Iid(Iid::for_test(1))).name(Text::Inline("abc"));
        for len in 0..body.len() {
            let mut found = 0;
            EventBody::references(&body[..len], &mut |_| found += 1);
            assert_eq!(found, usize::from(len >= 2), "{len}");
        }
    }
}
