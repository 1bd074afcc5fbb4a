"""`novatrace run`: programs as they are, a span for every call."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

NEW = sys.version_info >= (3, 12)
CALLS = (
    "select thread.name, depth, slice.name from slice join thread_track on track_id = thread_track.id"
    " join thread using (utid) order by thread.name, slice.ts, depth"
)


class Program:
    """A script in a folder of its own, run under `novatrace run` and, to compare, by itself."""

    def __init__(self, folder, oracle):
        self.folder, self.oracle, self.trace = folder, oracle, folder / "t.pftrace"

    def write(self, source, name="script.py"):
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(textwrap.dedent(source))

    def plainly(self, *arguments):
        return self._run([sys.executable, *arguments])

    def traced(self, *arguments, options=()):
        return self._run([sys.executable, "-m", "novatrace", "run", "-o", str(self.trace), *options, *arguments])

    def _run(self, command):
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)

    def is_as_plainly(self, *arguments, said=True):
        """Output, tracebacks and exit status are those of the program itself; but for our last line."""
        plain, traced = self.plainly(*arguments), self.traced(*arguments)
        errors = traced.stderr
        if said:
            *_, last = errors.splitlines()
            assert last.startswith("novatrace: ") and last.endswith("open it at https://ui.perfetto.dev")
            errors = errors[: -len(last) - 1]
        assert (traced.returncode, traced.stdout, errors) == (plain.returncode, plain.stdout, plain.stderr)
        return traced

    def calls(self, file="script.py"):
        """`(thread, depth, name)` of the calls of functions in a file, and of exceptions."""
        rows = self.oracle.read(self.trace).rows(CALLS)
        return [row for row in rows if f"({file}:" in row[2] or row[2].startswith("exception")]

    def counts(self):
        return dict(self.oracle.read(self.trace).rows("select name, count() from slice group by name"))


@pytest.fixture
def program(tmp_path, oracle):
    return Program(tmp_path, oracle)


def raised(name):
    # Older interpreters do not say what is raised.
    return f"exception {name}" if NEW else "exception"


def test_calls_nest_as_they_were_made(program):
    program.write(
        """\
        class Shape:
            def area(self):
                return self.side() * self.side()
            def side(self):
                return 3
        def main():
            Shape().area()
            len([])
        main()
        """
    )
    done = program.traced("script.py")
    assert (done.returncode, done.stdout) == (0, "")
    shape = "Shape." if sys.version_info >= (3, 11) else ""
    assert program.calls() == [
        ("MainThread", 0, "<module> (script.py:1)"),
        ("MainThread", 1, "Shape (script.py:1)"),
        ("MainThread", 1, "main (script.py:6)"),
        ("MainThread", 2, f"{shape}area (script.py:2)"),
        ("MainThread", 3, f"{shape}side (script.py:4)"),
        ("MainThread", 3, f"{shape}side (script.py:4)"),
    ]
    assert {row[0] for row in program.oracle.rows("select distinct category from slice")} == {"python"}


def test_every_call_is_there_however_many(program):
    program.write("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(22)\n")
    done = program.traced("script.py")
    assert program.counts()["fib (script.py:1)"] == 57_313
    events = sum(program.counts().values())
    assert done.stderr == f"novatrace: {events:,} events in {program.trace}; open it at https://ui.perfetto.dev\n"
    assert program.oracle.rows("select max(depth) from slice where name like 'fib%'") == [(22,)]
    assert program.oracle.rows("select count() from slice where dur < 0") == [(0,)]


def test_c_functions_are_there_if_asked_for(program):
    program.write("import time\ndef f():\n    time.sleep(0)\n    [].append(sorted([2, 1]))\nf()\n")
    program.traced("script.py", options=["--c-functions", "--include", "script.py"])
    sql = "select depth, name, category from slice order by ts, depth"
    assert program.oracle.read(program.trace).rows(sql) == [
        (0, "<module> (script.py:1)", "python"),
        *[row for row in program.oracle.rows(sql) if "__import__" in row[1]],
        (1, "f (script.py:2)", "python"),
        (2, "time.sleep", "c"),
        (2, "builtins.sorted", "c"),
        (2, "list.append", "c"),
    ]
    program.traced("script.py")
    assert "time.sleep" not in program.counts()


def test_each_thread_has_its_track_and_name(program):
    program.write(
        """\
        import threading
        def work(n):
            for _ in range(n): step()
        def step(): pass
        threads = [threading.Thread(target=work, args=(n,), name=f"worker {n}") for n in (2, 3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """
    )
    program.traced("script.py")
    calls = [(thread, name.split()[0]) for thread, _, name in program.calls() if thread != "MainThread"]
    assert calls == [(f"worker {n}", name) for n in (2, 3) for name in ["work"] + ["step"] * n]
    runs = program.oracle.rows("select count() from slice where name glob '*run (threading.py:*'")
    assert runs == [(2,)]


def test_threads_that_outlive_the_script_are_in_the_trace(program):
    program.write(
        """\
        import atexit, threading, time
        def late(): time.sleep(0.05); inner()
        def inner(): pass
        def last(): pass
        atexit.register(last)
        threading.Thread(target=late).start()
        """
    )
    program.traced("script.py")
    assert {name.split()[0] for _, _, name in program.calls()} == {"<module>", "late", "inner", "last"}


def test_functions_left_by_exceptions_say_so(program):
    program.write(
        """\
        def bad(): {}["key"]
        def through(): bad()
        def fine():
            try: through()
            except KeyError: pass
        fine()
        """
    )
    program.traced("script.py")
    assert [row[1:] for row in program.calls()] == [
        (0, "<module> (script.py:1)"),
        (1, "fine (script.py:3)"),
        (2, "through (script.py:2)"),
        (3, "bad (script.py:1)"),
        (4, raised("KeyError")),
        (3, raised("KeyError")),
    ]


def test_generators_and_coroutines_have_a_span_for_each_resume(program):
    program.write(
        """\
        import asyncio
        def count(n):
            for i in range(n):
                inside()
                yield i
        def inside(): pass
        async def sleeper():
            await asyncio.sleep(0)
            inside()
        list(count(2))
        asyncio.run(sleeper())
        """
    )
    program.traced("script.py", options=["--include", "script.py"])
    assert [row[1:] for row in program.calls()] == [
        (0, "<module> (script.py:1)"),
        (1, "count (script.py:2)"), (2, "inside (script.py:6)"),
        (1, "count (script.py:2)"), (2, "inside (script.py:6)"),
        (1, "count (script.py:2)"),
        (1, "sleeper (script.py:7)"),
        (1, "sleeper (script.py:7)"), (2, "inside (script.py:6)"),
    ]


def test_files_are_chosen_by_globs(program):
    program.write("import json, part.inner\ndef f(): part.inner.g()\nf()\njson.loads('{}')\n")
    program.write("def g(): pass\n", "part/inner.py")

    def names(*options):
        program.traced("script.py", options=options)
        return {name for name in program.counts() if "importlib" not in name}

    script = {"<module> (script.py:1)", "f (script.py:2)"}
    part = {"<module> (inner.py:1)", "g (inner.py:1)"}
    assert names("--include", "script.py") == script
    assert names("--include", "*/part/*") == part
    assert names("--include", "script.py", "--include", "inner.*") == script | part
    assert names("--include", str(program.folder) + "/*", "--exclude", "inner.py") == script
    assert any("json" in name or "decoder" in name for name in names("--exclude", "script.py"))


def test_short_calls_are_left_out_and_long_ones_keep_their_times(program):
    program.write(
        """\
        import time
        def short(): pass
        def long(): short(); nested(); short()
        def nested(): time.sleep(0.03)
        def loop():
            for _ in range(1000): short()
        def broken():
            time.sleep(0.03); failing()
        def failing(): raise ValueError
        long(); loop(); long()
        try: broken()
        except ValueError: pass
        """
    )
    program.traced("script.py", options=["--min-duration", "20000", "--include", "script.py"])
    assert [row[1:] for row in program.calls()] == [
        (0, "<module> (script.py:1)"),
        (1, "long (script.py:3)"), (2, "nested (script.py:4)"),
        (1, "long (script.py:3)"), (2, "nested (script.py:4)"),
        (1, "broken (script.py:7)"),
        # Not of `failing`, which is not there.
        (2, raised("ValueError")),
    ]
    lengths = program.oracle.rows("select name, min(dur) >= 29e6, max(dur) < 1e9 from slice where dur > 0 group by name")
    assert all(row[1:] == (1, 1) for row in lengths), lengths
    module, first = program.oracle.rows("select ts from slice order by ts limit 2")
    assert first[0] - module[0] < 20_000_000


def test_a_call_that_lasts_for_seconds_begins_when_it_began(program):
    # Longer than from one snapshot of the clocks to the next.
    program.write(
        """\
        import time, threading
        def outer(): time.sleep(0.2); waits(); after()
        def waits(): time.sleep(3)
        def after(): time.sleep(0.2)
        def other():
            for _ in range(300): tick()
        def tick(): time.sleep(0.01)
        thread = threading.Thread(target=other); thread.start()
        outer()
        thread.join()
        """
    )
    program.traced("script.py", options=["--min-duration", "100000", "--include", "script.py"])
    spans = dict(
        (name.split()[0], (start, length))
        for name, start, length in program.oracle.read(program.trace).rows("select name, ts, dur from slice")
    )
    assert set(spans) == {"<module>", "outer", "waits", "after", "other"}
    outer, waits, after = spans["outer"], spans["waits"], spans["after"]
    assert 0 <= waits[0] - outer[0] - 200_000_000 < 50_000_000
    assert 0 <= waits[1] - 3_000_000_000 < 50_000_000
    assert 0 <= after[0] - (waits[0] + waits[1]) < 5_000_000


def test_what_the_program_records_itself_stays_inside_its_functions(program):
    program.write(
        """\
        import time, novatrace
        def f():
            with novatrace.trace("own"):
                g()
        def g():
            novatrace.instant("mark")
        def silent(): pass
        f(); silent()
        """
    )
    expected = [
        (0, "<module> (script.py:1)"), (1, "f (script.py:2)"), (2, "own"), (3, "g (script.py:5)"), (4, "mark"),
    ]
    for options, more in ([], [(1, "silent (script.py:7)")]), (["--min-duration", "1e6"], []):
        program.traced("script.py", options=["--include", "script.py", *options])
        rows = program.oracle.read(program.trace).rows("select depth, name from slice order by ts, depth")
        assert rows == expected + more


def test_a_span_that_another_thread_ends_is_over_for_the_functions_after_it(program):
    program.write(
        """\
        import threading, novatrace
        def f():
            span = novatrace.trace("own")
            span.__enter__()
            thread = threading.Thread(target=span.__exit__, args=(None, None, None))
            thread.start(); thread.join()
            g()
        def g(): pass
        f(); g()
        """
    )
    program.traced("script.py", options=["--include", "script.py"])
    assert program.oracle.read(program.trace).rows("select depth, name from slice order by ts, depth") == [
        (0, "<module> (script.py:1)"), (1, "f (script.py:2)"), (2, "own"), (2, "g (script.py:8)"), (1, "g (script.py:8)"),
    ]


SHOW = """\
import sys, __main__
print(sys.argv, sys.path[0], __name__, __file__, __package__, type(__loader__).__name__)
print(__main__.__dict__ is globals(), sorted(name for name in globals() if name.startswith("__")))
"""


def test_a_script_finds_what_python_gives_it(program):
    program.write(SHOW)
    program.is_as_plainly("script.py", "-x", "--", "-m", "run", "--version", "-o", "b")
    program.is_as_plainly("./script.py")
    program.write(SHOW, "folder/__main__.py")
    program.is_as_plainly("folder", "a", "-b")


def test_a_module_finds_what_python_gives_it(program):
    program.write(SHOW, "package/module.py")
    program.is_as_plainly("-m", "package.module", "-x", "-m", "b")
    assert ("MainThread", "<module> (module.py:1)") in [(row[0], row[2]) for row in program.calls("module.py")]
    program.write(SHOW, "package/__main__.py")
    program.is_as_plainly("-m", "package")


@pytest.mark.parametrize(
    "end",
    [
        "sys.exit(3)", "sys.exit('because')", "raise ValueError('no')", "f()", "raise SystemExit",
        "sys.excepthook = lambda *error: print('hooked', error[0]); f()",
        "try: f()\nexcept KeyError as error: raise ValueError from error", "import nowhere",
    ],
)
def test_a_program_ends_as_it_would(program, end):
    program.write(f"import sys\ndef f(): raise KeyError('k')\n{end}\n")
    program.is_as_plainly("script.py")
    if end != "x = = 1":
        assert program.calls()[0] == ("MainThread", 0, "<module> (script.py:1)")


def test_an_interrupted_program_dies_of_it_with_its_trace_complete(program):
    program.write("import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGINT); [0 for _ in range(10**8)]\nf()\n")
    traced = program.traced("script.py")
    assert traced.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in traced.stderr and "novatrace/" not in traced.stderr
    names = [row[2] for row in program.calls()]
    assert "f (script.py:2)" in names and raised("KeyboardInterrupt") in names


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_records_nothing(program):
    program.write(
        """\
        import os, sys
        def parent(): pass
        def child(): pass
        process = os.fork()
        if process == 0:
            child()
            sys.exit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        parent()
        """
    )
    done = program.traced("script.py")
    assert (done.returncode, done.stdout, done.stderr.count("novatrace")) == (0, "5\n", 1)
    counts = program.counts()
    assert "child (script.py:3)" not in counts and counts["parent (script.py:2)"] == 1


def test_what_cannot_be_run_is_said(program):
    program.write("print('ran')")
    for arguments, said in (
        (["nowhere.py"], "can't open file"), ([], "what is to be run"), (["-m"], "what is to be run"),
        (["-m", "nowhere"], "No module named nowhere"),
    ):
        done = program.traced(*arguments)
        assert done.returncode != 0 and said in done.stderr, done
    done = program.traced("script.py", options=["--min-duration", "-1"])
    assert (done.returncode, done.stdout) == (2, "")
    done = program.traced("script.py", options=["-o", "no/where"])
    assert (done.returncode, done.stdout) == (2, "") and "no/where" in done.stderr
    assert program.traced("script.py", options=["-q"]).stderr == ""


def test_calls_end_in_any_order_where_stacks_are_switched(program):
    pytest.importorskip("greenlet")
    program.write(
        """\
        import greenlet
        def one(): other.switch(); leaf()
        def two(): back.switch(); leaf()
        def leaf(): pass
        back, other = greenlet.greenlet(one), greenlet.greenlet(two)
        back.switch(); other.switch()
        """
    )
    program.traced("script.py")
    assert program.counts()["leaf (script.py:4)"] == 2


@pytest.mark.parametrize("arguments", [["nowhere.py"], ["-m", "nowhere"], ["empty"], ["wrong.py"]])
def test_what_cannot_be_run_leaves_the_last_trace_alone(program, arguments):
    (program.folder / "empty").mkdir()
    program.write("1 +", "wrong.py")
    program.trace.write_text("the last one")
    if arguments == ["wrong.py"]:
        program.is_as_plainly(*arguments, said=False)
    else:
        done = program.traced(*arguments)
        assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    assert program.trace.read_text() == "the last one"


def test_a_trace_that_cannot_be_made_says_why(program):
    program.write("print('not run')")
    program.trace = program.folder / "nodir/x"
    done = program.traced("script.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: cannot create trace" in done.stderr and "Errno" not in done.stderr


def test_a_program_is_told_who_holds_the_session(program):
    program.write(
        """\
        import novatrace
        for call in (lambda: novatrace.open("own"), novatrace.close):
            try:
                call()
            except novatrace.TraceStateError as error:
                print(error)
        print(novatrace.session().path)
        """
    )
    opening, closing, path = program.traced("script.py").stdout.splitlines()
    assert "`novatrace run` records this program" in opening and "`novatrace run`'s" in closing
    assert path == str(program.trace)
    assert program.counts()["<module> (script.py:1)"] == 1


@pytest.mark.skipif(not NEW, reason="needs sys.monitoring")
def test_code_that_is_not_recorded_is_not_kept(program):
    program.write(
        """\
        import gc, weakref
        codes = []
        for at in range(200):
            code = compile("def f():\\n    raise KeyError\\ntry: f()\\nexcept KeyError: pass", "made up", "exec")
            codes.append(weakref.ref(code))
            exec(code, {})
            del code
        gc.collect()
        print(sum(code() is not None for code in codes))
        """
    )
    assert program.traced("script.py").stdout == "200\n"
    assert program.traced("script.py", options=["--exclude", "made up"]).stdout == "0\n"
    assert not program.calls("made up")


def test_a_run_is_compressed_as_it_is_told(program):
    program.write("for at in range(20_000): (lambda: at)()")
    traced = program.traced("script.py")
    assert traced.returncode == 0
    plain = program.trace.stat().st_size
    traced = program.traced("script.py", options=["--compression", "zlib:1"])
    assert traced.returncode == 0, traced.stderr
    assert program.trace.stat().st_size * 2 < plain
    program.oracle.read(program.trace)
    assert program.oracle.rows("select count(*) from slice where name like '%lambda%'") == [(20_000,)]
    program.trace.unlink()
    traced = program.traced("script.py", options=["--compression", "zip"])
    assert traced.returncode == 2 and "`zip` is unknown" in traced.stderr
    assert not program.trace.exists()
