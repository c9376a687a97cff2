"""What stands out in the ledger: found, put under what explains it, kept in the lake, and judged by people."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Protocol

import duckdb

from farthing import clock, issued, warehouse
from farthing.anomalies import days, rules, spend
from farthing.anomalies.finding import Finding
from farthing.anomalies.kept import Detected, keep
from farthing.config import Config
from farthing.lake import Lake

__all__ = ["Detected", "Finding", "detect", "find"]

#: What a rule names explains spend that jumped within a day of it, if it comes to so much of the jump.
_EXPLAINED_SHARE, _APART = 0.5, timedelta(days=1)


class Report(Protocol):
    """Whoever waits for a look at the ledger."""

    def message(self, text: str) -> None:
        """A line for the person who waits."""


def detect(config: Config, lake: Lake, report: Report) -> Detected:
    """Look at the days that are over, write what changed into the lake, and publish it.

    A second look at the same ledger changes nothing. Today is not over, and is not looked at; nor is the spend of days
    that lack a provider's bill.

    Raises:
        WarehouseMissingError: nothing is published.
    """
    yesterday = clock.now().date() - timedelta(days=1)
    with warehouse.open_warehouse(config) as con:
        until = min(days.newest(con) or yesterday, yesterday)
        report.message(f"looking for anomalies up to {until}")
        findings = find(con, config, until)
    detected = keep(lake, findings, until)
    report.message(f"anomalies: {len(detected.opened)} new, {len(detected.closed)} over, {len(detected.open)} open")
    if detected.changed:
        issued.publish(config, lake, report.message)
    return detected


def find(con: duckdb.DuckDBPyConnection, config: Config, until: date) -> list[Finding]:
    """What stood out on the last days up to `until`, as was known then: what explains others first, then by money."""
    broken = sorted(rules.found(con, config, until), key=lambda one: -one.impact)
    kept: list[Finding] = []
    for one in [*broken, *spend.found(con, config, until)]:
        parent = next((other for other in kept if other.parent is None and _explains(other, one)), None)
        kept.append(one if parent is None else one.below(parent))
    return sorted(kept, key=lambda one: (one.parent is not None, -one.impact, one.id))


def _explains(parent: Finding, child: Finding) -> bool:
    """Whether people who were told of `parent` know of `child` too."""
    if parent.currency != child.currency or parent.level != "page":
        return False
    if not parent.first - _APART <= child.first <= parent.last + _APART:
        return False
    if child.score is None:  # a broken rule: the same key is told of once, what broke is a different thing otherwise
        return parent.score is None and parent.key == child.key
    if parent.score is None:
        days = (child.last - child.first).days + 1
        return parent.impact / ((parent.last - parent.first).days + 1) >= _EXPLAINED_SHARE * child.impact / days
    return parent.dimension != child.dimension
