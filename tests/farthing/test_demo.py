"""The simulated demo's files: valid, exact, the same from the same seed, and true to what is planted in them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from collectors import costs
from farthing import config, demo
from farthing.demo import engine
from farthing.demo.project import CLASSES
from farthing.demo.world import Integers
from farthing.errors import ConfigError
from farthing.lake.schemas import CHARGES, COLLECTED

#: Over the turn of a month, with credits, a training run's end and nothing that costs time.
DAYS: dict[str, Any] = {"first_day": date(2026, 6, 26), "last_day": date(2026, 7, 3), "share": 0.2}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoFacts:
    return demo.write(tmp_path_factory.mktemp("demo") / "acme", **DAYS)


@pytest.fixture(scope="module")
def autumn(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoFacts:
    """From the lost log of the middle of October to the end, with late bills and a run."""
    first = date(2026, 10, 13)
    return demo.write(tmp_path_factory.mktemp("demo") / "autumn", first_day=first, share=0.2)


def truth_of(facts: demo.DemoFacts) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(facts.truth.read_text())
    return found


def served(facts: demo.DemoFacts) -> pl.DataFrame:
    return pl.read_parquet(facts.folder / "requests" / "serving-*.parquet")


def bought(facts: demo.DemoFacts) -> pl.DataFrame:
    return pl.read_parquet(facts.folder / "requests" / "gateway-*.parquet")


def gpu(facts: demo.DemoFacts) -> pl.DataFrame:
    usage = pl.read_parquet(facts.folder / "gpu" / "*.parquet")
    inventory = pl.read_csv(facts.folder / "inventory.csv").select("gpu_uuid", "replica_id", "ResourceId", "model")
    return usage.join(inventory, on="gpu_uuid", how="left")


def heading(path: Path) -> list[str]:
    return next(csv.reader(io.StringIO(text_of(path), newline="")))


def text_of(path: Path) -> str:
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(path), newline="")))


def bill(facts: demo.DemoFacts) -> list[dict[str, str]]:
    return [row for path in sorted((facts.folder / "bills").iterdir()) for row in rows(path)]


def own_costs(facts: demo.DemoFacts) -> list[dict[str, str]]:
    """The charges that costs.csv becomes, as far as pools and sums ask."""
    return [
        {
            "x_source": "labour", "ServiceName": row["service"], "EffectiveCost": row["amount"],
            "BillingCurrency": row["currency"],
        }
        for row in rows(facts.folder / "costs.csv")
    ]  # fmt: skip


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
    code = (
        "import datetime, sys, pathlib, farthing.demo; farthing.demo.write(pathlib.Path(sys.argv[1]), "
        "first_day=datetime.date(2026, 6, 26), last_day=datetime.date(2026, 7, 3), share=0.2)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Pacific/Auckland"}
    root = Path(demo.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, env=environment, cwd=root)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]
    assert digests(tmp_path / "again") == digests(facts.folder)


def test_a_folder_with_this_demo_is_left_as_it_is(facts: demo.DemoFacts) -> None:
    before = {path: path.stat().st_mtime_ns for path in facts.folder.rglob("*")}
    assert demo.write(facts.folder, **DAYS) == facts
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
        demo.write(facts.folder, seed=8, **DAYS)
    with pytest.raises(ConfigError, match="scale 0"):
        demo.write(tmp_path / "none", scale=0)
    with pytest.raises(ConfigError, match="no days of the demo"):
        demo.write(tmp_path / "none", last_day=date(2026, 11, 1))


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
        if source.kind == "costs":  # its columns are not the lake's
            continue
        theirs = {str(column): ours for ours, column in source.columns.items()}
        for pattern in source.patterns:
            for path in facts.folder.glob(pattern):
                found = pl.read_parquet_schema(path) if path.suffix == ".parquet" else heading(path)
                columns = {theirs.get(column, column) for column in found} | set(source.constants)
                unknown = columns - set(tables[source.kind].columns)
                assert not unknown, (path.name, unknown)
                missing = set(tables[source.kind].required) - columns
                assert not missing, (path.name, missing)


def test_bill_in_truth_is_the_sum_of_the_files(facts: demo.DemoFacts) -> None:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for row in [*bill(facts), *own_costs(facts)]:
        assert -Decimal(row["EffectiveCost"]).as_tuple().exponent <= 12  # type: ignore[operator]
        total[row["BillingCurrency"]] += Decimal(row["EffectiveCost"])
    assert dict(total) == facts.bill
    assert {currency: Decimal(cost) for currency, cost in truth_of(facts)["bill"].items()} == facts.bill
    assert set(facts.bill) == {"USD", "EUR"}


@pytest.mark.slow
def test_pool_rules_put_every_charge_where_truth_says(facts: demo.DemoFacts, autumn: demo.DemoFacts) -> None:
    def takes(pool: config.Pool, row: dict[str, str]) -> bool:
        return all(
            any(
                fnmatchcase(row.get(column, ""), pattern)
                for pattern in ([wanted] if isinstance(wanted, str) else wanted)
            )
            for column, wanted in pool.match.items()
        )

    pools, seen = config.load(facts.folder).pools, set()
    for one in (facts, autumn):
        total: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for row in [*bill(one), *own_costs(one)]:
            pool = next((pool.name for pool in pools if takes(pool, row)), "unassigned")
            total[pool][row["BillingCurrency"]] += Decimal(row["EffectiveCost"])
        expected = {
            pool: {currency: Decimal(cost) for currency, cost in costs.items()}
            for pool, costs in truth_of(one)["bill_by_pool"].items()
        }
        assert total == expected
        seen |= set(total)
    assert {pool.name for pool in pools} == seen
    assert {pool.name: pool.class_ for pool in pools} == CLASSES


def test_labelling_is_no_bill_but_a_file_of_costs_that_lands_whole(facts: demo.DemoFacts) -> None:
    loaded = config.load(facts.folder)
    landed = costs.COLLECTOR.preview("labour", loaded.sources["labour"], loaded)
    utc = pl.col("ChargePeriodStart", "ChargePeriodEnd").dt.replace_time_zone("UTC")
    assert landed.select("ServiceName", "BilledCost", utc).rows() == [
        ("Labelling", Decimal(420), datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC))
    ]
    assert json.loads(landed["Tags"].item()) == {"team": "research"}
    assert not [row for row in bill(facts) if "abel" in row["ServiceName"]]


def test_bill_has_tax_a_credit_commitments_and_quantity_times_price(facts: demo.DemoFacts) -> None:
    found = bill(facts)
    categories = [row["ChargeCategory"] for row in found]
    assert categories.count("Tax") == 2
    assert categories.count("Credit") == 1
    assert {row["CommitmentDiscountId"] for row in found if row["PricingCategory"] == "Committed"} == {
        "ri-acme-2025", "cud-acme-2025",
    }  # fmt: skip
    for row in found:
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        if row["PricingQuantity"]:
            exact = Decimal(row["PricingQuantity"]) * Decimal(row["ContractedUnitPrice"])
            assert abs(exact - Decimal(row["EffectiveCost"])) <= Decimal("5E-11")


def test_every_machine_is_billed_every_hour_that_the_inventory_has_it_but_for_the_late_bill(
    autumn: demo.DemoFacts,
) -> None:
    late = truth_of(autumn)["planted"]["late_bill"]
    hours: dict[str, list[str]] = defaultdict(list)
    for row in bill(autumn):
        hours[row["ResourceId"]].append(row["ChargePeriodStart"])
    machines = {row["ResourceId"]: row for row in rows(autumn.folder / "inventory.csv")}
    assert set(late["provisional_resources"]) < set(machines)
    for name, machine in machines.items():
        begin, end = moment(machine["valid_from"]), moment(machine["valid_to"])
        if name in late["provisional_resources"]:
            end = moment(late["from"])
        assert len(set(hours[name])) == len(hours[name]) == (end - begin).total_seconds() / 3600
    provider = [row for row in bill(autumn) if row["ProviderName"] == late["provider"]]
    assert max(moment(row["ChargePeriodEnd"]) for row in provider) == moment(late["from"])


def test_vendor_bill_is_the_log_and_what_was_cancelled(autumn: demo.DemoFacts) -> None:
    logged = (
        bought(autumn)
        .group_by(pl.col("start_time").dt.date().cast(pl.String), "response_model")
        .agg(pl.col("output_tokens").sum())
    )
    billed: dict[tuple[str, str], int] = defaultdict(int)
    for row in bill(autumn):
        if row["SkuMeter"] == "output":
            billed[row["ChargePeriodStart"][:10], row["SkuId"]] += int(Decimal(row["PricingQuantity"]) * 1_000_000)
    assert len(billed) == len(logged)
    extra = {(day, model): billed[day, model] - tokens for day, model, tokens in logged.iter_rows()}
    assert min(extra.values()) == 0
    assert 0 < sum(extra.values()) < 0.01 * sum(billed.values())


def test_prices_of_the_configuration_are_those_of_the_bill_and_one_model_has_none(autumn: demo.DemoFacts) -> None:
    known = {str(price.model): price for price in config.load(autumn.folder).prices if price.model}  # the last wins
    seen = set()
    for row in bill(autumn):
        if row["ServiceSubcategory"] == "Generative AI":
            seen.add(row["SkuId"])
            price = next((price for name, price in known.items() if fnmatchcase(row["SkuId"], name)), None)
            if price:
                assert getattr(price, row["SkuMeter"]) == Decimal(row["ContractedUnitPrice"])
    unpriced = truth_of(autumn)["planted"]["unpriced_model"]["model"]
    assert {name for name in seen if not any(fnmatchcase(name, pattern) for pattern in known)} == {unpriced}


def test_telemetry_is_whole_without_overlap_and_fine_at_the_end(autumn: demo.DemoFacts) -> None:
    found = gpu(autumn)
    assert found.filter((pl.col("busy_seconds") > pl.col("covered_seconds")) | (pl.col("busy_seconds") < 0)).is_empty()
    assert found.select("gpu_uuid", "started_at").is_duplicated().sum() == 0
    assert found["ResourceId"].null_count() == 0
    width = (pl.col("ended_at") - pl.col("started_at")).dt.total_seconds()
    fine = pl.col("started_at") >= datetime(2026, 10, 25, tzinfo=UTC)
    assert found.filter(fine).select(width.unique()).to_series().to_list() == [10]
    assert found.filter(~fine).select(width.unique()).to_series().to_list() == [300]
    whole = found.filter(pl.col("replica_id").is_not_null()).group_by("gpu_uuid").agg(pl.col("covered_seconds").sum())
    assert set(whole["covered_seconds"]) == {19 * 86_400}


def test_forgotten_node_never_works(autumn: demo.DemoFacts) -> None:
    planted = truth_of(autumn)["planted"]["forgotten_node"]
    node = gpu(autumn).filter(pl.col("ResourceId") == planted["ResourceId"])
    assert node.height > 0
    assert node["busy_seconds"].sum() == 0


def test_requests_are_on_a_busy_replica_for_all_of_their_life(autumn: demo.DemoFacts) -> None:
    log = served(autumn).filter(pl.col("started_at") >= datetime(2026, 10, 26, tzinfo=UTC)).head(4000)
    busy = gpu(autumn).unique(["replica_id", "started_at"]).select("replica_id", "started_at", "busy_seconds")
    inside = log.with_columns(bucket=pl.col("started_at").dt.truncate("10s")).filter(
        (pl.col("bucket") + pl.duration(seconds=10)) < pl.col("ended_at")
    )
    met = inside.join(busy, left_on=["replica_id", "bucket"], right_on=["replica_id", "started_at"])
    assert met.height == inside.height > 1000
    alive = 10 - (pl.col("started_at") - pl.col("bucket")).dt.total_microseconds() / 1e6
    assert met.filter(pl.col("busy_seconds") < alive - 1e-5).is_empty()


def test_the_lost_log_leaves_busy_time_that_no_request_explains(autumn: demo.DemoFacts) -> None:
    planted = truth_of(autumn)["planted"]["unlogged_stretch"]
    begin, end = moment(planted["begin"]), moment(planted["end"])
    inside = pl.col("started_at").is_between(begin, end, closed="left")
    here = pl.col("replica_id") == planted["replica_id"]
    assert served(autumn).filter(inside & here).is_empty()
    assert served(autumn).filter(inside).height > planted["requests"] > 0
    busy = gpu(autumn).filter(inside & here)["busy_seconds"].sum()
    assert 0.8 * planted["gpu_seconds"] < busy < 1.5 * planted["gpu_seconds"]


def test_times_are_ordered_and_everything_ends_on_its_day(facts: demo.DemoFacts) -> None:
    theirs = bought(facts).rename({
        "start_time": "started_at", "first_token_time": "first_token_at", "end_time": "ended_at",
    })  # fmt: skip
    for log in (served(facts), theirs):
        times = log.select("started_at", "first_token_at", "ended_at")
        assert times.null_count().sum_horizontal().item() == 0
        assert times.dtypes == [pl.Datetime("us", "UTC")] * 3
        disorder = (pl.col("started_at") >= pl.col("first_token_at")) | (pl.col("first_token_at") > pl.col("ended_at"))
        assert times.filter(disorder).is_empty()
        assert times.filter(pl.col("started_at").dt.date() != pl.col("ended_at").dt.date()).is_empty()
        assert log["request_id"].is_unique().all()


def test_token_classes_are_inclusive_and_what_is_missing_is_null(facts: demo.DemoFacts) -> None:
    assert served(facts).filter(pl.col("cached_input_tokens") > pl.col("input_tokens")).is_empty()
    reported = bought(facts).filter(pl.col("usage_quality") == "reported")
    assert reported.filter(pl.col("cached_input_tokens") > pl.col("input_tokens")).is_empty()
    assert reported.filter(pl.col("reasoning_tokens") > pl.col("output_tokens")).is_empty()
    assert reported.select(pl.col("^.*_tokens$")).null_count().sum_horizontal().item() == 0
    missing = bought(facts).filter(pl.col("usage_quality") == "missing")
    assert missing.height > 0
    assert missing.select(pl.col("^.*_tokens$")).null_count().row(0) == (missing.height,) * 4


def test_fleet_is_busy_by_day_and_idle_by_night(tmp_path: Path) -> None:
    facts = demo.write(tmp_path / "day", first_day=date(2026, 9, 17), last_day=date(2026, 9, 17))
    fleet = gpu(facts).filter(pl.col("model") == "acme-support-70b")
    planted = truth_of(facts)["planted"]["idle_night"]
    hour, share = pl.col("started_at").dt.hour(), pl.col("busy_seconds").sum() / pl.col("covered_seconds").sum()
    first, last = planted["day_hours"]
    assert 0.3 < fleet.filter(hour.is_between(first, last)).select(share).item() < 0.55
    assert fleet.filter(hour.is_in(planted["hours"])).select(share).item() < planted["busy_share_below"]


def test_agent_tasks_have_10_to_100_calls_and_one_ran_away(tmp_path: Path) -> None:
    facts = demo.write(tmp_path / "day", first_day=date(2026, 9, 17), last_day=date(2026, 9, 18), share=0.3)
    calls = pl.concat([log.select("trace_id", "agent", "tool") for log in (served(facts), bought(facts))])
    tasks = (
        calls.drop_nulls("trace_id")
        .group_by("trace_id")
        .agg(pl.len(), pl.col("agent").n_unique(), pl.col("tool").drop_nulls().n_unique())
    )
    runaway = truth_of(facts)["planted"]["runaway_agent"]
    usual = tasks.filter(pl.col("trace_id") != runaway["trace_id"])
    assert tasks.filter(pl.col("trace_id") == runaway["trace_id"])["len"].to_list() == [runaway["calls"]]
    assert (usual["len"].min(), usual["len"].max()) == (10, 100)
    assert (usual["agent"].min(), usual["agent"].max()) == (5, 10)
    assert calls["tool"].n_unique() == 51
    assert usual["len"].quantile(0.95) > 2 * usual["len"].median()  # type: ignore[operator]


def test_one_of_the_coding_pair_uses_five_hundred_times_as_many_tokens(tmp_path: Path) -> None:
    facts = demo.write(tmp_path / "day", first_day=date(2026, 7, 31), last_day=date(2026, 8, 1), share=0.05)
    pair = truth_of(facts)["planted"]["coding_pair"]
    both = bought(facts).group_by("user_id").agg(pl.len(), pl.col("input_tokens").sum(), pl.col("output_tokens").sum())
    light, heavy = (both.filter(pl.col("user_id") == pair[name]).row(0)[1:] for name in ("light", "heavy"))
    assert (light[0], heavy[0]) == tuple(pair["completions_a_day"])
    assert (heavy[1], heavy[2]) == (500 * light[1], 500 * light[2])
    plans = {row["id"]: row["plan"] for row in rows(facts.folder / "identities.csv")}
    assert plans[pair["light"]] == plans[pair["heavy"]] == pair["plan"]


def test_few_small_customers_run_agent_tasks_every_day(facts: demo.DemoFacts) -> None:
    planted = truth_of(facts)["planted"]["losing_customers"]
    calls = pl.concat([log.select("trace_id", "user_id") for log in (served(facts), bought(facts))])
    tasks = calls.drop_nulls("trace_id").group_by("user_id").agg(pl.col("trace_id").n_unique())
    number = {user.removeprefix("sa-"): number for user, number in tasks.iter_rows()}
    people = {row["customer_id"]: row["plan"] for row in rows(facts.folder / "identities.csv")}
    small = {customer: tasks for customer, tasks in number.items() if people.get(customer) == planted["plan"]}
    every_day = {customer for customer, tasks in small.items() if tasks >= 8}  # the calendar has eight days
    assert every_day == set(planted["customer_ids"])
    assert max(small, key=lambda customer: small[customer]) == planted["most"]
    assert 5 <= len(every_day) <= 10


def test_tickets_and_revenue_are_what_truth_says(facts: demo.DemoFacts) -> None:
    truth, metrics = truth_of(facts), pl.read_parquet(facts.folder / "metrics.parquet")
    solved = (
        metrics.filter(pl.col("name") == "tickets_solved")
        .group_by(pl.col("day").dt.strftime("%Y-%m"))
        .agg(pl.col("quantity").sum())
    )
    assert dict(solved.iter_rows()) == truth["tickets_by_month"]
    paid: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows(facts.folder / "revenue.csv"):
        paid[row["period"][:7]] += Decimal(row["amount"])
    assert paid == truth["revenue_by_month"] == {"2026-07": 499_000}


def test_scale_grows_everything_together(tmp_path: Path) -> None:
    said: list[str] = []
    day: dict[str, Any] = {"first_day": date(2026, 6, 1), "last_day": date(2026, 6, 1)}
    once = demo.write(tmp_path / "once", **day)
    twice = demo.write(tmp_path / "twice", scale=2, report=said.append, **day)
    assert "does not exist" in said[0]
    assert twice.requests == pytest.approx(2 * once.requests, rel=0.1)
    cost = [Decimal(truth_of(found)["bill_by_pool"]["inference"]["USD"]) for found in (once, twice)]
    assert cost[1] == 2 * cost[0]
    assert truth_of(twice)["revenue_by_month"]["2026-06"] == 998_000
    logged = served(twice)
    assert logged["request_id"].is_unique().all()
    assert logged["replica_id"].n_unique() == 12


def integers(*values: int) -> Integers:
    return np.array(values, dtype=np.int64)


def test_engine_gives_one_request_alone_exactly_its_prompt_and_its_steps() -> None:
    timing = engine.Timing(1.0, 0.01, 0.5, 0.25)
    first, end = engine.serve(timing, integers(10_000_000), integers(200), integers(3))
    assert (first.tolist(), end.tolist()) == ([13_000_000], [14_500_000])


def test_engine_queues_prompts_and_lets_decoding_wait_for_them() -> None:
    timing = engine.Timing(1.0, 0.0, 0.5, 0.0)
    first, end = engine.serve(timing, integers(0, 200_000, 1_200_000), integers(1, 1, 1), integers(5, 5, 5))
    assert first.tolist() == [1_000_000, 2_000_000, 3_000_000]
    assert end.tolist() == [5_000_000, 5_000_000, 5_000_000]


@pytest.mark.parametrize("seed", range(5))
def test_engine_counts_busy_time_once_and_all_of_it(seed: int) -> None:
    draw = random.Random(seed)
    begin = integers(*sorted(draw.randint(0, 1000) for _ in range(60)))
    end = begin + integers(*(draw.randint(1, 40) for _ in range(60)))
    edges = np.arange(0, 1100, 7, dtype=np.int64)
    seen = np.zeros(1100, dtype=np.int64)
    for one, other in zip(begin, end, strict=True):
        seen[one:other] = 1
    expected = [int(seen[low : low + 7].sum()) for low in edges[:-1]]
    assert engine.busy_in(*engine.busy_spans(begin, end), edges).tolist() == expected
