"""`nova_platform.perfetto_protobuf._core`: packets one by one. `docs/MIGRATING.md` names these tests."""

import dataclasses
import itertools

import numpy
import pytest

import novatrace
from nova_platform.perfetto_protobuf import _core

PROCESS, TRACK, COUNTER = 1234567, 1234568, 1234569


class Tracer(_core._BaseTraceGenerator):
    """A trace of one process with one track and one counter; each call adds a packet."""

    def __init__(self):
        super().__init__()
        self.packets = [
            *self._header_packet(),
            self._pid_packet(PROCESS, 1, "Die:0"),
            self._tid_packet(TRACK, 2, PROCESS, "XPU", 0),
            self._tid_packet(uuid=COUNTER, tid=3, parent_uuid=PROCESS, track_name="power", ttype=1),
        ]

    def __getattr__(self, name):
        def add(*args, **kwargs):
            self.packets.append(getattr(self, f"_track_{name}")(*args, **kwargs))
            return self.packets[-1]

        return add

    def bytes(self):
        return self._make_trace(self.packets).SerializeToString()


@pytest.fixture
def tracer():
    return Tracer()


def slices(oracle, trace):
    return oracle.read(trace).slices()


def test_what_packets_say_is_what_is_read(oracle, tracer):
    tracer.open(TRACK, 1_000, "gemm", {"m": 1}, [7], category_list=["compute", "hot"])
    tracer.instant(TRACK, 1_100, "tick", {"a": [1, [2, 3]]}, category_list=["hot"])
    tracer.close(TRACK, 1_500)
    tracer.open(TRACK, 1_500, "gemm", None, [7])
    tracer.close(uuid=TRACK, ts=1_800)
    tracer.count(COUNTER, 1_000, 2.5)
    tracer.count(COUNTER, 2_000, 3, category_list=["hot"])
    tracer.open(PROCESS, 3_000, "on the process itself")
    tracer.close(PROCESS, 3_001)
    assert slices(oracle, tracer.bytes()) == [
        ("XPU", 1_000, 500, "gemm", "compute,hot", {"m": 1}),
        ("XPU", 1_100, 0, "tick", "hot", {"a[0]": 1, "a[1][0]": 2, "a[1][1]": 3}),
        ("XPU", 1_500, 300, "gemm", None, {}),
        ("Die:0", 3_000, 1, "on the process itself", None, {}),
    ]
    assert oracle.flows() == [("gemm", "gemm")]
    assert oracle.counters() == [("power", 1_000, 2.5), ("power", 2_000, 3.0)]
    assert oracle.rows("select pid, name from process where pid > 0") == [(1, "Die:0")]
    of_process = "select t.name, p.name from {} t join process p using (upid) order by t.id"
    assert ("XPU", "Die:0") in oracle.rows(of_process.format("process_track"))
    assert oracle.rows(of_process.format("process_counter_track")) == [("power", "Die:0")]


def test_no_stat_tells_of_a_fault(oracle, tracer):
    stats = "select name, value from stats where value > 0 and (severity != 'info' or name like 'track_event%')"
    tracer.open(TRACK, 1, "a", {"k": {}}, [1], ("f.py", 3, "f"), ["c"])
    tracer.close(TRACK, 2, [2])
    tracer.instant(TRACK, 3, "b", flow=[2])
    tracer.count(COUNTER, 1, 0.5)
    assert oracle.read(tracer.bytes()).rows(stats) == []


def test_a_flow_on_a_close_leads_from_its_slice(oracle, tracer):
    tracer.open(TRACK, 10, "producer")
    tracer.close(TRACK, 20, [9])
    tracer.instant(TRACK, 30, "consumer", None, [9])
    oracle.read(tracer.bytes())
    assert oracle.flows() == [("producer", "consumer")]


