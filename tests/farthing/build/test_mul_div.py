"""Multiplying and dividing whole numbers in SQL without 128 bits gives what 128 bits give."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from farthing.build.settings import MUL_DIV_MACRO

_CON = duckdb.connect()
_CON.execute(MUL_DIV_MACRO)


@given(st.integers(0, 2**37), st.integers(0, 2**62), st.integers(1, 2**42))
@example(60_000_000_000, 9_000_000_000_000_000_000, 3_600_000_000_000)
@example(65_535, 3_599_999_999_999, 3_600_000_000_000)
def test_it_is_the_exact_product_rounded_down(a: int, b: int, c: int) -> None:
    exact = a * b // c
    query = "select mul_div(?::bigint, ?::bigint, ?::bigint)"
    if exact < 2**63:
        assert _CON.execute(query, [a, b, c]).fetchall() == [(exact,)]
    else:  # never a wrong number
        with pytest.raises(duckdb.OutOfRangeException):
            _CON.execute(query, [a, b, c]).fetchall()
