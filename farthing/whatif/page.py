"""A worked-out scenario as a report: a page with a chart of all cards, and each card with what it stands on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from farthing import figures
from farthing.config import Config
from farthing.reports.document import Column, Report, Section, Table
from farthing.whatif.month import Month
from farthing.whatif.shown import amount
from models.whatif.card import Card, spread
from models.whatif.scenario import Scenario
from models.whatif.simulate import Result

if TYPE_CHECKING:
    from farthing.charts import Chart


def report(config: Config, scenario: Scenario, result: Result, month: Month) -> Report:
    """All cards, those that cannot be told too."""
    sections = [
        _overview(result, month),
        *(_section(number, card, month) for number, card in enumerate(result.cards, 1)),
    ]
    return Report(
        name="whatif",
        project=config.project.name,
        title=f"What if: {scenario.name}",
        period=f"{month.first:%Y-%m}",
        currency=month.currency,
        first=month.first,
        last=month.last,
        notes=[f"{remark[0].upper()}{remark[1:]}." for remark in month.remarks],
        sections=sections,
        simulated="(simulated)" in config.project.name.lower(),
    )


def _overview(result: Result, month: Month) -> Section:
    together = result.together
    joint, added = spread(together.joint), spread(together.added)
    rows = [{"card": card.name, "kind": card.kind.replace("_", " "), **_amounts(card)} for card in result.cards]
    rows.append({"card": "all together", "kind": "", **_three(joint.q05, joint.q50, joint.q95)})
    columns = [
        Column("card", "card"),
        Column("kind", "kind"),
        Column("q05", "q05", figures.money),
        Column("q50", "saving a month", figures.money),
        Column("q95", "q95", figures.money),
    ]
    share = figures.share(amount(joint.q50), amount(together.baseline))
    heading = f"Together {_money(joint.q50)} {month.currency} a month, {share} of model APIs and GPUs"
    between = f"Between {_money(joint.q05)} and {_money(joint.q95)} in nine of ten draws."
    twice = f"Added up the cards would claim {_money(added.q50)}: what two of them save is not saved twice."
    said = [f"{between} {twice}", *(f"{remark[0].upper()}{remark[1:]}." for remark in together.remarks)]
    return Section(
        "cards",
        "All cards",
        heading,
        said,
        tables=[Table("cards", columns, rows, currency=month.currency)],
        chart=partial(_chart, result, month.currency),
        chart_says="What each card saves a month by itself, and all together: the median, and nine of ten draws.",
    )


def _chart(result: Result, currency: str) -> Chart:
    from farthing import charts

    bars = [(card.name, spread(card.saving)) for card in result.cards if card.saving is not None]
    bars.append(("all together", spread(result.together.joint)))
    return charts.ranges_by_name(
        [(name, one.q05, one.q50, one.q95) for name, one in bars], f"{currency} saved a month", height=480
    )


def _section(number: int, card: Card, month: Month) -> Section:
    heading = (
        "It cannot be told"
        if card.saving is None
        else f"{_money(spread(card.saving).q50)} {month.currency} a month of {_money(card.baseline)}"
    )
    said = [f"Formula: {card.formula}.", *(f"{remark[0].upper()}{remark[1:]}." for remark in card.remarks)]
    tables = [_inputs(number, card), _besides(number, card), _rows(number, card)]
    return Section(f"card-{number}", card.name, heading, said, tables=[one for one in tables if one.rows])


def _inputs(number: int, card: Card) -> Table:
    rows = [
        {"input": name, **_plain(spread(one.values)), "basis": one.given.basis, "why": one.given.why}
        for name, one in card.inputs.items()
    ]
    columns = [Column("input", "input"), *_numbers(), Column("basis", "is"), Column("why", "because")]
    return Table(f"inputs-{number}", columns, rows, title="Stands on")


def _besides(number: int, card: Card) -> Table:
    rows = [
        {"figure": name, **_plain(spread(one.values)), "unit": one.unit, "meaning": one.meaning}
        for name, one in card.figures.items()
    ]
    columns = [Column("figure", "figure"), *_numbers(), Column("unit", "unit"), Column("meaning", "is")]
    return Table(f"figures-{number}", columns, rows, title="Shows besides")


def _rows(number: int, card: Card) -> Table:
    names = list(card.rows[0].values) if card.rows else []
    columns = [Column(name, name, _number if name.startswith("q") else None) for name in names]
    return Table(f"rows-{number}", columns, [dict(row.values) for row in card.rows], title="By stretch of days")


def _numbers() -> list[Column]:
    return [Column(name, name, _number) for name in ("q05", "q50", "q95")]


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _plain(found: Any) -> dict[str, float]:
    return {"q05": found.q05, "q50": found.q50, "q95": found.q95}


def _amounts(card: Card) -> dict[str, Any]:
    if card.saving is None:
        return {"q05": None, "q50": None, "q95": None}
    found = spread(card.saving)
    return _three(found.q05, found.q50, found.q95)


def _three(q05: float, q50: float, q95: float) -> dict[str, Any]:
    return {"q05": amount(q05), "q50": amount(q50), "q95": amount(q95)}


def _money(value: float) -> str:
    return figures.money(amount(value))
