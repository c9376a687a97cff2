"""Own GPUs by hand-worked worlds: every part of a GPU-hour goes where it must, and the parts are the whole."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from models.prefill_law import PrefillLaw
from tests.farthing.build.world import GPU_POOL, Ran, World, at

#: What division may keep back from requests, per world of a few requests; it is `unexplained`, never lost.
NEARLY = Decimal("0.00000001")
LAW = {("m", "H100"): PrefillLaw(p0_us=1_000_000, p1_ns=10_000_000, decode_us=500_000, requests=1, fit_error=0)}


def world(*pools: dict[str, Any], cell: int = 60, **tables: Any) -> World:
    """A world without laws of its own, on wide cells: fast."""
    return World(*pools, attribution={"cell_seconds": cell, "law_minimum_requests": 10_000}, **tables)


def hour(cost: int = 1, *, busy: float | None = None, pool: dict[str, Any] | None = None) -> World:
    """One GPU for one hour."""
    made = world({**GPU_POOL, **(pool or {})})
    made.charge(cost)
    made.gpu()
    if busy is not None:
        made.usage(at("10:00"), at("11:00"), busy, every=60)
    return made


def near(**parts: str) -> Any:
    return pytest.approx({kind: Decimal(cost) for kind, cost in parts.items()}, abs=NEARLY)


def kinds(ran: Ran) -> dict[Any, Decimal]:
    return tidy(ran.kinds())


def tidy(parts: dict[Any, Decimal]) -> dict[Any, Decimal]:
    """Without what division kept back."""
    return {key: cost for key, cost in parts.items() if abs(cost) > NEARLY}


def test_busy_time_with_a_request_is_direct_without_one_unexplained_the_rest_idle() -> None:
    one = hour(8, busy=0.25)
    one.request(at("10:00"), at("10:30"))
    assert kinds(one.run()) == near(direct="1", unexplained="1", idle="6")


def test_without_telemetry_all_is_unobserved_and_without_a_request_all_busy_is_unexplained() -> None:
    silent = hour()
    silent.request(at("10:00"), at("11:00"))
    assert silent.run().kinds() == {"unobserved": 1}
    assert hour(busy=0.5).run().kinds() == {"idle": Decimal("0.5"), "unexplained": Decimal("0.5")}


def test_not_observed_is_not_idle() -> None:
    half = hour(4)
    half.usage(at("10:00"), at("10:30"), 0.5, every=60)  # 10:30 on: no telemetry
    half.usage(at("10:15:20"), at("10:15:50"), 0.9)  # inside another row: who began first keeps the time
    half.usage(at("10:29:30"), at("10:30"), 0.9)
    assert half.run().kinds() == {"idle": 1, "unexplained": 1, "unobserved": 2}
    partly = hour(4)
    partly.usage(at("10:00"), at("11:00"), 0.25, every=60, covered=0.5)
    assert partly.run().kinds() == {"idle": 1, "unexplained": 1, "unobserved": 2}


def test_intervals_of_57_seconds_over_hours_and_midnight_lose_nothing() -> None:
    night = world()
    night.charge(48, at("00:00", 1), at("00:00", 3))
    night.gpu()
    night.usage(at("00:00", 1), at("00:00", 3), 0.5, every=57)
    night.request(at("23:00", 1), at("01:00", 2))
    ran = night.run()
    assert kinds(ran) == near(direct="1", unexplained="23", idle="24")
    assert ran.ledger("day", where="kind = 'direct'") == {
        row["day"]: pytest.approx(Decimal("0.5"), abs=Decimal("0.01"))  # 57 s and cells of 60 s do not meet
        for row in [{"day": at(day=1).date()}, {"day": at(day=2).date()}]
    }


def test_two_requests_share_by_presence_and_one_alone_takes_what_it_was_there_for() -> None:
    two = hour(60, busy=1)
    two.request(at("10:00"), at("10:30"), user="ann")
    two.request(at("10:15"), at("10:45"), user="bob")
    ran = two.run()
    assert ran.users() == near(ann="22.5", bob="22.5")
    assert kinds(ran) == near(direct="45", unexplained="15")


def test_nobody_takes_more_than_the_time_it_was_present() -> None:
    """A cell that was busy throughout while somebody was present for a tenth of it: the rest is unexplained."""
    one = world(cell=10)
    one.charge(36)
    one.gpu()
    one.usage(at("10:00"), at("11:00"), 1, every=10)
    one.request(at("10:00:04"), at("10:00:05"))
    assert kinds(one.run()) == near(direct="0.01", unexplained="35.99")


def test_four_pods_at_a_quarter_of_one_gpu_add_up_to_one_gpu() -> None:
    """opencost/opencost#3828: each was charged a whole GPU."""
    pods = hour(8, busy=0.5)
    pods.rows["gpu_inventory"].clear()
    for number in range(4):
        pods.gpu("G", f"pod-{number}", share=0.25)
    pods.request(at("10:00"), at("11:00"), replica="pod-0", user="ann")
    pods.request(at("10:00"), at("10:30"), replica="pod-1", user="bob")
    ran = pods.run()
    assert ran.sums("select replica_id, cost from done.gpu_days") == {(f"pod-{number}",): 2 for number in range(4)}
    assert ran.total() == 8
    assert ran.users() == near(ann="1", bob="0.5")
    assert kinds(ran) == near(direct="1.5", unexplained="2.5", idle="4")


