"""Langfuse's export of observations becomes requests: one for each call of a model, none for what is around it.

`observations_v2` has the user in each row; `observations` of older exports finds it in the files of `traces`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.kind import ASIDE, Kind, Row
from collectors.logs import NEEDED, Lenders, Log, Logs, at, dialect, lent
from collectors.requests import checks, derived
from collectors.values import literal
from farthing.config import Source
from farthing.lake.schemas import COUNT, TEXT

CALLS = ("GENERATION", "EMBEDDING")

TRACES = Lenders(
    where=r"(^|/)traces([/._-]|$)",
    name="traces",
    types={"id": TEXT, "user_id": TEXT, "session_id": TEXT, "environment": TEXT},
    columns={
        "id": at("id"),
        "user_id": at("user_id", "userId"),
        "session_id": at("session_id", "sessionId"),
        "environment": at("environment"),
    },
)


def _usage(*keys: str) -> tuple[str, ...]:
    return tuple(f"{column}.{key}" for column in ("usage_details", "usageDetails") for key in keys)


LOG = Log(
    columns={
        "request_id": at("id"),
        "span_id": at("id"),
        "trace_id": at("trace_id", "traceId"),
        "parent_span_id": at("parent_observation_id", "parentObservationId"),
        "started_at": at("start_time", "startTime"),
        "first_token_at": at("completion_start_time", "completionStartTime"),
        "ended_at": at("end_time", "endTime"),
        "updated_at": at("updated_at", "updatedAt"),
        "model": at("provided_model_name", "providedModelName", "model"),
        "operation": at("type"),
        "status": at("level"),
        "user_id": at("user_id", "userId"),
        "session_id": at("session_id", "sessionId"),
        "environment": at("environment"),
        "reported_cost": at("total_cost", "totalCost", "cost_details.total", "costDetails.total"),
        "input_tokens": at(*_usage("input", "input_tokens", "prompt_tokens")),
        "cached_input_tokens": at(
            *_usage("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "cached_tokens")
        ),
        "cache_write_tokens": at(
            *_usage("input_cache_creation", "cache_creation_input_tokens", "input_cache_write_tokens")
        ),
        "cache_write_5m": at(*_usage("input_cache_creation_5m")),
        "cache_write_1h_tokens": at(*_usage("input_cache_creation_1h")),
        "output_tokens": at(*_usage("output", "output_tokens", "completion_tokens")),
        "reasoning_tokens": at(*_usage("output_reasoning_tokens", "output_reasoning", "reasoning_tokens")),
        "usage_total": at(*_usage("total", "total_tokens")),
    },
    constants={"seen_by": "client"},
    token_convention=None,  # of each row, by its total
    lenders=TRACES,
    groups={
        "core": ("id",),
        "usage": ("usage_details", "usageDetails"),
        "model": ("provided_model_name", "providedModelName", "model"),
        "trace_context": ("user_id", "userId"),
    },
)


def _prepared(row: Row) -> Mapping[str, str]:
    written = "coalesce(cache_write_tokens, cache_write_5m + coalesce(cache_write_1h_tokens, 0), cache_write_1h_tokens)"
    made = {
        "cache_write_tokens": written,
        "status": "case upper(coalesce(status, '')) when 'ERROR' then 'failure' else 'success' end",
        # An embedding has no output, which is not an output of nothing.
        "output_tokens": "case when operation <> 'EMBEDDING' or output_tokens > 0 then output_tokens end",
    }
    if row.source.token_convention is None:
        made |= _inclusive(written)
    return made


def _inclusive(written: str) -> Mapping[str, str]:
    """Tokens with their parts inside, whichever way the sender counted: the total of the row tells.

    Parts are outside by Langfuse's design, and inside where a sender passes on what OpenAI says. A row whose total does
    not tell, or that has none, is counted as designed.
    """
    parts = f"(coalesce(cached_input_tokens, 0) + coalesce({written}, 0))"
    output, reasoning = "coalesce(output_tokens, 0)", "coalesce(reasoning_tokens, 0)"
    inside = (
        f"case when {parts} > input_tokens then false "
        f"when usage_total in (input_tokens + {parts} + {output} + {reasoning}, input_tokens + {parts} + {output}) "
        f"then false when usage_total in (input_tokens + {output}, input_tokens + {output} + {reasoning}) then true "
        f"else coalesce(input_tokens + {parts} > usage_total, false) end"
    )
    whole = f"(coalesce(input_tokens, 0) + case when {inside} then 0 else {parts} end)"
    return {
        "input_tokens": f"input_tokens + case when {inside} then 0 else {parts} end",
        "output_tokens": f"case when operation = 'EMBEDDING' and {output} = 0 then null "
        f"when {reasoning} <= {output} and (usage_total = {whole} + {output} "
        f"or {whole} + {output} + {reasoning} > usage_total) then output_tokens else output_tokens + {reasoning} end",
    }


def _finish(_source: Source) -> Sequence[str]:
    """Who asked, from the trace; and of calls inside of a call, those inside only: the outer one has their sums."""
    aside = literal(ASIDE)
    return (
        """
        update staged_rows set
            user_id = coalesce(staged_rows.user_id, trace.user_id),
            session_id = coalesce(staged_rows.session_id, trace.session_id),
            environment = coalesce(staged_rows.environment, trace.environment)
        from (select id, max(user_id) as user_id, max(session_id) as session_id, max(environment) as environment
              from beside where id is not null group by id) as trace
        where staged_rows.trace_id = trace.id and staged_rows._reason is null
        """,
        f"""
        update staged_rows set _reason = {aside} where _reason is null and span_id in (
            with recursive around as (
                select trace_id, parent_span_id as id from staged_rows
                where _reason is null and usage_quality <> 'missing' and parent_span_id is not null
                union
                select rows.trace_id, rows.parent_span_id from around
                inner join staged_rows as rows on rows.span_id = around.id and rows.trace_id = around.trace_id
                where rows.parent_span_id is not null
            )
            select id from around where around.trace_id = staged_rows.trace_id
        )
        """,
    )


KIND = Kind(
    dialect(
        {"cache_write_5m": COUNT, "usage_total": COUNT},
        ["tags", "name", "level", "version", "release", "usage_pricing_tier_id"],
    ),
    needed=lambda _: NEEDED,
    prepared=_prepared,
    derived=derived,
    aside=lambda _: f"operation not in ({', '.join(map(literal, CALLS))})",
    checks=checks,
    finish=_finish,
    beside=lambda file, folder: lent(TRACES, file, folder),
    wins=("updated_at",),
    spec="an export of observations",
)

COLLECTOR = Logs(KIND, LOG)
