"""Rows of short intervals become rows of longer ones: seconds and joules add up, so that no integral changes."""

from __future__ import annotations

import math
from collections.abc import Iterable

from collectors.telemetry import SECOND_US, Row, microseconds

_SUMS = ("covered_seconds", "busy_seconds", "sm_active_seconds", "energy_joules")
#: The state of a longer interval is the worst in it.
_WORST = ("lost", "stuck", "partial", "idle_dry", "ok")


def merged(rows: Iterable[Row], width_seconds: int) -> list[Row]:
    """The rows with one for each GPU, way of observing and multiple of `width_seconds` since 1970, in order of time.

    A row that is longer already stays as it is; the intervals of the others say how long they are now.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        block = microseconds(row["started_at"]) // (width_seconds * SECOND_US)
        groups.setdefault((block, row["gpu_uuid"], row["busy_source"]), []).append(row)
    return sorted((_one(group) for group in groups.values()), key=lambda row: str(row["started_at"]))


def _one(rows: list[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    made = dict(rows[0])
    made["started_at"] = min(str(row["started_at"]) for row in rows)
    made["ended_at"] = max(str(row["ended_at"]) for row in rows)
    for name in _SUMS:
        values = _given(rows, name)
        made[name] = math.fsum(values) if values else None
    for name in ("busy_seconds", "sm_active_seconds"):
        if made[name] is not None:
            made[name] = min(float(str(made[name])), float(str(made["covered_seconds"])))
    used = _given(rows, "memory_used_bytes")
    made["memory_used_bytes"] = int(max(used)) if used else None
    made["energy_source"] = next((row["energy_source"] for row in rows if row["energy_source"]), None)
    made["state"] = min((str(row["state"]) for row in rows), key=_WORST.index)
    return made


def _given(rows: list[Row], name: str) -> list[float]:
    return [float(str(row[name])) for row in rows if row[name] is not None]
