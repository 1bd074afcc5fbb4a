"""Writes Perfetto traces: faithful, small, and nearly free to the caller.

Live, timed by novatrace::

    import novatrace

    with novatrace.open("app.pftrace"):
        with novatrace.trace("load", path="data.csv"):
            ...

        @novatrace.trace_func
        def step(): ...

From a simulator, with times of its own (an `int` is nanoseconds, a `float` seconds)::

    with novatrace.TraceGenerator("sim.pftrace") as trace:
        engine = trace.group("Die:0").track("XPU:0")
        engine.duration(1_000, 500, "gemm", m=1024)

Open the file at https://ui.perfetto.dev; it is not uploaded anywhere.
"""

from ._children import set_up as _set_up
from ._errors import TraceError, TraceFileError, TraceStateError, TraceValueError
from ._novatrace import (
    Counter,
    CounterTrack,
    Flow,
    Group,
    LiveTrack,
    OpenSlice,
    Dump,
    Report,
    Session,
    Span,
    Stats,
    Track,
    TraceGenerator,
    __version__,
    close,
    counter,
    flow,
    instant,
    is_recording,
    open,
    session,
    trace,
    trace_func,
    trace_func_args,
    track,
)

__all__ = [
    "Counter",
    "CounterTrack",
    "Flow",
    "Group",
    "LiveTrack",
    "OpenSlice",
    "Dump",
    "Report",
    "Session",
    "Span",
    "Stats",
    "TraceError",
    "TraceFileError",
    "TraceGenerator",
    "TraceStateError",
    "TraceValueError",
    "Track",
    "__version__",
    "close",
    "counter",
    "flow",
    "instant",
    "is_recording",
    "open",
    "session",
    "trace",
    "trace_func",
    "trace_func_args",
    "track",
]

_set_up()
del _set_up
