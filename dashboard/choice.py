"""What a page looks at: its question, the project and how fresh it is, the reader's currency and days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import streamlit as st

from dashboard.published import Published
from dashboard.queries import common
from farthing import figures

ALL_DAYS, CHOSEN_DAYS = "all", "days"


@dataclass(frozen=True)
class Choice:
    """The currency and the days, both included, that the reader looks at."""

    currency: str
    first: date
    last: date

    @property
    def parameters(self) -> dict[str, object]:
        """As queries take it."""
        return {"currency": self.currency, "first": self.first, "last": self.last}


def choose(warehouse: Published, question: str, *, days: bool = True) -> Choice | None:
    """Head a page with the question that it answers and with what is looked at; None while the ledger is empty.

    Without `days` the reader chooses the currency alone, and all days are looked at.
    """
    name = warehouse.config.project.name
    title, *choosers = st.columns([5, 1, 2], gap="small", vertical_alignment="top")
    with title:
        st.title(question, anchor=False)
        badge = " :orange-badge[SIMULATED]" if "(simulated)" in name.lower() else ""
        build = warehouse.one(common.PUBLISHED)
        st.caption(
            f"{figures.plain(name)}{badge} · published {_moment(build['built_at'])} UTC"
            f" · costs up to {_moment(build['horizon'])} UTC"
        )
    known = warehouse.one(common.DAYS)
    first, last = known["first"], known["last"]
    if first is None:
        return None
    found = currencies(warehouse)
    found.sort(key=lambda currency: currency != warehouse.config.project.currency)
    currency = choosers[0].selectbox(
        "Currency", found, key="currency", bind="query-params", help="Costs of different currencies are never added."
    )
    if not days:
        return Choice(currency, first, last)
    months = months_of(first, last)
    options = [ALL_DAYS, *([month.isoformat()[:7] for month in months] if len(months) > 1 else []), CHOSEN_DAYS]
    chosen = choosers[1].selectbox(
        "Period",
        options,
        index=len(months) if len(months) > 1 else 0,
        format_func=_period_name,
        key="period",
        bind="query-params",
    )
    if chosen == ALL_DAYS:
        return Choice(currency, first, last)
    if chosen != CHOSEN_DAYS:
        inside = [month for month in months if month.isoformat().startswith(chosen)]
        begin = inside[0]
        end = next((month for month in months if month > begin), None)
        return Choice(currency, max(begin, first), end - timedelta(days=1) if end else last)
    ends = choosers[1].date_input("Days", (first, last), min_value=first, max_value=last, key="days")
    return Choice(currency, ends[0], ends[-1]) if ends else Choice(currency, first, last)


def currencies(warehouse: Published) -> list[str]:
    """The currencies of the bill, the one with the largest amount first."""
    return [row["BillingCurrency"] for row in warehouse.rows(common.CURRENCIES)]


def standing(warehouse: Published, choice: Choice) -> None:
    """Say in one line which currency and days are shown, and how much of it is provisional and how much estimated."""
    row = warehouse.one(common.STANDING, **choice.parameters)
    said = [
        f"{choice.currency}, {figures.period(choice.first, choice.last)}",
        _firm("provisional", "no bill confirms it yet", row["provisional_cost"], row["cost"], choice),
        _firm("estimated", "no telemetry watched how it was used", row["estimated_cost"], row["cost"], choice),
    ]
    st.markdown(" · ".join(said))


def _firm(word: str, meaning: str, cost: Decimal, whole: Decimal, choice: Choice) -> str:
    if not cost:
        return f"nothing is {word}"
    amount = f"{figures.money(cost)} {choice.currency} ({figures.share(cost, whole)})"
    return f":orange-badge[{word}] {amount}: {meaning}"


def months_of(first: date, last: date) -> list[date]:
    """The first day of each month from that of `first` to that of `last`."""
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]


def _period_name(option: str) -> str:
    # The address of a page carries this name: it must mean the same after the next publish.
    named = {ALL_DAYS: "All days", CHOSEN_DAYS: "Chosen days"}
    return named[option] if option in named else f"{date.fromisoformat(option + '-01'):%B %Y}"


def _moment(moment: datetime) -> str:
    return f"{figures.day(moment.date())} {moment:%H:%M}"
