"""Live recording: sessions, spans, instants, counters, flows, tracks, decorators."""

import asyncio
import concurrent.futures
import contextlib
import copy
import functools
import gc
import inspect
import logging
import pickle
import sys
import threading
import time
import types
import weakref

import pytest

import novatrace


def functions(oracle):
    return [row[1] for row in oracle.thread_slices()]


def test_what_is_recorded_is_what_is_read(oracle, path):
    session = novatrace.open(path, process_name="the program")
    flow = novatrace.flow()
    with novatrace.trace("outer", a=1, b="x", category="cat"):
        with novatrace.trace("inner", flow_out=flow):
            novatrace.instant("point", x=2.5)
        with novatrace.trace("consumer", flow_end=flow):
            pass
    counter = novatrace.counter("queue depth", unit="items")
    counter.set(3)
    counter.add(1.5)
    assert counter.value == 4.5
    report = session.close()
    assert (report.events, report.lost, report.threads) == (6, 0, 1)
    oracle.read(path)
    assert oracle.thread_slices() == [
        ("MainThread", "outer", 0, {"a": 1, "b": "x"}),
        ("MainThread", "inner", 1, {}),
        ("MainThread", "point", 2, {"x": 2.5}),
        ("MainThread", "consumer", 1, {}),
    ]
    assert oracle.flows() == [("inner", "consumer")]
    assert [row[0::2] for row in oracle.counters()] == [("queue depth", 3), ("queue depth", 4.5)]
    assert oracle.rows("select name from process where name is not null") == [("the program",)]
    assert oracle.rows("select category from slice where name = 'outer'") == [("cat",)]


def test_nothing_is_recorded_without_a_session(oracle, path):
    assert not novatrace.is_recording()
    with novatrace.trace("before"):
        novatrace.instant("before")
    novatrace.counter("early").set(1)
    span = novatrace.trace("across")
    span.__enter__()
    with novatrace.open(path):
        assert novatrace.is_recording()
        span.__exit__(None, None, None)
        with novatrace.trace("during"):
            pass
    novatrace.instant("after")
    assert functions(oracle.read(path)) == ["during"]


def test_a_second_session_is_refused_and_says_where_the_first_is(path, tmp_path):
    with novatrace.open(path) as session:
        with pytest.raises(novatrace.TraceStateError, match=r"test_live.py:\d+"):
            novatrace.open(tmp_path / "other")
        assert not (tmp_path / "other").exists()
    with pytest.raises(novatrace.TraceStateError, match="closed already"):
        session.close()
    with novatrace.open(tmp_path / "other"):
        pass


def test_decorated_functions_stay_what_they_are(oracle, path):
    @novatrace.trace_func
    def plain(a: int, *, b: int = 2) -> int:
        "Adds."
        return a + b

    @novatrace.trace_func(name="renamed", category="io")
    def other():
        raise KeyError("x")

    class Thing:
        @novatrace.trace_func
        def method(self, x):
            return x

        @novatrace.trace_func
        @classmethod
        def of(cls):
            return cls

        @staticmethod
        @novatrace.trace_func
        def static(x):
            return x

        @property
        @novatrace.trace_func
        def size(self):
            return 5

    assert (plain.__name__, plain.__doc__, plain.__module__) == ("plain", "Adds.", __name__)
    assert str(inspect.signature(plain)) == "(a: int, *, b: int = 2) -> int"
    with novatrace.open(path):
        assert plain(1, b=5) == 6
        assert Thing().method(3) == 3
        assert Thing.of() is Thing
        assert Thing.static(4) == 4
        assert Thing().size == 5
        with pytest.raises(KeyError):
            other()
        assert functools.partial(plain, 1)() == 3
    prefix = "test_decorated_functions_stay_what_they_are.<locals>."
    assert functions(oracle.read(path)) == [
        prefix + "plain", prefix + "Thing.method", prefix + "Thing.of", prefix + "Thing.static",
        prefix + "Thing.size", "renamed", prefix + "plain",
    ]


@novatrace.trace_func
def at_the_top(x):
    return x


def test_functions_are_decorated_whenever_the_collector_runs():
    """Which it does in the middle of making the object: it crashed."""
    threshold = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(200):
            for decorate in (novatrace.trace_func, novatrace.trace_func_args, novatrace.trace("x")):
                assert decorate(lambda value: value)(5) == 5
    finally:
        gc.set_threshold(*threshold)


