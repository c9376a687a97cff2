"""What LiteLLM says of a call, as SQL: the fields that are taken out of a payload, and the request that they make.

A payload and a row of the spend log carry the same facts under other names. Both are first brought under one set of
names, as text; `request_sql` makes columns of the lake from those. Nothing else of a payload is looked at: prompts and
answers stay where they are, but for a keyed hash.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from collectors.raw import LINE, PROBLEM, REPEATED
from collectors.values import keyed, literal, quoted, time_of_text

#: The column of a file of requests with hashes that are made: `prompt_hash` of a log is a text that is still to be.
HASHED = "hashed_prompt"
_LATEST_SECONDS = 7_258_118_400  # 2200-01-01

#: Names of ours -> where a StandardLoggingPayload has it.
_TOP = {
    "call_id": "litellm_call_id",
    "id": "id",
    "trace_id": "trace_id",
    "session_id": "session_id",
    "call_type": "call_type",
    "cache_hit": "cache_hit",
    "stream": "stream",
    "status": "status",
    "provider": "custom_llm_provider",
    "began": "startTime",
    "ended": "endTime",
    "first": "completionStartTime",
    "model": "model",
    "model_group": "model_group",
    "model_id": "model_id",
    "cost": "response_cost",
    "input": "prompt_tokens",
    "output": "completion_tokens",
    "request_tags": "request_tags",
    "end_user": "end_user",
    "agent": "agent_id",
    "tier": "cost_breakdown.service_tier",
    "error_code": "error_information.error_code",
    "said_model": "response.model",
    "said_tier": "response.service_tier",
    "user": "metadata.user_api_key_user_id",
    "team": "metadata.user_api_key_team_id",
    "organization_id": "metadata.user_api_key_org_id",
    "project_id": "metadata.user_api_key_project_id",
    "key_alias": "metadata.user_api_key_alias",
}
#: Names of ours -> where `metadata` has it, in a payload and in the spend log.
_IN_METADATA = {
    "usage_tier": "usage_object.service_tier",
    "cached": "usage_object.prompt_tokens_details.cached_tokens",
    "created": "usage_object.prompt_tokens_details.cache_creation_tokens",
    "written": "usage_object.prompt_tokens_details.cache_write_tokens",
    "one_hour": "usage_object.prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
    "cached_before": "usage_object.cache_read_input_tokens",
    "created_before": "usage_object.cache_creation_input_tokens",
    "cached_added": "additional_usage_values.cache_read_input_tokens",
    "created_added": "additional_usage_values.cache_creation_input_tokens",
    "reasoning": "usage_object.completion_tokens_details.reasoning_tokens",
    "requester": "requester_metadata",
    "spend_metadata": "spend_logs_metadata",
}
#: Where the spend log has what a payload has outside of `metadata`, and what it has no column for.
_ONLY_IN_METADATA = {
    "tier": "cost_breakdown.service_tier",
    "error_code": "error_information.error_code",
    "project_id": "user_api_key_project_id",
    "key_alias": "user_api_key_alias",
}
#: Parts of `metadata` that a caller fills; looked into only for names that a source lists.
METADATA_OF_CALLER = ("requester_metadata", "spend_logs_metadata")
#: Every other part of `metadata` that is looked at.
METADATA_KEYS = tuple(
    dict.fromkeys(
        path.partition(".")[0]
        for path in (*_IN_METADATA.values(), *_ONLY_IN_METADATA.values())
        if path not in METADATA_OF_CALLER
    )
)
#: Calls that look after a batch; only the one that has its tokens is more than a look at it.
_BATCH_CALLS = tuple(
    f"{prefix}{verb}_batch{ending}"
    for prefix in ("", "a")
    for verb, ending in (("create", ""), ("retrieve", ""), ("cancel", ""), ("list", "es"))
)
_TAGS = ("organization_id", "project_id", "key_alias")


def payload_sql(relation: str, *, hashed: bool) -> str:
    """Facts of the payloads in `relation` (columns `_line`, `text`), each parsed once.

    Fails with InvalidInputException where a text is not JSON. With `hashed` it needs the key of `set_hash_key`.
    """
    paths = {**_TOP, **{ours: f"metadata.{path}" for ours, path in _IN_METADATA.items()}}
    facts = ", ".join(f"p.{path} as {quoted(ours)}" for ours, path in paths.items())
    # Null everywhere: perhaps no object at all. That is asked of few rows, so the others are parsed only once.
    nothing = "coalesce(p.litellm_call_id, p.id, p.startTime, p.model, p.status) is null"
    wrong = f"case when {nothing} and json_type(text) <> 'OBJECT' then 'the line is not a JSON object' end"
    parsed = f"json_transform(text, {_structure([*paths.values(), *(['messages'] if hashed else [])])})"
    return (
        f"select _line, {facts}, coalesce(lower(p.stream), '') = 'true' as streamed, {_hash('p.messages', hashed)}, "
        f"{wrong} as wrong from (select _line, text, {parsed} as p from {relation})"
    )


def metadata_sql(relation: str, columns: Collection[str], *, hashed: bool) -> str:
    """Facts of rows of the spend log in `relation`, which has `columns` under our names, `metadata` and `_line`."""
    paths = {**_IN_METADATA, **_ONLY_IN_METADATA}
    facts = ", ".join(f"p.{path} as {quoted(ours)}" for ours, path in paths.items())
    own = [
        *map(quoted, columns),
        *(f"null::varchar as {quoted(ours)}" for ours in _TOP if ours not in {*columns, *paths}),
    ]
    compact = "json_extract(messages, '$')::varchar"  # PostgreSQL writes blanks into its JSON
    return (
        f"select _line, {', '.join(own)}, {facts}, true as streamed, "
        f"{_hash(compact, hashed)}, null::varchar as wrong from "
        f"(select *, json_transform(coalesce(metadata, '{{}}'), {_structure(paths.values())}) as p from {relation})"
    )


def _structure(paths: Iterable[str]) -> str:
    tree: dict[str, Any] = {}
    for path in paths:
        *stems, leaf = path.split(".")
        inner = tree
        for stem in stems:
            inner = inner.setdefault(stem, {})
        inner[leaf] = "VARCHAR"
    return literal(json.dumps(tree))


def request_sql(facts: str, asked: Sequence[str] = (), *, has_tags: bool = True) -> str:
    """Columns of the lake from `facts`, with a row's line and problem; of its text nothing is kept.

    `asked` are names of the caller's own metadata that the source lists; with them come the parts that `tags` is made
    of by default.
    """
    made = _request()
    if has_tags:
        made["tags"] = _default_tags()
    for name in dict.fromkeys(asked):
        made[name] = _metadata_of_caller(name)
    columns = ", ".join(f"{sql} as {quoted(name)}" for name, sql in made.items())
    return f"select _line as {quoted(LINE)}, {columns} from (select *, {_JUDGED} from ({facts}))"


def _moment(value: str) -> str:
    """Seconds since 1970, or ISO 8601 text in UTC where it names no zone, as a time."""
    count = f"try_cast({value} as double)"
    epoch = f"case when {count} between 0 and {_LATEST_SECONDS} then make_timestamp(round({count} * 1e6)::bigint) end"
    naive = f"case when {count} is not null then {epoch} else {time_of_text(value, 'UTC')} end"
    return f"timezone('UTC', {naive})"


def _any(*values: str) -> str:
    """The first that says something."""
    said = ", ".join(f"nullif(trim({value}), '')" for value in values)
    return f"coalesce({said})"


_NONE = "coalesce(nullif({0}, ''), '0') in ('0', '0.0')"
_JUDGED = ", ".join(
    [
        f"{_moment('began')} as began_at",
        f"{_moment('ended')} as ended_at",
        f"{_moment('first')} as first_at",
        f"call_type in ({', '.join(map(literal, _BATCH_CALLS))}) as of_batch",
        f"({_NONE.format('input')} and {_NONE.format('output')}) as without_tokens",
        "coalesce(error_code = '499', false) as hung_up",
        "coalesce(lower(cache_hit) = 'true' or contains(id, '_cache_hit'), false) as from_cache",
    ]
)


def _request() -> dict[str, str]:
    """Columns of the lake over facts that were judged."""
    inside = "starts_with(model, provider || '/')"
    billed = f"case when {inside} then substr(model, length(provider) + 2) else {_any('model')} end"
    tier = f"lower({_any('tier', 'said_tier', 'usage_tier')})"
    total = "of_batch and not without_tokens"
    return {
        # The total of a batch may be logged again each time that somebody looks at it.
        "request_id": f"case when {total} then regexp_replace({_any('id', 'call_id')}, '_batch_cost$', '') "
        f"else {_any('call_id', 'id')} end",
        # What comes from the cache has the id of the answer that was kept.
        "provider_request_id": "case when not of_batch and id is distinct from call_id "
        f"then regexp_replace({_any('id')}, '_cache_hit.*$', '') end",
        "started_at": "began_at",
        # Without a stream LiteLLM puts the end here, and where nothing came of a stream too.
        "first_token_at": "case when streamed and first_at is distinct from ended_at and not of_batch "
        "then first_at end",
        "ended_at": "case when not of_batch then ended_at end",
        "user_id": f"{_any(_known_user('user'), _known_user('end_user'))}",
        "team_id": _any("team"),
        "customer_id": _any("end_user"),
        "model": f"coalesce({_any('model_group', 'model')}, case when of_batch and without_tokens then '(batch)' end)",
        "response_model": f"case when starts_with(said_model, {billed}) then said_model else {billed} end",
        "provider": f"case when from_cache then 'litellm-cache' else {_any('provider')} end",
        "service_tier": "case when of_batch then 'batch' "
        f"when {tier} in ('default', 'auto') then 'standard' when {tier} is not null then {tier} "
        "when status = 'success' and cost is not null then 'standard' end",
        "replica_id": _any("model_id"),
        "input_tokens": _count("input"),
        "cached_input_tokens": _count("cached", "cached_before", "cached_added"),
        "cache_write_tokens": _count("created", "created_before", "written", "created_added"),
        "cache_write_1h_tokens": _count("one_hour"),
        # An embedding has no output: not none of it.
        "output_tokens": f"case when not contains(coalesce(call_type, ''), 'embedding') then {_count('output')} end",
        "reasoning_tokens": _count("reasoning"),
        "usage_quality": "case when without_tokens then 'missing' when hung_up then 'estimated' else 'reported' end",
        "status": f"case when hung_up then 'cancelled' else {_any('status')} end",
        "trace_id": _any("trace_id"),
        "seen_by": "'gateway'",
        "operation": _operation(),
        "agent": _any("agent"),
        "session_id": _any("session_id", _inside("requester", "session_id")),
        "gateway_cache_hit": "from_cache",
        "reported_cost": "try_cast(cost as double)",
        HASHED: "prompt_hash",
        "request_tags": _request_tags(),
        **{name: _any(name) for name in _TAGS},
        PROBLEM: _problem(),
        REPEATED: "of_batch and without_tokens",  # before its end: a total follows, or nothing was done
    }


def _count(*facts: str) -> str:
    """A number of tokens; null where LiteLLM writes 0 as it knows none. Of two places, one that says 0 may lack it."""
    some = ", ".join(f"nullif(nullif(trim({fact}), ''), '0')" for fact in facts)
    return f"case when not without_tokens then coalesce({some}, {_any(*facts)}) end"


def _known_user(value: str) -> str:
    """The user of whoever holds the master key is nobody."""
    return f"case when {value} <> 'default_user_id' then {value} end"


def _operation() -> str:
    """In the words of OpenTelemetry, where it has one for it."""
    waited = "starts_with(call_type, 'a') and call_type <> 'anthropic_messages'"  # acompletion
    plain = f"case when {waited} then substr(call_type, 2) else call_type end"
    known = {
        "completion": "chat",
        "anthropic_messages": "chat",
        "responses": "chat",
        "text_completion": "text_completion",
    }
    known |= {"embedding": "embeddings", "generate_content": "generate_content"}
    cases = " ".join(f"when {literal(theirs)} then {literal(ours)}" for theirs, ours in known.items())
    return f"case {plain} {cases} else {_any('call_type')} end"


def _hash(messages: str, hashed: bool) -> str:
    """The keyed hash of the messages as compact JSON; null where there are none, or LiteLLM blanked them."""
    if not hashed:
        return "null::varchar as prompt_hash"
    told = f"{messages} not in ('', '{{}}', '[]') and not contains({messages}, 'redacted-by-litellm')"
    return f"case when {told} then {keyed(messages)} end as prompt_hash"


def _request_tags() -> str:
    """`["team:search", "beta"]` as `{"team": "search", "beta": "true"}`, without what LiteLLM adds of the client."""
    listed = "list_filter(from_json(request_tags, '[\"VARCHAR\"]'), lambda t: not starts_with(lower(t), 'user-agent:'))"
    value = "case when contains(t, ':') then trim(substr(t, instr(t, ':') + 1)) else 'true' end"
    pairs = f"list_transform({listed}, lambda t: json_object(trim(split_part(t, ':', 1)), {value}))"
    merged = f"list_reduce(list_prepend('{{}}'::json, {pairs}), lambda a, b: json_merge_patch(a, b))::varchar"
    # In two steps: of a text that is no JSON its type cannot be asked.
    some = f"case when json_type(request_tags) = 'ARRAY' then nullif({merged}, '{{}}') end"
    return f"case when json_valid(request_tags) then {some} end"


def _default_tags() -> str:
    own = ", ".join(f"{literal(name)}, {_any(name)}" for name in _TAGS)
    return f"nullif(json_merge_patch('{{}}', coalesce({_request_tags()}, '{{}}'), json_object({own}))::varchar, '{{}}')"


def _metadata_of_caller(name: str) -> str:
    """A value of the metadata that came with the request, or that the key has for the spend log."""
    return f"coalesce({_inside('requester', name)}, {_inside('spend_metadata', name)})"


def _inside(text: str, name: str) -> str:
    """The value at a dotted name in a text that may be a JSON object."""
    path = literal("$." + ".".join(json.dumps(key) for key in name.split(".")))
    return f"case when json_valid({text}) then json_extract_string({text}, {path}) end"


def _problem() -> str:
    """Why a row is none; what a column of the lake cannot take is said when it is judged."""
    checks: Mapping[str, str] = {
        "wrong is not null": "wrong",
        **{
            f"{fact}_at is null and nullif({fact}, '') is not null": (
                f"{literal(theirs + ': ')} || chr(39) || left({fact}, 40) || chr(39) || "
                "' is no time (seconds since 1970, or ISO 8601)'"
            )
            for fact, theirs in (("began", "startTime"), ("first", "completionStartTime"), ("ended", "endTime"))
        },
        "nullif(cost, '') is not null and try_cast(cost as double) is null": (
            "'response_cost: ' || chr(39) || left(cost, 40) || chr(39) || ' is no number'"
        ),
    }
    return "case " + " ".join(f"when {condition} then {reason}" for condition, reason in checks.items()) + " end"
