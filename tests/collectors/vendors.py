"""Vendors of model APIs as servers on this machine: reports in the documented form, paged by a cursor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.servers import Answered, Asked

Day = datetime


@dataclass
class OpenAI:
    """An organisation whose results a test puts into days; `trouble` answers first, one after the other."""

    results: dict[str, dict[Day, list[Any]]] = field(default_factory=dict)  # last part of the path -> day -> results
    days_of_a_page: int = 2
    key: str = "sk-admin"
    trouble: list[Answered] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answered:
        if self.trouble:
            return self.trouble.pop(0)
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return Answered(b'{"error": {"message": "Incorrect API key provided"}}', status=401)
        begin, end = (datetime.fromtimestamp(int(asked.query[name][0]), UTC) for name in ("start_time", "end_time"))
        days = self.results.get(asked.path.rpartition("/")[2], {})
        return _page(asked, begin, end, days, self.days_of_a_page, _unix_bucket, "page")


@dataclass
class Anthropic:
    """The same of the other vendor."""

    results: dict[str, dict[Day, list[Any]]] = field(default_factory=dict)
    days_of_a_page: int = 2
    key: str = "sk-ant-admin"
    trouble: list[Answered] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answered:
        if self.trouble:
            return self.trouble.pop(0)
        if asked.headers.get("x-api-key") != self.key or asked.headers.get("anthropic-version") != "2023-06-01":
            return Answered(b'{"type": "error", "error": {"type": "authentication_error"}}', status=401)
        begin, end = (datetime.fromisoformat(asked.query[name][0]) for name in ("starting_at", "ending_at"))
        days = self.results.get(asked.path.rpartition("/")[2], {})
        return _page(asked, begin, end, days, self.days_of_a_page, _iso_bucket, None)


def page(buckets: Sequence[Mapping[str, Any]], following: str | None = None) -> dict[str, Any]:
    return {"data": list(buckets), "has_more": following is not None, "next_page": following}


def _unix_bucket(day: Day, results: list[Any]) -> dict[str, Any]:
    begin = int(day.timestamp())
    return {"object": "bucket", "start_time": begin, "end_time": begin + 86_400, "results": results}


def _iso_bucket(day: Day, results: list[Any]) -> dict[str, Any]:
    written = "%Y-%m-%dT%H:%M:%SZ"
    ending = (day + timedelta(days=1)).strftime(written)
    return {"starting_at": day.strftime(written), "ending_at": ending, "results": results}


def _page(
    asked: Asked,
    begin: Day,
    end: Day,
    days: Mapping[Day, list[Any]],
    size: int,
    bucket: Callable[[Day, list[Any]], dict[str, Any]],
    kind: str | None,
) -> Answered:
    """Every day of the period is a bucket, most of them empty."""
    every = [begin + timedelta(days=number) for number in range((end - begin).days)]
    first = int(asked.query.get("page", ["p0"])[0][1:])
    of_page = [bucket(day, days.get(day, [])) for day in every[first : first + size]]
    following = f"p{first + size}" if first + size < len(every) else None
    made = {**({"object": kind} if kind else {}), **page(of_page, following)}
    return Answered(_written(made).encode())


class Digits(str):
    """A JSON number with exactly these digits."""


def _written(value: Any) -> str:
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value)


def written(pages: Any) -> str:
    """JSON text in which `Digits` are numbers."""
    return _written(pages)
