"""Each alert is told once to each of its channels, whatever fails, is killed or is run again."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from farthing import clock, commit_points
from farthing.alerts import Delivered, deliver, payloads, retry, routes, state
from farthing.alerts.alert import Alert
from farthing.config import Config
from farthing.lake import Lake
from tests.conftest import ROOT
from tests.farthing.alerts.takers import SOON, Https, Says, alert, project

TWO = {
    "channels": {
        "ops": {"kind": "slack", "url_env": "TEST_OPS_URL"},
        "cfo": {"kind": "slack", "url_env": "TEST_CFO_URL"},
    },
}
ONCE = replace(SOON, attempts=1)


@pytest.fixture
def company(tmp_path: Path, https: Https, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A project with two channels on one server, told apart by their paths."""
    for name in ("ops", "cfo"):
        monkeypatch.setenv(f"TEST_{name.upper()}_URL", f"{https.endpoint}/{name}")
    channels = {name: {**values, "ca_file": str(https.ca_file)} for name, values in TWO["channels"].items()}
    return project(tmp_path, {"channels": channels, "default": ["ops"], "give_up_after": 3})


def run(config: Config, *alerts: Alert, told: list[str] | None = None) -> Delivered:
    """One run, as a process of its own would do it: nothing is known but what the lake has."""
    said: list[str] = [] if told is None else told
    return deliver(config, Lake(config.lake_path), alerts, said.append, patience=ONCE)


def rows(config: Config) -> dict[tuple[str, str | None], state.State]:
    return {(entry.alert_id, entry.channel): entry.state for entry in state.read(Lake(config.lake_path))}


def with_routes(config: Config, **settings: Any) -> Config:
    values = config.alerts.model_dump(by_alias=True, exclude_unset=True)
    return project(config.root, {**values, **settings})


def test_an_alert_that_was_sent_is_not_sent_by_a_later_run(company: Config, https: Https) -> None:
    first = run(company, alert(1))
    second = run(company, alert(1), alert(2))
    assert (first.count("sent"), first.known) == (1, 0)
    assert (second.count("sent"), second.known) == (1, 1)
    assert ["(1)" in taken.body.decode() for taken in https.taken] == [True, False]


def test_opening_doubling_and_closing_are_each_told_once_and_so_is_a_second_doubling(
    company: Config, https: Https
) -> None:
    life = [alert(event="open"), alert(event="doubled"), alert(event="doubled", step=2), alert(event="closed")]
    for until in range(1, 5):
        run(company, *life[:until])
    assert len(https.taken) == 4
    assert len(rows(company)) == 2
    assert run(company, *life).entries == ()


def test_an_alert_that_is_given_twice_in_one_run_is_sent_once(company: Config, https: Https) -> None:
    assert len(run(company, alert(), alert()).entries) == 1
    assert https.taken[0].json["text"] == "acme: warning: Team support spends twice as usual (1)"


def test_several_alerts_of_a_run_are_one_message(company: Config, https: Https) -> None:
    done = run(company, *(alert(number) for number in range(30)))
    [taken] = https.taken
    assert taken.json["text"] == "acme: 30 alerts"
    assert "and 10 more" in taken.body.decode()
    assert done.count("sent") == 30


def test_what_failed_is_sent_by_the_next_run_together_with_what_is_new(company: Config, https: Https) -> None:
    https.says = [Says(500), Says()]
    assert run(company, alert(1)).count("failed") == 1
    assert run(company, alert(2)).count("sent") == 2
    assert https.taken[-1].json["text"] == "acme: 2 alerts"
    assert set(rows(company).values()) == {"sent"}


def test_what_failed_is_sent_although_nobody_gives_it_again(company: Config, https: Https) -> None:
    https.says = [Says(503), Says()]
    run(company, alert(1))
    assert run(company).count("sent") == 1


def test_what_failed_on_one_channel_is_tried_again_only_there(company: Config, https: Https) -> None:
    both = with_routes(company, default=["ops", "cfo"])
    https.says = [Says()]
    missing = with_routes(both, channels={**_channels(both), "cfo": {"kind": "slack", "url_env": "TEST_NOT_SET"}})
    run(missing, alert())
    assert rows(both) == {("episode-1", "ops"): "sent", ("episode-1", "cfo"): "failed"}
    run(both, alert())
    assert [taken.path for taken in https.taken] == ["/ops", "/cfo"]
    assert set(rows(both).values()) == {"sent"}


