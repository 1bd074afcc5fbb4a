"""The extension module. Use `import novatrace`, which has all of it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, SupportsFloat, SupportsIndex, TypeVar, final, overload

__version__: str

_F = TypeVar("_F", bound=Callable[..., Any])
_Time = SupportsIndex | SupportsFloat
_Flows = Flow | int | Iterable[Flow | int]
_Texts = str | Iterable[str]
_Numbers = Any  # an array, or a sequence of numbers

def open(
    path: str | os.PathLike[str] | None = None,
    *,
    categories: str | None = None,
    capacity: int | None = None,
    overflow: Literal["drop", "block", "grow"] = "drop",
    grow_limit: int | None = None,
    attributes: Mapping[str, str | int] | None = None,
    flush_interval: float | None = None,
    batch_bytes: int | None = None,
    process_name: str | None = None,
    compression: str | None = None,
    worker: Literal["thread", "process"] = "thread",
    rotate_bytes: int | None = None,
    rotate_seconds: float | None = None,
    keep: int | None = None,
    flight_recorder: int | str | None = None,
    dump_on_signal: tuple[int, str | os.PathLike[str]] | None = None,
    dump_if_slower: tuple[str, float, str | os.PathLike[str]] | None = None,
    children: Literal["quiet", "join", "shard"] | None = None,
) -> Session:
    """Starts recording into a file, which is created or emptied: everything that `trace`, `instant`,
    counters and decorated functions say from here on, of all threads, until the session is closed.

    `categories` are globs between commas, such as `"io.*,-io.read"`; the environment variable
    `NOVATRACE_CATEGORIES` takes their place. `capacity` is the size of each thread's buffer in bytes
    (4 MiB); what finds no room there is left out and counted (`"drop"`), waits (`"block"`), or gets a
    larger buffer up to `grow_limit` bytes (`"grow"`). `flush_interval` is in seconds (0.1): what is older
    is in the file if the program is killed; a busy program writes before that, up to `batch_bytes` (256 KiB) at a
    time. `process_name` is `sys.argv[0]` by default. `compression` is
    `"none"`, `"zlib"`, `"zlib:1"` to `"zlib:9"`, or `"zstd"`, `"zstd:1"` to `"zstd:19"`, which only viewers
    since version 58 of the trace processor can read; the environment variable `NOVATRACE_COMPRESSION` takes
    its place.

    `worker` is what writes the file: a thread of the program, or a process (Linux only), which outlives it: then
    all that was recorded is in the file, whatever way the program ends, `SIGKILL` included, and spans that were open are
    shown as not ended. Where a process cannot be
    had, it is a thread, and the logger "novatrace" says so. The environment variable `NOVATRACE_WORKER`, `thread` or
    `process`, takes its place.

    With `rotate_bytes` or `rotate_seconds`, the trace goes on in another file when the one that is being written has
    that size or age: `app.0001.pftrace`, `app.0002.pftrace` and so on, of which the last `keep` are kept (all). Each
    opens by itself. A span that is cut has the argument `continues` in the one, and `continued` in the next.

    A path such as `"tcp://localhost:9011"` or `"unix:/run/novatrace.sock"` is no file, but a stream to
    `novatrace receive` there.

    With `flight_recorder`, such as `"64MB"`, `"30s"` or `"64MB,30s"`, there is no path: the last of the recording is kept
    in memory until `Session.dump`. `dump_on_signal=(signal.SIGUSR1, "app-{n}.pftrace")` dumps at a signal, and
    `dump_if_slower=("request", 1.0, "slow-{n}.pftrace")` when a span of that name or category took as many seconds, but
    once a minute at most. `{n}` is the dump's number, `{pid}` the process's.

    `children` says what becomes of processes that the program starts, if they use this package: forks, those of
    `multiprocessing` and `concurrent.futures` by whatever method, and Python programs that have the program's environment.
    With `"join"` they record into the same file, as processes of their own (`app.pftrace.novatrace-lock` beside it is there
    meanwhile); with `"shard"` into a file of their own beside it, `app.1234.pftrace` by the process's number; with
    `"quiet"` they record nothing until they open a session. By default they join where the worker is a process, and
    are quiet where it is a thread, which takes their last events with it when a pool ends them. What they open
    themselves is in a session of its own. On Unix.

    Raises `TraceStateError` if a session is open, which goes on, `TraceFileError`, an `OSError`, if
    the file cannot be made, and `TraceValueError` if `children` cannot join it: they can if it is one plain file.

    >>> with novatrace.open("app.pftrace") as session:
    ...     with novatrace.trace("load", path="data.csv"):
    ...         novatrace.instant("half of it", rows=1_000)
    >>> session.closed
    True
    """

def session() -> Session | None:
    """The session that is open, whoever opened it; `None` if none is. So a part of a program records into the
    session of the whole, or opens one.

    >>> novatrace.session() is None
    True
    """

def close() -> Report:
    """Closes the session that is open, as `Session.close` does: for programs that have not kept what `open`
    answered.

    Raises `TraceStateError` if none is open, or if it is `novatrace run`'s.

    >>> _ = novatrace.open("app.pftrace")
    >>> novatrace.instant("hello")
    >>> novatrace.close().events
    1
    """

@final
class Session:
    """A live recording, from `open`. Ended by `close`, at the end of its `with`, and at the interpreter's exit,
    whether or not the object is kept.

    A forked child records nothing until it opens a session of its own, unless it joins this one: see `open`.
    """

    @property
    def path(self) -> str | None:
        """The file, as it was named; `None` for a flight recorder."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""

    @property
    def worker(self) -> Literal["thread", "process"]:
        """What writes the file, or did."""

    @property
    def children(self) -> Literal["quiet", "join", "shard"]:
        """What becomes of processes that the program starts: `"quiet"`, `"join"` or `"shard"`."""

    def set_categories(self, globs: str) -> None:
        """Changes which categories are recorded, from the next event on."""

    def set_batch(self, *, bytes: int | None = None, flush_interval: float | None = None) -> None:
        """Changes how many bytes are written to the file at once, and how long they wait: `batch_bytes` and
        `flush_interval` of `open`. What is `None` stays as it is."""

    def set_compression(self, compression: str) -> None:
        """Changes how what is written from now on is compressed, as with `open`: `"zlib:9"` for a part that is
        to be small, `"none"` for one that is to cost nothing. Of a flight recorder, dumps are.

        >>> with novatrace.open("app.pftrace") as session:
        ...     session.set_compression("zlib:9")
        ...     session.set_batch(bytes=1 << 20, flush_interval=1.0)
        """

    def flush(self) -> None:
        """Waits until everything that was recorded before is in the file.

        Raises `TraceFileError` if the file took no more, also if that was earlier."""

    def dump(self, path: str | os.PathLike[str]) -> Dump:
        """Writes what a flight recorder has to a file: the last of what was recorded before. Recording goes on.

        Raises `TraceFileError` if the file cannot be made or written, and `TraceStateError` if the session is closed or
        has no flight recorder.

        >>> with novatrace.open(flight_recorder="64MB") as session:
        ...     novatrace.instant("hello")
        ...     dump = session.dump("odd.pftrace")
        >>> dump.events, dump.overwritten
        (1, 0)
        """

    def close(self) -> Report:
        """Ends the recording and completes the file. Spans that are open end now.

        Raises `TraceFileError` if the file took no more, and `TraceStateError` if it is closed already.

        >>> session = novatrace.open("app.pftrace")
        >>> novatrace.instant("hello")
        >>> report = session.close()
        >>> report.events, report.lost
        (1, 0)
        """

    def __enter__(self) -> Session: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...

