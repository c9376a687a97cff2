"""What the money was spent on: class and kind over time, pools, and what moved against the period before."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from farthing import figures
from farthing.reports.asked import Asked, added, part, percent
from farthing.reports.document import Column, Row, Section, Table
from farthing.reports.sections.sums import CLASSES, NO_CLASS, Sums

if TYPE_CHECKING:
    from farthing.charts import Chart

_TOP_MOVERS = 10

_BY_DAY = """
select day, kind, sum(cost) as cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
group by all
order by day, kind
"""

_POOLS = """
with bill as (
    select pool, sum(cost) as cost
    from pool_days
    where BillingCurrency = $currency and day between $first and $last
    group by all
),
ledger as (
    select pool, sum(cost) as cost, coalesce(sum(cost) filter (where provisional), 0) as provisional_cost
    from cost_ledger
    where BillingCurrency = $currency and day between $first and $last
    group by all
)
select
    coalesce(bill.pool, ledger.pool) as pool,
    pools.kind,
    pools.class,
    pools.gl_account,
    coalesce(bill.cost, 0) - coalesce(ledger.provisional_cost, 0) as bill_cost,
    coalesce(ledger.provisional_cost, 0) as provisional_cost,
    coalesce(ledger.cost, 0) as cost,
    coalesce(bill.cost, 0) - coalesce(ledger.cost, 0) as difference
from bill
full join ledger on bill.pool = ledger.pool
left join pools on coalesce(bill.pool, ledger.pool) = pools.pool
order by abs(coalesce(ledger.cost, 0)) desc, pool
"""

#: A model where one is known, else the pool: every line of the ledger is in one of them.
_MOVERS = """
with lines as (
    select
        case when model is null then 'pool' else 'model' end as what,
        coalesce(model, pool) as name,
        day >= $first as now,
        cost
    from cost_ledger
    where
        BillingCurrency = $currency
        and (day between $first and $last or day between $before_first and $before_last)
)
select
    what,
    name,
    coalesce(sum(cost) filter (where not now), 0) as cost_before,
    coalesce(sum(cost) filter (where now), 0) as cost,
    coalesce(sum(cost) filter (where now), 0) - coalesce(sum(cost) filter (where not now), 0) as change
