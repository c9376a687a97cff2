"""What a lever did save, against what was claimed: at the same volume, or against requests left alone."""

from __future__ import annotations

import numpy as np
import pytest

from models.whatif.card import Spread
from models.whatif.check import Check, Daily, before_after, holdout

RANDOM = np.random.default_rng(11)


def days(each: float, requests: float = 1000.0, noise: float = 0.0, count: int = 30) -> Daily:
    number = np.full(count, requests)
    return Daily(number, number * each * (1 + noise * RANDOM.standard_normal(count)))


def test_more_requests_are_no_smaller_saving() -> None:
    got = before_after(Spread(500, 600, 700), days(0.1), days(0.08, requests=2000))
    assert got.realised.q50 == pytest.approx(0.02 * 60_000)
    assert got.claimed == Spread(1000, 1200, 1400)
    assert got.verdict == "as claimed"


@pytest.mark.parametrize(
    ("after", "verdict"), [(0.1, "less than claimed"), (0.08, "as claimed"), (0.05, "more than claimed")]
)
def test_the_verdict_follows_what_was_saved(after: float, verdict: str) -> None:
    assert before_after(Spread(500, 600, 700), days(0.1), days(after)).verdict == verdict


def test_nine_of_ten_intervals_of_noisy_days_hold_the_truth() -> None:
    inside = 0
    for _ in range(400):
        got = before_after(Spread(0, 1, 2), days(0.1, noise=0.2), days(0.08, noise=0.2))
        inside += got.realised.q05 <= 0.02 * 30_000 <= got.realised.q95
    assert inside / 400 == pytest.approx(0.9, abs=0.05)


def test_a_single_day_proves_nothing() -> None:
    got = before_after(Spread(500, 600, 700), days(0.1), days(0.08, count=1))
    assert got.verdict == "cannot be told"
    assert np.isinf(got.realised.q95)


def held(control: float, treated: float) -> Check:
    kept = control + 0.01 * RANDOM.standard_normal(2000)
    changed = treated + 0.01 * RANDOM.standard_normal(8000)
    return holdout(Spread(90, 100, 110), 10_000, kept.tolist(), changed.tolist())


def test_a_holdout_compares_requests_of_the_same_month() -> None:
    got = held(0.1, 0.09)
    assert got.realised.q50 == pytest.approx(80, rel=0.05)
    assert got.claimed == Spread(72, 80, 88)
    assert (got.verdict, held(0.1, 0.1).verdict) == ("as claimed", "less than claimed")


def test_a_month_without_requests_or_a_group_without_two_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no request"):
        before_after(Spread(0, 0, 0), days(0.1), days(0.1, requests=0))
    with pytest.raises(ValueError, match="both groups"):
        holdout(Spread(0, 0, 0), 10, [1.0], [1.0, 2.0])
