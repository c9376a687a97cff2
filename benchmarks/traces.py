"""A made-up file of OTLP traces: calls of models, each below the span of the request that made it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

_SPANS_OF_A_LINE = 50
_BEGIN = 1_790_000_000_000_000_000
_WORDS = 'the cost of a "model" and größe its answer'.split()


def write(path: Path, spans: int) -> None:
    """A file of `spans` spans, half of them calls with a prompt and an answer, each below the span of its request."""
    chance = random.Random(7)
    moment = _BEGIN
    with path.open("w", encoding="utf-8") as file:
        for _ in range(spans // _SPANS_OF_A_LINE):
            made = []
            for _ in range(_SPANS_OF_A_LINE // 2):
                moment += chance.randrange(10_000_000)
                trace = f"{chance.getrandbits(128):032x}"
                ids = [f"{chance.getrandbits(64):016x}" for _ in range(2)]
                made += [_request(chance, trace, ids[0], moment), _call(chance, trace, ids, moment)]
            resource_of = {"service.name": "app", "service.instance.id": "i-1", "deployment.environment.name": "prod"}
            group = {
                "resource": {"attributes": _attributes(resource_of)},
                "scopeSpans": [{"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": made}],
            }
            file.write(json.dumps({"resourceSpans": [group]}, ensure_ascii=False) + "\n")


def _request(chance: random.Random, trace: str, span: str, moment: int) -> dict[str, Any]:
    values = {"http.request.method": "POST", "url.path": "/chat", "user.id": f"u{chance.randrange(1000)}"}
    return _span(trace, span, "", "POST /chat", 2, moment, 3_000_000_000, values)


def _call(chance: random.Random, trace: str, ids: list[str], moment: int) -> dict[str, Any]:
    values: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 1000,
        "gen_ai.response.id": f"chatcmpl-{chance.getrandbits(96):024x}",
        "gen_ai.response.model": "gpt-5-2025-08-07",
        "gen_ai.response.time_to_first_chunk": chance.random(),
        "openai.response.service_tier": "default",
        "gen_ai.usage.input_tokens": chance.randrange(50, 5000),
        "gen_ai.usage.output_tokens": chance.randrange(5, 500),
        "gen_ai.usage.cache_read.input_tokens": chance.randrange(50),
        "gen_ai.usage.reasoning.output_tokens": chance.randrange(5),
        "gen_ai.input.messages": " ".join(chance.choices(_WORDS, k=200)),
        "gen_ai.output.messages": " ".join(chance.choices(_WORDS, k=100)),
    }
    return _span(trace, ids[1], ids[0], "chat gpt-5", 3, moment + 1_000_000, 2_000_000_000, values)


def _span(
    trace: str, span: str, parent: str, name: str, kind: int, moment: int, lasted: int, values: dict[str, Any]
) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": span,
        "parentSpanId": parent,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(moment),
        "endTimeUnixNano": str(moment + lasted),
        "attributes": _attributes(values),
        "status": {},
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {int: "intValue", float: "doubleValue", str: "stringValue"}
    return [
        {"key": key, "value": {kinds[type(value)]: str(value) if isinstance(value, int) else value}}
        for key, value in values.items()
    ]
