//! Processes that record into one trace: forks, their forks, and programs that are started. Each test runs itself in
//! a process of its own, and looks at the file that all of them leave.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork")]

mod itself;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use novatrace::{
    Children, Compression, Counter, ErrorKind, Rotate, Session, counter, instant, trace,
};
use novatrace_testkit::{Loaded, Oracle, oracle_or_skip};

use itself::program;

/// What a program of these tests is to be.
const PART: &str = "NOVATRACE_TEST_PART";

fn is_part(part: &str) -> bool {
    std::env::var(PART).is_ok_and(|found| found == part)
}

fn run(test: &str, folder: &Path) -> Output {
    let output = program(test, folder).output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
    output
}

/// The only file in the folder: nothing else is left there.
fn read(oracle: &Oracle, folder: &Path) -> Loaded {
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let loaded = oracle.load(files[0].path()).expect("the trace processor takes it");
    loaded.assert_healthy();
    loaded
}

/// Does `work` in a fork, which ends without a word to anyone. Returns its number.
fn in_fork(work: impl FnOnce()) -> i32 {
    // SAFETY: no other thread of these programs starts threads meanwhile; the worker's takes no lock for long.
    let process = unsafe { libc::fork() };
    assert!(process >= 0);
    if process == 0 {
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: it ends the process.
        unsafe { libc::_exit(i32::from(worked.is_err())) };
    }
    process
}

fn wait(process: i32) {
    let mut status = 1;
    // SAFETY: `status` is ours to write to.
    unsafe { libc::waitpid(process, &raw mut status, 0) };
    assert_eq!(status, 0, "a fork failed");
}

/// How many slices of which names each process has, by its name.
fn by_process(loaded: &Loaded) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut found: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for slice in loaded.slices() {
        let process = slice.track.split('/').next().unwrap_or_default().to_owned();
        let name = slice.name.unwrap_or_default();
        assert!(slice.dur >= 0, "{name}");
        *found.entry(process).or_default().entry(name).or_default() += 1;
    }
    found
}

