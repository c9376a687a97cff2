"""Collecting request logs against DuckDB reading the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import collect_requests


@pytest.mark.heavy
@pytest.mark.parametrize("name", collect_requests.CONTESTS)
def test_a_log_lands_within_its_bar(tmp_path: Path, name: str) -> None:
    rows = {"parquet": 1_000_000, "otlp": 100_000}.get(name, 10_000)  # of fewer rows most is the cost of any file
    floor, collected = collect_requests.contest(name, rows=rows, folder=tmp_path, repeats=1)
    assert (floor.what, collected.what) == ("duckdb", "collect")
    assert collected.cpu_ratio <= collect_requests.CONTESTS[name].bar
    assert collected.peak_bytes <= 1 << 30
