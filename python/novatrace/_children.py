"""Processes that the program starts, and that record into its trace if that lets them: forks, those of
`multiprocessing` by whatever method, and programs that are started."""

import _thread
import os
import sys

from ._novatrace import _child_started, _finish_all, _join


def _finish_at_exit(_module):
    from multiprocessing import util

    # What is registered with atexit is not called there.
    util.Finalize(None, _finish_all, exitpriority=-1000)


# The threads that are about to start programs: a fork that does is another program at once.
_starting: set[int] = set()


def _join_parent():
    if _thread.get_ident() in _starting:
        return
    if _join():
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # Called once the process has forgotten what its parent registered.
            util.register_after_fork(sys.modules[__name__], _finish_at_exit)


def _watch(owner, name, number=lambda process: process, kind=lambda function: function, is_program=True):
    """Has it said of each process that `owner.name` starts, whose number is that of what it answers."""
    start = getattr(owner, name, None)
    if start is None or hasattr(start, "is_watched"):
        return
    # Not before a trace lets processes join.
    import functools

    @functools.wraps(start)
    def watched(*args, **kwargs):
        thread = _thread.get_ident()
        if is_program:
            _starting.add(thread)
        try:
            started = start(*args, **kwargs)
        finally:
            _starting.discard(thread)
        _child_started(number(started))
        return started

    watched.is_watched = True
    setattr(owner, name, kind(watched))


def watch_programs():
    """From here on, what starts a program is in the trace: an arrow leads from there to where that joins. Of what is
    started by `subprocess` and `multiprocessing`, which call one of these; and of what the latter has its server fork,
    which is in no trace, if `multiprocessing` is imported by now."""
    try:
        # By its name, so that who imports it later has what is watched.
        import _posixsubprocess
    except ImportError:
        return
    _watch(os, "posix_spawn")
    _watch(_posixsubprocess, "fork_exec")
    _watch(sys.modules.get("subprocess"), "_fork_exec")
    context = sys.modules.get("multiprocessing.context")
    if hasattr(context, "ForkServerProcess"):
        _watch(context.ForkServerProcess, "_Popen", lambda process: process.pid, staticmethod, is_program=False)


def set_up():
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_join_parent)
    if "NOVATRACE_JOIN" in os.environ:
        _join_parent()
