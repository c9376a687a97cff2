"""Which budgets hold in a period: those of farthing.toml, and the plans that files gave for the month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from farthing.config import Budget, Config, Thresholds
from farthing.errors import ConfigError


@dataclass(frozen=True)
class Limit:
    """An amount for a scope from `begin` to the day before `end`; `rolling`: the last days, whatever their month."""

    name: str
    scope: Mapping[str, str]  # dimension -> key, all of which hold; none: everything
    amount: Decimal
    currency: str
    begin: date
    end: date
    rolling: bool
    thresholds: Thresholds
    since: date | None = None  # the first day on which it held

    @property
    def days(self) -> int:
        """How long it is."""
        return (self.end - self.begin).days


def month_after(month: date) -> date:
    """The first day of the month after that of `month`."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def limits(con: duckdb.DuckDBPyConnection, config: Config, month: date, last: date) -> list[Limit]:
    """The budgets of `month`, a first day, and the windows that end on `last`, in the order in which they are written.

    Raises:
        ConfigError: farthing.toml and a file have a budget of the same name.
    """
    found = [limit for budget in config.budgets if (limit := _configured(config, budget, month, last)) is not None]
    planned = _planned(con, month)
    if twice := sorted({budget.name for budget in config.budgets} & {limit.name for limit in planned}):
        raise ConfigError(
            f"the budget '{twice[0]}' is here, and in a file of a source of kind budgets too.",
            file=config.root / "farthing.toml",
            key="budgets",
            fix="rename one of them, or remove it.",
        )
    return [*found, *planned]


def _configured(config: Config, budget: Budget, month: date, last: date) -> Limit | None:
    """The budget in its period; null where it does not hold then."""
    if budget.window_days is None:
        begin, end, on = month, month_after(month), month
    else:
        end = last + timedelta(days=1)
        begin, on = end - timedelta(days=budget.window_days), last
    if (budget.from_ is not None and on < budget.from_) or (budget.until is not None and on >= budget.until):
        return None
    return Limit(
        budget.name,
        {str(dimension): key for dimension, key in budget.scope.items()},
        budget.amount,
        budget.currency or config.project.currency,
        begin,
        end,
        budget.window_days is not None,
        budget.thresholds,
        budget.from_,
    )


def _planned(con: duckdb.DuckDBPyConnection, month: date) -> list[Limit]:
    rows = con.execute(
        "select name, dimension, key, currency, sum(amount) from budgets where month = ? group by all order by all",
        [month],
    ).fetchall()
    return [
        Limit(
            name,
            {} if dimension == "total" else {dimension: key},
            amount,
            currency,
            month,
            month_after(month),
            False,
            Thresholds(),
        )
        for name, dimension, key, currency, amount in rows
    ]
