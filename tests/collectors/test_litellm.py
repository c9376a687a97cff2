"""LiteLLM payloads: what a real proxy logged, the rule of each trap, every shape of file, and no prompt in the lake."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collectors.json_rows import json_rows
from collectors.lines import UnreadableError
from farthing import clock
from farthing.errors import ConfigError
from farthing.lake.schemas import REJECTS, REQUESTS
from tests.collectors.conftest import World, collector
from tests.conftest import ROOT

RECORDED = ROOT / "tests" / "fixtures" / "litellm"
LATER = datetime(2026, 12, 24, tzinfo=UTC)
START = 1_790_000_000.25


@pytest.fixture(autouse=True)
def later_than_every_payload() -> Iterator[None]:
    with clock.fixed(LATER):
        yield


def payload(call: str = "call-1", **changes: Any) -> dict[str, Any]:
    """A plain call of 2,006 + 300 tokens; keys of `metadata`, `usage` and `prompt_details` are named with a dot."""
    details = {"cached_tokens": 1920, "audio_tokens": None}
    usage = {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": 192},
    }
    made: dict[str, Any] = {
        "id": f"chatcmpl-{call}",
        "litellm_call_id": call,
        "call_type": "acompletion",
        "stream": False,
        "status": "success",
        "cache_hit": None,
        "custom_llm_provider": "openai",
        "startTime": START,
        "completionStartTime": START + 2,
        "endTime": START + 2,
        "model": "openai/gpt-5",
        "model_group": "gpt-5",
        "model_id": "deployment-1",
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "response_cost": 0.0033475,
        "cost_breakdown": {"service_tier": None},
        "messages": [{"role": "user", "content": "a secret prompt"}],
        "response": {"model": "gpt-5", "choices": [{"message": {"content": "the secret answer"}}]},
        "metadata": {"user_api_key_user_id": "u-1", "user_api_key_team_id": "t-1", "usage_object": usage},
    }
    places = {"metadata": made["metadata"], "usage": usage, "prompt_details": details}
    for name, value in changes.items():
        place, _, key = name.rpartition("__")
        places.get(place, made)[key] = value
    return made


#: Calls that land together, once; a test names its own and looks at what became of it.
CASES: dict[str, dict[str, Any]] = {}


def case(name: str, **changes: Any) -> str:
    CASES[name] = payload(name, **changes)
    return name


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every case as a row of the lake, or with the reason why it is none as its `reason`."""
    world = World(tmp_path_factory.mktemp("litellm"))
    world.write("log.jsonl", lines(*CASES.values()))
    with clock.fixed(LATER):
        result = world.one("litellm", "log.jsonl", timezone="Asia/Tokyo")
    assert result.read == len(CASES)
    names = list(CASES)
    refused = {names[line - 1]: {"reason": reason} for line, reason in world.rejects()}
    return {**refused, **{row["request_id"]: row for row in world.rows(REQUESTS)}}


def land(world: Any, *payloads: dict[str, Any], **source: Any) -> list[dict[str, Any]]:
    world.write("log.jsonl", lines(*payloads))
    world.one("litellm", "log.jsonl", **source)
    rows: list[dict[str, Any]] = world.rows(REQUESTS, "request_id")
    return rows


def lines(*payloads: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in payloads)


def request_ids(path: Path) -> list[str]:
    """The calls that are found in a file."""
    texts = [text for piece in json_rows(path) for text in piece.table["text"].to_pylist()]
    return [json.loads(text)["litellm_call_id"] for text in texts]


def tokens(row: dict[str, Any]) -> tuple[Any, ...]:
    names = "input cached_input cache_write cache_write_1h output reasoning".split()
    return tuple(row[f"{name}_tokens"] for name in names)


# -- what a real proxy logged -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The recorded calls in their order, from the log of a callback, and from the batches posted to a receiver."""
    world = World(tmp_path_factory.mktemp("recorded"))
    found = []
    with clock.fixed(LATER):
        for file in ("callback.jsonl", "generic_api.jsonl"):
            world.write(file, (RECORDED / file).read_bytes())
            found.append(world.collect("litellm", "*.jsonl")[-1])
    assert [(one.read, one.landed, one.duplicate) for one in found] == [(11, 11, 0), (11, 0, 11)]
    return world.rows(REQUESTS, "started_at")


