"""Figures as people read them: every amount, count and share that a page shows is formatted here, from its Decimal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from farthing import console

MISSING = "\N{EN DASH}"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$:~^&])")


def money(value: Decimal | None) -> str:
    """An amount: two decimals, and below one as many as it takes to see four digits of it."""
    return MISSING if value is None else console.money(value, console.places([value]))


def estimate(value: float | None) -> str:
    """An estimated amount, of which decimals beyond the second mean nothing."""
    return MISSING if value is None else money(Decimal(f"{value:.2f}"))


def exact(value: Decimal | None) -> str:
    """An amount with every decimal that the ledger keeps."""
    return MISSING if value is None else f"{value:,f}"


def trimmed(value: Decimal | None) -> str:
    """An amount with every decimal that is not a zero at its end."""
    return MISSING if value is None else f"{value.normalize():,f}"


def number(value: Decimal | None) -> str:
    """A quantity: whole where it is whole, else like an amount."""
    return money(value) if value is not None and value % 1 else count(value)


def count(value: Decimal | int | None) -> str:
    """A whole number."""
    return MISSING if value is None else f"{value:,.0f}"


def counted(number: int, noun: str) -> str:
    """So many of a thing: `1 customer`, `2,000 customers`; the noun takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(part: Decimal | None, whole: Decimal | None) -> str:
    """`part` of `whole` in percent; only all of it reads 100 %, and only nothing of it 0 %."""
    if part is None or not whole:
        return MISSING
    percent = 100 * part / whole
    if percent not in {Decimal(0), Decimal(100)}:
        if abs(percent) < Decimal("0.05"):
            return "<0.1 %"
        if abs(percent - 100) < Decimal("0.05"):
            return ">99.9 %" if percent < 100 else ">100 %"
    return f"{percent:.1f} %"


def ratio(part: Decimal, whole: Decimal) -> str:
    """How many times `whole` is in `part`."""
    return MISSING if not whole else f"{part / whole:,.1f}x"


def day(value: date) -> str:
    """A day in words."""
    return f"{value.day} {value:%b %Y}"


def period(first: date, last: date) -> str:
    """Days from `first` to `last`, both included."""
    if first == last:
        return day(first)
    same_year = first.year == last.year
    return f"{first.day} {first:%b}{'' if same_year else first.strftime(' %Y')} \N{EN DASH} {day(last)}"


def rates(sources: str | None, first: date | None, last: date | None) -> str:
    """By which rates amounts were converted; `first` and `last` are the days that they were published for."""
    if first is None or last is None:
        return "nothing had to be converted"
    return f"converted at the rates of each day ({sources}), {period(first, last)}"


def unconverted(rows: Iterable[Mapping[str, Any]]) -> str:
    """The spend that has no rate, of the rows of `questions.CONVERTED`: `12.30 USD on 3 days`; empty where all has."""
    return ", ".join(
        f"{money(row['unconverted_cost'])} {row['BillingCurrency']} on {counted(row['days_without_rate'], 'day')}"
        for row in rows
        if row["unconverted_cost"] is not None
    )


def plain(name: object) -> str:
    """A foreign name in a line of markdown, where nothing of it is markup."""
    return _MARKDOWN.sub(r"\\\1", str(name))


def parts(amounts: Mapping[str, Decimal]) -> str:
    """Named amounts, the largest first: `idle 9,349.37, training 817.31`."""
    largest = sorted(amounts.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{name} {money(value)}" for name, value in largest if value)
