"""Each kind of channel against a real server that takes, refuses, throttles, fails, hangs and cuts off."""

from __future__ import annotations

import logging
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.alerts import Outcome, message, send, webhook
from farthing.config import Config
from tests.farthing.alerts.takers import (
    KEY,
    PASSWORD,
    SLACK_URL_SECRET,
    SOON,
    Https,
    Says,
    Smtp,
    alert,
    posting,
    project,
)
from tests.servers import free_port

PATH = f"/services/T0TEST/{SLACK_URL_SECRET}/token-of-the-hook"
OK = Says()


def settings(ca_file: Path, smtp_port: int = 587, **channel: Any) -> dict[str, Any]:
    return {
        "channels": {
            "slack": {"kind": "slack", "url_env": "TEST_SLACK_URL", "ca_file": str(ca_file)},
            "hook": {"kind": "webhook", "url_env": "TEST_HOOK_URL", "secret_env": "TEST_KEY", "ca_file": str(ca_file)},
            "post": {
                "kind": "email",
                "host": "localhost",
                "port": smtp_port,
                "from": "farthing <farthing@acme.example>",
                "to": ["ops@acme.example", "cfo@acme.example"],
                "username": "farthing",
                "password_env": "TEST_PASSWORD",
                "ca_file": str(ca_file),
                **channel,
            },
        }
    }


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("TEST_KEY", KEY)


@pytest.fixture
def company(tmp_path: Path, https: Https, environment: None, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("TEST_SLACK_URL", https.endpoint + PATH)
    monkeypatch.setenv("TEST_HOOK_URL", https.endpoint + PATH)
    return project(tmp_path, settings(https.ca_file))


@pytest.fixture
def postal(tmp_path: Path, smtp: Smtp, ca_file: Path, environment: None) -> Config:
    return project(tmp_path, settings(ca_file, smtp.port))


def sent(config: Config, name: str, patience: Any = SOON) -> Outcome:
    written: list[str] = []
    return send(config, name, message(config, [alert()]), patience, written.append)


HTTP = pytest.mark.parametrize("name", ["slack", "hook"])


@HTTP
def test_what_is_taken_is_sent_once(company: Config, https: Https, name: str) -> None:
    assert sent(company, name) == Outcome("sent", "HTTP 200: ok")
    [taken] = https.taken
    assert taken.path == PATH
    assert taken.headers["content-type"].startswith("application/json")
    assert "Team support spends twice" in taken.body.decode()


@HTTP
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_is_refused_is_dead_at_once(company: Config, https: Https, name: str, status: int) -> None:
    https.says = [Says(status, b"invalid_blocks")]
    assert sent(company, name) == Outcome("dead", f"HTTP {status}: invalid_blocks")
    assert len(https.taken) == 1


@HTTP
@pytest.mark.parametrize(
    "trouble",
    [Says(429), Says(500), Says(503), Says(408), Says(cut=True)],
    ids=["throttled", "failed", "unavailable", "too slow", "cut off"],
)
def test_a_passing_trouble_is_tried_again(company: Config, https: Https, name: str, trouble: Says) -> None:
    https.says = [trouble, trouble, OK]
    assert sent(company, name).state == "sent"
    assert len(https.taken) == 3


@HTTP
def test_trouble_without_end_is_failed_with_what_came_back(company: Config, https: Https, name: str) -> None:
    https.says = [Says(500, b"rollup_error")]
    assert sent(company, name) == Outcome("failed", "HTTP 500: rollup_error")
    assert len(https.taken) == SOON.attempts


@HTTP
def test_a_server_is_left_alone_for_as_long_as_it_says(company: Config, https: Https, name: str) -> None:
    https.says = [Says(429, headers={"Retry-After": "0.3"}), OK]
    assert sent(company, name).state == "sent"
    first, second = https.taken
    assert second.at - first.at >= 0.3


@HTTP
def test_a_server_that_wants_an_hour_is_left_to_the_next_run(company: Config, https: Https, name: str) -> None:
    https.says = [Says(429, headers={"Retry-After": "3600"}), OK]
    assert sent(company, name).state == "failed"
    assert len(https.taken) == 1


@pytest.mark.slow
@HTTP
def test_a_server_that_hangs_is_given_up(company: Config, https: Https, name: str) -> None:
    https.says = [Says(hang=True)]
    outcome = sent(company, name, replace(SOON, attempts=1))
    assert outcome.state == "failed"
    assert outcome.said.startswith("no whole answer")


@HTTP
def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(
    company: Config, https: Https, name: str, tmp_path: Path
) -> None:
    values = company.alerts.model_dump(by_alias=True, exclude_unset=True)
    for channel in values["channels"].values():
        del channel["ca_file"]
    outcome = sent(project(tmp_path, values), name)
    assert outcome.state == "failed"
    assert "certificate" in outcome.said.lower()
    assert not https.taken


def test_an_answer_that_is_not_slacks_is_no_delivery(company: Config, https: Https) -> None:
    https.says = [Says(200, b"<html>Please log in</html>")]
    assert sent(company, "slack").state == "dead"


@HTTP
def test_a_redirect_is_no_delivery(company: Config, https: Https, name: str) -> None:
    https.says = [Says(307, headers={"Location": "/elsewhere"}), OK]
    assert sent(company, name).state == "dead"
    assert len(https.taken) == 1


def test_the_signature_is_of_this_moment_and_this_body(company: Config, https: Https) -> None:
    assert sent(company, "hook").state == "sent"
    [taken] = https.taken
    timestamp = taken.headers["x-farthing-timestamp"]
    assert abs(int(timestamp) - clock.now().timestamp()) < 60
    assert taken.headers["x-farthing-signature"] == webhook.signature(KEY, timestamp, taken.body)
    assert webhook.signature(KEY, timestamp, taken.body + b" ") != taken.headers["x-farthing-signature"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://localhost/x", "holds no https:// address"),
        ("https://", "holds no https:// address"),
        ("https://[/x", "holds no https:// address"),
        ("https://localhost:x/", "holds no https:// address"),
        ("https://localhost/a b", "holds no https:// address"),
        ("file:///etc/passwd", "holds no https:// address"),
        ("", "is not set"),
    ],
)
@HTTP
def test_nothing_is_sent_but_to_an_https_address(
    company: Config, monkeypatch: pytest.MonkeyPatch, name: str, url: str, problem: str
) -> None:
    variable = f"TEST_{name.upper()}_URL"
    monkeypatch.setenv(variable, url)
    assert sent(company, name) == Outcome("failed", f"the environment variable {variable} {problem}")


