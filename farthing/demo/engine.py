"""A simulated continuous-batching inference engine: when each request got its tokens, and what it took of the GPUs."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Timing:
    """How long a replica takes, in seconds; the shape follows published measurements of a 70B model on four A100s.

    A prompt is processed alone and decoding waits. One decode step then serves every running request.
    """

    prompt_base: float = 0.030
    per_prompt_token: float = 0.00022
    step_base: float = 0.0444
    step_per_request: float = 0.0001
    step_per_context_token: float = 2.0e-7

    def prompt_seconds(self, uncached_tokens: int) -> float:
        """Seconds until the first token of a prompt that did not have to wait."""
        return self.prompt_base + self.per_prompt_token * uncached_tokens


@dataclass(slots=True, eq=False)
class Work:
    """One request as the engine sees it; times are seconds since the begin of the week, filled in as it runs."""

    arrived: float
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    replica: int = -1
    first_token: float = math.nan
    ended: float = math.nan
    replica_seconds: float = 0.0  # what it truly took of its replica: times the replica's GPUs = GPU-seconds
    context: int = 0
    tokens_left: int = 0


@dataclass(slots=True)
class Replica:
    """One copy of the model: a queue, the running batch, its own clock, and when it was busy."""

    timing: Timing
    largest_batch: int = 64
    closed: Sequence[tuple[float, float]] = ()  # when the router sends it nothing
    clock: float = 0.0
    queue: deque[Work] = field(default_factory=deque)
    running: list[Work] = field(default_factory=list)
    busy: list[tuple[float, float]] = field(default_factory=list)
    busy_since: float = 0.0

    @property
    def load(self) -> int:
        """Requests on the replica."""
        return len(self.queue) + len(self.running)

    def accepts(self, moment: float) -> bool:
        """Whether the router may send a request now."""
        return not any(begin <= moment < end for begin, end in self.closed)

    def add(self, work: Work) -> None:
        """Queue `work`; the clock may be past its arrival, by the step that ran meanwhile."""
        if not self.load:
            self.clock = self.busy_since = max(self.clock, work.arrived)
        self.queue.append(work)

    def advance(self, until: float) -> None:
        """Work on to the first step boundary at or after `until`, or until nothing is left to do."""
        while self.load and self.clock < until:
            if self.queue and len(self.running) < self.largest_batch:
                self._prompt(self.queue.popleft())
            else:
                self._decode(until)
            if not self.load:
                self.busy.append((self.busy_since, self.clock))

    def _prompt(self, work: Work) -> None:
        seconds = self.timing.prompt_seconds(work.input_tokens - work.cached_tokens)
        self.clock += seconds
        work.replica_seconds += seconds
        work.first_token = self.clock
        work.context = work.input_tokens + 1
        work.tokens_left = work.output_tokens - 1
        if work.tokens_left:
            self.running.append(work)
        else:
            work.ended = self.clock

    def _decode(self, until: float) -> None:
        """As many steps at once as change nothing in the batch: up to the next end or to `until`.

        Step j of m takes base + slope * (context + j * batch); a request's part is an equal share of the base and
        its own context's share of the rest.
        """
        batch = len(self.running)
        base = self.timing.step_base + self.timing.step_per_request * batch
        slope = self.timing.step_per_context_token
        context = sum(work.context for work in self.running)
        steps = min(work.tokens_left for work in self.running)
        curve = slope * batch / 2
        linear = base + slope * context - curve
        if curve * steps * steps + linear * steps > until - self.clock:
            wanted = 2 * (until - self.clock) / (linear + math.sqrt(linear * linear + 4 * curve * (until - self.clock)))
            steps = min(steps, max(1, math.ceil(wanted)))
        self.clock += curve * steps * steps + linear * steps
        ramp = steps * (steps - 1) / 2
        for work in self.running:
            work.replica_seconds += steps * base / batch + slope * (steps * work.context + ramp)
            work.context += steps
            work.tokens_left -= steps
            if not work.tokens_left:
                work.ended = self.clock
        self.running = [work for work in self.running if work.tokens_left]


def run(arrivals: Iterable[Work], replicas: Sequence[Replica]) -> None:
    """Route `arrivals`, in order of time, each to the open replica with the fewest requests, and work them all off.

    Among equals it is the next in turn.
    """
    turn = 0
    for work in arrivals:
        for replica in replicas:
            replica.advance(work.arrived)
        choices = [index for index, replica in enumerate(replicas) if replica.accepts(work.arrived)]
        work.replica = min(choices, key=lambda index: (replicas[index].load, (index - turn) % len(replicas)))
        turn = work.replica + 1
        replicas[work.replica].add(work)
    for replica in replicas:
        replica.advance(math.inf)


def busy_microseconds(intervals: Iterable[tuple[float, float]], *, bucket_seconds: int, buckets: int) -> list[int]:
    """Microseconds of `intervals` (seconds, in order, disjoint) inside each of `buckets` equal buckets from zero on."""
    width = bucket_seconds * 1_000_000
    filled = [0] * buckets
    for begin, end in intervals:
        position, last = round(begin * 1_000_000), round(end * 1_000_000)
        while position < last:
            bucket = position // width
            stop = min(last, (bucket + 1) * width)
            filled[bucket] += stop - position
            position = stop
    return filled
