"""How `_tgen` and `_profile` differ from the module that they replace, where `test_legacy.py` does not show it.

`docs/MIGRATING.md` names these tests."""

import pathlib
import re

import pytest

from nova_platform.perfetto_protobuf import _core, _profile, _tgen


@pytest.fixture
def trace(path):
    return _tgen.TraceGenerator(str(path))


@pytest.fixture
def track(trace):
    return trace.get_cluster_tgen(0, 0).create_track("t")


def rows(oracle, trace):
    trace.block_until_all_tasks_done()
    return oracle.read(trace.filename).slices()


def test_every_test_that_the_document_names_is_there():
    folder = pathlib.Path(__file__).parent
    document = (folder.parents[1] / "docs/MIGRATING.md").read_text()
    tests = {name for file in folder.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    named = set(re.findall(r"`(test_\w+)`", document))
    assert len(named) > 30 and not named - tests, named - tests
    assert all((folder / name).exists() for name in re.findall(r"`(test_\w+\.py)`", document))


def test_list_max_size_can_be_changed_at_any_time(oracle, trace, track):
    assert trace.list_max_size == 256
    many = {"a": list(range(300)), "d": {f"{at:03}": at for at in range(300)}}
    track.instant(0.0, "wide", many)
    trace.list_max_size = 1
    track.instant(0.1, "narrow", many)
    wide, narrow = (row[5] for row in rows(oracle, trace))
    assert (wide["a[255]"], wide["a[256]"]) == (255, "... (44 more items)")
    assert (wide["d.255"], wide["d.___"]) == (255, "(44 more items)")
    assert narrow == {"a[0]": 0, "a[1]": "... (299 more items)", "___": "(1 more items)"}


def test_containers_are_shown_as_what_they_are(oracle, trace, track):
    track.instant(0.0, "x", {"nested": [[1, [2]], []], "empty": {}, "tuple": (3,), "key": {4: "four"}})
    assert rows(oracle, trace)[0][5] == {
        "nested[0][0]": 1, "nested[0][1][0]": 2, "nested[1]": "[]", "empty": "{}", "tuple[0]": 3, "key.4": "four",
    }


def test_a_flow_of_a_close_is_an_instants(oracle, trace, track):
    track.open(0.0, "slice").close(0.001, [7])
    track.instant(0.002, "arrives", None, [7])
    assert [row[1:4] for row in rows(oracle, trace)] == [
        (0, 1_000_000, "slice"), (1_000_000, 0, "end"), (2_000_000, 0, "arrives"),
    ]
    assert oracle.flows() == [("end", "arrives")]


def test_what_cannot_be_is_an_error_at_the_call(track):
    for call in (
        lambda: track.duration(-1.0, 0.1, "before zero"),
        lambda: track.duration(0.0, -0.1, "negative"),
        lambda: track.duration(float("nan"), 0.1, "no time"),
        lambda: track.close(1.0),
    ):
        with pytest.raises((ValueError, RuntimeError), match="`t`"):
            call()


def test_a_file_that_cannot_be_made_is_an_error_at_once(tmp_path):
    with pytest.raises(OSError, match="no-folder"):
        _tgen.TraceGenerator(str(tmp_path / "no-folder" / "x"), 0)
    with pytest.raises(OSError, match="no-folder"):
        with _profile.open(str(tmp_path / "no-folder" / "x")):
            pass


def test_a_track_is_made_once_however_many_spans_it_has(oracle, path):
    with _profile.open(str(path)):
        track = _profile.track("mine")
        for _ in range(3):
            with track.trace("x"):
                pass
            _profile.track("mine").instant("y")
    assert len(oracle.read(path).slices()) == 6
    assert oracle.rows("select count(*) from track where name = 'mine'") == [(1,)]


def test_nothing_counts_or_fails_while_nothing_is_open(oracle, path):
    count = _profile.count("c")
    with _profile.trace("before") as flows:
        count.increment(1)
        assert flows == [] and len(_profile.instant("before", None, 2)) == 2
    with _profile.open(str(path)):
        count.increment(2)
    assert oracle.read(path).slices() == []
    assert [row[2] for row in oracle.counters()] == [2.0]


def test_a_generator_makes_packets_too(trace):
    assert isinstance(trace, _core._BaseTraceGenerator)
    assert trace._make_trace(trace._header_packet()).SerializeToString()
    trace.list_max_size = 1
    assert "... (1 more items)" in str(trace._track_instant(1, 0, "x", {"a": [1, 2]}))
