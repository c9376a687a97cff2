"""What stands out in the ledger: found, put under what explains it, kept in the lake, and judged by people."""

from __future__ import annotations

from collections.abc import Sequence
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

#: Broken rules explain spend that jumped within a day of them, if they come to so much of it and are in its cause.
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
    kept: list[Finding] = []
    broken = sorted(rules.found(con, config, until), key=lambda one: -one.impact)
    for one in [*broken, *spend.found(con, config, until)]:
        parent = _parent(one, [other for other in kept if other.parent is None and other.level == "page"])
        kept.append(one if parent is None else one.below(parent))
    return sorted(kept, key=lambda one: (one.parent is not None, -one.impact, one.id))


def _parent(child: Finding, others: Sequence[Finding]) -> Finding | None:
    """The one of `others`, what people are told of, by which they know of `child` too."""
    beside = [other for other in others if other.currency == child.currency and _begins_with(child, other)]
    rules_broken = [other for other in beside if other.score is None]
    if child.score is None:
        return next((other for other in rules_broken if other.key == child.key), None)
    named = [other for other in rules_broken if _names(child, other)]
    if named and sum(other.impact_a_day for other in rules_broken) >= _EXPLAINED_SHARE * child.impact_a_day:
        return named[0]
    return next((other for other in beside if other.score is not None and other.dimension != child.dimension), None)


def _begins_with(child: Finding, other: Finding) -> bool:
    """Whether `other` began when `child` did, or, both being jumps, lasted still."""
    last = other.last if other.score is not None else child.found
    return child.first - _APART <= other.first <= child.found + _APART and child.first <= last + _APART


def _names(child: Finding, rule: Finding) -> bool:
    """Whether what broke the rule, or a pool in which it was broken, is the scope of `child` or in its causes."""
    about, pools = (rule.key or "").lower(), {pool.lower() for pool in rule.pools}
    slices = [cause["slice"] for cause in child.cause]
    values = [value.lower() for value in [child.key, *(value for one in slices for value in one.values())] if value]
    return any(value in about or about in value or value in pools for value in values)
