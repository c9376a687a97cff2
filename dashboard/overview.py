"""The page that answers: what did we spend, on what, what is the margin, and what is wasted?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import streamlit as st

from dashboard import parts
from dashboard.choice import Choice
from dashboard.drawing import draw, legend
from dashboard.parts import finding
from dashboard.published import Published, Row, published
from dashboard.queries import bills, common, customers
from dashboard.queries import overview as queries
from farthing import charts, figures, questions
from farthing.charts import KINDS
from farthing.figures import exact, money

QUESTION = "What did we spend, on what, and what is left of revenue?"
CLASS_NAMES = {"cogs": "cogs (serving)", "rnd": "rnd (training, research)", "opex": "opex (tools, people)"}
NO_CLASS = "(no class)"
LOSSES = 5


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        classes = warehouse.rows(questions.CLASSES, **choice.parameters)
        _key_figures(warehouse, choice, classes)
        _together(warehouse, choice)
        legend()
        left, right = st.columns(2, gap="medium")
        with left:
            _over_time(warehouse, choice)
        with right:
            _classes(classes, choice)
        left, right = st.columns(2, gap="medium")
        with left:
            _movers(warehouse, choice)
        with right:
            _losses(warehouse, choice)


def _summed(rows: Sequence[Row], **where: str) -> Decimal:
    found = (row["cost"] for row in rows if all(row[column] == value for column, value in where.items()))
    return sum(found, Decimal(0))


def _key_figures(warehouse: Published, choice: Choice, classes: Sequence[Row]) -> None:
    spend, serving, idle = _summed(classes), _summed(classes, **{"class": "cogs"}), _summed(classes, kind="idle")
    revenue = warehouse.one(questions.REVENUE, **choice.parameters)["revenue"]
    provisional = warehouse.one(common.STANDING, **choice.parameters)["provisional_cost"]
    tie = warehouse.one(bills.TIE, **choice.parameters)
    unit, cost, said = _unit_cost(warehouse, choice, serving)
    places = st.columns([4, 4, 4, 4, 3, 3, 4], gap="small")
    places[0].metric(f"Spend, {choice.currency}", money(spend))
    places[1].metric("Revenue", money(revenue), help="What is paid for a month is spread evenly over its days.")
    places[2].metric(
        "Gross margin",
        figures.share(revenue - serving, revenue) if revenue else figures.MISSING,
        help=f"Revenue less cost of serving (class cogs), {money(serving)}. Training is not in it.",
    )
    places[3].metric(unit, money(cost), help=said)
    places[4].metric("Idle", figures.share(idle, spend), help=f"{money(idle)} {choice.currency}: {KINDS['idle'][1]}")
    places[5].metric(
        "Provisional",
        figures.share(provisional, spend) if provisional else "none",
        help="No bill confirms it yet.",
    )
    places[6].metric("Bill less ledger", exact(tie["difference"]), help="The page of bills has the whole sum.")


def _together(warehouse: Published, choice: Choice) -> None:
    """All currencies in the reporting one, where it is configured: below the figures of one currency, never in them."""
    days = {"first": choice.first, "last": choice.last}
    for row in warehouse.rows(questions.TOGETHER, **days):
        lacking = figures.unconverted(warehouse.rows(questions.CONVERTED, **days))
        said = [
            f"**All currencies in {row['reporting_currency']}**: spend {money(row['cost'])}",
            f"revenue {money(row['revenue'])}",
            f"gross margin {figures.share(row['gross_margin'], row['revenue'])}",
            figures.plain(figures.rates(row["sources"], row["first_rate_day"], row["last_rate_day"])),
        ]
        if lacking:
            said.append(f":orange-badge[no rate] {figures.plain(lacking)}")
        if row["revenue_without_rate"]:
            said.append(f":orange-badge[no rate] revenue in {row['revenue_without_rate']}")
        st.markdown(" · ".join(said))


def _unit_cost(warehouse: Published, choice: Choice, serving: Decimal) -> tuple[str, Decimal | None, str]:
    """Cost of serving per unit of what the company makes; per 1,000 requests where `[units]` names none."""
    days = {"first": choice.first, "last": choice.last}
    for row in warehouse.rows(questions.UNITS, **days):
        said = f"cost of serving (class cogs) by {figures.number(row['quantity'])} of them"
        return f"Per {figures.plain(row['unit'])}", parts.per(serving, row["quantity"]), said
    requests = warehouse.one(questions.REQUESTS, **days)["requests"]
    said = f"cost of serving (class cogs) by {figures.count(requests)} requests"
    return "Per 1,000 requests", parts.per(serving, requests, 1_000), said


def _over_time(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.KINDS_BY_DAY, **choice.parameters)
    totals: dict[str, Decimal] = {}
    for row in rows:
        totals[row["kind"]] = totals.get(row["kind"], Decimal(0)) + row["cost"]
    if not totals:
        finding(f"Nothing was spent in {choice.currency} on these days")
        return
    whole = sum(totals.values(), Decimal(0))
    kind = max(totals, key=lambda one: totals[one])
    finding(
        f"{kind.capitalize()} cost is {figures.share(totals[kind], whole)} of {money(whole)} {choice.currency}",
        "  \n".join(f"**{one}** {money(totals[one])}: {KINDS[one][1]}" for one in KINDS if one in totals),
    )
    bars = [(row["day"], row["kind"], row["cost"]) for row in rows]
    draw(charts.kinds_over_time(bars, choice.first, choice.last, choice.currency), "kinds-over-time")


def _classes(classes: Sequence[Row], choice: Choice) -> None:
    amounts: dict[str, dict[str, Decimal]] = {}
    for row in classes:
        name = CLASS_NAMES.get(row["class"], NO_CLASS)
        amounts.setdefault(name, {})[row["kind"]] = row["cost"]
    if not amounts:
        return
    order = [name for name in (*CLASS_NAMES.values(), NO_CLASS) if name in amounts]
    whole = _summed(classes)
    said = [
        f"{name.partition(' ')[0] if name != NO_CLASS else name}"
        f" {figures.share(sum(amounts[name].values(), Decimal(0)), whole)}"
        for name in order
    ]
    finding(f"By class: {figures.plain(', '.join(said))}", "The class of each pool stands in farthing.toml.")
    bars = [(name, amounts[name]) for name in order]
    draw(charts.stacked_by_name(bars, choice.currency, height=250), "classes")


def _movers(warehouse: Published, choice: Choice) -> None:
    days = choice.last - choice.first + timedelta(days=1)
    before = choice.first - days
    span = warehouse.one(common.DAYS)
    if span["first"] > before:
        finding("What moved")
        st.caption(
            f"The {days.days} days before these, from {figures.day(before)}, are not all in the ledger:"
            " choose a shorter or later period to compare."
        )
        return
    rows = warehouse.rows(queries.MOVERS, **choice.parameters, before=before)
    if not rows:
        finding("Nothing moved against the period before")
        return
    top = rows[0]
    way = "more" if top["change"] > 0 else "less"
    finding(
        f"{parts.name(top['thing'])} cost {money(abs(top['change']))} {choice.currency} {way} than before",
        f"against {figures.period(before, choice.first - timedelta(days=1))}",
    )
    bars = [(row["thing"], row["change"]) for row in rows]
    title = f"change against the {days.days} days before, {choice.currency}"
    draw(charts.signed_by_name(bars, title, bad="positive", height=250), "movers")


def _losses(warehouse: Published, choice: Choice) -> None:
    rows = [row for row in warehouse.rows(customers.CUSTOMERS, **choice.parameters) if row["margin"] is not None]
    if not rows:
        finding("Margin, and who loses money, is not known without revenue")
        parts.missing(
            f"Revenue in {choice.currency} is not known on these days.",
            '[sources.revenue]\nkind = "revenue"\npath = "revenue.csv"',
        )
        return
    lost = [row for row in rows if row["margin"] < 0]
    if not lost:
        finding(f"None of {figures.counted(len(rows), 'customer')} costs more than he pays")
        return
    worst = lost[0]
    finding(
        f"{figures.counted(len(lost), 'customer')} {parts.lose(lost)}; {parts.name(worst['customer_id'])}"
        f" loses {money(-worst['margin'])} {choice.currency}"
    )
    bars = [(row["customer_id"], row["margin"]) for row in lost[:LOSSES]]
    title = f"margin: revenue less cost of serving, {choice.currency}"
    draw(charts.signed_by_name(bars, title, bad="negative", height=250), "losses")
