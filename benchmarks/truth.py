"""How far each method is from what requests really took, on simulated replicas whose every GPU-second is known."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

import collectors
from farthing import config as config_
from farthing import warehouse
from farthing.build import build
from farthing.config import Config
from farthing.lake import Lake

CASES = ("prefill_first", "chunked_prefill")
#: The ledger's method first. `tokens` is asked twice: all tokens alike, and output at four times the input.
METHODS = ("phase_time", "gpu_seconds", "tokens", "requests")
#: The worst user is looked for among those with more than this share of the cost.
_NOTABLE = 0.005

_PROJECT = """\
[project]
name = "known truth: {case}"
currency = "USD"
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.requests]
kind = "requests"
path = "{data}/requests.parquet"
constants = {{ provider = "vllm", usage_quality = "reported" }}
token_convention = "inclusive"
timezone = "UTC"
[sources.gpu]
kind = "gpu_usage"
path = "{data}/gpu_usage.parquet"
constants = {{ busy_source = "file" }}
timezone = "UTC"
[sources.inventory]
kind = "gpu_inventory"
path = "{data}/gpu_inventory.csv"
[[pools]]
name = "gpu-serving"
kind = "gpu"
match = {{ ServiceCategory = "Compute" }}
token_weights = {{ input = 1, cached_input = 1, cache_write = 1, output = {output_weight} }}
[attribution]
compare = ["gpu_seconds", "tokens", "requests"]
"""

#: Estimates are scaled to the true total: what is judged is how a method divides, not how much of the bill it explains.
_ERRORS = """
with truths as (
    select request_id, gpu_seconds as truth from read_parquet(?)
),
users as (
    select request_id, user_id from read_parquet(?)
),
costs as (
    select request_id, sum(cast(cost as double)) as cost from request_costs where method = ? group by request_id
),
scaled as (
    select
        users.user_id,
        truths.truth,
        coalesce(costs.cost, 0) * (sum(truths.truth) over ()) / (sum(costs.cost) over ()) as estimate
    from truths
    inner join users using (request_id)
    left join costs using (request_id)
),
by_user as (
    select user_id, sum(truth) as truth, sum(estimate) as estimate from scaled group by user_id
)
select
    (select sum(abs(estimate - truth)) / sum(truth) from by_user),
    (select max(abs(estimate - truth) / truth) from by_user
        where truth > ? * (select sum(truth) from by_user)),
    (select sum(abs(estimate - truth)) / sum(truth) from scaled)
