"""What it takes to price API requests by every class of tokens: the build's join against a library per request."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb

from farthing.build import model_prices, runner, settings
from farthing.config import from_mapping
from farthing.lake.schemas import COLLECTED, TIME, Table
from farthing.lake.views import duckdb_type, quoted

MODELS = (
    ("openai", "gpt-5"),
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-5.4"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4.1"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("anthropic", "claude-opus-4-1"),
    ("google", "gemini-2.5-pro"),
    ("google", "gemini-2.5-flash"),
    ("deepseek", "deepseek-flash"),
    ("deepseek", "deepseek-v4-pro"),
    ("mistral", "mistral-large-latest"),
    ("groq", "llama-3.3-70b-versatile"),
    ("x-ai", "grok-4"),
)
_CENT = Decimal("0.01")
_DAY = datetime(2026, 10, 20, tzinfo=UTC)
_TIERS = ("standard", "batch", "flex", "priority")

_CONFIG = from_mapping({"pools": [{"name": "apis", "kind": "api"}]})

#: Users, models, tiers and tokens from a hash of the number: the same on every machine. One in fifty is long.
_MADE = """
    insert into lake.requests by name
    with numbers as (
        select range as number, hash(range) as h from range({rows})
    ),
    tokens as (
        select
            *,
            1 + (h >> 8) % 8000 + case when h % 50 = 0 then 250000 else 0 end as total,
            list_extract($models, 1 + cast(h % {models} as bigint)) as named
        from numbers
    )
    select
        'log' as x_source,
        date '2026-10-20' as day,
        number::varchar as request_id,
        timestamp '2026-10-20 00:00:00' + to_microseconds(cast((h >> 4) % 86400000000 as bigint)) as started_at,
        split_part(named, '|', 1) as provider,
        split_part(named, '|', 2) as model,
        list_extract($tiers, 1 + cast((h >> 12) % 4 as bigint)) as service_tier,
        'user-' || (h >> 16) % 1000 as user_id,
        cast(total as bigint) as input_tokens,
        cast(case when h % 2 = 0 then total * ((h >> 20) % 100) // 200 else 0 end as bigint) as cached_input_tokens,
        cast(case when h % 3 = 0 then total * ((h >> 24) % 100) // 250 else 0 end as bigint) as cache_write_tokens,
        cast(case when h % 6 = 0 then total * ((h >> 24) % 100) // 500 else 0 end as bigint) as cache_write_1h_tokens,
        cast((h >> 28) % 4000 as bigint) as output_tokens,
        cast(case when h % 4 = 0 then ((h >> 28) % 4000) // 2 else 0 end as bigint) as reasoning_tokens,
        'reported' as usage_quality
    from tokens
"""
_SUMMED = """
    select provider, model, user_id, count(*) as requests, sum(pico) as pico
    from priced_requests
    group by all
"""


@dataclass(frozen=True)
class Measure:
    """Seconds for `requests`, and how many times the seconds per request of the join that is."""

    what: str
    requests: int
    seconds: float
    cpu_seconds: float
    microseconds_each: float = 0.0
    ratio: float = 1.0


def measured(rows: int, sample: int, threads: int = 2) -> dict[str, Any]:
    """Price `rows` requests by the build's SQL, and `sample` of them by each library; the cents must be the same."""
    with tempfile.TemporaryDirectory(prefix="farthing-price-") as folder:
        con = duckdb.connect(str(Path(folder) / "price.duckdb"), config={"threads": threads})
        con.execute("set TimeZone = 'UTC'")
        found = _prepare(con, rows)
        runner.run(con, found, ["merged_calls"])
        laid, _ = _timed("the price table for the names of the log", rows, lambda: model_prices.put(con, _CONFIG))
        runner.run(con, found, ["priced_requests"])
        con.execute(_SUMMED).fetchall()  # the file is in memory then, for every rival alike
        tries = [_timed("join and sum", rows, lambda: con.execute(_SUMMED).fetchall())[0] for _ in range(3)]
        ours = min(tries, key=lambda one: one.cpu_seconds)
        some = con.execute(
            "select request_id, provider, model, tier, started_at, input_tokens, cached_input_tokens,"
            " cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, pico from priced_requests"
            f" order by request_id limit {sample}"
        ).fetchall()
        rival, prices = _timed("genai-prices, a call per request", len(some), lambda: [_called(row) for row in some])
        con.close()
    expected = [Decimal(row[-1]).scaleb(-12) for row in some]
    rounded = [price.quantize(Decimal("1e-12"), ROUND_HALF_UP) for price in prices]
    different = sum(price != own for price, own in zip(rounded, expected, strict=True))
    cents = (sum(prices, Decimal(0)).quantize(_CENT), sum(expected, Decimal(0)).quantize(_CENT))
    floor = ours.cpu_seconds / ours.requests
    measures = [
        Measure(one.what, one.requests, one.seconds, one.cpu_seconds, 1e6 * each, each / floor)
        for one in (ours, laid, rival)
        for each in [one.cpu_seconds / one.requests]
    ]
    return {
        "measures": [asdict(one) for one in measures],
        "different_prices": different,
        "total_of_the_sample": {"genai-prices": str(cents[0]), "join": str(cents[1])},
        "absent": [] if importlib.util.find_spec("litellm") else ["litellm: not installed, so not measured"],
    }


def _prepare(con: duckdb.DuckDBPyConnection, rows: int) -> dict[str, runner.Model]:
    """The lake's tables with the requests made up, the settings of a build, and its SQL."""
    con.execute("create schema lake")
    for table in COLLECTED:
        con.execute(f"create table lake.{table.name} ({_columns(table)})")
    made = _MADE.format(rows=rows, models=len(MODELS))
    con.execute(made, {"models": ["|".join(pair) for pair in MODELS], "tiers": list(_TIERS)})
    settings.prepare(con, _CONFIG, datetime(2026, 11, 1, tzinfo=UTC))
    settings.open_days(con, {_DAY.date(): rows})
    return runner.models("staging", "core", "checks/bill", "checks/day")


def _columns(table: Table) -> str:
    return ", ".join(
        f"{quoted(field.name)} {'timestamp' if field.type == TIME else duckdb_type(field.type)}"
        for field in table.schema
    )


def _called(row: tuple[Any, ...]) -> Decimal:
    import genai_prices

    _, provider, model, tier, started_at, total, read, write, hour, output, reasoning, _ = row
    usage = genai_prices.Usage(
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        output_tokens=output,
        output_reasoning_tokens=reasoning,
    )
    return genai_prices.calc_price(
        usage,
        model,
        provider_id=provider,
        genai_request_timestamp=started_at.replace(tzinfo=UTC),
        price_context=model_prices.TIERS[tier],
    ).total_price


def _timed(what: str, requests: int, work: Callable[[], Any]) -> tuple[Measure, Any]:
    began, worked = time.perf_counter(), time.process_time()
    result = work()
    return Measure(what, requests, time.perf_counter() - began, time.process_time() - worked), result


def main() -> None:
    """Print what pricing takes, and whether the prices are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=50_000, help="requests that the library is called for")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options.rows, options.sample, threads=min(2, os.cpu_count() or 1))
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'':44}{'requests':>10}{'seconds':>10}{'cpu s':>10}{'us each':>10}{'x join':>10}")
    for one in found["measures"]:
        print(
            f"{one['what']:44}{one['requests']:>10,}{one['seconds']:>10.3f}{one['cpu_seconds']:>10.3f}"
            f"{one['microseconds_each']:>10.3f}{one['ratio']:>10.1f}"
        )
    print(f"prices that differ: {found['different_prices']}; totals: {found['total_of_the_sample']}")
    for line in found["absent"]:
        print(line)


if __name__ == "__main__":
    main()
