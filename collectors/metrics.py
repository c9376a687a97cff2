"""Daily quantities that costs are shared by or divided by: vectors stored, tickets solved, gigabytes."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collectors import landing
from collectors.checks import negative, one_of
from collectors.kind import Check, Kind, LoadResult, Report, Row
from collectors.mapping import Dialect
from farthing.config import Config, Source
from farthing.lake import Lake
from farthing.lake.schemas import METRICS

TABLE = METRICS
#: Columns of the ledger that a quantity can be somebody's by.
DIMENSIONS = ("user", "team", "customer", "model", "feature", "environment")


def _checks(_row: Row) -> Sequence[Check]:
    return [one_of("dimension", DIMENSIONS), *negative(["quantity"])]


KIND = Kind(Dialect(TABLE), needed=lambda _: TABLE.required, checks=_checks)


def collect(name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
    """Land every new or changed file of metrics."""
    return landing.collect(KIND, name, source, config, lake, report)


def preview(name: str, source: Source, config: Config) -> pl.DataFrame:
    """The first three metrics as they would land."""
    return landing.preview(KIND, name, source, config)
