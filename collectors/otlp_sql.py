"""The SQL that turns lines of OTLP JSON into rows of spans and requests, with nothing of a line but what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collectors.otlp_names import ADDRESSES, CALLS, OPERATIONS, RESOURCE, SPAN, TIERS
from collectors.raw import LINE, PROBLEM, RAW, ROWS_APART
from collectors.values import literal, quoted

_VALUE = dict.fromkeys(("stringValue", "intValue", "doubleValue", "boolValue"), "VARCHAR")
_ATTRIBUTES = [{"key": "VARCHAR", "value": _VALUE}]
_SPAN = {
    **dict.fromkeys(("traceId", "spanId", "parentSpanId", "name", "kind"), "VARCHAR"),
    **dict.fromkeys(("startTimeUnixNano", "endTimeUnixNano"), "VARCHAR"),
    "attributes": _ATTRIBUTES,
    "events": [{"name": "VARCHAR", "timeUnixNano": "VARCHAR"}],  # not their attributes: prompts stand there
    "status": {"code": "VARCHAR"},
}
_SCOPE = {"scope": {"name": "VARCHAR"}, "spans": [_SPAN]}
_SHAPE = json.dumps({"resourceSpans": [{"resource": {"attributes": _ATTRIBUTES}, "scopeSpans": [_SCOPE]}]})
_SPAN_KINDS = ("internal", "server", "client", "producer", "consumer")
_TOKENS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
_SERVER = "coalesce(server_address, regexp_extract(server_url, '^[a-z]+://([^/:]+)', 1))"
_TAGS = ("queue_seconds", "server_address", "error_type")
_LATEST_NANOSECONDS = 7_258_118_400_000_000_000  # 2200-01-01
_LONGEST_SECONDS = 1_000_000

_OF_BOTH = (
    *("day", "request_id", "trace_id", "span_id", "parent_span_id", "started_at", "ended_at", "operation", "status"),
    *("user_id", "agent", "tool", "session_id", "environment", "provider_request_id", "service_instance"),
)
#: Columns of each table, by the columns of `decoded`; the rest of a row is of no line, or of no request.
_COLUMNS = {
    "spans": (*_OF_BOTH, "name", "span_kind", "service"),
    "requests": (
        *(*_OF_BOTH, "first_token_at", "model", "response_model", "provider", "service_tier", "seen_by", "own_tags"),
        *_TOKENS,
    ),
}
_PROBLEMS = {"spans": "span_problem", "requests": "coalesce(span_problem, token_problem)"}
_WHERE = {"spans": "true", "requests": "qualifies"}

#: Each span of `lines`, and each line that has none to give. One thread reads a batch, from its begin to its end.
FOUND = """
    create or replace temp table found as
    with resources as (
        select line, unnest(resources) as one from lines where problem is null
    ),
    scopes as (
        select line, one.resource.attributes as resource,
            unnest(case when one.resource is null and one.scopeSpans is null then [null] else one.scopeSpans end) as one
        from resources
    ),
    spans as (
        select line, resource, one.scope.name as scope,
            unnest(case when one.scope is null and one.spans is null then [null] else one.spans end) as span
        from scopes
    ),
    numbered as (
        select line, row_number() over () - 1 as place, null::bigint as bytes, resource, scope, span,
            case when coalesce(span.traceId, span.spanId, span.name, span.startTimeUnixNano) is null
                then 'a span is no JSON object' end as problem
        from spans
    )
    from numbered
    union all by name
    select line, 0 as place, bytes, coalesce(problem, 'no span of the line can be read') as problem from lines
    where problem is not null or speaks and line not in (select line from numbered)
"""


@dataclass(frozen=True)
class Statements:
    """What is executed for each batch of a source's lines."""

    attributes: Sequence[str]
    _values: str
    _typed: str
    _shaped: str

    def lines(self, readable: str) -> str:
        """Parse the table `batch`; `readable` is false of a line that is no JSON."""
        return f"""
            create or replace temp table lines as
            select line, strlen(text) as bytes, contains(text, '"spanId"') as speaks, parsed.resourceSpans as resources,
                case when problem is not null then problem
                    when not readable then 'the line is not JSON'
                    when resources is null then 'the line has no resourceSpans: it is no trace' end as problem
            from (
                select *, case when readable then json_transform(text, {literal(_SHAPE)}) end as parsed
                from (
                    select *, {readable} as readable from batch
                    where strlen(text) > 100 or trim(text, E' \\t\\r\\n') <> ''  -- not a blank line
                )
            )
        """

    def decoded(self, seen: int) -> str:
        """A query over `found`, of a file of which `seen` rows were found before."""
        numbered = (
            f"case when span is null and bytes is not null then line else line + {ROWS_APART} * (place + {seen}) end"
        )
        values = self._values.replace("$line", numbered)
        return f"{self._shaped} from ({self._typed} from ({values}))"

    def rows(self, table: str) -> str:
        """The rows of `decoded` that are for `table`."""
        names = ", ".join(quoted(name) for name in (*_COLUMNS[table], *self.attributes))
        return f"""
            select {names}, line as {quoted(LINE)}, {_PROBLEMS[table]} as {quoted(PROBLEM)},
                case when bytes is not null then '(' || bytes || ' bytes; what a trace says is not kept)' end
                    as {quoted(RAW)}
            from decoded where {_WHERE[table]}
        """


