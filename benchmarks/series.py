"""The daily series that forecasts are measured on, as panels whose series end on the same day."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

from models.series import Panel, panel_of, read_series

#: Of each series, at most this many days: more origins than are looked at, with history before the first.
_DAYS = 800
_LEAVES = 12


def folder() -> Path:
    """The folder of series: `series` in $FARTHING_SHARED, or in ../shared/data beside the checkout."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    given = Path(os.environ.get("FARTHING_SHARED", beside))
    return next((place for place in (given / "data" / "series", given / "series") if place.is_dir()), given / "series")


def panels(where: Path, *, fast: bool = False) -> dict[str, Panel]:
    """By name: public daily series, a simulated company, flights and what they add up to, one AWS account by service.

    `fast` keeps a few of each.
    """
    services = pl.read_csv(where / "aws_cost_explorer_2024_daily.csv", try_parse_dates=True)
    found = {
        "daily": aligned(read_series(where / "daily.csv")),
        "synthetic": read_series(where / "synthetic_spend.csv"),
        "flights": _long(flights(where)[0], "uid"),
        "aws": _long(services, "service"),
    }
    if fast:
        found = {name: Panel(one.uids[::3], one.days, one.y[::3]) for name, one in found.items() if name != "flights"}
    return found


def aligned(panel: Panel) -> Panel:
    """The series moved in time so that all end on the panel's last day, each cut to its last `_DAYS` days.

    They come from different years; weeks stay whole, and the calendar of a year plays no part in what is measured.
    """
    y = np.full((len(panel.uids), _DAYS), np.nan)
    for row, values in enumerate(panel.y):
        known = np.flatnonzero(np.isfinite(values))
        kept = values[known[0] : known[-1] + 1][-_DAYS:]
        y[row, _DAYS - len(kept) :] = kept
    last = panel.days[-1]
    return Panel(panel.uids, np.arange(last - np.timedelta64(_DAYS - 1, "D"), last + np.timedelta64(1, "D")), y)


def flights(where: Path) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """Flights a day of the busiest origin/carrier pairs and of their sums, long; and which pairs each sum has."""
    rows = pl.read_csv(where / "hier_counts.csv", try_parse_dates=True)
    rows = rows.with_columns(pl.concat_str("origin", "carrier", separator="/").alias("uid"))
    size = rows.group_by("uid").agg(pl.col("y").sum()).sort("y", "uid", descending=[True, False])
    leaves = rows.filter(pl.col("uid").is_in(size["uid"].head(_LEAVES).to_list()))
    groups: dict[str, list[str]] = {"total": sorted(leaves["uid"].unique())}
    tables = [leaves.select("uid", "ds", "y")]
    for key in ("origin", "carrier"):
        for (name,), part in leaves.group_by(key):
            groups[f"{key} {name}"] = sorted(part["uid"].unique())
    groups = dict(sorted(groups.items()))
    for name, uids in groups.items():
        summed = leaves.filter(pl.col("uid").is_in(uids)).group_by("ds").agg(pl.col("y").sum())
        tables.append(summed.select(pl.lit(name).alias("uid"), "ds", "y"))
    return pl.concat(tables), groups


def _long(table: pl.DataFrame, uid: str) -> Panel:
    days = table["ds"].to_numpy().astype("datetime64[D]")
    return panel_of(table[uid].to_list(), days, table["y"].cast(pl.Float64).to_numpy())


def made(series: int, days: int, seed: int = 7) -> Panel:
    """A panel of made-up spend: a level, a week, noise in proportion and a slow drift; for measuring time."""
    generator = np.random.default_rng(seed)
    level = np.exp(generator.normal(5, 1.5, size=(series, 1)))
    week = np.exp(0.2 * generator.normal(size=(series, 7)))[:, np.arange(days) % 7]
    drift = np.exp(np.cumsum(generator.normal(scale=0.02, size=(series, days)), axis=1))
    y = level * week * drift * np.exp(0.1 * generator.normal(size=(series, days)))
    first = np.datetime64("2026-01-01", "D")
    return Panel(
        [f"made{number:05d}" for number in range(series)], np.arange(first, first + np.timedelta64(days, "D")), y
    )