def test_the_part_of_a_time_sliced_gpu_that_no_pod_has_is_idle() -> None:
    pods = hour(8, busy=0.5)
    pods.rows["gpu_inventory"].clear()
    for number, share in enumerate([0.5, 0.125]):
        pods.gpu("G", f"pod-{number}", share=share)
    ran = pods.run()
    assert ran.sums("select replica_id, cost from done.gpu_days") == {("pod-0",): 4, ("pod-1",): 1, (None,): 3}
    assert kinds(ran) == near(unexplained="2.5", idle="5.5")


@pytest.mark.parametrize("idle", ["separate", "proportional"])
def test_gpus_of_a_weak_currency_stay_inside_the_engines_integers(idle: str) -> None:
    world = hour(4_000_000)
    world.pools[0] = {**world.pools[0], "idle": idle}
    world.usage(at("10:00"), at("11:00"), 0.5)
    world.request(at("10:00"), at("10:30"), user="ann")
    assert world.run().total() == 4_000_000


@pytest.mark.parametrize(
    ("profile", "gpu_model", "cost"),
    [
        ("1g.5gb", "A100", 1),
        ("1c.2g.20gb", "A100", 2),
        ("MIG 3g.20gb", None, 3),
        ("2g.12gb", "NVIDIA A30", Decimal("3.5")),
        ("whole", "A100", 7),
    ],
)
def test_a_mig_instance_is_as_large_as_its_compute_slices(profile: str, gpu_model: str | None, cost: object) -> None:
    mig = hour(7)
    mig.rows["gpu_inventory"].clear()
    mig.gpu("S", "s", parent_gpu_uuid="G", mig_profile=profile, gpu_model=gpu_model)
    mig.usage(at("10:00"), at("11:00"), 1, gpu="S")
    mig.request(at("10:00"), at("11:00"), replica="s", user="ann")
    assert round(mig.run().users()["ann"], 6) == cost


def test_mig_slices_add_up_to_their_gpu_and_what_no_slice_uses_is_idle() -> None:
    mig = hour(7)
    mig.rows["gpu_inventory"].clear()
    for slice_, profile in (("A", "3g.40gb"), ("B", "2g.20gb"), ("C", "1g.10gb")):
        mig.gpu(slice_, slice_.lower(), parent_gpu_uuid="G", mig_profile=profile)
        mig.usage(at("10:00"), at("11:00"), 0.5, gpu=slice_)
        mig.request(at("10:00"), at("11:00"), replica=slice_.lower(), user=slice_)
    ran = mig.run()
    assert ran.sums("select gpu_uuid, cost from done.gpu_days") == {("A",): 3, ("B",): 2, ("C",): 1, (None,): 1}
    assert ran.users() == near(A="1.5", B="1", C="0.5")
    assert kinds(ran) == near(direct="3", idle="4")


def test_a_node_with_two_gpu_models_is_split_over_all_its_gpus_and_learns_a_law_for_each() -> None:
    """project-koku/koku PR#6163: MAX where SUM was needed."""
    node = hour(8)
    node.rows["gpu_inventory"].clear()
    for number, model in enumerate(["H100", "H100", "A100", "A100"]):
        node.gpu(f"G{number}", f"r{number}", gpu_model=model)
        node.usage(at("10:00"), at("11:00"), 0.5, gpu=f"G{number}", every=60)
    for replica in ("r0", "r2"):
        node.request(at("10:10"), at("10:50"), first=at("10:20"), replica=replica, user=replica, input_tokens=59_000)
    laws = {("m", "H100"): LAW["m", "H100"], ("m", "A100"): PrefillLaw(1_000_000, 5_000_000, 1, 1, 0)}
    ran = node.run(laws=laws)
    assert ran.sums("select gpu_uuid, cost from done.gpu_days") == {(f"G{number}",): 2 for number in range(4)}
    # prefill of 591 s on the H100 and 296 s on the A100: 10 and 5 half-busy minutes, before 30 of decode
    assert ran.users() == near(r0=str(Decimal(40) / 60), r2=str(Decimal(35) / 60))


