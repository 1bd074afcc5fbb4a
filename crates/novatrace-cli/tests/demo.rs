//! `novatrace demo` as its users run it: output and exit codes.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A run short enough to repeat.
const SMALL: [&str; 8] =
    ["--model", "gpt2", "--hardware", "edge-1x2", "--prompt-tokens", "16", "--decode-steps", "1"];

fn novatrace(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_novatrace"));
    command.current_dir(folder).args(arguments);
    command
}

/// Exit code, stdout, stderr.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = novatrace(folder, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn demo(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<_> = ["demo"].iter().chain(&SMALL).chain(more).copied().collect();
    run(folder, &arguments)
}

#[test]
fn a_demo_writes_the_file_and_says_how_to_look_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = demo(folder.path(), &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for part in ["gpt2 on edge 1x2", "XPU busy", "events", "an event more", "ui.perfetto.dev"] {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    assert!(out.contains("The trace is in `accelerator.pftrace`"), "{out}");
    // The viewer opens with all groups closed, which looks like a trace of nothing.
    assert!(out.contains("opens all groups"), "{out}");
    assert!(folder.path().join("accelerator.pftrace").metadata().unwrap().len() > 10_000);
}

#[test]
fn quiet_prints_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = demo(folder.path(), &["--quiet", "--out", "other.pftrace"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    assert!(folder.path().join("other.pftrace").exists());
}

#[test]
fn a_file_that_cannot_be_written_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for out in ["missing/run.pftrace", "."] {
        let (code, stdout, err) = demo(folder.path(), &["--out", out]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{err}");
        assert!(err.starts_with("error: ") && err.contains(&format!("`{out}`")), "{err}");
    }
}

#[test]
fn a_model_or_machine_that_cannot_be_read_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{\"model_type\": \"gpt2\"}").unwrap();
    for (arguments, expected) in [
        (["--model", "config.json"], "`config.json` has no key `hidden_size` or `n_embd`"),
        (["--model", "gpt5"], "no model `gpt5`"),
        (["--hardware", "none.toml"], "cannot read hardware `none.toml`"),
    ] {
        let arguments: Vec<_> = ["demo"].into_iter().chain(arguments).collect();
        let (code, out, err) = run(folder.path(), &arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.starts_with("error: ") && err.contains(expected), "{err}");
        assert!(!folder.path().join("accelerator.pftrace").exists());
    }
}

#[test]
fn wrong_usage_exits_with_two() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["demo", "--speed"][..], &["demo", "--prompt-tokens", "-1"], &[], &["fly"]] {
        let (code, out, err) = run(folder.path(), arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains("Usage"), "{arguments:?}: {err}");
    }
}

#[test]
fn help_and_version_are_results() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(folder.path(), &["--version"]);
    assert_eq!((code, out), (Some(0), format!("novatrace {}\n", env!("CARGO_PKG_VERSION"))));
    let (code, out, _) = run(folder.path(), &["demo", "--help"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("--prompt-tokens") && out.contains("Examples:"), "{out}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let arguments: Vec<_> = ["demo"].iter().chain(&SMALL).copied().collect();
    let mut child = novatrace(folder.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
