"""The simulated company is forecast as a whole: coherent, with intervals that hold, and issued once."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from farthing import clock, config, demo
from farthing.demo.world import LAST_DAY
from tests.farthing.build.world import at
from tests.farthing.commands import farthing

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]
NOW = at("06:00", day=(LAST_DAY - at().date()).days + 2)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = demo.write(tmp_path_factory.mktemp("demo") / "acme").folder
    for verb in ("collect", "build"):
        said = farthing(verb, "--project", found)
        assert said.code == 0, said.err
    return found


def test_parts_of_the_company_add_up_and_september_lands_where_it_was_foreseen(project: Path) -> None:
    said = farthing(
        "forecast", "--project", project, "--as-of", "2026-09-15", "--model", "quick", "--scope", "all", "--json"
    )
    assert said.code == 0, said.err
    landed = {(row["scope"], row["currency"]): row for row in said.value if row["month"] == "2026-09"}
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for (name, currency), row in landed.items():
        dimension = "leaf" if " x " in name else name.partition("=")[0]
        sums[dimension, currency] += row["forecast"]
    for currency in ("USD", "EUR"):
        for dimension in ("team", "model", "leaf"):
            assert sums[dimension, currency] == pytest.approx(sums["total", currency], abs=0.5)
    query = "select sum(cost) as cost from cost_ledger where BillingCurrency = 'USD' and month(day) = 9"
    [came] = farthing("query", query, "--project", project, "--json").value
    total = landed["total", "USD"]
    assert total["q025"] < float(came["cost"]) < total["q975"]
    assert total["q975"] - total["q025"] < 0.25 * float(came["cost"])


def test_the_whole_forecast_is_issued_once_and_shown_from_there(project: Path) -> None:
    with clock.fixed(NOW):
        first = farthing("forecast", "--project", project, "--json", "--scope", "all")
        assert first.code == 0, first.err
        again = farthing("forecast", "--project", project, "--json", "--scope", "all")
    assert "issued before" in again.err
    assert again.value == first.value
    assert all(row["low"] <= row["q50"] <= row["high"] for row in first.value)
    found = config.load(project).forecast
    [stored] = farthing(
        "query", "select count(*) n, max(day) d from forecasts where dimension = 'total' and BillingCurrency = 'USD'",
        "--project", project, "--json",
    ).value  # fmt: skip
    assert stored == {"n": found.horizon_days, "d": f"{LAST_DAY + timedelta(days=found.horizon_days)}"}
