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
from typing import Any
from unittest.mock import patch

import duckdb

from benchmarks import fleet
from farthing import clock
from farthing.build import build, runner
from farthing.build.outputs import Outputs
from farthing.config import Config
from farthing.lake import Lake
from farthing.lake.schemas import CHARGES, COST_LEDGER, REQUESTS, Table

#: The floor: the same requests grouped by what the ledger tells apart and the replica that the money comes by.
_FLOOR = """
select provider, coalesce(response_model, model) as model, user_id, team_id, customer_id, feature, environment, tags,
    replica_id, count(*), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens),
    sum(reasoning_tokens)
from read_parquet(?) group by all
"""
#: Who used how much of which model: nothing about requests can be had for less.
_NARROW = "select user_id, model, count(*), sum(input_tokens), sum(output_tokens) from read_parquet(?) group by all"
_SCANS = {"scan and group": _FLOOR, "scan by user and model": _NARROW}
#: What a build says of itself: up to the ledger, and with what follows until the publish.
_BUILDS = {False: ("ledger", "build without request_costs"), True: ("ledger and request_costs", "whole build")}
_REPEATS = 3


@dataclass(frozen=True)
class Measure:
    """One measurement: wall and processor seconds, and the peak memory of the process that it was made in.

    `difference` is a build's ledger less its bill; ratios are of wall and processor seconds to `scan and group` of the
    same requests.
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


class _Watch:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self._began, self._worked = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, time.process_time() - self._worked


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
        found = [one for _ in range(_REPEATS) for one in _in_a_process(what, requests, folder)]
        measures.append(sorted(found, key=lambda one: one.seconds)[_REPEATS // 2])
    for whats in _BUILDS.values():
        project = folder / "build"
        shutil.copytree(lake, project / "lake", copy_function=os.link)
        measures += _in_a_process(whats[0], requests, project)
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


def _in_a_process(what: str, requests: int, folder: Path) -> list[Measure]:
    command = [sys.executable, "-m", "benchmarks.attribute", "--only", what, "--requests", str(requests), str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{what} of {requests:,} requests failed:\n{done.stderr}")
    return [Measure(**one) for one in json.loads(done.stdout)]


def _only(what: str, requests: int, folder: Path) -> list[Measure]:
    """Do `what` in this process."""
    request_costs = what == _BUILDS[True][0]
    config = fleet.config(folder, request_costs=request_costs)
    lake = Lake(config.lake_path)
    if what == "make":
        fleet.make(lake, requests)
        return []
    if what in _SCANS:
        files = _files(lake, REQUESTS)
        with duckdb.connect() as con:
            con.execute("set threads = 2")
            watch = _Watch()
            con.execute(f"create temp table answer as {_SCANS[what]}", [files])
            return [Measure(what, requests, *watch.read(), _peak_bytes())]
    times = _build(config, lake)
    difference = str(_sum(lake, COST_LEDGER, "cost") - _sum(lake, CHARGES, "EffectiveCost"))
    return [
        Measure(name, requests, *seconds, _peak_bytes(), difference)
        for name, seconds in zip(_BUILDS[request_costs], times, strict=True)
    ]


def _build(config: Config, lake: Lake) -> list[tuple[float, float]]:
    """What `farthing build` does two days later, up to the publish.

    Seconds until the ledger is made, with those that computing and writing the requests' costs took; and of the whole.
    """
    watch = _Watch()
    parts: list[tuple[float, float]] = []
    make, write = runner.run, Outputs._take_request_costs

    def making(con: Any, found: Any, targets: Any = None, *, without: Any = (), as_tables: Any = frozenset()) -> None:
        make(con, found, targets, without=without, as_tables=as_tables)
        if targets == ("cost_ledger",):
            parts.append(watch.read())

    def writing(outputs: Outputs, day: Any, reader: Any) -> bool:
        part = _Watch()
        written = write(outputs, day, reader)
        parts.append(part.read())
        return written

    after = datetime(fleet.DAY.year, fleet.DAY.month, fleet.DAY.day, tzinfo=UTC) + timedelta(days=2)
    with (
        clock.fixed(after),
        suppress(_PublishBegins),
        patch.object(runner, "run", making),
        patch.object(Outputs, "_take_request_costs", writing),
    ):
        build(config, lake, progress=_UntilPublished())
    return [(sum(wall for wall, _ in parts), sum(cpu for _, cpu in parts)), watch.read()]


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
        print(json.dumps([asdict(one) for one in _only(arguments.only, sizes[0], arguments.folder)]))
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
