"""Bills of AWS, real and generated: every line is accounted for, and the totals are the file's own."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from collectors import load
from farthing import config
from farthing.lake import Lake
from farthing.lake.schemas import CHARGES

#: file below billing/ -> the form that it is recognised as
FILES = {
    "aws_cur_legacy/focus_converters_aws_cur_2023-11.csv.gz": "CUR (legacy)",
    "aws_cur_legacy/koku_test_cur.csv": "CUR (legacy)",
    "native_synthetic_gpu/aws_cur_2026-09.csv.gz": "CUR (legacy)",
    "restatement/aws_cur_2026-09_asof_12.csv.gz": "CUR (legacy)",
    "focus_synthetic/focus_1_2_cost_and_usage_aws.csv.gz": "FOCUS 1.2",
    "focus_synthetic/focus_1_3_cost_and_usage_aws.csv.gz": "FOCUS 1.3",
}
Key = tuple[str, str]
Totals = dict[Key, tuple[Decimal, Decimal]]


def _lines(path: Path) -> Iterator[dict[str, str]]:
    """The lines of a bill that have as many fields as its header, by the names that CSV has."""
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        reader = csv.reader(file)
        names = next(reader)
        yield from (dict(zip(names, row, strict=True)) for row in reader if len(row) == len(names))


def _amortised(row: dict[str, str], cash: Decimal) -> Decimal:
    """What a line is worth in use, by the rules of AWS for each line type."""
    kind = row["lineItem/LineItemType"]
    if kind == "SavingsPlanCoveredUsage":
        return Decimal(row["savingsPlan/SavingsPlanEffectiveCost"])
    assert kind in ("Usage", "Tax"), f"a rule for {kind} is missing in this test"
    return cash


def _file_totals(path: Path) -> Totals:
    totals: Totals = defaultdict(lambda: (Decimal(0), Decimal(0)))
    for row in _lines(path):
        if "BilledCost" in row:
            key = row["SubAccountId"], row["BillingCurrency"]
            cash, spread = Decimal(row["BilledCost"]), Decimal(row["EffectiveCost"])
        else:
            key = row["lineItem/UsageAccountId"], row["lineItem/CurrencyCode"]
            cash = Decimal(row["lineItem/UnblendedCost"])
            spread = _amortised(row, cash)
        totals[key] = totals[key][0] + cash, totals[key][1] + spread
    return dict(totals)


def _collect(folder: Path, path: str) -> tuple[Lake, list[tuple[str, str, int, int, int]]]:
    made = config.from_mapping({"sources": {"bill": {"kind": "aws", "path": path}}}, file=folder / "farthing.toml")
    lake = Lake(str(folder / "lake"))
    results = load("aws").collect("bill", made.sources["bill"], made, lake, _Silence())
    assert all(one.balanced for one in results)
    return lake, [(one.form, one.status, one.read, one.landed, one.rejected) for one in results]


def _lake_totals(lake: Lake) -> Totals:
    with duckdb.connect() as con:
        lake.view(con, CHARGES)
        rows = con.sql(
            'select coalesce("SubAccountId", \'\'), "BillingCurrency", '
            'sum("BilledCost" + "x_BilledCostRounding"), sum("EffectiveCost" + "x_EffectiveCostRounding") '
            "from lake.charges group by all"
        ).fetchall()
    return {(account, currency): (cash, spread) for account, currency, cash, spread in rows}


class _Silence:
    def start(self, total_files: int, total_bytes: int) -> None: ...

    def advance(self, done_bytes: int) -> None: ...

    def message(self, text: str) -> None: ...


@pytest.mark.parametrize("name", FILES)
def test_every_line_lands_or_is_refused_and_the_totals_are_the_files(shared: Path, tmp_path: Path, name: str) -> None:
    path = shared / "billing" / name
    expected = _file_totals(path)
    lake, [(form, status, read, landed, rejected)] = _collect(tmp_path, str(path))
    assert (form, status) == (FILES[name], "landed")
    good = sum(1 for _ in _lines(path))
    assert (landed, rejected) == (good, read - good)
    if not good:
        assert lake.version(CHARGES) is None
        return
    totals = _lake_totals(lake)
    assert totals.keys() == expected.keys()
    for key, sums in expected.items():
        for ours, theirs in zip(totals[key], sums, strict=True):
            assert abs(ours - theirs) <= Decimal("1e-9") * max(Decimal(1), abs(theirs)), key


@pytest.mark.slow
def test_a_month_that_was_landed_early_is_the_full_month_after_it(shared: Path, tmp_path: Path) -> None:
    full = shared / "billing" / "native_synthetic_gpu" / "aws_cur_2026-09.csv.gz"
    bill = tmp_path / "aws_cur_2026-09.csv.gz"
    bill.write_bytes((shared / "billing" / "restatement" / "aws_cur_2026-09_asof_12.csv.gz").read_bytes())
    lake, [(_, _, early, _, _)] = _collect(tmp_path, bill.name)
    assert _lake_totals(lake) != _file_totals(full)
    bill.write_bytes(full.read_bytes())
    lake, [(_, _, late, _, _)] = _collect(tmp_path, bill.name)
    assert early < late
    assert _lake_totals(lake) == _file_totals(full)


@pytest.mark.heavy
def test_a_real_month_ties_per_account_and_per_reservation(shared: Path, tmp_path: Path) -> None:
    """Per reservation: recurring fee and the month's part of the upfront fee = used + unused."""
    path = shared / "billing" / "aws_cur_legacy" / "workshop_cur_2018-10.snappy.parquet"
    lake, results = _collect(tmp_path, str(path))
    assert results == [("CUR (legacy), Parquet", "landed", 119_307, 119_307, 0)]
    exact = "cast(cast({} as varchar) as decimal(38,24))"
    cash, reserved, upfront, recurring = (
        exact.format(name)
        for name in (
            "line_item_unblended_cost",
            "reservation_effective_cost",
            "reservation_unused_amortized_upfront_fee_for_billing_period",
            "reservation_unused_recurring_fee",
        )
    )
    with duckdb.connect() as con:
        file = con.sql(
            f"select line_item_usage_account_id, line_item_currency_code, sum({cash}), "
            f"sum(case line_item_line_item_type when 'DiscountedUsage' then {reserved} "
            f"when 'RIFee' then {upfront} + {recurring} else {cash} end) from '{path}' group by 1, 2"
        ).fetchall()
        lake.view(con, CHARGES)
        sums = con.sql(
            'select "CommitmentDiscountId", sum("EffectiveCost"), '
            'sum("BilledCost") + sum(coalesce(json_extract_string(x_extra, '
            "'$.reservation_amortized_upfront_fee_for_billing_period'), '0')::decimal(38,12)) "
            'from lake.charges where "CommitmentDiscountId" is not null group by all'
        ).fetchall()
    assert _lake_totals(lake) == {(account, currency): (paid, worth) for account, currency, paid, worth in file}
    assert len(sums) > 3
    for commitment, worth, paid in sums:
        assert abs(worth - paid) < Decimal("0.0001"), commitment  # AWS rounds each hour to eight decimals
