"""What a month of metered use comes to under a plan, in decimals: the rule that every export is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Literal

Mode = Literal["graduated", "volume", "package"]
#: Currencies whose smallest coin is not a hundredth (ISO 4217).
_DECIMALS = dict.fromkeys("BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF".split(), 0) | dict.fromkeys(
    "BHD IQD JOD KWD LYD OMR TND".split(), 3
)


@dataclass(frozen=True)
class PriceTier:
    """Units up to and with `up_to`, counted beyond the included ones; None: all further ones."""

    up_to: Decimal | None
    unit_price: Decimal
    flat: Decimal = Decimal(0)


@dataclass(frozen=True)
class Cap:
    """A fair-use limit in units, included ones counted; a hard one ends the service, a soft one only warns."""

    limit: Decimal
    hard: bool = True


@dataclass(frozen=True)
class Meter:
    """One thing that is counted. `unit_price` of a package is that of the package of `package_size` units."""

    key: str
    unit: str
    included: Decimal
    tiers: Sequence[PriceTier]
    mode: Mode = "graduated"
    package_size: Decimal = Decimal(1)
    cap: Cap | None = None

    def served(self, used: Decimal) -> Decimal:
        """Of `used` units what is served and so billed."""
        return min(used, self.cap.limit) if self.cap is not None and self.cap.hard else used


@dataclass(frozen=True)
class Tariff:
    """A plan of one month as it is sold: a fee, and meters."""

    key: str
    name: str
    currency: str
    fee: Decimal
    meters: Sequence[Meter]


def cent(currency: str) -> Decimal:
    """The smallest coin of a currency."""
    return Decimal(1).scaleb(-_DECIMALS.get(currency, 2))


def bill(tariff: Tariff, used: Mapping[str, Decimal]) -> list[Decimal]:
    """The lines of a bill: the fee, then one for each price tier of each meter, each rounded half up to a coin.

    A meter that `used` does not name was not used.

    Raises:
        ValueError: less than nothing was used, or tiers leave some of the use without a price.
    """
    coin = cent(tariff.currency)
    lines = [tariff.fee]
    for meter in tariff.meters:
        units = used.get(meter.key, Decimal(0))
        if units < 0:
            raise ValueError(f"{meter.key}: less than nothing was used: {units}")
        lines += _lines(meter, max(Decimal(0), meter.served(units) - meter.included))
    return [line.quantize(coin, rounding=ROUND_HALF_UP) for line in lines]


def _lines(meter: Meter, units: Decimal) -> list[Decimal]:
    """What so many units beyond the included ones cost, by price tier."""
    if not units:
        return []
    if meter.mode == "package":
        packages = (units / meter.package_size).to_integral_value(rounding=ROUND_CEILING)
        return [packages * meter.tiers[0].unit_price]
    if meter.mode == "volume":
        found = next((tier for tier in meter.tiers if tier.up_to is None or units <= tier.up_to), None)
        if found is None:
            raise ValueError(f"{meter.key}: no tier has a price for {units} units")
        return [found.flat + units * found.unit_price]
    lines, done = [], Decimal(0)
    for tier in meter.tiers:
        upper = units if tier.up_to is None else min(units, tier.up_to)
        lines.append(tier.flat + (upper - done) * tier.unit_price)
        done = upper
        if done == units:
            return lines
    raise ValueError(f"{meter.key}: no tier has a price for {units} units")
