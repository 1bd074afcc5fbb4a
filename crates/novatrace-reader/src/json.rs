//! JSON, in parts, as the trace processor takes arguments from it. Belongs here: what the parts are. Does not: keys and nesting
//! (`args.rs`).

use crate::args::Value;

/// A part of JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// A list begins, or a dictionary.
    Open {
        is_list: bool,
    },
    Close,
    /// The name of what comes next, in a dictionary.
    Name(String),
    /// A value without parts; none, of `null`.
    Value(Option<Value>),
}

/// The parts of JSON, in order. Ends at what is none: also at a number with nothing behind it, as the trace processor does, which could
/// be cut.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(crate) fn of(json: &'a [u8]) -> Self {
        Self { rest: json }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// A text; its escapes stay as they are.
    fn text(&mut self) -> Option<String> {
        let mut is_escaped = false;
        let len = self.rest.iter().skip(1).position(|byte| {
            let is_end = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            is_end
        })?;
        let (text, rest) = self.rest[1..].split_at(len);
        self.rest = &rest[1..];
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn number(&mut self) -> Option<Value> {
        let is_of_number =
            |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let len = self.rest.iter().position(|byte| !is_of_number(byte))?;
        let (number, rest) = self.rest.split_at(len);
        self.rest = rest;
        let number = std::str::from_utf8(number).ok()?;
        number.parse().map(Value::Int).or_else(|_| number.parse().map(Value::Double)).ok()
    }

    fn literal(&mut self) -> Option<Part> {
        let literals = [
            ("true", Some(Value::Bool(true))),
            ("false", Some(Value::Bool(false))),
            ("null", None),
        ];
        literals.into_iter().find_map(|(literal, value)| {
            self.rest = self.rest.strip_prefix(literal.as_bytes())?;
            Some(Part::Value(value))
        })
    }
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        self.skip_space();
        while let Some(rest) = self.rest.strip_prefix(b",") {
            self.rest = rest;
            self.skip_space();
        }
        match *self.rest.first()? {
            open @ (b'{' | b'[') => {
                self.rest = &self.rest[1..];
                Some(Part::Open { is_list: open == b'[' })
            }
            b'}' | b']' => {
                self.rest = &self.rest[1..];
                Some(Part::Close)
            }
            b'"' => {
                let text = self.text()?;
                self.skip_space();
                match self.rest.strip_prefix(b":") {
                    Some(rest) => {
                        self.rest = rest;
                        Some(Part::Name(text))
                    }
                    None => Some(Part::Value(Some(Value::Text(text)))),
                }
            }
            b'-' | b'0'..=b'9' => self.number().map(|number| Part::Value(Some(number))),
            _ => self.literal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_one_after_the_other() {
        let json = r#" {"a" : [1, -2.5e1, "x\"\\" , true,null], "b": {}} rest"#;
        let parts: Vec<Part> = Parts::of(json.as_bytes()).collect();
        let value = |value| Part::Value(Some(value));
        let name = |name: &str| Part::Name(name.to_owned());
        let expected = [
            Part::Open { is_list: false },
            name("a"),
            Part::Open { is_list: true },
            value(Value::Int(1)),
            value(Value::Double(-25.0)),
            value(Value::Text(r#"x\"\\"#.to_owned())),
            value(Value::Bool(true)),
            Part::Value(None),
            Part::Close,
            name("b"),
            Part::Open { is_list: false },
            Part::Close,
            Part::Close,
        ];
        assert_eq!(parts, expected);
        for cut in ["", "5", "\"a", "tru", "-", "\"a\\\""] {
            assert_eq!(Parts::of(cut.as_bytes()).next(), None, "{cut}");
        }
    }
}
