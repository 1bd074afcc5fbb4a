"""Traces with explicit times, in seconds: the old names of `novatrace.TraceGenerator` and its tracks."""

import os
import threading

from novatrace import TraceGenerator as _Trace
from novatrace._novatrace import _LegacyCounterTrack, _LegacyTrack

from ._core import _BaseTraceGenerator

_NORMAL, _COUNTER, _GROUP = 0, 1, 2


class BaseTrack:
    """What all tracks have: `_name`, `_parent` (the generator) and `_uuid`."""

    def submit(self, task_type, task_param):
        """Does what `TraceGenerator.submit` does."""
        return self._parent.submit(task_type, task_param)

    def __deepcopy__(self, memo):
        return None

    def __reduce__(self):
        return (_nothing, ())


class CounterTrack(_LegacyCounterTrack, BaseTrack):
    """A value over time: `count(ts, value)`."""

    def __init__(self, counter, name, parent, uuid):
        self._counter, self._name, self._parent, self._uuid = counter, name, parent, uuid


class NormalTrack(_LegacyTrack, BaseTrack):
    """Slices and instants: `duration`, `instant`, `open` and `close`."""

    def __init__(self, track, name, parent, uuid):
        self._track, self._name, self._parent, self._uuid = track, name, parent, uuid


class GroupTrack(BaseTrack):
    """A row of a group: its tracks are that row, with lanes where slices overlap."""

    def __init__(self, group, name, parent, uuid):
        self._group, self._name, self._parent, self._uuid = group, name, parent, uuid

    def create_track(self):
        """The row's track."""
        return self._parent._track(self, self._group, self._name, _NORMAL)


class Group(BaseTrack):
    """A group of tracks, drawn as one row that opens."""

    def __init__(self, group, name, parent, uuid):
        self._group, self._name, self._parent, self._uuid = group, name, parent, uuid

    def create_track(self, track_name, tid=None):
        """The group's track of that name. Tracks of one name are one row, whatever their `tid`; slices that
        overlap there are drawn on lanes."""
        return self._parent._track(self, self._group, track_name, _NORMAL)

    def create_counter_track(self, track_name):
        """The group's counter of that name."""
        return self._parent._track(self, self._group, track_name, _COUNTER)

    def create_group(self, track_name):
        """The group's row of that name."""
        return self._parent._track(self, self._group, track_name, _GROUP)


