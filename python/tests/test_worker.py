"""The worker in a process of its own: what it writes, what it survives, what it leaves behind."""

import fcntl
import glob
import itertools
import logging
import mmap
import multiprocessing
import os
import pathlib
import select
import signal
import struct
import subprocess
import sys
import textwrap

import pytest

import novatrace
from nova_platform.perfetto_protobuf import _tgen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is none but on Linux")

WORKERS = ("thread", "process")
# A trace, and what records into it, for both of which there are programs here.
OPEN = {
    "session": "trace = novatrace.open(sys.argv[1], worker='process', overflow='block')\n"
    "def record(at): novatrace.instant('a', at=at)\n",
    "generator": "trace = novatrace.TraceGenerator(sys.argv[1], worker='process'); track = trace.track('t')\n"
    "def record(at): track.duration(at * 10, 5, 'a', at=at)\n",
}
both = pytest.mark.parametrize("what", list(OPEN))


def workers(path):
    """The numbers of the processes that write the file."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"__novatrace_worker" in (folder / "cmdline").read_bytes():
                files = [os.readlink(link) for link in glob.glob(f"{folder}/fd/*")]
                found += [int(folder.name)] if str(path) in files else []
        except OSError:
            pass  # it is over
    return found


def wait_for_worker(path):
    """Until it is done: it has a lock on the file as long as it is there."""
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def start(code, path, warnings="error", **options):
    command = [sys.executable, "-W", warnings, "-c", "import novatrace, os, sys\n" + textwrap.dedent(code), str(path)]
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, **options)


def run(code, path, *, status=0, **options):
    program = start(code, path, stdout=subprocess.PIPE, **options)
    try:
        stdout, stderr = program.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        program.kill()
        raise
    assert program.returncode == status, stderr
    wait_for_worker(path)
    return stdout, stderr


def recorded(oracle, path):
    """The argument `at` of all events."""
    return sorted(row[5]["at"] for row in oracle.read(path).slices() if row[3] == "a")


# ---- what it writes ----


def test_a_generator_has_the_same_rows_with_either_worker(oracle, tmp_path):
    every = []
    for worker in WORKERS:
        with novatrace.TraceGenerator(tmp_path / worker, attributes={"k": "v"}, worker=worker) as trace:
            assert trace.worker == worker
            group = trace.group("g")
            tracks = [group.track(f"t{at}") for at in range(5)]
            flow = trace.flow()
            for at in range(1_000):
                track = tracks[at % 5]
                track.duration(at * 10, 25, f"name {at % 7}", category="c", at=at, text="ä" * (at % 9), nested={"x": [at]})
            tracks[0].instant(5, "from", flow=flow)
            tracks[1].instant(6, "to", flow_end=flow)
            tracks[2].durations([20_000, 30_000], [5, 5], ["x", "y"], args={"m": [1.5, 2.5]})
            tracks[3].begin(40_000, "left open")
            group.counter("n", unit="B").count(7, 2.5)
        stats = trace.stats()
        oracle.read(tmp_path / worker)
        every.append((oracle.slices(), oracle.flows(), oracle.counters(), stats.events, stats.lanes, stats.left_open))
    assert every[0] == every[1]
    assert len(every[0][0]) == 1_005


def test_a_session_has_the_same_rows_with_either_worker(oracle, tmp_path):
    counter, track = novatrace.counter("of workers"), novatrace.track("row of workers")

    @novatrace.trace_func_args
    def function(x):
        return x

    every = []
    for worker in WORKERS:
        with novatrace.open(tmp_path / worker, worker=worker, process_name="p") as session:
            assert session.worker == worker == novatrace.session().worker
            for at in range(500):
                with novatrace.trace("outer", at=at, text="ä" * at, big=2**70):
                    with novatrace.trace(f"made {at % 3}", category="c"):
                        counter.set(at)
                with track.trace("on the row"):
                    function(at)
            report = session.close()
        assert session.worker == worker
        oracle.read(tmp_path / worker)
        rows = [(*row[:1], *row[3:]) for row in oracle.slices()]
        every.append((rows, [row[2] for row in oracle.counters()], report.events, report.lost, report.threads))
    assert every[0] == every[1]
    assert len(every[0][0]) == 2_000


def test_the_old_calls_have_the_same_rows_with_either_worker(oracle, tmp_path, monkeypatch):
    every = []
    for value, worker in (("1", "process"), ("0", "thread"), (None, "process")):
        monkeypatch.delenv("BOSSANOVA_PROTOBUF_MP", raising=False)
        if value is not None:
            monkeypatch.setenv("BOSSANOVA_PROTOBUF_MP", value)
        trace = _tgen.TraceGenerator(str(tmp_path / f"{value}"), 3)
        assert trace.worker == worker
        track = trace.get_cluster_tgen(0, 1).create_track("XPU", 1)
        for at in range(200):
            track.duration(at * 1e-6, 1e-6, f"{at}", {"at": at}, [7], ["c"])
        trace.get_cluster_tgen(0, 1).create_counter_track("b").count(0.5, 2.5)
        trace.block_until_all_tasks_done()
        oracle.read(trace.filename)
        every.append((oracle.slices(), oracle.flows(), oracle.counters()))
    assert every[0] == every[1] == every[2]
    assert len(every[0][0]) == 200


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_it_compresses(oracle, path, compression):
    with novatrace.open(path, worker="process", compression=compression):
        for at in range(1_000):
            novatrace.instant("a", at=at)
    if compression == "zlib":
        assert recorded(oracle, path) == list(range(1_000))
    assert path.stat().st_size < 10_000


def test_threads_record_into_it(oracle, path):
    run("""
        import threading
        with novatrace.open(sys.argv[1], worker="process") as session:
            def work(start):
                for at in range(start, start + 1_000):
                    novatrace.instant("a", at=at)
            threads = [threading.Thread(target=work, args=(n * 1_000,)) for n in range(20)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
    """, path)
    assert recorded(oracle, path) == list(range(20_000))


def test_twenty_generators_have_a_worker_each(oracle, tmp_path):
    paths = [tmp_path / f"{at}.pftrace" for at in range(20)]
    traces = [_tgen.TraceGenerator(str(path), at) for at, path in enumerate(paths)]
    assert {trace.worker for trace in traces} == {"process"}
    numbers = [workers(path) for path in paths]
    assert {len(each) for each in numbers} == {1} and len(set(itertools.chain(*numbers))) == 20
    tracks = [trace.get_cluster_tgen(0, 0).create_track("t", 0) for trace in traces]
    for at in range(1_000):
        for track in tracks:
            track.duration(at * 1e-6, 1e-6, "a", {"at": at})
    for trace, path in zip(traces, paths):
        trace.block_until_all_tasks_done()
        assert recorded(oracle, path) == list(range(1_000))


# ---- how it is chosen ----


def test_another_worker_is_a_value_error(path):
    for make in (novatrace.open, novatrace.TraceGenerator):
        with pytest.raises(ValueError, match='worker is "thread" or "process", not "fiber"'):
            make(path, worker="fiber")
    assert not path.exists()


@pytest.mark.parametrize("make", [novatrace.open, novatrace.TraceGenerator])
def test_whoever_runs_the_program_may_choose(path, monkeypatch, make):
    for asked in WORKERS:
        monkeypatch.setenv("NOVATRACE_WORKER", asked)
        for chosen in WORKERS:
            with make(path, worker=chosen) as trace:
                assert trace.worker == asked


def test_where_it_cannot_be_had_it_is_a_thread_and_the_log_says_so_for_each_trace(
    oracle, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("NOVATRACE_WORKER", "/nowhere/novatrace")
    for name, make in (("a", novatrace.open), ("b", novatrace.TraceGenerator), ("c", _tgen.TraceGenerator)):
        with caplog.at_level(logging.WARNING, logger="novatrace"):
            trace = make(tmp_path / name) if make is _tgen.TraceGenerator else make(tmp_path / name, worker="process")
        assert trace.worker == "thread"
        (record,) = caplog.records
        assert record.name == "novatrace" and record.getMessage().startswith(
            f"the worker of {tmp_path / name} is a thread and not a process: cannot start the worker `/nowhere/novatrace`: "
        )
        caplog.clear()
        trace.block_until_all_tasks_done() if make is _tgen.TraceGenerator else trace.__exit__()
        oracle.read(tmp_path / name)


def test_what_is_no_interpreter_is_not_started(path, tmp_path):
    # A program with an interpreter in it: empty, or its own name.
    for executable in ("''", "None", "'/bin/true'"):
        code = f"""
            import sys
            sys.executable = {executable}
            import novatrace
            with novatrace.open(sys.argv[1], worker="process") as session:
                assert session.worker == "thread"
        """
        command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": ""})
        assert done.returncode == 0, done.stderr
        assert "there is no binary `novatrace`" in done.stderr and done.stderr.count("\n") == 1


def script(folder, name, before=""):
    path = folder / name
    path.write_text(f'#!/bin/sh\n{before}exec {sys.executable} -m novatrace "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_the_command_of_the_package_is_one_too(oracle, path, tmp_path, monkeypatch):
    monkeypatch.setenv("NOVATRACE_WORKER", script(tmp_path, "command"))
    with novatrace.open(path, worker="process") as session:
        assert session.worker == "process"
        novatrace.instant("a", at=1)
    assert recorded(oracle, path) == [1]


@pytest.mark.parametrize("make", ["open", "TraceGenerator"])
def test_other_threads_run_while_it_starts(path, tmp_path, make):
    waits = f"touch {tmp_path}/started\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.01; done\n"
    run(f"""
        import pathlib, threading, time
        folder = pathlib.Path(sys.argv[1]).parent
        def other():
            while not (folder / "started").exists():
                time.sleep(0.001)
            (folder / "go").touch()
        threading.Thread(target=other).start()
        with novatrace.{make}(sys.argv[1], worker="process") as trace:
            assert trace.worker == "process"
    """, path, env={**os.environ, "NOVATRACE_WORKER": script(tmp_path, "slow", waits)})


def test_its_interpreter_has_one_thread_when_it_forks():
    code = (
        "import sys; from importlib.machinery import ExtensionFileLoader as E, ModuleSpec as S;"
        "s = S('novatrace._novatrace', E('novatrace._novatrace', sys.argv[1]), origin=sys.argv[1]);"
        "m = s.loader.create_module(s); s.loader.exec_module(m); m._serve_worker(sys.argv);"
        "import posix; print(len(posix.listdir('/proc/self/task')))"
    )
    command = [sys.executable, "-I", "-S", "-E", "-B", "-c", code, novatrace._novatrace.__file__]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "1\n"


def test_a_program_that_ignores_its_children_has_one(oracle, path):
    run("""
        import signal
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with novatrace.open(sys.argv[1], worker="process") as session:
            assert session.worker == "process"
            novatrace.instant("a", at=1)
    """, path)
    assert recorded(oracle, path) == [1]


# ---- what it survives ----


@both
@pytest.mark.parametrize("first", [1, 7_000, 60_000])
def test_all_that_a_killed_program_recorded_is_in_the_file(oracle, path, what, first):
    page = path.with_suffix(".page")
    page.write_bytes(bytes(mmap.PAGESIZE))
    program = start(OPEN[what] + """
import mmap, struct
with open(sys.argv[1].replace(".pftrace", ".page"), "r+b") as file:
    page = mmap.mmap(file.fileno(), 0)
assert trace.worker == "process"
for at in range(1, 1_000_000_000):
    record(at)
    struct.pack_into("<q", page, 0, at)
""", path)
    def last():
        return struct.unpack_from("<q", page.read_bytes())[0]
    while last() < first:
        assert program.poll() is None, program.communicate()
    program.kill()
    program.communicate(timeout=60)
    wait_for_worker(path)
    count = recorded(oracle, path)
    # The one that was being recorded may be there.
    assert count in (list(range(1, last() + 1)), list(range(1, last() + 2)))


@both
@pytest.mark.parametrize("end, status", [("os._exit(3)", 3), ("os.abort()", -signal.SIGABRT)])
def test_an_end_without_a_close_loses_nothing(oracle, path, what, end, status):
    run(OPEN[what] + f"""
for at in range(10_000):
    record(at)
{end}
""", path, status=status)
    assert recorded(oracle, path) == list(range(10_000))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_all_of_the_program_leaves_it_until_it_is_done(oracle, path, sent):
    program = start(OPEN["session"] + """
import time
print("ready", flush=True)
for at in range(10_000):
    record(at)
print("recorded", flush=True)
time.sleep(60)
""", path, stdout=subprocess.PIPE, start_new_session=True)
    assert program.stdout.readline() == "ready\n"
    assert len(workers(path)) == 1
    assert program.stdout.readline() == "recorded\n"
    os.killpg(program.pid, sent)
    _, stderr = program.communicate(timeout=60)
    assert ("KeyboardInterrupt" in stderr) == (sent == signal.SIGINT)
    wait_for_worker(path)
    assert recorded(oracle, path) == list(range(10_000))


@pytest.mark.parametrize("make", [novatrace.open, novatrace.TraceGenerator])
def test_the_program_goes_on_if_it_is_killed_and_is_told_at_the_end(oracle, path, make):
    trace = make(path, worker="process")
    track = None if make is novatrace.open else trace.track("t")

    def record(at):
        track.duration(at * 10, 5, "a", at=at) if track else novatrace.instant("a", at=at)

    for at in range(1_000):
        record(at)
    trace.flush()
    (worker,) = workers(path)
    os.kill(worker, signal.SIGKILL)
    for at in range(1_000, 100_000):
        record(at)
    with pytest.raises(OSError, match="worker was killed") as raised:
        trace.flush()
    assert raised.value.filename == str(path) and isinstance(raised.value, novatrace.TraceFileError)
    with pytest.raises(OSError, match="worker was killed"):
        trace.close() if track is None else trace.finish()
    assert recorded(oracle, path) == list(range(1_000))


# ---- what it leaves alone, and behind ----


@both
def test_a_forked_child_does_not_touch_the_parents_trace(oracle, path, what):
    # More than a ring has room for: nobody takes it.
    run(OPEN[what].replace("'block'", "'block', children='quiet'") + """
for at in range(1_000):
    record(at)
child = os.fork()
if child == 0:
    for at in range(50_000):
        record(9_999_999)
    if hasattr(trace, "track"):
        trace.track("of the child").duration(0, 5, "a", at=-1)
    try:
        trace.flush()
    except novatrace.TraceStateError as error:
        assert "forked" in str(error), error
    sys.exit(0)
import threading
for at in range(1_000, 2_000):
    # Another ring each.
    thread = threading.Thread(target=record, args=(at,))
    thread.start()
    thread.join()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
trace.__exit__()
""", path)
    assert recorded(oracle, path) == list(range(2_000))


@pytest.mark.parametrize("worker", WORKERS)
def test_a_forked_child_neither_waits_nor_fails_for_its_parents_trace(path, worker):
    run(f"""
        trace = novatrace.TraceGenerator(sys.argv[1], worker={worker!r})
        track = trace.track("t")
        child = os.fork()
        for at in range(50_000):
            track.duration(at * 10, 5, "a", at=at)
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        trace.finish()
        assert trace.stats().events == 50_000
    """, path, warnings="ignore")


TRACE = None


def record_in_pool(at):
    # Of a forked process; one that was spawned has none.
    if TRACE is not None:
        TRACE.track("t").duration(at, 1, "a", at=-1)
    return os.getpid()


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_processes_of_a_pool_leave_the_trace_alone(oracle, path, method):
    global TRACE
    with novatrace.TraceGenerator(path, worker="process") as TRACE:
        track = TRACE.track("t")
        for at in range(1_000):
            track.duration(at * 10, 5, "a", at=at)
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert os.getpid() not in pool.map(record_in_pool, range(100))
            pool.close()
            pool.join()
        for at in range(1_000, 2_000):
            track.duration(at * 10, 5, "a", at=at)
    TRACE = None
    assert recorded(oracle, path) == list(range(2_000))


def test_a_forked_child_that_lives_on_does_not_keep_it(path):
    program = start("""
        trace = novatrace.TraceGenerator(sys.argv[1], worker="process")
        if os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
        os._exit(0)
    """, path, stdin=subprocess.PIPE)
    program.wait(timeout=60)
    wait_for_worker(path)
    assert workers(path) == []
    program.communicate(timeout=60)


@pytest.mark.parametrize("make", ["open", "TraceGenerator"])
def test_nothing_of_it_is_left(path, make):
    stdout, _ = run(f"""
        import subprocess
        def listed():
            code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
            done = subprocess.run([sys.executable, "-c", code], close_fds=False, stdout=subprocess.PIPE)
            return done.stdout
        before = listed()
        own = sorted(os.listdir("/proc/self/fd"))
        trace = novatrace.{make}(sys.argv[1], worker="process")
        assert trace.worker == "process"
        assert listed() == before
        with open(f"/proc/self/task/{{os.getpid()}}/children") as children:
            assert children.read() == ""
        trace.__exit__()
        del trace
        import gc
        gc.collect()
        with open(f"/proc/self/task/{{os.getpid()}}/children") as children:
            assert children.read() == ""
        if {make!r} == "TraceGenerator":
            assert sorted(os.listdir("/proc/self/fd")) == own
    """, path)
    assert workers(path) == []
    assert os.listdir(path.parent) == [path.name]


def test_it_is_over_when_the_trace_is(path):
    with novatrace.TraceGenerator(path, worker="process"):
        (worker,) = workers(path)
        process = os.pidfd_open(worker)
    assert select.select([process], [], [], 60)[0]
    os.close(process)


def test_what_the_program_was_given_ends_with_the_programs_end_of_it(path):
    read, write = os.pipe()
    program = start(f"""
        trace = novatrace.TraceGenerator(sys.argv[1], worker="process")
        os.close({write})
        print("closed", flush=True)
        sys.stdin.read()
    """, path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[write])
    os.close(write)
    assert program.stdout.readline() == "closed\n"
    assert select.select([read], [], [], 60)[0] and os.read(read, 1) == b""
    assert len(workers(path)) == 1
    program.communicate(timeout=60)
    os.close(read)


def test_a_program_under_run_has_one(oracle, path):
    code = "import os\ndef called(): os._exit(0)\ncalled()\n"
    path.with_suffix(".py").write_text(code)
    command = [sys.executable, "-m", "novatrace", "run", "-o", str(path), "--worker", "process"]
    subprocess.run([*command, str(path.with_suffix(".py"))], check=True, timeout=60)
    wait_for_worker(path)
    names = [row[0] for row in oracle.read(path).rows("select name from slice")]
    assert sum(name.startswith("called ") for name in names) == 1, names


def test_parts_lie_beside_a_file_that_is_named_by_a_relative_path(oracle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with novatrace.TraceGenerator("a.pftrace", worker="process", rotate_bytes=2_000) as trace:
        track = trace.track("t")
        for at in range(1_000):
            track.duration(at * 10, 5, "a", at=at)
            if at % 200 == 0:
                trace.flush()
    parts = sorted(tmp_path.iterdir())
    assert len(parts) > 2 and trace.worker == "process"
    assert sorted(at for part in parts for at in recorded(oracle, part)) == list(range(1_000))
