"""What a catalogue said on earlier days goes on beside what it says today: a price that changed ends, and stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb
import polars as pl

from collectors.values import quoted
from farthing.lake import Lake
from farthing.lake.schemas import EXACT, GPU_PRICES

Price = dict[str, Any]

_COLUMNS = [name for name in GPU_PRICES.columns if name not in ("x_source", "x_load")]
_KEY = [name for name in GPU_PRICES.key if name != "valid_from"]
_AMOUNTS = ("price_per_instance_hour", "price_per_gpu_hour", "gpus")
#: As text: the rows land by the rules of a file.
_TYPES: dict[str, Any] = {
    name: pl.Int64 if name == "gpus" else pl.Date if name in ("valid_from", "valid_to") else pl.String
    for name in _COLUMNS
}


def continued(lake: Lake, x_source: str, x_load: str, asked: Sequence[Price], today: date) -> pl.DataFrame:
    """The rows of `x_load` from now on: those that the lake has, closed where `asked` says otherwise, and new ones.

    Raises:
        SourceError: the lake cannot be read.
    """
    held: dict[tuple[Any, ...], list[Price]] = defaultdict(list)
    for row in _landed(lake, x_source, x_load):
        held[_key(row)].append(row)
    said: dict[tuple[Any, ...], list[Price]] = defaultdict(list)
    for row in sorted(asked, key=lambda row: row["valid_from"]):
        said[_key(row)].append(row)
    for key in held.keys() | said.keys():
        rows = held[key]
        for price in said[key]:
            _take(rows, price, today)
        if not said[key]:
            _close(rows, today)
    rows = [_text(row) for key in sorted(held, key=str) for row in held[key]]
    return pl.DataFrame(rows, schema=_TYPES, orient="row")


def _take(rows: list[Price], price: Price, today: date) -> None:
    """Add `price` to the dated `rows` of its kind, unless they say it already."""
    current = [row for row in rows if row["valid_to"] is None or row["valid_to"] > today]
    same = [row for row in current if all(row[name] == price[name] for name in _AMOUNTS)]
    if any(row["valid_from"] <= today or row["valid_from"] == price["valid_from"] for row in same):
        return
    begins = price["valid_from"]
    if rows and begins <= rows[-1]["valid_from"]:
        begins = today  # the catalogue says nothing of when: what was known of earlier days stays
    _close(rows, begins)
    rows.append({**price, "valid_from": begins, "valid_to": None})


def _close(rows: list[Price], day: date) -> None:
    """End what would hold on `day`; what would only begin then has never held."""
    rows[:] = [row for row in rows if row["valid_from"] < day]
    if rows and (rows[-1]["valid_to"] is None or rows[-1]["valid_to"] > day):
        rows[-1]["valid_to"] = day


def _key(row: Price) -> tuple[Any, ...]:
    return tuple(row[name] for name in _KEY)


def _landed(lake: Lake, x_source: str, x_load: str) -> list[Price]:
    if lake.version(GPU_PRICES) is None:
        return []
    with duckdb.connect() as con:
        lake.view(con, GPU_PRICES)
        found = con.execute(
            f"select {', '.join(map(quoted, _COLUMNS))} from lake.gpu_prices where x_source = ? and x_load = ?"
            " order by valid_from",
            [x_source, x_load],
        ).fetchall()
    return [dict(zip(_COLUMNS, row, strict=True)) for row in found]


def _text(row: Price) -> Price:
    exact = {name for name in _COLUMNS if GPU_PRICES.schema.field(name).type == EXACT}
    return {name: format(row[name], "f") if name in exact and row[name] is not None else row[name] for name in _COLUMNS}
