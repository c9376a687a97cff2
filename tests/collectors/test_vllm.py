"""vLLM's own spans: the server's side of a call, with its replica and how long it waited."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from farthing.lake.schemas import REQUESTS
from tests.collectors.traces import BEGIN, CALL, attributes, line, span

#: What `vllm serve --otlp-traces-endpoint` says of a request.
SERVED = {
    "gen_ai.request.id": "chatcmpl-9f",
    "gen_ai.usage.prompt_tokens": 120,
    "gen_ai.usage.completion_tokens": 30,
    "gen_ai.usage.num_sequences": 1,
    "gen_ai.latency.time_in_queue": 0.25,
    "gen_ai.latency.time_to_first_token": 0.75,
    "gen_ai.latency.e2e": 2.0,
}


def served(number: int, parent: int | None = None, **more: Any) -> dict[str, Any]:
    return span(number, SERVED, parent=parent, name="llm_request", kind=2, **more)


def test_a_server_says_its_replica_and_how_long_a_request_waited(world: Any) -> None:
    world.write("in.jsonl", line([served(2, parent=1)], {"service.instance.id": "vllm-0"}, scope="vllm.llm_engine"))
    world.collect("vllm", "in.jsonl", constants={"model": "llama"})
    [row] = world.rows(REQUESTS)
    assert (row["seen_by"], row["provider"], row["replica_id"], row["model"]) == ("server", "vllm", "vllm-0", "llama")
    assert (row["input_tokens"], row["output_tokens"], row["provider_request_id"]) == (120, 30, "chatcmpl-9f")
    assert row["first_token_at"] == (BEGIN + timedelta(seconds=2.75)).replace(tzinfo=None)
    assert row["parent_span_id"] == f"{1:016x}"  # the caller's, by its traceparent
    assert json.loads(row["tags"]) == {"queue_seconds": 0.25}


def test_a_file_of_many_processes_tells_servers_gateways_and_clients_apart(world: Any) -> None:
    text = line([span(1, CALL)], {"service.instance.id": "app-1"})
    text += line([span(2, CALL, parent=1, kind=1)], {"service.instance.id": "proxy-1"}, scope="litellm")
    text += line([span(3, CALL, parent=2, kind=2)], {"service.instance.id": "gate-1"})
    text += line(
        [served(4, parent=3, attributes=[*span(0, {**SERVED, "gen_ai.request.model": "m"})["attributes"]])],
        {"k8s.pod.name": "vllm-0"},
    )
    world.write("in.jsonl", text)
    world.collect("otel", "in.jsonl")
    found = [(row["seen_by"], row["replica_id"]) for row in world.rows(REQUESTS, "started_at")]
    # An instance of a client is no replica: no GPU is its own.
    assert found == [("client", None), ("gateway", None), ("gateway", None), ("server", "vllm-0")]


def test_a_server_that_says_only_which_model_answered_has_said_the_model(world: Any) -> None:
    answered = {**SERVED, "gen_ai.response.model": "llama"}
    world.write("in.jsonl", line([span(1, answered, name="llm_request", kind=2)]))
    world.collect("vllm", "in.jsonl")
    assert [row["model"] for row in world.rows(REQUESTS)] == ["llama"]


def test_a_server_that_names_no_model_is_refused_until_the_settings_do(world: Any) -> None:
    world.write("in.jsonl", line([served(1)], {"service.name": "llama"}))
    [requests, _] = world.collect("vllm", "in.jsonl")
    assert (requests.landed, world.rejects()) == (0, [(1, "model is missing")])
    world.collect("vllm", "in.jsonl", columns={"model": "service.name"})
    assert [row["model"] for row in world.rows(REQUESTS)] == ["llama"]


def test_the_first_prompt_or_answer_of_a_call_has_the_id_that_its_caller_sees(world: Any) -> None:
    names = ("cmpl-a-0", "cmpl-a-1", "0_chatcmpl-b", "1_chatcmpl-b", "0_cmpl-c-0", "embd-d-0", "chatcmpl-e-0")
    spans = [served(number, attributes=attributes({**SERVED, "gen_ai.request.id": name}))
             for number, name in enumerate(names, 1)]  # fmt: skip
    world.write("in.jsonl", line(spans))
    world.collect("vllm", "in.jsonl", constants={"model": "llama"})
    found = [row["provider_request_id"] for row in world.rows(REQUESTS, "started_at")]
    assert found == ["cmpl-a", "cmpl-a-1", "chatcmpl-b", "1_chatcmpl-b", "cmpl-c", "embd-d", "chatcmpl-e-0"]
