"""How many tokens vLLM itself counted, by server, model and hour: a control for how much the request log has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from collectors import vendor_usage
from collectors.promql import Labels, Server, own
from collectors.raw import LINE, PROBLEM, RAW
from collectors.windows import Asked, Window
from farthing.config import Source
from farthing.errors import ConfigError

#: Counters of vLLM -> our column. Some pipelines write the colon as an underscore.
_COUNTERS = {
    "vllm:prompt_tokens_total": "input_tokens",
    "vllm:generation_tokens_total": "output_tokens",
    "vllm:request_success_total": "requests",
}
PROVIDER = "vllm"
#: A counter's growth over a longer silence is not known to belong to the hour in which it was seen again.
_BEFORE = timedelta(hours=1)
_ABSURD = 1e15
_COLUMNS = {
    LINE: pl.Int64(),
    RAW: pl.String(),
    PROBLEM: pl.String(),
    "day": pl.Date(),
    "started_at": pl.Datetime("us", "UTC"),
    "ended_at": pl.Datetime("us", "UTC"),
    "provider": pl.String(),
    "operation": pl.String(),
    "model": pl.String(),
    "sub_account_id": pl.String(),
    **dict.fromkeys(_COUNTERS.values(), pl.Int64()),
}
_Key = tuple[datetime, str, str]  # hour, server, model


class Totals(Asked):
    """The collector of vLLM's counters: a row per hour, server and model."""

    settings = Asked.settings - {"exporter"}
    title = "vllm"

    def metrics(self, name: str, source: Source) -> Sequence[str]:
        """The counters of vLLM, as they are and as other pipelines write them."""
        if source.columns:
            raise ConfigError(
                f"kind '{source.kind}' takes no columns: what vLLM counts has fixed names.",
                key=f"sources.{name}.columns",
                fix="leave it out; kind prometheus reads the names of other exporters.",
            )
        return [spelling for counter in _COUNTERS for spelling in _spellings(counter)]

    def rows(self, name: str, source: Source, server: Server, window: Window) -> pl.DataFrame:  # noqa: ARG002
        """What each counter grew by in each hour, and samples that cannot be.

        Raises:
            SourceError: the server refuses or does not answer.
        """
        grown: dict[_Key, dict[str, float]] = {}
        bad: list[dict[str, Any]] = []
        begin = window.begin - _BEFORE
        for counter, column in _COUNTERS.items():
            for spelling in _spellings(counter):
                for labels, samples in server.raw(server.selector(spelling), begin, window.end):
                    bad += _grow(grown, column, labels, samples, window)
        made = [
            {
                "day": hour.date(),
                "started_at": hour,
                "ended_at": min(hour + timedelta(hours=1), window.end),
                "provider": PROVIDER,
                "operation": "counters",
                "model": model or None,
                "sub_account_id": replica or None,
                **{column: round(value) for column, value in counts.items()},
            }
            for (hour, replica, model), counts in sorted(grown.items())
        ]
        rows = [{LINE: line, **row} for line, row in enumerate([*made, *bad], 1)]
        return pl.DataFrame(rows, schema=_COLUMNS)


def _grow(
    grown: dict[_Key, dict[str, float]],
    column: str,
    labels: Labels,
    samples: Iterable[tuple[int, float]],
    window: Window,
) -> list[dict[str, Any]]:
    """Add what a counter grew by to the hours of the window; give the samples that cannot be.

    A counter that falls began anew, so all that it shows was counted since. The first sample says nothing: nobody knows
    since when it counts.
    """
    model = labels.get("model_name", "")
    replica = own(labels, "pod") or labels.get("instance", "")
    before: float | None = None
    bad: list[dict[str, Any]] = []
    for t, value in samples:
        moment = datetime.fromtimestamp(t // 1000, UTC)
        inside = t > _ms(window.begin)
        if not 0 <= value <= _ABSURD:  # also what is no number
            if inside:
                raw = f"{dict(sorted(labels.items()))} {value} @{t}"
                bad.append({RAW: raw, PROBLEM: f"{labels.get('__name__', column)}: {value:g} cannot be"})
            continue
        if inside:
            # A sample on the full hour closes the hour before it.
            hour = (moment - timedelta(microseconds=1 if t % 1000 == 0 else 0)).replace(
                minute=0, second=0, microsecond=0
            )
            counts = grown.setdefault((hour, replica, model), {})
            step = 0.0 if before is None else value - before if value >= before else value
            counts[column] = counts.get(column, 0.0) + step
        before = value
    return bad


def _spellings(counter: str) -> tuple[str, str]:
    return counter, counter.replace(":", "_")


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


COLLECTOR = Totals(vendor_usage.KIND)
