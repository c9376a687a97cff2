"""OpenTelemetry: which spans are requests, whatever their attributes are called; no text of a prompt is kept."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from farthing import commit_points
from farthing.errors import ConfigError
from farthing.lake.schemas import LOADS, REJECTS, REQUESTS, SPANS
from tests.collectors.traces import BEGIN, CALL, TRACE, line, nanoseconds, span

SECRET = "my grandmother's recipe"


def landed(world: Any, *spans: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The requests of one line with `spans`, in the order in which they began."""
    world.write("in.jsonl", line(spans, **more))
    for result in world.collect("otel", "in.jsonl"):
        assert (result.status, result.rejected) == ("landed", 0), world.rejects()
    return list(world.rows(REQUESTS, "started_at"))


def at(second: float) -> datetime:
    return (BEGIN + timedelta(seconds=second)).replace(tzinfo=None)


#: Every row of requests.md 1.1: attributes of a span, and what they become.
READ: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"gen_ai.response.id": "chatcmpl-1"}, {"provider_request_id": "chatcmpl-1"}),
    ({"gen_ai.response.time_to_first_chunk": 0.25}, {"first_token_at": at(1.25)}),
    ({"gen_ai.response.model": "m-2026-01-01"}, {"model": "m", "response_model": "m-2026-01-01"}),
    ({}, {"provider": "openai", "seen_by": "client", "operation": "chat"}),
    ({"gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 7}, {"input_tokens": 50, "output_tokens": 7}),
    ({"gen_ai.usage.prompt_tokens": 50, "llm.usage.completion_tokens": 7}, {"input_tokens": 50, "output_tokens": 7}),
    *(
        ({"gen_ai.usage.input_tokens": 50, f"gen_ai.usage.{name}": 40}, {"input_tokens": 50, "cached_input_tokens": 40})
        for name in (*("cache_read.input_tokens", "cache_read_input_tokens", "cached_tokens", "input_tokens.cached"),)
    ),
    *(
        ({"gen_ai.usage.input_tokens": 50, f"gen_ai.usage.{name}": 40}, {"cache_write_tokens": 40})
        for name in ("cache_creation.input_tokens", "cache_creation_input_tokens", "cache_write.input_tokens")
    ),
    *(
        ({"gen_ai.usage.output_tokens": 50, f"gen_ai.usage.{name}": 40}, {"reasoning_tokens": 40})
        for name in ("reasoning.output_tokens", "reasoning_tokens")
    ),
    ({"gen_ai.usage.input_tokens": 0}, {"input_tokens": 0, "output_tokens": None, "usage_quality": "reported"}),
    ({"openai.response.service_tier": "default"}, {"service_tier": "standard"}),
    ({"gen_ai.openai.response.service_tier": "flex"}, {"service_tier": "flex"}),
    ({"openai.request.service_tier": "priority"}, {"service_tier": None}),  # a wish
    ({"user.id": "ann"}, {"user_id": "ann"}),
    ({"enduser.id": "ann"}, {"user_id": "ann"}),
    ({"gen_ai.user": "ann"}, {"user_id": "ann"}),
    ({"gen_ai.conversation.id": "talk"}, {"session_id": "talk"}),
    ({"session.id": "talk"}, {"session_id": "talk"}),
    ({"error.type": "429"}, {"status": "error", "usage_quality": "missing", "input_tokens": None}),
    ({}, {"status": None, "usage_quality": "missing", "input_tokens": None, "output_tokens": None}),  # aborted
    ({"gen_ai.agent.name": "planner", "gen_ai.tool.name": "web"}, {"agent": "planner", "tool": "web"}),
]


def test_each_attribute_is_read_under_each_of_its_names(world: Any) -> None:
    spans = [
        span(1, {**CALL, **said}, trace=f"{number:032x}", startTimeUnixNano=nanoseconds(1))
        for number, (said, _) in enumerate(READ, 1)
    ]
    rows = {row["trace_id"]: row for row in landed(world, *spans)}
    assert len(rows) == len(READ)
    for number, (said, wanted) in enumerate(READ, 1):
        row = rows[f"{number:032x}"]
        assert {name: row[name] for name in wanted} == wanted, said


def test_only_calls_are_requests_and_every_span_lands(world: Any) -> None:
    used = {"gen_ai.usage.input_tokens": 5}
    operations = ["chat", "text_completion", "generate_content", "embeddings"]
    sums = ["invoke_agent", "create_agent", "execute_tool", "invoke_workflow"]
    spans = [
        span(number, {**CALL, **used, "gen_ai.operation.name": name})
        for number, name in enumerate([*operations, *sums], 1)
    ]
    unsaid = {name: value for name, value in CALL.items() if name != "gen_ai.operation.name"}
    spans += [span(20, {**unsaid, **used}), span(21, unsaid), span(22, {"http.request.method": "GET"})]
    spans += [span(23, {**unsaid, **used, "traceloop.span.kind": "agent"})]
    rows = landed(world, *spans)
    assert [row["operation"] for row in rows] == [*operations, None]
    everything = world.rows(SPANS, "started_at")
    assert len(everything) == len(spans)
    assert [row["request_id"] for row in everything if row["request_id"]] == [row["request_id"] for row in rows]


def test_an_agent_does_not_count_the_tokens_of_its_calls_again(world: Any) -> None:
    """langfuse#14754 showed exactly twice the cost of a trace; harness-sdk#1267 the same of Strands."""
    call = {**CALL, "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a", "gen_ai.request.model": "m"}
    total = {"gen_ai.usage.input_tokens": 2000, "gen_ai.usage.output_tokens": 200}
    rows = landed(world, span(1, {**agent, **total}), span(2, call, parent=1), span(3, call, parent=1))
    assert sum(row["input_tokens"] for row in rows) == 2000
    assert sum(row["output_tokens"] for row in rows) == 200
    assert [row["agent"] for row in world.rows(SPANS, "started_at")] == ["a", None, None]


def test_ids_are_hexadecimal_or_base64_and_land_as_one(world: Any) -> None:
    inner, trace = bytes.fromhex("00000000000000ab"), bytes.fromhex(TRACE)
    printed: dict[str, Any] = {
        "traceId": base64.b64encode(trace).decode(),
        "spanId": base64.b64encode(inner).decode(),
        "parentSpanId": base64.b64encode((1).to_bytes(8, "big")).decode(),
        "kind": "SPAN_KIND_CLIENT",
        "status": {"code": "STATUS_CODE_ERROR"},
    }
    upper: dict[str, Any] = {"traceId": TRACE.upper(), "parentSpanId": "0" * 16}
    [row] = landed(world, span(1, {}, **upper), span(2, CALL, **printed))
    assert (row["trace_id"], row["span_id"], row["parent_span_id"]) == (TRACE, inner.hex(), f"{1:016x}")
    assert row["status"] == "error"
    outer = world.rows(SPANS, "started_at")[0]
    assert (outer["trace_id"], outer["span_id"], outer["parent_span_id"]) == (TRACE, f"{1:016x}", None)


def test_numbers_are_text_or_numbers(world: Any) -> None:
    """Whole numbers are text in the specification, and numbers in what JavaScript writes."""
    values = [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": 5}}]
    values += [{"key": "gen_ai.usage.output_tokens", "value": {"doubleValue": 6.0}}]
    values += [{"key": name, "value": {"stringValue": value}} for name, value in CALL.items()]
    [row] = landed(world, span(1, {}, attributes=values, startTimeUnixNano=int(nanoseconds(1))))
    assert (row["input_tokens"], row["output_tokens"], row["started_at"]) == (5, 6, at(1))


def test_the_first_piece_of_an_answer_is_the_first_token(world: Any) -> None:
    pieces = [
        {"name": "gen_ai.content.completion.chunk", "timeUnixNano": nanoseconds(1 + after)} for after in (0.5, 0.4)
    ]
    other = {"name": "gen_ai.user.message", "timeUnixNano": nanoseconds(1.1)}
    [row] = landed(world, span(1, CALL, events=[other, *pieces]))
    assert row["first_token_at"] == at(1.4)
    assert row["ended_at"] == at(3)


def test_the_address_says_who_serves_where_an_sdk_says_what_it_speaks(world: Any) -> None:
    told = [
        ("llm.internal", "openai", "vllm"),
        ("LLM.internal", "openai", "vllm"),
        ("node-7.cluster", "openai", "own"),
        ("acme.openai.azure.com", "openai", "azure.ai.openai"),
        ("api.openai.com", "OpenAI", "openai"),
    ]
    spans = [
        span(number, {**CALL, "server.address": address, "gen_ai.provider.name": said})
        for number, (address, said, _) in enumerate(told, 1)
    ]
    world.write("in.jsonl", line(spans))
    world.collect("otel", "in.jsonl", providers={"llm.internal": "vllm", "*.cluster": "own"})
    rows = world.rows(REQUESTS, "started_at")
    assert [(json.loads(row["tags"])["server_address"], row["provider"]) for row in rows] == [
        (address, provider) for address, _, provider in told
    ]


def test_counts_that_prove_another_convention_are_made_inclusive_and_say_so(world: Any) -> None:
    claude = {**CALL, "gen_ai.provider.name": "anthropic"}
    cached = {"gen_ai.usage.cache_read_input_tokens": 3000, "gen_ai.usage.cache_creation_input_tokens": 1000}
    rows = landed(
        world,
        span(1, {**claude, "gen_ai.usage.input_tokens": 50, **cached}),
        span(2, {**claude, "gen_ai.usage.input_tokens": 4050, **cached}),
    )
    assert [row["input_tokens"] for row in rows] == [4050, 4050]
    assert [row["tags"] for row in rows] == ['{"token_convention":"exclusive"}', None]


def test_nothing_of_a_prompt_or_an_answer_is_in_any_file_of_the_lake(world: Any) -> None:
    talk = {"gen_ai.prompt.0.content": SECRET, "gen_ai.input.messages": SECRET, "gen_ai.completion.0.content": SECRET}
    event = {
        "name": "gen_ai.user.message",
        "timeUnixNano": nanoseconds(1),
        "attributes": [{"key": "c", "value": {"stringValue": SECRET}}],
    }
    bad = [
        span(2, {**CALL, **talk, "gen_ai.usage.input_tokens": -5}),
        span(3, {**CALL, **talk}, traceId="none"),
        span(4, {**CALL, **talk, "gen_ai.usage.input_tokens": 1.5}),
    ]
    world.write(
        "in.jsonl", line([span(1, {**CALL, **talk}, events=[event]), *bad]) + SECRET + '\n{"x": "' + SECRET + '"}\n'
    )
    requests, spans = world.collect("otel", "in.jsonl")
    assert (requests.read, requests.landed, requests.rejected) == (4, 1, 3)
    assert (spans.read, spans.landed, spans.rejected) == (6, 3, 3)
    kept = [path for path in Path(world.lake.path).rglob("*") if path.is_file()]
    assert len(kept) > 5
    for table in (REQUESTS, SPANS, REJECTS, LOADS):
        assert SECRET not in str(world.rows(table))
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_settings_may_name_further_attributes(world: Any) -> None:
    said = {**CALL, "acme.team": "search", "acme.feature": "summary", "acme.text": SECRET}
    world.write("in.jsonl", line([span(1, {"acme.team": "web"}), span(2, said)], {"acme.cell": "eu-1"}))
    found = world.collect(
        "otel", "in.jsonl", columns={"team_id": "acme.team", "feature": "acme.feature", "region": "acme.cell"},
        tags=["acme.cell"], constants={"seen_by": "gateway", "customer_id": "c"},
    )  # fmt: skip
    assert [result.landed for result in found] == [1, 2]
    [row] = world.rows(REQUESTS)
    assert (row["team_id"], row["feature"], row["region"], row["seen_by"]) == ("search", "summary", "eu-1", "gateway")
    assert row["tags"] == '{"cell":"eu-1"}'
    assert [one["team_id"] for one in world.rows(SPANS, "started_at")] == ["web", "search"]


def test_of_two_spans_with_the_same_ids_the_later_stands(world: Any) -> None:
    world.write("in.jsonl", line([span(1, CALL)]) + line([span(1, {**CALL, "gen_ai.usage.input_tokens": 9})]))
    requests, spans = world.collect("otel", "in.jsonl")
    assert (requests.duplicate, spans.duplicate) == (1, 1)
    assert [row["input_tokens"] for row in world.rows(REQUESTS)] == [9]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("lake.requests.after", marks=pytest.mark.heavy),
        "lake.spans.before",
        pytest.param("lake.spans.after", marks=pytest.mark.heavy),
    ],
)
def test_a_stop_between_the_two_tables_leaves_each_row_once(world: Any, point: str) -> None:
    world.write("in.jsonl", line([span(1, {}), span(2, CALL, parent=1)]))

    def stop() -> None:
        raise KeyboardInterrupt

    commit_points.on(point, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            world.collect("otel", "in.jsonl")
    finally:
        commit_points.on(point, None)
    world.collect("otel", "in.jsonl")
    assert (len(world.rows(REQUESTS)), len(world.rows(SPANS))) == (1, 2)
    assert {result.status for result in world.collect("otel", "in.jsonl")} == {"unchanged"}


def test_a_line_that_is_no_trace_is_named_and_the_others_land(world: Any) -> None:
    older = '{"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": [{"spanId": "a"}]}]}]}'
    told = [
        ('{"resourceMetrics": []}', "the line has no resourceSpans: it is no trace"),
        ('{"resourceSpans": 5}', "the line has no resourceSpans: it is no trace"),
        ('{"resourceSpans": [{', "the line is not JSON"),
        ('{"resourceSpans": [5]}', "a span is no JSON object"),
        ('{"resourceSpans": [{"scopeSpans": [7]}]}', "a span is no JSON object"),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": ["a"]}]}]}', "a span is no JSON object"),
        (older, "a span is no JSON object"),
        ('{"resourceSpans": [{"resource": {}, ' + older[20:], "no span of the line can be read"),
        ("\\ud800", "the line is not JSON"),
        ("[" * 5000, "the line is not JSON"),
    ]
    world.write("in.jsonl", "\n".join(text for text, _ in told) + "\n\n" + line([span(1, CALL)]))
    requests, spans = world.collect("otel", "in.jsonl")
    assert (requests.landed, requests.rejected, spans.landed, spans.rejected) == (1, 0, 1, len(told))
    assert world.rejects() == [(number, reason) for number, (_, reason) in enumerate(told, 1)]


def test_a_span_that_cannot_be_is_refused_in_each_table_that_it_is_for(world: Any) -> None:
    no_id = "traceId is no id of 16 bytes, hexadecimal or base64"
    told: list[tuple[dict[str, Any], str]] = [
        ({"traceId": "abc"}, no_id),
        ({"traceId": "0" * 32}, no_id),
        ({"spanId": "x"}, "spanId is no id of 8 bytes, hexadecimal or base64"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano: 'soon' is no time"),
        ({"startTimeUnixNano": None}, "startTimeUnixNano is missing"),
        ({"startTimeUnixNano": "1" + "0" * 19}, "startTimeUnixNano: '10000000000000000000' is no time"),
        ({"endTimeUnixNano": "never"}, "endTimeUnixNano: 'never' is no time"),
        ({"endTimeUnixNano": nanoseconds(0)}, "ended_at 2026-11-01 10:00:00 is before started_at 2026-11-01 10:00:08"),
        ({"startTimeUnixNano": "4" + "0" * 18}, "started_at 2096-10-02 07:06:40 is in the future"),
    ]
    spans = [
        span(number, CALL, **{**({"endTimeUnixNano": None} if "startTimeUnixNano" in more else {}), **more})
        for number, (more, _) in enumerate(told, 1)
    ]
    more_cached = {"gen_ai.usage.input_tokens": 50, "gen_ai.usage.cached_tokens": 51}
    world.write("in.jsonl", "".join(line([one]) for one in [*spans, span(20, {**CALL, **more_cached})]))
    requests, every = world.collect("otel", "in.jsonl")
    assert (requests.rejected, every.rejected, every.landed) == (len(told) + 1, len(told), 1)
    found = {(row["table"], row["line"]): row["reason"] for row in world.rows(REJECTS)}
    for number, (_, reason) in enumerate(told, 1):
        assert found["requests", number] == found["spans", number] == reason
    assert (
        "51 of input_tokens 50" in found["requests", len(told) + 1]
    )  # no vendor but Anthropic is known to count otherwise


@pytest.mark.slow
def test_a_span_that_has_not_ended_lands_without_an_end(world: Any) -> None:
    [row] = landed(world, span(1, CALL, endTimeUnixNano="0"))
    assert row["ended_at"] is None


def test_a_format_is_not_set_for_traces(world: Any) -> None:
    world.write("in.jsonl", line([span(1, CALL)]))
    with pytest.raises(ConfigError, match="tell their format themselves"):
        world.collect("otel", "in.jsonl", format="jsonl")


def test_a_preview_has_requests(world: Any) -> None:
    from tests.collectors.conftest import collector

    world.write("in.jsonl", line([span(1, {}), span(2, CALL)]))
    config = world.config("otel", "in.jsonl")
    frame = collector("otel").preview("one", config.sources["one"], config)
    assert frame["model"].to_list() == ["m"]
    assert BEGIN.tzinfo is UTC
