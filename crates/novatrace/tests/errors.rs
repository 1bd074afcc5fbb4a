//! What cannot be right is an error at the call, in plain words; nothing else is lost by it.

mod batches;

use batches::Memory;
use novatrace::{ErrorKind, Frequency, Overlap, Seconds, TraceGenerator};

fn message<T: std::fmt::Debug>(result: Result<T, novatrace::Error>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn impossible_events_are_refused_by_name_and_nothing_else_is_lost() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("Die:0").track("XPU:3");
    let counter = trace.group("Die:0").counter("power");
    track.duration(0, 5, "before").emit().expect("possible");

    let cases = [
        (
            message(track.duration(-5i64, 10, "gemm").emit()),
            "cannot record slice `gemm` on track `XPU:3`: the time -5 ns is negative",
        ),
        (
            message(track.duration(5i64, -10, "gemm").emit()),
            "cannot record slice `gemm` on track `XPU:3`: the length -10 ns is negative",
        ),
        (
            message(track.instant(u64::MAX, "tick").emit()),
            "cannot record instant `tick` on track `XPU:3`: 18446744073709551615 ns lies beyond \
             the last time of a trace (9223372036854775807 ns)",
        ),
        (
            message(track.duration(Seconds(0.5), Seconds(f64::NAN), "gemm").emit()),
            "cannot record slice `gemm` on track `XPU:3`: NaN s is not a finite number",
        ),
        (
            message(counter.count(Seconds(f64::INFINITY), 1)),
            "cannot record a sample of counter `power`: inf s is not a finite number",
        ),
        (
            message(counter.count(1, f64::NAN)),
            "cannot record a sample of counter `power`: the value is NaN",
        ),
        (message(track.end(7)), "cannot end a slice on track `XPU:3` at 7 ns: none is open"),
        (
            message(track.begin(10, "open").expect("possible").end(9)),
            "cannot end slice `open` on track `XPU:3` at 9 ns: it began at 10 ns",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    track.end(12).expect("the slice stayed open");
    track.duration(20, 5, "after").emit().expect("possible");
    let stats = trace.finish().expect("memory takes all");
    assert_eq!((stats.events, stats.dropped, stats.left_open), (3, 0, 0));
}

#[test]
fn a_flow_of_another_trace_is_unknown_until_it_is_imported() {
    let here = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let there = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = here.group("g").track("t");
    let foreign = there.flow();
    assert_ne!(foreign, here.flow());
    let error = track.duration(0, 1, "a").flow(foreign).emit().expect_err("unknown");
    assert!(matches!(error.kind(), ErrorKind::UnknownFlow { flow, .. } if *flow == foreign.get()));
    let imported = here.import_flow(foreign.get());
    track.duration(0, 1, "a").flow(imported).emit().expect("known now");
    track.duration(5, 1, "b").flow_end(imported).emit().expect("known now");
    assert_eq!(here.finish().expect("memory takes all").events, 2);
}

#[test]
fn an_argument_that_cannot_be_serialized_is_named() {
    struct Refuses;
    impl serde::Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("out of order"))
        }
    }
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    assert_eq!(
        message(track.duration(0, 1, "a").arg("cost", Refuses).arg("m", 1).emit()),
        "cannot record slice `a` on track `t`: argument `cost` cannot be serialized: out of order",
    );
    let error = track.duration(0, 1, "a").args(5).emit().expect_err("a number has no fields");
    assert!(matches!(error.kind(), ErrorKind::Argument { .. }), "{error}");
    assert_eq!(trace.finish().expect("memory takes all").events, 0);
}

#[test]
fn after_finish_everything_is_refused_and_finish_says_the_same_again() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let group = trace.group("g");
    let (track, counter) = (group.track("t"), group.counter("c"));
    track.duration(0, 1, "a").emit().expect("open");
    let first = trace.finish().expect("memory takes all");
    assert_eq!(trace.finish().expect("as before"), first);
    trace.flush().expect("nothing is left to flush");
    assert_eq!(
        message(track.duration(0, 1, "a").emit()),
        "cannot record slice `a` on track `t`: the trace is finished",
    );
    assert_eq!(
        message(counter.count(0, 1)),
        "cannot record a sample of counter `c`: the trace is finished",
    );
    // The first record of a thread takes another way.
    let other = std::thread::spawn(move || group.track("u").instant(0, "i").emit());
    assert!(message(other.join().expect("no panic")).contains("the trace is finished"));
    assert_eq!(trace.stats(), first);
}