def test_packets_come_in_any_order_but_for_the_names_they_define(oracle, tracer):
    # The first packet of a name has it; the rest may come in any order.
    tracer.open(TRACK, 500, "x", {"at": 0})
    first = len(tracer.packets)
    for at in range(1, 20):
        tracer.close(TRACK, 505 - at * 10 + 10)
        tracer.open(TRACK, 500 - at * 10, "x", {"at": at})
    tracer.close(TRACK, 505 - at * 10)
    head, rest = tracer.packets[:first], tracer.packets[first:]
    trace = tracer._make_trace(head + rest[::-1]).SerializeToString()
    assert [(row[1], row[2], row[3]) for row in slices(oracle, trace)] == [
        (500 - at * 10, 5, "x") for at in reversed(range(20))
    ]


def test_a_file_is_made_of_traces_one_after_the_other(oracle, tracer, path):
    with open(path, "wb") as file:
        file.write(tracer.bytes())
        for start in range(0, 100, 10):
            packets = [tracer._track_open(TRACK, start, "x"), tracer._track_close(TRACK, start + 10)]
            file.write(tracer._make_trace(packets).SerializeToString())
    assert [row[1:4] for row in slices(oracle, path)] == [(start, 10, "x") for start in range(0, 100, 10)]


def test_names_are_sent_once(tracer):
    name = "a name of some length"
    for at in range(100):
        tracer.open(TRACK, at * 10, name)
        tracer.instant(TRACK, at * 10, name)
        tracer.close(TRACK, at * 10 + 5)
    assert tracer.bytes().count(name.encode()) == 1


def test_a_second_header_starts_anew(oracle, tracer):
    tracer.instant(TRACK, 1, "x")
    tracer.packets += tracer._header_packet()
    tracer.instant(TRACK, 2, "x", None, (), ("f.py", 1, "f"))
    assert [row[3] for row in slices(oracle, tracer.bytes())] == ["x", "x"]
    assert oracle.locations() == [("x", "f.py", "f", 1)]


def test_callers_are_in_the_trace(oracle, tracer):
    for at, line in enumerate((5, 6, 5)):
        tracer.instant(TRACK, at, f"line {line}", caller=("f.py", line, "f"))
    tracer.open(TRACK, 10, "slice", None, [], ("g.py", 7, "g"))
    tracer.close(TRACK, 11)
    assert oracle.read(tracer.bytes()).locations() == [
        ("line 5", "f.py", "f", 5), ("line 6", "f.py", "f", 6), ("line 5", "f.py", "f", 5),
        ("slice", "g.py", "g", 7),
    ]


@dataclasses.dataclass
class Cost:
    flops: int
    tiles: list


@pytest.mark.parametrize("kwargs, expected", [
    (None, {}),
    ({}, {}),
    ([], {}),
    (Cost(5, [1]), {"flops": 5, "tiles[0]": 1}),
    ([1, {"a": 2}], {"data_list[0]": 1, "data_list[1].a": 2}),
    ("text", {"data": "text"}),
    ({"b": True, "f": 0.5, "n": None, "u": 2**64 - 1, "i": -3}, {"b": 1, "f": 0.5, "n": "None", "u": -1, "i": -3}),
    ({"empty": {}, "none": []}, {"empty": "{}", "none": "[]"}),
    ({"numpy": numpy.int64(3), "array": numpy.array([1, 2])}, {"numpy": 3, "array[0]": 1, "array[1]": 2}),
    ({"bytes": b"\x01\xff", "set": {7}}, {"bytes": "0x01ff", "set[0]": 7}),
    ({1: "one", "": 2}, {"1": "one", "(empty)": 2}),
    ({"nan": float("nan")}, {"nan": "NaN"}),
])
def test_kwargs_may_be_anything(oracle, tracer, kwargs, expected):
    tracer.instant(TRACK, 1, "x", kwargs)
    assert slices(oracle, tracer.bytes())[0][5] == expected


def test_values_are_those_that_the_generator_writes(oracle, tracer, path):
    deep, cycle = [], {"k": 1}
    cycle["me"] = cycle
    for _ in range(40):
        deep = [deep, 1]
    value = {"deep": deep, "cycle": cycle, "many": list(range(300)), "bytes": b"x" * 300, "type": int, "e": ValueError("no")}
    tracer.instant(TRACK, 1, "x", value)
    ours = slices(oracle, tracer.bytes())[0][5]
    with novatrace.TraceGenerator(path) as trace:
        trace.track("t").instant(1, "x", args=value)
    assert ours == slices(oracle, path)[0][5]
    assert len(ours) > 256


