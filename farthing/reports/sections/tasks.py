"""What one task of the agents costs, and which were the dearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farthing import figures
from farthing.reports.asked import Asked
from farthing.reports.document import Column, Section, Table

if TYPE_CHECKING:
    from farthing.charts import Chart

_TASKS = """
with tasks as (
    select trace_id, user_id, customer_id, started_at, llm_calls, agents, cost
    from trace_costs
    where BillingCurrency = $currency and cast(started_at as date) between $first and $last
)
"""

_SPREAD = (
    _TASKS
    + """
select
    count(cost) as tasks,
    quantile_disc(cost, 0.5) as p50,
    quantile_disc(cost, 0.95) as p95,
    quantile_disc(cost, 0.99) as p99,
    max(cost) as dearest,
    sum(cost) as cost
from tasks
"""
)

_DEAREST = _TASKS + "select * from tasks where cost is not null order by cost desc, trace_id limit 10"

_AGENTS = """
select agent, count(distinct trace_id) as tasks, cast(sum(llm_calls) as bigint) as llm_calls, sum(cost) as cost
from trace_days
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc nulls last, agent
limit 15
"""


def tasks(asked: Asked) -> Section:
    """The spread of what a task costs, its agents, and the dearest tasks."""
    spread = asked.one(_SPREAD)
    title = "Agent tasks"
    if not spread["tasks"]:
        say = "A task is made of the requests that carry the same trace_id."
        return Section("tasks", title, f"No task with a cost in {asked.currency} began on these days", [say])
    heading = (
        f"Half of {figures.count(spread['tasks'])} tasks cost at most {figures.money(spread['p50'])} {asked.currency},"
        f" one in a hundred more than {figures.money(spread['p99'])}"
    )
    dearest = asked.rows(_DEAREST)
    said = []
    if spread["p50"] > 0:
        said.append(
            f"The dearest, {dearest[0]['trace_id']}, cost {figures.money(spread['dearest'])} {asked.currency}:"
            f" {figures.ratio(spread['dearest'], spread['p50'])} the median."
        )
    agents = asked.rows(_AGENTS)

    def chart() -> Chart:
        from farthing import charts

        bars = [(row["agent"] or "(no agent)", row["cost"]) for row in agents if row["cost"]]
        return charts.signed_by_name(bars[:10], f"cost of LLM calls, {asked.currency}", bad="negative", height=260)

    amounts = [Column(name, name, figures.money) for name in ("p50", "p95", "p99", "dearest", "cost")]
    spread_columns = [Column("tasks", "tasks", figures.count), *amounts]
    agent_columns = [
        Column("agent", "agent"),
        Column("tasks", "tasks", figures.count),
        Column("llm_calls", "LLM calls", figures.count),
        Column("cost", "cost", figures.money),
    ]
    task_columns = [
        Column("trace_id", "task"),
        Column("started_at", "began (UTC)", lambda moment: f"{moment:%Y-%m-%d %H:%M}"),
        Column("user_id", "user"),
        Column("customer_id", "customer"),
        Column("llm_calls", "LLM calls", figures.count),
        Column("agents", "agents", figures.count),
        Column("cost", "cost", figures.money),
    ]
    money, note = asked.currency, "Cost of a task's LLM calls; idle and shared cost are not in it."
    return Section(
        "tasks",
        title,
        heading,
        said,
        tables=[
            Table("task_costs", spread_columns, [spread], note=note, currency=money),
            Table("agents", agent_columns, agents, title="By agent", currency=money),
            Table("dearest_tasks", task_columns, dearest, title="The dearest tasks", currency=money),
        ],
        chart=chart if any(row["cost"] for row in agents) else None,
        chart_says=f"Cost by agent, {money}",
    )