@pytest.mark.slow
def test_the_calls_of_a_real_proxy_land_with_their_tokens_and_classes(recorded: list[dict[str, Any]]) -> None:
    openai, none = (2006, 1920, None, None, 300, 192), (None,) * 6
    anthropic = (4050, 3000, 1000, 400, 20, 0)  # 50 + 3,000 + 1,000: inclusive for every provider
    assert [(row["status"], row["usage_quality"], row["service_tier"], tokens(row)) for row in recorded] == [
        ("success", "reported", "standard", openai),
        ("success", "reported", "standard", anthropic),
        ("success", "reported", "standard", openai),  # streamed
        ("success", "reported", "standard", (14, None, None, None, 4, 0)),  # streamed, upstream tells no usage
        ("failure", "missing", None, none),  # 429: LiteLLM says 0
        ("success", "reported", "flex", openai),
        ("success", "reported", "standard", openai),
        ("success", "reported", "standard", openai),  # the same again, from the gateway's cache
        ("success", "reported", "standard", (12, None, None, None, None, None)),  # an embedding
        ("success", "reported", "standard", anthropic),
        ("cancelled", "estimated", "standard", (13, 0, 0, None, 2, 0)),  # hung up; upstream would bill 2006/300
    ]


@pytest.mark.slow
def test_the_calls_of_a_real_proxy_land_with_who_made_them_and_who_answered(recorded: list[dict[str, Any]]) -> None:
    users = [row["user_id"] for row in recorded]
    assert users == ["customer-7", *[None] * 8, "customer-8", None]  # whoever has the master key is nobody
    assert [row["customer_id"] for row in recorded] == users
    assert recorded[0]["tags"] == '{"team":"search","beta":"true"}'  # without the tags of the client's name
    assert {row["tags"] for row in recorded[1:]} == {None}
    assert (recorded[0]["trace_id"], recorded[0]["session_id"]) == ("s-1", "s-1")
    first, again = recorded[6:8]
    assert (first["provider"], first["gateway_cache_hit"]) == ("openai", False)
    assert (again["provider"], again["gateway_cache_hit"]) == ("litellm-cache", True)
    assert first["request_id"] != again["request_id"]
    models = [(row["model"], row["response_model"], row["operation"]) for row in recorded]
    assert (models[0], models[8], models[9]) == (
        ("gpt-5", "gpt-5", "chat"),
        ("small", "text-embedding-3-small", "embeddings"),
        ("claude", "claude-sonnet-4-5-20250929", "chat"),
    )
    assert {row["seen_by"] for row in recorded} == {"gateway"}


def test_only_streams_of_a_real_proxy_have_a_first_token(recorded: list[dict[str, Any]]) -> None:
    assert [number for number, row in enumerate(recorded) if row["first_token_at"]] == [2, 3, 10]
    for row in (recorded[2], recorded[3], recorded[10]):
        assert row["started_at"] < row["first_token_at"] < row["ended_at"]


# -- tokens, and what they cost ---------------------------------------------------------------------------------

Landed = dict[str, dict[str, Any]]
_SPLIT = {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 400}
_CREATED = {"cached_tokens": 3000, "cache_creation_tokens": 1000, "cache_creation_token_details": _SPLIT}
HOUR = case(
    "hour", prompt_tokens=4050, completion_tokens=20, usage__prompt_tokens_details=_CREATED,
    usage__completion_tokens_details=None,
)  # fmt: skip


@pytest.mark.slow
def test_cache_writes_of_an_hour_are_told_apart(landed: Landed) -> None:
    """litellm PR#36762: at the rate of five minutes they cost 37 % too little."""
    assert tokens(landed[HOUR]) == (4050, 3000, 1000, 400, 20, None)


_BEFORE = {"cache_read_input_tokens": 1500, "cache_creation_input_tokens": 100}
OLDER = [
    case("older", usage__prompt_tokens_details=None, **{f"usage__{name}": count for name, count in _BEFORE.items()}),
    case("added", usage__prompt_tokens_details=None, metadata__additional_usage_values=_BEFORE),
]


