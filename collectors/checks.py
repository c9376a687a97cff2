"""Rules that more than one kind of source judges its rows by, as (condition of a bad row, reason) in SQL."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.currencies import FORMER, unknown_sql
from collectors.kind import Check
from collectors.values import literal, quoted


def before(end: str, start: str) -> Check:
    """`end` may not be before `start`."""
    return (
        f"{quoted(end)} < {quoted(start)}",
        f"{literal(end + ' ')} || {quoted(end)} || {literal(f' is before {start} ')} || {quoted(start)}",
    )


def not_after(end: str, start: str) -> Check:
    """`end` must be after `start`."""
    return (
        f"{quoted(end)} <= {quoted(start)}",
        f"{literal(end + ' ')} || {quoted(end)} || {literal(f' is not after {start} ')} || {quoted(start)}",
    )


def plausible_charge_period() -> list[Check]:
    """A charge period begins after 1999 and lasts ten years at most: an epoch of 0 would have every day since built."""
    return [
        (
            "\"ChargePeriodStart\" < timestamp '2000-01-01'",
            "'ChargePeriodStart ' || \"ChargePeriodStart\" || ' is before 2000'",
        ),
        (
            '"ChargePeriodEnd" > "ChargePeriodStart" + interval 10 year',
            "'the charge period is longer than 10 years: ' || \"ChargePeriodStart\" || ' to ' || \"ChargePeriodEnd\"",
        ),
    ]


def negative(columns: Iterable[str]) -> list[Check]:
    """None of `columns` may be below zero."""
    return [
        (f"{quoted(column)} < 0", f"{literal(column + ' is negative: ')} || {quoted(column)}") for column in columns
    ]


def unknown_currency(column: str) -> Check:
    """`column` must be an ISO 4217 code."""
    reason = f"{literal(column + ' ')} || {quoted(column)} || ' is no ISO 4217 currency code'"
    return unknown_sql(quoted(column)), reason


def unknown_exchange_currency(column: str) -> Check:
    """`column` must be an ISO 4217 code, or one that old tables of rates still have."""
    condition, reason = unknown_currency(column)
    former = ", ".join(literal(code) for code in sorted(FORMER))
    return f"{condition} and {quoted(column)} not in ({former})", reason


def one_of(column: str, allowed: Iterable[str], shown: str = "") -> Check:
    """`column` must be one of `allowed`, or null; `shown` is SQL of what is said of another value."""
    words = ", ".join(literal(word) for word in allowed)
    reason = (
        f"{literal(column + ' is ')} || {shown or quoted(column)} || {literal(', not one of ' + ', '.join(allowed))}"
    )
    return f"{quoted(column)} not in ({words})", reason
