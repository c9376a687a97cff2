"""A report as plain data: sections with a finding, sentences, key figures, tables and a chart; renderers draw it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from farthing import figures

if TYPE_CHECKING:
    from farthing.charts import Chart

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its name for programs, its heading for people, and how a value reads; without `form` it is text."""

    name: str
    heading: str
    form: Callable[[Any], str] | None = None

    def shown(self, value: object) -> str:
        """`value` as people read it; what is missing is a dash."""
        if self.form is not None:
            return self.form(value)
        return figures.MISSING if value is None else str(value)


@dataclass(frozen=True)
class Table:
    """Rows with the columns' values, exact; `currency` is that of its amounts, None where a row names its own."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""
    note: str = ""
    currency: str | None = None
    drawn: bool = False  # the section's chart shows it: only programs get its rows


@dataclass(frozen=True)
class Figure:
    """A key figure: `value` is exact and in `unit`, `shown` is what people read, `meaning` says what it is."""

    name: str
    label: str
    value: object
    unit: str
    shown: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """A question of the report: `heading` is what was found, `said` are sentences on it."""

    name: str
    title: str
    heading: str
    said: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    #: Drawn only by renderers that can: it needs the extra `report`.
    chart: Callable[[], Chart] | None = None
    chart_says: str = ""

    def shown(self) -> Iterator[Table]:
        """The tables that people read."""
        return (table for table in self.tables if not table.drawn)


@dataclass(frozen=True)
class Report:
    """All of it, for the days from `first` to `last`, both included."""

    name: str
    project: str
    title: str
    period: str
    currency: str
    first: date
    last: date
    notes: Sequence[str]
    sections: Sequence[Section]
    simulated: bool

    def tables(self) -> Iterator[Table]:
        """Every table by its name; the key figures of a section are one too."""
        for section in self.sections:
            if section.figures:
                yield _figures_table(section)
            yield from section.tables


def _figures_table(section: Section) -> Table:
    columns = [Column("figure", "figure"), Column("value", "value"), Column("unit", "unit"), Column("meaning", "is")]
    rows = [
        {"figure": figure.name, "value": figure.value, "unit": figure.unit, "meaning": figure.meaning}
        for figure in section.figures
    ]
    return Table(section.name, columns, rows)