#[test]
fn refused_overlap_names_both_slices_and_keeps_the_rest() {
    let builder = TraceGenerator::builder().overlap(Overlap::Refuse);
    let trace = builder.sink(Memory::default()).expect("a trace");
    let engine = trace.group("Die:0").track("XPU:0");
    engine.duration(0, 10, "first").emit().expect("possible");
    engine.duration(2, 3, "inside").emit().expect("possible");
    engine.duration(5, 10, "second").emit().expect("told by finish");
    engine.duration(10, 10, "third").emit().expect("possible");
    assert_eq!(
        message(trace.finish()),
        "slices overlap on track `XPU:0`: `first` from 0 to 10 ns, and `second` from 5 to 15 ns, \
         which is left out",
    );
    let stats = trace.stats();
    assert_eq!((stats.events, stats.refused, stats.lanes), (4, 1, 0));
}

#[test]
fn a_counters_unit_is_settled_by_its_first_sample() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let counter = trace.group("g").counter("power").unit("W");
    counter.count(0, 1).expect("possible");
    trace.flush().expect("memory takes all");
    counter.clone().unit("W").count(1, 2).expect("the same unit is fine");
    counter.unit("kW").count(2, 3).expect("possible");
    assert_eq!(
        message(trace.finish()),
        "the unit of counter `power` came after its first events, and is not in the trace",
    );
    assert_eq!(trace.stats().events, 3);
}

#[test]
fn a_directory_and_a_missing_parent_are_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().display().to_string();
    assert_eq!(
        message(TraceGenerator::create(folder.path())),
        format!("cannot create trace `{path}`: it is a directory; name a file in it"),
    );
    assert_eq!(
        message(TraceGenerator::create(folder.path().join("a/b.pftrace"))),
        format!(
            "cannot create trace `{path}/a/b.pftrace`: the directory `{path}/a` does not exist; \
             create it first"
        ),
    );
}

#[test]
fn times_beyond_the_last_are_refused_in_the_unit_they_were_given() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    let clock = Frequency::from_hz(1).expect("not zero");
    let last = i64::MAX.unsigned_abs();
    track.duration(last, 0, "the last").emit().expect("possible");
    track.duration(0, last, "the longest").emit().expect("possible");
    let cases = [
        (
            message(track.duration(last, 1, "a").emit()),
            "cannot record slice `a` on track `t`: 9223372036854775808 ns lies beyond the last \
             time of a trace (9223372036854775807 ns)",
        ),
        (
            message(track.instant(clock.cycles(u64::MAX), "a").emit()),
            "cannot record instant `a` on track `t`: 18446744073709551615 cycles at 1 Hz lies \
             beyond the last time of a trace (9223372036854775807 ns)",
        ),
        (
            message(track.duration(Seconds(1.0), Seconds(1e10), "a").emit()),
            "cannot record slice `a` on track `t`: 10000000001 s lies beyond the last time of a \
             trace (9223372036854775807 ns)",
        ),
        (
            message(track.begin(Seconds(-1.0), "a")),
            "cannot record slice `a` on track `t`: the time -1 s is negative",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    assert_eq!(trace.finish().expect("memory takes all").events, 2);
}

#[test]
fn an_end_that_cannot_be_leaves_the_slice_open_for_another() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    let open = track.begin(10, "a").expect("possible");
    assert_eq!(
        message(open.end(Seconds(f64::NAN))),
        "cannot record the end of a slice on track `t`: NaN s is not a finite number",
    );
    assert_eq!(
        message(track.end(-1i32)),
        "cannot record the end of a slice on track `t`: the time -1 ns is negative",
    );
    track.end(20).expect("it is still open");

    let ended = track.begin(30, "b").expect("possible");
    track.end(40).expect("it is open");
    let error = ended.end(50).expect_err("it has ended");
    assert!(matches!(error.kind(), ErrorKind::EndWithoutBegin { end_ns: 50, .. }), "{error}");

    let late = track.begin(60, "c").expect("possible");
    let stats = trace.finish().expect("memory takes all");
    assert_eq!((stats.events, stats.left_open), (3, 1));
    assert_eq!(
        message(late.end(70)),
        "cannot record the end of a slice on track `t`: the trace is finished",
    );
    assert_eq!(
        message(track.begin(80, "d")),
        "cannot record slice `d` on track `t`: the trace is finished",
    );
}

