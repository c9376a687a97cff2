"""Known events move the path from their day on, in as many of the paths as they are certain."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.edits import Edit, Floats, Reach, edited

DAYS = np.arange("2026-11-01", "2026-11-11", dtype="datetime64[D]")
POINT = np.array([[10.0] * 10, [30.0] * 10])
PATHS = np.repeat(POINT[:, None, :], 8, axis=1)


#: The first series alone is what the event is about; or both are, one with a quarter of it.
FIRST = Reach(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
BOTH = Reach(np.array([1.0, 1.0]), np.array([0.25, 0.75]))


def point_of(edit: Edit, reach: Reach = FIRST) -> Floats:
    return edited(POINT, PATHS, DAYS, [(edit, reach)], seed=1)[0]


def test_a_price_change_scales_from_its_day_on_and_for_its_rows_only() -> None:
    point, paths = edited(POINT, PATHS, DAYS, [(Edit(date(2026, 11, 4), factor=1.5), FIRST)], seed=1)
    assert point[0].tolist() == [10.0] * 3 + [15.0] * 7
    assert point[1].tolist() == [30.0] * 10
    assert (paths == point[:, None, :]).all()


def test_an_event_with_an_end_leaves_the_days_after_it_alone() -> None:
    launch = Edit(date(2026, 11, 2), date(2026, 11, 3), factor=2.0, amount=1.0)
    assert point_of(launch)[0].tolist() == [10.0, 21.0, 21.0, *[10.0] * 7]


def test_a_row_feels_the_factor_by_its_share_and_the_amount_by_its_part() -> None:
    half = Reach(np.array([0.4, 1.0]), np.array([0.25, 0.75]))
    assert point_of(Edit(date(2026, 11, 1), factor=0.5), half)[:, 0].tolist() == [8.0, 15.0]
    assert point_of(Edit(date(2026, 11, 1), amount=8.0), half)[:, 0].tolist() == [12.0, 36.0]


def test_an_uncertain_event_happens_in_its_share_of_the_paths_and_to_all_rows_of_a_path() -> None:
    event = Edit(date(2026, 11, 1), factor=3.0, certainty=0.25)
    point, paths = edited(POINT, PATHS, DAYS, [(event, BOTH)], seed=1)
    hit = paths[:, :, 0] == 3 * POINT[:, :1]
    assert hit.sum(axis=1).tolist() == [2, 2]
    assert (hit[0] == hit[1]).all()
    assert point[:, 0].tolist() == [15.0, 45.0]


@given(certainty=st.floats(0, 1), factor=st.floats(0, 5), amount=st.floats(-50, 50), seed=st.integers(0, 9))
def test_no_cost_becomes_negative_and_the_same_seed_gives_the_same_paths(
    certainty: float, factor: float, amount: float, seed: int
) -> None:
    edits = [(Edit(date(2026, 11, 1), factor=factor, amount=amount, certainty=certainty), BOTH)]
    point, paths = edited(POINT, PATHS, DAYS, edits, seed=seed)
    assert (point >= 0).all()
    assert (paths >= 0).all()
    assert (edited(POINT, PATHS, DAYS, edits, seed=seed)[1] == paths).all()


def test_what_was_negative_keeps_its_sign() -> None:
    credit = np.full((1, 10), -5.0)
    event = [(Edit(date(2026, 11, 1), factor=0.5), Reach(np.ones(1), np.ones(1)))]
    assert edited(credit, credit[:, None, :], DAYS, event, seed=1)[0][0, 0] == -2.5


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(Edit(date(2026, 10, 1), factor=2.0), [10.0] * 10, id="for-good"),
        pytest.param(Edit(date(2026, 10, 1), date(2026, 10, 9), factor=2.0), [10.0] * 10, id="over"),
        pytest.param(Edit(date(2026, 10, 1), date(2026, 11, 4), factor=2.0), [10.0] * 4 + [5.0] * 6, id="ends-within"),
        pytest.param(
            Edit(date(2026, 10, 1), date(2026, 11, 4), amount=3.0), [10.0] * 4 + [7.0] * 6, id="amount-ends-within"
        ),
    ],
)
def test_an_event_under_way_is_in_the_history_and_only_its_end_is_an_edit(edit: Edit, expected: list[float]) -> None:
    assert point_of(edit)[0].tolist() == expected


def test_the_given_paths_stay_as_they_are() -> None:
    before = PATHS.copy()
    edited(POINT, PATHS, DAYS, [(Edit(date(2026, 11, 1), factor=2.0), FIRST)], seed=1)
    assert (before == PATHS).all()
