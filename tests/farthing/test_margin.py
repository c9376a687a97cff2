"""`farthing margin` on four whole months of a company that has every kind of payer, in a project as a user has it."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from farthing.build.settings import MONEY_MACRO
from farthing.errors import ConfigError
from farthing.margin import lines, units
from models.margin_interval import spread, student_95
from tests.farthing.commands import farthing
from tests.worlds import write_csv

MONTHS = (4, 5, 6, 7)
JULY = date(2026, 7, 1)
TOML = """\
[project]
name = "seats"
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.requests]
kind = "requests"
path = "requests.csv"
token_convention = "inclusive"
[sources.people]
kind = "identities"
path = "identities.csv"
[sources.revenue]
kind = "revenue"
path = "revenue.csv"
[attribution]
price_table = "none"
[[pools]]
name = "activate"
kind = "owned"
owner = "team:finance"
class = "opex"
match = { ServiceCategory = "Grant" }
[[pools]]
name = "serving"
kind = "shared"
driver = "requests"
match = { ServiceCategory = "Compute" }
[[pools]]
name = "vectors"
kind = "shared"
driver = "metric"
metric = "vectors_stored"
match = { ServiceCategory = "Databases" }
[[pools]]
name = "office"
kind = "shared"
driver = "requests"
class = "opex"
match = { ServiceCategory = "Other" }
[[pools]]
name = "gift"
kind = "shared"
driver = "requests"
match = { ServiceCategory = "Storage" }
"""
#: who: requests a day, customer, plan of the identity.
PEOPLE = {"ann": (6, "firm", "seat"), "ben": (2, "firm", "firm"), "dan": (2, "", "free")}


@pytest.fixture(scope="module")
def seats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month is 100 of serving by requests, ann 60, ben 20, dan 20; a credit of 20 pays part of it. 10 are nobody's.

    ann pays 30 by herself and her firm, from May on, 50 for the others; dan pays nothing; cyd pays 30 in
    July and uses nothing. A
    grant of 8 is in a pool of its own, and another one pays all of the storage.
    """
    folder = tmp_path_factory.mktemp("margin") / "company"
    folder.mkdir()
    (folder / "farthing.toml").write_text(TOML, encoding="utf-8")
    bill, asked = [], []
    for month in MONTHS:
        days = (1, monthrange(2026, month)[1])
        for category, kind, amount in (
            ("Compute", "Usage", 50), ("Compute", "Credit", -10), ("Databases", "Usage", 5), ("Other", "Usage", 2),
            ("Grant", "Credit", -4), ("Storage", "Usage", 2), ("Storage", "Credit", -2),
        ):  # fmt: skip
            bill += [_charge(month, day, kind, category, amount) for day in days]
        for day in days:
            for who, (count, _, _) in PEOPLE.items():
                asked += [_request(month, day, who, number) for number in range(count)]
    write_csv(folder / "bill.csv", tuple(bill[0]), bill)
    write_csv(folder / "requests.csv", tuple(asked[0]), asked)
    people = [
        {"id": f"key-{who}", "user_id": who, "customer_id": customer, "plan": plan}
        for who, (_, customer, plan) in PEOPLE.items()
    ]
    write_csv(folder / "identities.csv", tuple(people[0]), people)
    paid = [
        {"customer_id": customer, "user_id": user, "plan": plan, "period": f"2026-{month:02d}-01", "amount": amount,
         "currency": "USD"}
        for month in MONTHS
        for customer, user, plan, amount in (
            ("firm", "ann", "seat", 30), ("firm", "", "firm", 50), ("cyd-inc", "cyd", "seat", 30),
        )
        if month >= {"cyd": 7, "": 5}.get(user, 4)  # the firm was free in April
    ]  # fmt: skip
    write_csv(folder / "revenue.csv", tuple(paid[0]), paid)
    for step in ("collect", "build"):
        said = farthing(step, "--project", folder)
        assert said.code == 0, said.err
    return folder


