"""What a command says: tables for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

#: Wide enough that nothing is folded or cut where no terminal says how wide it is.
_UNBOUNDED = 10_000
_MISSING = "\N{EN DASH}"
#: What long FOCUS and lake names are called where people read them.
SHORTER = {"BillingCurrency": "currency", "InvoiceId": "invoice", "x_source": "source", "x_charge_id": "charge"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Form(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class Sheet:
    """Rows under named columns. `name` is its key where several are written as one JSON object.

    Decimals are shortened for people, but for the columns in `exact`; `record` is one row shown downwards.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    note: str = ""
    exact: frozenset[str] = frozenset()
    record: bool = False
    hidden: frozenset[str] = frozenset()  # for programs only: a table for people has no room for everything
    headings: Mapping[str, str] = field(default_factory=lambda: SHORTER)  # other names for people

    def objects(self) -> list[dict[str, object]]:
        """Each row by column, as JSON has it; a column name that comes twice is counted up."""
        return [dict(zip(distinct(self.columns), map(plain, row), strict=True)) for row in self.rows]


def output() -> Console:
    """Standard output: as wide as the terminal, else as wide as the text."""
    return _console(sys.stdout)


def errors() -> Console:
    """Standard error: progress, findings and failures."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _UNBOUNDED
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def say(text: str, *, style: str = "", form: Form = Form.TABLE) -> None:
    """A line for people: on standard output, or beside it where that is a program's."""
    console = output() if form is Form.TABLE else errors()
    console.print(Text(text, style=style))


def show(sheets: Sheet | Sequence[Sheet], form: Form = Form.TABLE, *, main: str = "") -> None:
    """Write one sheet, or several under each other.

    JSON is an array for one sheet, else an object with one member for each; CSV is the sheet `main` alone.
    """
    found = [sheets] if isinstance(sheets, Sheet) else list(sheets)
    if form is Form.TABLE:
        for sheet in found:
            _print(sheet)
    elif form is Form.CSV:
        sheet = next((sheet for sheet in found if sheet.name == main), found[0])
        write_csv(sheet.columns, sheet.rows)
    else:
        values = {sheet.name: sheet.objects()[0] if sheet.record else sheet.objects() for sheet in found}
        value: object = values if isinstance(sheets, Sequence) else values[sheets.name]
        sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]], to: TextIO | None = None) -> None:
    """Rows as RFC 4180 text; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    writer = csv.writer(to or sys.stdout, lineterminator="\n")
    writer.writerow([_unharmful(name) for name in columns])
    for row in rows:
        writer.writerow([_unharmful(value) for value in row])


def write_json(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows as one JSON array of objects, written as they come."""
    names, separator = distinct(columns), "[\n"
    for row in rows:
        line = json.dumps(dict(zip(names, map(plain, row), strict=True)), ensure_ascii=False, allow_nan=False)
        sys.stdout.write(separator + line)
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def distinct(names: Sequence[str]) -> list[str]:
    """`names` with a number behind each that was there before."""
    found: list[str] = []
    for name in names:
        other, number = name, 1
        while other in found:
            other, number = f"{name}_{number}", number + 1
        found.append(other)
    return found


def plain(value: object) -> Any:  # noqa: PLR0911  one line for each type reads best
    """`value` as JSON can say it without loss: decimals as text, times in ISO 8601 (those of the warehouse are UTC)."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    return str(value)


def no_formula(text: str) -> str:
    """`text` for a cell of a CSV: with an apostrophe before it where a spreadsheet would take it for a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def _unharmful(value: object) -> object:
    if isinstance(value, str):
        return no_formula(value)
    shown = plain(value)
    return json.dumps(shown, ensure_ascii=False) if isinstance(shown, list | dict) else shown


# -- tables for people --------------------------------------------------------------------------------------------


def money(value: Decimal, places: int = 2) -> str:
    """An amount for people: thousands apart, `places` decimals; what is not zero never looks like zero."""
    shown = f"{value:,.{places}f}"
    if value and not Decimal(shown.replace(",", "")):
        smallest = f"{Decimal(1).scaleb(-places):f}"
        return f"<{smallest}" if value > 0 else f">-{smallest}"
    return shown.removeprefix("-") if not value else shown


