"""Costs of a file kept by hand: days and months, both ends included, and charges that look like those of a bill."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from farthing.errors import ConfigError
from farthing.lake.schemas import CHARGES

HEADER = "date,start,end,service,amount,currency,team,driver,description,invoice"


def deliver(world: Any, *lines: str, header: str = HEADER, **source: Any) -> Any:
    world.write("costs.csv", "\n".join([header, *lines]) + "\n")
    return world.one("costs", "costs.csv", **source)


def charge(world: Any, line: str, **source: Any) -> dict[str, Any]:
    assert deliver(world, line, **source).landed == 1, world.rejects()
    return dict(world.rows(CHARGES)[0])


def test_a_line_is_a_charge_in_the_columns_of_a_bill(world: Any) -> None:
    row = charge(world, "2026-10-14,,,Labelling,1250.50,EUR,research,tickets,10 000 images,LW-77")
    given = {name: value for name, value in row.items() if value is not None}
    assert json.loads(given.pop("Tags")) == {"team": "research", "driver": "tickets"}
    assert given == {
        "x_source": "one",
        "x_load": "costs.csv",
        "x_charge_id": "costs.csv:2",
        "billing_month": datetime(2026, 10, 1).date(),  # noqa: DTZ001  # views give naive UTC
        "BillingPeriodStart": datetime(2026, 10, 1),  # noqa: DTZ001
        "BillingPeriodEnd": datetime(2026, 11, 1),  # noqa: DTZ001
        "ChargePeriodStart": datetime(2026, 10, 14),  # noqa: DTZ001
        "ChargePeriodEnd": datetime(2026, 10, 15),  # noqa: DTZ001
        "BillingCurrency": "EUR",
        "BilledCost": Decimal("1250.5"),
        "EffectiveCost": Decimal("1250.5"),
        "x_BilledCostRounding": 0,
        "x_EffectiveCostRounding": 0,
        "ChargeCategory": "Usage",
        "ServiceCategory": "Other",
        "ServiceName": "Labelling",
        "ChargeDescription": "10 000 images",
        "InvoiceId": "LW-77",
    }


@pytest.mark.parametrize(
    ("dates", "start", "end", "month"),
    [
        ("2026-10-14,,", "2026-10-14", "2026-10-15", "2026-10-01"),
        ("2026-10-31,,", "2026-10-31", "2026-11-01", "2026-10-01"),
        ("2026-02,,", "2026-02-01", "2026-03-01", "2026-02-01"),
        ("2026-12,,", "2026-12-01", "2027-01-01", "2026-12-01"),
        (",2026-10-05,2026-10-05", "2026-10-05", "2026-10-06", "2026-10-01"),
        (",2026-10-05,2026-11-04", "2026-10-05", "2026-11-05", "2026-10-01"),
        (",2026-10,2026-12", "2026-10-01", "2027-01-01", "2026-10-01"),
        (",2026-10-15,2026-10", "2026-10-15", "2026-11-01", "2026-10-01"),
    ],
)
def test_a_day_is_a_day_a_month_the_whole_month_and_both_ends_are_included(
    world: Any, dates: str, start: str, end: str, month: str
) -> None:
    row = charge(world, f"{dates},Labour,1,EUR,,,,")
    told = [row[name].isoformat()[:10] for name in ("ChargePeriodStart", "ChargePeriodEnd", "billing_month")]
    assert told == [start, end, month]
    assert row["BillingPeriodStart"].isoformat() == f"{month}T00:00:00"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",,,Labour,1,EUR,,,,", "date is missing"),
        ("2026-10,2026-10,,Labour,1,EUR,,,,", "date stands beside start or end; keep one of them"),
        ("2026-10,,2026-10,Labour,1,EUR,,,,", "date stands beside start or end; keep one of them"),
        (",2026-10-01,,Labour,1,EUR,,,,", "end is missing"),
        (",,2026-10-01,Labour,1,EUR,,,,", "date is missing"),
        (",2026-10-02,2026-10-01,Labour,1,EUR,,,,", "end 2026-10-01 is before start 2026-10-02"),
        (",2026-10,2026-09,Labour,1,EUR,,,,", "end 2026-09-01 is before start 2026-10-01"),
        ("2026-10-01T09:00,,,Labour,1,EUR,,,,", "date: '2026-10-01T09:00' is no day (YYYY-MM-DD or YYYY-MM)"),
        ("Q4 2026,,,Labour,1,EUR,,,,", "date: 'Q4 2026' is no day"),
        ("2026-13,,,Labour,1,EUR,,,,", "date: '2026-13' is no day"),
        ("1970-01,,,Labour,1,EUR,,,,", "ChargePeriodStart 1970-01-01 00:00:00 is before 2000"),
        (",2026-10,2206-10,Labour,1,EUR,,,,", "the charge period is longer than 10 years"),
        ("2026-10,,,,1,EUR,,,,", "service is missing"),
        ("2026-10,,,Labour,,EUR,,,,", "amount is missing"),
        ("2026-10,,,Labour,1,,,,,", "currency is missing"),
        ('2026-10,,,Labour,"1,000.00",EUR,,,,', "amount: '1,000.00' is no plain decimal number"),
        ("2026-10,,,Labour,1,€,,,,", "currency € is no ISO 4217 currency code"),
    ],
)
def test_a_line_that_cannot_be_used_says_why_in_the_columns_of_the_file(world: Any, line: str, reason: str) -> None:
    result = deliver(world, "2026-10,,,Labour,7,EUR,,,,", line)
    assert (result.read, result.landed, result.duplicate, result.rejected) == (2, 1, 0, 1)
    ((number, told),) = world.rejects()
    assert number == 3
    assert told.startswith(reason)


def test_a_row_without_its_start_says_so_when_the_file_has_no_date(world: Any) -> None:
    deliver(world, ",2026-10,Labour,1,EUR", header="start,end,service,amount,currency")
    assert world.rejects() == [(2, "start is missing")]


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("when,service,amount,currency", "date"),
        ("start,service,amount,currency", "end"),
        ("end,service,amount,currency", "start"),
        ("date,amount,currency", "service"),
        ("date,service,currency", "amount"),
        ("date,service,amount", "currency"),
    ],
)
def test_a_column_that_nothing_gives_is_named_with_its_fix(world: Any, header: str, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"nothing gives the required column '{missing}'; costs.csv has: ") as error:
        deliver(world, ",".join("1" * (header.count(",") + 1)), header=header)
    assert error.value.key == "sources.one.columns"
    assert f'{missing} = "' in error.value.fix


def test_foreign_names_are_mapped_and_constants_fill_what_the_file_lacks(world: Any) -> None:
    row = charge(
        world,
        "2026-10,Workshop,450,Platform,C-7",
        header="Monat,Leistung,Betrag,Team,Kostenstelle",
        columns={"date": "Monat", "service": "Leistung", "amount": "Betrag"},
        constants={"currency": "EUR"},
    )
    assert (row["ServiceName"], row["EffectiveCost"], row["BillingCurrency"]) == ("Workshop", 450, "EUR")
    assert json.loads(row["Tags"]) == {"team": "Platform"}  # names match in any case
    assert json.loads(row["x_extra"]) == {"Kostenstelle": "C-7"}


def test_columns_of_a_bill_are_no_columns_of_costs(world: Any) -> None:
    with pytest.raises(ConfigError, match="'ServiceName' is no column of kind costs; nearest: service"):
        deliver(world, "", columns={"ServiceName": "service"})
    row = charge(world, "2026-10,Labour,5,EUR,99", header="date,service,amount,currency,BilledCost")
    assert row["BilledCost"] == 5
    assert json.loads(row["x_extra"]) == {"BilledCost": "99"}  # kept, and not taken for the amount


def test_without_team_and_driver_there_are_no_tags(world: Any) -> None:
    assert charge(world, "2026-10,,,Labour,1,EUR,,,,")["Tags"] is None


def test_a_tag_may_hold_any_character(world: Any) -> None:
    row = charge(world, '2026-10,,,Labour,1,EUR,"R&D ""core"", größer",,,')
    assert json.loads(row["Tags"]) == {"team": 'R&D "core", größer'}


@pytest.mark.parametrize("cost_column", ["EffectiveCost", "BilledCost"])
def test_an_amount_is_rounded_once_and_a_credit_note_is_negative(world: Any, cost_column: str) -> None:
    result = deliver(world, "2026-10,,,Labour,-2.0000000000004,EUR,,,,", cost_column=cost_column)
    (row,) = world.rows(CHARGES)
    assert (row["BilledCost"], row["EffectiveCost"]) == (-2, -2)
    assert result.rounding == {"EUR": Decimal("-4e-13")}


def test_equal_lines_are_two_charges_and_a_file_that_is_read_again_changes_nothing(world: Any) -> None:
    line = "2026-10,,,Labour,5,EUR,,,,"
    assert deliver(world, line, line).landed == 2
    assert world.one("costs", "costs.csv").status == "unchanged"
    deliver(world, line)
    assert [row["EffectiveCost"] for row in world.rows(CHARGES)] == [5]


def test_json_lines_and_parquet_give_the_same_charge(world: Any) -> None:
    row = {"date": "2026-10", "service": "Labour", "amount": 0.1, "currency": "EUR", "team": "red", "desk": 4}
    world.write("c.jsonl", json.dumps(row) + "\n")
    world.parquet(
        "c.parquet",
        "select '2026-10' as date, 'Labour' as service, 0.1::double as amount, 'EUR' as currency, 'red' as team, "
        "4 as desk",
    )
    for name in ("c.jsonl", "c.parquet"):
        assert world.one("costs", name, name=name.replace(".", "-")).landed == 1
    first, second = world.rows(CHARGES)
    told = [name for name in first if name not in ("x_source", "x_load", "x_charge_id")]
    assert {name: first[name] for name in told} == {name: second[name] for name in told}
    assert first["EffectiveCost"] == Decimal("0.1")
    assert first["ChargePeriodEnd"] == datetime(2026, 11, 1)  # noqa: DTZ001
