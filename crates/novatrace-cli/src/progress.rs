//! How far long work has come, on a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use novatrace_reader::Source;

/// Files below this are read before anyone looks.
const WORTH_TELLING: u64 = 64 << 20;

/// Of reading a file, in bytes; hidden where nobody sees it. What is compressed has more bytes than the file: its
/// bar only says how many.
pub(crate) fn of(source: &Source, what: &'static str) -> ProgressBar {
    let length = source.file_len().unwrap_or(0);
    if length < WORTH_TELLING {
        return ProgressBar::hidden();
    }
    let bar = bar(length, "{msg:10} [{wide_bar}] {bytes} of {total_bytes}, {bytes_per_sec}");
    bar.set_message(what);
    bar
}

/// Of so much work, as `indicatif`'s template says; hidden where nobody sees it.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