def test_decorated_functions_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(at_the_top)) is at_the_top
    assert copy.deepcopy(at_the_top) is at_the_top


@pytest.mark.parametrize("is_recording", [False, True])
@pytest.mark.parametrize("decorate", [novatrace.trace_func, novatrace.trace_func_args])
def test_decorated_functions_are_called_with_whatever_they_are_given(path, decorate, is_recording):
    """Which takes another way by number and kind of the arguments."""

    @decorate
    def echo(*args, **kwargs):
        return args, kwargs

    class Thing:
        echo = decorate(lambda self, *args, **kwargs: (self, args, kwargs))

    with novatrace.open(path) if is_recording else contextlib.nullcontext():
        thing = Thing()
        bound = thing.echo
        assert bound.__self__ is thing and bound.__func__ is Thing.__dict__["echo"]
        assert Thing.echo is Thing.__dict__["echo"]
        for count in range(8):
            args = tuple(range(count))
            named = {f"name{at}": at for at in range(count)}
            assert echo(*args) == (args, {})
            assert echo(*args, **named) == (args, named)
            assert thing.echo(*args) == bound(*args) == Thing.echo(thing, *args) == (thing, args, {})
            assert thing.echo(*args, **named) == bound(*args, **named) == (thing, args, named)
        # From C, and by place: no array that the interpreter has made for it.
        assert [*map(echo, "ab", "cd")] == [(("a", "c"), {}), (("b", "d"), {})]
        assert (echo(), echo(1), echo(1, 2)) == (((), {}), ((1,), {}), ((1, 2), {}))
        assert echo(1, 2, 3, 4, 5, a=6) == ((1, 2, 3, 4, 5), {"a": 6})
        assert (thing.echo(), thing.echo(1), thing.echo(a=1)) == (
            (thing, (), {}), (thing, (1,), {}), (thing, (), {"a": 1}))
        with pytest.raises(TypeError, match="argument"):
            decorate(lambda x: x)()


def test_a_decorated_function_is_an_object_like_a_function():
    @novatrace.trace_func
    def plain(x):
        return x

    plain.note = 5
    assert vars(plain)["note"] == 5 and plain.__wrapped__(1) == 1
    plain.__dict__ = {"note": 6}
    assert plain.note == 6 and not hasattr(plain, "__wrapped__") and plain(2) == 2
    with pytest.raises(TypeError):
        plain.__dict__ = 5
    assert repr(plain).startswith("<traced <function ")
    assert callable(plain) and hash(plain) == hash(plain)
    with pytest.raises(TypeError, match="made by trace_func"):
        type(plain)()
    with pytest.raises(TypeError):
        class Derived(type(plain)):
            pass
    with pytest.raises(TypeError):
        plain._span(1, 2)
    gone = []
    weak = weakref.ref(plain, gone.append)
    assert weak() is plain
    del plain
    gc.collect()
    assert weak() is None and gone == [weak]


@pytest.mark.parametrize("is_recording", [False, True])
def test_what_a_span_or_a_function_holds_is_let_go_with_it(path, is_recording):
    """It was kept until the next call of another kind, for each span."""
    class Held:
        pass

    with novatrace.open(path) if is_recording else contextlib.nullcontext():
        name = "".join(["a", " name"])
        before = sys.getrefcount(name)
        for _ in range(1_000):
            with novatrace.trace(name):
                pass
        assert sys.getrefcount(name) == before
        held = Held()
        weak = weakref.ref(held)
        with novatrace.trace("span", held=held):
            pass
        del held
        assert weak() is None
        held = Held()
        weak = weakref.ref(held)
        decorated = novatrace.trace_func(lambda: held)
        decorated()
        before = sys.getrefcount(decorated)
        for _ in range(100):
            with pytest.raises(TypeError):
                decorated._span(1, 2)
        assert sys.getrefcount(decorated) == before
        del decorated, held
        assert weak() is None


def test_a_generator_that_its_object_holds_is_collected(path):
    class Owner:
        @novatrace.trace_func
        def rows(self):
            yield 1

    with novatrace.open(path):
        owner = Owner()
        owner.rows = owner.rows()
        assert next(owner.rows) == 1
        weak = weakref.ref(owner)
        del owner
        gc.collect()
        assert weak() is None


