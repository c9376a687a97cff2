"""A simulated company, labelled so: seven months of bills, requests, GPU telemetry and revenue from a seed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from farthing.config import FILE_NAME
from farthing.demo import bill, files, logs, telemetry, traffic, truth, world
from farthing.demo.project import CLASSES, TOML
from farthing.errors import ConfigError

__all__ = ["DemoFacts", "write"]

#: Counts up with every change of what the same seed gives.
_GENERATION = 4
_TRUTH = Path("truth") / "truth.json"


@dataclass(frozen=True)
class DemoFacts:
    """What lies in a demo's folder; `bill` is the exact sum of all bills by currency, `truth` the planted facts."""

    folder: Path
    first_day: date
    last_day: date
    requests: int
    users: int
    bill: dict[str, Decimal]
    truth: Path


def write(
    folder: Path,
    *,
    scale: int = 1,
    seed: int = 7,
    first_day: date = world.FIRST_DAY,
    last_day: date = world.LAST_DAY,
    days: int | None = None,
    share: float = 1.0,
    report: Callable[[str], None] = lambda _line: None,
) -> DemoFacts:
    """Make the project folder of the simulated company; the same arguments give the same bytes.

    `scale` multiplies requests, users, customers and machines. `first_day` and `last_day` cut the calendar, or `days`
    to so many at its end; `share` is the part of the usual requests. A folder that already holds this demo is left as
    it is. The files appear at once, under a name of their own until they are whole.

    Raises:
        ConfigError: the folder holds something else or cannot be written, `scale` is below 1, or the days are none
            of the simulated ones.
    """
    if scale < 1:
        raise ConfigError(f"a demo of scale {scale} has no requests.", file="demo", key="scale", fix="1 or more.")
    if days is not None:
        first_day = max(first_day, last_day - timedelta(days=days - 1))
    if not world.FIRST_DAY <= first_day <= last_day <= world.LAST_DAY:
        raise ConfigError(
            f"{first_day} to {last_day} are no days of the demo.",
            file="demo",
            key="first_day",
            fix=f"days from {world.FIRST_DAY} to {world.LAST_DAY}.",
        )
    calendar = world.Calendar(first_day, last_day)
    folder = folder.resolve()
    identity: dict[str, object] = {"generation": _GENERATION, "scale": scale, "seed": seed, "share": share}
    identity |= {"first_day": first_day.isoformat(), "last_day": last_day.isoformat()}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if _identity(folder) == identity:
            return _facts(folder)
        raise ConfigError(
            f"the folder holds something other than this demo (scale {scale}, seed {seed}).",
            file=folder,
            fix="name a new folder, or delete this one.",
        )
    report(
        f"making {len(calendar.days)} simulated days of a company that does not exist (scale {scale}, seed {seed}) ..."
    )
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        for name in ("bills", "requests", "gpu", "truth"):
            (partial / name).mkdir(parents=True)
        facts = _write(partial, calendar, scale=scale, seed=seed, share=share, report=report)
        text = json.dumps({"simulated": True, "identity": identity, **facts}, indent=1)
        (partial / _TRUTH).write_text(text + "\n", encoding="utf-8", newline="\n")
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error}.", file=folder, fix="name another folder.") from error
    return _facts(folder)


def _write(
    folder: Path, calendar: world.Calendar, *, scale: int, seed: int, share: float, report: Callable[[str], None]
) -> Mapping[str, object]:
    people = traffic.People(world.customers(scale, seed), world.coding_users(scale))
    serving, forgotten = world.serving_nodes(scale, calendar), world.forgotten_node(calendar)
    runs = world.runs(calendar)
    nodes = [*serving, *([forgotten] if forgotten else []), *(run.node for run in runs)]
    busy = telemetry.training_spans(runs)
    usage: dict[tuple[date, str], tuple[int, int, int]] = {}
    unlogged: dict[str, object] = {}
    tickets, users, requests = [], set[str](), 0
    for days in calendar.months:
        month = traffic.month(days, people, scale=scale, seed=seed, share=share)
        logged = logs.log(month, people, serving, seed)
        name = f"{days[0]:%Y-%m}.parquet"
        files.parquet(logged.serving, folder / "requests" / f"serving-{name}")
        files.parquet(logged.gateway, folder / "requests" / f"gateway-{name}")
        coarse = [day for day in days if day < world.FINE_FROM]
        if coarse:
            frame = telemetry.rows(nodes, busy | logged.busy, coarse, seconds=telemetry.COARSE_SECONDS)
            files.parquet(frame, folder / "gpu" / name)
        fine = [day for day in days if day >= world.FINE_FROM]
        if fine:
            frame = telemetry.rows(nodes, busy | logged.busy, fine, seconds=telemetry.FINE_SECONDS)
            files.parquet(frame, folder / "gpu" / "last-days.parquet")
        usage |= logged.usage
        unlogged |= logged.unlogged
        tickets.append(month.tickets)
        number = logged.serving.height + logged.gateway.height
        requests += number
        for log in (logged.serving, logged.gateway):
            users.update(log["user_id"].unique().to_list())
        report(f"  {days[0]:%B}: {number:,} requests, {month.tickets['tickets'].sum():,} tickets")
    report("  bills, inventory, people, jobs, metrics, revenue, budgets")
    solved = pl.concat(tickets)
    charges = bill.charges(usage, calendar, scale)
    files.bills(folder / "bills", [charge for charge in charges if charge.vendor is not bill.LABELS])
    files.costs(folder / "costs.csv", [charge for charge in charges if charge.vendor is bill.LABELS])
    files.inventory(folder / "inventory.csv", calendar, scale)
    files.identities(folder / "identities.csv", people)
    files.jobs(folder / "jobs.csv", calendar)
    files.metrics(folder / "metrics.parquet", calendar, people, solved, seed)
    revenue = files.revenue(folder / "revenue.csv", calendar, people)
    files.budgets(folder / "budgets.csv", scale)
    (folder / FILE_NAME).write_text(TOML, encoding="utf-8", newline="\n")
    by_month = solved.group_by(pl.col("day").cast(pl.Int32).cast(pl.Date).dt.strftime("%Y-%m")).agg(
        pl.col("tickets").sum()
    )
    return {
        "first_day": calendar.first.isoformat(),
        "last_day": calendar.last.isoformat(),
        "requests": requests,
        "users": len(users),
        "tickets_by_month": dict(sorted(by_month.iter_rows())),
        "revenue_by_month": revenue,
        **bill.sums(charges, CLASSES),
        "planted": truth.planted(calendar, people, unlogged, charges, scale),
    }


def _identity(folder: Path) -> object:
    try:
        facts = json.loads((folder / _TRUTH).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts.get("identity") if isinstance(facts, dict) else None


def _facts(folder: Path) -> DemoFacts:
    facts = json.loads((folder / _TRUTH).read_text(encoding="utf-8"))
    return DemoFacts(
        folder=folder,
        first_day=date.fromisoformat(facts["first_day"]),
        last_day=date.fromisoformat(facts["last_day"]),
        requests=facts["requests"],
        users=facts["users"],
        bill={currency: Decimal(cost) for currency, cost in facts["bill"].items()},
        truth=folder / _TRUTH,
    )