@pytest.mark.parametrize("name", OLDER)
def test_cache_tokens_are_found_where_older_releases_have_them(landed: Landed, name: str) -> None:
    assert tokens(landed[name]) == (2006, 1500, 100, None, 300, 192)


INSIDE, OUTSIDE = case("inside"), case("outside", prompt_details__cached_tokens=2007)


def test_cached_tokens_are_inside_of_input_and_never_added_to_it(landed: Landed) -> None:
    """litellm#6215, #14849, #14874: charged twice. A cache larger than the input is refused, not made smaller."""
    assert tokens(landed[INSIDE]) == (2006, 1920, None, None, 300, 192)
    assert "cached_input_tokens and cache_write_tokens are 2007 of input_tokens 2006" in landed[OUTSIDE]["reason"]


_WISH: dict[str, Any] = {"model_parameters": {"service_tier": "priority"}}
TIERS = {
    case("flex", cost_breakdown={"service_tier": "flex"}, **_WISH): "flex",
    case("priority", cost_breakdown={"service_tier": "priority"}): "priority",
    case("default", cost_breakdown={"service_tier": "default"}): "standard",
    case("standard", cost_breakdown={"service_tier": None}, **_WISH): "standard",
    case("without cost", response_cost=None, cost_breakdown=None, **_WISH): None,
    case("failed", status="failure", cost_breakdown=None): None,
}


@pytest.mark.parametrize("name", TIERS)
def test_the_tier_is_the_one_that_was_billed(landed: Landed, name: str) -> None:
    """litellm#13810: flex at the price of standard is twice too much. What was asked for is a wish."""
    assert landed[name]["service_tier"] == TIERS[name]


_HUNG_UP = {"error_code": "499", "error_class": "ClientDisconnected"}
ABORTED = case(
    "aborted", stream=True, prompt_tokens=8, completion_tokens=5, error_information=_HUNG_UP, metadata__usage_object={}
)


def test_an_aborted_stream_is_cancelled_and_its_tokens_are_estimates(landed: Landed) -> None:
    """LiteLLM says success and guesses 8 + 5 where the vendor bills 2,006 + 300 (litellm#13245, #14457)."""
    row = landed[ABORTED]
    assert (row["status"], row["usage_quality"]) == ("cancelled", "estimated")
    assert tokens(row) == (8, None, None, None, 5, None)


_ZERO: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "metadata__usage_object": {}}
REFUSED = case("refused", status="failure", **_ZERO)
FILTERED = case("filtered", status="failure", error_information={"error_code": "400"})
UNTOLD = case("untold", stream=True, **_ZERO)


def test_tokens_of_a_failure_are_missing_unless_it_has_some(landed: Landed) -> None:
    assert (landed[REFUSED]["status"], landed[REFUSED]["usage_quality"]) == ("failure", "missing")
    assert tokens(landed[REFUSED]) == (None,) * 6
    assert (landed[FILTERED]["status"], landed[FILTERED]["usage_quality"]) == ("failure", "reported")
    assert tokens(landed[FILTERED])[0] == 2006  # cost follows tokens, not status


def test_a_success_without_usage_is_missing_and_not_free(landed: Landed) -> None:
    """litellm#37923: streams priced at 0; what is missing must be seen as missing."""
    assert (landed[UNTOLD]["usage_quality"], tokens(landed[UNTOLD])) == ("missing", (None,) * 6)


