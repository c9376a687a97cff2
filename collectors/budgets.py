"""What is planned to be spent, by scope and month: a row for each month, or a column for each as in spreadsheets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl

from collectors.checks import negative, one_of, unknown_currency
from collectors.kind import Check, Deliverable, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from collectors.raw import LINE, PROBLEM, RAW, ROWS_APART
from collectors.statements import Download, recognised, rows_of
from collectors.values import literal
from farthing.config import Config, Source
from farthing.lake.schemas import BUDGETS, EXACT

#: What a budget can be of.
DIMENSIONS = ("total", "team", "model", "customer", "user", "plan", "pool", "provider")
#: Our name of a unit, and what people write for it.
_UNITS = {
    "requests": ("requests", "request"),
    "tokens": ("tokens", "token"),
    "million tokens": ("million tokens", "million token", "mtok", "1m tokens"),
    "GPU hours": ("gpu hours", "gpu hour", "gpuh"),
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WIDE = "a column per month"
#: What a cell of a wide table becomes, as the column map finds it.
_MONTH, _AMOUNT = "month", "amount"
#: So many decimals, and so many digits before them, that quantity x rate is exact in 38 digits.
_QUANTITY, _RATE = (19, 6), (19, 12)
#: A spreadsheet shows rates rounded: an amount further from quantity x rate than this is another amount.
_TOLERANCE = "0.01"


def _product(row: Row) -> str:
    if not {"quantity", "rate"} <= row.mapped:
        return "null::decimal(38, 18)"
    return f"try_cast(quantity as decimal{_QUANTITY}) * try_cast(rate as decimal{_RATE})"


def _derived(row: Row) -> Mapping[str, str]:
    word = "replace(replace(lower(trim(unit)), '_', ' '), '-', ' ')"
    units = " ".join(
        f"when {word} in ({', '.join(map(literal, words))}) then {literal(ours)}" for ours, words in _UNITS.items()
    )
    dimension = "lower(trim(dimension))"
    of_scope = f"case when {dimension} = 'total' then 'total' else concat_ws(' ', {dimension}, trim(key)) end"
    return {
        "month": "date_trunc('month', \"month\")::date",
        "name": f"coalesce(nullif(trim(name), ''), {of_scope})",
        "dimension": dimension,
        "key": "nullif(trim(key), '')",
        "amount": f"coalesce(amount, round({_product(row)}, 12))",
        "amount_rounding": f"coalesce({row.map.exact('amount')}, {_product(row)}) - coalesce(amount, "
        f"round({_product(row)}, 12))",
        "unit": f"case {units} else trim(unit) end",
    }


def _checks(row: Row) -> Sequence[Check]:
    found: list[Check] = [
        one_of("dimension", DIMENSIONS),
        ("key is null and dimension <> 'total'", "'key is missing: which ' || dimension"),
        ("key is not null and dimension = 'total'", "'total has no key, and here is ' || key"),
        ("key = '*'", literal("a line of a plan is of one key; `*` goes into [[budgets]] of farthing.toml")),
        (
            "coalesce(quantity, 0) <> 0 and unit is null or rate is not null and unit is null",
            literal("quantity and rate need a unit"),
        ),
        one_of("unit", _UNITS),
        ("amount is null", literal("amount is missing, and so is quantity x rate")),
        *negative(["amount", "quantity", "rate"]),
        unknown_currency("currency"),
    ]
    for name, (digits, decimals) in (("quantity", _QUANTITY), ("rate", _RATE)):
        if name in row.mapped:
            found.insert(
                0,
                (
                    f"{name} <> round({name}, {decimals}) or abs({name}) >= 1e{digits - decimals}",
                    f"'{name} ' || {name} || ' has more than {decimals} decimals, or {digits - decimals} digits'",
                ),
            )
    if {"amount", "quantity", "rate"} <= row.mapped:
        found.append(
            (
                f"abs(amount - {_product(row)}) > {_TOLERANCE} * amount",
                f"'amount ' || amount || ' is not quantity x rate, which is ' || {_product(row)}",
            )
        )
    return found


KIND = Kind(
    Dialect(BUDGETS, made={"amount_rounding": EXACT}),
    needed=lambda _: ("month", "dimension", "currency"),
    derived=_derived,
    checks=_checks,
    rounding=lambda _: ("currency", "amount_rounding"),
)


class PlanFile(Download):
    """A file of budgets, in either form."""

    kind_of_bill = "budgets"

    def form_of(self, columns: Sequence[str]) -> str:
        """Which of the two forms a file with these columns is in."""
        return _WIDE if _months(columns) else "a row per month"

    def fetch(self, folder: Path) -> Path:
        """The file itself, or Parquet with a row for each cell of one that has a column per month.

        Raises:
            UnreadableError: it is damaged.
            SourceError: it cannot be reached.
        """
        path = self.file.fetch(folder)
        self.form = recognised(path, self.form_of) or self.kind_of_bill  # one that cannot be read fails when it lands
        return super().fetch(folder) if self.form == _WIDE else path

    def read(self, folder: Path) -> pl.LazyFrame:
        """A row for each cell with an amount; a line that is no row is one row with the reason."""
        rows = rows_of([self.file.fetch(folder)], folder)
        names = rows.collect_schema().names()
        months = _months(names)
        rows = rows.with_columns(pl.lit(None, pl.String).alias(name) for name in (RAW, PROBLEM) if name not in names)
        own = [RAW, PROBLEM, *(name for name in names if name not in {*months, LINE, RAW, PROBLEM})]
        broken = rows.filter(pl.col(PROBLEM).is_not_null()).select(
            LINE, *own, *(pl.lit(None, pl.String).alias(name) for name in (_MONTH, _AMOUNT))
        )
        each = [
            rows.filter(pl.col(PROBLEM).is_null() & (_text(name).str.strip_chars() != "")).select(
                pl.col(LINE) + number * ROWS_APART,
                *own,
                pl.lit(month.isoformat()).alias(_MONTH),
                _text(name).alias(_AMOUNT),
            )
            for number, (name, month) in enumerate(months.items())
        ]
        return pl.concat([*each, broken])


class Budgets(Files):
    """Files of budgets, each landed when it is new or changed."""

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`.

        Raises:
            ConfigError: path is missing, or a setting means nothing here.
            SourceError: nothing is there, or a store cannot be listed.
        """
        return [PlanFile(found) for found in super().find(name, source, config)]


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String)


def _months(columns: Sequence[str]) -> dict[str, date]:
    """The columns whose name is a month, with its first day; none where the file has a column for the month."""
    if _MONTH in columns or _AMOUNT in columns:
        return {}
    return {name: month for name in columns if (month := _month(name)) is not None}


def _month(name: str) -> date | None:
    """The month that a column is for: 2026-10, 2026-10-01, Oct-26, October 2026."""
    text = name.strip().lower()
    if found := re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])(-01)?", text):
        return date(int(found[1]), int(found[2]), 1)
    if found := re.fullmatch(r"([a-z]{3})[a-z]*[ \-](\d{4}|\d\d)", text):
        year = int(found[2])
        if found[1] in _MONTHS:
            return date(year if year > 99 else 2000 + year, _MONTHS.index(found[1]) + 1, 1)
    return None


COLLECTOR = Budgets(KIND)