def test_list_max_size_can_be_changed(oracle, tracer):
    assert tracer.list_max_size == 256
    tracer.list_max_size = 2
    tracer.instant(TRACK, 1, "x", {"a": [1, 2, 3, 4]})
    assert slices(oracle, tracer.bytes())[0][5] == {"a[0]": 1, "a[1]": 2, "a[2]": "... (2 more items)"}


def test_arguments_can_be_added_to_a_packet(oracle, tracer):
    packet = tracer.instant(TRACK, 1, "x", {"a": 1})
    tracer._add_debug_annotation(packet, {"b": {"c": 2}})
    tracer._add_debug_annotation(packet, [3])
    assert slices(oracle, tracer.bytes())[0][5] == {"a": 1, "b.c": 2, "data_list[0]": 3}
    with pytest.raises(novatrace.TraceValueError, match="no event"):
        tracer._add_debug_annotation(tracer.packets[0], {"b": 2})


def test_times_are_whole_nanoseconds(tracer):
    tracer.instant(TRACK, numpy.uint64(5), "x")
    with pytest.raises(TypeError):
        tracer.instant(TRACK, 0.5, "x")
    for wrong in (-1, 1 << 63, 1 << 80):
        with pytest.raises(novatrace.TraceValueError, match="a time is from 0 to 9223372036854775807 ns, not"):
            tracer.instant(TRACK, wrong, "x")
    with pytest.raises(novatrace.TraceValueError, match="NaN"):
        tracer.count(COUNTER, 5, float("nan"))
    assert "timestamp: 5\n" in str(tracer.packets[-1])


def test_tracks_of_one_name_are_not_merged(oracle, tracer):
    tracer.packets += [tracer._tid_packet(uuid, 9, 0, "same", 0) for uuid in (8, 9)]
    for uuid, start in itertools.product((8, 9), (0, 10)):
        tracer.open(uuid, start + uuid, f"{uuid}")
        tracer.close(uuid, start + uuid + 5)
    oracle.read(tracer.bytes())
    assert oracle.rows("select group_concat(name) from slice group by track_id order by 1") == [("8,8",), ("9,9",)]


def test_packets_are_printed_as_text(monkeypatch, capsys, tracer):
    monkeypatch.setattr(_core, "print_proto", True)
    tracer.open(TRACK, 1_000, 'ge"mm\n', {"m": -1, "d": {"x": [0.5, True]}}, [7], ("f.py", 3, "f"), ["c"])
    assert capsys.readouterr().out == r"""timestamp: 1000
trusted_packet_sequence_id: 1
track_event {
  category_iids: 2
  debug_annotations {
    int_value: -1
    name: "m"
  }
  debug_annotations {
    name: "d"
    dict_entries {
      name: "x"
      array_values {
        double_value: 0.5
      }
      array_values {
        bool_value: true
      }
    }
  }
  type: TYPE_SLICE_BEGIN
  name_iid: 1
  track_uuid: 1234568
  source_location_iid: 3
  flow_ids: 7
}
interned_data {
  event_categories {
    iid: 2
    name: "c"
  }
  event_names {
    iid: 1
    name: "ge\"mm\n"
  }
  source_locations {
    iid: 3
    file_name: "f.py"
    function_name: "f"
    line_number: 3
  }
}
sequence_flags: 2

"""
    tracer._header_packet()
    tracer._pid_packet(1, 2, "p", "t")
    tracer._tid_packet(3, 4, 1, "c", 1)
    tracer.count(3, 0, 2.5)
    printed = capsys.readouterr().out
    for part in ("primary_trace_clock: BUILTIN_CLOCK_BOOTTIME", "pid: 2", 'process_name: "p"', "  counter {\n  }",
                 "sibling_merge_behavior: SIBLING_MERGE_BEHAVIOR_NONE", "double_counter_value: 2.5"):
        assert part in printed
    assert printed.count("\n\n") == 5
    made = tracer._make_trace(tracer.packets[:1])
    assert str(made).startswith("packet {\n  trace_attributes {\n")
    assert made.ByteSize() == len(made.SerializeToString())
