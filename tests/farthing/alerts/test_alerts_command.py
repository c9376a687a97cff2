"""`farthing alerts`, `alerts test` and `alerts retry`, and that no secret is anywhere in what they leave behind."""

from __future__ import annotations

import csv
import io
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from farthing import config as configuration
from farthing.alerts import deliver
from farthing.lake import Lake
from tests.farthing.alerts.takers import KEY, SLACK_URL_SECRET, SOON, Https, Says, alert
from tests.farthing.commands import farthing

pytestmark = pytest.mark.slow  # a project is built and asked for each

TOML = """
[project]
name = "acme"

[alerts]
default = ["ops", "hook"]

[alerts.channels.ops]
kind = "slack"
url_env = "TEST_OPS_URL"
ca_file = "{ca_file}"

[alerts.channels.hook]
kind = "webhook"
url_env = "TEST_HOOK_URL"
secret_env = "TEST_KEY"
ca_file = "{ca_file}"

[alerts.channels.screen]
kind = "stdout"
"""
EMAIL = '[alerts.channels.x]\nkind = "email"\nhost = "h"\nfrom = "a@b.example"\n'
SECRETS = (SLACK_URL_SECRET, "token-of-the-hook", KEY)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture
def folder(tmp_path: Path, https: Https, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "company"
    project.mkdir()
    (project / "farthing.toml").write_text(TOML.format(ca_file=https.ca_file), encoding="utf-8")
    monkeypatch.setenv("TEST_OPS_URL", f"{https.endpoint}/services/T0/{SLACK_URL_SECRET}/token-of-the-hook")
    monkeypatch.setenv("TEST_HOOK_URL", f"{https.endpoint}/hook?key=token-of-the-hook")
    monkeypatch.setenv("TEST_KEY", KEY)
    return project


def told(folder: Path, *numbers: int) -> None:
    config = configuration.load(folder)
    deliver(config, Lake(config.lake_path), map(alert, numbers), lambda _: None, patience=SOON)


def test_a_test_goes_to_every_channel_says_what_came_back_and_is_not_kept(folder: Path, https: Https) -> None:
    said = farthing("alerts", "test", "--json", "--project", folder)
    assert said.code == 0
    assert {row["channel"]: (row["kind"], row["state"], row["said"]) for row in said.value} == {
        "ops": ("slack", "sent", "HTTP 200: ok"),
        "hook": ("webhook", "sent", "HTTP 200: ok"),
        "screen": ("stdout", "sent", "written"),
    }
    assert all("nothing happened" in taken.body.decode() for taken in https.taken)
    assert "nothing happened" in said.err  # what is for people stays out of what a program reads
    assert farthing("alerts", "--json", "--project", folder).value == []


def test_a_test_of_one_channel_goes_to_no_other(folder: Path, https: Https) -> None:
    assert farthing("alerts", "test", "--channel", "hook", "--project", folder).code == 0
    assert [taken.path for taken in https.taken] == ["/hook?key=token-of-the-hook"]
    unknown = farthing("alerts", "test", "--channel", "nobody", "--project", folder)
    assert (unknown.code, "one of ops, hook, screen" in unknown.err) == (2, True)


@pytest.mark.parametrize(("status", "code"), [(400, 1), (500, 3)], ids=["refused", "failing"])
def test_a_test_that_does_not_arrive_has_an_exit_code(folder: Path, https: Https, status: int, code: int) -> None:
    https.says = [Says(status)]
    said = farthing("alerts", "test", "--channel", "ops", "--project", folder)
    assert said.code == code
    assert f"HTTP {status}" in said.out
    assert len(https.taken) == 1


def test_a_dry_run_of_a_test_prints_each_payload_and_sends_nothing(folder: Path, https: Https) -> None:
    found = farthing("alerts", "test", "--dry-run", "--json", "--project", folder).value
    payloads = {row["channel"]: row["payload"] for row in found}
    assert json.loads(payloads["ops"])["blocks"][0]["type"] == "header"
    assert json.loads(payloads["hook"])["alerts"][0]["id"] == "test"
    assert "nothing happened" in payloads["screen"]
    assert "nothing happened" in farthing("alerts", "test", "--dry-run", "--project", folder).out
    assert not https.taken


def test_without_channels_a_test_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "farthing.toml").write_text("", encoding="utf-8")
    said = farthing("alerts", "test", "--project", tmp_path)
    assert (said.code, "docs/alerts.md" in said.err) == (2, True)


def test_the_list_has_the_newest_first_and_can_be_of_one_state(folder: Path, https: Https) -> None:
    https.says = [Says(), Says(), Says(400, b"invalid_blocks")]
    told(folder, 1)
    told(folder, 2)
    rows = farthing("alerts", "--json", "--project", folder).value
    assert [row["alert_id"] for row in rows] == ["episode-2", "episode-2", "episode-1", "episode-1"]
    dead = farthing("alerts", "--state", "dead", "--csv", "--project", folder).out
    [*_, row] = csv.DictReader(io.StringIO(dead))
    assert (row["alert_id"], row["error"], row["sent_at"]) == ("episode-2", "HTTP 400: invalid_blocks", "")
    assert "3 older ones: --last 4" in farthing("alerts", "--last", "1", "--project", folder).out
    assert farthing("alerts", "--state", "lost", "--project", folder).code == 2