@final
class Dump:
    """A file that a flight recorder was dumped to, from `Session.dump`."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def events(self) -> int:
        """Spans, instants and counter samples in it, but for spans that began before it."""

    @property
    def overwritten(self) -> int:
        """Events that were recorded before those."""

@final
class Report:
    """What became of a session's events."""

    @property
    def events(self) -> int:
        """Spans, instants and counter samples that are in the trace."""

    @property
    def lost(self) -> int:
        """Events that found no room; the trace says where they are missing."""

    @property
    def dropped(self) -> int:
        """Events that the file did not take, since it had failed."""

    @property
    def losses(self) -> list[tuple[str, int, int]]:
        """Thread, its number and how many events it lost, for each that lost some."""

    @property
    def left_open(self) -> int:
        """Spans that were still open."""

    @property
    def threads(self) -> int:
        """Threads that recorded anything."""

    @property
    def lanes(self) -> int:
        """Extra lanes for spans of one track that overlap."""

    @property
    def packets(self) -> int:
        """Packets of Perfetto's that were written, those in compressed bundles included."""

    @property
    def bytes(self) -> int:
        """Size of the trace, as it is compressed."""

    @property
    def parts(self) -> int:
        """Files that the trace is in, those that are not kept included."""

@overload
def trace(name: _F, /, *, category: str | None = None) -> _F: ...
@overload
def trace(
    name: str,
    /,
    *,
    category: str | None = None,
    flow_in: _Flows | None = None,
    flow_out: _Flows | None = None,
    flow_end: _Flows | None = None,
    **args: object,
) -> Span:
    """A span, for `with`, or as a decorator: on the thread's track, or the task's where an `asyncio` task
    runs. Every other keyword is an argument of any type, read when the span begins; while nothing is
    recorded, it is not looked at.

    Raises `TypeError` if `name` is no text; a function is decorated instead.

    >>> with novatrace.open("app.pftrace"):
    ...     flow = novatrace.flow()
    ...     with novatrace.trace("produce", flow_out=flow, items=3):
    ...         pass
    ...     with novatrace.trace("consume", flow_in=flow, category="io"):
    ...         pass
    """

