"""The demo's simulator: recorded again from Python, its trace has the rows that it has from Rust."""

import novatrace
import pytest
from novatrace._novatrace import _command


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "rust.pftrace"
    arguments = ["demo", "--quiet", "--model", "gpt2", "--hardware", "edge-1x2", "--prompt-tokens", "16"]
    assert _command([*arguments, "--decode-steps", "1", "--out", str(path)]) == 0
    return path


def tracks(oracle):
    """Each track's path of names, by its number."""
    rows = oracle.rows("select id, parent_id, name from track")
    parents = {number: (parent, name) for number, parent, name in rows}

    def path(number):
        parent, name = parents[number]
        return (*(path(parent) if parent is not None else ()), name)

    return {number: path(number) for number in parents}


def everything(oracle):
    names = tracks(oracle)
    arguments = {}
    for number, key, integer, double, text in oracle.rows(
        "select arg_set_id, key, int_value, real_value, string_value from args where key glob 'debug.*'"
    ):
        value = next((value for value in (integer, double, text) if value is not None), None)
        arguments.setdefault(number, []).append((key.removeprefix("debug."), value))
    slices = [
        (names[track], ts, dur, name, category, depth, tuple(sorted(arguments.get(args, []), key=repr)))
        for track, ts, dur, name, category, depth, args in oracle.rows(
            "select track_id, ts, dur, name, category, depth, arg_set_id from slice"
        )
    ]
    samples = [
        (names[track], ts, value) for track, ts, value in oracle.rows("select track_id, ts, value from counter")
    ]
    flows = oracle.rows(
        "select a.ts, a.name, a.track_id, b.ts, b.name, b.track_id from flow"
        " join slice a on a.id = slice_out join slice b on b.id = slice_in"
    )
    flows = [(a, b, names[c], d, e, names[f]) for a, b, c, d, e, f in flows]
    return sorted(slices, key=repr), sorted(samples), sorted(flows)


def nested(pairs):
    """Arguments as they were before the trace processor made their paths flat."""
    arguments = {}
    for key, value in pairs:
        *path, last = key.replace("[", ".[").split(".")
        place = arguments
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value

    def lists(value):
        if not isinstance(value, dict):
            return value
        if value and all(key.startswith("[") for key in value):
            return [lists(value[f"[{at}]"]) for at in range(len(value))]
        return {key: lists(inner) for key, inner in value.items()}

    return lists(arguments)


def test_the_simulators_rows_from_python_are_those_from_rust(oracle, demo, tmp_path):
    oracle.read(demo)
    expected = everything(oracle)
    slices, samples, _ = expected
    assert len(slices) > 1_000 and len(samples) > 100
    names = tracks(oracle)
    flows = oracle.rows(
        "select slice_out, slice_in, a.ts, a.name, a.track_id, b.ts, b.name, b.track_id from flow"
        " join slice a on a.id = slice_out join slice b on b.id = slice_in"
    )
    path = tmp_path / "python.pftrace"
    with novatrace.TraceGenerator(path) as trace:

        def row(path, kind):
            place = trace
            for name in path[:-1]:
                place = place.group(name)
            return getattr(place, kind)(path[-1])

        of_slices = {}
        for _, _, *ends in flows:
            flow = trace.flow()
            for ts, name, track in (ends[:3], ends[3:]):
                of_slices.setdefault((names[track], ts, name), []).append(flow)
        for track, ts, dur, name, category, _, arguments in slices:
            record = row(track, "track")
            said = {"category": category.split(","), "args": nested(arguments) or None}
            said["flow"] = of_slices.get((track, ts, name)) or None
            if dur == 0:
                record.instant(ts, name, **said)
            else:
                record.duration(ts, dur, name, **said)
        for track, ts, value in samples:
            row(track, "counter").count(ts, value)
    assert trace.stats().lanes == 0
    assert everything(oracle.read(path)) == expected


def test_the_command_line_is_in_the_package(tmp_path, capfd):
    assert _command(["--version"]) == 0
    assert novatrace.__version__ in capfd.readouterr().out
    assert _command(["no such command"]) == 2
    assert _command(["demo", "--quiet", "--out", str(tmp_path / "none" / "x")]) == 1
    assert "cannot write the trace" in capfd.readouterr().err
