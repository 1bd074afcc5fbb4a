"""Traces with explicit times, in seconds: the old names of `novatrace.TraceGenerator` and its tracks."""

import logging
import os
import threading

from novatrace import TraceGenerator as _Trace
from novatrace._novatrace import _LegacyCounterTrack, _LegacyTrack

_NORMAL, _COUNTER, _GROUP = 0, 1, 2
_log = logging.getLogger(__name__)


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
        self._name, self._parent, self._uuid = name, parent, uuid


class NormalTrack(_LegacyTrack, BaseTrack):
    """Slices and instants: `duration`, `instant`, `open` and `close`."""

    def __init__(self, track, name, parent, uuid):
        self._name, self._parent, self._uuid = name, parent, uuid


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
        return self._parent._track(self, self._group, track_name, _NORMAL, tid)

    def create_counter_track(self, track_name):
        """The group's counter of that name."""
        return self._parent._track(self, self._group, track_name, _COUNTER)

    def create_group(self, track_name):
        """The group's row of that name."""
        return self._parent._track(self, self._group, track_name, _GROUP)


def _worker_of_environment():
    if os.environ.get("BOSSANOVA_PROTOBUF_MP", "1") == "1":
        if not _worker_of_environment.told:
            _worker_of_environment.told = True
            _log.info(
                "BOSSANOVA_PROTOBUF_MP asks for a worker process, which novatrace does not have yet:"
                " a worker thread is used"
            )
    return "thread"


_worker_of_environment.told = False


class TraceGenerator:
    """One trace, of one device.

    The file is complete after `block_until_all_tasks_done()`, and when the generator is collected or the
    interpreter exits.
    """

    def __init__(self, filename, gcu_id=0):
        self.filename = filename
        self.gcu_id = gcu_id
        self.__pid__ = 1
        self.__uuid__ = 1234567
        self.tgen_cluster = {}
        self.track_map = {}
        self.worker = _worker_of_environment()
        self.queue = None
        self._rows = {}
        self._lock = threading.Lock()
        self._trace = _Trace(filename, attributes={"gcu_id": str(gcu_id)})

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
        with self._lock:
            key = (None, process_name, track_name)
            group = self._rows.get(key)
            if group is None:
                made = self._trace.group(str(process_name))
                if track_name is not None:
                    made = made.group(str(track_name))
                self.__pid__ += 1
                group = Group(made, process_name, self, self._new_uuid())
                self._rows[key] = self.track_map[group._uuid] = group
            return group

    create_group = _create_group

    def _create_track(self, parent_uuid, track_name, ttype):
        """The track of that name under the group `parent_uuid` (0: at the top); `ttype` is 0 for slices,
        1 for a counter and 2 for a group."""
        parent = self.track_map.get(parent_uuid)
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

    def _new_uuid(self):
        uuid = self.__uuid__
        self.__uuid__ += 1
        return uuid

    def _track(self, parent, group, name, kind, tid=None):
        key = (parent and parent._uuid, name, kind, tid)
        with self._lock:
            track = self._rows.get(key)
            if track is None:
                self.__pid__ += 1
                uuid = self._new_uuid()
                if kind == _NORMAL:
                    track = NormalTrack(group.track(str(name)), name, self, uuid)
                elif kind == _COUNTER:
                    track = CounterTrack(group.counter(str(name)), name, self, uuid)
                elif kind == _GROUP:
                    track = GroupTrack(group, name, self, uuid)
                else:
                    raise ValueError(f"a track's type is 0, 1 or 2, not {kind!r}")
                self._rows[key] = self.track_map[uuid] = track
            return track

    def submit(self, task_type, task_param):
        """Does at once what the old module's worker was sent: `task_param` holds the arguments, in a
        tuple, list or dict, of `create_group`, `create_track`, `create_counter_track`, `duration`,
        `track_open`, `track_close`, `track_instant` or `track_count` (the track's uuid first)."""
        name = getattr(task_type, "name", task_type)
        name = str(name).rsplit(".", 1)[-1].lower().lstrip("_")
        name = _TASKS.get(name, name)
        given = dict(task_param) if isinstance(task_param, dict) else {}
        args = () if given else tuple(task_param)
        if name in ("_create_group", "_create_track", "_create_counter_track"):
            return getattr(self, name)(*args, **given)
        if name not in ("duration", "instant", "open", "close", "count"):
            known = ", ".join(sorted(_TASKS))
            raise ValueError(f"no task is called {task_type!r}; those that are: {known}")
        uuid = given.pop("uuid") if given else args[0]
        track = self.track_map.get(uuid)
        if track is None:
            raise KeyError(f"no track has the uuid {uuid}")
        return getattr(track, name)(*args[1:], **given)

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


_TASKS = {
    "create_group": "_create_group",
    "pid_packet": "_create_group",
    "create_track": "_create_track",
    "tid_packet": "_create_track",
    "create_counter_track": "_create_counter_track",
    "duration": "duration",
    "track_duration": "duration",
    "instant": "instant",
    "track_instant": "instant",
    "open": "open",
    "track_open": "open",
    "close": "close",
    "track_close": "close",
    "count": "count",
    "track_count": "count",
}
