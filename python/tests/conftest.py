import os
import signal

import pytest

from oracle import Absent, Oracle


# What a shell starts in the background ignores these, and so does all that it starts: programs of the tests are sent them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.fixture(scope="session")
def _oracle():
    try:
        oracle = Oracle()
    except Absent as absent:
        if os.environ.get("CI") in ("true", "1") or os.environ.get("NOVATRACE_REQUIRE_ORACLE"):
            raise
        pytest.skip(str(absent))
    yield oracle
    oracle.close()


@pytest.fixture
def oracle(_oracle):
    return _oracle


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.pftrace"
