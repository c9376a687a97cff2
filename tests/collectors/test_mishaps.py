"""Whatever happens to a bill on its way, and of whatever kind it is, the lake holds what was said last, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import stamina

from farthing import commit_points
from farthing.errors import SourceError
from farthing.lake.schemas import LOADS, REJECTS
from tests.collectors.told import DOWNLOADED, EVERY, SERVED, Told, told
from tests.servers import Answered, Asked, Web, moto_endpoint, postgres, s3, web

__all__ = ["moto_endpoint", "postgres", "s3", "told", "web"]


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def landed(world: Any, told: Told) -> list[int]:
    """How many rows each delivery landed that had any, oldest first."""
    history = [row for row in world.rows(LOADS, "loaded_at") if row["table"] == told.table.name]
    return [row["landed"] for row in history if row["status"] == "landed" and row["landed"]]


@pytest.mark.parametrize("told", EVERY, indirect=True)
def test_a_second_collection_without_a_change_writes_nothing(world: Any, told: Told) -> None:
    told.say({1: [5], 2: [6, 6]}, ())
    told.collect(world)
    tables = [told.table, REJECTS, LOADS]
    versions = world.lake.pins(tables)
    assert {result.status for result in told.collect(world)} == {"unchanged"}
    assert world.lake.pins(tables) == versions
    assert told.held(world) == [5, 6, 6]


@pytest.mark.slow
@pytest.mark.parametrize("told", EVERY, indirect=True)
def test_what_is_restated_takes_the_place_of_what_was_and_what_is_late_joins_it(world: Any, told: Told) -> None:
    told.say({1: [5, 8]}, ())
    told.collect(world)
    told.say({1: [7]}, ())
    told.collect(world)
    assert told.held(world) == [7]
    assert landed(world, told) == [2, 1]  # what it was before can be seen
    told.say({1: [7], 3: [6]}, ())
    told.collect(world)
    assert told.held(world) == [6, 7]
    assert {result.status for result in told.collect(world)} == {"unchanged"}


@pytest.mark.slow
@pytest.mark.parametrize("told", EVERY, indirect=True)
def test_a_column_that_comes_in_the_middle_of_a_month_is_kept_and_empty_before(world: Any, told: Told) -> None:
    told.say({1: [5], 2: [6]}, {2})
    told.collect(world)
    assert told.held(world) == [5, 6]
    assert told.new(world) == ([False, True] if told.keeps_new else [])
    told.say({1: [5], 2: [7]}, ())  # and is gone again
    told.collect(world)
    assert told.held(world) == [5, 7]
    assert told.new(world) == ([False, False] if told.keeps_new else [])


class StopHere(BaseException):
    """What a test stops a collection with."""


@pytest.mark.slow
@pytest.mark.parametrize("told", EVERY, indirect=True)
def test_a_collection_that_stops_around_its_commits_ends_like_one_that_did_not(world: Any, told: Told) -> None:
    told.say({1: [5, 8]}, ())
    told.collect(world)
    told.say({1: [7], 2: [6]}, ())

    def stop() -> None:
        raise StopHere

    for point in (f"lake.{told.table.name}.before", f"lake.{told.table.name}.after"):
        commit_points.on(point, stop)
        try:
            with pytest.raises(StopHere):
                told.collect(world)
        finally:
            commit_points.on(point, None)
    told.collect(world)
    assert told.held(world) == [6, 7]
    assert {result.status for result in told.collect(world)} == {"unchanged"}


@pytest.mark.parametrize("told", DOWNLOADED, indirect=True)
def test_a_file_that_is_gone_leaves_what_it_landed(world: Any, told: Told) -> None:
    told.say({1: [5], 2: [6]}, ())
    told.collect(world)
    (world.folder / f"day-1.{told.ending}").unlink()
    assert {result.status for result in told.collect(world)} <= {"unchanged", "landed"}
    assert told.held(world) == [5, 6]


@pytest.mark.slow
@pytest.mark.parametrize("told", DOWNLOADED, indirect=True)
def test_a_file_that_is_damaged_leaves_what_was_there_and_does_not_stop_the_others(world: Any, told: Told) -> None:
    told.say({1: [5], 2: [6]}, ())
    told.collect(world)
    told.say({2: [7]}, ())
    (world.folder / f"day-1.{told.ending}").write_bytes(b"")
    results = {result.file: result.status for result in told.collect(world)}
    assert results == {f"day-1.{told.ending}": "failed", f"day-2.{told.ending}": "landed"}
    assert told.held(world) == [5, 7]


# -- vendors of model APIs --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("told", SERVED, indirect=True)
@pytest.mark.parametrize(
    "trouble",
    [Answered(status=429, headers={"Retry-After": "0"}), Answered(status=500), Answered(b'{"data": [', cut=500)],
    ids=["throttled", "failed", "cut"],
)
def test_a_passing_trouble_of_a_vendor_does_not_show(world: Any, web: Web, told: Told, trouble: Answered) -> None:
    told.say({1: [5], 3: [6]}, ())  # on two pages
    honest, asked = web.answer, []

    def troubled(question: Asked) -> Answered:
        asked.append(question)
        return trouble if len(asked) == 2 else honest(question)

    web.answer = troubled
    told.collect(world)
    assert told.held(world) == [5, 6]
    assert asked[1] == asked[2]


@pytest.mark.parametrize("told", SERVED, indirect=True)
def test_a_slow_body_lands_and_one_without_end_is_given_up(
    world: Any,
    web: Web,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told.say({1: [5], 3: [6]}, ())
    honest = web.answer
    monkeypatch.setattr("farthing.web.SILENCE_SECONDS", 2.0)
    slow = iter([0.0002])

    web.answer = lambda asked: replace(honest(asked), pause=next(slow, 0.0))
    told.collect(world)
    assert told.held(world) == [5, 6]
    told.say({1: [7]}, ())
    monkeypatch.setattr("farthing.web.ANSWER_SECONDS", 0.01)
    web.answer = lambda asked: replace(honest(asked), pause=0.001)
    with pytest.raises(SourceError, match=r"no whole answer .not whole after"):
        told.collect(world)
    assert told.held(world) == [5, 6]


@pytest.mark.slow
@pytest.mark.parametrize("told", SERVED, indirect=True)
def test_half_a_month_of_a_vendor_never_lands(world: Any, web: Web, told: Told) -> None:
    told.say({1: [5], 3: [6]}, ())
    told.collect(world)
    told.say({1: [7], 3: [8]}, ())
    honest = web.answer
    for half in (
        lambda asked: Answered(status=500) if "page" in asked.query else honest(asked),
        lambda _: Answered(json.dumps({"data": [], "has_more": True, "next_page": None}).encode()),
        lambda _: Answered(b'{"data": [{"results": [{"amount"'),
    ):
        web.answer = half
        with pytest.raises(SourceError):
            told.collect(world)
        assert told.held(world) == [5, 6]
    web.answer = honest
    told.collect(world)
    assert told.held(world) == [7, 8]


@pytest.mark.slow
@pytest.mark.parametrize("told", SERVED, indirect=True)
@pytest.mark.parametrize("status", [401, 403])
def test_an_expired_key_of_a_vendor_is_named_with_what_to_do(world: Any, web: Web, told: Told, status: int) -> None:
    told.say({1: [5]}, ())
    told.collect(world)
    told.say({1: [7]}, ())
    honest = web.answer
    web.answer = lambda _: Answered(b'{"error": {"message": "the key has expired"}}', status=status)
    with pytest.raises(SourceError, match=rf"HTTP {status} .*the key has expired.*Fix: make an admin key") as one:
        told.collect(world)
    assert not any(key in str(one.value) for key in told.keys.values())
    web.answer = honest
    told.collect(world)
    assert told.held(world) == [7]


# -- Google -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "credentials are missing, wrong or expired"), (403, "does not allow it .*Access Denied")],
)
def test_credentials_that_bigquery_refuses_are_said_with_what_to_do(
    world: Any,
    web: Web,
    status: int,
    reason: str,
) -> None:
    said = {"error": {"code": status, "message": "Access Denied"}}
    json_text = {"Content-Type": "application/json"}
    web.answer = lambda _: Answered(json.dumps(said).encode(), status=status, headers=json_text)
    google = Told({"kind": "gcp", "export": "acme.billing.export", "endpoint": web.endpoint}, lambda *_: None)
    with pytest.raises(SourceError, match=rf"{reason}.*Fix: "):
        google.collect(world)
    assert world.lake.version(LOADS) is None
