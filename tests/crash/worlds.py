"""A company of two days, one GPU pool and one shared pool, written as files; what collecting and building it leaves."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from collectors.collection import collect_all
from farthing import config as configuration
from farthing.build import BuildResult, build
from farthing.config import Config
from farthing.lake import Lake
from farthing.lake.schemas import BUILD_DAYS, BUILT, COLLECTED, COST_LEDGER, LOADS, REJECTS, REQUEST_COSTS, Table
from farthing.warehouse import POINTER, open_warehouse

TABLES = (*COLLECTED, *BUILT, BUILD_DAYS, REJECTS, LOADS)
KEEP = 2

_TOML = """
[project]
name = "crash"
currency = "USD"
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.requests]
kind = "requests"
path = "requests/*.csv"
token_convention = "inclusive"
constants = { provider = "vllm" }
[sources.gpu]
kind = "gpu_usage"
path = "gpu.parquet"
[sources.inventory]
kind = "gpu_inventory"
path = "inventory.csv"
[[pools]]
name = "serving"
kind = "gpu"
match = { ServiceCategory = "Compute" }
[[pools]]
name = "tools"
kind = "shared"
driver = "DRIVER"
[attribution]
law_minimum_requests = 20
[warehouse]
keep = 2
[engine]
threads = 1
"""
_FIRST_DAY = datetime(2026, 10, 1, tzinfo=UTC)
_GPUS = ("GPU-a", "GPU-b")
_BILL = (
    "BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,"
    "BilledCost,EffectiveCost,ServiceCategory,ServiceName,ResourceId,InvoiceId"
)
_REQUESTS = "request_id,started_at,first_token_at,ended_at,user_id,model,replica_id,input_tokens,output_tokens"


class Told:
    """A report and a progress of which only the messages are told on."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say

    def message(self, text: str) -> None:
        self._say(text)

    def start(self, *_: Any, **__: Any) -> None: ...

    def advance(self, *_: Any, **__: Any) -> None: ...


def write(project: Path) -> None:
    """The project with its first deliveries."""
    (project / "requests").mkdir(parents=True)
    configure(project)
    bill(project, "0.000000000001")
    _put(project / "requests" / "log.csv", [_REQUESTS, *_requests(range(400))])
    # Delivered twice: ten are the same in the log, ten are others, and one cannot be.
    again = [*_requests(range(10)), *_requests(range(10, 20), seconds=9), *_requests([400], tokens=-1)]
    _put(project / "requests" / "again.csv", [_REQUESTS, *again])
    inventory = [f"{gpu},node-1,i-1,r-{gpu},H100,llama,2026-01-01T00:00:00Z" for gpu in _GPUS]
    _put(project / "inventory.csv", ["gpu_uuid,node_id,ResourceId,replica_id,gpu_model,model,valid_from", *inventory])
    starts = [_FIRST_DAY + timedelta(minutes=5 * n) for n in range(2 * 288)]
    usage = pl.DataFrame(
        [
            (gpu, start, start + timedelta(minutes=5), 300.0, float(7 * n % 200))
            for gpu in _GPUS
            for n, start in enumerate(starts)
        ],
        schema=["gpu_uuid", "started_at", "ended_at", "covered_seconds", "busy_seconds"],
        orient="row",
    )
    usage.write_parquet(project / "gpu.parquet")
    _whole_second(project / "gpu.parquet")


def change(project: Path) -> None:
    """The second delivery: the bill and a request log are other ones now."""
    bill(project, "0.5")
    # Of those that are gone, five come back from the other file. Others took longer, one cannot be.
    fewer = [*_requests(range(15, 390)), *_requests(range(395, 400), seconds=7), *_requests([401], tokens=-1)]
    _put(project / "requests" / "log.csv", [_REQUESTS, *fewer])


def bill(project: Path, more: str) -> None:
    """The bill: each hour of the machine is by `more` dearer than 2 dollars and a tenth for each hour of the day."""
    prices = [2 + Decimal(hour % 24) / 10 + Decimal(more) for hour in range(48)]
    hours = [_charge(hour / 24, 1, str(price), "Compute", "i-1") for hour, price in enumerate(prices)]
    tools = [_charge(day, 24, "7.77", "Tools", "") for day in range(2)]
    _put(project / "bill.csv", [_BILL, *hours, *tools])


def configure(project: Path, driver: str = "cost") -> None:
    """farthing.toml, with the driver of the shared pool."""
    (project / "farthing.toml").write_text(_TOML.replace("DRIVER", driver), encoding="utf-8")


