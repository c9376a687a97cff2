"""The slice that a jump was planted in is named, with its share, and split exactly into price and volume."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.anomaly_causes import contest, cube
from models.anomaly import Change, find_causes


def grid(**sizes: int) -> dict[str, list[str]]:
    places = list(product(*(range(size) for size in sizes.values())))
    return {name: [str(place[number]) for place in places] for number, name in enumerate(sizes)}


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_planted_slice_of_noisy_lines_is_among_the_first_three(order: int) -> None:
    random = np.random.default_rng([7, order])
    hits = 0
    for _ in range(8):
        change, planted = cube(random, order, 0.3)
        hits += planted in [cause.slice for cause in find_causes(change)]
    assert hits >= 7


def test_the_bar_of_the_contest_holds() -> None:
    assert all(one.top_3 >= 0.85 for one in contest(cubes=4) if one.noise <= 0.3)


def test_a_slice_that_was_not_there_before_is_found() -> None:
    keys = grid(team=4, model=5)
    before = np.where(np.asarray(keys["model"]) == "4", 0.0, 10.0)
    after = before + np.where((np.asarray(keys["model"]) == "4") & (np.asarray(keys["team"]) == "2"), 25.0, 0.0)
    after[0] += 0.5
    cause = find_causes(Change(keys, before, after))[0]
    assert cause.slice == {"model": "4"}
    assert cause.before == 0
    assert cause.share == pytest.approx(25 / 25.5)


def test_of_slices_with_the_same_lines_the_shortest_is_named_once() -> None:
    keys = {"resource": ["a", "b", "c"], "pool": ["gpu", "gpu", "api"], "region": ["x", "x", "y"]}
    causes = find_causes(Change(keys, np.array([10.0, 10.0, 10.0]), np.array([10.0, 10.1, 40.0])))
    assert [cause.slice for cause in causes if cause.after == 40.0] in (
        [{"pool": "api"}],
        [{"region": "y"}],
        [{"resource": "c"}],
    )


def test_what_moved_against_the_whole_is_no_cause() -> None:
    keys = {"team": ["a", "b", "c"]}
    causes = find_causes(Change(keys, np.array([100.0, 100.0, 100.0]), np.array([150.0, 90.0, 100.5])))
    assert [cause.slice for cause in causes] == [{"team": "a"}]


def test_no_change_has_no_cause_and_no_lines_have_none() -> None:
    assert find_causes(Change({"team": ["a"]}, np.array([5.0]), np.array([5.0]))) == []
    assert find_causes(Change({"team": []}, np.array([]), np.array([]))) == []


@given(
    prices=st.lists(st.floats(0.1, 10), min_size=4, max_size=4),
    quantities=st.lists(st.floats(1, 100), min_size=4, max_size=4),
)
def test_price_and_volume_add_up_to_the_change(prices: list[float], quantities: list[float]) -> None:
    old, new = np.array(quantities[:2]), np.array(quantities[2:])
    before, after = np.array(prices[:2]) * old, np.array(prices[2:]) * new
    for cause in find_causes(Change({"sku": ["a", "b"]}, before, after, old, new)):
        assert cause.price_effect is not None
        assert cause.volume_effect is not None
        assert cause.price_effect + cause.volume_effect == pytest.approx(cause.change, rel=1e-9, abs=1e-9)


def test_a_dearer_unit_is_price_and_more_of_it_is_volume() -> None:
    keys, ones = {"sku": ["a", "b"]}, np.array([100.0, 100.0])
    dearer = find_causes(Change(keys, ones, np.array([125.0, 100.0]), ones, ones))[0]
    assert (dearer.price_effect, dearer.volume_effect) == pytest.approx((25, 0))
    more = find_causes(Change(keys, ones, np.array([125.0, 100.0]), ones, np.array([125.0, 100.0])))[0]
    assert (more.price_effect, more.volume_effect) == pytest.approx((0, 25))


def test_without_quantities_nothing_is_split() -> None:
    cause = find_causes(Change({"sku": ["a", "b"]}, np.array([1.0, 1.0]), np.array([3.0, 1.0])))[0]
    assert (cause.price_effect, cause.volume_effect) == (None, None)
