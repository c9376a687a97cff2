"""The simulated company: its calendar, people, machines and the oddities planted for farthing to find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

FIRST_DAY = date(2026, 10, 5)  # a Monday
DAYS = [FIRST_DAY + timedelta(days=number) for number in range(7)]
WEEK_BEGIN = datetime(2026, 10, 5, tzinfo=UTC)
WEEK_END = WEEK_BEGIN + timedelta(days=7)
WEEK_SECONDS = 7 * 86_400

SERVED_MODEL = "acme-chat-70b"
GPU_MODEL = "NVIDIA A100-SXM4-80GB"
GPU_HOUR_PRICE = Decimal("3.67")
GPU_HOUR_LIST_PRICE = Decimal("4.10")
GPUS_PER_REPLICA = 4
REPLICAS_PER_NODE = 2
NODES_PER_CELL = 2
REPLICAS_PER_CELL = REPLICAS_PER_NODE * NODES_PER_CELL
TRAINING_GPUS = 4
TRAINING_NODE = "train-01"

USERS_PER_CELL = 300
CUSTOMERS_PER_CELL = 40
REQUESTS_PER_CELL = 120_000
TASKS_PER_CELL = 260

TEAMS = {"assistant": "CC-10", "search": "CC-20", "agents": "CC-30", "platform": "CC-90"}
FEATURES = {
    "assistant": ["chat", "drafting"],
    "search": ["answers", "summaries"],
    "agents": ["chat", "extraction"],
    "platform": ["code-review", "chat"],
}
FLEET_OWNER = "platform"
#: An id that the gateway knows and identities.csv does not.
LOST_KEY = "key-lost"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of October 2026, UTC."""
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


def seconds(moment: datetime) -> float:
    """Seconds since the begin of the week."""
    return (moment - WEEK_BEGIN).total_seconds()


@dataclass(frozen=True)
class Window:
    """A planted stretch on one node or GPU of the first cell."""

    begin: datetime
    end: datetime
    node_id: str
    replica: int | None = None
    gpu_uuid: str | None = None


#: Telemetry of this node never arrived.
UNOBSERVED = Window(at(7, 13), at(7, 17), "serve-02")
#: A nightly evaluation on one GPU of a drained replica; jobs.csv knows it.
BATCH_JOB = Window(at(6, 1), at(6, 4), "serve-01", 1, "GPU-serve-01-7")
#: The same without a job: nobody knows who it was.
UNEXPLAINED = Window(at(8, 2), at(8, 2, 40), "serve-01", 0, "GPU-serve-01-2")
#: Before each of the two the router has sent the replica nothing for so long.
DRAIN = timedelta(minutes=30)
#: From here on the first user's key belongs to a successor.
KEY_HANDED_OVER = at(8, 0)
#: On this day somebody called OpenAI past the gateway.
PAST_GATEWAY_DAY = date(2026, 10, 8)


@dataclass(frozen=True)
class Habit:
    """How somebody uses a model: median tokens, the sigma of their logarithm, the share with a cached prefix."""

    name: str
    input_median: int
    output_median: int
    spread: float
    cached_share: float


HABITS = [
    Habit("chat", 700, 95, 0.7, 0.35),
    Habit("documents", 2_600, 55, 0.6, 0.15),
    Habit("writing", 260, 210, 0.6, 0.05),
]


@dataclass(frozen=True)
class Person:
    """A user of the product with the gateway key that stands for them; `weight` is how much they use it."""

    user_id: str
    key: str
    customer_id: str | None
    team_id: str | None
    plan: str | None
    habit: Habit
    weight: float


