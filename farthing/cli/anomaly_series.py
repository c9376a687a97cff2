"""`anomalies --series`: the days that stand out in any daily series in a file; needs no project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from farthing import console
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

    from models.series import Panel

#: The columns of the judgement in a file, in their order; one row for each day that has a value.
COLUMNS = ("uid", "ds", "expected", "score", "flagged", "episode")


def series_mode(series: Path, threshold: float | None, out: Path | None, form: Form) -> None:
    """Judge every day of the series of a file by the days before it.

    Raises:
        ConfigError: the file, or where to write, is wrong.
        DataError: a row of the file is wrong.
    """
    if out is not None and out.suffix not in {".csv", ".parquet"}:
        raise ConfigError("is neither .csv nor .parquet.", file=out, key="--out", fix="name it anomalies.parquet.")
    from models.series import read_series

    panel = read_series(series)
    table = _judge(panel, threshold)
    days, number = int(table["flagged"].sum()), table.filter(table["episode"].is_not_null())
    episodes = number.select("uid", "episode").n_unique()
    told = f"{len(panel.uids):,} series, {table.height:,} days: {days:,} flagged, {episodes:,} episodes"
    if out is not None:
        _write(out, table)
        console.say(f"{told}: {out}", form=form)
        return
    shown = table if form is not Form.TABLE else number
    console.show(Sheet("days", COLUMNS, shown.rows(), title=told, note="A score counts standard deviations."), form)


def _judge(panel: Panel, threshold: float | None) -> pl.DataFrame:
    """The judgement in the columns `COLUMNS`."""
    import numpy as np
    import polars as pl

    from models.anomaly import THRESHOLD, judge

    found = judge(panel.y, threshold=THRESHOLD if threshold is None else threshold)
    rows, days = np.nonzero(np.isfinite(panel.y))
    return pl.DataFrame(
        {
            "uid": np.asarray(panel.uids)[rows],
            "ds": panel.days[days],
            "expected": found.expected[rows, days],
            "score": found.score[rows, days],
            "flagged": found.flagged[rows, days],
            "episode": found.episode[rows, days],
        }
    ).with_columns(
        pl.col("ds").cast(pl.Date),
        pl.col("expected", "score").fill_nan(None),
        pl.when(pl.col("episode") > 0).then(pl.col("episode")).alias("episode"),
    )


def _write(out: Path, table: pl.DataFrame) -> None:
    """Write `table` as CSV or Parquet.

    Raises:
        ConfigError: it cannot be written to.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".csv":
            table.write_csv(out)
        else:
            table.write_parquet(out)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}.", file=out, fix="name another place with --out."
        ) from None
