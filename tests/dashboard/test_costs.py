"""The page of costs shows what SQL on the same warehouse says, for the currency and days that are chosen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.costs import NO_USER
from farthing import charts, figures
from tests.dashboard import conftest as company
from tests.farthing.build.world import World, at

Open = Callable[[Path], AppTest]
OCTOBER = ("2026-10-01", "2026-10-31")
NOVEMBER = ("2026-11-01", "2026-11-01")
ALL = ("2026-10-01", "2026-11-01")
ZERO = "0.000000000000"


def metrics(app: AppTest) -> dict[str, str]:
    assert not app.exception
    return {metric.label: str(metric.value) for metric in app.metric}


def table(app: AppTest, name: str) -> list[dict[str, Any]]:
    [found] = [one.value for one in app.dataframe if one.value.columns[0] == name]
    rows: list[dict[str, Any]] = found.to_dict("records")
    return rows


def chosen(app: AppTest, currency: str, period: str) -> AppTest:
    app.selectbox(key="currency").set_value(currency)
    return app.selectbox(key="period").set_value(period).run()


def known(value: Any) -> Any:
    """A cell as SQL has it: pandas says NaN where nothing is known."""
    return None if value is None or value != value else value  # noqa: PLR0124


@pytest.mark.parametrize(
    ("currency", "period", "days"),
    [
        ("USD", "all", ALL),
        ("USD", "2026-10", OCTOBER),
        ("USD", "2026-11", NOVEMBER),
        ("EUR", "all", ALL),
        ("EUR", "2026-10", OCTOBER),
    ],
)
def test_figures_are_those_of_the_warehouse(
    project: Path,
    warehouse: duckdb.DuckDBPyConnection,
    opened: Open,
    currency: str,
    period: str,
    days: tuple[str, str],
) -> None:
    app = chosen(opened(project), currency, period)

    def ask(query: str) -> list[tuple[Any, ...]]:
        where = f"BillingCurrency = '{currency}' and day between '{days[0]}' and '{days[1]}'"
        return warehouse.execute(query.format(where=where)).fetchall()

    [(ledger,)] = ask("select sum(cost) from cost_ledger where {where}")
    [(spread,)] = ask("select sum(cost) from pool_days where {where}")
    shown = metrics(app)
    assert shown["less ledger"] == f"{ledger:,}"
    assert Decimal(shown["Bill"]) - Decimal(shown["less accrued"]) == spread == ledger
    assert shown["Difference"] == ZERO

    users = ask("select user_id, sum(cost) from cost_ledger where {where} group by 1 order by 2 desc, 1")
    found = {row["user"]: known(row["cost"]) for row in table(app, "user")}
    assert {name: cost for name, cost in found.items() if cost is not None} == {
        NO_USER if user is None else user: cost for user, cost in users
    }
    highest = next((user, cost) for user, cost in users if user is not None)
    finding = f"{figures.plain(highest[0])} cost most: {figures.money(highest[1])} {currency}"
    assert any(title.value.startswith(finding) for title in app.subheader)

    models = ask("select coalesce(model, '(no model)'), sum(cost) from cost_ledger where {where} group by 1")
    found = {row["model"]: known(row["cost"]) for row in table(app, "model")}
    assert {name: cost for name, cost in found.items() if cost is not None} == dict(models)

    pools = ask("select pool, sum(cost) from cost_ledger where {where} group by 1")
    assert {row["pool"]: row["ledger"] for row in table(app, "pool")} == dict(pools)
    assert {row["difference"] for row in table(app, "pool")} == {Decimal(0)}


def test_all_days_tie_to_the_totals_of_every_currency(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = opened(project)
    totals = warehouse.execute("from totals").fetchall()
    assert {row[0] for row in totals} == {"USD", "EUR"}
    for currency, bill, ledger, accrued, difference in totals:
        shown = metrics(chosen(app, currency, "all"))
        assert [shown[name] for name in ("Bill", "less ledger", "less accrued", "Difference")] == [
            f"{value:,f}" for value in (bill, ledger, accrued, difference)
        ]
    assert any(row[3] for row in totals)  # something is accrued


def test_requests_and_tokens_are_counted_once_whatever_the_currency(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = opened(project)
    asked = dict(
        warehouse.execute(
            "select coalesce(user_id, '(no user)'), count(*) from requests where day < '2026-11-01' group by 1"
        ).fetchall()
    )
    for currency in ("USD", "EUR"):
        rows = table(chosen(app, currency, "2026-10"), "user")
        assert {row["user"]: row["requests"] for row in rows if known(row["requests"])} == asked


def test_spread_is_of_users_and_not_of_the_line_without_one(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = chosen(opened(project), "USD", "all")
    costs = [
        cost
        for (cost,) in warehouse.execute(
            "select sum(cost) from user_day where BillingCurrency = 'USD' and user_id is not null group by user_id"
            " order by 1"
        ).fetchall()
    ]
    median, p95 = costs[(len(costs) - 1) // 2], costs[-(-len(costs) * 95 // 100) - 1]
    [finding] = [title.value for title in app.subheader if title.value.startswith("Median")]
    assert finding.startswith(
        f"Median user {figures.money(median)} USD, p95 {figures.money(p95)}, highest {figures.money(costs[-1])}"
    )


def test_newest_month_is_shown_first_and_every_choice_says_its_days(project: Path, opened: Open) -> None:
    app = opened(project)
    assert app.selectbox(key="period").value == "2026-11"
    assert "USD, 1 Nov 2026" in app.subheader[0].value
    assert "SIMULATED" in app.caption[0].value
    assert any("And in EUR, never added: bill 0.07" in caption.value for caption in app.caption)
    assert metrics(app)["Provisional, of the ledger"] == "none"


def test_chosen_days_change_the_figures(project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open) -> None:
    app = chosen(opened(project), "USD", "days")
    app.date_input(key="days").set_value((date(2026, 10, 2), date(2026, 10, 2))).run()
    [(cost,)] = warehouse.execute(
        "select sum(cost) from cost_ledger where day = '2026-10-02' and BillingCurrency = 'USD'"
    ).fetchall()
    assert metrics(app)["less ledger"] == f"{cost:,}" == metrics(app)["Bill"]


def test_search_keeps_the_line_without_a_user(project: Path, opened: Open) -> None:
    app = opened(project)
    app.text_input(key="search").set_value("USER-03").run()
    assert [row["user"] for row in table(app, "user")] == [NO_USER, "user-03"]


def test_names_of_users_are_never_markup(project: Path, opened: Open) -> None:
    app = opened(project)
    app.text_input(key="search").set_value(company.LINK).run()
    assert company.LINK in [row["user"] for row in table(app, "user")]
    written = [one.value for kind in (app.subheader, app.caption, app.markdown) for one in kind]
    assert any(text.startswith(r"\[a\]\(https\://b\.example\) cost most") for text in written)
    assert not any("](https" in text for text in written)


def test_a_new_publish_shows_on_the_next_run(project: Path, tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "moving"
    shutil.copytree(project, folder)
    app = chosen(opened(folder), "USD", "all")
    before = Decimal(metrics(app)["Bill"])
    late = World(*company.POOLS)
    late.charge("1000", at("13:00", company.DAYS[-1]), resource="late", month=date(2026, 11, 1))
    company.publish(late, folder)
    assert Decimal(metrics(app.run())["Bill"].replace(",", "")) == before + 1000
    assert metrics(app)["Difference"] == ZERO


def test_every_kind_of_cost_has_a_colour_of_its_own(warehouse: duckdb.DuckDBPyConnection) -> None:
    columns = warehouse.execute(
        "select column_name from duckdb_columns() where table_name = 'model_day' and ends_with(column_name, '_cost')"
    ).fetchall()
    assert set(charts.KINDS) == {name.removesuffix("_cost") for (name,) in columns} - {"provisional"}
    assert len({colour for colour, _ in charts.KINDS.values()}) == len(charts.KINDS)
