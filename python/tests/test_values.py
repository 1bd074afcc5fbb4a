"""What any Python object looks like as an argument."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import random
import types
import uuid

import numpy as np
import pytest

import novatrace


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Flags(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass
class Tile:
    rows: int
    inner: object = None


@dataclasses.dataclass
class Slotted:
    __slots__ = ("x",)
    x: int


class Plain:
    def __init__(self):
        self.a = 1
        self.b = [2]


class Empty:
    pass


class Slots:
    __slots__ = ()

    def __repr__(self):
        return "Slots!"


class Raises:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


Point = collections.namedtuple("Point", "x y")


def read(oracle, path, value, **choices):
    with novatrace.TraceGenerator(path, **choices) as trace:
        trace.track("t").duration(0, 1, "x", v=value)
    return oracle.read(path).slices()[0][5]


CASES = [
    (1, {"v": 1}),
    (-(1 << 63), {"v": -(1 << 63)}),
    (True, {"v": 1}),
    (0.1, {"v": 0.1}),
    (float("inf"), {"v": float("inf")}),
    ("text", {"v": "text"}),
    (None, {"v": "None"}),
    (1 << 100, {"v": str(1 << 100)}),
    (-(1 << 100), {"v": str(-(1 << 100))}),
    (10**5000, {"v": hex(10**5000)}),
    (b"ab", {"v": "0x6162"}),
    (bytearray(b"ab"), {"v": "0x6162"}),
    ([1, "a", [2.5]], {"v[0]": 1, "v[1]": "a", "v[2][0]": 2.5}),
    ((1, 2), {"v[0]": 1, "v[1]": 2}),
    ({"a": {"b": [1]}}, {"v.a.b[0]": 1}),
    ({1: 2, (1, 2): 3, None: 4, Colour.RED: 5},
     {"v.1": 2, "v.(1, 2)": 3, "v.None": 4, "v.Colour_RED": 5}),
    ({7}, {"v[0]": 7}),
    (frozenset([7]), {"v[0]": 7}),
    (collections.deque([7, 8]), {"v[0]": 7, "v[1]": 8}),
    (collections.OrderedDict(a=1), {"v.a": 1}),
    (Colour.RED, {"v": "Colour.RED"}),
    (Level.HIGH, {"v": "Level.HIGH"}),
    (Flags.A | Flags.B, {"v": "Flags.A|B"}),
    (Tile(2, Tile(3)), {"v.rows": 2, "v.inner.rows": 3, "v.inner.inner": "None"}),
    (Slotted(4), {"v.x": 4}),
    (Point(1, 2), {"v.x": 1, "v.y": 2}),
    (Plain(), {"v.a": 1, "v.b[0]": 2}),
    (Empty(), {"v": "<Empty>"}),
    (types.SimpleNamespace(), {"v": "namespace()"}),
    (types.SimpleNamespace(k=1), {"v.k": 1}),
    (Slots(), {"v": "Slots!"}),
    (ValueError("bad"), {"v": "ValueError: bad"}),
    (pathlib.PurePosixPath("/a/b"), {"v": "/a/b"}),
    (decimal.Decimal("1.5"), {"v": "1.5"}),
    (fractions.Fraction(1, 3), {"v": "1/3"}),
    (datetime.date(2026, 1, 2), {"v": "2026-01-02"}),
    (uuid.UUID(int=5), {"v": str(uuid.UUID(int=5))}),
    (1 + 2j, {"v": "(1+2j)"}),
    (range(3), {"v": "range(0, 3)"}),
    (len, {"v": repr(len)}),
    (Plain, {"v": repr(Plain)}),
    (np.int32(5), {"v": 5}),
    (np.float32(0.5), {"v": 0.5}),
    (np.float64(0.5), {"v": 0.5}),
    (np.bool_(True), {"v": 1}),
    (np.array([[1, 2], [3, 4]]), {"v[0][0]": 1, "v[0][1]": 2, "v[1][0]": 3, "v[1][1]": 4}),
    (np.array(5), {"v": 5}),
    (np.datetime64("2026-01-02"), {"v": "2026-01-02"}),
]


@pytest.mark.parametrize("value, expected", CASES, ids=range(len(CASES)))
def test_values(oracle, path, value, expected):
    read_back = read(oracle, path, value)
    if isinstance(value, Flags):
        assert read_back["v"] in ("Flags.A|B", "Flags.B|A", "A|B")
    else:
        assert read_back == expected


def test_containers_say_how_many_more_there_are(oracle, path):
    assert read(oracle, path, list(range(300)))["v[256]"] == "... (44 more items)"
    shown = read(oracle, path, {str(key): key for key in range(300)})
    assert shown["v.___"] == "(44 more items)" and shown["v.255"] == 255
    shown = read(oracle, path, list(range(10)), list_max_size=4)
    assert shown == {"v[0]": 0, "v[1]": 1, "v[2]": 2, "v[3]": 3, "v[4]": "... (6 more items)"}
    assert read(oracle, path, np.arange(10**6), list_max_size=1)["v[1]"] == "... (999999 more items)"
    assert read(oracle, path, list(range(256)))["v[255]"] == 255


def test_list_max_size_can_change(oracle, path):
    with novatrace.TraceGenerator(path) as trace:
        trace.list_max_size = 1
        trace.track("t").duration(0, 1, "x", v=[1, 2])
        trace.list_max_size = 5
        trace.track("t").duration(5, 1, "x", v=[1, 2])
    rows = oracle.read(path).slices()
    assert [row[5] for row in rows] == [
        {"v[0]": 1, "v[1]": "... (1 more items)"}, {"v[0]": 1, "v[1]": 2},
    ]


def test_what_contains_itself_says_so(oracle, path):
    items = [1]
    items.append(items)
    assert read(oracle, path, items) == {"v[0]": 1, "v[1]": "<cycle: contains itself>"}
    tree = {}
    tree["me"] = tree
    assert read(oracle, path, tree) == {"v.me": "<cycle: contains itself>"}
    plain = Plain()
    plain.me = plain
    assert read(oracle, path, plain)["v.me"] == "<cycle: contains itself>"
    shared = [5]
    assert read(oracle, path, [shared, shared]) == {"v[0][0]": 5, "v[1][0]": 5}


def test_values_that_multiply_end(path):
    value = [1]
    for _ in range(60):
        value = [value, value]
    with novatrace.TraceGenerator(path) as trace:
        trace.track("t").duration(0, 1, "x", v=value)
    assert path.stat().st_size < 16 << 20


def test_deep_values_end(oracle, path):
    value = 1
    for _ in range(5_000):
        value = [value]
    shown = read(oracle, path, value)
    assert len(shown) == 1


def test_what_cannot_be_read_is_told_in_its_place(oracle, path):
    assert read(oracle, path, [Raises(), 5]) == {
        "v[0]": "<Raises: RuntimeError while it was read>", "v[1]": 5,
    }
    assert read(oracle, path, {Raises(): 1}) == {"v.<Raises: RuntimeError while it was read>": 1}


def test_an_interrupt_goes_through_and_the_event_is_kept(oracle, path):
    class Interrupts:
        def __repr__(self):
            raise KeyboardInterrupt

    Interrupts.__slots__ = ()
    value = types.MappingProxyType({"a": Interrupts()})
    with novatrace.TraceGenerator(path) as trace:
        with pytest.raises(KeyboardInterrupt):
            trace.track("t").duration(0, 1, "x", v=[value])
    assert [row[3] for row in oracle.read(path).slices()] == ["x"]


def test_values_are_read_during_the_call(oracle, path):
    value = {"a": [1]}
    with novatrace.TraceGenerator(path) as trace:
        trace.track("t").duration(0, 1, "x", v=value)
        value["a"].append(2)
    assert oracle.read(path).slices()[0][5] == {"v.a[0]": 1}


def test_a_dictionary_that_changes_while_it_is_read_does_no_harm(path):
    values = {}

    class Grows:
        __slots__ = ()

        def __repr__(self):
            for key in range(100):
                values[key] = 1
            return "grows"

    values.update({"a": Grows(), "b": Grows()})
    with novatrace.TraceGenerator(path) as trace:
        trace.track("t").duration(0, 1, "x", v=values)
    assert trace.stats().events == 1


def random_value(random, depth):
    """A value, and what it is read as: path → scalar."""
    kind = random.randrange(9 if depth else 5)
    if kind == 0:
        value = random.randrange(-(1 << 63), 1 << 63)
        return value, {"": value}
    if kind == 1:
        value = random.choice([0.5, -1e300, 3.0])
        return value, {"": value}
    if kind == 2:
        value = "".join(random.choice("ab é.[]") for _ in range(random.randrange(6)))
        return value, {"": value}
    if kind == 3:
        value = random.random() < 0.5
        return value, {"": int(value)}
    if kind == 4:
        return None, {"": "None"}
    children = [random_value(random, depth - 1) for _ in range(random.randrange(1, 4))]
    expected = {}
    if kind in (5, 6):
        for at, (_, inner) in enumerate(children):
            expected.update({f"[{at}]{path}": scalar for path, scalar in inner.items()})
        values = [value for value, _ in children]
        return (values if kind == 5 else tuple(values)), expected
    for at, (_, inner) in enumerate(children):
        expected.update({f".k{at}{path}": scalar for path, scalar in inner.items()})
    fields = {f"k{at}": value for at, (value, _) in enumerate(children)}
    return (fields if kind == 7 else types.SimpleNamespace(**fields)), expected


def test_random_nested_values_read_back_equal(oracle, path):
    source = random.Random(7)
    cases = [random_value(source, 4) for _ in range(300)]
    with novatrace.TraceGenerator(path) as trace:
        track = trace.track("t")
        for at, (value, _) in enumerate(cases):
            track.duration(at * 10, 5, "x", v=value)
    rows = oracle.read(path).slices()
    for row, (_, expected) in zip(rows, cases):
        assert row[5] == {f"v{key}": scalar for key, scalar in expected.items()}
    assert len(rows) == len(cases)


class Said(str):
    def __str__(self):
        raise KeyboardInterrupt


class SaysSo:
    """Says a text that may itself be asked what it says."""

    __slots__ = ()

    def __str__(self):
        return Said("text")

    __repr__ = __str__


class NamelessFlags(enum.Flag):
    A = 1
    __str__ = SaysSo.__str__


def test_a_text_is_asked_for_once(oracle, path, monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    for value, expected in [
        (SaysSo(), "text"), (NamelessFlags(0), "text"), (ValueError(SaysSo()), "ValueError: text"),
        ({SaysSo(): 1}, None),
    ]:
        shown = read(oracle, path, value)
        assert expected is None or shown == {"v": expected}
    with novatrace.TraceGenerator(path) as trace:
        with pytest.raises(TypeError, match="text is no flow"):
            trace.track("t").instant(0, "x", flow=[SaysSo()])
    assert not unraisable


def closed_class(error):
    """A class that does not let itself be asked for anything."""

    def refuse(cls, name):
        raise error

    return type("Meta", (type,), {"__getattribute__": refuse})("Closed", (), {})


def test_a_class_that_cannot_be_asked_is_told_in_its_place(oracle, path):
    closed = closed_class(RuntimeError())()
    assert read(oracle, path, [1, closed, {closed: 2}]) == {
        "v[0]": 1, "v[1]": "<object: RuntimeError while it was read>",
        "v[2].<object: RuntimeError while it was read>": 2,
    }
    with pytest.raises(KeyboardInterrupt):
        read(oracle, path, closed_class(KeyboardInterrupt())())


RECORDS = np.array([(1, 0.5), (2, 1.5)], dtype=[("rows", "i4"), ("share", "f8")])


@pytest.mark.parametrize("value, expected", [
    (np.ma.array([1.5, 2.5], mask=[False, True]), {"v[0]": 1.5, "v[1]": "None"}),
    (np.ma.array(1.5, mask=True), {"v": "None"}),
    (np.array([[1, 2], [3, 4]]).view(np.matrix), {"v[0][0]": 1, "v[0][1]": 2, "v[1][0]": 3, "v[1][1]": 4}),
    (RECORDS, {"v[0].rows": 1, "v[0].share": 0.5, "v[1].rows": 2, "v[1].share": 1.5}),
    (RECORDS.view(np.recarray)[1], {"v.rows": 2, "v.share": 1.5}),
])
def test_arrays_of_other_kinds(oracle, path, value, expected):
    assert read(oracle, path, value) == expected


class Frame:
    def __init__(self, **attributes):
        vars(self).update(attributes)

    def __repr__(self):
        return "a frame"


def test_an_object_of_private_attributes_is_what_it_says(oracle, path):
    assert read(oracle, path, Frame(_manager=[1], __module__="frames")) == {"v": "a frame"}
    assert read(oracle, path, Frame(_manager=[1], rows=2)) == {"v._manager[0]": 1, "v.rows": 2}
    silent = Plain()
    vars(silent).clear()
    silent._inner = 5
    assert read(oracle, path, silent) == {"v._inner": 5}
    with novatrace.TraceGenerator(path) as trace:
        trace.track("t").instant(0, "x", args=Frame(_manager=1))
    assert oracle.read(path).slices()[0][5] == {"_manager": 1}
