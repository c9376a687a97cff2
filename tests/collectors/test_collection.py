"""All sources of a project at once: the longest work begins first, and what is told has the order of farthing.toml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

import collectors
from collectors import LoadResult
from collectors.collection import collect_all
from farthing.config import from_mapping
from farthing.errors import SourceError
from farthing.lake.schemas import CHARGES, IDENTITIES, JOBS, REQUESTS, Table
from tests.collectors.conftest import Silence

TABLES = {"identities": IDENTITIES, "jobs": JOBS, "requests": REQUESTS, "aws": CHARGES}


class Noted:
    """A collector that notes when it is asked; the source `broken` fails."""

    asked: ClassVar[list[str]] = []

    def __init__(self, table: Table) -> None:
        self.table = table

    def collect(self, name: str, *_: object) -> list[LoadResult]:
        self.asked.append(name)
        if name == "broken":
            raise SourceError("it is broken.", source=name)
        return [LoadResult(name, self.table.name, "file", "landed")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(collectors, "load", lambda kind: Noted(TABLES[kind]))
    monkeypatch.setattr(Noted, "asked", [])
    return Noted.asked


def test_the_table_with_most_to_read_comes_first_and_what_is_fetched_before_all(world: Any, asked: list[str]) -> None:
    for name, size in (("people.csv", 1), ("a.csv", 500), ("b.csv", 700), ("jobs.csv", 900)):
        world.write(name, "x" * size)
    sources = {
        "people": {"kind": "identities", "path": "people.csv"},
        "jobs": {"kind": "jobs", "path": "jobs.csv"},
        "broken": {"kind": "requests", "path": "a.csv"},
        "more": {"kind": "requests", "path": "b.csv"},
        "bill": {"kind": "aws", "export": "s3://bucket/export"},
    }
    made = from_mapping({"sources": sources, "engine": {"threads": 1}}, file=world.folder / "farthing.toml")
    reported: list[str] = []

    @contextmanager
    def watched(name: str) -> Iterator[Silence]:
        yield Silence()
        reported.append(name)

    found = collect_all(made, world.lake, list(sources), watched, reported.append)
    assert asked == ["bill", "broken", "more", "jobs", "people"]
    assert [result.source for result in found.results] == ["people", "jobs", "more", "bill"]
    assert [name for name, _ in found.failures] == ["broken"]
    assert found.exit_code == SourceError.exit_code
    assert reported == ["bill", "more", "jobs", "people"]
