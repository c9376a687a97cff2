"""What `farthing run` does besides: reports on a schedule, and who watches that it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from farthing.config.section import Name, Section


class ScheduledReport(Section):
    """`[[reports]]`: a report that each recipient gets once for each time that it is due."""

    name: Name
    kind: Literal["monthly", "weekly"]
    format: Literal["html", "xlsx", "pdf", "md", "csv"] = "html"
    #: Five fields as in cron: minute, hour, day of the month, month, day of the week.
    schedule: str
    timezone: str = "UTC"
    #: `file` (reports/ in the project), `file:FOLDER`, or `channel:NAME` of `[alerts.channels]`.
    recipients: Annotated[list[str], Field(min_length=1)]

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        try:
            CronSim(value, datetime(2026, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise ValueError(
                f"'{value}' is no schedule ({error}); five fields as in cron, for example '0 7 2 * *'"
            ) from None
        return value

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"'{value}' is no time zone, for example 'Europe/Berlin'") from None
        return value

    @field_validator("recipients")
    @classmethod
    def _are_places(cls, value: list[str]) -> list[str]:
        for recipient in value:
            way, _, place = recipient.partition(":")
            if recipient != "file" and not (way in {"file", "channel"} and place):
                raise ValueError(f"'{recipient}' is no recipient: 'file', 'file:FOLDER' or 'channel:NAME'")
        if twice := sorted({recipient for recipient in value if value.count(recipient) > 1}):
            raise ValueError(f"recipient named twice: {', '.join(twice)}")
        return value


class Run(Section):
    """`[run]`: what `farthing run` tells a watcher."""

    #: The environment variable with an https:// address that is asked after each run; `/fail` is added when one failed.
    heartbeat_url_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
