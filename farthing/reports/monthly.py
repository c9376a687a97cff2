"""The monthly report: what a finance person asks of one month, as plain data."""

from __future__ import annotations

from datetime import date

import duckdb

from farthing.config import Config
from farthing.reports.asked import Asked, currencies, month
from farthing.reports.document import Report
from farthing.reports.sections import gpus, headline, parties, spend, tasks, trust, units
from farthing.reports.sections.sums import sums


def monthly(con: duckdb.DuckDBPyConnection, config: Config, first: date | None = None) -> Report:
    """The report on the month that begins on `first`; by default the last that is over, else the newest.

    Raises:
        NoSuchMonthError: the ledger has no cost in that month, or none at all.
    """
    period = month(con, first)
    leading, *others = [Asked(con, currency, period) for currency in currencies(con, config)]
    found = sums(leading)
    sections = [
        headline.headline(leading, found),
        spend.classes(leading, found),
        parties.margin(leading, found),
        units.units(leading, found),
        spend.movers(leading),
        spend.pools(leading),
        parties.teams(leading),
        parties.models(leading),
        parties.customers(leading),
        gpus.gpus(leading),
        units.training(leading, found),
        tasks.tasks(leading),
        trust.other_currencies([(asked, sums(asked)) for asked in others]),
        trust.together(leading),
        trust.firmness(leading, found),
        trust.quality(leading),
        trust.bills(leading),
    ]
    notes = []
    if not period.whole:
        notes.append(f"The month is not whole here: these figures are of {period.days}.")
    return Report(
        name="monthly",
        project=config.project.name,
        title=f"Cost report, {period.title}",
        period=period.name,
        currency=leading.currency,
        first=period.first,
        last=period.last,
        notes=notes,
        sections=[section for section in sections if section is not None],
        simulated="(simulated)" in config.project.name.lower(),
    )
