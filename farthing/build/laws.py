"""Prefill laws as dated inputs of a build: learned from the day itself, else from the last earlier day with enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

import duckdb

from models.prefill_law import Bin, PrefillLaw, learn

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


def inherited(con: duckdb.DuckDBPyConnection, today: Laws, earlier: Mapping[tuple[str, str], PrefillLaw]) -> Laws:
    """The earlier laws that today's requests need because today has none of its own for them."""
    wanted = con.execute("select distinct model, gpu_model from law_samples").fetchall()
    return {key: earlier[key] for key in map(tuple, wanted) if key not in today and key in earlier}


def as_json(laws: Laws) -> str:
    """Laws as canonical JSON, to compare two builds by."""
    return json.dumps([[*key, law.p0_us, law.p1_ns, law.decode_us] for key, law in sorted(laws.items())])


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
            "decode_us": law.decode_us,
            "requests": law.requests,
            "fit_error": law.fit_error,
        }
        for (model, gpu_model), law in sorted(laws.items())
    ]
