"""Every call of a program as a span: `novatrace run` beside viztracer, on recursive Fibonacci.

    python benches/python/auto.py [n] [rounds]

Needs both in the environment. Each round runs every contender once, so that what else the machine does falls on all of
them; the best of each counts. A call's cost is the time that the script itself takes, measured inside it, less that of
the plain script. "whole" is from the start of the process to its end, with the trace on the disk.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time

SCRIPT = """\
import sys, time
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
start = time.perf_counter()
fib({n})
with open(sys.argv[1], "w") as file:
    file.write(repr(time.perf_counter() - start))
"""


def calls(n):
    return 1 if n < 2 else 1 + calls(n - 1) + calls(n - 2)


def contenders(folder):
    python = [sys.executable]
    viztracer = [*python, "-m", "viztracer", "--quiet", "--ignore_c_function"]
    novatrace = [*python, "-m", "novatrace", "run", "-q"]
    path = os.path.join
    yield "plain", python, None
    yield "novatrace run", [*novatrace, "-o", path(folder, "a.pftrace")], path(folder, "a.pftrace")
    yield (
        "novatrace run --compression zlib",
        [*novatrace, "--compression", "zlib", "-o", path(folder, "z.pftrace")],
        path(folder, "z.pftrace"),
    )
    yield (
        "novatrace run --min-duration 100",
        [*novatrace, "--min-duration", "100", "-o", path(folder, "b.pftrace")],
        path(folder, "b.pftrace"),
    )
    yield (
        "novatrace run --exclude '*'",
        [*novatrace, "--exclude", "*", "-o", path(folder, "c.pftrace")],
        path(folder, "c.pftrace"),
    )
    # As one starts it, C functions and all; this script calls none.
    yield (
        "viztracer (1,000,000 entries)",
        [*python, "-m", "viztracer", "--quiet", "-o", path(folder, "d.json")],
        path(folder, "d.json"),
    )
    yield (
        "viztracer --ignore_c_function, 20,000,000",
        [*viztracer, "--tracer_entries", "20000000", "-o", path(folder, "e.json")],
        path(folder, "e.json"),
    )


def spans(path):
    """How many calls of `fib` viztracer's file has."""
    with open(path) as file:
        return sum(event.get("name", "").startswith("fib") for event in json.load(file)["traceEvents"])


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    count = calls(n)
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        script, answer = os.path.join(folder, "script.py"), os.path.join(folder, "answer")
        with open(script, "w") as file:
            file.write(SCRIPT.format(n=n))
        for _ in range(rounds):
            for name, command, trace in contenders(folder):
                start = time.perf_counter()
                subprocess.run([*command, script, answer], check=True, stdout=subprocess.DEVNULL)
                whole = time.perf_counter() - start
                with open(answer) as file:
                    inside = float(file.read())
                size = os.path.getsize(trace) if trace else 0
                _, old_inside, old_whole, _ = best.get(name, (None, inside, whole, None))
                best[name] = (trace, min(inside, old_inside), min(whole, old_whole), size)
        kept = {name: spans(row[0]) for name, row in best.items() if row[0] and row[0].endswith("json")}
    print(f"fib({n}): {count:,} calls; best of {rounds}; Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print(f"{'':<42}{'ns a call':>10}{'more':>8}{'whole s':>9}{'MB':>8}{'B a call':>10}{'kept':>7}")
    plain = best["plain"][1]
    for name, (_, inside, whole, size) in best.items():
        each, more = inside / count * 1e9, (inside - plain) / count * 1e9
        share = f"{kept[name] / count:.0%}" if name in kept else ""
        size = (f"{size / 1e6:.2f}", f"{size / count:.1f}") if size else ("", "")
        print(f"{name:<42}{each:>10.0f}{more:>8.0f}{whole:>9.2f}{size[0]:>8}{size[1]:>10}{share:>7}")


if __name__ == "__main__":
    main()
