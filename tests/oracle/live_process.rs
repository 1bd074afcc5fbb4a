//! What ends a process, or makes two of it: each test runs itself in a child process, and looks at
//! the file that it leaves behind.
#![expect(clippy::print_stdout, reason = "measured figures")]
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork")]

mod itself;

use std::fs::File;
use std::path::Path;
use std::process::Output;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use novatrace::{
    Compression, Counter, ErrorKind, InSpanExt, Overflow, Session, Sink, TraceGenerator, Worker,
    counter, instant, trace,
};
use novatrace_testkit::{Loaded, Oracle, Slice, oracle_or_skip};

/// Runs one test of this file in a process of its own.
fn run(test: &str, folder: &Path) -> Output {
    itself::program(test, folder).output().expect("it starts")
}

fn read(oracle: &Oracle, path: &Path) -> Loaded {
    let loaded = oracle.load(path).expect("the trace processor takes it");
    loaded.assert_healthy();
    loaded
}

fn names(slices: &[Slice]) -> Vec<&str> {
    slices.iter().map(|slice| slice.name.as_deref().unwrap_or_default()).collect()
}

#[test]
fn exit_without_close_completes_the_file() {
    static SESSION: Mutex<Option<Session>> = Mutex::new(None);
    if let Some(folder) = itself::place() {
        let session = novatrace::open(folder.join("trace")).expect("none is open");
        *SESSION.lock().expect("not poisoned") = Some(session);
        let (say, recorded) = mpsc::channel();
        std::thread::spawn(move || {
            let _open = trace!("open");
            for at in 0..10_000 {
                let _span = trace!("span", at = at);
            }
            say.send(()).expect("it listens");
            // It goes on while the process ends.
            loop {
                let _late = trace!("late");
                std::thread::yield_now();
            }
        });
        recorded.recv().expect("it says so");
        let _main = trace!("main");
        std::process::exit(7);
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run("exit_without_close_completes_the_file", folder.path());
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let slices = read(&oracle, &folder.path().join("trace")).slices();
    let count = |name| names(&slices).iter().filter(|found| **found == name).count();
    assert_eq!((count("open"), count("span"), count("main")), (1, 10_000, 1));
    assert!(slices.iter().all(|slice| slice.dur >= 0));
}

#[test]
fn abort_leaves_a_file_that_reads_up_to_the_last_flush() {
    if let Some(folder) = itself::place() {
        let session = novatrace::open(folder.join("trace")).expect("none is open");
        let outer = trace!("outer");
        for at in 0..1_000 {
            let _span = trace!("flushed", at = at);
        }
        session.flush().expect("a file takes all");
        drop(outer);
        instant!("perhaps");
        std::process::abort();
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run("abort_leaves_a_file_that_reads_up_to_the_last_flush", folder.path());
    assert_eq!(output.status.code(), None, "{output:?}");
    let slices = read(&oracle, &folder.path().join("trace")).slices();
    let flushed: Vec<_> =
        slices.iter().filter(|slice| slice.name.as_deref() == Some("flushed")).collect();
    assert_eq!(flushed.len(), 1_000);
    assert!(flushed.iter().all(|slice| slice.dur >= 0 && slice.depth == 1));
    assert_eq!(slices[0].name.as_deref(), Some("outer"));
}

#[test]
fn a_forked_child_records_nothing_and_may_open_a_session_of_its_own() {
    static FORKED: Counter = counter!("forked");
    if let Some(folder) = itself::place() {
        let session = novatrace::open(folder.join("parent")).expect("none is open");
        let io = novatrace::track("io");
        let on_track = io.trace("on a track");
        let before = trace!("before");
        FORKED.add(1);
        // SAFETY: the locks of this process that the child takes are held across the fork, or free:
        // the test's main thread waits, and the worker has none for long.
        let process = unsafe { libc::fork() };
        assert!(process >= 0);
        if process == 0 {
            instant!("in the child");
            FORKED.add(1);
            io.instant("in the child");
            let inner = trace!("in the child");
            drop(before);
            drop(inner);
            drop(on_track);
            let error = session.flush().expect_err("it is the parent's");
            assert!(matches!(error.kind(), ErrorKind::Forked { .. }), "{error}");
            let error = session.close().expect_err("it is the parent's");
            assert!(matches!(error.kind(), ErrorKind::Forked { .. }), "{error}");
            let own = novatrace::open(folder.join("child")).expect("none is open here");
            {
                let _own = trace!("own");
                instant!("own instant");
            }
            FORKED.add(1);
            io.instant("own on a track");
            std::thread::spawn(|| instant!("own on a thread")).join().expect("no panic");
            let report = own.close().expect("a file takes all");
            let is_right = report.events == 5 && report.lost == 0;
            std::fs::write(folder.join("report"), format!("{report:?}")).expect("a file");
            // SAFETY: it ends the process.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        let mut status = 1;
        // SAFETY: `status` is ours to write to.
        unsafe { libc::waitpid(process, &raw mut status, 0) };
        drop(before);
        drop(on_track);
        instant!("after");
        let report = session.close().expect("a file takes all");
        assert_eq!((report.events, report.lost, report.left_open), (4, 0, 0));
        let told = std::fs::read_to_string(folder.join("report"));
        assert_eq!(status, 0, "the child's report: {told:?}");
        return;
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let test = "a_forked_child_records_nothing_and_may_open_a_session_of_its_own";
    let output = run(test, folder.path());
    assert!(output.status.success(), "{output:?}");
    let parent = read(&oracle, &folder.path().join("parent"));
    let mut found: Vec<_> = names(&parent.slices()).iter().map(ToString::to_string).collect();
    found.sort_unstable();
    assert_eq!(found, ["after", "before", "on a track"]);
    let own = read(&oracle, &folder.path().join("child"));
    let mut found: Vec<_> = names(&own.slices()).iter().map(ToString::to_string).collect();
    found.sort_unstable();
    assert_eq!(found, ["own", "own instant", "own on a thread", "own on a track"]);
    let (parent, own) = (parent.processes(), own.processes());
    assert_ne!(parent[0].pid, own[0].pid);
    assert!(own[0].pid.is_some());
}

/// A task that is over at once: it takes a call site that is made, and a row from the pool.
fn busy_task() {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let task = std::pin::pin!(async {}.in_span("busy task"));
    assert!(task.poll(&mut context).is_ready());
}

/// Of many threads that record, one forks: what the others hold at that moment must not hold the child.
/// They start no threads: the standard library has a lock for that which a fork does not care for.
#[test]
fn forks_of_a_busy_process_do_not_hang() {
    if let Some(folder) = itself::place() {
        let session = novatrace::open(folder.join("parent")).expect("none is open");
        for thread in 0..3 {
            std::thread::spawn(move || {
                for number in 0_u64.. {
                    let _span = trace!("busy");
                    let name = novatrace::Name::new(&format!("{thread} {}", number % 100_000));
                    instant!(name.as_str());
                }
            });
        }
        std::thread::spawn(|| {
            for number in 0_u64.. {
                busy_task();
                Counter::made(&format!("made {}", number % 100), None, "busy").add(1);
            }
        });
        for _ in 0..60 {
            // SAFETY: the child takes novatrace's locks only, and those that fork itself cares for.
            let process = unsafe { libc::fork() };
            assert!(process >= 0);
            if process == 0 {
                instant!("in the child");
                let own = Session::builder().sink(Nowhere).expect("none is open here");
                instant!("own");
                busy_task();
                Counter::made("made", None, "busy").add(1);
                // The instant, the task's span and its poll, the sample.
                let code = i32::from(own.close().map_or(0, |report| report.events) != 4);
                // SAFETY: it ends the process.
                unsafe { libc::_exit(code) };
            }
            let mut status = 1;
            // SAFETY: `status` is ours to write to.
            unsafe { libc::waitpid(process, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
        session.close().expect("a file takes all");
        // Its threads still run.
        std::process::exit(0);
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run("forks_of_a_busy_process_do_not_hang", folder.path());
    assert!(output.status.success(), "{output:?}");
    let slices = read(&oracle, &folder.path().join("parent")).slices();
    assert!(!slices.is_empty() && names(&slices).iter().all(|name| !name.contains("child")));
}

#[derive(Debug)]
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_is_in_the_trace_before_the_process_is_gone() {
    if let Some(folder) = itself::place() {
        let builder = Session::builder().flush_on_panic(true);
        // Nothing is handed over but for the flush.
        let builder = builder.batch(usize::MAX, usize::MAX, Duration::from_secs(600));
        let _session = builder.create(folder.join("trace")).expect("none is open");
        let thread = std::thread::Builder::new().name("panics".to_owned());
        let thread = thread.spawn(|| {
            let _span = trace!("around");
            let number = std::hint::black_box(7);
            assert_eq!(number, 8, "on purpose");
        });
        assert!(thread.expect("a thread can be started").join().is_err());
        std::process::abort();
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run("a_panic_is_in_the_trace_before_the_process_is_gone", folder.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    // The hook before ours has spoken too.
    assert!(stderr.contains("on purpose"), "{stderr}");
    let slices = read(&oracle, &folder.path().join("trace")).slices();
    assert_eq!(names(&slices), ["around", "panic"]);
    assert!(slices[1].track.ends_with("/panics"));
    assert_eq!((slices[1].category.as_deref(), slices[1].depth), (Some("panic"), 1));
    let message = slices[1].args["message"].as_str().expect("a text");
    assert!(message.contains("on purpose") && message.contains("left: 7"), "{message}");
    let place = slices[1].args["place"].as_str().expect("a text");
    assert!(place.contains("live_process.rs:"), "{place}");
}

/// A panic of the sink happens on the worker's thread, or on the one that compresses, and neither can wait for
/// a flush.
#[test]
fn a_sink_that_panics_does_not_hang_the_hook() {
    #[derive(Debug)]
    struct Panics;
    impl Sink for Panics {
        fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
            panic!("on purpose")
        }
    }
    if itself::place().is_some() {
        for compression in [Compression::None, Compression::ZLIB] {
            let builder = Session::builder().flush_on_panic(true).compression(compression);
            let builder = builder.batch(1, 1, Duration::from_millis(1));
            let session = builder.sink(Panics).expect("none is open");
            instant!("dropped");
            let _ = session.flush();
            let error = session.close().expect_err("nothing was written");
            let cause = std::error::Error::source(&error).expect("what the sink did");
            assert!(cause.to_string().contains("panicked: on purpose"), "{error}: {cause}");
        }
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let test = "a_sink_that_panics_does_not_hang_the_hook";
    let mut child = itself::program(test, folder.path()).spawn().expect("it starts");
    for _ in 0..1_000 {
        if let Some(status) = child.try_wait().expect("ours") {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("ours");
    panic!("it hangs");
}

/// With buffers of the usual size, four threads that record as fast as they can, and the worker behind. A process of its own,
/// since it counts for the whole of it.
#[test]
fn a_program_and_its_worker_in_another_process_take_little_memory() {
    const LIMIT: u64 = 64 << 20;
    /// Bytes in memory of a process, and its share of what several have.
    fn share(process: u32) -> Option<u64> {
        let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
    }
    /// The other process that has the file open.
    fn worker(path: &Path) -> Option<u32> {
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter(|number| *number != std::process::id()).find(|number| {
            let open = std::fs::read_dir(format!("/proc/{number}/fd")).into_iter().flatten();
            open.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link == path))
        })
    }
    if let Some(folder) = itself::place() {
        let path = folder.join("trace");
        let before = share(std::process::id()).expect("Linux");
        let builder = Session::builder().worker(Worker::Process).overflow(Overflow::Block);
        let session = builder.create(&path).expect("none is open");
        let fallback = session.worker_fallback();
        assert_eq!(session.worker(), Worker::Process, "{fallback:?}; cargo build -p novatrace-cli");
        let worker = worker(&path).expect("it has the file open");
        let mut most = 0;
        std::thread::scope(|scope| {
            let threads = [0, 1, 2, 3].map(|thread| {
                scope.spawn(move || {
                    for at in 0..500_000 {
                        let _span = trace!("span", thread = thread, at = at, text = "some text");
                    }
                })
            });
            while threads.iter().any(|thread| !thread.is_finished()) {
                let both =
                    [std::process::id(), worker].map(|process| share(process).expect("there"));
                most = most.max(both.iter().sum());
            }
        });
        let report = session.close().expect("a file takes all");
        assert_eq!((report.events, report.lost), (2_000_000, 0));
        println!("{} KiB before, {} KiB at most", before >> 10, most >> 10);
        assert!(most < before + LIMIT, "{before} → {most}");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().canonicalize().expect("there");
    let test = "a_program_and_its_worker_in_another_process_take_little_memory";
    let output = run(test, &folder);
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{output:?}");
}

/// Without a word from the program, what it was doing did not end, whoever wrote the file.
#[test]
fn what_a_killed_program_was_doing_is_unfinished() {
    if let Some(folder) = itself::place() {
        let is_thread = folder.ends_with("thread");
        let worker = if is_thread { Worker::Thread } else { Worker::Process };
        let session = Session::builder().worker(worker).create(folder.join("live"));
        let session = session.expect("none is open");
        let trace = TraceGenerator::builder().worker(worker).create(folder.join("generator"));
        let trace = trace.expect("a trace");
        assert_eq!([session.worker(), trace.worker()], [worker; 2]);
        let _outer = trace!("outer");
        drop(trace!("done"));
        let _inner = trace!("inner");
        let row = novatrace::track("row");
        let _outer_of_row = row.trace("outer of row");
        drop(row.trace("done in row"));
        let _inner_of_row = row.trace("inner of row");
        let track = trace.track("t");
        let _outer = track.begin(10, "outer").expect("possible");
        track.duration(20, 5, "done").emit().expect("possible");
        let _inner = track.begin(30, "inner").expect("possible");
        if is_thread {
            // What a process has without being asked.
            session.flush().expect("a file takes all");
            trace.flush().expect("a file takes all");
        }
        std::process::abort();
    }
    let oracle = oracle_or_skip!();
    let test = "what_a_killed_program_was_doing_is_unfinished";
    for worker in ["thread", "process"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path().join(worker);
        std::fs::create_dir(&folder).expect("writable");
        let output = run(test, &folder);
        assert_eq!(output.status.code(), None, "{output:?}");
        // Name, whether it ended, and how deep it lies.
        let rows = |name: &str| {
            let path = folder.join(name);
            // Whoever writes it has locked it.
            File::open(&path).and_then(|file| file.lock()).expect("it can be locked");
            let row = |slice: Slice| (slice.name.unwrap_or_default(), slice.dur >= 0, slice.depth);
            let mut rows: Vec<_> = read(&oracle, &path).slices().into_iter().map(row).collect();
            rows.sort();
            rows
        };
        let row = |name: &str, ended, depth| (name.to_owned(), ended, depth);
        // What is flushed before its end is known has a lane of its own.
        let nested = i64::from(worker == "process");
        let expected =
            [row("done", true, nested), row("inner", false, nested), row("outer", false, 0)];
        assert_eq!(rows("generator"), expected, "{worker}");
        let expected = [
            row("done", true, 1),
            row("done in row", true, nested),
            row("inner", false, 1),
            row("inner of row", false, nested),
            row("outer", false, 0),
            row("outer of row", false, 0),
        ];
        assert_eq!(rows("live"), expected, "{worker}");
    }
}

/// Memory of threads that are over is used again. A process of its own, since it counts for the whole of it.
#[test]
fn ten_thousand_threads_take_no_memory_for_ever() {
    /// Bytes in memory, of this process.
    fn resident() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("a number") * 4096
    }
    if let Some(folder) = itself::place() {
        let session = novatrace::open(folder.join("trace")).expect("none is open");
        let threads = |from: u64, to: u64| {
            for batch in from / 4..to / 4 {
                std::thread::scope(|scope| {
                    for at in 0..4 {
                        scope.spawn(move || {
                            for _ in 0..100 {
                                let _span = trace!("short", number = batch * 4 + at);
                            }
                        });
                    }
                });
            }
        };
        threads(0, 2_000);
        session.flush().expect("a file takes all");
        let before = resident();
        threads(2_000, 10_000);
        let after = resident();
        println!("{before} bytes after 2,000 threads, {after} after 10,000");
        assert!(after < before + (12 << 20), "{before} → {after}");
        let report = session.close().expect("a file takes all");
        assert_eq!((report.threads, report.events, report.lost), (10_000, 1_000_000, 0));
        return;
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run("ten_thousand_threads_take_no_memory_for_ever", folder.path());
    assert!(output.status.success(), "{output:?}");
    let loaded = read(&oracle, &folder.path().join("trace"));
    let rows = loaded.query(
        "select count(*) as n, count(distinct track_id) as tracks, min(dur) as least, max(depth) as depth from slice",
    );
    let row = &rows[0];
    let found = (row.i64("n"), row.i64("tracks"), row.i64("least") >= 0, row.i64("depth"));
    assert_eq!(found, (1_000_000, 10_000, true, 0));
}
