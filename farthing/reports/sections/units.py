"""What one unit costs: a request, a million tokens, and each thing that a metric counts; training stands apart."""

from __future__ import annotations

from decimal import Decimal

from farthing import figures
from farthing.reports.asked import Asked, added, per
from farthing.reports.document import Column, Row, Section, Table
from farthing.reports.sections.sums import Sums

_AMORTISATION = """
select model, sum(cost) as cost
from training_amortisation
where BillingCurrency = $currency and month between date_trunc('month', $first) and $last
group by all
having sum(cost) <> 0
order by cost desc, model
"""

_RUNS = """
select
    coalesce(experiment, model_produced, job_id) as run,
    model_produced,
    count(distinct job_id) as jobs,
    round(sum(gpu_hours), 6) as gpu_hours,
    sum(cost) as cost,
    sum(lost_cost) as lost_cost
from training_runs
where
    BillingCurrency = $currency
    and cast(started_at as date) <= $last
    and (ended_at is null or cast(ended_at as date) >= $first)
group by all
order by cost desc, run
limit 15
"""


def units(asked: Asked, found: Sums) -> Section:
    """Cost of serving for each unit; a unit that nobody counts is left out, in words."""
    rows: list[Row] = []
    for name, size, number in (("1,000 requests", 1_000, found.requests), ("million tokens", 1_000_000, found.tokens)):
        if number:
            rows.append(_unit(name, "logged", number, found.serving, size))
    for row in found.metrics:
        name = row["name"].replace("_", " ")
        rows.append(_unit(name, "sum of the days", row["total"], found.serving))
        if row["every_day"]:  # what is stored is not added up over days
            rows[-1] = _unit(name, "mean of a day", row["mean"], found.serving)
    if not rows:
        say = "Neither requests nor metrics are known on these days."
        return Section("units", "Unit costs", "No unit is counted", [say])
    cost, counted = rows[0]["cost_per_unit"], rows[0]["unit"]
    if found.unit is not None:
        made, quantity = found.unit
        cost, counted = per(found.serving, quantity), f"each of {figures.number(quantity)} {made}"
    said = []
    if found.requests_without_usage:
        said.append(
            f"{figures.count(found.requests_without_usage)} of {figures.count(found.requests)} requests do not say"
            " their tokens; they are in no count of tokens."
        )
    if not found.metrics:
        said.append("No metric counts what the company makes: a source of kind metrics brings it.")
    columns = [
        Column("unit", "unit"),
        Column("counted", "counted as"),
        Column("quantity", "how many", figures.number),
        Column("cost", "serving (cogs)", figures.money),
        Column("cost_per_unit", f"{asked.currency} per unit", figures.money),
    ]
    note = (
        "Cost of serving (class cogs) by what was counted. Training is not in it. A metric that is said of the same"
        " keys on every day, as what is stored, counts with the mean of its days; every other with their sum."
    )
    return Section(
        "units",
        "Unit costs",
        f"Serving cost {figures.money(cost)} {asked.currency} for {counted}",
        said,
        tables=[Table("unit_costs", columns, rows, note=note, currency=asked.currency)],
    )


def _unit(name: str, counted: str, number: Decimal | int, cost: Decimal, size: int = 1) -> Row:
    each = per(cost, number, size)
    return {"unit": name, "counted": counted, "quantity": number, "cost": cost, "cost_per_unit": each}


def training(asked: Asked, found: Sums) -> Section | None:
    """What training cost, what of it was lost, and what is written off; None where there is none."""
    cost = found.of_kind("training")
    runs = asked.rows(_RUNS) if asked.has("training_runs") else []
    written = asked.rows(_AMORTISATION) if asked.has("training_amortisation") else []
    if not cost and not runs and not written:
        return None
    heading = f"Jobs took {figures.money(cost)} {asked.currency} on these days"
    said, tables = [], []
    lost = added(runs, "lost_cost")
    if lost:
        said.append(
            f"Of the runs below {figures.money(lost)} {asked.currency} were lost: jobs that failed, after the last"
            " checkpoint."
        )
    if runs:
        columns = [
            Column("run", "experiment or run"),
            Column("model_produced", "model"),
            Column("jobs", "jobs", figures.count),
            Column("gpu_hours", "GPU-hours", _hours),
            Column("cost", "cost", figures.money),
            Column("lost_cost", "lost", figures.money),
        ]
        note = "Whole runs that touch these days, with their cost outside them too."
        tables.append(Table("training_runs", columns, runs, title="Training runs", note=note, currency=asked.currency))
    if written:
        said.append(
            f"{figures.money(added(written))} {asked.currency} of training are written off this month, over the life"
            " of the models. That is a line of its own and in no unit cost."
        )
        columns = [Column("model", "model"), Column("cost", asked.currency, figures.money)]
        tables.append(
            Table("training_amortisation", columns, written, title="Written off this month", currency=asked.currency)
        )
    return Section("training", "Training", heading, said, tables=tables)


def _hours(hours: float | Decimal | None) -> str:
    return figures.MISSING if hours is None else f"{hours:,.1f}"