@pytest.mark.slow
def test_the_total_of_a_batch_lands_once_and_looks_at_it_are_no_requests(world: Any) -> None:
    """litellm#35358, #39980: polls before the end are rows of zero, and each look afterwards tells the total again."""
    look: dict[str, Any] = {"call_type": "aretrieve_batch", "id": "batch_7", "stream": None}
    nothing = {**look, **_ZERO, "response_cost": 0.0}
    total = {**look, "prompt_tokens": 90_000, "completion_tokens": 4000, "response_cost": 0.5}
    looks = [{**nothing, "model": None, "model_group": None}, total, {**total, "id": "batch_7_batch_cost"}, nothing]
    world.write("log.jsonl", lines(*(payload(f"look-{number}", **one) for number, one in enumerate(looks))))
    result = world.one("litellm", "log.jsonl")
    assert (result.read, result.landed, result.duplicate, result.rejected) == (4, 1, 3, 0)
    [row] = world.rows(REQUESTS)
    assert (row["request_id"], row["service_tier"], row["ended_at"]) == ("batch_7", "batch", None)
    assert tokens(row) == (90_000, 1920, None, None, 4000, 192)


HITS = [case("hit", cache_hit=True, id="chatcmpl-1_cache_hit179"), case("named", id="chatcmpl-1_cache_hit180")]


def test_a_hit_of_the_gateways_cache_is_no_call_of_the_provider(landed: Landed) -> None:
    for name in HITS:
        row = landed[name]
        assert (row["provider"], row["gateway_cache_hit"]) == ("litellm-cache", True)
        assert row["provider_request_id"] == "chatcmpl-1"  # as the client sees it: of the call that filled the cache
    assert (landed[INSIDE]["provider"], landed[INSIDE]["gateway_cache_hit"]) == ("openai", False)
    assert landed[INSIDE]["provider_request_id"] == "chatcmpl-inside"


SMALL, NO_NUMBER = case("small", response_cost=2.4000000000000003e-07), case("no number", response_cost="dear")


def test_what_the_gateway_says_a_call_cost_is_kept_beside_and_as_it_is(landed: Landed) -> None:
    assert landed[SMALL]["reported_cost"] == Decimal("0.00000024000000000000003")
    assert landed[NO_NUMBER]["reason"] == "response_cost: 'dear' is no number"


# -- who, what and when -----------------------------------------------------------------------------------------


def _parties(name: str, user: str, end_user: str | None) -> str:
    return case(name, metadata__user_api_key_user_id=user, end_user=end_user)


PARTIES = {
    _parties("owner", "u-1", None): ("u-1", None),
    _parties("both", "u-1", "c-1"): ("u-1", "c-1"),
    _parties("end user", "default_user_id", "c-1"): ("c-1", "c-1"),
    _parties("nobody", "default_user_id", None): (None, None),
    _parties("blank", "", " "): (None, None),
}


@pytest.mark.parametrize("name", PARTIES)
def test_the_user_is_the_keys_owner_else_the_end_user_else_nobody(landed: Landed, name: str) -> None:
    row = landed[name]
    assert (row["user_id"], row["customer_id"]) == PARTIES[name]
    assert row["team_id"] == "t-1"


EARLY = case("early", stream=True, completionStartTime=START + 0.000001)
ISO = case("iso", startTime="2026-09-21T14:13:20.25", endTime="2026-09-21T16:13:22+02:00")


def test_times_are_utc_to_the_microsecond_whatever_zone_the_source_names(landed: Landed) -> None:
    begin = datetime(2026, 9, 21, 14, 13, 20, 250_000)  # noqa: DTZ001  # views give naive UTC
    row = landed[EARLY]
    assert (row["started_at"], row["ended_at"]) == (begin, begin + timedelta(seconds=2))
    assert row["first_token_at"] == begin + timedelta(microseconds=1)
    assert landed[ISO]["started_at"] == begin
    assert landed[ISO]["ended_at"] == begin + timedelta(seconds=1.75)


STREAMS = {
    case("stream", stream=True, completionStartTime=START + 1): True,
    case("no stream", stream=False, completionStartTime=START + 1): False,
    case("stream unsaid", stream=None, completionStartTime=START + 1): False,
    case("stream without a piece", stream=True, completionStartTime=START + 2): False,
}


@pytest.mark.parametrize("name", STREAMS)
def test_only_a_stream_has_a_first_token_and_only_before_its_end(landed: Landed, name: str) -> None:
    assert (landed[name]["first_token_at"] is not None) == STREAMS[name]


def _answered(name: str, provider: str, model: str, said: str | None) -> str:
    return case(name, custom_llm_provider=provider, model=model, model_group="alias", response={"model": said})


