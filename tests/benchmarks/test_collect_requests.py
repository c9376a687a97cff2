"""Collecting request logs against DuckDB reading the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import collect_requests


@pytest.mark.heavy
@pytest.mark.parametrize("name", collect_requests.CONTESTS)
def test_a_log_lands_within_its_bar(tmp_path: Path, name: str) -> None:
    floor, collected = collect_requests.contest(name, rows=10_000, folder=tmp_path, repeats=1)
    assert (floor.what, collected.what) == ("duckdb", "collect")
    assert collected.cpu_ratio <= collect_requests.CONTESTS[name].bar
    assert collected.peak_bytes <= 1 << 30
