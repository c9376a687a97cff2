"""The page that answers: what does each user and customer cost, and who costs more than he pays?"""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice
from dashboard.drawing import draw, legend
from dashboard.parts import EDGES, finding
from dashboard.published import Published, published
from dashboard.queries import customers as queries
from dashboard.tables import Column
from farthing import charts, figures
from farthing.figures import count, exact, money

QUESTION = "What does each user cost, and who costs more than he pays?"
TOP_USERS, TOP_CUSTOMERS = 10, 10


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        _spread(warehouse, choice)
        legend()
        whole = _users(warehouse, choice)
        _customer_table(warehouse, choice)
        _user_table(warehouse, choice, whole)


def _spread(warehouse: Published, choice: Choice) -> None:
    found = warehouse.one(queries.SPREAD, **choice.parameters)
    if not found["users"]:
        return
    median, p95, highest = found["median"], found["p95"], found["highest"]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        factor = f", {figures.ratio(highest, median)} the median" if highest > median > 0 else ""
        finding(f"Median user {money(median)} {choice.currency}, p95 {money(p95)}, highest {money(highest)}{factor}")
        rows = warehouse.rows(queries.SPREAD_BINS, **choice.parameters, edges=EDGES)
        bins, marks = parts.spread(rows, "users", {"median": median, "p95": p95, "highest": highest})
        draw(charts.histogram(bins, marks, choice.currency, of="users", height=230), "spread")
    with right:
        _pair(warehouse, choice)


def _pair(warehouse: Published, choice: Choice) -> None:
    pairs = warehouse.rows(queries.EXTREME_PAIR, **choice.parameters)
    if not pairs:
        finding("Two users of one plan are not known yet")
        parts.missing(
            "Who is on which plan stands in `identities` (column plan).",
            '[sources.people]\nkind = "identities"\npath = "people.csv"',
        )
        return
    [pair] = pairs
    finding(
        f"{parts.name(pair['dear_user'])} cost {figures.ratio(pair['dear_cost'], pair['cheap_cost'])} as much as"
        f" {parts.name(pair['cheap_user'])}, on the same plan: {parts.name(pair['plan'])}"
    )
    for who in ("dear", "cheap"):
        st.metric(parts.name(pair[f"{who}_user"]), f"{money(pair[f'{who}_cost'])} {choice.currency}")
        st.caption(f"{count(pair[f'{who}_requests'])} requests")


def _users(warehouse: Published, choice: Choice) -> Decimal:
    everybody = warehouse.rows(queries.USERS, **choice.parameters, search="")
    nobody = next((row for row in everybody if row["user_id"] is None and row["cost"]), None)
    known = [row for row in everybody if row["user_id"] is not None and row["cost"] is not None]
    whole = sum((row["cost"] for row in everybody if row["cost"]), Decimal(0))
    left, right = st.columns(2, gap="medium")
    with left:
        if known:
            top, theirs = known[0], sum((row["cost"] for row in known), Decimal(0))
            most = sum((row["cost"] for row in known[:TOP_USERS]), Decimal(0))
            first = f"{figures.plain(top['user_id'])} cost most: {money(top['cost'])} {choice.currency}"
            others = f"; the top {TOP_USERS} of {len(known):,} cost {figures.share(most, theirs)}"
            st.subheader(first + (others if len(known) > TOP_USERS else ""), anchor=False)
            bars = [(row["user_id"], parts.kinds(row)) for row in known[:TOP_USERS]]
            draw(charts.stacked_by_name(bars, choice.currency, height=300), "users")
        else:
            st.subheader(f"No cost in {choice.currency} is known to be a user's", anchor=False)
        if nobody:
            st.markdown(
                f"**{parts.NO_USER}** {money(nobody['cost'])} {choice.currency},"
                f" {figures.share(nobody['cost'], whole)} of all: {figures.parts(parts.kinds(nobody))}"
            )
    with right:
        _customers(warehouse, choice)
    return whole


def _customers(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.CUSTOMERS, **choice.parameters)
    earned = [row for row in rows if row["margin"] is not None]
    if not earned:
        finding("What customers pay is not known")
        parts.missing(
            f"Margin needs revenue in {choice.currency}.", '[sources.revenue]\nkind = "revenue"\npath = "revenue.csv"'
        )
        return
    lost = [row for row in earned if row["margin"] < 0]
    loss = sum((row["margin"] for row in lost), Decimal(0))
    finding(
        f"{len(lost):,} of {figures.counted(len(earned), 'customer')} {parts.lose(lost)}:"
        f" {money(-loss)} {choice.currency} lost"
        if lost
        else f"Each of {figures.counted(len(earned), 'customer')} pays more than he costs"
    )
    bars = [(row["customer_id"], row["margin"]) for row in earned[:TOP_CUSTOMERS]]
    title = f"margin: revenue less cost of serving, {choice.currency}"
    draw(charts.signed_by_name(bars, title, bad="negative", height=300), "customers")


def _customer_table(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.CUSTOMERS, **choice.parameters)
    if not rows:
        return
    finding("What each customer cost and paid", "Revenue of a month is spread evenly over its days.")
    columns = [
        Column("customer"),
        Column("plan"),
        Column("requests", count),
        Column("revenue", money, choice.currency),
        Column("cost of serving", money, "pools of class cogs"),
        Column("margin", money, "revenue less cost of serving"),
        Column("all cost", money, choice.currency),
    ]
    names = ("customer_id", "plans", "requests", "revenue", "cogs_cost", "margin", "cost")
    tables.show("customers", columns, [[row[n] for n in names] for row in rows], height=330)


def _user_table(warehouse: Published, choice: Choice, whole: Decimal) -> None:
    title, search = st.columns([3, 1], vertical_alignment="bottom")
    with title:
        st.subheader("What each user cost", anchor=False)
    words = search.text_input(
        "Search", placeholder="search user, team or customer", label_visibility="collapsed", key="search"
    )
    found = warehouse.rows(queries.USERS, **choice.parameters, search=words.strip())
    names, pay = parts.kinds_in(found), any(row["revenue"] is not None for row in found)
    columns = [
        Column("user"),
        Column("team"),
        Column("customer"),
        Column("plan"),
        Column("cost", money, choice.currency),
        *([Column("pays", money, "revenue of the user, where it is known by user")] if pay else []),
        Column("of all", lambda cost: figures.share(cost, whole)),
        Column("requests", count),
        Column("input tokens", count),
        Column("output tokens", count),
        *parts.cost_columns(names),
    ]
    rows = [
        [
            row["user_id"] or parts.NO_USER,
            row["teams"],
            row["customers"],
            row["plans"],
            row["cost"],
            *([row["revenue"]] if pay else []),
            row["cost"],
            row["requests"],
            row["input_tokens"],
            row["output_tokens"],
            *(row[f"{kind}_cost"] for kind in names),
        ]
        for row in found
    ]
    tables.show("users", columns, rows, height=330)
    shown = sum((row["cost"] for row in found if row["cost"]), Decimal(0))
    st.caption(f"{len(found):,} lines, together {exact(shown)} {choice.currency}, of {exact(whole)} in the ledger.")
