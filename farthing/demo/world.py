"""The simulated company: its calendar, customers, people, machines and what is planted for farthing to find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FIRST_DAY, LAST_DAY = date(2026, 4, 1), date(2026, 10, 31)
#: Telemetry has rows of five minutes before this day and of ten seconds from it on.
FINE_FROM = date(2026, 10, 25)
SIMULATION_ENDS = datetime(2026, 11, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
SECOND_US = 1_000_000

SERVED_MODEL, RACK_MODEL = "acme-support-70b", "acme-summary-8b"
PREMIUM_MODEL, CODING_MODEL, UNPRICED_MODEL = "claude-opus-4-1", "gpt-5", "nimbus-preview"
MODELS = [SERVED_MODEL, RACK_MODEL, PREMIUM_MODEL, CODING_MODEL, UNPRICED_MODEL]
SERVED, RACK, PREMIUM, CODING, UNPRICED = range(len(MODELS))
PROVIDERS = ["vllm", "vllm", "anthropic", "openai", "openai"]
GPUS_PER_NODE = 4
TEAMS = {"support": "CC-100", "platform": "CC-200", "research": "CC-300"}
EMPLOYEES = [f"{team}-{number}" for team in TEAMS for number in range(1, 5)]
#: plan: customers, dollars a month, tickets a month of a customer in the middle.
PLANS = {"enterprise": (30, 4500, 950), "scale": (120, 1500, 270), "growth": (350, 400, 80), "starter": (500, 80, 16)}
CODING_USERS, CODING_PRICE = 200, 20

LOST_KEY = "key-lost"
SENTINEL = "default_user_id"
LIGHT_USER, HEAVY_USER = "dev-0001", "dev-0002"
PAIR_FROM = date(2026, 8, 1)
PAIR_COMPLETIONS = 10
RUNAWAY_DAY, RUNAWAY_TRACE, RUNAWAY_CALLS, RUNAWAY_CUSTOMER = date(2026, 9, 17), "task-runaway", 3000, 149
#: Customers of the smallest plan who cost more than they pay: so many agent tasks a day, beside their tickets.
LOSERS = {999: 3, 931: 2, 874: 2, 812: 1, 745: 1, 655: 1}
LOSES_MOST = 999
FORGOTTEN_FROM = date(2026, 9, 10)
UNPRICED_FROM, UNPRICED_SHARE = date(2026, 10, 1), 0.15
PRICE_RISE = date(2026, 8, 1)
LATE_FROM = date(2026, 10, 29)
COMMITMENT_ENDS = date(2026, 10, 16)
LAST_CREDIT = date(2026, 7, 1)
UNTAGGED_DAY = date(2026, 9, 22)
UNLOGGED_REPLICA = "serve-02"
UNLOGGED = (datetime(2026, 10, 14, 12, tzinfo=UTC), datetime(2026, 10, 14, 16, tzinfo=UTC))


def at(day: date, hour: int = 0) -> datetime:
    """The beginning of an hour of `day`, UTC."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return round(moment.timestamp()) * SECOND_US


