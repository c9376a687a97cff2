"""Protobuf and packed files: frames of the Collector's file exporter land as its JSON does."""

from __future__ import annotations

import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from farthing.errors import ConfigError
from farthing.lake.schemas import REJECTS, REQUESTS, SPANS
from tests.collectors.traces import CALL, line, nanoseconds, span

SECRET = b"my grandmother's recipe"
CHUNK = {"name": "gen_ai.content.completion.chunk", "timeUnixNano": nanoseconds(2.5)}


def texts() -> list[str]:
    said = {**CALL, "gen_ai.usage.input_tokens": 5, "gen_ai.prompt.0.content": SECRET.decode(), "streams": True}
    return [line([span(1, {"user.id": "ann"})]), line([span(2, said, parent=1, events=[CHUNK])], {"k8s.pod.name": "p"})]


def message(text: str) -> bytes:
    """The message that a line of JSON says; protobuf's own JSON has ids in base64."""
    value = json.loads(text)
    for one in value["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
    return bytes(json_format.ParseDict(value, ExportTraceServiceRequest()).SerializeToString())


def printed(text: str) -> str:
    """The same as protobuf's own printer writes it."""
    parsed = ExportTraceServiceRequest.FromString(message(text))
    return f"{json_format.MessageToJson(parsed, indent=None)}\n"


def framed(*messages: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "big") + one for one in messages)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return bytes(sink.getvalue())


def held(world: Any, source: str) -> list[Any]:
    """Requests and spans of `source` but for where they came from."""
    return [
        {column: value for column, value in row.items() if not column.startswith("x_")}
        for table in (REQUESTS, SPANS)
        for row in world.query(table, f"from lake.{table.name} where x_source = '{source}' order by started_at")
    ]


@pytest.mark.heavy
def test_every_form_of_a_file_lands_as_its_json_does(world: Any) -> None:
    lines = texts()
    forms = {
        "a.json": "".join(lines).encode(),
        "b.json.gz": gzip.compress("".join(lines).encode()),
        "c.binpb": framed(*map(message, lines)),
        "d.proto.zst": zstd(framed(*map(message, lines))),
        "e.zstd": framed(*(zstd(message(one)) for one in lines)),  # as the Collector packs protobuf
        "f.zstd": framed(*(zstd(one.encode()) for one in lines)),  # and JSON
        "g.json": "".join(map(printed, lines)).encode(),
    }
    found = {}
    for number, (name, content) in enumerate(forms.items()):
        world.write(name, content)
        results = world.collect("otel", name, name=f"source{number}")
        assert [(result.read, result.landed) for result in results] == [(1, 1), (2, 2)], name
        found[name] = held(world, f"source{number}")
    for name, rows in found.items():
        assert rows == found["a.json"], name
    assert found["a.json"][0]["first_token_at"] is not None
    assert not [path for path in Path(world.lake.path).rglob("*.parquet") if SECRET in path.read_bytes()]


def test_a_file_that_is_not_whole_lands_nothing(world: Any) -> None:
    told = {
        "a.binpb": (framed(message(texts()[0]))[:-3], "ends in the middle of a frame"),
        "b.binpb": (b"\0\0\0", "ends in the middle of a frame"),
        "c.binpb": (b"\x05\0\0\0abc", "neither JSON lines nor frames of OTLP"),
        "d.binpb": (b"", "empty"),
        "e.jsonl.gz": (gzip.compress(b"{}\n" * 9999)[:-8], "cannot be unpacked to its end"),
    }
    for name, (content, _) in told.items():
        world.write(name, content)
    results = world.collect("otel", "?.*")
    assert [result.status for result in results] == ["failed"] * 10
    assert all(told[result.file][1] in result.problem for result in results), results


def test_a_frame_that_is_no_message_is_refused_and_the_others_land(world: Any) -> None:
    frames = [message(texts()[1]), SECRET, b"\x28\xb5\x2f\xfdxx", b'{"resourceLogs": []}', b""]
    world.write("in.binpb", framed(*frames))
    requests, spans = world.collect("otel", "in.binpb")
    assert (requests.landed, spans.landed, spans.rejected) == (1, 1, 3)
    assert [row["line"] for row in world.rows(REJECTS, "line")] == [2, 3, 4]
    assert SECRET.decode() not in str(world.rows(REJECTS))


def test_protobuf_without_its_package_says_which_to_install(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    world.write("in.binpb", framed(b"x"))
    with pytest.raises(ConfigError, match=r"install `farthing\[otel\]`"):
        world.collect("otel", "in.binpb")
