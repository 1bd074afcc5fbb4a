"""`novatrace.TraceGenerator`: times that the caller gives."""

import copy
import ctypes
import errno
import os
import threading

import numpy as np
import pytest

import novatrace


def test_what_is_recorded_is_what_is_read(oracle, path):
    with novatrace.TraceGenerator(path) as trace:
        die = trace.group("Die:0")
        engine = die.track("XPU:0")
        flow = trace.flow()
        engine.duration(1_000, 500, "gemm", category="compute", flow=flow, m=1024, shape=[64, 32])
        engine.instant(1_600, "tick", category=["a", "b"])
        engine.duration(2e-6, 1e-7, "softmax", flow_end=flow, args={"not an identifier": 1.5})
        counter = die.counter("bandwidth", unit="GB/s")
        counter.count(1_000, 812.5)
        counter.count(2e-6, 3)
    oracle.read(path)
    assert oracle.slices() == [
        ("XPU:0", 1_000, 500, "gemm", "compute", {"m": 1024, "shape[0]": 64, "shape[1]": 32}),
        ("XPU:0", 1_600, 0, "tick", "a,b", {}),
        ("XPU:0", 2_000, 100, "softmax", "default", {"not an identifier": 1.5}),
    ]
    assert oracle.flows() == [("gemm", "softmax")]
    assert oracle.counters() == [("bandwidth", 1_000, 812.5), ("bandwidth", 2_000, 3.0)]


def test_finish_answers_what_became_of_the_events(path):
    trace = novatrace.TraceGenerator(path)
    track = trace.track("a")
    track.duration(0, 10, "one")
    track.duration(5, 10, "overlaps")
    stats = trace.finish()
    assert (stats.events, stats.lanes, stats.dropped) == (2, 1, 0)
    assert stats.bytes == path.stat().st_size
    with pytest.raises(novatrace.TraceStateError, match="slice `late` on track `a`"):
        track.duration(0, 10, "late")
    assert trace.finish().events == 2


def test_begun_slices_end_in_any_order(oracle, path):
    with novatrace.TraceGenerator(path) as trace:
        track = trace.track("queue")
        waiting = track.begin(100, "waiting", tile=7)
        running = track.begin(150, "running")
        running.end(180)
        waiting.end(200)
        track.begin(300, "last")
        track.end(310)
        with pytest.raises(novatrace.TraceStateError, match="ended already"):
            waiting.end(210)
    oracle.read(path)
    assert [row[1:4] for row in oracle.slices()] == [
        (100, 100, "waiting"), (150, 30, "running"), (300, 10, "last"),
    ]


def test_neighbours_in_seconds_stay_neighbours(oracle, path):
    step = 1e-9 / 3
    with novatrace.TraceGenerator(path) as trace:
        track = trace.track("a")
        for at in range(1_000):
            track.duration(at * step, step, "x")
    assert trace.stats().lanes == 0
    oracle.read(path)
    assert len(oracle.slices()) == 1_000


@pytest.mark.parametrize("wrong, error, message", [
    ((-1, 5, "x"), novatrace.TraceValueError, "slice `x` on track `a`"),
    ((0, -5, "x"), novatrace.TraceValueError, "slice `x` on track `a`"),
    ((float("nan"), 1.0, "x"), novatrace.TraceValueError, "slice `x`"),
    ((0, 1.0, "x"), TypeError, "both be ints"),
    ((1 << 70, 1, "x"), novatrace.TraceValueError, "start is out of range"),
    (("0", 1, "x"), TypeError, "start must be an int"),
])
def test_bad_calls_say_what_is_wrong_and_lose_nothing_else(path, wrong, error, message):
    with novatrace.TraceGenerator(path) as trace:
        track = trace.track("a")
        track.duration(0, 1, "before")
        with pytest.raises(error, match=message):
            track.duration(*wrong)
        track.duration(5, 1, "after")
    assert trace.stats().events == 2


def test_errors_of_files_are_os_errors(tmp_path):
    with pytest.raises(OSError) as caught:
        novatrace.TraceGenerator(tmp_path / "none" / "a.pftrace")
    assert isinstance(caught.value, novatrace.TraceFileError)
    assert str(tmp_path / "none") in str(caught.value)
    with pytest.raises(novatrace.TraceValueError, match="overlap"):
        novatrace.TraceGenerator(tmp_path / "a", overlap="both")


