"""P1 to P7 of the Python package, beside its floors and peers: `python benches/python/bench.py [ROUNDS]`.

Makes two virtual environments with the peers in `target/python-peers` at the first run, installs novatrace
from this tree, and runs each peer in a process of its own, in turn, ROUNDS times (5); prints medians, in
nanoseconds an event, and ratios to novatrace in the same round. `auto.py` is P8.

P1  200,000 `with trace(name):`, 4 deep      P2  200,000 calls of a trivial decorated function
P3  200,000 counter samples                  P5  P1 while nothing records
P6  200,000 durations on 64 tracks with two integer arguments, and 50,000 samples, by the old calls
    the same with the garbage collector on, as programs have it ("collecting")
    the same with the worker in a process of its own ("process"), to be compared with "P6", and compressed
open  the start of a session with either worker, the median of 20 (in nanoseconds, as the others)
P7  2,000 durations, each with a list of 200 dicts of 12 mixed values
A   1,000,000 durations in one call, from arrays
"""

import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COUNT = 200_000


class EmptyContext:
    def __init__(self, name):
        pass

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        return False


def nothing(function):
    return function


def spans(trace):
    for _ in range(COUNT // 4):
        with trace("alpha"):
            with trace("beta"):
                with trace("gamma"):
                    with trace("delta"):
                        pass


def calls(function):
    for at in range(COUNT):
        function(at)


def samples(count):
    for at in range(COUNT):
        count(at)


def timeline(duration, count):
    """P6, by functions that take a track's number."""
    for at in range(COUNT):
        duration(at % 64, at * 1e-6, 1e-6, "gemm", {"m": at, "n": at + 1})
        if at % 4 == 0:
            count(at % 8, at * 1e-6, at * 0.5)


def statistic(at):
    return {
        "name": f"op{at % 7}", "engine": "XPU", "cycles": at, "bytes": at * 64, "latency": at * 0.5,
        "share": 0.25, "hit": True, "level": "L2", "rows": 64, "columns": 32, "total": at * 1.5, "id": at,
    }


STATISTICS = [statistic(at) for at in range(200)]


def details(duration):
    for at in range(2_000):
        duration(at * 1e-6, 1e-6, "op", {"latency": STATISTICS})


def timed(work, *args, collects=False):
    """With the garbage collector off, as `timeit` has it, unless it `collects`."""
    gc.collect()
    if not collects:
        gc.disable()
    begin = time.perf_counter_ns()
    work(*args)
    time_ns = time.perf_counter_ns() - begin
    gc.enable()
    return time_ns


class Results(dict):
    def add(self, name, count, loop_ns, whole_ns=None, path=None):
        self[name] = {
            "loop": loop_ns / count,
            "whole": None if whole_ns is None else whole_ns / count,
            "bytes": None if path is None else os.path.getsize(path) / count,
        }


def finished(results, name, count, path, work, finish, collects=False):
    begin = time.perf_counter_ns()
    loop = timed(work, collects=collects)
    finish()
    results.add(name, count, loop, time.perf_counter_ns() - begin, path)


def floor(results, folder):
    results.add("P1", COUNT, timed(spans, EmptyContext))
    results.add("P2", COUNT, timed(calls, lambda value: value))
    results.add("P5", COUNT, timed(spans, EmptyContext))
    # What the interpreter takes for `with` by itself: the contexts are locks, which are written in C.
    locks = {name: threading.Lock() for name in ("alpha", "beta", "gamma", "delta")}
    results.add("P5, locks", COUNT, timed(spans, locks.__getitem__))
    kept = []
    append = kept.append
    results.add("P3", COUNT, timed(samples, append))
    kept.clear()
    tracks = [append] * 64
    for name, collects in (("P6", False), ("P6, collecting", True)):
        results.add(name, COUNT * 5 // 4, timed(
            timeline,
            lambda k, ts, dur, name, kwargs: tracks[k]((ts, dur, name, kwargs)),
            lambda k, ts, value: tracks[k]((ts, value)),
            collects=collects,
        ))
        kept.clear()


