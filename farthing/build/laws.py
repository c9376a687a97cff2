"""Prefill laws as dated inputs of a build: learned from the day itself, else from the last earlier day with enough."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import groupby
from operator import itemgetter

import duckdb

from models.prefill_law import Bin, Delays, PrefillLaw, learn, with_stall

#: (model, gpu_model) -> law.
Laws = dict[tuple[str, str], PrefillLaw]


def learned(con: duckdb.DuckDBPyConnection, days: Iterable[date], minimum_requests: int) -> dict[date, Laws]:
    """The laws that the table `law_samples` supports for each of `days`."""
    laws: dict[date, Laws] = {day: {} for day in days}
    samples = con.execute(
        "select day, model, gpu_model, requests, uncached_tokens, first_token_us, decode_us from law_samples"
        " order by all"
    ).fetchall()
    for (day, *key), rows in groupby(samples, key=itemgetter(0, 1, 2)):
        law = learn([Bin(*row[3:]) for row in rows], minimum_requests=minimum_requests)
        if law is not None:
            laws[day][key[0], key[1]] = law
    return laws


def with_stalls(con: duckdb.DuckDBPyConnection, laws: Mapping[date, Laws]) -> dict[date, Laws]:
    """`laws` of each day with the stalls that the table `law_delays` supports."""
    tokens = {
        tuple(key): median
        for *key, median in con.execute(
            "select day, model, gpu_model, sum(uncached_tokens * requests) / sum(requests)"
            " from law_samples group by all"
        ).fetchall()
    }
    found = {
        (day, model, gpu_model): Delays(*delays)
        for day, model, gpu_model, *delays in con.execute(
            "select day, model, gpu_model, decodes, delayed, products, targets from law_delays"
        ).fetchall()
    }
    return {
        day: {
            key: with_stall(law, found[day, *key], typical_tokens=tokens[day, *key]) if (day, *key) in found else law
            for key, law in some.items()
        }
        for day, some in laws.items()
    }


def inherited(con: duckdb.DuckDBPyConnection, own: Mapping[date, Laws], earlier: Laws) -> dict[date, Laws]:
    """The laws of earlier days that the requests of each day need because the day has none of its own for them.

    `own` are the laws learned from each day, in the order of days; `earlier` those known before the first of them.
    """
    known = dict(earlier)
    spare = {}
    for day, laws in own.items():
        spare[day] = {key: law for key, law in known.items() if key not in laws}
        known.update(laws)
    if not any(spare.values()):
        return spare
    # Also those of requests that cannot teach one: without a first token a life still needs the pace of an earlier day.
    wanted = con.execute(
        "select distinct day, model, coalesce(gpu_model, '') from day_requests inner join"
        " (select day, replica_id, min(gpu_model) as gpu_model from gpu_slots group by all) using (day, replica_id)"
    ).fetchall()
    taken: dict[date, Laws] = {day: {} for day in own}
    for day, *key in wanted:
        law = spare[day].get((key[0], key[1]))
        if law is not None:
            taken[day][key[0], key[1]] = law
    return taken


def as_json(laws: Laws) -> str:
    """Laws as canonical JSON, to compare two builds by."""
    return json.dumps(
        [[*key, law.p0_us, law.p1_ns, law.stall0_us, law.stall1_ns, law.decode_us] for key, law in sorted(laws.items())]
    )


def keys_of(written: str) -> list[tuple[str, str]]:
    """The (model, gpu_model) pairs in what `as_json` wrote."""
    return [(model, gpu_model) for model, gpu_model, *_ in json.loads(written)]


def rows(laws: Mapping[date, Laws]) -> list[dict[str, object]]:
    """The laws learned from each day as rows of the lake table `prefill_laws`."""
    return [
        {
            "day": day,
            "model": model,
            "gpu_model": gpu_model,
            "p0_us": law.p0_us,
            "p1_ns": law.p1_ns,
            "stall0_us": law.stall0_us,
            "stall1_ns": law.stall1_ns,
            "decode_us": law.decode_us,
            "requests": law.requests,
            "fit_error": law.fit_error,
        }
        for day, some in laws.items()
        for (model, gpu_model), law in sorted(some.items())
    ]
