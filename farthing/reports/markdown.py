"""A report as Markdown: headings, sentences and tables, without charts; foreign names are never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from farthing import console, figures
from farthing.reports.document import Column, Figure, Report, Row, Section

_MARKUP = re.compile(r"([\\`*_\[\]<>#|$~^&]|:(?=//))")
_LIST = re.compile(r"^(\d{0,9})([-+.)])(?=\s)")


def markdown(report: Report) -> str:
    """The whole report as one text."""
    lines = [f"# {_text(report.title)}", ""]
    simulated = "**SIMULATED** · " if report.simulated else ""
    days = figures.period(report.first, report.last)
    lines += [f"{simulated}{_text(report.project)} · {days} · amounts in {report.currency}, days in UTC", ""]
    for note in report.notes:
        lines += [_text(note), ""]
    for section in report.sections:
        lines += [*_section(section)]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {_text(section.title)}", "", f"**{_text(section.heading)}.**", "")
    for said in section.said:
        yield from (_text(said), "")
    if section.figures:
        yield from (*_figures(section.figures), "")
    for table in section.shown():
        if table.title:
            yield from (f"### {_text(table.title)}", "")
        yield from (*_table(table.columns, table.rows), "")
        if table.note:
            yield from (_text(table.note), "")


def _figures(found: Sequence[Figure]) -> Iterator[str]:
    rows = [(_text(figure.label), figure.shown, _text(figure.meaning)) for figure in found]
    yield from _lines(["figure", "value", "is"], [False, True, False], rows)


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
    right = [is_number(column, rows) for column in columns]
    cells = (
        [
            column.shown(row[column.name]) if number else _text(console.no_formula(column.shown(row[column.name])))
            for column, number in zip(columns, right, strict=True)
        ]
        for row in rows
    )
    yield from _lines([_text(column.heading) for column in columns], right, cells)


def _lines(heads: Sequence[str], right: Sequence[bool], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---:' if number else '---' for number in right)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def is_number(column: Column, rows: Sequence[Row]) -> bool:
    """Whether a column stands on the right: it has numbers, or would have if they were known."""
    known = [row[column.name] for row in rows if row[column.name] is not None]
    return isinstance(known[0], int | float | Decimal) if known else column.form is not None


def _text(words: str) -> str:
    """`words` on one line, in which nothing is markup."""
    return _LIST.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", " ".join(words.split())))
