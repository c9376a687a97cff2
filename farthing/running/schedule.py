"""When a scheduled report is due, and which days it is on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from farthing.config.reports import ScheduledReport


def last_due(report: ScheduledReport, now: datetime) -> datetime | None:
    """The newest time, in UTC, at which `report` was due at `now` (zone-aware); None where it never was.

    Of several that were missed, as after a holiday of the machine, it is only the newest: nobody wants ten old ones.
    """
    zone = ZoneInfo(report.timezone)
    # From the next minute backwards, so that this one is among them.
    begin = now.astimezone(zone).replace(second=0, microsecond=0) + timedelta(minutes=1)
    found = next(CronSim(report.schedule, begin, reverse=True), None)
    return found.astimezone(UTC) if found is not None else None


def period_of(report: ScheduledReport, due_at: datetime) -> date:
    """A day of the period that a report that is due at `due_at` is on: the last month or week that was over then."""
    day = due_at.astimezone(ZoneInfo(report.timezone)).date()
    begin = day.replace(day=1) if report.kind == "monthly" else day - timedelta(days=day.weekday())
    return begin - timedelta(days=1)