def test_a_key_that_can_be_guessed_signs_nothing(company: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "short")
    assert sent(company, "hook") == Outcome(
        "failed", "the environment variable TEST_KEY holds fewer than 16 characters"
    )


@pytest.mark.parametrize("text", [None, "no certificate"], ids=["gone", "nonsense"])
def test_a_ca_file_that_is_none_is_named(company: Config, tmp_path: Path, text: str | None) -> None:
    values = company.alerts.model_dump(by_alias=True, exclude_unset=True)
    values["channels"]["slack"]["ca_file"] = "own.pem"
    if text:
        (tmp_path / "own.pem").write_text(text, encoding="utf-8")
    outcome = sent(project(tmp_path, values), "slack")
    assert outcome.state == "failed"
    assert outcome.said.startswith("ca_file own.pem: ")


def test_a_letter_is_brought_over_tls_to_all_recipients(postal: Config, smtp: Smtp) -> None:
    assert sent(postal, "post") == Outcome("sent", "taken")
    [letter] = smtp.letters
    assert letter.rcpt_tos == ["ops@acme.example", "cfo@acme.example"]
    assert smtp.over_tls == [True]


def test_a_wrong_password_is_refused_and_not_said(postal: Config, smtp: Smtp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "wrong-horse")
    outcome = sent(postal, "post")
    assert outcome.state == "dead"
    assert outcome.said.startswith("SMTP 535")
    assert "wrong-horse" not in outcome.said


def test_a_mail_server_that_is_busy_is_asked_again(postal: Config, smtp: Smtp) -> None:
    smtp.data = ["451 later", "421 later"]
    assert sent(postal, "post") == Outcome("sent", "taken")
    assert len(smtp.letters) == 1


