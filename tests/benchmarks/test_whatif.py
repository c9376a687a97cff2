"""The contest of what-if: the joint replay is the plain loop's, and no sum."""

from __future__ import annotations

import pytest

from benchmarks import whatif


def test_routing_and_caching_together_are_what_a_plain_loop_over_the_requests_gives() -> None:
    found = whatif.measured(2_000, 2)
    for chances in ("known", "priors"):
        parts = {name: found[chances][name][1] for name in ("routing", "cache", "sum", "independent", "joint")}
        assert found[chances]["largest_difference"] <= 1e-9
        assert parts["joint"] < parts["sum"] - 0.01
        assert parts["joint"] == pytest.approx(parts["independent"], abs=0.03)
    assert found["hit_cost"] < found["hit_requests"]
