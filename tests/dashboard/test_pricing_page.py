"""The page of prices shows what the library finds on the same warehouse, and keeps the limits that a reader sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from farthing import config as configuration
from farthing.tiers import company, document
from farthing.tiers import study as studies
from farthing.tiers.panel import Read
from farthing.tiers.spec import Spec
from farthing.warehouse import open_warehouse
from tests.dashboard import conftest
from tests.dashboard.test_pages import known, metrics, table
from tests.farthing.build.world import World, at

pytestmark = pytest.mark.slow  # a project is built and asked for each

Open = Callable[..., AppTest]
#: First and last days of three whole months, of October on; and how many requests the payers make on each.
DAYS = (1, 31, 32, 61, 62, 92)
ASKED = (1,) * 20 + (2,) * 10 + (3,) * 6 + (6,) * 4


def _seats(folder: Path, *, paid: bool) -> Path:
    """Forty customers on one plan of 30 a month share some 500: half use little, four of them more than they pay."""
    pool = {"name": "serving", "kind": "shared", "driver": "requests", "class": "cogs", "match": {"ProviderName": "A"}}
    world = World(pool)
    for day in DAYS:
        noon = at("12:00", day)
        month = noon.date().replace(day=1)
        world.charge(
            250 + 12 * (month.month % 3), noon, resource=None, ProviderName="A", month=month, invoice=f"{month:%Y-%m}"
        )
        for number, count in enumerate(ASKED):
            for _ in range(count):
                world.request(noon, noon, user=f"user-{number}", customer_id=f"firm-{number}", replica=None)
    months = sorted({at("12:00", day).date().replace(day=1) for day in DAYS})
    rows = [(f"firm-{number}", "pro", month, "30", "USD") for number in range(len(ASKED)) for month in months]
    conftest.publish(world, folder, paid=rows if paid else (), now=datetime(2027, 1, 2, tzinfo=UTC))
    return folder


@pytest.fixture(scope="module")
def seats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _seats(tmp_path_factory.mktemp("seats"), paid=True)


@pytest.fixture(scope="module")
def read(seats: Path) -> Read:
    config = configuration.load(seats)
    with open_warehouse(config) as con:
        return company.read(con, config, Spec(), "USD")[0]


def _offers(app: AppTest) -> list[dict[str, Any]]:
    """Both tables of offers: fair-use caps, and menus."""
    frames = [one.value for one in app.dataframe if one.value.columns[0] == "offer"]
    return [row for frame in frames for row in frame.to_dict("records")]


def _same(shown: Sequence[Any], found: Sequence[Any]) -> bool:
    return [known(value) for value in shown] == list(found)


def test_first_figures_are_those_of_the_command_without_a_spec(seats: Path, read: Read, opened: Open) -> None:
    app = opened(seats, "pricing")
    study = studies.study(Spec(), read)
    whole = document.document(study, {})
    assert len(study.menus) > 1
    assert any(study.run_id in caption.value for caption in app.caption)
    shown = _offers(app)
    assert [row["offer"] for row in shown] == [one["id"] for one in whole["offers"]]
    for row, one in zip(shown, whole["offers"], strict=True):
        found = [one["limits"]["users_hit"], one["gm_q05"], one["gm_q50"], one["gm_q95"], one["loss_making_share"]]
        names = ("users hit", "margin q05", "margin q50", "margin q95", "loss-makers")
        assert _same([row[name] for name in names], found)
    [detail] = [one for one in whole["offers"] if one["id"] == study.detail.id]
    for row, tier in zip(table(app, "tier"), detail["tiers"], strict=True):
        keys = ("users", "revenue", "cost", "gm_q05", "gm_q50", "gm_q95", "loss_making_share", "break_even_cost")
        columns = ("users", "revenue", "cost", "margin q05", "margin q50", "margin q95", "loss-makers", "break-even")
        assert _same([row[column] for column in columns], [tier[key] for key in keys])
    [moves] = table(app, "from \\ to")
    assert moves.pop("from \\ to") == "pro"
    assert {to: users for to, users in moves.items() if users} == {
        move["to"]: move["users"] for move in detail["migration"]
    }
    assert [row["user"] for row in table(app, "user")] == [one["user"] for one in whole["detail"]["most_hit"]]
    margins = {row["if"]: row["margin"] for row in table(app, "if")}
    assert margins["unit cost x1.3"] == detail["margin_at_unit_cost"]["x1.3"]


def test_what_is_shown_first_is_the_fair_use_cap(seats: Path, opened: Open) -> None:
    app = opened(seats, "pricing")
    assert app.subheader[1].value.startswith("First lever: a fair-use cap (cap-1.5x)")
    assert app.dataframe[0].value["offer"].tolist()[0] == "now"


def test_a_tighter_limit_is_kept_by_every_menu(seats: Path, read: Read, opened: Open) -> None:
    app = opened(seats, "pricing")
    assert max(row["users hit"] for row in _offers(app)) > 0.1
    app.number_input(key="users-hit").set_value(10).run()
    assert not app.exception
    shown = _offers(app)
    assert max(row["users hit"] for row in shown) <= 0.1
    spec = Spec()
    spec = spec.model_copy(update={"limits": spec.limits.model_copy(update={"users_hit": 0.1})})
    assert [row["offer"] for row in shown] == [card.id for card in studies.study(spec, read).cards]


def test_limits_that_no_menu_keeps_are_named(seats: Path, opened: Open) -> None:
    app = opened(seats, "pricing")
    for key in ("users-hit", "overage-share", "users-capped", "hit-steeply"):
        app.number_input(key=key).set_value(0)
    app.run()
    assert not app.exception
    assert any(title.value.startswith("None of ") for title in app.subheader)
    assert "users_hit" in app.warning[0].value


def test_another_offer_shows_whom_it_hits(seats: Path, read: Read, opened: Open) -> None:
    app = opened(seats, "pricing")
    first = app.selectbox(key="offer").value
    other = next(row["offer"] for row in _offers(app) if row["offer"].startswith("M") and row["offer"] != first)
    app.selectbox(key="offer").set_value(other).run()
    study = studies.study(Spec(), read, detail=other)
    detail = document.document(study, {})["detail"]
    assert detail["most_hit"]
    assert [(row["user"], row["new bill"]) for row in table(app, "user")] == [
        (one["user"], one["new_bill"]) for one in detail["most_hit"]
    ]
    assert metrics(app)["Profit a month, USD"] == f"{study.detail.profit[1]:,.2f}"


def test_an_offer_that_a_tighter_limit_takes_away_leaves_another_to_look_at(seats: Path, opened: Open) -> None:
    app = opened(seats, "pricing")
    before = app.selectbox(key="offer").options
    app.selectbox(key="offer").set_value(before[-1]).run()
    for key in ("users-hit", "overage-share", "users-capped", "hit-steeply"):
        app.number_input(key=key).set_value(0)
    app.run()
    assert not app.exception
    assert before[-1] not in app.selectbox(key="offer").options
    assert app.selectbox(key="offer").value in app.selectbox(key="offer").options


def test_price_points_that_make_no_menu_are_refused_in_words(seats: Path, opened: Open) -> None:
    app = opened(seats, "pricing")
    app.multiselect(key="price-points").set_value(["20"]).run()
    assert not app.exception
    assert "make no menu" in app.warning[0].value
    app.multiselect(key="price-points").set_value(["20", "dear"]).run()
    assert not app.exception
    assert "is no number" in app.warning[0].value


def test_price_points_are_those_of_the_menus(seats: Path, opened: Open) -> None:
    app = opened(seats, "pricing")
    app.multiselect(key="price-points").set_value(["30", "60"])
    for key in ("users-hit", "hit-steeply", "users-capped", "overage-share"):
        app.number_input(key=key).set_value(100)
    app.run()
    plans = [row["plans"] for row in _offers(app) if row["offer"].startswith("M")]
    assert plans
    assert all(plan.startswith("30 ") and "| 60 " in plan for plan in plans)


def test_where_every_plan_stays_there_is_nothing_to_choose(seats: Path, opened: Open) -> None:
    app = opened(seats, "pricing")
    app.multiselect(key="kept-plans").set_value(["pro"]).run()
    assert not app.exception
    assert "every user is kept" in app.warning[0].value
    assert not _offers(app)


def test_cost_is_before_credits_until_the_reader_wants_it_after_them(seats: Path, opened: Open) -> None:
    app = opened(seats, "pricing")
    assert any("before promotional credits" in caption.value for caption in app.caption)
    app.toggle(key="after-credits").set_value(True).run()
    assert any("after promotional credits" in caption.value for caption in app.caption)


def test_without_revenue_the_page_says_what_to_add(tmp_path: Path, opened: Open) -> None:
    app = opened(_seats(tmp_path / "unpaid", paid=False), "pricing")
    assert not app.exception
    assert any("No revenue in USD is known" in info.value for info in app.info)
    assert 'kind = "revenue"' in app.code[0].value
    assert _offers(app)


def test_too_few_months_are_said(project: Path, opened: Open) -> None:
    app = opened(project, "pricing")
    assert not app.exception
    assert app.subheader[-1].value == "Plans cannot be simulated in USD yet"
    assert "cannot tell how much months differ" in app.info[0].value
