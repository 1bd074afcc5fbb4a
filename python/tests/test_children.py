"""Processes that the program starts record into its trace: forks, pools by every method, and programs."""

import collections
import concurrent.futures
import multiprocessing
import os
import pathlib
import subprocess
import sys
import textwrap
import time

import pytest

import novatrace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")

POOL = """
    import concurrent.futures, multiprocessing, os, sys
    import novatrace

    def work(at):
        with novatrace.trace("work", at=at):
            return os.getpid()

    if __name__ == "__main__":
        path, worker, method = sys.argv[1:]
        context = multiprocessing.get_context(method)
        with novatrace.open(path, worker=worker, children="join", process_name="parent"):
            with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:
                pids = set(pool.map(work, range(60)))
            with context.Pool(2) as pool:
                pids |= set(pool.map(work, range(60, 100)))
                pool.close()
                pool.join()
            process = context.Process(target=work, args=(100,))
            process.start()
            process.join()
            assert process.exitcode == 0
        print(*pids)
"""


def run(folder, program, *arguments):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(program))
    # A folder of its own, in which only the trace and what belongs to it is.
    ran = subprocess.run(
        # Newer versions warn of forks beside threads, of which the worker is one.
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script), *arguments],
        capture_output=True, text=True, timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def names(oracle):
    """How many slices of which name each process has, by its number."""
    found = collections.defaultdict(collections.Counter)
    for pid, name in oracle.rows(
        "select process.pid, slice.name from slice join thread_track on track_id = thread_track.id "
        "join thread using (utid) join process using (upid)"
    ):
        found[pid][name] += 1
    return found


