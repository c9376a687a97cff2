"""A simulated fleet of inference replicas, as arrays: when each request got its tokens, and when a replica was busy.

A prompt is processed alone, in order of arrival, and decoding waits for it; then the running requests decode together,
each step a little slower for every one of them. Times are integer microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from farthing.demo.world import SECOND_US, Integers


@dataclass(frozen=True)
class Timing:
    """How long a replica takes, in seconds."""

    prompt_base: float
    per_prompt_token: float
    step: float
    step_per_request: float


#: A 70B model on four A100s with long prompts, and an 8B model on older cards.
LARGE = Timing(0.20, 0.00048, 0.037, 0.0012)
SMALL = Timing(0.08, 0.00040, 0.030, 0.0010)


def serve(timing: Timing, arrived: Integers, uncached: Integers, output: Integers) -> tuple[Integers, Integers]:
    """First token and end of each request of one replica, whose arrivals are in order."""
    if not len(arrived):
        return arrived, arrived
    prompt = np.rint((timing.prompt_base + timing.per_prompt_token * uncached) * SECOND_US).astype(np.int64)
    worked = np.cumsum(prompt)
    # the prompt queue: each begins when it has arrived and the one before is through (Lindley's recursion)
    first_token = np.maximum.accumulate(arrived - (worked - prompt)) + worked
    began = np.sort(first_token)
    alone = np.rint((output - 1) * timing.step * SECOND_US).astype(np.int64)
    ended = first_token + alone
    for _ in range(2):  # how crowded it is depends on how long all take: two rounds settle it closely enough
        running = np.searchsorted(began, first_token, "right") - np.searchsorted(np.sort(ended), first_token, "right")
        step = timing.step + timing.step_per_request * np.maximum(running, 1)
        through = np.searchsorted(first_token, ended, "right")
        waited = worked[through - 1] - worked  # prompts of others that were processed meanwhile
        ended = first_token + np.rint((output - 1) * step * SECOND_US).astype(np.int64) + waited
    return first_token, ended


def busy_spans(begin: Integers, end: Integers) -> tuple[Integers, Integers]:
    """The union of the intervals, as disjoint ones in order."""
    order = np.argsort(begin, kind="stable")
    begin, latest = begin[order], np.maximum.accumulate(end[order])
    if not len(begin):
        return begin, latest
    opens = np.concatenate([[True], begin[1:] > latest[:-1]])
    closes = np.concatenate([opens[1:], [True]])
    return begin[opens], latest[closes]


def busy_in(begin: Integers, end: Integers, edges: Integers) -> Integers:
    """Microseconds of disjoint ordered spans inside each interval between two neighbouring `edges`."""
    if not len(begin):
        return np.zeros(len(edges) - 1, dtype=np.int64)
    whole = np.concatenate([[0], np.cumsum(end - begin)])
    started = np.searchsorted(begin, edges, "right")
    last = np.maximum(started - 1, 0)
    unfinished = np.where(started > 0, np.maximum(end[last] - edges, 0), 0)
    return np.diff(whole[started] - unfinished)
