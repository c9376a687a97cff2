"""What OpenAI says an organisation used, by day, model, project, user and key, from reports or saved files."""

from __future__ import annotations

from collectors import vendor_usage
from collectors.openai import VENDOR, bucket
from collectors.pages import Row, renamed
from collectors.providers import OPENAI
from collectors.reports import Feed, Form, Reports

_COLUMNS = {
    "model": "model",
    "project_id": "sub_account_id",
    "api_key_id": "api_key_id",
    "user_id": "user_id",
    "input_tokens": "input_tokens",  # with the cached ones
    "input_cached_tokens": "cached_input_tokens",
    "input_cache_write_tokens": "cache_write_tokens",
    "output_tokens": "output_tokens",
    "num_model_requests": "requests",
}
_TIERS = {"default": "standard"}
_BY_KEY = ("project_id", "user_id", "api_key_id", "model")
#: What each report can be grouped by.
_OPERATIONS = {
    "completions": (*_BY_KEY, "batch", "service_tier"),
    "embeddings": _BY_KEY,
    "moderations": _BY_KEY,
    "images": (*_BY_KEY, "size", "source"),
    "audio_speeches": _BY_KEY,
    "audio_transcriptions": _BY_KEY,
    "vector_stores": ("project_id",),
    "code_interpreter_sessions": ("project_id",),
}


def _usage(row: Row) -> Row | None:
    if (times := bucket(row)) is None:
        return None
    begin, end = times
    made = {
        "day": begin.date().isoformat(),
        "started_at": begin.isoformat(),
        "ended_at": end.isoformat(),
        "provider": OPENAI,
        **renamed(row, _COLUMNS),
    }
    kind = row.pop("object", "").split(".")  # organization.usage.completions.result
    if len(kind) > 2:
        made["operation"] = kind[2]
    tier = row.pop("service_tier", None)
    if row.pop("batch", "").lower() == "true":
        tier = "batch"
    if tier:
        made["service_tier"] = _TIERS.get(tier, tier)
    return {**made, **row}


def _form(counted: str) -> Form:
    return Form("OpenAI usage", frozenset({"start_time", counted}), _usage)


USAGE = _form("num_model_requests")
EXPORTED = Form("OpenAI usage export", frozenset({"start_time_iso", "num_model_requests"}), _usage)

COLLECTOR = Reports(
    vendor_usage.KIND,
    VENDOR,
    [
        Feed(f"openai {operation}", f"/v1/organization/usage/{operation}", [("group_by", key) for key in by], USAGE)
        for operation, by in _OPERATIONS.items()
    ],
    [EXPORTED, USAGE, _form("usage_bytes"), _form("num_sessions")],
)
