//! Streams as their users see them: what was written is what is received, whatever becomes of the other side.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use novatrace_sink::{Address, Compressed, Compression, Received, Receiver, Sink, StreamSink};

/// Something that is as long as one is asked for; not packets, which is no matter here.
fn batch(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + number * 7).to_le_bytes()[0]).collect()
}

/// A receiver at such an address, what becomes of its streams, and where it is.
fn receiving(address: &str, folder: &Path) -> (mpsc::Receiver<Received>, Address) {
    let address = address.parse().expect("an address");
    let receiver = Receiver::bind(&[address], folder).expect("a free address");
    let address = receiver.addresses()[0].clone();
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || receiver.run(move |it| drop(say.send(it))));
    (said, address)
}

#[track_caller]
fn completed(said: &mpsc::Receiver<Received>) -> (PathBuf, u64, u64) {
    let found = said.iter().find_map(|it| match it {
        Received::Completed { path, bytes, lost } => Some((path, bytes, lost)),
        _ => None,
    });
    found.expect("it goes on until then")
}

#[test]
fn what_is_written_is_in_a_file_of_the_streams_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unix = format!("unix:{}", folder.path().join("socket").display());
    for (at, to) in [("tcp://127.0.0.1:0", "new/folder"), (&unix, "another")] {
        let to = folder.path().join(to);
        let (said, address) = receiving(at, &to);
        let mut sink = StreamSink::new(address, "../my program");
        let batches: Vec<_> = (0..50).map(|at| batch(at, at * at * 100)).collect();
        for batch in &batches {
            sink.write(batch).expect("it waits");
        }
        sink.flush().expect("it is there");
        assert_eq!(sink.pending(), 0);
        sink.finish().expect("it is there");
        let (path, bytes, lost) = completed(&said);
        assert!(std::fs::read(&path).expect("readable") == batches.concat());
        assert_eq!((bytes, lost), (batches.concat().len() as u64, 0));
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        assert!(name.starts_with("_my_program-") && name.ends_with(".pftrace"), "{name}");
        // Nothing but the complete file.
        assert_eq!(std::fs::read_dir(&to).expect("there").count(), 1);
    }
}

#[test]
fn what_is_written_before_the_other_side_is_there_waits_for_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = format!("unix:{}", folder.path().join("socket").display());
    let sink = StreamSink::new(path.parse().expect("an address"), "early");
    // More than is kept in memory.
    let mut sink = sink.spool(folder.path(), 20 << 20).patience(Duration::from_secs(60));
    let batches: Vec<_> = (0..20).map(|at| batch(at, 1 << 20)).collect();
    for batch in &batches {
        sink.write(batch).expect("it waits");
    }
    assert_eq!(sink.pending(), 20);
    sink.flush().expect("it does not wait for long");
    assert_eq!(sink.pending(), 20);
    let (said, _) = receiving(&path, folder.path());
    sink.finish().expect("it is there now");
    let (path, ..) = completed(&said);
    assert!(std::fs::read(path).expect("readable") == batches.concat());
}

#[test]
fn what_finds_no_room_is_counted_and_marked_and_what_did_arrives() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = format!("unix:{}", folder.path().join("socket").display());
    let sink = StreamSink::new(path.parse().expect("an address"), "late");
    let mut sink = sink.spool(folder.path(), 3 << 20).patience(Duration::from_secs(60));
    for at in 0..20 {
        sink.write(&batch(at, 1 << 20)).expect("it waits or is counted");
    }
    let (said, _) = receiving(&path, folder.path());
    let error = sink.finish().expect_err("not all of it");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(error.to_string().ends_with("13 batches were left out"), "{error}");
    // Four in memory, three in the file.
    assert_eq!(sink.pending(), 13);
    let (path, _, lost) = completed(&said);
    assert_eq!(lost, 13);
    let mark = b"\x0A\x06\x50\x01\xD0\x02\x81\x02".to_vec();
    let expected: Vec<_> = (0..7).map(|at| batch(at, 1 << 20)).chain([mark]).collect();
    assert!(std::fs::read(path).expect("readable") == expected.concat());
}

#[test]
fn a_spool_that_cannot_be_made_is_as_one_that_is_full_with_its_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = format!("unix:{}", folder.path().join("socket").display());
    let sink = StreamSink::new(path.parse().expect("an address"), "nowhere");
    let sink = sink.spool(folder.path().join("no folder"), 1 << 30);
    let mut sink = sink.patience(Duration::from_secs(60));
    for at in 0..10 {
        sink.write(&batch(at, 1 << 20)).expect("it waits or is counted");
    }
    let (said, _) = receiving(&path, folder.path());
    let error = sink.finish().expect_err("not all of it");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("no folder` failed: "), "{error}");
    assert_eq!((sink.pending(), completed(&said).2), (6, 6));
}

#[test]
fn a_side_that_is_never_there_is_an_error_at_the_end_which_says_why() {
    let sink = StreamSink::new("tcp://127.0.0.1:1".parse().expect("an address"), "alone");
    let mut sink = Compressed::new(sink.patience(Duration::from_millis(300)), Compression::ZLIB);
    sink.write(b"\x0A\x06packet").expect("it waits");
    let error = sink.finish().expect_err("nobody is there");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let message = error.to_string();
    assert!(
        message.starts_with("1 batches did not get to `tcp://127.0.0.1:1` in time: "),
        "{message}"
    );
    assert!(message.to_lowercase().contains("refused"), "{message}");
    assert_eq!(sink.pending(), 1);
}

#[test]
fn a_trace_that_the_other_side_cannot_write_is_an_error_with_its_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("there");
    let (_said, address) = receiving("tcp://127.0.0.1:0", &to);
    std::fs::remove_dir(&to).expect("empty");
    let mut sink = StreamSink::new(address, "refused");
    sink.write(b"packets").expect("it waits");
    let error = sink.finish().expect_err("the folder is gone");
    assert!(error.to_string().contains("refused the trace: cannot create"), "{error}");
    assert_eq!(sink.pending(), 1);
    sink.write(b"more").expect_err("it has been refused");
}

#[test]
fn strangers_do_the_receiver_no_harm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (said, address) = receiving("tcp://127.0.0.1:0", folder.path());
    let Address::Tcp(host) = &address else { panic!("{address}") };
    for wrong in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"",
        b"H",
        b"B\x08\0\0\0\0\0\0\0\0\0\0\0",
        // In the midst of something.
        b"H\x25\0\0\0novatrce\x01\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x05\0\0\0\0\0\0\0x",
    ] {
        let mut stranger = TcpStream::connect(host).expect("it listens");
        stranger.write_all(wrong).expect("it listens");
    }
    let mut sink = StreamSink::new(address, "friend");
    sink.write(b"packets").expect("it waits");
    sink.finish().expect("it is there");
    let (path, ..) = completed(&said);
    assert_eq!(std::fs::read(path).expect("readable"), b"packets");
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1);
}

#[test]
fn a_side_that_takes_nothing_does_not_hold_the_writer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = Address::Tcp(silent.local_addr().expect("bound").to_string());
    let mut sink = StreamSink::new(address, "held").patience(Duration::from_millis(100));
    for at in 0..40 {
        sink.write(&batch(at, 1 << 20)).expect("it waits");
    }
    assert_eq!(sink.pending(), 40);
    let error = sink.finish().expect_err("it takes nothing");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
