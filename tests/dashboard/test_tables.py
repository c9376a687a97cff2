"""A CSV carries every digit and no formula."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal

import pytest

from dashboard.tables import csv_text


@pytest.mark.parametrize("text", ["=1+1", "+49", "-1", "@x", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_escaped(text: str) -> None:
    assert csv_text([text], [[text]]).count("'" + text) == 2


def test_numbers_keep_their_sign_and_every_digit() -> None:
    rows = [[Decimal("-0.000000000001"), -5, None, date(2026, 10, 1), 'a "b", c', Decimal("1E-9")]]
    [_, row] = csv.reader(io.StringIO(csv_text(list("abcdef"), rows)))
    assert row == ["-0.000000000001", "-5", "", "2026-10-01", 'a "b", c', "0.000000001"]
