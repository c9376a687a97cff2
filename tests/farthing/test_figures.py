"""Figures never hide that there is something, and never claim that there is all."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from farthing import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("14608.466043344", "14,608.47"),
        ("0.0042", "0.004200"),
        ("-3.1", "-3.10"),
        ("0", "0.00"),
        ("1E-12", "0.000000000001"),
    ],
)
def test_small_amounts_keep_their_digits(value: str, shown: str) -> None:
    assert figures.money(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        ("1", "1", "100.0 %"),
        ("0.999999", "1", ">99.9 %"),
        ("0.000001", "1", "<0.1 %"),
        ("0", "1", "0.0 %"),
        ("1", "3", "33.3 %"),
        ("1", "0", figures.MISSING),
    ],
)
def test_only_all_is_a_hundred_percent_and_only_nothing_is_zero(part: str, whole: str, shown: str) -> None:
    assert figures.share(Decimal(part), Decimal(whole)) == shown


def test_what_is_missing_is_no_zero() -> None:
    assert {figures.money(None), figures.exact(None), figures.count(None), figures.number(None)} == {figures.MISSING}


def test_a_period_names_its_year_once() -> None:
    dash = "\N{EN DASH}"
    assert figures.period(date(2026, 10, 5), date(2026, 10, 11)) == f"5 Oct {dash} 11 Oct 2026"
    assert figures.period(date(2026, 12, 31), date(2027, 1, 1)) == f"31 Dec 2026 {dash} 1 Jan 2027"
    assert figures.period(date(2026, 10, 5), date(2026, 10, 5)) == "5 Oct 2026"


def test_one_of_a_thing_has_no_plural() -> None:
    assert [figures.counted(number, "customer") for number in (0, 1, 2000)] == [
        "0 customers", "1 customer", "2,000 customers",
    ]  # fmt: skip
