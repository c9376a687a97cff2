"""The attribution contest, small: it measures what it says, and what it builds ties to its bill."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.heavy
def test_the_contest_gives_ratios_to_the_scan_and_a_ledger_that_is_the_bill() -> None:
    command = [sys.executable, "-m", "benchmarks.attribute", "--requests", "20000", "--json"]
    measures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=_ROOT).stdout)
    assert [one["what"] for one in measures] == [
        "scan and group",
        "scan by user and model",
        "ledger",
        "build without request_costs",
        "ledger and request_costs",
        "whole build",
    ]
    floor = measures[0]
    for one in measures:
        assert one["requests"] == 20_000
        assert one["ratio"] == one["seconds"] / floor["seconds"]
        assert one["peak_bytes"] > 0
    assert [Decimal(one["difference"]) for one in measures[2:]] == [0, 0, 0, 0]
    assert all(part["seconds"] <= whole["seconds"] for part, whole in zip(measures[2::2], measures[3::2], strict=True))
