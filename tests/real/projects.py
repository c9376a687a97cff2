"""A project folder on real data, run through the command line as a user would."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from farthing import clock, config
from farthing.warehouse import open_warehouse
from tests.farthing.commands import farthing

BILL = [
    "BilledCost",
    "EffectiveCost",
    "BillingCurrency",
    "ChargeCategory",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ResourceId",
    "ProviderName",
]


def run(folder: Path, toml: str, *, now: datetime) -> list[dict[str, Any]]:
    """Collect and build the project `toml` in `folder`; what each file came to."""
    (folder / "farthing.toml").write_text(toml)
    with clock.fixed(now):
        collected = farthing("collect", "--project", folder, "--json")
        assert collected.code == 0, collected.err
        built = farthing("build", "--project", folder, "--json")
        assert built.code == 0, built.err
    return list(collected.value)


@contextmanager
def warehouse(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published warehouse of the project in `folder`."""
    with open_warehouse(config.load(folder)) as con:
        yield con


def quality(con: duckdb.DuckDBPyConnection, subject: str, measure: str) -> tuple[float, float]:
    """Matched and total over all days."""
    [(matched, total)] = con.execute(
        "select sum(matched), sum(total) from data_quality where subject = ? and measure = ?", [subject, measure]
    ).fetchall()
    return float(matched), float(total)


def read(path: Path) -> list[dict[str, str]]:
    """A CSV file by the standard library alone."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def bill(path: Path, day: str, charges: Iterable[tuple[object, str, str]]) -> None:
    """A FOCUS bill of whole days: (cost, ResourceId, ProviderName) each from `day` on for one day."""
    month = f"{day[:7]}-01T00:00:00Z"
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    until = datetime.fromtimestamp(start.timestamp() + 86400, start.tzinfo)
    times = [month, until.isoformat(), start.isoformat(), until.isoformat()]
    rows = [[cost, cost, "USD", "Usage", *times, resource, provider] for cost, resource, provider in charges]
    write(path, BILL, rows)
