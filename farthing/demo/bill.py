"""The simulated company's bills, vendor after vendor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from farthing.demo import world
from farthing.demo.focus import Charge, Vendor
from farthing.demo.world import Calendar

AWS = Vendor("aws", "AWS", "111122223333", region="us-east-1")
GCP = Vendor("gcp", "Google Cloud", "01AB-23CD", region="us-central1")
AZURE = Vendor("azure", "Microsoft", "acme-azure", region="eastus")
RACK = Vendor("rack", "Acme rack", "own-books", region="cellar")
ANTHROPIC = Vendor("llm", "Anthropic", "org-acme")
OPENAI = Vendor("llm", "OpenAI", "org-acme-prod")
VECTORLY = Vendor("saas", "Vectorly", "acme")
TOOLS = Vendor("saas", "Tracewell", "acme")
TOOLS_EUR = Vendor("saas", "Prüfwerk", "acme-gmbh", "EUR")
#: Sends no bill that a machine reads: its invoices are typed into a file of costs.
LABELS = Vendor("costs", "Labelwerk", "acme")
#: Clouds send a bill every month; of the others one file holds all months.
MONTHLY = ("aws", "gcp", "azure")
_CLOUDS = {"AWS": AWS, "GCP": GCP, "Azure": AZURE, "Acme rack": RACK}

RISE = Decimal("1.25")
#: What a million tokens cost under contract: input, cached input, output; of CODING_MODEL until PRICE_RISE.
TOKEN_PRICES: dict[str, tuple[Decimal, Decimal, Decimal]] = {
    world.PREMIUM_MODEL: (Decimal("14.25"), Decimal("1.425"), Decimal("71.25")),
    world.CODING_MODEL: (Decimal("1.25"), Decimal("0.125"), Decimal(10)),
    world.UNPRICED_MODEL: (Decimal("4.00"), Decimal("0.40"), Decimal(16)),
}
TOKEN_CLASSES = ("input", "cached_input", "output")
_LLM_VENDORS = {world.PREMIUM_MODEL: ANTHROPIC, world.CODING_MODEL: OPENAI, world.UNPRICED_MODEL: OPENAI}
_LLM_POOLS = {"Anthropic": "llm-anthropic", "OpenAI": "llm-openai"}

#: A GPU and hour: committed, as it comes, list.
AWS_GPU = (Decimal("2.85"), Decimal("4.10"), Decimal("4.10"))
GCP_GPU = (Decimal("2.60"), Decimal("3.67"), Decimal("3.67"))
SPOT_GPU, A10G, RACK_GPU = Decimal("1.14"), Decimal("1.01"), Decimal("0.55")
_NOTEBOOK = Decimal("1.408")
_CREDIT, _SUPPORT, _LABELS, _TAX = Decimal(-1500), Decimal(180), Decimal(420), Decimal("0.002")

Usage = Mapping[tuple[date, str], tuple[int, int, int]]
#: What many share, a day: vendor, pool, service, category, subcategory, unit, quantity, price.
_DAILY: list[tuple[Vendor, str, str, str, str, str, str, str]] = [
    (AWS, "app-servers", "Amazon EKS", "Compute", "Containers", "vCPU-Hours", "17280", "0.0432"),
    (GCP, "app-servers", "Cloud Run", "Compute", "Containers", "vCPU-Hours", "5760", "0.0384"),
    (AZURE, "app-servers", "Azure Front Door", "Networking", "Network Infrastructure", "GB", "1875.5", "0.064"),
    (AWS, "data", "Amazon RDS for PostgreSQL", "Databases", "Relational Databases", "Instance-Hours", "96", "2.695"),
    (AWS, "data", "Amazon S3", "Storage", "Object Storage", "GB-Days", "131400.25", "0.000741935484"),
    (VECTORLY, "vector-db", "Vectorly", "Databases", "NoSQL Databases", "1000000 Vectors", "2712.5", "0.11"),
    (TOOLS, "tooling", "Tracewell", "Developer Tools", "Other (Developer Tools)", "1000 Spans", "40120", "0.0078"),
    (TOOLS_EUR, "tooling", "Prüfwerk", "Developer Tools", "Other (Developer Tools)", "Seat-Days", "12", "1.65"),
]  # fmt: skip


def charges(usage: Usage, calendar: Calendar, scale: int) -> list[Charge]:
    """Every row of every bill; fleets and shared costs grow with `scale`. GCP's last days have not been billed yet."""
    rows = [*_machines(calendar, scale), *_shared(calendar, scale), *_vendors(usage), *_monthly(calendar)]
    cloud: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.vendor is AWS and row.charge_category == "Usage":
            cloud[row.begin.date().replace(day=1)] += row.cost
    for month, cost in cloud.items():
        tax = (cost * _TAX).quantize(Decimal("0.01"), ROUND_HALF_UP)
        rows.append(_flat(AWS, "tax", month, "Tax", "Other", "Other (Other)", "Tax on services", tax, kind="Tax"))
    return [row for row in rows if row.vendor is not GCP or row.begin < world.at(world.LATE_FROM)]


