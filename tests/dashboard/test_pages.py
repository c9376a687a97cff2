"""Each page shows what SQL on the same warehouse says, for the currency and days that are chosen."""

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

from dashboard.parts import NO_USER
from farthing import charts, figures
from tests.dashboard import conftest as company
from tests.farthing.build.world import World, at

Open = Callable[..., AppTest]
PAGES = (
    *("overview", "customers", "model_costs", "gpus", "agents", "forecast", "anomalies", "pricing", "whatif", "bills"),
)
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


@pytest.mark.slow
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

    def shown(page: str) -> AppTest:
        return chosen(opened(project, page), currency, period)

    def ask(query: str) -> list[tuple[Any, ...]]:
        where = f"BillingCurrency = '{currency}' and day between '{days[0]}' and '{days[1]}'"
        return warehouse.execute(query.format(where=where)).fetchall()

    [(ledger,)] = ask("select sum(cost) from cost_ledger where {where}")
    [(spread,)] = ask("select sum(cost) from pool_days where {where}")
    app = shown("bills")
    tie = metrics(app)
    assert tie["less ledger"] == f"{ledger:,}"
    assert Decimal(tie["Bill"]) - Decimal(tie["less accrued"]) == spread == ledger
    assert tie["Difference"] == ZERO
    pools = ask("select pool, sum(cost) from cost_ledger where {where} group by 1")
    assert {row["pool"]: row["ledger"] for row in table(app, "pool")} == dict(pools)
    assert {row["difference"] for row in table(app, "pool")} == {Decimal(0)}

    users = ask("select user_id, sum(cost) from cost_ledger where {where} group by 1 order by 2 desc, 1")
    app = shown("customers")
    found = {row["user"]: known(row["cost"]) for row in table(app, "user")}
    assert {name: cost for name, cost in found.items() if cost is not None} == {
        NO_USER if user is None else user: cost for user, cost in users
    }
    highest = next((user, cost) for user, cost in users if user is not None)
    finding = f"{figures.plain(highest[0])} cost most: {figures.money(highest[1])} {currency}"
    assert any(title.value.startswith(finding) for title in app.subheader)

    models = ask("select coalesce(model, '(no model)'), sum(cost) from cost_ledger where {where} group by 1")
    found = {row["model"]: known(row["cost"]) for row in table(shown("model_costs"), "model")}
    assert {name: cost for name, cost in found.items() if cost is not None} == dict(models)

    assert metrics(shown("overview"))[f"Spend, {currency}"] == figures.money(ledger)


