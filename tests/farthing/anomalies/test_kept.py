"""Episodes in the lake: they open, grow and close once; people's word and mutes are kept to; two looks are as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.anomalies import Finding, kept
from farthing.errors import ConfigError
from farthing.lake import Lake
from farthing.lake.issued import ANOMALY_FEEDBACK, EPISODES, MUTES

DAY = date(2026, 10, 20)
ONE = timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def look(lake: Lake) -> Callable[..., kept.Detected]:
    """A look at the end of a day that finds what is given."""

    def made(*findings: Finding, day: date = DAY) -> kept.Detected:
        with clock.fixed(datetime(day.year, day.month, day.day, tzinfo=UTC) + ONE):
            return kept.keep(lake, findings, day)

    return made


def finding(**more: Any) -> Finding:
    values: dict[str, Any] = {
        "rule": "spend", "dimension": "team", "key": "data", "currency": "USD", "first": DAY, "last": DAY, "found": DAY,
        "open": True, "expected": 100.0, "actual": 150.0, "title": "team data: 50 more", "score": 5.0,
    }  # fmt: skip
    return Finding(**{**values, **more})


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["episode_id"] for row in rows]


def test_an_episode_opens_grows_and_closes_once(lake: Lake, look: Callable[..., kept.Detected]) -> None:
    one = finding()
    assert ids(look(one).opened) == [one.id]
    again = look(one)
    assert not again.changed
    assert ids(again.open) == [one.id]
    more = finding(last=DAY + ONE, actual=300.0, expected=200.0)
    grown = look(more, day=DAY + ONE)
    assert (grown.opened, ids(grown.grown)) == ([], [one.id])
    assert (grown.grown[0]["impact"], grown.before[one.id]) == (100.0, 50.0)
    over = look(finding(last=DAY + ONE, actual=300.0, expected=200.0, open=False), day=DAY + 2 * ONE)
    assert ids(over.closed) == [one.id]
    [row] = kept.read(lake, EPISODES)
    assert (row["state"], row["impact"], row["opened_at"]) == ("closed", 100.0, datetime(2026, 10, 21, tzinfo=UTC))


def test_what_is_not_found_any_more_is_closed(lake: Lake, look: Callable[..., kept.Detected]) -> None:
    look(finding())
    assert len(look(day=DAY + ONE).closed) == 1
    assert [row["state"] for row in kept.read(lake, EPISODES)] == ["closed"]


def test_an_episode_that_began_before_what_is_looked_at_keeps_its_name(look: Callable[..., kept.Detected]) -> None:
    [opened] = look(finding(last=DAY + 9 * ONE)).opened
    later = look(finding(first=DAY + 5 * ONE, found=DAY + 5 * ONE, last=DAY + 12 * ONE), day=DAY + 12 * ONE)
    assert later.opened == []
    assert [(row["episode_id"], row["first_day"]) for row in later.grown] == [(opened["episode_id"], DAY)]


def test_what_was_explained_once_stays_so_when_that_is_over(lake: Lake, look: Callable[..., kept.Detected]) -> None:
    cause = finding(rule="price", dimension="sku", key="gb", score=None)
    look(cause, finding().below(cause))
    look(finding(last=DAY + ONE), day=DAY + ONE)
    child = next(row for row in kept.read(lake, EPISODES) if row["rule"] == "spend")
    assert (child["level"], child["parent_id"]) == ("detail", cause.id)


@pytest.mark.parametrize("verdict", ["false", "planned"])
def test_false_and_planned_end_an_episode_for_good(
    lake: Lake, look: Callable[..., kept.Detected], verdict: kept.Verdict
) -> None:
    one = finding()
    look(one)
    assert kept.feedback(lake, one.id, verdict, "a launch", "ann")["state"] == verdict
    later = look(finding(last=DAY + ONE, actual=400.0), day=DAY + ONE)
    assert (later.opened, later.open) == ([], [])
    [row], [said] = kept.read(lake, EPISODES), kept.read(lake, ANOMALY_FEEDBACK)
    assert (row["state"], said["note"], said["author"]) == (verdict, "a launch", "ann")


def test_the_last_word_counts_and_true_leaves_it_open(lake: Lake, look: Callable[..., kept.Detected]) -> None:
    one = finding()
    look(one)
    kept.feedback(lake, one.id, "false", None, None)
    assert kept.feedback(lake, one.id, "true", None, None)["state"] == "open"
    assert ids(look(one).open) == [one.id]
    assert len(kept.read(lake, ANOMALY_FEEDBACK)) == 2


def test_feedback_on_nothing_is_an_error(lake: Lake) -> None:
    with pytest.raises(ConfigError, match="no such episode"):
        kept.feedback(lake, "nothing", "true", None, None)


@pytest.mark.parametrize(
    ("mute", "state"),
    [
        ({"dimension": "team", "key": "data"}, "muted"),
        ({"rule": "spend"}, "muted"),
        ({"dimension": "team", "key": "chat"}, "open"),
        ({"dimension": "team", "key": "data", "rule": "idle"}, "open"),
    ],
    ids=["its scope", "its rule", "another scope", "its scope for another rule"],
)
def test_a_mute_hides_what_matches_all_that_it_names(
    lake: Lake, look: Callable[..., kept.Detected], mute: dict[str, str], state: str
) -> None:
    asked = {"dimension": None, "key": None, "rule": None, "until": None, "reason": "known", "author": None, **mute}
    look(finding())
    kept.mute(lake, **asked)  # type: ignore[arg-type]
    assert [row["state"] for row in kept.read(lake, EPISODES)] == [state]
    assert len(look(finding()).open) == (state == "open")


def test_a_mute_ends_on_its_last_day_or_when_it_is_taken_back(lake: Lake, look: Callable[..., kept.Detected]) -> None:
    asked: dict[str, Any] = {"dimension": "team", "key": None, "rule": None, "reason": None, "author": None}
    made = kept.mute(lake, **asked, until=DAY)
    assert look(finding()).open == []
    assert len(look(finding(last=DAY + ONE), day=DAY + ONE).opened) == 1
    other = kept.mute(lake, **asked, until=None)
    assert look(finding(last=DAY + ONE), day=DAY + ONE).open == []
    kept.unmute(lake, other["mute_id"])
    assert len(look(finding(last=DAY + ONE), day=DAY + ONE).open) == 1
    assert {row["mute_id"] for row in kept.read(lake, MUTES)} == {made["mute_id"], other["mute_id"]}


def test_a_mute_of_everything_is_refused(lake: Lake) -> None:
    with pytest.raises(ConfigError, match="mutes everything"):
        kept.mute(lake, dimension=None, key=None, rule=None, until=None, reason=None, author=None)


def test_amounts_of_two_currencies_are_two_episodes() -> None:
    assert finding().id != dataclasses.replace(finding(), currency="EUR").id
