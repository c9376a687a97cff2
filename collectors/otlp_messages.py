"""Messages of OTLP with only what may be kept: what of a trace is written to disk, and what protobuf is read as."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from farthing.errors import ConfigError

#: A line holds so many spans at most: no line of a file may be longer than 16 MB.
_SPANS_OF_A_LINE = 1000
_TEXT_BYTES = 4096  # of a name or value: what is longer is no id, number or name
_VALUES = ("stringValue", "intValue", "doubleValue", "boolValue")


def of_json(message: bytes, keep: Collection[str]) -> Iterator[str]:
    """Lines of OTLP JSON with the spans of a JSON message, and of their attributes only those of `keep`.

    Raises:
        ValueError: it is no JSON, or no trace.
    """
    try:
        value = json.loads(message)
    except RecursionError:
        raise ValueError("the message is nested too deeply") from None
    for group in _members(value, "resourceSpans", needed=True):
        resource = _allowed(_members(_object(group, "resource"), "attributes"), keep)
        for scoped in _members(group, "scopeSpans"):
            spans = [_span(span, keep) for span in _members(scoped, "spans")]
            yield from _lines(resource, _object(scoped, "scope").get("name"), spans)


def of_protobuf(message: bytes, keep: Collection[str]) -> Iterator[str]:
    """The same of a message in protobuf.

    Raises:
        ValueError: it is no message of traces.
        ConfigError: the package that reads protobuf is not installed.
    """
    for group in parsed(message).resource_spans:
        resource = _of_messages(group.resource.attributes, keep)
        for scoped in group.scope_spans:
            spans = [
                {
                    "traceId": span.trace_id.hex(),
                    "spanId": span.span_id.hex(),
                    "parentSpanId": span.parent_span_id.hex(),
                    "name": span.name[:_TEXT_BYTES],
                    "kind": span.kind,
                    "startTimeUnixNano": str(span.start_time_unix_nano),
                    "endTimeUnixNano": str(span.end_time_unix_nano),
                    "attributes": _of_messages(span.attributes, keep),
                    "events": _chunk((event.name, str(event.time_unix_nano)) for event in span.events),
                    "status": {"code": span.status.code},
                }
                for span in scoped.spans
            ]
            yield from _lines(resource, scoped.scope.name, spans)


def parsed(message: bytes) -> Any:
    """A message of traces in protobuf.

    Raises:
        ValueError: it is none.
        ConfigError: the package that reads protobuf is not installed.
    """
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        raise ConfigError(
            "traces in protobuf need a package that is not installed.",
            key="sources",
            fix="install `farthing[otel]`, or let the traces be written as JSON.",
        ) from error
    try:
        return ExportTraceServiceRequest.FromString(message)
    except DecodeError as error:
        raise ValueError(f"the message is no protobuf of traces ({error})") from None


def _lines(resource: list[Any], scope: object, spans: list[dict[str, Any]]) -> Iterator[str]:
    for start in range(0, len(spans), _SPANS_OF_A_LINE):
        some = {"scope": {"name": scope}, "spans": spans[start : start + _SPANS_OF_A_LINE]}
        group = {"resource": {"attributes": resource}, "scopeSpans": [some]}
        text = json.dumps({"resourceSpans": [group]}, ensure_ascii=False, separators=(",", ":"))
        text.encode()  # half a surrogate pair is no text
        yield text


def _members(value: object, name: str, *, needed: bool = False) -> list[dict[str, Any]]:
    """The objects in the list `name` of an object."""
    found = value.get(name) if isinstance(value, dict) else None
    if found is None and not needed and isinstance(value, dict):
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError(f"the message is no trace: {name} is no list of objects")
    return found


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _span(span: dict[str, Any], keep: Collection[str]) -> dict[str, Any]:
    plain = ("traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano")
    return {
        **{name: str(span[name])[:_TEXT_BYTES] for name in plain if span.get(name) is not None},
        "attributes": _allowed(_members(span, "attributes"), keep),
        "events": _chunk((str(event.get("name")), event.get("timeUnixNano")) for event in _members(span, "events")),
        "status": {"code": str(_object(span, "status").get("code", ""))},
    }


def _allowed(attributes: list[dict[str, Any]], keep: Collection[str]) -> list[Any]:
    kept = []
    for one in attributes:
        if one.get("key") in keep:
            value = _object(one, "value")
            found = {name: _text(value[name]) for name in _VALUES if value.get(name) is not None}
            kept.append({"key": one["key"], "value": found})
    return kept


def _of_messages(attributes: Any, keep: Collection[str]) -> list[Any]:
    found = [(one.key, one.value, one.value.WhichOneof("value")) for one in attributes if one.key in keep]
    return [
        {"key": key, "value": {"stringValue": _text(getattr(value, kind))}}
        for key, value, kind in found
        if kind in ("string_value", "int_value", "double_value", "bool_value")
    ]


def _chunk(events: Iterator[tuple[str, Any]]) -> list[Any]:
    """The first event of a piece of an answer: when the first token came."""
    times = [(int(time), name) for name, time in events if "chunk" in name.lower() and str(time).isdigit()]
    return [{"name": "chunk", "timeUnixNano": str(min(times)[0])}] if times else []


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:_TEXT_BYTES]
