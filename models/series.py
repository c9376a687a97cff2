"""Daily series side by side on one grid of days, and how they are read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from farthing.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

Days = NDArray[np.datetime64]
Values = NDArray[np.float64]

_COLUMNS = ("uid", "ds", "y")
_LONGEST_DAYS = 36_525  # a century: a file that spans more has a mistyped year
_CSV_HEADER_LINES = 1


@dataclass(frozen=True)
class Panel:
    """Series `uids` (n) on the contiguous `days` (T, datetime64[D]); `y` (n, T) is nan where no value is known.

    Missing is not zero: a series that began later, ended earlier or misses days has nan there.
    """

    uids: list[str]
    days: Days
    y: Values

    def __post_init__(self) -> None:
        if self.y.shape != (len(self.uids), len(self.days)):
            raise ValueError(f"y is {self.y.shape}, but there are {len(self.uids)} series and {len(self.days)} days")
        if len(self.days) > 1 and not (np.diff(self.days) == np.timedelta64(1, "D")).all():
            raise ValueError("the days of a panel follow each other without a gap")

    def until(self, day: np.datetime64) -> Panel:
        """What was known at the end of `day`: later days are cut off; the grid ends at `day` in any case.

        Series that begin later have no value at all and are left out.
        """
        if not len(self.days) or day < self.days[0]:
            return Panel([], np.array([], "datetime64[D]"), np.empty((0, 0)))
        days = np.arange(self.days[0], day + np.timedelta64(1, "D"))
        y = np.full((len(self.uids), len(days)), np.nan)
        kept = min(len(days), len(self.days))
        y[:, :kept] = self.y[:, :kept]
        begun = np.isfinite(y).any(axis=1)
        return Panel([uid for uid, has in zip(self.uids, begun.tolist(), strict=True) if has], days, y[begun])

    def values(self, uids: Sequence[str], days: Days) -> Values:
        """The values of `uids` on `days`, shape (len(uids), len(days)); nan where there is none."""
        rows = {uid: row for row, uid in enumerate(self.uids)}
        found = np.full((len(uids), len(days)), np.nan)
        if not len(self.days):
            return found
        columns = (days - self.days[0]).astype(np.int64)
        inside = (columns >= 0) & (columns < len(self.days))
        for row, uid in enumerate(uids):
            if uid in rows:
                found[row, inside] = self.y[rows[uid], columns[inside]]
        return found


def panel_of(uids: Sequence[str], days: Days, y: Values) -> Panel:
    """A panel from long columns of equal length: one (uid, day, value) for each known value."""
    names, rows = np.unique(np.asarray(uids, dtype=str), return_inverse=True)
    if not len(names):
        return Panel([], np.array([], "datetime64[D]"), np.empty((0, 0)))
    first, last = days.min(), days.max()
    grid = np.arange(first, last + np.timedelta64(1, "D"))
    values = np.full((len(names), len(grid)), np.nan)
    values[rows, (days - first).astype(np.int64)] = y
    return Panel([str(name) for name in names], grid, values)


def read_series(path: Path | str) -> Panel:
    """The series of a CSV or Parquet file with the columns `uid`, `ds` (a day) and `y` (a number, or nothing).

    Further columns are not looked at. An empty `y` is a day without a known value, as a missing row is.

    Raises:
        ConfigError: there is no such file, it is neither CSV nor Parquet, or a column is missing.
        DataError: a row has no uid, no day, a time of day, no number, or comes twice; the line is named.
    """
    import polars as pl

    file = Path(path)
    first_line = 1 + (_CSV_HEADER_LINES if file.suffix != ".parquet" else 0)
    table = _read(file).select(
        pl.col("uid").cast(pl.String), "ds", "y", pl.int_range(first_line, pl.len() + first_line).alias("line")
    )
    _refuse(file, table, pl.col("uid").is_null() | (pl.col("uid") == ""), "uid", "uid is empty")
    table = table.with_columns(_day(table).alias("day"), _number(table).alias("value"))
    _refuse(file, table, pl.col("day").is_null(), "ds", "ds is no day; write it like 2026-10-05, one row for each day")
    _refuse(file, table, ~pl.col("value").fill_null(0.0).is_finite() & ~pl.col("value").is_nan(), "y", "y is infinite")
    missing = (pl.col("y").cast(pl.String).str.strip_chars() == "").fill_null(value=True)
    _refuse(file, table, pl.col("value").is_null() & ~missing, "y", "y is no number")
    _refuse(file, table, ~pl.struct("uid", "day").is_first_distinct(), "ds", "this uid has this day twice")
    if table.is_empty():
        raise ConfigError("has no rows.", file=file, fix="at least one row with uid, ds and y.")
    span = (pl.col("day") - pl.col("day").median()).abs() > pl.duration(days=_LONGEST_DAYS // 2)
    _refuse(file, table, span, "ds", "ds is more than 50 years from the other days")
    days = table["day"].to_numpy().astype("datetime64[D]")
    return panel_of(table["uid"].to_list(), days, table["value"].fill_null(float("nan")).to_numpy())


def _read(file: Path) -> pl.DataFrame:
    import polars as pl

    try:
        if file.suffix == ".parquet":
            table = pl.read_parquet(file)
        elif file.suffix == ".csv" or file.name.endswith(".csv.gz"):
            table = pl.read_csv(file, infer_schema=False)
        else:
            raise ConfigError("is neither CSV nor Parquet.", file=file, fix="a file named .csv, .csv.gz or .parquet.")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}.", file=file, fix="name another file.") from None
    except pl.exceptions.PolarsError as error:
        told = str(error).partition("\n")[0][:200]  # further lines advise on polars
        raise ConfigError(
            f"cannot be read: {told}.",
            file=file,
            fix="a table with the columns uid, ds, y, as many values in each row.",
        ) from None
    lacking = [name for name in _COLUMNS if name not in table.columns]
    if lacking:
        raise ConfigError(
            f"has no column {' and no column '.join(lacking)}; it has {', '.join(table.columns) or 'none'}.",
            file=file,
            fix="name the columns uid (the series), ds (the day) and y (the value).",
        )
    return table


def _day(table: pl.DataFrame) -> pl.Expr:
    """The day of `ds`; null where it is none, or a time within a day."""
    import polars as pl

    kind = table.schema["ds"]
    if kind == pl.Date:
        return pl.col("ds")
    if kind.is_temporal():
        return pl.when(pl.col("ds").dt.truncate("1d") == pl.col("ds")).then(pl.col("ds").dt.date())
    text = pl.col("ds").cast(pl.String).str.strip_chars()
    midnight: pl.Expr = text.str.replace(r"[T ]00:00(:00(\.0+)?)?(Z|\+00:00)?$", "")
    return midnight.str.to_date("%Y-%m-%d", strict=False)


def _number(table: pl.DataFrame) -> pl.Expr:
    import polars as pl

    y = pl.col("y")
    return (y.str.strip_chars() if table.schema["y"] == pl.String else y).cast(pl.Float64, strict=False)


def _refuse(file: Path, table: pl.DataFrame, wrong: pl.Expr, column: str, reason: str) -> None:
    """Raise for the first row that is `wrong`.

    Raises:
        DataError: there is one.
    """
    found = table.filter(wrong).head(1)
    if not found.is_empty():
        value = found[column].to_list()[0]
        shown = "" if value is None else f" ({str(value)[:40]!r})"
        raise DataError(f"{reason}{shown}.", file=str(file), line=int(found["line"][0]))