@final
class Span:
    """From `trace`. May be entered any number of times, but not while it is open. Another thread than the one
    that entered it may leave it: it is drawn on the first one's track, at the latest to that thread's end."""

    def __enter__(self) -> Span: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def __call__(self, function: _F, /) -> _F:
        """Decorates a function: each call is a span like this one, whose arguments are read at each call."""

def instant(
    name: str,
    /,
    *,
    category: str | None = None,
    flow_in: _Flows | None = None,
    flow_out: _Flows | None = None,
    flow_end: _Flows | None = None,
    **args: object,
) -> None:
    """A point in time, where `trace` would draw a span."""

def flow() -> Flow:
    """A new flow: an arrow between the events that say they take part in it, in the order of their times."""

@final
class Flow:
    """A flow, from `flow()` or `TraceGenerator.flow()`. Its number does in its place."""

    @property
    def id(self) -> int:
        """Its number in the trace, from 0 to 2^64 - 1."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def track(name: str) -> LiveTrack:
    """A track of one's own, on which any thread may record; spans that overlap are drawn on lanes.

    >>> io = novatrace.track("io")
    >>> with novatrace.open("app.pftrace"):
    ...     with io.trace("read", bytes=4096):
    ...         io.instant("first byte")
    """

@final
class LiveTrack:
    """From `track`."""

    @property
    def name(self) -> str:
        """What it is called."""

    @overload
    def trace(self, name: _F, /, *, category: str | None = None) -> _F: ...
    @overload
    def trace(
        self,
        name: str,
        /,
        *,
        category: str | None = None,
        flow_in: _Flows | None = None,
        flow_out: _Flows | None = None,
        flow_end: _Flows | None = None,
        **args: object,
    ) -> Span:
        """As the function `trace`, on this track."""

    def instant(
        self,
        name: str,
        /,
        *,
        category: str | None = None,
        flow_in: _Flows | None = None,
        flow_out: _Flows | None = None,
        flow_end: _Flows | None = None,
        **args: object,
    ) -> None:
        """As the function `instant`, on this track."""

def counter(name: str, *, unit: str | None = None, category: str = "default") -> Counter:
    """A value over time. Asking again for a name gives the same one.

    >>> queue = novatrace.counter("queue depth", unit="items")
    >>> with novatrace.open("app.pftrace"):
    ...     queue.set(12)
    ...     queue.add(-3)
    >>> queue.value
    9.0
    """

@final
class Counter:
    """From `counter`. Changed by any thread; a number is kept as a double, and NaN is passed over."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def value(self) -> float:
        """What it was set to last while it was recorded."""

    def set(self, value: SupportsFloat, /) -> None:
        """Its value from here on. Does nothing while nothing is recorded."""

    def add(self, value: SupportsFloat, /) -> None:
        """So much more, or less. Does nothing while nothing is recorded."""


def is_recording() -> bool:
    """Whether a session records events of the category `default`."""

