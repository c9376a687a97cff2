"""Why a month of a budget cost other than planned: the books beside the plan by provider, and the effects of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from farthing import clock
from farthing.budgets import spend
from farthing.budgets.landing import scope_name, scope_words
from farthing.budgets.limits import Limit, limits, month_after
from farthing.config import Config
from farthing.errors import ConfigError
from models.plan_variance import Effects, Line, added, split

GPU_HOURS = "GPU hours"
_TOKENS = Decimal(1_000_000)
_HOUR = Decimal(3_600_000_000)  # microseconds


@dataclass(frozen=True)
class Variance:
    """A month against its plan; each line has its effects, and all together are `effects.variance`, exactly."""

    limit: Limit
    unit: str | None  # of all quantities; null: the plan has none
    through: date  # the last day that the books know
    lines: Sequence[tuple[Line, Effects]]
    actual: Decimal
    provisional: Decimal

    @property
    def effects(self) -> Effects:
        """Those of all lines together."""
        return added(effects for _, effects in self.lines)


@dataclass(frozen=True)
class _Planned:
    """What the plan says of one provider."""

    provider: str | None
    quantity: Decimal | None
    amount: Decimal
    rate: Decimal | None


@dataclass(frozen=True)
class _Came:
    """What the books say of one provider; without a quantity it is a cost that no use stands behind."""

    provider: str | None
    quantity: Decimal | None
    cost: Decimal


def variance_of(
    con: duckdb.DuckDBPyConnection, config: Config, month: date, name: str, scope: Mapping[str, str] | None = None
) -> Variance:
    """The variance of the budget `name` in `month`, a first day; `scope` says which, where several have the name.

    Raises:
        ConfigError: there is no such budget, or several; the ledger has nothing of the month; the plan counts in
            several units, or in one that its scope has no books of.
    """
    limit = _limit(con, config, month, name, scope)
    known = spend.ledger_days(con, clock.now().date())
    if known is None or known[1] < month or known[0] >= limit.end:
        raise ConfigError(
            f"the ledger has {known[0]} to {known[1]} and nothing of {month:%Y-%m}."
            if known
            else "the ledger is empty.",
            file=f"budget '{name}'",
            fix="name a month that it has, or run `farthing collect` and `farthing build`.",
        )
    last = min(known[1], limit.end - timedelta(days=1))
    planned, unit = _plan(con, limit)
    days = spend.daily(con, limit.scope, limit.begin, last).get("", {}).get(limit.currency, [])
    actual = sum((spent.cost for spent in days), Decimal(0))
    lines = _lines(planned, _came(con, limit, unit, last, actual))
    return Variance(
        limit,
        unit,
        last,
        list(zip(lines, split(lines), strict=True)),
        actual,
        sum((spent.provisional for spent in days), Decimal(0)),
    )


def _limit(
    con: duckdb.DuckDBPyConnection, config: Config, month: date, name: str, scope: Mapping[str, str] | None
) -> Limit:
    of_month = [limit for limit in limits(con, config, month, month_after(month)) if not limit.rolling]
    found = [limit for limit in of_month if limit.name == name and scope in (None, limit.scope)]
    if len(found) == 1 and spend.EACH not in found[0].scope.values():
        return found[0]
    if not found:
        known = ", ".join(dict.fromkeys(limit.name for limit in of_month)) or "none"
        problem, fix = f"there is no such budget in {month:%Y-%m}.", f"one of that month: {known}."
    elif len(found) > 1:
        scopes = "; ".join(scope_words(limit.scope) for limit in found)
        problem, fix = f"several have this name: {scopes}.", "say which with --scope."
    else:
        problem, fix = "it is a budget for each one on his own, and no plan of a month.", "name another budget."
    raise ConfigError(problem, file=f"budget '{name}'", fix=fix)


def _plan(con: duckdb.DuckDBPyConnection, limit: Limit) -> tuple[list[_Planned], str | None]:
    """The plan's lines, one for each provider, and the unit that they count in."""
    dimension, key = scope_name(limit.scope)
    rows = con.execute(
        "select lower(provider), any_value(provider), sum(quantity), sum(amount),"
        " case when count(*) = 1 then max(rate) end, list(distinct unit)"
        " from budgets where month = ? and name = ? and dimension = ? and key is not distinct from ? and currency = ?"
        " group by 1 order by 1 nulls last",
        [limit.begin, limit.name, dimension, key, limit.currency],
    ).fetchall()
    units = sorted({unit for *_, of_line in rows for unit in of_line if unit})
    if len(units) > 1:
        raise ConfigError(
            f"its plan counts in {' and '.join(units)}, which have no sum.",
            file=f"budget '{limit.name}'",
            fix="give each unit a budget of its own.",
        )
    found = [_Planned(provider, quantity, amount, rate) for _, provider, quantity, amount, rate, _ in rows]
    return found or [_Planned(None, None, limit.amount, None)], units[0] if units else None


