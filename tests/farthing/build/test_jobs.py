"""Training and batch jobs: a training pool by the time held, a serving pool by busy time without a request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.farthing.build.test_gpus import NEARLY, hour, kinds, near, world
from tests.farthing.build.world import World, at

TRAINING = {"name": "lab", "kind": "training", "match": {"ResourceId": "node*"}}


def lab(cost: int = 60, *, gpus: int = 1, busy: float | None = None) -> World:
    """A training machine for one hour."""
    made = world(TRAINING)
    made.charge(cost)
    for number in range(gpus):
        made.gpu(f"G{number}", None)
        if busy is not None:
            made.usage(at("10:00"), at("11:00"), busy, gpu=f"G{number}", every=60)
    return made


def jobs(world: World) -> dict[str, Decimal]:
    return world.run().ledger("user_id", where="kind = 'training'")


def test_a_training_pool_is_paid_by_the_time_that_jobs_hold_its_gpus() -> None:
    """Busy or not: a job that holds a GPU pays it; what nobody holds is idle, unobserved or unexplained."""
    one = lab(60, busy=0.5)
    one.job(at("10:00"), at("10:30"), gpu_uuids="G0", user_id="ann", team_id="red", model_produced="v2")
    ran = one.run()
    assert ran.kinds() == {"training": 30, "idle": 15, "unexplained": 15}
    assert ran.ledger("user_id", "team_id", "model", where="kind = 'training'") == {("ann", "red", "v2"): 30}
    silent = lab(60)
    silent.job(at("10:00"), None, gpu_uuids="G0", user_id="ann")
    silent.rows["jobs"][0]["started_at"] = at("10:45")  # still running
    assert silent.run().kinds() == {"training": 15, "unobserved": 45}


@pytest.mark.parametrize(("count", "paid"), [(1, 15), (2, 30), (None, 60), (9, 60)])
def test_a_job_on_a_node_holds_as_many_gpus_as_it_says(count: int | None, paid: int) -> None:
    one = lab(60, gpus=4)
    one.job(at("10:00"), at("11:00"), node_id="node-1", gpu_count=count, user_id="ann")
    assert jobs(one) == {"ann": paid}


def test_a_job_may_name_several_gpus() -> None:
    one = lab(60, gpus=4)
    one.job(at("10:00"), at("11:00"), gpu_uuids=" G0, G1;G2 ", user_id="ann")
    assert jobs(one) == {"ann": 45}


def test_jobs_at_once_on_one_gpu_share_it_and_take_nothing_of_the_time_after_them() -> None:
    one = lab(60, busy=0)
    one.job(at("10:00"), at("10:30"), gpu_uuids="G0", user_id="ann")
    one.job(at("10:00"), at("10:30"), gpu_uuids="G0", user_id="bob")
    one.job(at("10:20"), at("10:40"), gpu_uuids="G0", user_id="eve")
    ran = one.run()
    assert ran.ledger("user_id", where="kind = 'training'") == pytest.approx(
        {"ann": Decimal(40) / 3, "bob": Decimal(40) / 3, "eve": Decimal(40) / 3}, abs=Decimal("0.001")
    )
    assert ran.ledger("kind") == pytest.approx({"training": 40, "idle": 20}, abs=Decimal("0.001"))


def test_jobs_that_together_ask_for_more_gpus_than_a_node_has_share_them() -> None:
    one = lab(60, gpus=2)
    for user in ("ann", "bob", "eve"):
        one.job(at("10:00"), at("11:00"), node_id="node-1", gpu_count=1, user_id=user)
    ran = one.run()
    assert jobs(one) == pytest.approx({"ann": 20, "bob": 20, "eve": 20}, abs=Decimal("0.001"))
    assert ran.total() == 60


def test_on_a_serving_pool_a_job_pays_busy_time_in_which_no_request_was_in_flight() -> None:
    one = hour(60, busy=0.5)
    one.request(at("10:00"), at("10:20"), user="ann")
    one.job(at("10:10"), at("10:40"), gpu_uuids="G", user_id="bob")
    ran = one.run()
    # ann has 10:00 to 10:20, the job 10:20 to 10:40, nobody the rest
    assert kinds(ran) == near(direct="10", training="10", unexplained="10", idle="30")
    assert ran.sums("select round(training_cost, 6), round(idle_cost, 6) from done.gpu_days") == {
        (Decimal(10),): Decimal(30)
    }


def test_jobs_at_once_on_a_serving_gpu_share_what_is_vacant() -> None:
    one = hour(60, busy=1)
    one.request(at("10:00"), at("10:40"), user="ann")
    for user in ("bob", "eve"):
        one.job(at("10:40"), at("11:00"), gpu_uuids="G", user_id=user)
    assert kinds(one.run()) == near(direct="40", training="20")
    assert jobs(one) == pytest.approx({"bob": 10, "eve": 10}, abs=NEARLY)


def test_a_job_on_a_gpu_without_a_replica_takes_its_busy_time() -> None:
    one = hour(60, busy=0.5)
    one.rows["gpu_inventory"][0]["replica_id"] = None
    one.job(at("10:00"), at("10:30"), gpu_uuids="G", user_id="bob")
    assert kinds(one.run()) == near(training="15", unexplained="15", idle="30")


@pytest.mark.parametrize("method", ["tokens", "requests"])
def test_methods_without_time_share_what_the_jobs_left(method: Any) -> None:
    one = hour(60, busy=1, pool={"method": method})
    one.request(at("10:00"), at("10:30"), user="ann", input_tokens=5)
    one.job(at("10:30"), at("11:00"), gpu_uuids="G", user_id="bob")
    assert kinds(one.run()) == near(direct="30", training="30")


def test_a_job_on_several_nodes_holds_its_gpus_on_all_of_them() -> None:
    one = lab(60, gpus=2)
    one.charge(60, resource="node-2")
    for number in (2, 3):
        one.gpu(f"G{number}", None, resource="node-2")
    one.job(at("10:00"), at("11:00"), node_id="node-1 node-2", gpu_count=4, user_id="ann")
    assert jobs(one) == {"ann": 120}