@overload
def trace_func(function: _F, /) -> _F: ...
@overload
def trace_func(
    function: None = None,
    /,
    *,
    name: str | None = None,
    category: str = "default",
    track: LiveTrack | None = None,
) -> Callable[[_F], _F]:
    """Decorates a function: each call is a span of the function's qualified name. Coroutine and generator
    functions stay such, and are spans from their first step to their last; methods, class methods and
    static methods stay such too.

    >>> @novatrace.trace_func
    ... def step(x):
    ...     return x + 1
    >>> with novatrace.open("app.pftrace"):
    ...     step(1)
    2
    """

@overload
def trace_func_args(function: _F, /) -> _F: ...
@overload
def trace_func_args(
    function: None = None,
    /,
    *,
    name: str | None = None,
    category: str = "default",
    track: LiveTrack | None = None,
    skip: Sequence[str] | None = None,
) -> Callable[[_F], _F]:
    """As `trace_func`, with the call's arguments by name, but for `self`, `cls` and those in `skip`.

    >>> @novatrace.trace_func_args(skip=["password"])
    ... def login(user, password):
    ...     return user
    >>> with novatrace.open("app.pftrace"):
    ...     login("me", "secret")
    'me'
    """

class TraceGenerator:
    """A trace with times that the caller gives: an `int` is nanoseconds, a `float` is seconds.

    The file is created or emptied, and complete after `finish`, at the end of the `with`, or when the
    interpreter exits. Calls may come from any thread, and in any order of their times: a slice that comes at
    most `window` events late (16,384) is drawn as if it had come in order, a later one on a lane of its own.
    Slices that overlap without nesting are drawn on lanes, or, with `overlap="refuse"`, are an error of
    `finish`. Of each container in an argument, `list_max_size` items are shown, and how many more there are.
    `flush_interval` is in seconds (0.1): what is older is in the file if the program is killed, but for what
    is within the window. `path`, `batch_bytes`, `compression`, `worker`, `rotate_bytes`, `rotate_seconds` and `keep` are those of
    `open`.

    Raises `TraceFileError`, an `OSError`, if the file cannot be made.

    >>> with novatrace.TraceGenerator("sim.pftrace") as trace:
    ...     engine = trace.group("Die:0").track("XPU:0")
    ...     engine.duration(1_000, 500, "gemm", m=1024)
    ...     engine.duration(1.5e-6, 0.5e-6, "softmax")
    >>> trace.stats().events
    2
    """

    def __new__(
        cls,
        path: str | os.PathLike[str],
        *,
        attributes: Mapping[str, str | int] | None = None,
        window: int | None = None,
        overlap: Literal["lane", "refuse"] = "lane",
        default_category: str | None = "default",
        list_max_size: int = 256,
        flush_interval: float | None = None,
        batch_bytes: int | None = None,
        compression: str | None = None,
        worker: Literal["thread", "process"] = "thread",
        rotate_bytes: int | None = None,
        rotate_seconds: float | None = None,
        keep: int | None = None,
    ) -> TraceGenerator: ...
    @property
    def path(self) -> str:
        """The file, as it was named."""

    @property
    def worker(self) -> Literal["thread", "process"]:
        """What writes the file, or did."""

    @property
    def list_max_size(self) -> int:
        """How many items of a container are shown."""

    @list_max_size.setter
    def list_max_size(self, size: int) -> None: ...
    def group(self, name: str) -> Group:
        """The group of that name at the top; made when first asked for, as all that follow."""

    def track(self, name: str) -> Track:
        """The track of that name at the top."""

    def counter(self, name: str, *, unit: str | None = None) -> CounterTrack:
        """The counter of that name at the top."""

    def cluster(self, die: int | None, cluster: int | None) -> Group:
        """The group of a die's cluster: "Global", "Die:0, Global" or "Die:0, Cluster:1"."""

    def flow(self) -> Flow:
        """A new flow."""

    def set_batch(self, *, bytes: int | None = None, flush_interval: float | None = None) -> None:
        """As `Session.set_batch`."""

    def set_compression(self, compression: str) -> None:
        """As `Session.set_compression`."""

    def flush(self) -> None:
        """Waits until everything that was recorded before is in the file. Slices that come later, but start
        before what was written, get lanes of their own.

        Raises `TraceFileError` if the file took no more."""

    def finish(self) -> Stats:
        """Completes the file; what is recorded after is refused with `TraceStateError`.

        Raises what went wrong first: `TraceFileError`, or `TraceValueError` for a refused overlap. A second
        call answers the same."""

    def stats(self) -> Stats:
        """The counts up to now."""

    def __enter__(self) -> TraceGenerator: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...
    def __copy__(self) -> TraceGenerator: ...
    def __deepcopy__(self, _memo: dict[int, Any]) -> TraceGenerator: ...