def test_a_full_disk_is_told_and_does_not_hurt_the_program(tmp_path):
    trace = novatrace.TraceGenerator("/dev/full")
    track = trace.track("a")
    for at in range(1_000):
        track.duration(at, 1, "x")
    with pytest.raises(OSError, match="/dev/full") as caught:
        trace.finish()
    assert caught.value.errno == 28
    assert trace.stats().dropped == 1_000


def test_overlap_can_be_refused(path):
    trace = novatrace.TraceGenerator(path, overlap="refuse")
    track = trace.track("XPU:0")
    track.duration(0, 10, "first")
    track.duration(5, 10, "second")
    with pytest.raises(novatrace.TraceValueError, match="`first` from 0 to 10 ns, and `second`"):
        trace.finish()


def test_threads_and_generators_do_not_mix(oracle, tmp_path):
    paths = [tmp_path / f"{device}.pftrace" for device in range(3)]
    traces = [novatrace.TraceGenerator(path) for path in paths]

    def work(number):
        for trace in traces:
            track = trace.group(f"g{number}").track("t")
            for at in range(500):
                track.duration(at * 10, 5, f"{number}", n=at)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for trace, path in zip(traces, paths):
        assert trace.finish().events == 2_000
        oracle.read(path)
        rows = oracle.slices()
        for number in range(4):
            own = [row for row in rows if row[3] == f"{number}"]
            assert [(row[1], row[5]["n"]) for row in own] == [(at * 10, at) for at in range(500)]


