from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from farthing.errors import ConfigError, DataError
from models.series import Panel, read_series

_GOOD = "uid,ds,y\na,2026-01-01,1\nb,2026-01-02,2.5\na,2026-01-03,-3\n"


def _csv(folder: Path, text: str) -> Path:
    path = folder / "series.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_series_are_laid_on_one_grid_of_days_and_a_day_without_a_row_is_not_zero(tmp_path: Path) -> None:
    panel = read_series(_csv(tmp_path, _GOOD))
    assert panel.uids == ["a", "b"]
    assert panel.days.astype(str).tolist() == ["2026-01-01", "2026-01-02", "2026-01-03"]
    np.testing.assert_array_equal(panel.y, [[1, np.nan, -3], [np.nan, 2.5, np.nan]])


@pytest.mark.parametrize("empty", ["", " ", "nan", "NaN"])
def test_a_day_without_a_number_is_not_known(tmp_path: Path, empty: str) -> None:
    panel = read_series(_csv(tmp_path, f"uid,ds,y\na,2026-01-01,{empty}\na,2026-01-02,4\n"))
    np.testing.assert_array_equal(panel.y, [[np.nan, 4]])


@pytest.mark.parametrize(
    "day", ["2026-01-02 00:00:00", "2026-01-02T00:00:00Z", " 2026-01-02 ", "2026-01-02T00:00:00+00:00"]
)
def test_midnight_is_a_day(tmp_path: Path, day: str) -> None:
    assert read_series(_csv(tmp_path, f"uid,ds,y\na,{day},1\n")).days.astype(str).tolist() == ["2026-01-02"]


@pytest.mark.parametrize("days", [[date(2026, 1, 1), date(2026, 1, 2)], [datetime(2026, 1, 1), datetime(2026, 1, 2)]])  # noqa: DTZ001
def test_parquet_is_read_as_csv_is(tmp_path: Path, days: list[date]) -> None:
    path = tmp_path / "series.parquet"
    pl.DataFrame({"uid": ["a", "a"], "ds": days, "y": [1, None], "more": ["x", "y"]}).write_parquet(path)
    panel = read_series(path)
    assert panel.days.astype(str).tolist() == ["2026-01-01", "2026-01-02"]
    np.testing.assert_array_equal(panel.y, [[1, np.nan]])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        pytest.param("a,02.01.2026,1", "ds is no day", id="another way to write a day"),
        pytest.param("a,2026-02-30,1", "ds is no day", id="a day that is not"),
        pytest.param("a,2026-01-02 13:00,1", "ds is no day", id="a time within a day"),
        pytest.param("a,,1", "ds is no day", id="no day"),
        pytest.param("a,2026-01-02,1.2.3", "y is no number", id="no number"),
        pytest.param("a,2026-01-02,inf", "y is infinite", id="infinite"),
        pytest.param("a,2026-01-01,1", "twice", id="a day twice"),
        pytest.param(",2026-01-02,1", "uid is empty", id="no uid"),
        pytest.param("a,0202-01-02,1", "more than 50 years", id="a mistyped year"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, row: str, told: str) -> None:
    path = _csv(tmp_path, "uid,ds,y\na,2026-01-01,1\na,2026-01-05,1\n" + row + "\n")
    with pytest.raises(DataError, match=told) as raised:
        read_series(path)
    assert str(raised.value).startswith(f"{path}:4: ")


def test_a_row_of_parquet_is_counted_from_one(tmp_path: Path) -> None:
    path = tmp_path / "series.parquet"
    pl.DataFrame({"uid": ["a", "a"], "ds": [date(2026, 1, 1)] * 2, "y": [1.0, 2.0]}).write_parquet(path)
    with pytest.raises(DataError) as raised:
        read_series(path)
    assert raised.value.line == 2


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("series.csv", "uid,day,y\na,2026-01-01,1\n", "no column ds; it has uid, day, y"),
        ("series.csv", "a,b\n1,2\n", "no column uid and no column ds and no column y"),
        ("series.csv", "uid,ds,y\n", "no rows"),
        ("series.csv", "", "cannot be read"),
        ("series.txt", _GOOD, "neither CSV nor Parquet"),
        ("series.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_of_series_is_refused_with_what_to_do(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as raised:
        read_series(tmp_path / name)
    assert raised.value.fix


def test_a_row_with_too_many_values_is_refused_without_advice_on_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text(_GOOD + "a,2026-03-01,1,2,3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="more fields") as raised:
        read_series(path)
    assert "truncate_ragged_lines" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read"):
        read_series(tmp_path / "none.csv")


def _panel() -> Panel:
    days = np.arange(np.datetime64("2026-01-01"), np.datetime64("2026-01-05"))
    return Panel(["a", "b"], days, np.array([[1.0, 2, 3, 4], [np.nan, np.nan, 7, 8]]))


def test_what_came_later_is_not_in_what_was_known_then() -> None:
    cut = _panel().until(np.datetime64("2026-01-02"))
    assert cut.uids == ["a"]
    np.testing.assert_array_equal(cut.y, [[1, 2]])


def test_the_grid_reaches_to_the_day_asked_for_without_values() -> None:
    cut = _panel().until(np.datetime64("2026-01-06"))
    np.testing.assert_array_equal(cut.y, [[1, 2, 3, 4, np.nan, np.nan], [np.nan, np.nan, 7, 8, np.nan, np.nan]])


def test_before_the_first_day_nothing_is_known() -> None:
    assert _panel().until(np.datetime64("2025-12-31")).uids == []


def test_values_off_the_grid_and_of_other_series_are_not_known() -> None:
    days = np.arange(np.datetime64("2026-01-04"), np.datetime64("2026-01-06"))
    np.testing.assert_array_equal(_panel().values(["b", "c"], days), [[8, np.nan], [np.nan, np.nan]])


def test_a_panel_with_a_gap_between_its_days_is_refused() -> None:
    with pytest.raises(ValueError, match="without a gap"):
        Panel(["a"], np.array(["2026-01-01", "2026-01-03"], "datetime64[D]"), np.zeros((1, 2)))
