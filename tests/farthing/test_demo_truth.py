"""What is planted in the demo is found again in the warehouse that is built from its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from farthing import config, demo, warehouse
from tests.farthing.commands import farthing

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoFacts:
    found = demo.write(tmp_path_factory.mktemp("demo") / "acme")
    for verb in ("collect", "build"):
        said = farthing(verb, "--project", found.folder)
        assert said.code == 0, said.err
    return found


@pytest.fixture(scope="module")
def con(facts: demo.DemoFacts) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.open_warehouse(config.load(facts.folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def truth(facts: demo.DemoFacts) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(facts.truth.read_text())
    return found


@pytest.fixture(scope="module")
def planted(truth: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = truth["planted"]
    return found


def one(con: duckdb.DuckDBPyConnection, query: str, *values: object) -> Any:
    """The only value of the only row."""
    [(value,)] = con.execute(query, values).fetchall()
    return value


def day(text: str) -> date:
    return datetime.fromisoformat(text).date()


def test_ledger_is_the_bill_and_what_is_provisional(con: duckdb.DuckDBPyConnection, facts: demo.DemoFacts) -> None:
    billed = con.execute("select BillingCurrency, sum(cost) from cost_ledger where not provisional group by 1")
    assert dict(billed.fetchall()) == facts.bill


def test_bill_by_month_and_class_is_in_the_ledger(con: duckdb.DuckDBPyConnection, truth: dict[str, Any]) -> None:
    found = con.execute(
        """
        select strftime(day, '%Y-%m'), class || ' ' || BillingCurrency, sum(cost)
        from cost_ledger inner join pools on cost_ledger.pool = pools.pool where not provisional group by 1, 2
        """
    ).fetchall()
    expected = {
        (month, name): Decimal(cost)
        for month, costs in truth["bill_by_month_and_class"].items()
        for name, cost in costs.items()
    }
    assert {(month, name): cost for month, name, cost in found} == expected


@pytest.mark.parametrize("months", [["2026-05"], [f"2026-{number:02d}" for number in range(4, 11)]])
def test_gross_margin_is_74_percent_and_hardly_less_after_everything(
    con: duckdb.DuckDBPyConnection, months: list[str]
) -> None:
    [(cogs, cost)] = con.execute(
        """
        select sum(cost) filter (where class = 'cogs'), sum(cost)
        from cost_ledger inner join pools on cost_ledger.pool = pools.pool
        where BillingCurrency = 'USD' and list_contains(?, strftime(day, '%Y-%m'))
        """,
        [months],
    ).fetchall()
    revenue = one(con, "select sum(amount) from revenue where list_contains(?, strftime(period, '%Y-%m'))", months)
    assert float(1 - cogs / revenue) == pytest.approx(0.74, abs=0.005)
    assert float(1 - cost / revenue) == pytest.approx(0.74, abs=0.005)


def test_tickets_and_revenue_are_whole(con: duckdb.DuckDBPyConnection, truth: dict[str, Any]) -> None:
    solved = con.execute(
        "select strftime(day, '%Y-%m'), sum(quantity) from metrics where name = 'tickets_solved' group by 1"
    )
    assert dict(solved.fetchall()) == truth["tickets_by_month"]
    paid = con.execute("select strftime(period, '%Y-%m'), sum(amount) from revenue group by 1")
    assert dict(paid.fetchall()) == truth["revenue_by_month"]


def test_one_coding_user_costs_five_hundred_times_the_other(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    pair = planted["coding_pair"]
    costs = dict(
        con.execute(
            """
            select user_id, sum(cost) from cost_ledger
            where user_id in (?, ?) and kind = 'direct' and feature = 'coding' group by user_id
            """,
            [pair["light"], pair["heavy"]],
        ).fetchall()
    )
    assert float(costs[pair["heavy"]] / costs[pair["light"]]) == pytest.approx(pair["cost_ratio"], rel=0.001)
    calls = con.execute(
        """
        select user_id, sum(requests) / count(distinct day) from usage_days
        where user_id in (?, ?) group by 1 order by 2
        """,
        [pair["light"], pair["heavy"]],
    ).fetchall()
    assert calls == [(pair["light"], pair["completions_a_day"][0]), (pair["heavy"], pair["completions_a_day"][1])]


def test_runaway_agent_is_the_task_with_most_calls_and_cost(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    runaway = planted["runaway_agent"]
    [first, second] = con.execute(
        """
        select trace_id, min(day), sum(llm_calls), sum(cost), any_value(customer_id)
        from trace_days group by trace_id order by sum(cost) desc limit 2
        """
    ).fetchall()
    assert first[:3] == (runaway["trace_id"], day(runaway["day"]), runaway["calls"])
    assert first[4] == runaway["customer_id"]
    assert first[3] > 5 * second[3]


def test_agent_tasks_spread_far(con: duckdb.DuckDBPyConnection) -> None:
    [(half, most, nearly_all)] = con.execute(
        """
        select quantile_disc(cost, 0.5), quantile_disc(cost, 0.95), quantile_disc(cost, 0.99)
        from (select sum(cost) as cost from trace_days group by trace_id)
        """
    ).fetchall()
    assert most > 2 * half
    assert nearly_all > Decimal("1.3") * most


def test_forgotten_node_costs_money_and_is_never_busy(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    node = planted["forgotten_node"]
    idle = con.execute(
        """
        select ResourceId, min(day), sum(cost), sum(idle_cost) from gpu_days
        group by ResourceId having sum(busy_seconds) = 0
        """
    ).fetchall()
    days = (date(2026, 10, 31) - day(node["from"])).days + 1
    cost = days * Decimal(node["cost_a_day"])
    assert idle == [(node["ResourceId"], day(node["from"]), cost, cost)]


def test_fleet_is_idle_at_night(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    night = planted["idle_night"]
    shares = dict(
        con.execute(
            """
            select hour(gpu_usage.started_at), sum(busy_seconds) / sum(covered_seconds)
            from gpu_usage
            inner join gpu_inventory on gpu_usage.gpu_uuid = gpu_inventory.gpu_uuid
            where gpu_inventory.model = 'acme-support-70b' and isodow(gpu_usage.started_at) <= 5 group by 1
            """
        ).fetchall()
    )
    first, last = night["day_hours"]
    assert max(shares[hour] for hour in night["hours"]) < night["busy_share_below"]
    assert min(shares[hour] for hour in range(first, last + 1)) > 0.3


def test_unpriced_model_is_used_from_its_day_on(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    unpriced = planted["unpriced_model"]
    [(first, share)] = con.execute(
        """
        select
            min(day) filter (where model = ?),
            sum(requests) filter (where model = ?) / sum(requests)
        from usage_days where provider = ? and feature = ? and environment = 'production' and day >= ?
        """,
        [unpriced["model"], unpriced["model"], unpriced["of"]["provider"], unpriced["of"]["feature"], unpriced["from"]],
    ).fetchall()
    assert first == day(unpriced["from"])
    assert share == pytest.approx(unpriced["share"], abs=0.02)


def test_price_rise_shows_as_a_dearer_unit(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    rise = planted["price_rise"]
    prices = con.execute(
        """
        select ChargePeriodStart >= ?, max(ContractedUnitPrice), min(ContractedUnitPrice)
        from charges where SkuId = ? and SkuMeter = 'input' group by 1 order by 1
        """,
        [day(rise["day"]), rise["model"]],
    ).fetchall()
    assert [high == low for _, high, low in prices] == [True, True]
    assert prices[1][1] == prices[0][1] * Decimal(rise["factor"])


def test_late_bill_leaves_provisional_gpus_and_a_dip(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    late = planted["late_bill"]
    provisional = con.execute(
        "select min(day), max(day), list_distinct(list(pool)), sum(cost) from cost_ledger where provisional"
    ).fetchall()
    [(first, last, pools, cost)] = provisional
    assert (first, last) == (day(late["from"]), date(2026, 10, 31))
    assert pools == ["inference"]
    hour = Decimal(planted["commitment_expiring"]["gpu_hour"][1])
    assert cost == 3 * 24 * 8 * hour
    service = late["missing_services"][0]
    assert day(late["from"]) == one(
        con, "select cast(max(ChargePeriodEnd) as date) from charges where ServiceName = ?", service
    )


def test_commitment_that_expires_makes_the_hour_dearer(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    ends = planted["commitment_expiring"]
    found = con.execute(
        """
        select PricingCategory, cast(min(ChargePeriodStart) as date), max(EffectiveCost) / 4, min(EffectiveCost) / 4
        from charges where ProviderName = ? and ResourceId like 'gke-serve-%' group by 1 order by 2
        """,
        [ends["provider"]],
    ).fetchall()
    before, after = (Decimal(price) for price in ends["gpu_hour"])
    assert [row[0] for row in found] == ["Committed", "Standard"]
    assert found[1][1] == day(ends["first_day_without"])
    assert [tuple(map(Decimal, map(str, row[2:]))) for row in found] == [(before, before), (after, after)]


def test_failed_training_run_has_its_cost(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    failed = planted["failed_training"]
    [(job, begin, end, saved)] = con.execute(
        "select job_id, started_at, ended_at, last_checkpoint_at from jobs where status = 'failed'"
    ).fetchall()
    assert job == failed["job_id"]
    assert end - saved == timedelta(hours=30)
    cost = one(con, "select sum(training_cost) from gpu_days where ResourceId = ?", f"vm-train-{job}")
    assert cost == Decimal(failed["cost"])
    assert cost * 30 / Decimal((end - begin).total_seconds() / 3600) == Decimal(failed["lost_cost"])


def test_training_is_never_cost_of_sales(con: duckdb.DuckDBPyConnection) -> None:
    classes = con.execute(
        """
        select distinct class from cost_ledger inner join pools on cost_ledger.pool = pools.pool
        where cost_ledger.kind = 'training'
        """
    ).fetchall()
    assert classes == [("rnd",)]


def test_credits_end(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    credit = planted["credits_end"]
    [(last, cost, team)] = con.execute(
        "select strftime(max(day), '%Y-%m'), sum(cost), any_value(team_id) from cost_ledger where pool = ?",
        [credit["pool"]],
    ).fetchall()
    assert (last, team) == (credit["last_month"], "finance")
    assert cost < 0


def test_untagged_cost_is_unassigned(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    untagged = planted["untagged_cost"]
    found = con.execute(
        "select day, pool, sum(cost) from cost_ledger where kind = 'unassigned' group by all"
    ).fetchall()
    assert found == [(day(untagged["day"]), untagged["pool"], Decimal(untagged["cost"]))]


def test_lost_log_is_unexplained_busy_time(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    lost = planted["unlogged_stretch"]
    worst = con.execute(
        "select day, replica_id, sum(unexplained_cost) from gpu_days group by all order by 3 desc limit 2"
    ).fetchall()
    assert worst[0][:2] == (day(lost["begin"]), lost["replica_id"])
    assert worst[0][2] > 3 * worst[1][2]
    expected = lost["gpu_seconds"] / 3600 * 2.85
    assert float(worst[0][2]) == pytest.approx(expected, rel=0.25)


def test_customer_who_loses_money_is_the_one_who_loses_most(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    losses = con.execute(
        """
        with spent as (
            select customer_id, sum(cost_ledger.cost) as cost from cost_ledger
            inner join pools on cost_ledger.pool = pools.pool
            where class = 'cogs' and BillingCurrency = 'USD' group by 1
        )
        select customer_id, sum(amount) - any_value(cost) from revenue inner join spent using (customer_id)
        group by 1 order by 2 limit 1
        """
    ).fetchall()
    assert losses[0][0] == planted["losing_customer"]["customer_id"]
    assert losses[0][1] < 0


def test_unknown_key_and_sentinel_have_no_customer(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    lost = con.execute("select distinct customer_id from usage_days where user_id = ?", [planted["unknown_key"]])
    assert lost.fetchall() == [(None,)]
    assert not con.execute("select 1 from usage_days where user_id = ?", [planted["sentinel_user"]]).fetchall()
    assert one(con, "select sum(requests) from usage_days where user_id is null") > 0
