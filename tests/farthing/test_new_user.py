"""A newcomer's first hour: his own bill and his own request log, no telemetry, and the cost per user on screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from farthing import config as configuration
from tests.farthing.commands import Said, farthing
from tests.worlds import MIDNIGHT, charge, write_csv

#: What he is billed: machines and an API, on the day that the log speaks of.
COSTS = (Decimal("86.40"), Decimal("13.500000000001"), Decimal("0.10"))
BILL = sum(COSTS, Decimal(0))
#: Requests of each user, and tokens of each request.
USERS = {"ann": (3, 1000), "bob": (1, 1000), "eve": (10, 100)}
#: By ten units an input token and fifty an output one, a tenth of the input.
TOKENS = {"ann": Decimal(3) / 5, "bob": Decimal(1) / 5, "eve": Decimal(1) / 5}
REQUESTS = {"ann": Decimal(3) / 14, "bob": Decimal(1) / 14, "eve": Decimal(10) / 14}
PLAIN = ("request_id", "started_at", "ended_at", "user_id", "model", "input_tokens", "output_tokens")
FOREIGN = ("id", "created", "finished", "who", "llm", "promptTokens", "completionTokens")
CENT = Decimal("0.000000001")


def folder_of(folder: Path, names: Sequence[str]) -> Path:
    """A folder with nothing but a FOCUS file and a request log whose columns have `names`."""
    folder.mkdir()
    charges = [
        charge("AWS", "Compute", COSTS[0], resource="i-anything", service="EC2"),
        charge("OpenAI", "AI and Machine Learning", COSTS[1], service="OpenAI API"),
        charge("AWS", "Storage", COSTS[2], service="S3", hour=23),
    ]
    write_csv(folder / "focus-october.csv", tuple(charges[0]), charges)
    lines: list[Mapping[str, object]] = []
    for user, (requests, tokens) in USERS.items():
        for number in range(requests):
            start: datetime = MIDNIGHT + timedelta(hours=9, minutes=number)
            end = start + timedelta(seconds=5)
            values = (f"{user}-{number}", start.isoformat(), end.isoformat(), user, "gpt-5", tokens, tokens // 10)
            lines.append({name: value for name, value in zip(names, values, strict=False) if name})
    write_csv(folder / "log.csv", [name for name in names if name], lines)
    return folder


def filled_in(text: str) -> str:
    """The suggested source as he fills it in: the # taken away, and which of his columns is what."""
    start = text.index("# [sources.requests]")
    block, rest = text[start:].split("\n\n", 1)
    lines = [line.removeprefix("# ") for line in block.splitlines()]
    for ours, theirs in zip(PLAIN, FOREIGN, strict=True):
        lines = [re.sub(rf'\b{ours} = "\.\.\."', f'{ours} = "{theirs}"', line) for line in lines]
    return text[:start] + "\n".join(lines) + "\n\n" + rest


def first_hour(project: Path, fill_in: Callable[[str], str] | None) -> list[Said]:
    """`init`, his edit, `doctor`, `collect`, `build`, `doctor`: what each said."""
    said = [farthing("init", "--project", project)]
    if fill_in is not None:
        toml = project / "farthing.toml"
        toml.write_text(fill_in(toml.read_text(encoding="utf-8")), encoding="utf-8")
    return said + [farthing(verb, "--project", project) for verb in ("doctor", "collect", "build", "doctor")]


def cost_per_user(project: Path) -> dict[str | None, Decimal]:
    sql = "select user_id, sum(cost) as cost from user_month group by 1"
    said = farthing("query", sql, "--json", "--project", project)
    assert said.code == 0, said.err
    return {row["user_id"]: Decimal(next(v for k, v in row.items() if k != "user_id")) for row in said.value}


@pytest.mark.slow
@pytest.mark.parametrize("names", [PLAIN, FOREIGN], ids=["our names", "names of his own"])
def test_from_an_empty_folder_to_the_cost_per_user_on_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Sequence[str]
) -> None:
    project = folder_of(tmp_path / "newcomer", names)
    said = first_hour(project, None if names is PLAIN else filled_in)
    unmapped = names is FOREIGN  # the suggested columns ask for no end of a request
    assert [one.code for one in said] == [0, 0, 0, 0, int(unmapped)], [one.err for one in said]
    before, after = said[1].out, said[4].out
    assert before.endswith("No findings.\nNext: farthing collect, then farthing build.\n")
    # every charge is taken, and the ledger is the bill
    assert ("1 finding:\n  joins, requests with an end: map ended_at" if unmapped else "No findings.") in after
    assert after.count("identities") == 1
    assert "none were collected: users are the ids of the request log" in after

    costs = cost_per_user(project)
    assert costs == {user: pytest.approx(BILL * part, abs=CENT) for user, part in TOKENS.items()}
    assert sum(costs.values()) == BILL

    shown = on_screen(project, monkeypatch)
    assert {row["user"]: row["cost"] for row in shown} == costs
    assert {row["user"]: row["requests"] for row in shown} == {user: requests for user, (requests, _) in USERS.items()}


def on_screen(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The table of users on the page of users and customers."""
    monkeypatch.setenv("FARTHING_PROJECT", str(project))
    app = AppTest.from_string("from dashboard import customers\ncustomers.page()\n", default_timeout=30).run()
    assert not app.exception
    [found] = [one.value for one in app.dataframe if one.value.columns[0] == "user"]
    rows: list[dict[str, Any]] = found.to_dict("records")
    return rows


@pytest.mark.slow
def test_a_log_without_tokens_spreads_the_bill_by_requests(tmp_path: Path) -> None:
    project = folder_of(tmp_path / "newcomer", PLAIN[:5])
    assert [one.code for one in first_hour(project, None)][:4] == [0, 0, 0, 0]
    costs = cost_per_user(project)
    assert costs == {user: pytest.approx(BILL * part, abs=CENT) for user, part in REQUESTS.items()}
    assert sum(costs.values()) == BILL


def test_who_has_an_inventory_is_told_to_spread_by_cost(tmp_path: Path) -> None:
    project = folder_of(tmp_path / "newcomer", PLAIN)
    row = {"gpu_uuid": "G", "ResourceId": "i-anything", "replica_id": "r", "valid_from": MIDNIGHT.isoformat()}
    write_csv(project / "inventory.csv", tuple(row), [row])
    assert farthing("init", "--project", project).code == 0
    pools = configuration.load(project).pools
    assert [(pool.kind, pool.driver) for pool in pools] == [("gpu", "cost"), ("shared", "cost")]
