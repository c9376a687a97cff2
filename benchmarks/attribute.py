"""What attribution costs: a day from the lake to the ledger, against a bare scan-and-group of the same requests."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb

from benchmarks import fleet
from farthing import clock
from farthing.build import build
from farthing.config import Config
from farthing.lake import Lake
from farthing.lake.schemas import CHARGES, COST_LEDGER, REQUESTS, Table

#: Who used how much of which model. No answer about requests can be had for less.
_FLOOR = """
select user_id, model, count(*), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens),
    sum(output_tokens), sum(reasoning_tokens)
from read_parquet(?) group by all
"""
#: The same grouped by all that the ledger tells apart, and with the times that attribution goes by.
_WIDE_FLOOR = """
select provider, coalesce(response_model, model) as model, user_id, team_id, customer_id, feature, environment, tags,
    replica_id, count(*), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens),
    sum(reasoning_tokens), sum(epoch_us(first_token_at) - epoch_us(started_at)),
    sum(epoch_us(ended_at) - epoch_us(first_token_at))
from read_parquet(?) group by all
"""
_SCANS = {"scan by user and model": _FLOOR, "scan by all ledger columns": _WIDE_FLOOR}
_BUILDS = {"ledger": False, "ledger and request_costs": True}
_REPEATS = 3


@dataclass(frozen=True)
class Measure:
    """One measurement in a process of its own: wall and processor seconds, and the peak memory of that process.

    `difference` is a build's ledger less its bill; ratios are to the scan by user and model of the same requests.
    """

    what: str
    requests: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    difference: str | None = None
    request_microseconds: float = 0.0
    ratio: float = 0.0
    cpu_ratio: float = 0.0


class _PublishBegins(Exception):  # noqa: N818 - a signal, no error
    """The day is in the lake; what follows is the publish, which is not measured."""


class _UntilPublished:
    def start(self, total: int, what: str) -> None: ...

    def advance(self, count: int = 1) -> None: ...

    def message(self, text: str) -> None:
        if text.startswith("publishing"):
            raise _PublishBegins


def contest(requests: int, folder: Path) -> list[Measure]:
    """Make a day of `requests` in `folder`, measure everything on it, and take it away again."""
    lake = folder / "lake"
    _in_a_process("make", requests, folder)
    measures = []
    for what in _SCANS:
        found = [_in_a_process(what, requests, folder) for _ in range(_REPEATS)]
        measures.append(sorted(found, key=lambda one: one.seconds)[_REPEATS // 2])
    for what in _BUILDS:
        project = folder / what.replace(" ", "-")
        shutil.copytree(lake, project / "lake", copy_function=os.link)
        measures.append(_in_a_process(what, requests, project))
        shutil.rmtree(project)
    shutil.rmtree(lake)
    floor = measures[0]
    return [
        replace(
            one,
            request_microseconds=one.seconds / requests * 1e6,
            ratio=one.seconds / floor.seconds,
            cpu_ratio=one.cpu_seconds / floor.cpu_seconds,
        )
        for one in measures
    ]


def _in_a_process(what: str, requests: int, folder: Path) -> Measure:
    command = [sys.executable, "-m", "benchmarks.attribute", "--only", what, "--requests", str(requests), str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{what} of {requests:,} requests failed:\n{done.stderr}")
    return Measure(**json.loads(done.stdout))


def _only(what: str, requests: int, folder: Path) -> Measure:
    """Do `what` in this process."""
    config = fleet.config(folder, request_costs=_BUILDS.get(what, False))
    lake = Lake(config.lake_path)
    files = _files(lake, REQUESTS)
    with duckdb.connect() as con:
        con.execute("set threads = 2")
        began, worked = time.perf_counter(), time.process_time()
        if what == "make":
            fleet.make(lake, requests)
        elif what in _SCANS:
            con.execute(_SCANS[what], [files]).fetchall()
        else:
            _build(config, lake)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    difference = None
    if what in _BUILDS:
        difference = str(_sum(lake, COST_LEDGER, "cost") - _sum(lake, CHARGES, "EffectiveCost"))
    return Measure(what, requests, seconds, cpu_seconds, _peak_bytes(), difference)


def _build(config: Config, lake: Lake) -> None:
    """What `farthing build` does two days later, up to the publish: laws, costs, checks, and the writes to the lake."""
    after = datetime(fleet.DAY.year, fleet.DAY.month, fleet.DAY.day, tzinfo=UTC) + timedelta(days=2)
    with clock.fixed(after), suppress(_PublishBegins):
        build(config, lake, progress=_UntilPublished())


def _files(lake: Lake, table: Table) -> list[str]:
    return [file.path for file in lake.files(table)]


def _sum(lake: Lake, table: Table, column: str) -> Decimal:
    with duckdb.connect() as con:
        [(total,)] = con.execute(f"select sum({column}) from read_parquet(?)", [_files(lake, table)]).fetchall()
    return Decimal(total)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _print(measures: list[Measure]) -> None:
    requests = measures[0].requests
    print(f"\n{requests:,} requests in a day, {fleet.replicas(requests) * fleet.GPUS_PER_REPLICA} GPUs")
    heads = ("seconds", "x scan", "cpu", "x scan", "us/request", "peak MB", "ledger - bill")
    print(f"{'':<28}" + "".join(f"{head:>14}" for head in heads))
    for one in measures:
        cells = (
            f"{one.seconds:.2f}",
            f"{one.ratio:.1f}",
            f"{one.cpu_seconds:.2f}",
            f"{one.cpu_ratio:.1f}",
            f"{one.request_microseconds:.2f}",
            f"{one.peak_bytes / 1e6:,.0f}",
            one.difference or "",
        )
        print(f"{one.what:<28}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def main() -> None:
    """Print the contest at each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribute", description=__doc__)
    parser.add_argument(
        "--requests", default="1000000,10000000", help="requests in the day, one or more numbers (1000000,10000000)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.requests.split(",")]
    if arguments.only:
        print(json.dumps(asdict(_only(arguments.only, sizes[0], arguments.folder))))
        return
    everything = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="farthing-attribute-") as folder:
            measures = contest(size, Path(folder))
        everything += measures
        if not arguments.json:
            _print(measures)
    if arguments.json:
        print(json.dumps([asdict(one) for one in everything], indent=1))


if __name__ == "__main__":
    main()
