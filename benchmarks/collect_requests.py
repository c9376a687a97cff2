"""What it costs to collect a request log, against DuckDB alone reading the same file."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

import collectors
from benchmarks import traces
from benchmarks.collect_cur import peak_bytes
from farthing import config
from farthing.lake import Lake

_THREADS = 2
_START = 1_790_000_000.0


@dataclass(frozen=True)
class Contest:
    """A log of so many requests, the source that collects it, and what DuckDB does with it in the meantime."""

    file: str
    write: Callable[[Path, int], None]
    source: dict[str, Any]
    floor: str  # SQL with {file}, and {target} to write to
    bar: float  # collecting may take so many times the processor time of it
    rows: int = 50_000  # unless it is asked for others
    parts: tuple[int, ...] = (1,)  # of the rows one in so many lands in a table, for each table


@dataclass(frozen=True)
class Measure:
    """Wall and processor seconds and the peak memory of one process; ratios are to `duckdb` on the same file."""

    contest: str
    what: str
    rows: int
    file_bytes: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    ratio: float = 0.0
    cpu_ratio: float = 0.0
    bar: float = 0.0


def _write_litellm(path: Path, rows: int) -> None:
    """Payloads of about 12 kB, most of them prompt, answer and LiteLLM's map of prices, as a proxy writes them."""
    words = "a question that somebody asked, with what an answer needs to know "
    prices = {f"cost_of_{number}_per_token": 1.25e-06 * number for number in range(180)}
    usage = {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 192},
    }
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            began = _START + number / 100
            payload = {
                "id": f"chatcmpl-{number}",
                "litellm_call_id": f"call-{number}",
                "trace_id": f"trace-{number // 3}",
                "call_type": "acompletion",
                "cache_hit": None,
                "stream": number % 2 == 0,
                "status": "success",
                "custom_llm_provider": "openai",
                "startTime": began,
                "completionStartTime": began + 0.5,
                "endTime": began + 4,
                "model": "openai/gpt-5",
                "model_group": "gpt-5",
                "model_id": "deployment-1",
                "response_cost": 0.0033475,
                "cost_breakdown": {"input_cost": 0.0003475, "output_cost": 0.003, "service_tier": None},
                "total_tokens": 2306,
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "request_tags": ["team:search", "User-Agent: python-httpx", "User-Agent: python-httpx/0.28.1"],
                "end_user": f"customer-{number % 500}",
                "messages": [{"role": "user", "content": f'{number}: "{words * 50}"\n'}],
                "response": {"model": "gpt-5", "choices": [{"message": {"content": words * 15}}], "usage": usage},
                "model_map_information": {"model_map_key": "openai/gpt-5", "model_map_value": prices},
                "error_information": {"error_code": "", "error_class": ""},
                "metadata": {
                    "user_api_key_user_id": f"user-{number % 50}",
                    "user_api_key_team_id": "search",
                    "usage_object": usage,
                    "requester_metadata": {"headers": {"accept": "*/*", "content-type": "application/json"}},
                },
            }
            file.write(json.dumps(payload) + "\n")


_MAPPED = {
    "request_id": "id",
    "started_at": "start_time",
    "ended_at": "end_time",
    "user_id": "user_name",
    "team_id": "team",
    "model": "model_name",
    "provider": "provider",
    "input_tokens": "prompt_tokens",
    "cached_input_tokens": "cached_tokens",
    "output_tokens": "completion_tokens",
    "trace_id": "trace",
    "status": "status",
}
_DAYS = 3
_READ_JSON = "create table said as from read_json('{file}')"


def _write_parquet(path: Path, rows: int) -> None:
    """A gateway's log of a few days, in the order of time, with ids and traces that no codec makes small."""
    with duckdb.connect() as con:
        con.execute(f"set threads = {_THREADS}")
        con.execute("set memory_limit = '1GB'")
        con.execute(
            "copy (select md5(n::varchar) as id, "
            f"make_timestamp({int(_START * 1e6)} + n * {_DAYS * 86_400_000_000} // {rows})::timestamptz as start_time, "
            "start_time + to_microseconds((500000 + hash(n) % 20000000)::bigint) as end_time, "
            "'user-' || (hash(n + 1) % 5000) as user_name, 'team-' || (hash(n + 1) % 40) as team, "
            "['gpt-5', 'gpt-5-mini', 'claude-sonnet-4-5', 'gemini-2.5-pro'][(1 + hash(n + 2) % 4)::int] as model_name, "
            "['openai', 'openai', 'anthropic', 'google'][(1 + hash(n + 2) % 4)::int] as provider, "
            "(200 + hash(n + 3) % 8000)::bigint as prompt_tokens, (hash(n + 4) % 200)::bigint as cached_tokens, "
            "(1 + hash(n + 5) % 2000)::bigint as completion_tokens, md5((n // 3 - 1)::varchar) as trace, "
            "case when hash(n + 6) % 50 = 0 then 'error' else 'success' end as status, "
            f"repeat('words of a prompt ', 2) as prompt from range({rows}) numbers (n)) to '{path}' (format parquet)"
        )


