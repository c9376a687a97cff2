"""A whole company in a few small files, as a user would bring them: one node, two users, one day."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

DAY = date(2026, 10, 5)
MIDNIGHT = datetime(2026, 10, 5, tzinfo=UTC)
NODE = "i-node-1"
GPUS = ("GPU-0", "GPU-1")
REPLICA = "replica-1"
NODE_HOUR = Decimal("2.50")
#: More decimals than the ledger has: what rounding took is shown.
STORAGE = Decimal("5.0000000000004")
API = Decimal("3.21")
FORGOTTEN = Decimal("0.75")
#: What the bill comes to at twelve decimals.
BILL = 24 * NODE_HOUR + STORAGE.quantize(Decimal("1e-12")) + API + FORGOTTEN

TOML = f"""\
[project]
name = "tiny"
[sources.bill]
kind = "focus"
path = "bills/*.csv"
[sources.requests]
kind = "requests"
path = "requests.csv"
token_convention = "inclusive"
[sources.gpu]
kind = "gpu_usage"
path = "gpu.csv"
[sources.inventory]
kind = "gpu_inventory"
path = "inventory.csv"
[sources.people]
kind = "identities"
path = "identities.csv"
[attribution]
price_table = "none"
[[pools]]
name = "gpu-serving"
kind = "gpu"
match = {{ ResourceId = "{NODE}" }}
[[pools]]
name = "llm"
kind = "api"
provider = "openai"
match = {{ ProviderName = "OpenAI" }}
[[pools]]
name = "storage"
kind = "shared"
driver = "requests"
match = {{ ServiceCategory = "Storage" }}
"""

_FOCUS = (
    "InvoiceId,ProviderName,ServiceCategory,ServiceName,ResourceId,ChargeDescription,ChargeCategory,BillingCurrency,"
    "BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,BilledCost,EffectiveCost"
).split(",")


def tiny(folder: Path, *, toml: str = TOML, more_charges: Iterable[Mapping[str, object]] = ()) -> Path:
    """Write the project of the smallest company to `folder`: 60 USD of GPUs, an API, storage, a forgotten machine."""
    (folder / "bills").mkdir(parents=True)
    (folder / "farthing.toml").write_text(toml, encoding="utf-8")
    node = [
        charge("AWS", "Compute", NODE_HOUR, resource=NODE, hour=hour, end_hour=hour + 1, service="EC2")
        for hour in range(24)
    ]
    others = [
        charge("AWS", "Storage", STORAGE, service="S3"),
        charge("OpenAI", "AI and Machine Learning", API, service="OpenAI API", invoice="OPENAI-1"),
        charge("AWS", "Compute", FORGOTTEN, resource="i-forgotten", service="EC2"),
    ]
    write_csv(folder / "bills" / "october.csv", _FOCUS, [*node, *others, *more_charges])
    write_csv(folder / "requests.csv", REQUEST_COLUMNS, requests())
    write_csv(folder / "gpu.csv", tuple(_samples()[0]), _samples())
    placed = [
        {
            "gpu_uuid": gpu, "node_id": "node-1", "ResourceId": NODE, "replica_id": REPLICA, "gpu_model": "A100",
            "team_id": "platform", "model": "our-70b", "valid_from": "2026-01-01T00:00:00Z",
        }
        for gpu in GPUS
    ]  # fmt: skip
    write_csv(folder / "inventory.csv", tuple(placed[0]), placed)
    people = [
        {"id": f"key-{name}", "user_id": name, "team_id": team, "customer_id": f"customer-of-{name}"}
        for name, team in (("alice", "search"), ("bob", "chat"))
    ]
    write_csv(folder / "identities.csv", tuple(people[0]), people)
    return folder


def half_billed(folder: Path) -> Path:
    """The smallest company, whose bill of the node ends at 11:00; no telemetry watched from 10:00 to 10:10.

    The first twenty requests are in those ten minutes: those to the own replica share their time there, so their costs
    are estimated. The last half comes after 11:00 and is provisional, at the rate that the node was billed with.
    """
    residence = TOML.replace('kind = "gpu"\nmatch', 'kind = "gpu"\nwhen_unobserved = "residence"\nmatch')
    tiny(folder, toml=residence)
    node = [
        charge("AWS", "Compute", NODE_HOUR, resource=NODE, hour=hour, end_hour=hour + 1, service="EC2")
        for hour in range(11)
    ]
    write_csv(folder / "bills" / "october.csv", _FOCUS, node)
    asked = requests()
    for row in asked[25:]:
        row |= {name: str(row[name]).replace("T10:", "T11:") for name in ("started_at", "first_token_at", "ended_at")}
    write_csv(folder / "requests.csv", REQUEST_COLUMNS, asked)
    watched = [row for row in _samples() if row["started_at"] != _time(10 * 3600)]
    for row in watched:
        row["busy_seconds"] = 450 if str(row["started_at"])[11:16] in ("10:10", "11:10", "11:20") else 0
    write_csv(folder / "gpu.csv", tuple(watched[0]), watched)
    return folder


def charge(
    provider: str,
    category: str,
    cost: Decimal,
    *,
    service: str,
    resource: str = "",
    hour: int = 0,
    end_hour: int = 24,
    invoice: str = "AWS-1",
    kind: str = "Usage",
) -> dict[str, object]:
    """One line of a FOCUS bill."""
    values = (
        invoice, provider, category, service, resource, f"{service} of {provider}", kind, "USD",
        "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", _time(hour * 3600), _time(end_hour * 3600), cost, cost,
    )  # fmt: skip
    return dict(zip(_FOCUS, values, strict=True))


REQUEST_COLUMNS = (
    "request_id,started_at,first_token_at,ended_at,user_id,model,provider,replica_id,input_tokens,output_tokens".split(
        ","
    )
)


def requests() -> list[dict[str, object]]:
    """Forty requests to the own replica and ten to the vendor; alice makes three of four."""
    found: list[dict[str, object]] = []
    for number in range(50):
        own = number % 5 != 4
        start = 10 * 3600 + number * 30
        values = (
            f"req-{number:02d}", _time(start), _time(start + 1), _time(start + 20),
            "key-bob" if number % 4 == 3 else "key-alice", "our-70b" if own else "gpt-5", "vllm" if own else "openai",
            REPLICA if own else "", 500 + number, 100 + number,
        )  # fmt: skip
        found.append(dict(zip(REQUEST_COLUMNS, values, strict=True)))
    return found


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """A CSV file with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _samples() -> list[dict[str, object]]:
    """Both GPUs are watched all day in steps of ten minutes; they are busy from 10:00 to 10:30 only."""
    return [
        {
            "gpu_uuid": gpu, "node_id": "node-1", "started_at": _time(600 * step), "ended_at": _time(600 * (step + 1)),
            "covered_seconds": 600, "busy_seconds": 450 if 60 <= step < 63 else 0,
        }
        for gpu in GPUS
        for step in range(144)
    ]  # fmt: skip


def _time(seconds: int) -> str:
    return (MIDNIGHT + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