@dataclass(frozen=True)
class Calendar:
    """The days that are simulated, both ends included; what is planted outside of them is left out."""

    first: date
    last: date

    @property
    def days(self) -> list[date]:
        """All days in order."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    @property
    def months(self) -> list[list[date]]:
        """The days of each month in order."""
        found: dict[tuple[int, int], list[date]] = {}
        for day in self.days:
            found.setdefault((day.year, day.month), []).append(day)
        return list(found.values())

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Customers:
    """Who buys support tickets: by index the id, the plan, how many tickets relative to others, the model used."""

    ids: list[str]
    plans: list[str]
    weights: Floats
    models: Integers

    @property
    def accounts(self) -> list[str]:
        """The service account of each customer, as gateways log it."""
        return [f"sa-{customer}" for customer in self.ids]


def customers(scale: int, seed: int) -> Customers:
    """`scale` times a thousand customers; two of three are served by our own model, the others by vendors."""
    random = np.random.default_rng([seed, 1])
    plans = [plan for _ in range(scale) for plan, (number, _, _) in PLANS.items() for _ in range(number)]
    size = np.array([PLANS[plan][2] for plan in plans], dtype=np.float64)
    weights = size * np.clip(random.lognormal(0, 0.35, len(plans)), 0.4, 2.2)
    models = np.array([SERVED, SERVED, PREMIUM, SERVED, SERVED, PREMIUM, SERVED, SERVED, CODING])[
        np.arange(len(plans)) % 9
    ].astype(np.int64)
    models[list(LOSERS)] = PREMIUM
    return Customers([f"customer-{number + 1:04d}" for number in range(len(plans))], plans, weights, models)


def coding_users(scale: int) -> list[str]:
    """The named users of the coding assistant."""
    return [f"dev-{number + 1:04d}" for number in range(CODING_USERS * scale)]


def coding_customer(number: int) -> int:
    """Index of the customer who bought the seat of coding user `number`: ten seats each, for the large ones."""
    return number // 10 % 20 + number // CODING_USERS * 1000


@dataclass(frozen=True)
class Node:
    """A machine with GPUs: its name, the billed resource, whose cloud it is in, what it serves and since when."""

    name: str
    resource: str
    cloud: str
    gpus: int
    gpu_model: str
    model: str | None
    begin: datetime
    end: datetime
    team: str = "platform"

    @property
    def gpu_uuids(self) -> list[str]:
        """Its GPUs."""
        return [f"GPU-{self.name}-{number}" for number in range(self.gpus)]


def serving_nodes(scale: int, calendar: Calendar) -> list[Node]:
    """Five replicas of the 70B model for each `scale`, three at AWS and two at GCP; then the racks."""
    begin, end = at(calendar.first), at(calendar.last + timedelta(days=1))
    clouds = ["AWS", "AWS", "AWS", "GCP", "GCP"] * scale
    found = []
    for number, cloud in enumerate(clouds):
        name = f"serve-{number + 1:02d}"
        resource = f"i-{name}" if cloud == "AWS" else f"gke-{name}"
        found.append(Node(name, resource, cloud, 4, "NVIDIA A100-SXM4-80GB", SERVED_MODEL, begin, end, "support"))
    for number in range(scale):
        name = f"rack-{number + 1:02d}"
        found.append(Node(name, name, "Acme rack", 4, "Tesla V100-SXM2-32GB", RACK_MODEL, begin, end, "support"))
    return found


def forgotten_node(calendar: Calendar) -> Node | None:
    """A machine that somebody started for a benchmark and never stopped; None where the calendar ends before."""
    if calendar.last < FORGOTTEN_FROM:
        return None
    begin = at(max(FORGOTTEN_FROM, calendar.first))
    return Node("bench-07", "i-bench-07", "AWS", 2, "NVIDIA A10G", None, begin, at(calendar.last + timedelta(days=1)))


@dataclass(frozen=True)
class Run:
    """A training run on eight spot GPUs, billed and sampled only while it is on."""

    job_id: str
    experiment: str
    begin: datetime
    end: datetime
    status: str
    model: str
    checkpoint: datetime | None

    @property
    def node(self) -> Node:
        """The spot machine of this run."""
        name = f"train-{self.job_id}"
        return Node(name, f"vm-{name}", "Azure", 8, "NVIDIA A100-SXM4-80GB", None, self.begin, self.end, "research")


#: First day, first hour, hours, experiment, model; all completed but the one that failed.
_RUNS = [
    (date(2026, 4, 7), 8, 120, "support-70b-sft", SERVED_MODEL),
    (date(2026, 4, 20), 6, 110, "summary-8b-distill", RACK_MODEL),
    (date(2026, 5, 11), 9, 130, "support-70b-sft", SERVED_MODEL),
    (date(2026, 5, 25), 7, 80, "tone-ablation", "acme-tone-8b"),
    (date(2026, 6, 8), 8, 150, "support-70b-dpo", SERVED_MODEL),
    (date(2026, 6, 22), 8, 70, "tone-ablation", "acme-tone-8b"),
    (date(2026, 7, 6), 8, 140, "summary-8b-distill", RACK_MODEL),
    (date(2026, 7, 20), 9, 90, "tone-ablation", "acme-tone-8b"),
    (date(2026, 8, 10), 8, 160, "support-70b-v2", "acme-support-70b-v2"),
    (date(2026, 9, 7), 8, 96, "support-70b-v2", "acme-support-70b-v2"),
    (date(2026, 9, 21), 8, 130, "support-70b-v2", "acme-support-70b-v2"),
    (date(2026, 10, 5), 8, 150, "support-70b-v2", "acme-support-70b-v2"),
    (date(2026, 10, 27), 6, 20, "nightly-eval", "acme-support-70b-v2"),
]
FAILED_RUN = "run-10"
FAILED_AFTER_CHECKPOINT = timedelta(hours=30)


def runs(calendar: Calendar) -> list[Run]:
    """The training runs that lie inside the calendar as a whole."""
    found = []
    for number, (day, hour, hours, experiment, model) in enumerate(_RUNS):
        begin, job_id = at(day, hour), f"run-{number + 1:02d}"
        end, failed = begin + timedelta(hours=hours), job_id == FAILED_RUN
        saved = end - FAILED_AFTER_CHECKPOINT if failed else end
        if day in calendar and end.date() in calendar:
            found.append(Run(job_id, experiment, begin, end, "failed" if failed else "completed", model, saved))
    return found
