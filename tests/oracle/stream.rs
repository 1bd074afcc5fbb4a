//! Programs that stream into one receiver, through a network that keeps breaking: what is received is, row for row, what
//! was recorded.
#![expect(clippy::print_stdout, reason = "measured figures")]

#[path = "compression/simulated.rs"]
mod simulated;
mod support;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use novatrace::{Address, Compression, ErrorKind, Received, Receiver, StreamSink, TraceGenerator};
use novatrace_reader::{Check, Rule, Source};
use novatrace_testkit::oracle_or_skip;

use simulated::simulate;
use support::{Both, Memory, loaded};

/// Between two sides: passes on so many bytes of each of the first connections, and then cuts it in both
/// directions.
struct Proxy {
    address: Address,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    fn to(target: SocketAddr, cuts: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = Address::Tcp(listener.local_addr().expect("bound").to_string());
        let counted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&counted);
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().map_while(Result::ok).enumerate() {
                let Ok(server) = TcpStream::connect(target) else { return };
                // Some in the greeting, some in a batch, some before an answer.
                let bytes =
                    if number < cuts { 30 + number * number * 997 % 400_000 } else { usize::MAX };
                let count = Arc::clone(&count);
                std::thread::spawn(move || {
                    if pass(&client, &server, bytes) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { address, cuts: counted }
    }

    fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// Whether it was cut.
fn pass(client: &TcpStream, server: &TcpStream, mut bytes: usize) -> bool {
    let (mut back_from, mut back_to) =
        (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    let back = std::thread::spawn(move || {
        let _ = io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (client, server);
    let mut buffer = [0; 8192];
    let mut is_cut = false;
    while !is_cut {
        match from.read(&mut buffer) {
            Ok(read @ 1..) => {
                let part = read.min(bytes);
                if to.write_all(&buffer[..part]).is_err() {
                    break;
                }
                bytes -= part;
                is_cut = bytes == 0;
            }
            _ => break,
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
    back.join().expect("no panic");
    is_cut
}

/// A receiver, what becomes of its streams, and where it is.
fn receiving(folder: &std::path::Path) -> (mpsc::Receiver<Received>, SocketAddr) {
    let address = "tcp://127.0.0.1:0".parse().expect("an address");
    let receiver = Receiver::bind(&[address], folder).expect("a free port");
    let Address::Tcp(host) = receiver.addresses()[0].clone() else { panic!("not a port") };
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || receiver.run(move |it| drop(say.send(it))));
    (said, host.parse().expect("a number and a port"))
}

fn completed(said: &mpsc::Receiver<Received>) -> PathBuf {
    let found = said.iter().find_map(|it| match it {
        Received::Completed { path, lost: 0, .. } => Some(path),
        _ => None,
    });
    found.expect("it goes on until then")
}

#[test]
fn eight_programs_stream_through_twenty_cuts_each_and_no_row_is_lost_or_doubled() {
    const PROGRAMS: usize = 8;
    const CUTS: usize = 20;
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (said, target) = receiving(folder.path());
    let memories: Vec<_> = (0..PROGRAMS).map(|_| Memory::default()).collect();
    std::thread::scope(|scope| {
        for (program, memory) in memories.iter().enumerate() {
            scope.spawn(move || {
                let proxy = Proxy::to(target, CUTS);
                let name = format!("program {program}");
                let stream = StreamSink::new(proxy.address.clone(), &name);
                let stream = stream.patience(Duration::from_secs(120));
                // Some compressed: each bundle is a batch then.
                let compression = [Compression::None, Compression::ZLIB][program % 2];
                let builder = TraceGenerator::builder().compression(compression).window(1_000);
                let builder = builder.batch(1 << 14, 30_000, Duration::from_millis(1));
                let trace = builder.sink(Both(memory.clone(), stream)).expect("a trace");
                let recorded = [200_000, 600_000][program % 2];
                simulate(&trace, recorded);
                let stats = trace.finish().expect("all of it arrives");
                assert_eq!((stats.events, stats.dropped), (recorded, 0));
                assert_eq!(stats.bytes, memory.bytes().len() as u64);
                println!(
                    "{name}: {} events, {} bytes, {} cuts",
                    stats.events,
                    stats.bytes,
                    proxy.cuts()
                );
                assert_eq!(proxy.cuts(), CUTS);
            });
        }
    });
    let paths: Vec<_> = (0..PROGRAMS).map(|_| completed(&said)).collect();
    for (program, memory) in memories.iter().enumerate() {
        let name = format!("program_{program}-");
        let of_it = |path: &&PathBuf| {
            path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(&name))
        };
        let path = paths.iter().find(of_it).expect("it is complete");
        assert!(std::fs::read(path).expect("readable") == memory.bytes(), "program {program}");
    }
    // They are the same bytes; one of them in full.
    let loaded = loaded(&oracle, &memories[0].bytes());
    assert_eq!(loaded.slices().len() + loaded.counters().len(), 200_000);
}

#[test]
fn a_path_that_is_an_address_is_a_stream() {
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (said, target) = receiving(folder.path());
    let address = format!("tcp://{target}");
    let rows = [Compression::None, Compression::ZLIB].map(|compression| {
        let trace = TraceGenerator::builder().compression(compression).create(&address);
        let trace = trace.expect("an address");
        simulate(&trace, 10_000);
        let stats = trace.finish().expect("all of it arrives");
        let bytes = std::fs::read(completed(&said)).expect("readable");
        assert_eq!((stats.events, stats.bytes), (10_000, bytes.len() as u64));
        loaded(&oracle, &bytes)
    });
    assert_eq!(rows[0].slices(), rows[1].slices());
    assert_eq!(rows[0].counters(), rows[1].counters());
    let session = novatrace::open(&address).expect("an address");
    for at in 0..10_000 {
        let _span = novatrace::trace!("span", at = at);
    }
    let report = session.close().expect("all of it arrives");
    let live = loaded(&oracle, &std::fs::read(completed(&said)).expect("readable"));
    assert_eq!((report.events, live.slices().len()), (10_000, 10_000));
    let error = TraceGenerator::create("tcp://nowhere").expect_err("no port");
    assert!(matches!(error.kind(), ErrorKind::Address(_)), "{error}");
}

#[test]
fn a_full_spool_cuts_the_trace_where_it_says_and_counts_the_rest_to_the_event() {
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Nobody is there until everything has been recorded.
    let later = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let address = Address::Tcp(later.to_string());
    let stream = StreamSink::new(address.clone(), "away").spool(folder.path(), 1 << 20);
    let builder = TraceGenerator::builder().window(1_000);
    let stream = stream.patience(Duration::from_secs(120));
    let trace = builder.sink(stream).expect("a trace");
    simulate(&trace, 400_000);
    trace.flush().expect("it does not wait");
    let receiver = Receiver::bind(&[address], folder.path()).expect("still free");
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || receiver.run(move |it| drop(say.send(it))));
    let error = trace.finish().expect_err("not all of it");
    assert!(
        matches!(error.kind(), ErrorKind::Write { source, .. }
            if source.kind() == io::ErrorKind::StorageFull),
        "{error:?}"
    );
    let stats = trace.stats();
    let path = said.iter().find_map(|it| match it {
        Received::Completed { path, lost: 1.., .. } => Some(path),
        _ => None,
    });
    let path = path.expect("it is complete");
    let loaded = oracle.load(&path).expect("readable up to there");
    let found = (loaded.slices().len() + loaded.counters().len()) as u64;
    println!("{found} events are there, {} are counted as dropped", stats.dropped);
    assert_eq!(found + stats.dropped, stats.events);
    assert!(found > 0 && stats.dropped > 0);
    let report = Check::new().run(&Source::open(&path).expect("there"), |_| ()).expect("readable");
    let told = report.findings.iter().any(|findings| findings.rule == Rule::Loss);
    assert!(told, "{report:?}");
}
