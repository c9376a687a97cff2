"""What is planted in the demo is found again in the marts that are built from its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from farthing import budgets, config, demo, warehouse
from farthing.budgets.variance import variance_of
from farthing.demo import world
from farthing.summary import summary
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


class Nobody:
    """Who is told of nothing."""

    def start(self, total: int, what: str) -> None: ...

    def advance(self, count: int = 1) -> None: ...


def one(con: duckdb.DuckDBPyConnection, query: str, *values: object) -> Any:
    """The only value of the only row."""
    [(value,)] = con.execute(query, values).fetchall()
    return value


def day(text: str) -> date:
    return datetime.fromisoformat(text).date()


def test_ledger_is_the_bill_and_what_is_provisional(con: duckdb.DuckDBPyConnection, facts: demo.DemoFacts) -> None:
    found = con.execute(
        """
        select
            BillingCurrency,
            sum(ledger_cost) - coalesce(sum(provisional_cost), 0),
            sum(bill_cost),
            max(abs(difference))
        from pool_month group by 1
        """
    ).fetchall()
    assert {currency: ledger for currency, ledger, _, _ in found} == facts.bill
    assert {currency: bill for currency, _, bill, _ in found} == facts.bill
    assert [off for *_, off in found] == [0, 0]


@pytest.mark.parametrize("mart", ["pool_month", "cost_center_month"])
def test_bill_by_month_and_class_is_in_the_marts(
    con: duckdb.DuckDBPyConnection, truth: dict[str, Any], mart: str
) -> None:
    billed = "bill_cost" if mart == "pool_month" else "cost - coalesce(provisional_cost, 0)"
    found = con.execute(
        f"select strftime(month, '%Y-%m'), class || ' ' || BillingCurrency, sum({billed}) from {mart} group by 1, 2"
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
    [(gross, operating)] = con.execute(
        """
        select
            cast(sum(gross_margin) as double) / cast(sum(revenue) as double),
            cast(sum(operating_margin) as double) / cast(sum(revenue) as double)
        from margin_month
        where BillingCurrency = 'USD' and list_contains(?, strftime(month, '%Y-%m'))
        """,
        [months],
    ).fetchall()
    assert gross == pytest.approx(0.74, abs=0.005)
    assert operating == pytest.approx(0.74, abs=0.005)


def test_tickets_and_revenue_are_whole(con: duckdb.DuckDBPyConnection, truth: dict[str, Any]) -> None:
    solved = con.execute(
        """
        select strftime(month, '%Y-%m'), quantity from unit_costs
        where unit = 'ticket' and model is null and BillingCurrency = 'USD'
        """
    )
    assert dict(solved.fetchall()) == truth["tickets_by_month"]
    paid = con.execute("select strftime(month, '%Y-%m'), revenue from margin_month where BillingCurrency = 'USD'")
    assert dict(paid.fetchall()) == truth["revenue_by_month"]


def test_one_coding_user_costs_five_hundred_times_the_other(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    pair = planted["coding_pair"]
    [light, heavy] = con.execute(
        """
        select user_id, list_distinct(list(plan)), min(month), sum(cost) from user_month
        where user_id in (?, ?) group by 1 order by sum(cost)
        """,
        [pair["light"], pair["heavy"]],
    ).fetchall()
    assert (light[0], heavy[0]) == (pair["light"], pair["heavy"])
    assert light[1:3] == heavy[1:3] == ([pair["plan"]], day(pair["from"]))
    assert float(heavy[3] / light[3]) == pytest.approx(pair["cost_ratio"], rel=0.001)
    calls = con.execute(
        "select user_id, min(requests), max(requests) from user_day where user_id in (?, ?) group by 1 order by 2",
        [pair["light"], pair["heavy"]],
    ).fetchall()
    few, many = pair["completions_a_day"]
    assert calls == [(pair["light"], few, few), (pair["heavy"], many, many)]


def test_runaway_agent_is_the_task_with_most_calls_and_cost(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    runaway = planted["runaway_agent"]
    [first, second] = con.execute(
        """
        select trace_id, cast(started_at as date), llm_calls, customer_id, cost
        from trace_costs order by cost desc limit 2
        """
    ).fetchall()
    assert first[:4] == (runaway["trace_id"], day(runaway["day"]), runaway["calls"], runaway["customer_id"])
    assert first[4] > 5 * second[4]
    assert one(con, "select trace_id from trace_costs order by llm_calls desc limit 1") == runaway["trace_id"]


def test_agent_tasks_spread_far(con: duckdb.DuckDBPyConnection) -> None:
    [(half, most, nearly_all)] = con.execute(
        "select quantile_disc(cost, 0.5), quantile_disc(cost, 0.95), quantile_disc(cost, 0.99) from trace_costs"
    ).fetchall()
    assert most > 2 * half
    assert nearly_all > Decimal("1.3") * most


def test_forgotten_node_costs_money_and_is_never_busy(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    node = planted["forgotten_node"]
    idle = con.execute(
        """
        select ResourceId, min(day), sum(cost), sum(idle_cost) from gpu_day
        group by ResourceId having sum(busy_seconds) = 0
        """
    ).fetchall()
    days = (date(2026, 10, 31) - day(node["from"])).days + 1
    cost = days * Decimal(node["cost_a_day"])
    assert idle == [(node["ResourceId"], day(node["from"]), cost, cost)]


def test_fleet_is_idle_at_night(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    night = planted["idle_night"]
    hours = con.execute(
        """
        select hour, sum(busy_seconds) / sum(covered_seconds), sum(idle_cost) / sum(cost) from gpu_hours
        where pool = ? and replica_id is not null and isodow(day) <= 5 group by 1
        """,
        [night["pool"]],
    ).fetchall()
    busy, idle = {hour: share for hour, share, _ in hours}, {hour: share for hour, _, share in hours}
    first, last = night["day_hours"]
    assert max(busy[hour] for hour in night["hours"]) < night["busy_share_below"]
    assert min(busy[hour] for hour in range(first, last + 1)) > 0.3
    assert min(idle[hour] for hour in night["hours"]) > 1 - night["busy_share_below"]
    assert max(idle[hour] for hour in range(first, last + 1)) < 0.7


def test_unpriced_model_has_its_billed_cost_and_is_on_the_list_of_what_is_not_matched(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    unpriced = planted["unpriced_model"]
    [(listed, first, requests)] = con.execute(
        "select key, first_day, requests from unmatched where subject = 'model without a price'"
    ).fetchall()
    assert (listed, first) == (unpriced["model"], day(unpriced["from"]))
    assert requests == one(con, "select sum(requests) from model_day where model = ?", unpriced["model"])
    [(*found, cost)] = con.execute(
        "select provider, model, min(day), sum(unpriced_cost) from model_day where unpriced_cost <> 0 group by 1, 2"
    ).fetchall()
    assert found == [unpriced["of"]["provider"], unpriced["model"], day(unpriced["from"])]
    assert cost == one(con, "select sum(cost) from cost_ledger where kind = 'unpriced'")
    # the bill names no request: what the vendor billed for cancelled ones of the other model is in it as well
    assert float(cost) == pytest.approx(float(unpriced["cost"]), rel=0.01)


def test_price_rise_makes_the_same_use_dearer(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    rise, pair = planted["price_rise"], planted["coding_pair"]
    # a token written costs eight times a token read; part of what is read is cached, alike in all months
    rates = con.execute(
        """
        select month >= ?, cast(sum(direct_cost) as double) / (sum(input_tokens) + 8 * sum(output_tokens))
        from user_month where plan = ? and user_id not in (?, ?) group by month order by month
        """,
        [day(rise["day"]), pair["plan"], pair["light"], pair["heavy"]],
    ).fetchall()
    before = [rate for risen, rate in rates if not risen]
    after = [rate for risen, rate in rates if risen]
    assert (len(before), len(after)) == (4, 3)
    assert after == pytest.approx([before[0] * float(rise["factor"])] * 3, rel=0.01)
    assert before == pytest.approx([before[0]] * 4, rel=0.01)


def test_late_bill_leaves_provisional_gpus_and_a_false_dip(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    late = planted["late_bill"]
    hour = Decimal(planted["commitment_expiring"]["gpu_hour"][1])
    gpus = 4 * len(late["provisional_resources"])
    provisional = con.execute("select strftime(month, '%Y-%m'), pool, provisional_cost from pool_month").fetchall()
    assert [row for row in provisional if row[2]] == [("2026-10", "inference", 3 * 24 * gpus * hour)]
    days = con.execute(
        "select day, pool, provisional_cost from restatements where provisional_cost <> 0 order by day"
    ).fetchall()
    assert days == [(date(2026, 10, number), "inference", 24 * gpus * hour) for number in (29, 30, 31)]
    assert days[0][0] == day(late["from"])
    dip = con.execute(
        """
        select day, cost - lag(cost) over (order by day) as step from restatements
        where pool = 'app-servers' qualify step <> 0
        """
    ).fetchall()
    assert dip == [(day(late["from"]), -Decimal(late["missing_services"]["Cloud Run"]))]


def test_commitment_that_expires_makes_the_hour_dearer(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    ends = planted["commitment_expiring"]
    before, after = (Decimal(price) for price in ends["gpu_hour"])
    found = con.execute(
        """
        select pricing_category, commitment, min(day), min(rate), max(rate), min(premium) > 0 from gpu_rate
        where provider = ? group by 1, 2 order by 3
        """,
        [ends["provider"]],
    ).fetchall()
    assert [row[:2] for row in found] == [("Committed", ends["commitment"]), ("Standard", None)]
    assert found[1][2] == day(ends["first_day_without"])
    assert [row[3:] for row in found] == [(before, before, False), (after, after, True)]


def test_failed_training_run_has_its_cost_and_what_of_it_was_lost(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    failed = planted["failed_training"]
    found = con.execute(
        "select job_id, experiment, cost, lost_cost from training_runs where status = 'failed' or lost_cost <> 0"
    ).fetchall()
    cost, lost = Decimal(failed["cost"]), Decimal(failed["lost_cost"])
    assert found == [(failed["job_id"], failed["experiment"], cost, lost)]


def test_training_is_never_cost_of_sales(con: duckdb.DuckDBPyConnection) -> None:
    runs = one(con, "select sum(cost) from training_runs")
    labelling = one(con, "select sum(ledger_cost) from pool_month where pool = 'labelling'")
    assert runs > 0
    assert one(con, "select sum(rnd_cost) from margin_month where BillingCurrency = 'USD'") == runs + labelling


def test_credits_end(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    credit = planted["credits_end"]
    account = one(con, "select distinct gl_account from pool_month where pool = ?", credit["pool"])
    [(last, cost, team)] = con.execute(
        "select strftime(max(month), '%Y-%m'), sum(cost), any_value(team_id) from cost_center_month"
        " where gl_account = ?",
        [account],
    ).fetchall()
    assert (last, team) == (credit["last_month"], "finance")
    assert cost == one(con, "select sum(bill_cost) from pool_month where pool = ?", credit["pool"]) < 0


def test_untagged_cost_is_unassigned(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    untagged = planted["untagged_cost"]
    cost = Decimal(untagged["cost"])
    assert con.execute("select day, unassigned_cost from user_day where unassigned_cost <> 0").fetchall() == [
        (day(untagged["day"]), cost)
    ]
    account = one(con, "select distinct gl_account from pool_month where pool = ?", untagged["pool"])
    nobodys = con.execute(
        "select month, cost from cost_center_month where gl_account = ? and team_id is null", [account]
    ).fetchall()
    assert nobodys == [(day(untagged["day"]).replace(day=1), cost)]


def test_lost_log_is_unexplained_busy_time(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    lost = planted["unlogged_stretch"]
    worst = con.execute(
        "select day, replica_id, sum(unexplained_cost) from gpu_day group by all order by 3 desc nulls last limit 2"
    ).fetchall()
    assert worst[0][:2] == (day(lost["begin"]), lost["replica_id"])
    assert worst[0][2] > 3 * worst[1][2]
    expected = lost["gpu_seconds"] / 3600 * 2.85
    assert float(worst[0][2]) == pytest.approx(expected, rel=0.25)


def test_losing_customers_are_the_ones_who_are_planted(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    losses = con.execute(
        """
        select customer_id, any_value(plan), sum(margin) from customer_margin_month
        where BillingCurrency = 'USD' group by 1 having sum(margin) < 0 order by 3
        """
    ).fetchall()
    losing = planted["losing_customers"]
    assert {customer for customer, *_ in losses} == set(losing["customer_ids"])
    assert losses[0][0] == losing["most"]
    assert {plan for _, plan, _ in losses} == {losing["plan"]}


def test_unknown_key_and_sentinel_have_no_customer(con: duckdb.DuckDBPyConnection, planted: dict[str, Any]) -> None:
    lost = con.execute(
        "select key, requests > 0, cost > 0 from unmatched where subject = 'user not in identities'"
    ).fetchall()
    assert lost == [(planted["unknown_key"], True, True)]
    assert con.execute(
        "select distinct customer_id from user_month where user_id = ?", [planted["unknown_key"]]
    ).fetchall() == [(None,)]
    assert not con.execute("select 1 from user_month where user_id = ?", [planted["sentinel_user"]]).fetchall()
    assert one(con, "select sum(requests) from user_month where user_id is null") > 0


def test_closing_summary_names_losers_margin_and_what_is_provisional(
    con: duckdb.DuckDBPyConnection, planted: dict[str, Any]
) -> None:
    sheets = {sheet.name: sheet.objects() for sheet in summary(con, "USD")}
    losers = [row["customer_id"] for row in sheets["losses"]]
    assert len(losers) == 5
    assert losers[0] == planted["losing_customers"]["most"]
    assert set(losers) < set(planted["losing_customers"]["customer_ids"])
    [everything] = [row for row in sheets["margin"] if row["period"] == "all"]
    assert everything["gross_margin_share"] == pytest.approx(0.74, abs=0.005)
    provisional = {row["class"] for row in sheets["classes"] if row["provisional_share"]}
    assert provisional == {"cogs"}
    assert next(row["unit"] for row in sheets["units"]) == "ticket"


def test_budgets_name_the_runaway_coder_and_the_fleet_that_cost_more_than_planned(
    con: duckdb.DuckDBPyConnection, facts: demo.DemoFacts
) -> None:
    loaded = config.load(facts.folder)
    found = {status.limit.name: status for status in budgets.statuses(con, loaded, date(2026, 10, 1), Nobody())}
    assert found.keys() == {"everything", "coding-user", "inference-fleet", "support", "platform", "research"}
    assert found["coding-user"].limit.scope["user"] == world.HEAVY_USER
    assert [one.percent for one in found["coding-user"].crossings] == [100]
    fleet = variance_of(con, loaded, date(2026, 10, 1), "inference-fleet")
    effects = {line.provider: effect for line, effect in fleet.lines}
    # the commitment that ended on 16 October made the hours of one cloud dearer
    assert effects["Google Cloud"].rate > 3000
    assert effects["Google Cloud"].volume == -effects["Google Cloud"].mix
    assert fleet.actual == found["inference-fleet"].actual
    assert fleet.effects.variance == fleet.actual - fleet.limit.amount == fleet.actual - 40_920
