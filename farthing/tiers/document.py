"""What a study found: one JSON document for programs, sheets for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

import farthing
from farthing.console import Sheet, money
from farthing.tiers.exports import exact, text
from farthing.tiers.panel import NO_PLAN
from farthing.tiers.spec import UnitCost
from farthing.tiers.study import Card, Study
from models.pricing import plans
from models.pricing.outcome import SENSITIVITY, Tier
from models.pricing.plans import Plan
from models.pricing.promise import Interval

_MOST_HIT = 50
Json = dict[str, Any]
Units = Mapping[str, Mapping[str, Decimal]]


def document(study: Study, units: Units) -> Json:
    """All of it. Amounts of plans are decimal strings as they are sold; what is estimated is a number."""
    read, spec = study.read, study.spec
    return {
        "run": {
            "run_id": study.run_id,
            "farthing": farthing.__version__,
            "seed": spec.run.seed,
            "draws": spec.run.draws,
            "currency": read.currency,
            "users": read.panel.users,
            "user_months": len(read.panel.cost),
            "fitted_months": list(study.fitted),
            "held_out_months": list(study.held_out),
            "promised_months": list(study.ahead),
            "menus_tried": study.tried,
            "menus_that_pass_a_limit": study.fallen,
        },
        "target": spec.target.model_dump(),
        "limits": spec.limits.model_dump(),
        "level": {
            "mean_cost_by_month": dict(zip(study.fitted, np.exp(study.level.fitted).tolist(), strict=True)),
            "trend_a_month": math.expm1(study.level.slope),
            "month_to_month": study.level.residual,
            "expected": dict(zip(study.ahead, np.exp(study.level.centre).tolist(), strict=True)),
            "student_t_freedom": study.level.freedom,
        },
        "coverage": asdict(read.coverage) | {"notes": list(study.notes)},
        "offers": [_card(study, card, units) for card in study.cards],
        "frontier": [
            {
                "id": card.id,
                "users_hit": card.measured.against().users_hit,
                "gm_q50": card.promise.whole.q50,
                "gm_q05": card.promise.whole.q05,
                "gm_q95": card.promise.whole.q95,
            }
            for card in study.menus
        ],
        "detail": _detail(study),
        "backtest": backtest(study),
    }


def _card(study: Study, card: Card, units: Units) -> Json:
    measured, outcome = card.measured.against(), card.outcome
    return {
        "id": card.id,
        "kind": card.kind,
        **_promised(card.promise.whole),
        "reaches_target": card.reaches(study.spec),
        "limits": asdict(measured),
        "limits_passed": list(card.broken),
        "fitted_margin": card.measured.margin,
        "profit_q05": card.profit[0],
        "profit_q50": card.profit[1],
        "profit_q95": card.profit[2],
        "fitted_profit": outcome.profit,
        "fitted_profit_today": outcome.profit_now,
        "loss_making_share": outcome.loss_making,
        "loss_making_cost_share": outcome.loss_making_cost,
        "margin_at_unit_cost": {
            f"x{factor:g}": value for factor, value in zip(SENSITIVITY, outcome.margins, strict=True)
        },
        "churn": [asdict(one) for one in outcome.churn],
        "churn_break_even": outcome.churn_break_even,
        "tiers": [
            _tier(study, tier, promise, units) for tier, promise in zip(outcome.tiers, card.promise.tiers, strict=True)
        ],
        "migration": [
            {"from": name, "to": tier.plan.name, "users": float(tier.from_groups[number])}
            for number, (name, *_) in enumerate(study.groups)
            for tier in outcome.tiers
            if tier.from_groups[number] > 0
        ],
    }


def _promised(interval: Interval) -> Json:
    return {
        "gm_q05": interval.q05,
        "gm_q10": interval.q10,
        "gm_q50": interval.q50,
        "gm_q95": interval.q95,
        "gm_cvar05": interval.cvar05,
        "reaches_target_share": interval.reaches,
        "draws_with_revenue": interval.draws,
    }


def _tier(study: Study, tier: Tier, promise: Interval, units: Units) -> Json:
    return {
        **_sold(tier.plan),
        **_promised(promise),
        "users": tier.users,
        "revenue": tier.revenue,
        "cost": tier.cost,
        "payment_and_support": tier.spent - tier.cost,
        "fitted_margin": tier.margin,
        "loss_making_share": tier.loss_making / tier.users if tier.users else None,
        "capped_share": tier.capped / tier.users if tier.users else None,
        "overage_share": tier.overage / tier.revenue if tier.revenue else None,
        "break_even_cost": tier.break_even,
        "break_even_use": [] if tier.break_even is None else _use(study, tier.break_even, units),
    }


def _sold(plan: Plan) -> Json:
    return {
        "name": plan.name,
        "fee": text(exact(plan.fee)),
        "allowance": text(exact(plan.allowance)) if math.isfinite(plan.allowance) else None,
        "overage": text(exact(plan.overage)) if math.isfinite(plan.allowance) else None,
        "cap": text(exact(plan.cap)) if math.isfinite(plan.cap) else None,
    }


def _use(study: Study, cost: float, units: Units) -> list[Json]:
    """So much cost in requests and tokens of each model whose unit costs are known; the spec's word comes first."""
    found = []
    for model in sorted({*units, *study.spec.unit_costs}):
        stated, seen = study.spec.unit_costs.get(model, UnitCost()), units.get(model, {})
        request = stated.request or seen.get("request")
        million = stated.million_tokens or seen.get("million_tokens")
        found.append(
            {
                "model": model,
                "requests": cost / float(request) if request else None,
                "tokens": 1e6 * cost / float(million) if million else None,
            }
        )
    return found