def _charge(month: int, day: int, kind: str, category: str, amount: int) -> dict[str, object]:
    return {
        "InvoiceId": f"I-{month}", "ProviderName": "AWS", "ServiceCategory": category, "ServiceName": category,
        "ResourceId": "", "ChargeDescription": f"{kind} {category}", "ChargeCategory": kind, "BillingCurrency": "USD",
        "BillingPeriodStart": f"2026-{month:02d}-01T00:00:00Z",
        "BillingPeriodEnd": f"2026-{month + 1:02d}-01T00:00:00Z",
        "ChargePeriodStart": f"2026-{month:02d}-{day:02d}T00:00:00Z",
        "ChargePeriodEnd": f"2026-{month:02d}-{day:02d}T23:00:00Z",
        "BilledCost": amount, "EffectiveCost": amount,
    }  # fmt: skip


def _request(month: int, day: int, who: str, number: int) -> dict[str, object]:
    when = f"2026-{month:02d}-{day:02d}T10:0{number}:00Z"
    return {
        "request_id": f"{when}-{who}", "started_at": when, "user_id": f"key-{who}", "provider": "vllm",
        "model": "large" if number < 2 else "small", "feature": "chat" if number % 2 else "search",
        "input_tokens": 10, "output_tokens": 5,
    }  # fmt: skip


def asked(project: Path, *options: str) -> dict[str, Any]:
    said = farthing("margin", "--project", project, "--json", *options)
    assert said.code == 0, said.err
    found: dict[str, Any] = said.value
    return found


def by_key(found: dict[str, Any], key: str) -> dict[Any, dict[str, Any]]:
    return {line[key]: line for line in found["lines"]}


@pytest.mark.slow
def test_margin_is_before_credits_and_after_them_beside_it(seats: Path) -> None:
    month = asked(seats)["month"]
    assert (month["month"], month["currency"]) == ("2026-07-01", "USD")
    assert Decimal(month["revenue"]) == 110
    assert Decimal(month["cogs_cost"]) == 114  # serving 100, vectors 10, storage 4; the office is no cost of sales
    assert Decimal(month["credits"]) == -32  # in serving 20, in the pool of their own 8, on storage 4
    assert Decimal(month["margin"]) == -4
    assert Decimal(month["margin_after_credits"]) == 28


@pytest.mark.slow
def test_who_pays_is_the_user_with_revenue_else_the_customer(seats: Path) -> None:
    found = by_key(asked(seats), "payer")
    shown = {
        name: (line["payer_kind"], line["revenue"] and Decimal(line["revenue"]), line["finding"])
        for name, line in found.items()
    }
    assert shown == {
        "ann": ("user", 30, "loses"),
        "firm": ("customer", 50, None),
        "dan": ("user", None, "no revenue"),
        "cyd": ("user", 30, "no cost"),
        None: (None, None, "nobody's"),
    }
    costs = {name: round(Decimal(line["cogs_cost"]), 9) for name, line in found.items()}
    # vectors and the storage that a grant pays whole are nobody's
    assert costs == {"ann": 60, "firm": 20, "dan": 20, "cyd": 0, None: 14}


@pytest.mark.slow
@pytest.mark.parametrize(("options", "cost"), [((), 114), (("--after-credits",), 82)])
def test_tiers_take_the_cost_of_the_margin_also_where_no_credits_are_configured(
    seats: Path, options: tuple[str, ...], cost: int
) -> None:
    """The credit inside serving is named by its ChargeCategory alone, and another one pays all of the storage."""
    said = farthing("tiers", "--project", seats, "--json", *options)
    assert said.code in {0, 1}, said.err
    assert sum(tier["cost"] for tier in said.value["offers"][0]["tiers"]) == pytest.approx(cost)


@pytest.mark.slow
def test_nothing_is_dropped_by_any_dimension(seats: Path) -> None:
    for by in lines.By:
        found = [line for line in asked(seats, "--by", by)["lines"] if line.get("month") in (None, "2026-07-01")]
        assert sum(Decimal(line["revenue"] or 0) for line in found) == 110, by
        assert sum(Decimal(line["cogs_cost"]) for line in found) == 114, by
        assert sum(Decimal(line["credits"] or 0) for line in found) == -32, by


def test_losers_are_who_pays_less_than_he_costs_and_who_pays_nothing_the_worst_first(seats: Path) -> None:
    found = asked(seats, "--losers")
    assert [line["payer"] for line in found["lines"]] == ["ann", "dan"]  # -30 and -20
    month = found["month"]
    assert (month["losing_payers"], month["free_payers"]) == (1, 1)
    assert round(Decimal(month["lost"]), 9) == -30
    assert month["losing_cost_share"] == pytest.approx(60 / 114)
    assert month["free_cost_share"] == pytest.approx(20 / 114)


