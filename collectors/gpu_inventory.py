"""Which GPU serves which replica on which billed resource, and since when: the bridge between bill and telemetry."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collectors import landing
from collectors.checks import not_after
from collectors.kind import Check, Kind, LoadResult, Report, Row
from collectors.mapping import Dialect
from farthing.config import Config, Source
from farthing.lake import Lake
from farthing.lake.schemas import GPU_INVENTORY

TABLE = GPU_INVENTORY


def _checks(_row: Row) -> Sequence[Check]:
    return [
        not_after("valid_to", "valid_from"),
        ("share <= 0 or share > 1", "'share is not in (0, 1]: ' || share"),
    ]


def _finish(_source: Source) -> Sequence[str]:
    """A GPU and replica cannot be in two places at once: the row that begins while another holds is refused."""
    return (
        """
        update staged set
            _reason = 'overlaps line ' || other || ': the same gpu_uuid and replica_id are valid at the same time',
            _raw = to_json(struct_pack(gpu_uuid, replica_id, valid_from, valid_to))::varchar
        from (
            select later._line as line, min(earlier._line) as other
            from staged later join staged earlier
                on later.gpu_uuid = earlier.gpu_uuid and later.replica_id is not distinct from earlier.replica_id
                and earlier.valid_from < later.valid_from
                and later.valid_from < coalesce(earlier.valid_to, timestamp 'infinity')
            where later._reason is null and earlier._reason is null
            group by 1
        ) as overlap
        where staged._line = overlap.line
        """,
    )


KIND = Kind(Dialect(TABLE), needed=lambda _: TABLE.required, checks=_checks, finish=_finish)


def collect(name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
    """Land every new or changed inventory."""
    return landing.collect(KIND, name, source, config, lake, report)


def preview(name: str, source: Source, config: Config) -> pl.DataFrame:
    """The first three rows as they would land."""
    return landing.preview(KIND, name, source, config)
