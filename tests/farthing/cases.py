"""Three small companies that bring the published cases of AI companies as bills, logs, plans and revenue."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.farthing.commands import farthing
from tests.worlds import write_csv

#: USD for an hour of an A100, rented; assumed in every case that needs one.
A100_HOUR = Decimal("2.00")

_BOOKS = """\
[project]
name = "books"
[sources.costs]
kind = "costs"
path = "costs.csv"
[sources.cloud]
kind = "focus"
path = "cloud.csv"
[sources.racks]
kind = "assets"
[sources.revenue]
kind = "revenue"
path = "revenue.csv"
[sources.metrics]
kind = "metrics"
path = "metrics.csv"
[sources.inventory]
kind = "gpu_inventory"
path = "inventory.csv"
[sources.plan]
kind = "budgets"
path = "plan.csv"
[attribution]
price_table = "none"
[units.active_user]
metric = "active_users"
measure = "mean"
[units.million_requests]
metric = "served_millions"
[[pools]]
name = "vectors"
kind = "shared"
driver = "metric"
metric = "vectors_stored"
match = { ServiceName = "Vector database" }
[[pools]]
name = "compute"
kind = "shared"
match = { ServiceName = ["Compute", "A100 fleet", "Web hosting"] }
[[pools]]
name = "data"
kind = "shared"
match = { ServiceName = "Data" }
[[pools]]
name = "tooling"
kind = "shared"
match = { ServiceName = "Tooling" }
[[pools]]
name = "fleet"
kind = "gpu"
match = { ResourceId = "fleet-*" }
[[pools]]
name = "racks"
kind = "gpu"
class = "rnd"
match = { x_source = "racks" }
"""
#: One H100 machine, thirteen of them (100 GPUs in whole machines), and 100 GPUs as if they were all that draws power.
_RACK = """
[[assets]]
name = "{name}"
resources = ["{name}"]
gpus = {gpus}
in_service = 2026-10-01
retired = 2026-11-01
purchase_price = 0
months = 48
kw = {kw}
pue = {pue}
power_price_per_kwh = 0.12
"""
_RACKS = (("machine", 8, "10.5", "1.3"), ("thirteen", 104, "136.5", "1.3"), ("boards", 100, "70", "1"))

SUPPLY = """\
name = "fifty needed"
draws = 20
[[cards]]
name = "H100s"
kind = "supply"
unit = "H100"
until = 2026-12-01
needs = [{ from = 2026-11-01, units = { value = 50, basis = "assumed", why = "plan" } }]
[[cards.offers]]
provider = "cloud"
capacity = 10
from = 2026-11-01
unit_hour = { value = 2.9, basis = "assumed", why = "offer" }
"""

_ASSISTANT = """\
[project]
name = "assistant"
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.requests]
kind = "requests"
path = "requests.csv"
token_convention = "inclusive"
columns = { prompt_hash = "prompt" }
constants = { service_tier = "standard", provider = "openai" }
[sources.revenue]
kind = "revenue"
path = "revenue.csv"
[attribution]
price_table = "none"
[warehouse]
request_days = 90
[[prices]]
model = "chat"
input = 1
output = 1
[[prices]]
model = "big"
input = 5
output = 20
[[prices]]
model = "small"
input = 0.5
output = 2
[[pools]]
name = "llm"
kind = "api"
"""
LEVERS = """\
name = "cache and router"
draws = 200
[[cards]]
name = "cache"
kind = "exact_cache"
which = { models = ["big"] }
scope = ["model"]
ttl_hours = 24
[[cards]]
name = "router"
kind = "routing"
which = { models = ["big"] }
to = { model = "small", provider = "openai" }
easy = { value = 0.5, basis = "assumed", why = "quoted: half of the questions" }
recall = { value = 1, basis = "assumed", why = "quoted" }
misrouted = { value = 0, basis = "assumed", why = "quoted" }
fallback = { value = 0, basis = "assumed", why = "quoted" }
"""

_LAB = """\
[project]
name = "lab"
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.inventory]
kind = "gpu_inventory"
path = "inventory.csv"
[sources.jobs]
kind = "jobs"
path = "jobs.csv"
[[pools]]
name = "training"
kind = "training"
class = "rnd"
match = { ResourceId = "lab-*" }
"""


def _built(folder: Path) -> Path:
    for step in ("collect", "build"):
        said = farthing(step, "--project", folder)
        assert said.code == 0, said.err
    return folder


def _table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    found = list(rows)
    write_csv(path, tuple(found[0]), found)


def _line(start: datetime, end: datetime, cost: Decimal | int, provider: str, resource: str = "") -> dict[str, object]:
    month = start.replace(day=1, hour=0)
    return {
        "ProviderName": provider, "ServiceCategory": "Compute", "ServiceName": provider, "ResourceId": resource,
        "ChargeCategory": "Usage", "ChargeDescription": provider, "BillingCurrency": "USD",
        "BillingPeriodStart": month.isoformat(), "BillingPeriodEnd": _next(month).isoformat(),
        "ChargePeriodStart": start.isoformat(), "ChargePeriodEnd": end.isoformat(),
        "BilledCost": cost, "EffectiveCost": cost,
    }  # fmt: skip


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)


def _gpus(resource: str, count: int, model: str) -> list[dict[str, object]]:
    return [
        {"gpu_uuid": f"{resource}-{number}", "node_id": resource, "ResourceId": resource, "gpu_model": model,
         "valid_from": "2026-01-01T00:00:00Z"}
        for number in range(count)
    ]  # fmt: skip


def books(folder: Path) -> Path:
    """June to October 2026 of companies that only keep books: one case a month, and in October fleets and racks."""
    folder.mkdir()
    racks = "".join(_RACK.format(name=name, gpus=gpus, kw=kw, pue=pue) for name, gpus, kw, pue in _RACKS)
    (folder / "farthing.toml").write_text(_BOOKS + racks, encoding="utf-8")
    (folder / "supply.toml").write_text(SUPPLY, encoding="utf-8")
    july_hours = 24 * 31
    spent = [
        ("2026-06", "Web hosting", 100_000), ("2026-07", "A100 fleet", 200 * july_hours * A100_HOUR),
        ("2026-08", "Compute", 100_000), ("2026-08", "Data", 20_000), ("2026-08", "Tooling", 10_000),
        ("2026-09", "Vector database", 50_000),
    ]  # fmt: skip
    _table(
        folder / "costs.csv",
        ({"date": month, "service": service, "amount": amount, "currency": "USD"} for month, service, amount in spent),
    )
    october = datetime(2026, 10, 1, tzinfo=UTC)
    hours = 64 * 24 * 31
    clouds = (("AWS", "2.40"), ("Google Cloud", "4.00"), ("Microsoft", "6.20"))
    _table(
        folder / "cloud.csv",
        (
            _line(october, _next(october), hours * Decimal(rate), cloud, f"fleet-{number}")
            for number, (cloud, rate) in enumerate(clouds)
        ),
    )
    _table(folder / "inventory.csv", (gpu for number in range(3) for gpu in _gpus(f"fleet-{number}", 64, "A100")))
    (folder / "plan.csv").write_text(
        "month,name,dimension,key,provider,amount,currency,quantity,unit,rate\n"
        "2026-10,gpus,pool,fleet,AWS,,USD,100000,GPU hours,2.00\n"
    )
    paid = [
        ("everybody", 7, Decimal("1666666.67")), ("everybody", 8, 500_000), ("acme", 9, 60_000), ("bolt", 9, 40_000),
    ]  # fmt: skip
    _table(
        folder / "revenue.csv",
        (
            {"customer_id": customer, "plan": "all", "period": f"2026-{month:02d}-01", "amount": amount,
             "currency": "USD"}
            for customer, month, amount in paid
        ),
    )  # fmt: skip
    measured = [
        (month, day, "environment", "production", name, quantity)
        for month, name, quantity in ((6, "active_users", 1_000_000), (7, "served_millions", 864))
        for day in range(1, monthrange(2026, month)[1] + 1)
    ] + [
        (9, day, "customer", customer, "vectors_stored", quantity)
        for day in range(1, 31)
        for customer, quantity in (("acme", 90_000_000), ("bolt", 10_000_000))
    ]
    _table(
        folder / "metrics.csv",
        (
            {"day": f"2026-{month:02d}-{day:02d}", "dimension": dimension, "key": key, "name": name,
             "quantity": quantity}
            for month, day, dimension, key, name, quantity in measured
        ),
    )  # fmt: skip
    return _built(folder)


def _call(
    number: int, when: datetime, user: str, model: str, tokens: tuple[int, int], prompt: str = "", trace: str = ""
) -> dict[str, object]:
    return {
        "request_id": f"{user}-{number}", "started_at": when.isoformat(),
        "ended_at": (when + timedelta(seconds=2)).isoformat(), "user_id": user, "model": model,
        "input_tokens": tokens[0], "output_tokens": tokens[1], "prompt": prompt, "trace_id": trace,
    }  # fmt: skip


def assistant(folder: Path) -> Path:
    """September 2026: users A and B on a 20 USD plan, agent tasks of 10 to 100 calls, and a log that repeats itself."""
    folder.mkdir()
    (folder / "farthing.toml").write_text(_ASSISTANT, encoding="utf-8")
    (folder / "levers.toml").write_text(LEVERS, encoding="utf-8")
    asked, bill = [], []
    for day in range(30):
        start = datetime(2026, 9, 1 + day, tzinfo=UTC)
        asked += [_call(10 * day + at, start + timedelta(hours=at), "A", "chat", (800, 200)) for at in range(10)]
        asked += [
            _call(1000 * day + at, start + timedelta(seconds=86 * at), "B", "chat", (4000, 1000)) for at in range(1000)
        ]
        cost = 10 * Decimal("0.001") + 1000 * Decimal("0.005")
        if day == 14:
            asked += [
                _call(1000 * calls + at, start + timedelta(minutes=calls, seconds=at), "agents", "chat",
                      (9000, 1000), trace=f"task-{calls:03d}")
                for calls in range(10, 101)
                for at in range(calls)
            ]  # fmt: skip
            cost += sum(range(10, 101)) * Decimal("0.01")
        if day == 19:  # 200 questions, of which 80 were asked before
            asked += [
                _call(at, start + timedelta(minutes=at), "questions", "big", (1000, 200), prompt=f"question {at % 120}")
                for at in range(200)
            ]
            cost += 200 * Decimal("0.009")
        bill.append(_line(start, start + timedelta(days=1), cost, "OpenAI"))
    _table(folder / "requests.csv", asked)
    _table(folder / "bill.csv", bill)
    _table(
        folder / "revenue.csv",
        (
            {"customer_id": user, "user_id": user, "plan": "pro", "period": "2026-09-01", "amount": 20,
             "currency": "USD"}
            for user in ("A", "B")
        ),
    )  # fmt: skip
    return _built(folder)


def lab(folder: Path) -> Path:
    """October 2026: one run on 64 A100s for two weeks, and seven runs on eight of them that end in one model."""
    folder.mkdir()
    (folder / "farthing.toml").write_text(_LAB, encoding="utf-8")
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    end, day = begin + timedelta(days=14), timedelta(days=1)
    bill, inventory, jobs = [], [], []
    for node in range(8):
        name = f"lab-{node}"
        bill.append(_line(begin, end, 8 * 24 * 14 * A100_HOUR, "AWS", name))
        inventory += _gpus(name, 8, "A100")
    jobs.append(_job("pretraining", "foundation", [str(gpu["gpu_uuid"]) for gpu in inventory], begin, end, "completed"))
    small = _gpus("lab-8", 8, "A100")
    inventory += small
    bill.append(_line(begin, begin + 7 * day, 8 * 24 * 7 * A100_HOUR, "AWS", "lab-8"))
    for number in range(7):
        status = "failed" if number in (1, 3) else "completed"
        jobs.append(
            _job(f"try-{number}", "ranker", [str(gpu["gpu_uuid"]) for gpu in small], begin + number * day,
                 begin + (number + 1) * day, status)
        )  # fmt: skip
    _table(folder / "bill.csv", bill)
    _table(folder / "inventory.csv", inventory)
    _table(folder / "jobs.csv", jobs)
    return _built(folder)


def _job(name: str, model: str, gpus: list[str], start: datetime, end: datetime, status: str) -> dict[str, object]:
    return {
        "job_id": name, "model_produced": model, "team_id": "research", "gpu_uuids": " ".join(gpus),
        "started_at": start.isoformat(), "ended_at": end.isoformat(), "status": status,
    }  # fmt: skip
