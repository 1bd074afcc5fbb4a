//! Flight recorders: a dump opens by itself, has the last of what was recorded, and says what is missing.

#[path = "live/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use novatrace::{Counter, ErrorKind, FlightRecorder, Session, counter, instant, trace};
use novatrace_testkit::{Args, Loaded, Oracle, Slice, Value, oracle_or_skip};

use support::{boottime_ns, one};

static LEVEL: Counter = counter!("level");

fn load(oracle: &Oracle, path: &Path) -> Loaded {
    let loaded = oracle.load(path).expect("the trace processor takes it");
    loaded.assert_healthy();
    loaded
}

fn named<'s>(slices: &'s [Slice], name: &str) -> Vec<&'s Slice> {
    slices.iter().filter(|slice| slice.name.as_deref() == Some(name)).collect()
}

fn arg(slice: &Slice, key: &str) -> u64 {
    slice.args.get(key).and_then(Value::as_u64).expect("a number")
}

/// Which packets are missing, as the packets say it.
fn losses(oracle: &Oracle, path: &Path) -> usize {
    let bytes = std::fs::read(path).expect("readable");
    let text = oracle.decode_text(&bytes).expect("packets");
    text.matches("previous_packet_dropped: 65").count()
}

fn overwritten(oracle: &Oracle, path: &Path) -> u64 {
    let bytes = std::fs::read(path).expect("readable");
    let text = oracle.decode_text(&bytes).expect("packets");
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let number =
        text.split(r#"key: "overwritten_events" long_value: "#).nth(1).expect("it says so");
    number.split(' ').next().expect("a number").parse().expect("a number")
}

#[test]
fn a_dump_of_all_there_was_is_the_whole_recording() {
    let oracle = oracle_or_skip!();
    let _one = one();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("dump.pftrace");
    let session =
        Session::builder().flight_recorder(FlightRecorder::bytes(1 << 20)).expect("none is open");
    let outer = trace!("outer", answer = 42);
    for at in 0..100_u64 {
        let _inner = trace!("inner", at = at, text = "the same");
        LEVEL.set(at);
    }
    let dump = session.dump(&path).expect("writable");
    assert_eq!((dump.events, dump.overwritten), (201, 0));
    assert_eq!(dump.bytes, path.metadata().expect("there").len());
    assert_eq!((losses(&oracle, &path), overwritten(&oracle, &path)), (0, 0));
    let loaded = load(&oracle, &path);
    let slices = loaded.slices();
    assert_eq!(named(&slices, "inner").len(), 100);
    let [outer_row] = named(&slices, "outer")[..] else { panic!("{slices:?}") };
    assert_eq!((outer_row.dur, arg(outer_row, "answer")), (-1, 42));
    assert_eq!(loaded.counters().len(), 100);

    // The recording goes on, and another dump has more.
    drop(outer);
    instant!("after");
    let second = folder.path().join("second.pftrace");
    let dump = session.dump(&second).expect("writable");
    assert_eq!((dump.events, dump.overwritten), (202, 0));
    let slices = load(&oracle, &second).slices();
    assert!(named(&slices, "outer")[0].dur > 0);
    assert_eq!(named(&slices, "after").len(), 1);
    let report = session.close().expect("nothing went wrong");
    assert_eq!((report.events, report.parts), (202, 1));
}

#[test]
fn what_is_left_is_the_last_and_says_what_was_open_before_it() {
    const ROUNDS: u64 = 20_000;
    let oracle = oracle_or_skip!();
    let _one = one();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("dump.pftrace");
    // Some 50 bytes a round.
    let session =
        Session::builder().flight_recorder(FlightRecorder::bytes(256 << 10)).expect("none is open");
    let track = novatrace::track("row");
    LEVEL.set(7);
    let began = boottime_ns();
    let request = trace!("request", id = 5, text = "of the first part");
    let job = track.trace("job");
    let (is_over, is_begun) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // This thread says nothing but that, and is there all the same.
            let _waits = trace!("waits");
            is_begun.store(true, Ordering::Release);
            while !is_over.load(Ordering::Acquire) {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        });
        while !is_begun.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        for at in 0..ROUNDS {
            {
                let _step = trace!("step", at = at);
                track.instant("tick");
            }
            if at % 500 == 0 {
                session.flush().expect("nothing went wrong");
            }
        }
        let dump = session.dump(&path).expect("writable");
        is_over.store(true, Ordering::Release);
        let recorded = 2 * ROUNDS + 4;
        assert_eq!(dump.events + dump.overwritten, recorded);
        assert!(
            dump.overwritten > 0 && dump.bytes <= 300 << 10 && dump.bytes > 150 << 10,
            "{dump:?}"
        );
        assert_eq!(overwritten(&oracle, &path), dump.overwritten);
        assert!(losses(&oracle, &path) >= 3);

        let loaded = load(&oracle, &path);
        let slices = loaded.slices();
        // The last steps, each once.
        let steps: Vec<u64> = named(&slices, "step").iter().map(|step| arg(step, "at")).collect();
        let first = ROUNDS - steps.len() as u64;
        assert_eq!(steps, (first..ROUNDS).collect::<Vec<_>>());
        let ticks = named(&slices, "tick").len() as u64;
        let events = ticks + steps.len() as u64;
        // A step that was open at the cut began before it.
        let continued =
            named(&slices, "step").iter().filter(|s| s.args.contains_key("continued")).count();
        assert_eq!(events - continued as u64, dump.events);
        // What was open is there, and open.
        for (name, depth) in [("request", 0), ("job", 0), ("waits", 0)] {
            let [row] = named(&slices, name)[..] else {
                panic!("{name}: {:?}", named(&slices, name))
            };
            assert_eq!((row.dur, row.depth), (-1, depth), "{row:?}");
            assert_eq!(row.args["continued"], Value::Bool(true));
            assert!(row.ts.cast_unsigned() > began, "it begins where the dump does");
        }
        let [request_row] = named(&slices, "request")[..] else { unreachable!() };
        assert_eq!(
            (arg(request_row, "id"), &request_row.args["text"]),
            (5, &Value::Text("of the first part".to_owned()))
        );
        assert!(named(&slices, "step").iter().all(|step| step.parent_id == Some(request_row.id)));
        let values: BTreeSet<u64> = loaded.counters().iter().map(|c| c.value.to_bits()).collect();
        assert_eq!(values, BTreeSet::from([7.0_f64.to_bits()]));
        assert!(
            loaded.slices().iter().all(|slice| slice.args.keys().all(|key| key != "continues"))
        );
    });
    drop((request, job));
    let report = session.close().expect("nothing went wrong");
    assert_eq!((report.lost, report.dropped, report.left_open), (0, 0, 0));
}