def test_a_cohort_is_the_month_of_the_first_revenue_else_of_the_first_cost(seats: Path) -> None:
    found = by_key(asked(seats, "--by", "cohort"), "cohort")
    assert {cohort: line["payers"] for cohort, line in found.items()} == {
        "2026-04-01": 2,
        "2026-05-01": 1,
        "2026-07-01": 1,
        None: 0,
    }


def test_plans_have_their_free_users_and_what_serving_them_costs(seats: Path) -> None:
    found = by_key(asked(seats, "--by", "plan"), "plan")
    assert {name: (line["payers"], line["free_payers"]) for name, line in found.items()} == {
        "seat": (2, 0),
        "firm": (1, 0),
        "free": (1, 1),
        None: (0, 0),
    }


def test_models_and_features_share_each_payers_revenue_as_they_cost(seats: Path) -> None:
    found = by_key(asked(seats, "--by", "model"), "model")
    assert round(Decimal(found["small"]["revenue"]), 9) == 20  # four of ann's six requests, none of the firm's
    assert round(Decimal(found["large"]["revenue"]), 9) == 60
    assert Decimal(found[None]["revenue"]) == 30  # cyd uses no model


def test_a_month_that_is_not_known_is_named_with_those_that_are(seats: Path) -> None:
    said = farthing("margin", "--project", seats, "--month", "2025-01")
    assert said.code == 2
    assert "2026-04 to 2026-07" in " ".join(said.err.replace("│", "").split())


def test_the_tables_for_people_and_csv_say_the_same(seats: Path) -> None:
    said = farthing("margin", "--project", seats, "--by", "plan", "--whale")
    assert said.code == 0, said.err
    assert "Margin by plan" in said.out
    assert "Whales" in said.out
    csv = farthing("margin", "--project", seats, "--by", "plan", "--csv")
    assert csv.out.splitlines()[0].startswith("plan,payers,free_payers,revenue,cogs_cost,margin")


# -- by hand: lines that no small bill has ---------------------------------------------------------------------------


