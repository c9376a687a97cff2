"""Pages show idle hours, rates, restatements, what is unmatched and what is written off as their marts have them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from farthing import config as configuration
from farthing import figures
from farthing.warehouse import open_warehouse
from tests import restated
from tests.dashboard.test_pages import chosen, known, metrics, table

pytestmark = pytest.mark.slow  # builds of a whole project

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return restated.publish(tmp_path_factory.mktemp("restated"))


def ask(project: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_warehouse(configuration.load(project)) as con:
        return con.execute(sql).fetchall()


def headings(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(title.value for title in app.subheader)


def test_idle_cost_by_night_is_that_of_gpu_hours(project: Path, opened: Open) -> None:
    app = chosen(opened(project, "gpus"), "USD", "all")
    [(night, whole)] = ask(project, "select sum(idle_cost) filter (where hour < 6), sum(idle_cost) from gpu_hours")
    assert 0 < night < whole
    said = f"the fleet idled for {figures.money(night)} USD, {figures.share(night, whole)} of all idle cost"
    assert said in headings(app)


def test_rates_are_those_of_the_mart_with_the_premium_over_the_contract(project: Path, opened: Open) -> None:
    app = chosen(opened(project, "gpus"), "USD", "all")
    expected = ask(
        project, "select gpu_model, pricing_category, commitment, gpu_hours, rate, premium from gpu_rate order by all"
    )
    names = ("GPU", "pricing", "commitment", "GPU-hours", "per hour", "premium")
    shown = [tuple(known(row[name]) for name in names) for row in table(app, "provider")]
    assert sorted(shown, key=str) == sorted(expected, key=str)
    assert ("H100", "Standard", None, 2, 3, Decimal("0.5")) in shown  # 6 less two hours at 2.75
    assert "Above the cheapest contracted rate: 0.5000 USD" in headings(app)


def test_a_node_that_nobody_watches_is_not_called_idle(project: Path, opened: Open) -> None:
    said = headings(chosen(opened(project, "gpus"), "USD", "all"))
    assert r"Not watched: node\-2, 6.00 USD" in said
    assert "never seen busy" not in said


def test_what_a_late_bill_changed_is_that_of_restatements(project: Path, opened: Open) -> None:
    app = chosen(opened(project, "bills"), "USD", "all")
    expected = ask(project, "select pool, day, change, cost from restatements where change <> 0")
    shown = [tuple(row[n] for n in ("pool", "from", "change", "cost now")) for row in table(app, "stated at (UTC)")]
    assert shown == expected
    assert [row[2] for row in shown] == [Decimal(restated.LATE)]
    assert f"A later bill changed what was stated before by {restated.LATE} USD" in headings(app)


def test_what_no_join_matched_is_listed_with_its_money(project: Path, opened: Open) -> None:
    app = chosen(opened(project, "bills"), "USD", "all")
    expected = ask(project, "select subject, key, requests, cost from unmatched order by all")
    names = ("what", "key", "requests", "cost")
    shown = [tuple(known(row[name]) for name in names) for row in table(app, "what")]
    assert sorted(shown, key=str) == sorted(expected, key=str)
    assert {"user not in identities", "GPU without telemetry"} <= {row[0] for row in shown}
    assert ("GPU without telemetry", "H", None, 6) in shown


def test_training_is_written_off_beside_the_cost_of_models(project: Path, opened: Open) -> None:
    app = chosen(opened(project, "model_costs"), "USD", "all")
    [(cost,)] = ask(project, "select cost from training_amortisation where month = '2026-10-01'")
    assert cost == 20  # 60 over October, November and December
    [frame] = [one.value for one in app.dataframe if list(one.value.columns) == ["model", "training"]]
    assert frame.to_dict("records") == [{"model": "v2", "training": cost}]
    assert f"Training written off in these months: {figures.money(cost)} USD" in headings(app)


def test_idle_share_of_the_first_page_is_of_the_ledger(project: Path, opened: Open) -> None:
    app = chosen(opened(project, "overview"), "USD", "all")
    [(idle, cost)] = ask(project, "select sum(cost) filter (where kind = 'idle'), sum(cost) from cost_ledger")
    assert metrics(app)["Idle"] == figures.share(idle, cost)


def test_a_user_has_his_plan_and_what_he_pays_where_that_is_known(project: Path, opened: Open) -> None:
    app = chosen(opened(project, "customers"), "USD", "all")
    found = {row["user"]: (known(row["plan"]), known(row["pays"])) for row in table(app, "user")}
    assert found == {"ann": ("pro", Decimal(1)), "stranger": (None, None), "(no user)": (None, None)}


def test_own_gpus_stand_against_vendors_by_a_million_tokens(project: Path, opened: Open) -> None:
    said = headings(chosen(opened(project, "model_costs"), "USD", "all"))
    [(own, tokens)] = ask(
        project,
        "select (select sum(cost) from cost_ledger where pool = 'gpu' and model = 'm'),"
        " (select sum(input_tokens + output_tokens) from usage_days where model = 'm')",
    )
    assert tokens == 330
    own = figures.money(own * 1_000_000 / tokens)
    assert f"A million tokens cost {own} USD on own GPUs, idle time included, and 5,000.00 by API" in said
