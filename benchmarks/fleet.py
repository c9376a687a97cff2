"""One day of a made-up inference fleet, written straight into a lake: requests, telemetry, inventory, bill."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from farthing.config import Config, from_mapping
from farthing.lake import Lake
from farthing.lake.schemas import CHARGES, GPU_INVENTORY, GPU_USAGE, REQUESTS, Table

DAY = date(2026, 10, 7)
REPLICAS = 20  # fewer for a small load
GPUS_PER_REPLICA = 8
REQUESTS_PER_USER = 100  # on average; most make fewer

#: Uniform in (0, 1) and lognormal numbers of a seed: the same fleet on every machine and at any thread count.
_MACROS = """
create macro uniform(seed, stream) as ((hash(seed * 16 + stream) >> 11) + 0.5) / 9007199254740992;
create macro lognormal(seed, stream, middle, width) as
    middle * exp(width * sqrt(-2 * ln(uniform(seed, stream))) * cos(2 * pi() * uniform(seed, stream + 1)));
create macro moment(us) as make_timestamptz(epoch_us(timestamp '{day}') + us);
"""

#: In the order of arrival, more by day than by night; waits, then prefill by size, then 25 ms for each output token.
_REQUESTS = """
with arrivals as (
    select
        i,
        cast(86400e6 * ((i + uniform(i, 0)) / {requests}
            - 0.08 * sin(2 * pi() * (i + uniform(i, 0)) / {requests})) as bigint) as start_us,
        cast(uniform(i, 1) * {replicas} as bigint) % {replicas} as replica,
        greatest(cast(lognormal(i, 2, 800, 1.1) as bigint), 1) as input_tokens,
        greatest(cast(lognormal(i, 4, 150, 0.9) as bigint), 1) as output_tokens,
        cast(-40000 * ln(uniform(i, 6)) as bigint) as waited_us,
        cast({users} * pow(uniform(i, 7), 2) as bigint) as person
    from range({requests}) as numbers(i)
),
phased as (
    select *, start_us + waited_us + 20000 + 60 * input_tokens as first_us from arrivals
)
select
    date '{day}' as day,
    printf('req-%016x%04x', hash(i), i % 65536) as request_id,
    moment(start_us) as started_at,
    moment(first_us) as first_token_at,
    moment(first_us + 25000 * (output_tokens - 1)) as ended_at,
    printf('user-%06d', person) as user_id,
    printf('team-%02d', person % 40) as team_id,
    printf('llama-%d', replica % 3) as model,
    'vllm' as provider,
    'standard' as service_tier,
    printf('replica-%02d', replica) as replica_id,
    input_tokens,
    cast(input_tokens * uniform(i, 8) * uniform(i, 9) as bigint) as cached_input_tokens,
    output_tokens,
    'reported' as usage_quality,
    'ok' as status,
    'requests' as x_source,
    'benchmark' as x_load
from phased
"""

_GPU_USAGE = """
select
    date '{day}' as day,
    printf('GPU-%02d-%d', replica, gpu) as gpu_uuid,
    printf('node-%02d', replica) as node_id,
    moment(tick * 10000000) as started_at,
    moment((tick + 1) * 10000000) as ended_at,
    10.0 as covered_seconds,
    10.0 * (0.3 + 0.6 * uniform(tick * 64 + replica, 0) + 0.1 * uniform(tick * 512 + replica * 16 + gpu, 1))
        as busy_seconds,
    'nvml_poll' as busy_source,
    'ok' as state,
    'gpu' as x_source,
    'benchmark' as x_load
from range({replicas}) as replicas(replica), range({gpus}) as gpus(gpu), range(8640) as ticks(tick)
"""

_GPU_INVENTORY = """
select
    printf('GPU-%02d-%d', replica, gpu) as gpu_uuid,
    printf('node-%02d', replica) as node_id,
    printf('i-%02d', replica) as ResourceId,
    printf('replica-%02d', replica) as replica_id,
    case when replica % 3 = 0 then 'H100' else 'A100' end as gpu_model,
    moment(-86400000000) as valid_from,
    'inventory' as x_source,
    'benchmark' as x_load
from range({replicas}) as replicas(replica), range({gpus}) as gpus(gpu)
"""

_CHARGES = """
select
    date_trunc('month', date '{day}')::date as billing_month,
    printf('line-%02d-%02d', replica, hour) as x_charge_id,
    'USD' as BillingCurrency,
    date_trunc('month', moment(0)) as BillingPeriodStart,
    date_trunc('month', moment(0)) + interval 1 month as BillingPeriodEnd,
    moment(hour * 3600000000) as ChargePeriodStart,
    moment((hour + 1) * 3600000000) as ChargePeriodEnd,
    cast(29.361234567891 as decimal(38, 12)) as EffectiveCost,
    EffectiveCost as BilledCost,
    'Compute' as ServiceCategory,
    printf('i-%02d', replica) as ResourceId,
    'bill' as x_source,
    'benchmark' as x_load
from range({replicas}) as replicas(replica), range(24) as hours(hour)
"""


def config(folder: Path, *, request_costs: bool) -> Config:
    """The project in `folder`: one pool of GPUs, and an engine of two threads."""
    return from_mapping(
        {
            "sources": {"bill": {"kind": "focus", "path": "bill.csv"}},
            "pools": [{"name": "gpu-serving", "kind": "gpu", "match": {"ServiceCategory": "Compute"}}],
            "attribution": {"request_costs": request_costs},
            "engine": {"threads": 2},
        },
        file=folder / "farthing.toml",
    )


def replicas(requests: int) -> int:
    """How many replicas serve a day of `requests`."""
    return max(min(REPLICAS, requests // 20_000), 1)


def users(requests: int) -> int:
    """How many people make `requests` in a day."""
    return max(requests // REQUESTS_PER_USER, 1)


def make(lake: Lake, requests: int) -> None:
    """Write the day with `requests` requests into `lake`."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'; set threads = 2")
        con.execute(_MACROS.format(day=DAY))
        _write(con, lake, GPU_INVENTORY, _GPU_INVENTORY, requests)
        _write(con, lake, CHARGES, _CHARGES, requests)
        _write(con, lake, GPU_USAGE, _GPU_USAGE, requests)
        _write(con, lake, REQUESTS, _REQUESTS, requests)


def _write(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, query: str, requests: int) -> None:
    filled = query.format(
        day=DAY, requests=requests, replicas=replicas(requests), gpus=GPUS_PER_REPLICA, users=users(requests)
    )
    rows: Any = con.sql(filled).to_arrow_reader(100_000)
    lake.append(table, rows, load=f"benchmark:{table.name}")