def test_a_letter_that_is_refused_is_dead_at_once(postal: Config, smtp: Smtp) -> None:
    smtp.data = ["554 spam"]
    assert sent(postal, "post") == Outcome("dead", "SMTP 554: spam")


def test_who_has_the_letter_does_not_get_it_again_when_others_must_wait(postal: Config, smtp: Smtp) -> None:
    smtp.refuses = {"cfo@acme.example": ["450 greylisted", "250 OK"]}
    outcome = sent(postal, "post")
    assert outcome.state == "sent"
    assert [letter.rcpt_tos[0] for letter in smtp.letters].count("ops@acme.example") == 1


def test_a_recipient_that_is_left_out_is_named_and_the_others_are_told_once(postal: Config, smtp: Smtp) -> None:
    smtp.refuses = {"cfo@acme.example": ["550 nobody here"]}
    outcome = sent(postal, "post")
    assert (outcome.state, len(smtp.letters)) == ("sent", 1)
    assert outcome.note == "taken, but not for 1 of 2 recipients (cfo@acme.example: SMTP 550: nobody here)"


def test_a_letter_for_nobody_is_dead_and_one_that_must_wait_is_failed(postal: Config, smtp: Smtp) -> None:
    smtp.refuses = {"ops@acme.example": ["550 nobody here"], "cfo@acme.example": ["550 nobody here"]}
    assert sent(postal, "post").state == "dead"
    smtp.refuses = {"ops@acme.example": ["450 later"], "cfo@acme.example": ["450 later"]}
    assert sent(postal, "post").state == "failed"


def test_a_mail_server_without_tls_gets_neither_password_nor_letter(
    tmp_path: Path, ca_file: Path, environment: None
) -> None:
    with posting() as served:
        outcome = sent(project(tmp_path, settings(ca_file, served.port)), "post")
    assert outcome.state == "dead"
    assert "STARTTLS" in outcome.said
    assert not served.letters


def test_a_mail_server_that_is_not_there_is_left_to_the_next_run(
    tmp_path: Path, ca_file: Path, environment: None
) -> None:
    outcome = sent(project(tmp_path, settings(ca_file, free_port())), "post")
    assert outcome.state == "failed"
    assert "refused" in outcome.said


@pytest.mark.parametrize("says", [None, b"220 hello\r\n"], ids=["hangs", "cuts off"])
def test_a_mail_server_that_does_not_talk_is_given_up(
    tmp_path: Path, ca_file: Path, environment: None, says: bytes | None
) -> None:
    with socket.create_server(("localhost", 0)) as listening:
        heard: list[socket.socket] = []

        def listen() -> None:
            heard.append(listening.accept()[0])
            if says is not None:
                heard[0].sendall(says)
                heard[0].close()

        thread = threading.Thread(target=listen)
        thread.start()
        config = project(tmp_path, settings(ca_file, listening.getsockname()[1]))
        outcome = sent(config, "post", replace(SOON, attempts=1, silence_seconds=0.3))
        thread.join(timeout=10)
        heard[0].close()
    assert outcome.state == "failed"
    assert outcome.said.startswith("no whole answer")


@pytest.mark.parametrize(
    "trouble",
    [Says(400, b"no such hook: %s"), Says(500, b"%s"), Says(400, b"x" * 250 + b"%s"), Says(cut=True), Says(307, b"%s")],
    ids=["refused", "failed", "far behind", "cut", "redirect"],
)
@HTTP
def test_an_address_is_in_no_log_and_no_answer_although_the_server_says_it(
    company: Config, https: Https, caplog: pytest.LogCaptureFixture, name: str, trouble: Says
) -> None:
    caplog.set_level(logging.DEBUG)
    https.says = [replace(trouble, body=trouble.body.replace(b"%s", PATH.encode() + KEY.encode()))]
    outcome = sent(company, name, replace(SOON, attempts=2))
    said = outcome.said + caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
    assert SLACK_URL_SECRET[:8] not in said
    assert "token-of-the-hook" not in said
    assert KEY not in said


def test_a_password_is_in_no_log(postal: Config, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert sent(postal, "post").state == "sent"
    assert PASSWORD not in caplog.text