def hand(*rows: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """A warehouse with these rows of margin_lines alone."""
    con = duckdb.connect()
    con.execute(
        "create table margin_lines (month date, payer_kind varchar, payer varchar, pays boolean, plan varchar,"
        " cohort date, user_id varchar, customer_id varchar, model varchar, feature varchar, BillingCurrency varchar,"
        " revenue decimal(38, 12), revenue_by_cost decimal(38, 12), cogs_cost decimal(38, 12),"
        " credits decimal(38, 12), provisional_cost decimal(38, 12), estimated_cost decimal(38, 12),"
        " unsure_cost decimal(38, 12))"
    )
    for row in rows:
        values = {"month": JULY, "payer_kind": "user", "pays": True, "BillingCurrency": "USD", **row}
        con.execute(
            f"insert into margin_lines ({', '.join(values)}) values ({', '.join('?' * len(values))})",
            list(values.values()),
        )
    return con


def test_the_curve_of_whales_counts_the_dearest_and_the_best(seats: Path) -> None:
    con = hand(
        *({"payer": f"u{number:03d}", "revenue": 20, "cogs_cost": 1} for number in range(99)),
        {"payer": "whale", "revenue": 20, "cogs_cost": 150},
    )
    found = {row["percent"]: row for row in lines.whales(con, JULY, "USD")}
    assert (found[1]["payers"], found[1]["cost"]) == (1, 150)
    assert found[1]["cost_share"] == pytest.approx(150 / 249)
    assert found[1]["margin_of_these"] == -130
    assert found[50]["margin_of_the_best"] == 50 * 19
    assert found[100]["margin_of_the_best"] == 99 * 19 - 130
    assert found[100]["best_margin_share"] == 1


def test_losing_payers_are_a_share_of_cost() -> None:
    con = hand(
        {"payer": "a", "revenue": 20, "cogs_cost": 5},
        {"payer": "b", "revenue": 20, "cogs_cost": 150},
        {"payer": "c", "pays": False, "cogs_cost": 45},
    )
    month = lines.whole_month(con, JULY, "USD", None)
    assert (month["losing_payers"], month["losing_cost"], month["lost"]) == (1, 150, -130)
    assert month["losing_cost_share"] == pytest.approx(0.75)
    assert (month["free_payers"], month["free_cost"]) == (1, 45)


def test_only_what_is_not_sure_widens_a_margin() -> None:
    sure = spread([0.25, 0.26, 0.24, 0.25])
    assert sure is not None
    con = hand(
        {"payer": "billed", "revenue": 20, "cogs_cost": 5},
        {"payer": "open", "revenue": 20, "cogs_cost": 5, "provisional_cost": 2, "unsure_cost": 2},
        {"payer": "guessed", "revenue": 20, "cogs_cost": 5, "estimated_cost": 2, "unsure_cost": 2},
    )
    found = {line["payer"]: line for line in lines.lines(con, lines.By.PAYER, JULY, "USD", sure)}
    assert found["billed"]["margin_low"] == found["billed"]["margin_high"] == 15
    for name in ("open", "guessed"):
        assert float(found[name]["margin_low"]) == pytest.approx(15 - 2 * (sure.factor - 1))
        assert float(found[name]["margin_high"]) == pytest.approx(15 + 2 * (1 - 1 / sure.factor))
    month = lines.whole_month(con, JULY, "USD", sure)  # how it is divided does not move the sum
    assert float(month["margin_low"]) == pytest.approx(45 - 2 * (sure.factor - 1))
    unknown = {line["payer"]: line for line in lines.lines(con, lines.By.PAYER, JULY, "USD", None)}
    assert unknown["open"]["margin_low"] is None
    assert unknown["billed"]["margin_low"] == 15


def test_the_spread_of_months_is_students_and_not_narrower_than_five_percent() -> None:
    assert spread([0.25, 0.25]) is None
    quiet, loud = spread([0.25] * 4), spread([0.25, 0.30, 0.21, 0.26])
    assert quiet is not None
    assert loud is not None
    assert quiet.factor == pytest.approx(1.157, abs=1e-3)  # exp(2.92 x 0.05)
    assert quiet.low < 0.75 < quiet.high
    assert loud.factor > quiet.factor
    for freedom in (2, 3, 5, 10, 40):
        assert student_95(freedom) == pytest.approx(stats.t.ppf(0.95, freedom), rel=4e-3)


def test_the_spread_of_tasks_names_those_that_ran_away() -> None:
    con = duckdb.connect()
    con.execute(MONEY_MACRO)
    con.execute(
        "create table trace_costs as select 't' || lpad(i::varchar, 3, '0') as trace_id, 'USD' as BillingCurrency,"
        " timestamp '2026-07-01' + to_hours(i::integer) as started_at, 10 + i % 91 as llm_calls,"
        " cast(0.01 as decimal(38, 12)) * (10 + i % 91) as cost from range(200) as n(i)"
        " union all select 'runaway', 'USD', timestamp '2026-07-09', 3000, 30"
        " union all select 'not billed yet', null, timestamp '2026-07-09', 5, null"
    )
    sql = (Path(__file__).resolve().parents[2] / "sql" / "marts" / "task_month.sql").read_text(encoding="utf-8")
    cursor = con.execute(sql)
    [row] = cursor.fetchall()
    found = dict(zip([column[0] for column in cursor.description or []], row, strict=True))
    assert (found["tasks"], found["p50_calls"], found["p99_calls"]) == (201, 51, 100)
    assert (found["p50_cost"], found["p99_cost"]) == (Decimal("0.51"), Decimal(1))
    assert (found["dearest_task"], found["dearest_calls"]) == ("runaway", 3000)
    assert (found["runaway_tasks"], found["runaway_cost"]) == (1, 30)


# -- units -----------------------------------------------------------------------------------------------------------


def test_input_and_output_of_a_model_add_up_to_its_tokens_at_ten_to_fifty_without_a_price(seats: Path) -> None:
    found = {
        unit: {row["model"]: row for row in farthing("margin", "--project", seats, "--unit", unit, "--json").value}
        for unit in ("million tokens", "million input tokens", "million output tokens")
    }
    for model in (None, "small", "large"):
        together, read, written = (Decimal(rows[model]["cost"]) for rows in found.values())
        assert read + written == together
        assert float(read / together) == pytest.approx(10 * 10 / (10 * 10 + 5 * 50), abs=1e-9)


def test_an_active_user_made_a_request_and_a_unit_that_nobody_counts_is_named(seats: Path) -> None:
    rows = farthing("margin", "--project", seats, "--unit", "active user", "--json").value
    found = {row["model"]: (Decimal(row["quantity"]), Decimal(row["cost_per_unit"])) for row in rows}
    assert {model: quantity for model, (quantity, _) in found.items()} == {None: 3, "large": 3, "small": 1}
    assert float(found["small"][1]) == pytest.approx(80 * 0.4)  # net of the credit, as the ledger has it
    said = farthing("margin", "--project", seats, "--unit", "moon")
    assert said.code == 2
    assert "million tokens" in said.err


def economics(*rows: tuple[Any, ...]) -> duckdb.DuckDBPyConnection:
    """A warehouse with these rows of unit_economics alone: month, model, quantity, cost."""
    con = duckdb.connect()
    con.execute(
        "create table unit_economics (month date, unit varchar, model varchar, BillingCurrency varchar,"
        " quantity decimal(38, 12), cost decimal(38, 12), provisional_cost decimal(38, 12),"
        " cost_per_unit decimal(38, 12))"
    )
    for month, model, quantity, cost in rows:
        con.execute(
            "insert into unit_economics values (?, 'request', ?, 'USD', ?, ?, null, ?)",
            [date(2026, month, 1), model, quantity, cost, Decimal(cost) / quantity],
        )
    return con


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            *(st.integers(0, 1000), st.integers(0, 10**6)),
            *(st.integers(0, 1000), st.integers(0, 10**6)),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_what_moved_a_unit_adds_up_to_the_change_whatever_came_or_went(
    models: list[tuple[int, int, int, int]], left_before: int, left_after: int
) -> None:
    rows: list[tuple[Any, ...]] = []
    for month, at, left in ((9, 0, left_before), (10, 2, left_after)):
        units_of = [model[at] for model in models]
        assume(sum(units_of) > 0)
        costs = [model[at + 1] if model[at] else 0 for model in models]
        rows.append((month, None, sum(units_of), sum(costs) + left))
        rows += [
            (month, f"m{number}", quantity, cost)
            for number, (quantity, cost) in enumerate(zip(units_of, costs, strict=True))
            if quantity
        ]
    found = units.moved(economics(*rows), "request", (date(2026, 9, 1), date(2026, 10, 1)), "USD")
    change = float(found.after - found.before)
    assert sum(amount for _, _, amount in found.effects) == pytest.approx(
        change, abs=1e-9 * float(found.before + found.after) + 1e-9
    )


def test_a_dearer_model_is_rate_and_another_mix_is_mix() -> None:
    months = (date(2026, 9, 1), date(2026, 10, 1))
    dearer = units.moved(
        economics((9, None, 10, 20), (9, "a", 10, 20), (10, None, 30, 90), (10, "a", 30, 90)), "request", months, "USD"
    )
    assert {effect: round(amount, 9) for effect, _, amount in dearer.effects} == {
        units.MIX: 0, units.RATE: 1, units.SPENT: 0, units.SHARED_BY: 0,
    }  # fmt: skip
    spread_thin = units.moved(economics((9, None, 10, 100), (10, None, 20, 100)), "request", months, "USD")
    assert {effect: round(amount, 9) for effect, _, amount in spread_thin.effects} == {
        units.SPENT: 0, units.SHARED_BY: -5,
    }  # fmt: skip


def test_a_negative_cost_is_no_waterfall() -> None:
    con = economics((9, None, 10, 1), (9, "a", 10, -1), (10, None, 10, 1), (10, "a", 10, 1))
    with pytest.raises(ConfigError, match="negative"):
        units.moved(con, "request", (date(2026, 9, 1), date(2026, 10, 1)), "USD")


def test_the_waterfall_is_told_with_the_cost_before_and_after(seats: Path) -> None:
    months = ("--unit", "request", "--waterfall", "2026-06", "2026-07")
    said = farthing("margin", "--project", seats, "--json", *months)
    assert said.code == 0, said.err
    assert Decimal(said.value["unit"]["before"]) == Decimal(said.value["unit"]["after"])  # months are alike
    assert {row["effect"] for row in said.value["effects"]} == {units.MIX, units.RATE, units.SPENT, units.SHARED_BY}
    assert farthing("margin", "--project", seats, "--waterfall", "2026-06", "2026-07").code == 2
