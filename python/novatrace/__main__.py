"""`python -m novatrace`, and the command `novatrace`: what the Rust binary of that name does, and what only Python
can do."""

import signal
import sys

from ._novatrace import _command, _serve_worker


def _run(arguments):
    from . import _run

    return _run.main(arguments)


# Commands that the Rust binary has not, each with what does it and what `--help` says.
COMMANDS = {
    "run": (_run, "Run a Python program, with a span for every call"),
}

# Those that it has.
BINARYS_COMMANDS = {"check", "demo", "dump", "help", "info", "receive", "recover"}


def main():
    """Does what the command line says; answers the exit status."""
    # It is the worker of a program that was not told of another: then this does not return.
    _serve_worker(sys.argv[:2])
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]][0](arguments[1:])
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # The interpreter would not get to know of Ctrl-C before the command is over.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    status = _command(arguments)
    is_asked = arguments in (["-h"], ["--help"], ["help"])
    if is_asked or not arguments or not (arguments[0].startswith("-") or arguments[0] in BINARYS_COMMANDS):
        stream = sys.stdout if is_asked else sys.stderr
        print("\nCommands of the Python package:", file=stream)
        for name, (_, what) in COMMANDS.items():
            print(f"  {name:<6}{what}", file=stream)
    return status


if __name__ == "__main__":
    sys.exit(main())
