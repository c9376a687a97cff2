"""The page of anomalies and budgets: what is open, what explains it, what readers say of it, and how budgets stand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from farthing import config as configuration
from farthing import issued
from farthing.lake import Lake
from farthing.lake.issued import BUDGET_STATUS, EPISODES
from farthing.warehouse import open_warehouse
from tests.dashboard.conftest import FORMULA
from tests.dashboard.test_pages import table

pytestmark = pytest.mark.slow  # a project is built and asked for each

Open = Callable[..., AppTest]
_NOW = datetime(2026, 11, 2, tzinfo=UTC)
_CAUSE = {
    "of": "ledger",
    "slice": {"model": "model-0", "team": FORMULA},
    "before": 1.0,
    "after": 3.0,
    "share": 0.9,
    "price_effect": 0.5,
    "volume_effect": 1.5,
}


@pytest.fixture
def broken(project: Path, tmp_path: Path) -> Path:
    """The company with three anomalies, one of them explained by another, and two budgets."""
    folder = Path(shutil.copytree(project, tmp_path / "company"))
    config = configuration.load(folder)
    lake = Lake(config.lake_path)
    row = {"BillingCurrency": "USD", "first_day": date(2026, 11, 1), "last_day": date(2026, 11, 1), "rule": "spend"}
    row |= {"expected": 1.0, "actual": 3.0, "updated_at": _NOW, "opened_at": _NOW, "state": "open", "level": "page"}
    total = {"episode_id": "e1", "dimension": "total", "impact": 2.0, "title": "Total trebled"}
    total["cause"] = json.dumps([_CAUSE])
    below = {
        "episode_id": "e2",
        "dimension": "pool",
        "key": "gpu",
        "impact": 1.5,
        "title": "Pool gpu",
        "level": "detail",
    }
    over = {
        "episode_id": "e3",
        "dimension": "pool",
        "key": "llm",
        "impact": 9.0,
        "title": "Pool llm",
        "state": "closed",
    }
    issued.put(lake, EPISODES, [row | total, row | below | {"parent_id": "e1"}, row | over])
    status = {"as_of": date(2026, 11, 1), "dimension": "total", "BillingCurrency": "USD"}
    status |= {"period_start": date(2026, 11, 1), "period_end": date(2026, 11, 30), "amount": Decimal(100)}
    above = {"budget": "all", "actual": Decimal(120), "basis": "actual", "threshold": 1.0}
    issued.add(lake, BUDGET_STATUS, [status | above, status | {"budget": "calm", "actual": Decimal(5)}])
    issued.publish(config, lake, print)
    return folder


def test_open_anomalies_are_counted_and_what_explains_them_is_shown(broken: Path, opened: Open) -> None:
    app = opened(broken, "anomalies")
    assert not app.exception
    assert any(title.value == "1 open anomaly of 2.00 USD" for title in app.subheader)
    assert [row["what"] for row in table(app, "state")] == ["Total trebled", "Pool llm"], "what is explained is below"
    assert table(app, "explained by")[0]["explained by"] == f"model model-0, team {FORMULA}"
    assert [row["explained by it"] for row in table(app, "explained by it")] == ["Pool gpu"]


def test_what_a_reader_says_is_written_to_the_lake_and_seen_at_once(broken: Path, opened: Open) -> None:
    app = opened(broken, "anomalies")
    app.text_input(key="note-e1").set_value("the launch")
    app.button(key="verdict-planned").click().run()
    assert not app.exception
    with open_warehouse(configuration.load(broken)) as con:
        assert con.execute("select episode_id, verdict, note from anomaly_feedback").fetchall() == [
            ("e1", "planned", "the launch")
        ]
    assert any(title.value == "No anomaly is open" for title in app.subheader)
    assert {row["what"]: row["said"] for row in table(app, "state")}["Total trebled"] == "It was planned"


def test_a_mute_is_made_and_ended_on_the_page(broken: Path, opened: Open) -> None:
    app = opened(broken, "anomalies")
    app.button(key="mute").click().run()
    assert not app.exception
    assert any(title.value.startswith("1 mute") for title in app.subheader)
    [row] = table(app, "of")
    assert (row["of"], row["rule"]) == ("total", "spend")
    [end] = [button for button in app.button if button.label == "Tell people of total spend again"]
    end.click().run()
    assert not app.exception
    assert not any("mute" in title.value for title in app.subheader)


def test_budgets_are_shown_as_they_stand(broken: Path, opened: Open) -> None:
    app = opened(broken, "anomalies")
    assert any(title.value == "all is or will be above its amount" for title in app.subheader)
    rows = {row["budget"]: row for row in table(app, "budget")}
    assert rows["all"]["used"] == Decimal("1.2")
    assert rows["all"]["crossed"] == "100% by actual"
    assert rows["calm"]["spent"] == Decimal(5)


def test_without_any_the_page_says_how_to_get_them(project: Path, opened: Open) -> None:
    app = opened(project, "anomalies")
    assert not app.exception
    assert [title.value for title in app.subheader] == ["No anomaly is known", "No budget was looked at"]
