"""A study as a chart, and as one HTML file that needs nothing else."""

from __future__ import annotations

import json
import re
from calendar import monthrange
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from farthing import clock, console, figures
from farthing.console import Sheet
from farthing.reports.document import Column, Report, Section, Table
from farthing.tiers import document as found
from farthing.tiers.study import Study

if TYPE_CHECKING:
    from farthing.charts import Chart

_WIDTH = 780


def chart(study: Study) -> Chart:
    """Margin against users hit, of every offer that has revenue."""
    from farthing import charts

    points = [
        (card.id, card.kind, card.measured.against().users_hit, whole.q05, whole.q50, whole.q95)
        for card in study.cards
        for whole in [card.promise.whole]
        if whole.q05 is not None and whole.q50 is not None and whole.q95 is not None
    ]
    return charts.margin_against_hit(points, study.spec.target.margin)


def svg(study: Study) -> str:
    """The chart as an SVG file."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(json.dumps(chart(study).properties(width=_WIDTH).to_dict()))
    return drawn


def html(study: Study, units: found.Units, *, project: str, simulated: bool) -> str:
    """Everything that people are shown, with the chart."""
    from farthing.reports.page import page

    first, last = _days(study.fitted[0])[0], _days(study.fitted[-1])[1]
    sheets = found.sheets(study, units)
    sections = [
        Section(
            "offers",
            "Tiers",
            "Margin against the share of users hit",
            [sheets[0].note],
            tables=[_table(sheets[0])],
            chart=lambda: chart(study),
            chart_says="Gross margin of a month to come with its 90 % interval; the dashed line is the target.",
        ),
        Section("detail", "One offer", f"{study.detail.id}, tier by tier", tables=[_table(one) for one in sheets[1:]]),
    ]
    return page(
        Report(
            "tiers",
            project,
            "Tier prices",
            f"{study.fitted[0]} to {study.fitted[-1]}",
            study.read.currency,
            first,
            last,
            list(study.notes),
            sections,
            simulated,
        )
    )


def _table(sheet: Sheet) -> Table:
    """A sheet of the console as a table of the page."""
    names = [sheet.headings.get(name, name) for name in sheet.columns]
    columns = [
        Column(
            f"c{number}", name.removesuffix("_share").replace("_", " "), _share if name.endswith("_share") else _plain
        )
        for number, name in enumerate(names)
    ]
    rows = [{f"c{number}": value for number, value in enumerate(row)} for row in sheet.rows]
    return Table(sheet.name, columns, rows, title=sheet.title, note="" if sheet.name == "offers" else sheet.note)


def _share(value: float | None) -> str:
    return figures.MISSING if value is None else console.percent(value)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return figures.money(value)
    return figures.MISSING if value is None else "yes" if value is True else "no" if value is False else str(value)


def _days(month: str) -> tuple[date, date]:
    """First and last day of a month; of one that only has a number, today."""
    named = re.fullmatch(r"(\d{4})-(\d{2})", month)
    if not named:
        today = clock.now().date()
        return today, today
    year, number = int(named[1]), int(named[2])
    return date(year, number, 1), date(year, number, monthrange(year, number)[1])
