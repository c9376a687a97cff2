"""What is known to come is read from a file, from credits and from commitments, and moves all dimensions in step."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from farthing.config import from_mapping
from farthing.errors import ConfigError, DataError
from farthing.forecasting.events import Event, known_events, reaches, read_events
from farthing.forecasting.history import Scope
from models.edits import Edit
from tests.farthing.forecasting.tables import ledger

FIRST, LAST = date(2026, 9, 1), date(2026, 10, 30)
DAYS = [FIRST + timedelta(days=number) for number in range(60)]
#: Team a pays 30 of gpus and 10 of tools a day, team b 10 and 50.
MADE_OF = {("gpus", "a"): 30.0, ("gpus", "b"): 10.0, ("tools", "a"): 10.0, ("tools", "b"): 50.0}
LINES = [(day, pool, team, "m", cost) for day in DAYS for (pool, team), cost in MADE_OF.items()]
SCOPES = [
    Scope("total", None, "USD"),
    *(Scope("team", key, "USD") for key in "ab"),
    *(Scope("pool", key, "USD") for key in ("gpus", "tools")),
]


def events_of(folder: Path, text: str) -> list[Event]:
    path = folder / "events.csv"
    path.write_text(text, encoding="utf-8")
    return read_events(path, "USD")


def test_an_event_is_read_with_all_that_its_row_says(tmp_path: Path) -> None:
    text = (
        "day,until,dimension,key,factor,amount,currency,certainty,what\n"
        "2026-11-10,2026-11-20,team,a,1.5,,,0.8,launch\n"
        "2026-12-01,,,,,250,EUR,,order of GPUs\n"
    )
    assert events_of(tmp_path, text) == [
        Event(
            "launch", "events.csv", "team", "a",
            Edit(date(2026, 11, 10), date(2026, 11, 20), factor=1.5, certainty=0.8),
        ),
        Event("order of GPUs", "events.csv", "total", None, Edit(date(2026, 12, 1), amount=250.0), "EUR"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        pytest.param("soon,,2,,launch", "day is no day: 'soon'", id="no-day"),
        pytest.param(",,2,,launch", "day and what must not be empty", id="empty-day"),
        pytest.param("2026-11-10,2026-11-01,2,,launch", "until 2026-11-01 is before day", id="ends-before"),
        pytest.param("2026-11-10,,,,launch", "neither factor nor amount", id="no-effect"),
        pytest.param("2026-11-10,,twice,,launch", "factor is no number", id="no-number"),
        pytest.param("2026-11-10,,nan,,launch", "factor is not finite", id="not-finite"),
        pytest.param("2026-11-10,,-1,,launch", "factor is negative", id="negative"),
        pytest.param("2026-11-10,,2,80,launch", "certainty is not between 0 and 1", id="percent"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: str, problem: str) -> None:
    with pytest.raises(DataError, match=f"events.csv:3: {problem}"):
        events_of(tmp_path, f"day,until,factor,certainty,what\n2026-11-01,,2,,fine\n{row}\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("day,factor\n", "no column what", id="missing"),
        pytest.param("day,what,team\n", "unknown column team", id="unknown"),
    ],
)
def test_a_file_with_other_columns_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        events_of(tmp_path, text)


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[forecast.events\] cannot be read"):
        read_events(tmp_path / "none.csv", "USD")


def felt(event: Event) -> tuple[list[float], list[float]]:
    [(_, reach)] = reaches(ledger(LINES), [event], SCOPES, LAST)
    return reach.share.tolist(), reach.part.tolist()


def test_an_event_of_a_pool_moves_each_team_by_what_it_pays_for_the_pool() -> None:
    share, part = felt(Event("cheaper", "", "pool", "gpus", Edit(date(2026, 11, 5), factor=0.5, amount=8.0), "USD"))
    assert share == pytest.approx([0.4, 0.75, 1 / 6, 1.0, 0.0])
    assert part == pytest.approx([1.0, 0.75, 0.25, 1.0, 0.0])


@pytest.mark.parametrize(
    ("dimension", "key", "money"),
    [("total", None, -42.0), ("team", "a", -12.0), ("pool", "tools", -22.0), ("team", "new", 8.0)],
)
def test_an_event_changes_each_dimension_by_the_same_money(dimension: str, key: str | None, money: float) -> None:
    event = Event("change", "", dimension, key, Edit(date(2026, 11, 5), factor=0.5, amount=8.0), "USD")
    share, part = (np.array(one) for one in felt(event))
    costs = np.array([100.0, 40.0, 60.0, 40.0, 60.0])
    moved = costs * share * -0.5 + 8.0 * part
    assert moved[0] == pytest.approx(money)
    assert moved[1] + moved[2] == pytest.approx(moved[0])
    assert moved[3] + moved[4] == pytest.approx(moved[0])


def test_an_amount_in_a_currency_leaves_other_currencies_alone() -> None:
    event = Event("order", "", "total", None, Edit(date(2026, 11, 5), amount=8.0), "EUR")
    assert felt(event)[1] == [0.0] * 5


def test_an_event_of_a_dimension_that_is_not_there_is_refused() -> None:
    event = Event("launch", "events.csv", "region", "eu", Edit(date(2026, 11, 5), factor=2.0))
    with pytest.raises(ConfigError, match="no dimension 'region'"):
        felt(event)


def with_bills(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """28 days of a commitment that saves 20 a day and lies idle for 5, and of a credit that takes 12."""
    con.execute(
        "create table charges as select range::timestamp as ChargePeriodStart, 'gpus' as pool,"
        " 'USD' as BillingCurrency, 'Usage' as ChargeCategory, *"
        " from range(date '2026-10-03', date '2026-10-31', interval 1 day), (values"
        " ('Ri-1', 'Used', 50.0, 30.0, null), ('Ri-1', 'Unused', 0.0, 5.0, null), (null, null, null, -12.0, 'startup')"
        ") as lines(CommitmentDiscountId, CommitmentDiscountStatus, ListCost, x_cost, credit)"
    )
    con.execute(
        "create table commitments as select 'ri-1' as commitment, 'one year' as name, date '2026-11-14' as ends_on"
    )
    con.execute(
        "create table credits as select 'startup' as credit, 'USD' as BillingCurrency, date '2026-11-20' as runs_out_on"
    )
    return con


def test_the_end_of_a_commitment_brings_list_prices_and_ends_what_lay_idle() -> None:
    [_, event] = known_events(with_bills(ledger(LINES)), from_mapping({}), LAST)
    assert (event.dimension, event.key, event.currency) == ("pool", "gpus", "USD")
    assert (event.edit.first, event.edit.last, event.edit.factor) == (date(2026, 11, 15), None, 1.0)
    assert event.edit.amount == pytest.approx(15.0)


def test_the_end_of_a_credit_brings_back_what_it_took() -> None:
    [event, _] = known_events(with_bills(ledger(LINES)), from_mapping({}), LAST)
    assert event.what == "credit startup ends"
    assert (event.edit.first, event.edit.last, event.edit.factor) == (date(2026, 11, 20), None, 1.0)
    assert event.edit.amount == pytest.approx(12.0)


def test_ends_that_are_over_are_no_events() -> None:
    con = with_bills(ledger(LINES))
    con.execute("update commitments set ends_on = '2026-10-16'")
    con.execute("update credits set runs_out_on = '2026-10-20'")
    assert known_events(con, from_mapping({}), LAST) == []