def statements(
    attributes: Sequence[str],
    providers: Mapping[str, str],
    provider: str | None,
    *,
    server: bool,
) -> Statements:
    """The statements for spans of which also `attributes` are read, as columns of their own.

    `providers` says whose machine an address is (`*` is anything), `provider` who serves what names nobody, and
    `server` that whoever wrote the spans is the server.
    """
    return Statements(attributes, _values(attributes), _typed(attributes, providers), _shaped(provider, server=server))


def _values(attributes: Sequence[str]) -> str:
    """Each span with its allowed attributes as text."""
    picked = [f"{_first('s', found)} as {ours}" for ours, found in SPAN.items()]
    picked += [f"{_first('r', found)} as {ours}" for ours, found in RESOURCE.items()]
    picked += [f"{_first('sr', [name])} as {quoted(name)}" for name in attributes]
    value = "coalesce(a.value.stringValue, a.value.intValue, a.value.doubleValue, a.value.boolValue)"
    lists = ", ".join(
        f"list_transform({of}, lambda a: {part}) as {side}_{name}"
        for side, of in (("s", "span.attributes"), ("r", "resource"))
        for name, part in (("keys", "a.key"), ("values", value))
    )
    return f"""
        select $line as line, bytes, problem, lower(scope) as scope,
            {_hexadecimal("span.traceId", 16)} as trace_id,
            {_hexadecimal("span.spanId", 8)} as span_id,
            {_hexadecimal("span.parentSpanId", 8)} as parent_span_id,
            span.startTimeUnixNano as started_text, {_nanoseconds("span.startTimeUnixNano")} as started_ns,
            span.endTimeUnixNano as ended_text, {_nanoseconds("span.endTimeUnixNano")} as ended_ns,
            span.name as name, lower(span.kind) as kind, lower(span.status.code) as code,
            list_min(list_transform(list_filter(span.events, lambda e: e.name ilike '%chunk%'),
                lambda e: {_nanoseconds("e.timeUnixNano")})) as chunk_ns,
            {", ".join(picked)}
        from (select *, {lists} from found)
    """


def _typed(attributes: Sequence[str], providers: Mapping[str, str]) -> str:
    """The same with numbers and times, and one word for each thing."""
    plain = [
        *("line", "bytes", "problem", "scope", "trace_id", "span_id", "parent_span_id", "started_text", "started_ns"),
        *("ended_text", "name", "chunk_ns", "model", "response_model", "provider_request_id", "user_id", "session_id"),
        *("agent", "tool", "error_type", f"{_SERVER} as server_address", *RESOURCE, *map(quoted, attributes)),
    ]
    counts = [f"{_whole(name)} as {name}, {name} as {name}_text" for name in _TOKENS]
    seconds = [f"try_cast({name} as double) as {name}" for name in ("first_token_seconds", "queue_seconds")]
    kinds = {f"{mark}": word for number, word in enumerate(_SPAN_KINDS, 1) for mark in (number, f"span_kind_{word}")}
    steps = ", ".join(literal(word) for word in OPERATIONS)
    operation = (
        f"lower(coalesce(operation, nullif(request_type, 'unknown'), case when step in ({steps}) then step end))"
    )
    owner = " ".join(
        f"when lower({_SERVER}) like {literal(_pattern(address))} escape '!' then {literal(name)}"
        for address, name in {**providers, **ADDRESSES}.items()
    )
    return f"""
        select {", ".join([*plain, *counts, *seconds])},
            {_time("started_ns")} as started_at, {_time("ended_ns")} as ended_at,
            {_renamed("kind", kinds, "null")} as span_kind,
            {_renamed(operation, OPERATIONS, operation)} as operation,
            {_renamed("lower(service_tier)", TIERS, "lower(service_tier)")} as service_tier,
            case when code in ('2', 'status_code_error') or error_type is not null then 'error'
                when code in ('1', 'status_code_ok') or input_tokens is not null or output_tokens is not null then 'ok'
                end as status,
            coalesce(case {owner} end, lower(said_provider)) as said_provider
    """


