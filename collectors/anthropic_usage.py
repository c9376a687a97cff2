"""What Anthropic says an organisation used, by day, model, workspace and key, from its usage report or saved files."""

from __future__ import annotations

from datetime import datetime, timedelta

from collectors import vendor_usage
from collectors.anthropic import VENDOR
from collectors.pages import Row, iso_time, renamed, total
from collectors.providers import ANTHROPIC
from collectors.reports import Feed, Form, Reports

#: The same counts, as the report and as the export of the console call them; input is told in parts.
_UNCACHED = ("uncached_input_tokens", "usage_input_tokens_no_cache")
_READ = ("cache_read_input_tokens", "usage_input_tokens_cache_read")
_WRITTEN = ("cache_creation_ephemeral_5m_input_tokens", "usage_input_tokens_cache_write_5m")
_WRITTEN_1H = ("cache_creation_ephemeral_1h_input_tokens", "usage_input_tokens_cache_write_1h")
_OUTPUT = ("output_tokens", "usage_output_tokens")
_REPORTED = {"model": "model", "workspace_id": "sub_account_id", "api_key_id": "api_key_id"}
_EXPORTED = {"model_version": "model", "usage_type": "service_tier"}


def _usage(row: Row) -> Row:
    begin, end = iso_time(row, "starting_at"), iso_time(row, "ending_at")
    made = _counted(row, begin, end, 0)
    return {**made, **renamed(row, {**_REPORTED, "service_tier": "service_tier"}), **row}


def _exported_usage(row: Row) -> Row:
    begin = iso_time(row, "usage_date_utc")
    made = _counted(row, begin, begin + timedelta(days=1), 1)
    return {**made, **renamed(row, _EXPORTED), **row}


def _counted(row: Row, begin: datetime, end: datetime, form: int) -> Row:
    """Times and tokens; `form` says whose names the counts have. In the lake input contains the cache's part."""
    uncached, read, written, written_1h, output = (
        names[form] for names in (_UNCACHED, _READ, _WRITTEN, _WRITTEN_1H, _OUTPUT)
    )
    counts = {
        "input_tokens": total(row, (uncached, read, written, written_1h)),
        "cached_input_tokens": row.get(read),
        "cache_write_tokens": total(row, (written, written_1h)),
        "cache_write_1h_tokens": row.get(written_1h),
        "output_tokens": row.get(output),
    }
    if counts["input_tokens"] is not None:  # else the parts that are known go along
        for name in (uncached, read, written, written_1h):
            del row[name]
    row.pop(output, None)
    return {
        "day": begin.date().isoformat(),
        "started_at": begin.isoformat(),
        "ended_at": end.isoformat(),
        "provider": ANTHROPIC,
        "operation": "messages",
        **{name: count for name, count in counts.items() if count is not None},
    }


USAGE = Form("Anthropic usage report", frozenset({"starting_at", "uncached_input_tokens"}), _usage)
EXPORTED = Form(
    "Claude Console usage export", frozenset({"usage_date_utc", "usage_input_tokens_no_cache"}), _exported_usage
)
_GROUPS = ("api_key_id", "workspace_id", "model", "service_tier", "context_window")

COLLECTOR = Reports(
    vendor_usage.KIND,
    VENDOR,
    [
        Feed(
            "anthropic messages",
            "/v1/organizations/usage_report/messages",
            [("group_by[]", name) for name in _GROUPS],
            USAGE,
        )
    ],
    [EXPORTED, USAGE],
)