@pytest.mark.parametrize("worker", ["thread", "process"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_pools_do_is_in_the_trace(oracle, tmp_path, worker, method):
    traces = tmp_path / "traces"
    traces.mkdir()
    path = traces / "trace"
    pids = set(map(int, run(tmp_path, POOL, str(path), worker, method).split()))
    loaded = oracle.read(path)
    assert os.listdir(traces) == ["trace"]
    found = names(loaded)
    assert sum(counts["work"] for counts in found.values()) == 101
    assert pids <= set(found)
    assert all(found[pid]["joined"] == 1 for pid in pids)
    # To each from where it was started, also if it is a fork of a server's, which is in no trace.
    flows = loaded.rows(
        "select p.pid, c.pid from flow join slice o on slice_out = o.id join slice i on slice_in = i.id "
        "join thread_track ot on o.track_id = ot.id join thread ott on ot.utid = ott.utid "
        "join process p on ott.upid = p.upid join thread_track it on i.track_id = it.id "
        "join thread itt on it.utid = itt.utid join process c on itt.upid = c.upid "
        "where o.name = 'child process' and i.name = 'joined'"
    )
    flows = {child: parent for parent, child in flows}
    assert pids <= set(flows)
    (parent,) = {flows[pid] for pid in pids}
    assert parent not in pids
    shown = loaded.rows("select distinct extract_arg(arg_set_id, 'debug.at') from slice where name = 'work'")
    assert sorted(at for (at,) in shown) == list(range(101))


def test_a_fork_has_an_arrow_from_where_it_was_made(oracle, tmp_path):
    program = """
        import os, sys
        import novatrace
        with novatrace.open(sys.argv[1], children="join") as session:
            assert session.children == "join"
            child = os.fork()
            if child == 0:
                # It has ended at once; what it recorded is in the file all the same.
                with novatrace.trace("in the child"):
                    pass
                assert novatrace.session().children == "join"
                novatrace.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            novatrace.instant("after")
    """
    path = tmp_path / "trace"
    run(tmp_path, program, str(path))
    loaded = oracle.read(path)
    found = [sorted(counts.elements()) for counts in names(loaded).values()]
    assert sorted(found) == [["after", "child process"], ["in the child", "joined"]]
    flows = loaded.rows(
        "select o.name, i.name from flow join slice o on slice_out = o.id join slice i on slice_in = i.id"
    )
    assert [tuple(flow) for flow in flows] == [("child process", "joined")]


def test_programs_that_are_started_join_and_what_they_open_is_their_own(oracle, tmp_path):
    child = """
import sys, novatrace
novatrace.instant('joined by itself')
assert not novatrace.session().closed
with novatrace.open(sys.argv[1]):
    novatrace.instant('its own')
"""
    program = f"""
        import os, subprocess, sys
        import novatrace
        path, own = sys.argv[1:]
        with novatrace.open(path, children="join"):
            assert "NOVATRACE_JOIN" in os.environ
            subprocess.run([sys.executable, "-c", {child!r}, own], check=True)
        assert "NOVATRACE_JOIN" not in os.environ
        # Nothing to join.
        subprocess.run([sys.executable, "-c", "import novatrace; assert novatrace.session() is None"], check=True)
    """
    path, own = tmp_path / "trace", tmp_path / "own"
    run(tmp_path, program, str(path), str(own))
    loaded = oracle.read(path)
    found = [sorted(counts.elements()) for counts in names(loaded).values()]
    # Python 3.9 starts a program by a fork, which is told, too.
    assert ["joined", "joined by itself"] in found and {name for counts in found for name in counts} == {
        "child process", "joined", "joined by itself"}
    ((said, told),) = loaded.rows(
        "select extract_arg(o.arg_set_id, 'debug.pid'), pid from flow join slice o on slice_out = o.id "
        "join slice i on slice_in = i.id join thread_track t on i.track_id = t.id "
        "join thread using (utid) join process using (upid) where o.name = 'child process' and i.name = 'joined'"
    )
    assert said == told
    found = [sorted(counts.elements()) for counts in names(oracle.read(own)).values()]
    assert found == [["its own"]]


@pytest.mark.parametrize("worker", ["thread", "process"])
@pytest.mark.parametrize("way", ["preexec", "exec"])
def test_a_program_that_takes_a_forks_place_joins(oracle, tmp_path, worker, way):
    child = "import novatrace; novatrace.instant('in the program')"
    program = f"""
        import os, subprocess, sys
        import novatrace
        path, worker, way = sys.argv[1:]
        with novatrace.open(path, children="join", worker=worker):
            program = [sys.executable, "-c", {child!r}]
            if way == "preexec":
                subprocess.run(program, check=True, preexec_fn=os.setsid)
            else:
                fork = os.fork()
                if fork == 0:
                    os.execv(program[0], program)
                assert os.waitpid(fork, 0)[1] == 0
    """
    path = tmp_path / "trace"
    run(tmp_path, program, str(path), worker, way)
    loaded = oracle.read(path)
    # The fork may have joined, too, before.
    found = [set(counts) for counts in names(loaded).values()]
    assert {"in the program", "joined"} in found, found


def test_closing_again_what_was_closed_leaves_the_next_session_alone(tmp_path):
    program = """
        import os, sys
        import novatrace
        first = novatrace.open(sys.argv[1], children="join")
        first.close()
        second = novatrace.open(sys.argv[2], children="join")
        told = os.environ["NOVATRACE_JOIN"]
        try:
            first.close()
        except novatrace.TraceStateError:
            pass
        assert os.environ["NOVATRACE_JOIN"] == told
        second.close()
        assert "NOVATRACE_JOIN" not in os.environ
    """
    run(tmp_path, program, str(tmp_path / "first"), str(tmp_path / "second"))


@pytest.mark.parametrize("children", [None, "quiet"])
def test_children_are_quiet_beside_a_thread(oracle, tmp_path, children):
    program = f"""
        import os, sys
        import novatrace
        with novatrace.open(sys.argv[1], children={children!r}) as session:
            assert session.children == "quiet" and "NOVATRACE_JOIN" not in os.environ
            child = os.fork()
            if child == 0:
                novatrace.instant("nobody records this")
                os._exit(int(novatrace.is_recording()))
            assert os.waitpid(child, 0)[1] == 0
            novatrace.instant("after")
    """
    path = tmp_path / "trace"
    run(tmp_path, program, str(path))
    found = [sorted(counts.elements()) for counts in names(oracle.read(path)).values()]
    assert found == [["after"]]


def test_a_process_that_a_pool_kills_loses_nothing_with_a_worker_of_its_own(oracle, tmp_path):
    program = """
        import multiprocessing, os, signal, sys
        import novatrace

        def work(at):
            with novatrace.trace("work", at=at):
                pass
            os.kill(os.getpid(), signal.SIGKILL)

        if __name__ == "__main__":
            with novatrace.open(sys.argv[1], worker="process"):
                context = multiprocessing.get_context("fork")
                processes = [context.Process(target=work, args=(at,)) for at in range(5)]
                for process in processes:
                    process.start()
                for process in processes:
                    process.join()
                    assert process.exitcode == -signal.SIGKILL
    """
    path = tmp_path / "trace"
    run(tmp_path, program, str(path))
    lock = pathlib.Path(f"{path}.novatrace-lock")
    for _ in range(1_000):
        if not lock.exists():
            break
        time.sleep(0.01)
    found = [sorted(counts.elements()) for counts in names(oracle.read(path)).values()]
    assert sorted(found) == [["child process"] * 5] + [["joined", "work"]] * 5


def test_shards(oracle, tmp_path):
    program = """
        import os, sys
        import novatrace
        with novatrace.open(sys.argv[1], children="shard"):
            child = os.fork()
            if child == 0:
                novatrace.instant("in a shard")
                novatrace.close()
                os._exit(0)
            os.waitpid(child, 0)
            print(child)
    """
    path = tmp_path / "run.pftrace"
    child = run(tmp_path, program, str(path)).strip()
    found = names(oracle.read(tmp_path / f"run.{child}.pftrace"))
    assert {pid: sorted(counts.elements()) for pid, counts in found.items()} == {int(child): ["in a shard", "joined"]}


def test_what_cannot_be_joined_is_refused_by_name(tmp_path):
    with pytest.raises(novatrace.TraceValueError, match='"quiet", "join" or "shard", not "both"'):
        novatrace.open(tmp_path / "trace", children="both")
    with novatrace.open(tmp_path / "trace.pftrace", rotate_bytes=1 << 20):
        novatrace.instant("kept")
    (part,) = tmp_path.glob("trace.*")
    size = part.stat().st_size
    with pytest.raises(novatrace.TraceError, match="child processes cannot join"):
        novatrace.open(tmp_path / "trace.pftrace", children="join", rotate_bytes=1 << 20)
    # What was there before is.
    assert part.stat().st_size == size > 0
    assert novatrace.session() is None or novatrace.session().closed
