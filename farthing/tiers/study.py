"""The study of a panel: plans of today, fair-use caps on them, the frontier of menus, and what each promises."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

import numpy as np

import farthing
from farthing.errors import ConfigError
from farthing.tiers.panel import NO_PLAN, Read
from farthing.tiers.spec import Spec
from models.pricing import accounts as by_user
from models.pricing import level as levels
from models.pricing import menus as every
from models.pricing import panel as compressed
from models.pricing import plans as rules
from models.pricing import promise as promises
from models.pricing.accounts import Accounts, Month
from models.pricing.level import Level
from models.pricing.menus import Ground, Measured
from models.pricing.menus import Limits as Bounds
from models.pricing.outcome import Outcome, outcome
from models.pricing.plans import Floats, Offer, Plan
from models.pricing.promise import Draws, Promise

#: Price points where none are named and one plan is known: of its price.
_MULTIPLES = ("0.5", "1", "1.5", "2", "3", "5")
_MOST_POINTS = 6
#: Up to so many user-months limits are held to the user; beyond, on bins, with a margin for what bins may be off.
_EXACT_UP_TO = 1_000_000
_MARGIN = 5e-4
_CALENDAR = re.compile(r"(\d{4})-(\d{2})")
TODAY, CAP, MENU = "today", "fair-use cap", "menu"


@dataclass(frozen=True)
class Card:
    """One offer: what it is, what it brings in the fitted months, what it promises, and what became of that.

    `realised` are the held-out months, in order.
    """

    id: str
    kind: str
    offer: Offer
    measured: Measured
    broken: Sequence[str]  # limits that it does not keep
    outcome: Outcome
    promise: Promise
    profit: Sequence[float]  # q05, q50 and q95 of one month to come
    realised: Sequence[Month]

    def reaches(self, spec: Spec) -> bool:
        """Whether it makes the target margin as surely as it must."""
        share = self.promise.whole.reaches
        return share is not None and share >= spec.target.confidence


@dataclass(frozen=True)
class Study:
    """What `farthing tiers` found."""

    spec: Spec
    read: Read
    run_id: str
    groups: Sequence[tuple[str, Plan, bool]]  # label, plan of today, kept
    fitted: Sequence[str]
    held_out: Sequence[str]
    ahead: Sequence[str]  # labels of the months that are promised
    level: Level
    cards: Sequence[Card]
    tried: int
    fallen: dict[str, int]  # menus that passed a limit, by limit
    detail: Card
    accounts: Accounts  # of the detail
    notes: Sequence[str]

    @property
    def menus(self) -> Sequence[Card]:
        """The frontier."""
        return [card for card in self.cards if card.kind == MENU]


def study(
    spec: Spec,
    read: Read,
    *,
    holdout: int = 0,
    level_paths: Floats | None = None,
    detail: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Study:
    """Fit on all months but the last `holdout` ones and study every menu that the spec allows.

    Raises:
        ConfigError: too few months, nobody who may choose, no cost, or no such menu as `detail`.
    """
    months = len(read.months) - holdout
    if months < levels.LEAST_MONTHS:
        raise ConfigError(
            f"{months} month(s) to fit on cannot tell how much months differ.",
            file="the panel",
            fix=f"give at least {levels.LEAST_MONTHS}, and --holdout more beside them.",
        )
    fitted, notes = read.months[:months], list(read.coverage.notes)
    horizon = holdout or spec.run.horizon_months
    ahead = _ahead(fitted[-1], horizon)
    panel = read.panel.until(months)
    progress("users are compressed to bins")
    try:
        bins = compressed.compress(panel)
        level = levels.fit(bins.level, horizon)
    except ValueError as error:
        raise ConfigError(f"{error}.", file="the panel", fix="look at its costs by month.") from None
    if unknown := sorted(set(spec.keep.plans) - {name for name, _ in read.groups}):
        raise ConfigError(
            f"nobody is on the plan '{unknown[0]}'; there are {', '.join(sorted({name for name, _ in read.groups}))}.",
            file="the spec",
            key="keep.plans",
            fix="check its spelling, or take it out.",
        )
    now = [_plan_of(name, spec, read, bins.level, notes) for name, _ in read.groups]
    kept = [_stays(name, touched, spec, ahead, notes) for name, touched in read.groups]
    if all(kept):
        raise ConfigError(
            "every user is kept on the plan of today, so that none chooses.",
            file="the spec",
            key="keep",
            fix="take a plan or segment out of [keep], or a lock away.",
        )
    at = every.ground(bins, now, spec.terms)
    draws = promises.draw(bins, level, draws=spec.run.draws, seed=spec.run.seed, level_paths=level_paths)
    unit_costs = _unit_costs(spec, fitted[-1], ahead, notes)

    def card(name: str, kind: str, offer: Offer, measured: Measured) -> Card:
        found = promises.promise(offer, bins, draws, spec.terms, target=spec.target.margin, unit_costs=unit_costs)
        realised = [
            by_user.month(offer, now, read.panel, number, spec.terms) for number in range(months, len(read.months))
        ]
        broken = measured.passes(spec.limits.bounds()) if kind != TODAY else []
        result = outcome(offer, at, spec.users.churn)
        return Card(name, kind, offer, measured, broken, result, found, _profit(found, draws, spec), realised)

    standing = rules.standing(now)
    few = len(panel.cost) <= _EXACT_UP_TO
    exact = (lambda offer: by_user.measure(offer, now, panel, spec.terms)) if few else None

    def measure(offer: Offer) -> Measured:
        return exact(offer) if exact is not None else every.measure(offer, at)

    cards = [card("now", TODAY, standing, measure(standing))]
    progress("fair-use caps on the plans of today")
    cards += _caps(spec, now, kept, measure, card, notes)
    progress("every menu is measured")
    chosen, tried, fallen = _frontier(spec, now, kept, at, exact, notes)
    for number, (offer, measured) in enumerate(chosen, 1):
        progress(f"what menu {number} of {len(chosen)} promises")
        cards.append(card(f"M{number}", MENU, offer, measured))
    shown = _detail(cards, spec, detail)
    progress(f"every user under {shown.id}")
    return Study(
        spec,
        read,
        _run_id(spec, read, holdout, level_paths),
        [(name, plan, stays) for (name, _), plan, stays in zip(read.groups, now, kept, strict=True)],
        fitted,
        read.months[months:],
        ahead,
        level,
        cards,
        tried,
        fallen,
        shown,
        by_user.accounts(shown.offer, now, panel, spec.terms),
        notes,
    )


def _frontier(
    spec: Spec,
    now: Sequence[Plan],
    kept: Sequence[bool],
    at: Ground,
    exact: Callable[[Offer], Measured] | None,
    notes: list[str],
) -> tuple[list[tuple[Offer, Measured]], int, dict[str, int]]:
    """The menus that no other beats in margin and users hit, of those that keep every limit.

    Bins tell which menus come near; of the frontier each is then rated user by user, and what fails makes room.
    """
    fees = [plan.fee for plan, stays in zip(now, kept, strict=True) if not stays]
    points = spec.menu.price_points or _points(fees, notes)
    downgrades = spec.menu.downgrades
    if downgrades is None:
        downgrades = not _several(fees)
        if not downgrades:
            notes.append(
                "today has several prices: nobody is taken to move to a tier cheaper than their plan of today"
                " ([menu] downgrades = true lets them)"
            )
    bounds, keep, fallen, tried = _bounds(spec, exact), {}, Counter[str](), 0
    menu, numbers = spec.menu, list(spec.menu.numbers)
    if not menu.price_points and _several(fees) and len(points) > numbers[-1]:
        numbers.append(len(points))  # the prices of today as they are, with allowances
    for tiers in every.menus(points, menu.allowance_shares, menu.overage, menu.caps, numbers, spec.meter.cost_per_unit):
        tried += 1
        offer = rules.offer(tiers, now, kept, downgrades=downgrades)
        measured = every.measure(offer, at)
        broken = measured.passes(bounds)
        fallen.update(broken)
        if not broken and measured.margin is not None:
            keep[offer] = measured
    held: dict[Offer, Measured] = {}
    while True:
        order = list(keep)
        pairs = [(float(keep[offer].hit.max()), keep[offer].margin or 0.0) for offer in order]
        chosen = [order[number] for number in every.frontier(pairs, spec.run.frontier)]
        if exact is None or all(offer in held for offer in chosen):
            return [(offer, keep[offer]) for offer in chosen], tried, dict(fallen)
        for offer in chosen:
            if offer not in held:
                held[offer] = keep[offer] = exact(offer)
                if broken := keep[offer].passes(spec.limits.bounds()):
                    fallen.update(broken)
                    del keep[offer]


def _bounds(spec: Spec, exact: object) -> Bounds:
    """The limits, tighter by what bins may be off where nobody looks at users one by one."""
    bounds = spec.limits.bounds()
    if exact is not None:
        return bounds
    upper = ("users_hit", "users_hit_steeply", "users_capped", "overage_share", "profit_fall")
    tighter = {name: value - _MARGIN if (value := getattr(bounds, name)) > 0 else value for name in upper}
    return replace(bounds, **tighter, tier_share=bounds.tier_share + _MARGIN if bounds.tier_share else 0.0)


def _caps(
    spec: Spec,
    now: Sequence[Plan],
    kept: Sequence[bool],
    measure: Callable[[Offer], Measured],
    card: Callable[[str, str, Offer, Measured], Card],
    notes: list[str],
) -> list[Card]:
    """A fair-use cap on each plan that is not kept, as a multiple of its price; none that passes a limit."""
    found = []
    for multiple in sorted(spec.menu.fair_use):
        capped = [
            plan if stays or not plan.fee else replace(plan, cap=min(plan.cap, plan.fee * float(multiple)))
            for plan, stays in zip(now, kept, strict=True)
        ]
        if capped == list(now):
            continue
        offer = rules.standing(capped)
        measured = measure(offer)
        if broken := measured.passes(spec.limits.bounds()):
            notes.append(f"a fair-use cap at {multiple} x the price is not shown: it passes {', '.join(broken)}")
            continue
        found.append(card(f"cap-{multiple}x", CAP, offer, measured))
    return found


def _detail(cards: Sequence[Card], spec: Spec, wanted: str | None) -> Card:
    """The card that is shown user by user: the one asked for, else the menu that makes the target and hits fewest."""
    if wanted is not None:
        for card in cards:
            if card.id.lower() == wanted.lower():
                return card
        raise ConfigError(
            f"there is no '{wanted}'.", file="--menu", fix=f"one of {', '.join(card.id for card in cards)}."
        )
    menus = [card for card in cards if card.kind == MENU]
    return next((card for card in menus if card.reaches(spec)), menus[-1] if menus else cards[0])


def _plan_of(name: str, spec: Spec, read: Read, level: Floats, notes: list[str]) -> Plan:
    """The plan of today called `name`: the spec's, else what the revenue says, else one price that fits the mean."""
    for plan in spec.plans:
        if plan.name == name:
            return plan.plan()
    if name in read.prices:
        return read.prices[name]
    if name == NO_PLAN:
        return Plan(NO_PLAN, 0.0)
    terms, target = spec.terms, spec.target.margin
    room = max(1 - terms.payment_share - target, 0.05)
    fee = nice(Decimal(repr((float(level.mean()) + terms.payment_fixed + terms.support) / room)))
    notes.append(
        f"no plan of today is known: everybody is taken to pay {fee} a month, at which the mean user makes"
        f" the target; name yours in [[plans]]"
    )
    return Plan(name, float(fee))


