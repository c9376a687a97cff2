"""Writes docs/data-dictionary.md from a warehouse's comments: page, code and `farthing tables` say the same."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import duckdb
import pyarrow as pa

from farthing import clock, meanings, warehouse
from farthing.build import build, runner
from farthing.config import Config, from_mapping
from farthing.lake import Lake
from farthing.lake.issued import ISSUED
from farthing.lake.schemas import BUILD_DAYS, CHARGES, COST_COLUMNS, FOCUS_TIMES, SPANS
from farthing.lake.views import duckdb_type

#: The chapters after the marts. Each table of the warehouse is in one.
CHAPTERS = {
    "The ledger": ("cost_ledger", "request_costs"),
    "The bill": (
        "charges",
        "pools",
        "teams",
        "trained_models",
        "units",
        "grants",
        "reporting",
        "pool_days",
        "provisional_charges",
        "list_prices",
        "model_prices",
        "bill_totals",
        "totals",
    ),
    "What a build computes of a day": (
        *("usage_days", "price_days", "trueup_days", "trace_days", "gpu_days", "gpu_hours", "job_days"),
        *("quality_days", "unmatched_days", "same_calls", "stated_days", "prefill_laws"),
    ),
    "What farthing foresaw, found and told": tuple(table.name for table in ISSUED),
    "What was collected": (
        *("requests", "gpu_usage", "gpu_inventory", "gpu_prices", "jobs", "identities", "metrics", "revenue"),
        *("invoices", "vendor_usage", "exchange_rates"),
        *("loads", "rejects", "build_info"),
    ),
}
_LAKE_ONLY = (SPANS, BUILD_DAYS)

_OPENING = f"""\
# Data dictionary

Every table and column of the published warehouse. `farthing tables` and `farthing tables NAME` show the same texts from
the warehouse itself; `farthing query SQL` asks it. This page is written by `make docs`: a mart's text is the header of
its file in `sql/marts/`, every other text is in `farthing/meanings.py`.

| rule | what it means |
| --- | --- |
| money | DECIMAL(38,12), in the currency that the row names; amounts of different currencies are never added |
| time | TIMESTAMP in UTC with microseconds; a day or month is a DATE and begins at 00:00 UTC |
| null | not known; it is never 0 |
| FOCUS | the bill's columns are named and defined in the specification [FOCUS]({meanings.FOCUS_SPECIFICATION}) |
"""


@contextmanager
def smallest_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse of a project with one charge and no other data: every table is in it."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    charge = {
        "x_source": "bill",
        "x_charge_id": "1",
        "billing_month": date(2026, 1, 1),
        "BillingCurrency": "USD",
        **dict.fromkeys(FOCUS_TIMES, moment),
        **dict.fromkeys(COST_COLUMNS, Decimal(1)),
        **dict.fromkeys((f"x_{name}Rounding" for name in COST_COLUMNS), Decimal(0)),
    }
    with tempfile.TemporaryDirectory(prefix="farthing-docs-") as folder, clock.fixed(datetime(2026, 2, 1, tzinfo=UTC)):
        config: Config = from_mapping({}, file=Path(folder) / "farthing.toml")
        lake = Lake(config.lake_path)
        lake.append(CHARGES, pa.Table.from_pylist([charge], schema=CHARGES.schema), load="docs")
        build(config, lake, progress=_Silent())
        with warehouse.open_warehouse(config) as con:
            yield con


def page(con: duckdb.DuckDBPyConnection) -> str:
    """The whole page, of the warehouse that `con` reads.

    Raises:
        ValueError: the warehouse has a table that is in no chapter.
    """
    columns = {
        table: [row[1:] for row in rows] for table, rows in groupby(warehouse.dictionary(con), key=lambda row: row[0])
    }
    about = dict(con.execute("select table_name, comment from duckdb_tables() where schema_name = 'main'").fetchall())
    marts = runner.models("marts", known=frozenset(columns))
    missing = columns.keys() - marts.keys() - {table for tables in CHAPTERS.values() for table in tables}
    if missing:
        raise ValueError(f"in no chapter of the data dictionary: {', '.join(sorted(missing))}")
    parts = [_OPENING, "## Marts\n"]
    parts += [_table(name, about[name], columns[name], grain=_grain(marts[name])) for name in sorted(marts)]
    for title, tables in CHAPTERS.items():
        parts += [f"## {title}\n", *(_table(name, about[name], columns[name]) for name in tables)]
    parts.append("## In the lake only\n")
    for table in _LAKE_ONLY:
        known = meanings.COLUMNS[table.name]
        rows = [(field.name, duckdb_type(field.type), known.get(field.name, "")) for field in table.schema]
        parts.append(_table(table.name, meanings.TABLES[table.name], rows))
    return "\n".join(parts)


def _table(name: str, about: str, columns: Iterable[tuple[str, str, str]], grain: str = "") -> str:
    sentence = about[:1].upper() + about[1:].rstrip(".") + "."
    if grain:
        sentence += f" One row for each {grain}."
    rows = "".join(f"| `{column}` | {kind} | {meaning} |\n" for column, kind, meaning in columns)
    return f"### {name}\n\n{sentence}\n\n| column | type | meaning |\n| --- | --- | --- |\n{rows}"


def _grain(mart: runner.Model) -> str:
    lines = [line.removeprefix("grain: ") for line in mart.comment.splitlines() if line.startswith("grain: ")]
    return ", ".join(f"`{column.strip()}`" for line in lines for column in line.split(","))


class _Silent:
    def start(self, total: int, what: str) -> None:
        """Nobody waits for it."""

    def advance(self, count: int = 1) -> None:
        """Nobody waits for it."""

    def message(self, text: str) -> None:
        """Nobody waits for it."""


def main() -> None:
    """Write the page to the path given, by default its place in docs/."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/data-dictionary.md")
    with smallest_warehouse() as con:
        target.write_text(page(con), encoding="utf-8")


if __name__ == "__main__":
    main()
