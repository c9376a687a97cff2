"""What one of a unit costs in a month, by model, and what moved it from one month to another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from farthing.errors import ConfigError
from models import lmdi

Row = dict[str, Any]
#: What moves the cost of a unit; the last is the number of units that cost of no model is shared by.
MIX, RATE, SPENT, SHARED_BY = "mix", "rate", "cost of no model", "units it is shared by"

_UNIT = """
select unit, model, quantity, cost, provisional_cost, cost_per_unit
from unit_economics
where month = $month and BillingCurrency = $currency and unit = $unit
order by model is not null, cost desc nulls last, model
"""


@dataclass(frozen=True)
class Moved:
    """A unit's cost in two months, and by effect and model (None: of none) what moved it; they add up to the change."""

    before: Decimal
    after: Decimal
    effects: list[tuple[str, str | None, float]]


def of_month(con: duckdb.DuckDBPyConnection, unit: str, month: date, currency: str) -> list[Row]:
    """The rows of `unit_economics`, the company's (model null) first.

    Raises:
        ConfigError: the month has no such unit.
    """
    cursor = con.execute(_UNIT, {"month": month, "currency": currency, "unit": unit})
    columns = [column[0] for column in cursor.description or []]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    if not rows or rows[0]["model"] is not None or rows[0]["cost_per_unit"] is None:
        known = con.execute(
            "select distinct unit from unit_economics where month = ? and BillingCurrency = ? and cost_per_unit is not"
            " null and model is null order by unit",
            [month, currency],
        ).fetchall()
        raise ConfigError(
            f"{month:%Y-%m} has no cost of a '{unit}' in {currency}.",
            file="--unit",
            fix=f"it has {', '.join(name for (name,) in known) or 'none'}; more are counted with [units.NAME].",
        )
    return rows


def moved(con: duckdb.DuckDBPyConnection, unit: str, months: tuple[date, date], currency: str) -> Moved:
    """What moved the cost of a unit between two months, by log-mean weights (`models.lmdi`), with nothing left over.

    The cost of a unit is, over models, share of the units x cost of one of them, and beside it the cost that is of no
    model that has units, by all units. A unit that models do not have is only the latter.

    Raises:
        ConfigError: a month has no such unit, or a model's cost is negative, which has no logarithm.
    """
    sides = [of_month(con, unit, month, currency) for month in months]
    groups: list[dict[str, dict[str, float]]] = []
    rest: list[dict[str, float]] = []
    for month, (company, *models) in zip(months, sides, strict=True):
        used = [row for row in models if row["quantity"]]
        if any((row["cost"] or 0) < 0 for row in used) or company["cost"] < sum(row["cost"] or 0 for row in used):
            raise ConfigError(
                f"a cost of {month:%Y-%m} is negative, which log-mean weights cannot take.",
                file="--waterfall",
                fix="look for the credit or correction with `farthing margin --by model`, or take other months.",
            )
        # of the company's own count: one user may use several models
        groups.append(
            {
                row["model"]: {
                    "part": float(row["quantity"] / company["quantity"]),
                    RATE: float((row["cost"] or 0) / row["quantity"]),
                }
                for row in used
            }
        )
        left = company["cost"] - sum((row["cost"] or 0 for row in used), Decimal(0))
        rest.append({SPENT: float(left), SHARED_BY: 1 / float(company["quantity"])})
    found = lmdi.waterfall_of_groups(*groups, quantity="part") if any(groups) else {}
    effects: list[tuple[str, str | None, float]] = []
    for model, by_factor in found.items():
        effects.append((MIX, model, by_factor[lmdi.VOLUME] + by_factor[lmdi.MIX]))
        effects.append((RATE, model, by_factor[RATE]))
    effects += [(name, None, amount) for name, amount in lmdi.waterfall(*rest).items()]
    return Moved(sides[0][0]["cost_per_unit"], sides[1][0]["cost_per_unit"], effects)