def _stays(name: str, untouched: bool, spec: Spec, ahead: Sequence[str], notes: list[str]) -> bool:
    if untouched or name in spec.keep.plans or name == NO_PLAN:
        return True
    locked = next((plan.locked_until for plan in spec.plans if plan.name == name), None)
    if locked is None:
        return False
    if not _CALENDAR.fullmatch(ahead[0]):
        raise _numbered(f"plans.{name}.locked_until")
    if ahead[0] <= locked < ahead[-1]:
        notes.append(f"the plan '{name}' is locked until {locked}, and taken to be so for all months promised")
    return locked >= ahead[0]


def _numbered(key: str) -> ConfigError:
    return ConfigError(
        "the panel numbers its months, so that no date says which are meant.",
        file="the spec",
        key=key,
        fix="name months like 2026-10 in the panel.",
    )


def _several(fees: Sequence[float]) -> bool:
    return len({fee for fee in fees if fee > 0}) > 1


def _points(fees: Sequence[float], notes: list[str]) -> list[Decimal]:
    """Price points around the prices of today."""
    own = sorted({Decimal(repr(fee)) for fee in fees if fee > 0})
    if len(own) > 2:
        step = (len(own) - 1) / (min(len(own), _MOST_POINTS) - 1)
        points = sorted({own[round(place * step)] for place in range(min(len(own), _MOST_POINTS))})
    else:
        middle = own[0] if own else Decimal(20)
        points = sorted({nice(middle * Decimal(multiple)) for multiple in _MULTIPLES} | set(own))[:_MOST_POINTS]
    notes.append(
        f"price points are not named in [menu]: {', '.join(f'{float(point):g}' for point in points)} are tried"
    )
    return points


