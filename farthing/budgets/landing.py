"""Where a month lands by the forecasts that were published of it; where there is none, nothing stands for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from farthing.budgets.spend import COLUMNS

#: In the order in which a scope of several is named.
DIMENSIONS = tuple(COLUMNS)


@dataclass(frozen=True)
class Landing:
    """A forecast of what a month comes to, as it was issued on `as_of`; an estimate, so a float."""

    as_of: date
    forecast: float
    q80: float  # it stays below this with a chance of 80 %


def scope_name(scope: Mapping[str, str]) -> tuple[str, str | None]:
    """A scope as one dimension and one key, as `scope_days` has it: of several a JSON list; the total has no key."""
    known = [name for name in DIMENSIONS if name in scope]
    keys = [scope[name] for name in known]
    if len(keys) > 1:
        return " x ".join(known), json.dumps(keys, ensure_ascii=False, separators=(",", ":"))
    return (known[0], keys[0]) if known else ("total", None)


def scope_words(scope: Mapping[str, str]) -> str:
    """A scope for people: `total`, `team support`, `team support, model gpt-5`."""
    return ", ".join(f"{name} {scope[name]}" for name in DIMENSIONS if name in scope) or "total"


def landings(
    con: duckdb.DuckDBPyConnection, scope: Mapping[str, str], currency: str, month: date
) -> dict[str | None, list[Landing]]:
    """By key, all forecasts of the month's cost of `scope` that were issued, in the order of their issue.

    A scope with `*` has the keys of all that were forecast.
    """
    dimension, key = scope_name(scope)
    rows = con.execute(
        "select key, as_of, forecast, q80 from landings"
        " where dimension = ? and BillingCurrency = ? and month = ? and (? or key is not distinct from ?)"
        " order by as_of, issued_at",
        [dimension, currency, month, "*" in scope.values(), key],
    ).fetchall()
    found: dict[str | None, list[Landing]] = {}
    for name, *landing in rows:
        found.setdefault(name, []).append(Landing(*landing))
    return found
