"""Memory is flat over ten million calls, which is what a long run is."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = str(pathlib.Path(__file__).with_name("memory.py"))
#: Calls of each kind, ten million in all.
CALLS = {
    "spans": 2_000_000, "functions": 2_000_000, "instants": 1_500_000, "counters": 1_500_000,
    "durations": 1_500_000, "calls": 1_000_000, "calls --c-functions": 500_000,
}


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc, which says what a process has")
@pytest.mark.parametrize("kind", CALLS)
def test_memory_is_flat(kind, path):
    count = CALLS[kind]
    kind, *options = kind.split()
    if kind == "calls":
        command = ["-m", "novatrace", "run", "-q", "-o", path, *options, PROGRAM, kind, str(count)]
    else:
        command = [PROGRAM, kind, str(count), path]
    try:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done
        # They are in the file, at a few bytes each.
        assert path.stat().st_size > 4 * count
    finally:
        path.unlink(missing_ok=True)
    grown = json.loads(done.stdout)
    print(kind, *options, grown)
    assert grown["bytes"] < 3 << 20, grown
    # One object left by every ten-thousandth call would be more.
    assert grown["blocks"] < 50 and grown["references"] == 0, grown
