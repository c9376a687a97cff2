"""What each report has in it: the sections of a month and of a week, as plain data."""

from __future__ import annotations

from datetime import date

import duckdb

from farthing.config import Config
from farthing.reports.asked import Asked, Period, currencies, month, week
from farthing.reports.document import Report, Section
from farthing.reports.files import Kind
from farthing.reports.sections import gpus, headline, outlook, parties, spend, tasks, trust, units
from farthing.reports.sections.sums import sums


def made(kind: Kind, con: duckdb.DuckDBPyConnection, config: Config, day: date | None = None) -> Report:
    """The report of `kind` on the period that `day` is in; by default the last that is over, else the newest.

    Raises:
        NoSuchPeriodError: the ledger has no cost in that period, or none at all.
    """
    return (monthly if kind is Kind.MONTHLY else weekly)(con, config, day)


def monthly(con: duckdb.DuckDBPyConnection, config: Config, first: date | None = None) -> Report:
    """The report on the month that begins on `first`; by default the last that is over, else the newest.

    Raises:
        NoSuchPeriodError: the ledger has no cost in that month, or none at all.
    """
    leading, *others = _asked(con, config, month(con, first))
    found = sums(leading)
    sections = [
        headline.headline(leading, found),
        outlook.landing(leading),
        outlook.budgets(leading),
        outlook.anomalies(leading),
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
    return _report("monthly", config, leading, sections)


def weekly(con: duckdb.DuckDBPyConnection, config: Config, day: date | None = None) -> Report:
    """The report on the week that `day` is in, Monday to Sunday; by default the last that is over, else the newest.

    Invoices are of months, and so is what of training is written off: the monthly report has them.

    Raises:
        NoSuchPeriodError: the ledger has no cost in that week, or none at all.
    """
    leading, *others = _asked(con, config, week(con, day))
    found = sums(leading)
    sections = [
        headline.headline(leading, found),
        outlook.landing(leading),
        outlook.budgets(leading),
        outlook.anomalies(leading),
        spend.movers(leading),
        spend.classes(leading, found),
        units.units(leading, found),
        spend.pools(leading),
        parties.teams(leading),
        parties.models(leading),
        parties.customers(leading),
        gpus.gpus(leading),
        tasks.tasks(leading),
        trust.other_currencies([(asked, sums(asked)) for asked in others]),
        trust.firmness(leading, found),
        trust.quality(leading),
    ]
    return _report("weekly", config, leading, sections)


def _asked(con: duckdb.DuckDBPyConnection, config: Config, period: Period) -> list[Asked]:
    """What a report on `period` asks, in each currency, the one that leads first."""
    return [Asked(con, currency, period) for currency in currencies(con, config)]


def _report(name: str, config: Config, asked: Asked, sections: list[Section | None]) -> Report:
    period = asked.period
    notes = [] if period.whole else [f"The {period.noun} is not whole here: these figures are of {period.days}."]
    return Report(
        name=name,
        project=config.project.name,
        title=f"Cost report, {period.title}",
        period=period.name,
        currency=asked.currency,
        first=period.first,
        last=period.last,
        notes=notes,
        sections=[section for section in sections if section is not None],
        simulated="(simulated)" in config.project.name.lower(),
    )
