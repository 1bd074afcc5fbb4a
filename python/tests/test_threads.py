"""Many threads at once, also without the interpreter's lock (`PYTHON_GIL=0`): what they share stays whole."""

import os
import queue
import sys
import threading
import time

import pytest

import novatrace
from novatrace import _novatrace


@pytest.fixture(autouse=True)
def often_switched():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(*works):
    """Runs the works together, and raises what one of them raised."""
    ready, errors = threading.Barrier(len(works)), []

    def run(work):
        ready.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    if errors:
        raise errors[0]


class Thing:
    pass


def test_values_may_change_while_they_are_read(path, oracle):
    thing, table, items, chosen = Thing(), {}, [], {0}
    thing.table = table
    done = threading.Event()

    def change():
        at = 0
        while not done.is_set():
            at += 1
            # New objects, which nothing but the container holds.
            table[f"key {at % 50}"] = f"value {at}"
            table.pop(f"key {(at * 7) % 50}", None)
            setattr(thing, f"field{at % 50}", [at])
            vars(thing).pop(f"field{(at * 7) % 50}", None)
            items.append((at, f"item {at}"))
            if len(items) > 50:
                items.clear()
            chosen.add(f"{at}")
            if len(chosen) > 50:
                chosen.clear()

    def read():
        for _ in range(4_000):
            novatrace.instant("values", table=table, items=items, thing=thing, chosen=chosen)

    def read_until_done():
        try:
            at_once(read, read)
        finally:
            done.set()

    with novatrace.open(path, overflow="block") as session:
        at_once(change, change, read_until_done)
        report = session.close()
    assert (report.events, report.lost) == (8_000, 0)
    assert oracle.read(path).rows("select count() from slice where name = 'values'") == [(8_000,)]


def test_one_generator_is_for_all_threads(path, oracle):
    with novatrace.TraceGenerator(path) as trace:
        shared, counter = trace.track("shared"), trace.counter("count")

        def work(number):
            own = trace.group("group").track(f"own {number}")
            for at in range(2_000):
                own.duration(at * 10, 5, f"name {at % 30}", args={"at": [at, {"of": number}]})
                shared.instant(at * 10, "tick", by=number)
                counter.count(at * 10 + number, at)

        at_once(*[lambda number=number: work(number) for number in range(4)])
    rows = oracle.read(path).slices()
    for number in range(4):
        own = [(row[1], row[5]) for row in rows if row[0] == f"own {number}"]
        assert own == [(at * 10, {"at[0]": at, "at[1].of": number}) for at in range(2_000)]
    assert sum(row[0] == "shared" for row in rows) == len(oracle.counters()) == 8_000


def test_sessions_come_and_go_while_threads_record(tmp_path, oracle):
    done = threading.Event()
    counter = novatrace.counter("count")

    @novatrace.trace_func_args(name="function")
    def function(x):
        return x

    def record():
        at = 0
        while not done.is_set():
            at += 1
            with novatrace.trace("outer", at=at):
                with novatrace.trace(f"inner {at % 30}"):
                    function([at])
                counter.add(1)

    def open_and_close():
        try:
            for number in range(20):
                with novatrace.open(tmp_path / f"{number}", overflow="block") as session:
                    function(number)
                    session.flush()
        finally:
            done.set()

    at_once(record, record, record, open_and_close)
    for number in range(20):
        names = {row[1] for row in oracle.read(tmp_path / f"{number}").thread_slices()}
        assert "function" in names


def test_a_span_is_open_once(path):
    span = novatrace.trace("shared", a=1)
    entered, refused = [], []

    def work():
        for _ in range(2_000):
            try:
                span.__enter__()
            except RuntimeError:  # it is open, or another thread is just opening it
                refused.append(1)
            else:
                entered.append(1)
                span.__exit__(None, None, None)

    with novatrace.open(path, overflow="block") as session:
        at_once(work, work, work)
        report = session.close()
    assert len(entered) + len(refused) == 6_000
    assert report.events == len(entered)


def test_threads_end_each_others_spans(path, oracle):
    spans, done = queue.SimpleQueue(), threading.Barrier(4)

    # A thread may come to end its own spans only, each in the next one: see Limits in the README.
    def work(number):
        for at in range(200):
            span = novatrace.trace(f"moved {number}", at=at)
            span.__enter__()
            spans.put(span)
            with novatrace.trace("own"):
                spans.get().__exit__(None, None, None)
        done.wait()

    with novatrace.open(path, overflow="block") as session:
        at_once(*[lambda number=number: work(number) for number in range(4)])
        report = session.close()
    assert (report.events, report.lost, report.left_open) == (1_600, 0, 0)
    moved = oracle.read(path).rows("select count() from slice where name glob 'moved*' and arg_set_id is not null")
    assert moved == [(800,)]


def test_single_packets_name_each_text_once():
    packets = _novatrace._LegacyPackets()
    made = [[] for _ in range(4)]

    def work(number):
        for at in range(1_000):
            name, kwargs = f"name {at % 200}.", {"by": number}
            made[number].append(packets.named(True, 7, at, name, kwargs, None, None, None, 256))

    at_once(*[lambda number=number: work(number) for number in range(4)])
    said = b"".join(packet.SerializeToString() for some in made for packet in some)
    assert [said.count(f"name {at}.".encode()) for at in range(200)] == [1] * 200


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_other_threads_run_while_one_waits_for_room(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    trace = novatrace.TraceGenerator(str(pipe), flush_interval=0.01)
    track = trace.track("a")
    done = threading.Event()

    def record():
        for at in range(400_000):
            track.duration(at * 10, 5, "x")
        done.set()

    thread = threading.Thread(target=record)
    thread.start()
    # Nobody reads, until the pipe, the worker and the ring are full, and for a while after.
    longest, last = 0.0, time.monotonic()
    until = last + 2
    while last < until:
        time.sleep(0.01)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    assert not done.is_set()
    assert longest < 1
    os.set_blocking(reader, True)
    drain = threading.Thread(target=lambda: all(iter(lambda: os.read(reader, 1 << 20), b"")))
    drain.start()
    thread.join()
    assert trace.finish().events == 400_000
    drain.join()
    os.close(reader)