def test_prefill_takes_its_part_of_the_busy_time_before_decode() -> None:
    """Cells of a minute, half busy: a prompt of 20 s and somebody who decodes; and a prompt of 50 s."""
    one = world()
    one.charge(60)
    one.gpu()
    one.usage(at("10:00"), at("10:03"), 0.5, every=60)
    one.request(at("10:00"), at("10:03"), user="decoder")  # no first token: residence over the whole life
    one.request(at("10:00:10"), at("10:00:30"), first=at("10:00:30"), user="short", input_tokens=1900)
    one.request(at("10:01:05"), at("10:01:55"), first=at("10:01:55"), user="long", input_tokens=4900)
    assert one.run(laws=LAW).users() == near(
        short=str(Decimal(20) / 60), long=str(Decimal(30) / 60), decoder=str(Decimal(10 + 0 + 30) / 60)
    )


def test_a_request_without_an_end_lives_as_long_as_its_output_takes() -> None:
    one = hour(60, busy=1)
    one.request(at("10:00"), first=at("10:00"), output_tokens=120)  # 120 x 0.5 s
    one.request(at("10:00"), user="silent", first=at("10:00"))  # no tokens: no life, no cost
    ran = one.run(laws=LAW)
    assert ran.users() == near(u="1")
    assert ran.quality("requests", "with an end") == (0, 2)


def test_a_gateway_cache_hit_costs_nothing() -> None:
    one = hour(60, busy=1)
    one.request(at("10:00"), at("10:30"), user="ann")
    one.request(at("10:00"), at("10:30"), user="bob", gateway_cache_hit=True)
    assert tidy(one.run().users()) == near(ann="30")


def test_a_tensor_parallel_replica_costs_its_gpus_and_is_as_busy_as_their_mean() -> None:
    two = hour(10)
    two.gpu("G2")
    two.usage(at("10:00"), at("11:00"), 0.75, every=60)
    two.usage(at("10:00"), at("11:00"), 0.25, every=60, gpu="G2")
    two.request(at("10:00"), at("11:00"))
    ran = two.run()
    assert kinds(ran) == near(direct="5", idle="5")
    assert ran.sums("select gpu_uuid, round(direct_cost, 6) from done.gpu_days") == {
        ("G",): Decimal("3.75"),
        ("G2",): Decimal("1.25"),
    }


def test_prefill_on_a_replica_of_two_gpus_takes_no_more_than_its_time() -> None:
    """Both half busy: of each minute 30 s, of which a prompt of 15 s takes 15 and the decoder the rest."""
    two = hour(60, busy=0.5)
    two.gpu("G2")
    two.usage(at("10:00"), at("11:00"), 0.5, every=60, gpu="G2")
    two.request(at("10:00"), at("10:01"), user="decoder")
    two.request(at("10:00:10"), at("10:00:30"), first=at("10:00:30"), user="prompt", input_tokens=1400)
    assert two.run(laws=LAW).users() == near(decoder="0.25", prompt="0.25")


def test_a_gpu_that_changes_its_replica_takes_only_its_time_there() -> None:
    one = hour(60, busy=1)
    one.rows["gpu_inventory"].clear()
    one.gpu(replica="a", valid_to=at("10:20"))
    one.gpu(replica="b", valid_from=at("10:20"))
    one.request(at("10:00"), at("11:00"), replica="a", user="ann")
    one.request(at("10:00"), at("11:00"), replica="b", user="bob")
    assert one.run().users() == near(ann="20", bob="40")


def test_a_bill_without_an_inventory_is_unassigned_not_idle() -> None:
    one = hour(3, busy=1)
    one.charge(5, resource="node-9")
    assert kinds(one.run()) == {"unassigned": 5, "unexplained": 3}


def test_resource_ids_meet_whatever_their_case() -> None:
    one = world({"name": "gpu", "kind": "gpu"})
    one.charge(3, resource="/Subscriptions/A/VM-1")
    one.gpu(resource="/subscriptions/a/vm-1")
    assert kinds(one.run()) == {"unobserved": 3}


