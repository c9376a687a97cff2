"""The first section: what was spent, what is left of revenue, and how firm that is."""

from __future__ import annotations

from decimal import Decimal

from farthing import figures
from farthing.reports.asked import Asked, part, per, percent
from farthing.reports.document import Figure, Section
from farthing.reports.sections.sums import Sums

_ADD_REVENUE = "Revenue is not known in this currency: add a source of kind revenue to see margin."


def headline(asked: Asked, found: Sums) -> Section:
    """The key figures of the period."""
    currency = asked.currency
    margin = part(found.gross_margin, found.revenue)
    heading = f"{figures.money(found.cost)} {currency} were spent"
    if margin is not None:
        heading += f"; the gross margin is {percent(margin)}"
    said = [] if found.revenue is not None else [_ADD_REVENUE]
    if found.gross_margin is not None and found.revenue is not None:
        rest = found.revenue - found.cost
        said.append(
            f"Revenue {figures.money(found.revenue)} less serving (cogs) {figures.money(found.serving)} leaves"
            f" {figures.money(found.gross_margin)} {currency}. After all other cost {figures.money(rest)} are left."
        )
    return Section("headline", "In short", heading, said, _figures(asked, found))


def _figures(asked: Asked, found: Sums) -> list[Figure]:
    currency = asked.currency
    idle, margin = found.of_kind("idle"), part(found.gross_margin, found.revenue)
    made = [
        _amount("spend", "Spend", found.cost, currency, "all lines of the ledger on these days"),
        _amount("revenue", "Revenue", found.revenue, currency, "paid for these days"),
        _amount("gross_margin", "Gross margin", found.gross_margin, currency, "revenue less cost of serving (cogs)"),
        _share("gross_margin_share", "Gross margin share", margin, "gross margin of revenue"),
        _unit(found, currency),
        _amount("idle", "Idle", idle, currency, "GPU time that was paid and not used"),
        _share("idle_share", "Idle share", part(idle, found.cost), "idle of spend"),
        _amount("provisional", "Provisional", found.provisional, currency, "no bill confirms it yet"),
        _amount("estimated", "Estimated", found.estimated, currency, "divided without telemetry that watched"),
    ]
    shown = figures.exact(found.difference)
    said = "charges of these days less the ledger"
    made.append(Figure("difference", "Bill less ledger", found.difference, currency, shown, said))
    return made


def _unit(found: Sums, currency: str) -> Figure:
    """Cost of serving for each unit that the company counts in; for 1,000 requests where `[units]` names none."""
    if found.unit is not None:
        cost, label = found.unit["cost_per_unit"], f"Per {found.unit['unit']}"
        said = f"cost of serving (cogs) by {figures.number(found.unit['quantity'])} of them"
    else:
        cost, label = per(found.serving, found.requests, 1_000), "Per 1,000 requests"
        said = f"cost of serving (cogs) by {figures.count(found.requests)} requests"
    return Figure("cost_per_unit", label, cost, currency, _known(cost), said)


def _amount(name: str, label: str, value: Decimal | None, currency: str, said: str) -> Figure:
    return Figure(name, label, value, currency, _known(value), said)


def _share(name: str, label: str, value: Decimal | None, said: str) -> Figure:
    return Figure(name, label, value, "share", "not known" if value is None else percent(value), said)


def _known(value: Decimal | None) -> str:
    return "not known" if value is None else figures.money(value)
