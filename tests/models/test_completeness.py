"""How much of a day is known when is learned from days that are settled; young days are completed or left out."""

from __future__ import annotations

import numpy as np
import pytest

from models.completeness import known_shares, suspicious

NAN = float("nan")


def test_the_share_known_at_an_age_is_the_median_over_settled_days() -> None:
    final = np.array([100.0, 200.0, 50.0, 10.0, 40.0, NAN])
    stated = np.outer(final, [0.5, 0.9, 1.0])
    stated[0, 1] = 0.0  # one bill that came late among five on time
    stated[5] = [1.0, 1.0, 1.0]  # not settled: tells nothing
    assert known_shares(stated, final).tolist() == pytest.approx([0.5, 0.9, 1.0])


def test_too_few_days_and_days_without_cost_tell_nothing() -> None:
    final = np.array([100.0, 100.0, 100.0, 100.0, 0.0])
    assert np.isnan(known_shares(np.ones((5, 1)), final)).all()
    assert np.isnan(known_shares(np.empty((0, 2)), np.empty(0))).tolist() == [True, True]


def test_less_than_half_of_any_such_weekday_is_suspicious() -> None:
    before = np.array([[10.0, 12.0, 9.0, 11.0], [10.0, NAN, 9.0, 11.0], [NAN] * 4, [0.0] * 4])
    assert suspicious(np.array([4.4, 4.6, 0.0, 0.0]), before).tolist() == [True, False, False, False]