@final
class Stats:
    """What became of a trace's events."""

    @property
    def events(self) -> int:
        """Slices, instants and counter samples that were recorded."""

    @property
    def packets(self) -> int:
        """Packets of Perfetto's that were written, those in compressed bundles included."""

    @property
    def bytes(self) -> int:
        """Size of the trace, as it is compressed."""

    @property
    def lanes(self) -> int:
        """Extra lanes for slices that overlap, came late or stayed open."""

    @property
    def dropped(self) -> int:
        """Events that the file did not take, since it had failed."""

    @property
    def refused(self) -> int:
        """Slices left out by `overlap="refuse"`."""

    @property
    def left_open(self) -> int:
        """Slices that were still open."""

    @property
    def parts(self) -> int:
        """Files that the trace is in, those that are not kept included."""

@final
class Group:
    """Holds tracks, counters and groups, in the order in which they are made."""

    @property
    def name(self) -> str:
        """What it is called."""

    def group(self, name: str) -> Group:
        """The group of that name in this one."""

    def track(self, name: str) -> Track:
        """The track of that name in this group."""

    def counter(self, name: str, *, unit: str | None = None) -> CounterTrack:
        """The counter of that name in this group."""


@final
class Track:
    """Slices and instants. Every keyword but the four named ones is an argument of any type; `args` is for
    those whose names are no identifiers."""

    @property
    def name(self) -> str:
        """What it is called."""

    def duration(
        self,
        start: _Time,
        length: _Time,
        name: object,
        /,
        *,
        category: _Texts | None = None,
        flow: _Flows | None = None,
        flow_end: _Flows | None = None,
        args: object = None,
        **kwargs: object,
    ) -> None:
        """A slice from `start`, of `length`: both in nanoseconds (`int`) or both in seconds (`float`).

        Raises `TraceValueError` for a time that cannot be, `TraceStateError` after `finish`: the event is not
        recorded, and nothing else is lost."""

    def instant(
        self,
        time: _Time,
        name: object,
        /,
        *,
        category: _Texts | None = None,
        flow: _Flows | None = None,
        flow_end: _Flows | None = None,
        args: object = None,
        **kwargs: object,
    ) -> None:
        """A point in time."""

    def begin(
        self,
        start: _Time,
        name: object,
        /,
        *,
        category: _Texts | None = None,
        flow: _Flows | None = None,
        flow_end: _Flows | None = None,
        args: object = None,
        **kwargs: object,
    ) -> OpenSlice:
        """A slice whose end is not known yet."""

    def end(self, time: _Time, /) -> None:
        """Ends the slice of this track that began last and is open.

        Raises `TraceStateError` if there is none."""

    def durations(
        self,
        starts: _Numbers,
        lengths: _Numbers,
        names: _Texts,
        *,
        category: _Texts | None = None,
        args: Mapping[str, _Numbers] | None = None,
    ) -> None:
        """Many slices, from arrays of one length: of numpy, `array`, or anything with a buffer of numbers, or
        sequences. `names` is one name for all, or a name for each; the names are kept for the rest of the
        process. Integers are nanoseconds, floats seconds, `timedelta64[ns]` of numpy's nanoseconds.

        Raises `TypeError` for times of which some are integers and some floats, and `TraceValueError` if the
        lengths differ, before anything is recorded; `TraceValueError` for a time that cannot be: what came
        before it is recorded.

        >>> with novatrace.TraceGenerator("sim.pftrace") as trace:
        ...     track = trace.track("XPU:0")
        ...     track.durations([0, 100], [50, 50], ["a", "b"], args={"tile": [7, 8]})
        >>> trace.stats().events
        2
        """

