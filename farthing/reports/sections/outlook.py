"""What is to come and what stood out: where the month lands, how budgets stand, and the anomalies of the days."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from farthing import figures
from farthing.reports.asked import Asked, percent
from farthing.reports.document import Column, Row, Section, Table

if TYPE_CHECKING:
    from farthing.charts import Chart

_TOP = 15

_LANDINGS = """
with newest as (
    select max_by(issue_id, issued_at) as issue_id from landings where BillingCurrency = $currency
)
select month, dimension, key, as_of, model, actual, forecast, q10, q90
from landings
where
    issue_id = (select issue_id from newest)
    and BillingCurrency = $currency
    and dimension in ('total', 'pool', 'team')
order by dimension <> 'total', month, dimension, forecast desc, key
"""

_PATH = """
with newest as (
    select max_by(issue_id, issued_at) as issue_id from forecasts where BillingCurrency = $currency
)
select day, forecast, q10, q90
from forecasts
where issue_id = (select issue_id from newest) and BillingCurrency = $currency and dimension = 'total'
order by day
"""

_PAST = """
select day, cost
from scope_days
where dimension = 'total' and BillingCurrency = $currency and day between $first and $last
order by day
"""

#: Of each budget its last status in a month: a window of days has another period each day. Of budgets for each one on
#: his own, also who stood above a threshold on a day before the last.
_BUDGETS = """
select
    budget, dimension, key, period_start, period_end, amount, actual, landing, landing_q80, basis, threshold, crossed_on
from budget_status
where BillingCurrency = $currency and as_of <= $last and period_end >= $first
qualify
    row_number() over (partition by budget, dimension, key, date_trunc('month', period_end) order by as_of desc) = 1
    and (threshold is not null or as_of = max(as_of) over (partition by budget, date_trunc('month', period_end)))
order by threshold desc nulls last, budget, key, period_start
"""

_EPISODES = """
select first_day, last_day, dimension, key, rule, state, expected, actual, impact, title, cause
from episodes
where
    BillingCurrency = $currency and level = 'page' and state in ('open', 'closed')
    and first_day <= $last and last_day >= $first
order by abs(impact) desc, first_day, dimension, key
limit 15
"""


def landing(asked: Asked) -> Section | None:
    """Where the open month lands, as the newest forecast says; None where none was issued."""
    rows = asked.rows(_LANDINGS)
    total = next((row for row in rows if row["dimension"] == "total"), None)
    if total is None:
        return None
    heading = (
        f"{total['month']:%B} is expected to land at {figures.estimate(total['forecast'])} {asked.currency},"
        f" between {figures.estimate(total['q10'])} and {figures.estimate(total['q90'])} with a chance of 80 %"
    )
    said = [
        f"Up to {figures.day(total['as_of'])} it has cost {figures.money(total['actual'])} {asked.currency}.",
        "How far earlier forecasts were off: farthing forecast --scoreboard.",
    ]
    past = [(row["day"], row["cost"]) for row in asked.rows(_PAST)]
    ahead = [(row["day"], row["forecast"], row["q10"], row["q90"]) for row in asked.rows(_PATH)]

    def chart() -> Chart:
        from farthing import charts

        return charts.fan(past, ahead, asked.currency, height=220)

    columns = [
        Column("month", "month", lambda month: f"{month:%B %Y}"),
        Column("dimension", "of"),
        Column("key", "which"),
        Column("actual", "to date", figures.money),
        Column("forecast", "expected", figures.estimate),
        Column("q10", "low (80 % band)", figures.estimate),
        Column("q90", "high (80 % band)", figures.estimate),
    ]
    return Section(
        "landing",
        "Where the month lands",
        heading,
        said,
        tables=[Table("landings", columns, rows[: 2 * _TOP], currency=asked.currency)],
        chart=chart if ahead else None,
        chart_says=f"Cost of each day and its forecast; four days in five lie in the band, {asked.currency}",
    )


def budgets(asked: Asked) -> Section | None:
    """How each budget of the period stands; None where there is none."""
    rows = asked.rows(_BUDGETS)
    if not rows:
        return None
    crossed = [row for row in rows if row["threshold"] is not None and row["threshold"] >= 1]
    heading = f"{figures.counted(len(rows), 'budget')}, none above its amount"
    if crossed:
        names = ", ".join(dict.fromkeys(row["budget"] for row in crossed))
        heading = f"{len(crossed)} of {figures.counted(len(rows), 'budget')} are or will be above their amount: {names}"
    for row in rows:
        row["used"] = row["actual"] / row["amount"] if row["amount"] else None
    columns = [
        Column("budget", "budget"),
        Column("key", "of"),
        Column("period_start", "from", figures.day),
        Column("period_end", "to", figures.day),
        Column("amount", "budget", figures.money),
        Column("actual", "to date", figures.money),
        Column("used", "used", percent),
        Column("landing", "expected", figures.estimate),
        Column("landing_q80", "at most (80 %)", figures.estimate),
        Column("basis", "crossed by"),
    ]
    return Section("budgets", "Budgets", heading, tables=[Table("budgets", columns, rows, currency=asked.currency)])


def anomalies(asked: Asked) -> Section | None:
    """The anomalies of the period that somebody was told about; None where nobody looked for any."""
    rows = asked.rows(_EPISODES)
    if not rows:
        [looked] = asked.rows("select count(*) as number from episodes")
        if not looked["number"]:
            return None
        return Section("anomalies", "Anomalies", "Nothing stood out on these days")
    first = rows[0]
    for row in rows:
        row["why"] = _why(row["cause"])
    columns = [
        Column("first_day", "from", figures.day),
        Column("last_day", "to", figures.day),
        Column("dimension", "of"),
        Column("key", "which"),
        Column("rule", "found by"),
        Column("impact", "impact", figures.estimate),
        Column("title", "what"),
        Column("why", "why"),
        Column("state", "state"),
    ]
    tables = [Table("anomalies", columns, rows, currency=asked.currency)]
    return Section(
        "anomalies",
        "Anomalies",
        f"{len(rows)} {'anomaly' if len(rows) == 1 else 'anomalies'}; the largest: {first['title']}",
        tables=tables,
    )


def _why(cause: str | None) -> str | None:
    """The first slice that explains an episode, in words."""
    slices = json.loads(cause) if cause else []
    if not isinstance(slices, list) or not slices:
        return None
    keys: Row = slices[0].get("slice", {})
    return ", ".join(f"{dimension} {value}" for dimension, value in keys.items()) or None
