//! A test without its oracle is skipped and says so; it never passes in silence.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};

/// Why the trace processor cannot be used here, and how to set it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    pub(crate) why: String,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; run `cargo xtask test` to set it up", self.why)
    }
}

impl std::error::Error for Skip {}

/// The oracle, or the end of the test that asks for it.
///
/// Without the trace processor the test is reported as `SKIPPED name: why` on the error stream (past
/// libtest's capture, so that a plain `cargo test` shows it too) and in the file that `NOVATRACE_SKIPS`
/// names, from which `cargo xtask test` counts; then the test returns. Give the value to return if
/// the test has one: `oracle_or_skip!(Ok(()))`.
///
/// # Panics
///
/// If the oracle is absent while `CI=true` or `NOVATRACE_REQUIRE_ORACLE=1`.
#[macro_export]
macro_rules! oracle_or_skip {
    () => {
        $crate::oracle_or_skip!(())
    };
    ($value:expr) => {
        match $crate::Oracle::find() {
            ::core::result::Result::Ok(oracle) => oracle,
            ::core::result::Result::Err(skip) => {
                fn here() {}
                $crate::__macro_support::report_skip(
                    $crate::__macro_support::function_name(here),
                    &skip,
                );
                return $value;
            }
        }
    };
}

/// The path of the function around `here`. The thread's name would do, but for tests run one at a time.
#[must_use]
pub fn function_name<T>(_: T) -> &'static str {
    let path = std::any::type_name::<T>();
    path.strip_suffix("::here").unwrap_or(path)
}

/// Reports a test as skipped.
///
/// # Panics
///
/// If the environment says that a skip is a failure.
pub fn report_skip(test: &str, skip: &Skip) {
    assert!(!skips_are_failures(), "the oracle test {test} cannot run: {skip}");
    let line = format!("SKIPPED {test}: {skip}\n");
    // Neither stream can fail in a way the test should care about.
    drop(io::stderr().write_all(line.as_bytes()));
    if let Some(path) = std::env::var_os("NOVATRACE_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "cannot note the skipped test in {}", path.display());
    }
}

fn skips_are_failures() -> bool {
    let is = |name: &str, wanted: &[&str]| {
        std::env::var(name).is_ok_and(|value| wanted.contains(&value.as_str()))
    };
    is("CI", &["true", "1"]) || is("NOVATRACE_REQUIRE_ORACLE", &["1", "true"])
}
