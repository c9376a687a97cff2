"""Azure API Management's log of calls to models becomes requests, with the caller from its gateway log.

Both are tables of a Log Analytics workspace or folders of blobs; rows of the gateway log may be in the same file or in
files beside it. The names inside of blobs are not verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.kind import ASIDE, Kind, Row
from collectors.logs import NEEDED, Lenders, Log, Logs, at, dialect, lent
from collectors.requests import checks, derived
from collectors.values import literal
from farthing.config import Column, Source
from farthing.lake.schemas import COUNT, REAL, TEXT, TIME

_ID = ("CorrelationId", "correlationId", "properties.correlationId")


def _of(*names: str) -> Column:
    """A column of the table, or the field of a blob."""
    return at(*(path for name in names for path in (name, f"properties.{name[:1].lower()}{name[1:]}")))


_TIME = at("TimeGenerated", "TimeGenerated [UTC]", "time")

GATEWAY = Lenders(
    where=r"gatewaylogs",
    name="gateway logs",
    types={"id": TEXT, "began_at": TIME, "total_ms": REAL, "user_id": TEXT, "subscription": TEXT, "status": TEXT},
    columns={
        "id": at(*_ID),
        "began_at": _TIME,
        "total_ms": at("TotalTime", "durationMs", "properties.totalTime"),
        "user_id": _of("UserId"),
        "subscription": _of("ApimSubscriptionId"),
        "status": _of("ResponseCode"),
    },
)

LOG = Log(
    columns={
        "request_id": at(*_ID),
        "started_at": _TIME,
        "model": _of("ModelName", "DeploymentName"),
        "region": at("Region", "location", "properties.region"),
        "status": _of("ResponseCode"),
        "user_id": _of("UserId"),
        "input_tokens": _of("PromptTokens"),
        "output_tokens": _of("CompletionTokens"),
        "total_tokens": _of("TotalTokens"),
        "table_name": at("Type", "category"),
        "total_ms": at("TotalTime", "durationMs", "properties.totalTime"),
        "subscription": _of("ApimSubscriptionId"),
    },
    constants={"provider": "azure.ai.openai", "seen_by": "gateway"},
    lenders=GATEWAY,
)


def _prepared(_row: Row) -> Mapping[str, str]:
    # A row of a stream's other pieces has no count, or zeros: that is no usage, not a usage of nothing.
    return {
        name: f"case when coalesce(total_tokens, input_tokens + output_tokens, 1) > 0 then {name} end"
        for name in ("input_tokens", "output_tokens")
    }


def _finish(_source: Source) -> Sequence[str]:
    """What the gateway log knows of the same call: who, when, how long, and how it ended."""
    spent = "to_microseconds(cast(round(gateway.total_ms * 1000) as bigint))"
    lent_columns = ", ".join(f"max({name}) as {name}" for name in ("total_ms", "user_id", "subscription", "status"))
    return (
        f"""
        update staged_rows set
            user_id = coalesce(staged_rows.user_id, gateway.user_id),
            status = coalesce(staged_rows.status, gateway.status),
            started_at = coalesce(gateway.began_at, staged_rows.started_at),
            day = coalesce(gateway.began_at, staged_rows.started_at)::date,
            ended_at = coalesce(gateway.began_at + {spent}, staged_rows.ended_at),
            tags = case when gateway.subscription is null then staged_rows.tags else json_merge_patch(
                coalesce(staged_rows.tags, '{{}}'), json_object('ApimSubscriptionId', gateway.subscription))::varchar
            end
        from (
            select id, min(began_at) as began_at, {lent_columns} from (
                select id, timezone('UTC', began_at) as began_at, total_ms, user_id, subscription, status from beside
                union all
                select request_id, started_at, total_ms, user_id, subscription, status from staged_rows
                where _reason = {literal(ASIDE)}
            ) where id is not null group by id
        ) as gateway
        where staged_rows.request_id = gateway.id and staged_rows._reason is null
        """,
    )


KIND = Kind(
    dialect(
        {"total_tokens": COUNT, "table_name": TEXT, "total_ms": REAL, "subscription": TEXT},
        ["DeploymentName", "IsStreamCompletion", "properties.deploymentName", "properties.isStreamCompletion"],
    ),
    needed=lambda _: NEEDED,
    prepared=_prepared,
    derived=derived,
    aside=lambda _: "not regexp_matches(lower(table_name), 'llm')",
    checks=checks,
    finish=_finish,
    beside=lambda file, folder: lent(GATEWAY, file, folder),
    wins=("input_tokens", "output_tokens"),
    spec="a log of calls to models",
)

COLLECTOR = Logs(KIND, LOG)
