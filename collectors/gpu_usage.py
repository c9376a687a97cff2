"""What each GPU did: intervals with covered and busy seconds, or instantaneous samples that are made into intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from collectors.checks import before, negative
from collectors.kind import Check, Deliverable, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from farthing.config import Source
from farthing.errors import ConfigError
from farthing.lake.schemas import GPU_USAGE, REAL, TIME

#: A sample covers the time since the one before, at most this many times the nominal distance.
_GAP = 2
_TOLERANCE_SECONDS = 0.001
#: What nodes call a file in an inbox: gpu_usage/NODE/SPOOL-NUMBER.parquet. It is written once and never changes.
_SHIPPED = re.compile(r"(?:^|/)gpu_usage/[^/]+/[0-9a-f]{8}-\d{9,}\.parquet$")
_TOGETHER_FILES, _TOGETHER_BYTES = 500, 128 << 20


def _sampled(source: Source) -> bool:
    return "sampled_at" in source.columns


def _needed(source: Source) -> Sequence[str]:
    if _sampled(source):
        return ("gpu_uuid", "sampled_at", "busy_fraction")
    busy = "busy_fraction" if "busy_fraction" in source.columns else "busy_seconds"
    return ("gpu_uuid", "started_at", "ended_at", "covered_seconds", busy)


def _derived(row: Row) -> Mapping[str, str]:
    made = {"busy_source": "coalesce(busy_source, 'file')", "day": "started_at::date"}
    if _sampled(row.source):
        # The interval is made by `_finish`, once the sample before is known.
        made |= {"started_at": "sampled_at", "ended_at": "sampled_at", "covered_seconds": "0.0", "busy_seconds": "0.0"}
        made["day"] = "sampled_at::date"
    elif "busy_fraction" in row.mapped:
        made["busy_seconds"] = "busy_fraction * covered_seconds"
    return made


def _checks(_row: Row) -> Sequence[Check]:
    lasted = "epoch_us(ended_at - started_at) / 1e6"
    return [
        before("ended_at", "started_at"),
        *negative(["covered_seconds", "busy_seconds", "busy_fraction", "memory_used_bytes", "energy_joules"]),
        ("busy_fraction > 1", "'busy_fraction is above 1: ' || busy_fraction || ' (unit = \"percent\"?)'"),
        (
            "busy_seconds > covered_seconds + 1e-9",
            "'busy_seconds ' || busy_seconds || ' are more than covered_seconds ' || covered_seconds",
        ),
        (
            f"covered_seconds > {lasted} + {_TOLERANCE_SECONDS}",
            f"'covered_seconds ' || covered_seconds || ' are more than the interval of ' || {lasted} || ' s'",
        ),
    ]


def _finish(source: Source) -> Sequence[str]:
    """Samples become intervals: each reaches back to the sample before it, the first one by the nominal distance."""
    if not _sampled(source):
        return ()
    nominal = int(float(source.sample_seconds or 0) * 1_000_000)
    return (
        f"""
        update staged_rows set started_at = made.started_at, day = made.started_at::date,
            covered_seconds = epoch_us(ended_at - made.started_at) / 1e6,
            busy_seconds = busy_fraction * (epoch_us(ended_at - made.started_at) / 1e6)
        from (
            select _line, sampled_at - to_microseconds(
                least(coalesce(epoch_us(sampled_at - previous), {nominal}), {_GAP * nominal})) as started_at
            from (
                select _line, sampled_at, max(sampled_at) over (
                    partition by gpu_uuid order by sampled_at
                    range between unbounded preceding and interval 1 microsecond preceding) as previous
                from staged where _reason is null)
        ) as made
        where staged_rows._line = made._line and staged_rows._reason is null
        """,
    )


def _demand_distance(name: str, row: Row) -> None:
    """Samples need their nominal distance: what one stands for is not in the file."""
    if _sampled(row.source) and not (row.source.sample_seconds and row.source.sample_seconds > 0):
        raise ConfigError(
            "an instantaneous sample stands for how long?",
            key=f"sources.{name}.sample_seconds",
            fix="sample_seconds = 15, the distance between two samples of one GPU.",
        )


KIND = Kind(
    Dialect(GPU_USAGE, extra={"sampled_at": TIME, "busy_fraction": REAL}),
    needed=_needed,
    derived=_derived,
    checks=_checks,
    finish=_finish,
    demand=_demand_distance,
    key=lambda source: ("gpu_uuid", "ended_at" if _sampled(source) else "started_at"),
)


class Usage(Files):
    """Files of telemetry; those that nodes shipped to an inbox are many and small, and land together."""

    def together(self, source: Source, new: Sequence[Deliverable]) -> list[list[Deliverable]]:
        """Files as `farthing agent ship` names them, in groups of bounded size."""
        if source.columns or source.constants or source.format:
            return []
        groups: list[list[Deliverable]] = []
        size = 0
        for one in new:
            if not _SHIPPED.search(one.name):
                continue
            if not groups or len(groups[-1]) == _TOGETHER_FILES or size + one.size > _TOGETHER_BYTES:
                groups.append([])
                size = 0
            groups[-1].append(one)
            size += one.size
        return groups


COLLECTOR = Usage(KIND)