@final
class OpenSlice:
    """A slice that has begun; from `Track.begin`."""

    def end(self, time: _Time, /) -> None:
        """Ends it. Raises `TraceStateError` if it has ended, `TraceValueError` if it began later: it stays open."""

@final
class CounterTrack:
    """A value over time, which holds until the next sample."""

    @property
    def name(self) -> str:
        """What it is called."""

    def count(self, time: _Time, value: SupportsFloat, /) -> None:
        """A sample. Raises `TraceValueError` for NaN or a time that cannot be."""

    def counts(self, times: _Numbers, values: _Numbers) -> None:
        """Many samples, from arrays; see `Track.durations`."""

    def counter(self, name: str, *, unit: str | None = None) -> CounterTrack:
        """The counter of that name below this one."""

@final
class Traced:
    """A decorated function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...
    def _span(self, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> Any: ...

# What follows is for the package itself and `nova_platform.perfetto_protobuf`, and not for use elsewhere.
def _finish_all() -> None: ...
def _child_started(process: int) -> None: ...
def _join() -> bool: ...
def _command(arguments: list[str]) -> int: ...
def _serve_worker(arguments: list[str]) -> None: ...

class _LegacyTrack:
    def __new__(cls, track: Track, *_further: object, **_named: object) -> _LegacyTrack: ...
    def duration(
        self, ts: float, dur: float, annotation: object, kwargs: object = None,
        flow: object = None, category_list: object = None,
    ) -> _LegacyTrack: ...
    def instant(
        self, ts: float, annotation: object, kwargs: object = None,
        flow: object = None, category_list: object = None,
    ) -> _LegacyTrack: ...
    def open(
        self, ts: float, annotation: object, kwargs: object = None,
        flow: object = None, category_list: object = None,
    ) -> _LegacyTrack: ...
    def close(self, ts: float, flow: object = None) -> _LegacyTrack: ...

class _LegacyCounterTrack:
    def __new__(cls, counter: CounterTrack, *_further: object, **_named: object) -> _LegacyCounterTrack: ...
    def count(self, ts: float, value: float) -> _LegacyCounterTrack: ...

class _LegacyCounter:
    def __new__(cls, name: object) -> _LegacyCounter: ...
    @property
    def _value(self) -> float: ...
    def count(self, value: float) -> None: ...
    def increment(self, value: float) -> None: ...

class _LegacySpan:
    def set_incoming_flow_ids(self, incoming_flow_ids: object) -> _LegacySpan: ...
    def get_outgoing_flow_ids(self, num_outgoing_flow_ids: int) -> _LegacySpan: ...
    def set_caller(self, caller: object) -> _LegacySpan: ...
    def __enter__(self) -> list[int]: ...
    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> bool: ...

@final
class _LegacyPacket:
    def SerializeToString(self) -> bytes: ...
    def ByteSize(self) -> int: ...
    def annotate(self, kwargs: object, list_max_size: int) -> None: ...

@final
class _LegacyTrace:
    def __new__(cls, packets: Iterable[_LegacyPacket]) -> _LegacyTrace: ...
    def SerializeToString(self) -> bytes: ...
    def ByteSize(self) -> int: ...

_Caller = tuple[object, int, object]

@final
class _LegacyPackets:
    def __new__(cls) -> _LegacyPackets: ...
    def header(self) -> list[_LegacyPacket]: ...
    def process(self, uuid: int, pid: int, process_name: object, track_name: object) -> _LegacyPacket: ...
    def track(self, uuid: int, parent: int | None, name: object, is_counter: bool) -> _LegacyPacket: ...
    def named(
        self, is_instant: bool, uuid: int, ts: int, annotation: object, kwargs: object, flow: object,
        caller: _Caller | None, category_list: object, list_max_size: int,
    ) -> _LegacyPacket: ...
    def end(self, uuid: int, ts: int, flow: object) -> _LegacyPacket: ...
    def count(self, uuid: int, ts: int, value: float, category_list: object) -> _LegacyPacket: ...

def legacy_trace(track: LiveTrack | None, name: object, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> _LegacySpan: ...
def legacy_instant(
    track: LiveTrack | None, name: object, description: object,
    num_outgoing_flow_ids: int, incoming_flow_ids: object, /,
) -> list[int]: ...
def legacy_trace_func(function: _F, track: LiveTrack | None, with_args: bool, /) -> _F: ...