def _came(con: duckdb.DuckDBPyConnection, limit: Limit, unit: str | None, last: date, actual: Decimal) -> list[_Came]:
    """What each provider had of `unit` and cost; what is no provider's use comes last."""
    days = (limit.begin, last)
    if unit == GPU_HOURS:
        if set(limit.scope) - {"pool"}:
            raise ConfigError(
                f"GPU hours are known of pools and of everything, not of a {scope_name(limit.scope)[0]}.",
                file=f"budget '{limit.name}'",
                fix="plan them by pool, or count requests or tokens.",
            )
        gpus = spend.gpus_by_provider(con, limit.scope.get("pool"), limit.currency, *days)
        found = [
            _Came(provider, round(Decimal(microseconds) / _HOUR, 6), cost)
            for provider, (microseconds, cost) in gpus.items()
        ]
        rest = actual - sum((one.cost for one in found), Decimal(0))
        return [*found, _Came(None, None, rest)] if rest else found
    costs = spend.by_provider(con, limit.scope, limit.currency, *days)
    if unit is None:
        return [_Came(provider, None, cost) for provider, cost in costs.items()]
    if "pool" in limit.scope:
        raise ConfigError(
            f"{unit} are of requests, and those belong to no pool.",
            file=f"budget '{limit.name}'",
            fix="plan them by provider, model, team or customer.",
        )
    usage = spend.usage_by_provider(con, limit.scope, *days)
    count = {
        provider: Decimal(requests) if unit == "requests" else Decimal(tokens) / (_TOKENS if unit != "tokens" else 1)
        for provider, (requests, tokens) in usage.items()
    }
    return [
        _Came(provider, count.get(provider), costs.get(provider, Decimal(0)))
        for provider in sorted({*costs, *count}, key=lambda name: (name is None, name or ""))
    ]


def _lines(planned: Sequence[_Planned], came: Sequence[_Came]) -> list[Line]:
    """A line for each provider, and one without a provider for the costs that no use is behind.

    What a plan says without a provider stands for all providers that it does not name, or, without a quantity, for
    those costs.
    """
    plans: dict[str | None, _Planned] = {}
    for plan in planned:
        key = plan.provider.lower() if plan.provider is not None else None if plan.quantity is None else spend.EACH
        plans[key] = plan

    def place(one: _Came) -> str | None:
        own = (one.provider or "").lower()
        if own in plans or one.quantity is None:
            return own if own in plans else None
        return spend.EACH if spend.EACH in plans else own

    found: dict[str | None, list[_Came]] = {key: [] for key in plans}
    for one in came:
        found.setdefault(place(one), []).append(one)
    return [_line(plans.get(key), ours, named=key is not None) for key, ours in found.items()]


def _line(plan: _Planned | None, came: Sequence[_Came], *, named: bool) -> Line:
    known = [one.quantity for one in came if one.quantity is not None]
    return Line(
        plan.provider if plan else came[0].provider if named else None,
        plan.quantity if plan else None,
        plan.amount if plan else Decimal(0),
        plan.rate if plan else None,
        sum(known, Decimal(0)) if known else None,
        sum((one.cost for one in came), Decimal(0)),
    )
