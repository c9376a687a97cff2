"""The page that answers: what does each model cost per request and per million tokens?"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice
from dashboard.drawing import draw, legend
from dashboard.parts import finding
from dashboard.published import Published, Row, published
from dashboard.queries import models as queries
from dashboard.tables import Column
from farthing import charts, figures, questions
from farthing.figures import count, money

QUESTION = "What does each model cost per request and per million tokens?"
TOP_MODELS = 8


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        models = warehouse.rows(queries.MODELS, **choice.parameters)
        legend()
        left, right = st.columns(2, gap="medium")
        with left:
            _models(models, choice)
        with right:
            _unit_costs(models, choice)
        _own_and_bought(warehouse, choice)
        _model_table(models, choice)
        left, right = st.columns(2, gap="medium")
        with left:
            _unpriced(models, choice)
        with right:
            _training(warehouse, choice)


def _models(models: Sequence[Row], choice: Choice) -> None:
    known = [row for row in models if row["model"] is not None and row["cost"]]
    if known:
        top = known[0]
        idle = f", {figures.share(top['idle_cost'], top['cost'])} of it idle" if top["idle_cost"] else ""
        finding = f"{figures.plain(top['model'])} cost most: {money(top['cost'])} {choice.currency}{idle}"
    else:
        finding = f"No cost in {choice.currency} is known to be a model's"
    st.subheader(finding, anchor=False)
    bars = [(row["model"], parts.kinds(row)) for row in known[:TOP_MODELS]]
    if rest := known[TOP_MODELS:]:
        bars.append((figures.counted(len(rest), "other model"), parts.added(rest)))
    bars += [(parts.NO_MODEL, parts.kinds(row)) for row in models if row["model"] is None and row["cost"]]
    draw(charts.stacked_by_name(bars, choice.currency, height=270), "models")


def _unit_costs(models: Sequence[Row], choice: Choice) -> None:
    """The same unit for all: what a million tokens cost, idle and shared cost included."""
    prices = [
        (row["model"], price)
        for row in models
        if row["model"] is not None
        and (price := parts.per(row["cost"], (row["input_tokens"] or 0) + (row["output_tokens"] or 0), 1_000_000))
    ]
    if not prices:
        finding("No model has both a cost and tokens on these days")
        parts.missing(
            "Cost per request and per token needs a request log.",
            '[sources.requests]\nkind = "requests"\npath = "requests/*.csv"',
        )
        return
    prices.sort(key=lambda pair: -pair[1])
    dear, cheap = prices[0], prices[-1]
    factor = f", {figures.ratio(dear[1], cheap[1])} as much as {parts.name(cheap[0])}" if len(prices) > 1 else ""
    finding(f"A million tokens of {parts.name(dear[0])} cost {money(dear[1])} {choice.currency}{factor}")
    title = f"{choice.currency} per million tokens, read and written"
    draw(charts.signed_by_name(prices[:TOP_MODELS], title, bad="negative", height=270), "unit-costs")


def _own_and_bought(warehouse: Published, choice: Choice) -> None:
    """Own GPUs against vendors, where there are both: for all of their models together."""
    rows = warehouse.rows(queries.OWN_AND_BOUGHT, **choice.parameters)
    each = {row["kind"]: parts.per(row["cost"], row["tokens"], 1_000_000) for row in rows}
    own, bought = each.get("gpu"), each.get("api")
    if own and bought:
        finding(
            f"A million tokens cost {money(own)} {choice.currency} on own GPUs, idle time included,"
            f" and {money(bought)} by API",
            "all models of own GPUs and all of vendors; one that is served both ways is in neither",
        )


def _model_table(models: Sequence[Row], choice: Choice) -> None:
    st.subheader("What each model cost", anchor=False)
    whole = sum((row["cost"] for row in models if row["cost"]), Decimal(0))
    names = parts.kinds_in(models)
    columns = [
        Column("model"),
        Column("cost", money, choice.currency),
        Column("of all", lambda cost: figures.share(cost, whole)),
        Column("requests", count),
        Column("per 1,000 requests", money, "all cost of the model, idle and shared included"),
        Column("per million tokens", money, "all cost of the model by tokens read and written"),
        Column("input tokens", count),
        Column("output tokens", count),
        Column("providers"),
        *parts.cost_columns(names),
    ]
    rows = [
        [
            row["model"] or parts.NO_MODEL,
            row["cost"],
            row["cost"],
            row["requests"],
            parts.per(row["cost"], row["requests"], 1_000),
            parts.per(row["cost"], (row["input_tokens"] or 0) + (row["output_tokens"] or 0), 1_000_000),
            row["input_tokens"],
            row["output_tokens"],
            row["providers"],
            *(row[f"{kind}_cost"] for kind in names),
        ]
        for row in models
    ]
    tables.show("models", columns, rows)


def _unpriced(models: Sequence[Row], choice: Choice) -> None:
    rows = [row for row in models if row["unpriced_cost"]]
    cost = sum((row["unpriced_cost"] for row in rows), Decimal(0))
    if not rows:
        finding("Every model that was used has a price")
        return
    used = ", ".join(parts.name(row["model"] or parts.NO_MODEL) for row in rows[:5])
    finding(f"{money(cost)} {choice.currency} is for models without a price: {used}")
    st.caption("A `[[prices]]` entry in farthing.toml gives them one; until then nobody is charged for it.")


def _training(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(questions.AMORTISATION, **choice.parameters)
    if not rows:
        finding("No model's training is written off on these days")
        parts.missing(
            "A trained model and its life say how.", '[models."my-model"]\nreleased = 2026-06-01\nlife_months = 12'
        )
        return
    cost = sum((row["cost"] for row in rows), Decimal(0))
    finding(
        f"Training written off in these months: {money(cost)} {choice.currency}, beside the cost above and not in it"
    )
    columns = [Column("model"), Column("training", money, choice.currency)]
    tables.show("training", columns, [[row["model"], row["cost"]] for row in rows])