@pytest.mark.parametrize(
    ("policy", "team", "expected"),
    [
        ("separate", "red", {("idle", "red", None): "45", ("direct", None, "ann"): "10", ("direct", None, "bob"): "5"}),
        ("separate", None, {("idle", None, None): "45", ("direct", None, "ann"): "10", ("direct", None, "bob"): "5"}),
        (
            "proportional",
            "red",
            {
                ("idle", None, "ann"): "30",
                ("idle", None, "bob"): "15",
                ("direct", None, "ann"): "10",
                ("direct", None, "bob"): "5",
            },
        ),
        ("owner", "red", {("direct", "red", None): "45", ("direct", None, "ann"): "10", ("direct", None, "bob"): "5"}),
        ("owner", None, {("idle", None, None): "45", ("direct", None, "ann"): "10", ("direct", None, "bob"): "5"}),
    ],
)
def test_idle_goes_where_the_policy_says(policy: str, team: str | None, expected: dict[Any, str]) -> None:
    one = hour(60, busy=0.25, pool={"idle": policy})
    one.rows["gpu_inventory"][0]["team_id"] = team
    one.request(at("10:00"), at("10:40"), user="ann")
    one.request(at("10:40"), at("11:00"), user="bob")
    lines = one.run().ledger("kind", "team_id", "user_id")
    assert tidy(lines) == pytest.approx({key: Decimal(cost) for key, cost in expected.items()}, abs=NEARLY)


def test_proportional_idle_with_nobody_to_carry_it_stays_idle() -> None:
    """opencost/opencost PR#883: it was deleted."""
    assert hour(2, busy=0, pool={"idle": "proportional"}).run().kinds() == {"idle": 2}


def test_the_idle_line_names_the_model_that_the_replica_serves() -> None:
    one = hour(2, busy=0.5)
    one.request(at("10:00"), at("11:00"), model="llama")
    assert tidy(one.run().ledger("kind", "model")) == {
        ("idle", "llama"): 1,
        ("direct", "llama"): pytest.approx(Decimal(1), abs=NEARLY),
    }
    one.rows["gpu_inventory"][0]["model"] = "planned"
    assert one.run().ledger("model", where="kind = 'idle'") == {"planned": 1}


def test_a_credit_keeps_its_sign_on_every_line_and_is_not_clamped() -> None:
    """opencost/opencost#3387: clamping breaks the sum."""
    one = hour(-8, busy=0.25)
    one.charge("-0.000000000001")
    one.request(at("10:00"), at("10:30"))
    ran = one.run()
    assert kinds(ran) == near(direct="-1", unexplained="-1", idle="-6")
    assert ran.total() == Decimal("-8.000000000001")


@pytest.mark.parametrize(("method", "ann", "bob"), [("tokens", "6.4", "1.6"), ("requests", "4", "4")])
def test_the_methods_without_time_share_the_busy_money_by_weight(method: str, ann: str, bob: str) -> None:
    one = hour(10, busy=0.8, pool={"method": method})
    one.request(at("10:00"), at("11:00"), user="ann", input_tokens=1000, cached_input_tokens=500, output_tokens=0)
    one.request(at("10:30"), at("10:31"), user="bob", input_tokens=0, output_tokens=25)
    one.rows["requests"][0]["cached_input_tokens"] = 500  # 500 x 10 + 500 x 1 = 5500 against 25 x 50 = 1250
    ran = one.run()
    if method == "tokens":
        ann, bob = str(Decimal(8 * 5500) / 6750), str(Decimal(8 * 1250) / 6750)
    assert ran.users() == near(ann=ann, bob=bob)
    assert ran.kinds()["idle"] == 2


def test_gpu_seconds_shares_by_life_whatever_the_law_says() -> None:
    one = hour(60, busy=1, pool={"method": "gpu_seconds"})
    one.request(at("10:00"), at("10:30"), first=at("10:29"), user="ann", input_tokens=50_000)
    one.request(at("10:00"), at("10:30"), first=at("10:01"), user="bob", input_tokens=10)
    assert one.run(laws=LAW).users() == near(ann="15", bob="15")


def test_methods_kept_for_comparison_do_not_touch_the_ledger() -> None:
    one = hour(60, busy=1)
    one.tables["attribution"]["compare"] = ["tokens", "requests", "gpu_seconds"]
    one.request(at("10:00"), at("10:30"), user="ann", input_tokens=1, id="a")
    one.request(at("10:30"), at("11:00"), user="bob", input_tokens=3, id="b")
    ran = one.run()
    assert ran.users() == near(ann="30", bob="30")
    assert ran.requests("tokens") == near(a="15", b="45")
    assert ran.requests("requests") == near(a="30", b="30")
    assert ran.requests("gpu_seconds") == near(a="30", b="30")


def test_a_currency_of_large_numbers_fits() -> None:
    one = hour(busy=1)
    one.rows["charges"].clear()
    one.charge(100_000_000, at("00:00"), at("24:00"), currency="VND")
    one.request(at("10:00"), at("11:00"))
    assert one.run().total() == 100_000_000
