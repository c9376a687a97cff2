"""What stays of an evaluation: the rows of `budget_status`, one set for each day that the ledger ended on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from farthing import issued
from farthing.budgets.status import Crossing, Status
from farthing.lake import Lake
from farthing.lake.issued import BUDGET_STATUS

#: What is spent weighs more than what is foreseen, and what is expected more than what may be.
_WEIGHT = {"actual": 2, "landing": 1, "q80": 0}


def store(lake: Lake, statuses: Sequence[Status]) -> None:
    """Write `statuses` in the place of those of the same budgets and last day; what the ledger has not is not kept."""
    by_day: dict[date, list[dict[str, object]]] = {}
    for status in statuses:
        if status.through is not None:
            by_day.setdefault(status.through, []).append(row(status))
    for day, rows in by_day.items():
        names = sorted({str(one["budget"]) for one in rows})
        issued.restate(lake, BUDGET_STATUS, rows, where={"as_of": day, "budget": names})


def highest(status: Status) -> Crossing | None:
    """The crossing that is told of a budget: the highest percent, of spent money before forecasts."""
    return max(status.crossings, key=lambda one: (one.percent, _WEIGHT[one.measure]), default=None)


def row(status: Status) -> dict[str, object]:
    """The row of a status that has begun."""
    limit, crossing, landing = status.limit, highest(status), status.landing
    return {
        "as_of": status.through,
        "budget": limit.name,
        "dimension": status.dimension,
        "key": status.key,
        "BillingCurrency": limit.currency,
        "period_start": limit.begin,
        "period_end": limit.end - timedelta(days=1),
        "amount": limit.amount,
        "actual": status.actual,
        "provisional": status.provisional,
        "landing": landing.forecast if landing else None,
        "landing_q80": landing.q80 if landing else None,
        "basis": crossing.measure if crossing else None,
        "threshold": crossing.percent / 100 if crossing else None,
        "crossed_on": crossing.since if crossing else None,
    }
