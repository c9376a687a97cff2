"""Real and generated FOCUS bills: per invoice, month and currency the ledger is the file."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from tests.farthing.commands import farthing
from tests.real.projects import read, run, warehouse

#: name -> file below billing/, the cost column that it is attributed by (SOURCES.md: the real one's other is damaged)
BILLS = {
    "real": ("focus_real/focus_1_0_sample_part_a.csv", "BilledCost"),
    "aws": ("focus_synthetic/focus_1_2_cost_and_usage_aws.csv.gz", "EffectiveCost"),
    "azure": ("focus_synthetic/focus_1_2_cost_and_usage_azure.csv.gz", "BilledCost"),
    "gcp": ("focus_synthetic/focus_1_2_cost_and_usage_gcp.csv.gz", "EffectiveCost"),
    "aws_1_3": ("focus_synthetic/focus_1_3_cost_and_usage_aws.csv.gz", "BilledCost"),
}
POOLS = """
[[pools]]
name = "compute"
kind = "shared"
driver = "requests"
match = { ServiceCategory = "Compute" }
[[pools]]
name = "network"
kind = "owned"
owner = "team:platform"
match = { ServiceCategory = "Networking" }
[[pools]]
name = "storage"
kind = "shared"
driver = "fixed"
weights = { red = 2, blue = 1 }
match = { ServiceCategory = ["Storage", "Databases"] }
"""
Key = tuple[str, str, str | None, str]


def _toml(shared: Path, names: list[str]) -> str:
    return POOLS + "".join(
        f'[sources.{name}]\nkind = "focus"\npath = "{shared / "billing" / file}"\ncost_column = "{column}"\n'
        for name, (file, column) in BILLS.items()
        if name in names
    )


def _files(shared: Path, names: list[str]) -> tuple[dict[Key, Decimal], dict[Key, Decimal]]:
    """By source, month, invoice and currency: the file's sum as it is written, and each line rounded once."""
    exact: dict[Key, Decimal] = defaultdict(Decimal)
    landed: dict[Key, Decimal] = defaultdict(Decimal)
    for name, (file, column) in ((name, BILLS[name]) for name in names):
        for row in read(shared / "billing" / file):
            invoice = row.get("InvoiceId")
            key = (
                name,
                row["BillingPeriodStart"][:7],
                None if invoice in (None, "", "NULL") else invoice,
                row["BillingCurrency"],
            )
            exact[key] += Decimal(row[column])
            landed[key] += Decimal(row[column]).quantize(Decimal("1e-12"), ROUND_HALF_UP)
    return exact, landed


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("names", "moments"),
    [
        (["real"], [datetime(2024, 9, 6, 12, 30, tzinfo=UTC)]),
        pytest.param(
            list(BILLS),
            [datetime(2026, 5, 20, 12, 30, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)],
            marks=pytest.mark.heavy,
        ),
    ],
)
def test_per_invoice_month_and_currency_the_ledger_is_the_file(
    shared: Path, tmp_path: Path, names: list[str], moments: list[datetime]
) -> None:
    exact, landed = _files(shared, names)
    for now in moments:
        run(tmp_path, _toml(shared, names), now=now)
        with warehouse(tmp_path) as con:
            rows = con.execute(
                "select x_source, strftime(billing_month, '%Y-%m'), InvoiceId, BillingCurrency, file_cost, rounding,"
                " landed_cost, ledger_cost, accrued_cost, difference from reconciliation"
            ).fetchall()
            assert {row[:4]: row[4] for row in rows} == exact
            assert {row[:4]: row[6] for row in rows} == landed
            assert all(file == landed + rounding for *_, file, rounding, landed, _, _, _ in rows)
            assert all(landed == ledger + accrued for *_, landed, ledger, accrued, _ in rows)
            assert {row[-1] for row in rows} == {0}
            assert any(row[-2] for row in rows) == (now is moments[0])  # hours still to come
            [(kinds,)] = con.execute("select count(distinct kind) from cost_ledger").fetchall()
            assert kinds == 3  # shared, direct (owned), unassigned
    if len(moments) == 1:
        return
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for (_, _, _, currency), cost in landed.items():
        totals[currency] += cost
    query = "select BillingCurrency, sum(cost) as cost from cost_ledger group by 1 order by 1"
    said = farthing("query", query, "--project", tmp_path, "--json")
    assert {row["BillingCurrency"]: Decimal(row["cost"]) for row in said.value} == totals