def test_exceptions_are_thrown_into_asynchronous_generators_as_into_plain_ones(path):
    def generator(caught):
        async def values():
            while True:
                try:
                    yield len(caught)
                except ValueError as error:
                    caught.append(error)
                    if len(caught) == 3:
                        return
        return values

    async def run(values):
        found = [await values.asend(None)]
        with pytest.raises(StopAsyncIteration):
            for _ in range(5):
                found.append(await values.athrow(ValueError()))
        return found

    with novatrace.open(path):
        expected = asyncio.run(run(generator([])()))
        assert asyncio.run(run(novatrace.trace_func(generator([]))())) == expected == [0, 1, 2]

        @contextlib.asynccontextmanager
        @novatrace.trace_func
        async def suppressing():
            try:
                yield
            except ValueError:
                pass

        async def use():
            async with suppressing():
                raise ValueError
        asyncio.run(use())


def test_what_is_not_to_be_recorded_is_not_by_whatever_name_it_is_given(oracle, path):
    def inner(user, token, *rest, note=None, **more):
        return user

    @functools.wraps(inner)
    def outer(*args, **kwargs):
        return inner(*args, **kwargs)

    decorate = novatrace.trace_func_args(name="call", skip=["token"])
    rest = novatrace.trace_func_args(name="call", skip=["token", "rest", "more"])
    with novatrace.open(path):
        decorate(functools.lru_cache(inner))("u", "SECRET")
        decorate(outer)("u", "SECRET")
        decorate(novatrace.trace_func(inner))("u", "SECRET")
        decorate(functools.partial(inner, "u"))("SECRET")
        decorate(outer)("u", token="SECRET")
        rest(inner)("u", "SECRET", "SECRET", note=1, other="SECRET")
        for skip in ["tokens"], ["token", "nothing"]:
            with pytest.raises(novatrace.TraceValueError, match="no parameter called"):
                novatrace.trace_func_args(skip=skip)(lambda token: token)
    oracle.read(path)
    assert not oracle.rows("select 1 from args where string_value like '%SECRET%'")
    shown = [row[3] for row in oracle.thread_slices() if row[1] == "call"]
    assert shown == [{"user": "u"}, {"user": "u"}, {"user": "u"}, {}, {"user": "u"}, {"user": "u", "note": 1}]


def test_a_decorated_function_in_a_cycle_is_collected():
    class Owner:
        pass

    def cycle():
        owner = Owner()

        @novatrace.trace_func
        def plain():
            return owner

        owner.function, plain.itself = plain, plain
        return weakref.ref(owner), weakref.ref(plain)

    references = cycle()
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_arguments_are_recorded_by_name(oracle, path):
    @novatrace.trace_func_args(skip=["secret"], name="call")
    def call(a, b, secret, *rest, **more):
        return a

    class Thing:
        @novatrace.trace_func_args(name="method")
        def method(self, x):
            return x

    with novatrace.open(path):
        call(1, "two", "hidden", 3, 4, key=[5])
        call(1, b=2, secret=1)
        Thing().method(7)
    oracle.read(path)
    assert [row[3] for row in oracle.thread_slices()] == [
        {"a": 1, "b": "two", "args[0]": 3, "args[1]": 4, "key[0]": 5}, {"a": 1, "b": 2}, {"x": 7},
    ]


def test_generators_and_coroutines_stay_what_they_are(oracle, path):
    @novatrace.trace_func(name="numbers")
    def numbers(count):
        for at in range(count):
            got = yield at
            if got:
                yield got
        return "done"

    @novatrace.trace_func(name="coroutine")
    async def coroutine(x):
        await asyncio.sleep(0)
        return x

    @novatrace.trace_func(name="agen")
    async def agen():
        try:
            got = yield 1
            yield got
        except ValueError:
            yield "caught"

    assert inspect.isgeneratorfunction(numbers)
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isasyncgenfunction(agen)

    async def main():
        values = [await coroutine(5)]
        generator = agen()
        values.append(await generator.__anext__())
        values.append(await generator.asend("sent"))
        await generator.aclose()
        generator = agen()
        await generator.__anext__()
        values.append(await generator.athrow(ValueError()))
        await generator.aclose()
        return values

    with novatrace.open(path):
        assert list(numbers(3)) == [0, 1, 2]
        generator = numbers(2)
        assert (next(generator), generator.send("sent")) == (0, "sent")
        generator.close()
        assert asyncio.run(main()) == [5, 1, "sent", "caught"]
    oracle.read(path)
    names = [row[3] for row in oracle.slices()]
    assert sorted(names) == ["agen", "agen", "coroutine", "numbers", "numbers"]