BILLED = {
    _answered("dated", "openai", "openai/gpt-5", "gpt-5-2025-08-07"): "gpt-5-2025-08-07",
    _answered("aliased", "azure", "azure/gpt-4o", "my-alias"): "gpt-4o",
    _answered("unsaid", "bedrock", "us.anthropic.claude-sonnet-4-5", None): "us.anthropic.claude-sonnet-4-5",
    _answered("own", "hosted_vllm", "hosted_vllm/meta/llama", "meta/llama"): "meta/llama",
}


@pytest.mark.parametrize("name", BILLED)
def test_the_billed_model_is_the_dated_one_where_the_answer_has_it(landed: Landed, name: str) -> None:
    row = landed[name]
    assert (row["model"], row["response_model"], row["replica_id"]) == ("alias", BILLED[name], "deployment-1")


_CALLERS = {"headers": {"authorization": "Bearer sk"}, "tenant": "acme", "plan": {"tier": "gold"}}
_TAGS = ["team: search", "beta", "team:find", "User-Agent: curl"]
_TAGGED: dict[str, Any] = {
    "request_tags": _TAGS,
    "metadata__requester_metadata": _CALLERS,
    "metadata__user_api_key_alias": "web",
}
TAGGED = case("tagged", **_TAGGED)


def test_tags_are_those_of_the_request_and_its_key(landed: Landed) -> None:
    assert json.loads(landed[TAGGED]["tags"]) == {"team": "find", "beta": "true", "key_alias": "web"}


@pytest.mark.slow
def test_a_source_lists_what_more_it_wants_and_can_not_ask_for_the_prompt(world: Any) -> None:
    listed = ["request_tags.*", "tenant", "plan.tier"]
    columns = {"feature": "tenant", "environment": "messages"}
    [row] = land(world, payload(**_TAGGED), tags=listed, columns=columns)
    assert json.loads(row["tags"]) == {"team": "find", "beta": "true", "tenant": "acme", "tier": "gold"}
    assert (row["feature"], row["environment"]) == ("acme", None)


@pytest.mark.parametrize("text", ["messages", "response"])
def test_a_source_that_lists_the_prompt_or_the_answer_is_told_that_it_never_lands(world: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="never lands"):
        land(world, payload(**_TAGGED), tags=[text])


def test_counts_that_are_said_to_be_exclusive_are_a_mistake_in_the_configuration(world: Any) -> None:
    with pytest.raises(ConfigError, match="inclusive"):
        land(world, payload(), token_convention="exclusive")


# -- odd payloads -----------------------------------------------------------------------------------------------

