"""A program that makes many calls of one kind, and says what memory they have cost: `memory.py KIND COUNT TRACE`.

It is a program of its own so that no earlier test has taken, or left, memory that hides what is asked for.
"""

import gc
import json
import os
import sys

import novatrace

VALUE = {"a": [1, 2.5, {"b": "c"}], "e": ValueError("x"), "n": None}
NAMES = [f"name {number}" for number in range(100)]


def spans(count):
    for at in range(count // 2):
        with novatrace.trace(NAMES[at % 100]):
            pass
        with novatrace.trace(f"made {at % 100}", at=at):
            pass


@novatrace.trace_func
def plain(x):
    return x


@novatrace.trace_func_args
def with_arguments(x, *, text):
    return x


@novatrace.trace("decorated", kind=7)
def decorated():
    pass


def functions(count):
    for at in range(count // 4):
        plain(at)
        with_arguments(at, text="t")
        plain(at)
        decorated()


def instants(count):
    for at in range(count // 4):
        novatrace.instant("value", v=VALUE)
        novatrace.instant("number", at=at, x=at / 3)
        novatrace.instant("text", text=f"number {at}")
        novatrace.instant("plain")


def counters(count):
    counter = novatrace.counter("depth")
    for at in range(count // 2):
        counter.set(at)
        counter.add(0.5)


def durations(count, trace):
    group = trace.group("die")
    tracks, counter = [group.track(f"unit {number}") for number in range(4)], group.counter("power")
    start = durations.start
    for at in range(start, start + count // 4):
        tracks[at % 4].duration(at * 100, 90, "gemm", m=at, tile={"shape": [at, 2], "kind": "x"})
        tracks[at % 4].duration(at * 1e-7, 5e-8, NAMES[at % 100], category="compute")
        tracks[at % 4].instant(at * 100, "tick", value=VALUE)
        counter.count(at * 100, at / 2)
    durations.start = start + count // 4


durations.start = 0


def leaf(x):
    return abs(x)


def calls(count):
    for at in range(count):
        leaf(at)


def taken():
    gc.collect()
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, sys.getallocatedblocks(), sys.getrefcount(VALUE)


def measure(work, settle, count):
    # Enough to fill every ring, batch and table that is filled once.
    work(count // 5)
    settle()
    before = taken()
    work(count)
    settle()
    resident, blocks, references = (now - then for now, then in zip(taken(), before))
    print(json.dumps({"bytes": resident, "blocks": blocks, "references": references}))


def main(kind, count, trace=None):
    work, count = globals()[kind], int(count)
    if kind == "calls":  # of a program that `novatrace run` runs
        measure(work, lambda: None, count)
    elif kind == "durations":
        with novatrace.TraceGenerator(trace) as generator:
            measure(lambda count: work(count, generator), generator.flush, count)
    else:
        with novatrace.open(trace, overflow="block") as session:
            measure(work, session.flush, count)


if __name__ == "__main__":
    main(*sys.argv[1:])
