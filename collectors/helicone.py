"""Helicone's requests, queried or exported, become requests of ours; not verified against a real export."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.kind import Kind, Row
from collectors.logs import NEEDED, Log, Logs, at, dialect
from collectors.requests import checks, derived
from farthing.lake.schemas import REAL, TEXT, TIME

LOG = Log(
    columns={
        "request_id": at("request_id"),
        "started_at": at("request_created_at"),
        "first_token_at": at("request_created_at", plus="time_to_first_token"),
        "model": at("model_override", "request_model", "response_model"),
        "response_model": at("response_model"),
        "provider": at("provider"),
        "user_id": at("request_user_id"),
        "status": at("response_status"),
        "input_tokens": at("prompt_tokens"),
        "cached_input_tokens": at("prompt_cache_read_tokens"),
        "cache_write_tokens": at("prompt_cache_write_tokens"),
        "output_tokens": at("completion_tokens"),
        "reported_cost": at("cost"),
        "delay_ms": at("delay_ms"),
        "response_at": at("response_created_at"),
        "cache_reference": at("cache_reference_id"),
    },
    constants={"seen_by": "gateway"},
    token_convention=None,  # as the provider counts
)


def _prepared(row: Row) -> Mapping[str, str]:
    delayed = "started_at + to_microseconds(cast(round(delay_ms * 1000) as bigint))"
    made = {
        "ended_at": f"coalesce(ended_at, {delayed}, response_at)",
        "provider": "lower(provider)",
        "status": "regexp_replace(status, '\\.0+$', '')",
        "gateway_cache_hit": "coalesce(gateway_cache_hit, "
        "regexp_matches(cache_reference, '[1-9a-f]') and cache_reference <> 'null')",
    }
    if row.source.token_convention is None:
        outside = "case when lower(provider) = 'anthropic' "
        outside += "then coalesce(cached_input_tokens, 0) + coalesce(cache_write_tokens, 0) else 0 end"
        made["input_tokens"] = f"input_tokens + {outside}"
    return made


KIND = Kind(
    dialect({"delay_ms": REAL, "response_at": TIME, "cache_reference": TEXT}, ["request_properties.*"]),
    needed=lambda _: NEEDED,
    prepared=_prepared,
    derived=derived,
    checks=checks,
    spec="an export of Helicone's requests",
)

COLLECTOR = Logs(KIND, LOG)
