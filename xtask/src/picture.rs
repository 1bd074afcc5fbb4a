//! `cargo xtask picture`: a trace as users will see it, in the real Perfetto UI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use novatrace_testkit::Oracle;
use serde_json::json;

/// What to show, and how large.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The trace.
    trace: PathBuf,
    /// The picture to write; its name ends in `.png`.
    out: PathBuf,
    /// Width and height in pixels.
    #[arg(long, default_value = "1600x1000", value_parser = parse_size)]
    size: (u32, u32),
    /// The first moment to show: nanoseconds of trace time, or with a unit: `20us`, `1.5ms`, `2s`.
    #[arg(long, value_parser = parse_time)]
    start: Option<i64>,
    /// The last moment to show, in the same form.
    #[arg(long, value_parser = parse_time)]
    end: Option<i64>,
    /// Expand only tracks whose name matches this regular expression, instead of every group. May be repeated.
    #[arg(long)]
    expand: Vec<String>,
    /// Leave every group as the UI opens it.
    #[arg(long, conflicts_with = "expand")]
    collapsed: bool,
    /// Pin tracks whose name matches this regular expression to the top. May be repeated.
    #[arg(long)]
    pin: Vec<String>,
    /// Select an event, such as `slice:5`, to show its details.
    #[arg(long, value_parser = parse_selection)]
    select: Option<String>,
    /// Height in pixels of the panel that shows the selected event, scrolled to its end: to the arguments.
    #[arg(long)]
    details: Option<u32>,
    /// Keys to press at the end, separated by spaces: `w w` zooms in.
    #[arg(long, default_value = "")]
    keys: String,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    crate::oracle::set_up()?;
    let home = crate::oracle_home();
    let oracle = Oracle::at(&home)?;
    let chromium = chromium()?;
    let playwright = playwright(&oracle, &home)?;
    ensure!(options.trace.is_file(), "there is no trace {}", options.trace.display());

    let expand = if options.collapsed {
        json!([])
    } else if options.expand.is_empty() {
        json!(null)
    } else {
        json!(options.expand)
    };
    let request = json!({
        "ui": oracle.web_dist().parent(),
        "playwright": playwright,
        "chromium": chromium,
        "trace": std::path::absolute(&options.trace)?,
        "out": std::path::absolute(&options.out)?,
        "width": options.size.0,
        "height": options.size.1,
        "start": options.start.map(|time| time.to_string()),
        "end": options.end.map(|time| time.to_string()),
        "expand": expand,
        "pin": options.pin,
        "select": options.select,
        "details": options.details,
        "keys": options.keys.split_whitespace().collect::<Vec<_>>(),
    });
    let path = std::env::temp_dir().join(format!("novatrace-picture-{}.json", std::process::id()));
    fs::write(&path, request.to_string()).with_context(|| path.display().to_string())?;
    let status = Command::new(oracle.node())
        .arg(crate::root().join("tests/picture/picture.mjs"))
        .arg(&path)
        .status();
    fs::remove_file(&path).with_context(|| path.display().to_string())?;
    Ok(if status.context("node")?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The browser: `CHROMIUM`, or the usual names on the PATH.
fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return Ok(path.into());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = names.iter().find_map(|name| {
        std::env::split_paths(&paths).map(|dir| dir.join(name)).find(|path| path.is_file())
    });
    let Some(path) = found else {
        bail!(
            "there is no Chromium on the PATH: apt-get install chromium, or name one in the variable CHROMIUM"
        );
    };
    Ok(path)
}

/// The npm package that drives the browser, installed with the npm of our Node unless it is there.
fn playwright(oracle: &Oracle, home: &Path) -> Result<PathBuf> {
    let manifest = fs::read_to_string(crate::root().join("tests/picture/package.json"))?;
    let folder = home.join("picture");
    let package = folder.join("node_modules/playwright-core");
    let stamp = folder.join("package.json");
    if package.is_dir() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == manifest) {
        return Ok(package);
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    fs::write(&stamp, manifest).with_context(|| stamp.display().to_string())?;
    let npm = npm(oracle)?;
    let mut install = Command::new(oracle.node());
    install.arg(npm).args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--no-package-lock",
        "--silent",
    ]);
    let status = install.current_dir(&folder).status().with_context(|| format!("{install:?}"))?;
    ensure!(
        status.success() && package.is_dir(),
        "{install:?} failed; it needs a network, or a mirror that npm is configured for"
    );
    Ok(package)
}

/// The script of npm beside our Node. Run by its path, since `bin/npm` would look for its library beside itself.
fn npm(oracle: &Oracle) -> Result<PathBuf> {
    let npm = oracle
        .node()
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("lib/node_modules/npm/bin/npm-cli.js"))
        .find(|path| path.is_file());
    npm.with_context(|| format!("there is no npm beside {}", oracle.node().display()))
}

fn parse_size(text: &str) -> Result<(u32, u32)> {
    let (width, height) = text.split_once('x').context("width and height look like 1600x1000")?;
    Ok((width.parse()?, height.parse()?))
}

fn parse_selection(text: &str) -> Result<String> {
    let (_, id) = text.split_once(':').context("a selection looks like slice:5")?;
    id.parse::<u64>().context("a selection looks like slice:5")?;
    Ok(text.to_owned())
}

/// Whole nanoseconds, from a number and a unit. Digits are shifted, not multiplied, so that nothing is rounded.
fn parse_time(text: &str) -> Result<i64> {
    let (number, places) = match text {
        _ if text.ends_with("ns") => (text.trim_end_matches("ns"), 0),
        _ if text.ends_with("us") => (text.trim_end_matches("us"), 3),
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 6),
        _ if text.ends_with('s') => (text.trim_end_matches('s'), 9),
        _ => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    ensure!(fraction.len() <= places, "{text} is not a whole number of nanoseconds");
    ensure!(!whole.is_empty(), "{text} is not a time");
    format!("{whole}{fraction:0<places$}").parse().with_context(|| format!("{text} is not a time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nanoseconds_unless_they_say_otherwise() {
        let times = ["20", "20ns", "20us", "1.5ms", "2s", "0.000000001s"]
            .map(|text| parse_time(text).expect("a time"));
        assert_eq!(times, [20, 20, 20_000, 1_500_000, 2_000_000_000, 1]);
        for text in ["", "s", "1.5", "1.5ns", "0.0000000001s", "1m"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_selections_are_checked() {
        assert_eq!(parse_size("800x600").expect("a size"), (800, 600));
        assert!(parse_size("800").is_err());
        assert!(parse_selection("slice:5").is_ok());
        assert!(parse_selection("slice").is_err());
    }
}
