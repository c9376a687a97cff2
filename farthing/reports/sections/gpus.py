"""What the GPUs did with the time that was paid, and what of it was idle."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from farthing import figures
from farthing.reports.asked import Asked, added, part, percent
from farthing.reports.document import Column, Row, Section, Table

if TYPE_CHECKING:
    from farthing.charts import Chart

_KINDS = ("direct", "training", "idle", "unobserved", "unexplained")
_TOP_NODES = 15
_NIGHT_HOURS = 6

_NODES = """
select
    pool,
    coalesce(node_id, ResourceId) as node,
    string_agg(distinct gpu_model, ', ' order by gpu_model) as gpu_models,
    count(distinct gpu_uuid) as gpus,
    sum(billed_seconds) as billed_seconds,
    sum(covered_seconds) as covered_seconds,
    sum(busy_seconds) as busy_seconds,
    sum(cost) as cost,
    sum(direct_cost) as direct_cost,
    sum(training_cost) as training_cost,
    sum(idle_cost) as idle_cost,
    sum(unobserved_cost) as unobserved_cost,
    sum(unexplained_cost) as unexplained_cost
from gpu_day
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc, pool, node
"""

_NIGHT = """
select
    sum(idle_cost) as idle_cost,
    sum(idle_cost) filter (where hour < $night) as night_cost
from gpu_hours
where BillingCurrency = $currency and day between $first and $last
"""

_HOURS = """
select
    day,
    hour,
    -- rounded, as sums of floats differ in their last digits from run to run
    cast(round(sum(busy_seconds) / nullif(sum(covered_seconds), 0), 6) as decimal(9, 6)) as busy_share,
    coalesce(sum(idle_cost), 0) as idle_cost
from gpu_hours
where BillingCurrency = $currency and day between $first and $last
group by all
order by day, hour
"""


def gpus(asked: Asked) -> Section:
    """Busy, idle and unobserved time of the GPUs, node by node."""
    rows = asked.rows(_NODES)
    title = "GPUs and idle time"
    if not rows:
        say = "GPUs show when a pool of kind gpu takes their charges and an inventory names them."
        return Section("gpus", title, f"No GPU was paid in {asked.currency}", [say])
    for row in rows:
        row["gpu_hours"] = _decimal(row["billed_seconds"]) / 3600
        row["busy_share"] = _share(row["busy_seconds"], row["covered_seconds"])
    cost, idle, unobserved = added(rows), added(rows, "idle_cost"), added(rows, "unobserved_cost")
    busy = _share(sum(row["busy_seconds"] or 0 for row in rows), sum(row["covered_seconds"] or 0 for row in rows))
    heading = f"Of {figures.money(cost)} {asked.currency} for GPUs, {percent(part(idle, cost))} paid for idle time"
    said = ["No telemetry says what the GPUs did: idle time is not known."]
    if busy is not None:
        said = [f"The GPUs were busy {percent(busy)} of the time that telemetry observed."]
    else:
        heading = f"{figures.money(cost)} {asked.currency} were paid for GPUs"
    if unobserved:
        said.append(
            f"{figures.money(unobserved)} {asked.currency}, {percent(part(unobserved, cost))}, paid for time without"
            " telemetry; not observed is not idle."
        )
    forgotten = [row for row in rows if row["covered_seconds"] and not row["busy_seconds"] and row["cost"]]
    if forgotten:
        names = ", ".join(str(row["node"]) for row in forgotten[:5])
        said.append(f"Never seen busy: {names}, {figures.money(added(forgotten))} {asked.currency}.")
    hours: list[Row] = []
    if asked.has("gpu_hours"):
        night = asked.one(_NIGHT, night=_NIGHT_HOURS)
        hours = asked.rows(_HOURS)
        if night["idle_cost"]:
            said.append(
                f"Between 0 and {_NIGHT_HOURS} o'clock UTC idle time cost {figures.money(night['night_cost'])}"
                f" {asked.currency}, {percent(part(night['night_cost'], night['idle_cost']))} of all idle cost."
            )

    def chart() -> Chart:
        from farthing import charts

        if hours:
            busy_cells = [(row["day"], row["hour"], _float(row["busy_share"]), row["idle_cost"]) for row in hours]
            return charts.busy_hours(busy_cells, asked.period.first, asked.period.last, asked.currency, height=230)
        bars = [
            (str(row["node"]), {kind: row[f"{kind}_cost"] for kind in _KINDS if row[f"{kind}_cost"]})
            for row in rows[:_TOP_NODES]
        ]
        return charts.stacked_by_name(bars, asked.currency, height=340)

    columns = [
        Column("node", "node"),
        Column("pool", "pool"),
        Column("gpu_models", "GPU"),
        Column("gpus", "GPUs", figures.count),
        Column("gpu_hours", "GPU-hours", _one_decimal),
        Column("busy_share", "busy", percent),
        Column("cost", "cost", figures.money),
        *(Column(f"{kind}_cost", kind, figures.money) for kind in _KINDS),
    ]
    tables = [Table("gpu_nodes", columns, [*rows[:_TOP_NODES], *_rest(rows[_TOP_NODES:])], currency=asked.currency)]
    if hours:
        cells = [
            Column("day", "day"),
            Column("hour", "hour"),
            Column("busy_share", "busy"),
            Column("idle_cost", "idle"),
        ]
        tables.append(Table("gpu_hours", cells, hours, currency=asked.currency, drawn=True))
    says = "Busy share of each hour; yellow is idle, blue is busy, grey is time without telemetry"
    if not hours:
        says = f"What each node's time went to, {asked.currency}"
    return Section("gpus", title, heading, said, tables=tables, chart=chart, chart_says=says)


def _rest(rows: list[Row]) -> list[Row]:
    if not rows:
        return []
    rest: Row = dict.fromkeys(rows[0])
    rest |= {column: added(rows, column) for column in ("cost", *(f"{kind}_cost" for kind in _KINDS))}
    rest |= {"node": f"{len(rows)} others", "gpu_hours": added(rows, "gpu_hours")}
    rest["gpus"] = sum(row["gpus"] for row in rows)
    rest["busy_share"] = _share(
        sum(row["busy_seconds"] or 0 for row in rows), sum(row["covered_seconds"] or 0 for row in rows)
    )
    return [rest]


def _decimal(seconds: float | None) -> Decimal:
    """Seconds as a decimal of microseconds, so that no binary fraction shows."""
    return Decimal(round(1_000_000 * (seconds or 0))) / 1_000_000


def _share(busy: float | None, covered: float | None) -> Decimal | None:
    return _decimal(busy) / _decimal(covered) if covered else None


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _one_decimal(value: Decimal | None) -> str:
    return figures.MISSING if value is None else f"{value:,.1f}"