def test_arrays_are_rows_without_an_object_each(oracle, path):
    count = 1_000
    starts = np.arange(count) * 10
    with novatrace.TraceGenerator(path) as trace:
        track = trace.track("a")
        track.durations(
            starts, np.full(count, 5, np.int32), ["even", "odd"] * (count // 2), category="c",
            args={"i": np.arange(count, dtype=np.uint8), "x": starts * 0.5, "b": starts % 20 == 0},
        )
        track.durations([1.0, 2.0], [0.5, 0.5], "seconds")
        trace.counter("n").counts(starts[::2], starts[::2] * 1.5)
        with pytest.raises(novatrace.TraceValueError, match="lengths has 3 items"):
            track.durations([1, 2], [1, 2, 3], "x")
        with pytest.raises(TypeError, match="starts must be an array"):
            track.durations(["a"], [1], "x")
        with pytest.raises(TypeError, match="both be of integers"):
            track.durations([1.0], [1], "x")
    oracle.read(path)
    rows = oracle.slices()
    assert rows[:count] == [
        ("a", 10 * at, 5, ("even", "odd")[at % 2], "c",
         {"i": at % 256, "x": at * 5.0, "b": int(at % 2 == 0)})
        for at in range(count)
    ]
    assert [row[1:4] for row in rows[count:]] == [
        (10**9, 5 * 10**8, "seconds"), (2 * 10**9, 5 * 10**8, "seconds"),
    ]
    assert oracle.counters() == [("n", at * 10, at * 15.0) for at in range(0, count, 2)]


def test_numbers_of_numpy_are_times_and_values(oracle, path):
    with novatrace.TraceGenerator(path) as trace:
        trace.track("a").duration(np.int64(5), np.uint8(2), "x")
        trace.track("a").duration(np.float64(1e-6), np.float32(1e-6), "y")
        trace.counter("c").count(np.int32(1), np.float16(2.5))
    oracle.read(path)
    assert [row[1:4] for row in oracle.slices()] == [(5, 2, "x"), (1_000, 1_000, "y")]
    assert oracle.counters() == [("c", 1, 2.5)]


def test_a_copy_of_a_trace_is_the_trace(path):
    trace = novatrace.TraceGenerator(path)
    assert copy.deepcopy({"trace": trace})["trace"] is trace


def test_names_may_be_any_text(oracle, path):
    names = ["", "a\0b", "\ud800 alone", "日本語 🚀", "x" * 100_000]
    with novatrace.TraceGenerator(path) as trace:
        for at, name in enumerate(names):
            trace.track("a").duration(at * 10, 5, name)
    oracle.read(path)
    read = [row[3] for row in oracle.slices()]
    assert read[3:] == names[3:]
    assert len(read) == 5


class Indexed:
    def __init__(self, answer):
        self.answer = answer

    def __index__(self):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Floating:
    def __float__(self):
        raise KeyboardInterrupt


def test_a_time_whose_index_is_no_int_is_refused(path):
    with novatrace.TraceGenerator(path) as trace:
        track = trace.track("a")
        itself = Indexed(None)
        itself.answer = itself
        for wrong in (Indexed("x"), Indexed(1.5), itself):
            with pytest.raises(TypeError, match="__index__ returned non-int"):
                track.instant(wrong, "x")
    assert trace.stats().events == 0


@pytest.mark.parametrize("wrong", [Indexed(KeyboardInterrupt()), Indexed(ZeroDivisionError()), Floating()])
def test_what_a_number_raises_is_raised(path, wrong):
    expected = type(getattr(wrong, "answer", KeyboardInterrupt()))
    with novatrace.TraceGenerator(path) as trace:
        with pytest.raises(expected):
            trace.track("a").instant(wrong, "x")
        with pytest.raises(expected):
            trace.counter("c").count(1, wrong)
    assert trace.stats().events == 0


def test_arrays_of_ctypes_are_arrays(oracle, path):
    starts, lengths = (ctypes.c_int64 * 3)(10, 20, 30), (ctypes.c_uint8 * 3)(1, 2, 3)
    with novatrace.TraceGenerator(path) as trace:
        trace.track("a").durations(starts, lengths, "x", args={"v": (ctypes.c_double * 3)(0.5, 1.5, 2.5)})
    oracle.read(path)
    assert [(*row[1:3], row[5]["v"]) for row in oracle.slices()] == [(10, 1, 0.5), (20, 2, 1.5), (30, 3, 2.5)]


def test_lists_of_another_librarys_integers_are_nanoseconds(oracle, path):
    with novatrace.TraceGenerator(path) as trace:
        track = trace.track("a")
        track.durations([np.int64(1000)], [np.int64(500)], "list")
        track.durations(np.array([2000], "m8[ns]"), np.array([600], "m8[ns]"), "timedelta")
        track.durations(np.array([3000], object), (700,), "objects")
        track.duration(np.timedelta64(4000, "ns"), np.timedelta64(800, "ns"), "one")
        trace.counter("c").counts([np.int32(10)], [np.float32(1.5)])
    oracle.read(path)
    assert [row[1:4] for row in oracle.slices()] == [
        (1000, 500, "list"), (2000, 600, "timedelta"), (3000, 700, "objects"), (4000, 800, "one"),
    ]
    assert oracle.counters() == [("c", 10, 1.5)]


@pytest.mark.parametrize("starts, message", [
    ([0, 1.5], "starts must all be ints"),
    ([np.float32(0), 1], "starts must all be ints"),
    (np.array([0, 1], "m8[us]"), r"not timedelta64\[us\]"),
    (np.array([0, 1], "M8[ns]"), r"not datetime64\[ns\]"),
    ([np.datetime64(0, "ns")] * 2, "starts must be an array"),
    (["0", "1"], "starts must be an array"),
    (5, "starts must be an array"),
])
def test_times_of_unknown_unit_are_refused(path, starts, message):
    with novatrace.TraceGenerator(path) as trace:
        with pytest.raises(TypeError, match=message):
            trace.track("a").durations(starts, [1, 1], "x")
        with pytest.raises(TypeError):
            trace.track("a").duration(np.timedelta64(5, "us"), 1, "x")
    assert trace.stats().events == 0


def test_an_interrupt_while_a_list_is_read_is_raised(path):
    with novatrace.TraceGenerator(path) as trace:
        with pytest.raises(KeyboardInterrupt):
            trace.track("a").durations([Indexed(KeyboardInterrupt())], [1], "x")


def test_arguments_of_arrays_keep_their_type(oracle, path):
    large = 2**64 - 1
    args = {"a": np.array([large], "u8"), "b": [large], "c": [True], "d": [-5], "e": [1.5]}
    with novatrace.TraceGenerator(path) as trace:
        trace.track("a").durations([1], [1], "x", args=args)
    rows = oracle.read(path).rows(
        "select value_type, int_value, real_value from args where key like 'debug.%' order by key"
    )
    # The trace processor keeps unsigned ones as what their 64 bits mean with a sign.
    assert rows == [
        ("uint", -1, None), ("uint", -1, None), ("bool", 1, None), ("int", -5, None), ("real", None, 1.5),
    ]


@pytest.mark.parametrize("make", [novatrace.TraceGenerator, novatrace.open], ids=["generator", "session"])
@pytest.mark.parametrize("name, number", [
    ("nodir/x", errno.ENOENT), (".", errno.EISDIR), ("x" * 300, errno.ENAMETOOLONG), ("a\0b", errno.EINVAL),
])
def test_a_file_that_cannot_be_made_says_which_and_why(make, name, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(novatrace.TraceFileError) as caught:
        make(name)
    assert (caught.value.errno, caught.value.filename) == (number, name)
    assert str(caught.value).startswith(f"cannot create trace `{name}`"[:20]) and "Errno" not in str(caught.value)


def test_an_end_that_is_refused_leaves_the_slice_open(oracle, path):
    with novatrace.TraceGenerator(path) as trace:
        slice = trace.track("a").begin(1e-6, "x")
        for wrong, message in [
            (500, "cannot end slice `x` on track `a` at 500 ns: it began at 1000 ns"),
            (-1, "the end of a slice on track `a`"), (float("nan"), "the end of a slice on track `a`"),
        ]:
            with pytest.raises(novatrace.TraceValueError, match=message):
                slice.end(wrong)
        slice.end(1_500)
        with pytest.raises(novatrace.TraceStateError, match="ended already"):
            slice.end(500)
    assert trace.stats().left_open == 0
    oracle.read(path)
    assert [row[1:4] for row in oracle.slices()] == [(1000, 500, "x")]


def test_a_file_that_is_being_written_says_so(path):
    with novatrace.TraceGenerator(path):
        with pytest.raises(novatrace.TraceFileError, match="another trace is being written") as caught:
            novatrace.TraceGenerator(path)
    assert (caught.value.errno, caught.value.filename) == (errno.EBUSY, str(path))


def test_a_trace_that_nobody_has_any_more_is_not_in_the_way(path):
    trace = novatrace.TraceGenerator(path)
    cycle = [trace]
    cycle.append(cycle)
    del trace, cycle
    assert novatrace.TraceGenerator(path).finish().events == 0


@pytest.mark.parametrize("compression", ["zlib", "zlib:9"])
def test_a_compressed_trace_has_the_same_rows(oracle, tmp_path, compression):
    rows = []
    for name, chosen in [("plain", None), ("packed", compression)]:
        with novatrace.TraceGenerator(tmp_path / name, compression=chosen) as trace:
            track = trace.group("Die:0").track("XPU:0")
            for at in range(20_000):
                track.duration(at * 10, 5, "gemm", m=at)
        assert trace.stats().bytes == (tmp_path / name).stat().st_size
        oracle.read(tmp_path / name)
        rows.append(oracle.slices())
    assert rows[0] == rows[1]
    assert (tmp_path / "packed").stat().st_size * 3 < (tmp_path / "plain").stat().st_size


@pytest.mark.parametrize("compression", ["gzip", "zlib:10", "", "zstd:x"])
def test_a_compression_that_is_none_is_refused_before_the_file_is_touched(path, compression):
    for create in [novatrace.TraceGenerator, novatrace.open]:
        with pytest.raises(novatrace.TraceValueError, match="unknown|has no level"):
            create(path, compression=compression)
    assert not os.path.exists(path)


def test_whoever_runs_a_program_chooses_its_compression(path, monkeypatch):
    monkeypatch.setenv("NOVATRACE_COMPRESSION", "zstd:3")
    with novatrace.TraceGenerator(path, compression="none") as trace:
        for at in range(20_000):
            trace.track("a").instant(at, "tick")
    assert trace.stats().bytes == os.path.getsize(path) < 50_000
    monkeypatch.setenv("NOVATRACE_COMPRESSION", "zip")
    with pytest.raises(novatrace.TraceValueError, match="NOVATRACE_COMPRESSION.*`zip` is unknown"):
        novatrace.TraceGenerator(path)


@pytest.mark.parametrize("worker", ["thread", "process"])
def test_batches_and_compression_change_while_a_trace_is_written(oracle, path, worker):
    sizes = []
    with novatrace.TraceGenerator(path, worker=worker, batch_bytes=1 << 20, flush_interval=60) as trace:
        track = trace.track("a")
        for compression, batch in [("none", 4096), ("zlib:9", 1 << 20), ("none", 1 << 16)]:
            trace.set_compression(compression)
            trace.set_batch(bytes=batch)
            trace.flush()
            before = path.stat().st_size
            for at in range(10_000):
                track.duration((len(sizes) * 10_000 + at) * 10, 5, "slice")
            trace.flush()
            sizes.append(path.stat().st_size - before)
        with pytest.raises(novatrace.TraceValueError, match="gzip"):
            trace.set_compression("gzip")
        with pytest.raises(novatrace.TraceValueError, match="flush_interval"):
            trace.set_batch(flush_interval=-1)
        with pytest.raises(TypeError):
            trace.set_batch(4096)
    assert trace.stats().bytes == path.stat().st_size
    assert sizes[1] * 3 < min(sizes[0], sizes[2])
    oracle.read(path)
    assert len(oracle.slices()) == 30_000
