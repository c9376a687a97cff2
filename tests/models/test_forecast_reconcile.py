from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.forecast import forecast
from models.forecast.reconcile import bottom_up, min_trace, summing_matrix
from tests.models.forecasts import panel, weekly

_GROUPS = {"total": ["s0", "s1", "s2", "s3"], "team a": ["s0", "s1"], "team b": ["s2", "s3"], "model x": ["s0", "s2"]}
_LEAVES = ["s0", "s1", "s2", "s3"]
_Paths = NDArray[np.float64]


def test_team_by_model_adds_up_to_the_total_in_points_and_in_every_path() -> None:
    leaves = forecast(panel(*(weekly(70, seed) for seed in range(4))), 14, model="weekday_mean")
    sums = bottom_up(leaves, _GROUPS | {"model y": ["s1", "s3"]})
    at = {uid: row for row, uid in enumerate(sums.uids)}
    for values in (sums.point, sums.paths):
        np.testing.assert_allclose(values[at["team a"]] + values[at["team b"]], values[at["total"]], rtol=1e-12)
        np.testing.assert_allclose(values[at["model x"]] + values[at["model y"]], values[at["total"]], rtol=1e-12)
    np.testing.assert_allclose(sums.paths[at["team a"]], leaves.paths[0] + leaves.paths[1])


def test_a_sum_says_what_its_parts_said() -> None:
    leaves = forecast(panel(weekly(70), np.full(70, 4.0)), 7, model="weekday_mean")
    assert bottom_up(leaves, {"total": ["s0", "s1"]}).notes == ["s1: constant"]


def _base(seed: int = 0) -> tuple[_Paths, _Paths, _Paths, _Paths]:
    """Paths of leaves and groups that do not add up, and earlier errors of both."""
    generator = np.random.default_rng(seed)
    leaves = generator.normal(2, 2, size=(4, 20, 5))
    groups = np.tensordot(summing_matrix(_LEAVES, _GROUPS), leaves, axes=1) + generator.normal(size=(4, 20, 5))
    return leaves, groups, generator.normal(size=(60, 4)), generator.normal(size=(60, 4))


def test_min_trace_adds_up_and_is_not_negative() -> None:
    matrix = summing_matrix(_LEAVES, _GROUPS)
    leaves, groups, leaf_errors, group_errors = _base()
    assert leaves.min() < 0
    low, high = min_trace(matrix, leaves, groups, leaf_errors, group_errors)
    np.testing.assert_allclose(np.tensordot(matrix, low, axes=1), high, atol=1e-9)
    assert low.min() >= 0


def test_min_trace_leaves_what_adds_up_as_it_is() -> None:
    matrix = summing_matrix(_LEAVES, _GROUPS)
    leaves, _, leaf_errors, group_errors = _base()
    leaves = np.abs(leaves)
    low, _ = min_trace(matrix, leaves, np.tensordot(matrix, leaves, axes=1), leaf_errors, group_errors)
    np.testing.assert_allclose(low, leaves, atol=1e-8)


def test_min_trace_follows_whom_errors_say_to_trust() -> None:
    matrix = np.ones((1, 2))
    leaves, groups = np.full((2, 1, 1), 5.0), np.full((1, 1, 1), 16.0)
    generator = np.random.default_rng(0)
    errors = generator.normal(size=(200, 2)), generator.normal(size=(200, 1))
    _, sure = min_trace(matrix, leaves, groups, errors[0], errors[1] * 0.01)
    _, unsure = min_trace(matrix, leaves, groups, errors[0], errors[1] * 100)
    assert abs(sure[0, 0, 0] - 16) < 0.1
    assert abs(unsure[0, 0, 0] - 10) < 0.1