def sums(charges: Iterable[Charge], classes: Mapping[str, str]) -> dict[str, object]:
    """The exact sums of the bills as text: by currency; by pool; by month and class, the class of a pool given."""
    whole: dict[str, Decimal] = defaultdict(Decimal)
    pools: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    months: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for charge in charges:
        currency, cost = charge.vendor.currency, charge.cost
        whole[currency] += cost
        pools[charge.pool][currency] += cost
        months[f"{charge.begin:%Y-%m}"][f"{classes[charge.pool]} {currency}"] += cost
    return {
        "bill": _text(whole),
        "bill_by_pool": {pool: _text(costs) for pool, costs in sorted(pools.items())},
        "bill_by_month_and_class": {month: _text(costs) for month, costs in sorted(months.items())},
    }


def a_day(service: str) -> Decimal:
    """What a service that many share costs on each day, at scale 1."""
    [cost] = [Decimal(quantity) * Decimal(price) for *_, name, _, _, _, quantity, price in _DAILY if name == service]
    return cost


def _text(costs: Mapping[str, Decimal]) -> dict[str, str]:
    return {key: str(cost) for key, cost in sorted(costs.items())}


def _machines(calendar: Calendar, scale: int) -> Iterator[Charge]:
    """Machines with GPUs, one row an hour: reserved, from the own books, forgotten, and spot while a run is on."""
    for node in world.serving_nodes(scale, calendar):
        pool = "rack" if node.cloud == "Acme rack" else "inference"
        yield from _hours(node, pool, {"team": node.team, "environment": "production"})
    forgotten = world.forgotten_node(calendar)
    if forgotten:
        yield from _hours(forgotten, "inference", {})
    for run in world.runs(calendar):
        yield from _hours(run.node, "training", {"team": "research"})


def _hours(node: world.Node, pool: str, tags: Mapping[str, str]) -> Iterator[Charge]:
    vendor, begin = _CLOUDS[node.cloud], node.begin
    service, kind = {
        "AWS": ("Amazon EC2", "p4d.12xlarge" if node.model else "g5.4xlarge"),
        "GCP": ("Compute Engine", "a2-ultragpu-4g"),
        "Azure": ("Virtual Machines", "ND96asr-spot"),
        "Acme rack": ("GPU rack", "rack-4xV100"),
    }[node.cloud]
    while begin < node.end:
        price, list_price, pricing, commitment = _gpu_price(node, begin)
        yield Charge(
            vendor, pool, begin, begin + timedelta(hours=1), service, "Compute", "Virtual Machines",
            f"{kind} with {node.gpus} {node.gpu_model}", "Hours", Decimal(1), node.gpus * price, node.gpus * list_price,
            resource=node.resource, resource_type="Machine", sku=kind, meter="Hours", tags=tags, pricing=pricing,
            commitment=commitment,
        )  # fmt: skip
        begin += timedelta(hours=1)