def novatrace(results, folder):
    import numpy as np
    import novatrace
    from nova_platform.perfetto_protobuf import _tgen

    @novatrace.trace_func
    def decorated(value):
        return value

    results.add("P5", COUNT, timed(spans, novatrace.trace))
    counter = novatrace.counter("queue")
    for name, work in (
        ("P1", lambda: spans(novatrace.trace)), ("P2", lambda: calls(decorated)), ("P3", lambda: samples(counter.set)),
    ):
        path = f"{folder}/{name}.pftrace"
        session = novatrace.open(path, capacity=64 << 20)
        finished(results, name, COUNT, path, work, session.close)
    for worker in ("thread", "process"):
        times = []
        for _ in range(20):
            begin = time.perf_counter_ns()
            session = novatrace.open(f"{folder}/open.pftrace", worker=worker)
            times.append(time.perf_counter_ns() - begin)
            assert session.worker == worker
            session.close()
        results.add(f"open, {worker}", 1, statistics.median(times))
    variants = [
        ("P6", False, 0, "none"), ("P6, process", False, 1, "none"),
        ("P6, collecting", True, 0, "none"), ("P6, collecting, process", True, 1, "none"),
    ]
    variants += [(f"P6, {codec}", False, 0, codec) for codec in ("zlib:1", "zlib:6", "zstd:1", "zstd:3")]
    for name, collects, is_process, codec in variants:
        os.environ["BOSSANOVA_PROTOBUF_MP"] = str(is_process)
        os.environ["NOVATRACE_COMPRESSION"] = codec
        path = f"{folder}/p6.pftrace"
        trace = _tgen.TraceGenerator(path, 0)
        tracks = [trace.get_cluster_tgen(at // 8, 0).create_track(f"t{at}", at) for at in range(64)]
        counters = [trace.get_cluster_tgen(at, 0).create_counter_track(f"c{at}") for at in range(8)]
        finished(
            results, name, COUNT * 5 // 4, path,
            lambda: timeline(
                lambda k, ts, dur, name, kwargs: tracks[k].duration(ts, dur, name, kwargs),
                lambda k, ts, value: counters[k].count(ts, value),
            ),
            trace.block_until_all_tasks_done, collects,
        )
        # The next one has the same path.
        del trace, tracks, counters
        gc.collect()
    os.environ["BOSSANOVA_PROTOBUF_MP"] = "0"
    for name, compression in (("P7", "none"), ("P7, zlib", "zlib")):
        os.environ["NOVATRACE_COMPRESSION"] = compression
        path = f"{folder}/p7.pftrace"
        trace = _tgen.TraceGenerator(path, 0)
        track = trace.get_cluster_tgen(0, 0).create_track("t", 0)
        finished(results, name, 2_000, path, lambda: details(track.duration), trace.block_until_all_tasks_done)
        del trace, track
        gc.collect()
    del os.environ["NOVATRACE_COMPRESSION"]
    path = f"{folder}/arrays.pftrace"
    trace = novatrace.TraceGenerator(path)
    track = trace.track("t")
    starts, lengths = np.arange(1_000_000) * 10, np.full(1_000_000, 5)
    finished(results, "A", 1_000_000, path, lambda: track.durations(starts, lengths, "x"), trace.finish)


def viztracer(results, folder):
    from viztracer import VizTracer

    tracer = VizTracer(tracer_entries=2_000_000, verbose=0)
    path = f"{folder}/viz.json"

    def save():
        tracer.stop()
        tracer.save(path)
        tracer.clear()

    tracer.start()
    finished(results, "P1", COUNT, path, lambda: spans(tracer.log_event), save)

    from viztracer.vizcounter import VizCounter

    counter = VizCounter(tracer, "queue")
    tracer.start()
    finished(results, "P3", COUNT, path, lambda: samples(lambda value: setattr(counter, "value", value)), save)


def fill(annotation, value):
    """Puts a value into a `DebugAnnotation` of perfetto's."""
    if isinstance(value, dict):
        for key, inner in value.items():
            entry = annotation.dict_entries.add()
            entry.name = key
            fill(entry, inner)
    elif isinstance(value, list):
        for inner in value:
            fill(annotation.array_values.add(), inner)
    elif isinstance(value, bool):
        annotation.bool_value = value
    elif isinstance(value, int):
        annotation.int_value = value
    elif isinstance(value, float):
        annotation.double_value = value
    else:
        annotation.string_value = value


def perfetto(results, folder):
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackEvent
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

    def describe(builder, uuid, name, is_counter=False):
        packet = builder.add_packet()
        packet.track_descriptor.uuid = uuid
        packet.track_descriptor.name = name
        if is_counter:
            packet.track_descriptor.counter.unit = 1

    def event(builder, kind, uuid, time_ns, name=None):
        packet = builder.add_packet()
        packet.timestamp = time_ns
        packet.trusted_packet_sequence_id = 1
        packet.track_event.type = kind
        packet.track_event.track_uuid = uuid
        if name is not None:
            packet.track_event.name = name
        return packet.track_event

    def save(builder, path):
        with open(path, "wb") as file:
            file.write(builder.serialize())

    builder = TraceProtoBuilder()
    for at in range(64):
        describe(builder, at + 1, f"t{at}")
    for at in range(8):
        describe(builder, at + 100, f"c{at}", True)

    def duration(track, ts, dur, name, kwargs):
        begun = event(builder, TrackEvent.TYPE_SLICE_BEGIN, track + 1, int(ts * 1e9), name)
        for key, value in kwargs.items():
            annotation = begun.debug_annotations.add()
            annotation.name, annotation.int_value = key, value
        event(builder, TrackEvent.TYPE_SLICE_END, track + 1, int((ts + dur) * 1e9))

    def count(track, ts, value):
        event(builder, TrackEvent.TYPE_COUNTER, track + 100, int(ts * 1e9)).double_counter_value = value

    path = f"{folder}/perfetto.pftrace"
    finished(results, "P6", COUNT * 5 // 4, path, lambda: timeline(duration, count), lambda: save(builder, path))

    builder = TraceProtoBuilder()
    describe(builder, 1, "t")

    def deep(ts, dur, name, kwargs):
        begun = event(builder, TrackEvent.TYPE_SLICE_BEGIN, 1, int(ts * 1e9), name)
        for key, value in kwargs.items():
            annotation = begun.debug_annotations.add()
            annotation.name = key
            fill(annotation, value)
        event(builder, TrackEvent.TYPE_SLICE_END, 1, int((ts + dur) * 1e9))

    finished(results, "P7", 2_000, path, lambda: details(deep), lambda: save(builder, path))
    # The same beside novatrace's compressed file.
    results["P7, zlib"] = results["P7"]


def retrobus(results, folder):
    from retrobus_perfetto import PerfettoTraceBuilder

    builder = PerfettoTraceBuilder("program")
    tracks = [builder.add_thread(f"t{at}") for at in range(64)]
    counters = [builder.add_counter_track(f"c{at}") for at in range(8)]

    def duration(track, ts, dur, name, kwargs):
        begun = builder.begin_slice(tracks[track], name, int(ts * 1e9))
        begun.add_annotations(kwargs)
        builder.end_slice(tracks[track], int((ts + dur) * 1e9))

    def count(track, ts, value):
        builder.update_counter(counters[track], value, int(ts * 1e9))

    path = f"{folder}/retrobus.pftrace"
    finished(results, "P6", COUNT * 5 // 4, path, lambda: timeline(duration, count), lambda: builder.save(path))


def tg4perfetto(results, folder):
    """What the replaced module comes from; without its worker."""
    import tg4perfetto as old
    from tg4perfetto._tgen import TraceGenerator

    path = f"{folder}/tg.pftrace"
    with old.open(path):
        results.add("P1", COUNT, timed(spans, old.trace))
        decorated = old.trace_func(lambda value: value)
        results.add("P2", COUNT, timed(calls, decorated))
        counter = old.count("queue")
        results.add("P3", COUNT, timed(samples, counter.increment))
    trace = TraceGenerator(path)
    tracks = [trace.create_group(f"g{at}").create_track(f"t{at}") for at in range(64)]
    counters = [trace.create_counter_track(f"c{at}") for at in range(8)]

    def duration(track, ts, dur, name, kwargs):
        tracks[track].open(int(ts * 1e9), name, kwargs)
        tracks[track].close(int((ts + dur) * 1e9))

    def count(track, ts, value):
        counters[track].count(int(ts * 1e9), int(value))

    finished(results, "P6", COUNT * 5 // 4, path, lambda: timeline(duration, count), trace.flush)
    trace.file.close()
    trace = TraceGenerator(path)
    trace.list_max_size = 256
    track = trace.create_group("g").create_track("t")

    def deep(ts, dur, name, kwargs):
        track.open(int(ts * 1e9), name, kwargs)
        track.close(int((ts + dur) * 1e9))

    finished(results, "P7", 2_000, path, lambda: details(deep), trace.flush)


PEERS = {
    "floor": floor, "novatrace": novatrace, "viztracer": viztracer, "perfetto TraceProtoBuilder": perfetto,
    "retrobus-perfetto": retrobus, "tg4perfetto": tg4perfetto,
}


def child(name):
    results = Results()
    with tempfile.TemporaryDirectory() as folder:
        PEERS[name](results, folder)
    print("RESULT " + json.dumps(results))


def environment(name, requirements):
    venv = ROOT / "target/python-peers" / name
    python = venv / "bin/python"
    stamp = venv / "stamp"
    wanted = (HERE / requirements).read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(HERE / requirements)], check=True)
        stamp.write_text(wanted)
    return python


def main(rounds):
    new = environment("new", "requirements.txt")
    old = environment("tg4perfetto", "requirements-tg4perfetto.txt")
    print("building novatrace ...", file=sys.stderr)
    subprocess.run([str(new), "-m", "pip", "install", "-q", str(ROOT)], check=True)
    every = {}
    for at in range(rounds):
        for name in PEERS:
            python = old if name == "tg4perfetto" else new
            command = [str(python), str(HERE / "bench.py"), "--child", name]
            done = subprocess.run(command, capture_output=True, text=True)
            line = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
            if not line:
                print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                continue
            for workload, result in json.loads(line[0].removeprefix("RESULT ")).items():
                every.setdefault(workload, {}).setdefault(name, []).append(result)
        print(f"round {at + 1} of {rounds}", file=sys.stderr)
    for workload in sorted(every):
        print(f"\n{workload:28}{'call ns':>10}{'x novatrace':>13}{'to file ns':>12}{'x novatrace':>13}{'M/s':>8}{'bytes':>9}")
        for name, results in every[workload].items():
            ours = every[workload].get("novatrace", results)

            def median(key):
                values = [result[key] for result in results if result[key] is not None]
                return statistics.median(values) if values else None

            def ratio(key):
                pairs = [(a[key], b[key]) for a, b in zip(results, ours) if a[key] and b[key]]
                return statistics.median(a / b for a, b in pairs) if pairs else None

            def shown(value, digits=2):
                return "" if value is None else f"{value:,.{digits}f}"

            whole = median("whole")
            print(
                f"{name:28}{shown(median('loop'), 1):>10}{shown(ratio('loop')):>13}{shown(whole, 1):>12}"
                f"{shown(ratio('whole')):>13}{shown(whole and 1e3 / whole):>8}{shown(median('bytes'), 1):>9}"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
