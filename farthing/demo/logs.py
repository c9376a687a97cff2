"""What gateways log of a simulated month's requests, what vendors meter of it, and when replicas worked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl

from farthing.demo import engine, files, world
from farthing.demo.telemetry import Spans
from farthing.demo.traffic import Month, People, Requests
from farthing.demo.world import CODING, DAY_US, MODELS, PROVIDERS, RACK, SECOND_US, SERVED, Integers, Node

_CANCELLED_SHARE = 0.003  # the client went away: the vendor bills, the log has no usage
_TOKENS_A_SECOND = 75


@dataclass
class Logged:
    """The files of both gateways, the busy spans of every replica, and what vendors meter by day and model."""

    serving: pl.DataFrame
    gateway: pl.DataFrame
    busy: dict[str, Spans]
    usage: dict[tuple[date, str], tuple[int, int, int]]
    unlogged: dict[str, object] = field(default_factory=dict)


def log(month: Month, people: People, nodes: Sequence[Node], seed: int) -> Logged:
    """Serve the month's requests and log them; one replica's log of some hours is lost."""
    requests = month.requests
    random = np.random.default_rng([seed, 4, int(requests.at[0] // DAY_US)])
    identity = pl.int_range(len(requests.at), eager=True)
    prefix = f"req-{date(1970, 1, 1) + timedelta(days=int(requests.at[0] // DAY_US)):%Y%m}-"
    ids = pl.select(pl.lit(prefix) + identity.cast(pl.String).str.zfill(7)).to_series()
    own = np.flatnonzero(requests.model <= RACK)
    serving, busy, unlogged = _serve(requests.take(own), ids.gather(own), month, people, nodes)
    bought = np.flatnonzero(requests.model > RACK)
    gateway = _buy(random, requests.take(bought), ids.gather(bought), month, people)
    return Logged(serving, gateway, busy, _usage(requests.take(bought)), unlogged)


def _serve(
    requests: Requests, ids: pl.Series, month: Month, people: People, nodes: Sequence[Node]
) -> tuple[pl.DataFrame, dict[str, Spans], dict[str, object]]:
    """Requests to own models, dealt out to the replicas of the model in turn."""
    size = len(requests.at)
    replica, first, end = (np.zeros(size, dtype=np.int64) for _ in range(3))
    for model, timing in ((SERVED, engine.LARGE), (RACK, engine.SMALL)):
        of_model = np.flatnonzero(requests.model == model)
        homes = [number for number, node in enumerate(nodes) if node.model == MODELS[model]]
        for turn, home in enumerate(homes):
            rows = of_model[turn :: len(homes)]
            replica[rows] = home
            uncached = requests.input_tokens[rows] - requests.cached_tokens[rows]
            first[rows], end[rows] = engine.serve(timing, requests.at[rows], uncached, requests.output_tokens[rows])
    busy = {}
    for number, node in enumerate(nodes):
        rows = np.flatnonzero(replica == number)
        busy[node.name] = engine.busy_spans(requests.at[rows], end[rows])
    lost, unlogged = _lost(requests, replica, end, busy, nodes)
    frame = pl.DataFrame({
        "request_id": ids,
        "started_at": files.times(requests.at),
        "first_token_at": files.times(first),
        "ended_at": files.times(end),
        "model": files.names(MODELS, requests.model),
        "replica_id": files.names([node.name for node in nodes], replica),
        **files.request_columns(people, month.traces, requests),
    }).with_columns(status=pl.lit("ok"))  # fmt: skip
    return frame.filter(pl.Series(~lost)), busy, unlogged


def _lost(
    requests: Requests, replica: Integers, end: Integers, busy: dict[str, Spans], nodes: Sequence[Node]
) -> tuple[np.ndarray, dict[str, object]]:
    """Which requests of the planted hours were never logged, and the GPU-seconds that nobody can explain so."""
    begin, until = (world.microseconds(moment) for moment in world.UNLOGGED)
    here = replica == [node.name for node in nodes].index(world.UNLOGGED_REPLICA)
    lost = here & (requests.at >= begin) & (requests.at < until)
    if not lost.any():
        return lost, {}
    known = np.flatnonzero(here & ~lost)
    edges = np.array([begin - 86_400 * SECOND_US, until + 86_400 * SECOND_US], dtype=np.int64)
    whole = engine.busy_in(*busy[world.UNLOGGED_REPLICA], edges)
    explained = engine.busy_in(*engine.busy_spans(requests.at[known], end[known]), edges)
    seconds = int(whole[0] - explained[0]) / SECOND_US * world.GPUS_PER_NODE
    return lost, {"requests": int(lost.sum()), "gpu_seconds": round(seconds, 3)}


def _buy(random: np.random.Generator, requests: Requests, ids: pl.Series, month: Month, people: People) -> pl.DataFrame:
    """Requests to vendors' models."""
    size = len(requests.at)
    wait = 0.25 + random.lognormal(-1.0, 0.5, size) + requests.input_tokens * 2e-5
    first = requests.at + np.rint(wait * SECOND_US).astype(np.int64)
    end = first + requests.output_tokens * SECOND_US // _TOKENS_A_SECOND
    # the planted pair is held against each other to the last token
    cancelled = (random.random(size) < _CANCELLED_SHARE) & (
        (requests.user != len(people.customers.ids)) & (requests.user != len(people.customers.ids) + 1)
    )
    reasoning = np.where(
        requests.model == CODING, (requests.output_tokens * random.uniform(0.1, 0.5, size)).astype(np.int64), 0
    )
    gone = pl.Series(cancelled)
    frame = pl.DataFrame({
        "request_id": ids,
        "start_time": files.times(requests.at),
        "first_token_time": files.times(first),
        "end_time": files.times(end),
        "provider": files.names(PROVIDERS, requests.model),
        "requested_model": files.names(MODELS, requests.model),
        "response_model": files.names(MODELS, requests.model),
        **files.request_columns(people, month.traces, requests),
        "reasoning_tokens": pl.Series(reasoning),
        "gone": gone,
    })  # fmt: skip
    tokens = ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"]
    return frame.with_columns(
        *(pl.when(~pl.col("gone")).then(pl.col(name)).alias(name) for name in tokens),
        usage_quality=pl.when("gone").then(pl.lit("missing")).otherwise(pl.lit("reported")),
        status=pl.when("gone").then(pl.lit("cancelled")).otherwise(pl.lit("ok")),
    ).drop("gone")


def _usage(requests: Requests) -> dict[tuple[date, str], tuple[int, int, int]]:
    """Uncached input, cached input and output tokens of each day and vendor model, logged or not."""
    frame = pl.DataFrame({
        "day": requests.at // DAY_US,
        "model": files.names(MODELS, requests.model),
        "input": requests.input_tokens - requests.cached_tokens,
        "cached": requests.cached_tokens,
        "output": requests.output_tokens,
    })  # fmt: skip
    sums = frame.group_by("day", "model").sum().sort("day", "model")
    return {
        (date(1970, 1, 1) + timedelta(days=day), model): (fresh, cached, output)
        for day, model, fresh, cached, output in sums.iter_rows()
    }