@pytest.mark.slow
def test_margin_is_revenue_of_the_chosen_days_less_cost_of_serving(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    # The ledger's last day is the first of November: a thirtieth of what is paid for that month.
    for period, paid in (("all", "320.31"), ("2026-11", "10")):
        begin, end = ALL if period == "all" else NOVEMBER
        [(serving,)] = warehouse.execute(
            "select sum(cost) from cost_ledger join pools using (pool) where class = 'cogs'"
            f" and BillingCurrency = 'USD' and day between '{begin}' and '{end}'"
        ).fetchall()
        shown = metrics(chosen(opened(project, "overview"), "USD", period))
        assert shown["Revenue"] == figures.money(Decimal(paid))
        assert shown["Gross margin"] == figures.share(Decimal(paid) - serving, Decimal(paid))


@pytest.mark.slow
def test_customers_who_cost_more_than_they_pay_come_first(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = chosen(opened(project, "customers"), "USD", "all")
    rows = table(app, "customer")
    costs = dict(
        warehouse.execute(
            "select customer_id, sum(cost) from cost_ledger join pools using (pool) where class = 'cogs'"
            " and BillingCurrency = 'USD' group by 1"
        ).fetchall()
    )
    assert [row["customer"] for row in rows] == ["loser", "acme"]
    assert [row["margin"] for row in rows] == [Decimal("0.31") - costs["loser"], Decimal(320) - costs["acme"]]
    loss = figures.money(costs["loser"] - Decimal("0.31"))
    assert any(f"1 of 2 customers costs more than he pays: {loss} USD" in title.value for title in app.subheader)


def test_pair_is_of_one_plan_and_furthest_apart(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = chosen(opened(project, "customers"), "USD", "all")
    costs = warehouse.execute(
        "select user_id, sum(cost) from cost_ledger where BillingCurrency = 'USD' and user_id in ("
        "select user_id from identities where plan = 'pro') group by 1 order by 2"
    ).fetchall()
    (cheap, low), (dear, high) = costs[0], costs[-1]
    said = f"{figures.plain(dear)} cost {figures.ratio(high, low)} as much as {figures.plain(cheap)}"
    assert f"{said}, on the same plan: pro" in [title.value for title in app.subheader]


def test_cost_per_unit_is_of_what_no_pool_is_spread_by(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    [(serving,)] = warehouse.execute(
        "select sum(cost) from cost_ledger join pools using (pool) where class = 'cogs' and BillingCurrency = 'USD'"
    ).fetchall()
    shown = metrics(chosen(opened(project, "overview"), "USD", "all"))
    assert shown["Per ticket"] == figures.money(serving / (7 * sum(company.DAYS)))


@pytest.mark.slow
def test_cost_per_unit_of_a_level_is_by_the_mean_of_the_days_that_have_a_value(tmp_path: Path, opened: Open) -> None:
    """60 of serving; 3 + 1 stored on the 1st and 2 on the 3rd: a mean of 3."""
    world = World(*company.POOLS, units={"shelf": {"metric": "shelves", "measure": "mean"}})
    world.charge(60, at(day=1), at(day=4))
    for key, quantity, day in (("a", 3, 1), ("b", 1, 1), ("a", 2, 3)):
        world.metric("shelves", "customer", key, quantity, date(2026, 10, day))
    company.publish(world, tmp_path / "company")
    shown = metrics(chosen(opened(tmp_path / "company", "overview"), "USD", "all"))
    assert shown["Per shelf"] == "20.00"


def test_tasks_are_those_of_the_mart(project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open) -> None:
    app = chosen(opened(project, "agents"), "USD", "all")
    costs = [
        cost
        for (cost,) in warehouse.execute(
            "select cost from trace_costs where BillingCurrency = 'USD' order by cost"
        ).fetchall()
    ]
    shown = metrics(app)
    assert shown["Tasks"] == str(len(costs)) != "0"
    for label, part in (("Median", 50), ("p95", 95), ("p99", 99), ("Dearest", 100)):
        assert shown[f"{label}, USD"] == figures.money(costs[-(-len(costs) * part // 100) - 1])
    agents = dict(
        warehouse.execute("select agent, sum(cost) from trace_days where BillingCurrency = 'USD' group by 1").fetchall()
    )
    assert {row["agent"]: row["cost"] for row in table(app, "agent")} == agents
    # Every call of these tasks is within the days whose requests are kept, and made for one tool.
    assert [(row["tool"], row["cost"]) for row in table(app, "tool")] == [("search", sum(agents.values()))]


def test_nodes_cost_what_their_gpus_cost(project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open) -> None:
    app = chosen(opened(project, "gpus"), "USD", "all")
    nodes = dict(
        warehouse.execute(
            "select coalesce(node_id, ResourceId), sum(cost) from gpu_day where BillingCurrency = 'USD' group by 1"
        ).fetchall()
    )
    assert {row["node"]: row["cost"] for row in table(app, "node")} == nodes
    [(idle, cost)] = warehouse.execute(
        "select sum(idle_cost), sum(cost) from gpu_day where BillingCurrency = 'USD'"
    ).fetchall()
    assert metrics(app)["Idle, USD"] == f"{figures.money(idle)} ({figures.share(idle, cost)})"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_bill_alone_shows_every_page_and_says_what_is_missing(page: str, tmp_path: Path, opened: Open) -> None:
    world = World(*company.POOLS)
    world.charge("5", at("12:00"), resource=None, ProviderName="Tools")
    company.publish(world, tmp_path / "bill")
    app = opened(tmp_path / "bill", page)
    assert not app.exception
    assert app.title[0].value.endswith("?")
    assert "USD, 1 Oct 2026 · nothing is provisional · nothing is estimated" in app.markdown[0].value
    wanted = {"overview": "revenue", "customers": "revenue", "model_costs": "requests", "gpus": "gpu_inventory"}
    wanted |= {"agents": "trace_id", "pricing": "revenue", "whatif": "requests"}
    if page in wanted:
        assert any(wanted[page] in code.value for code in app.code)


@pytest.mark.slow
def test_all_days_tie_to_the_totals_of_every_currency(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = opened(project, "bills")
    totals = warehouse.execute("from totals").fetchall()
    assert {row[0] for row in totals} == {"USD", "EUR"}
    for currency, bill, ledger, accrued, _provisional, difference in totals:
        shown = metrics(chosen(app, currency, "all"))
        assert [shown[name] for name in ("Bill", "less ledger", "less accrued", "Difference")] == [
            f"{value:,f}" for value in (bill, ledger, accrued, difference)
        ]
    assert any(row[3] for row in totals)  # something is accrued


@pytest.mark.slow
def test_the_walk_of_a_month_is_that_of_the_mart(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = opened(project, "bills")
    for currency, period in (("USD", "2026-10"), ("USD", "all"), ("EUR", "2026-10")):
        month = "2026-11-01" if period == "all" else "2026-10-01"
        expected = warehouse.execute(
            "select sum(amount) from reconciliation_causes where month = ? and BillingCurrency = ? group by cause"
            " order by min(position)",
            [month, currency],
        ).fetchall()
        walk = table(chosen(app, currency, period), "step")
        assert [(row["amount"],) for row in walk] == expected
        assert walk[-1]["step"] == "cost of the calendar month in the ledger"


def test_requests_and_tokens_are_counted_once_whatever_the_currency(
    project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open
) -> None:
    app = opened(project, "customers")
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
    app = chosen(opened(project, "customers"), "USD", "all")
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
    app = opened(project, "bills")
    assert app.selectbox(key="period").value == "2026-11"
    assert app.markdown[0].value == "USD, 1 Nov 2026 · nothing is provisional · nothing is estimated"
    assert "USD, 1 Nov 2026" in app.subheader[0].value
    assert "SIMULATED" in app.caption[0].value
    assert any("And in EUR, never added: bill 0.07" in caption.value for caption in app.caption)
    assert metrics(app)["Provisional, of the ledger"] == "none"


def test_chosen_days_change_the_figures(project: Path, warehouse: duckdb.DuckDBPyConnection, opened: Open) -> None:
    app = chosen(opened(project, "bills"), "USD", "days")
    app.date_input(key="days").set_value((date(2026, 10, 2), date(2026, 10, 2))).run()
    [(cost,)] = warehouse.execute(
        "select sum(cost) from cost_ledger where day = '2026-10-02' and BillingCurrency = 'USD'"
    ).fetchall()
    assert metrics(app)["less ledger"] == f"{cost:,}" == metrics(app)["Bill"]


def test_search_keeps_the_line_without_a_user(project: Path, opened: Open) -> None:
    app = opened(project, "customers")
    app.text_input(key="search").set_value("USER-03").run()
    assert [row["user"] for row in table(app, "user")] == [NO_USER, "user-03"]


@pytest.mark.slow
def test_names_of_users_are_never_markup(project: Path, opened: Open) -> None:
    app = opened(project, "customers")
    app.text_input(key="search").set_value(company.LINK).run()
    assert company.LINK in [row["user"] for row in table(app, "user")]
    written = [one.value for kind in (app.subheader, app.caption, app.markdown) for one in kind]
    assert any(text.startswith(r"\[a\]\(https\://b\.example\) cost most") for text in written)
    assert not any("](https" in text for text in written)


@pytest.mark.slow
def test_a_new_publish_shows_on_the_next_run(project: Path, tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "moving"
    shutil.copytree(project, folder)
    app = chosen(opened(folder, "bills"), "USD", "all")
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
    assert set(charts.KINDS) == {name.removesuffix("_cost") for (name,) in columns} - {"provisional", "estimated"}
    assert len({colour for colour, _ in charts.KINDS.values()}) == len(charts.KINDS)
