"""`farthing forecast` in a project: landings, what is stored, the scoreboard, drivers and the waterfall."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest

from farthing import clock
from tests.farthing.commands import Said, farthing
from tests.farthing.forecasting.company import LAST, NOW

pytestmark = pytest.mark.slow  # a project is built and asked for each


def forecast(folder: Path, *arguments: object, days_ago: int = 0) -> Said:
    with clock.fixed(NOW - timedelta(days=days_ago)):
        return farthing("forecast", "--project", folder, *arguments)


def test_landings_of_total_and_teams_are_issued_and_then_only_shown(own_company: Path) -> None:
    first = forecast(own_company, "--json")
    assert first.code == 0, first.err
    assert {row["scope"] for row in first.value} == {"total", "team=search", "team=support"}
    assert {row["month"] for row in first.value} == {"2026-12"}
    again = forecast(own_company, "--json")
    assert "issued before" in again.err
    assert again.value == first.value
    other = forecast(own_company, "--json", "--model", "seasonal_naive")
    assert "issued before" not in other.err
    assert farthing(
        "query", "select count(distinct issue_id) n from landings", "--project", own_company, "--json"
    ).value == [{"n": 2}]


def test_scopes_are_chosen_by_name_or_dimension(own_company: Path) -> None:
    said = forecast(own_company, "--csv", "--scope", "team=support", "--scope", "pool", "--no-store")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert {row["scope"] for row in rows} == {"team=support", "pool=own", "pool=llm", "pool=rest"}
    assert "not stored" in said.err
    assert forecast(own_company, "--scope", "team=nobody", "--no-store").code == 2


def test_months_ahead_end_where_the_history_does_and_that_is_said(own_company: Path) -> None:
    said = forecast(own_company, "--json", "--months", 12, "--scope", "total")
    assert [row["month"] for row in said.value] == ["2026-12", "2027-01", "2027-02"]
    assert "a history of 77 days does not carry" in said.err
    assert "not stored" in said.err


def test_an_earlier_day_is_shown_and_not_stored(own_company: Path) -> None:
    said = forecast(own_company, "--json", "--as-of", "2026-11-20", "--scope", "total")
    assert [row["month"] for row in said.value] == ["2026-11", "2026-12"]
    assert "not stored" in said.err
    assert forecast(own_company, "--json", "--as-of", "2026-09-01").code == 1


def test_the_table_for_people_says_up_to_when_it_knows(own_company: Path) -> None:
    said = forecast(own_company, "--no-store")
    assert f"known up to {LAST}" in said.out
    assert "team=support" in said.out


def test_the_scoreboard_shows_error_and_coverage_of_what_was_issued(own_company: Path) -> None:
    assert forecast(own_company, "--scoreboard", "--json").value == {"days": [], "landings": []}
    assert forecast(own_company, days_ago=20).code == 0
    board = forecast(own_company, "--scoreboard", "--json", "--scope", "team").value
    assert [(row["model"], row["ahead"], row["days"]) for row in board["days"]] == [
        ("weekday_mean", "1-7", 14),
        ("weekday_mean", "8-30", 20),
    ]
    assert all(0 <= row["within_80_share"] <= 1 for row in board["days"])
    assert [row["landings"] for row in board["landings"]] == [2]


def test_drivers_stand_beside_the_direct_forecast(company: Path) -> None:
    said = forecast(company, "--drivers", "--json")
    [month] = said.value["months"]
    assert month["scope"] == "total"
    assert month["drivers"] == pytest.approx(month["direct"], rel=0.03)
    assert {row["driver"] for row in said.value["effects"]} == {
        "users", "requests per user", "tokens per request", "cost per token",
    }  # fmt: skip
    assert forecast(company, "--drivers", "--scope", "pool=own").code == 2


def test_the_waterfall_goes_from_one_month_to_the_other(company: Path) -> None:
    rows = forecast(company, "--waterfall", "2026-10", "2026-11", "--json").value
    assert (rows[0]["cause"], rows[-1]["cause"]) == ("2026-10", "2026-11")
    assert sum(row["amount"] for row in rows[1:-1]) == pytest.approx(rows[-1]["amount"] - rows[0]["amount"], abs=0.05)
    assert forecast(company, "--waterfall", "2026-10", "2027-03").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--scoreboard", "--drivers"), id="two-modes"),
        pytest.param(("--months", 3, "--horizon", 30), id="two-lengths"),
        pytest.param(("--out", "f.csv"), id="file-of-a-project"),
        pytest.param(("--scoreboard", "--scope", "team=support"), id="scoreboard-of-a-key"),
        pytest.param(("--model", "crystal"), id="no-such-model"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(company: Path, arguments: tuple[object, ...]) -> None:
    assert forecast(company, *arguments).code == 2
