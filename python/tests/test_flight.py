"""Flight recorders."""

import os
import signal
import time

import pytest

import novatrace


def wait_for(path):
    end = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size > 0):
        assert time.monotonic() < end, f"{path} has not come"
        time.sleep(0.01)


def test_a_dump_has_the_last_of_the_recording(oracle, tmp_path):
    path = tmp_path / "dump.pftrace"
    with novatrace.open(flight_recorder="100kB") as session:
        assert session.path is None
        with novatrace.trace("outer", answer=42):
            for at in range(200):
                for _ in range(100):
                    with novatrace.trace("inner", at=at):
                        pass
                session.flush()
            dump = session.dump(path)
        assert (dump.path, dump.bytes) == (str(path), path.stat().st_size)
        assert dump.events + dump.overwritten == 20_001
        assert dump.overwritten > 0
    oracle.read(path)
    slices = [row for row in oracle.slices() if row[3] in ("inner", "outer")]
    inner = [row[5]["at"] for row in slices if row[3] == "inner"]
    assert inner == sorted(inner)
    assert (len(inner), inner[-1]) == (dump.events, 199)
    assert [row[5] for row in slices if row[3] == "outer"] == [{"answer": 42, "continued": True}]


def test_a_signal_and_a_slow_span_dump(oracle, tmp_path):
    on_signal, slow = tmp_path / "signal.pftrace", tmp_path / "slow-2.pftrace"
    session = novatrace.open(
        flight_recorder="1MiB,60s",
        dump_on_signal=(signal.SIGUSR1, on_signal),
        dump_if_slower=("slow", 0.02, tmp_path / "slow-{n}.pftrace"),
    )
    with novatrace.trace("before"):
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_for(on_signal)
    with novatrace.trace("slow"):
        time.sleep(0.03)
    wait_for(slow)
    session.close()
    oracle.read(on_signal)
    assert [row[3] for row in oracle.slices()] == ["before"]
    oracle.read(slow)
    assert [row[3] for row in oracle.slices()] == ["before", "slow"]


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(TypeError, match="path, or flight_recorder"):
        novatrace.open()
    with pytest.raises(TypeError, match="dump()"):
        novatrace.open(tmp_path / "a", flight_recorder="1MB")
    with pytest.raises(TypeError, match="flight_recorder too"):
        novatrace.open(tmp_path / "a", dump_on_signal=(signal.SIGUSR1, "a"))
    for limits in ["64", "MB", "64 parsecs", "", "1MB,", "-1s", "99999999999GB"]:
        with pytest.raises(ValueError, match="64MB"):
            novatrace.open(flight_recorder=limits)
    with novatrace.open(tmp_path / "a") as session:
        with pytest.raises(novatrace.TraceStateError, match="flight"):
            session.dump(tmp_path / "b")
    with pytest.raises(novatrace.TraceStateError, match="closed"):
        session.dump(tmp_path / "b")