def test_tasks_have_rows_of_their_own(oracle, path):
    async def work(number):
        with novatrace.trace(f"work {number}", number=number):
            await asyncio.sleep(0.002 * (5 - number))
            with novatrace.trace("inner"):
                await asyncio.sleep(0.001)
            novatrace.instant("point")

    async def main():
        await asyncio.gather(*(work(number) for number in range(5)))
        await work(9)

    with novatrace.open(path) as session:
        asyncio.run(main())
    report = oracle.read(path).slices()
    for number in range(5):
        track, start, length, *_ = next(row for row in report if row[3] == f"work {number}")
        inside = [row for row in report if row[0] == track and start <= row[1] <= start + length]
        assert [row[3] for row in inside][:3] == [f"work {number}", "inner", "point"]
    depths = dict(oracle.rows("select name, max(depth) from slice group by name"))
    assert depths["inner"] == 1 and depths["point"] == 1
    tracks = {row[0] for row in report}
    assert all(track.startswith("task ") for track in tracks) and len(tracks) <= 6
    assert session.closed


def test_many_tasks_use_few_rows(oracle, path):
    async def one():
        with novatrace.trace("one"):
            await asyncio.sleep(0)

    async def main():
        for _ in range(500):
            await asyncio.gather(one(), one())

    with novatrace.open(path):
        asyncio.run(main())
    rows = oracle.read(path).slices()
    assert len(rows) == 1_000
    assert len({row[0] for row in rows}) <= 4


