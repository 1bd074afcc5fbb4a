//! `check`, `info`, `dump` and `recover` as they are typed.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use novatrace::TraceGenerator;

fn novatrace(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_novatrace")).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A trace of 3,000 slices, and its bytes.
fn trace(folder: &Path) -> (PathBuf, Vec<u8>) {
    let path = folder.join("a.pftrace");
    let trace = TraceGenerator::create(&path).expect("creatable");
    let track = trace.group("chip").track("core");
    for at in 0..3_000 {
        track.duration(at * 10, 8, "op").arg("n", at).emit().expect("open");
    }
    trace.group("chip").counter("power").unit("W").count(5, 1.5).expect("open");
    trace.finish().expect("writable");
    let bytes = std::fs::read(&path).expect("readable");
    (path, bytes)
}

#[test]
fn exit_statuses_tell_sound_faulty_and_unreadable_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = trace(folder.path());
    let path = path.to_str().expect("UTF-8");
    let sound = novatrace(&["check", path]);
    assert_eq!((sound.status.code(), text(&sound.stderr)), (Some(0), String::new()));
    assert!(text(&sound.stdout).contains("no faults in "), "{}", text(&sound.stdout));
    let cut = folder.path().join("cut.pftrace");
    std::fs::write(&cut, &bytes[..bytes.len() - 3]).expect("writable");
    let faulty = novatrace(&["check", path, cut.to_str().expect("UTF-8")]);
    assert_eq!(faulty.status.code(), Some(1));
    let told = text(&faulty.stdout);
    assert!(
        told.contains("[file-cut]") && told.contains(" at byte ") && told.contains("to mend it: "),
        "{told}"
    );
    for (what, said) in [
        ("/nowhere/x", "cannot read `/nowhere/x`"),
        (env!("CARGO_MANIFEST_PATH"), "is text, not a Perfetto trace"),
    ] {
        let unreadable = novatrace(&["check", what, path]);
        assert_eq!(unreadable.status.code(), Some(2));
        assert!(text(&unreadable.stderr).contains(said), "{}", text(&unreadable.stderr));
        assert!(text(&unreadable.stdout).contains("no faults"), "the other one is checked");
    }
}

#[test]
fn programs_read_json() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = trace(folder.path());
    std::fs::write(&path, [&bytes[..], b"rubbish"].concat()).expect("writable");
    let path = path.to_str().expect("UTF-8");
    let check = novatrace(&["check", "--format", "json", path]);
    let reports: serde_json::Value = serde_json::from_slice(&check.stdout).expect("JSON");
    assert_eq!(reports[0]["findings"][0]["rule"], "damaged");
    assert_eq!(reports[0]["findings"][0]["examples"][0]["offset"], bytes.len());
    let info = novatrace(&["info", "--format", "json", path]);
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).expect("JSON");
    assert_eq!(info["slices"][0]["count"], 3_000);
    assert_eq!(info["slices"][0]["total_ns"], 24_000);
    assert_eq!(info["counters"][0]["unit"], "W");
    assert_eq!(info["damaged_bytes"], 7);
    assert_eq!(info["writer"], concat!("novatrace ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_pipe_is_read_and_a_broken_one_is_no_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = trace(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_novatrace"));
    let mut child = command
        .args(["dump", "--kind", "event", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("piped").write_all(&bytes).expect("it reads");
    let dumped = text(&child.wait_with_output().expect("it ends").stdout);
    assert_eq!(dumped.lines().count(), 6_001);
    assert!(
        dumped.contains(" 50 \"chip/core\" begin \"op\" [default] {n=5}"),
        "{}",
        &dumped[..400]
    );

    let mut command = Command::new(env!("CARGO_BIN_EXE_novatrace"));
    let mut child = command
        .arg("dump")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut out = child.stdout.take().expect("piped");
    out.read_exact(&mut [0; 100]).expect("it writes");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn dumps_are_filtered_by_time_and_track() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, _) = trace(folder.path());
    let path = path.to_str().expect("UTF-8");
    let lines = |arguments: &[&str]| {
        text(&novatrace(&[&["dump"], arguments, &[path]].concat()).stdout).lines().count()
    };
    assert_eq!(lines(&["--from", "1us", "--to", "1.1us"]), 20);
    assert_eq!(lines(&["--track", "*power"]), 1);
    assert_eq!(lines(&["--kind", "descriptor"]), 3);
}

#[test]
fn what_can_be_read_of_a_damaged_trace_is_copied() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = trace(folder.path());
    let middle = bytes.len() / 2;
    let damaged = [&bytes[..middle], &[0xFF; 50][..], &bytes[middle + 20..]].concat();
    std::fs::write(&path, damaged).expect("writable");
    let path = path.to_str().expect("UTF-8");
    let recovered = novatrace(&["recover", path]);
    assert_eq!(recovered.status.code(), Some(0), "{}", text(&recovered.stderr));
    let told = text(&recovered.stdout);
    assert!(told.contains("lost: ") && told.contains("whose times are not known"), "{told}");
    let copy = folder.path().join("a.recovered.pftrace");
    let checked = novatrace(&["check", copy.to_str().expect("UTF-8")]);
    // Half a slice may have been lost: that is a note.
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let same = novatrace(&["recover", path, "-o", path]);
    assert_eq!(same.status.code(), Some(1));
    assert!(
        text(&same.stderr).contains("it is the damaged trace itself"),
        "{}",
        text(&same.stderr)
    );
}

#[test]
fn what_a_trace_is_called_in_never_moves_the_cursor() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.pftrace");
    let trace = TraceGenerator::create(&path).expect("a file");
    let odd = "\u{1b}[2J\n\u{202e}x";
    let track = trace.group(odd).track(odd);
    track.duration(0, 9, odd).category(odd).arg(odd, odd).emit().expect("it is open");
    trace.group(odd).counter(odd).unit(odd).count(3, 1).expect("it is open");
    trace.finish().expect("a file");
    let path = path.to_str().expect("UTF-8");
    for command in ["check", "info", "dump"] {
        let told = text(&novatrace(&[command, path]).stdout);
        assert!(told.contains("u{1b}[2J"), "{command}: {told}");
        let moves = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!told.contains(moves), "{command}: {told:?}");
    }
}

/// `/dev/zero` has no end: it is not copied before it is known to be no trace.
#[test]
#[cfg(unix)]
fn a_pipe_that_is_no_trace_is_refused_at_once() {
    let output = novatrace(&["info", "/dev/zero"]);
    let told = text(&output.stderr);
    assert!(told.contains("`/dev/zero` is a file of zeros"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}
