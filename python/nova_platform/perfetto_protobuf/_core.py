"""Single packets, for programs that put traces together themselves. Times are whole nanoseconds.

`_tgen` is easier, and does more: it keeps events in order, and slices that overlap apart. Here, as in the
old module, slices of one track must nest or be disjoint, and events at one time come in the order of their
packets in the file.
"""

from novatrace._novatrace import _LegacyPackets, _LegacyTrace

print_proto = False
"""Whether every packet is printed as text when it is made."""


class _BaseTraceGenerator:
    """Makes packets of one trace, which begins with those of `_header_packet`.

    A name is spelled out in the first packet that has it, which may therefore not be left out. Which packet
    is for which track is said by uuids, which the caller chooses; `__uuid__` is a place to count from.
    """

    def __init__(self):
        self.__uuid__ = 1234567
        self.list_max_size = 256
        self._packets = _LegacyPackets()

    def _header_packet(self):
        """What a file begins with: a list of packets."""
        packets = self._packets.header()
        if print_proto:
            print(*packets, sep="\n")
        return packets

    def _pid_packet(self, uuid, pid, process_name, track_name=None):
        """A process, which is a track too: of `track_name`, if given."""
        shown = process_name if track_name is None else track_name
        return _made(self._packets.process(uuid, pid, process_name, shown))

    def _tid_packet(self, uuid, tid, parent_uuid, track_name, ttype):
        """A track under `parent_uuid` (0: at the top); `ttype` is 1 for a counter. `tid` is not used."""
        return _made(self._packets.track(uuid, parent_uuid or None, track_name, ttype == 1))

    def _track_open(self, uuid, ts, annotation, kwargs=None, flow=(), caller=None, category_list=None):
        """The begin of a slice; `caller` is `(file, line, function)`."""
        return _made(self._packets.named(
            False, uuid, ts, annotation, kwargs, flow, caller, category_list, self.list_max_size
        ))

    def _track_close(self, uuid, ts, flow=()):
        """The end of the track's innermost slice."""
        return _made(self._packets.end(uuid, ts, flow))

    def _track_instant(self, uuid, ts, annotation, kwargs=None, flow=(), caller=None, category_list=None):
        """An instant; `caller` is `(file, line, function)`."""
        return _made(self._packets.named(
            True, uuid, ts, annotation, kwargs, flow, caller, category_list, self.list_max_size
        ))

    def _track_count(self, uuid, ts, value, category_list=None):
        """A counter's value from here on."""
        return _made(self._packets.count(uuid, ts, value, category_list))

    def _add_debug_annotation(self, d, kwargs):
        """Adds arguments to the event of packet `d`."""
        d.annotate(kwargs, self.list_max_size)

    def _make_trace(self, pkts):
        """The packets as a trace: its `SerializeToString()` is a file, or what is appended to one."""
        return _LegacyTrace(pkts)


def _made(packet):
    if print_proto:
        print(packet)
    return packet
