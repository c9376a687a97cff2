"""`farthing run`: everything that is due once, what fails said and told, and never two at a time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from farthing import config as configuration
from farthing import locks
from farthing.warehouse import open_warehouse
from tests.farthing.alerts.takers import authority, ca_file, certificate, https
from tests.farthing.commands import farthing

pytestmark = pytest.mark.slow  # a project is built and asked for each

__all__ = ["authority", "ca_file", "certificate", "https"]

_MORE = """
[alerts.channels.console]
kind = "stdout"

[[budgets]]
name = "everything"
amount = 10

[[reports]]
name = "finance"
kind = "weekly"
format = "md"
schedule = "0 7 12 10 *"
recipients = ["file", "channel:console"]
"""


@pytest.fixture
def company(tiny_project: Path, tmp_path: Path) -> Path:
    """The tiny company, built, with a budget that it exceeds, and a report for a file and for standard output."""
    folder = Path(shutil.copytree(tiny_project, tmp_path / "company"))
    toml = folder / "farthing.toml"
    toml.write_text(toml.read_text(encoding="utf-8") + _MORE, encoding="utf-8")
    return folder


def _rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with open_warehouse(configuration.load(folder)) as con:
        return con.execute(query).fetchall()


def _break(folder: Path) -> None:
    toml = folder / "farthing.toml"
    source = '[sources.gone]\nkind = "focus"\npath = "https://127.0.0.1:1/bill.csv"\n'
    toml.write_text(source + toml.read_text(encoding="utf-8"), encoding="utf-8")


def test_a_second_run_tells_and_reports_nothing_twice(company: Path) -> None:
    first = farthing("run", "--project", company)
    assert first.code == 0, first.err
    assert "Budget everything" in first.out
    assert "Cost report, week" in first.out
    [report] = (company / "reports").glob("tiny-*.md")
    written = report.stat().st_mtime_ns
    second = farthing("run", "--project", company, "--json")
    assert second.code == 0, second.err
    assert "Budget everything" not in second.out
    assert report.stat().st_mtime_ns == written
    steps = {step["step"]: step["result"] for step in second.value}
    assert steps["reports"] == "none is due"
    assert _rows(company, "select recipient, state from report_deliveries order by recipient") == [
        ("channel:console", "sent"),
        ("file", "sent"),
    ]
    assert _rows(company, "select state, exit_code from runs") == [("ok", 0), ("ok", 0)]


def test_a_report_has_what_the_run_itself_found_also_where_nobody_is_alerted(company: Path) -> None:
    said = farthing("run", "--skip", "alerts", "--project", company)
    assert said.code == 0, said.err
    [report] = (company / "reports").glob("tiny-*.md")
    assert "| everything" in report.read_text(encoding="utf-8")


def test_a_step_that_fails_is_told_once_and_the_others_go_on(company: Path) -> None:
    toml = (company / "farthing.toml").read_text(encoding="utf-8")
    _break(company)
    failed = farthing("run", "--project", company)
    assert failed.code == 3
    assert "collect fails" in failed.out
    assert "Budget everything" in failed.out
    again = farthing("run", "--project", company)
    assert again.code == 3
    assert "collect fails" not in again.out, "it was told"
    (company / "farthing.toml").write_text(toml, encoding="utf-8")
    mended = farthing("run", "--project", company)
    assert mended.code == 0
    assert "collect works again" in mended.out
    listed = farthing("runs", "--project", company, "--json").value
    assert [row["exit_code"] for row in listed] == [0, 3, 3]
    assert "gone" in listed[1]["error"]


def test_while_a_run_is_at_work_another_does_nothing(company: Path) -> None:
    before = _rows(company, "select count(*) from runs")
    with locks.alone(company, "run", print):
        said = farthing("run", "--project", company)
    assert said.code == 0
    assert "another `farthing run`" in said.err
    assert _rows(company, "select count(*) from runs") == before


def test_a_dry_run_says_what_is_due_and_changes_nothing(company: Path) -> None:
    said = farthing("run", "--dry-run", "--skip", "forecast", "--project", company, "--json")
    assert said.code == 0
    assert {row["step"]: row["state"] for row in said.value["steps"]}["forecast"] == "left out"
    assert [row["recipient"] for row in said.value["reports"]] == ["file", "channel:console"]
    assert not (company / "reports").exists()
    assert _rows(company, "select count(*) from runs") == [(0,)]


def test_a_step_that_does_not_exist_is_refused_with_those_that_do(company: Path) -> None:
    said = farthing("run", "--skip", "forecasts", "--project", company)
    assert said.code == 2
    assert "collect, build, forecast" in " ".join(said.err.replace("│", " ").split())


def test_a_report_for_a_channel_that_is_not_there_is_refused(company: Path) -> None:
    toml = company / "farthing.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("channel:console", "channel:nobody"), encoding="utf-8")
    said = farthing("run", "--project", company)
    assert said.code == 2
    assert "there is no [alerts.channels.nobody]" in " ".join(said.err.split())


def test_a_heartbeat_that_cannot_be_sent_never_fails_a_run_nor_shows_its_address(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = company / "farthing.toml"
    toml.write_text(toml.read_text(encoding="utf-8") + '[run]\nheartbeat_url_env = "BEAT"\n', encoding="utf-8")
    skipped = [part for step in ("collect", "build", "forecast", "anomalies") for part in ("--skip", step)]
    for address, words in (("https://127.0.0.1:1/secret-7", "no heartbeat"), ("http://x/secret-7", "no https://")):
        monkeypatch.setenv("BEAT", address)
        said = farthing("run", *skipped, "--project", company)
        assert said.code == 0
        assert words in " ".join(said.err.split())
        assert "secret-7" not in said.out + said.err