def test_a_dry_run_prints_what_waits(folder: Path, https: Https) -> None:
    assert "nothing waits" in farthing("alerts", "--dry-run", "--project", folder).out
    https.says = [Says(500)]
    told(folder, 1)
    found = farthing("alerts", "--dry-run", "--json", "--project", folder).value
    assert {row["channel"] for row in found} == {"ops", "hook"}
    assert "Team support spends twice" in farthing("alerts", "--dry-run", "--project", folder).out


def test_a_retry_sends_what_did_not_arrive_and_says_how_it_went(folder: Path, https: Https) -> None:
    https.says = [Says(400)]
    told(folder, 1)
    again = farthing("alerts", "retry", "--json", "--project", folder)
    assert (again.code, {row["state"] for row in again.value}) == (1, {"dead"})
    https.says = [Says()]
    good = farthing("alerts", "retry", "--json", "--project", folder)
    assert (good.code, {row["state"] for row in good.value}) == (0, {"sent"})
    assert farthing("alerts", "retry", "--json", "--project", folder).value == []


@pytest.mark.parametrize("trouble", ["refused", "failing", "cut off", "no server", "no address", "crash"])
def test_secrets_are_nowhere(
    folder: Path, https: Https, trouble: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = " ".join(SECRETS).encode()
    https.says = [{"refused": Says(400, echo), "cut off": Says(500, echo, cut=True)}.get(trouble, Says(500, echo))]
    if trouble == "no server":
        monkeypatch.setenv("TEST_OPS_URL", f"https://localhost:1/{SLACK_URL_SECRET}/token-of-the-hook")
    if trouble == "no address":
        monkeypatch.setenv("TEST_OPS_URL", f"https://local host/{SLACK_URL_SECRET}/token-of-the-hook")
    if trouble == "crash":

        def crash(*_: object) -> str:
            raise RuntimeError("a bug")

        monkeypatch.setattr("farthing.alerts.outcome.checked", crash)
        monkeypatch.setattr("farthing.alerts.slack.checked", crash)
        monkeypatch.setattr("farthing.alerts.webhook.checked", crash)
    else:
        told(folder, 1)
    said = [
        farthing("alerts", *words, "--project", folder)
        for words in (["test"], ["test", "--json"], ["--json"], ["--dry-run"], ["retry"], ["retry", "--json"])
    ]
    texts = [one.out + one.err for one in said] + [caplog.text]
    texts += [repr(vars(record)) for record in caplog.records]
    files = [path for path in folder.rglob("*") if path.is_file()]
    texts += [path.read_bytes().decode("latin-1") for path in files]
    assert any(path.name.startswith("crash-") for path in files) == (trouble == "crash")
    assert [secret for secret in SECRETS for text in texts if secret in text] == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('[alerts.channels.x]\nkind = "slack"', "needs url_env"),
        ('[alerts.channels.x]\nkind = "webhook"\nurl_env = "U"', "needs secret_env"),
        ('[alerts.channels.x]\nkind = "email"', "needs from, host, to"),
        ('[alerts.channels.x]\nkind = "stdout"\nhost = "h"', "has no host"),
        ('[alerts.channels.x]\nkind = "slack"\nurl_env = "https://hooks.example/T0/SECRET"', "url_env"),
        ('[alerts.channels.x]\nkind = "email"\nhost = "h"\nfrom = "nobody"\nto = ["a@b.example"]', "no e-mail address"),
        (EMAIL + "to = []", "to names nobody"),
        (EMAIL + 'to = ["a@b.example"]\nusername = "u"', "go together"),
        ('[[alerts.routes]]\nchannels = ["ops"]', "there is no channel ops"),
        ('[alerts]\ndefault = ["ops"]', "there is no channel ops"),
        ('[[alerts.routes]]\nmatch = { kind = "anomalies" }\nchannels = []', "no alert has the kind 'anomalies'"),
        ('[alerts]\ndashboard_url = "javascript:alert(1)"', "dashboard_url"),
        ('[alerts]\ndashboard_url = "https://user:password@acme.example"', "dashboard_url"),
        ("[alerts]\nmaximum = 21", "maximum"),
    ],
    ids=lambda value: value if " = " not in value else "",
)
def test_a_mistake_in_the_settings_is_named_and_a_secret_in_them_is_not_said(
    tmp_path: Path, settings: str, problem: str
) -> None:
    (tmp_path / "farthing.toml").write_text(settings, encoding="utf-8")
    said = farthing("alerts", "--project", tmp_path)
    assert (said.code, problem in said.err) == (2, True)
    assert "SECRET" not in said.err
    assert "password" not in said.err.replace("password_env", "")


def test_what_a_retry_did_is_in_the_published_warehouse(
    tiny_project: Path, tmp_path: Path, https: Https, folder: Path
) -> None:
    project = tmp_path / "built"
    shutil.copytree(tiny_project, project)
    settings = (project / "farthing.toml").read_text(encoding="utf-8")
    own = (folder / "farthing.toml").read_text(encoding="utf-8").partition("[alerts]")[2]
    (project / "farthing.toml").write_text(f"{settings}\n[alerts]{own}", encoding="utf-8")
    https.says = [Says(400)]
    told(project, 1)
    https.says = [Says()]
    assert farthing("alerts", "retry", "--project", project).code == 0
    found = farthing("query", "select channel, state from alerts order by all", "--json", "--project", project).value
    assert found == [{"channel": "hook", "state": "sent"}, {"channel": "ops", "state": "sent"}]
