"""Processes: exits without a close, interrupts, forks, sub-processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import pytest


def run(code, path, *, status=0):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), str(path)],
        capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == status, done.stderr
    return done


def names(oracle, path):
    return [row[0] for row in oracle.read(path).rows("select name from slice order by ts, id")]


def test_a_session_that_is_not_closed_is_complete_at_exit(oracle, path):
    run("""
        import novatrace, sys
        novatrace.open(sys.argv[1])
        with novatrace.trace("a"):
            novatrace.instant("b")
    """, path)
    assert names(oracle, path) == ["a", "b"]


def test_a_session_that_is_kept_and_not_closed_is_complete_at_exit(oracle, path):
    run("""
        import novatrace, sys
        session = novatrace.open(sys.argv[1])
        span = novatrace.trace("open at exit")
        span.__enter__()
        novatrace.instant("b")
        sys.exit(3)
    """, path, status=3)
    assert names(oracle, path) == ["open at exit", "b"]


def test_a_generator_that_is_not_finished_is_complete_at_exit(oracle, path):
    run("""
        import novatrace, sys
        trace = novatrace.TraceGenerator(sys.argv[1])
        track = trace.track("t")
        track.duration(0, 5, "a")
        keep = [track]; keep.append(keep)
        raise SystemExit(4)
    """, path, status=4)
    assert names(oracle, path) == ["a"]


def test_an_exception_ends_the_trace_well(oracle, path):
    done = run("""
        import novatrace, sys
        with novatrace.open(sys.argv[1]):
            with novatrace.trace("a"):
                raise ValueError("the program's")
    """, path, status=1)
    assert "the program's" in done.stderr and "novatrace" not in done.stderr.splitlines()[-1]
    assert names(oracle, path) == ["a"]


def test_an_interrupt_ends_the_trace_well(oracle, path):
    code = """
        import novatrace, sys, time
        with novatrace.open(sys.argv[1]):
            with novatrace.trace("a"):
                print("ready", flush=True)
                time.sleep(60)
    """
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    _, stderr = program.communicate(timeout=30)
    assert "KeyboardInterrupt" in stderr
    assert names(oracle, path) == ["a"]


def test_a_killed_program_leaves_a_file_that_opens(oracle, path):
    code = """
        import novatrace, sys, time
        session = novatrace.open(sys.argv[1], flush_interval=0.02)
        for at in range(1_000):
            with novatrace.trace("a"):
                pass
        time.sleep(0.5)
        print("ready", flush=True)
        time.sleep(60)
    """
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout.readline() == "ready\n"
    program.kill()
    program.communicate()
    assert names(oracle, path) == ["a"] * 1_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("what", ["session", "generator"])
def test_a_forked_child_does_not_touch_the_parents_file(oracle, path, what):
    opening = {
        "session": "trace = novatrace.open(sys.argv[1]); record = novatrace.instant",
        "generator": """trace = novatrace.TraceGenerator(sys.argv[1]); track = trace.track("t")
at = iter(range(1000))
def record(name): track.duration(next(at) * 10, 5, name)""",
    }[what]
    run(f"""
import novatrace, os, sys
{opening}
record("before")
child = os.fork()
if child == 0:
    record("in the child")
    try:
        trace.flush()
    except novatrace.TraceStateError as error:
        assert "forked" in str(error), error
    other = novatrace.TraceGenerator(sys.argv[1] + ".child") if {what!r} == "generator" else novatrace.open(sys.argv[1] + ".child")
    if {what!r} == "generator":
        other.track("t").duration(0, 5, "the child's own")
    else:
        novatrace.instant("the child's own")
    other.__exit__()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
record("after")
trace.__exit__()
""", path)
    assert names(oracle, path) == ["before", "after"]
    assert names(oracle, f"{path}.child") == ["the child's own"]


def work(path):
    import novatrace

    with novatrace.open(path):
        with novatrace.trace("worker", pid=os.getpid()):
            return os.getpid()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_of_a_pool_record_into_files_of_their_own(oracle, tmp_path, method):
    paths = [str(tmp_path / f"{at}.pftrace") for at in range(3)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        pids = pool.map(work, paths)
        pool.close()
        pool.join()
    for path, pid in zip(paths, pids):
        rows = oracle.read(path).slices()
        assert [(row[3], row[5]) for row in rows] == [("worker", {"pid": pid})]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_what_cannot_be_completed_at_exit_is_told():
    record = "track = trace.track('t'); track.duration(0, 5, 'a')"
    generator = f"import novatrace, sys; trace = novatrace.TraceGenerator(sys.argv[1]); {record}"
    live = "import novatrace, sys; novatrace.open(sys.argv[1]); novatrace.instant('a')"
    for code in (generator, live):
        said = run(code, "/dev/full").stderr
        assert said.startswith("novatrace: cannot write trace to `/dev/full`") and said.count("\n") == 1, said
    # Once told, it is not told again.
    for code in (
        f"{generator}\ntry: trace.finish()\nexcept novatrace.TraceFileError: pass",
        f"{live.replace('novatrace.open', 's = novatrace.open')}\ntry: s.close()\nexcept novatrace.TraceFileError: pass",
    ):
        assert run(code, "/dev/full").stderr == ""


def test_a_forked_child_says_nothing_of_its_parents_traces(path):
    assert run("""
        import novatrace, os, sys
        trace = novatrace.TraceGenerator(sys.argv[1])
        novatrace.open(sys.argv[1] + ".live")
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """, path).stderr == ""


def test_a_subinterpreter_is_refused_and_nothing_hangs(oracle, path):
    done = run("""
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import novatrace
        session = novatrace.open(sys.argv[1])
        code = "try:\\n import novatrace\\nexcept ImportError as error: print(error, flush=True)"
        interpreters.run_string(interpreters.create(), code)
        with novatrace.trace("main"):
            pass
    """, path)
    assert "does not support loading in subinterpreters" in done.stdout
    assert names(oracle, path) == ["main"]
