"""The report as an Excel workbook: read back by another library, it has the rows of the CSV files."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal

import openpyxl
import pytest

from farthing.reports.document import Report
from farthing.reports.workbook import workbook
from tests.farthing.reports.conftest import FORMULA

Make = Callable[..., Report]


@pytest.fixture(scope="session")
def opened() -> Callable[[bytes], openpyxl.Workbook]:
    def read(content: bytes) -> openpyxl.Workbook:
        return openpyxl.load_workbook(io.BytesIO(content))

    return read


def test_every_table_has_a_sheet_with_its_rows(report: Make, opened: Callable[[bytes], openpyxl.Workbook]) -> None:
    made = report()
    book = opened(workbook(made))
    tables = list(made.tables())
    assert len(book.sheetnames) == len(tables) + 1
    for table, sheet in zip(tables, book.worksheets[1:], strict=True):
        assert sheet.max_row == len(table.rows) + 1
        assert sheet.title == table.name[:31]


def test_amounts_are_numbers_and_days_are_dates(report: Make, opened: Callable[[bytes], openpyxl.Workbook]) -> None:
    made = report()
    sheet = opened(workbook(made))["spend_by_day"]
    head, *rows = sheet.iter_rows(values_only=True)
    places = {name: place for place, name in enumerate(head)}
    [table] = [one for one in made.tables() if one.name == "spend_by_day"]
    assert [row[places["cost"]] for row in rows] == pytest.approx([float(row["cost"]) for row in table.rows])
    assert [row[places["day"]].date() for row in rows] == [row["day"] for row in table.rows]
    assert {row[places["BillingCurrency"]] for row in rows} == {"USD"}


def test_foreign_text_is_never_a_formula(report: Make, opened: Callable[[bytes], openpyxl.Workbook]) -> None:
    cells = [
        cell
        for sheet in opened(workbook(report())).worksheets
        for row in sheet.iter_rows()
        for cell in row
        if cell.value == FORMULA
    ]
    assert cells
    assert {cell.data_type for cell in cells} == {"s"}


def test_what_is_missing_is_an_empty_cell(report: Make, opened: Callable[[bytes], openpyxl.Workbook]) -> None:
    made = report()
    book = opened(workbook(made))
    missing = [
        (table.name, line, column.name)
        for table in made.tables()
        for line, row in enumerate(table.rows)
        for column in table.columns
        if row[column.name] is None
    ]
    assert missing
    for name, line, column in missing:
        sheet = book[name[:31]]
        place = [cell.value for cell in sheet[1]].index(column)
        assert sheet[line + 2][place].value is None, (name, line, column)


def test_the_same_report_is_the_same_bytes(report: Make) -> None:
    assert workbook(report()) == workbook(report())


def test_exact_amounts_are_said_to_be_elsewhere(report: Make, opened: Callable[[bytes], openpyxl.Workbook]) -> None:
    made = report()
    text = [row[0] for row in opened(workbook(made)).worksheets[0].iter_rows(values_only=True)]
    assert any("15 digits" in str(line) for line in text)
    assert isinstance(next(iter(made.tables())).rows[0]["value"], Decimal)
