"""A worked-out scenario as tables for people and as one value for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from farthing.console import Sheet
from farthing.whatif.check import watched
from farthing.whatif.month import Month
from models.whatif.card import Card, Figure, Spread, spread
from models.whatif.inputs import NOT_GIVEN
from models.whatif.scenario import Scenario
from models.whatif.simulate import Result

_CARD_COLUMNS = ("card", "kind", "saving_q05", "saving", "saving_q95", "saving_share", "matched_cost", "currency")
_HEADINGS = {
    "saving_q05": "q05",
    "saving": "saving a month",
    "saving_q95": "q95",
    "saving_share": "share",
    "matched_cost": "matched cost",
}


def amount(value: float) -> Decimal | None:
    """An estimate to six decimals; None for what has no number."""
    return Decimal(f"{value:.6f}") if math.isfinite(value) else None


def sheets(result: Result, month: Month) -> list[Sheet]:
    """Cards, what they are together, their inputs, what they show besides, tables of their own, and remarks."""
    found = [_cards(result, month), _together(result, month), _inputs(result.cards), _figures(result.cards)]
    found += [_own_rows(card) for card in result.cards if card.rows]
    return [*found, _remarks(result, month)]


def _cards(result: Result, month: Month) -> Sheet:
    whole = result.together.baseline
    rows: list[Sequence[object]] = []
    for card in result.cards:
        if card.saving is None:
            rows.append((card.name, card.kind, None, None, None, None, amount(card.baseline), month.currency))
            continue
        found = spread(card.saving)
        share = round(found.q50 / whole, 6) + 0.0 if whole else None
        amounts = (amount(found.q05), amount(found.q50), amount(found.q95))
        rows.append((card.name, card.kind, *amounts, share, amount(card.baseline), month.currency))
    return Sheet(
        "cards",
        _CARD_COLUMNS,
        rows,
        title=f"What each card would save in {month.first:%B %Y}, by itself ({month.currency})",
        note="q05 and q95: nine of ten draws of the inputs lie between. A dash: it cannot be told, see the remarks.",
        headings=_HEADINGS,
        hidden=frozenset({"currency"}),
    )


def _together(result: Result, month: Month) -> Sheet:
    together = result.together
    rows = []
    lines = (
        ("all together", together.joint),
        ("added up", together.added),
        ("overlap", together.added - together.joint),
    )
    for what, values in lines:
        found = spread(values)
        share = round(found.q50 / together.baseline, 6) + 0.0 if together.baseline else None
        rows.append((what, amount(found.q05), amount(found.q50), amount(found.q95), share, month.currency))
    return Sheet(
        "together",
        ("what", "saving_q05", "saving", "saving_q95", "saving_share", "currency"),
        rows,
        title=f"Together: {', '.join(together.names) or 'nothing'}",
        note=f"of {together.baseline:,.2f} {month.currency} for model APIs and GPUs; what two save is not saved twice",
        headings=_HEADINGS,
        hidden=frozenset({"currency"}),
    )


def _inputs(cards: Sequence[Card]) -> Sheet:
    rows = []
    for card in cards:
        for name, one in card.inputs.items():
            if one.read or one.given.why.startswith(NOT_GIVEN):
                continue  # facts of the month, and what changes nothing: in JSON and on the page
            found = spread(one.values)
            rows.append((card.name, name, found.q05, found.q50, found.q95, one.given.basis, one.given.why))
    return Sheet(
        "inputs", ("card", "input", "q05", "q50", "q95", "basis", "why"), rows, title="What the cards stand on"
    )


def _figures(cards: Sequence[Card]) -> Sheet:
    rows = [
        (card.name, name, *_three(figure), figure.unit, figure.meaning)
        for card in cards
        for name, figure in card.figures.items()
    ]
    return Sheet("figures", ("card", "figure", "q05", "q50", "q95", "unit", "is"), rows, title="What they show besides")


def _three(figure: Figure) -> tuple[float, float, float]:
    found = spread(figure.values)
    return found.q05, found.q50, found.q95


def _own_rows(card: Card) -> Sheet:
    columns = list(card.rows[0].values)
    return Sheet(card.name, columns, [list(row.values.values()) for row in card.rows], title=card.name)


def _remarks(result: Result, month: Month) -> Sheet:
    said: dict[str, list[str]] = {remark: ["the month"] for remark in month.remarks}
    for card in result.cards:
        for remark in card.remarks:
            said.setdefault(remark, []).append(card.name)
    for remark in result.together.remarks:
        said.setdefault(remark, []).append("together")
    rows = [(remark, ", ".join(names)) for remark, names in said.items()]
    return Sheet("remarks", ("remark", "of"), rows, title="What to know of them")


def value(scenario: Scenario, result: Result, month: Month) -> dict[str, Any]:
    """All of it for programs: `farthing whatif check` takes it back as the claim."""
    return {
        "scenario": scenario.name,
        "month": f"{month.first:%Y-%m}",
        "first_day": month.first,
        "last_day": month.last,
        "currency": month.currency,
        "draws": scenario.draws,
        "seed": scenario.seed,
        "baseline": amount(result.together.baseline),
        "cards": [
            _card_value(card, watched(lever, month)) for card, lever in zip(result.cards, scenario.cards, strict=True)
        ],
        "together": {
            "cards": list(result.together.names),
            "saving": _spread_value(spread(result.together.joint)),
            "added_up": _spread_value(spread(result.together.added)),
            "remarks": list(result.together.remarks),
        },
        "remarks": month.remarks,
    }


def _card_value(card: Card, before: Any) -> dict[str, Any]:
    return {
        "card": card.name,
        "kind": card.kind,
        "formula": card.formula,
        "saving": None if card.saving is None else _spread_value(spread(card.saving)),
        "matched_cost": amount(card.baseline),
        "inputs": {
            name: {**_plain_spread(spread(one.values)), "basis": one.given.basis, "why": one.given.why}
            for name, one in card.inputs.items()
        },
        "figures": {
            name: {**_plain_spread(spread(figure.values)), "unit": figure.unit, "is": figure.meaning}
            for name, figure in card.figures.items()
        },
        "rows": [dict(row.values) for row in card.rows],
        "remarks": list(card.remarks),
        "before": None
        if before is None
        else {"requests": before.requests.tolist(), "cost": [round(one, 9) for one in before.cost.tolist()]},
    }


def _spread_value(found: Spread) -> dict[str, Decimal | None]:
    return {"q05": amount(found.q05), "q50": amount(found.q50), "q95": amount(found.q95)}


def _plain_spread(found: Spread) -> dict[str, float | None]:
    return {
        name: number if math.isfinite(number) else None
        for name, number in (("q05", found.q05), ("q50", found.q50), ("q95", found.q95))
    }
