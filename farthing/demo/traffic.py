"""The simulated requests of one month, as arrays: who asked which model what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from farthing.demo import world
from farthing.demo.world import CODING, DAY_US, PREMIUM, RACK, SECOND_US, SERVED, UNPRICED, Floats, Integers

#: Relative traffic of the hours of a day, UTC; none in the last one, so that everything ends on its day.
_HOURS = np.array([
    1, 0.6, 0.4, 0.4, 0.6, 2, 8, 20, 32, 40, 42, 40, 36, 40, 42, 42, 40, 34, 26, 18, 12, 7, 3, 0
])  # fmt: skip
_WEEKDAY, _WEEKEND = 1.2, 0.5
TICKETS_A_DAY = 3287  # 100,000 a month
_TASK_SHARE = 0.05
_SECOND_CALL_SHARE = 0.35
_SUMMARY_SHARE = 0.25
_BLOCK = 16  # an inference engine caches prefixes in blocks of so many tokens

AGENTS = [
    "planner", "researcher", "analyst", "retriever", "coder", "billing-expert", "returns-expert", "reviewer",
    "translator", "writer",
]  # fmt: skip
TOOLS = [
    f"{system}.{verb}"
    for system in "crm orders billing shipping docs search calendar email sandbox inventory".split()
    for verb in "find read list update check".split()
]
FEATURES = ["answers", "tasks", "summaries", "coding"]
ANSWERS, TASKS, SUMMARIES, CODE = range(len(FEATURES))


@dataclass
class Requests:
    """Requests as arrays of one length; `user` indexes `People.logged`, `trace` a list of names, -1 is none.

    Tokens are inclusive: input contains cache reads and writes, output contains reasoning.
    """

    at: Integers
    user: Integers
    model: Integers
    feature: Integers
    input_tokens: Integers
    cached_tokens: Integers
    output_tokens: Integers
    trace: Integers
    agent: Integers
    tool: Integers
    staging: Integers

    def take(self, rows: Integers) -> Requests:
        """The chosen rows, in that order."""
        return Requests(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass
class Month:
    """What was asked in one month: the requests in order of time, trace names, and tickets by (day, customer)."""

    requests: Requests
    traces: list[str]
    tickets: pl.DataFrame


@dataclass(frozen=True)
class People:
    """Everybody whom a gateway logs: service accounts of customers, coding users, employees, a lost key, nobody."""

    customers: world.Customers
    coders: list[str]
    logged: list[str] = field(init=False)

    def __post_init__(self) -> None:
        logged = [*self.customers.accounts, *self.coders, *world.EMPLOYEES, world.LOST_KEY, world.SENTINEL]
        object.__setattr__(self, "logged", logged)


def month(days: Sequence[date], people: People, *, scale: int, seed: int, share: float) -> Month:
    """All requests of `days`, which are of one month; `share` of the usual number of them."""
    random = np.random.default_rng([seed, 2, days[0].year, days[0].month])
    volume = scale * share
    tickets = _tickets(random, days, people.customers, volume)
    traces = [f"task-{days[0]:%Y%m}-{number + 1:06d}" for number in range(int(tickets.task.sum()))]
    parts = [
        _answers(random, tickets, people.customers),
        _summaries(random, tickets),
        _tasks(random, tickets),
        _coding(random, days, people, volume),
        _others(random, days, people, volume),
    ]
    if world.RUNAWAY_DAY in days:
        parts.append(_runaway(random, trace=len(traces)))
        traces.append(world.RUNAWAY_TRACE)
    if days[-1] >= world.PAIR_FROM:
        parts.append(_pair(random, [day for day in days if day >= world.PAIR_FROM], people))
    whole = Requests(*(np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].__dict__))
    unpriced = (
        (whole.model == CODING)
        & (whole.feature == ANSWERS)
        & (whole.at >= world.microseconds(world.at(world.UNPRICED_FROM)))
        & (random.random(len(whole.at)) < world.UNPRICED_SHARE)
    )
    whole.model = np.where(unpriced, UNPRICED, whole.model)
    counts = (
        pl.DataFrame({"day": tickets.at // DAY_US, "customer": tickets.customer})
        .group_by("day", "customer")
        .len("tickets")
        .sort("day", "customer")
    )
    return Month(whole.take(np.argsort(whole.at, kind="stable")), traces, counts)


@dataclass
class _Tickets:
    at: Integers
    customer: Integers
    task: npt.NDArray[np.bool_]


def _epoch_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _moments(random: np.random.Generator, day: Integers) -> Integers:
    """A moment on each of `day` (days since 1970), by the hours of a working day."""
    hour = np.searchsorted(np.cumsum(_HOURS) / _HOURS.sum(), random.random(len(day)), "right")
    return day * DAY_US + hour * 3_600_000_000 + random.integers(0, 3_600_000_000, len(day))


def _spread(days: Sequence[date], a_day: float) -> Integers:
    """Days since 1970, each as often as something happens on it: `a_day` times in the mean of a week."""
    numbers = [round(a_day * (_WEEKEND if day.weekday() >= 5 else _WEEKDAY)) for day in days]
    return np.repeat(np.array([_epoch_day(day) for day in days], dtype=np.int64), numbers)


def _tickets(random: np.random.Generator, days: Sequence[date], customers: world.Customers, volume: float) -> _Tickets:
    day = _spread(days, TICKETS_A_DAY * volume)
    cumulative = np.cumsum(customers.weights)
    customer = np.searchsorted(cumulative / cumulative[-1], random.random(len(day)), "right").astype(np.int64)
    task = random.random(len(day)) < _TASK_SHARE
    # customers who lose money: a small plan, and agent tasks every day
    losers = np.repeat(list(world.LOSERS), list(world.LOSERS.values())).astype(np.int64)
    extra = np.repeat(np.array([_epoch_day(one) for one in days], dtype=np.int64), len(losers))
    day = np.concatenate([day, extra])
    customer = np.concatenate([customer, np.tile(losers, len(days))])
    return _Tickets(_moments(random, day), customer, np.concatenate([task, np.ones(len(extra), dtype=np.bool_)]))


def _tokens(random: np.random.Generator, median: float | Floats, spread: float, size: int, most: int) -> Integers:
    drawn = median * random.lognormal(0, spread, size)
    return np.clip(np.rint(drawn), 8, most).astype(np.int64)


def _blocks(cached: npt.NDArray[Any]) -> Integers:
    found: Integers = cached.astype(np.int64) // _BLOCK * _BLOCK
    return found


def _made(
    at: Integers,
    user: Integers,
    model: Integers,
    feature: int,
    input_tokens: Integers,
    cached_tokens: Integers,
    output_tokens: Integers,
    **more: Integers,
) -> Requests:
    size, none = len(at), np.full(len(at), -1, dtype=np.int64)
    return Requests(
        at=at,
        user=user,
        model=model,
        feature=np.full(size, feature, dtype=np.int64),
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
        output_tokens=output_tokens,
        trace=more.get("trace", none),
        agent=more.get("agent", none),
        tool=more.get("tool", none),
        staging=more.get("staging", np.zeros(size, dtype=np.int64)),
    )


def _answers(random: np.random.Generator, tickets: _Tickets, customers: world.Customers) -> Requests:
    """Tickets that are answered in one call or two; longer documents go to the vendors."""
    begin, customer = tickets.at[~tickets.task], tickets.customer[~tickets.task]
    again = np.flatnonzero(random.random(len(begin)) < _SECOND_CALL_SHARE)
    at = np.concatenate([begin, begin[again] + random.integers(25, 120, len(again)) * SECOND_US])
    user = np.concatenate([customer, customer[again]])
    model, size = customers.models[user], len(user)
    bought = model != SERVED
    tokens = _tokens(random, np.where(bought, 21_000.0, 5_200.0), 0.45, size, 120_000)
    answer = _tokens(random, np.where(bought, 800.0, 380.0), 0.5, size, 1800)
    cached = _blocks(tokens * np.where(random.random(size) < 0.3, random.uniform(0.2, 0.6, size), 0))
    return _made(at, user, model, ANSWERS, tokens, cached, answer)


def _summaries(random: np.random.Generator, tickets: _Tickets) -> Requests:
    """Some tickets are summed up at their end by a small model on the rack."""
    chosen = np.flatnonzero(random.random(len(tickets.at)) < _SUMMARY_SHARE)
    size = len(chosen)
    tokens, answer = _tokens(random, 3600, 0.4, size, 12_000), _tokens(random, 260, 0.4, size, 900)
    model, none = np.full(size, RACK, dtype=np.int64), np.zeros(size, dtype=np.int64)
    at = tickets.at[chosen] + 600 * SECOND_US
    return _made(at, tickets.customer[chosen], model, SUMMARIES, tokens, none, answer)


def _tasks(random: np.random.Generator, tickets: _Tickets) -> Requests:
    """Agent tasks: 10 to 100 calls by 5 to 10 agents; some are far larger than others."""
    begin, customer = tickets.at[tickets.task], tickets.customer[tickets.task]
    calls = np.clip(np.rint(17 * random.lognormal(0, 0.65, len(begin))), 10, 100).astype(np.int64)
    size = random.lognormal(0, 0.45, len(begin))
    return _calls(random, begin, customer, calls, size, np.arange(len(begin), dtype=np.int64))


def _calls(
    random: np.random.Generator, begin: Integers, customer: Integers, calls: Integers, size: Floats, trace: Integers
) -> Requests:
    """The calls of agent tasks: each agent has its model, and a conversation that grows from call to call."""
    total = int(calls.sum())
    task = np.repeat(np.arange(len(begin)), calls)
    first = np.cumsum(calls) - calls
    number = np.arange(total, dtype=np.int64) - first[task]
    waits = np.cumsum(random.integers(2, 9, total) * SECOND_US + random.integers(0, SECOND_US, total))
    at = begin[task] + waits - waits[first[task]] if total else waits
    agents = random.integers(5, len(AGENTS) + 1, len(begin))
    agent = (number % agents[task] + task) % len(AGENTS)
    bought = agent % 3 == 2
    median = np.minimum(2200.0 + 320.0 * number, 11_000.0) * size[task] * np.where(bought, 5.0, 1.0)
    tokens = _tokens(random, median, 0.3, total, 150_000)
    answer = _tokens(random, np.where(bought, 520.0, 340.0), 0.5, total, 1800)
    cached = _blocks(tokens * random.uniform(0.2, 0.7, total) * (number > 0))
    model = np.where(bought, PREMIUM, SERVED).astype(np.int64)
    tool = np.where(random.random(total) < 0.7, random.integers(0, len(TOOLS), total), -1)
    return _made(at, customer[task], model, TASKS, tokens, cached, answer, trace=trace[task], agent=agent, tool=tool)


def _runaway(random: np.random.Generator, *, trace: int) -> Requests:
    """One task that calls a vendor's model thousands of times and never comes to an end by itself."""
    size = world.RUNAWAY_CALLS
    at = world.microseconds(world.at(world.RUNAWAY_DAY, 9)) + np.cumsum(random.integers(6, 12, size) * SECOND_US)
    tokens, answer = _tokens(random, 14_000, 0.2, size, 60_000), _tokens(random, 300, 0.3, size, 1800)

    def constant(value: int) -> Integers:
        return np.full(size, value, dtype=np.int64)

    return _made(
        at, constant(world.RUNAWAY_CUSTOMER), constant(PREMIUM), TASKS, tokens, _blocks(tokens * 0.5), answer,
        trace=constant(trace), agent=constant(AGENTS.index("analyst")), tool=constant(0),
    )  # fmt: skip


