"""The energy that owned machines drew, by telemetry of their GPUs where there is some, else by nameplate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import duckdb

from farthing.config import Asset
from farthing.lake import Lake
from farthing.lake.schemas import GPU_INVENTORY, GPU_USAGE

#: (ResourceId, hour) -> joules of its GPUs, and the GPU-seconds in which they were measured.
Used = Mapping[tuple[str, datetime], tuple[Decimal, Decimal]]

_JOULES_PER_KWH = 3_600_000
_HOUR_SECONDS = 3600

_QUERY = """
with machines as (
    select distinct
        ResourceId,
        unnest([gpu_uuid, parent_gpu_uuid]) as gpu_uuid,
        valid_from,
        valid_to
    from lake.gpu_inventory
    where ResourceId in (select unnest($resources))
),
measured as (
    select distinct  -- a GPU that serves several replicas is in the inventory several times
        machines.ResourceId,
        used.gpu_uuid,
        used.started_at,
        used.energy_joules::decimal(38, 3) as joules,
        used.covered_seconds::decimal(38, 6) as seconds
    from lake.gpu_usage as used
    join machines on
        used.gpu_uuid = machines.gpu_uuid
        and used.started_at >= machines.valid_from
        and (machines.valid_to is null or used.started_at < machines.valid_to)
    where
        used.started_at >= $begins
        and used.started_at < $ends
        and used.energy_joules is not null
)
select
    ResourceId,
    date_trunc('hour', started_at) as hour,
    sum(joules) as joules,
    sum(seconds) as seconds
from measured
group by all
"""


def used(lake: Lake, resources: Sequence[str], begin: datetime, end: datetime) -> Used:
    """What telemetry measured on GPUs of `resources` in the hours from `begin` to `end`.

    An interval counts in the hour in which it begins.

    Raises:
        SourceError: the lake cannot be read.
    """
    if not resources or lake.version(GPU_USAGE) is None or lake.version(GPU_INVENTORY) is None:
        return {}
    days = [begin.date() + timedelta(days=number) for number in range((end - begin).days + 1)]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        lake.view(con, GPU_USAGE, files=lake.files(GPU_USAGE, partitions={"day": days}))
        lake.view(con, GPU_INVENTORY)
        rows = con.execute(
            _QUERY,
            {
                "resources": list(resources),
                "begins": begin.replace(tzinfo=None),
                "ends": end.replace(tzinfo=None),
            },
        ).fetchall()
    return {(resource, hour.replace(tzinfo=UTC)): (joules, seconds) for resource, hour, joules, seconds in rows}


def drawn(asset: Asset, measured: tuple[Decimal, Decimal] | None) -> tuple[Fraction, str]:
    """The energy that one machine of the asset drew in an hour, in kWh, and where that is known from.

    What the GPUs were not watched in is at nameplate; so is the rest of the machine, always.
    """
    machines = len(asset.resources)
    if asset.host_kw is None or measured is None:
        return Fraction(asset.kw) / machines, "nameplate"
    joules, seconds = measured
    unwatched = Fraction(asset.gpus * _HOUR_SECONDS, machines) - Fraction(seconds)
    kwh = Fraction(asset.host_kw) / machines + Fraction(joules) / _JOULES_PER_KWH
    if unwatched <= 0:
        return kwh, "telemetry"
    kw_of_gpu = Fraction(asset.kw - asset.host_kw) / asset.gpus
    return kwh + unwatched / _HOUR_SECONDS * kw_of_gpu, "telemetry and nameplate"
