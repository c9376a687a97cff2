"""Why a month cost other than planned: volume, provider mix and rate, each exact, line by line and in their sum.

The three steps of the flexible budget (standard costing: quantity, mix and price variance). Every line walks from its
planned to its actual cost over two amounts in between, each rounded once; so the effects, which are the differences of
neighbours, add up to the variance to the last decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

_PARTS = 10**12  # of a unit of money, as the ledger has them
_ZERO = Decimal(0).scaleb(-12)


@dataclass(frozen=True)
class Line:
    """One provider of a plan: what was planned and what came; null where it is not known.

    `planned_rate` is for a provider of whom nothing was planned, but whose price was: else it is amount by quantity.
    """

    provider: str | None
    planned_quantity: Decimal | None
    planned_amount: Decimal
    planned_rate: Decimal | None
    actual_quantity: Decimal | None
    actual_cost: Decimal

    @property
    def rate_of_plan(self) -> Decimal | None:
        """Planned price of one unit, to 12 decimals; null where none was planned."""
        rate = _planned_rate(self)
        return None if rate is None else _rounded(rate)

    @property
    def rate_that_came(self) -> Decimal | None:
        """Cost of one unit, to 12 decimals; null where none was used."""
        return _rounded(Fraction(self.actual_cost) / Fraction(self.actual_quantity)) if self.actual_quantity else None


@dataclass(frozen=True)
class Effects:
    """What of a variance has which cause; in the currency of the amounts, to 12 decimals."""

    volume: Decimal  # more or less was used in all
    mix: Decimal  # it was used elsewhere than planned
    rate: Decimal  # a planned provider took another price
    unsplit: Decimal  # the plan or the books have no quantity of it

    @property
    def variance(self) -> Decimal:
        """Actual less planned."""
        return self.volume + self.mix + self.rate + self.unsplit


def split(lines: Sequence[Line]) -> list[Effects]:
    """The effects of each line, in order; their sum is actual less planned, exactly.

    No planned quantity or rate may be negative. With Q for all quantity, q and p for a line's planned quantity and
    rate, and dashes for what came:

        volume = planned amount x (Q' / Q - 1)     what the plan would have cost at another size, as it was mixed
        mix    = p x (q' - q x Q' / Q)             at planned rates, what moving between providers cost
        rate   = actual cost - p x q'

    A provider without a planned rate has his own: what he cost is mix, as the plan did not buy there. A cost without
    a quantity, and a plan without one, are not split; nor is anything where no quantity at all was planned.
    """
    planned = sum((Fraction(line.planned_quantity or 0) for line in lines), Fraction(0))
    came = sum((Fraction(line.actual_quantity or 0) for line in lines if _is_comparable(line)), Fraction(0))
    return [_effects(line, came / planned if planned else None) for line in lines]


def added(effects: Iterable[Effects]) -> Effects:
    """The effects of all lines together."""
    found = list(effects)
    return Effects(
        sum((one.volume for one in found), _ZERO),
        sum((one.mix for one in found), _ZERO),
        sum((one.rate for one in found), _ZERO),
        sum((one.unsplit for one in found), _ZERO),
    )


def _is_comparable(line: Line) -> bool:
    """Whether its quantity stands against the plan's: not where the plan has an amount alone."""
    return line.planned_quantity is not None or not line.planned_amount


def _effects(line: Line, growth: Fraction | None) -> Effects:
    quantity = line.actual_quantity or Decimal(0)
    if growth is None or not _is_comparable(line):
        return Effects(_ZERO, _ZERO, _ZERO, line.actual_cost - line.planned_amount)
    measured = line.actual_cost if quantity else _ZERO  # a cost without use has neither rate nor mix
    rate = _planned_rate(line)
    grown = _rounded(Fraction(line.planned_amount) * growth)
    moved = _rounded(rate * Fraction(quantity)) if rate is not None else measured
    return Effects(grown - line.planned_amount, moved - grown, measured - moved, line.actual_cost - measured)


def _planned_rate(line: Line) -> Fraction | None:
    if line.planned_quantity:
        return Fraction(line.planned_amount) / Fraction(line.planned_quantity)
    return None if line.planned_rate is None else Fraction(line.planned_rate)


def _rounded(value: Fraction) -> Decimal:
    """`value` to 12 decimals, half away from zero."""
    doubled = abs(value) * _PARTS * 2
    parts = (doubled.numerator + doubled.denominator) // (2 * doubled.denominator)
    return Decimal(parts if value >= 0 else -parts).scaleb(-12)