def _coding(random: np.random.Generator, days: Sequence[date], people: People, volume: float) -> Requests:
    """The coding assistant's users, but for the planted two."""
    coders = len(people.coders)
    eager = random.lognormal(0, 1.0, coders)
    eager[:2] = 0
    cumulative = np.cumsum(eager)
    day = _spread(days, 500 * volume)
    user = np.searchsorted(cumulative / cumulative[-1], random.random(len(day)), "right").astype(np.int64)
    tokens, answer = _tokens(random, 1500, 0.6, len(day), 12_000), _tokens(random, 160, 0.6, len(day), 1800)
    cached = _blocks(tokens * np.where(random.random(len(day)) < 0.5, 0.5, 0.0))
    model = np.full(len(day), CODING, dtype=np.int64)
    return _made(_moments(random, day), user + len(people.customers.ids), model, CODE, tokens, cached, answer)


def _pair(random: np.random.Generator, days: Sequence[date], people: People) -> Requests:
    """Two users of one plan: ten completions a day, and a hundred times as many of five times the tokens."""
    light = world.PAIR_COMPLETIONS
    day = np.repeat(np.array([_epoch_day(one) for one in days], dtype=np.int64), light)
    tokens, answer = _tokens(random, 420, 0.4, len(day), 2000), _tokens(random, 55, 0.4, len(day), 300)
    first = len(people.customers.ids)
    index = np.concatenate([np.arange(len(day)), np.repeat(np.arange(len(day)), 100)])
    factor = np.where(np.arange(len(index)) < len(day), 1, 5)
    user = first + (factor == 5).astype(np.int64)
    zero = np.zeros(len(index), dtype=np.int64)
    model = np.full(len(index), CODING, dtype=np.int64)
    at = _moments(random, day[index])
    return _made(at, user, model, CODE, tokens[index] * factor, zero, answer[index] * factor)


def _others(random: np.random.Generator, days: Sequence[date], people: People, volume: float) -> Requests:
    """Employees who try things in staging, a key that nobody knows, and calls that the gateway has no user for."""
    first = len(people.customers.ids) + len(people.coders)
    size = len(world.EMPLOYEES)
    day = _spread(days, 110 * volume)
    user = first + np.searchsorted(np.array([80, 95, 110]) / 110, random.random(len(day)), "right")
    user = np.where(user == first, first + random.integers(0, size, len(day)), user + size - 1)
    tokens, answer = _tokens(random, 2500, 0.6, len(day), 12_000), _tokens(random, 250, 0.5, len(day), 1800)
    model = np.where(random.random(len(day)) < 0.8, SERVED, CODING).astype(np.int64)
    zero = np.zeros(len(day), dtype=np.int64)
    staging = (user < first + size).astype(np.int64)
    return _made(_moments(random, day), user, model, ANSWERS, tokens, zero, answer, staging=staging)
