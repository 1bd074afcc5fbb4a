//! A trace in the trace processor, and the rows it answers with.

use std::cell::RefCell;
use std::sync::Arc;

use novatrace_reader::Source;
use serde_json::Value as Json;

use crate::server::Server;
use crate::{Error, Value};

/// A trace that the trace processor has read; ask it with SQL or for plain data.
///
/// Holds a server process, which goes back to the pool when this is dropped.
#[derive(Debug)]
pub struct Loaded {
    trace: String,
    /// For our own reader.
    source: Source,
    /// `None` only while being dropped.
    server: RefCell<Option<Server>>,
}

impl Loaded {
    pub(crate) fn new(trace: String, source: Source, server: Server) -> Self {
        Self { trace, source, server: RefCell::new(Some(server)) }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// What error messages call the trace: its path, or its length.
    #[must_use]
    pub fn trace(&self) -> &str {
        &self.trace
    }

    /// The rows of one statement.
    ///
    /// # Errors
    ///
    /// [`Error::Sql`] if the statement fails, [`Error::Server`] if the process does.
    pub fn try_query(&self, sql: &str) -> Result<Vec<Row>, Error> {
        let mut server = self.server.borrow_mut();
        let Some(server) = server.as_mut() else {
            unreachable!("the server is there until the drop")
        };
        let answer = server.query(&self.trace, sql)?;
        rows(answer).ok_or_else(|| Error::Server {
            trace: self.trace.clone(),
            request: format!("`{sql}`"),
            message: "the answer is not a table".into(),
            stdout: String::new(),
            stderr: String::new(),
        })
    }

    /// The rows of one statement.
    ///
    /// # Panics
    ///
    /// If the statement fails; the message names trace, SQL and what the trace processor said.
    #[must_use]
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Row> {
        match self.try_query(sql) {
            Ok(rows) => rows,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Some(server) = self.server.borrow_mut().take() {
            server.put_back();
        }
    }
}

/// One row of a query. The accessors panic, naming the column and the row, if there is no such column or
/// its value is of another type.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    /// The names of the columns, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The values, in order of the columns.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of a column.
    ///
    /// # Panics
    ///
    /// If there is no such column.
    #[must_use]
    #[track_caller]
    pub fn value(&self, column: &str) -> &Value {
        match self.columns.iter().position(|name| name == column) {
            Some(at) => &self.values[at],
            None => panic!("no column {column:?}; there are {:?}", self.columns),
        }
    }

    /// An integer.
    ///
    /// # Panics
    ///
    /// If it is not one, or there is no such column.
    #[must_use]
    #[track_caller]
    pub fn i64(&self, column: &str) -> i64 {
        self.expect(column, "an integer", Value::as_i64)
    }

    /// An integer, or `None` for NULL.
    ///
    /// # Panics
    ///
    /// If it is neither, or there is no such column.
    #[must_use]
    #[track_caller]
    pub fn opt_i64(&self, column: &str) -> Option<i64> {
        (*self.value(column) != Value::Null).then(|| self.i64(column))
    }

    /// A double. An integer is not one: say `cast(x as real)` in SQL.
    ///
    /// # Panics
    ///
    /// If it is not one, or there is no such column.
    #[must_use]
    #[track_caller]
    pub fn f64(&self, column: &str) -> f64 {
        self.expect(column, "a double", Value::as_f64)
    }

    /// A double, or `None` for NULL.
    ///
    /// # Panics
    ///
    /// If it is neither, or there is no such column.
    #[must_use]
    #[track_caller]
    pub fn opt_f64(&self, column: &str) -> Option<f64> {
        (*self.value(column) != Value::Null).then(|| self.f64(column))
    }

    /// Text.
    ///
    /// # Panics
    ///
    /// If it is not text, or there is no such column.
    #[must_use]
    #[track_caller]
    pub fn str(&self, column: &str) -> &str {
        self.expect(column, "text", Value::as_str)
    }

    /// Text, or `None` for NULL.
    ///
    /// # Panics
    ///
    /// If it is neither, or there is no such column.
    #[must_use]
    #[track_caller]
    pub fn opt_str(&self, column: &str) -> Option<&str> {
        (*self.value(column) != Value::Null).then(|| self.str(column))
    }

    #[track_caller]
    fn expect<'row, T>(
        &'row self,
        column: &str,
        what: &str,
        get: impl Fn(&'row Value) -> Option<T>,
    ) -> T {
        let value = self.value(column);
        match get(value) {
            Some(value) => value,
            None => panic!("column {column:?} is {value}, not {what}; in {self:?}"),
        }
    }
}

fn rows(mut answer: Json) -> Option<Vec<Row>> {
    let columns: Vec<String> = serde_json::from_value(answer.get_mut("columns")?.take()).ok()?;
    let columns: Arc<[String]> = columns.into();
    let Json::Array(rows) = answer.get_mut("rows")?.take() else { return None };
    rows.into_iter()
        .map(|row| {
            let Json::Array(cells) = row else { return None };
            let values = cells.into_iter().map(cell).collect::<Option<_>>()?;
            Some(Row { columns: Arc::clone(&columns), values })
        })
        .collect()
}

/// One cell of `runner/serve.mjs`.
fn cell(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text),
        Json::Number(number) => Value::Int(number.as_i64()?),
        Json::Object(object) => match (object.get("f"), object.get("b")) {
            (Some(Json::String(text)), None) => Value::Float(text.parse().ok()?),
            (None, Some(Json::String(text))) => Value::Blob(base64(text)?),
            _ => return None,
        },
        Json::Bool(_) | Json::Array(_) => return None,
    })
}

/// Decodes standard base64, padded.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut length) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        length += 6;
        if length >= 8 {
            length -= 8;
            bytes.push(u8::try_from(bits >> length & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_keep_every_bit() {
        assert_eq!(cell(json!(i64::MIN)), Some(Value::Int(i64::MIN)));
        assert_eq!(cell(json!(i64::MAX)), Some(Value::Int(i64::MAX)));
        assert_eq!(cell(json!({"f": "0.1"})), Some(Value::Float(0.1)));
        assert_eq!(cell(json!({"f": "-Infinity"})), Some(Value::Float(f64::NEG_INFINITY)));
        assert_eq!(cell(json!({"b": "AP8="})), Some(Value::Blob(vec![0, 255])));
        assert_eq!(cell(json!({"b": "TWFu"})), Some(Value::Blob(b"Man".to_vec())));
        assert_eq!(cell(json!("")), Some(Value::Text(String::new())));
    }

    #[test]
    #[should_panic(expected = "no column \"nmae\"; there are [\"name\"]")]
    fn a_misspelt_column_is_named_beside_those_there_are() {
        let rows = rows(json!({"columns": ["name"], "rows": [["x"]]})).expect("a table");
        let _ = rows[0].str("nmae");
    }
}