def _shaped(provider: str | None, *, server: bool) -> str:
    """The same as rows of the lake: whether it is a request, who saw it, and what is wrong with it."""
    engine = "true"
    if not server:
        engine = "(name = 'llm_request' or queue_seconds is not null or scope like 'vllm%' or scope like 'sglang%')"
    calls = ", ".join(literal(call) for call in CALLS)
    used = "(input_tokens_text is not null or output_tokens_text is not null)"
    otherwise = literal(provider) if provider else "null"
    first = "started_ns + cast(round(first_token_seconds * 1e9) as bigint)"
    tags = f"json_object({', '.join(f'{literal(name)}, {name}' for name in _TAGS)})"
    wrong = " ".join(
        f"when {name} is null and {name}_text is not null then {_shown(name, name + '_text')} || ' is no whole number'"
        for name in _TOKENS
    )
    return f"""
        select *, started_at::date as day,
            coalesce(operation in ({calls}) or operation is null and {used}, false) as qualifies,
            case when qualifies then trace_id || '/' || span_id end as request_id,
            {engine} as engine,
            coalesce(said_provider, case when engine then {otherwise} end) as provider,
            case when engine then 'server' when scope like 'litellm%' or span_kind = 'server' then 'gateway'
                else 'client' end as seen_by,
            coalesce(case when first_token_seconds between 0 and {_LONGEST_SECONDS} then {_time(first)} end,
                {_time("chunk_ns")}) as first_token_at,
            case when {" or ".join(f"{name} is not null" for name in _TAGS)}
                then json_merge_patch('{{}}', {tags})::varchar end as own_tags,
            case when problem is not null then problem
                when trace_id is null then 'traceId is no id of 16 bytes, hexadecimal or base64'
                when span_id is null then 'spanId is no id of 8 bytes, hexadecimal or base64'
                when started_at is null and started_text is null then 'startTimeUnixNano is missing'
                when started_at is null then {_shown("startTimeUnixNano", "started_text")} || ' is no time'
                when ended_at is null and ended_text <> '0'
                then {_shown("endTimeUnixNano", "ended_text")} || ' is no time'
                end as span_problem,
            case {wrong} end as token_problem
    """


# -- values -----------------------------------------------------------------------------------------------------


def _first(sides: str, names: Sequence[str]) -> str:
    """The first of the attributes `names` that is there: of the span (`s`), of its resource (`r`)."""
    found = [f"{side}_values[list_position({side}_keys, {literal(name)})]" for name in names for side in sides]
    return f"coalesce({', '.join(found)})" if len(found) > 1 else found[0]


def _hexadecimal(value: str, size: int) -> str:
    """An id of `size` bytes as hexadecimal text, of OTLP's own JSON or of protobuf's (base64); all zeros are none."""
    left = -size % 3
    base64 = f"[A-Za-z0-9+/]{{{(size * 8 + 5) // 6}}}{'=' * left}"
    plain = f"[0-9a-fA-F]{{{2 * size}}}"
    return (
        f"nullif(case when regexp_full_match({value}, '{plain}') then lower({value}) "
        f"when regexp_full_match({value}, '{base64}') then lower(hex(from_base64({value}))) end, '{'0' * 2 * size}')"
    )


def _whole(value: str) -> str:
    """A count, also when it is written 63.0; a plain cast would round 63.7. Short, for every batch is planned anew."""
    count = f"try_cast({value} as bigint)"
    return f"case when {count} = try_cast({value} as double) then {count} end"


def _nanoseconds(value: str) -> str:
    return f"nullif(try_cast({value} as bigint), 0)"


def _time(nanoseconds: str) -> str:
    return (
        f"case when {nanoseconds} between 1 and {_LATEST_NANOSECONDS} then make_timestamp(({nanoseconds}) // 1000) end"
    )


def _renamed(value: str, words: Mapping[str, str], otherwise: str) -> str:
    cases = " ".join(f"when {literal(said)} then {literal(word)}" for said, word in words.items())
    return f"case {value} {cases} else {otherwise} end"


def _pattern(address: str) -> str:
    """An address with `*` as a pattern of LIKE."""
    escaped = address.lower()
    for special in "!%_":
        escaped = escaped.replace(special, f"!{special}")
    return escaped.replace("*", "%")


def _shown(name: str, value: str) -> str:
    return f"{literal(name + ': ')} || chr(39) || left({value}, 100) || chr(39)"