@pytest.mark.slow
def test_a_channel_that_hangs_keeps_no_other_from_being_told(company: Config, https: Https) -> None:
    https.says = [Says(hang=True), Says()]
    done = run(with_routes(company, default=["ops", "cfo"]), alert())
    assert sorted(entry.state for entry in done.entries) == ["failed", "sent"]


def test_a_channel_that_breaks_the_run_keeps_no_other_from_being_written_down(company: Config, https: Https) -> None:
    channels = {"screen": {"kind": "stdout"}, **_channels(company)}
    config = with_routes(company, channels=channels, default=["screen", "ops"])

    def closed(_: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        deliver(config, Lake(config.lake_path), [alert()], lambda _: None, write=closed, patience=ONCE)
    assert rows(config) == {("episode-1", "ops"): "sent", ("episode-1", "screen"): "failed"}


def _channels(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = config.alerts.model_dump(by_alias=True, exclude_unset=True)["channels"]
    return found


def test_what_is_refused_is_a_dead_letter_at_once_and_stays_one(company: Config, https: Https) -> None:
    https.says = [Says(400, b"invalid_blocks")]
    told: list[str] = []
    assert run(company, alert(), told=told).count("dead") == 1
    assert told == ["alerts to ops: 1 dead, HTTP 400: invalid_blocks"]
    assert run(company, alert()).entries == ()
    [entry] = state.read(Lake(company.lake_path))
    assert (entry.state, entry.error, entry.sent_at) == ("dead", "HTTP 400: invalid_blocks", None)


def test_after_as_many_runs_as_configured_a_failed_alert_is_a_dead_letter(company: Config, https: Https) -> None:
    https.says = [Says(500)]
    states = [run(company, alert()).entries[0].state for _ in range(3)]
    assert states == ["failed", "failed", "dead"]
    assert run(company, alert()).entries == ()


def test_a_retry_sends_dead_letters_again_and_what_was_sent_not(company: Config, https: Https) -> None:
    https.says = [Says(), Says(404, b"no_service"), Says()]
    run(company, alert(1))
    run(company, alert(2))
    done = retry(company, Lake(company.lake_path), lambda _: None, patience=ONCE)
    assert [(entry.alert_id, entry.state, entry.attempts) for entry in done.entries] == [("episode-2", "sent", 1)]
    assert len(https.taken) == 3


#: The moments between which a run may end: it was written that the alert is to be sent, or it was sent.
POINTS = {"before it is sent": "lake.alerts.after:1", "after it is sent": "lake.alerts.before:2"}


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_ends_in_between_loses_nothing_and_is_repeated_at_most_once(
    company: Config, https: Https, point: str
) -> None:
    class EndedError(Exception):
        pass

    name, _, number = POINTS[point].partition(":")
    reached = []

    def end() -> None:
        reached.append(name)
        if len(reached) == int(number):
            raise EndedError

    commit_points.on(name, end)
    try:
        with pytest.raises(EndedError):
            run(company, alert())
    finally:
        commit_points.on(name, None)
    assert len(https.taken) == (point == "after it is sent")
    assert run(company).count("sent") == 1
    assert run(company, alert()).entries == ()
    assert len(https.taken) == 1 + (point == "after it is sent")


#: A run in a process of its own, which dies where it is told.
DYING = """
import os, signal, sys
from pathlib import Path
from farthing import commit_points
from farthing.alerts import deliver
from farthing.lake import Lake
from tests.conftest import ROOT
from tests.farthing.alerts.takers import alert, project

def main(folder, ca_file, point):
    name, _, number = point.partition(":")
    reached = []
    def see():
        reached.append(name)
        if len(reached) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
    commit_points.on(name, see)
    channels = {"ops": {"kind": "slack", "url_env": "TEST_OPS_URL", "ca_file": ca_file}}
    config = project(Path(folder), {"channels": channels})
    deliver(config, Lake(config.lake_path), [alert()], print)

main(*sys.argv[1:])
"""


@pytest.mark.heavy
@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_is_killed_loses_nothing_and_is_repeated_at_most_once(
    company: Config, https: Https, point: str
) -> None:
    command = [sys.executable, "-c", DYING, str(company.root), str(https.ca_file), POINTS[point]]
    assert subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode == -signal.SIGKILL
    assert len(https.taken) == (point == "after it is sent")
    assert run(company).count("sent") == 1
    assert run(company, alert()).entries == ()
    assert len(https.taken) == 1 + (point == "after it is sent")


def test_the_channels_of_an_alert_are_those_of_the_moment_it_came_up(company: Config, https: Https) -> None:
    run(company, alert())
    assert run(with_routes(company, default=["ops", "cfo"]), alert()).entries == ()
    assert len(https.taken) == 1


def test_an_alert_whose_channel_is_gone_is_a_dead_letter(company: Config, https: Https) -> None:
    https.says = [Says(500)]
    run(company, alert())
    values = {**_channels(company)}
    del values["ops"]
    [entry] = run(with_routes(company, channels=values, default=["cfo"])).entries
    assert (entry.state, entry.error) == ("dead", "there is no channel ops in farthing.toml any more")


def test_a_row_that_this_version_cannot_read_keeps_no_other_from_being_sent(company: Config, https: Https) -> None:
    https.says = [Says(500), Says()]
    run(company, alert(1), alert(2))
    lake = Lake(company.lake_path)
    first, _ = state.read(lake)
    state.write(lake, [replace(first, payload='{"kind": "of the future"}')])
    done = run(company)
    assert sorted((entry.alert_id, entry.state) for entry in done.entries) == [
        ("episode-1", "dead"),
        ("episode-2", "sent"),
    ]


@pytest.mark.parametrize("how", ["by the alert", "by a route", "by no channel"])
def test_what_is_muted_is_kept_and_told_to_nobody(company: Config, https: Https, how: str) -> None:
    config = {
        "by the alert": company,
        "by a route": with_routes(company, routes=[{"match": {"team": "support"}, "channels": []}]),
        "by no channel": project(company.root, {}),
    }[how]
    done = run(config, alert(muted=how == "by the alert"))
    assert [(entry.channel, entry.state) for entry in done.entries] == [(None, "muted")]
    assert run(config, alert()).entries == ()
    assert not https.taken


def test_a_dry_run_shows_what_the_next_run_sends_and_sends_nothing(company: Config, https: Https) -> None:
    https.says = [Says(500), Says()]
    run(company, alert(1))
    found = payloads(company, Lake(company.lake_path), [alert(2)])
    assert "(1)" in found["ops"]
    assert "(2)" in found["ops"]
    assert len(https.taken) == 1
    assert rows(company) == {("episode-1", "ops"): "failed"}


def test_rows_say_when_what_came_up_and_was_sent(company: Config) -> None:
    moment = datetime(2026, 10, 4, 12, 30, tzinfo=UTC)
    with clock.fixed(moment):
        run(company, alert())
    [entry] = state.read(Lake(company.lake_path))
    assert (entry.created_at, entry.sent_at, entry.attempts) == (moment, moment, 1)
    assert (entry.dimension, entry.key, entry.title) == ("team", "support", "Team support spends twice as usual (1)")


def test_a_channel_of_kind_stdout_writes_what_people_read(tmp_path: Path) -> None:
    config = project(tmp_path, {"channels": {"screen": {"kind": "stdout"}}})
    written: list[str] = []
    deliver(config, Lake(config.lake_path), [alert()], lambda _: None, write=written.append)
    assert "How much: 1,640.80 USD more than expected" in "".join(written)


ROUTES = {
    "channels": {name: {"kind": "stdout"} for name in ("everybody", "support", "finance", "pager")},
    "routes": [
        {"match": {"severity": "critical"}, "channels": ["pager", "everybody", "pager"]},
        {"match": {"team": ["support*", "sales"]}, "channels": ["support"]},
        {"match": {"kind": ["budget", "landing"], "event": "threshold"}, "channels": ["finance"]},
        {"match": {"dimension": "total"}, "channels": ["everybody"]},
    ],
    "default": ["finance"],
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"severity": "critical"}, ["pager", "everybody"]),
        ({}, ["support"]),
        ({"dimension": "user", "key": "u1", "context": {"team": "support-eu"}}, ["support"]),
        ({"dimension": "team", "key": None}, ["finance"]),
        ({"dimension": "model", "key": "support", "kind": "budget", "event": "threshold"}, ["finance"]),
        ({"dimension": "total", "key": None}, ["everybody"]),
        ({"dimension": "model", "key": "support"}, ["finance"]),
    ],
    ids=["severity", "dimension", "context", "no team", "kind and event", "total", "default"],
)
def test_the_first_route_that_matches_takes_an_alert(
    tmp_path: Path, given: dict[str, Any], expected: list[str]
) -> None:
    assert routes.channels(project(tmp_path, ROUTES).alerts, alert(**given)) == expected


def test_without_routes_and_default_every_channel_is_told(tmp_path: Path) -> None:
    settings = project(tmp_path, {"channels": ROUTES["channels"]}).alerts
    assert routes.channels(settings, alert()) == ["everybody", "support", "finance", "pager"]