def _detail(study: Study) -> Json:
    """Who is hit by the offer that is shown user by user."""
    found, rise = study.accounts, study.spec.limits.bill_rise
    there = found.tier >= 0
    change = np.where(there, found.new - found.old, -np.inf)
    order = np.argsort(-change, kind="stable")[:_MOST_HIT]
    names = study.read.users
    rises = plans.hit(np.nan_to_num(found.old), np.nan_to_num(found.new), rise) & there
    return {
        "id": study.detail.id,
        "users": int(there.sum()),
        "hit": int(rises.sum()),
        "hit_share": float(rises.sum() / there.sum()),
        "bill_rise": rise,
        "bill_falls": int((found.new[there] < found.old[there]).sum()),
        "most_hit": [
            {
                "user": names[int(user)],
                "from": study.groups[int(found.group[user])][0],
                "to": study.detail.offer.tiers[int(found.tier[user])].name,
                "old_bill": float(found.old[user]),
                "new_bill": float(found.new[user]),
                "change": float(change[user]),
                "cost": float(found.cost[user]),
                "margin_after": float(found.new[user] - found.spent[user]),
            }
            for user in order
            if change[user] > 0
        ],
    }


def accounts(study: Study) -> pl.DataFrame:
    """Every user in the mean of their fitted months: plan and bill of today and under the offer shown, and cost."""
    found, there = study.accounts, study.accounts.tier >= 0
    plans_now, tiers = [name for name, *_ in study.groups], [plan.name for plan in study.detail.offer.tiers]
    return pl.DataFrame(
        {
            "user": study.read.users.filter(pl.Series(there)),
            "from": [plans_now[group] for group in found.group[there]],
            "to": [tiers[tier] for tier in found.tier[there]],
            "old_bill": found.old[there],
            "new_bill": found.new[there],
            "cost": found.cost[there],
            "margin_after": found.new[there] - found.spent[there],
        }
    )


def backtest(study: Study) -> Json | None:
    """Held-out months against what was promised before them; None without any."""
    if not study.held_out:
        return None
    rows = []
    for card in study.cards:
        for month, realised in zip(study.held_out, card.realised, strict=True):
            users = float(realised.users.sum())
            rows.append(
                _compared(card.id, None, month, realised.margin(), card.promise.whole)
                | {
                    "users_hit": realised.hit / users,
                    "users_capped": realised.capped / users,
                    "overage_share": realised.overage / float(realised.revenue.sum())
                    if realised.revenue.sum()
                    else 0.0,
                }
            )
            rows += [
                _compared(card.id, plan.name, month, realised.margin(number), card.promise.tiers[number])
                for number, plan in enumerate(card.offer.tiers)
                if plan.name != NO_PLAN
            ]
    found: Json = {"months": list(study.held_out), "rows": rows}
    for name, chosen in (
        ("offers", [row for row in rows if row["tier"] is None]),
        ("tiers", [row for row in rows if row["tier"] is not None]),
    ):
        known = [row for row in chosen if row["inside"] is not None]
        found[name] = {
            "plan_months": len(known),
            "inside_share": sum(row["inside"] for row in known) / len(known) if known else None,
            "below_q10_share": sum(row["below_q10"] for row in known) / len(known) if known else None,
        }
    return found


def _compared(offer: str, tier: str | None, month: str, margin: float | None, promise: Interval) -> Json:
    known = margin is not None and promise.q05 is not None
    return {
        "id": offer,
        "tier": tier,
        "month": month,
        "realised_gm": margin,
        "gm_q05": promise.q05,
        "gm_q10": promise.q10,
        "gm_q50": promise.q50,
        "gm_q95": promise.q95,
        "inside": promise.q05 <= margin <= promise.q95 if known else None,  # type: ignore[operator]
        "below_q10": margin < promise.q10 if known else None,  # type: ignore[operator]
    }


def worded(plan: Plan) -> str:
    """A plan in one line."""
    parts = [f"{text(exact(plan.fee))}"]
    if math.isfinite(plan.allowance):
        parts.append(f"incl. {text(exact(plan.allowance))}, then x{text(exact(plan.overage))}")
    if math.isfinite(plan.cap):
        parts.append(f"cap {text(exact(plan.cap))}")
    return " ".join([parts[0], f"({'; '.join(parts[1:])})"]) if parts[1:] else parts[0]


