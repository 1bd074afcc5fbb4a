//! Choices that sessions and generators have in common, as Python gives them.

use std::time::Duration;

use novatrace::{Attribute, Children, Compression, FlightRecorder, Rotate, Worker};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::value_error;
use crate::value::{any_text, text};

/// Facts about the trace: whole numbers, and of everything else its text.
pub(crate) fn attributes(
    attributes: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<(String, Attribute)>> {
    let attributes = attributes.into_iter().flatten().map(|(key, value)| {
        let key = text(&any_text(&key)?).into_owned();
        let value = match value.extract::<i64>() {
            Ok(number) => Attribute::Int(number),
            Err(_) => Attribute::Text(text(&any_text(&value)?).into_owned()),
        };
        Ok((key, value))
    });
    attributes.collect()
}

/// When a trace goes on in another file, if it does: `rotate_bytes`, `rotate_seconds` and `keep`.
pub(crate) fn rotate(
    py: Python<'_>,
    bytes: Option<u64>,
    seconds: Option<f64>,
    keep: Option<u32>,
) -> PyResult<Option<Rotate>> {
    let time = seconds.map(|seconds| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|error| value_error(py, format!("rotate_seconds: {error}")))
    });
    let rotate = match (bytes, time.transpose()?) {
        (Some(bytes), Some(time)) => Rotate::bytes(bytes).or_every(time),
        (Some(bytes), None) => Rotate::bytes(bytes),
        (None, Some(time)) => Rotate::every(time),
        (None, None) if keep.is_some() => {
            let message = "keep is for parts: give rotate_bytes or rotate_seconds too";
            return Err(value_error(py, message));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(rotate.keep(keep.unwrap_or_default())))
}

/// How much of a recording is kept in memory: bytes as a number, or a text such as "64MB", "30s" or "64MB,30s".
pub(crate) fn flight_recorder(given: &Bound<'_, PyAny>) -> PyResult<FlightRecorder> {
    let py = given.py();
    if let Ok(bytes) = given.extract::<usize>() {
        return Ok(FlightRecorder::bytes(bytes));
    }
    let given = any_text(given)?;
    let limits = text(&given);
    let wrong = || {
        let message = "flight_recorder is \"64MB\", \"30s\" or both, with a comma between, not";
        value_error(py, format!("{message} {limits:?}"))
    };
    let (mut bytes, mut seconds) = (None, None);
    for limit in limits.split(',').map(str::trim) {
        let digits = limit.find(|char: char| !char.is_ascii_digit()).unwrap_or(limit.len());
        let (number, unit) = limit.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let factor = match unit.trim() {
            "s" => {
                seconds = Some(number);
                continue;
            }
            "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
        bytes = Some(number.ok_or_else(wrong)?);
    }
    match (bytes, seconds) {
        (Some(bytes), Some(seconds)) => Ok(FlightRecorder::bytes(bytes).or_seconds(seconds)),
        (Some(bytes), None) => Ok(FlightRecorder::bytes(bytes)),
        (None, Some(seconds)) => Ok(FlightRecorder::seconds(seconds)),
        (None, None) => Err(wrong()),
    }
}

/// When a batch goes to the file, as far as it is said.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Option<usize>,
    time: Option<Duration>,
}

impl Batch {
    pub(crate) fn new(
        py: Python<'_>,
        bytes: Option<usize>,
        flush_interval: Option<f64>,
    ) -> PyResult<Self> {
        let time = flush_interval.map(Duration::try_from_secs_f64).transpose();
        let time = time.map_err(|error| value_error(py, format!("flush_interval: {error}")))?;
        Ok(Self { bytes, time })
    }

    /// Has a trace go by it, with what is not said as it is.
    pub(crate) fn apply(
        &self,
        (packets, bytes, time): (usize, usize, Duration),
        set: impl FnOnce(usize, usize, Duration),
    ) {
        if self.bytes.is_some() || self.time.is_some() {
            // So many that it is the bytes that count: no packet is smaller than 8.
            let packets = self.bytes.map_or(packets, |bytes| bytes / 8);
            set(packets, self.bytes.unwrap_or(bytes), self.time.unwrap_or(time));
        }
    }
}

/// Where the worker is.
pub(crate) fn worker(py: Python<'_>, text: &str) -> PyResult<Worker> {
    Worker::of_word(text).ok_or_else(|| {
        value_error(py, format!("worker is \"thread\" or \"process\", not {text:?}"))
    })
}

/// What becomes of processes that the program starts.
pub(crate) fn children(py: Python<'_>, text: &str) -> PyResult<Children> {
    Children::of_word(text).ok_or_else(|| {
        let message = format!("children are \"quiet\", \"join\" or \"shard\", not {text:?}");
        value_error(py, message)
    })
}

/// How a trace is compressed, as in `"zlib:6"`.
pub(crate) fn compression(py: Python<'_>, text: &str) -> PyResult<Compression> {
    text.parse().map_err(|error: novatrace::CompressionError| value_error(py, error.to_string()))
}
