"""Vertex AI's log of requests and responses, exported from BigQuery, becomes requests; its columns are not verified."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.kind import Kind, Row
from collectors.logs import NEEDED, Log, Logs, at, dialect
from collectors.requests import checks, derived
from farthing.config import Column
from farthing.lake.schemas import COUNT


def _usage(name: str) -> Column:
    """A count of the answer; of a stream's answers, that of the last one which has it."""
    return at(f"full_response.usageMetadata.{name}", f"response_payload.usageMetadata.{name}")


_USERS = ("user_id", "user-id", "user", "userid")

LOG = Log(
    columns={
        "request_id": at("request_id"),
        "started_at": at("logging_time"),
        "model": at("model", "deployed_model_id"),
        "response_model": at("full_response.modelVersion", "response_payload.modelVersion"),
        "operation": at("api_method"),
        "region": at("endpoint"),
        "user_id": at(*(f"{labels}.{key}" for labels in ("full_request.labels", "labels") for key in _USERS)),
        "provider_request_id": at("full_response.responseId", "response_payload.responseId"),
        "input_tokens": _usage("promptTokenCount"),
        "cached_input_tokens": _usage("cachedContentTokenCount"),
        "output_tokens": _usage("candidatesTokenCount"),
        "reasoning_tokens": _usage("thoughtsTokenCount"),
        "service_tier": _usage("trafficType"),
        "tool_tokens": _usage("toolUsePromptTokenCount"),
    },
    constants={"provider": "gcp.vertex_ai", "seen_by": "server"},
    notes=(
        ("the log is whole only with samplingRate = 1, which it does not say", "look at the endpoint's loggingConfig"),
    ),
)


def _prepared(row: Row) -> Mapping[str, str]:
    made = {
        "model": "regexp_replace(model, '^.*/', '')",
        "region": "coalesce(nullif(regexp_extract(region, '/locations/([^/]+)', 1), ''), "
        "case when not contains(region, '/') then region end)",
        "service_tier": "case when service_tier is null then null "
        "when service_tier like '%PROVISIONED%' then 'provisioned' "
        "when service_tier like '%PRIORITY%' then 'priority' when service_tier like '%FLEX%' then 'flex' "
        "when service_tier like '%BATCH%' then 'batch' else 'standard' end",
    }
    if row.source.token_convention == "inclusive":
        # What tools put in is read too; candidates are without the thoughts. Cached content is in the prompt already.
        made["input_tokens"] = "input_tokens + coalesce(tool_tokens, 0)"
        made["output_tokens"] = (
            "case when output_tokens is not null or reasoning_tokens is not null "
            "then coalesce(output_tokens, 0) + coalesce(reasoning_tokens, 0) end"
        )
    return made


KIND = Kind(
    dialect({"tool_tokens": COUNT}, ["full_request.labels.*", "labels.*", "endpoint", "model_version"]),
    needed=lambda _: NEEDED,
    prepared=_prepared,
    derived=derived,
    checks=checks,
    spec="a log of requests and responses",
)

COLLECTOR = Logs(KIND, LOG)
