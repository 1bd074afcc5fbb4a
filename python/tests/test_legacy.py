"""`nova_platform.perfetto_protobuf`: the old calls, and how they differ from the module that they replace.

`docs/MIGRATING.md` names these tests."""

import copy
import dataclasses
import functools
import inspect
import pickle
import threading

import pytest

from nova_platform.perfetto_protobuf import _profile, _tgen


@pytest.fixture
def trace(path):
    return _tgen.TraceGenerator(str(path), 3)


def rows(oracle, trace):
    trace.block_until_all_tasks_done()
    return oracle.read(trace.filename).slices()


def test_the_old_calls_of_a_simulator(oracle, trace):
    group = trace.get_cluster_tgen(0, 1)
    assert group is trace.get_cluster_tgen(0, 1) is trace.tgen_cluster[0, 1]
    track = group.create_track("XPU", 1)
    assert track is group.create_track("XPU", 1)
    assert track.duration(0.001, 0.002, "gemm", {"m": 1}, [7], ["compute"]) is track
    track.instant(0.003, "tick", {"a": [1, 2]}, [7], ["x", "y"])
    counter = group.create_counter_track("bandwidth")
    assert counter is group.create_counter_track("bandwidth")
    assert counter.count(0.001, 2.5) is counter
    counter.count(0.002, 3)
    assert rows(oracle, trace) == [
        ("XPU", 1_000_000, 2_000_000, "gemm", "compute", {"m": 1}),
        ("XPU", 3_000_000, 0, "tick", "x,y", {"a[0]": 1, "a[1]": 2}),
    ]
    assert oracle.flows() == [("gemm", "tick")]
    assert oracle.counters() == [("bandwidth", 1_000_000, 2.5), ("bandwidth", 2_000_000, 3.0)]
    parents = oracle.rows("select p.name, t.name from track t join track p on p.id = t.parent_id order by t.name")
    assert parents == [("Die:0, Cluster:1", "XPU"), ("Die:0, Cluster:1", "bandwidth")]


def test_groups_are_named_for_what_is_none(oracle, trace):
    for die, cluster in ((None, None), (None, 1), (0, None), (0, 0)):
        trace.get_cluster_tgen(die, cluster).create_track("t", 1).instant(0.0, "x")
    rows(oracle, trace)
    names = oracle.rows("select distinct p.name from track t join track p on p.id = t.parent_id order by p.name")
    assert names == [("Die:0, Cluster:0",), ("Die:0, Global",), ("Global",)]


def test_attributes_are_those_of_old(trace, path):
    group = trace.get_cluster_tgen(0, 0)
    track, counter, row = group.create_track("t", 5), group.create_counter_track("c"), group.create_group("g")
    assert (trace.filename, trace.gcu_id, trace.queue) == (str(path), 3, None)
    assert trace.worker is not None
    assert trace.__pid__ == 5 and trace.__uuid__ == 1234571
    for made, name in ((group, "Die:0, Cluster:0"), (track, "t"), (counter, "c"), (row, "g")):
        assert (made._name, made._parent) == (name, trace)
        assert made in trace.track_map.values()
    assert trace.track_map[group._uuid, "c", 1] is counter
    assert isinstance(track, _tgen.NormalTrack) and isinstance(track, _tgen.BaseTrack)


def test_group_tracks_are_their_row(oracle, trace):
    row = trace.get_cluster_tgen(0, 0).create_group("engines")
    first, second = row.create_track(), row.create_track()
    first.duration(0.0, 0.010, "a")
    second.duration(0.005, 0.010, "b")
    assert [row[0] for row in rows(oracle, trace)] == ["engines", "engines"]


def test_tracks_by_uuid(oracle, trace):
    group = trace._create_group("process", "thread")
    track = trace._create_track(group._uuid, "t", 0)
    trace._create_counter_track(group._uuid, "c").count(0.0, 1)
    trace._create_counter_track(0, "top").count(0.0, 2)
    track.open(0.0, "begun").close(0.001)
    assert [row[1:4] for row in rows(oracle, trace)] == [(0, 1_000_000, "begun")]
    assert {row[0] for row in oracle.counters()} == {"c", "top"}
    with pytest.raises(KeyError, match="no group has the uuid 5"):
        trace._create_track(5, "t", 0)


