//! Uploads to object stores: a folder, and a server that speaks S3 (`moto`, which `cargo xtask test` sets up).
#![cfg(feature = "object-store")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use novatrace_sink::{Compressed, Compression, ObjectSink, Sink};

fn batch(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + number * 7).to_le_bytes()[0]).collect()
}

/// More than two parts.
fn upload(mut sink: impl Sink) -> Vec<u8> {
    let batches: Vec<_> = (0..90).map(|at| batch(at, 250_000)).collect();
    for batch in &batches {
        sink.write(batch).expect("it is taken");
    }
    sink.flush().expect("nothing to wait for");
    assert_eq!((sink.pending(), sink.stored_bytes()), (90, Some(0)));
    sink.finish().expect("complete");
    let all = batches.concat();
    assert_eq!((sink.pending(), sink.stored_bytes()), (0, Some(all.len() as u64)));
    all
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

#[test]
fn a_folder_has_the_file_when_it_is_complete_and_not_before() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("run.pftrace");
    let all = upload(ObjectSink::create(&url(&path)).expect("a folder"));
    assert!(std::fs::read(&path).expect("readable") == all);
    std::fs::remove_file(&path).expect("ours");
    // Not finished: nothing is left of it.
    let mut sink = ObjectSink::create(&url(&path)).expect("a folder");
    for at in 0..90 {
        sink.write(&batch(at, 250_000)).expect("it is taken");
    }
    drop(sink);
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);
}

#[test]
fn what_is_no_store_is_refused_with_its_url() {
    for wrong in ["run.pftrace", "tcp://localhost:1/a", "s3://"] {
        let error = ObjectSink::create(wrong).expect_err("no store");
        assert!(error.to_string().contains(wrong), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// A server of S3.
struct Server {
    process: Child,
    host: String,
}

impl Server {
    /// `None` if it has not been set up, which is then said.
    fn start(test: &str) -> Option<Self> {
        let Some(python) = std::env::var_os("NOVATRACE_MOTO") else {
            let why = "there is no S3 server; run `cargo xtask test` to set it up";
            report_skip(test, why);
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = free.local_addr().expect("bound").to_string();
        drop(free);
        let port = host.rsplit(':').next().expect("a port");
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-p", port]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { process: command.spawn().expect("it starts"), host };
        let since = Instant::now();
        while TcpStream::connect(&server.host).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "it does not start");
            std::thread::yield_now();
        }
        Some(server)
    }

    /// What it answers to a request without a body.
    fn ask(&self, method: &str, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        let head =
            format!("{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.host);
        stream.write_all(head.as_bytes()).expect("it listens");
        let mut answer = vec![];
        stream.read_to_end(&mut answer).expect("it answers");
        let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a body") + 4;
        answer.split_off(body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// As the tests do that have no oracle.
fn report_skip(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("NOVATRACE_SKIPS") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.expect("a file").write_all(line.as_bytes()).expect("writable");
    }
}

/// Runs again as a process of its own, with the server in its environment.
fn with_server(test: &str, record: impl FnOnce(&dyn Fn(&str, &str) -> Vec<u8>)) {
    if let Ok(host) = std::env::var("NOVATRACE_TEST_SERVER") {
        let server = std::mem::ManuallyDrop::new(Server {
            process: Command::new("true").spawn().expect("it starts"),
            host,
        });
        return record(&|method, path| server.ask(method, path));
    }
    let Some(server) = Server::start(test) else { return };
    let mut command = Command::new(std::env::current_exe().expect("the system says"));
    command.args(["--exact", test, "--nocapture"]);
    command.env("NOVATRACE_TEST_SERVER", &server.host);
    command.env("AWS_ENDPOINT", format!("http://{}", server.host)).env("AWS_ALLOW_HTTP", "true");
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let output = command.env("AWS_REGION", "us-east-1").output().expect("it starts");
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{out}\n{err}");
}

#[test]
fn a_bucket_has_the_object_in_parts_when_it_is_complete_and_not_before() {
    with_server("a_bucket_has_the_object_in_parts_when_it_is_complete_and_not_before", |ask| {
        ask("PUT", "/bucket");
        let sink = ObjectSink::create("s3://bucket/folder/run.pftrace").expect("a bucket");
        let listed = || String::from_utf8_lossy(&ask("GET", "/bucket")).into_owned();
        assert!(!listed().contains("run.pftrace"));
        let all = upload(sink);
        assert!(listed().contains("folder/run.pftrace"), "{}", listed());
        assert!(ask("GET", "/bucket/folder/run.pftrace") == all);
        // In three parts.
        let tagged = String::from_utf8_lossy(&ask("GET", "/bucket?versions")).into_owned();
        assert!(tagged.contains("-3&"), "{tagged}");
    });
}

#[test]
fn a_bundled_trace_is_uploaded_and_one_that_is_not_finished_is_taken_back() {
    with_server("a_bundled_trace_is_uploaded_and_one_that_is_not_finished_is_taken_back", |ask| {
        ask("PUT", "/bucket");
        let create = |name: &str| {
            let url = format!("s3://bucket/{name}");
            Compressed::new(ObjectSink::create(&url).expect("a bucket"), Compression::ZLIB)
        };
        let mut sink = create("whole");
        for _ in 0..100 {
            sink.write(&b"\x0A\x06packet".repeat(1_000)).expect("it is taken");
        }
        sink.finish().expect("complete");
        assert_eq!(sink.stored_bytes(), Some(ask("GET", "/bucket/whole").len() as u64));
        assert_eq!(sink.pending(), 0);
        let mut sink = create("left");
        sink.write(b"\x0A\x06packet").expect("it is taken");
        drop(sink);
        let uploads = String::from_utf8_lossy(&ask("GET", "/bucket?uploads")).into_owned();
        assert!(uploads.contains("ListMultipartUploadsResult"), "{uploads}");
        assert!(!uploads.contains("left"), "{uploads}");
    });
}

#[test]
fn a_bucket_that_is_not_there_is_an_error_with_the_stores_reason() {
    with_server("a_bucket_that_is_not_there_is_an_error_with_the_stores_reason", |_| {
        let error = ObjectSink::create("s3://nowhere/run.pftrace").expect_err("no bucket");
        let source = std::error::Error::source(&error).expect("the store's").to_string();
        assert!(error.to_string().contains("s3://nowhere/run.pftrace"), "{error}");
        assert!(source.contains("NoSuchBucket"), "{source}");
    });
}

#[test]
fn an_upload_that_the_store_gives_up_is_an_error_and_nothing_of_it_counts_as_stored() {
    with_server(
        "an_upload_that_the_store_gives_up_is_an_error_and_nothing_of_it_counts_as_stored",
        |ask| {
            ask("PUT", "/bucket");
            let mut sink = ObjectSink::create("s3://bucket/run.pftrace").expect("a bucket");
            for at in 0..10 {
                sink.write(&batch(at, 250_000)).expect("it is taken");
            }
            let uploads = String::from_utf8_lossy(&ask("GET", "/bucket?uploads")).into_owned();
            let id = uploads.split("<UploadId>").nth(1).and_then(|it| it.split('<').next());
            ask("DELETE", &format!("/bucket/run.pftrace?uploadId={}", id.expect("an upload")));
            let error = sink.finish().expect_err("there is no upload");
            // What the server says to it; a real one says 404, `moto` 500.
            assert!(error.to_string().contains("PUT"), "{error}");
            assert_eq!((sink.pending(), sink.stored_bytes()), (10, Some(0)));
            sink.write(b"more").expect_err("it is over");
        },
    );
}
