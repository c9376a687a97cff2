"""What it costs to collect a month of AWS, against DuckDB alone reading the same file and writing it again."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import duckdb

import collectors
from farthing import config
from farthing.lake import Lake

_FORMS = {"parquet": "cur.snappy.parquet", "csv.gz": "cur.csv.gz"}
_THREADS = 2


@dataclass(frozen=True)
class Measure:
    """Wall and processor seconds and the peak memory of one process; ratios are to `rewrite` of the same file."""

    what: str
    form: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    ratio: float = 0.0
    cpu_ratio: float = 0.0


class _Silence:
    def start(self, total_files: int, total_bytes: int) -> None: ...

    def advance(self, done_bytes: int) -> None: ...

    def message(self, text: str) -> None: ...


def contest(month: Path, rows: int, folder: Path, repeats: int) -> list[Measure]:
    """Repeat the lines of `month` to `rows` lines in `folder`, and measure both sides in each form.

    Rewrites and collections take turns, so that a machine that does other work stretches both; medians by time.
    """
    with duckdb.connect() as con:
        [(lines,)] = con.execute("select count(*) from read_parquet(?)", [str(month)]).fetchall()
        repeated = f"select m.* from read_parquet('{month}') m, range({-(-rows // lines)}) limit {rows}"
        con.execute(f"copy ({repeated}) to '{folder / _FORMS['parquet']}' (format parquet, compression snappy)")
        con.execute(f"copy ({repeated}) to '{folder / _FORMS['csv.gz']}' (format csv, header, compression gzip)")
    measures = []
    for form, name in _FORMS.items():
        found: dict[str, list[Measure]] = {"rewrite": [], "collect": []}
        for _ in range(repeats):
            for what, done in found.items():
                done.append(_in_a_process(what, form, rows, folder / name))
        middle = {what: sorted(done, key=lambda one: one.seconds)[repeats // 2] for what, done in found.items()}
        floor = middle["rewrite"]
        measures += [
            replace(one, ratio=one.seconds / floor.seconds, cpu_ratio=one.cpu_seconds / floor.cpu_seconds)
            for one in middle.values()
        ]
    return measures


def _in_a_process(what: str, form: str, rows: int, file: Path) -> Measure:
    command = [sys.executable, "-m", "benchmarks.collect_cur", "--only", what, "--form", form, "--rows", str(rows)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(_THREADS)}
    done = subprocess.run([*command, str(file)], check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{what} of {file.name} failed:\n{done.stderr}")
    return Measure(**json.loads(done.stdout))


def _only(what: str, form: str, rows: int, file: Path) -> Measure:
    """Do `what` in this process."""
    with tempfile.TemporaryDirectory(prefix="farthing-collect-") as folder:
        began, worked = time.perf_counter(), time.process_time()
        if what == "rewrite":
            with duckdb.connect() as con:
                con.execute(f"set threads = {_THREADS}")
                con.execute(f"copy (from '{file}') to '{Path(folder) / file.name}'")
        else:
            _collect(file, rows, Path(folder))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    return Measure(what, form, rows, seconds, cpu_seconds, _peak_bytes())


def _peak_bytes() -> int:
    """This process's own: on Linux `ru_maxrss` begins with that of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        [peak] = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak) * 1024
    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_rss if sys.platform == "darwin" else peak_rss * 1024


def _collect(file: Path, rows: int, project: Path) -> None:
    sources = {"aws": {"kind": "aws", "path": str(file)}}
    made = config.from_mapping({"sources": sources, "engine": {"threads": _THREADS}}, file=project / "farthing.toml")
    lake = Lake(str(project / "lake"))
    [result] = collectors.load("aws").collect("aws", made.sources["aws"], made, lake, _Silence())
    if result.landed != rows:
        raise SystemExit(f"{result.landed:,} of {rows:,} rows landed: {result.problem}")


def _print(measures: list[Measure]) -> None:
    heads = ("seconds", "x rewrite", "cpu", "x rewrite", "peak MB")
    print(f"{measures[0].rows:,} lines of a cost and usage report\n{'':<20}" + "".join(f"{one:>12}" for one in heads))
    for one in measures:
        cells = (
            f"{one.seconds:.2f}",
            f"{one.ratio:.1f}",
            f"{one.cpu_seconds:.2f}",
            f"{one.cpu_ratio:.1f}",
            f"{one.peak_bytes / 1e6:,.0f}",
        )
        print(f"{f'{one.form} {one.what}':<20}" + "".join(f"{cell:>12}" for cell in cells))


def main() -> None:
    """Print the contest."""
    shared = Path(os.environ.get("FARTHING_SHARED", "../shared"))
    month = shared / "data" / "billing" / "aws_cur_legacy" / "workshop_cur_2018-10.snappy.parquet"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect_cur", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="lines of the month")
    parser.add_argument("--month", type=Path, default=month, help="a real month in Parquet, whose lines are repeated")
    parser.add_argument("--repeats", type=int, default=3, help="how often each side runs; the median is shown")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--form", choices=_FORMS, help=argparse.SUPPRESS)
    parser.add_argument("file", nargs="?", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(asdict(_only(arguments.only, arguments.form, arguments.rows, arguments.file))))
        return
    with tempfile.TemporaryDirectory(prefix="farthing-collect-") as folder:
        measures = contest(arguments.month, arguments.rows, Path(folder), arguments.repeats)
    if arguments.json:
        print(json.dumps([asdict(one) for one in measures], indent=1))
    else:
        _print(measures)


if __name__ == "__main__":
    main()