def _gpu_price(node: world.Node, moment: datetime) -> tuple[Decimal, Decimal, str, str]:
    """Price and list price of a GPU and hour, pricing category, commitment."""
    if node.cloud == "Acme rack":
        return RACK_GPU, RACK_GPU, "Standard", ""
    if node.cloud == "Azure":
        return SPOT_GPU, Decimal("3.40"), "Dynamic", ""
    if node.cloud == "AWS":
        if node.model is None:
            return A10G, A10G, "Standard", ""
        return AWS_GPU[0], AWS_GPU[2], "Committed", "ri-acme-2025"
    if moment < world.at(world.COMMITMENT_ENDS):
        return GCP_GPU[0], GCP_GPU[2], "Committed", "cud-acme-2025"
    return GCP_GPU[1], GCP_GPU[2], "Standard", ""


def _shared(calendar: Calendar, scale: int) -> Iterator[Charge]:
    """What many share, and the notebooks that belong to teams; one of those has lost its tag."""
    for day in calendar.days:
        begin, end = world.at(day), world.at(day + timedelta(days=1))
        for vendor, pool, service, category, subcategory, unit, quantity, daily_price in _DAILY:
            yield Charge(
                vendor, pool, begin, end, service, category, subcategory, f"{service}, {unit}", unit,
                scale * Decimal(quantity), Decimal(daily_price), Decimal(daily_price),
                resource=f"acme-{pool}-{vendor.file}", resource_type="Service",
            )  # fmt: skip
        for team, hours in (("platform", Decimal("1.25")), ("research", Decimal("2.5"))):
            yield Charge(
                AWS, "notebooks", begin, end, "Amazon SageMaker", "AI and Machine Learning", "AI Platforms",
                "Notebook hours", "Hours", hours, _NOTEBOOK, _NOTEBOOK, resource=f"notebooks-{team}",
                resource_type="Notebook", tags={"team": team},
            )  # fmt: skip
        if day == world.UNTAGGED_DAY:
            yield Charge(
                AWS, "notebooks", begin, end, "Amazon SageMaker", "AI and Machine Learning", "AI Platforms",
                "Notebook hours", "Hours", Decimal("42.5"), _NOTEBOOK, _NOTEBOOK, resource="notebooks-untagged",
                resource_type="Notebook",
            )  # fmt: skip


def _vendors(usage: Usage) -> Iterator[Charge]:
    """Model APIs: a row for each day, model and class of tokens."""
    for (day, model), tokens in sorted(usage.items()):
        vendor, begin = _LLM_VENDORS[model], world.at(day)
        rise = RISE if model == world.CODING_MODEL and day >= world.PRICE_RISE else Decimal(1)
        for name, number, price in zip(TOKEN_CLASSES, tokens, TOKEN_PRICES[model], strict=True):
            if number:
                yield Charge(
                    vendor, _LLM_POOLS[vendor.name], begin, begin + timedelta(days=1), f"{vendor.name} API",
                    "AI and Machine Learning", "Generative AI", f"{model} {name}", "1000000 Tokens",
                    Decimal(number) / 1_000_000, price * rise, price * rise, sku=model, meter=name,
                    details={"x_Model": model, "x_TokenType": name},
                )  # fmt: skip


def _monthly(calendar: Calendar) -> Iterator[Charge]:
    """Support, labelling and the start-up credits, for the months that begin inside the calendar."""
    for days in calendar.months:
        month = days[0]
        if month.day != 1:
            continue
        support = "Business support"
        yield _flat(AWS, "support", month, "AWS Support", "Other", "Other (Other)", support, _SUPPORT)
        labels = "Labelling of training data (labour)"
        yield _flat(LABELS, "labelling", month, "Labelling", "Other", "Other (Other)", labels, _LABELS, team="research")
        if month <= world.LAST_CREDIT:
            name = "Start-up credits"
            yield _flat(AWS, "credits", month, "AWS Activate", "Other", "Other (Other)", name, _CREDIT, kind="Credit")


def _flat(
    vendor: Vendor,
    pool: str,
    month: date,
    service: str,
    category: str,
    subcategory: str,
    description: str,
    amount: Decimal,
    *,
    kind: str = "Purchase",
    team: str | None = None,
) -> Charge:
    """One amount for a month."""
    begin = world.at(month.replace(day=1))
    end = (begin + timedelta(days=32)).replace(day=1)
    return Charge(
        vendor, pool, begin, end, service, category, subcategory, description, "Months", Decimal(1), amount, amount,
        charge_category=kind, tags={"team": team} if team else None,
    )  # fmt: skip
