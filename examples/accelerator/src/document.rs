//! A JSON or TOML text as keys to ask for, with errors that name file and key. NOT: what the keys
//! mean.

use std::path::Path;

use serde_json::Value;

use crate::error::Error;

/// No size in a description is larger than this: a limit for nonsense, and the reason that
/// products of two sizes fit 64 bits and of four fit 128 without a thought.
const LARGEST_SIZE: u64 = 1 << 30;

/// The text of a path, or of a name that ships with the simulator.
///
/// A built-in name wins over a file of that name; write `./gpt2` for the file.
pub(crate) fn open(
    what: &'static str,
    name_or_path: &str,
    built_in: &[(&str, &'static str)],
) -> Result<(String, String), Error> {
    if let Some((name, text)) = built_in.iter().find(|(name, _)| *name == name_or_path) {
        return Ok(((*name).to_owned(), (*text).to_owned()));
    }
    let path = Path::new(name_or_path);
    let looks_like_a_name = path.extension().is_none() && path.components().count() == 1;
    if looks_like_a_name && !path.exists() {
        let names: Vec<_> = built_in.iter().map(|(name, _)| *name).collect();
        return Err(Error::UnknownName {
            what,
            name: name_or_path.to_owned(),
            known: names.join(", "),
        });
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name_or_path.to_owned(), text)),
        Err(source) => Err(Error::Read { what, origin: name_or_path.to_owned(), source }),
    }
}

/// A parsed text and where it came from.
#[derive(Debug)]
pub(crate) struct Document {
    origin: String,
    format: &'static str,
    root: Value,
}

impl Document {
    pub(crate) fn json(origin: &str, text: &str) -> Result<Self, Error> {
        match serde_json::from_str(text) {
            Ok(root) => Self::new(origin, "JSON", root),
            Err(error) => Err(Self::syntax(origin, "JSON", &error.to_string())),
        }
    }

    pub(crate) fn toml(origin: &str, text: &str) -> Result<Self, Error> {
        match toml::from_str(text) {
            Ok(root) => Self::new(origin, "TOML", root),
            Err(error) => Err(Self::syntax(origin, "TOML", error.to_string().trim_end())),
        }
    }

    fn new(origin: &str, format: &'static str, root: Value) -> Result<Self, Error> {
        if !root.is_object() {
            return Err(Self::syntax(origin, format, "expected an object at the top"));
        }
        Ok(Self { origin: origin.to_owned(), format, root })
    }

    fn syntax(origin: &str, format: &'static str, message: &str) -> Error {
        Error::Syntax { origin: origin.to_owned(), format, message: message.to_owned() }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The value of a dotted key. Null is how published configurations say "the default", so it
    /// counts as absent.
    fn find(&self, key: &str) -> Option<&Value> {
        let found = key.split('.').try_fold(&self.root, |value, part| value.get(part))?;
        (!found.is_null()).then_some(found)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    pub(crate) fn bad(&self, key: &str, expected: impl Into<String>) -> Error {
        let found = match self.find(key) {
            Some(value @ (Value::Object(_) | Value::Array(_))) => {
                let mut text = value.to_string();
                if text.len() > 40 {
                    text = text.chars().take(40).chain("…".chars()).collect();
                }
                text
            }
            Some(value) => value.to_string(),
            None => "absent".to_owned(),
        };
        Error::BadValue {
            origin: self.origin.clone(),
            key: key.to_owned(),
            expected: expected.into(),
            found,
        }
    }

    fn missing(&self, keys: &[&str], hint: &str) -> Error {
        let quoted: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        Error::MissingKey {
            origin: self.origin.clone(),
            keys: quoted.join(" or "),
            hint: hint.to_owned(),
        }
    }

    /// A whole number above zero under the first spelling present.
    pub(crate) fn size_or_none(&self, keys: &[&str]) -> Result<Option<u64>, Error> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((*key, self.find(key)?))) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(size) if (1..=LARGEST_SIZE).contains(&size) => Ok(Some(size)),
            _ => Err(self.bad(key, format!("a whole number from 1 to {LARGEST_SIZE}"))),
        }
    }

    pub(crate) fn size(&self, keys: &[&str]) -> Result<u64, Error> {
        self.size_or_none(keys)?.ok_or_else(|| {
            self.missing(
                keys,
                &format!(
                    "add it as a whole number above zero, such as `{}`",
                    self.example(keys[0], "64")
                ),
            )
        })
    }

    /// A number above zero.
    pub(crate) fn rate(&self, key: &str) -> Result<f64, Error> {
        let value = self.number(key)?;
        if value > 0.0 { Ok(value) } else { Err(self.bad(key, "a number above zero")) }
    }

    /// A number that is zero or more.
    pub(crate) fn coefficient(&self, key: &str) -> Result<f64, Error> {
        let value = self.number(key)?;
        if value >= 0.0 { Ok(value) } else { Err(self.bad(key, "a number, zero or more")) }
    }

    fn number(&self, key: &str) -> Result<f64, Error> {
        const LARGEST: f64 = 1e9;
        let Some(value) = self.find(key) else {
            let hint = format!("add it as a number, such as `{}`", self.example(key, "100.0"));
            return Err(self.missing(&[key], &hint));
        };
        match value.as_f64() {
            Some(number) if number.is_finite() && number <= LARGEST => Ok(number),
            _ => Err(self.bad(key, "a number up to a thousand million")),
        }
    }

    pub(crate) fn text_or_none(&self, key: &str) -> Result<Option<&str>, Error> {
        match self.find(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.bad(key, "a string")),
        }
    }

    pub(crate) fn text(&self, key: &str, hint: &str) -> Result<&str, Error> {
        self.text_or_none(key)?.ok_or_else(|| self.missing(&[key], hint))
    }

    /// Refuses keys that are not listed, so that a misspelt one is not silently a default.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Error> {
        let Value::Object(top) = &self.root else {
            return Ok(());
        };
        for (name, value) in top {
            let prefix = format!("{name}.");
            if let Some(table) = value.as_object() {
                let members: Vec<_> =
                    known.iter().filter_map(|key| key.strip_prefix(&prefix)).collect();
                if !members.is_empty() {
                    if let Some(odd) = table.keys().find(|key| !members.contains(&key.as_str())) {
                        return Err(self.unknown(&format!("{prefix}{odd}"), &members));
                    }
                    continue;
                }
            }
            if !known.contains(&name.as_str()) && !known.iter().any(|key| key.starts_with(&prefix))
            {
                let mut tops: Vec<_> =
                    known.iter().filter_map(|key| key.split('.').next()).collect();
                tops.dedup();
                return Err(self.unknown(name, &tops));
            }
        }
        Ok(())
    }

    fn unknown(&self, key: &str, known: &[&str]) -> Error {
        Error::UnknownKey {
            origin: self.origin.clone(),
            key: key.to_owned(),
            known: known.join(", "),
        }
    }

    fn example(&self, key: &str, value: &str) -> String {
        match key.split_once('.') {
            Some((table, member)) => format!("{member} = {value}` under `[{table}]"),
            None if self.format == "TOML" => format!("{key} = {value}"),
            None => format!("\"{key}\": {value}"),
        }
    }
}
