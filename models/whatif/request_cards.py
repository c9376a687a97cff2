"""The cards of levers on requests: how much of the log they touch, what it saves, and whose answers change."""

from __future__ import annotations

import numpy as np

from models.whatif.caching import EXACT, SEMANTIC, ExactCache, RealisedCache, Replayed, SemanticCache
from models.whatif.card import Card, Figure, used
from models.whatif.inputs import Draws, Floats
from models.whatif.joint import Outcome
from models.whatif.log import Log
from models.whatif.moves import payback_months
from models.whatif.prompts import PROMPT, Prompt
from models.whatif.routing import DISTILLATION, ROUTING, Distillation, Routing
from models.whatif.scenario import RequestLever

REALISED = "sum over requests r that a gateway's cache answered of price(r), which is what each would have cost"
_FORMULAS = {
    "exact_cache": EXACT,
    "semantic_cache": SEMANTIC,
    "routing": ROUTING,
    "distillation": DISTILLATION,
    "prompt": PROMPT,
}


def request_card(
    lever: RequestLever, log: Log, outcome: Outcome, released: Floats, cache: Replayed | None, draws: Draws
) -> Card:
    """The lever by itself; `released` is what it saves in nodes of own GPUs that are given back."""
    inputs, formula = used(lever, draws), _FORMULAS[lever.kind]
    if problem := _cannot(lever, log, outcome, cache):
        return Card(lever.name, lever.kind, formula, None, outcome.baseline, inputs, {}, [problem])
    saving = outcome.saved + released
    figures = {"requests": Figure(float(outcome.matched), "requests", "that it is about")}
    if isinstance(lever, ExactCache | SemanticCache):
        figures |= _cache_figures(outcome)
    if isinstance(lever, Routing | Distillation):
        figures |= _routing_figures(outcome)
    if isinstance(lever, Distillation):
        one_off = lever.one_off(draws)
        figures["one_off"] = Figure(one_off, "money", "what it costs once")
        figures["payback_months"] = Figure(
            payback_months(saving, one_off), "months", "until that is saved; infinite: it never is"
        )
    if outcome.on_own_gpus:
        busy = np.nansum(log.cost[log.own])
        freed = sum((values.sum(axis=1) for values in outcome.freed.values()), np.zeros(draws.count))
        figures["requests_on_own_gpus"] = Figure(float(outcome.on_own_gpus), "requests", "of them on own GPUs")
        figures["busy_freed"] = Figure(freed / busy, "share", "of the busy time of own GPUs that falls away")
        figures["released_cost"] = Figure(released, "money", "of nodes that are given back for it; part of saving")
    return Card(
        lever.name, lever.kind, formula, saving, outcome.baseline, inputs, figures, _remarks(lever, outcome, cache)
    )


def _cannot(lever: RequestLever, log: Log, outcome: Outcome, cache: Replayed | None) -> str:
    """Why the lever cannot be worked out on this log; empty where it can."""
    if not outcome.matched:
        return "no request of the month fits"
    if outcome.matched == outcome.without_cost:
        return "what the requests cost is not known: their models have no price"
    if isinstance(lever, ExactCache) and not (log.names["prompt"].codes >= 0).any():
        return (
            "no request of the month has a prompt_hash, so that nobody can tell which prompts came twice: let the"
            " source land it"
        )
    if cache is not None and cache.without_key == outcome.matched:
        what = "prompt" if isinstance(lever, ExactCache) else "class"
        return f"no request has a {what} and all of its scope ({', '.join(cache.lever.scope)})"
    if isinstance(lever, Routing) and outcome.cannot == outcome.matched - outcome.without_cost:
        return f"'{lever.to.model}' has no price: not in the price table, and none is given"
    return ""


def _cache_figures(outcome: Outcome) -> dict[str, Figure]:
    return {
        "hits": Figure(outcome.hits, "requests", "that the cache answers"),
        "hit_requests": Figure(outcome.hits / outcome.matched, "share", "of the requests"),
        "hit_cost": Figure(
            outcome.hit_cost / outcome.baseline if outcome.baseline else outcome.hit_cost,
            "share",
            "of their cost at APIs: what a hit would have cost is not the mean",
        ),
        "asked_again": Figure(outcome.asked_again, "requests", "hits that do not fit, and pay"),
    }


def _routing_figures(outcome: Outcome) -> dict[str, Figure]:
    return {
        "routed": Figure(outcome.routed, "requests", "sent to the small model"),
        "fell_back": Figure(outcome.fell_back, "requests", "of them asked of the big one again, paying both"),
        "answers_changed": Figure(outcome.changed, "requests", "answered by another model than today"),
    }


def _remarks(lever: RequestLever, outcome: Outcome, cache: Replayed | None) -> list[str]:
    said = []
    if outcome.without_cost:
        said.append(f"{outcome.without_cost:,} requests have no known cost and are in no sum")
    if cache is not None and cache.without_key:
        said.append(f"{cache.without_key:,} requests lack prompt, class or scope: never a hit")
    if isinstance(lever, Routing | Distillation) and outcome.cannot:
        said.append(f"{outcome.cannot:,} requests stay: their tokens are not known, or the small model has no price")
    if isinstance(lever, Prompt) and outcome.on_own_gpus:
        said.append("what shorter prompts free on own GPUs is not modelled")
    if isinstance(lever, Routing | Distillation | SemanticCache):
        said.append("the quality of changed answers is in no bill")
    return said


def realised(lever: RealisedCache, log: Log) -> Card:
    """What the gateway's hits of the month saved, at the price table."""
    matched = lever.which.of(log, with_cached=True)
    hits = log.cached & matched
    if not hits.any():
        said = "no request of the month is marked as answered by a gateway's cache (gateway_cache_hit)"
        return Card(lever.name, lever.kind, REALISED, None, 0.0, {}, {}, [said])
    known = hits & ~np.isnan(log.price)
    missing = int(hits.sum() - known.sum())
    figures = {
        "hits": Figure(float(hits.sum()), "requests", "that a gateway's cache answered"),
        "hit_requests": Figure(float(hits.sum()) / float(matched.sum()), "share", "of the requests"),
    }
    remarks = [f"{missing:,} hits have no price and are in no sum"] if missing else []
    remarks.append("this was saved already: it is no plan")
    saving = np.array([float(log.price[known].sum())])
    paid = float(np.nansum(log.cost[matched & ~log.own]))
    return Card(lever.name, lever.kind, REALISED, saving, paid, {}, figures, remarks)
