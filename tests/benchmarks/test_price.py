"""The join prices API requests as the library does, to the last digit."""

from __future__ import annotations

import pytest

from benchmarks import price


@pytest.mark.heavy
def test_the_join_and_the_library_agree_on_every_price() -> None:
    found = price.measured(20_000, 2_000)
    assert found["different_prices"] == 0
    totals = found["total_of_the_sample"]
    assert totals["join"] == totals["genai-prices"]
    assert [one["requests"] for one in found["measures"]] == [20_000, 20_000, 2_000]