def nice(amount: Decimal) -> Decimal:
    """The next amount above with two digits that count."""
    step = Decimal(1).scaleb(amount.adjusted() - 1)
    return (amount / step).to_integral_value(rounding=ROUND_CEILING) * step


def _ahead(last: str, horizon: int) -> list[str]:
    """The months after `last`."""
    calendar = _CALENDAR.fullmatch(last)
    if not calendar:
        return [f"{int(last) + step:04d}" for step in range(1, horizon + 1)]
    first = int(calendar[1]) * 12 + int(calendar[2]) - 1
    return [f"{(first + step) // 12:04d}-{(first + step) % 12 + 1:02d}" for step in range(1, horizon + 1)]


def _unit_costs(spec: Spec, last: str, ahead: Sequence[str], notes: list[str]) -> Floats:
    """What planned changes make of unit costs in each month to come; those that are over lie in the data."""
    if spec.unit_cost_changes and not _CALENDAR.fullmatch(last):
        raise _numbered("unit_cost_changes")
    coming = [change for change in spec.unit_cost_changes if change.month > last]
    if len(coming) < len(spec.unit_cost_changes):
        notes.append("unit cost changes up to the last month fitted are in its costs already, and not applied again")
    return np.array([math.prod(change.factor for change in coming if change.month <= month) for month in ahead])


def _profit(promise: Promise, draws: Draws, spec: Spec) -> list[float]:
    """Gross profit of one month to come, with as many users as the last fitted month had, and the stated growth."""
    users = draws.users * (1 + spec.users.growth) ** (draws.ahead + 1)
    found = np.quantile((promise.revenue - promise.spent) * users, [0.05, 0.5, 0.95])
    return [float(value) for value in found]


def _run_id(spec: Spec, read: Read, holdout: int, level_paths: Floats | None) -> str:
    """The same for the same spec, panel, options and version."""
    digest = hashlib.sha256(f"{farthing.__version__} {spec.fingerprint()} {holdout}".encode())
    panel = read.panel
    for array in (panel.user, panel.month, panel.group, panel.cost):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(b"" if level_paths is None else np.ascontiguousarray(level_paths).tobytes())
    return digest.hexdigest()[:16]
