"""Prefill laws as dated inputs of a build: learned from the day itself, else from the last earlier day with enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

import duckdb

from models.prefill_law import Bin, Delays, PrefillLaw, learn, with_stall

#: (model, gpu_model) -> law.
Laws = dict[tuple[str, str], PrefillLaw]


def learned_today(con: duckdb.DuckDBPyConnection, minimum_requests: int) -> Laws:
    """The laws that the table `law_samples` of the day supports."""
    bins: dict[tuple[str, str], list[Bin]] = {}
    for model, gpu_model, requests, tokens, first_token_us, decode_us in con.execute(
        "select model, gpu_model, requests, uncached_tokens, first_token_us, decode_us from law_samples order by all"
    ).fetchall():
        bins.setdefault((model, gpu_model), []).append(Bin(requests, tokens, first_token_us, decode_us))
    laws = {key: learn(some, minimum_requests=minimum_requests) for key, some in bins.items()}
    return {key: law for key, law in laws.items() if law is not None}


def with_stalls(con: duckdb.DuckDBPyConnection, laws: Laws) -> Laws:
    """`laws` with the stalls that the table `law_delays` of the day supports."""
    tokens = {
        (model, gpu_model): median
        for model, gpu_model, median in con.execute(
            "select model, gpu_model, sum(uncached_tokens * requests) / sum(requests) from law_samples group by all"
        ).fetchall()
    }
    found = {
        (model, gpu_model): Delays(decodes, delayed, products, targets)
        for model, gpu_model, decodes, delayed, products, targets in con.execute(
            "select model, gpu_model, decodes, delayed, products, targets from law_delays"
        ).fetchall()
    }
    return {
        key: with_stall(law, found[key], typical_tokens=tokens[key]) if key in found else law
        for key, law in laws.items()
    }


def inherited(con: duckdb.DuckDBPyConnection, today: Laws, earlier: Mapping[tuple[str, str], PrefillLaw]) -> Laws:
    """The earlier laws that today's requests need because today has none of its own for them.

    Also those of requests that cannot teach one: without a first token a life still needs the pace of an earlier day.
    """
    spare = earlier.keys() - today.keys()
    if not spare:
        return {}
    wanted = con.execute(
        "select distinct model, coalesce(gpu_model, '') from day_requests inner join"
        " (select replica_id, min(gpu_model) as gpu_model from gpu_slots group by all) using (replica_id)"
    ).fetchall()
    return {key: earlier[key] for key in map(tuple, wanted) if key in spare}


def as_json(laws: Laws) -> str:
    """Laws as canonical JSON, to compare two builds by."""
    return json.dumps(
        [[*key, law.p0_us, law.p1_ns, law.stall0_us, law.stall1_ns, law.decode_us] for key, law in sorted(laws.items())]
    )


def keys_of(written: str) -> list[tuple[str, str]]:
    """The (model, gpu_model) pairs in what `as_json` wrote."""
    return [(model, gpu_model) for model, gpu_model, *_ in json.loads(written)]


def rows(day: date, laws: Laws) -> list[dict[str, object]]:
    """Laws as rows of the lake table `prefill_laws`."""
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
        for (model, gpu_model), law in sorted(laws.items())
    ]
