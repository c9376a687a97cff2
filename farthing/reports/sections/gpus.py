"""What the GPUs did with the time that was paid, and what of it was idle."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from farthing import figures, questions
from farthing.reports.asked import Asked, added, part, percent
from farthing.reports.document import Column, Row, Section, Table

if TYPE_CHECKING:
    from farthing.charts import Chart

_KINDS = ("direct", "training", "idle", "unobserved", "unexplained")
_TOP_NODES = 15
_NIGHT_HOURS = 6


def gpus(asked: Asked) -> Section:
    """Busy, idle and unobserved time of the GPUs, node by node."""
    rows = asked.rows(questions.GPU_NODES)
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
    hours = asked.rows(questions.GPU_HOURS)
    whole = added(hours, "idle_cost")
    if whole:
        nightly = added((row for row in hours if row["hour"] < _NIGHT_HOURS), "idle_cost")
        said.append(
            f"Between 0 and {_NIGHT_HOURS} o'clock UTC idle time cost {figures.money(nightly)} {asked.currency},"
            f" {percent(part(nightly, whole))} of all idle cost."
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
    tables += _rates(asked)
    says = "Busy share of each hour; yellow is idle, blue is busy, grey is time without telemetry"
    if not hours:
        says = f"What each node's time went to, {asked.currency}"
    return Section("gpus", title, heading, said, tables=tables, chart=chart, chart_says=says)


def _rates(asked: Asked) -> list[Table]:
    """What an hour of each GPU cost, and what of it lies above the cheapest contract."""
    rows = asked.rows(questions.GPU_RATES)
    columns = [
        Column("provider", "provider"),
        Column("gpu_model", "GPU"),
        Column("pricing_category", "pricing"),
        Column("commitment", "commitment"),
        Column("gpu_hours", "GPU-hours", _one_decimal),
        Column("cost", "cost", figures.money),
        Column("rate", "per hour", figures.money),
        Column("cheapest_contracted_rate", "cheapest contract", figures.money),
        Column("premium", "premium", figures.money),
    ]
    note = "The newest rate of the period. Premium: what was paid above the cheapest contracted rate of the same GPU."
    title = "Rates of GPU-hours"
    return [Table("gpu_rates", columns, rows, title=title, note=note, currency=asked.currency)] if rows else []


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


def _one_decimal(value: Decimal | float | None) -> str:
    return figures.MISSING if value is None else f"{value:,.1f}"
