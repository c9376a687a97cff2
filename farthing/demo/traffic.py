"""The simulated requests of one cell: who asked which model what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from farthing.demo.engine import Work
from farthing.demo.world import (
    FEATURES,
    KEY_HANDED_OVER,
    REQUESTS_PER_CELL,
    SERVED_MODEL,
    TASKS_PER_CELL,
    Habit,
    Person,
    seconds,
    successor,
)

#: Relative traffic of the hours of a weekday, UTC; a weekend day has WEEKEND of it.
_HOURS = [1, 0.6, 0.4, 0.4, 0.6, 2, 6, 16, 30, 40, 42, 38, 30, 38, 44, 44, 40, 32, 22, 14, 9, 6, 3, 1.5]
_WEEKEND = 0.28
_BLOCK = 16  # an inference engine caches prefixes in blocks of so many tokens

_AGENTS = [("planner", "claude"), ("researcher", "served"), ("coder", "served"), ("reviewer", "gpt")]
_TOOLS: dict[str, list[str | None]] = {
    "planner": [None],
    "researcher": ["search", "browser", None],
    "coder": ["python", None],
    "reviewer": [None],
}


@dataclass(frozen=True)
class VendorModel:
    """A model behind an API, with the share of prompts that hit the cache and how fast it writes."""

    provider: str
    model: str
    response_model: str
    cached_share: float
    writes_cache: bool
    reasons: bool
    tokens_per_second: float


VENDOR_MODELS = {
    "claude": VendorModel("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", 0.45, True, False, 75),
    "gpt": VendorModel("openai", "gpt-5-mini", "gpt-5-mini-2025-08-07", 0.30, False, True, 110),
}


@dataclass(slots=True, eq=False)
class Request:
    """One request with what its gateway logs; `work` is its course on our GPUs, None for a vendor's model.

    Tokens are inclusive: input contains cache reads and both kinds of cache writes, output contains reasoning.
    """

    person: Person
    route: str  # "served" or a key of VENDOR_MODELS
    arrived: float
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    feature: str
    environment: str
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    first_token: float = 0.0
    ended: float = 0.0
    cancelled: bool = False  # the client went away: the vendor bills, the log has no usage
    trace_id: str | None = None
    agent: str | None = None
    tool: str | None = None
    work: Work | None = None
    request_id: str = ""

    @property
    def model(self) -> str:
        """The model asked for."""
        return SERVED_MODEL if self.route == "served" else VENDOR_MODELS[self.route].model


def requests(random: Random, people: list[Person], cell: int) -> list[Request]:
    """One week of requests in order of time: single ones and the calls of agent tasks."""
    hours: list[float] = []
    weight = 0.0
    for hour in range(7 * 24):
        # nothing in the last hour, so that every request ends inside the week
        day_share = _WEEKEND if hour >= 5 * 24 else 1.0
        weight += 0.0 if hour == 7 * 24 - 1 else _HOURS[hour % 24] * day_share
        hours.append(weight)

    def moment() -> float:
        return random.choices(range(7 * 24), cum_weights=hours)[0] * 3600 + round(random.random() * 3600, 6)

    found: list[Request] = []
    builders = [person for person in people if person.team_id == "agents"]
    for number in range(TASKS_PER_CELL):
        begin, trace_id = min(moment(), 6.9 * 86_400), f"task-{cell + 1:02d}-{number + 1:04d}"
        found += _task(random, random.choice(builders), begin, trace_id)
    singles = random.choices(people, [person.weight for person in people], k=REQUESTS_PER_CELL - len(found))
    found += [_single(random, person, moment()) for person in singles]
    first, heir, handed_over = people[0], successor(people[0]), seconds(KEY_HANDED_OVER)
    for request in found:
        if cell == 0 and request.person is first and request.arrived >= handed_over:
            request.person = heir
    found.sort(key=lambda request: request.arrived)
    for number, request in enumerate(found):
        request.request_id = f"req-{cell + 1:02d}-{number + 1:06d}"
    return found


def _single(random: Random, person: Person, arrived: float) -> Request:
    route = random.choices(["served", "gpt", "claude"], [70, 16, 14])[0]
    feature = random.choice(FEATURES[person.team_id or "assistant"])
    environment = "staging" if random.random() < 0.04 else "production"
    habit = person.habit
    if route != "served":  # long questions go to the vendors
        habit = Habit(habit.name, habit.input_median * 4, habit.output_median * 4, habit.spread, habit.cached_share)
    question = _tokens(random, habit.input_median, habit.spread, 12_000 if route == "served" else 60_000)
    answer = _tokens(random, habit.output_median, habit.spread, 2_000)
    return _request(random, person, route, arrived, question, answer, habit.cached_share, feature, environment)


def _task(random: Random, person: Person, begin: float, trace_id: str) -> list[Request]:
    """One agent task: 10 to 60 calls of several agents, each with a longer conversation than the last."""
    calls = random.randint(10, 60)
    arrived, found = begin, []
    for number in range(calls):
        agent, route = _AGENTS[0] if number == 0 else random.choices(_AGENTS, [1, 4, 4, 1])[0]
        tokens = min(800 + number * random.randint(80, 200), 9_000)
        answer = _tokens(random, 110, 0.6, 900)
        request = _request(random, person, route, round(arrived, 6), tokens, answer, 0.85, "tasks", "production")
        request.trace_id, request.agent, request.tool = trace_id, agent, random.choice(_TOOLS[agent])
        found.append(request)
        arrived += random.uniform(3, 16)
    return found


def _request(
    random: Random,
    person: Person,
    route: str,
    arrived: float,
    input_tokens: int,
    output_tokens: int,
    cached_share: float,
    feature: str,
    environment: str,
) -> Request:
    cached = int(input_tokens * random.uniform(0.3, 0.9)) if random.random() < cached_share else 0
    request = Request(person, route, arrived, input_tokens, cached, output_tokens, feature, environment)
    if route == "served":
        request.cached_tokens -= cached % _BLOCK
        request.work = Work(arrived, input_tokens, request.cached_tokens, output_tokens)
        return request
    vendor = VENDOR_MODELS[route]
    if vendor.writes_cache and random.random() < vendor.cached_share:
        written = int((input_tokens - cached) * random.uniform(0.4, 0.9))
        one_hour = random.random() < 0.2
        request.cache_write_tokens, request.cache_write_1h_tokens = written, written if one_hour else 0
    if vendor.reasons:
        request.reasoning_tokens = int(output_tokens * random.uniform(0.2, 0.7))
    request.first_token = arrived + 0.25 + random.lognormvariate(-1.0, 0.5) + input_tokens * 2e-5
    request.ended = request.first_token + output_tokens / vendor.tokens_per_second
    request.cancelled = random.random() < 0.005
    return request


def _tokens(random: Random, median: int, spread: float, most: int) -> int:
    return min(most, max(4, round(median * random.lognormvariate(0, spread))))
