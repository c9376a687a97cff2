"""Episodes are ranked by what they come to, and small money is nobody's time."""

from __future__ import annotations

import numpy as np
import pytest

from models.anomaly import Floors, episodes, judge


def test_episodes_are_ranked_by_money_and_not_by_score() -> None:
    y = np.vstack([np.full(60, 1000.0), np.full(60, 10.0)])
    y[0, 50] *= 1.3
    y[1, 50] *= 8
    found = episodes(y, judge(y))
    assert [one.row for one in found] == [0, 1]
    assert found[0].score < found[1].score
    assert [one.impact for one in found] == pytest.approx([300, 70])


def test_an_episode_goes_on_until_the_last_known_day_is_normal_again() -> None:
    y = np.full((1, 60), 100.0)
    y[0, 55:] = 150.0
    [going_on] = episodes(y, judge(y))
    assert (going_on.first, going_on.last, going_on.open) == (55, 59, True)
    y[0, 59] = 100.0
    [over] = episodes(y, judge(y))
    assert (over.first, over.last, over.open) == (55, 58, False)
    y[0, 59] = np.nan
    [unknown] = episodes(y, judge(y))
    assert unknown.open


def test_the_impact_grows_by_each_day_against_what_was_usual_before() -> None:
    y = np.full((1, 60), 100.0)
    impacts = []
    for days in range(1, 5):
        y[0, 50 : 50 + days] = 150.0
        [episode] = episodes(y[:, : 50 + days], judge(y[:, : 50 + days]))
        impacts.append(episode.impact)
    assert impacts == pytest.approx([50, 100, 150, 200])


@pytest.mark.parametrize(
    ("impact", "scope_day", "total_day", "passed"),
    [
        (26, 100, 1000, True),
        (25, 100, 1000, False),
        (40, 1000, 1000, False),
        (40, 100, 5000, False),
        (51, 1000, 5000, True),
    ],
    ids=["above all", "at the amount", "below the share of the scope", "below that of the company", "above each"],
)
def test_money_must_be_above_all_three_floors(impact: float, scope_day: float, total_day: float, passed: bool) -> None:
    assert Floors(25, 0.05, 0.01).passed(impact, scope_day=scope_day, total_day=total_day) is passed