ODD = {
    case("no start", startTime=None): "started_at is missing",
    case("odd start", startTime="yesterday"): "startTime: 'yesterday' is no time (seconds since 1970, or ISO 8601)",
    case("odd end", endTime=float("nan")): "endTime: 'NaN' is no time (seconds since 1970, or ISO 8601)",
    case("odd first", completionStartTime={}): "completionStartTime: '{}' is no time (seconds since 1970, or ISO 8601)",
    case("end before start", endTime=START - 1): "ended_at 2026-09-21 14:13:19.25 is before started_at",
    case("tomorrow", startTime=LATER.timestamp() + 86_400, endTime=None): "is in the future",
    case("no model", model="", model_group=None): "model is missing",
    case("odd tokens", prompt_tokens="many"): "input_tokens: 'many' is no whole number",
    case("half a token", completion_tokens=2.5): "output_tokens: '2.5' is no whole number",
    case("negative", prompt_tokens=-1): "input_tokens is negative: -1",
    case("odd reasoning", usage__completion_tokens_details={"reasoning_tokens": 301}): "reasoning_tokens are 301",
    case("odd cost", response_cost=[1]): "response_cost: '[1]' is no number",
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_payload_is_refused_with_its_reason(landed: Landed, name: str) -> None:
    assert ODD[name] in landed[name]["reason"]


SHAPELESS = [
    case("tags of another shape", request_tags="{", metadata__requester_metadata="[", metadata__usage_object=7),
    case("tags that are no texts", request_tags=[1, None, {"a": 2}, ""]),
]


@pytest.mark.parametrize("name", SHAPELESS)
def test_what_has_another_shape_beside_the_facts_costs_no_request(landed: Landed, name: str) -> None:
    assert landed[name]["input_tokens"] == 2006


# -- prompts ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_text_of_prompt_or_answer_is_anywhere_in_the_lake(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARTHING_HASH_KEY", "pepper")
    broken = json.dumps(payload())[:-1]
    odd = [payload("b", prompt_tokens="many"), payload("c", startTime="yesterday"), payload("d", startTime=None)]
    lines = [json.dumps(payload("a")), broken, '"a secret prompt"', *map(json.dumps, odd)]
    world.write("log.jsonl", "\n".join(lines).encode() + b'\n{"messages": "a secret prompt \xff"}\n')
    result = world.one("litellm", "log.jsonl")
    assert (result.read, result.landed, result.rejected) == (7, 1, 6)
    assert [line for line, _ in world.rejects()] == [2, 3, 4, 5, 6, 7]
    size = f"its {len(broken) + 1:,} bytes are not kept, for they may hold a prompt"
    assert world.rejects()[0] == (2, f"the line is not JSON; {size}")
    files = [path for path in (world.folder / "lake").rglob("*") if path.is_file()]
    said = [str(value) for table in (REQUESTS, REJECTS) for row in world.rows(table) for value in row.values()]
    assert len(files) > 4
    assert not any("secret" in text for text in said)
    assert not any(b"secret" in path.read_bytes() for path in files)


@pytest.mark.slow
def test_the_hash_of_a_prompt_is_keyed_and_the_same_for_the_same_prompt(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [{"role": "user", "content": "a secret prompt"}]
    monkeypatch.setenv("FARTHING_HASH_KEY", "pepper")
    blanked = [{"role": "user", "content": "redacted-by-litellm"}]
    rows = land(
        world, payload("a"), payload("b", model="x"), payload("c", messages=blanked), payload("d", messages=None)
    )
    text = json.dumps(messages, separators=(",", ":")).encode()
    expected = hmac.new(b"pepper", text, hashlib.sha256).hexdigest()
    assert [row["prompt_hash"] for row in rows] == [expected, expected, None, None]


def test_there_is_no_hash_without_a_key(landed: Landed) -> None:
    assert {row.get("prompt_hash") for row in landed.values()} == {None}


@pytest.mark.heavy
def test_a_key_that_comes_later_lands_the_same_file_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    land(world, payload())
    monkeypatch.setenv(
        "FARTHING_HASH_KEY", "a key that is longer than a block of SHA-256 has bytes, which are 64 of them"
    )
    assert [one.status for one in world.collect("litellm", "log.jsonl")] == ["landed"]
    assert [len(row["prompt_hash"]) for row in world.rows(REQUESTS)] == [64]
    assert [one.status for one in world.collect("litellm", "log.jsonl")] == ["unchanged"]


# -- files ------------------------------------------------------------------------------------------------------


def _shapes() -> dict[str, bytes]:
    one, two, three = (json.dumps(payload(call)).encode() for call in "abc")
    lines = b"\n".join([one, two, three])
    return {
        "lines.jsonl": lines,
        "lines.jsonl.gz": gzip.compress(lines),
        "marked.jsonl": b"\xef\xbb\xbf" + lines + b"\r\n\r\n",
        "array.json": b"[" + b", ".join([one, two, three]) + b"]",
        "array.json.gz": gzip.compress(b"[" + b",".join([one, two, three]) + b"]"),
        "pretty.json": json.dumps([payload(call) for call in "abc"], indent=2).encode(),
        "arrays.jsonl": b"[" + one + b"]\n[" + two + b"," + three + b"]\n",
        "mixed.jsonl": one + b"\n[" + two + b"," + three + b"]\n",
        "no name of JSON": lines,
    }


@pytest.mark.parametrize("name", _shapes())
def test_lines_arrays_and_whatever_a_receiver_writes_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(_shapes()[name])
    assert request_ids(tmp_path / name) == ["a", "b", "c"]


@pytest.mark.parametrize("indent", [None, 4])
def test_one_object_to_a_file_is_read_however_it_is_laid_out(tmp_path: Path, indent: int | None) -> None:
    (tmp_path / "a.json").write_text(json.dumps(payload("a"), indent=indent))
    assert request_ids(tmp_path / "a.json") == ["a"]


def test_text_that_looks_like_json_does_not_cut_a_payload_in_two(tmp_path: Path) -> None:
    said = 'a } in "quotes" and \\ { [ behind a backslash \\"'
    messages = [{"role": "user", "content": said}]
    (tmp_path / "a.json").write_text(json.dumps([payload(said + call, messages=messages) for call in "ab"]))
    assert request_ids(tmp_path / "a.json") == [said + "a", said + "b"]


@pytest.mark.slow
def test_bad_payloads_of_an_array_are_refused_and_the_others_land(world: Any) -> None:
    good = [json.dumps(payload(call)) for call in "abc"]
    world.write("a.json", "[" + ",\n".join([good[0], "5", '{"messages": tru}', good[1], '"text"', good[2]]) + "]")
    result = world.one("litellm", "a.json")
    assert (result.read, result.landed, result.rejected) == (6, 3, 3)
    assert [(line, reason.partition(";")[0]) for line, reason in world.rejects()] == [
        (2, "the element is not a JSON object"), (3, "the line is not JSON"), (5, "the element is not a JSON object")
    ]  # fmt: skip


@pytest.mark.slow
def test_a_bad_array_on_a_line_is_one_line_that_is_refused(world: Any) -> None:
    good = json.dumps(payload())
    world.write("a.jsonl", f"{good}\n[{good}\n[{good}, 7]\n")
    result = world.one("litellm", "a.jsonl")
    assert (result.read, result.landed, result.duplicate, result.rejected) == (4, 1, 1, 2)
    assert [line for line, _ in world.rejects()] == [2, 3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"[" + json.dumps(payload()).encode(), "ends in the middle, after object 1"),
        (b'[{"a": "' + json.dumps(payload()).encode(), "ends in the middle, after object 0"),
        (b"[" + json.dumps(payload()).encode() + b"]]", "more is closed than was opened, after object 1"),
    ],
)
def test_a_file_that_is_not_whole_is_not_read(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UnreadableError, match=reason):
        request_ids(tmp_path / "a.json")


