"""What the joins did not match is listed with its requests, GPU time or money; and the days of jobs and GPUs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from farthing.lake import Lake
from farthing.lake.schemas import REVENUE
from tests.farthing.build.test_gpus import NEARLY, hour, world
from tests.farthing.build.world import GPU_POOL, Ran, World, at, published

TRAINING = {"name": "lab", "kind": "training", "match": {"ResourceId": "node*"}}
API_POOL = {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}}


def day(number: int) -> date:
    return at(day=number).date()


def listed(ran: Ran, subject: str, *columns: str) -> dict[Any, Any]:
    """(day, key) -> `columns` (one: the bare value) of what `subject` lists."""
    rows = ran.ask(f"select day, key, {', '.join(columns)} from done.unmatched_days where subject = ?", subject)
    return {row[:2]: row[2] if len(columns) == 1 else row[2:] for row in rows}


def matched() -> World:
    """One hour of a node in which everything finds its match."""
    one = hour(60, busy=0.5)
    one.identity("u", "Ann")
    one.request(at("10:00"), at("11:00"))
    return one


def test_where_everything_matches_nothing_is_listed() -> None:
    assert matched().run().ask("select * from done.unmatched_days") == []


def test_a_user_without_an_identity_is_listed_with_his_requests_and_his_cost() -> None:
    one = matched()
    one.usage(at("10:00", 2), at("11:00", 2), 1, every=60)
    one.charge(60, at("10:00", 2))
    one.request(at("10:00", 2), at("10:30", 2), user="stranger")
    one.request(at("10:30", 2), at("11:00", 2), user="stranger")
    one.request(at("12:00", 2), at("12:10", 2), user="late")  # on hours that nobody billed: no money
    found = listed(one.run(), "user not in identities", "requests", "BillingCurrency", "cost")
    assert found == {
        (day(2), "stranger"): (2, "USD", pytest.approx(Decimal(60), abs=NEARLY)),
        (day(2), "late"): (1, None, None),
    }


def test_a_replica_that_the_inventory_does_not_know_is_listed_with_its_requests() -> None:
    one = matched()
    one.request(at("10:00"), at("10:30"), replica="ghost")
    one.request(at("10:00"), at("10:30"), replica=None)  # says of itself that it has none
    assert listed(one.run(), "replica not in the inventory", "requests") == {(day(1), "ghost"): 1}


def test_a_billed_resource_without_a_gpu_in_the_inventory_is_listed_with_its_money() -> None:
    one = matched()
    one.charge(7, resource="node-9")
    one.charge(2, resource="node-9", currency="EUR")
    ran = one.run()
    rows = ran.ask(
        "select key, BillingCurrency, cost from done.unmatched_days"
        " where subject = 'resource without a GPU in the inventory' order by all"
    )
    assert rows == [("node-9", "EUR", 2), ("node-9", "USD", 7)]
    assert ran.ledger("BillingCurrency", where="kind = 'unassigned'") == {"USD": 7, "EUR": 2}


def test_a_watched_gpu_of_which_no_bill_speaks_is_listed_with_its_time() -> None:
    one = matched()
    one.usage(at("10:00"), at("10:30"), 1, gpu="unbilled", every=60)
    assert listed(one.run(), "GPU without a billed resource", "gpu_seconds") == {(day(1), "unbilled"): 1800}


def test_a_billed_gpu_that_nothing_watches_is_listed_with_its_time_and_money() -> None:
    one = matched()
    one.gpu("dark", "r2")
    found = listed(one.run(), "GPU without telemetry", "gpu_seconds", "cost")
    assert found == {(day(1), "dark"): (3600, 30)}


def test_a_model_without_a_price_is_listed_only_where_prices_are_known() -> None:
    prices = [{"provider": "openai", "model": "m", "input": "1", "output": "1"}]
    for known, found in ((prices, {(day(1), "brand-new"): 2}), ([], {})):
        one = world(API_POOL, prices=known)
        one.charge(5, at(), at("24:00"), ProviderName="OpenAI", resource=None)
        for _ in range(2):
            one.request(replica=None, provider="openai", model="brand-new", input_tokens=10)
        one.request(replica=None, provider="openai", input_tokens=10)
        one.request(replica=None, provider="openai", model="failed")  # without tokens there is nothing to price
        assert listed(one.run(), "model without a price", "requests") == found


@pytest.mark.parametrize("name", ["", "anonymous", "ANONYMOUS", "Default_User_Id", " anonymous "])
def test_a_sentinel_is_no_user_in_any_case(name: str) -> None:
    one = matched()
    one.rows["requests"][0]["user_id"] = name
    ran = one.run()
    assert ran.ledger("user_id", where="kind = 'direct'") == {None: pytest.approx(Decimal(30), abs=NEARLY)}
    assert listed(ran, "user not in identities", "requests") == {}
    assert ran.quality("requests", "with a user") == (0, 1)


def test_sentinels_are_configurable() -> None:
    one = world(GPU_POOL, identities={"sentinel_users": ["Admin"]})
    one.rows = matched().rows
    for name in ("ADMIN", "anonymous"):
        one.request(at("10:00"), at("11:00"), user=name)
    found = listed(one.run(), "user not in identities", "requests")
    assert found == {(day(1), "anonymous"): 1}


def test_the_mart_sums_the_days_and_adds_teams_without_a_cost_center_and_customers_who_pay_nothing(
    tmp_path: Path,
) -> None:
    one = world(GPU_POOL, teams={"red": {"cost_center": "CC-1"}, "green": {"department": "Product"}})
    one.gpu()
    for number in (1, 3):
        one.charge(60, at("10:00", number))
        one.usage(at("10:00", number), at("11:00", number), 1, every=60)
        who = (("red", "payer", "0"), ("green", "payer", "15"), ("blue", "guest", "30"), ("white", "payer", "45"))
        for team, customer, minute in who:
            start = at(f"10:{minute:>02}", number)
            one.request(start, start + (at("10:15") - at("10:00")), user="x", team_id=team, customer_id=customer)
    one.identity("y", "Yves", team_id="white", cost_center="CC-2")
    lake = Lake(str(tmp_path / "lake"))
    one.land(lake)
    paid = {"customer_id": "payer", "period": day(1), "amount": Decimal(9), "currency": "USD"}
    lake.append(REVENUE, pa.Table.from_pylist([paid], schema=REVENUE.schema), load="paid")
    with published(one.build(tmp_path)) as con:
        rows = con.execute(
            "select subject, key, first_day, last_day, requests, round(cost, 6) from unmatched order by all"
        ).fetchall()
    assert rows == [
        ("customer without revenue", "guest", day(1), day(3), None, 30),
        ("team without a cost center", "blue", day(1), day(3), None, 30),
        ("team without a cost center", "green", day(1), day(3), None, 30),
        ("user not in identities", "x", day(1), day(3), 8, 120),
    ]


# Jobs and GPUs by the day


def lab(**job: Any) -> Ran:
    """A training machine from 22:00 to 02:00, and a job on it from 23:00 to 01:00."""
    one = world(TRAINING)
    one.gpu(replica=None)
    one.charge(240, at("22:00"), at("02:00", 2))
    one.job(at("23:00"), at("01:00", 2), id="run", gpu_uuids="G", **job)
    return one.run()


def job_days(ran: Ran) -> dict[Any, Any]:
    rows = ran.ask("select day, job_id, gpu_seconds, cost, lost_cost from done.job_days")
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(
    ("job", "lost"),
    [
        ({"status": "completed"}, (0, 0)),
        ({"status": None}, (0, 0)),
        ({"status": "FAILED"}, (60, 60)),  # without a checkpoint all of it, on both days
        ({"status": "failed", "last_checkpoint_at": at("23:15")}, (45, 60)),
        ({"status": "failed", "last_checkpoint_at": at("00:20", 2)}, (0, 40)),
        ({"status": "node_fail", "last_checkpoint_at": at("01:00", 2)}, (0, 0)),
        ({"status": "completed", "last_checkpoint_at": at("23:15")}, (0, 0)),
    ],
)
def test_lost_is_what_a_job_that_failed_cost_after_its_last_checkpoint(
    job: dict[str, Any], lost: tuple[int, int]
) -> None:
    assert job_days(lab(**job)) == {day(1): ("run", 3600, 60, lost[0]), day(2): ("run", 3600, 60, lost[1])}


def test_jobs_of_a_day_cost_what_the_ledger_has_for_training() -> None:
    ran = lab(status="failed")
    assert ran.ledger("day", where="kind = 'training'") == {number: row[2] for number, row in job_days(ran).items()}


def test_a_job_on_a_serving_gpu_loses_only_what_it_paid_after_its_checkpoint() -> None:
    one = hour(60, busy=1)
    one.request(at("10:00"), at("10:20"), user="ann")
    one.job(at("10:00"), at("11:00"), id="run", gpu_uuids="G", status="failed", last_checkpoint_at=at("10:50"))
    [(seconds, cost, lost)] = one.run().ask(
        "select gpu_seconds, round(cost, 6), round(lost_cost, 6) from done.job_days"
    )
    assert (seconds, cost, lost) == (2400, 40, 10)


def test_the_hours_of_gpus_add_up_to_their_days() -> None:
    one = world(GPU_POOL)
    one.gpu("G", "r")
    one.gpu("H", "s", gpu_model="A100")
    one.gpu("I", "t", mig_profile="3g.40gb", valid_from=at("10:20"))
    one.charge("100.000000000001", at("09:30"), at("13:10"))
    one.charge("7", at("11:00"), at("12:00"), currency="EUR")
    one.usage(at("09:50"), at("11:10"), 0.3, gpu="G", every=57)
    one.usage(at("10:00"), at("12:00"), 0, gpu="H", every=60)
    one.request(at("10:00"), at("11:00"))
    ran = one.run()
    columns = "sum(billed_seconds), sum(covered_seconds), sum(busy_seconds), sum(cost), sum(idle_cost)"
    keys = "pool, replica_id, gpu_model, BillingCurrency, provisional"
    both = [ran.ask(f"select {keys}, {columns} from done.{name} group by all order by all") for name in TABLES]
    assert len(both[0]) == 8
    assert both[0] == both[1]
    assert ran.ask("select min(hour), max(hour) from done.gpu_hours where BillingCurrency = 'USD'") == [(9, 13)]
    assert ran.ask("select hour, cost from done.gpu_hours where BillingCurrency = 'EUR' and replica_id = 's'") == [
        (11, pytest.approx(Decimal(7) / 3, abs=NEARLY))
    ]


TABLES = ("gpu_hours", "gpu_days")


def test_gpus_of_a_replica_are_counted_together_in_an_hour() -> None:
    one = hour(60, busy=0.25)
    one.gpu("H")
    rows = one.run().ask("select hour, gpus, billed_seconds, covered_seconds, busy_seconds, cost from done.gpu_hours")
    assert rows == [(10, 2, 7200, 3600, 900, 60)]