CONTESTS = {
    "parquet": Contest(
        "requests.parquet",
        _write_parquet,
        {"kind": "requests", "columns": _MAPPED, "token_convention": "inclusive"},
        f"copy (select {', '.join(_MAPPED.values())} from '{{file}}') to '{{target}}' (compression zstd)",
        bar=4,
        rows=10_000_000,
    ),
    "litellm": Contest(
        "payloads.jsonl",
        _write_litellm,
        {"kind": "litellm"},
        _READ_JSON,
        bar=3,
    ),
    "otlp": Contest("traces.jsonl", traces.write, {"kind": "otel"}, _READ_JSON, bar=3, rows=200_000, parts=(2, 1)),
}


def contest(name: str, rows: int, folder: Path, repeats: int) -> list[Measure]:
    """Write the log of a contest to `folder` and measure both sides; medians by processor time.

    Both sides take turns, so that a machine that does other work stretches both.
    """
    made = CONTESTS[name]
    made.write(folder / made.file, rows)
    found: dict[str, list[Measure]] = {"duckdb": [], "collect": []}
    for _ in range(repeats):
        for what, done in found.items():
            done.append(_in_a_process(name, what, rows, folder / made.file))
    middle = {what: sorted(done, key=lambda one: one.cpu_seconds)[repeats // 2] for what, done in found.items()}
    floor = middle["duckdb"]
    return [
        replace(
            one, ratio=one.seconds / floor.seconds, cpu_ratio=one.cpu_seconds / floor.cpu_seconds, bar=made.bar
        )
        for one in middle.values()
    ]  # fmt: skip


def _in_a_process(name: str, what: str, rows: int, file: Path) -> Measure:
    command = [sys.executable, "-m", "benchmarks.collect_requests", name, "--only", what, "--rows", str(rows)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(_THREADS)}
    done = subprocess.run([*command, "--file", str(file)], check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{what} of {file.name} failed:\n{done.stderr}")
    return Measure(**json.loads(done.stdout))


def _only(name: str, what: str, rows: int, file: Path) -> Measure:
    """Do `what` in this process."""
    with tempfile.TemporaryDirectory(prefix="farthing-collect-") as folder:
        began, worked = time.perf_counter(), time.process_time()
        if what == "duckdb":
            with duckdb.connect() as con:  # in memory: reading is the contest, not storing
                con.execute(f"set threads = {_THREADS}")
                con.execute(CONTESTS[name].floor.format(file=file, target=Path(folder) / "said.parquet"))
        else:
            _collect(name, file, rows, Path(folder))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    return Measure(name, what, rows, file.stat().st_size, seconds, cpu_seconds, peak_bytes())


class _Silence:
    def start(self, total_files: int, total_bytes: int) -> None: ...

    def advance(self, done_bytes: int) -> None: ...

    def message(self, text: str) -> None: ...


def _collect(name: str, file: Path, rows: int, project: Path) -> None:
    source = {**CONTESTS[name].source, "path": str(file)}
    values = {"sources": {"log": source}, "engine": {"threads": _THREADS}}
    made = config.from_mapping(values, file=project / "farthing.toml")
    lake = Lake(str(project / "lake"))
    collector = collectors.load(source["kind"])
    results = collector.collect("log", made.sources["log"], made, lake, _Silence())
    if [result.landed for result in results] != [rows // part for part in CONTESTS[name].parts]:
        raise SystemExit(f"not all of {rows:,} rows landed: {results}")


def _print(measures: list[Measure]) -> None:
    heads = ("seconds", "x duckdb", "cpu", "x duckdb", "at most", "peak MB")
    print(f"{'':<28}" + "".join(f"{one:>12}" for one in heads))
    for one in measures:
        cells = (
            f"{one.seconds:.2f}",
            f"{one.ratio:.2f}",
            f"{one.cpu_seconds:.2f}",
            f"{one.cpu_ratio:.2f}",
            f"{one.bar:.0f}" if one.what == "collect" else "",
            f"{one.peak_bytes / 1e6:,.0f}",
        )
        print(f"{f'{one.contest} {one.rows:,} {one.what}':<28}" + "".join(f"{cell:>12}" for cell in cells))


def main() -> None:
    """Print the contests."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect_requests", description=__doc__)
    parser.add_argument("contests", nargs="*", help=f"of {', '.join(CONTESTS)}; all without")
    parser.add_argument("--rows", type=int, help="requests in each log, in place of its own number")
    parser.add_argument("--repeats", type=int, default=3, help="how often each side runs; the median is shown")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.contests or list(CONTESTS)
    if unknown := sorted(set(names) - set(CONTESTS)):
        parser.error(f"there is no contest {', '.join(unknown)}")
    if arguments.only:
        print(json.dumps(asdict(_only(names[0], arguments.only, arguments.rows, arguments.file))))
        return
    measures = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="farthing-collect-") as folder:
            rows = arguments.rows or CONTESTS[name].rows
            measures += contest(name, rows, Path(folder), arguments.repeats)
    if arguments.json:
        print(json.dumps([asdict(one) for one in measures], indent=1))
    else:
        _print(measures)


if __name__ == "__main__":
    main()
