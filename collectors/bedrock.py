"""Amazon Bedrock's model invocation log, as S3 holds it, becomes requests.

Amazon counts cached tokens outside of `inputTokenCount`. Which end of a call `timestamp` stamps is not documented; it
is taken for the start.
"""

from __future__ import annotations

from collections.abc import Mapping

from collectors.kind import Kind, Row
from collectors.logs import NEEDED, Log, Logs, at, dialect
from collectors.requests import checks, derived
from farthing.lake.schemas import REAL, TEXT

_BODY = "output.outputBodyJson"
_METRICS = f"{_BODY}.amazon-bedrock-invocationMetrics"  # in the last chunk of a stream
_USER_KEYS = ("user_id", "userId", "user")

LOG = Log(
    columns={
        "request_id": at("requestId"),
        "provider_request_id": at("requestId"),
        "started_at": at("timestamp"),
        "model": at("modelId"),
        "region": at("region"),
        "operation": at("operation"),
        "status": at("errorCode"),
        "user_id": at(*(f"requestMetadata.{key}" for key in _USER_KEYS)),
        "input_tokens": at("input.inputTokenCount", f"{_METRICS}.inputTokenCount"),
        "cached_input_tokens": at(
            "input.cacheReadInputTokenCount",
            f"{_BODY}.usage.cacheReadInputTokens",
            f"{_BODY}.usage.cache_read_input_tokens",
        ),
        "cache_write_tokens": at(
            "input.cacheWriteInputTokenCount",
            f"{_BODY}.usage.cacheWriteInputTokens",
            f"{_BODY}.usage.cache_creation_input_tokens",
        ),
        "cache_write_1h_tokens": at(f"{_BODY}.usage.cache_creation.ephemeral_1h_input_tokens"),
        "output_tokens": at("output.outputTokenCount", f"{_METRICS}.outputTokenCount"),
        "service_tier": at("serviceTier.type", f"{_BODY}.serviceTier.type"),
        "schema_type": at("schemaType"),
        "identity_arn": at("identity.arn"),
        "cache_details": at(f"{_BODY}.usage.cacheDetails"),
        "latency_ms": at(f"{_BODY}.metrics.latencyMs", f"{_METRICS}.invocationLatency"),
    },
    constants={"provider": "aws.bedrock", "seen_by": "server"},
    token_convention="exclusive",
)

#: Names of sessions that machines and libraries choose: nobody's.
_NOBODY = r"i-[0-9a-f]{8,17}|botocore-session-\d+|aws-sdk-[\w-]+|\d+"


def _prepared(_row: Row) -> Mapping[str, str]:
    session = "regexp_extract(identity_arn, ':(?:assumed-role|user|federated-user)/(?:.*/)?([^/]+)$', 1)"
    of_1h = "[try_cast(one ->> 'inputTokens' as bigint) for one in json_extract(cache_details, '$[*]') "
    of_1h += "if one ->> 'ttl' = '1h']"
    return {
        # An ARN says the region too; the last part of it is the model, or the name of an inference profile.
        "model": "regexp_replace(model, '^.*/', '')",
        "region": "coalesce(region, case when model like 'arn:%' then nullif(split_part(model, ':', 4), '') end)",
        "ended_at": "coalesce(ended_at, started_at + to_microseconds(cast(round(latency_ms * 1000) as bigint)))",
        "user_id": f"coalesce(user_id, case when not regexp_full_match({session}, '{_NOBODY}') "
        f"then nullif({session}, '') end)",
        "cache_write_1h_tokens": "coalesce(cache_write_1h_tokens, case when json_valid(cache_details) "
        f"then coalesce(list_sum({of_1h})::bigint, 0) end)",
        "service_tier": "case when model like '%:provisioned-model/%' then 'provisioned' else case lower(service_tier) "
        "when 'default' then 'standard' when 'reserved' then 'provisioned' else lower(service_tier) end end",
        "status": "coalesce(status, 'success')",
    }


KIND = Kind(
    dialect(
        {"schema_type": TEXT, "identity_arn": TEXT, "cache_details": TEXT, "latency_ms": REAL},
        ["modelId", "accountId", "inferenceRegion", "requestMetadata.*"],
    ),
    needed=lambda _: NEEDED,
    prepared=_prepared,
    derived=derived,
    aside=lambda _: "schema_type <> 'ModelInvocationLog'",
    checks=checks,
    spec="a model invocation log",
)

COLLECTOR = Logs(KIND, LOG)
