"""Scheduled reports: each is made when it is due, and brought to each of its recipients once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from farthing import alerts, clock, issued, reports
from farthing.alerts import Alert, Attachment, Patience
from farthing.config import Config
from farthing.config.reports import ScheduledReport
from farthing.errors import FarthingError
from farthing.lake import Lake
from farthing.lake.issued import REPORT_DELIVERIES
from farthing.reports import files
from farthing.reports.document import Report
from farthing.reports.files import Format, Kind
from farthing.running import schedule


@dataclass(frozen=True)
class Due:
    """A report that is due, and those of its recipients who do not have it yet."""

    report: ScheduledReport
    due_at: datetime
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Delivery:
    """What came of one report for one recipient; without an error it arrived."""

    report: str
    period: str
    recipient: str
    error: str | None


def due(config: Config, lake: Lake) -> list[Due]:
    """What is due now, in the order of `[[reports]]`."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        query = f"select report, due_at, recipient from ({lake.select(REPORT_DELIVERIES)}) where state = 'sent'"
        had = {(report, due_at, recipient) for report, due_at, recipient in con.execute(query).fetchall()}
    found = []
    for report in config.reports:
        at = schedule.last_due(report, clock.now())
        if at is None:
            continue
        waiting = [one for one in report.recipients if (report.name, at.replace(tzinfo=None), one) not in had]
        if waiting:
            found.append(Due(report, at, tuple(waiting)))
    return found


def deliver(
    config: Config,
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    wanted: list[Due],
    tell: Callable[[str], None],
    write: Callable[[str], object],
) -> list[Delivery]:
    """Make each report of `wanted` from the warehouse that `con` reads, and bring it to its recipients.

    `tell` gets a line for each, `write` what channels of kind stdout print.

    What came of it is written down after each recipient: a run that is killed repeats at most the one that it was at.
    A report that cannot be made, or a recipient that cannot be reached, is an outcome: the others have theirs.
    """
    done = []
    for one in wanted:
        for delivery in _delivered(config, con, one, write):
            done.append(delivery)
            sent = delivery.error is None
            row = {
                "report": delivery.report,
                "due_at": one.due_at,
                "period": delivery.period,
                "recipient": delivery.recipient,
                "state": "sent" if sent else "failed",
                "error": delivery.error,
                "sent_at": clock.now() if sent else None,
            }
            issued.put(lake, REPORT_DELIVERIES, [row])
            tell(f"report {delivery.report}, {delivery.recipient}: {'delivered' if sent else delivery.error}")
    return done


def _delivered(
    config: Config, con: duckdb.DuckDBPyConnection, one: Due, write: Callable[[str], object]
) -> Iterator[Delivery]:
    format_ = Format(one.report.format)
    try:
        files.require(format_)
        made = reports.made(Kind(one.report.kind), con, config, schedule.period_of(one.report, one.due_at))
        contents = files.files(made, format_)
    except FarthingError as error:
        for recipient in one.recipients:
            yield Delivery(one.report.name, "", recipient, str(error))
        return
    for recipient in one.recipients:
        yield Delivery(
            one.report.name, made.period, recipient, _bring(config, made, format_, contents, recipient, write)
        )


def _bring(
    config: Config,
    report: Report,
    format_: Format,
    contents: dict[str, bytes],
    recipient: str,
    write: Callable[[str], object],
) -> str | None:
    """Bring a report to a recipient; the problem, where there is one."""
    way, _, place = recipient.partition(":")
    target = files.target(config, report, format_)
    if way == "file":
        folder = Path(config.location(place)) if place else target.parent
        try:
            files.write(folder / target.name, contents)
        except FarthingError as error:
            return str(error)
        return None
    attachments = tuple(
        Attachment(f"{target.stem}-{name}" if name else target.name, content) for name, content in contents.items()
    )
    said = alerts.message(config, [_announced(report)])
    outcome = alerts.send(config, place, replace(said, attachments=attachments), Patience(), write)
    return None if outcome.state == "sent" else outcome.said


def _announced(report: Report) -> Alert:
    """The report in the form in which channels are told of things: its title, and what each section found."""
    first, *others = report.sections
    return Alert(
        id=f"{report.name}-{report.period}",
        kind="report",
        event="open",
        severity="info",
        dimension="total",
        key=None,
        title=report.title,
        what=f"{first.heading}.",
        why=tuple(f"{section.title}: {section.heading}" for section in others),
        page="",
    )
