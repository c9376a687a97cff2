"""The page that answers: what does one task of the agents cost, and which ran away?"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice
from dashboard.drawing import draw
from dashboard.parts import EDGES, finding
from dashboard.published import Published, Row, published
from dashboard.queries import agents as queries
from dashboard.tables import Column
from farthing import charts, figures
from farthing.figures import count, money

QUESTION = "What does one task cost, and which tasks ran away?"


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        spread = warehouse.one(queries.SPREAD, **choice.parameters)
        if not spread["tasks"]:
            finding(f"No task with a cost in {choice.currency} began on these days")
            parts.missing(
                "A task is made of the requests that carry the same trace_id.",
                '[sources.requests]\nkind = "requests"\npath = "requests/*.csv"\n'
                '[sources.requests.columns]\ntrace_id = "trace"\nagent = "agent"\ntool = "tool"',
            )
            return
        _key_figures(spread, choice)
        left, right = st.columns(2, gap="medium")
        with left:
            _spread(warehouse, choice, spread)
        with right:
            _agents(warehouse, choice)
        _tasks(warehouse, choice, spread)
        left, right = st.columns(2, gap="medium")
        with left:
            _agent_table(warehouse, choice)
        with right:
            _tools(warehouse, choice)


def _key_figures(spread: Row, choice: Choice) -> None:
    tasks, *places = st.columns(6, gap="small")
    tasks.metric("Tasks", count(spread["tasks"]))
    figures_of = {
        "Median": "median",
        "p95": "p95",
        "p99": "p99",
        "Dearest": "highest",
        "All tasks": "cost",
    }
    for place, (label, column) in zip(places, figures_of.items(), strict=True):
        place.metric(f"{label}, {choice.currency}", money(spread[column]))


def _spread(warehouse: Published, choice: Choice, spread: Row) -> None:
    factor = f", {figures.ratio(spread['highest'], spread['median'])} the median" if spread["median"] > 0 else ""
    finding(
        f"The dearest task cost {money(spread['highest'])} {choice.currency}{factor}",
        "cost of a task's LLM calls; idle and shared cost are not in it",
    )
    rows = warehouse.rows(queries.SPREAD_BINS, **choice.parameters, edges=EDGES)
    marks = {name: spread[column] for name, column in (("median", "median"), ("p95", "p95"), ("p99", "p99"))}
    bins, named = parts.spread(rows, "tasks", {**marks, "dearest": spread["highest"]})
    draw(charts.histogram(bins, named, choice.currency, of="tasks", height=270), "spread")


def _agents(warehouse: Published, choice: Choice) -> None:
    rows = [row for row in warehouse.rows(queries.AGENTS, **choice.parameters) if row["cost"]]
    if not rows:
        return
    top, whole = rows[0], sum(row["cost"] for row in rows)
    finding(
        f"{parts.name(top['agent'] or parts.NO_AGENT)} costs most: {figures.share(top['cost'], whole)} of what the"
        " agents' calls cost"
    )
    bars = [(row["agent"] or parts.NO_AGENT, row["cost"]) for row in rows[:10]]
    draw(charts.signed_by_name(bars, choice.currency, bad="negative", height=270), "agents")


def _tasks(warehouse: Published, choice: Choice, spread: Row) -> None:
    rows = warehouse.rows(queries.DEAREST, **choice.parameters)
    away = sum(1 for row in rows if row["cost"] and row["cost"] > 10 * spread["p95"])
    finding(
        f"{away:,} tasks ran away: each cost more than ten times the p95" if away else "No task ran away",
        "Run away: more than ten times the 95th percentile. The table has the 100 dearest tasks.",
    )
    columns = [
        Column("task"),
        Column("began (UTC)"),
        Column("user"),
        Column("customer"),
        Column("LLM calls", count),
        Column("agents", count),
        Column("cost", money, choice.currency),
        Column("of the median", lambda cost: figures.ratio(cost, spread["median"])),
    ]
    shown = [
        [
            row["trace_id"],
            f"{row['started_at']:%Y-%m-%d %H:%M}",
            row["user_id"],
            row["customer_id"],
            row["llm_calls"],
            row["agents"],
            row["cost"],
            row["cost"],
        ]
        for row in rows
    ]
    tables.show("tasks", columns, shown, height=330)


def _agent_table(warehouse: Published, choice: Choice) -> None:
    finding("Cost by agent")
    _shares("agent", warehouse.rows(queries.AGENTS, **choice.parameters), choice)


def _tools(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.TOOLS, **choice.parameters)
    finding("Cost by tool", "LLM calls made for a tool, of the days whose requests the warehouse keeps")
    if rows:
        _shares("tool", rows, choice)
        return
    st.caption("No request of these days that the warehouse still keeps names a tool (`[warehouse] request_days`).")


def _shares(what: str, rows: Sequence[Row], choice: Choice) -> None:
    columns = [
        Column(what),
        Column("tasks", count),
        Column("LLM calls", count),
        Column("cost", money, choice.currency),
        Column("per call", money, choice.currency),
    ]
    shown = [
        [
            row[what] or parts.NO_AGENT,
            row["tasks"],
            row["llm_calls"],
            row["cost"],
            parts.per(row["cost"], row["llm_calls"]),
        ]
        for row in rows
    ]
    tables.show(f"{what}s", columns, shown)
