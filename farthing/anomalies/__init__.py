"""What stands out in the ledger: found, put under what explains it, kept in the lake, and judged by people."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb

from farthing.anomalies import rules, spend
from farthing.anomalies.finding import Finding
from farthing.config import Config

#: What a rule names explains spend that jumped within a day of it, if it comes to so much of the jump.
_EXPLAINED_SHARE, _APART = 0.5, timedelta(days=1)


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