def exactly(value: Decimal) -> str:
    """An amount to its last digit, with no more zeros behind it than the ledger has."""
    shown = f"{value:,f}"
    whole, _, decimals = shown.partition(".")
    return f"{whole}.{decimals[:12]}{decimals[12:].rstrip('0')}" if decimals else shown


def places(values: Iterable[object]) -> int:
    """How many decimals a column of amounts needs: two, or four digits of its largest when that is below one."""
    largest = max((abs(value) for value in values if isinstance(value, Decimal)), default=Decimal(1))
    return 2 if largest >= 1 or not largest else min(12, 3 - largest.adjusted())


def percent(share: float | Decimal) -> str:
    """A share for people."""
    return f"{100 * share:.1f} %"


def rows_of(number: int) -> str:
    """A count for people."""
    return f"{number:,}"


def _cells(column: str, values: Sequence[object], *, exact: bool) -> list[str]:
    digits = places(values)
    return [_cell(column, value, digits, exact=exact) for value in values]


def _cell(column: str, value: object, digits: int, *, exact: bool) -> str:  # noqa: PLR0911  as `plain`
    if value is None:
        return _MISSING
    if isinstance(value, Decimal):
        return exactly(value) if exact else money(value, digits)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return percent(value) if column == "share" or column.endswith("_share") else f"{value:,.6g}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    shown = plain(value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _for_people(sheet: Sheet) -> Sheet:
    kept = [index for index, name in enumerate(sheet.columns) if name not in sheet.hidden]
    names = [sheet.columns[index] for index in kept]
    return replace(
        sheet,
        columns=[sheet.headings.get(name, name) for name in names],
        rows=[[row[index] for index in kept] for row in sheet.rows],
        exact=frozenset(sheet.headings.get(name, name) for name in sheet.exact),
    )


def _print(sheet: Sheet) -> None:
    console = output()
    sheet = _for_people(sheet)
    columns = list(zip(*sheet.rows, strict=True)) if sheet.rows else [()] * len(sheet.columns)
    texts = [
        _cells(name, values, exact=name in sheet.exact) for name, values in zip(sheet.columns, columns, strict=True)
    ]
    console.print()
    if sheet.title:
        console.print(Text(sheet.title, style="bold"))
    if not sheet.rows:
        console.print(Text("  nothing", style="dim"))
    elif sheet.record:
        console.print(_downwards(sheet.columns, [column[0] for column in texts]))
    else:
        table = _across(sheet, columns, texts)
        if Measurement.get(console, console.options.update(width=_UNBOUNDED), table).minimum > console.width:
            for number, row in enumerate(zip(*texts, strict=True), 1):
                console.print(Text(f"row {number}", style="dim"))
                console.print(_downwards(sheet.columns, row))
        else:
            console.print(table)
    if sheet.note:
        console.print(Text(sheet.note, style="dim"))


def _across(sheet: Sheet, columns: Sequence[Sequence[object]], texts: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name, values in zip(sheet.columns, columns, strict=True):
        numeric = any(isinstance(value, Decimal | int | float) for value in values)
        short = numeric or all(len(str(value)) <= 24 for value in values)
        table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=short, overflow="fold")
    for row in zip(*texts, strict=True):
        table.add_row(*(_coloured(text) for text in row))
    return table


def _downwards(columns: Sequence[str], texts: Sequence[str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in zip(columns, texts, strict=True):
        table.add_row(Text(name, style="dim"), _coloured(text))
    return table


_COLOURS = {"ok": "green", "finding": "yellow", "failed": "red", "landed": "green", "unchanged": "dim", _MISSING: "dim"}


def _coloured(text: str) -> Text:
    return Text(text, style=_COLOURS.get(text, ""))


def size(count: int) -> str:
    """A number of bytes for people."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def seconds(duration: float | timedelta) -> str:
    """A duration for people."""
    taken = duration.total_seconds() if isinstance(duration, timedelta) else duration
    return f"{taken:.1f} s" if taken < 120 else f"{taken / 60:.1f} min"


def batches(fetch: Callable[[int], list[tuple[Any, ...]]], count: int = 10_000) -> Iterator[tuple[Any, ...]]:
    """All rows of a cursor, `count` fetched at a time."""
    while rows := fetch(count):
        yield from rows
