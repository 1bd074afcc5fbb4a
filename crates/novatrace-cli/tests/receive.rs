//! `novatrace receive` as its users run it, and as it is killed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use novatrace::{Sink, StreamSink};

fn receive(folder: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_novatrace"));
    command
        .current_dir(folder)
        .args(["receive", "--listen", "unix:socket", "-o", "traces"])
        .args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until it says so.
fn wait_for(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(word)), "it ended before `{word}`");
}

#[test]
fn a_demo_is_received_and_its_path_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = receive(folder.path(), &["--count", "2"]);
    wait_for(&mut receiver, "listening at unix:socket");
    for _ in 0..2 {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_novatrace"));
        demo.args(["demo", "--model", "gpt2", "--hardware", "edge-1x2", "--prompt-tokens", "16"]);
        demo.args([
            "--decode-steps",
            "1",
            "--quiet",
            "--compression",
            "zlib",
            "--out",
            "unix:socket",
        ]);
        let output = demo.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let output = receiver.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let paths = String::from_utf8(output.stdout).unwrap();
    assert_eq!(paths.lines().count(), 2, "{paths}");
    for path in paths.lines() {
        assert!(path.starts_with("traces/novatrace-"), "{path}");
        let mut check = Command::new(env!("CARGO_BIN_EXE_novatrace"));
        let output = check.current_dir(folder.path()).args(["check", path]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_receiver_that_is_killed_and_started_again_goes_on_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", folder.path().join("socket").display());
    let sink = StreamSink::new(address.parse().unwrap(), "a program");
    let mut sink = sink.patience(Duration::from_secs(120));
    let mut expected = vec![];
    let mut receiver = receive(folder.path(), &[]);
    for round in 0..10_u32 {
        for number in 0..20_u32 {
            let batch: Vec<u8> =
                (0..40_000).map(|at: u32| (at ^ number ^ round).to_le_bytes()[0]).collect();
            sink.write(&batch).unwrap();
            expected.extend(batch);
        }
        if round > 0 {
            // In the midst of what was just written, or before it.
            receiver.kill().unwrap();
            receiver.wait().unwrap();
            receiver = receive(folder.path(), &["--count", "1"]);
        }
        wait_for(&mut receiver, "listening");
        if round % 3 == 0 {
            sink.flush().unwrap();
        }
    }
    sink.finish().unwrap();
    let output = receiver.wait_with_output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    let path = folder.path().join(path.trim_end());
    assert!(std::fs::read(&path).unwrap() == expected, "{}", path.display());
    assert_eq!(std::fs::read_dir(folder.path().join("traces")).unwrap().count(), 1);
}

#[test]
fn an_address_that_is_none_or_taken_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let run = |address: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_novatrace"));
        let output = command.args(["receive", "--listen", address]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run("localhost:9011");
    assert!(code == Some(2) && err.contains("tcp://localhost:9011"), "{err}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", taken.local_addr().unwrap());
    let (code, err) = run(&address);
    assert!(code == Some(1) && err.contains(&format!("cannot listen at `{address}`")), "{err}");
    let address = format!("unix:{}", folder.path().join("no/socket").display());
    let (code, err) = run(&address);
    assert!(code == Some(1) && err.contains(&format!("cannot listen at `{address}`")), "{err}");
}
