from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import forecast as contest
from benchmarks import series
from models.series import Panel


def test_the_interval_of_a_figure_holds_the_figure_and_shrinks_with_more_series() -> None:
    values = np.random.default_rng(0).normal(size=400)
    few, many = (contest.interval(values[:count], lambda one: float(one.mean())) for count in (20, 400))
    for value, low, high in (few, many):
        assert low < value < high
    assert many[2] - many[1] < 0.4 * (few[2] - few[1])


def test_each_series_is_one_vote_however_many_origins_it_has() -> None:
    scores = contest.Scores()
    for value in (1.0, 1.0, 1.0, np.nan):
        scores.add("a", figure=value)
    scores.add("b", figure=5.0)
    assert scores.by_series("figure").tolist() == [1.0, 5.0]


def test_the_rules_of_thumb_are_the_mean_and_the_line_of_the_last_30_days() -> None:
    y = np.append(np.full(30, 1e6), 2.0 * np.arange(30))[None]
    np.testing.assert_allclose(contest.mean_per_day(y, 2), [[29, 29]])
    np.testing.assert_allclose(contest.straight_line(y, 2), [[60, 62]], rtol=1e-6)


def test_series_of_different_years_are_moved_to_end_on_one_day() -> None:
    days = np.arange(np.datetime64("2026-01-01"), np.datetime64("2026-01-05"))
    y = np.array([[1, 2, np.nan, np.nan], [np.nan, 3, np.nan, 4]])
    moved = series.aligned(Panel(["a", "b"], days, y))
    np.testing.assert_array_equal(moved.y[:, -3:], [[np.nan, 1, 2], [3, np.nan, 4]])
    assert moved.days[-1] == days[-1]


def test_the_flights_of_origins_and_of_carriers_add_up_to_the_total(shared: Path) -> None:
    _, groups = series.flights(shared / "series")
    for kind in ("origin", "carrier"):
        parts = [uid for name, uids in groups.items() if name.startswith(kind) for uid in uids]
        assert sorted(parts) == groups["total"]


@pytest.mark.heavy
def test_an_origin_is_scored_against_its_rivals_and_nothing_is_negative(shared: Path) -> None:
    panel = series.panels(shared / "series", fast=True)["synthetic"]
    scores = contest.Scores()
    told: list[str] = []
    assert contest.scored(Panel(panel.uids[:3], panel.days, panel.y[:3]), 1, scores, told.append) == 0
    assert scores.uids == panel.uids[:3]
    assert scores.figures["wape naive"] == [0.0] * 3
    assert np.isfinite([values for name, values in scores.figures.items()]).all()
    assert len(told) == 1


@pytest.mark.parametrize(
    ("value", "met"),
    [(0.71, False), (0.72, True), (0.88, True), (0.89, False)],
    ids=["below", "least", "most", "above"],
)
def test_a_figure_outside_its_bar_is_said_to_miss_it(value: float, met: bool) -> None:
    line = contest.Line("days", value, 0.6, 0.9, least=0.72, most=0.88)
    assert line.met is met
    assert ("MISSED" in str(line)) is not met
    assert contest.Line("days", value).met is None
