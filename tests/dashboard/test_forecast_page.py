"""The forecast's page shows the newest issued forecast, and says where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from farthing import config as configuration
from farthing import issued
from farthing.lake import Lake
from farthing.lake.issued import FORECASTS, LANDINGS
from tests.dashboard.test_pages import metrics

pytestmark = pytest.mark.slow  # a project is built and asked for each

Open = Callable[..., AppTest]
AS_OF = date(2026, 10, 31)


@pytest.fixture
def foreseen(project: Path, tmp_path: Path) -> Path:
    """The company with two issued forecasts: an old one, and one of its total and of a pool."""
    folder = Path(shutil.copytree(project, tmp_path / "company"))
    config = configuration.load(folder)
    lake = Lake(config.lake_path)
    for number, (issue, scale) in enumerate({"old": 1.0, "new": 2.0}.items()):
        made = {
            "issue_id": issue,
            "issued_at": datetime(2026, 11, 1 + number, tzinfo=UTC),
            "as_of": AS_OF,
            "model": "ensemble",
            "BillingCurrency": "USD",
        }
        for dimension, key in (("total", None), ("pool", "gpu")):
            of = {**made, "dimension": dimension, "key": key}
            value = scale * (100 if key is None else 10)
            month = {"month": date(2026, 11, 1), "actual": Decimal(0), "forecast": value}
            issued.add(lake, LANDINGS, [{**of, **month, "q10": value / 2, "q90": value * 2}])
            days = [
                {**of, "day": AS_OF + timedelta(ahead), "forecast": value / 30, "q10": 1.0, "q90": 9.0}
                for ahead in range(1, 31)
            ]
            issued.add(lake, FORECASTS, days)
    issued.publish(config, lake, print)
    return folder


def test_the_newest_forecast_is_shown_and_not_an_older_one(foreseen: Path, opened: Open) -> None:
    app = opened(foreseen, "forecast")
    found = metrics(app)
    assert found["Low (80 % band), USD"] == "100.00"
    assert found["High (80 % band), USD"] == "400.00"
    assert any(title.value == "November 2026 is expected to land at 200.00 USD" for title in app.subheader)


def test_a_scope_is_chosen_by_its_name(foreseen: Path, opened: Open) -> None:
    app = opened(foreseen, "forecast")
    assert app.selectbox(key="scope").options == ["total", "pool=gpu"]
    app.selectbox(key="scope").set_value("pool=gpu").run()
    assert metrics(app)["High (80 % band), USD"] == "40.00"


def test_what_moved_the_cost_starts_and_ends_at_the_ledger(
    foreseen: Path, opened: Open, warehouse: duckdb.DuckDBPyConnection
) -> None:
    app = opened(foreseen, "forecast")
    app.selectbox(key="period").set_value("2026-11").run()
    assert not app.exception
    assert any(
        title.value.startswith(("Not driven", "Users", "Requests", "Tokens", "Cost", "Mix", "Volume"))
        for title in app.subheader
    )
    app.selectbox(key="period").set_value("all").run()
    assert any("choose a shorter period" in caption.value for caption in app.caption)


def test_without_a_forecast_the_page_says_what_issues_one(project: Path, opened: Open) -> None:
    app = opened(project, "forecast")
    assert not app.exception
    assert [title.value for title in app.subheader] == ["No forecast has been issued in USD"]
    assert app.code[0].value == "farthing forecast"