from lines
group by all
having change <> 0
order by abs(change) desc, what, name
"""


def classes(asked: Asked, found: Sums) -> Section:
    """Spend by class and kind, with its days as a chart."""
    by_class: list[Row] = [
        {"class": name, "cost": found.of_class(name), "share": part(found.of_class(name), found.cost)}
        for name in (*CLASSES, None)
        if any(row["class"] == name for row in found.spend)
    ]
    said = ", ".join(f"{_class(row['class'])} {percent(row['share'])}" for row in by_class)
    kinds, meanings = dict.fromkeys(row["kind"] for row in found.spend), asked.kinds()
    by_kind: list[Row] = [
        {
            "kind": kind,
            "cost": found.of_kind(kind),
            "share": part(found.of_kind(kind), found.cost),
            "meaning": meanings.get(kind),
        }
        for kind in kinds
    ]
    by_kind.sort(key=lambda row: (-abs(row["cost"] or Decimal(0)), str(row["kind"])))
    days = asked.rows(_BY_DAY)

    def chart() -> Chart:
        from farthing import charts

        bars = [(row["day"], row["kind"], row["cost"]) for row in days]
        return charts.kinds_over_time(bars, asked.period.first, asked.period.last, asked.currency, height=220)

    cost, share = Column("cost", asked.currency, figures.money), Column("share", "share", percent)
    return Section(
        "spend",
        "Spend",
        f"By class: {said}" if by_class else "Nothing was spent",
        tables=[
            Table("spend_by_class", [Column("class", "class", _class), cost, share], by_class, currency=asked.currency),
            Table(
                "spend_by_kind",
                [Column("kind", "kind"), cost, share, Column("meaning", "is")],
                by_kind,
                currency=asked.currency,
            ),
            Table(
                "spend_by_day",
                [Column("day", "day"), Column("kind", "kind"), cost],
                days,
                currency=asked.currency,
                drawn=True,
            ),
        ],
        chart=chart if days else None,
        chart_says=f"Spend of each day by kind, {asked.currency}",
    )


def pools(asked: Asked) -> Section:
    """Spend by pool, from what was billed to what the ledger hands out."""
    rows = asked.rows(_POOLS)
    whole = added(rows)
    for row in rows:
        row["share"] = part(row["cost"], whole)
    off = [row["pool"] for row in rows if row["difference"]]
    heading = "No pool was charged"
    if off:
        heading = f"Billed and not handed out: {', '.join(off)}"
    elif rows:
        heading = f"The pool {rows[0]['pool']} is {percent(rows[0]['share'])} of spend"
    columns = [
        Column("pool", "pool"),
        Column("kind", "kind"),
        Column("class", "class"),
        Column("gl_account", "GL account"),
        Column("bill_cost", "billed", figures.money),
        Column("provisional_cost", "provisional", figures.money),
        Column("cost", "ledger", figures.money),
        Column("share", "share", percent),
        Column("difference", "difference", figures.trimmed),
    ]
    return Section("pools", "Pools", heading, tables=[Table("pools", columns, rows, currency=asked.currency)])


def movers(asked: Asked) -> Section:
    """What cost more, or less, than in the period before."""
    title = "Changes"
    if asked.period.before is None:
        why = (
            "is not over yet" if not asked.period.whole else f"has no whole {asked.period.noun} before it in the ledger"
        )
        return Section("changes", title, "There is nothing to compare with", [f"{asked.period.title} {why}."])
    first, last = asked.period.before
    rows = asked.rows(_MOVERS, before_first=first, before_last=last)
    for row in rows:
        row["change_share"] = part(row["change"], row["cost_before"])
    change = added(rows, "change")
    days = figures.period(first, last)
    if not rows:
        return Section("changes", title, f"Nothing moved against {days}")
    way = "more" if change > 0 else "less"
    said: list[str] = []
    largest, smallest = max(rows, key=_change), min(rows, key=_change)
    if largest["change"] > 0:
        said.append(f"Largest rise: {_named(largest)}, {figures.money(largest['change'])} {asked.currency}.")
    if smallest["change"] < 0:
        said.append(f"Largest fall: {_named(smallest)}, {figures.money(-smallest['change'])} {asked.currency}.")
    top = rows[:_TOP_MOVERS]

    def chart() -> Chart:
        from farthing import charts

        bars = [(str(row["name"]), row["change"]) for row in top]
        words = f"change against {days}, {asked.currency}"
        return charts.signed_by_name(bars, words, bad="positive", height=300)

    columns = [
        Column("what", "what"),
        Column("name", "name"),
        Column("cost_before", "before", figures.money),
        Column("cost", "now", figures.money),
        Column("change", "change", figures.money),
        Column("change_share", "of before", percent),
    ]
    shown = [*top, *_rest(rows[_TOP_MOVERS:])]
    return Section(
        "changes",
        title,
        f"{figures.money(abs(change))} {asked.currency} {way} than in the {asked.period.noun} before",
        said,
        tables=[Table("changes", columns, shown, currency=asked.currency)],
        chart=chart,
        chart_says=f"Largest changes against {days}, {asked.currency}",
    )


def _rest(rows: list[Row]) -> list[Row]:
    if not rows:
        return []
    before, change = added(rows, "cost_before"), added(rows, "change")
    rest: Row = {"what": None, "name": f"{len(rows)} others", "cost_before": before, "cost": added(rows)}
    return [rest | {"change": change, "change_share": part(change, before)}]


def _change(row: Row) -> Decimal:
    change: Decimal = row["change"]
    return change


def _named(row: Row) -> str:
    return f"{row['what']} {row['name']}"


def _class(name: str | None) -> str:
    return CLASSES.get(name or "", NO_CLASS)