def test_a_packed_file_that_was_cut_short_lands_nothing(world: Any) -> None:
    packed = gzip.compress(lines(*(payload(str(number)) for number in range(500))).encode())
    world.write("a.jsonl.gz", packed[:-20])
    result = world.one("litellm", "a.jsonl.gz")
    assert (result.status, result.landed) == ("failed", 0)
    assert "cut short" in result.problem


def test_the_preview_reads_the_beginning_alone_and_writes_nothing(world: Any) -> None:
    filler = [{"role": "user", "content": "x" * 100_000}]
    begun = ",".join(json.dumps(payload(f"call-{number}", messages=filler)) for number in range(170))  # over 16 MB
    world.write("log.json", f"[{begun}, and its end is not there")
    made = world.config("litellm", "log.json")
    shown = collector("litellm").preview("one", made.sources["one"], made)
    assert shown["request_id"].to_list() == ["call-0", "call-1", "call-2"]
    assert not (world.folder / "lake").exists()


@pytest.mark.heavy
def test_an_array_on_one_line_of_more_than_16_mb_lands_whole(world: Any, tmp_path: Path) -> None:
    filler = [{"role": "user", "content": "x" * 20_000}]
    calls = ",".join(json.dumps(payload(f"call-{n:05}", messages=filler)) for n in range(2000))
    world.write("a.json", f"[{calls}]")
    assert (tmp_path / "a.json").stat().st_size > 32 << 20
    result = world.one("litellm", "a.json")
    assert (result.read, result.landed) == (2000, 2000)
    ids = [row["request_id"] for row in world.rows(REQUESTS, "request_id")]
    assert (ids[0], ids[-1]) == ("call-00000", "call-01999")