"""


@dataclass(frozen=True)
class Errors:
    """One method on one case, as fractions; the worst user is one with more than 0.5 % of the cost."""

    case: str
    method: str
    per_user: float
    worst_user: float
    per_request: float


@dataclass(frozen=True)
class Case:
    """What came of one case: errors of each method, and the sum of its bill beside that of its ledger."""

    errors: list[Errors]
    bill: Decimal
    ledger: Decimal


class _Silent:
    def start(self, *_: object) -> None: ...

    def advance(self, *_: object) -> None: ...

    def message(self, text: str) -> None: ...


def data_folder() -> Path:
    """The folder with the cases: `truth` in $FARTHING_SHARED, or in ../shared/data beside the checkout."""
    given = os.environ.get("FARTHING_SHARED")
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    places = [Path(given) / "data", Path(given)] if given else [beside]
    for place in places:
        if (place / "truth").is_dir():
            return place / "truth"
    raise SystemExit(f"the cases are not in {places[0] / 'truth'}; name their folder in FARTHING_SHARED")


def measure(data: Path, folder: Path, *, output_weight: int = 1) -> Case:
    """Write a project for the case in `data` into `folder`, collect and build it, and hold it against the truth."""
    text = _PROJECT.format(case=data.name, data=data.resolve(), output_weight=output_weight)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / config_.FILE_NAME).write_text(text, encoding="utf-8")
    bill = _write_bill(data, folder / "bill.csv")
    project = config_.load(folder)
    _collect(project)
    build(project, Lake(project.lake_path), progress=_Silent())
    with warehouse.open_warehouse(project) as con:
        [(ledger,)] = con.execute("select sum(cost) from cost_ledger").fetchall()
        costs = con.sql("select method, request_id, cost from request_costs").to_arrow_table()
    errors = [_errors(data, costs, method) for method in METHODS]
    return Case(errors, bill, ledger)


def _write_bill(data: Path, path: Path) -> Decimal:
    """An hourly bill of the fleet: price x GPUs for each resource and each hour that telemetry reaches into."""
    meta = json.loads((data / "meta.json").read_text(encoding="utf-8"))
    with (data / "gpu_inventory.csv").open(encoding="utf-8", newline="") as file:
        gpus = [row["ResourceId"] for row in csv.DictReader(file)]
    with duckdb.connect() as con:
        usage = str(data / "gpu_usage.parquet")
        [(first, last)] = con.execute("select min(started_at), max(ended_at) from read_parquet(?)", [usage]).fetchall()
    begin = first.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    hours = math.ceil((last.replace(tzinfo=UTC) - begin) / timedelta(hours=1))
    month = begin.replace(day=1, hour=0)
    after = (month + timedelta(days=32)).replace(day=1)
    total = Decimal(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            "BillingCurrency BillingPeriodStart BillingPeriodEnd ChargePeriodStart ChargePeriodEnd BilledCost"
            " EffectiveCost ChargeCategory ServiceCategory ResourceId".split()
        )
        for resource in sorted(set(gpus)):
            cost = Decimal(str(meta["usd_per_gpu_hour"])) * gpus.count(resource)
            for hour in range(hours):
                start = begin + timedelta(hours=hour)
                times = [_iso(moment) for moment in (month, after, start, start + timedelta(hours=1))]
                writer.writerow(["USD", *times, cost, cost, "Usage", "Compute", resource])
                total += cost
    return total


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _collect(project: Config) -> None:
    lake = Lake(project.lake_path)
    for name, source in project.sources.items():
        for result in collectors.load(source.kind).collect(name, source, project, lake, _Silent()):
            if result.status == "failed" or result.rejected:
                raise SystemExit(f"{result.file}: {result.rejected} rows rejected {result.problem}")


def _errors(data: Path, request_costs: Any, method: str) -> Errors:
    with duckdb.connect() as con:
        con.register("request_costs", request_costs)
        files = [str(data / "truth.parquet"), str(data / "requests.parquet")]
        [(per_user, worst_user, per_request)] = con.execute(_ERRORS, [*files, method, _NOTABLE]).fetchall()
    return Errors(data.name, method, per_user, worst_user, per_request)


def run(data: Path) -> list[Errors]:
    """All methods on all cases, `tokens` at both weights."""
    found = []
    with tempfile.TemporaryDirectory(prefix="farthing-truth-") as folder:
        for case in CASES:
            alike = measure(data / case, Path(folder) / case)
            weighted = measure(data / case, Path(folder) / f"{case}-weighted", output_weight=4)
            found += alike.errors
            found += [
                Errors(case, "tokens, 1:4", error.per_user, error.worst_user, error.per_request)
                for error in weighted.errors
                if error.method == "tokens"
            ]
    return found


def main() -> None:
    """Print the errors of every method on every case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    arguments = parser.parse_args()
    found = run(data_folder())
    if arguments.json:
        print(json.dumps([asdict(errors) for errors in found], indent=1))
        return
    print(f"{'case':<18}{'method':<14}{'per user':>10}{'worst user':>12}{'per request':>13}")
    for errors in found:
        figures = f"{errors.per_user:>10.1%}{errors.worst_user:>12.1%}{errors.per_request:>13.1%}"
        print(f"{errors.case:<18}{errors.method:<14}{figures}")


if __name__ == "__main__":
    main()
