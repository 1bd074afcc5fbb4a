//! Compressed traces hold what the plain ones do: whole, killed, and on a disk that is full. Bundles by zstd are judged by
//! our own reader, which the other tests hold to the trace processor: the one of the tests (v52) is too old for them.
#![expect(clippy::print_stdout, reason = "measured figures")]

mod itself;
#[path = "compression/simulated.rs"]
mod simulated;
mod support;

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use novatrace::{
    Compressed, Compression, ErrorKind, FileSink, Rotate, Session, Sink, TraceGenerator, Worker,
    counter, instant, trace,
};
use novatrace_reader::{Check, Info, Rule, Source, Trace};
use novatrace_testkit::oracle_or_skip;

use simulated::{assert_alike, simulate};
use support::{Both, Memory, loaded, written};

static DEPTH: novatrace::Counter = counter!("depth");

/// Writes the same batches plainly and compressed.
fn both(compression: Compression) -> (Both<Compressed<Memory>>, [Memory; 2]) {
    let memories = [Memory::default(), Memory::default()];
    let [plain, packed] = memories.clone();
    (Both(plain, Compressed::new(packed, compression)), memories)
}

#[test]
fn a_simulators_trace_has_the_same_rows_compressed() {
    let oracle = oracle_or_skip!();
    // So small that bundles have some batches each, and the usual.
    for (bytes, level) in [(700, 1), (256 << 10, 1), (4 << 20, 6), (256 << 10, 9)] {
        let (sink, memories) = both(Compression::Zlib(level));
        let builder = TraceGenerator::builder().batch(1 << 20, bytes, Duration::from_secs(60));
        let trace = builder.sink(sink).expect("a trace");
        simulate(&trace, 40_000);
        let stats = trace.finish().expect("memory takes all");
        let [plain, packed] = memories.map(|memory| memory.bytes());
        assert_eq!((stats.events, stats.dropped), (40_000, 0));
        assert_eq!(stats.bytes, packed.len() as u64);
        println!("zlib:{level}: {} of {} bytes", packed.len(), plain.len());
        assert!(packed.len() * 3 < plain.len());
        assert_alike(&loaded(&oracle, &plain), &loaded(&oracle, &packed));
    }
}

#[test]
fn a_live_trace_has_the_same_rows_compressed() {
    let oracle = oracle_or_skip!();
    let (sink, memories) = both(Compression::ZLIB);
    let session = Session::builder().sink(sink).expect("no other is open");
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                for at in 0..5_000 {
                    let _outer = trace!("outer", at = at, thread = thread);
                    let _inner = trace!("inner", text = "some text");
                    DEPTH.set(at);
                    instant!("point");
                }
            });
        }
    });
    let report = session.close().expect("memory takes all");
    let [plain, packed] = memories.map(|memory| memory.bytes());
    assert_eq!((report.events, report.lost, report.dropped), (60_000, 0, 0));
    assert_eq!(report.bytes, packed.len() as u64);
    assert_alike(&loaded(&oracle, &plain), &loaded(&oracle, &packed));
}

#[test]
fn bundles_by_zstd_have_the_same_rows_as_far_as_our_reader_can_tell() {
    for (bytes, level) in [(700, 1), (256 << 10, 3), (4 << 20, 19)] {
        let (sink, memories) = both(Compression::Zstd(level));
        let builder = TraceGenerator::builder().batch(1 << 20, bytes, Duration::from_secs(60));
        let trace = builder.sink(sink).expect("a trace");
        simulate(&trace, 40_000);
        let stats = trace.finish().expect("memory takes all");
        let [plain, packed] = memories.map(|memory| memory.bytes());
        assert_eq!(stats.bytes, packed.len() as u64);
        println!("zstd:{level}: {} of {} bytes", packed.len(), plain.len());
        let sources = [plain, packed].map(|bytes| Source::from_bytes("a trace", bytes));
        let report = Check::new().run(&sources[1], |_| ()).expect("readable");
        let told: Vec<_> = report.findings.iter().map(|findings| findings.rule).collect();
        assert_eq!(told, [Rule::BundleZstd], "{report:?}");
        let [plain, packed] = sources.map(|source| Trace::read(&source).expect("readable"));
        assert_eq!(packed.slices, plain.slices);
        assert_eq!(packed.counters, plain.counters);
        assert_eq!(packed.flows, plain.flows);
        assert_eq!(plain.slices.len(), 30_000);
    }
}

