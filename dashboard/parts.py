"""What several pages say alike: kinds of cost, unit costs, bins of a spread, and which source is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import streamlit as st

from dashboard.choice import Choice, choose, standing
from dashboard.published import Published, Row
from dashboard.tables import Column
from farthing import figures
from farthing.charts import KINDS
from farthing.figures import money

NO_USER, NO_MODEL, NO_AGENT = "(no user)", "(no model)", "(no agent)"
#: Where the bins of a spread begin: 1, 2, 5, 10, ... and the same below one.
EDGES = [Decimal(digit).scaleb(power) for power in range(-6, 8) for digit in (1, 2, 5)]


def head(warehouse: Published, question: str, *, days: bool = True) -> Choice | None:
    """The page's question, choosers, and how firm its figures are; None, in words, while the ledger is empty."""
    choice = choose(warehouse, question, days=days)
    if choice is None:
        st.info("The published ledger has no costs yet: no charge of the bill lies before now.")
        return None
    standing(warehouse, choice)
    return choice


def missing(what: str, lines: str) -> None:
    """Say what a section would show and which lines of farthing.toml bring it."""
    st.info(f"{what} Add to farthing.toml, then `farthing collect` and `farthing build`:")
    st.code(lines, language="toml")


def kinds(row: Row) -> dict[str, Decimal]:
    """The kinds of cost on a line of a mart."""
    return {kind: row[f"{kind}_cost"] for kind in KINDS if row[f"{kind}_cost"]}


def added(rows: Iterable[Row]) -> dict[str, Decimal]:
    """The kinds of cost of several lines."""
    totals: dict[str, Decimal] = {}
    for row in rows:
        for kind, cost in kinds(row).items():
            totals[kind] = totals.get(kind, Decimal(0)) + cost
    return totals


def kinds_in(rows: Sequence[Row]) -> list[str]:
    """The kinds of cost that any of `rows` has."""
    return [kind for kind in KINDS if any(row[f"{kind}_cost"] is not None for row in rows)]


def cost_columns(names: Sequence[str]) -> list[Column]:
    """A column of a table for each kind of cost."""
    return [Column(kind, money, KINDS[kind][1], width=95) for kind in names]


def per(cost: Decimal | None, number: Decimal | int | None, unit: int = 1) -> Decimal | None:
    """Cost per `unit` of `number`; None where either is not known."""
    return cost * unit / number if cost is not None and number else None


def spread(
    rows: Sequence[Row], of: str, marks: Mapping[str, Decimal]
) -> tuple[list[tuple[str, int, Decimal]], dict[str, str]]:
    """Bins for a histogram, from the first to the last that is not empty, and which of them `marks` lie in."""
    found = {row["bin"]: row for row in rows}
    empty = {of: 0, "cost": Decimal(0)}
    numbers = range(min(found), max(found) + 1)
    bins = [(_bin_name(number), found.get(number, empty)[of], found.get(number, empty)["cost"]) for number in numbers]
    named: dict[str, str] = {}
    for name, cost in marks.items():
        label = _bin_name(sum(edge <= cost for edge in EDGES))
        named[label] = f"{named[label]}, {name}" if label in named else name
    return bins, named


def _bin_name(number: int) -> str:
    return f"{EDGES[number - 1]:,f}" if number else f"below {EDGES[0]:f}"


def lose(customers: Sequence[Row]) -> str:
    """What customers with a margin below zero do, in words."""
    return "costs more than he pays" if len(customers) == 1 else "cost more than they pay"


def finding(text: str, meaning: str | None = None) -> None:
    """A section's heading: what it found, in words."""
    st.subheader(text, anchor=False, help=meaning)


def name(value: object) -> str:
    """A foreign name inside a heading."""
    return figures.plain(value)


def percent(value: float | None) -> str:
    """An estimated share."""
    return figures.MISSING if value is None else f"{100 * value:.1f} %"
