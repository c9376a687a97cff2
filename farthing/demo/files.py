"""The simulated company's input files: Parquet and CSV, as its gateways, nodes, books and vendors would leave them."""

from __future__ import annotations

import calendar as days_of
import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from farthing.demo import bill, world
from farthing.demo.focus import COLUMNS, Charge
from farthing.demo.traffic import AGENTS, FEATURES, TOOLS, People, Requests
from farthing.demo.world import Calendar

_VALID_FROM = "2026-01-01T00:00:00Z"


def names(values: Sequence[str], index: np.ndarray) -> pl.Series:
    """The name of each index; of -1 none."""
    found = pl.Series(values, dtype=pl.String).gather(pl.Series(np.maximum(index, 0)))
    return pl.select(pl.when(pl.Series(index) >= 0).then(found)).to_series()


def request_columns(people: People, traces: Sequence[str], requests: Requests) -> dict[str, pl.Series]:
    """The columns that both gateways log."""
    found = {
        name: names(values, getattr(requests, field))
        for name, values, field in (
            ("user_id", people.logged, "user"),
            ("trace_id", traces or [""], "trace"),
            ("agent", AGENTS, "agent"),
            ("tool", TOOLS, "tool"),
            ("feature", FEATURES, "feature"),
            ("environment", ["production", "staging"], "staging"),
        )
    }
    for name in ("input_tokens", "output_tokens"):
        found[name] = pl.Series(getattr(requests, name))
    found["cached_input_tokens"] = pl.Series(requests.cached_tokens)
    return found


def times(values: np.ndarray) -> pl.Series:
    """Microseconds since 1970 as times in UTC."""
    return pl.Series(values).cast(pl.Datetime("us", "UTC"))


def parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write one Parquet file."""
    frame.write_parquet(path, compression="zstd")


def bills(folder: Path, charges: Iterable[Charge]) -> None:
    """A cloud's bills by month, compressed; of the other vendors one file for all months."""
    by_file: dict[str, list[dict[str, str]]] = {}
    for charge in charges:
        vendor = charge.vendor.file
        name = f"{vendor}-{charge.begin:%Y-%m}.csv.gz" if vendor in bill.MONTHLY else f"{vendor}.csv"
        by_file.setdefault(name, []).append(charge.row())
    for name, rows in by_file.items():
        if name.endswith(".gz"):
            text = io.StringIO(newline="")
            _table(text, COLUMNS, rows)
            (folder / name).write_bytes(gzip.compress(text.getvalue().encode(), 6, mtime=0))
        else:
            _csv(folder / name, COLUMNS, rows)


def costs(path: Path, charges: Iterable[Charge]) -> None:
    """Whole months of what no vendor bills in FOCUS, as somebody types it from invoices; without any its head only."""
    columns = ["date", "service", "amount", "currency", "team", "description", "invoice"]
    rows = [
        dict(zip(columns, (
            f"{charge.begin:%Y-%m}", charge.service, f"{charge.cost:.2f}", charge.vendor.currency,
            (charge.tags or {}).get("team", ""), charge.description, f"{charge.vendor.name}-{charge.begin:%Y-%m}",
        ), strict=True))
        for charge in charges
    ]  # fmt: skip
    _csv(path, columns, rows)


def inventory(path: Path, calendar: Calendar, scale: int) -> None:
    """Which GPU stands in which billed machine and serves which replica, and until when."""
    nodes = [*world.serving_nodes(scale, calendar), *(run.node for run in world.runs(calendar))]
    forgotten = world.forgotten_node(calendar)
    rows = [
        {
            "gpu_uuid": gpu,
            "node_id": node.name,
            "ResourceId": node.resource,
            "replica_id": node.name if node.model else "",
            "gpu_model": node.gpu_model,
            "team_id": node.team,
            "model": node.model or "",
            "valid_from": _text(node.begin),
            "valid_to": _text(node.end),
        }
        for node in [*nodes, *([forgotten] if forgotten else [])]
        for gpu in node.gpu_uuids
    ]
    _csv(path, list(rows[0]), rows)


def identities(path: Path, people: People) -> None:
    """Service accounts of customers, the coding assistant's users, employees; one key is not listed at all."""
    customers = people.customers
    rows = [
        _identity("service account", account, f"{customer}-service", customer, "support", plan)
        for account, customer, plan in zip(customers.accounts, customers.ids, customers.plans, strict=True)
    ]
    rows += [
        _identity("user", user, user, customers.ids[world.coding_customer(number)], "support", "coding")
        for number, user in enumerate(people.coders)
    ]
    rows += [_identity("user", user, user, "", user.rsplit("-", 1)[0], "") for user in world.EMPLOYEES]
    _csv(path, list(rows[0]), rows)


