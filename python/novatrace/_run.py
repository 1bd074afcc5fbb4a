"""`novatrace run`: a Python program as it is, with a span for every call.

The program finds what `python script.py` or `python -m module` would give it: `__main__`, `sys.argv`, `sys.path`,
its own exit code, and tracebacks that begin with it. The trace is completed by `atexit`, after the program's own
handlers and the end of its threads, so whichever way the program ends.
"""

import argparse
import atexit
import importlib.machinery
import importlib.util
import io
import os
import pkgutil
import runpy
import sys
import threading
import types

import novatrace

from . import _novatrace

EPILOG = """\
A GLOB is compared with the path of the file that a function is in, and with the file's name alone; `*` is any
number of characters, also of `/`, and `?` is one. Frozen modules are files such as `<frozen importlib._bootstrap>`.

Functions nested more than 500 deep are counted, but not shown. Processes that the program forks or starts record
nothing. If a duration is asked for, shorter calls are left out, but those in which the program records something
by novatrace's own functions.
"""


def main(arguments):
    """Runs the program that the arguments name."""
    parser = argparse.ArgumentParser(
        prog="novatrace run",
        description="Runs a Python program as `python` would, and records every call as a span on its thread.",
        usage="%(prog)s [options] script.py [args...]\n       %(prog)s [options] -m module [args...]",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="out.pftrace", help="the trace (default: %(default)s)"
    )
    parser.add_argument(
        "--min-duration", metavar="US", type=microseconds, default=0.0, help="leave shorter calls out"
    )
    parser.add_argument(
        "--include", metavar="GLOB", action="append", default=[], help="only functions of such files"
    )
    parser.add_argument(
        "--exclude", metavar="GLOB", action="append", default=[], help="no functions of such files"
    )
    parser.add_argument("--c-functions", action="store_true", help="also functions written in C")
    parser.add_argument(
        "--compression", metavar="CODEC", help="none, zlib, zstd, or with a level as in zlib:6 (default: none)"
    )
    parser.add_argument(
        "--worker", choices=["thread", "process"], default="thread",
        help="what writes the trace; a process outlives a program that is killed (default: %(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing at the end")
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.add_argument("script", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    run(parser, parser.parse_args(arguments))


def microseconds(text):
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def run(parser, chosen):
    if chosen.module:
        prepare = module_to_run
        arguments = chosen.module
    elif chosen.module is None and chosen.script:
        prepare = script_to_run
        arguments = chosen.script
    else:
        parser.error("what is to be run? a script, or -m and a module")
    # Also the name of the process in the trace.
    sys.argv[:] = arguments
    ending = [lambda: None]
    try:
        # A program that is not there does not cost the trace of the last one that was.
        go = prepare(parser, arguments)
        try:
            session = novatrace.open(
                chosen.output, overflow="block", compression=chosen.compression, worker=chosen.worker,
                children="quiet",
            )
        except (novatrace.TraceFileError, novatrace.TraceValueError) as error:
            parser.error(str(error))
        atexit.register(finish, session, chosen, os.getpid(), ending)
        ending[0] = hook(chosen)
        os.register_at_fork(after_in_child=ending[0])
        go()
    except SystemExit:
        raise
    except BaseException as error:
        hide_ourselves(error)
        raise


def script_to_run(parser, arguments):
    script = arguments[0]
    is_safe = getattr(sys.flags, "safe_path", False)
    importer = pkgutil.get_importer(script)
    if importer is not None:
        # A folder or an archive, with a `__main__` in it.
        find = getattr(importer, "find_spec", None) or importer.find_module
        if find("__main__") is None:
            print(f"{parser.prog}: can't find '__main__' module in {script!r}", file=sys.stderr)
            sys.exit(1)
        sys.path[0:0 if is_safe else 1] = [os.path.join(os.getcwd(), script)]
        new_main()
        return lambda: runpy._run_module_as_main("__main__", False)
    # Not made shorter, as Python leaves it.
    path = os.path.join(os.getcwd(), script)
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        print(f"{parser.prog}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        sys.exit(2)
    if not is_safe:
        sys.path[0] = os.path.dirname(os.path.realpath(script))
    code = compile(source, path, "exec", dont_inherit=True)
    main = new_main()
    main.__file__ = path
    main.__cached__ = None
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    return lambda: exec(code, main.__dict__)


def module_to_run(parser, arguments):
    module = arguments[0]
    # As `python -m` has it, until the module is found.
    sys.argv[0] = "-m"
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.getcwd()
    try:
        # A package's modules are not looked for: its own code, which has to run first, says where they are.
        is_there = importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        is_there = True  # or so; `runpy` will say
    if not is_there:
        print(f"{parser.prog}: No module named {module}", file=sys.stderr)
        sys.exit(1)
    new_main()
    return lambda: runpy._run_module_as_main(module)


def new_main():
    # The one before is kept, for functions of it that are still to be called.
    global _main_before
    _main_before = sys.modules["__main__"]
    main = types.ModuleType("__main__")
    main.__builtins__ = __builtins__ if isinstance(__builtins__, types.ModuleType) else sys.modules["builtins"]
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main


def hook(chosen):
    """From here on, calls are spans, until what it answers is called."""
    monitoring = getattr(sys, "monitoring", None)
    tool = monitoring and next((tool for tool in (4, 3, 5) if monitoring.get_tool(tool) is None), None)
    # Its events say less of C functions than the profile hook does.
    is_monitored = tool is not None and not chosen.c_functions
    callbacks = {}
    if tool is not None:
        events = monitoring.events
        if is_monitored:
            call, leave, unwind = _novatrace._monitors(monitoring.DISABLE)
            callbacks = {
                events.PY_START: call, events.PY_RESUME: call, events.PY_THROW: call,
                events.PY_RETURN: leave, events.PY_YIELD: leave, events.PY_UNWIND: unwind,
            }
        else:
            # Which exception it is that leaves a function, the hook does not say.
            raised, handled = _novatrace._raised, _novatrace._handled
            callbacks = {events.RAISE: raised, events.RERAISE: raised, events.EXCEPTION_HANDLED: handled}
        monitoring.use_tool_id(tool, "novatrace")
        for event, callback in callbacks.items():
            monitoring.register_callback(tool, event, callback)
    if not is_monitored:
        threading.setprofile(_novatrace._hook_thread)
    _novatrace._hook(
        own=os.path.dirname(__file__) + os.sep,
        min_duration_us=chosen.min_duration,
        include=chosen.include,
        exclude=chosen.exclude,
        c_functions=chosen.c_functions,
        is_monitored=is_monitored,
    )
    if callbacks:
        monitoring.set_events(tool, sum(callbacks))

    def unhook():
        if callbacks:
            monitoring.set_events(tool, 0)
        if not is_monitored:
            threading.setprofile(None)
        _novatrace._unhook(is_monitored=is_monitored)

    return unhook


def hide_ourselves(error):
    """Has the traceback begin with the program, as it is shown in the end."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    shown_by = sys.excepthook

    def excepthook(kind, error, _):
        sys.excepthook = shown_by
        shown_by(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = excepthook


def finish(session, chosen, process, ending):
    if os.getpid() != process:
        return
    ending[0]()
    try:
        report = session.close()
    except novatrace.TraceError as error:
        print(f"novatrace: {error}", file=sys.stderr)
        return
    if not chosen.quiet:
        lost = report.lost + report.dropped
        lost = f" ({lost:,} could not be shown)" if lost else ""
        print(
            f"novatrace: {report.events:,} events in {chosen.output}{lost};"
            " open it at https://ui.perfetto.dev",
            file=sys.stderr,
        )
