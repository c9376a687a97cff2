"""What issued forecasts missed by: errors that the next intervals are made of, and the scoreboard."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np

from farthing.forecasting.history import History, Scope
from models.forecast import Errors, ErrorStore
from models.forecast.errors import history_days, scales

SCOREBOARD = """
with scores as (
    select * from forecast_scores where $dimension is null or dimension = $dimension
)
select
    model,
    ahead,
    count(distinct issue_id) as issues,
    count(distinct (dimension, key, BillingCurrency)) as scopes,
    cast(sum(days) as bigint) as days,
    median(absolute_error / nullif(actual, 0)) as error_share,
    exp(
        avg(ln((absolute_error + 0.005 * actual) / (naive_error + 0.005 * actual))) filter (where actual > 0)
    ) as to_naive,
    sum(within_80) / sum(days) as within_80_share,
    sum(within_95) / sum(days) as within_95_share
from scores
group by all
order by model, min(list_position(['1-7', '8-30', '31-90', 'later'], ahead))
"""
LANDING_BOARD = """
select
    model,
    case when days_ahead <= 10 then 'last 10 days' when days_ahead <= 20 then '11-20 days' else 'over 20 days' end
        as ahead,
    count(distinct issue_id) as issues,
    count(distinct (dimension, key, BillingCurrency)) as scopes,
    count(*) as landings,
    median(abs(forecast - actual) / nullif(abs(cast(actual as double)), 0)) as error_share,
    avg(cast(within_80 as double)) as within_80_share,
    avg(cast(within_95 as double)) as within_95_share
from landing_scores
where $dimension is null or dimension = $dimension
group by all
order by model, ahead
"""


def error_stores(con: duckdb.DuckDBPyConnection, history: History) -> dict[str, ErrorStore]:
    """The errors of all forecasts that were issued before, as far as `history` knows their days, by model.

    Of several of one day and model the last one counts.
    """
    rows = {scope: row for row, scope in enumerate(history.scopes)}
    columns = {day: column for column, day in enumerate(history.panel.days.tolist())}
    found: dict[tuple[str, date], dict[Scope, dict[date, float]]] = {}
    for model, as_of, dimension, key, currency, day, value in con.execute(
        "select model, as_of, dimension, key, BillingCurrency, day, forecast from forecasts"
        " where as_of < $last and as_of > $last - 400"
        " qualify issued_at = max(issued_at) over (partition by model, as_of) order by day",
        {"last": history.as_of},
    ).fetchall():
        scope = Scope(dimension, key, currency)
        if scope in rows and as_of in columns:
            found.setdefault((model, as_of), {}).setdefault(scope, {})[day] = value
    stores: dict[str, ErrorStore] = {}
    for (model, as_of), of_scopes in found.items():
        mine = [rows[scope] for scope in of_scopes]
        before = history.panel.y[mine, : columns[as_of] + 1]
        horizon = max((max(of_days) - as_of).days for of_days in of_scopes.values())
        scale = scales(before)
        scaled = np.full((len(mine), horizon), np.nan)
        for place, (row, of_days) in enumerate(zip(mine, of_scopes.values(), strict=True)):
            for day, value in of_days.items():
                if day in columns and scale[place] > 0:
                    actual = history.panel.y[row, columns[day]]
                    scaled[place, (day - as_of).days - 1] = (actual - value) / scale[place]
        uids = [history.panel.uids[row] for row in mine]
        errors = Errors(np.datetime64(as_of, "D"), uids, history_days(before), scale, scaled)
        stores.setdefault(model, ErrorStore()).add(errors)
    return stores