def _identity(kind: str, name: str, user: str, customer: str, team: str, plan: str) -> dict[str, str]:
    return {
        "id": name,
        "kind": kind,
        "user_id": user,
        "customer_id": customer,
        "team_id": team,
        "plan": plan,
        "cost_center": world.TEAMS[team],
        "valid_from": _VALID_FROM,
        "valid_to": "",
    }


def jobs(path: Path, calendar: Calendar) -> None:
    """Training runs; without one the file has its head only."""
    columns = [
        "job_id", "experiment", "model_produced", "team_id", "user_id", "node_id", "started_at", "ended_at", "status",
        "last_checkpoint_at",
    ]  # fmt: skip
    rows = [
        dict(zip(columns, (
            run.job_id, run.experiment, run.model, "research", "research-1", run.node.name, _text(run.begin),
            _text(run.end), run.status, _text(run.checkpoint) if run.checkpoint else "",
        ), strict=True))
        for run in world.runs(calendar)
    ]  # fmt: skip
    _csv(path, columns, rows)


def revenue(path: Path, calendar: Calendar, people: People) -> dict[str, int]:
    """What each customer and coding seat pays for each month that begins inside the calendar; the sums by month."""
    customers, sums, rows = people.customers, {}, []
    for days in calendar.months:
        if days[0].day != 1:
            continue
        period = days[0].isoformat()
        paid = [(customer, "", plan, world.PLANS[plan][1]) for customer, plan in
                zip(customers.ids, customers.plans, strict=True)]  # fmt: skip
        paid += [(customers.ids[world.coding_customer(number)], user, "coding", world.CODING_PRICE)
                 for number, user in enumerate(people.coders)]  # fmt: skip
        sums[period[:7]] = sum(amount for *_, amount in paid)
        rows += [
            {"customer_id": customer, "user_id": user, "plan": plan, "period": period, "amount": f"{amount}.00",
             "currency": "USD"}
            for customer, user, plan, amount in paid
        ]  # fmt: skip
    _csv(path, ["customer_id", "user_id", "plan", "period", "amount", "currency"], rows)
    return sums


def budgets(path: Path, scale: int) -> None:
    """What finance planned for August to December: the teams, and the hours of the inference fleet by cloud."""
    columns = ["month", "name", "dimension", "key", "provider", "amount", "currency", "quantity", "unit", "rate"]
    rows = []
    for month in range(8, 13):
        hours = 24 * days_of.monthrange(2026, month)[1] * scale
        lines: list[tuple[object, ...]] = [
            (team, "team", team, "", amount * scale, "USD", "", "", "")
            for team, amount in (("support", 75_000), ("platform", 4_000), ("research", 3_500))
        ]
        lines += [
            ("inference-fleet", "pool", "inference", cloud, "", "USD", gpus * hours, "GPU hours", rate)
            for cloud, gpus, rate in (("AWS", 12, "2.85"), ("Google Cloud", 8, "2.60"))
        ]
        rows += [dict(zip(columns, (f"2026-{month:02d}", *map(str, line)), strict=True)) for line in lines]
    _csv(path, columns, rows)


def metrics(path: Path, calendar: Calendar, people: People, tickets: pl.DataFrame, seed: int) -> None:
    """Vectors stored by customer and gigabytes by feature, growing a little; tickets solved by customer."""
    random, ids = np.random.default_rng([seed, 3]), people.customers.ids
    stored = np.rint(people.customers.weights * 9000 * random.lognormal(0, 0.6, len(ids))).astype(np.int64)
    frames = [
        tickets.select(
            day=pl.col("day").cast(pl.Int32).cast(pl.Date),
            dimension=pl.lit("customer"),
            key=names(ids, tickets["customer"].to_numpy()),
            name=pl.lit("tickets_solved"),
            quantity=pl.col("tickets").cast(pl.Int64),
        )
    ]
    for day in calendar.days:
        age = (day - world.FIRST_DAY).days
        frames.append(_metric(day, "customer", ids, "vectors_stored", (stored + age * (stored // 600)).tolist()))
        gigabytes = [52_000 + 21 * age, 61_000 + 25 * age, 18_400 + 9 * age]
        frames.append(_metric(day, "feature", FEATURES[:3], "gigabytes", gigabytes))
    parquet(pl.concat(frames), path)


def _metric(day: date, dimension: str, keys: Sequence[str], name: str, quantities: Sequence[int]) -> pl.DataFrame:
    frame = pl.DataFrame({"key": keys, "quantity": quantities}, schema={"key": pl.String, "quantity": pl.Int64})
    return frame.select(day=pl.lit(day), dimension=pl.lit(dimension), key="key", name=pl.lit(name), quantity="quantity")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        _table(file, columns, rows)


def _table(file: io.TextIOBase, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
