"""What it costs to land a file of OTLP traces, against DuckDB alone reading the same file with `read_json`."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

import collectors
from farthing import config
from farthing.lake import Lake

_THREADS = 2
_SPANS_OF_A_LINE = 50
_BEGIN = 1_790_000_000_000_000_000
_WORDS = 'the cost of a "model" and größe its answer'.split()


@dataclass(frozen=True)
class Measure:
    """Wall and processor seconds and peak memory of one process; ratios are to `read_json` of the same file."""

    what: str
    spans: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    ratio: float = 0.0
    cpu_ratio: float = 0.0


class _Silence:
    def start(self, total_files: int, total_bytes: int) -> None: ...

    def advance(self, done_bytes: int) -> None: ...

    def message(self, text: str) -> None: ...


def write(path: Path, spans: int) -> None:
    """A file of `spans` spans, half of them calls with a prompt and an answer, each below the span of its request."""
    chance = random.Random(7)
    moment = _BEGIN
    with path.open("w", encoding="utf-8") as file:
        for _ in range(spans // _SPANS_OF_A_LINE):
            made = []
            for _ in range(_SPANS_OF_A_LINE // 2):
                moment += chance.randrange(10_000_000)
                trace = f"{chance.getrandbits(128):032x}"
                ids = [f"{chance.getrandbits(64):016x}" for _ in range(2)]
                made += [_request(chance, trace, ids[0], moment), _call(chance, trace, ids, moment)]
            resource_of = {"service.name": "app", "service.instance.id": "i-1", "deployment.environment.name": "prod"}
            group = {
                "resource": {"attributes": _attributes(resource_of)},
                "scopeSpans": [{"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": made}],
            }
            file.write(json.dumps({"resourceSpans": [group]}, ensure_ascii=False) + "\n")


def _request(chance: random.Random, trace: str, span: str, moment: int) -> dict[str, Any]:
    values = {"http.request.method": "POST", "url.path": "/chat", "user.id": f"u{chance.randrange(1000)}"}
    return _span(trace, span, "", "POST /chat", 2, moment, 3_000_000_000, values)


def _call(chance: random.Random, trace: str, ids: list[str], moment: int) -> dict[str, Any]:
    values: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 1000,
        "gen_ai.response.id": f"chatcmpl-{chance.getrandbits(96):024x}",
        "gen_ai.response.model": "gpt-5-2025-08-07",
        "gen_ai.response.time_to_first_chunk": chance.random(),
        "openai.response.service_tier": "default",
        "gen_ai.usage.input_tokens": chance.randrange(50, 5000),
        "gen_ai.usage.output_tokens": chance.randrange(5, 500),
        "gen_ai.usage.cache_read.input_tokens": chance.randrange(50),
        "gen_ai.usage.reasoning.output_tokens": chance.randrange(5),
        "gen_ai.input.messages": " ".join(chance.choices(_WORDS, k=200)),
        "gen_ai.output.messages": " ".join(chance.choices(_WORDS, k=100)),
    }
    return _span(trace, ids[1], ids[0], "chat gpt-5", 3, moment + 1_000_000, 2_000_000_000, values)


def _span(
    trace: str, span: str, parent: str, name: str, kind: int, moment: int, lasted: int, values: dict[str, Any]
) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": span,
        "parentSpanId": parent,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(moment),
        "endTimeUnixNano": str(moment + lasted),
        "attributes": _attributes(values),
        "status": {},
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {int: "intValue", float: "doubleValue", str: "stringValue"}
    return [
        {"key": key, "value": {kinds[type(value)]: str(value) if isinstance(value, int) else value}}
        for key, value in values.items()
    ]


def contest(file: Path, spans: int, repeats: int) -> list[Measure]:
    """Both sides take turns, so that a machine that does other work stretches both; medians by processor time."""
    found: dict[str, list[Measure]] = {"read_json": [], "land": []}
    for _ in range(repeats):
        for what, done in found.items():
            done.append(_in_a_process(what, spans, file))
    middle = [sorted(done, key=lambda one: one.cpu_seconds)[repeats // 2] for done in found.values()]
    floor = middle[0]
    return [
        replace(one, ratio=one.seconds / floor.seconds, cpu_ratio=one.cpu_seconds / floor.cpu_seconds) for one in middle
    ]


def _in_a_process(what: str, spans: int, file: Path) -> Measure:
    command = [sys.executable, "-m", "benchmarks.collect_otlp", "--only", what, "--spans", str(spans), str(file)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(_THREADS)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{what} of {file.name} failed:\n{done.stderr}")
    return Measure(**json.loads(done.stdout))


def _only(what: str, spans: int, file: Path) -> Measure:
    """Do `what` in this process."""
    with tempfile.TemporaryDirectory(prefix="farthing-collect-") as folder:
        began, worked = time.perf_counter(), time.process_time()
        if what == "read_json":
            with duckdb.connect() as con:
                con.execute(f"set threads = {_THREADS}")
                con.execute(f"create table traces as from read_json('{file}')")
        else:
            _land(file, spans, Path(folder))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measure(what, spans, seconds, cpu_seconds, peak if sys.platform == "darwin" else peak * 1024)


def _land(file: Path, spans: int, project: Path) -> None:
    sources = {"traces": {"kind": "otel", "path": str(file)}}
    made = config.from_mapping({"sources": sources, "engine": {"threads": _THREADS}}, file=project / "farthing.toml")
    lake = Lake(str(project / "lake"))
    found = collectors.load("otel").collect("traces", made.sources["traces"], made, lake, _Silence())
    if [result.landed for result in found] != [spans // 2, spans]:
        raise SystemExit(f"not all of {spans:,} spans landed: {found}")


def _print(measures: list[Measure]) -> None:
    heads = ("seconds", "x read_json", "cpu", "x read_json", "peak MB")
    print(f"{measures[0].spans:,} spans\n{'':<12}" + "".join(f"{one:>12}" for one in heads))
    for one in measures:
        cells = (
            f"{one.seconds:.2f}",
            f"{one.ratio:.1f}",
            f"{one.cpu_seconds:.2f}",
            f"{one.cpu_ratio:.1f}",
            f"{one.peak_bytes / 1e6:,.0f}",
        )
        print(f"{one.what:<12}" + "".join(f"{cell:>12}" for cell in cells))


def main() -> None:
    """Print the contest."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect_otlp", description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000, help=f"a multiple of {_SPANS_OF_A_LINE}")
    parser.add_argument("--repeats", type=int, default=3, help="how often each side runs; the median is shown")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("file", nargs="?", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(asdict(_only(arguments.only, arguments.spans, arguments.file))))
        return
    with tempfile.TemporaryDirectory(prefix="farthing-otlp-") as folder:
        file = Path(folder) / "traces.jsonl"
        write(file, arguments.spans)
        measures = contest(file, arguments.spans, arguments.repeats)
    if arguments.json:
        print(json.dumps([asdict(one) for one in measures], indent=1))
    else:
        _print(measures)


if __name__ == "__main__":
    main()
