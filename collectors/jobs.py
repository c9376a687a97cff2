"""Training and batch work, from Slurm, Kubernetes or a CSV file: who had which GPUs, and when."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collectors import landing
from collectors.checks import before, negative
from collectors.kind import Check, Kind, LoadResult, Report, Row
from collectors.mapping import Dialect
from farthing.config import Config, Source
from farthing.lake import Lake
from farthing.lake.schemas import JOBS

TABLE = JOBS


def _checks(_row: Row) -> Sequence[Check]:
    return [before("ended_at", "started_at"), *negative(["gpu_count"])]


KIND = Kind(Dialect(TABLE), needed=lambda _: TABLE.required, checks=_checks)


def collect(name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
    """Land every new or changed file of jobs."""
    return landing.collect(KIND, name, source, config, lake, report)


def preview(name: str, source: Source, config: Config) -> pl.DataFrame:
    """The first three jobs as they would land."""
    return landing.preview(KIND, name, source, config)
