"""What a sampler saw of the simulated GPUs: busy seconds of every five minutes, later of every ten seconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from farthing.demo import engine, world
from farthing.demo.world import SECOND_US, Integers, Node

COARSE_SECONDS, FINE_SECONDS = 300, 10
Spans = tuple[Integers, Integers]
_NO_SPANS: Spans = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def rows(nodes: Sequence[Node], busy: dict[str, Spans], days: Sequence[date], *, seconds: int) -> pl.DataFrame:
    """One row for each GPU and `seconds` of `days` in which its node was there; `busy` by node name."""
    begin, end = world.at(days[0]), world.at(days[-1] + timedelta(days=1))
    frames = []
    for node in nodes:
        first, last = max(begin, node.begin), min(end, node.end)
        if first >= last:
            continue
        width = seconds * SECOND_US
        edges = np.arange(world.microseconds(first), world.microseconds(last) + 1, width, dtype=np.int64)
        spent = engine.busy_in(*busy.get(node.name, _NO_SPANS), edges)
        frame = pl.DataFrame({"started_at": edges[:-1], "ended_at": edges[1:], "busy_seconds": spent / SECOND_US})
        frames += [frame.with_columns(gpu_uuid=pl.lit(gpu), node_id=pl.lit(node.name)) for gpu in node.gpu_uuids]
    moment = pl.Datetime("us", "UTC")
    return pl.concat(frames).with_columns(
        pl.col("started_at").cast(moment),
        pl.col("ended_at").cast(moment),
        covered_seconds=pl.lit(float(seconds)),
        busy_source=pl.lit("nvml_ring"),
        state=pl.lit("ok"),
    )


def training_spans(runs: Sequence[world.Run]) -> dict[str, Spans]:
    """A run keeps its GPUs busy for 285 of every 300 seconds: the rest is loading and saving."""
    found = {}
    for run in runs:
        steps = np.arange(world.microseconds(run.begin), world.microseconds(run.end), 30 * SECOND_US, dtype=np.int64)
        found[run.node.name] = (steps, steps + 28_500_000)
    return found
