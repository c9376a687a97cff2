"""What one unit costs: a request, a million tokens, and each thing that a metric counts; training stands apart."""

from __future__ import annotations

from decimal import Decimal

from farthing import figures, questions
from farthing.reports.asked import Asked, added
from farthing.reports.document import Column, Section, Table
from farthing.reports.sections.sums import Sums

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
    rows = found.units
    if not rows:
        say = (
            f"Neither requests nor a unit of [units] are known with a cost of serving (class cogs) in {asked.currency}."
        )
        return Section("units", "Unit costs", "No unit is counted", [say])
    first = rows[0]
    said = []
    if found.requests_without_usage:
        said.append(
            f"{figures.count(found.requests_without_usage)} of {figures.count(found.requests)} requests do not say"
            " their tokens; they are in no count of tokens."
        )
    if found.unit is None:
        said.append("What the company counts its work in is not named: [units.NAME] in farthing.toml names a metric.")
    columns = [
        Column("unit", "unit"),
        Column("quantity", "how many", figures.number),
        Column("cost", "serving (cogs)", figures.money),
        Column("cost_per_unit", f"{asked.currency} per unit", figures.money),
        Column("training_cost_per_unit", "training per unit", figures.money),
    ]
    note = (
        "Cost of serving (class cogs) by what was counted. Training is not in it: what is written off of it this month"
        " stands beside."
    )
    return Section(
        "units",
        "Unit costs",
        f"Serving cost {figures.money(first['cost_per_unit'])} {asked.currency} per {first['unit']},"
        f" of {figures.number(first['quantity'])}",
        said,
        tables=[Table("unit_costs", columns, rows, note=note, currency=asked.currency)],
    )


def training(asked: Asked, found: Sums) -> Section | None:
    """What training cost, what of it was lost, and what is written off; None where there is none."""
    cost = found.of_kind("training")
    runs = asked.rows(_RUNS)
    written = asked.rows(questions.AMORTISATION)
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
            " of the models. That is a line of its own, never in the cost of serving."
        )
        columns = [Column("model", "model"), Column("cost", asked.currency, figures.money)]
        tables.append(
            Table("training_amortisation", columns, written, title="Written off this month", currency=asked.currency)
        )
    return Section("training", "Training", heading, said, tables=tables)


def _hours(hours: float | Decimal | None) -> str:
    return figures.MISSING if hours is None else f"{hours:,.1f}"
