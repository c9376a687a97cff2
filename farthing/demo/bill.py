"""The simulated company's bills of one week, vendor after vendor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from farthing.demo.focus import Charge, Vendor
from farthing.demo.traffic import VENDOR_MODELS, Request
from farthing.demo.world import (
    DAYS,
    GPU_HOUR_LIST_PRICE,
    GPU_HOUR_PRICE,
    GPUS_PER_REPLICA,
    PAST_GATEWAY_DAY,
    REPLICAS_PER_NODE,
    TRAINING_GPUS,
    TRAINING_NODE,
    WEEK_BEGIN,
    WEEK_END,
    at,
    node_names,
)

#: List prices per million tokens of the week, and what the contract makes of them.
_TOKEN_PRICES = {
    "claude": {
        "input": Decimal(3),
        "cache_read": Decimal("0.30"),
        "cache_write_5m": Decimal("3.75"),
        "cache_write_1h": Decimal(6),
        "output": Decimal(15),
    },
    "gpt": {"input": Decimal("0.25"), "cache_read": Decimal("0.025"), "output": Decimal(2)},
}
_CONTRACT = {"claude": Decimal("0.95"), "gpt": Decimal(1)}
#: Tokens of PAST_GATEWAY_DAY that OpenAI bills and no gateway logged.
PAST_GATEWAY_TOKENS = {"input": 4_000_000, "output": 250_000}

Usage = dict[tuple[date, str, str], int]


CLOUD = Vendor("aws.csv", "AWS", "111122223333", region="us-east-1")
VENDORS = {
    "claude": Vendor("anthropic.csv", "Anthropic", "org-acme"),
    "gpt": Vendor("openai.csv", "OpenAI", "org-acme-prod"),
}
VECTORLY = Vendor("vectorly.csv", "Vectorly", "acme")
TOOLS = Vendor("saas.csv", "Tracewell", "acme")
TOOLS_EUR = Vendor("saas-eur.csv", "Prüfwerk", "acme-gmbh", "EUR")


def add_usage(usage: Usage, requests: Iterable[Request]) -> None:
    """Count the tokens that vendors bill by day, model and class: logged or not, a cancelled request is billed."""
    for request in requests:
        if request.route == "served":
            continue
        day = (WEEK_BEGIN + timedelta(seconds=request.arrived)).date()
        classes = {
            "input": request.input_tokens - request.cached_tokens - request.cache_write_tokens,
            "cache_read": request.cached_tokens,
            "cache_write_5m": request.cache_write_tokens - request.cache_write_1h_tokens,
            "cache_write_1h": request.cache_write_1h_tokens,
            "output": request.output_tokens,
        }
        for name, tokens in classes.items():
            if tokens:
                usage[day, request.route, name] = usage.get((day, request.route, name), 0) + tokens


def charges(usage: Usage, *, scale: int) -> list[Charge]:
    """Every row of every bill of the week; fleets and shared costs grow with `scale`."""
    rows = [*_machines(scale), *_shared(scale), *_vendors(usage)]
    cloud = sum((row.cost for row in rows if row.vendor is CLOUD), Decimal(0))
    tax = (cloud * Decimal("0.02")).quantize(Decimal("0.01"), ROUND_HALF_UP)
    rows.append(_flat(CLOUD, "tax", "Tax", "Other", "Other (Other)", "Tax on cloud services", tax, kind="Tax"))
    return rows


def sums(charges: Iterable[Charge]) -> dict[str, object]:
    """The exact sums of the bills by currency, and by pool and currency, as text."""
    whole: dict[str, Decimal] = {}
    pools: dict[str, dict[str, Decimal]] = {}
    for charge in charges:
        for by_currency in (whole, pools.setdefault(charge.pool, {})):
            by_currency[charge.vendor.currency] = by_currency.get(charge.vendor.currency, Decimal(0)) + charge.cost
    return {"bill": _text(whole), "bill_by_pool": {pool: _text(costs) for pool, costs in pools.items()}}


def _text(costs: dict[str, Decimal]) -> dict[str, str]:
    return {currency: str(cost) for currency, cost in sorted(costs.items())}


def _machines(scale: int) -> Iterator[Charge]:
    """The GPU nodes, one row an hour; and one machine that nobody tagged."""
    nodes = [
        (name, "gpu-serving", "p4d.24xlarge", REPLICAS_PER_NODE * GPUS_PER_REPLICA)
        for cell in range(scale)
        for name in node_names(cell)
    ]
    nodes.append((TRAINING_NODE, "research-training", "p4d.12xlarge", TRAINING_GPUS))
    tags = {"team": "platform", "environment": "production"}
    for name, pool, kind, gpus in nodes:
        for hour in range(7 * 24):
            begin = WEEK_BEGIN + timedelta(hours=hour)
            yield Charge(
                CLOUD,
                pool,
                begin,
                begin + timedelta(hours=1),
                "AmazonEC2",
                "Compute",
                "Virtual Machines",
                f"{kind} with {gpus} A100 GPUs",
                "Hours",
                Decimal(1),
                gpus * GPU_HOUR_PRICE,
                gpus * GPU_HOUR_LIST_PRICE,
                resource=f"i-{name}",
                resource_type="EC2 instance",
                sku=f"{kind}-usage",
                meter="BoxUsage",
                tags=tags,
            )
    for begin, end in _days():
        price = Decimal("0.7712")
        yield Charge(
            CLOUD,
            "unassigned",
            begin,
            end,
            "AmazonEC2",
            "Compute",
            "Virtual Machines",
            "m5.4xlarge",
            "Hours",
            Decimal(24),
            price,
            price,
            resource="i-0f00d",
            resource_type="EC2 instance",
            sku="m5.4xlarge-usage",
        )


def _shared(scale: int) -> Iterator[Charge]:
    """What many share: stores, traffic, tools, support; the notebooks that belong to teams; one credit."""
    for number, (begin, end) in enumerate(_days()):
        gigabytes = scale * (Decimal("18250.375") + number * Decimal("41.125"))
        storage, sent = Decimal("0.000741935484"), Decimal("0.09")
        yield Charge(
            CLOUD,
            "storage-and-network",
            begin,
            end,
            "AmazonS3",
            "Storage",
            "Object Storage",
            "S3 Standard",
            "GB-Days",
            gigabytes,
            storage,
            storage,
            resource="acme-documents",
            resource_type="S3 bucket",
            tags={"environment": "production"},
        )
        yield Charge(
            CLOUD,
            "storage-and-network",
            begin,
            end,
            "AWS Data Transfer",
            "Networking",
            "Network Infrastructure",
            "Data transfer out",
            "GB",
            scale * (Decimal("96.5") + number * Decimal("1.75")),
            sent,
            sent,
        )
        for team, hours in (("agents", Decimal("31.25")), ("search", Decimal("12.5"))):
            price = Decimal("1.408")
            yield Charge(
                CLOUD,
                "notebooks",
                begin,
                end,
                "Amazon SageMaker",
                "AI and Machine Learning",
                "AI Platforms",
                "Notebook hours",
                "Hours",
                scale * hours,
                price,
                price,
                resource=f"notebooks-{team}",
                resource_type="Notebook",
                tags={"team": team},
            )
        vectors, price = scale * (Decimal("412.5") + number * Decimal("3.25")), Decimal("0.11")
        yield Charge(
            VECTORLY,
            "vector-db",
            begin,
            end,
            "Vectorly",
            "Databases",
            "NoSQL Databases",
            "Stored vectors",
            "Million Vector-Days",
            vectors,
            price,
            price,
            resource="acme-prod",
            resource_type="Index",
        )
        seats, price = Decimal(38), Decimal("0.65")
        yield Charge(
            TOOLS_EUR,
            "tooling",
            begin,
            end,
            "Prüfwerk",
            "Developer Tools",
            "Other (Developer Tools)",
            "Test runner seats",
            "Seat-Days",
            seats,
            price,
            price,
        )
    yield _flat(
        TOOLS,
        "tooling",
        "Tracewell",
        "Developer Tools",
        "Other (Developer Tools)",
        "Tracing, one week",
        scale * Decimal("184.20"),
    )
    yield _flat(
        CLOUD,
        "support-contract",
        "AWS Support",
        "Other",
        "Other (Other)",
        "Business support, one week",
        scale * Decimal("420.00"),
    )
    yield _flat(
        VECTORLY,
        "vector-db",
        "Vectorly",
        "Databases",
        "NoSQL Databases",
        "Credit for the outage of September",
        Decimal("-35.00"),
        kind="Credit",
    )


def _vendors(usage: Usage) -> Iterator[Charge]:
    """Model APIs: a row for each day, model and class of tokens, with what went past the gateway."""
    billed = dict(usage)
    for name, tokens in PAST_GATEWAY_TOKENS.items():
        billed[PAST_GATEWAY_DAY, "gpt", name] = billed.get((PAST_GATEWAY_DAY, "gpt", name), 0) + tokens
    for (day, route, name), tokens in sorted(billed.items()):
        model = VENDOR_MODELS[route].response_model
        begin = at(day.day, 0)
        list_price = _TOKEN_PRICES[route][name]
        yield Charge(
            VENDORS[route],
            f"llm-{VENDOR_MODELS[route].provider}",
            begin,
            begin + timedelta(days=1),
            f"{VENDORS[route].name} API",
            "AI and Machine Learning",
            "Generative AI",
            f"{model} {name}",
            "1M Tokens",
            Decimal(tokens) / 1_000_000,
            list_price * _CONTRACT[route],
            list_price,
            sku=model,
            meter=name,
            details={"x_Model": model, "x_TokenType": name},
        )


def _flat(
    vendor: Vendor,
    pool: str,
    service: str,
    category: str,
    subcategory: str,
    description: str,
    amount: Decimal,
    *,
    kind: str = "Purchase",
) -> Charge:
    """One amount for the whole week."""
    return Charge(
        vendor,
        pool,
        WEEK_BEGIN,
        WEEK_END,
        service,
        category,
        subcategory,
        description,
        "Weeks",
        Decimal(1),
        amount,
        amount,
        charge_category=kind,
    )


def _days() -> list[tuple[datetime, datetime]]:
    return [(at(day.day, 0), at(day.day, 0) + timedelta(days=1)) for day in DAYS]
