"""Eleven weeks of a company of two teams: what they own, what they share, and a model that they ask."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from farthing import clock
from farthing.lake import Lake
from tests.farthing.build.world import DAY, World, at

DAYS = 77
#: The last day that is over, and the moment at which everything is built.
LAST = DAY + timedelta(days=DAYS - 1)
NOW = datetime(LAST.year, LAST.month, LAST.day, 6, tzinfo=UTC) + timedelta(days=1)
POOLS = (
    {"name": "own", "kind": "owned", "owner": "Tags.team", "match": {"ServiceName": "Machines"}},
    {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}},
    {"name": "rest", "kind": "shared", "driver": "cost", "match": {"ServiceName": "*"}},
)
#: What a weekday adds to the machines of a team, Monday first.
WEEK = (4, 5, 6, 5, 4, 0, 0)
TEAMS = {"search": 40, "support": 60}


def world(**tables: Any) -> World:
    return World(*POOLS, attribution={"cell_seconds": 60, "price_table": "none"}, **tables)


def day_of(made: World, day: date, *, teams: Collection[str] = tuple(TEAMS), others: bool = True) -> None:
    """What happens on `day`: the bill of the machines of `teams`, and all others with the requests."""
    begin = at(day=(day - DAY).days + 1)
    end, month = begin + timedelta(days=1), day.replace(day=1)
    more: dict[str, Any] = {"month": month, "resource": None}
    noise = (day.toordinal() * 7919) % 11 - 5
    for team in teams:
        cost = TEAMS[team] + WEEK[day.weekday()] + noise
        made.charge(cost, begin, end, ServiceName="Machines", Tags=f'{{"team": "{team}"}}', **more)
    if not others:
        return
    made.charge(20, begin, end, ServiceName="Storage", **more)
    requests = 2 + (day.weekday() < 5)
    made.charge(Decimal(requests), begin, end, ServiceName="API", **{**more, "ProviderName": "OpenAI"})
    for number in range(requests):
        made.request(
            begin + timedelta(hours=number), begin + timedelta(hours=number, minutes=1), user=f"user-{number}",
            model="gpt", provider="openai", replica=None, team_id="support" if number else "search",
            input_tokens=1000, output_tokens=100,
        )  # fmt: skip


def built(folder: Path, made: World, *, now: datetime = NOW) -> Path:
    """The project of `made` in `folder`, landed, built and published at `now`."""
    folder.mkdir(parents=True, exist_ok=True)
    with clock.fixed(now):
        made.land(Lake(made.config(folder).lake_path))
    made.build(folder, now=now)
    return folder


class Quiet:
    """A report that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, what: str, total: int) -> None:
        self.told.append(f"{what}: {total}")

    def advance(self, done: int) -> None:
        pass

    def message(self, text: str) -> None:
        self.told.append(text)
