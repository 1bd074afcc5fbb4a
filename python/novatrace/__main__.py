"""`python -m novatrace`, and the command `novatrace`: what the Rust binary of that name does."""

import sys

from ._novatrace import _command


def main():
    """Does what the command line says; answers the exit status."""
    return _command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
