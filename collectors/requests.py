"""Request logs of any shape, through a column map, become requests with inclusive token counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from collectors.checks import before, negative, one_of
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from collectors.values import literal, quoted
from farthing import clock
from farthing.errors import ConfigError
from farthing.lake.schemas import REQUESTS

USAGE_QUALITIES = ("reported", "estimated", "missing")
_TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
_CLOCK_SKEW = timedelta(minutes=5)


def derived(row: Row) -> Mapping[str, str]:
    """What the lake has of a request beside what its log says, with tokens in the lake's convention."""
    made = {
        "day": "started_at::date",
        "usage_quality": "coalesce(usage_quality, case when input_tokens is not null or output_tokens is not null "
        "or work_units is not null then 'reported' else 'missing' end)",
    }
    if "request_id" not in row.mapped:
        # Equal lines of one file are two requests; the same file twice is not.
        made["request_id"] = f"md5({row.map.raw_sql} || chr(10) || {literal(row.x_load + ':')} || _line)"
    if row.source.token_convention == "exclusive":
        made["input_tokens"] = "input_tokens + coalesce(cached_input_tokens, 0) + coalesce(cache_write_tokens, 0)"
        made["output_tokens"] = "output_tokens + coalesce(reasoning_tokens, 0)"
    return made


def checks(_row: Row) -> Sequence[Check]:
    """What no request can be."""
    hint = "(nearly always the wrong token_convention)"
    return [
        *negative([*_TOKENS, "work_units"]),
        _more(
            "coalesce(cached_input_tokens, 0) + coalesce(cache_write_tokens, 0)",
            "input_tokens",
            "cached_input_tokens and cache_write_tokens",
            hint,
        ),
        _more("cache_write_1h_tokens", "cache_write_tokens", "cache_write_1h_tokens", hint),
        _more("reasoning_tokens", "output_tokens", "reasoning_tokens", hint),
        one_of("usage_quality", USAGE_QUALITIES, shown="left(usage_quality, 40)"),
        before("ended_at", "started_at"),
        before("first_token_at", "started_at"),
        before("ended_at", "first_token_at"),
        in_the_future(),
    ]


def in_the_future() -> Check:
    """Nothing has begun that is not yet; clocks may differ by five minutes."""
    latest = literal((clock.now() + _CLOCK_SKEW).replace(tzinfo=None).isoformat(" "))
    return f"started_at > timestamp {latest}", "'started_at ' || started_at || ' is in the future'"


def _more(part: str, whole: str, words: str, hint: str) -> Check:
    reason = f"{literal(words + ' are ')} || ({part}) || {literal(f' of {whole} ')} || {quoted(whole)}"
    return f"{part} > {whole}", f"{reason} || {literal(' ' + hint)}"


def _demand_convention(name: str, row: Row) -> None:
    """Whoever gives tokens must say what input contains; there is no safe default."""
    if row.source.token_convention is None and any(row.map.gives(column) for column in _TOKENS):
        raise ConfigError(
            "does input contain cached tokens, and output reasoning ones? There is no default.",
            key=f"sources.{name}.token_convention",
            fix='token_convention = "inclusive" (OpenAI, LiteLLM, OpenTelemetry) or "exclusive" (Anthropic, Bedrock).',
        )


KIND = Kind(
    Dialect(REQUESTS, private=True),
    needed=lambda _: ("started_at", "model"),
    derived=derived,
    checks=checks,
    demand=_demand_convention,
)

COLLECTOR = Files(KIND)
