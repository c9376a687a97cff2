"""A day is judged by the days before it, on its own scale; an episode begins, ends, and hides no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.anomaly import Judged, episodes, judge

Values = NDArray[np.float64]


def noisy(days: int = 90, *, level: float = 100.0, noise: float = 0.03, seed: int = 1) -> Values:
    random = np.random.default_rng(seed)
    return np.asarray(level * np.exp(noise * random.normal(size=(1, days))))


def flagged(found: Judged) -> list[int]:
    return [int(day) for day in np.flatnonzero(found.flagged[0])]


@settings(max_examples=10)
@given(seed=st.integers(0, 200), cut=st.integers(20, 60), factor=st.floats(0, 20))
def test_what_comes_later_changes_nothing_of_what_was_judged(seed: int, cut: int, factor: float) -> None:
    y = noisy(70, seed=seed, noise=0.2)
    other = y.copy()
    other[:, cut:] *= factor
    before, after = judge(y), judge(other)
    for name in ("expected", "score", "flagged", "episode"):
        np.testing.assert_array_equal(getattr(before, name)[:, :cut], getattr(after, name)[:, :cut])


@pytest.mark.slow
@settings(max_examples=10)
@given(seed=st.integers(0, 200), scale=st.floats(1e-6, 1e9))
def test_the_unit_of_money_does_not_matter(seed: int, scale: float) -> None:
    y = noisy(seed=seed, noise=0.2)
    y[0, 60] *= 2
    one, other = judge(y), judge(scale * y)
    np.testing.assert_allclose(other.score, one.score, rtol=1e-6)
    np.testing.assert_allclose(other.expected, scale * one.expected, rtol=1e-6)


@pytest.mark.slow
@settings(max_examples=10)
@given(order=st.permutations(range(4)))
def test_each_series_is_judged_by_itself(order: list[int]) -> None:
    y = np.vstack([noisy(seed=seed, level=10.0**seed, noise=0.1) for seed in range(4)])
    y[1, :40] = np.nan
    np.testing.assert_array_equal(judge(y[order]).score, judge(y).score[order])


@pytest.mark.parametrize(("factor", "found"), [(1.05, []), (1.3, [50]), (0.5, [])])
def test_on_a_constant_series_a_third_more_stands_out_and_a_drop_does_not(factor: float, found: list[int]) -> None:
    y = np.full((1, 60), 80.0)
    y[0, 50] *= factor
    judged = judge(y)
    assert flagged(judged) == found
    assert judged.expected[0, 50] == pytest.approx(80)


def test_nothing_is_said_before_fourteen_days_are_known_and_less_is_flagged_while_few_are() -> None:
    y = noisy(40)
    judged = judge(y)
    assert np.isnan(judged.score[0, :14]).all()
    assert np.isfinite(judged.score[0, 14:]).all()
    steady = np.full((1, 60), 100.0)
    early, late = steady.copy(), steady.copy()
    early[0, 14], late[0, 50] = 120.0, 120.0
    assert judge(early).score[0, 14] == pytest.approx(judge(late).score[0, 50] / np.sqrt(2))


def test_a_missing_day_is_not_zero_and_a_series_of_zeros_has_no_usual_amount() -> None:
    y = noisy(60)
    y[0, [20, 33, 50]] = np.nan
    judged = judge(y)
    assert np.isnan(judged.score[0, [20, 33, 50]]).all()
    assert flagged(judged) == []
    assert np.isnan(judge(np.zeros((1, 60))).score).all()


def test_weekends_are_judged_by_weekends() -> None:
    y = noisy(84, noise=0.02)
    y[:, 5::7] *= 0.3
    y[:, 6::7] *= 0.3
    assert flagged(judge(y)) == []
    saturday = 5 + 7 * 9
    y[0, saturday] *= 2
    judged = judge(y)
    assert flagged(judged) == [saturday]
    assert judged.expected[0, saturday] == pytest.approx(30, rel=0.05)


def test_noise_that_looks_like_weekdays_is_not_taken_for_them() -> None:
    y = noisy(120, noise=0.2)
    usual = judge(y).expected[0, 40:]
    assert usual.max() / usual.min() < 1.3


def test_negative_spend_that_ends_is_a_rise() -> None:
    y = np.full((1, 60), -48.0)
    y[0, 50:] = 0.0
    judged = judge(y)
    assert flagged(judged)[0] == 50
    [episode] = episodes(y[:, :51], judge(y[:, :51]))
    assert episode.impact == pytest.approx(48)


def test_a_new_level_is_one_episode_of_ten_days_and_then_how_things_are() -> None:
    y = noisy(140)
    y[0, 60:] *= 1.6
    judged = judge(y)
    [episode] = episodes(y, judged)
    assert (episode.first, episode.last, episode.open) == (60, 69, False)
    assert episode.impact == pytest.approx(10 * 60, rel=0.1)
    assert not judged.flagged[0, 70:].any()


def test_an_incident_that_is_over_does_not_hide_the_next_one() -> None:
    y = noisy(100)
    y[0, 60:67] *= 2
    y[0, 75] *= 1.4
    judged = judge(y)
    assert [(one.first, one.last) for one in sorted(episodes(y, judged), key=lambda one: one.first)] == [
        (60, 66),
        (75, 75),
    ]


def test_an_incident_that_is_over_counts_as_a_large_day_but_not_in_full() -> None:
    y = noisy(100, noise=0.1)
    y[0, 60] *= 10
    y[0, 70] *= 10
    score = judge(y).score[0]
    assert 3.1 < score[70] < 0.9 * score[60]


def test_dips_do_not_hide_a_rise() -> None:
    y = noisy(90, noise=0.01)
    y[0, 5:85:9] *= 0.4
    y[0, 88] *= 1.4
    assert flagged(judge(y)) == [88]


def test_a_new_level_that_crept_in_is_found_once() -> None:
    y = np.full((1, 120), 100.0)
    y[0, 60:] = 115.0
    assert [one.leak for one in episodes(y, judge(y))] == [True]


def test_a_series_that_often_jumps_is_judged_as_one_that_does() -> None:
    calm, wild = noisy(120), noisy(120)
    wild[0, 10:110:9] *= 2.5
    calm[0, 115], wild[0, 115] = 1.6 * calm[0, 115], 1.6 * wild[0, 115]
    assert judge(calm).flagged[0, 115]
    assert not judge(wild).flagged[0, 115]


def test_a_week_that_crept_up_is_found_when_no_day_of_it_stands_out() -> None:
    y = np.full((1, 70), 100.0)
    y[0, 60:67] *= 1.15
    judged = judge(y)
    [episode] = episodes(y, judged)
    assert episode.leak
    assert episode.first < episode.found <= 66
    assert episode.impact > 0.15 * 100 * 4
    y[0, 60:67] = 100.0 * 1.05
    assert episodes(y, judge(y)) == []


def test_announced_days_are_neither_flagged_nor_learned_from() -> None:
    y = noisy(90)
    known = np.zeros(y.shape, dtype=bool)
    y[0, 60:63] *= 3
    known[0, 60:63] = True
    y[0, 70] *= 1.4
    assert flagged(judge(y, known=known)) == [70]
    assert judge(y, known=known).score[0, 61] > 3.1


def test_a_lower_threshold_flags_more_and_flags_are_scores_above_it() -> None:
    y = noisy(120, noise=0.3)
    few, many = judge(y, threshold=3.0), judge(y, threshold=1.8)
    assert many.flagged.sum() > few.flagged.sum()
    np.testing.assert_array_equal(many.flagged, np.nan_to_num(many.score, nan=0) > 1.8)
