import os

import pytest

from oracle import Absent, Oracle


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
