"""A handler for `logging`: each record is an instant of the live trace.

    import logging
    import novatrace
    from novatrace.handler import TraceHandler

    logging.getLogger().addHandler(TraceHandler())
"""

import logging

import novatrace

__all__ = ["TraceHandler"]


class TraceHandler(logging.Handler):
    """Records what is logged as instants of the thread (or task) that logs: named by the message, of the
    category `log`, with the logger, the level, the place, and what `extra` says. While nothing is recorded,
    a record is not even formatted."""

    _KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def emit(self, record):
        """What `logging` calls; an error in it is `handleError`'s, as with every handler."""
        if not novatrace.is_recording():
            return
        try:
            arguments = {key: value for key, value in vars(record).items() if key not in self._KNOWN}
            arguments["logger"] = record.name
            arguments["level"] = record.levelname
            arguments["place"] = f"{record.pathname}:{record.lineno}"
            if record.exc_info and record.exc_info[1] is not None:
                arguments["exception"] = record.exc_info[1]
            for reserved in ("category", "flow_in", "flow_out", "flow_end"):
                if reserved in arguments:
                    arguments[f"{reserved}_"] = arguments.pop(reserved)
            message = self.format(record) if self.formatter else record.getMessage()
            novatrace.instant(message, category="log", **arguments)
        except Exception:
            self.handleError(record)
