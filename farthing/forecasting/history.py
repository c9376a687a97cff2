"""The daily cost of each scope as the forecast reads it: complete days of the published warehouse, on one grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np

from farthing import clock
from farthing.config import Config
from farthing.errors import ConfigError, FarthingError
from farthing.forecasting.late import LateDay, complete, filled_share, late_days
from models.series import Panel

#: The dimension whose scopes are the leaves: total, team and model are sums of them.
LEAVES = "team x model"
SUMS = ("total", "team", "model")
#: So many leaves are forecast by the model that is asked for; there must be one for every cent, so others are too.
_LEAVES = 100
#: Keys are ranked by what they cost in so many days.
_RANKED_DAYS = 60
#: A last day of which more than this share had to be filled in is left out, up to so many days.
_FILLED_SHARE, _LEFT_OUT_DAYS = 0.1, 3


class NothingToForecastError(FarthingError):
    """The warehouse has no complete day of cost to forecast from."""

    exit_code = 1


@dataclass(frozen=True)
class Scope:
    """What a series is about; `key` is null for the total, and for cost of none."""

    dimension: str
    key: str | None
    currency: str

    @property
    def name(self) -> str:
        """As people write it: `team=support`, `team=support x model=gpt-5`, `total`."""
        if self.dimension == "total":
            return "total"
        if self.dimension == LEAVES:
            team, model = self.parts
            return f"team={team or 'none'} x model={model or 'none'}"
        return f"{self.dimension}={self.key or 'none'}"

    @property
    def uid(self) -> str:
        """One text for each scope."""
        return json.dumps([self.currency, self.dimension, self.key])

    @property
    def parts(self) -> tuple[str | None, str | None]:
        """Team and model of a leaf."""
        team, model = json.loads(self.key or "[null, null]")
        return team, model


@dataclass(frozen=True)
class History:
    """`panel` row by row for `scopes`, from the ledger's first day to `as_of`, late days completed.

    `late` is what was completed or filled in, `left_out` the days after `as_of` of which too little is known, `small`
    the leaves that are too many to get a model of their own.
    """

    scopes: list[Scope]
    panel: Panel
    as_of: date
    late: list[LateDay]
    left_out: list[date]
    small: frozenset[Scope]


def read(con: duckdb.DuckDBPyConnection, config: Config, *, as_of: date | None = None) -> History:
    """The history of all scopes that `[forecast]` names, up to `as_of`, by default the last day that is over.

    On a day of the ledger a scope without a row cost nothing; before its first row, and on days of which the ledger has
    nothing at all, nothing is known.

    Raises:
        ConfigError: `[forecast]` names a dimension that the ledger does not have.
        NothingToForecastError: there is no complete day up to `as_of`.
    """
    first, last = span(con, as_of)
    dimensions = _dimensions(con, config)
    ranks = _ranked(con, dimensions, last)
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    rows = con.execute(
        "select dimension, key, BillingCurrency, day, cast(cost as double) from scope_days"
        " where day <= $last and list_contains($dimensions, dimension)",
        {"last": last, "dimensions": dimensions},
    ).fetchall()
    known = {day for *_, day, _ in rows}
    found: dict[Scope, dict[date, float]] = {}
    for dimension, key, currency, day, cost in rows:
        scope = Scope(dimension, key, currency)
        if dimension == LEAVES or ranks.get(scope, config.forecast.largest + 1) <= config.forecast.largest:
            found.setdefault(scope, {})[day] = cost
    scopes = sorted(found, key=lambda scope: (scope.currency, scope.dimension, scope.key or ""))
    y = np.full((len(scopes), len(days)), np.nan)
    for row, scope in enumerate(scopes):
        begun = min(found[scope])
        for column, day in enumerate(days.tolist()):
            if day >= begun and day in known:
                y[row, column] = found[scope].get(day, 0.0)
    late = late_days(con, last)
    complete(con, late, scopes, first, y)
    filled = filled_share(con, late, last, _LEFT_OUT_DAYS)
    # From the first of the last days that is mostly filled in, nothing counts as known.
    cut = max((len(filled) - number for number, share in enumerate(filled) if share > _FILLED_SHARE), default=0)
    kept = max(1, len(days) - cut)
    small = frozenset(scope for scope in scopes if scope.dimension == LEAVES and ranks.get(scope, 1) > _LEAVES)
    return History(
        scopes,
        Panel([scope.uid for scope in scopes], days[:kept], y[:, :kept]),
        days[kept - 1].item(),
        [one for one in late if one.day <= days[kept - 1].item()],
        days[kept:].tolist(),
        small,
    )


def span(con: duckdb.DuckDBPyConnection, as_of: date | None) -> tuple[date, date]:
    """The first day of the ledger and the last that is over and not after `as_of`.

    Raises:
        NothingToForecastError: there is none.
    """
    before = min(clock.now().date(), (as_of or date.max - timedelta(days=1)) + timedelta(days=1))
    [(first, last)] = con.execute("select min(day), max(day) from scope_days where day < ?", [before]).fetchall()
    if first is None:
        raise NothingToForecastError(
            f"the ledger has no day before {before} that is over: nothing can be forecast from it."
        )
    return first, last


def _dimensions(con: duckdb.DuckDBPyConnection, config: Config) -> list[str]:
    """The dimensions that are read from the ledger: those that are sums of leaves are made of those.

    Raises:
        ConfigError: the ledger has no such dimension.
    """
    known = [name for (name,) in con.execute("select distinct dimension from scope_days order by 1").fetchall()]
    for wanted in config.forecast.scopes:
        if wanted not in known:
            raise ConfigError(
                f"the ledger has no dimension '{wanted}'.", key="forecast.scopes", fix=f"some of {', '.join(known)}."
            )
    read_ones = [name for name in config.forecast.scopes if name not in SUMS]
    if LEAVES not in read_ones and set(config.forecast.scopes) & set(SUMS):
        read_ones.append(LEAVES)
    return read_ones


def _ranked(con: duckdb.DuckDBPyConnection, dimensions: Sequence[str], last: date) -> dict[Scope, int]:
    """The place of each scope in its dimension and currency, from 1, by what it cost of late; of some nothing."""
    rows = con.execute(
        "select dimension, key, BillingCurrency,"
        " row_number() over (partition by dimension, BillingCurrency order by sum(cost) desc, key)"
        " from scope_days"
        " where day <= $last and day > $last - $days::integer and list_contains($dimensions, dimension)"
        " group by dimension, key, BillingCurrency",
        {"last": last, "days": _RANKED_DAYS, "dimensions": list(dimensions)},
    ).fetchall()
    return {Scope(*row[:3]): row[3] for row in rows}
