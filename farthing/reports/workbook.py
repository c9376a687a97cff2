"""A report as an Excel workbook: a sheet for each table, numbers as numbers, foreign text never a formula."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from farthing import figures
from farthing.reports.document import Report, Table

#: Excel takes 31 characters, and none of these.
_SHEET_NAME = re.compile(r"[\[\]:*?/\\]")
_NAME_LENGTH = 31
_CELL_LENGTH = 32_767
_WIDEST = 60
_NUMBER, _DAY, _MOMENT = "#,##0.00####", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"


def workbook(report: Report) -> bytes:
    """The whole report; the same report is always the same bytes.

    Excel keeps 15 digits of a number: exact amounts are those of `--format csv`, as the first sheet says.
    """
    target = io.BytesIO()
    with xlsxwriter.Workbook(
        target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    ) as book:
        # The time of writing would make every file another one.
        book.set_properties(
            {
                "title": report.title,
                "company": report.project,
                "created": datetime.combine(report.last, datetime.min.time()),
            }
        )
        forms = {name: book.add_format({"num_format": name}) for name in (_NUMBER, _DAY, _MOMENT)}
        heading = book.add_format({"bold": True, "bottom": 1})
        used: set[str] = set()
        _summary(book.add_worksheet(_sheet_name("Report", used)), report, heading)
        for table in report.tables():
            _sheet(book, _sheet_name(table.name, used), report, table, heading, forms)
    return target.getvalue()


def _summary(sheet: Worksheet, report: Report, heading: Format) -> None:
    lines: list[tuple[str, Format | None]] = [
        (report.title, heading),
        (("SIMULATED  " if report.simulated else "") + report.project, None),
        (f"{figures.period(report.first, report.last)}; amounts in {report.currency}, days in UTC", None),
        ("Excel keeps 15 digits of a number; the exact amounts are in the CSV files of this report.", None),
        *((note, None) for note in report.notes),
        ("", None),
    ]
    for section in report.sections:
        lines += [(section.title, heading), (section.heading, None), *((said, None) for said in section.said)]
    for row, (text, form) in enumerate(lines):
        sheet.write_string(row, 0, text[:_CELL_LENGTH], form)
    sheet.set_column(0, 0, 120)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _sheet(
    book: xlsxwriter.Workbook, name: str, report: Report, table: Table, heading: Format, forms: dict[str, Format]
) -> None:
    sheet = book.add_worksheet(name)
    ahead: dict[str, object] = {"period": report.period}
    if table.currency and all(column.name != "BillingCurrency" for column in table.columns):
        ahead["BillingCurrency"] = table.currency
    names = [*ahead, *(column.name for column in table.columns)]
    rows = [[*ahead.values(), *(row[column.name] for column in table.columns)] for row in table.rows]
    for place, column in enumerate(names):
        sheet.write_string(0, place, column, heading)
    for line, cells in enumerate(rows, start=1):
        for place, value in enumerate(cells):
            _write(sheet, line, place, value, forms)
    _fit(sheet, names, rows)
    sheet.freeze_panes(1, 0)
    if rows:
        sheet.autofilter(0, 0, len(rows), len(names) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _write(sheet: Worksheet, row: int, place: int, value: object, forms: dict[str, Format]) -> None:
    """One cell: what is missing stays empty, and is not 0."""
    match value:
        case None:
            return
        case bool():
            sheet.write_boolean(row, place, value)
        case Decimal() | float():
            sheet.write_number(row, place, float(value), forms[_NUMBER])
        case int():
            sheet.write_number(row, place, value)
        case datetime():
            sheet.write_datetime(row, place, value.replace(tzinfo=None), forms[_MOMENT])
        case date():
            sheet.write_datetime(row, place, value, forms[_DAY])
        case _:
            sheet.write_string(row, place, str(value)[:_CELL_LENGTH])


def _fit(sheet: Worksheet, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    for place, name in enumerate(names):
        longest = max((len(str(row[place])) for row in rows if row[place] is not None), default=0)
        sheet.set_column(place, place, min(_WIDEST, max(len(name), longest) + 2))


def _sheet_name(name: str, used: set[str]) -> str:
    """A name that Excel takes, and that no other sheet has."""
    base = _SHEET_NAME.sub("-", name)[:_NAME_LENGTH]
    found, number = base, 2
    while found.lower() in used:
        found = f"{base[: _NAME_LENGTH - 4]} ({number})"
        number += 1
    used.add(found.lower())
    return found
