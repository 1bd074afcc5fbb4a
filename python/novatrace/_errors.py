"""The exceptions of novatrace: one family."""


class TraceError(Exception):
    """Whatever goes wrong with a trace."""


class TraceFileError(TraceError, OSError):
    """The file cannot be made or written: `errno` says why, and `filename` which it is."""

    def __str__(self):
        # It names the file itself, and says what the number means.
        return str(self.strerror)


class TraceValueError(TraceError, ValueError):
    """A call was given what cannot be: a time out of range, an unknown choice."""


class TraceStateError(TraceError, RuntimeError):
    """A call came when it could not be: after `finish`, in a forked child, while a session is open."""


for _error in (TraceError, TraceFileError, TraceValueError, TraceStateError):
    _error.__module__ = "novatrace"