#[test]
fn what_is_said_of_a_row_too_late_is_an_error_unless_it_was_said_before() {
    type Says = fn(&TraceGenerator, &str);
    let cases: [(&str, Says); 5] = [
        ("description of counter `c`", |trace, text| {
            drop(trace.group("g").counter("c").description(text));
        }),
        ("shared axis of counter `c`", |trace, text| {
            drop(trace.group("g").counter("c").shared_axis(text));
        }),
        ("description of track `t`", |trace, text| {
            drop(trace.group("g").group("h").track("t").description(text));
        }),
        ("description of group `h`", |trace, text| {
            drop(trace.group("g").group("h").description(text));
        }),
        ("description of group `g`", |trace, text| drop(trace.group("g").description(text))),
    ];
    for (what, says) in cases {
        let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
        says(&trace, "first");
        trace.group("g").counter("c").count(0, 1).expect("possible");
        trace.group("g").group("h").track("t").instant(0, "i").emit().expect("possible");
        trace.flush().expect("memory takes all");
        says(&trace, "first");
        trace.flush().expect("nothing new was said");
        says(&trace, "late");
        let expected = format!("the {what} came after its first events, and is not in the trace");
        assert_eq!(message(trace.flush()), expected);
        assert_eq!(message(trace.finish()), expected);
        assert_eq!(trace.stats().events, 2);
    }
}

#[test]
fn an_unknown_flow_is_named_and_no_flow_of_the_event_is_recorded() {
    let here = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let there = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let (track, known, foreign) = (here.group("g").track("t"), here.flow(), there.flow());
    let expected = format!(
        "cannot record slice `a` on track `t`: flow {:#x} is unknown to this trace; make it with \
         `flow()`, or announce it with `import_flow()` if it comes from another",
        foreign.get()
    );
    assert_eq!(message(track.duration(0, 1, "a").flow(known).flow(foreign).emit()), expected);
    assert_eq!(message(track.duration(0, 1, "a").flow_end(foreign).emit()), expected);
    assert_eq!(message(track.duration(0, 1, "a").flows([known, foreign]).emit()), expected);
    assert_eq!(message(track.duration(0, 1, "a").flows_end([foreign]).emit()), expected);
    assert_eq!(message(track.slice(0, "a").flow(foreign).begin()), expected);
    assert_eq!(here.finish().expect("memory takes all").events, 0);
}

#[test]
fn the_first_thing_wrong_with_an_event_is_the_one_that_is_told() {
    let trace = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let there = TraceGenerator::builder().sink(Memory::default()).expect("a trace");
    let track = trace.group("g").track("t");
    let event = track.duration(-1, 5, "a").flow(there.flow()).args(5);
    assert_eq!(
        message(event.emit()),
        "cannot record slice `a` on track `t`: the time -1 ns is negative",
    );
    assert_eq!(
        message(track.instant(0, "a").args([1, 2]).emit()),
        "cannot record instant `a` on track `t`: argument `(fields)` cannot be serialized: a list \
         has no fields; give it a key with `arg`",
    );
}

#[test]
#[cfg(target_os = "linux")]
fn what_the_operating_system_refuses_has_its_reason_as_the_source() {
    let error = TraceGenerator::create("/proc/nothing.pftrace").expect_err("no files there");
    assert_eq!(error.to_string(), "cannot create trace `/proc/nothing.pftrace`");
    let source = std::error::Error::source(&error).expect("the system's error");
    assert!(source.is::<std::io::Error>(), "{source}");
}
