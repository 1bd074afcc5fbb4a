import pytest

from oracle import Absent, Oracle


@pytest.fixture(scope="session")
def _oracle():
    try:
        oracle = Oracle()
    except Absent as absent:
        pytest.skip(str(absent))
    yield oracle
    oracle.close()


@pytest.fixture
def oracle(_oracle):
    return _oracle


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.pftrace"
