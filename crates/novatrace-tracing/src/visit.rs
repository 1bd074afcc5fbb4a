//! From fields to arguments.

use std::error::Error;
use std::fmt::{self, Debug, Write};

use novatrace::__macro_support::Fields;
use novatrace::Counter;
use tracing::field::{Field, Visit};

use crate::sites::{Key, Site};

/// Gathers the fields of a span or an event.
pub(crate) struct Visitor<'s> {
    pub(crate) site: &'s Site,
    pub(crate) fields: &'s mut Fields,
    /// Where the message goes; arguments otherwise.
    pub(crate) message: Option<&'s mut String>,
}

impl Visitor<'_> {
    fn counter(counter: &'static Counter, value: f64) {
        counter.set(value);
    }
}

macro_rules! numbers {
    ($($method:ident($type:ty) => $add:ident, |$value:ident| $double:expr;)*) => {$(
        fn $method(&mut self, field: &Field, $value: $type) {
            match self.site.key(field) {
                Some(Key::Argument(key)) => self.fields.$add(*key, $value),
                Some(Key::Counter(counter)) => Self::counter(counter, $double),
                Some(Key::Message) | None => self.record_debug(field, &$value),
            }
        }
    )*};
}

impl Visit for Visitor<'_> {
    numbers! {
        record_i64(i64) => int, |value| {
            #[expect(clippy::cast_precision_loss, reason = "as the viewer keeps it")]
            let double = value as f64;
            double
        };
        record_u64(u64) => uint, |value| {
            #[expect(clippy::cast_precision_loss, reason = "as the viewer keeps it")]
            let double = value as f64;
            double
        };
        record_f64(f64) => double, |value| value;
        record_bool(bool) => bool, |value| f64::from(u8::from(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, text: &str) {
        match (self.site.key(field), &mut self.message) {
            (Some(Key::Argument(key)), _) => self.fields.text(*key, text),
            (Some(Key::Message), Some(message)) => message.push_str(text),
            (Some(Key::Message), None) => self.fields.text(novatrace::Name::new("message"), text),
            // A counter that is no number says nothing.
            (Some(Key::Counter(_)) | None, _) => {}
        }
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}"); // a String takes everything
            cause = error.source();
        }
        self.record_str(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // A `Debug` that fails has said something all the same.
        let _ = fmt::write(&mut text, format_args!("{value:?}"));
        self.record_str(field, &text);
    }
}
