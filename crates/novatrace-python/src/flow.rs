//! Flows: numbers that tie events together, as an object.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyInt;

use crate::value::{digits, said, text};

#[doc = stub!("Flow")]
#[pyclass(frozen, eq, hash, module = "novatrace")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Flow(pub(crate) u64);

#[pymethods]
impl Flow {
    #[doc = stub!("Flow.id")]
    #[getter]
    fn id(&self) -> u64 {
        self.0
    }

    fn __repr__(&self) -> String {
        format!("<novatrace.Flow {:#x}>", self.0)
    }
}

fn number(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if let Ok(flow) = object.cast::<Flow>() {
        return Ok(Some(flow.get().0));
    }
    if object.is_instance_of::<PyInt>() {
        let Ok(number) = object.extract() else {
            let digits = digits(object)?;
            let digits: String = text(&digits).chars().take(40).collect();
            let message = format!("a flow is a number from 0 to 2^64 - 1, not {digits}");
            return Err(PyTypeError::new_err(message));
        };
        return Ok(Some(number));
    }
    Ok(None)
}

/// The numbers of a flow, or of each in a sequence of them.
pub(crate) fn flow_numbers(object: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    if let Some(number) = number(object)? {
        return Ok(vec![number]);
    }
    let mut numbers = Vec::new();
    for item in object.try_iter()? {
        let item = item?;
        let Some(number) = number(&item)? else {
            let message =
                format!("{} is no flow: give what flow() answers, or its number", said(&item)?);
            return Err(PyTypeError::new_err(message));
        };
        numbers.push(number);
    }
    Ok(numbers)
}