def people(random: Random, cell: int) -> list[Person]:
    """The users of one cell; a few use it more than a hundred times as much as others, one in ten is an employee."""
    first_customer = cell * CUSTOMERS_PER_CELL
    customers = [f"customer-{first_customer + number + 1:03d}" for number in range(CUSTOMERS_PER_CELL)]
    product_teams = [team for team in TEAMS if team != FLEET_OWNER]
    team_of = {customer: product_teams[number % len(product_teams)] for number, customer in enumerate(customers)}
    plan_of = {customer: random.choice(["free", "pro", "pro", "enterprise"]) for customer in customers}
    size = [random.lognormvariate(0, 1) for _ in customers]
    found = []
    for number in range(USERS_PER_CELL):
        serial = cell * USERS_PER_CELL + number + 1
        # every customer has somebody, the big ones have most
        customer = (
            None
            if number % 10 == 9
            else customers[number]
            if number < CUSTOMERS_PER_CELL
            else random.choices(customers, size)[0]
        )
        found.append(
            Person(
                user_id=f"user-{serial:04d}",
                key=f"key-{serial:04d}",
                customer_id=customer,
                team_id=team_of[customer] if customer else random.choice(list(TEAMS)),
                plan=plan_of[customer] if customer else None,
                habit=random.choices(HABITS, [5, 3, 2])[0],
                weight=random.lognormvariate(0, 1.4),
            )
        )
    if cell == 0:
        found.append(Person(LOST_KEY, LOST_KEY, None, None, None, HABITS[0], 0.8))
    return found


def successor(person: Person) -> Person:
    """Who holds the first user's key from KEY_HANDED_OVER on."""
    return Person(
        "user-0001-successor", person.key, person.customer_id, person.team_id, person.plan, person.habit, person.weight
    )


@dataclass(frozen=True)
class Gpu:
    """One GPU and where it stands; `replica_id` is None on the training node."""

    gpu_uuid: str
    node_id: str
    resource_id: str
    replica_id: str | None


def node_names(cell: int) -> list[str]:
    """Names of a cell's serving nodes."""
    return [f"serve-{cell * NODES_PER_CELL + number + 1:02d}" for number in range(NODES_PER_CELL)]


def replica_names(cell: int) -> list[str]:
    """Names of a cell's replicas, in the order of its nodes."""
    return [f"{node}-{side}" for node in node_names(cell) for side in "ab"]


def serving_gpus(cell: int) -> list[Gpu]:
    """A cell's serving GPUs, replica after replica."""
    found = []
    for node in node_names(cell):
        for index in range(REPLICAS_PER_NODE * GPUS_PER_REPLICA):
            side = "ab"[index // GPUS_PER_REPLICA]
            found.append(Gpu(f"GPU-{node}-{index}", node, f"i-{node}", f"{node}-{side}"))
    return found


def training_gpus() -> list[Gpu]:
    """The GPUs of the training node."""
    return [Gpu(f"GPU-{TRAINING_NODE}-{index}", TRAINING_NODE, f"i-{TRAINING_NODE}", None) for index in range(4)]


@dataclass(frozen=True)
class Job:
    """A line of jobs.csv: on GPUs by name, or on a count of GPUs of a node (the first ones)."""

    job_id: str
    experiment: str
    team_id: str
    user_id: str
    begin: datetime
    end: datetime
    status: str
    node_id: str | None = None
    gpu_count: int | None = None
    gpu_uuids: tuple[str, ...] = ()
    model_produced: str | None = None


def jobs() -> list[Job]:
    """Training on its own node, and the evaluation on a serving GPU."""
    return [
        Job("job-101", "chat-70b-sft", "platform", "user-0010", at(5, 10), at(6, 16), "completed", TRAINING_NODE, 4,
            model_produced="acme-chat-70b-v2"),
        Job("job-102", "nightly-eval", "assistant", "user-0020", BATCH_JOB.begin, BATCH_JOB.end, "completed",
            gpu_uuids=(str(BATCH_JOB.gpu_uuid),)),
        Job("job-103", "retriever-ablation", "search", "user-0030", at(8, 9), at(9, 3), "failed",
            gpu_uuids=(f"GPU-{TRAINING_NODE}-0", f"GPU-{TRAINING_NODE}-1")),
        Job("job-104", "agent-rl", "agents", "user-0040", at(8, 12), at(9, 20), "completed",
            gpu_uuids=(f"GPU-{TRAINING_NODE}-2", f"GPU-{TRAINING_NODE}-3"), model_produced="acme-agent-8b"),
    ]  # fmt: skip