#[test]
fn a_bundle_has_less_than_512_kib_whatever_the_batch_has() {
    let builder = TraceGenerator::builder().batch(1 << 20, 4 << 20, Duration::from_secs(60));
    let builder = builder.compression(Compression::ZLIB).window(10);
    let (bytes, stats) = written(builder, |trace| simulate(trace, 200_000));
    let source = Source::from_bytes("a trace", bytes);
    let info = Info::of(&source, |_| ()).expect("readable");
    let bundles = info.bundles.expect("it is compressed");
    println!("{bundles:?}");
    assert!(bundles.unpacked > 3 << 20);
    assert!(bundles.unpacked < bundles.count * (512 << 10));
    assert!(bundles.count < stats.packets / 1_000);
    let report = Check::new().run(&source, |_| ()).expect("readable");
    assert!(report.findings.is_empty(), "{report:?}");
}

/// By a thread and by a process, in one file and in parts.
#[test]
fn a_trace_whose_compression_changes_is_whole() {
    let oracle = oracle_or_skip!();
    let places = [Worker::Thread, Worker::Process];
    for (worker, is_in_parts) in places.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut builder = TraceGenerator::builder().worker(worker).window(1_000);
        if is_in_parts {
            builder = builder.rotate(Rotate::bytes(100_000));
        }
        let trace = builder.create(folder.path().join("trace")).expect("a trace");
        assert_eq!(trace.worker(), worker, "{:?}", trace.worker_fallback());
        let track = trace.track("t");
        let kinds = [Compression::None, Compression::ZLIB, Compression::Zlib(9), Compression::None];
        for (round, kind) in (0..).zip(kinds) {
            trace.set_compression(kind);
            trace.set_batch(1_000, 1 << 20, Duration::from_millis(5 + round));
            trace.flush().expect("a file takes all");
            for at in 0..10_000 {
                let event = track.instant(round * 10_000 + at, "event");
                event.arg("round", round).emit().expect("accepted");
            }
            trace.flush().expect("a file takes all");
        }
        let stats = trace.finish().expect("a file takes all");
        assert_eq!((stats.events, stats.dropped), (40_000, 0));
        let entries = std::fs::read_dir(folder.path()).expect("there").flatten();
        let paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        assert_eq!(paths.len() as u64, stats.parts);
        assert_eq!(paths.len() > 1, is_in_parts, "{paths:?}");
        let (mut rounds, mut unpacked, mut bytes) = ([0; 4], 0, 0);
        for path in &paths {
            let loaded = oracle.load(path).expect("the trace processor takes it");
            loaded.assert_healthy();
            for slice in loaded.slices() {
                let round = slice.args["round"].as_u64().and_then(|round| round.try_into().ok());
                rounds[round.unwrap_or(usize::MAX)] += 1;
            }
            let info = Info::of(&Source::open(path).expect("there"), |_| ()).expect("readable");
            unpacked += info.bundles.map_or(0, |bundles| bundles.unpacked);
            bytes += path.metadata().expect("there").len();
        }
        println!("{worker:?}: {} parts, {bytes} bytes, {unpacked} in bundles", paths.len());
        assert_eq!(rounds, [10_000; 4]);
        assert_eq!(bytes, stats.bytes);
        // The two rounds in the middle, at some 20 bytes an event, and nothing else.
        assert!((300_000..600_000).contains(&unpacked), "{unpacked}");
    }
}

/// A disk with so much room.
#[derive(Debug)]
struct Small(Memory, usize);

impl Sink for Small {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.0.bytes().len() + batch.len() > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(batch)
    }
}

#[test]
fn on_a_full_disk_what_is_not_in_the_file_is_counted_to_the_event() {
    let oracle = oracle_or_skip!();
    let mut were_cut = 0;
    for room in [0, 20_000, 60_000, 100_000] {
        let memory = Memory::default();
        let builder = TraceGenerator::builder().batch(100, 1 << 20, Duration::from_secs(60));
        let builder = builder.compression(Compression::ZLIB).window(10);
        let trace = builder.sink(Small(memory.clone(), room)).expect("a trace");
        simulate(&trace, 20_000);
        let error = trace.finish().expect_err("it is full");
        let (stats, bytes) = (trace.stats(), memory.bytes());
        assert!(
            matches!(error.kind(), ErrorKind::Write { bytes: written, source, .. }
                if source.kind() == io::ErrorKind::StorageFull && *written == bytes.len() as u64),
            "{error:?}"
        );
        assert_eq!(stats.bytes, bytes.len() as u64);
        let loaded = oracle.load_bytes(&bytes).expect("readable up to there");
        let found = (loaded.slices().len() + loaded.counters().len()) as u64;
        println!("{room} bytes: {found} events, {} dropped", stats.dropped);
        assert_eq!(found + stats.dropped, stats.events);
        were_cut += u32::from(found > 0 && stats.dropped > 0);
    }
    assert!(were_cut > 0);
}

