"""Traces in parts."""

import pytest

import novatrace


def parts_of(path):
    return sorted(path.parent.glob(f"{path.stem}.*{path.suffix}"))


def test_a_span_over_several_files_is_in_each_of_them(oracle, tmp_path):
    path = tmp_path / "app.pftrace"
    session = novatrace.open(path, rotate_bytes=2_000)
    with novatrace.trace("outer", answer=42):
        for at in range(20):
            for _ in range(20):
                with novatrace.trace("inner", at=at):
                    pass
            session.flush()
    report = session.close()
    assert report.events == 401
    assert report.parts > 2
    parts = parts_of(path)
    assert [part.name for part in parts] == [
        f"app.{number:04}.pftrace" for number in range(1, report.parts + 1)
    ]
    inner = 0
    for number, part in enumerate(parts):
        oracle.read(part)
        slices = [row for row in oracle.slices() if row[3] in ("inner", "outer")]
        names = [row[3] for row in slices]
        inner += names.count("inner")
        outer = [row[5] for row in slices if row[3] == "outer"]
        marks = {"continued": True} if number > 0 else {}
        if part != parts[-1]:
            marks["continues"] = True
        if outer or part != parts[-1]:
            assert outer == [{"answer": 42, **marks}]
    assert inner == 400


def test_a_generator_keeps_its_last_parts(tmp_path):
    path = tmp_path / "sim.pftrace"
    with novatrace.TraceGenerator(path, rotate_bytes=2_000, keep=2) as trace:
        track = trace.track("t")
        for at in range(200):
            track.duration(at * 10, 10, f"slice {at}")
            trace.flush()
    last = trace.stats().parts
    assert last > 2
    assert [part.name for part in parts_of(path)] == [
        f"sim.{number:04}.pftrace" for number in (last - 1, last)
    ]


def test_what_cannot_be_is_refused(path):
    with pytest.raises(ValueError, match="rotate_bytes or rotate_seconds"):
        novatrace.open(path, keep=3)
    with pytest.raises(ValueError, match="rotate_seconds"):
        novatrace.open(path, rotate_seconds=-1.0)
    assert not path.exists()
