"""Live timing: the old names of what `novatrace` does."""

import novatrace as _novatrace
from novatrace._novatrace import (
    _LegacyCounter,
    _LegacySpan as _trace,
    legacy_instant as _instant,
    legacy_trace as _new_trace,
    legacy_trace_func as _decorate,
)

_session = None


class track:
    """A track of one's own."""

    def __init__(self, name):
        self._name = name
        self._track = _novatrace.track(name)

    def trace(self, name, *args, **kwargs):
        """A span on this track, for `with`."""
        return _new_trace(self._track, name, args, kwargs)

    def instant(self, name, description=None, num_outgoing_flow_ids=0, incoming_flow_ids=[]):
        """An instant on this track; gives the ids of the flows that begin there."""
        return _instant(self._track, name, description, num_outgoing_flow_ids, incoming_flow_ids)


class count(_LegacyCounter):
    """A counter: `count(value)` and `increment(value)`."""

    def __init__(self, name):
        self._name = name


def trace(name, *args, **kwargs):
    """A span on the thread's track, for `with`, which gives the ids of the flows that begin there."""
    return _new_trace(None, name, args, kwargs)


def instant(name, description=None, num_outgoing_flow_ids=0, incoming_flow_ids=[]):
    """An instant on the thread's track; gives the ids of the flows that begin there."""
    return _instant(None, name, description, num_outgoing_flow_ids, incoming_flow_ids)


def _decorator(x, with_args):
    if isinstance(x, track):
        return lambda function: _decorate(function, x._track, with_args)
    return _decorate(x, None, with_args)


def trace_func(x):
    """Decorates a function, each call of which is a span; `x` is the function, or a track."""
    return _decorator(x, False)


def trace_func_args(x):
    """As `trace_func`, with the calls' arguments."""
    return _decorator(x, True)


class _Open:
    def __init__(self, filename):
        self._filename = filename
        self._session = None

    def __enter__(self):
        global _session
        if _session is not None:
            raise AssertionError(
                f"Nested trace opening not allowed: {_session.path} is open; leave its `with` first"
            )
        self._session = _session = _novatrace.open(self._filename)
        return self

    def __exit__(self, kind, error, traceback):
        global _session
        session, self._session = self._session, None
        if _session is session:
            _session = None
        return session.__exit__(kind, error, traceback)


def open(filename):
    """Records what the program does into a file, within a `with`."""
    return _Open(filename)


trace_open = open


def stop():
    """Ends the recording; the file is complete."""
    if _session is not None and not _session.closed:
        _session.close()