/// Waits until a child says that it is so far.
fn wait_for(child: &mut Child, word: &str) {
    let out = child.stdout.as_mut().expect("piped");
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(word)), "it ended before");
}

#[test]
fn a_killed_program_leaves_a_file_that_has_all_that_was_flushed() {
    if let Some(folder) = itself::place() {
        let batches = Session::builder().batch(1 << 14, 1 << 16, Duration::from_millis(1));
        let file = folder.join("trace");
        let session = batches.compression(Compression::ZLIB).create(file).expect("none is open");
        for at in 0..20_000_i64 {
            instant!("flushed", at = at);
        }
        session.flush().expect("a file takes all");
        println!("flushed");
        for at in 20_000_i64.. {
            instant!("more", at = at);
        }
    }
    let oracle = oracle_or_skip!();
    let mut more = 0;
    for round in 0..5 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let test = "a_killed_program_leaves_a_file_that_has_all_that_was_flushed";
        let mut child =
            itself::program(test, folder.path()).stdout(Stdio::piped()).spawn().expect("it starts");
        wait_for(&mut child, "flushed");
        let path = folder.path().join("trace");
        let flushed = path.metadata().expect("there").len();
        // In the midst of writing, whenever that is.
        while path.metadata().expect("there").len() < flushed + 1_000 * round {}
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
        let loaded = oracle.load(&path).expect("the trace processor takes it");
        let slices = loaded.slices();
        let count = |name| slices.iter().filter(|it| it.name.as_deref() == Some(name)).count();
        println!("{} bytes, {} more", path.metadata().expect("there").len(), count("more"));
        assert_eq!(count("flushed"), 20_000);
        more += count("more");
        let bad = loaded.query("select name from stats where severity = 'error' and value > 0");
        assert!(bad.is_empty(), "{bad:?}");
    }
    // In one round, all that is behind what was flushed may be a part of one bundle.
    assert!(more > 0, "bundles are whole in none of the rounds");
}

#[test]
fn whoever_runs_a_program_chooses_by_the_environment() {
    if let Some(folder) = itself::place() {
        let is_wrong = std::env::var("NOVATRACE_COMPRESSION").is_ok_and(|it| it == "zip");
        let path = folder.join("generator");
        let trace = TraceGenerator::builder().compression(Compression::Zlib(9)).create(&path);
        let session = novatrace::open(folder.join("live"));
        if is_wrong {
            for error in [trace.expect_err("wrong"), session.expect_err("wrong")] {
                let source = std::error::Error::source(&error).expect("what is wrong");
                assert!(error.to_string().contains("NOVATRACE_COMPRESSION"), "{error}");
                assert!(source.to_string().contains("`zip`"), "{source}");
            }
            assert_eq!(std::fs::read_dir(folder).expect("there").count(), 0);
            return;
        }
        simulate(&trace.expect("a folder"), 100);
        instant!("live");
        session.expect("none is open").close().expect("a file takes all");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (value, [zlib, zstd]) in [
        (None, [1, 0]), // as the program has it: the generator's
        (Some(""), [1, 0]),
        (Some("none"), [0, 0]),
        (Some("zlib:6"), [2, 0]),
        (Some("zstd"), [0, 2]),
        (Some("zip"), [0, 0]),
    ] {
        let mut command =
            itself::program("whoever_runs_a_program_chooses_by_the_environment", folder.path());
        command.env_remove("NOVATRACE_COMPRESSION");
        command.envs(value.map(|value| ("NOVATRACE_COMPRESSION", value)));
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let (mut found_zlib, mut found_zstd) = (0, 0);
        for file in std::fs::read_dir(folder.path()).expect("there") {
            let path = file.expect("there").path();
            let source = Source::open(&path).expect("there");
            let info = Info::of(&source, |_| ()).expect("readable");
            let report = Check::new().run(&source, |_| ()).expect("readable");
            let is_zstd = report.findings.iter().any(|it| it.rule == Rule::BundleZstd);
            found_zlib += u32::from(info.bundles.is_some() && !is_zstd);
            found_zstd += u32::from(is_zstd);
            std::fs::remove_file(path).expect("ours");
        }
        assert_eq!([found_zlib, found_zstd], [zlib, zstd], "{value:?}");
    }
}

#[test]
fn a_file_so_made_is_as_long_as_the_report_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("trace");
    let file = FileSink::create(&path).expect("creatable");
    let trace =
        TraceGenerator::builder().compression(Compression::ZSTD).sink(file).expect("a trace");
    simulate(&trace, 1_000);
    trace.flush().expect("a file takes all");
    let stats = trace.stats();
    assert_eq!(stats.bytes, path.metadata().expect("there").len());
    let stats = trace.finish().expect("a file takes all");
    assert_eq!(stats.bytes, path.metadata().expect("there").len());
}