def test_submit_does_at_once_what_the_worker_was_sent(oracle, trace):
    trace.submit("create_header", {})
    group = trace.get_cluster_tgen(0, 0)
    track, counter = group.create_track("t", 1), group.create_counter_track("c")
    # `dur` is when it ends.
    track.submit("duration", {"uuid": track._uuid, "ts": 1_000, "dur": 3_000, "annotation": "a", "kwargs": {"k": 1}})
    trace.submit("instant", {"uuid": track._uuid, "ts": 4_000, "annotation": "b", "kwargs": None})
    trace.submit("count", {"uuid": counter._uuid, "ts": 5_000, "value": 2.5})
    # Of uuids that the caller has chosen.
    trace.submit("create_group", {"uuid": 7, "pid": 1, "process_name": "p", "track_name": None})
    trace.submit("create_track", {"uuid": 8, "tid": 2, "parent_uuid": 7, "track_name": "u", "ttype": 0})
    trace.submit("duration", {"uuid": 8, "ts": 0, "dur": 10, "annotation": "c", "flow": [3], "category_list": ["d"]})
    trace.submit("exit", {})
    assert oracle.read(trace.filename).slices() == [
        ("u", 0, 10, "c", "d", {}), ("t", 1_000, 2_000, "a", "default", {"k": 1}), ("t", 4_000, 0, "b", "default", {}),
    ]
    assert oracle.counters() == [("c", 5_000, 2.5)]
    with pytest.raises(KeyError, match="no track has the uuid 9"):
        trace.submit("count", {"uuid": 9, "ts": 0, "value": 1})
    with pytest.raises(TypeError, match="annotation"):
        trace.submit("instant", {"uuid": 8, "ts": 0})
    known = "count, create_group, create_header, create_track, duration, exit, instant"
    with pytest.raises(ValueError, match=f"no task is called 'dance'; those that are: {known}"):
        trace.submit("dance", {})


@dataclasses.dataclass
class Cost:
    flops: int
    tiles: list


@pytest.mark.parametrize("kwargs, expected", [
    (None, {}),
    ({}, {}),
    (Cost(5, [1]), {"flops": 5, "tiles[0]": 1}),
    ([1, {"a": 2}], {"data_list[0]": 1, "data_list[1].a": 2}),
    ("text", {"data": "text"}),
])
def test_kwargs_may_be_anything(oracle, trace, kwargs, expected):
    trace.get_cluster_tgen(0, 0).create_track("t", 1).duration(0.0, 0.001, "x", kwargs)
    assert rows(oracle, trace)[0][5] == expected


def test_a_run_empties_the_file(oracle, path):
    for _ in range(2):
        trace = _tgen.TraceGenerator(str(path), 0)
        trace.get_cluster_tgen(0, 0).create_track("t", 1).instant(0.0, "x")
        assert len(rows(oracle, trace)) == 1
        del trace


def test_neighbours_stay_neighbours(oracle, trace):
    track = trace.get_cluster_tgen(0, 0).create_track("t", 1)
    step = 1e-9 / 7 * 1000
    for at in range(2_000):
        track.duration(at * step, step, "x")
    read = rows(oracle, trace)
    assert all(a[1] + a[2] == b[1] for a, b in zip(read, read[1:])) and len(read) == 2_000
    assert len(oracle.rows("select distinct track_id from slice")) == 1


def test_all_is_in_the_file_after_block_and_more_can_follow(oracle, trace):
    track = trace.get_cluster_tgen(0, 0).create_track("t", 1)
    track.duration(0.0, 0.001, "a")
    assert len(rows(oracle, trace)) == 1
    assert len(rows(oracle, trace)) == 1
    track.duration(0.002, 0.001, "b")
    assert len(rows(oracle, trace)) == 2


def test_copies_of_what_holds_a_generator_do_not_fail(trace):
    host = {"trace": trace, "value": [1]}
    assert copy.deepcopy(host) == {"trace": None, "value": [1]}
    assert pickle.loads(pickle.dumps(host)) == {"trace": None, "value": [1]}
    track = trace.get_cluster_tgen(0, 0).create_track("t", 1)
    assert copy.deepcopy({"track": track}) == {"track": None}
    assert pickle.loads(pickle.dumps([track, trace.get_cluster_tgen(0, 0)])) == [None, None]


