from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.farthing.commands import Said, farthing

_FIRST = date(2026, 1, 1)
_COLUMNS = ["uid", "ds", "forecast", "q025", "q10", "q90", "q975"]


def _spend(path: Path, days: int = 80, after: float = 1.0) -> Path:
    """Two series; from day 61 on multiplied by `after`. The second begins late and misses a day."""
    generator = np.random.default_rng(5)
    rows = ["uid,ds,y,src"]
    for uid, begins in (("a", 0), ("b", 20)):
        for day in range(begins, days):
            value = (100 + 20 * (day % 7 == 0) + generator.normal()) * (after if day >= 60 else 1.0)
            if (uid, day) != ("b", 33):
                rows.append(f"{uid},{_FIRST + timedelta(days=day)},{value:.4f},made")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _run(series: Path, *more: object) -> Said:
    return farthing(
        "forecast", "--series", series, "--as-of", "2026-03-01", "--horizon", 10, "--model", "weekday_mean", *more
    )


def test_each_series_gets_a_row_a_day_and_one_without_a_day_for_the_sum(tmp_path: Path) -> None:
    out = tmp_path / "new" / "f.parquet"
    said = _run(_spend(tmp_path / "s.csv"), "--out", out)
    assert said.code == 0, said.err
    found = pl.read_parquet(out)
    assert found.columns == _COLUMNS
    assert dict(found.schema)["ds"] == pl.Date
    assert found["uid"].to_list() == ["a"] * 11 + ["b"] * 11
    days = found.filter(pl.col("uid") == "a")["ds"].to_list()
    assert days == [date(2026, 3, 2) + timedelta(days=day) for day in range(10)] + [None]
    for (_,), part in found.group_by("uid"):
        of_days, of_sum = part.filter(pl.col("ds").is_not_null()), part.filter(pl.col("ds").is_null())
        assert of_sum["forecast"].sum() == pytest.approx(of_days["forecast"].sum())
        for low, high in (("q025", "q10"), ("q10", "q90"), ("q90", "q975")):
            assert (part[low] < part[high]).all()
        widths = [float((one["q90"] - one["q10"]).sum()) for one in (of_sum, of_days)]
        assert widths[0] < widths[1], "a sum is surer than its days"


def test_what_lies_after_the_as_of_day_changes_nothing(tmp_path: Path) -> None:
    texts = []
    for name, after in (("one", 1.0), ("two", 50.0)):
        out = tmp_path / f"{name}.csv"
        assert _run(_spend(tmp_path / f"s{name}.csv", after=after), "--out", out).code == 0
        texts.append(out.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]


def test_without_an_as_of_day_the_last_day_of_the_file_is_the_origin(tmp_path: Path) -> None:
    out = tmp_path / "f.csv"
    said = farthing(
        "forecast", "--series", _spend(tmp_path / "s.csv"), "--model", "seasonal_naive", "--horizon", 2, "--out", out
    )
    assert said.code == 0, said.err
    with out.open(encoding="utf-8") as file:
        assert [row["ds"] for row in csv.DictReader(file)][:3] == ["2026-03-22", "2026-03-23", ""]


def test_a_seed_makes_the_file_again_to_the_byte_and_another_one_another(tmp_path: Path) -> None:
    series, texts = _spend(tmp_path / "s.csv"), []
    for number, seed in enumerate((4, 4, 5)):
        out = tmp_path / f"{number}.csv"
        assert _run(series, "--seed", seed, "--out", out).code == 0
        texts.append(out.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_without_a_file_to_write_to_it_is_a_table_json_or_csv(tmp_path: Path) -> None:
    series = _spend(tmp_path / "s.csv")
    rows = _run(series, "--json").value
    assert list(rows[0]) == _COLUMNS
    assert rows[10]["ds"] is None
    assert next(csv.reader(_run(series, "--csv").out.splitlines())) == _COLUMNS
    assert "The row without a day is the sum" in _run(series).out


def test_a_series_that_gets_less_than_it_was_asked_for_is_named_beside_the_result(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    rows = [f"young,{_FIRST + timedelta(days=day)},{day}" for day in range(50, 60)]
    rows += [f"gone,{_FIRST + timedelta(days=day - 300)},1" for day in range(20)]
    path.write_text("uid,ds,y\n" + "\n".join(rows) + "\n", encoding="utf-8")
    said = _run(path, "--json")
    assert said.code == 0, said.err
    assert "young: too short (10 days)" in said.err
    assert "gone: no value in the last 180 days: no forecast" in said.err
    by_uid = {row["uid"]: row for row in json.loads(said.out)}
    assert by_uid["gone"]["forecast"] is None
    assert by_uid["young"]["forecast"] is not None


def test_a_series_without_any_value_up_to_the_as_of_day_is_left_out_and_named(tmp_path: Path) -> None:
    path = _spend(tmp_path / "s.csv")
    with path.open("a", encoding="utf-8") as file:
        file.write("later,2026-03-05,1,made\nempty,2026-02-01,,made\n")
    said = _run(path, "--json")
    assert said.code == 0, said.err
    assert {row["uid"] for row in said.value} == {"a", "b"}
    assert "later: no value up to 2026-03-01: left out" in said.err
    assert "empty: no value up to 2026-03-01: left out" in said.err


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        pytest.param(["--model", "oracle"], 2, "no model 'oracle'", id="model"),
        pytest.param(["--as-of", "2025-01-01"], 2, "no series begins before 2025-01-01", id="as-of"),
        pytest.param(["--as-of", "soon"], 2, "no day", id="no day"),
        pytest.param(["--horizon", "0"], 2, "horizon", id="horizon"),
        pytest.param(["--out", "f.xlsx"], 2, "neither .csv nor .parquet", id="suffix"),
        pytest.param(["--series", "none.csv"], 2, "none.csv: cannot be read", id="no file"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_fix(tmp_path: Path, more: list[str], code: int, told: str) -> None:
    said = farthing("forecast", "--series", _spend(tmp_path / "s.csv"), *more)
    assert said.code == code
    assert told in said.err
    assert "bug" not in said.err


def test_a_wrong_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("uid,ds,y\na,2026-01-01,1\na,yesterday,2\n", encoding="utf-8")
    said = farthing("forecast", "--series", path)
    assert said.code == 1
    assert f"{path}:3: ds is no day" in said.err


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    said = _run(_spend(tmp_path / "s.csv"), "--out", tmp_path / "file" / "f.csv")
    assert said.code == 2
    assert "--out" in said.err


@pytest.mark.heavy
def test_public_series_are_forecast_by_the_default_model(tmp_path: Path, shared: Path) -> None:
    series = pl.read_csv(shared / "series" / "daily.csv").filter(pl.col("uid").is_in(["fl_AA", "fl_DL"]))
    series.write_csv(tmp_path / "s.csv")
    out = tmp_path / "f.parquet"
    said = farthing("forecast", "--series", tmp_path / "s.csv", "--as-of", "2013-11-30", "--out", out)
    assert said.code == 0, said.err
    found = pl.read_parquet(out).filter(pl.col("ds").is_not_null())
    actual = series.with_columns(pl.col("ds").str.to_date())
    missed = found.join(actual, on=["uid", "ds"]).select(
        (pl.col("y") - pl.col("forecast")).abs().sum() / pl.col("y").sum()
    )
    assert missed.item() < 0.1