fn names(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

const FORKS: usize = 6;
const SPANS: usize = 3_000;

/// All at once, each from two threads, with counters and rows, in small batches, so that they get between each other.
#[test]
fn forks_and_their_forks_record_into_the_same_trace() {
    static COUNTER: Counter = counter!("items");
    fn work(at: usize) {
        let row = novatrace::track("a row");
        for number in 0..SPANS {
            let _span = trace!("span", at = at, number = number);
            if number % 100 == 0 {
                COUNTER.add(1);
                row.instant("on a row");
            }
        }
    }
    fn builder(at: usize) -> novatrace::SessionBuilder {
        let builder = Session::builder().process_name(&format!("process {at}"));
        builder.batch(100, 10_000, std::time::Duration::from_millis(5))
    }
    if let Some(folder) = itself::place() {
        let builder_0 = builder(0).children(Children::Join).compression(if is_part("compressed") {
            Compression::ZLIB
        } else {
            Compression::None
        });
        let session = builder_0.create(folder.join("trace")).expect("none is open");
        assert_eq!(session.children(), Children::Join);
        let _before = trace!("before");
        let forks: Vec<i32> = (1..=FORKS)
            .map(|at| {
                in_fork(|| {
                    instant!("nobody records this");
                    let joined = builder(at).join().expect("it can").expect("it is open");
                    let of_fork = (at == 1).then(|| {
                        in_fork(|| {
                            let joined = builder(7).join().expect("it can").expect("it is open");
                            instant!("grandchild");
                            drop(joined);
                        })
                    });
                    let thread = std::thread::spawn(move || work(at));
                    work(at);
                    thread.join().expect("no panic");
                    of_fork.into_iter().for_each(wait);
                    let report = joined.close().expect("a file takes all");
                    assert_eq!(report.lost, 0, "{report:?}");
                })
            })
            .collect();
        work(0);
        forks.into_iter().for_each(wait);
        let report = session.close().expect("a file takes all");
        assert_eq!((report.lost, report.dropped), (0, 0));
        // It is over.
        assert!(novatrace::join().expect("nothing to join is no error").is_none());
        return;
    }
    let oracle = oracle_or_skip!();
    for part in ["plain", "compressed"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let test = "forks_and_their_forks_record_into_the_same_trace";
        let output = program(test, folder.path()).env(PART, part).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let loaded = read(&oracle, folder.path());
        let found = by_process(&loaded);
        let instants = SPANS.div_ceil(100);
        let expected =
            [("before", 1), ("child process", FORKS), ("span", SPANS), ("on a row", instants)];
        assert_eq!(found["process 0"], names(&expected));
        for at in 1..=FORKS {
            let mut expected = vec![("joined", 1), ("span", 2 * SPANS), ("on a row", 2 * instants)];
            if at == 1 {
                expected.push(("child process", 1));
            }
            assert_eq!(found[&format!("process {at}")], names(&expected));
        }
        assert_eq!(found["process 7"], names(&[("joined", 1), ("grandchild", 1)]));
        assert_eq!(found.len(), FORKS + 2);
        assert_eq!(loaded.counters().len(), instants * (1 + 2 * FORKS));
        // Each arrow leads from a fork to what joined.
        let slices = loaded.slices();
        let by_id: BTreeMap<i64, _> = slices.iter().map(|slice| (slice.id, slice)).collect();
        let flows = loaded.flows();
        assert_eq!(flows.len(), FORKS + 1);
        for flow in flows {
            let (from, to) = (by_id[&flow.slice_out], by_id[&flow.slice_in]);
            assert_eq!(from.name.as_deref(), Some("child process"));
            assert_eq!(to.name.as_deref(), Some("joined"));
            assert!(from.ts <= to.ts && from.track != to.track);
        }
        let pids = loaded.processes().into_iter().filter_map(|process| process.pid);
        assert_eq!(pids.collect::<std::collections::BTreeSet<_>>().len(), FORKS + 2);
    }
}

#[test]
fn programs_that_are_started_join_by_their_environment() {
    if is_part("child") {
        let session = novatrace::join().expect("it can").expect("it was invited");
        let _span = trace!("work");
        instant!("not wanted", category = "un;wanted");
        drop(session);
        return;
    }
    if let Some(folder) = itself::place() {
        let builder = Session::builder().children(Children::Join).process_name("parent");
        let builder = builder.categories("-un;wanted");
        let session = builder.create(folder.join("a;trace")).expect("none is open");
        for _ in 0..3 {
            let mut child = program("programs_that_are_started_join_by_their_environment", &folder);
            let child = child.env(PART, "child").envs(session.child_env()).current_dir("/");
            assert!(child.status().expect("it starts").success());
        }
        session.close().expect("a file takes all");
        return;
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    run("programs_that_are_started_join_by_their_environment", folder.path());
    let loaded = read(&oracle, folder.path());
    let slices = loaded.slices();
    let count = |name| slices.iter().filter(|slice| slice.name.as_deref() == Some(name)).count();
    assert_eq!(
        (count("child process"), count("joined"), count("work"), slices.len()),
        (3, 3, 3, 9)
    );
    assert_eq!(loaded.flows().len(), 3);
    assert_eq!(loaded.processes().len(), 4);
    let parent = loaded
        .processes()
        .iter()
        .find(|process| process.name.as_deref() == Some("parent"))
        .and_then(|process| process.pid);
    let told = slices.iter().filter_map(|slice| slice.args.get("parent")?.as_i64());
    assert_eq!(told.collect::<Vec<_>>(), vec![parent.expect("it is there"); 3]);
}

#[test]
fn a_fork_that_goes_on_after_its_parent_is_in_the_trace() {
    if let Some(folder) = itself::place() {
        let builder = Session::builder().children(Children::Join);
        let session = builder.create(folder.join("trace")).expect("none is open");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut writer = Some(writer);
        in_fork(|| {
            let joined = novatrace::join().expect("it can").expect("it is open");
            {
                let _span = trace!("beside its parent");
            }
            drop(writer.take());
            // Until the parent has closed the trace.
            let started = std::os::unix::process::parent_id();
            while std::os::unix::process::parent_id() == started {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            {
                let _span = trace!("after its parent");
            }
            joined.close().expect("a file takes all");
        });
        drop(writer);
        std::io::read_to_string(reader).expect("the fork closes it");
        instant!("last of the parent");
        session.close().expect("a file takes all");
        return;
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    run("a_fork_that_goes_on_after_its_parent_is_in_the_trace", folder.path());
    let lock = folder.path().join("trace.novatrace-lock");
    for _ in 0..1_000 {
        if !lock.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let loaded = read(&oracle, folder.path());
    let slices = loaded.slices();
    let mut found: Vec<_> = slices.iter().filter_map(|slice| slice.name.as_deref()).collect();
    found.sort_unstable();
    let expected =
        ["after its parent", "beside its parent", "child process", "joined", "last of the parent"];
    assert_eq!(found, expected);
}

#[test]
fn forks_have_files_of_their_own_if_that_was_chosen() {
    if let Some(folder) = itself::place() {
        let builder = Session::builder().children(Children::Shard);
        let session = builder.create(folder.join("run.pftrace")).expect("none is open");
        let forks = [(); 2].map(|()| {
            in_fork(|| {
                let shard = novatrace::join().expect("it can").expect("it is open");
                instant!("in a shard");
                shard.close().expect("a file takes all");
            })
        });
        forks.into_iter().for_each(wait);
        session.close().expect("a file takes all");
        return;
    }
    let oracle = oracle_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder");
    run("forks_have_files_of_their_own_if_that_was_chosen", folder.path());
    let files: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let loaded = oracle.load(file.path()).expect("the trace processor takes it");
        loaded.assert_healthy();
        let pid = loaded.processes()[0].pid.expect("it has one");
        let is_shard = file.file_name().to_string_lossy() == format!("run.{pid}.pftrace");
        let slices = loaded.slices();
        let shown: Vec<_> = slices.iter().filter_map(|slice| slice.name.as_deref()).collect();
        let of_shard = ["joined", "in a shard"];
        assert_eq!(shown, if is_shard { &of_shard[..] } else { &["child process"; 2] });
    }
}

#[test]
fn where_nothing_can_be_joined_nothing_is_and_who_asks_for_it_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let builder = || Session::builder().children(Children::Quiet);
    let session = builder().create(folder.path().join("quiet")).expect("none is open");
    assert_eq!((session.children(), session.child_env()), (Children::Quiet, None));
    assert!(novatrace::join().expect("no error").is_none());
    drop(session);
    for children in [Children::Join, Children::Shard] {
        let builder = Session::builder().children(children).rotate(Rotate::bytes(1 << 20));
        let error = builder.create(folder.path().join("parts")).expect_err("it has parts");
        assert!(matches!(error.kind(), ErrorKind::NoChildren), "{error}");
        let error = Session::builder()
            .children(children)
            .sink(novatrace::WriteSink::new(std::io::sink()))
            .expect_err("no file");
        assert!(matches!(error.kind(), ErrorKind::NoChildren), "{error}");
    }
    let error =
        Session::builder().children(Children::Join).create("/dev/null").expect_err("a device");
    assert!(matches!(error.kind(), ErrorKind::Join { .. }), "{error}");
    let session = Session::builder()
        .children(Children::Join)
        .create(folder.path().join("own"))
        .expect("none is open");
    let error = Session::builder().create(folder.path().join("own")).expect_err("it is open");
    assert!(matches!(error.kind(), ErrorKind::AlreadyOpen { .. }), "{error}");
    drop(session);
}
