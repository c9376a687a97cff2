"""When a report is due: once for each time of its schedule, in its own zone, on the period that was over then."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farthing.config.reports import ScheduledReport
from farthing.running.schedule import last_due, period_of


def _report(**more: object) -> ScheduledReport:
    settings = {"name": "r", "kind": "monthly", "schedule": "0 7 2 * *", "recipients": ["file"], **more}
    return ScheduledReport.model_validate(settings)


@pytest.mark.parametrize(
    ("now", "due_at"),
    [
        ("2026-11-02T06:59", "2026-10-02T07:00"),
        ("2026-11-02T07:00", "2026-11-02T07:00"),
        ("2026-11-30T00:00", "2026-11-02T07:00"),
    ],
)
def test_a_report_is_due_from_its_minute_on(now: str, due_at: str) -> None:
    found = last_due(_report(), datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(due_at).replace(tzinfo=UTC)


def test_a_zone_moves_the_hour_in_summer_and_in_winter() -> None:
    report = _report(timezone="Europe/Berlin")
    assert last_due(report, datetime(2026, 7, 20, tzinfo=UTC)) == datetime(2026, 7, 2, 5, tzinfo=UTC)
    assert last_due(report, datetime(2026, 12, 20, tzinfo=UTC)) == datetime(2026, 12, 2, 6, tzinfo=UTC)


def test_of_several_that_were_missed_only_the_newest_is_due() -> None:
    report = _report(kind="weekly", schedule="0 8 * * 1")
    assert last_due(report, datetime(2026, 11, 26, tzinfo=UTC)) == datetime(2026, 11, 23, 8, tzinfo=UTC)


@given(st.integers(0, 525_600), st.integers(0, 59))
def test_as_time_goes_on_a_due_time_never_goes_back(minute: int, minutes: int) -> None:
    report = _report(schedule="*/20 6-9 * * *")
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    first, then = last_due(report, now), last_due(report, now + timedelta(minutes=minutes))
    assert first is not None
    assert then is not None
    assert first <= now
    assert first <= then <= now + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("kind", "due_at", "in_period"),
    [
        ("monthly", datetime(2026, 11, 2, 7, tzinfo=UTC), date(2026, 10, 31)),
        ("monthly", datetime(2026, 1, 1, 0, tzinfo=UTC), date(2025, 12, 31)),
        ("weekly", datetime(2026, 11, 2, 7, tzinfo=UTC), date(2026, 11, 1)),
        ("weekly", datetime(2026, 11, 5, 7, tzinfo=UTC), date(2026, 11, 1)),
    ],
)
def test_a_report_is_on_the_last_period_that_was_over(kind: str, due_at: datetime, in_period: date) -> None:
    assert period_of(_report(kind=kind), due_at) == in_period


def test_the_day_is_that_of_the_reports_zone() -> None:
    report = _report(timezone="Asia/Tokyo", schedule="0 7 1 * *")
    assert period_of(report, datetime(2026, 10, 31, 22, tzinfo=UTC)) == date(2026, 10, 31), "1 November in Tokyo"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"schedule": "monthly"}, "is no schedule"),
        ({"schedule": "61 * * * *"}, "is no schedule"),
        ({"timezone": "Mars/Base"}, "is no time zone"),
        ({"recipients": []}, "at least 1"),
        ({"recipients": ["finance@acme.example"]}, "is no recipient"),
        ({"recipients": ["file", "file"]}, "named twice"),
        ({"kind": "daily"}, "monthly"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        _report(**wrong)
