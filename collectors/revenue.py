"""What customers pay, per plan and period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from collectors import landing
from collectors.checks import unknown_currency
from collectors.kind import Check, Kind, LoadResult, Report, Row
from collectors.mapping import Dialect
from farthing.config import Config, Source
from farthing.lake import Lake
from farthing.lake.schemas import EXACT, REVENUE

TABLE = REVENUE


def _checks(_row: Row) -> Sequence[Check]:
    return [unknown_currency("currency")]


def _derived(row: Row) -> Mapping[str, str]:
    return {"amount_rounding": f"{row.map.exact('amount')} - amount"}


KIND = Kind(
    Dialect(TABLE, made={"amount_rounding": EXACT}),
    needed=lambda _: TABLE.required,
    derived=_derived,
    checks=_checks,
    rounding=lambda _: ("currency", "amount_rounding"),
)


def collect(name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
    """Land every new or changed file of revenue rows."""
    return landing.collect(KIND, name, source, config, lake, report)


def preview(name: str, source: Source, config: Config) -> pl.DataFrame:
    """The first three revenue rows as they would land."""
    return landing.preview(KIND, name, source, config)