/// Two dumps at different times agree about what both have.
#[test]
fn a_later_dump_has_the_same_rows_where_they_overlap() {
    let oracle = oracle_or_skip!();
    let _one = one();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = [folder.path().join("a.pftrace"), folder.path().join("b.pftrace")];
    let session =
        Session::builder().flight_recorder(FlightRecorder::bytes(128 << 10)).expect("none is open");
    let work = |from: u64| {
        for at in from..from + 4_000 {
            let _outer = trace!("outer", at = at);
            let _inner = trace!(format!("inner {}", at % 7), at = at, list = [at, 2]);
            if at % 300 == 0 {
                session.flush().expect("nothing went wrong");
            }
        }
    };
    work(0);
    session.dump(&paths[0]).expect("writable");
    work(4_000);
    // Less than the dump before had.
    work(8_000);
    session.dump(&paths[1]).expect("writable");
    session.close().expect("nothing went wrong");
    let rows = |path: &PathBuf| -> Vec<(Option<String>, i64, i64, Args)> {
        let slices = load(&oracle, path).slices().into_iter();
        let whole = slices.filter(|slice| !slice.args.contains_key("continued"));
        whole.map(|slice| (slice.name, slice.ts, slice.dur, slice.args)).collect()
    };
    let (first, second) = (rows(&paths[0]), rows(&paths[1]));
    assert!(first.iter().all(|row| row.2 >= 0));
    let last = first.last().expect("there are some").1;
    let later: Vec<_> = second.iter().filter(|row| row.1 <= last).collect();
    let both: Vec<_> = first.iter().filter(|row| row.1 >= second[0].1).collect();
    assert_eq!(both, later);
}

