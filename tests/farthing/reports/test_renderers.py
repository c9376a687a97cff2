"""The files of a report: one page that needs nothing else, Markdown and CSV; no name in them is markup."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from farthing import charts
from farthing.reports import tables
from farthing.reports.document import Report, Section
from farthing.reports.markdown import markdown
from farthing.reports.page import page
from tests.farthing.reports.conftest import FORMULA, MARKUP

Make = Callable[..., Report]
_VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Tags with their attributes, and text; every tag must be closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def html(report: Make) -> str:
    return page(report())


@pytest.mark.slow
def test_the_page_parses_and_has_no_script_and_no_foreign_resource(html: str) -> None:
    found = Page(html)
    names = {tag for tag, _ in found.tags}
    assert {"svg", "table", "section"} <= names
    assert not names & {"script", "link", "img", "iframe", "object", "a"}
    for tag, attributes in found.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"src", "href", "xlink:href"}, (tag, name)
            # a label of a chart may quote a name; nothing else has an address
            assert name == "aria-label" or "://" not in (value or ""), (tag, name, value)
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(styles) == 1
    assert "@import" not in styles[0]
    assert "url(" not in styles[0]


@pytest.mark.slow
def test_ids_of_the_charts_do_not_meet_and_are_the_same_each_time(report: Make) -> None:
    def heat_map() -> charts.Chart:
        day = date(2026, 10, 1)
        return charts.busy_hours([(day, 0, 0.5, Decimal(1))], day, day, "USD", height=200)

    sections = [Section(name, name, name, chart=heat_map) for name in ("one", "other")]
    made = replace(report(), sections=sections)
    html = page(made)
    assert page(made) == html  # vega numbers its ids through all that a process draws
    ids = [attributes["id"] for _, attributes in Page(html).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r"url\(#([^)]+)\)", html)
    assert len(set(used)) == 2  # the colours of each legend
    assert set(used) < set(ids)


@pytest.mark.slow
def test_foreign_names_stand_on_the_page_as_text(html: str) -> None:
    assert "<script" not in html
    assert MARKUP in "".join(Page(html).text)
    assert "&lt;script&gt;" in html


@pytest.mark.slow
def test_a_simulated_company_is_labelled_so(html: str, report: Make) -> None:
    assert "SIMULATED" in "".join(Page(html).text)
    assert "**SIMULATED**" in markdown(report())


def test_foreign_names_are_no_markup_in_markdown(report: Make) -> None:
    text = markdown(report())
    assert "<script" not in text.replace("\\<", "")
    assert "](https" not in text.replace("\\]", "")
    assert "\\<script\\>alert" in text
    assert f"| '{FORMULA.replace('|', chr(92) + '|')} |" in text
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")]
    groups = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(widths) > 50
    for group in groups:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in group.splitlines()}) == 1, group


def test_csv_has_exact_values_period_and_currency_and_no_formula(report: Make) -> None:
    made = report()
    files = dict(tables.files(made))
    customers = list(csv.DictReader(io.StringIO(files["customers.csv"])))
    source = next(table for table in made.tables() if table.name == "customers")
    assert {row["period"] for row in customers} == {"2026-10"}
    assert {row["BillingCurrency"] for row in customers} == {"USD"}
    assert [row["cost"] for row in customers] == [format(row["cost"], "f") for row in source.rows]
    assert [row["customer_id"] for row in customers].count("'" + FORMULA) == 1
    assert customers[0]["margin"] == ""  # not known is empty
    for name, text in files.items():
        for row in csv.reader(io.StringIO(text)):
            for cell in row:
                assert not cell.startswith(("=", "@")), (name, cell)
    assert len(files) == len(list(made.tables()))  # every name is there once


@pytest.mark.slow
def test_the_same_warehouse_gives_the_same_bytes(report: Make) -> None:
    first, second = report(), report()
    assert page(first) == page(second)
    assert markdown(first) == markdown(second)
    assert dict(tables.files(first)) == dict(tables.files(second))


def test_every_table_of_the_page_is_in_the_csv_with_as_many_rows(report: Make) -> None:
    made = report()
    shown = {table.name: len(table.rows) for section in made.sections for table in section.shown()}
    files = dict(tables.files(made))
    assert {name: len(list(csv.reader(io.StringIO(files[f"{name}.csv"])))) - 1 for name in shown} == shown