class TraceGenerator(_BaseTraceGenerator):
    """One trace, of one device.

    The file is complete after `block_until_all_tasks_done()`, and when the generator is collected or the
    interpreter exits. It is written by a process, or by a thread if the environment variable
    `BOSSANOVA_PROTOBUF_MP` is something else than 1; `worker` says which.
    """

    def __init__(self, filename, gcu_id=0):
        is_process = os.environ.get("BOSSANOVA_PROTOBUF_MP", "1") == "1"
        self._trace = _Trace(
            filename, attributes={"gcu_id": str(gcu_id)}, worker="process" if is_process else "thread"
        )
        super().__init__()
        self.filename = filename
        self.gcu_id = gcu_id
        self.__pid__ = 1
        self.tgen_cluster = {}
        self.track_map = {}
        self.worker = self._trace.worker
        self.queue = None
        self._by_uuid = {}
        self._lock = threading.RLock()

    @property
    def list_max_size(self):
        """How many items of a container are shown."""
        return self._trace.list_max_size

    @list_max_size.setter
    def list_max_size(self, size):
        self._trace.list_max_size = size

    def get_cluster_tgen(self, die, cluster):
        """The group of a die's cluster; `None` stands for all of them."""
        key = (die, cluster)
        group = self.tgen_cluster.get(key)
        if group is None:
            group = self.tgen_cluster[key] = self._create_group(self._trace.cluster(die, cluster).name)
        return group

    def _create_group(self, process_name, track_name=None):
        """The group of that name; within it the one of `track_name`, if given."""
        return self._made((None, process_name, track_name), lambda: self._group(process_name, track_name))

    create_group = _create_group

    def _create_track(self, parent_uuid, track_name, ttype):
        """The track of that name under the group `parent_uuid` (0: at the top); `ttype` is 0 for slices,
        1 for a counter and 2 for a group."""
        parent = self._by_uuid.get(parent_uuid)
        if parent is None and parent_uuid:
            raise KeyError(f"no group has the uuid {parent_uuid}")
        group = self._trace if parent is None else parent._group
        return self._track(parent, group, track_name, ttype)

    def _create_counter_track(self, parent_uuid, track_name, ttype=_COUNTER):
        """The counter of that name under the group `parent_uuid` (0: at the top)."""
        return self._create_track(parent_uuid, track_name, _COUNTER)

    def create_counter_track(self, track_name):
        """The counter of that name at the top."""
        return self._create_track(0, track_name, _COUNTER)

    def _made(self, key, make):
        with self._lock:
            track = self.track_map.get(key)
            if track is None:
                track = self.track_map[key] = self._by_uuid[self.__uuid__] = make()
                self.__pid__ += 1
                self.__uuid__ += 1
            return track

    def _group(self, name, inner):
        made = self._trace.group(str(name))
        if inner is not None:
            made = made.group(str(inner))
        return Group(made, name, self, self.__uuid__)

    def _track(self, parent, group, name, kind):
        def make():
            if kind == _NORMAL:
                return NormalTrack(group.track(str(name)), name, self, self.__uuid__)
            if kind == _COUNTER:
                return CounterTrack(group.counter(str(name)), name, self, self.__uuid__)
            if kind == _GROUP:
                return GroupTrack(group, name, self, self.__uuid__)
            raise ValueError(f"a track's type is 0, 1 or 2, not {kind!r}")

        return self._made((parent._uuid if parent else 0, name, kind), make)

    def submit(self, task_type, task_param):
        """Does at once what the old module's worker was sent. The tasks, each with its arguments in a
        dictionary; times are whole nanoseconds:

        - `duration`: `uuid`, `ts`, `dur` (when it ends, not how long it takes), `annotation`, and if there
          are any `kwargs`, `flow`, `category_list`
        - `instant`: `uuid`, `ts`, `annotation`, and the same
        - `count`: `uuid`, `ts`, `value`
        - `create_group`: `uuid`, `process_name`, and if there are any `pid`, `track_name`
        - `create_track`: `uuid`, `parent_uuid`, `track_name`, `ttype`, and if there is any `tid`
        - `create_header`, which does nothing; `exit`, which is `block_until_all_tasks_done`
        """
        task = getattr(self, f"_task_{task_type}", None)
        if task is None:
            known = ", ".join(name[6:] for name in dir(self) if name.startswith("_task_"))
            raise ValueError(f"no task is called {task_type!r}; those that are: {known}")
        task(**task_param)

    def _of(self, uuid):
        track = self._by_uuid.get(uuid)
        if track is None:
            raise KeyError(f"no track has the uuid {uuid}")
        return track

    def _task_create_header(self):
        pass

    def _task_exit(self):
        self.block_until_all_tasks_done()

    def _task_create_group(self, uuid, process_name, pid=None, track_name=None):
        self._by_uuid[uuid] = self._create_group(process_name, track_name)

    def _task_create_track(self, uuid, parent_uuid, track_name, ttype, tid=None):
        self._by_uuid[uuid] = self._create_track(parent_uuid, track_name, ttype)

    def _task_duration(self, uuid, ts, dur, annotation, kwargs=None, flow=None, category_list=None):
        self._of(uuid)._track.duration(
            ts, dur - ts, annotation, args=kwargs or None, flow=flow or None, category=category_list or None
        )

    def _task_instant(self, uuid, ts, annotation, kwargs=None, flow=None, category_list=None):
        self._of(uuid)._track.instant(
            ts, annotation, args=kwargs or None, flow=flow or None, category=category_list or None
        )

    def _task_count(self, uuid, ts, value):
        self._of(uuid)._counter.count(ts, value)

    def block_until_all_tasks_done(self):
        """Waits until all that was recorded is in the file, which can be opened from then on."""
        self._trace.flush()

    def __deepcopy__(self, memo):
        return None

    def __reduce__(self):
        # A copy cannot write the file: as with the old module, there is none.
        return (_nothing, ())


def _nothing():
    return None
