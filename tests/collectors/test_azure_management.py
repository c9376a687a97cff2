"""Reports and totals that Azure makes when it is asked, through the SDK and a network that fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from collectors import azure_management
from collectors.azure import COLLECTOR
from collectors.kind import Total
from farthing import clock
from farthing.errors import ConfigError, SourceError
from tests.collectors.azure_api import TOKEN, Api, serving
from tests.collectors.test_azure import ACTUAL, AMORTIZED, EA, line, totals

pytestmark = pytest.mark.heavy

SCOPE = "/subscriptions/00000000-0000-0000-0000-000000000077"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("AZURE_TEST_TOKEN", TOKEN)
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 20, 6, tzinfo=UTC))
    with serving() as server:
        yield server


def source(api: Api, **more: Any) -> dict[str, Any]:
    return {"since": "2026-09-01", "key_env": "AZURE_TEST_TOKEN", "endpoint": api.url, "export": SCOPE} | more


def collect(world: Any, api: Api, **more: Any) -> list[Any]:
    return list(world.collect("azure", None, **source(api, **more)))


def test_a_month_is_made_of_both_reports(world: Any, api: Api) -> None:
    api.reports = {("ActualCost", "2026-09"): [ACTUAL], ("AmortizedCost", "2026-09"): [AMORTIZED]}
    [result] = collect(world, api)
    assert (result.file, result.form, result.landed) == (f"{SCOPE} 2026-09", "cost details report", 5)
    assert totals(world) == (40, 11)
    assert f"POST {SCOPE}/providers/Microsoft.CostManagement/generateCostDetailsReport" in api.asked


def test_months_from_since_to_today_and_a_month_without_costs_is_empty(world: Any, api: Api) -> None:
    api.reports = {(metric, "2026-09"): [EA + line("1"), EA + line("2")] for metric in ("ActualCost", "AmortizedCost")}
    results = collect(world, api, since="2026-07-15")
    assert [(result.file[-7:], result.landed) for result in results] == [("2026-07", 0), ("2026-08", 0), ("2026-09", 2)]
    assert totals(world) == (3, 3)


def test_an_open_month_is_asked_for_once_a_day_and_a_closed_one_a_last_time(
    world: Any, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(day: int, month: int = 10) -> list[str]:
        monkeypatch.setattr(clock, "now", lambda: datetime(2026, month, day, 6, tzinfo=UTC))
        return [result.status for result in collect(world, api)]

    def said(cost: str) -> None:
        api.reports = {(metric, "2026-09"): [EA + line(cost)] for metric in ("ActualCost", "AmortizedCost")}

    said("1")
    assert at(20, 9) == ["landed"]
    said("2")
    assert at(20, 9) == ["unchanged"]
    assert at(21, 9) == ["landed"]
    assert totals(world) == (2, 2)
    said("3")
    assert at(11) == ["landed", "landed"]
    assert at(12) == ["unchanged", "landed"]
    assert totals(world) == (3, 3)


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("generate", 429), ("generate", 500), ("/operation/", 429), ("/operation/", "cut"), ("/operation/", "slow"),
        ("/blob/", 503), ("/blob/", "cut"), ("/blob/", "slow"),
    ],
)  # fmt: skip
def test_what_passes_is_waited_for(world: Any, api: Api, where: str, fault: int | str) -> None:
    api.reports = {(metric, "2026-09"): [EA + line("1")] for metric in ("ActualCost", "AmortizedCost")}
    api.faults = [(where, fault)]
    api.waits = 0 if fault == "cut" else 1
    made = world.config("azure", None, **source(api))
    [statement] = COLLECTOR.find("one", made.sources["one"], made)
    rows = pl.read_parquet(statement.fetch(world.folder))
    assert (rows["BilledCost"].to_list(), api.faults) == (["1"], [])


def test_a_file_shorter_than_azure_says_does_not_land(world: Any, api: Api) -> None:
    api.reports = {(metric, "2026-09"): [EA + line("1")] for metric in ("ActualCost", "AmortizedCost")}
    api.faults = [("/blob/", "short")]
    [result] = collect(world, api)
    assert result.status == "failed"
    assert "bytes came; not landed" in result.problem.replace(f" and {len(EA + line('1')) - 5:,} came", " bytes came")


def test_a_report_that_azure_cannot_make_says_why(world: Any, api: Api) -> None:
    api.failed = True
    [result] = collect(world, api)
    assert "It took too long." in result.problem


def test_an_expired_token_says_what_to_renew(world: Any, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TEST_TOKEN", "an-old-one")
    with pytest.raises(SourceError, match="renew what key_env names"):
        collect(world, api)
    monkeypatch.delenv("AZURE_TEST_TOKEN")
    with pytest.raises(ConfigError, match="the environment has no AZURE_TEST_TOKEN"):
        collect(world, api)


def test_a_report_that_is_never_finished_is_given_up(world: Any, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_management, "_LONGEST_SECONDS", 1)
    api.waits, api.soon = 1, {"Retry-After": "3"}
    with pytest.raises(SourceError, match="has not made it within"):
        collect(world, api)


def test_a_scope_without_the_role_says_so(world: Any, api: Api) -> None:
    api.faults = [("generate", 403)]
    with pytest.raises(SourceError, match="grant the role"):
        collect(world, api)


def test_nobody_is_asked_before_a_month_is_read(world: Any, api: Api) -> None:
    made = world.config("azure", None, export=SCOPE, endpoint=api.url, key_env="AZURE_TEST_TOKEN")
    assert len(COLLECTOR.find("one", made.sources["one"], made)) == 2
    assert api.asked == []


def test_monthly_totals_follow_the_pages_and_keep_currencies_apart(
    world: Any, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [{"name": name, "type": "x"} for name in ("Cost", "SubscriptionId", "Currency")]
    api.pages = [
        {"columns": columns, "rows": [[0.1, "s-1", "EUR"], [5, "s-1", "USD"]]},
        {"columns": columns, "rows": [[0.2, "s-1", "EUR"]]},
    ]
    made = world.config("azure", None, export=SCOPE, endpoint=api.url, key_env="AZURE_TEST_TOKEN")
    api.faults = [("/query", 429)]
    source, september = made.sources["one"], date(2026, 9, 1)
    report = world.report
    assert COLLECTOR.totals("one", source, september, report, pay=False) == []
    assert (report.messages, api.asked) == (["would ask Cost Management for 2026-09; it costs nothing."], [])
    found = COLLECTOR.totals("one", source, september, report, pay=True)
    assert found == [
        Total("SubAccountId", "s-1", "EUR", Decimal("0.3"), Decimal("0.3"), open=True),
        Total("SubAccountId", "s-1", "USD", Decimal(5), Decimal(5), open=True),
    ]
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 10, 12, tzinfo=UTC))
    settled = COLLECTOR.totals("one", source, september, report, pay=True)
    assert settled == [replace(total, open=False) for total in found]
    container = source.model_copy(update={"export": "https://account.blob.core.windows.net/exports"})
    assert COLLECTOR.totals("one", container, september, report, pay=True) is None