def collect_and_build(project: Path, say: Callable[[str], object] = lambda _line: None) -> BuildResult:
    """What `farthing collect` and `farthing build` do."""
    collect(project, say)
    config, lake = opened(project)
    return build(config, lake, progress=Told(say))


def collect(project: Path, say: Callable[[str], object] = lambda _line: None) -> None:
    """What `farthing collect` does."""
    config, lake = opened(project)
    report = Told(say)
    found = collect_all(config, lake, list(config.sources), lambda _name: nullcontext(report), report.message)
    assert found.failures == []


def opened(project: Path) -> tuple[Config, Lake]:
    """Configuration and lake of the project."""
    config = configuration.load(project)
    return config, Lake(config.lake_path, cache=project / ".farthing" / "cache")


def state(project: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the lake and of the published ledger, sorted, without the times and versions of runs."""
    config, lake = opened(project)
    passing = {"loaded_at", "rejected_at", "built_at", "fingerprint"}
    found = {}
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for table in TABLES:
            lake.view(con, table)
            lasting = ", ".join(f'"{name}"' for name in table.columns if name not in passing)
            # The identity of a delivery has the time of the file in it; a killed one has more lines before the last.
            newest = ""
            if table is LOADS:
                lasting = lasting.replace('"identity"', "split_part(identity, '-', 1)")
                newest = "qualify row_number() over (partition by x_source, x_load order by loaded_at desc) = 1"
            query = f"select {lasting} from lake.{table.name} {newest} order by all"
            found[table.name] = con.execute(query).fetchall()
    with open_warehouse(config) as published:
        for table in (COST_LEDGER, REQUEST_COSTS):
            rows = published.execute(f"from {table.name} order by all").fetchall()
            assert Counter(rows) == Counter(found[table.name]), f"{table.name} of lake and warehouse differ"
    return found


def sound(project: Path) -> None:
    """What holds whatever was killed: keys once, every row accounted for, bill = ledger, nothing left lying about."""
    config, lake = opened(project)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for table, key in _keys().items():
            lake.view(con, table)
            names = ", ".join(f'"{name}"' for name in key)
            query = f"select {names}, count(*) from lake.{table.name} group by all having count(*) > 1"
            assert con.execute(query).fetchall() == [], f"{table.name} has rows twice"
        broken = "from lake.loads where read <> landed + duplicate + rejected"
        assert con.execute(broken).fetchall() == []
    with open_warehouse(config) as published:
        assert published.execute("from totals where difference <> 0").fetchall() == []
    assert leftovers(project) == []


def leftovers(project: Path) -> list[str]:
    """Files in the warehouse folder that are neither published nor kept."""
    folder = project / "warehouse"
    names = sorted(path.name for path in folder.iterdir())
    kept = [name for name in names if name.startswith("farthing-") and name.endswith(".duckdb")]
    current = (folder / POINTER).read_text().strip()
    assert current in kept
    return [name for name in names if name not in kept and name != POINTER] + kept[:-KEEP]


def _keys() -> dict[Table, tuple[str, ...]]:
    known = {table: table.key for table in COLLECTED if table.key}
    built = {table: tuple(table.columns) for table in BUILT}
    charges, rejects = COLLECTED[0], ("x_source", "x_load", "line")
    return {**known, **built, charges: ("x_charge_id",), REJECTS: rejects, BUILD_DAYS: ("day",), LOADS: _LOAD}


_LOAD = ("x_source", "x_load", "identity", "loaded_at")


def _charge(day: float, hours: int, cost: str, category: str, resource: str) -> str:
    start = _FIRST_DAY + timedelta(days=day)
    period = f"{start:%Y-%m-%dT%H:%M:%SZ},{start + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    month = "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z"
    return f"USD,{month},{period},Usage,{cost},{cost},{category},{category},{resource},INV-{category}"


def _requests(numbers: Any, *, seconds: int = 5, tokens: int = 100) -> Iterator[str]:
    for number in numbers:
        start = _FIRST_DAY + timedelta(minutes=7 * number + number % 3)
        first, end = start + timedelta(milliseconds=200 + number), start + timedelta(seconds=seconds)
        times = ",".join(f"{one:%Y-%m-%dT%H:%M:%S.%fZ}" for one in (start, first, end))
        counts = f"{tokens + number if tokens > 0 else tokens},{number % 90}"
        yield f"q-{number},{times},u-{number % 5},llama,r-{_GPUS[number % 2]},{counts}"


def _put(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _whole_second(path)


def _whole_second(path: Path) -> None:
    """A copy of the file has its time to the last digit, wherever it is copied."""
    os.utime(path, (path.stat().st_mtime // 1, path.stat().st_mtime // 1))