#[test]
fn seconds_are_a_limit_too() {
    let oracle = oracle_or_skip!();
    let _one = one();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("dump.pftrace");
    let session =
        Session::builder().flight_recorder(FlightRecorder::seconds(1)).expect("none is open");
    let began = boottime_ns();
    let mut recorded = 0;
    while boottime_ns() - began < 3_000_000_000 {
        instant!("tick");
        recorded += 1;
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let dump = session.dump(&path).expect("writable");
    session.close().expect("nothing went wrong");
    assert_eq!(dump.events + dump.overwritten, recorded);
    assert!(dump.overwritten > 0, "{dump:?}");
    let first = load(&oracle, &path).slices()[0].ts;
    // However slow the machine, what is two seconds old has gone, and the last second is there.
    assert!(first.cast_unsigned() > began + 500_000_000);
    assert!(first.cast_unsigned() < boottime_ns() - 900_000_000);
}

#[test]
fn a_signal_a_slow_span_and_a_panic_dump() {
    let oracle = oracle_or_skip!();
    let _one = one();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let recorder = FlightRecorder::bytes(1 << 20)
        .dump_on_signal(libc::SIGUSR1, at("signal-{n}.pftrace"))
        .dump_on_panic(at("panic-{pid}.pftrace"))
        .dump_if_slower(
            "slow one",
            Duration::from_millis(20),
            Duration::from_secs(3_600),
            at("slow.pftrace"),
        )
        .dump_if_slower("io", Duration::from_millis(20), Duration::ZERO, at("io.pftrace"));
    let session = Session::builder().flight_recorder(recorder).expect("none is open");
    let wait = || std::thread::park_timeout(Duration::from_millis(30));
    {
        let _other = trace!("other");
        let _quick = trace!("slow one");
    }
    wait();
    assert!(!at("slow.pftrace").exists());
    {
        let _slow = trace!("slow one", at = 1);
        let began = boottime_ns();
        while boottime_ns() - began < 20_000_000 {
            wait();
        }
    }
    let wait_for = |path: &Path| {
        let complete = || path.exists() && path.metadata().is_ok_and(|file| file.len() > 0);
        for _ in 0..1_000 {
            if complete() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{} has not come", path.display());
    };
    wait_for(&at("slow.pftrace"));
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
        .expect("to oneself");
    // The second dump, and the first of a signal.
    wait_for(&at("signal-2.pftrace"));
    let panicked = std::panic::catch_unwind(|| {
        let _fatal = trace!("fatal");
        panic!("of the test");
    });
    assert!(panicked.is_err());
    let panic_path = at(&format!("panic-{}.pftrace", std::process::id()));
    let slices = load(&oracle, &panic_path).slices();
    assert_eq!(named(&slices, "fatal")[0].dur, -1);
    assert_eq!(named(&slices, "panic")[0].args["message"], Value::Text("of the test".to_owned()));
    {
        let row = novatrace::track("io");
        let _row = row.trace("any name");
        let _io = trace!("read", category = "io");
        let began = boottime_ns();
        while boottime_ns() - began < 20_000_000 {
            wait();
        }
    }
    // It waits for those who dump.
    session.close().expect("every dump was written");
    assert_eq!(named(&load(&oracle, &at("io.pftrace")).slices(), "read").len(), 1);
    let slow = load(&oracle, &at("slow.pftrace"));
    assert_eq!(arg(named(&slow.slices(), "slow one").last().expect("the slow one"), "at"), 1);
    load(&oracle, &at("signal-2.pftrace"));
}

#[test]
fn a_dump_that_cannot_be_written_is_an_error_and_the_recording_goes_on() {
    let _one = one();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let session =
        Session::builder().flight_recorder(FlightRecorder::bytes(1 << 20)).expect("none is open");
    instant!("tick");
    let error = session.dump(folder.path()).expect_err("it is a folder");
    assert!(matches!(error.kind(), ErrorKind::Create(_)), "{error}");
    let dump = session.dump(folder.path().join("a.pftrace")).expect("writable");
    assert_eq!(dump.events, 1);
    session.close().expect("nothing else went wrong");
    let session = Session::builder().create(folder.path().join("b.pftrace")).expect("writable");
    let error = session.dump(folder.path().join("c.pftrace")).expect_err("there is no recorder");
    assert!(matches!(error.kind(), ErrorKind::NoFlightRecorder), "{error}");
    session.close().expect("nothing went wrong");
}

#[test]
fn a_signal_that_nobody_can_handle_is_refused() {
    let _one = one();
    let recorder = FlightRecorder::bytes(1 << 20).dump_on_signal(libc::SIGKILL, "a");
    let error = Session::builder().flight_recorder(recorder).expect_err("it cannot be handled");
    assert!(matches!(error.kind(), ErrorKind::Signal { signal: libc::SIGKILL, .. }), "{error}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let session = Session::builder().create(folder.path().join("a.pftrace")).expect("none is open");
    session.close().expect("nothing went wrong");
}