def test_threads_have_tracks_by_their_names(oracle, path):
    def work(number):
        for at in range(1_000):
            with novatrace.trace("a", at=at):
                with novatrace.trace("b"):
                    pass

    name = "a thread of a long name, number "
    with novatrace.open(path) as session:
        threads = [threading.Thread(target=work, args=(n,), name=f"{name}{n}") for n in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        with concurrent.futures.ThreadPoolExecutor(2, "pool") as pool:
            list(pool.map(at_the_top, range(10)))
    rows = oracle.read(path).thread_slices()
    for number in range(4):
        own = [row[1:] for row in rows if row[0] == f"{name}{number}"]
        expected = [step for at in range(1_000) for step in (("a", 0, {"at": at}), ("b", 1, {}))]
        assert own == expected
    assert sum(row[1] == "at_the_top" for row in rows) == 10
    assert {row[0] for row in rows if row[1] == "at_the_top"} <= {"pool_0", "pool_1"}
    assert session.closed


def test_tracks_of_ones_own_take_spans_of_any_thread(oracle, path):
    io = novatrace.track("io")
    with novatrace.open(path):
        with io.trace("read", n=1):
            io.instant("block", at=2)

        @novatrace.trace_func(track=io, name="decorated")
        def decorated():
            pass

        decorated()
        thread = threading.Thread(target=decorated)
        thread.start()
        thread.join()
    rows = oracle.read(path).slices()
    assert [(row[0], row[3], row[5]) for row in rows] == [
        ("io", "read", {"n": 1}), ("io", "block", {"at": 2}), ("io", "decorated", {}),
        ("io", "decorated", {}),
    ]


def test_a_span_decorates(oracle, path):
    @novatrace.trace("step", kind="x")
    def step(x):
        return x

    @novatrace.trace
    def bare():
        return 2

    with novatrace.open(path):
        assert (step(1), bare()) == (1, 2)
    assert functions(oracle.read(path))[0] == "step"


def test_a_span_is_its_own_enter_and_exit(oracle, path):
    """Which is why `with` allocates nothing for it."""
    span = novatrace.trace("entered")
    assert span.__enter__ is span and span.__exit__ is span
    with novatrace.open(path):
        with span as entered:
            assert entered is span
        with contextlib.ExitStack() as stack:
            assert stack.enter_context(span) is span
        assert span.__enter__() is span
        assert span.__exit__(None, None, None) is None
        assert type(span).__enter__(span) is span
        type(span).__exit__(span, None, None, None)
        # With its arguments in a tuple.
        functools.partial(span)()
        functools.partial(span, None)(None, None)
    assert functions(oracle.read(path)) == ["entered"] * 5


def test_a_span_that_is_called_with_anything_else_says_what_it_does():
    span = novatrace.trace("called")
    for call in (
        lambda: span(len, len),
        lambda: span(*range(9)),
        lambda: span(function=len),
        lambda: functools.partial(span, function=len)(),
    ):
        with pytest.raises(TypeError, match="a span decorates one function, given by place"):
            call()
    with pytest.raises(TypeError, match="a function is to be decorated, not int"):
        span(5)
    with pytest.raises(TypeError, match=r"made by trace\(\)"):
        type(span)()
    with pytest.raises(TypeError):
        type(span).__enter__(5)


def test_a_span_that_is_used_while_it_is_entered_says_so(path):
    class Enters:
        def __str__(self):
            with pytest.raises(novatrace.Error, match="being entered"):
                span.__enter__()
            return "shown"

    span = novatrace.trace("again", argument=Enters())
    with novatrace.open(path), span:
        pass


def test_a_span_decorates_with_its_arguments_and_flows(oracle, path):
    shared, flow = {"calls": 0}, novatrace.flow()

    @novatrace.trace("step", category="cat", kind="x", shared=shared, flow_in=flow)
    def step():
        shared["calls"] += 1

    class Thing:
        @novatrace.trace("method", of="class")
        @classmethod
        def method(cls):
            return cls

    @novatrace.trace("numbers", count=2)
    def numbers():
        yield 1

    @novatrace.trace("coroutine", at=3)
    async def coroutine():
        return 4

    async def main():
        return await coroutine()

    with novatrace.open(path):
        with novatrace.trace("source", flow_out=flow):
            pass
        step()
        step()
        assert (Thing.method(), list(numbers()), asyncio.run(main())) == (Thing, [1], 4)
    rows = [row[3:] for row in oracle.read(path).slices() if row[3] != "source"]
    assert rows == [
        ("step", "cat", {"kind": "x", "shared.calls": 0}), ("step", "cat", {"kind": "x", "shared.calls": 1}),
        ("method", "default", {"of": "class"}), ("numbers", "default", {"count": 2}), ("coroutine", "default", {"at": 3}),
    ]
    assert oracle.flows()[0] == ("source", "step")
    with pytest.raises(TypeError, match="takes the name first, then arguments"):
        novatrace.trace(step, kind="x")


def test_exceptions_go_through(oracle, path):
    with novatrace.open(path):
        with pytest.raises(ZeroDivisionError):
            with novatrace.trace("outer"):
                with novatrace.trace("inner"):
                    1 / 0
        with novatrace.trace("after"):
            pass
    assert [row[1:3] for row in oracle.read(path).thread_slices()] == [
        ("outer", 0), ("inner", 1), ("after", 0),
    ]


def test_the_programs_exception_is_the_one_that_is_seen():
    with pytest.raises(ZeroDivisionError):
        with novatrace.open("/dev/full"):
            novatrace.instant("x")
            1 / 0
    with pytest.raises(OSError):
        with novatrace.open("/dev/full"):
            novatrace.instant("x")


def test_categories_are_switched_by_glob(oracle, path):
    with novatrace.open(path, categories="io.*,-io.read") as session:
        for category in ("io.write", "io.read", "net", None):
            novatrace.instant(f"{category}", category=category)
        session.set_categories("net")
        for category in ("io.write", "io.read", "net", None):
            novatrace.instant(f"second {category}", category=category)
    assert functions(oracle.read(path)) == ["io.write", "second net"]


def test_losses_are_counted_and_marked(oracle, path):
    with novatrace.open(path, capacity=4096) as session:
        for at in range(100_000):
            with novatrace.trace("x", text="y" * 200):
                pass
        report = session.close()
    assert report.lost > 0 and report.events + report.lost == 100_000
    assert sum(loss[2] for loss in report.losses) == report.lost
    oracle.read(path)
    spans = functions(oracle)
    assert spans.count("x") == 100_000 - report.lost
    assert "events lost" in spans


def test_block_loses_nothing(path):
    session = novatrace.open(path, capacity=4096, overflow="block")
    for _ in range(20_000):
        with novatrace.trace("x", text="y" * 200):
            pass
    assert session.close().lost == 0


def elsewhere(work, *arguments):
    """Does it on another thread, which has the mark `begins` before, and `ended` after."""

    def run():
        novatrace.instant("begins")
        work(*arguments)
        novatrace.instant("ended")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def end(span):
    elsewhere(span.__exit__, None, None, None)


def entered(name):
    span = novatrace.trace(name)
    span.__enter__()
    return span


def begins_and_ends(oracle):
    """The names of all slices' begins and ends, in order of time; an instant's name once."""
    rows = oracle.rows("select ts, dur, name from slice")
    begins = [(start, name) for start, length, name in rows if length != 0]
    ends = [(start + length, f"/{name}") for start, length, name in rows if length != 0]
    instants = [(start, name) for start, length, name in rows if length == 0]
    return [name for _, name in sorted(begins + ends + instants)]


def test_a_span_ends_when_another_thread_ends_it(oracle, path):
    with novatrace.open(path) as session:
        end(entered("moved"))
        # Its own thread says something only now.
        novatrace.instant("after")
        report = session.close()
    assert (report.events, report.left_open) == (4, 0)
    assert begins_and_ends(oracle.read(path)) == ["moved", "begins", "/moved", "ended", "after"]
    assert oracle.rows("select depth from slice where name = 'after'") == [(0,)]


def test_a_span_ends_when_another_thread_ends_it_although_its_own_says_nothing_more(oracle, path):
    with novatrace.open(path) as session:
        outer = entered("outer")
        end(entered("inner"))
        end(outer)
        assert session.close().left_open == 0
    assert begins_and_ends(oracle.read(path)) == [
        "outer", "inner", "begins", "/inner", "ended", "begins", "/outer", "ended",
    ]


def test_spans_around_one_that_another_thread_ends_are_as_they_were(oracle, path):
    with novatrace.open(path) as session:
        with novatrace.trace("outer"):
            end(entered("inner"))
        with novatrace.trace("next"):
            end(entered("again"))
            with novatrace.trace("within"):
                pass
        assert session.close().left_open == 0
    assert begins_and_ends(oracle.read(path)) == [
        "outer", "inner", "begins", "/inner", "ended", "/outer",
        "next", "again", "begins", "/again", "ended", "within", "/within", "/next",
    ]
    assert oracle.rows("select name, depth from slice where name in ('inner', 'next', 'within') order by ts") == [
        ("inner", 1), ("next", 0), ("within", 1),
    ]


def test_an_outer_span_that_another_thread_ends_splits_what_is_in_it(oracle, path):
    # What overlaps is no slice of one row.
    with novatrace.open(path) as session:
        outer = entered("outer")
        with novatrace.trace("inner"):
            end(outer)
        assert session.close().left_open == 0
    assert [name for name in begins_and_ends(oracle.read(path)) if name in ("/outer", "ended")] == ["/outer", "ended"]
    assert len(oracle.rows("select 1 from slice where name in ('inner', '(continued)')")) == 2


def test_spans_of_threads_and_sessions_that_are_over_are_over(oracle, path, tmp_path):
    spans = []
    with novatrace.open(path):
        elsewhere(lambda: spans.append(entered("of a thread")))
        spans.append(entered("of a session"))
    with novatrace.open(tmp_path / "next"):
        with novatrace.trace("outer"):
            for span in spans:
                end(span)
        novatrace.instant("after")
    assert begins_and_ends(oracle.read(tmp_path / "next")) == [
        "outer", "begins", "ended", "begins", "ended", "/outer", "after",
    ]


def test_a_thread_may_end_very_many_spans_of_anothers(oracle, path):
    with novatrace.open(path, overflow="block") as session:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for at in range(2_000):
                with novatrace.trace("around"):
                    span = entered("moved")
                    pool.submit(span.__exit__, None, None, None).result()
        report = session.close()
    assert (report.events, report.lost, report.left_open) == (4_000, 0, 0)
    rows = oracle.read(path).rows("select name, depth, count() from slice group by 1, 2 order by 1")
    assert rows == [("around", 0, 2_000), ("moved", 1, 2_000)]


def test_wrong_calls_say_what_is_wrong(path):
    with pytest.raises(TypeError, match="takes a name or a function, not int"):
        novatrace.trace(5)
    with pytest.raises(TypeError, match="is no flow"):
        novatrace.instant("x", flow_in=["y"])
    with pytest.raises(TypeError, match="a function is to be decorated, not int"):
        novatrace.trace_func(5)
    with novatrace.open(path):
        span = novatrace.trace("x")
        with span:
            with pytest.raises(novatrace.TraceStateError, match="open already"):
                span.__enter__()


def test_what_is_logged_is_an_instant(oracle, path):
    from novatrace.handler import TraceHandler

    logger = logging.getLogger("a.logger")
    logger.propagate = False
    handler = TraceHandler()
    logger.addHandler(handler)
    try:
        logger.error("not recorded")
        with novatrace.open(path):
            logger.warning("value %d", 5, extra={"tile": [7], "category": "x"})
            try:
                1 / 0
            except ZeroDivisionError:
                logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    rows = oracle.read(path).slices()
    assert [(row[3], row[4]) for row in rows] == [("value 5", "log"), ("failed", "log")]
    first, second = rows[0][5], rows[1][5]
    assert first["place"].startswith(__file__) and first["level"] == "WARNING"
    assert (first["logger"], first["tile[0]"], first["category_"]) == ("a.logger", 7, "x")
    assert second["exception"] == "ZeroDivisionError: division by zero"


class Interrupts:
    __slots__ = ()

    def __repr__(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize("begin", [
    lambda: novatrace.trace("cut", v=Interrupts()).__enter__(),
    lambda: novatrace.track("own").trace("cut", v=Interrupts()).__enter__(),
    lambda: novatrace.trace_func_args(lambda v: None)(Interrupts()),
], ids=["thread", "track", "function"])
def test_a_span_that_an_interrupt_cuts_short_is_over(oracle, path, begin):
    with novatrace.open(path) as session:
        with pytest.raises(KeyboardInterrupt):
            begin()
        with novatrace.trace("after"):
            pass
        report = session.close()
    assert report.left_open == 0
    rows = oracle.read(path).rows("select name, depth, dur >= 0 from slice order by ts")
    assert len(rows) == 2 and rows[1] == ("after", 0, 1)


def test_a_session_that_nobody_kept_can_be_found_and_closed(path):
    assert novatrace.session() is None
    with pytest.raises(novatrace.TraceStateError, match="no session is open"):
        novatrace.close()
    novatrace.open(path)
    found = novatrace.session()
    assert found.path == str(path) and not found.closed
    novatrace.instant("x")
    assert novatrace.close().events == 1
    assert found.closed and novatrace.session() is None
    with pytest.raises(novatrace.TraceStateError, match="no session is open"):
        novatrace.close()


def test_decorated_generators_that_may_be_awaited_may_be_awaited(oracle, path):
    @novatrace.trace_func(name="old coroutine")
    @types.coroutine
    def wait(value):
        yield from asyncio.sleep(0).__await__()
        return value

    async def main():
        return await wait(5)

    with novatrace.open(path):
        assert asyncio.run(main()) == 5
    assert oracle.read(path).rows("select name from slice") == [("old coroutine",)]


@pytest.mark.parametrize("decorate", [novatrace.trace_func, novatrace.trace_func_args, novatrace.trace("x")])
def test_decorated_methods_of_a_class_that_are_class_methods_by_name(path, decorate):
    made = []

    class Base:
        @decorate
        def __init_subclass__(cls, **named):
            super().__init_subclass__()
            made.append((cls.__name__, named))

        @decorate
        def __class_getitem__(cls, item):
            return cls, item

        @decorate
        def __new__(cls, item):
            self = super().__new__(cls)
            self.item = item
            return self

    with novatrace.open(path) as session:
        class Derived(Base, kind=5):
            pass

        assert Derived[7] == (Derived, 7) and Derived(8).item == 8
        assert session.close().events == 3
    assert made == [("Derived", {"kind": 5})]


def test_a_session_writes_as_often_as_it_is_told(path):
    with novatrace.open(path, flush_interval=3600, batch_bytes=1 << 30) as session:
        for at in range(1_000):
            novatrace.instant("waits", at=at)
        assert path.stat().st_size < 1_000
        session.set_batch(flush_interval=0.001)
        for _ in range(1_000):
            if path.stat().st_size > 10_000:
                break
            time.sleep(0.01)
        assert path.stat().st_size > 10_000
        session.set_compression("zlib")
        session.set_batch()
    session.set_batch(bytes=1)
    session.set_compression("none")
