"""The simulated demo's files: valid, exact, the same from the same seed, and true to the engine that made them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from farthing import config, demo
from farthing.demo import engine
from farthing.errors import ConfigError
from farthing.lake.schemas import CHARGES, COLLECTED


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoFacts:
    return demo.write(tmp_path_factory.mktemp("demo") / "acme")


@pytest.fixture(scope="module")
def truth(facts: demo.DemoFacts) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(facts.truth.read_text())
    return found


@pytest.fixture(scope="module")
def served(facts: demo.DemoFacts) -> pl.DataFrame:
    return pl.read_parquet(facts.folder / "requests" / "serving-*.parquet")


@pytest.fixture(scope="module")
def bought(facts: demo.DemoFacts) -> pl.DataFrame:
    return pl.read_parquet(facts.folder / "requests" / "gateway-*.parquet")


@pytest.fixture(scope="module")
def gpu(facts: demo.DemoFacts) -> pl.DataFrame:
    usage = pl.read_parquet(facts.folder / "gpu" / "*.parquet")
    inventory = pl.read_csv(facts.folder / "inventory.csv").select("gpu_uuid", "replica_id", "ResourceId")
    return usage.join(inventory, on="gpu_uuid", how="left")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bill(facts: demo.DemoFacts) -> list[dict[str, str]]:
    return [row for path in sorted((facts.folder / "bills").iterdir()) for row in rows(path)]


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_same_bytes_in_another_process_and_after_a_torn_attempt(
    facts: demo.DemoFacts, tmp_path: Path
) -> None:
    torn = tmp_path / "again.partial" / "bills"
    torn.mkdir(parents=True)
    (torn / "rest-of-an-old-run.csv").write_text("BilledCost\n1\n")
    code = "import sys, pathlib, farthing.demo; farthing.demo.write(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Pacific/Auckland"}
    root = Path(demo.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, env=environment, cwd=root)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]
    assert digests(tmp_path / "again") == digests(facts.folder)


def test_a_folder_with_this_demo_is_left_as_it_is(facts: demo.DemoFacts) -> None:
    before = {path: path.stat().st_mtime_ns for path in facts.folder.rglob("*")}
    assert demo.write(facts.folder) == facts
    assert {path: path.stat().st_mtime_ns for path in facts.folder.rglob("*")} == before


def test_a_folder_with_anything_else_is_refused_untouched(facts: demo.DemoFacts, tmp_path: Path) -> None:
    (tmp_path / "farthing.toml").write_text("mine")
    with pytest.raises(ConfigError, match="something other than this demo"):
        demo.write(tmp_path)
    assert (tmp_path / "farthing.toml").read_text() == "mine"
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "truth.json").write_text("[]")
    with pytest.raises(ConfigError, match="something other than this demo"):
        demo.write(tmp_path)
    with pytest.raises(ConfigError, match="seed 8"):
        demo.write(facts.folder, seed=8)
    with pytest.raises(ConfigError, match="scale 0"):
        demo.write(tmp_path / "none", scale=0)


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        demo.write(tmp_path / "file" / "demo")


def test_config_loads_and_says_that_it_is_simulated(facts: demo.DemoFacts) -> None:
    loaded = config.load(facts.folder)
    assert "simulated" in loaded.project.name
    for source in loaded.sources.values():
        for pattern in source.patterns:
            assert list(facts.folder.glob(pattern)), pattern


def test_source_columns_are_lake_columns(facts: demo.DemoFacts) -> None:
    tables = {table.name: table for table in COLLECTED} | {"focus": CHARGES}
    for source in config.load(facts.folder).sources.values():
        theirs = {str(column): ours for ours, column in source.columns.items()}
        for pattern in source.patterns:
            for path in facts.folder.glob(pattern):
                found = pl.read_parquet_schema(path) if path.suffix == ".parquet" else rows(path)[0]
                columns = {theirs.get(column, column) for column in found} | set(source.constants)
                unknown = columns - set(tables[source.kind].columns)
                assert not unknown, (path.name, unknown)
                missing = set(tables[source.kind].required) - columns
                assert not missing, (path.name, missing)


def test_bill_in_truth_is_the_sum_of_the_files(facts: demo.DemoFacts, truth: dict[str, Any]) -> None:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for row in bill(facts):
        assert -Decimal(row["EffectiveCost"]).as_tuple().exponent <= 12  # type: ignore[operator]
        total[row["BillingCurrency"]] += Decimal(row["EffectiveCost"])
    assert dict(total) == facts.bill
    assert {currency: Decimal(cost) for currency, cost in truth["bill"].items()} == facts.bill
    assert set(facts.bill) == {"USD", "EUR"}


def test_pool_rules_put_every_charge_where_truth_says(facts: demo.DemoFacts, truth: dict[str, Any]) -> None:
    def takes(pool: config.Pool, row: dict[str, str]) -> bool:
        return all(
            any(fnmatchcase(row[column], pattern) for pattern in ([wanted] if isinstance(wanted, str) else wanted))
            for column, wanted in pool.match.items()
        )

    pools = config.load(facts.folder).pools
    total: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in bill(facts):
        pool = next((pool.name for pool in pools if takes(pool, row)), "unassigned")
        total[pool][row["BillingCurrency"]] += Decimal(row["EffectiveCost"])
    expected = {
        pool: {currency: Decimal(cost) for currency, cost in costs.items()}
        for pool, costs in truth["bill_by_pool"].items()
    }
    assert total == expected
    assert {pool.name for pool in pools} | {"unassigned"} == set(total)


def test_bill_has_a_tax_a_credit_and_quantity_times_price(facts: demo.DemoFacts) -> None:
    categories = [row["ChargeCategory"] for row in bill(facts)]
    assert categories.count("Tax") == 1
    assert categories.count("Credit") == 1
    for row in bill(facts):
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        if row["PricingQuantity"]:
            exact = Decimal(row["PricingQuantity"]) * Decimal(row["ContractedUnitPrice"])
            assert abs(exact - Decimal(row["EffectiveCost"])) <= Decimal("5E-11")


def test_every_machine_of_the_inventory_is_billed_every_hour(facts: demo.DemoFacts) -> None:
    machines = {row["ResourceId"] for row in rows(facts.folder / "inventory.csv")}
    hours: dict[str, list[str]] = defaultdict(list)
    for row in bill(facts):
        if row["ResourceId"] in machines:
            hours[row["ResourceId"]].append(row["ChargePeriodStart"])
    assert set(hours) == machines
    assert all(len(set(starts)) == len(starts) == 7 * 24 for starts in hours.values())


def test_vendor_bill_is_the_log_plus_cancelled_and_past_gateway(
    facts: demo.DemoFacts, truth: dict[str, Any], bought: pl.DataFrame
) -> None:
    logged = bought.group_by(pl.col("start_time").dt.date().cast(pl.String), "response_model").agg(
        pl.col("output_tokens").sum()
    )
    billed: dict[tuple[str, str], int] = defaultdict(int)
    for row in bill(facts):
        if row["SkuMeter"] == "output":
            billed[row["ChargePeriodStart"][:10], row["SkuId"]] += int(Decimal(row["PricingQuantity"]) * 1_000_000)
    past = truth["planted"]["past_gateway"]
    cancelled = 0
    for day, model, tokens in logged.iter_rows():
        extra = past["tokens"]["output"] if (day, model[:3]) == (past["day"], "gpt") else 0
        unlogged = billed[day, model] - tokens - extra
        assert 0 <= unlogged < 0.03 * tokens
        cancelled += unlogged
    assert cancelled > 0
    assert len(billed) == len(logged) == 14


def test_busy_never_exceeds_covered(gpu: pl.DataFrame) -> None:
    assert gpu.filter((pl.col("busy_seconds") > pl.col("covered_seconds")) | (pl.col("busy_seconds") < 0)).is_empty()
    assert gpu.select("gpu_uuid", "started_at").is_duplicated().sum() == 0
    assert gpu.filter(pl.col("ResourceId").is_null()).is_empty()
    assert (gpu["ended_at"] - gpu["started_at"]).dt.total_seconds().unique().to_list() == [10]


def test_requests_gpu_time_adds_up_to_busy_time_but_for_what_is_planted(
    facts: demo.DemoFacts, truth: dict[str, Any], served: pl.DataFrame, gpu: pl.DataFrame
) -> None:
    each = pl.read_parquet(facts.folder / "truth" / "requests-*.parquet")
    assert each.height == served.height
    taken = served.select("request_id", "replica_id").join(each, on="request_id").group_by("replica_id")
    by_replica = dict(taken.agg(pl.col("gpu_seconds").sum()).iter_rows())
    assert by_replica == pytest.approx(truth["gpu_seconds_by_replica"], rel=1e-9)
    expected = dict(by_replica)
    for replica, seconds in truth["hidden_gpu_seconds_by_replica"].items():
        expected[replica] -= seconds
    for name in ("batch_job", "unexplained"):
        expected[truth["planted"][name]["replica_id"]] += truth["planted"][name]["busy_gpu_seconds"]
    observed = gpu.drop_nulls("replica_id").group_by("replica_id").agg(pl.col("busy_seconds").sum())
    assert dict(observed.iter_rows()) == pytest.approx(expected, abs=0.1)


def test_gpu_time_of_users_follows_the_keys(facts: demo.DemoFacts, truth: dict[str, Any], served: pl.DataFrame) -> None:
    each = pl.read_parquet(facts.folder / "truth" / "requests-*.parquet")
    by_user = dict(each.group_by("user_id").agg(pl.col("gpu_seconds").sum()).iter_rows())
    assert by_user == pytest.approx(truth["gpu_seconds_by_user"], abs=1e-6)
    keys = [row for row in rows(facts.folder / "identities.csv") if row["kind"] == "key"]
    holders = pl.DataFrame(
        [
            (row["id"], row["user_id"], moment(row["valid_from"]), moment(row["valid_to"] or "2027-01-01"))
            for row in keys
        ],
        schema=["key", "holder", "valid_from", "valid_to"],
        orient="row",
    )
    logged = served.select("request_id", "started_at", pl.col("user_id").alias("key")).join(each, on="request_id")
    valid = (pl.col("started_at") >= pl.col("valid_from")) & (pl.col("started_at") < pl.col("valid_to"))
    held = logged.join(holders, on="key").filter(valid)
    assert held.filter(pl.col("holder") != pl.col("user_id")).is_empty()
    assert held.height + logged.filter(pl.col("key") == "key-lost").height == logged.height
    assert truth["gpu_seconds_by_user"]["user-0001-successor"] > 0


def test_requests_times_are_ordered_and_inside_the_week(served: pl.DataFrame, bought: pl.DataFrame) -> None:
    theirs = bought.rename({"start_time": "started_at", "first_token_time": "first_token_at", "end_time": "ended_at"})
    for log in (served, theirs):
        times = log.select("started_at", "first_token_at", "ended_at")
        assert times.null_count().sum_horizontal().item() == 0
        assert times.dtypes == [pl.Datetime("us", "UTC")] * 3
        disorder = (pl.col("started_at") >= pl.col("first_token_at")) | (pl.col("first_token_at") > pl.col("ended_at"))
        assert times.filter(disorder).is_empty()
        assert times["started_at"].min().isoformat() >= "2026-10-05T00:00:00"  # type: ignore[union-attr]
        assert times["ended_at"].max().isoformat() < "2026-10-12T00:00:00"  # type: ignore[union-attr]
        assert log["request_id"].is_unique().all()


def test_a_request_takes_no_more_than_its_life(facts: demo.DemoFacts, served: pl.DataFrame) -> None:
    each = pl.read_parquet(facts.folder / "truth" / "requests-*.parquet")
    life = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    assert served.join(each, on="request_id").filter(pl.col("gpu_seconds") > 4 * life + 1e-4).is_empty()


def test_token_classes_are_inclusive_and_what_is_missing_is_null(served: pl.DataFrame, bought: pl.DataFrame) -> None:
    assert served.filter(pl.col("cached_input_tokens") > pl.col("input_tokens")).is_empty()
    read = pl.sum_horizontal("cached_input_tokens", "cache_write_tokens")
    reported = bought.filter(pl.col("usage_quality") == "reported")
    assert reported.filter(read > pl.col("input_tokens")).is_empty()
    assert reported.filter(pl.col("cache_write_1h_tokens") > pl.col("cache_write_tokens")).is_empty()
    assert reported.filter(pl.col("reasoning_tokens") > pl.col("output_tokens")).is_empty()
    classes = ["cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens"]
    assert all(total > 0 for total in reported.select(classes).sum().row(0))
    assert reported.select("input_tokens", "output_tokens").null_count().row(0) == (0, 0)
    missing = bought.filter(pl.col("usage_quality") == "missing")
    assert missing.height > 0
    assert missing.select(pl.col("^.*_tokens$")).null_count().row(0) == (missing.height,) * 6


def test_telemetry_is_missing_exactly_where_planted(truth: dict[str, Any], gpu: pl.DataFrame) -> None:
    planted = truth["planted"]["unobserved"]
    per_gpu = gpu.group_by("node_id", "gpu_uuid").len()
    week = 7 * 8640
    assert set(per_gpu.filter(pl.col("node_id") == planted["node_id"])["len"]) == {week - 4 * 360}
    assert set(per_gpu.filter(pl.col("node_id") != planted["node_id"])["len"]) == {week}
    inside = (pl.col("started_at") >= moment(planted["begin"])) & (pl.col("started_at") < moment(planted["end"]))
    assert gpu.filter(inside & (pl.col("node_id") == planted["node_id"])).is_empty()


@pytest.mark.parametrize("name", ["batch_job", "unexplained"])
def test_planted_work_meets_no_request(
    name: str, facts: demo.DemoFacts, truth: dict[str, Any], served: pl.DataFrame, gpu: pl.DataFrame
) -> None:
    planted = truth["planted"][name]
    begin, end = moment(planted["begin"]), moment(planted["end"])
    alive = (pl.col("started_at") < end) & (pl.col("ended_at") > begin)
    assert served.filter(alive & (pl.col("replica_id") == planted["replica_id"])).is_empty()
    assert not served.filter(alive).is_empty()
    inside = gpu.filter((pl.col("started_at") >= begin) & (pl.col("ended_at") <= end))
    here = inside.filter((pl.col("replica_id") == planted["replica_id"]) & (pl.col("busy_seconds") > 0))
    assert here["gpu_uuid"].unique().to_list() == [planted["gpu_uuid"]]
    assert here["busy_seconds"].sum() == planted["busy_gpu_seconds"]
    named = [job for job in rows(facts.folder / "jobs.csv") if planted["gpu_uuid"] in job["gpu_uuids"].split()]
    assert len(named) == (1 if name == "batch_job" else 0)


def test_fleet_is_busy_by_day_and_idle_by_night(gpu: pl.DataFrame) -> None:
    weekdays = gpu.filter(pl.col("replica_id").is_not_null() & (pl.col("started_at").dt.weekday() <= 5))
    hour = pl.col("started_at").dt.hour()
    share = pl.col("busy_seconds").sum() / pl.col("covered_seconds").sum()
    assert 0.2 < weekdays.filter(hour.is_between(8, 18)).select(share).item() < 0.6
    assert weekdays.filter(hour < 5).select(share).item() < 0.05


def test_use_is_heavy_tailed_and_tasks_have_many_calls(served: pl.DataFrame, bought: pl.DataFrame) -> None:
    per_user = served["user_id"].value_counts()["count"].sort()
    assert per_user[-3] > 100 * per_user[2]
    calls = pl.concat([log.select("trace_id", "agent", "tool") for log in (served, bought)]).drop_nulls("trace_id")
    per_task = calls.group_by("trace_id").agg(
        pl.len(), pl.col("agent").n_unique(), pl.col("tool").drop_nulls().n_unique()
    )
    assert (per_task["len"].min(), per_task["len"].max()) == (10, 60)
    assert per_task["agent"].max() == 4
    assert per_task["tool"].max() == 3


def test_scale_grows_everything_together(facts: demo.DemoFacts, tmp_path: Path) -> None:
    said: list[str] = []
    twice = demo.write(tmp_path / "twice", scale=2, report=said.append)
    assert "does not exist" in said[0]
    assert twice.requests == 2 * facts.requests
    assert twice.users == pytest.approx(2 * facts.users, abs=5)
    cost = [json.loads(found.truth.read_text())["bill_by_pool"] for found in (facts, twice)]
    assert Decimal(cost[1]["gpu-serving"]["USD"]) == 2 * Decimal(cost[0]["gpu-serving"]["USD"])
    nodes = {row["ResourceId"] for row in rows(twice.folder / "inventory.csv")}
    assert nodes == {"i-serve-01", "i-serve-02", "i-serve-03", "i-serve-04", "i-train-01"}
    logged = pl.read_parquet(twice.folder / "requests" / "serving-*.parquet")
    assert logged["request_id"].is_unique().all()
    assert logged["replica_id"].n_unique() == 8


def test_engine_gives_one_request_alone_exactly_its_prompt_and_its_steps() -> None:
    timing = engine.Timing(1.0, 0.01, 0.5, 0.25, 0.001)
    work = engine.Work(arrived=10.0, input_tokens=300, cached_tokens=100, output_tokens=3)
    engine.run([work], [engine.Replica(timing)])
    assert work.first_token == pytest.approx(10 + 1 + 2)
    assert work.ended == pytest.approx(13 + (0.75 + 0.301) + (0.75 + 0.302))
    assert work.replica_seconds == pytest.approx(work.ended - 10)


def test_engine_lets_decoding_wait_for_a_prompt() -> None:
    timing = engine.Timing(1.0, 0.0, 0.5, 0.0, 0.0)
    first, second = (engine.Work(arrived, 10, 0, 5) for arrived in (0.0, 1.2))
    engine.run([first, second], [engine.Replica(timing)])
    assert second.first_token == pytest.approx(1 + 0.5 + 1)  # the running step ends first, then the prompt is alone
    assert first.ended == pytest.approx(2.5 + 3 * 0.5)
    assert second.ended == pytest.approx(first.ended + 0.5)
    assert (first.replica_seconds, second.replica_seconds) == pytest.approx((1 + 0.5 + 0.75, 1 + 0.75 + 0.5))


@pytest.mark.parametrize("seed", range(5))
def test_engine_shares_out_exactly_its_busy_time(seed: int) -> None:
    draw = random.Random(seed)
    arrivals = sorted(draw.uniform(0, 200) for _ in range(300))
    works = [engine.Work(moment, draw.randint(1, 4000), 0, draw.randint(1, 60)) for moment in arrivals]
    replicas = [
        engine.Replica(engine.Timing(), largest_batch=4, closed=[(50.0, 80.0)]),
        engine.Replica(engine.Timing()),
    ]
    engine.run(works, replicas)
    assert not [work for work in works if work.replica == 0 and 50 <= work.arrived < 80]
    for index, replica in enumerate(replicas):
        busy = sum(end - begin for begin, end in replica.busy)
        assert sum(work.replica_seconds for work in works if work.replica == index) == pytest.approx(busy)
        buckets = engine.busy_microseconds(replica.busy, bucket_seconds=10, buckets=100)
        assert sum(buckets) == pytest.approx(busy * 1e6, abs=len(replica.busy))
        assert max(buckets) <= 10_000_000
        assert all(earlier[1] <= later[0] for earlier, later in zip(replica.busy, replica.busy[1:], strict=False))
