"""The page that answers: what did the GPUs do with the time that was paid?"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice
from dashboard.drawing import draw, legend
from dashboard.parts import finding
from dashboard.published import Published, Row, published
from dashboard.queries import gpus as queries
from dashboard.tables import Column
from farthing import charts, figures, questions
from farthing.figures import count, money

QUESTION = "What did the GPUs do with the time that was paid?"
TOP_NODES = 8
NIGHT_HOURS = 6
GPU_KINDS = ("direct", "training", "idle", "unobserved", "unexplained")


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        time = warehouse.one(queries.TIME, **choice.parameters)
        if not time["gpus"]:
            finding(f"No GPU was paid in {choice.currency} on these days")
            parts.missing(
                "GPUs show when a pool of kind gpu takes their charges and the inventory names them.",
                '[sources.gpus]\nkind = "gpu_inventory"\npath = "gpus.csv"\n\n'
                '[sources.telemetry]\nkind = "gpu_usage"\npath = "dcgm/*.csv"\n\n'
                '[[pools]]\nname = "gpu"\nkind = "gpu"\nmatch = { ServiceCategory = "Compute" }',
            )
            return
        nodes = warehouse.rows(questions.GPU_NODES, **choice.parameters)
        _key_figures(time, choice)
        _hours(warehouse, choice)
        legend()
        left, right = st.columns(2, gap="medium")
        with left:
            _nodes(nodes, choice)
        with right:
            _rates(warehouse, choice)
        _node_table(nodes, choice)


def _key_figures(time: Row, choice: Choice) -> None:
    gpus, hours, busy, idle, unobserved = st.columns(5, gap="small")
    gpus.metric("GPUs", count(time["gpus"]))
    hours.metric("GPU-hours paid", f"{time['billed_seconds'] / 3600:,.0f}")
    busy.metric("Busy, of observed time", _share(time["busy_seconds"], time["covered_seconds"]))
    idle.metric(
        f"Idle, {choice.currency}", f"{money(time['idle_cost'])} ({figures.share(time['idle_cost'], time['cost'])})"
    )
    unobserved.metric(
        f"Unobserved, {choice.currency}",
        f"{money(time['unobserved_cost'])} ({figures.share(time['unobserved_cost'], time['cost'])})",
    )


def _share(part: float | None, whole: float | None) -> str:
    return figures.share(Decimal(part or 0), Decimal(whole)) if whole else figures.MISSING


def _hours(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(questions.GPU_HOURS, **choice.parameters)
    if not rows:
        return
    whole = sum((row["idle_cost"] for row in rows), Decimal(0))
    nightly = sum((row["idle_cost"] for row in rows if row["hour"] < NIGHT_HOURS), Decimal(0))
    finding(
        f"Between 0 and {NIGHT_HOURS} o'clock UTC the fleet idled for {money(nightly)} {choice.currency},"
        f" {figures.share(nightly, whole)} of all idle cost",
        "Each cell is one hour of one day: yellow is idle, blue is busy, grey is time without telemetry.",
    )
    cells = [(row["day"], row["hour"], _float(row["busy_share"]), row["idle_cost"]) for row in rows]
    draw(charts.busy_hours(cells, choice.first, choice.last, choice.currency, height=230), "busy-hours")


def _float(share: Decimal | None) -> float | None:
    return None if share is None else float(share)


def _node(row: Row) -> str:
    return str(row["node"]) if row["node"] is not None else "(no node)"


def _nodes(nodes: Sequence[Row], choice: Choice) -> None:
    forgotten = [row for row in nodes if row["covered_seconds"] and not row["busy_seconds"] and row["cost"]]
    unwatched = [row for row in nodes if not row["covered_seconds"] and row["unobserved_cost"]]
    said = [
        f"{what}: {_names(rows)}, {money(sum((row[column] for row in rows), Decimal(0)))} {choice.currency}"
        for what, rows, column in (
            ("Paid and never seen busy", forgotten, "cost"),
            ("Not watched", unwatched, "unobserved_cost"),
        )
        if rows
    ]
    finding("; ".join(said) or "Every node was busy at some time", "Not watched: no telemetry says what it did.")
    bars = [(_node(row), _kinds(row)) for row in nodes[:TOP_NODES]]
    if rest := nodes[TOP_NODES:]:
        sums = {kind: sum((row[f"{kind}_cost"] or Decimal(0) for row in rest), Decimal(0)) for kind in GPU_KINDS}
        bars.append((figures.counted(len(rest), "other node"), sums))
    draw(charts.stacked_by_name(bars, choice.currency, height=300), "nodes")


def _names(rows: Sequence[Row]) -> str:
    names = ", ".join(parts.name(_node(row)) for row in rows[:3])
    return f"{names} and {len(rows) - 3} more" if len(rows) > 3 else names


def _kinds(row: Row) -> dict[str, Decimal]:
    return {kind: row[f"{kind}_cost"] for kind in GPU_KINDS if row[f"{kind}_cost"]}


def _rates(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(questions.GPU_RATES, **choice.parameters)
    if not rows:
        finding("No rate of a GPU-hour is known on these days")
        return
    premium = sum((row["premium"] for row in rows if row["premium"]), Decimal(0))
    finding(
        f"Above the cheapest contracted rate: {money(premium)} {choice.currency}",
        "the newest rate in the period, and the premium of all its days",
    )
    columns = [
        Column("provider"),
        Column("GPU"),
        Column("pricing"),
        Column("commitment"),
        Column("GPU-hours", figures.number),
        Column("per hour", money, choice.currency),
        Column("cheapest", money, "cheapest contracted rate of the same GPU"),
        Column("premium", money, choice.currency),
    ]
    names = (
        "provider",
        "gpu_model",
        "pricing_category",
        "commitment",
        "gpu_hours",
        "rate",
        "cheapest_contracted_rate",
        "premium",
    )
    tables.show("gpu-rates", columns, [[row[n] for n in names] for row in rows], height=300 if len(rows) > 9 else None)


def _node_table(nodes: Sequence[Row], choice: Choice) -> None:
    finding("What each node did and cost")
    columns = [
        Column("node"),
        Column("pool"),
        Column("GPU"),
        Column("GPUs", count),
        Column("GPU-hours", lambda seconds: f"{seconds / 3600:,.1f}"),
        Column("busy", None, "busy of observed time"),
        Column("cost", money, choice.currency),
        *parts.cost_columns(GPU_KINDS),
    ]
    rows = [
        [
            _node(row),
            row["pool"],
            row["gpu_models"],
            row["gpus"],
            row["billed_seconds"],
            _share(row["busy_seconds"], row["covered_seconds"]),
            row["cost"],
            *(row[f"{kind}_cost"] for kind in GPU_KINDS),
        ]
        for row in nodes
    ]
    tables.show("nodes", columns, rows)
