"""OTLP traces as tests write them: spans with plain attributes, in the JSON of the specification."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

TRACE = "5b8efff798038103d269b633813fc60c"
BEGIN = datetime(2026, 11, 1, 10, tzinfo=UTC)
#: What a call of a model has at least.
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.provider.name": "openai"}


def nanoseconds(second: float) -> str:
    """A time, so many seconds after `BEGIN`, as OTLP has it."""
    return str(int(BEGIN.timestamp()) * 10**9 + round(second * 10**9))


def attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes of OTLP: whole numbers are text."""

    def value(one: Any) -> dict[str, Any]:
        if isinstance(one, bool):
            return {"boolValue": one}
        if isinstance(one, int):
            return {"intValue": str(one)}
        if isinstance(one, float):
            return {"doubleValue": one}
        if isinstance(one, list):
            return {"arrayValue": {"values": [value(inner) for inner in one]}}
        return {"stringValue": one}

    return [{"key": key, "value": value(one)} for key, one in values.items()]


def span(
    number: int, values: Mapping[str, Any], *, parent: int | None = None, trace: str = TRACE, **more: Any
) -> dict[str, Any]:
    """A span of two seconds; `number` makes its id."""
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "parentSpanId": "" if parent is None else f"{parent:016x}",
        "name": "a span",
        "kind": 3,
        "startTimeUnixNano": nanoseconds(number),
        "endTimeUnixNano": nanoseconds(number + 2),
        "attributes": attributes(values),
        "status": {},
        **more,
    }


def line(
    spans: Iterable[Mapping[str, Any]], resource: Mapping[str, Any] | None = None, scope: str = "opentelemetry.test"
) -> str:
    """One export of `spans` by one process."""
    group = {
        "resource": {"attributes": attributes({"service.name": "app", **(resource or {})})},
        "scopeSpans": [{"scope": {"name": scope, "version": "1"}, "spans": list(spans)}],
    }
    return json.dumps({"resourceSpans": [group]}) + "\n"
