"""`farthing tiers` in a project: the panel, plans and prices come from the published warehouse."""

from __future__ import annotations

from calendar import monthrange
from pathlib import Path

import pytest

from tests.farthing.commands import farthing
from tests.worlds import write_csv

MONTHS = (4, 5, 6, 7)
TOML = """\
[project]
name = "seats"
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.requests]
kind = "requests"
path = "requests.csv"
token_convention = "inclusive"
[sources.people]
kind = "identities"
path = "identities.csv"
[sources.revenue]
kind = "revenue"
path = "revenue.csv"
[attribution]
price_table = "none"
[credits.startup]
match = { ChargeCategory = "Credit" }
amount = 1000
[[pools]]
name = "serving"
kind = "shared"
driver = "requests"
class = "cogs"
match = { ServiceCategory = "Compute" }
[[pools]]
name = "office"
kind = "shared"
driver = "requests"
class = "opex"
match = { ServiceCategory = "Other" }
"""


@pytest.fixture(scope="module")
def seats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four whole months: 80 a month of serving, half of it paid by a credit, shared 6 : 2 by ann and ben's firm.

    ann pays 30 for herself, the firm 50; cyd makes no request and pays 30, in July only.
    """
    folder = tmp_path_factory.mktemp("seats") / "company"
    folder.mkdir()
    (folder / "farthing.toml").write_text(TOML, encoding="utf-8")
    bill, asked = [], []
    for month in MONTHS:
        last = monthrange(2026, month)[1]
        for day, amounts in ((1, {"Usage": 40, "Credit": -20}), (last, {"Usage": 40, "Credit": -20})):
            bill += [_line(month, day, kind, "Compute", amount) for kind, amount in amounts.items()]
            bill.append(_line(month, day, "Usage", "Other", 7))
            for number, key in enumerate(["key-ann"] * 6 + ["key-ben"] * 2):
                when = f"2026-{month:02d}-{day:02d}T10:0{number}:00Z"
                asked.append(
                    {"request_id": f"{when}-{key}", "started_at": when, "user_id": key, "model": "m",
                     "provider": "vllm", "input_tokens": 10, "output_tokens": 5}
                )  # fmt: skip
    write_csv(folder / "bill.csv", tuple(bill[0]), bill)
    write_csv(folder / "requests.csv", tuple(asked[0]), asked)
    people = [
        {"id": "key-ann", "user_id": "ann", "customer_id": "firm"},
        {"id": "key-ben", "user_id": "ben", "customer_id": "firm"},
    ]
    write_csv(folder / "identities.csv", tuple(people[0]), people)
    paid = [
        {"customer_id": "firm", "user_id": user, "plan": plan, "period": f"2026-{month:02d}-01", "amount": amount,
         "currency": "USD"}
        for month in MONTHS
        for user, plan, amount in (("ann", "seat", 30), ("", "firm", 50), ("cyd", "seat", 30))
        if user != "cyd" or month == 7
    ]  # fmt: skip
    write_csv(folder / "revenue.csv", tuple(paid[0]), paid)
    assert farthing("collect", "--project", folder).code == 0
    assert farthing("build", "--project", folder).code == 0
    return folder


def _line(month: int, day: int, kind: str, category: str, amount: int) -> dict[str, object]:
    end = f"2026-{month + 1:02d}-01T00:00:00Z"
    return {
        "InvoiceId": f"I-{month}", "ProviderName": "AWS", "ServiceCategory": category, "ServiceName": category,
        "ResourceId": "", "ChargeDescription": f"{kind} {category}", "ChargeCategory": kind, "BillingCurrency": "USD",
        "BillingPeriodStart": f"2026-{month:02d}-01T00:00:00Z", "BillingPeriodEnd": end,
        "ChargePeriodStart": f"2026-{month:02d}-{day:02d}T00:00:00Z",
        "ChargePeriodEnd": f"2026-{month:02d}-{day:02d}T23:00:00Z",
        "BilledCost": amount, "EffectiveCost": amount,
    }  # fmt: skip


@pytest.mark.slow
def test_the_panel_of_a_project_is_cost_of_serving_before_credits_by_who_pays(seats: Path) -> None:
    said = farthing("tiers", "--project", seats, "--json")
    assert said.code in {0, 1}, said.err
    today = said.value["offers"][0]
    tiers = {tier["name"]: tier for tier in today["tiers"]}
    assert {name: tier["fee"] for name, tier in tiers.items()} == {"firm": "50", "seat": "30"}
    assert tiers["seat"]["cost"] == pytest.approx(60)  # ann's six of eight of the 80, without the credit and the office
    assert tiers["firm"]["cost"] == pytest.approx(20)
    assert tiers["seat"]["users"] == pytest.approx(1.25)  # cyd, who costs nothing, is there in one month of four
    assert tiers["seat"]["revenue"] == pytest.approx(37.5)
    assert said.value["run"]["fitted_months"] == [f"2026-0{month}" for month in MONTHS]
    assert any("before promotional credits" in note for note in said.value["coverage"]["notes"])


@pytest.mark.slow
def test_after_credits_the_same_serving_costs_half(seats: Path) -> None:
    today = farthing("tiers", "--project", seats, "--json", "--after-credits").value["offers"][0]
    assert sum(tier["cost"] for tier in today["tiers"]) == pytest.approx(40)


def test_a_project_of_one_month_says_how_many_it_takes(tiny_project: Path) -> None:
    said = farthing("tiers", "--project", tiny_project)
    assert said.code == 2
    assert "no whole month" in said.err