def test_several_generators_from_several_threads(oracle, tmp_path):
    traces = [_tgen.TraceGenerator(str(tmp_path / f"{gcu}"), gcu) for gcu in range(3)]

    def work(cluster):
        for trace in traces:
            track = trace.get_cluster_tgen(0, cluster).create_track("t", cluster)
            for at in range(300):
                track.duration(at * 1e-6, 5e-7, f"{cluster}", {"at": at})

    threads = [threading.Thread(target=work, args=(cluster,)) for cluster in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for trace in traces:
        read = rows(oracle, trace)
        for cluster in range(4):
            assert [row[5]["at"] for row in read if row[3] == f"{cluster}"] == list(range(300))


def test_the_worker_is_a_process_unless_it_is_to_be_a_thread(path, monkeypatch):
    for value, worker in ((None, "process"), ("1", "process"), ("0", "thread")):
        monkeypatch.delenv("BOSSANOVA_PROTOBUF_MP", raising=False)
        if value is not None:
            monkeypatch.setenv("BOSSANOVA_PROTOBUF_MP", value)
        assert _tgen.TraceGenerator(f"{path}.{value}", 0).worker == worker


def test_the_old_live_calls(oracle, path):
    with _profile.open(str(path)):
        with _profile.trace("outer", 1, k="v").get_outgoing_flow_ids(2) as flows:
            assert len(flows) == 2
        with _profile.trace("inner").set_incoming_flow_ids(flows[:1]):
            more = _profile.instant("point", {"d": 1}, 1, flows[1:])
        track = _profile.track("mine")
        with track.trace("on mine"):
            assert track.instant("there", num_outgoing_flow_ids=0, incoming_flow_ids=more) == []
        counter = _profile.count("items")
        counter.count(2.5)
        counter.increment(1)
    oracle.read(path)
    assert [(row[1], row[3]) for row in oracle.thread_slices()] == [
        ("outer", {"kargs[0]": 1, "kwargs.k": "v"}), ("inner", {}), ("point", {"d": 1}),
    ]
    assert [(row[0], row[3]) for row in oracle.slices() if row[0] == "mine"] == [
        ("mine", "on mine"), ("mine", "there"),
    ]
    assert oracle.flows() == [("outer", "inner"), ("outer", "point"), ("point", "there")]
    assert [row[2] for row in oracle.counters()] == [2.5, 3.5]


def test_callers_are_in_the_trace(oracle, path):
    @_profile.trace_func
    def decorated():
        pass

    with _profile.open(str(path)):
        line = inspect.currentframe().f_lineno
        with _profile.trace("here"):
            pass
        _profile.instant("point")
        decorated()
        with _profile.trace("set").set_caller(("file.py", 7, "function")):
            pass
    me = "test_callers_are_in_the_trace"
    assert oracle.read(path).locations() == [
        ("here", __file__, me, line + 1), ("point", __file__, me, line + 3),
        ("decorated", __file__, "decorated", decorated.__wrapped__.__code__.co_firstlineno),
        ("set", "file.py", "function", 7),
    ]


def test_decorators_bare_or_with_a_track(oracle, path):
    track = _profile.track("mine")

    @_profile.trace_func_args
    def add(a, b=2):
        "Adds."
        return a + b

    @_profile.trace_func(track)
    def on_track():
        return 5

    @_profile.trace_func
    def numbers():
        yield from range(3)

    assert (add.__name__, add.__doc__, str(inspect.signature(add))) == ("add", "Adds.", "(a, b=2)")
    with _profile.open(str(path)):
        assert (add(1), on_track(), list(numbers())) == (3, 5, [0, 1, 2])
        assert functools.partial(add, 5)(b=1) == 6
    read = oracle.read(path).slices()
    assert [(row[0], row[3], row[5]) for row in read] == [
        (None, "add", {"a": 1}), ("mine", "on_track", {}), (None, "numbers", {}),
        (None, "add", {"a": 5, "b": 1}),
    ]


def test_opening_twice_is_an_assertion_error_with_a_message(path, tmp_path):
    with _profile.open(str(path)):
        with pytest.raises(AssertionError, match="Nested trace opening not allowed: .*a.pftrace"):
            with _profile.trace_open(str(tmp_path / "other")):
                pass
    with _profile.open(str(path)):
        pass


def test_stop_completes_the_file(oracle, path):
    with _profile.open(str(path)):
        with _profile.trace("before"):
            pass
        _profile.stop()
        with _profile.trace("after"):
            pass
        assert [row[3] for row in oracle.read(path).slices()] == ["before"]


def test_flows_are_asked_for_before_the_span_is_entered(path):
    with _profile.open(str(path)):
        span = _profile.trace("x")
        with span:
            with pytest.raises(RuntimeError, match="before the span is entered"):
                span.get_outgoing_flow_ids(1)


def test_more_flows_than_can_be_are_refused():
    for count in (2**62, 2**40, 2**20 + 1):
        with pytest.raises(ValueError, match="at most 1048576 new flows"):
            _profile.trace("z").get_outgoing_flow_ids(count)
        with pytest.raises(ValueError, match="at most 1048576 new flows"):
            _profile.instant("z", None, count)


def test_whoever_runs_an_old_program_chooses_its_compression(oracle, tmp_path, monkeypatch):
    sizes = []
    for compression in ["none", "zlib"]:
        monkeypatch.setenv("NOVATRACE_COMPRESSION", compression)
        trace = _tgen.TraceGenerator(str(tmp_path / compression))
        track = trace.get_cluster_tgen(0, 0).create_track("XPU:0")
        for at in range(2_000):
            track.duration(at * 1e-6, 5e-7, "gemm")
        trace.block_until_all_tasks_done()
        oracle.read(tmp_path / compression)
        assert len(oracle.slices()) == 2_000
        sizes.append((tmp_path / compression).stat().st_size)
    assert sizes[1] * 3 < sizes[0]
