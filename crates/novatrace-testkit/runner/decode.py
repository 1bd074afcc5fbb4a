"""Reads a trace from stdin with the protobuf classes that Perfetto generates, and prints it in protobuf's text format.

Exits with 1 and a message when bytes are malformed or cut off, or a field is not in Perfetto's schema. The trace processor
says nothing of either.
"""

import sys

from google.protobuf import text_format, unknown_fields
from google.protobuf.message import DecodeError, Message
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace


def unknown(message: Message, path: str):
    """Yields the path of every field that the schema does not know."""
    for field in unknown_fields.UnknownFieldSet(message):
        yield f"{path}.{field.field_number}"
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        values = [value] if isinstance(value, Message) else value
        for index, inner in enumerate(values):
            yield from unknown(inner, f"{path}.{descriptor.name}[{index}]")


trace = Trace()
try:
    trace.ParseFromString(sys.stdin.buffer.read())
except DecodeError as error:
    sys.exit(f"malformed: {error}")
if fields := list(unknown(trace, "trace")):
    sys.exit(f"fields that are not in Perfetto's schema: {', '.join(fields[:20])}")
sys.stdout.buffer.write(text_format.MessageToString(trace, as_utf8=True).encode())