def sheets(study: Study, units: Units) -> list[Sheet]:
    """Tables for people: every offer, the tiers, migration and the most hit of one, and held-out months."""
    whole = document(study, units)
    currency, chosen = study.read.currency, study.detail
    offers = [
        [
            one["id"],
            one["kind"],
            " | ".join(worded(plan) for plan in _shown(card)),
            one["limits"]["users_hit"],
            one["limits"]["users_capped"],
            one["gm_q05"],
            one["gm_q50"],
            one["gm_q95"],
            one["reaches_target_share"],
            _rounded(one["profit_q50"]),
            one["loss_making_share"],
            one["churn_break_even"],
        ]
        for one, card in zip(whole["offers"], study.cards, strict=True)
    ]
    columns = "id kind plans users_hit users_capped gm_q05 gm_q50 gm_q95 reaches_target profit_a_month loss_making"
    target = study.spec.target
    found = [
        Sheet(
            "offers",
            [*columns.split(), "churn_break_even"],
            offers,
            title=f"Offers in {currency}, promised for {study.ahead[0]} to {study.ahead[-1]}",
            note=(
                f"Margin with payment and support; target {target.margin:.0%} with {target.confidence:.0%} confidence."
                f" Plans: fee (allowance in cost, price of cost beyond it; fair-use cap in cost). A frontier, not an"
                f" optimum: nobody's willingness to pay is known. Churn break-even: that share of the hit users may"
                f" leave before the offer earns less than today; {chr(8211)}: all. Run {study.run_id}."
            ),
            headings=_as_shares(
                "users_hit users_capped gm_q05 gm_q50 gm_q95 reaches_target loss_making churn_break_even"
            ),
        )
    ]
    [card] = [one for one in whole["offers"] if one["id"] == chosen.id]
    names = "name fee allowance overage cap users revenue cost gm_q05 gm_q50 gm_q95 loss_making_share overage_share"
    rows = [
        [_rounded(tier[name]) if name in {"users", "revenue", "cost"} else tier[name] for name in names.split()]
        + [None if tier["break_even_cost"] is None else _rounded(tier["break_even_cost"]), _spoken(tier)]
        for tier in card["tiers"]
    ]
    found.append(
        Sheet(
            "tiers",
            [*names.split(), "break_even_cost", "break_even_use"],
            rows,
            title=f"{chosen.id}: its tiers, a month in the mean of those fitted",
            headings=_as_shares("gm_q05 gm_q50 gm_q95"),
        )
    )
    moves = [[move["from"], move["to"], _rounded(move["users"])] for move in card["migration"]]
    found.append(Sheet("migration", ["from", "to", "users"], moves, title=f"{chosen.id}: who moves where"))
    hit = [
        [
            one["user"],
            one["from"],
            one["to"],
            *(_rounded(one[name]) for name in ("old_bill", "new_bill", "change", "cost")),
        ]
        for one in whole["detail"]["most_hit"][:10]
    ]
    found.append(
        Sheet(
            "most_hit",
            ["user", "from", "to", "old_bill", "new_bill", "change", "cost"],
            hit,
            title=f"{chosen.id}: whose bill rises most",
            note=(
                f"{whole['detail']['hit']:,} of {whole['detail']['users']:,} users pay more than"
                f" {study.spec.limits.bill_rise:.0%} more in the mean; {whole['detail']['bill_falls']:,} pay less."
                " --json has fifty."
            ),
        )
    )
    if whole["backtest"]:
        found.append(_backtest_sheet(whole["backtest"]))
    return found


def _backtest_sheet(found: Json) -> Sheet:
    names = "id month realised_gm gm_q05 gm_q10 gm_q95 inside".split()
    rows = [[row[name] for name in names] for row in found["rows"] if row["tier"] is None]
    inside, below = found["offers"]["inside_share"], found["offers"]["below_q10_share"]
    return Sheet(
        "backtest",
        names,
        rows,
        title="Held-out months against the promise",
        note="nothing is known" if inside is None else f"inside: {inside:.0%}; below q10: {below:.0%}",
        headings=_as_shares("realised_gm gm_q05 gm_q10 gm_q95"),
    )


def _shown(card: Card) -> list[Plan]:
    return [plan for plan in card.offer.tiers[: card.offer.menu or None] if plan.name != NO_PLAN]


def _as_shares(names: str) -> dict[str, str]:
    """Headings under which the console writes shares in percent."""
    return {name: f"{name}_share" for name in names.split()}


def _rounded(value: float) -> Decimal:
    return Decimal(f"{value:.6f}")


def _spoken(tier: Json) -> str:
    """Break-even use in words, of the first model that is known."""
    for use in tier["break_even_use"]:
        parts = [f"{money(_rounded(use[name]), 0)} {name}" for name in ("requests", "tokens") if use[name] is not None]
        if parts:
            return f"{' or '.join(parts)} of {use['model']}"
    return "never loses" if tier["break_even_cost"] is None else ""
