"""Who is behind a user id, a key or a service account: person, customer, team, plan, and since when."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collectors import landing
from collectors.checks import not_after
from collectors.kind import Check, Kind, LoadResult, Report, Row
from collectors.mapping import Dialect
from farthing.config import Config, Source
from farthing.lake import Lake
from farthing.lake.schemas import IDENTITIES

TABLE = IDENTITIES


def _checks(_row: Row) -> Sequence[Check]:
    return [not_after("valid_to", "valid_from")]


KIND = Kind(Dialect(TABLE), needed=lambda _: TABLE.required, checks=_checks)


def collect(name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
    """Land every new or changed file of identities."""
    return landing.collect(KIND, name, source, config, lake, report)


def preview(name: str, source: Source, config: Config) -> pl.DataFrame:
    """The first three identities as they would land."""
    return landing.preview(KIND, name, source, config)
