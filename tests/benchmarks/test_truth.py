"""The methods against known truth: how far off each is, and that the ledger is the bill."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import truth


@pytest.mark.heavy
@pytest.mark.parametrize("case", truth.CASES)
def test_phase_time_is_near_the_truth_and_nearer_than_every_other_method(
    shared: Path, tmp_path: Path, case: str
) -> None:
    found = truth.measure(shared / "truth" / case, tmp_path)
    phase_time, *others = found.errors
    assert phase_time.method == "phase_time"
    assert phase_time.per_user <= 0.03
    assert phase_time.per_request <= 0.12
    assert {one.method for one in others} == {"gpu_seconds", "tokens", "requests"}
    assert all(one.per_user > phase_time.per_user for one in others), others
    assert found.ledger == found.bill
