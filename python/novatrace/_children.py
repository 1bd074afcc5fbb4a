"""Processes that the program starts, and that record into its trace if that lets them: forks, those of
`multiprocessing` by whatever method, and programs that are started."""

import os
import sys

from ._novatrace import _finish_all, _join


def _finish_at_exit(_module):
    from multiprocessing import util

    # What is registered with atexit is not called there.
    util.Finalize(None, _finish_all, exitpriority=-1000)


def _join_parent():
    if _join():
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # Called once the process has forgotten what its parent registered.
            util.register_after_fork(sys.modules[__name__], _finish_at_exit)


def set_up():
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_join_parent)
    if "NOVATRACE_JOIN" in os.environ:
        _join_parent()
